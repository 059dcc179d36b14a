"""Training on several workers: process group, replicas, ZeRO, and a self-test of their gradients."""
