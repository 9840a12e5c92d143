"""Callbacks that decay the learning rate and show what the loss is doing."""

from .control.finder import LearningRateCurve, find_learning_rate
from .control.learning_rate import LearningRateDecay
from .control.loss_parameters import LossParameterSchedule
from .control.momentum import ScheduledAdam, ScheduledAdamW, ScheduledSGD
from .control.plateau import PlateauDecay
from .control.task_weights import DynamicWeightAverage, GradNorm
from .curves.curves import LossCurves
from .schedules.schedules import (
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
from .writers.live_plot import LivePlot
from .writers.mlflow import MLflowWriter
from .writers.report import LossReport
from .writers.tensorboard import TensorBoardWriter
from .writers.text import CSVWriter, JSONLinesWriter
from .writers.writer import Writer

__all__ = [
    "CSVWriter",
    "Chain",
    "CosineRestarts",
    "DynamicWeightAverage",
    "GradNorm",
    "InverseSquareRoot",
    "JSONLinesWriter",
    "LearningRateCurve",
    "LearningRateDecay",
    "LivePlot",
    "LossCurves",
    "LossParameterSchedule",
    "LossReport",
    "MLflowWriter",
    "OneCycle",
    "PlateauDecay",
    "Polynomial",
    "Schedule",
    "ScheduledAdam",
    "ScheduledAdamW",
    "ScheduledSGD",
    "Step",
    "TensorBoardWriter",
    "Warmup",
    "WarmupStableDecay",
    "Writer",
    "find_learning_rate",
]
