"""The callback that records loss curves, and the values it reads from a training."""
