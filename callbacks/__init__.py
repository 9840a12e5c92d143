"""Callbacks that decay the learning rate and show what the loss is doing."""

from keras_losses.callbacks.curves import LossCurves
from keras_losses.callbacks.learning_rate import LearningRateDecay

__all__ = ["LearningRateDecay", "LossCurves"]
