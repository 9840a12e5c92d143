"""Learning-rate decay that reads from the optimizer how far the training is."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras

from .optimizers import (
    as_number,
    batches_per_iteration,
    batches_seen,
    compiled,
    rate_variable,
)

# Where, in the `params` that all callbacks of one fit share, those stand who want to hear of a new rate
# in the middle of an epoch: whoever reads the rate before each batch may come before us in the list.
LISTENERS = "keras_losses.learning_rate_listeners"


class LearningRateDecay(keras.callbacks.Callback):  # type: ignore[misc]
    """Sets the learning rate from a schedule, and goes on where it stopped when training is resumed.

    The position in the schedule comes from `optimizer.iterations`, which is saved with the model. So a
    second `fit`, or a model that was saved, loaded and fitted again, with `initial_epoch` or without,
    takes up the schedule where it was. The learning rate in use is added to the logs of each epoch, and
    so to the `History`, as `learning_rate`.

    Unlike `keras.callbacks.LearningRateScheduler`, which hands Keras' count of epochs to the function
    and begins again at 0 with every `fit`, it needs no `initial_epoch`, takes Keras' own
    `LearningRateSchedule` objects, and can set the rate before every batch.

    Args:
        schedule: A `keras.optimizers.schedules.LearningRateSchedule`, or a function of the epoch (of the
            step with `unit="step"`), counted from 0 and given as an `int`, that returns the learning
            rate: a finite number, 0 or greater.
        unit: `"epoch"` sets the rate at the beginning of each epoch and leaves it alone until the next.
            The epoch is the number of batches that the optimizer has seen over the number of batches in
            an epoch, to the nearest whole number. Where Keras does not know how many batches there are
            (a generator), the number is counted in the first epoch, and Keras' own epoch is used in it.
            `"step"` sets the rate before every training batch; the step is `optimizer.iterations`, the
            number of updates made. With `steps_per_execution > 1` the rate holds for the whole
            execution. On JAX, setting a rate in the middle of an epoch costs a pass over all of the
            model's variables: a schedule that can be given to the optimizer is faster there.
        verbose: 1 prints the learning rate at the beginning of each epoch, 0 prints nothing.

    Raises:
        TypeError: If `schedule` cannot be called.
        ValueError: If `unit` is neither `"epoch"` nor `"step"`; when training, if the optimizer has a
            schedule of its own, or the schedule returns something other than a finite number >= 0.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile(keras.optimizers.SGD(1.0), loss="mse")
    >>> halve = LearningRateDecay(lambda epoch: 0.5**epoch)
    >>> x, y = np.zeros((4, 1)), np.zeros((4, 1))
    >>> model.fit(x, y, epochs=2, callbacks=[halve], verbose=0).history["learning_rate"]
    [1.0, 0.5]
    >>> model.fit(x, y, epochs=2, callbacks=[halve], verbose=0).history["learning_rate"]
    [0.25, 0.125]
    """

    def __init__(self, schedule: Callable[[int], Any], unit: str = "epoch", verbose: int = 0) -> None:
        super().__init__()
        if not callable(schedule):
            raise TypeError(
                "LearningRateDecay: schedule must be a keras.optimizers.schedules.LearningRateSchedule or "
                f"a function that returns a learning rate. Received: {schedule!r}"
            )
        if unit not in ("epoch", "step"):
            raise ValueError(f"LearningRateDecay: unit must be 'epoch' or 'step'. Received: {unit!r}")
        self.schedule = schedule
        self.unit = unit
        self.verbose = verbose
        self._rate_at = schedule
        self._rate: float | None = None
        self._batches_before_epoch = 0
        self._counted_batches: int | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        optimizer = getattr(self.model, "optimizer", None)
        if optimizer is None:
            raise ValueError("LearningRateDecay: the model has no optimizer; compile it with one.")
        if rate_variable(optimizer) is None:
            raise ValueError(
                "LearningRateDecay: the optimizer has a learning-rate schedule of its own, so its rate "
                "cannot be set. Give the optimizer a number, as in Adam(learning_rate=1e-3), or drop "
                "this callback."
            )
        keras_schedule = isinstance(self.schedule, keras.optimizers.schedules.LearningRateSchedule)
        if self.unit == "step" and keras_schedule:
            rates = compiled(self.schedule)
            self._rate_at = lambda step: rates([step])[0]

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._batches_before_epoch = batches_seen(self.model.optimizer)
        if self.unit == "epoch":
            self._set_rate(self._epochs_seen(epoch))
            self._report()

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self.unit == "epoch":
            return
        optimizer = self.model.optimizer
        if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            # A batch whose gradients overflowed is not counted, and only the device knows.
            batches = batches_seen(optimizer)
        else:
            # Counted here, because reading the counter would wait for the batch before to finish.
            batches = self._batches_before_epoch + batch
        rate = self._set_rate(batches // batches_per_iteration(optimizer))
        for listener in (self.params or {}).get(LISTENERS, ()):
            listener(batch, rate)
        if batch == 0:
            self._report()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if not self.model.stop_training:  # an epoch cut short says nothing about its length
            self._counted_batches = batches_seen(self.model.optimizer) - self._batches_before_epoch or None
        if logs is not None:
            logs["learning_rate"] = self._rate

    def _epochs_seen(self, epoch: int) -> int:
        batches_per_epoch = (self.params or {}).get("steps") or self._counted_batches
        if batches_per_epoch is None:
            return epoch
        # To the nearest: the few batches that mixed precision skips must not hold an epoch back.
        return math.floor(self._batches_before_epoch / batches_per_epoch + 0.5)

    def _set_rate(self, position: int) -> float:
        value = self._rate_at(position)
        try:
            rate = as_number(value)
        except (TypeError, ValueError):
            rate = math.nan
        if not (math.isfinite(rate) and rate >= 0):
            raise ValueError(
                f"LearningRateDecay: the schedule returned {value!r} for {self.unit} {position}. "
                "A learning rate is a finite number, 0 or greater."
            )
        self.model.optimizer.learning_rate = self._rate = rate
        return rate

    def _report(self) -> None:
        if self.verbose:
            print(f"LearningRateDecay: learning rate {self._rate:.6g}")
