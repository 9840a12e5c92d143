"""One weight, starting at 0, and inputs of 1: a batch's squared error is worked out in the head.

With targets 1, 2, 3, 4, 5 in batches of 2 and a learning rate of 0 the batch losses are
(1 + 4) / 2 = 2.5, (9 + 16) / 2 = 12.5 and 25. With a learning rate of 0.5 each update sets the weight to
the mean of its batch's targets.
"""

import keras
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

TARGETS = (1.0, 2.0, 3.0, 4.0, 5.0)

one_execution_on_torch = pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="Keras has no steps_per_execution on PyTorch"
)

on_one_backend = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="no backend has a part in it: tried beside TensorFlow"
)


TRACED = {"run_eagerly": False}
"""For `model`: as users run it, where a callback changes what a traced step reads."""


def model(optimizer=None, **compile_arguments):
    """The model, with a learning rate of 0 unless told otherwise.

    It runs eagerly: tracing and compiling its step costs more than the handful of steps of a test.
    """
    weight = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")
    one_weight = keras.Sequential([keras.Input((1,)), weight])
    one_weight.compile(
        optimizer or keras.optimizers.SGD(0.0), **{"loss": "mse", "run_eagerly": True, **compile_arguments}
    )
    return one_weight


def data(targets=TARGETS):
    return np.ones((len(targets), 1), "float32"), np.array(targets, "float32")[:, None]


def fit(one_weight, *callbacks, targets=TARGETS, **arguments):
    arguments = {"batch_size": 2, "shuffle": False, "verbose": 0, **arguments}
    return one_weight.fit(*data(targets), callbacks=list(callbacks), **arguments).history


def curve(directory, run, tag):
    """The curve's points, as a list of (step, value)."""
    return points_of(directory / run).get(tag, [])


def tags(directory, run):
    return set(points_of(directory / run))


def points_of(run):
    """The curves of a run by tag, each a list of (step, value) as TensorBoard reads them."""
    if not run.exists():
        return {}
    events = EventAccumulator(str(run), size_guidance={"scalars": 0}).Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


class Interrupt(keras.callbacks.Callback):
    """Presses Control-C before a batch of an epoch."""

    def __init__(self, epoch, batch):
        super().__init__()
        self.at = epoch, batch

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            raise KeyboardInterrupt


class FiveUpdates(keras.Model):
    """Updates five times for each batch."""

    def train_step(self, *given):
        if keras.backend.backend() == "jax":
            state, data = given
            for _ in range(5):
                logs, state = super().train_step(state, data)
            return logs, state
        for _ in range(5):
            logs = super().train_step(*given)
        return logs


class OwnOptimizers(keras.Model):
    """Never uses the optimizer with which it is compiled, like the GAN of Keras's guides."""

    def train_step(self, *given):
        logs = {"loss": keras.ops.zeros(())}
        return (logs, given[0]) if keras.backend.backend() == "jax" else logs
