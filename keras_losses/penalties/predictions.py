"""Penalties on the predictions of a model, beside any loss. Each is a term of its own in the logs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, cast

import numpy as np
from keras import ops

from keras_losses import numerics
from keras_losses.combine.around import A_LOSS, AroundLoss, any_loss
from keras_losses.combine.composite import CompositeLoss
from keras_losses.combine.sum_of_terms import SumOfTerms
from keras_losses.core import Card, Identity, Labels, Loss, Predictions, labels, parameter, shapes
from keras_losses.numerics import Tensor


def _axes(value: Any) -> tuple[int, ...]:
    """Return checked axes."""
    axes = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str | bytes) else (value,)
    if not all(isinstance(axis, int) and not isinstance(axis, bool) for axis in axes):
        raise TypeError("an axis must be a whole number")
    if not axes or 0 in axes or len(set(axes)) < len(axes):
        raise ValueError
    return axes


def _smoothness_axes() -> Any:
    return parameter(
        default=None,
        convert=_axes,
        domain="an axis of the predictions other than 0, the batch, or a sequence of different such axes",
        optional=True,
    )


class RegularizedLoss(SumOfTerms):
    """Any loss plus penalties on the predictions, which keep them small, sparse, less confident or smooth.

        loss = inner - confidence_penalty * H(p) + activity_l1 * sum |f| + activity_l2 * sum f^2
               + smoothness * TV(f)

    H is the entropy of the predicted distribution; if each output is a probability by itself, the mean over
    the outputs. f are the predictions of the model, summed over the last axis.

    TV is the total variation over time or space: for each axis, the absolute differences between neighbouring
    steps, averaged over the outputs. Half of a difference belongs to each of its two steps. The values of a
    sequence thus add up to the sum of |f[t+1] - f[t]|, and a mean divides this sum by the number of steps. A
    difference counts only if both of its steps count: steps that are masked, ignored or of weight 0 do not.

    The terms are the inner loss, `confidence_penalty` (with the value -H), `activity_l1`, `activity_l2` and
    `smoothness`. They have these names in the logs. A penalty of weight 0 is not computed and is logged as 0.

    Label smoothing pulls every sample towards the uniform distribution with the same force; the confidence
    penalty pulls the most confident samples hardest. Keras's `activity_regularizer` works on the output of a
    layer, without sample weights or masks, and is not in the logs. For penalties on weights use `regularize`.

    Args:
        loss: The inner loss: a loss of this library or of Keras, the name of a loss of Keras, or a function
            `(y_true, y_pred)` that returns one value per sample. Its reduction is not used. A sum of losses
            keeps its terms. Penalties then read the labels as its first term does, and the probabilities as
            its first term of probabilities does.
        confidence_penalty: The weight of the entropy, 0 or more; the paper takes 0.1 for images. The inner
            loss must be a loss of probabilities.
        activity_l1: The weight of the sum of the absolute predictions, 0 or more.
        activity_l2: The weight of the sum of the squared predictions, 0 or more.
        smoothness: The weight of the total variation, 0 or more.
        smoothness_axes: The axes of time or space in `y_pred`, one or several. The default is all axes
            between the batch and the outputs. Give 1 for predictions `(batch, time)`, whose last axis is
            time.
        name, reduction, dtype: As in `keras_losses.core.Loss`.

    Shapes: as the inner loss takes them. With `reduction="none"` the result is `(...)`.

    Raises:
        TypeError, ValueError: If a hyper-parameter is out of range, if `loss` is not a loss, if
            `confidence_penalty` is given to a loss without probabilities or `smoothness` to predictions
            without an axis for it, or if the inner loss raises.

    Example:

    >>> import numpy as np
    >>> from keras_losses import RegularizedLoss, SquaredErrorLoss
    >>> loss = RegularizedLoss(SquaredErrorLoss(), activity_l2=0.1)
    >>> round(float(loss(np.array([[1.0]]), np.array([[3.0]]))), 4)  # (1 - 3)^2 + 0.1 * 3^2
    4.9
    >>> smooth = RegularizedLoss(SquaredErrorLoss(), smoothness=0.5)
    >>> steps = np.array([[[1.0], [3.0], [2.0]]])
    >>> float(smooth(steps, steps))  # 0 + 0.5 * (|3 - 1| + |2 - 3|) / 3 steps
    0.5

    References:
        - Pereyra et al. 2017, Regularizing Neural Networks by Penalizing Confident Output Distributions,
          https://arxiv.org/abs/1701.06548
        - Rudin, Osher & Fatemi 1992, Nonlinear total variation based noise removal algorithms,
          https://doi.org/10.1016/0167-2789(92)90242-F
    """

    card = Card(
        family="penalties",
        formula="inner - confidence_penalty * H(p) + activity_l1 * sum |f| + activity_l2 * sum f^2 "
        "+ smoothness * TV(f)",
        paper="Pereyra 2017, 1701.06548",
        labels="those of the inner loss",
        predictions="those of the inner loss",
        use="predictions that are too confident, too large or not smooth",
        avoid="the weights should stay small: use regularize(model, ...)",
        elicits="inner loss",
        elicits_note="pulled by the penalties towards the uniform distribution, zero or the neighbours",
        gradient_bound="the inner loss's, plus that of the penalties",
        identities=(
            Identity(
                {"confidence_penalty": 0.0, "activity_l1": 0.0, "activity_l2": 0.0, "smoothness": 0.0},
                "the inner loss",
            ),
        ),
        cost="that of its penalties; `confidence_penalty` takes the entropy over every class",
    )

    loss: Any = parameter(convert=any_loss, domain=A_LOSS)
    confidence_penalty: float = parameter(default=0.0, within="[0, inf)", live=True)
    activity_l1: float = parameter(default=0.0, within="[0, inf)", live=True)
    activity_l2: float = parameter(default=0.0, within="[0, inf)", live=True)
    smoothness: float = parameter(default=0.0, within="[0, inf)", live=True)
    smoothness_axes: int | Sequence[int] | None = _smoothness_axes()

    def validate(self) -> None:
        inner = list(self.loss.losses.values()) if isinstance(self.loss, SumOfTerms) else [self.loss]
        of_probabilities = [loss for loss in inner if hasattr(loss, "from_logits")]
        if self.confidence_penalty > 0 and not of_probabilities:
            raise ValueError(
                "`RegularizedLoss`: `confidence_penalty` needs an inner loss of probabilities, such as "
                f"CrossentropyLoss. Received: loss={self.loss!r}, "
                f"confidence_penalty={self.confidence_penalty}."
            )
        first, first_of_probabilities = inner[0], next(iter([*of_probabilities, *inner]))
        penalties = [
            ConfidencePenalty(first_of_probabilities, name="confidence_penalty", dtype=self.dtype),
            ActivityPenalty(first, order=1, name="activity_l1", dtype=self.dtype),
            ActivityPenalty(first, order=2, name="activity_l2", dtype=self.dtype),
            SmoothnessPenalty(first, self.smoothness_axes, name="smoothness", dtype=self.dtype),
        ]
        self._sum = CompositeLoss([self.loss, *penalties], dtype=self.dtype)
        # The hyper-parameter that is the weight of a term, by the name of the term.
        self._weighted_by = {
            term: str(loss.name) for term, loss in self._sum.losses.items() if loss in penalties
        }

    @property
    def losses(self) -> Mapping[str, Any]:
        return cast("Mapping[str, Any]", self._sum.losses)

    @property
    def weights(self) -> Mapping[str, float]:
        """The weights of the terms by name, as they are saved."""
        return self._kept_weights()

    def _terms(self) -> Mapping[str, Loss]:
        return self._sum._terms()

    def _term_weights(self) -> Mapping[str, float | Tensor]:
        now = {term: getattr(self, name) for term, name in self._weighted_by.items()}
        return {**self._sum._kept_weights(), **now}

    def _kept_weights(self) -> Mapping[str, float]:
        kept = {term: self._stated(name) for term, name in self._weighted_by.items()}
        return {**self._sum._kept_weights(), **kept}


# The penalties ----------------------------------------------------------------------------------------


class PredictionPenalty(AroundLoss):
    """Base of penalties on predictions. They read labels and predictions as the loss beside them does.

    A subclass defines `penalty(truth, predictions)`, which returns one value per sample from the labels and
    predictions that the loss has aligned.
    """

    _skipped_at_weight_zero: ClassVar[bool] = True

    def penalty(self, truth: Any, predictions: Any) -> Tensor:
        raise NotImplementedError

    @property
    def pools_batch(self) -> bool:
        return False

    def check(self, y_true: Any, y_pred: Any, wanted: np.ndarray | None) -> None:
        """Check nothing, because the loss beside the penalty checks the same values."""

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        return self.penalty(*self.align(y_true, y_pred))


class ConfidencePenalty(PredictionPenalty):
    """-H(p): the negative entropy of exclusive classes, or its mean over separate probabilities."""

    def penalty(self, truth: Any, predictions: Any) -> Tensor:
        if not hasattr(self.loss, "from_logits"):
            raise ValueError(
                "`ConfidencePenalty`: `loss` must be a loss of probabilities, such as CrossentropyLoss. "
                f"Received: loss={self.loss!r}. Leave `confidence_penalty` at 0."
            )
        if isinstance(self.loss, Loss) and isinstance(truth, Labels):
            is_binary, known = truth.encoding == "binary", truth.known
        else:
            is_binary, known = self._is_binary(predictions.values), None
        if is_binary:
            return -labels.mean_of_known(predictions.entropy_of_outputs(), known)
        return -predictions.entropy_of_classes()


class ActivityPenalty(PredictionPenalty):
    """The sum over the outputs of |f| for order 1, and of f^2 for order 2."""

    order: int = parameter(default=2, choices=(1, 2))

    def penalty(self, truth: Any, predictions: Any) -> Tensor:
        outputs = _outputs(predictions)
        activities = numerics.absolute(outputs) if self.order == 1 else ops.square(outputs)
        return ops.sum(activities, axis=-1)


class SmoothnessPenalty(PredictionPenalty):
    """Half of the absolute differences between each step and its neighbours, averaged over the outputs."""

    axes: int | Sequence[int] | None = _smoothness_axes()

    @property
    def pools_batch(self) -> bool:
        """True: the value of a step depends on whether its neighbours count."""
        return True

    def align(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        if isinstance(y_true, Labels):
            return y_true, y_pred
        truth, predictions = super().align(y_true, y_pred)
        # The base puts the weights of the steps into `Labels`.
        return truth if isinstance(truth, Labels) else Labels(truth, "given", 0, truth), predictions

    def penalty(self, truth: Any, predictions: Any) -> Tensor:
        outputs = _outputs(predictions)
        counted = _counted(truth, outputs)
        total = ops.zeros_like(outputs)
        for axis in self._axes_of(outputs):
            before, after = _part(outputs, axis, None, -1), _part(outputs, axis, 1, None)
            both = ops.logical_and(_part(counted, axis, None, -1), _part(counted, axis, 1, None))
            half = 0.5 * ops.where(both, numerics.absolute(after - before), ops.zeros_like(before))
            none = ops.zeros_like(_part(outputs, axis, None, 1))
            total += ops.concatenate([half, none], axis=axis) + ops.concatenate([none, half], axis=axis)
        return numerics.mean(total)

    def _axes_of(self, outputs: Tensor) -> list[int]:
        """Return the axes of aligned predictions, whose classes are on the last axis."""
        rank, shape = len(outputs.shape), tuple(outputs.shape)
        if self.axes is None:
            if rank > 2:
                return list(range(1, rank - 1))
            raise ValueError(
                "`SmoothnessPenalty`: `smoothness` needs predictions with axes of time or space between the "
                f"batch and the outputs. Received: y_pred of shape {shape}. If the last axis is time, pass "
                "smoothness_axes=-1."
            )
        wrong = [axis for axis in self.axes if not -rank < axis < rank]  # type: ignore[union-attr]
        if wrong:
            raise ValueError(
                "`SmoothnessPenalty`: `smoothness_axes` must be axes of the predictions other than the "
                f"batch. Received: smoothness_axes={self.axes}, y_pred of shape {shape}."
            )
        # Losses of this library move the axis of the classes to the end.
        classes = (getattr(self.loss, "axis", -1) if isinstance(self.loss, Loss) else -1) % rank
        order = [*(axis for axis in range(rank) if axis != classes), classes]
        return sorted({order.index(axis % rank) for axis in self.axes})  # type: ignore[union-attr]


def _outputs(predictions: Any) -> Tensor:
    return predictions.values if isinstance(predictions, Predictions) else predictions


def _counted(truth: Labels, outputs: Tensor) -> Tensor:
    """Return which outputs of which steps count, in the shape of the outputs."""
    rank, counted = len(outputs.shape), ops.ones_like(outputs, dtype="bool")
    if truth.weights is not None:
        counted = ops.logical_and(counted, shapes.like_rank(ops.not_equal(truth.weights, 0), rank))
    if truth.known is not None:
        counted = ops.logical_and(counted, shapes.like_rank(truth.known, rank))
    return counted


def _part(x: Tensor, axis: int, start: int | None, stop: int | None) -> Tensor:
    """Return `x[start:stop]` along an axis."""
    return x[(slice(None),) * axis + (slice(start, stop),)]
