"""Callbacks that set a number from a schedule, at the position of the optimizer."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras

from ..arguments import as_number, choice
from ..schedules.compiled import compiled
from .optimizers import batches_per_iteration, batches_seen


class FollowsSchedule(keras.callbacks.Callback):  # type: ignore[misc]
    """Base of callbacks that set a number from a schedule, by epochs or by steps.

    The position in the schedule comes from `optimizer.iterations`, which is saved with the model. A subclass
    sets the number in `apply`, and names it in `label` as the logs do.
    """

    label: str

    def __init__(self, schedule: Callable[[int], Any], unit: str, verbose: int) -> None:
        super().__init__()
        self._owner = type(self).__name__
        if not callable(schedule):
            raise TypeError(
                f"`{self._owner}`: `schedule` must be a keras.optimizers.schedules.LearningRateSchedule or "
                f"a function that returns a number. Received: schedule={schedule!r}"
            )
        self.schedule = schedule
        self.unit = choice(self._owner, "unit", unit, ("epoch", "step"))
        self.verbose = verbose
        self._value_at = schedule
        self._value: float | None = None
        self._batches_before_epoch = 0
        self._counted_batches: int | None = None

    def apply(self, value: float) -> None:
        """Set the number; raise `ValueError` for one outside its domain."""
        raise NotImplementedError

    def adjusted(self, value: float) -> float:
        """Return the number to set in place of the schedule's."""
        return value

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if getattr(self.model, "optimizer", None) is None:
            raise ValueError(f"`{self._owner}`: the model has no optimizer. Compile it with one.")
        keras_schedule = isinstance(self.schedule, keras.optimizers.schedules.LearningRateSchedule)
        if self.unit == "step" and keras_schedule:
            values = compiled(self.schedule)
            self._value_at = lambda step: values([step])[0]

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._batches_before_epoch = batches_seen(self.model.optimizer)
        if self.unit == "epoch":
            self._set(self._epochs_seen(epoch))
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
        self.changed(batch, self._set(batches // batches_per_iteration(optimizer)))
        if batch == 0:
            self._report()

    def changed(self, batch: int, value: float) -> None:
        """React to the value of a batch in the middle of an epoch."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if not self.model.stop_training:  # an epoch cut short says nothing about its length
            self._counted_batches = batches_seen(self.model.optimizer) - self._batches_before_epoch or None
        if logs is not None:
            logs[self.label] = self._value

    def _epochs_seen(self, epoch: int) -> int:
        batches_per_epoch = (self.params or {}).get("steps") or self._counted_batches
        if batches_per_epoch is None:
            return epoch
        # To the nearest: the few batches that mixed precision skips must not hold an epoch back.
        return math.floor(self._batches_before_epoch / batches_per_epoch + 0.5)

    def _set(self, position: int) -> float:
        value = self._value_at(position)
        try:
            number = self.adjusted(as_number(value))
        except (TypeError, ValueError):
            number = math.nan
        try:
            self.apply(number)
        except ValueError as error:
            raise ValueError(
                f"`{self._owner}`: the schedule returned {value!r} for {self.unit} {position}. {error}"
            ) from None
        self._value = number
        return number

    def _report(self) -> None:
        if self.verbose:
            print(f"{type(self).__name__}: {self.label.replace('_', ' ')} {self._value:.6g}")
