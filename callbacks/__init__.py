"""Callbacks that decay the learning rate and show what the loss is doing."""

from .curves import LossCurves
from .finder import LearningRateCurve, find_learning_rate
from .learning_rate import LearningRateDecay
from .loss_parameters import LossParameterSchedule
from .task_weights import DynamicWeightAverage, GradNorm

__all__ = [
    "DynamicWeightAverage",
    "GradNorm",
    "LearningRateCurve",
    "LearningRateDecay",
    "LossCurves",
    "LossParameterSchedule",
    "find_learning_rate",
]
