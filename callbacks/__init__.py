"""Schedules, callbacks that control training, and callbacks that record the loss."""

from .control.learning_rate import LearningRateDecay
from .control.loss_parameters import LossParameterSchedule
from .control.momentum import ScheduledAdam, ScheduledAdamW, ScheduledSGD
from .control.plateau import PlateauDecay
from .control.range_curve import LearningRateCurve
from .control.range_test import find_learning_rate
from .control.task_weights import DynamicWeightAverage, GradNorm
from .curves.loss_curves import LossCurves
from .schedules.around import Chain, Warmup
from .schedules.base import Schedule
from .schedules.cycles import CosineRestarts, Cyclic, OneCycle
from .schedules.decays import InverseSquareRoot, Polynomial, Step, WarmupStableDecay
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
    "Cyclic",
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
