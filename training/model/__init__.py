"""The model in training: where it comes from, which parts train, proof that the others do not."""
