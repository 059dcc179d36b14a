"""Scores for what a model makes and answers: a judge that learned nothing, and GenEval's own."""
