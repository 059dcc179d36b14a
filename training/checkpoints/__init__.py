"""What a run writes and reads again: checkpoints, sealed when whole, and finished models."""
