"""Callbacks that decay the learning rate and show what the loss is doing."""
