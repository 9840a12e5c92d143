"""Values that the steps of a training leave in variables, read without waiting for the device."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from keras_losses import keras_private
from keras_losses.training.ledger import Ledger
from keras_losses.training.terms import LossTerms

from ..arguments import as_number
from ..control.numbers_of_fit import LEARNING_RATE
from ..control.optimizers import (
    batch_counter,
    batches_per_iteration,
    batches_seen,
    rate_variable,
)
from ..schedules.compiled import compiled
from .axis import Axis


@dataclass
class Reading:
    """Copies of the running sums, the batch counter and the rate, still on the device."""

    names: Sequence[str]
    """The names of the values: `sums`, and with an optimizer `batches` and perhaps `rate`."""
    values: Sequence[Any]
    wall_time: float
    batch: int | None
    """The batch that is about to begin; None at the end of a phase."""
    rate: float | None = None
    """The learning rate, if a callback set it after the reading."""
    parameters: dict[str, float] = field(default_factory=dict)
    """The numbers of the loss that a callback set for the batch, by path."""

    def fetch(self) -> tuple[np.ndarray, int, float]:
        """Return the sums of the last execution, the optimizer's count of batches, and its rate.

        The rate is NaN if a schedule computes it.
        """
        arrays = (keras.ops.convert_to_numpy(value) for value in self.values)
        named = dict(zip(self.names, arrays, strict=True))
        rate = float(named.get("rate", math.nan)) if self.rate is None else self.rate
        return named["sums"].astype("float64"), int(named.get("batches", 0)), rate


class Reader:
    """Reads the sums of the last execution, the optimizer's counter and its rate."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.optimizer = optimizer_of(model)
        self.per_iteration = 1
        terms: LossTerms = model.loss_terms
        variables = {"sums": terms.sums.last}
        if self.optimizer is not None:
            self.per_iteration = batches_per_iteration(self.optimizer)
            variables["batches"] = batch_counter(self.optimizer)
            rate = rate_variable(self.optimizer)
            if rate is not None:
                variables["rate"] = rate
        self._names, self._variables = tuple(variables), tuple(variables.values())
        self._places = [_place(model, variable) for variable in self._variables]
        self._copies = _copies(self._variables)

    def read(self, batch: int | None = None) -> Reading:
        return Reading(self._names, self._copies(self._values()), time.time(), batch)

    def batches(self) -> int:
        """Return the optimizer's count of batches. It waits for the device: use it between epochs only."""
        return 0 if self.optimizer is None else batches_seen(self.optimizer)

    def epoch(self) -> dict[str, float]:
        """Return the means of the terms in the epoch, or in a validation, that ends now.

        The logs may lack the weighted terms and the shares.
        """
        terms: LossTerms = self.model.loss_terms
        (totals,) = _copies([terms.sums.totals])([terms.sums.totals.value])
        row = keras.ops.convert_to_numpy(totals).astype("float64")
        if not Ledger.has_samples(row):
            return {}
        loss, values = terms.means_of(row)
        weighted = dict(zip(terms.names, map(float, terms.sums.means_of(row).weighted), strict=True))
        means: dict[str, float] = {}
        for name, value in values.items():
            part = weighted.get(name, value)  # penalties on weights are no term of a loss
            means |= {name: value, f"{name}_weighted": part, f"{name}_share": part / loss if loss else 0.0}
        return means

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


def optimizer_of(model: Any) -> keras.optimizers.Optimizer | None:
    """Return the compiled optimizer; None if there is no optimizer of Keras, but a custom `train_step`."""
    optimizer = getattr(model, "optimizer", None)
    return optimizer if isinstance(optimizer, keras.optimizers.Optimizer) else None


def _place(model: Any, variable: Any) -> tuple[str, int]:
    """Return the group and the position of the variable in JAX's state."""
    optimizer = optimizer_of(model)
    groups = {
        "metrics_variables": model.metrics_variables,
        "optimizer_variables": [] if optimizer is None else optimizer.variables,
    }
    for group, variables in groups.items():
        for index, candidate in enumerate(variables):
            if candidate is variable:
                return group, index
    return "nowhere", 0


@dataclass
class Point:
    """The values of one step of the x-axis."""

    step: int
    sums: np.ndarray | None
    """A vector for `LossTerms.means_of`; None if nothing was recorded."""
    wall_time: float
    batches: int = 0
    rate: float = math.nan
    parameters: Mapping[str, float] = field(default_factory=dict)
    """The numbers of the loss that a callback set for the update, by path."""


@dataclass
class Executed:
    """What is known of an execution whose update is not complete."""

    sums: np.ndarray
    wall_time: float
    batch: int | None = None
    """The number of batches of the epoch up to its end; None for the last execution of an epoch."""


class TrainingPoints:
    """Merges the readings of each update of the optimizer into one point."""

    def __init__(self) -> None:
        self._readings: list[Reading] = []
        self.begin(0, None)

    def begin(self, updates: int, left: np.ndarray | None) -> None:
        """Begin after `updates` updates, with the sums `left` of an unfinished update."""
        self._updates = updates
        self._executed = [] if left is None else [Executed(left, time.time())]
        self._rate = math.nan
        self._parameters: Mapping[str, float] = {}
        self._of_next: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._readings)

    def add(self, reading: Reading) -> None:
        reading.parameters |= self._of_next
        self._of_next = {}
        self._readings.append(reading)

    def number_changed(self, batch: int, name: str, value: float) -> None:
        """Take over a number that another callback sets for a batch, before the reading or after it."""
        reading = self._readings[-1] if self._readings and self._readings[-1].batch == batch else None
        if name == LEARNING_RATE:
            if reading is not None:
                reading.rate = value  # else the reading will have it
        elif reading is None:
            self._of_next[name] = value
        else:
            reading.parameters[name] = value

    def fetch(self, per_iteration: int, axis: Axis) -> list[Point]:
        """Return the points of the updates that are complete."""
        readings, self._readings = self._readings, []
        points = [self._point(reading, per_iteration, axis) for reading in readings]
        return [point for point in points if point is not None]

    def without_updates(self, batches: int, axis: Axis) -> list[Point]:
        """Return a point for each execution of an epoch of `batches` batches and without an update."""
        executed, self._executed = self._executed, []
        first = axis.step(self._updates)
        return [Point(first + (each.batch or batches), each.sums, each.wall_time) for each in executed]

    @property
    def left(self) -> np.ndarray | None:
        """Sums of the batches of an update that is not complete; None without such batches."""
        return (
            sum((each.sums for each in self._executed[1:]), self._executed[0].sums)
            if self._executed
            else None
        )

    def _point(self, reading: Reading, per_iteration: int, axis: Axis) -> Point | None:
        """Return the point that the batches up to the reading complete; None without an update."""
        row, batches, next_rate = reading.fetch()
        if Ledger.has_samples(row):  # the first reading of an epoch follows no execution
            self._executed.append(Executed(row, reading.wall_time, reading.batch))
        rate, self._rate = self._rate, next_rate
        parameters, self._parameters = self._parameters, reading.parameters
        updates = batches // per_iteration
        if updates <= self._updates:
            return None
        sums, self._executed, self._updates = self.left, [], updates
        return Point(axis.step(updates), sums, reading.wall_time, batches, rate, parameters)


class ValidationPoints:
    """Spreads the batches of a validation evenly over the steps of the preceding epoch."""

    def __init__(self) -> None:
        self._readings: list[Reading] = []
        self._rows: list[np.ndarray] = []

    def add(self, reading: Reading, keep: int) -> None:
        self._readings.append(reading)
        if len(self._readings) >= keep:
            self._fetch()

    def points(self, first: int, last: int) -> Iterator[Point]:
        """Yield the points of the steps after `first`, up to `last`."""
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
    """Computes the rates of updates from the optimizer's schedule or function."""

    def __init__(self, schedule: Callable[..., Any]) -> None:
        self.schedule = schedule
        takes_step = isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule)
        self._rates_at = compiled(schedule) if takes_step else lambda steps: [schedule() for _ in steps]

    def before(self, batches: Sequence[int]) -> list[float]:
        """Return the rates of the updates that ended after these counts of batches."""
        return [as_number(rate) for rate in self._rates_at([max(count - 1, 0) for count in batches])]


def _copies(variables: Sequence[Any]) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """Return a function that copies the values of variables on the device, without waiting."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # A tensor that was read from a variable does not change with the variable, so no copy is needed.
        return lambda values: [tf.convert_to_tensor(variable.value) for variable in variables]
    if keras.backend.backend() == "jax":
        import jax

        # JAX donates the old buffers to the next step. One call with a list takes longer than three calls.
        copied = jax.jit(jax.numpy.copy)
        return lambda values: [copied(value) for value in values]
    return lambda values: [keras.ops.copy(value) for value in values]  # PyTorch changes variables in place
