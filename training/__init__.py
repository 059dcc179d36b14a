"""Parquet shards in, a trained model out: one loop, the stages are data."""
