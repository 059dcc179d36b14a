"""The commands, by what they are about: running jobs, datasets, models, this machine."""
