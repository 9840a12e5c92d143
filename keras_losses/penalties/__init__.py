"""Penalties on predictions, on slopes in the inputs, and on weights."""
