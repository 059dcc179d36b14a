"""The loop that every worker runs: the run, its stages, their phases."""
