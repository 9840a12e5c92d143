"""The position of a model in its training, counted in epochs of `fit` and in batches."""

from __future__ import annotations

import math
import warnings
import weakref
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_losses.training.terms import LossTerms

from .optimizers import batches_seen


class Progress(NamedTuple):
    """How far a model was trained when its optimizer had counted a number of batches."""

    epochs: int = 0
    """Epochs of all fits."""
    batches: int = 0
    """The same as `counted`, plus the batches of epochs in which the optimizer counted none."""
    counted: int = 0
    counted_per_epoch: int = 0
    """Batches that the optimizer counted in the last complete epoch; 0 if unknown."""


class Position:
    """The position of a model in its training, which continues in later fits and after a restart.

    An epoch is one of `fit`, however many updates it has. The optimizer's count of batches, which Keras
    saves, is not enough: a `train_step` may update several times a batch or use other optimizers, and the
    number of batches in an epoch may change. Therefore the progress is kept at the end of each epoch: in
    memory for the next `fit`, in a `LossAwareModel`, with which it is saved, and in the callback's file.

    Args:
        callback: A callback of Keras that is a `Remembers`, whose file is used if it has one.
    """

    def __init__(self, callback: Any) -> None:
        self._callback = callback
        self._saved: keras.Variable | None = None
        self._progress: Progress | None = None
        self._batches_of_epoch = 0
        self._batches_per_execution = 1
        self._follows_counter: bool | None = None

    def attach(self, model: keras.Model) -> None:
        """Keep the progress in a `LossAwareModel`, with which it is saved."""
        if getattr(model, "records_terms", False):
            self._saved = LossTerms.attach(model).memory("progress", np.zeros(len(Progress()), "int32"))

    def begin_fit(self) -> None:
        """Begin a `fit`; other callbacks may still restore the model before its first epoch."""
        self._progress = self._follows_counter = None

    def begin_epoch(self, epoch: int) -> None:
        """Begin an epoch, which has the number `epoch` in `fit`."""
        counted = batches_seen(self._optimizer)
        if self._progress is None:
            self._progress = self._continued(epoch, counted)
        uncounted = counted - self._progress.counted
        self._progress = self._progress._replace(batches=self._progress.batches + uncounted, counted=counted)
        self._batches_of_epoch = 0
        # Read once an epoch: on JAX each access to a callback's model copies the state of the training.
        self._batches_per_execution = int(getattr(self._callback.model, "steps_per_execution", None) or 1)

    def begin_batch(self, batch: int) -> None:
        """Begin a batch, or an execution of several, of the present epoch."""
        self._batches_of_epoch = batch + self._batches_per_execution

    @property
    def epochs(self) -> int:
        """Number of epochs before the present one."""
        assert self._progress is not None  # Keras begins an epoch before it asks for a batch
        return self._progress.epochs

    def batches_before(self, batch: int) -> int:
        """Return the number of batches before a batch of the present epoch."""
        assert self._progress is not None
        before = self._progress.batches
        if batch == 0:
            return before
        if self._follows_counter is None:
            # Decided once in a fit, because reading the counter waits for the batch before. Under mixed
            # precision only the device knows which batches count.
            counted = batches_seen(self._optimizer) - self._progress.counted
            self._follows_counter = self._skips_batches or counted not in (0, batch)
        if self._follows_counter:
            return before + batches_seen(self._optimizer) - self._progress.counted
        return before + batch

    def end_epoch(self) -> bool:
        """Keep the progress; return whether the optimizer has made updates in the epoch."""
        assert self._progress is not None
        before, model = self._progress, self._callback.model
        counted = batches_seen(self._optimizer)
        in_epoch = counted - before.counted
        updated = in_epoch > 0 or self._skips_batches
        per_fit = self._batches_per_epoch or self._batches_of_epoch
        batches = in_epoch if updated else min(self._batches_of_epoch, per_fit)
        # The length of an epoch that was cut short is no estimate for others.
        per_epoch = before.counted_per_epoch if model.stop_training else in_epoch
        self._progress = Progress(before.epochs + 1, before.batches + batches, counted, per_epoch)
        _in_memory[self._training] = self._progress
        if self._saved is not None:
            self._saved.assign(np.array(self._progress, "int32"))
        self._callback.remember(counted, self._progress._asdict())
        return updated

    @property
    def _optimizer(self) -> Any:
        return getattr(self._callback.model, "optimizer", None)

    @property
    def _training(self) -> Any:
        """The object that stands for one training: the optimizer, which is another one after `compile`."""
        optimizer = self._optimizer
        return optimizer if isinstance(optimizer, keras.optimizers.Optimizer) else self._callback.model

    @property
    def _skips_batches(self) -> bool:
        return isinstance(self._optimizer, keras.optimizers.LossScaleOptimizer)

    def _continued(self, epoch: int, counted: int) -> Progress:
        """Return the progress at the beginning of a `fit` whose first epoch has the number `epoch`."""
        kept = self._kept(counted)
        if kept is None:
            return self._assumed(epoch, counted)
        more = self._epochs_in(counted - kept.counted, kept.counted_per_epoch)
        return kept._replace(epochs=kept.epochs + more)

    def _kept(self, counted: int) -> Progress | None:
        """Return the last progress that was kept and is not later than the optimizer's count."""
        found: list[Progress] = []
        if self._saved is not None:
            found.append(Progress(*keras.ops.convert_to_numpy(self._saved).tolist()))
        found.append(_in_memory.get(self._training, Progress()))
        remembered = self._callback.remembered(counted)
        if remembered is not None:
            found.append(Progress(**remembered.state))
        found = [progress for progress in found if progress.epochs and progress.counted <= counted]
        return max(found, key=lambda progress: progress.counted, default=None)

    def _assumed(self, epoch: int, counted: int) -> Progress:
        """Return the progress of a model of which nothing but the optimizer's count is known."""
        if epoch == 0:
            return Progress(self._epochs_in(counted), counted, counted)
        per_epoch = self._batches_per_epoch
        if counted == 0:
            self._warn(
                f"the optimizer has made no update, but the first epoch of `fit` has the number {epoch}. It "
                "is assumed that weights alone were loaded, or that the model was compiled again, and the "
                f"schedule continues at epoch {epoch}. To begin it anew, do not pass `initial_epoch`."
            )
            return Progress(epoch, epoch * (per_epoch or 0), 0)
        if per_epoch and epoch not in (counted // per_epoch, self._epochs_in(counted)):
            self._warn(
                f"the first epoch of `fit` has the number {epoch}, but the optimizer has counted {counted} "
                f"batches, which are not {epoch} epochs of {per_epoch} batches. It is assumed that {epoch} "
                f"epochs were trained, and the schedule continues at epoch {epoch}. To save the number of "
                "epochs, pass `backup_dir` or use a LossAwareModel."
            )
        return Progress(epoch, counted, counted)

    @property
    def _batches_per_epoch(self) -> int | None:
        return (self._callback.params or {}).get("steps")

    def _epochs_in(self, batches: int, per_epoch: int = 0) -> int:
        """Return batches as epochs, to the nearest; mixed precision may have skipped some batches."""
        per_epoch = per_epoch or self._batches_per_epoch or 0
        return math.floor(batches / per_epoch + 0.5) if per_epoch else 0

    def _warn(self, message: str) -> None:
        warnings.warn(f"`{type(self._callback).__name__}`: {message}", stacklevel=5)


_in_memory: weakref.WeakKeyDictionary[Any, Progress] = weakref.WeakKeyDictionary()
"""Progress by optimizer, so that a model that is compiled with a new optimizer begins a new training."""
