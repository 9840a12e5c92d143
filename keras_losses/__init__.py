"""Losses for Keras 3 that are exact at the extremes, drop in, and can be saved."""
