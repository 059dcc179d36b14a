"""Rows to shards to versions: staging what is finished, and publishing it in one Delta commit."""
