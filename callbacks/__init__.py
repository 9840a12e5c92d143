"""Callbacks that decay the learning rate and show what the loss is doing."""

from .curves import LossCurves
from .learning_rate import LearningRateDecay
from .loss_parameters import LossParameterSchedule
from .momentum import ScheduledAdam, ScheduledAdamW, ScheduledSGD
from .plateau import PlateauDecay
from .schedules import (
    Chain,
    CosineRestarts,
    InverseSquareRoot,
    OneCycle,
    Polynomial,
    Schedule,
    Step,
    Warmup,
    WarmupStableDecay,
)
from .task_weights import DynamicWeightAverage, GradNorm

__all__ = [
    "Chain",
    "CosineRestarts",
    "DynamicWeightAverage",
    "GradNorm",
    "InverseSquareRoot",
    "LearningRateDecay",
    "LossCurves",
    "LossParameterSchedule",
    "OneCycle",
    "PlateauDecay",
    "Polynomial",
    "Schedule",
    "ScheduledAdam",
    "ScheduledAdamW",
    "ScheduledSGD",
    "Step",
    "Warmup",
    "WarmupStableDecay",
]
