"""Penalties on what a model predicts, beside any loss, each a term of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from keras import ops

from keras_losses import numerics
from keras_losses.combine.around import A_LOSS, Penalty, any_loss
from keras_losses.combine.composite import CompositeLoss
from keras_losses.core import Card, Identity, Labels, Loss, Predictions, labels, parameter, shapes
from keras_losses.numerics import Tensor


def _axes(value: Any) -> tuple[int, ...]:
    """Return checked axes."""
    axes = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str | bytes) else (value,)
    if not all(isinstance(axis, int) and not isinstance(axis, bool) for axis in axes):
        raise TypeError("it is no whole number")
    if not axes or 0 in axes or len(set(axes)) < len(axes):
        raise ValueError
    return axes


def _smoothness_axes() -> Any:
    return parameter(
        default=None,
        convert=_axes,
        domain="an axis of the predictions other than that of the batch, 0, or a sequence of such axes",
        optional=True,
    )


class RegularizedLoss(CompositeLoss):
    """Any loss plus penalties on the predictions, so that they stay small, sparse, unsure or smooth.

        loss = inner - confidence_penalty * H(p) + activity_l1 * sum |f| + activity_l2 * sum f^2
               + smoothness * TV(f)

    where H is the entropy of the predicted distribution (the mean over the outputs where each has a
    probability of its own), and f are the predictions as the model gives them, summed over the last axis.
    TV is their total variation over time or space: of each axis, the sizes of the differences between
    neighbouring steps, averaged over the outputs; half of a difference is in the value of either of its two
    steps. So a sequence's values add up to its sum of |f[t+1] - f[t]|, and a mean divides that by its steps.
    A difference counts only where both of its steps do: none leads into what is masked, ignored or of
    weight 0.

    It is a `CompositeLoss` of the inner loss and `confidence_penalty` (whose value is -H), `activity_l1`,
    `activity_l2` and `smoothness`, which are also the names of its terms in logs; a penalty of weight 0 is
    not computed, and shown as 0.

    Label smoothing pulls towards uniform with every sample alike; the confidence penalty pulls hardest on
    the surest. Keras's `activity_regularizer` works on a layer's output, batch by batch, and is seen
    nowhere; these penalties are part of the loss, with its weights and masks. `regularize` is for weights.

    Args:
        loss: the inner loss: one of this library or of Keras, its name in Keras, or a function
            `(y_true, y_pred)` that returns a value for each sample. Its reduction is not used. Of a sum of
            losses the terms are kept; labels are then read as its first term reads them, and probabilities
            as its first term of probabilities does.
        confidence_penalty: the weight of the entropy, 0 or more (0.1 in the paper for images); the inner
            loss must be one of probabilities.
        activity_l1: the weight of the sum of the predictions' sizes, 0 or more.
        activity_l2: the weight of the sum of their squares, 0 or more.
        smoothness: the weight of the total variation, 0 or more.
        smoothness_axes: the axes of time or space in `y_pred`, one or several; all between the batch and the
            outputs by default. Give 1 for predictions `(batch, time)`, whose last axis is time.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: as the inner loss has them. With `reduction="none"` the result is `(...)`.

    Raises:
        TypeError, ValueError: for hyper-parameters out of range, an inner loss that is none, a confidence
            penalty on a loss without probabilities, smoothness of predictions without an axis for it, and
            whatever the inner loss raises.

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
        use="overconfident, oversized or jumping predictions",
        avoid="weights are what should stay small: use regularize(model, ...)",
        elicits="inner loss",
        elicits_note="pulled towards uniform, zero or its neighbours by the penalties",
        gradient_bound="the inner loss's, plus that of the penalties",
        identities=(
            Identity(
                {"confidence_penalty": 0.0, "activity_l1": 0.0, "activity_l2": 0.0, "smoothness": 0.0},
                "the inner loss",
            ),
        ),
        cost="that of its penalties; `confidence_penalty` takes the entropy over every class",
    )

    loss: Any = parameter(  # type: ignore[misc]
        convert=any_loss, domain=A_LOSS
    )
    confidence_penalty: float = parameter(default=0.0, within="[0, inf)", live=True)
    activity_l1: float = parameter(default=0.0, within="[0, inf)", live=True)
    activity_l2: float = parameter(default=0.0, within="[0, inf)", live=True)
    smoothness: float = parameter(default=0.0, within="[0, inf)", live=True)
    smoothness_axes: int | Sequence[int] | None = _smoothness_axes()

    losses: Any = None  # made of the arguments
    if TYPE_CHECKING:

        def __init__(
            self,
            loss: Any,
            confidence_penalty: float = 0.0,
            activity_l1: float = 0.0,
            activity_l2: float = 0.0,
            smoothness: float = 0.0,
            smoothness_axes: int | Sequence[int] | None = None,
            *,
            name: str | None = None,
            reduction: str | None = "sum_over_batch_size",
            dtype: Any = None,
        ) -> None: ...

    def validate(self) -> None:
        inner = list(self.loss.losses.values()) if isinstance(self.loss, CompositeLoss) else [self.loss]
        of_probabilities = [loss for loss in inner if hasattr(loss, "from_logits")]
        if self.confidence_penalty > 0 and not of_probabilities:
            raise ValueError(
                "`RegularizedLoss`: `confidence_penalty` needs an inner loss of probabilities, such as "
                f"CrossentropyLoss. Received: loss={self.loss!r}, "
                f"confidence_penalty={self.confidence_penalty}."
            )
        penalties = (
            ConfidencePenalty([*of_probabilities, *inner][0], name="confidence_penalty", dtype=self.dtype),
            ActivityPenalty(inner[0], order=1, name="activity_l1", dtype=self.dtype),
            ActivityPenalty(inner[0], order=2, name="activity_l2", dtype=self.dtype),
            SmoothnessPenalty(inner[0], self.smoothness_axes, name="smoothness", dtype=self.dtype),
        )
        parts = CompositeLoss([self.loss, *penalties], dtype=self.dtype)
        self.losses, self._terms = parts.losses, parts._terms

    @property  # type: ignore[misc]
    def weights(self) -> dict[str, float]:  # type: ignore[override]
        """Those of the terms by name: the hyper-parameters as they are now."""
        inner = self.loss.weights.values() if isinstance(self.loss, CompositeLoss) else [1.0]
        own = (self.confidence_penalty, self.activity_l1, self.activity_l2, self.smoothness)
        return dict(zip(self.losses, [*inner, *own], strict=True))


# The penalties ----------------------------------------------------------------------------------------


class ConfidencePenalty(Penalty):
    """-H(p), the entropy taken off: of exclusive classes, or the mean over outputs of their own."""

    def penalty(self, truth: Any, predictions: Any) -> Tensor:
        if not hasattr(self.loss, "from_logits"):
            raise ValueError(
                "`ConfidencePenalty`: `loss` must be one of probabilities, such as CrossentropyLoss. "
                f"Received: loss={self.loss!r}. Leave `confidence_penalty` at 0."
            )
        ours = isinstance(self.loss, Loss) and isinstance(truth, Labels)
        if truth.encoding == "binary" if ours else self.is_binary(predictions.values):
            known = truth.known if ours else None
            return -labels.mean_of_known(predictions.entropy_of_outputs(), known)
        return -predictions.entropy_of_classes()


class ActivityPenalty(Penalty):
    """sum |f| over the outputs, or with order 2 sum f^2."""

    order: int = parameter(default=2, choices=(1, 2))

    def penalty(self, truth: Any, predictions: Any) -> Tensor:
        outputs = _outputs(predictions)
        sizes = numerics.absolute(outputs) if self.order == 1 else ops.square(outputs)
        return ops.sum(sizes, axis=-1)


class SmoothnessPenalty(Penalty):
    """Half of each step's differences from its neighbours along the axes, averaged over the outputs."""

    axes: int | Sequence[int] | None = _smoothness_axes()

    @property
    def pools_batch(self) -> bool:
        """Steps are samples, and know of their neighbours whether they count."""
        return True

    def align(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        if isinstance(y_true, Labels):
            return y_true, y_pred
        truth, predictions = super().align(y_true, y_pred)
        # Labels of any kind, so that the base has where to put the weights of the steps.
        return truth if isinstance(truth, Labels) else Labels(truth, "given", 0, truth), predictions

    def penalty(self, truth: Any, predictions: Any) -> Tensor:
        outputs = _outputs(predictions)
        counts = _counted(truth, outputs)
        total = ops.zeros_like(outputs)
        for axis in self._axes_of(outputs):
            before, after = _part(outputs, axis, None, -1), _part(outputs, axis, 1, None)
            both = ops.logical_and(_part(counts, axis, None, -1), _part(counts, axis, 1, None))
            half = 0.5 * ops.where(both, numerics.absolute(after - before), ops.zeros_like(before))
            none = ops.zeros_like(_part(outputs, axis, None, 1))
            total += ops.concatenate([half, none], axis=axis) + ops.concatenate([none, half], axis=axis)
        return numerics.mean(total)

    def _axes_of(self, outputs: Tensor) -> list[int]:
        """The axes in the predictions as they are aligned, with the classes at the end."""
        rank, shape = len(outputs.shape), tuple(outputs.shape)
        if self.axes is None:
            if rank > 2:
                return list(range(1, rank - 1))
            raise ValueError(
                "`SmoothnessPenalty`: `smoothness` needs predictions with axes of time or space between the "
                f"batch and the outputs. Received: y_pred of shape {shape}. Where time is the last axis, "
                "pass smoothness_axes=-1."
            )
        wrong = [axis for axis in self.axes if not -rank < axis < rank]  # type: ignore[union-attr]
        if wrong:
            raise ValueError(
                "`SmoothnessPenalty`: `smoothness_axes` must be axes of the predictions other than that of "
                f"the batch. Received: smoothness_axes={self.axes}, y_pred of shape {shape}."
            )
        # The loss has moved the axis of its classes to the end.
        classes = (getattr(self.loss, "axis", -1) if isinstance(self.loss, Loss) else -1) % rank
        order = [*(axis for axis in range(rank) if axis != classes), classes]
        return sorted({order.index(axis % rank) for axis in self.axes})  # type: ignore[union-attr]


def _outputs(predictions: Any) -> Tensor:
    return predictions.values if isinstance(predictions, Predictions) else predictions


def _counted(truth: Labels, outputs: Tensor) -> Tensor:
    """Which outputs of which steps count."""
    rank, counts = len(outputs.shape), ops.ones_like(outputs, dtype="bool")
    if truth.weights is not None:
        counts = ops.logical_and(counts, shapes.like_rank(ops.not_equal(truth.weights, 0), rank))
    if truth.known is not None:
        counts = ops.logical_and(counts, shapes.like_rank(truth.known, rank))
    return counts


def _part(x: Tensor, axis: int, start: int | None, stop: int | None) -> Tensor:
    return x[(slice(None),) * axis + (slice(start, stop),)]
