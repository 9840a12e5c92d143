"""What curves of every batch cost: no callback, LossCurves, and Keras's TensorBoard(update_freq="batch")."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras

from benchmarks import steps
from benchmarks.steps import Training
from benchmarks.timing import Settings
from keras_losses import SquaredErrorLoss
from keras_losses.callbacks import LossCurves

TITLE = "Curves of every batch"
BACKENDS = ("tensorflow", "jax")

SIZES = {
    "1 layer of 8, batches of 32": (8, 1, 32, 400),
    "2 layers of 1024, batches of 256": (1024, 2, 256, 60),
}
"""Units, layers, samples in a batch, batches in an epoch."""


def training(units: int, layers: int, samples: int, batches: int) -> Training:
    def fit(*callbacks: Any) -> Callable[[Any], Any]:
        model = steps.dense(units, layers)
        model.compile(keras.optimizers.SGD(1e-6), loss=SquaredErrorLoss())
        return lambda data: model.fit(data, verbose=0, callbacks=list(callbacks))

    ways = {
        "no callback": fit(),
        "`LossCurves`": fit(LossCurves(tempfile.mkdtemp())),
        "Keras's `TensorBoard`": fit(
            keras.callbacks.TensorBoard(tempfile.mkdtemp(), update_freq="batch", write_graph=False)
        ),
    }
    return Training(steps.numbers(units, samples, batches), ways)


def measure(settings: Settings) -> dict[str, Any]:
    trainings = {name: functools.partial(training, *size) for name, size in SIZES.items()}
    return steps.compare(trainings, settings, "curves")


figures = steps.figures


def markdown(found: Mapping[str, Any]) -> Iterator[str]:
    yield (
        "The same network on the same batches, trained by `fit` without a callback, with `LossCurves`, and "
        'with Keras\'s `TensorBoard(update_freq="batch", write_graph=False)`: an epoch of each in turn. '
        "Keras's callback writes the running mean of the loss for each batch; `LossCurves` the batch's own "
        "loss and the learning rate. What it takes more than no callback is the median over the rounds, of "
        "the same round."
    )
    yield ""
    yield from steps.rows(found)
