"""What makes a step of the transformer fast and small: recompute, compiled blocks, the attention kernel."""
