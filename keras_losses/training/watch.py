"""Warnings about terms that are no longer finite, and about a term that dominates the loss."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_losses.combine.names import weighted
from keras_losses.training.first_batch import FirstBatch
from keras_losses.training.ledger import Row

REGULARIZATION = "regularization"
"""The name of a model's weight penalties in the logs."""

DOMINANT = 0.95
"""The share of a term above which the other terms have hardly any effect on training."""


class Watch:
    """Counts the batches of an epoch in which each term was finite, and warns at the end of the epoch.

    Args:
        terms: the number of terms.
        add_variable: adds a variable to the metric that has the watch.
    """

    def __init__(self, terms: int, add_variable: Callable[..., Any]) -> None:
        # The sum over an epoch stays infinite or NaN after the first such batch, so this counts the batches
        # before it.
        self._finite = add_variable((terms + 2,), "zeros", aggregation="mean", name="finite_batches")
        self._warned: set[str] = set()

    def forget_warnings(self) -> None:
        """Allow every warning once more, for new losses."""
        self._warned.clear()

    def begin_epoch(self) -> None:
        """Count from 0."""
        self._finite.assign(ops.zeros(self._finite.shape))

    def add(self, totals: Row) -> None:
        """Count a batch.

        Args:
            totals: the sums of the epoch, the batch included.
        """
        each = ops.concatenate([totals.values, ops.stack([totals.penalties, totals.loss])])
        self._finite.assign_add(ops.cast(ops.isfinite(each), self._finite.dtype))

    def end_epoch(self, epoch: int, logs: Mapping[str, Any], terms: Sequence[str], penalised: bool) -> None:
        """Warn once of each term that is not finite or that dominates.

        Args:
            epoch: the number of the epoch.
            logs: the means of the epoch, with `<term>_weighted`.
            terms: the names of the terms.
            penalised: whether the model has weight penalties.
        """
        rows = [*terms, *([REGULARIZATION] if penalised else [])]
        if all(math.isfinite(float(logs.get(name, 0.0))) for name in (*rows, "loss")):
            self._warn_of_dominant(epoch, logs, rows)
        else:
            self._warn_of_not_finite(epoch, terms)

    def _warn_of_not_finite(self, epoch: int, terms: Sequence[str]) -> None:
        if "loss" in self._warned:
            return
        self._warned.add("loss")
        counts = [float(x) for x in ops.convert_to_numpy(self._finite)]
        batches = dict(zip((*terms, REGULARIZATION, "loss"), counts, strict=True))
        first = min(batches.values())
        broken = [name for name, count in batches.items() if count == first]
        # The sum of finite terms may overflow. Only then the loss itself is named.
        names = [name for name in broken if name != "loss"] or broken
        warnings.warn(
            f"{' and '.join(names)} became infinite or NaN in batch {int(first)} of epoch {epoch} (both "
            "counted from 0).",
            stacklevel=4,
        )

    def _warn_of_dominant(self, epoch: int, logs: Mapping[str, Any], rows: Sequence[str]) -> None:
        sizes = {name: abs(float(logs.get(weighted(name), 0.0))) for name in rows}
        total = sum(sizes.values())
        in_use = [name for name in rows if sizes[name] > 0]  # without terms of weight 0
        for name in in_use:
            if len(in_use) > 1 and sizes[name] > DOMINANT * total and name not in self._warned:
                self._warned.add(name)
                warnings.warn(
                    f"The term {name} was {sizes[name] / total:.1%} of the loss in epoch {epoch} (absolute "
                    "values), so the other terms have hardly any effect. Give it a smaller weight, or the "
                    "others larger ones.",
                    stacklevel=4,
                )


class WatchTerms(keras.callbacks.Callback):  # type: ignore[misc]
    """Warns at the end of an epoch of terms that are no longer finite, or that dominate the loss.

    Args:
        first_batch: The batch whose labels and predictions are checked before the training begins; None to
            check nothing.
    """

    def __init__(self, first_batch: FirstBatch | None = None) -> None:
        super().__init__()
        self._first_batch = first_batch

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        # Keras has built the model now.
        if self._first_batch is not None:
            self._first_batch.check(self.model)

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self.model.loss_terms.begin_epoch()

    def on_test_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        self.model.loss_terms.end_training()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self.model.loss_terms.end_epoch(epoch, logs or {})
