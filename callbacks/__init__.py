"""Callbacks that decay the learning rate and show what the loss is doing."""

from .curves import LossCurves
from .finder import LearningRateCurve, find_learning_rate
from .learning_rate import LearningRateDecay
from .live_plot import LivePlot
from .loss_parameters import LossParameterSchedule
from .momentum import ScheduledAdam, ScheduledAdamW, ScheduledSGD
from .plateau import PlateauDecay
from .report import LossReport
from .schedules import 
from .task_weights import DynamicWeightAverage, GradNorm

__all__ = [
    "DynamicWeightAverage",
    "GradNorm",
    "LearningRateCurve",
    "LearningRateDecay",
    "LivePlot",
    "LossCurves",
    "LossParameterSchedule",
    "LossReport",
    "PlateauDecay",
    "ScheduledAdam",
    "ScheduledAdamW",
    "ScheduledSGD",
    "find_learning_rate",
]
