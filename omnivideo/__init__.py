"""The model of *Omni-Video: Democratizing Unified Video Understanding and Generation*."""
