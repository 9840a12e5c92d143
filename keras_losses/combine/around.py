"""Wrappers that give any loss the contract of this library: a loss of Keras, a function, or one of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_losses import keras_private
from keras_losses.core import Card, Labels, Loss, Predictions, flag, parameter, shapes
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


def name_of(loss: Any) -> str:
    """Return the name of a loss object, or of a function."""
    return str(getattr(loss, "name", None) or getattr(loss, "__name__", None) or type(loss).__name__)


def _static_shape(x: Any) -> tuple[int | None, ...] | None:
    """Return the static shape; None if the number of axes is unknown while a graph is traced."""
    shape = ops.convert_to_tensor(x).shape
    return None if getattr(shape, "rank", 0) is None else tuple(shape)


def _fits(weights: tuple[int | None, ...], labels: tuple[int | None, ...]) -> bool:
    """Return whether weights or a mask have the axes of the labels, as far as both are known."""
    while len(weights) > 1 and weights[-1] == 1:
        weights = weights[:-1]
    return len(weights) <= max(len(labels), 1) and all(
        length in (None, 1) or length == wanted or wanted is None
        for length, wanted in zip(weights[1:], labels[1:], strict=False)
    )


class AroundLoss(Loss):
    """Base of losses around another. They read labels, predictions, weights and masks as the inner loss does.

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

    @property
    def pools_pixels(self) -> bool:
        return isinstance(self.loss, Loss) and self.loss.pools_pixels

    def _terms_per_sample(self, y_true: Any, y_pred: Any) -> Tensor | None:
        return self.loss._terms_per_sample(y_true, y_pred) if isinstance(self.loss, Loss) else None

    def _reduced(self, y_true: Any, y_pred: Any, sample_weight: Any, reduction: str | None) -> Tensor:
        if not isinstance(self.loss, Loss):
            self._check_steps("mask", keras_private.mask_of(y_pred), y_true)
            self._check_steps("sample_weight", sample_weight, y_true)
        return super()._reduced(y_true, y_pred, sample_weight, reduction)

    def _check_steps(self, name: str, x: Any, y_true: Any) -> None:
        """Raise `ValueError` if a mask or weights of the predictions' steps do not fit the labels.

        Samples that do not count are blanked in the labels too. The labels of CTC are shorter sequences.
        """
        if x is None:
            return
        received, labels = _static_shape(x), _static_shape(y_true)
        if received is None or labels is None or _fits(received, labels):
            return
        advice = "Give one weight for each sample."
        if name == "mask":
            advice = (
                "Remove the mask, for example with keras.layers.ZeroPadding1D(0) as the last layer; the loss "
                "then reads the masked steps too."
            )
        raise ValueError(
            f"`{type(self).__name__}`: the loss `{self.name}` has labels of shape {labels}, to which the "
            f"{name} of shape {received} cannot be applied. {advice}"
        )

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

    def mark_invalid(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        return self.loss.mark_invalid(y_true, y_pred) if isinstance(self.loss, Loss) else (y_true, y_pred)

    def check(self, y_true: Any, y_pred: Any, wanted: np.ndarray | None) -> None:
        if isinstance(self.loss, Loss):
            self.loss.check(y_true, y_pred, wanted)

    def _predictions(self, y_pred: Any) -> Predictions:
        activation = "sigmoid" if self._is_binary(y_pred) else "softmax"
        return self.predictions(y_pred, getattr(self.loss, "from_logits", False), activation)

    def _is_binary(self, y_pred: Tensor) -> bool:
        """Return whether each prediction is a probability by itself, rather than one of exclusive classes."""
        return isinstance(self.loss, BINARY_LOSSES) or len(y_pred.shape) == 1 or y_pred.shape[-1] == 1


class KerasLoss(AroundLoss):
    """A loss of Keras or a function as a loss of this library, for sums and products of losses.

        loss = inner

    `FocalLoss() + keras.losses.MeanSquaredError()` needs no wrapper, but Python cannot compute
    `0.5 * keras.losses.MeanSquaredError()`. Write `0.5 * KerasLoss("mean_squared_error")`. The wrapper also
    adds the contract of this library: labels and predictions are not broadcast, a mask and weights of 0 take
    samples out, and half precision is computed in float32.

    Args:
        loss: The inner loss: a loss of Keras, the name of a loss of Keras, a function `(y_true, y_pred)`, or
            a loss of this library. It returns one value per sample. Its reduction is not used.
        allow_scalar: Whether the inner loss may return one number for the whole batch, as `keras.losses.Dice`
            does by default. Every sample then has this number as its value. Sample weights multiply the
            number and do not change it, samples of weight 0 and masked samples reach the inner loss as zeros,
            and on several replicas the loss is the mean of their numbers. One value per sample is better:
            `keras.losses.Dice(axis=(1, 2, 3))` returns one per image.
        name: The name of the inner loss by default.
        reduction, dtype: As in `keras_losses.core.Loss`.

    Shapes: as the inner loss takes them. With `reduction="none"` the result is `(...)`.

    Raises:
        TypeError, ValueError: If `loss` is not a loss, if it returns a scalar without `allow_scalar`, or if
            the inner loss raises.

    Example:

    >>> import numpy as np
    >>> from keras_losses import KerasLoss, SquaredErrorLoss
    >>> loss = SquaredErrorLoss() + 0.5 * KerasLoss("mean_absolute_error")
    >>> float(loss(np.array([[1.0]]), np.array([[3.0]])))  # 2^2 + 0.5 * 2
    5.0

    References:
        - Chollet et al. 2015, Keras, https://keras.io/api/losses/
    """

    card = Card(
        family="composite",
        formula="inner",
        paper="Chollet 2015, keras.io/api/losses",
        labels="those of the inner loss",
        predictions="those of the inner loss",
        use="a loss of Keras or a function in a sum or product of losses",
        avoid="this library has the loss: it is exact at the extremes",
        elicits="inner loss",
        gradient_bound="the inner loss's",
    )

    allow_scalar: bool = flag(default=False)

    def validate(self) -> None:
        if self.name == DEFAULT_NAME:
            self.name = name_of(self.loss)

    @property
    def pools_batch(self) -> bool:
        return super().pools_batch or (self.allow_scalar and not isinstance(self.loss, Loss))

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        truth, predictions = self.align(y_true, y_pred)
        values = ops.convert_to_tensor(super().call(truth, predictions))
        if len(values.shape) > 0:
            return values
        outputs = predictions.values if isinstance(predictions, Predictions) else predictions
        if not self.allow_scalar:
            raise ValueError(self._refusal(len(outputs.shape)))
        return ops.broadcast_to(values, ops.shape(outputs)[:1])

    def _refusal(self, rank: int) -> str:
        """Return what to do with a loss that returns one number for the whole batch."""
        advice = "Take means over all axes but the first"
        if isinstance(self.loss, keras.losses.Loss) and hasattr(self.loss, "axis"):
            advice = f"Pass axis={tuple(range(1, rank))} to keras.losses.{type(self.loss).__name__}"
        return (
            f"`KerasLoss`: the loss `{self.name}` must return one value per sample. Received: one number for "
            f"the whole batch, to which sample weights, masks and replicas cannot be applied. {advice}, or "
            "accept the number with KerasLoss(loss, allow_scalar=True)."
        )


DEFAULT_NAME = "keras_loss"
"""The name that the base gives to a `KerasLoss` without a name."""


def as_loss(loss: Any, dtype: str | None, name: str | None = None) -> Loss:
    """Return a loss of this library as it is, and any other loss in a wrapper."""
    return loss if isinstance(loss, Loss) else KerasLoss(loss, name=name, dtype=dtype)
