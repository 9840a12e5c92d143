"""What curves of every batch cost: no callback, LossCurves, and Keras's TensorBoard(update_freq="batch").

    python -m benchmarks.curves [--rounds 15]

The same network is trained on the same batches in three ways, an epoch of each in turn, with a small network
whose step is about the least that Keras takes and one whose step takes about 20 milliseconds. The time of a
step is the epoch's over its steps, with the median over the rounds. Keras's callback writes the running mean
of the loss for each batch; LossCurves the batch's own loss and the learning rate.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any

import keras

from benchmarks.steps import Ways, compare, network
from keras_losses import SquaredErrorLoss
from keras_losses.callbacks import LossCurves

SIZES = {"smallest": (8, 1, 32, 400), "20 ms": (1024, 2, 256, 60)}


def ways(units: int, layers: int) -> Ways:
    def fit(*callbacks: Any) -> Callable[[Any], Any]:
        model = network(units, layers)
        model.compile(keras.optimizers.SGD(1e-6), loss=SquaredErrorLoss())
        return lambda data: model.fit(data, verbose=0, callbacks=list(callbacks))

    return {
        "no callback": fit(),
        "LossCurves": fit(LossCurves(tempfile.mkdtemp())),
        "keras TensorBoard": fit(
            keras.callbacks.TensorBoard(tempfile.mkdtemp(), update_freq="batch", write_graph=False)
        ),
    }


if __name__ == "__main__":
    compare(__doc__.split("\n")[0], SIZES, ways)
