"""The callback that records loss curves, and what it reads from a training."""
