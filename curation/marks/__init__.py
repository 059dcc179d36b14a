"""Evidence of watermarks in pixels: what never changes, what repeats, what a trained classifier says."""
