"""Wrappers that give any loss the contract of this library: a loss of Keras, a function, or one of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_losses.core import Labels, Loss, Predictions, parameter, shapes
from keras_losses.numerics import Tensor

A_LOSS = "a loss of this library or of Keras, the name of a loss of Keras, or a function (y_true, y_pred)"

BINARY_LOSSES = (keras.losses.BinaryCrossentropy, keras.losses.BinaryFocalCrossentropy)

NOT_ELEMENTWISE = ("sparse", "generalized", "ctc")
"""Parts of the names of losses of Keras whose labels have another shape than their predictions."""


def any_loss(value: Any) -> Any:
    """Return the loss object or function that `value` is or names."""
    loss = keras.losses.get(value)
    if loss is None:
        raise TypeError("None is not a loss")
    return loss


def as_loss(loss: Any, dtype: str | None) -> Loss:
    """Return a loss of this library as it is, and any other loss in a wrapper."""
    return loss if isinstance(loss, Loss) else AroundLoss(loss, dtype=dtype)


class AroundLoss(Loss):
    """Base of wrappers, which read labels, predictions, weights and masks as the inner loss does.

    `AroundLoss` itself computes the inner loss under the contract of this library: one value per sample, no
    broadcast, and no NaN from a sample that does not count.

    Args:
        loss: The inner loss: a loss of this library or of Keras, the name of a loss of Keras, or a function
            `(y_true, y_pred)` that returns one value per sample. Its reduction is not used.
    """

    loss: Any = parameter(convert=any_loss, domain=A_LOSS)

    @property
    def _inside(self) -> Mapping[str, Loss]:
        return {"": self.loss} if isinstance(self.loss, Loss) else {}

    @property
    def pools_batch(self) -> bool:
        return isinstance(self.loss, Loss) and self.loss.pools_batch

    def _terms_per_sample(self, y_true: Any, y_pred: Any) -> Tensor | None:
        return self.loss._terms_per_sample(y_true, y_pred) if isinstance(self.loss, Loss) else None

    def align(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        if isinstance(self.loss, Loss):
            return self.loss.align(y_true, y_pred)
        if isinstance(y_pred, Predictions):
            return y_true, y_pred
        y_true = self.convert(y_true)
        self._check_shapes(y_true, ops.convert_to_tensor(y_pred))
        y_pred = self._predictions(y_pred)
        if len(y_pred.values.shape) == 1:
            # Keras averages over the last axis, which here is the batch: no value per sample would be left.
            y_pred = y_pred.map(lambda x: ops.expand_dims(x, -1))
            y_true = shapes.like_rank(y_true, 2)
        return Labels(y_true, "given", 0, y_true, self._known(y_true, y_pred.values)), y_pred

    def _check_shapes(self, y_true: Tensor, y_pred: Tensor) -> None:
        owner = type(self).__name__
        true = shapes.static_shape(owner, "y_true", y_true)
        pred = shapes.static_shape(owner, "y_pred", y_pred)
        name = getattr(self.loss, "__name__", type(self.loss).__name__).lower()
        is_of_keras = getattr(self.loss, "__module__", "").startswith("keras.")
        if is_of_keras and not any(part in name for part in NOT_ELEMENTWISE):
            shapes.same_shape(owner, y_true, y_pred)
        elif not shapes.agree(true[:1], pred[:1]):
            raise ValueError(
                f"`{owner}`: `y_true` and `y_pred` must have as many samples as each other on their first "
                f"axis. Received: y_true of shape {true}, y_pred of shape {pred}."
            )

    def _known(self, y_true: Tensor, y_pred: Tensor) -> Tensor | None:
        """Return which labels are not `ignore_class`; None if the inner loss ignores no class."""
        ignored = getattr(self.loss, "ignore_class", None)
        if ignored is None:
            return None
        known = ops.not_equal(y_true, ignored)
        return ops.squeeze(known, -1) if len(known.shape) == len(y_pred.shape) else known

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        truth, predictions = self.align(y_true, y_pred)
        if isinstance(self.loss, Loss):
            return self.loss.call(truth, predictions)
        function = self.loss.call if isinstance(self.loss, keras.losses.Loss) else self.loss
        return function(truth.values, predictions.values)

    def check(self, y_true: Any, y_pred: Any, wanted: np.ndarray | None) -> None:
        if isinstance(self.loss, Loss):
            self.loss.check(y_true, y_pred, wanted)

    def _predictions(self, y_pred: Any) -> Predictions:
        activation = "sigmoid" if self._is_binary(y_pred) else "softmax"
        return self.predictions(y_pred, getattr(self.loss, "from_logits", False), activation)

    def _is_binary(self, y_pred: Tensor) -> bool:
        """Return whether each prediction is a probability by itself, rather than one of exclusive classes."""
        return isinstance(self.loss, BINARY_LOSSES) or len(y_pred.shape) == 1 or y_pred.shape[-1] == 1
