"""Callbacks that decay the learning rate and show what the loss is doing."""

from .curves import LossCurves
from .learning_rate import LearningRateDecay

__all__ = ["LearningRateDecay", "LossCurves"]
