"""Callbacks that set a number from a schedule, at the position of the model in its training."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

import keras

from ..arguments import as_number, choice
from ..schedules.compiled import compiled
from ..state import Remembers
from .optimizers import batches_per_iteration
from .position import Position


class FollowsSchedule(Remembers, keras.callbacks.Callback):  # type: ignore[misc]
    """Base of callbacks that set a number from a schedule, by epochs or by steps.

    A subclass sets the number in `apply`. `label` is its name in the logs.
    """

    def __init__(
        self,
        label: str,
        schedule: Callable[[int], Any],
        unit: str,
        verbose: int,
        backup_dir: str | os.PathLike[str] | None,
    ) -> None:
        super().__init__()
        self._owner = type(self).__name__
        if not callable(schedule):
            raise TypeError(
                f"`{self._owner}`: `schedule` must be a keras.optimizers.schedules.LearningRateSchedule or "
                f"a function that returns a number. Received: schedule={schedule!r}"
            )
        self.label = label
        self.schedule = schedule
        self.unit = choice(self._owner, "unit", unit, ("epoch", "step"))
        self.verbose = verbose
        self.keep_state(backup_dir, label)
        self._value_at = schedule
        self._value: float | None = None
        self._position = Position(self)
        self._began = False

    def apply(self, value: float) -> None:
        """Set the number; raise `ValueError` if it is outside its domain."""
        raise NotImplementedError

    def adjusted(self, value: float) -> float:
        """Return the number to set in place of the schedule's."""
        return value

    def begins(self, position: int) -> None:
        """React to the position at which a `fit` begins, in epochs or steps."""

    def made_no_update(self) -> None:
        """React to an epoch in which the compiled optimizer made no update."""

    def changed(self, batch: int, value: float) -> None:
        """React to the value of a batch in the middle of an epoch."""

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        if getattr(model, "compiled", False):
            self._position.attach(model)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        keras_schedule = isinstance(self.schedule, keras.optimizers.schedules.LearningRateSchedule)
        if self.unit == "step" and keras_schedule:
            values = compiled(self.schedule)
            self._value_at = lambda step: values([step])[0]
        self._position.begin_fit()
        self._began = False

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._position.begin_epoch(epoch)
        position = self._position.epochs if self.unit == "epoch" else self._step(0)
        if not self._began:
            self._began = True
            self.begins(position)
        if self.unit == "epoch":
            self._set(position)
            self._report()

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._position.begin_batch(batch)
        if self.unit == "step":
            self.changed(batch, self._set(self._step(batch)))
            if batch == 0:
                self._report()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if not self._position.end_epoch():
            self.made_no_update()
        if logs is not None:
            logs[self.label] = self._value

    def _step(self, batch: int) -> int:
        """Return the number of updates before a batch of the present epoch."""
        optimizer = getattr(self.model, "optimizer", None)
        return self._position.batches_before(batch) // batches_per_iteration(optimizer)

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
            print(f"{self._owner}: {self.label.replace('_', ' ')} {self._value:.6g}")
