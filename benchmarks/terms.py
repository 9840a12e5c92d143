"""What it costs to log the terms of a loss: steps of a plain model, of one with terms, and with LossCurves.

    python -m benchmarks.terms [--rounds 15]

The same network is trained on the same batches in three ways, an epoch of each in turn. A small network has a
step of about the least that Keras takes, a large one of about 50 milliseconds. The time of a step is the
epoch's over its steps, with the median over the rounds.
"""

from __future__ import annotations

import tempfile
from typing import Any

import keras

from benchmarks.steps import Ways, compare, network
from keras_losses import AbsoluteErrorLoss, HuberLoss, LossAwareModel, SquaredErrorLoss
from keras_losses.callbacks import LossCurves

SIZES = {"smallest": (8, 1, 32, 400), "large": (1024, 4, 256, 40)}


def loss() -> Any:
    return SquaredErrorLoss() + 0.5 * AbsoluteErrorLoss() + 0.1 * HuberLoss()


def ways(units: int, layers: int) -> Ways:
    plain, aware, curves = network(units, layers), network(units, layers), network(units, layers)
    aware = LossAwareModel.from_model(aware)
    for model in (plain, aware, curves):
        model.compile(keras.optimizers.SGD(1e-6), loss=loss())
    callback = LossCurves(tempfile.mkdtemp(), batches=False)
    return {
        "plain": lambda data: plain.fit(data, verbose=0),
        "LossAwareModel": lambda data: aware.fit(data, verbose=0),
        "LossCurves, no batches": lambda data: curves.fit(data, verbose=0, callbacks=[callback]),
    }


if __name__ == "__main__":
    compare(__doc__.split("\n")[0], SIZES, ways)
