"""The base of losses that take several predictions of each sample, such as those for augmented views."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from keras_losses.core import CrossentropyFamily, Labels, Predictions, shapes
from keras_losses.numerics import Tensor


class SeveralPredictions(CrossentropyFamily):
    """Base of the losses that take several predictions of a sample: cross-entropy of the first, plus a term.

    The predictions stand one after another in the last axis. A subclass states `added(parts)`, the value of
    the term for each sample.
    """

    multi_label = False
    axis = -1

    @property
    def count(self) -> int:
        """Number of predictions of each sample."""
        raise NotImplementedError

    def added(self, parts: list[Predictions]) -> Tensor:
        raise NotImplementedError

    def align(self, y_true: Any, y_pred: Any) -> tuple[Labels, Predictions]:
        if isinstance(y_true, Labels):
            return y_true, y_pred
        owner, predictions = type(self).__name__, self._predictions(y_pred, multi_class=True)
        true = shapes.static_shape(owner, "y_true", ops.convert_to_tensor(y_true))
        shape = shapes.static_shape(owner, "y_pred", predictions.values)
        if shape[-1] is None or shape[-1] % self.count or shape[-1] < 2 * self.count:
            raise ValueError(
                f"`{owner}`: `y_pred` must hold {self.count} predictions over 2 or more classes, one after "
                f"another in the last axis. Received: y_true of shape {true}, y_pred of shape {shape}. Join "
                "them with keras.layers.Concatenate()."
            )
        first = predictions.parts(self.count)[0]
        try:
            truth, _ = super().align(y_true, first.values)
        except ValueError as error:
            raise ValueError(f"{error} The y_pred of shape {shape} holds {self.count} predictions.") from None
        return truth, predictions

    def per_sample(self, labels: Labels, predictions: Predictions) -> Tensor:
        parts = predictions.parts(self.count)
        return super().per_sample(labels, parts[0]) + self.added(parts)

    def check(self, y_true: Labels, y_pred: Predictions, wanted: np.ndarray | None) -> None:
        for part in y_pred.parts(self.count):
            super().check(y_true, part, wanted)
