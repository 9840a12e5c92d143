"""Learning-rate decay that continues in later fits and after a restart."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

from ..arguments import as_number
from ..schedules.length import check_length
from .follows import FollowsSchedule
from .numbers_of_fit import LEARNING_RATE, NumbersOfFit
from .optimizers import batches_per_iteration, rate_variable, required_optimizer


class LearningRateDecay(FollowsSchedule):
    """Sets the learning rate from a schedule, and continues when training is resumed.

    An epoch of the schedule is an epoch of `fit`, whatever the number of batches or updates in it. A second
    `fit` continues after the epochs of the first, with or without `initial_epoch`. A model that is compiled
    again with a new optimizer begins anew. The logs of each epoch, and so the `History`, have the learning
    rate as `learning_rate`.

    After a restart the number of epochs is known from `backup_dir`, or from a `LossAwareModel`, which saves
    it. Without both it is `initial_epoch`; if that is 0, it is the optimizer's number of batches, which is
    saved with the model, divided by the present number of batches in an epoch. A warning says what is assumed
    if `initial_epoch` does not fit the optimizer's count, for example because weights alone were loaded.

    `keras.callbacks.LearningRateScheduler` begins at epoch 0 with every `fit`. Unlike it, this callback takes
    Keras's `LearningRateSchedule` objects and can set the rate before every batch.

    Args:
        schedule: A `keras.optimizers.schedules.LearningRateSchedule`, or a function of the epoch (of the step
            with `unit="step"`). The function receives an `int`, counted from 0, and returns the learning
            rate: a finite number, 0 or more.
        unit: `"epoch"` sets the rate at the beginning of each epoch. `"step"` sets the rate before every
            training batch; the step is `optimizer.iterations`, the number of updates. In epochs without an
            update of the compiled optimizer, batches are counted instead. With `steps_per_execution > 1` the
            rate holds for the whole execution. On JAX, setting a rate in the middle of an epoch costs a pass
            over all of the model's variables; there, a schedule given to the optimizer is faster.
        verbose: 1 prints the learning rate at the beginning of each epoch, 0 prints nothing.
        backup_dir: Directory in which the number of epochs is kept for other processes: that of
            `BackupAndRestore`, or that of the checkpoints. A `LossAwareModel` does not need it. Place the
            callback before the callbacks that save the model.

    Raises:
        TypeError: If `schedule` cannot be called.
        ValueError: If `unit` is neither `"epoch"` nor `"step"`; when training, if the optimizer has a
            schedule, or if `schedule` returns something other than a finite number, 0 or more.

    Warns:
        UserWarning: If `initial_epoch` and the optimizer's count contradict each other, if the compiled
            optimizer makes no update, so that its rate is not used, or if another callback, such as
            `keras.callbacks.ReduceLROnPlateau`, sets the rate too.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile(keras.optimizers.SGD(1.0), loss="mse")
    >>> halve = LearningRateDecay(lambda epoch: 0.5**epoch)
    >>> x, y = np.zeros((4, 1)), np.zeros((4, 1))
    >>> model.fit(x, y, epochs=2, callbacks=[halve], verbose=0).history["learning_rate"]
    [1.0, 0.5]
    >>> model.fit(x, y, epochs=2, batch_size=1, callbacks=[halve], verbose=0).history["learning_rate"]
    [0.25, 0.125]
    """

    def __init__(
        self,
        schedule: Callable[[int], Any],
        unit: str = "epoch",
        verbose: int = 0,
        backup_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__("learning_rate", schedule, unit, verbose, backup_dir)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        super().on_train_begin(logs)
        if rate_variable(required_optimizer("LearningRateDecay", self.model)) is None:
            raise ValueError(
                "`LearningRateDecay`: the optimizer has a learning-rate schedule, so its rate cannot be set. "
                "Give the optimizer a number, as in Adam(learning_rate=1e-3), or remove this callback."
            )
        self._numbers_of_fit = NumbersOfFit.of(self)
        self._numbers_of_fit.is_set_by_a_callback()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._warn_of_another_rate()
        super().on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._warn_of_another_rate()
        super().on_epoch_end(epoch, logs)

    def begins(self, position: int) -> None:
        params = self.params or {}
        if params.get("steps"):
            per_epoch = (
                1 if self.unit == "epoch" else params["steps"] / batches_per_iteration(self.model.optimizer)
            )
            check_length(self.schedule, {**params, "steps": per_epoch}, position)

    def adjusted(self, value: float) -> float:
        return self._numbers_of_fit.reduced(value)

    def apply(self, value: float) -> None:
        if not (math.isfinite(value) and value >= 0):
            raise ValueError("A learning rate must be a finite number, 0 or more.")
        self.model.optimizer.learning_rate = value
        self._numbers_of_fit.give(value)

    def changed(self, batch: int, value: float) -> None:
        self._numbers_of_fit.changed(batch, LEARNING_RATE, value)

    def made_no_update(self) -> None:
        self._numbers_of_fit.warn_of_an_unused_rate("LearningRateDecay")

    def _warn_of_another_rate(self) -> None:
        rate = as_number(rate_variable(self.model.optimizer))
        if self._numbers_of_fit.was_replaced_by(rate):
            self._numbers_of_fit.warn_of_another_rate(
                "LearningRateDecay",
                rate,
                "The last callback that sets a rate undoes the others. In place of "
                "`keras.callbacks.ReduceLROnPlateau` use `PlateauDecay`, which multiplies the rate of this "
                "callback. In place of `keras.callbacks.LearningRateScheduler` use this callback alone.",
            )
