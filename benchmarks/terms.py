"""What it costs to log the terms of a loss: a plain model, one with terms, and LossCurves."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

import keras

from benchmarks import steps
from benchmarks.steps import Training
from benchmarks.timing import Settings
from keras_losses import AbsoluteErrorLoss, HuberLoss, LossAwareModel, SquaredErrorLoss
from keras_losses.callbacks import LossCurves

TITLE = "Terms in the logs"
BACKENDS = ("tensorflow", "jax")

SIZES = {
    "1 layer of 8, batches of 32": (8, 1, 32, 400),
    "4 layers of 1024, batches of 256": (1024, 4, 256, 40),
}
"""Units, layers, samples in a batch, batches in an epoch."""


def loss() -> Any:
    return SquaredErrorLoss() + 0.5 * AbsoluteErrorLoss() + 0.1 * HuberLoss()


def training(units: int, layers: int, samples: int, batches: int) -> Training:
    plain, aware, curves = (steps.dense(units, layers) for _ in range(3))
    aware = LossAwareModel.from_model(aware)
    for model in (plain, aware, curves):
        model.compile(keras.optimizers.SGD(1e-6), loss=loss())
    callback = LossCurves(tempfile.mkdtemp(), batches=False)
    ways = {
        "plain": lambda data: plain.fit(data, verbose=0),
        "`LossAwareModel`": lambda data: aware.fit(data, verbose=0),
        "`LossCurves`, no batches": lambda data: curves.fit(data, verbose=0, callbacks=[callback]),
    }
    return Training(steps.numbers(units, samples, batches), ways)


def measure(settings: Settings) -> dict[str, Any]:
    trainings = {name: functools.partial(training, *size) for name, size in SIZES.items()}
    return steps.compare(trainings, settings, "terms")


figures = steps.figures


def markdown(found: Mapping[str, Any]) -> Iterator[str]:
    yield (
        "The same network on the same batches, with `SquaredErrorLoss() + 0.5 * AbsoluteErrorLoss() + 0.1 * "
        "HuberLoss()`, trained by `fit` as a plain model, as a `LossAwareModel`, and as a plain model with "
        "`LossCurves(batches=False)`: an epoch of each in turn. What it takes more than the plain model is "
        "the median over the rounds, of the same round."
    )
    yield ""
    yield from steps.rows(found)
