"""What is recorded of a training."""
