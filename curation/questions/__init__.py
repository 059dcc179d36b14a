"""What can be asked of a dataset without decoding: why, what if, how well, how long."""
