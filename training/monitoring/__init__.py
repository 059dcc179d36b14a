"""What is measured of a run and shown: losses, speed, spikes, curves, clips, metrics."""
