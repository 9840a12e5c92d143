"""Loss curves that can be trusted: raw batch values, training and validation on one axis, without a gap."""

from __future__ import annotations

import contextlib
import os
import time
import warnings
import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_losses.training.ledger import Ledger
from keras_losses.training.terms import LossTerms

from ..arguments import as_number, whole_number
from ..control.optimizers import batches_per_iteration, batches_seen, rate_source, schedule_of
from ..control.rate_of_fit import RateOfFit
from ..schedules.length import check_length
from ..writers.tensorboard import TensorBoardWriter
from ..writers.writer import Writer
from .hyperparameters import hyperparameters
from .readings import OptimizerSchedule, Point, Reader, TrainingPoints, ValidationPoints
from .samples import Examined


class LossCurves(keras.callbacks.Callback):  # type: ignore[misc]
    """Records the loss of every batch and epoch, its terms and the learning rate, for TensorBoard and others.

    All curves share one x-axis, the optimizer's iterations (updates made), which is saved with the
    model: a second `fit`, or a model that was loaded and fitted again, continues the curves. What was
    written after the step from which a killed training goes on is taken back, so that there is neither a gap
    nor an overlap. There are two runs, `train` and `validation`, with

    - `batch/loss`, `batch/terms/<term>`: the batch's own loss, and the values of its terms. Validation
      batches are spread evenly over the epoch before them;
    - `epoch/loss`, `epoch/<metric>`, and of each term `epoch/terms/<term>`, `epoch/terms/<term>_weighted`
      (what it adds to the loss) and `epoch/terms/<term>_share`;
    - `learning_rate`, of every update, schedules included;
    - `parameters/<name>`, the numbers of the loss that are learned or that a callback sets, at the end of
      each epoch.

    The terms are those of a `CompositeLoss`, and the model's weight penalties as `regularization`, also on a
    plain model. A term that drowns the others, and the term and batch in which a NaN began, are warned of.
    In TensorBoard, the tab Custom Scalars has training and validation on one chart, the learning rate under
    the loss, and the terms together; HPARAMS compares the trainings under one directory.

    Unlike `keras.callbacks.TensorBoard`, whose batch values are running means since the beginning of
    the epoch and whose steps begin again at 0 with every `fit`, `batch/loss` is the batch's own loss.
    It needs no TensorFlow, and on JAX and PyTorch no batch waits for it.

    What a point stands for: each step has one. Where several batches share an iteration
    (`steps_per_execution`, gradient accumulation, a batch that mixed precision skipped, more validation
    batches than training steps), it is their mean, weighted by their sizes. A model with a `train_step` of
    its own has batch curves if that calls `compute_loss`.

    What cannot be written, as to a directory without permission or a full disk, is warned of once, and
    training goes on. Place this callback before `keras.callbacks.BackupAndRestore`, so that what an epoch has
    left is in the backup, and before any that calls `model.evaluate`. An evaluation outside of `fit` is not
    written.

    Args:
        log_dir: A local directory for TensorBoard, with a sub-directory for each run; made if need be. None
            where other writers are enough.
        batches: False leaves out `batch/...`, and writes `learning_rate` once an epoch.
        flush_every: After how many batches to fetch the values from the device and write them, 1 or
            more. They are written at the end of each epoch anyway; when training is interrupted, the
            last `flush_every` batches at most are still to come, and are written when the callback is
            used again or goes away.
        writers: Other readers of the same record, such as `CSVWriter`, `MLflowWriter` or `LossReport`.
        examine: `(x, y)`, a few hundred samples to look at closely at the end of each epoch: the histogram of
            their losses (`epoch/sample_loss`), the mean loss of each class of integer or one-hot labels
            (`class_loss/<class>`), and for each weight the norm of the loss's gradient
            (`gradient_norm/<path>`). It takes two passes forward and one backward an epoch.

    Raises:
        TypeError, ValueError: If `flush_every` is not a whole number, 1 or greater.
        ValueError: If there is nothing to write to; when training, if the model has no optimizer.

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

    def __init__(
        self,
        log_dir: str | os.PathLike[str] | None = None,
        batches: bool = True,
        flush_every: int = 100,
        writers: Sequence[Writer] = (),
        examine: tuple[Any, Any] | None = None,
    ) -> None:
        super().__init__()
        self.flush_every = whole_number("LossCurves", "flush_every", flush_every, "[1, inf)")
        wrong = [writer for writer in writers if not isinstance(writer, Writer)]
        if wrong:
            raise TypeError(
                "LossCurves: `writers` must be instances of keras_losses.callbacks.Writer, such as "
                f"CSVWriter('curves.csv'). Received: {wrong[0]!r}"
            )
        if log_dir is None and not writers:
            raise ValueError(
                "LossCurves: `log_dir` is None and `writers` is empty. Give `log_dir` for TensorBoard, or "
                "`writers`, or both."
            )
        self.log_dir = log_dir
        self.batches = batches
        own = [] if log_dir is None else [TensorBoardWriter(log_dir)]
        self._writers = _Writers([*own, *writers])
        self._examined = None if examine is None else Examined(*examine)
        self._record = _Record(self._writers)
        # Where we are: "idle", "training", "validation", or "trained" (only the epoch's end is to come).
        self._phase = "idle"
        # KeyboardInterrupt skips on_train_end.
        self._finalizer = weakref.finalize(self, _close_quietly, self._record, self._writers)

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        if not getattr(model, "compiled", False):
            return
        terms = LossTerms.attach(model)
        # What an iteration that an epoch has left unfinished has come to; behind it the batches so far, by
        # which a training that goes on knows that it is its own.
        self._left = (
            terms.memory("curves", np.zeros(terms.sums.width + 1, "float32"))
            if model.optimizer is not None and batches_per_iteration(model.optimizer) > 1
            else None
        )

    def set_params(self, params: dict[str, Any]) -> None:
        super().set_params(params)
        self._phase = "idle"  # a new fit or evaluate; the last may have been interrupted

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if getattr(self.model, "optimizer", None) is None:
            raise ValueError("LossCurves: the model has no optimizer; compile it with one.")
        self._record.flush()  # what an interrupted fit has left
        self._begun = False
        self._rate_of_fit = RateOfFit.of(self)
        self._rate_of_fit.call_on_change(self._record.training.rate_changed)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._phase = "training"
        self.model.loss_terms.begin_epoch()
        self._record.flush()  # what an epoch has left whose end an evaluation with this callback has hidden
        self._reader = Reader(self.model)
        self._first_iteration = self._reader.iterations()
        self._record.follow(self._reader)
        if not self._begun:
            # Only now: other callbacks may have restored the model when the training began.
            self._begun = True
            optimizer = self.model.optimizer
            check_length(schedule_of(optimizer), self.params, batches_seen(optimizer))
            self._record.training.begin(self._first_iteration, self._unfinished())
            self._writers.begin(self._first_iteration, hyperparameters(self.model, self.params))

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self.batches and self._phase == "training":
            if len(self._record.training) >= self.flush_every:
                self._record.flush()
                self._writers.flush()
            self._record.training.add(self._reader.read(batch))

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self._phase == "training":
            self._end_training()
            self._phase = "validation"
            self._validation = ValidationPoints()

    def on_test_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self.batches and self._phase == "validation":
            self._validation.add(self._reader.read(), self.flush_every)

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._phase == "validation":
            self._phase = "trained"
            if self.batches:
                self._validation.add(self._reader.read(), self.flush_every)
                for point in self._validation.points(self._first_iteration, self._reader.iterations()):
                    self._record.batch("validation", point)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._phase == "training":
            self._end_training()
        self._phase = "idle"
        step = self._reader.iterations()
        if not self.batches:
            self._record.scalar("train", "learning_rate", self._record.rate(self._reader), step)
        self.model.loss_terms.end_epoch(epoch, logs or {})
        self._record.epoch(step, logs or {})
        if self._examined is not None:
            self._record.examined(step, self._examined.of(self.model))
        self._writers.flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._writers.end(_numbers(logs or {}))
        self._writers.close()

    def _end_training(self) -> None:
        if self.batches:
            self._record.training.add(self._reader.read())
            self._record.flush()
        if self._left is not None:
            left = self._record.training.left
            row = np.zeros(self._left.shape) if left is None else [*left, self._reader.batches() % _COUNTED]
            self._left.assign(np.asarray(row, "float32"))

    def _unfinished(self) -> np.ndarray | None:
        if self._left is None:
            return None
        *row, batches = keras.ops.convert_to_numpy(self._left).astype("float64")
        known = Ledger.has_samples(row) and batches == self._reader.batches() % _COUNTED
        return np.array(row) if known else None


_COUNTED = 2**20
"""Batches are counted to the next multiple of this: a number that float32 has exactly."""


class _Record:
    """What is handed to the writers."""

    def __init__(self, writers: _Writers) -> None:
        self._writers = writers
        self.training = TrainingPoints()
        self._schedule: OptimizerSchedule | None = None

    def follow(self, reader: Reader) -> None:
        """For an epoch: `PlateauDecay` puts another schedule into the optimizer at the end of one."""
        self._terms: LossTerms = reader.model.loss_terms
        self._per_iteration = reader.per_iteration
        schedule = rate_source(reader.model.optimizer)
        if self._schedule is None or self._schedule.schedule is not schedule:
            self._schedule = None if schedule is None else OptimizerSchedule(schedule)

    def flush(self) -> None:
        """Hands over the training batches that were read."""
        if not len(self.training):
            return
        points = self.training.fetch(self._per_iteration)
        rates = [point.rate for point in points]
        if self._schedule is not None and points:
            rates = self._schedule.before([point.batches for point in points])
        for point, rate in zip(points, rates, strict=True):
            self.scalar("train", "learning_rate", rate, point.step, point.wall_time)
            self.batch("train", point)

    def batch(self, run: str, point: Point) -> None:
        if point.sums is None:
            return
        loss, values = self._terms.means_of(point.sums)
        self.scalar(run, "batch/loss", loss, point.step, point.wall_time)
        for name, value in values.items():
            self.scalar(run, f"batch/terms/{name}", value, point.step, point.wall_time)

    def epoch(self, step: int, logs: Mapping[str, Any]) -> None:
        parameters, terms = self._terms.parameters(), self._terms.logged
        for name, value in parameters.items():
            self.scalar("train", f"parameters/{name}", value, step)
        for log, value in _numbers(logs).items():
            run, name = ("validation", log[4:]) if log.startswith("val_") else ("train", log)
            if log == "learning_rate" or any(p == log or p.endswith(f"/{log}") for p in parameters):
                continue  # these have curves of their own; a callback has put them into the logs as well
            self.scalar(run, f"epoch/terms/{name}" if name in terms else f"epoch/{name}", value, step)

    def examined(self, step: int, found: tuple[Mapping[str, np.ndarray], Mapping[str, float]]) -> None:
        now = time.time()
        for tag, values in found[0].items():
            self._writers.histogram("train", tag, values, step, now)
        for tag, value in found[1].items():
            self.scalar("train", tag, value, step, now)

    def scalar(self, run: str, tag: str, value: float, step: int, wall_time: float | None = None) -> None:
        self._writers.scalar(run, tag, value, step, time.time() if wall_time is None else wall_time)

    def rate(self, reader: Reader) -> float:
        """The learning rate of the update before."""
        if self._schedule is not None:
            return self._schedule.before([reader.batches()])[0]
        return as_number(reader.model.optimizer.learning_rate)


class _Writers(Writer):
    """Hands everything to several writers, and drops a writer after its first failure."""

    def __init__(self, writers: Sequence[Writer]) -> None:
        self._writers = list(writers)

    def begin(self, step: int, hyperparameters: Mapping[str, float | str | bool]) -> None:
        for writer in tuple(self._writers):
            with self._guarded(writer):
                writer.begin(step, hyperparameters)

    def scalar(self, run: str, tag: str, value: float, step: int, wall_time: float) -> None:
        for writer in tuple(self._writers):
            with self._guarded(writer):
                writer.scalar(run, tag, value, step, wall_time)

    def histogram(self, run: str, tag: str, values: np.ndarray, step: int, wall_time: float) -> None:
        for writer in tuple(self._writers):
            with self._guarded(writer):
                writer.histogram(run, tag, values, step, wall_time)

    def flush(self) -> None:
        for writer in tuple(self._writers):
            with self._guarded(writer):
                writer.flush()

    def end(self, figures: Mapping[str, float]) -> None:
        for writer in tuple(self._writers):
            with self._guarded(writer):
                writer.end(figures)

    def close(self) -> None:
        for writer in tuple(self._writers):
            with self._guarded(writer):
                writer.close()

    @contextlib.contextmanager
    def _guarded(self, writer: Writer) -> Iterator[None]:
        """Keep a failure of a disk, a network or a library from stopping the training."""
        try:
            yield
        except Exception as error:
            self._writers.remove(writer)
            with contextlib.suppress(Exception):  # what is in its buffer cannot be written either
                writer.close()
            warnings.warn(
                f"LossCurves: {writer!r} failed ({type(error).__name__}: {error}). Training goes on "
                "without it.",
                stacklevel=6,
            )


def _numbers(logs: Mapping[str, Any]) -> dict[str, float]:
    found = {}
    for name, value in logs.items():
        with contextlib.suppress(TypeError, ValueError):  # a metric that is no scalar
            found[name] = as_number(value)
    return found


def _close_quietly(record: _Record, writers: _Writers) -> None:
    # It may run when Python shuts down, with the backend gone; nobody could act on an error.
    with contextlib.suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        record.flush()
        writers.close()
