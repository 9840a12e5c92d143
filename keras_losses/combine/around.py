"""Losses around another: one of this library, one of Keras, or a function, all with the contract kept."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_losses.core import Labels, Loss, Predictions, parameter, shapes
from keras_losses.numerics import Tensor

A_LOSS = "a loss: of this library, of Keras, its name there, or a function (y_true, y_pred)"


def any_loss(value: Any) -> Any:
    """Return the loss object or function that `value` names or is."""
    loss = keras.losses.get(value)
    if loss is None:
        raise TypeError("there is no loss")
    return loss


class AroundLoss(Loss):
    """Base of losses around another, with the labels, predictions, weights and masks of the inner one.

    Alone it is the inner loss with this library's contract: a value for each sample, nothing broadcast, and
    no NaN of a sample that does not count.

    Args:
        loss: the inner loss: one of this library or of Keras, its name in Keras, or a function
            `(y_true, y_pred)` that returns a value for each sample. Its reduction is not used.
    """

    loss: Any = parameter(convert=any_loss, domain=A_LOSS)

    @property
    def _inside(self) -> dict[str, Loss]:
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
            # Keras would take the mean over the batch, and no value for each sample would be left.
            y_pred = y_pred.map(lambda x: ops.expand_dims(x, -1))
            y_true = shapes.like_rank(y_true, 2)
        return Labels(y_true, "given", 0, y_true, self._known(y_true, y_pred.values)), y_pred

    def _check_shapes(self, y_true: Tensor, y_pred: Tensor) -> None:
        owner = type(self).__name__
        true = shapes.static_shape(owner, "y_true", y_true)
        pred = shapes.static_shape(owner, "y_pred", y_pred)
        name = getattr(self.loss, "__name__", type(self.loss).__name__).lower()
        of_keras = getattr(self.loss, "__module__", "").startswith("keras.")
        of_ids = any(word in name for word in ("sparse", "generalized", "ctc"))
        if of_keras and not of_ids:
            shapes.same_shape(owner, y_true, y_pred)
        elif not shapes.agree(true[:1], pred[:1]):
            raise ValueError(
                f"`{owner}`: `y_true` and `y_pred` must have one batch axis. Received: y_true of shape "
                f"{true}, y_pred of shape {pred}."
            )

    def _known(self, y_true: Tensor, y_pred: Tensor) -> Tensor | None:
        ignored = getattr(self.loss, "ignore_class", None)
        if ignored is None:
            return None
        known = ops.not_equal(y_true, ignored)
        return ops.squeeze(known, -1) if len(known.shape) == len(y_pred.shape) else known

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        truth, predictions = self.align(y_true, y_pred)
        return self.inner(truth, predictions)

    def check(self, y_true: Any, y_pred: Any, wanted: np.ndarray | None) -> None:
        if isinstance(self.loss, Loss):
            self.loss.check(y_true, y_pred, wanted)

    def inner(self, truth: Any, predictions: Any) -> Tensor:
        if isinstance(self.loss, Loss):
            return self.loss.call(truth, predictions)
        inner = self.loss.call if isinstance(self.loss, keras.losses.Loss) else self.loss
        return inner(truth.values, predictions.values)

    def _predictions(self, y_pred: Any) -> Predictions:
        activation = "sigmoid" if self.is_binary(y_pred) else "softmax"
        return self.predictions(y_pred, getattr(self.loss, "from_logits", False), activation)

    def is_binary(self, y_pred: Tensor) -> bool:
        kinds = (keras.losses.BinaryCrossentropy, keras.losses.BinaryFocalCrossentropy)
        return isinstance(self.loss, kinds) or len(y_pred.shape) == 1 or y_pred.shape[-1] == 1


class Penalty(AroundLoss):
    """Base of penalties on predictions: terms beside a loss, whose labels and predictions they have.

    A subclass states `penalty(truth, predictions)`, a value for each sample, of what the loss has aligned.
    In a `CompositeLoss` a penalty whose weight is the number 0 is not computed.
    """

    def penalty(self, truth: Any, predictions: Any) -> Tensor:
        raise NotImplementedError

    @property
    def pools_batch(self) -> bool:
        return False

    def check(self, y_true: Any, y_pred: Any, wanted: np.ndarray | None) -> None:
        """Nothing: the loss beside it has done so."""

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        return self.penalty(*self.align(y_true, y_pred))
