"""Batches: which samples make up which step, and the tensors that they become."""
