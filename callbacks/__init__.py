"""Callbacks that decay the learning rate and show what the loss is doing."""

from .curves import LossCurves
from .learning_rate import LearningRateDecay
from .live_plot import LivePlot
from .loss_parameters import LossParameterSchedule
from .mlflow_writer import MLflowWriter
from .report import LossReport
from .task_weights import DynamicWeightAverage, GradNorm
from .tensorboard_writer import TensorBoardWriter
from .text_writers import CSVWriter, JSONLinesWriter
from .writers import Writer

__all__ = [
    "CSVWriter",
    "DynamicWeightAverage",
    "GradNorm",
    "JSONLinesWriter",
    "LearningRateDecay",
    "LivePlot",
    "LossCurves",
    "LossParameterSchedule",
    "LossReport",
    "MLflowWriter",
    "TensorBoardWriter",
    "Writer",
]
