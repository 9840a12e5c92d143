"""Callbacks that decay the learning rate and show what the loss is doing."""

from .curves import LossCurves
from .learning_rate import LearningRateDecay
from .loss_parameters import LossParameterSchedule

__all__ = ["LearningRateDecay", "LossCurves", "LossParameterSchedule"]
