"""Deep copies of callbacks and writers, which tuners and scikit-learn wrappers make before and after fits."""

import copy

import pytest

from keras_losses import AbsoluteErrorLoss, SquaredErrorLoss
from keras_losses.callbacks import (
    CSVWriter,
    DynamicWeightAverage,
    GradNorm,
    JSONLinesWriter,
    LearningRateDecay,
    LivePlot,
    LossCurves,
    LossParameterSchedule,
    LossReport,
    PlateauDecay,
    TensorBoardWriter,
    Writer,
)
from tests.callbacks.small import data, fit, model


class InMemory(Writer):
    """Keeps the losses of batches."""

    def __init__(self):
        self.points = []

    def scalar(self, run, tag, value, step, wall_time):
        if tag == "batch/loss":
            self.points.append((step, value))


CALLBACKS = {
    "LearningRateDecay": (lambda path: LearningRateDecay(lambda epoch: 0.0, backup_dir=path), 7.0),
    "PlateauDecay": (lambda path: PlateauDecay("loss", backup_dir=path), 7.0),
    "LossParameterSchedule": (
        lambda path: LossParameterSchedule("weights/absolute_error_loss", lambda epoch: 0.5),
        6.0,
    ),
    "DynamicWeightAverage": (lambda path: DynamicWeightAverage(), 7.0),
    "GradNorm": (lambda path: GradNorm("shared"), 7.0),
    "LossCurves": (lambda path: LossCurves(path / "logs"), 7.0),
    "CSVWriter": (lambda path: LossCurves(writers=[CSVWriter(path / "curves.csv")]), 7.0),
    "JSONLinesWriter": (lambda path: LossCurves(writers=[JSONLinesWriter(path / "curves.jsonl")]), 7.0),
    "LossReport": (lambda path: LossCurves(writers=[LossReport(path / "report.html")]), 7.0),
    "LivePlot": (lambda path: LossCurves(writers=[LivePlot()]), 7.0),
    "TensorBoardWriter": (lambda path: LossCurves(writers=[TensorBoardWriter(path / "logs")]), 7.0),
    "LossCurves of samples": (lambda path: LossCurves(path / "logs", examine=data()), 7.0),
}
"""Each with the loss of the model that it is used with."""


def squared_and_absolute():
    """A model with the errors 1 and 3: (1 + 9) / 2 + (1 + 3) / 2 = 7."""
    new = model(loss=SquaredErrorLoss() + AbsoluteErrorLoss())
    new.layers[0].name = "shared"
    return new


def loss_with(callback):
    return fit(squared_and_absolute(), callback, targets=(1.0, 3.0))["loss"]


@pytest.mark.filterwarnings("ignore::UserWarning")  # a second training at one place, and no notebook
@pytest.mark.parametrize("name", CALLBACKS)
def test_copies_serve_other_models(name, tmp_path):
    make, loss = CALLBACKS[name]
    callback = make(tmp_path)
    before = copy.deepcopy(callback)
    assert loss_with(callback) == [loss]
    after = copy.deepcopy(callback)
    assert loss_with(before) == loss_with(after) == [loss]


def test_a_copy_of_curves_has_writers_of_its_own():
    curves = LossCurves(writers=[writer := InMemory()])
    memo = {}
    before = copy.deepcopy(curves, memo)
    assert loss_with(before) == [7.0]
    assert (writer.points, memo[id(writer)].points) == ([], [(1, 7.0)])


@pytest.mark.filterwarnings("ignore:.*reach step 1 already:UserWarning")
def test_a_copy_of_used_curves_continues_them():
    curves = LossCurves(writers=[writer := InMemory()])
    loss_with(curves)
    memo = {}
    after = copy.deepcopy(curves, memo)
    assert after.model is None  # the copy of a callback of Keras holds a copy of the model
    loss_with(after)
    assert (writer.points, memo[id(writer)].points) == ([(1, 7.0)], [(1, 7.0), (2, 7.0)])
