"""Loss curves in TensorBoard: raw batch values, training and validation on one axis."""

from __future__ import annotations

import contextlib
import os
import time
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from keras_losses.terms import LossTerms

from .learning_rate import LISTENERS
from .optimizers import (
    as_number,
    batch_counter,
    batches_per_iteration,
    batches_seen,
    compiled,
    rate_variable,
    updating,
)
from .writers import EventWriter


class LossCurves(keras.callbacks.Callback):  # type: ignore[misc]
    """Writes the loss of every batch and epoch, and the learning rate, for TensorBoard.

    All curves share one x-axis, the optimizer's iterations (updates made), which is saved with the
    model: a second `fit`, or a model that was loaded and fitted again, continues the curves. There are
    two runs under `log_dir`:

    - `train/`: `batch/loss`, `learning_rate`, `epoch/loss`, `epoch/<metric>`, `parameters/<name>`;
    - `validation/`: `batch/loss`, the validation batches spread evenly over the epoch before them,
      `epoch/loss`, `epoch/<metric>`.

    The terms of a `CompositeLoss` and the model's weight penalties are among the metrics, also on a plain
    model (`<term>`, `<term>_weighted`, `<term>_share`, `regularization`); `parameters/` are the numbers of
    the loss that are learned or that a callback sets, at the end of each epoch. A term that drowns the
    others, and the term and batch in which a NaN began, are warned of.

    Unlike `keras.callbacks.TensorBoard`, whose batch values are running means since the beginning of
    the epoch and whose steps begin again at 0 with every `fit`, `batch/loss` is the batch's own loss.
    It needs no TensorFlow, and on JAX and PyTorch no batch waits for it.

    What a point stands for: each step has one. Where several batches share an iteration
    (`steps_per_execution`, gradient accumulation, a batch that mixed precision skipped, more validation
    batches than training steps), it is their mean, weighted by their sizes. The batch's loss is the
    difference that the batch made to Keras' running sum: in float32 its rounding error grows with the
    place of the batch in its epoch, to about 6e-8 of the loss times the number of batches before it; and
    once a batch's loss is infinite or NaN, the sum and so the batches after it are NaN until the epoch
    ends.

    A directory or disk that cannot be written is warned of once, and training goes on. Place this
    callback before any that calls `model.evaluate`, which resets Keras' running sum. An evaluation
    outside of `fit` is not written.

    Args:
        log_dir: A local directory; made if need be.
        batches: False leaves out `batch/loss`, and writes `learning_rate` once an epoch.
        flush_every: After how many batches to fetch the values from the device and write them, 1 or
            more. They are written at the end of each epoch anyway; when training is interrupted, the
            last `flush_every` batches at most are still to come, and are written when the callback is
            used again or goes away.

    Raises:
        ValueError: If `flush_every` is not a whole number, 1 or greater; when training, if the model
            has no optimizer.

    Example:

    >>> import tempfile
    >>> import keras
    >>> import numpy as np
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", loss="mse")
    >>> x, y = np.ones((8, 1)), np.ones((8, 1))
    >>> curves = LossCurves(tempfile.mkdtemp())  # then: tensorboard --logdir <the directory>
    >>> history = model.fit(x, y, validation_data=(x, y), callbacks=[curves], verbose=0)
    """

    # The hooks at the end of a batch are left alone: on JAX and PyTorch Keras runs them in threads,
    # after later batches have begun, or, when a callback is not safe for that, runs nothing ahead for
    # anybody. The state after a batch is read at the beginning of the next, in order.

    def __init__(self, log_dir: str | os.PathLike[str], batches: bool = True, flush_every: int = 100) -> None:
        super().__init__()
        if not isinstance(flush_every, int) or flush_every < 1:
            raise ValueError(
                f"LossCurves: flush_every must be a whole number, 1 or greater. Received: {flush_every!r}"
            )
        self.log_dir = log_dir
        self.batches = batches
        self.flush_every = flush_every
        self._files = _Files(log_dir)
        self._training = _TrainingCurve(self._files, flush_every)
        self._validation = _ValidationCurve(flush_every)
        self._schedule: _Schedule | None = None
        # Where we are: "idle", "training", "validation", or "trained" (only the epoch's end is to come).
        self._phase = "idle"
        # KeyboardInterrupt skips on_train_end.
        self._finalizer = weakref.finalize(self, _close_quietly, self._training, self._files)

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        if getattr(model, "compiled", False):
            LossTerms.attach(model)

    def set_params(self, params: dict[str, Any]) -> None:
        super().set_params(params)
        self._phase = "idle"  # a new fit or evaluate; the last may have been interrupted

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        optimizer = getattr(self.model, "optimizer", None)
        if optimizer is None:
            raise ValueError("LossCurves: the model has no optimizer; compile it with one.")
        self._training.flush()  # what an interrupted fit has left
        self._training.reset()
        self._files.open("train")  # so that a directory that cannot be written is known at once
        schedule = None if rate_variable(optimizer) is not None else _schedule_of(optimizer)
        if self._schedule is None or self._schedule.schedule is not schedule:
            self._schedule = _Schedule(schedule) if schedule is not None else None
        if self.params is not None:
            self.params.setdefault(LISTENERS, []).append(self._training.rate_changed)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._phase = "training"
        self.model.loss_terms.begin_epoch()
        self._state = _State(self.model)
        self._first_iteration = self._state.iterations()
        self._training.begin_epoch(self._state, self._schedule)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self.batches and self._phase == "training":
            self._training.add(self._state.read(), batch)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self._phase == "training":
            self._end_training()
            self._phase = "validation"
            self._validation.begin()

    def on_test_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self.batches and self._phase == "validation":
            self._validation.add(self._state.read())

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._phase == "validation":
            self._phase = "trained"
            if self.batches:
                self._validation.add(self._state.read())
                first, last = self._first_iteration, self._state.iterations()
                for step, loss in self._validation.points(first, last):
                    self._files.scalar("validation", "batch/loss", loss, step)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._phase == "training":
            self._end_training()
        self._phase = "idle"
        step = self._state.iterations()
        if not self.batches:
            self._files.scalar("train", "learning_rate", self._learning_rate(), step)
        terms: LossTerms = self.model.loss_terms
        terms.end_epoch(epoch, logs or {})
        parameters = terms.parameters()
        for name, value in parameters.items():
            self._files.scalar("train", f"parameters/{name}", value, step)
        for name, value in (logs or {}).items():
            if any(path == name or path.endswith(f"/{name}") for path in parameters):
                continue  # a callback has put it into the logs as well
            with contextlib.suppress(TypeError, ValueError):  # a metric that is no scalar
                number = as_number(value)
                if name.startswith("val_"):
                    self._files.scalar("validation", f"epoch/{name.removeprefix('val_')}", number, step)
                elif name != "learning_rate":  # it has a curve of its own
                    self._files.scalar("train", f"epoch/{name}", number, step)
        self._files.flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._files.close()

    def _end_training(self) -> None:
        if self.batches:
            self._training.add(self._state.read(), None)
            self._training.flush()

    def _learning_rate(self) -> float:
        if self._schedule is not None:
            return self._schedule.before([self._state.batches()])[0]
        return as_number(self.model.optimizer.learning_rate)


@dataclass
class _Reading:
    """Copies of the running state, still on the device."""

    numbers: Any  # sum of the losses times their weights, sum of the weights, learning rate
    batches: Any
    wall_time: float
    batch: int | None = None  # the batch that is about to begin
    learning_rate: float | None = None  # when it was set after the reading

    def fetch(self) -> tuple[float, float, float, int]:
        total, count, rate = keras.ops.convert_to_numpy(self.numbers).tolist()
        rate = rate if self.learning_rate is None else self.learning_rate
        return total, count, rate, int(keras.ops.convert_to_numpy(self.batches))


class _State:
    """Reads the loss's running sum, the learning rate and the counter without waiting for the device."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.per_iteration = batches_per_iteration(model.optimizer)
        trackers = [m for m in model.metrics if m.name == "loss" and isinstance(m, keras.metrics.Mean)]
        # Without one, a mean of nobody's, whose count never grows: then there is no curve of batches.
        tracker = trackers[0] if trackers else keras.metrics.Mean()
        rate = rate_variable(model.optimizer)
        if rate is None:
            rate = tracker.count  # a place-holder, as a schedule has the rate
        self._counter = batch_counter(model.optimizer)
        self._variables = [tracker.total, tracker.count, rate, self._counter]
        self._places = [_place(model, variable) for variable in self._variables]

    def read(self) -> _Reading:
        *numbers, batches = self._values()
        # Copies: TensorFlow and PyTorch update in place, JAX gives the old buffers away.
        return _Reading(keras.ops.stack(numbers), keras.ops.copy(batches), time.time())

    def batches(self) -> int:
        """Of the optimizer so far; for the beginning and the end of an epoch, as it waits."""
        return batches_seen(self.model.optimizer)

    def iterations(self) -> int:
        return self.batches() // self.per_iteration

    def _values(self) -> list[Any]:
        # Within an epoch on JAX the variables are empty, and `Callback.model` would fill every one of
        # them, and the step after empty them, for the sake of four scalars. No public way is cheaper.
        state = getattr(self.model, "_jax_state", None)
        if not state or self.model._jax_state_synced:
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


class _Differences:
    """Turns the running sum into what each batch added to it."""

    def __init__(self) -> None:
        self._total = self._count = 0.0

    def next(self, total: float, count: float) -> tuple[float, float]:
        if count < self._count:  # Keras has reset it
            self._total = self._count = 0.0
        added = total - self._total, count - self._count
        self._total, self._count = total, count
        return added


class _TrainingCurve:
    def __init__(self, files: _Files, flush_every: int) -> None:
        self._files = files
        self._flush_every = flush_every
        self._readings: list[_Reading] = []
        self._schedule: _Schedule | None = None
        self.reset()

    def reset(self) -> None:
        self._differences = _Differences()
        self._total = self._count = 0.0  # of the batches since the last point
        self._learning_rate = float("nan")

    def begin_epoch(self, state: _State, schedule: _Schedule | None) -> None:
        self.flush()  # what an epoch has left whose end an evaluation with this callback has hidden
        self._schedule = schedule
        self._per_iteration = state.per_iteration
        self._step = state.iterations()
        self._differences = _Differences()

    def add(self, reading: _Reading, batch: int | None) -> None:
        if len(self._readings) >= self._flush_every:
            self.flush()
        reading.batch = batch
        self._readings.append(reading)

    def rate_changed(self, batch: int, learning_rate: float) -> None:
        """For one who sets the rate of a batch after we have read it."""
        if self._readings and self._readings[-1].batch == batch:
            self._readings[-1].learning_rate = learning_rate

    def flush(self) -> None:
        readings, self._readings = self._readings, []
        points = [point for reading in readings if (point := self._point(reading)) is not None]
        rates = [point.learning_rate for point in points]
        if self._schedule is not None and points:
            rates = self._schedule.before([point.batches for point in points])
        for point, rate in zip(points, rates, strict=True):
            self._files.scalar("train", "learning_rate", rate, point.step, point.wall_time)
            if point.loss is not None:
                self._files.scalar("train", "batch/loss", point.loss, point.step, point.wall_time)
        self._files.flush()

    def _point(self, reading: _Reading) -> _Point | None:
        """The point that the batches up to the reading complete, if they do."""
        total, count, next_learning_rate, batches = reading.fetch()
        added_total, added_count = self._differences.next(total, count)
        if added_count > 0:
            self._total += added_total
            self._count += added_count
        learning_rate, self._learning_rate = self._learning_rate, next_learning_rate
        step = batches // self._per_iteration
        if step <= self._step:
            return None
        loss = self._total / self._count if self._count > 0 else None
        self._step, self._total, self._count = step, 0.0, 0.0
        return _Point(step, loss, learning_rate, batches, reading.wall_time)


@dataclass
class _Point:
    step: int
    loss: float | None
    learning_rate: float
    batches: int
    wall_time: float


class _ValidationCurve:
    def __init__(self, flush_every: int) -> None:
        self._flush_every = flush_every
        self.begin()

    def begin(self) -> None:
        self._readings: list[_Reading] = []
        self._added: list[tuple[float, float]] = []
        self._differences = _Differences()

    def add(self, reading: _Reading) -> None:
        self._readings.append(reading)
        if len(self._readings) >= self._flush_every:
            self._fetch()

    def points(self, first: int, last: int) -> Iterator[tuple[int, float]]:
        """Step and loss of each, evenly over the steps after `first` to `last`."""
        self._fetch()
        sums: dict[int, tuple[float, float]] = {}
        for index, (total, count) in enumerate(self._added):
            step = first + round((index + 1) * (last - first) / len(self._added))
            before = sums.get(step, (0.0, 0.0))
            sums[step] = before[0] + total, before[1] + count
        for step, (total, count) in sums.items():
            yield step, total / count

    def _fetch(self) -> None:
        readings, self._readings = self._readings, []
        for reading in readings:
            total, count, _, _ = reading.fetch()
            added = self._differences.next(total, count)
            if added[1] > 0:
                self._added.append(added)


class _Schedule:
    """The rates that the optimizer's own schedule, or function, gave to its updates."""

    def __init__(self, schedule: Callable[..., Any]) -> None:
        self.schedule = schedule
        takes_step = isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule)
        self._rates_at = compiled(schedule) if takes_step else lambda steps: [schedule() for _ in steps]

    def before(self, batches: Sequence[int]) -> list[float]:
        """The rates of the updates after which the optimizer had seen so many batches."""
        return [as_number(rate) for rate in self._rates_at([max(count - 1, 0) for count in batches])]


def _schedule_of(optimizer: Any) -> Callable[..., Any]:
    # `learning_rate` is the schedule's value now, computed op by op; the schedule itself is private.
    schedule: Callable[..., Any] = updating(optimizer)._learning_rate
    return schedule


class _Files:
    """One event file for each run, and silence after the first failure."""

    def __init__(self, log_dir: str | os.PathLike[str]) -> None:
        self._log_dir = log_dir
        self._writers: dict[str, EventWriter] = {}
        self._failed = False

    def open(self, run: str) -> None:
        with self._warning_once():
            self._writer(run)

    def scalar(self, run: str, tag: str, value: float, step: int, wall_time: float | None = None) -> None:
        with self._warning_once():
            if not self._failed:
                self._writer(run).scalar(tag, value, step, wall_time)

    def flush(self) -> None:
        with self._warning_once():
            for writer in self._writers.values():
                writer.flush()

    def close(self) -> None:
        with self._warning_once():
            while self._writers:
                self._writers.popitem()[1].close()

    def _writer(self, run: str) -> EventWriter:
        if run not in self._writers:
            self._writers[run] = EventWriter(os.path.join(self._log_dir, run))
        return self._writers[run]

    @contextlib.contextmanager
    def _warning_once(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            for writer in self._writers.values():
                with contextlib.suppress(OSError):  # what is in its buffer cannot be written either
                    writer.close()
            self._writers.clear()
            if not self._failed:
                self._failed = True
                warnings.warn(
                    f"LossCurves: cannot write to {os.fspath(self._log_dir)!r} ({error}). "
                    "Training goes on without its curves.",
                    stacklevel=4,
                )


def _close_quietly(curve: _TrainingCurve, files: _Files) -> None:
    # It may run when Python shuts down, with the backend gone; nobody could act on an error.
    with contextlib.suppress(Exception):
        curve.flush()
    with contextlib.suppress(Exception):
        files.close()
