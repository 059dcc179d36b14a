"""A world with ground truth: coloured shapes on plain backgrounds, still or moving, told in exact words.

Small models learn all six tasks in it within minutes, and what they make can be judged without a model.
Nothing here needs torch.
"""
