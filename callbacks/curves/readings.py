"""What the steps of a training have left behind, read without waiting for the device."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_losses import keras_private
from keras_losses.training.ledger import Ledger
from keras_losses.training.terms import LossTerms

from ..arguments import as_number
from ..control.optimizers import (
    batch_counter,
    batches_per_iteration,
    batches_seen,
    rate_variable,
)
from ..schedules.compiled import compiled


@dataclass
class Reading:
    """Copies of the running state, still on the device."""

    values: Sequence[Any]
    wall_time: float
    batch: int | None
    """The batch that is about to begin, if one is."""
    rate: float | None = None
    """The learning rate, when it was set after the reading."""

    def fetch(self) -> tuple[np.ndarray, int, float]:
        """The row of the last execution, the batches of the optimizer so far, and its rate, if a number."""
        row, batches, *rates = (keras.ops.convert_to_numpy(value) for value in self.values)
        rate = self.rate if self.rate is not None else float(rates[0]) if rates else float("nan")
        return row.astype("float64"), int(batches), rate


class Reader:
    """Reads what the last execution was, the optimizer's counter and its rate."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.per_iteration = batches_per_iteration(model.optimizer)
        terms: LossTerms = model.loss_terms
        rate = rate_variable(model.optimizer)
        self._variables = [terms.sums.last, batch_counter(model.optimizer), *([] if rate is None else [rate])]
        self._places = [_place(model, variable) for variable in self._variables]
        self._copies = _copies(self._variables)

    def read(self, batch: int | None = None) -> Reading:
        return Reading(self._copies(self._values()), time.time(), batch)

    def batches(self) -> int:
        """Of the optimizer so far; for the beginning and the end of an epoch, as it waits."""
        return batches_seen(self.model.optimizer)

    def iterations(self) -> int:
        return self.batches() // self.per_iteration

    def _values(self) -> list[Any]:
        state = keras_private.jax_training_state(self.model)
        if state is None:
            return [variable.value for variable in self._variables]
        return [
            state[group][index] if group in state else variable.value
            for variable, (group, index) in zip(self._variables, self._places, strict=True)
        ]


def _place(model: Any, variable: Any) -> tuple[str, int]:
    """Where JAX's state keeps the variable."""
    groups = {"metrics_variables": model.metrics_variables, "optimizer_variables": model.optimizer.variables}
    for group, variables in groups.items():
        for index, candidate in enumerate(variables):
            if candidate is variable:
                return group, index
    return "nowhere", 0


@dataclass
class Point:
    """What is known of one step of the x-axis."""

    step: int
    sums: np.ndarray | None
    """A vector for `LossTerms.means_of`; None if nothing was recorded."""
    wall_time: float
    batches: int = 0
    rate: float = float("nan")


class TrainingPoints:
    """Makes a point of all the readings that an iteration of the optimizer takes."""

    def __init__(self) -> None:
        self._readings: list[Reading] = []
        self.begin(0, None)

    def begin(self, step: int, left: np.ndarray | None) -> None:
        """Training begins after so many steps, with what an unfinished one has left, if anything."""
        self._step = step
        self._sums = left
        self._rate = float("nan")

    def __len__(self) -> int:
        return len(self._readings)

    def add(self, reading: Reading) -> None:
        self._readings.append(reading)

    def rate_changed(self, batch: int, rate: float) -> None:
        """For one who sets the rate of a batch after we have read it."""
        if self._readings and self._readings[-1].batch == batch:
            self._readings[-1].rate = rate

    def fetch(self, per_iteration: int) -> list[Point]:
        readings, self._readings = self._readings, []
        return [point for reading in readings if (point := self._point(reading, per_iteration)) is not None]

    @property
    def left(self) -> np.ndarray | None:
        """Sums of the batches of an iteration that is still to be finished."""
        return self._sums

    def _point(self, reading: Reading, per_iteration: int) -> Point | None:
        """The point that the batches up to the reading complete, if they do."""
        row, batches, next_rate = reading.fetch()
        if Ledger.has_samples(row):  # else there was no execution before it in the epoch
            self._sums = row if self._sums is None else self._sums + row
        rate, self._rate = self._rate, next_rate
        step = batches // per_iteration
        if step <= self._step:
            return None
        sums, self._sums, self._step = self._sums, None, step
        return Point(step, sums, reading.wall_time, batches, rate)


class ValidationPoints:
    """Spreads the batches of a validation evenly over the steps of the epoch before it."""

    def __init__(self) -> None:
        self._readings: list[Reading] = []
        self._rows: list[np.ndarray] = []

    def add(self, reading: Reading, keep: int) -> None:
        self._readings.append(reading)
        if len(self._readings) >= keep:
            self._fetch()

    def points(self, first: int, last: int) -> Iterator[Point]:
        """After `first` to `last`."""
        self._fetch()
        sums: dict[int, np.ndarray] = {}
        for index, row in enumerate(self._rows):
            step = first + round((index + 1) * (last - first) / len(self._rows))
            sums[step] = row + sums[step] if step in sums else row
        now = time.time()
        for step, row in sums.items():
            yield Point(step, row, now)

    def _fetch(self) -> None:
        readings, self._readings = self._readings, []
        rows = [reading.fetch()[0] for reading in readings]
        self._rows += [row for row in rows if Ledger.has_samples(row)]


class OptimizerSchedule:
    """The rates that the optimizer's own schedule, or function, gave to its updates."""

    def __init__(self, schedule: Callable[..., Any]) -> None:
        self.schedule = schedule
        takes_step = isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule)
        self._rates_at = compiled(schedule) if takes_step else lambda steps: [schedule() for _ in steps]

    def before(self, batches: Sequence[int]) -> list[float]:
        """The rates of the updates after which the optimizer had seen so many batches."""
        return [as_number(rate) for rate in self._rates_at([max(count - 1, 0) for count in batches])]


def _copies(variables: Sequence[Any]) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """What takes the values of these variables as they are now, on the device, without waiting."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # What is read of a variable stays what it is when the variable is set: no copy of ours is needed.
        return lambda values: [tf.convert_to_tensor(variable.value) for variable in variables]
    if keras.backend.backend() == "jax":
        import jax

        # JAX gives the old buffers away. One by one: to get a list into a call takes longer than three calls.
        copied = jax.jit(jax.numpy.copy)
        return lambda values: [copied(value) for value in values]
    return lambda values: [keras.ops.copy(value) for value in values]  # PyTorch sets them in place
