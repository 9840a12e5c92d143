"""Callbacks that decay the learning rate and show what the loss is doing."""

from .curves import LossCurves
from .finder import LearningRateCurve, find_learning_rate
from .learning_rate import LearningRateDecay
from .live_plot import LivePlot
from .loss_parameters import LossParameterSchedule
from .mlflow_writer import MLflowWriter
from .momentum import ScheduledAdam, ScheduledAdamW, ScheduledSGD
from .plateau import PlateauDecay
from .report import LossReport
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
from .tensorboard_writer import TensorBoardWriter
from .text_writers import CSVWriter, JSONLinesWriter
from .writers import Writer

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
