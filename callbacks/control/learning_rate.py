"""Learning-rate decay at the position that the optimizer has counted."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..schedules.length import check_length
from .follows import FollowsSchedule
from .optimizers import batches_per_iteration, batches_seen, rate_variable
from .rate_of_fit import RateOfFit


class LearningRateDecay(FollowsSchedule):
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

    label = "learning_rate"

    def __init__(self, schedule: Callable[[int], Any], unit: str = "epoch", verbose: int = 0) -> None:
        super().__init__(schedule, unit, verbose)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        super().on_train_begin(logs)
        if rate_variable(self.model.optimizer) is None:
            raise ValueError(
                "`LearningRateDecay`: the optimizer has a learning-rate schedule, so its rate cannot be set. "
                "Give the optimizer a number, as in Adam(learning_rate=1e-3), or remove this callback."
            )
        self._rate_of_fit = RateOfFit.of(self)
        self._rate_of_fit.is_set_by_a_callback()
        params = self.params or {}
        if params.get("steps"):
            per_update = batches_per_iteration(self.model.optimizer)
            counted = params["steps"] if self.unit == "epoch" else per_update
            made = batches_seen(self.model.optimizer) // counted
            check_length(self.schedule, {**params, "steps": params["steps"] / counted}, made)

    def adjusted(self, value: float) -> float:
        return self._rate_of_fit.reduced(value)

    def apply(self, value: float) -> None:
        if not (math.isfinite(value) and value >= 0):
            raise ValueError("A learning rate must be a finite number, 0 or greater.")
        self.model.optimizer.learning_rate = value

    def changed(self, batch: int, value: float) -> None:
        self._rate_of_fit.changed(batch, value)
