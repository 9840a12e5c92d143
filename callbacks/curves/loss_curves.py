"""Loss curves of raw batch values, with training and validation on one axis."""

from __future__ import annotations

import contextlib
import copy
import os
import warnings
import weakref
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_losses.training.ledger import Ledger
from keras_losses.training.terms import LossTerms

from ..arguments import whole_number
from ..control.numbers_of_fit import NumbersOfFit
from ..control.optimizers import batches_per_iteration, batches_seen, loss_scale, schedule_of
from ..schedules.length import check_length
from ..writers.group import WriterGroup
from ..writers.tensorboard import TensorBoardWriter
from ..writers.writer import Writer
from .axis import Axis, followed, goes_on, seam_of
from .hyperparameters import hyperparameters
from .readings import Reader, ValidationPoints, optimizer_of
from .recording import Recording, numbers_in
from .samples import Examined


class LossCurves(keras.callbacks.Callback):  # type: ignore[misc]
    """Records the loss of every batch and epoch, its terms and the learning rate, for TensorBoard and others.

    All curves share one x-axis: the number of optimizer updates, which is saved with the model. A second
    `fit` continues the curves, and so does a model that was saved and loaded. A training that was restored
    from a backup or a checkpoint repeats steps: their old points are moved to `superseded/`. If the model was
    compiled again or made again, its optimizer begins at 0 updates; then the curves continue after the last
    step, a warning says so, and the point `optimizer_updates` marks the place. There are two runs, `train`
    and `validation`, with these tags:

    - `batch/loss`, `batch/terms/<term>`: the loss and the terms of this batch alone. Validation batches are
      spread evenly over the preceding epoch.
    - `epoch/loss`, `epoch/<metric>`: the values that Keras logs.
    - `epoch/terms/<term>`, `epoch/terms/<term>_weighted`, `epoch/terms/<term>_share`: a term, the part of
      the loss that comes from it, and that part as a share of the loss.
    - `learning_rate`: the rate of every update, schedules included.
    - `parameters/<name>`: the hyper-parameters of the loss that are learned or that a callback sets, at the
      end of each epoch; of every update if a schedule by steps sets them.

    The terms are those of a `CompositeLoss`, and the model's weight penalties as `regularization`. They are
    recorded on any model. A warning names a term that dominates the others, and the term and the batch in
    which a NaN began. In TensorBoard, the tab Custom Scalars shows training and validation on one chart, the
    learning rate under the loss, and the terms together. The tab HParams compares the trainings under one
    directory.

    `keras.callbacks.TensorBoard` writes running means since the beginning of the epoch as batch values, and
    its steps begin at 0 in every `fit`. `LossCurves` needs no TensorFlow. On JAX and PyTorch no batch waits
    for it.

    Each step has one point. Several batches share a step with `steps_per_execution`, gradient accumulation,
    a batch that mixed precision skipped, or more validation batches than training steps. Their point is
    their mean, weighted by their sizes. A model with its own `train_step` has batch curves if the step calls
    `compute_loss`. In an epoch in which the compiled optimizer makes no update, because `train_step` uses
    other optimizers, the steps are batches, and a warning says that its learning rate is not used.

    A writer that fails, for example on a full disk, causes one warning, and training goes on. Place this
    callback before `keras.callbacks.BackupAndRestore`, so that the backup holds the state of an unfinished
    update, and before callbacks that call `model.evaluate`. Evaluations outside of `fit` are not recorded.

    Args:
        log_dir: Local directory for TensorBoard, with a sub-directory for each run. It is created if
            necessary. None writes to `writers` only.
        batches: False leaves out `batch/...`, and writes `learning_rate` once an epoch.
        flush_every: Number of batches between two fetches of the values from the device, 1 or more. The end
            of an epoch fetches them too. After an interruption, at most the last `flush_every` batches are
            missing; they are written when the callback is used again or is deleted.
        writers: Other writers of the same record, such as `CSVWriter`, `MLflowWriter` or `LossReport`.
        examine: `(x, y)`, a few hundred samples that are examined at the end of each epoch: the histogram of
            their losses (`epoch/sample_loss`), the mean loss of each class of integer or one-hot labels
            (`class_loss/<class>`), and the norm of the loss's gradient in each weight
            (`gradient_norm/<path>`). It costs two forward passes and one backward pass an epoch.

    Raises:
        TypeError, ValueError: If `flush_every` is not a whole number, 1 or greater.
        ValueError: If `log_dir` is None and `writers` is empty.

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

    # The state after a batch is read at the beginning of the next batch. On JAX and PyTorch Keras runs the
    # hooks at the end of a batch in threads, after later batches have begun; a callback that is not safe
    # for that would stop the asynchronous dispatch for the whole training.

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
                "`LossCurves`: `writers` must be instances of keras_losses.callbacks.Writer, such as "
                f"CSVWriter('curves.csv'). Received: {wrong[0]!r}"
            )
        if log_dir is None and not writers:
            raise ValueError(
                "`LossCurves`: `log_dir` is None and `writers` is empty. Give `log_dir` for TensorBoard, or "
                "`writers`, or both."
            )
        self.log_dir = log_dir
        self.batches = batches
        tensorboard = [] if log_dir is None else [TensorBoardWriter(log_dir)]
        self._writers = WriterGroup([*tensorboard, *writers])
        self._examined = None if examine is None else Examined(*examine)
        self._axis = Axis()
        self._record = Recording(self._writers, self._axis)
        self._warned_of_updates = False
        # "idle", "training", "validation", or "trained" (between the validation and the end of the epoch).
        self._phase = "idle"
        self._close_when_deleted()

    def __deepcopy__(self, memo: dict[int, Any]) -> LossCurves:
        """Return a callback for another model; tuners and wrappers copy callbacks, also after a fit."""
        copied = type(self).__new__(type(self))
        memo[id(self)] = copied
        for name, value in vars(self).items():
            if name not in _OF_ONE_FIT:
                setattr(copied, name, copy.deepcopy(value, memo))
        copied._model, copied.params, copied._phase = None, None, "idle"
        copied._record = Recording(copied._writers, copied._axis)
        copied._close_when_deleted()
        return copied

    def _close_when_deleted(self) -> None:
        # KeyboardInterrupt skips `on_train_end`.
        self._finalizer = weakref.finalize(self, _close_quietly, self._record, self._writers)

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        if not getattr(model, "compiled", False):
            return
        terms, optimizer = LossTerms.attach(model), optimizer_of(model)
        # The sums of the update that the end of an epoch left unfinished, and behind them the count of
        # batches, by which a resumed training recognises the sums as its own.
        self._left = (
            terms.memory("curves", np.zeros(terms.sums.width + 1, "float32"))
            if optimizer is not None and batches_per_iteration(optimizer) > 1
            else None
        )

    def set_params(self, params: dict[str, Any]) -> None:
        super().set_params(params)
        self._phase = "idle"  # the last `fit` or `evaluate` may have been interrupted

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._record.flush()  # values that an interrupted fit left
        self._begun = False
        self._numbers_of_fit = NumbersOfFit.of(self)
        self._numbers_of_fit.call_on_change(self._record.training.number_changed)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._phase = "training"
        self.model.loss_terms.begin_epoch()
        self._record.flush()  # an evaluation with this callback may have hidden the end of the last epoch
        self._reader = Reader(self.model)
        self._record.follow(self._reader)
        self._reset_terms()
        self._terms_of: dict[str, dict[str, float]] = {}
        self._epoch_began_at = self._reader.batches()
        self._batches_of_epoch = 0
        self._scale = loss_scale(self._reader.optimizer)
        # Not in each batch: on JAX, `self.model` waits for the device.
        self._per_execution = int(self.model.steps_per_execution or 1)
        updates = self._reader.iterations()
        if not self._begun:
            # Other callbacks may restore the model in `on_train_begin`, so the step is read here.
            self._begun = True
            optimizer = self._reader.optimizer
            if optimizer is not None:
                check_length(schedule_of(optimizer), self.params, batches_seen(optimizer))
            self._record.training.begin(updates, self._unfinished())
            self._begin_curves(updates)
        self._first_step = self._axis.step(updates)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self._phase == "training":
            self._batches_of_epoch = batch + self._per_execution
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
            self._reset_terms()

    def on_test_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self.batches and self._phase == "validation":
            self._validation.add(self._reader.read(), self.flush_every)

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._phase == "validation":
            self._phase = "trained"
            self._terms_of["validation"] = self._reader.epoch()
            if self.batches:
                self._validation.add(self._reader.read(), self.flush_every)
                for point in self._validation.points(self._first_step, self._step()):
                    self._record.batch("validation", point)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._phase == "training":
            self._end_training()
        self._phase = "idle"
        step = self._step()
        if self._reader.batches() > self._epoch_began_at:
            self._record.update()
        if not self.batches:
            self._record.rate_of_epoch(self._reader, step)
        self.model.loss_terms.end_epoch(epoch, logs or {})
        self._record.epoch(step, logs or {}, self._terms_of)
        if self._examined is not None:
            self._record.examined(step, *self._examined.of(self.model))
        self._writers.flush()
        followed(self._reader.optimizer, self._reader.iterations())

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._writers.end(numbers_in(logs or {}))
        self._writers.close()

    def _reset_terms(self) -> None:
        """Begin the sums of the terms anew if the model does not: a subclass may override `metrics`."""
        model = self._reader.model
        if not any(metric is model.loss_terms for metric in model.metrics):
            model.loss_terms.reset_state()

    def _step(self) -> int:
        return self._axis.step(self._reader.iterations())

    def _begin_curves(self, updates: int) -> None:
        recorded = self._writers.recorded()
        continues = goes_on(self._reader.optimizer, updates)
        self._axis.begin(seam_of(recorded, updates, continues))
        step = self._axis.step(updates)
        self._writers.begin(step, hyperparameters(self.model, self.params))
        if self._axis.seam == recorded.seam:
            return
        self._record.seam()
        if not continues:
            warnings.warn(
                f"`LossCurves`: the optimizer has made {updates} updates, and the curves reach step "
                f"{recorded.last} already. This is taken for a new training, and its curves continue after "
                f"step {recorded.last}. To compare trainings, give each its own `log_dir`.",
                stacklevel=2,
            )

    def _end_training(self) -> None:
        self._terms_of["train"] = self._reader.epoch()
        self.model.loss_terms.end_training()
        if self.batches:
            self._record.training.add(self._reader.read())
            self._record.flush()
        if self._batches_of_epoch and self._reader.batches() == self._epoch_began_at:
            self._count_batches()
        if self._left is not None:
            left = self._record.training.left
            row = np.zeros(self._left.shape) if left is None else [*left, self._reader.batches() % _COUNTED]
            self._left.assign(np.asarray(row, "float32"))

    def _count_batches(self) -> None:
        """Count batches in place of updates in an epoch without an update."""
        batches = min(self._batches_of_epoch, self.params.get("steps") or self._batches_of_epoch)
        self._record.without_updates(batches, self._reader)
        self._axis.count(batches, self._reader.iterations())
        if not self._warned_of_updates:
            self._warned_of_updates = True
            cause = ""
            advice = "If `train_step` uses other optimizers, set their rates by their own schedules."
            scale = loss_scale(self._reader.optimizer)
            if self._scale is not None and scale is not None and scale < self._scale:
                cause = (
                    ", because mixed precision skipped every batch: with the loss scale, the gradients were "
                    "not finite"
                )
                advice = (
                    f"Each skipped batch halves the scale, which is {scale:g} now. A smaller "
                    "`initial_scale` of keras.optimizers.LossScaleOptimizer skips fewer. If the skipping "
                    "goes on, the loss itself is infinite or NaN."
                )
            warnings.warn(
                f"`LossCurves`: the compiled optimizer made no update in an epoch{cause}. In such epochs the "
                f"curves count batches, and the learning rate that they show is not used. {advice}",
                stacklevel=2,
            )

    def _unfinished(self) -> np.ndarray | None:
        if self._left is None:
            return None
        *row, batches = keras.ops.convert_to_numpy(self._left).astype("float64")
        known = Ledger.has_samples(row) and batches == self._reader.batches() % _COUNTED
        return np.array(row) if known else None


_OF_ONE_FIT = {
    "_finalizer",
    "_left",
    "_model",
    "_numbers_of_fit",
    "_reader",
    "_record",
    "_terms_of",
    "_validation",
    "params",
}
"""Attributes of `LossCurves` that belong to one model or fit, so that copies do not take them over."""

_COUNTED = 2**20
"""Batches are counted modulo this number, because float32 holds such counts exactly."""


def _close_quietly(record: Recording, writers: WriterGroup) -> None:
    # It may run while Python shuts down, without a backend; nobody could act on an error then.
    with contextlib.suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        record.flush()
        writers.close()
