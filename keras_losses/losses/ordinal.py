"""Losses for ordered classes 0 .. K-1, in which a wrong class costs more the farther it is.

The methods `labels(y_pred)` and `probabilities(y_pred)` of each loss read the classes off the outputs of a
model. The last layers for these losses are in `keras_losses/layers/ordinal_heads.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from keras_losses import numerics
from keras_losses.core import Card, ClassificationLoss, Labels, Predictions, flag, parameter, wanted_values
from keras_losses.core.checks import (
    check_distribution,
    check_probabilities,
    nonnegative_numbers,
    weight_vector,
)
from keras_losses.core.labels import class_labels, one_hot
from keras_losses.core.shapes import static_shape
from keras_losses.numerics import Tensor

LINKS = ("logit", "probit", "cloglog")


class OrdinalLoss(ClassificationLoss):
    """Base of the losses for ordered classes 0 .. K-1, whose number is an argument.

    A subclass states `per_sample(labels, predictions)`, the number of its `outputs`, and how classes are read
    off them: `class_probabilities(values)` and, unless the class is the median of these, `ids(values)`.
    Both take predictions with the outputs in the last axis.

    Args:
        num_classes: number of classes K, an integer in [2, inf).
    """

    num_classes: int
    head: ClassVar[str] = "Dense"
    """Last layer that a model needs, as shown in error messages."""

    @property
    def outputs(self) -> int:
        """Number of outputs that the loss takes."""
        return self.num_classes - 1

    def class_probabilities(self, values: Tensor) -> Tensor:
        raise NotImplementedError

    def ids(self, values: Tensor) -> Tensor:
        """Return the median class: the number of k with P(y > k) above 1/2."""
        at_most = numerics.cumsum(self.class_probabilities(values)[..., :-1])
        return ops.sum(ops.cast(at_most < 0.5, "int32"), axis=-1)

    def labels(self, y_pred: Any) -> Any:
        """Return the predicted class ids `(...)`: a tensor for a tensor, otherwise an array."""
        return self._decoded(y_pred, self.ids)

    def probabilities(self, y_pred: Any) -> Any:
        """Return the probability of each class `(..., K)`: a tensor for a tensor, otherwise an array."""
        return self._decoded(
            y_pred, lambda values: ops.moveaxis(self.class_probabilities(values), -1, self.axis)
        )

    def validate(self) -> None:
        if self.class_weight is not None:
            weight_vector(type(self).__name__, "class_weight", self.class_weight, self.num_classes)

    def _encoded(self, y_true: Tensor, outputs: Tensor) -> Labels:
        owner = type(self).__name__
        self._check_outputs(outputs, f"y_true of shape {static_shape(owner, 'y_true', y_true)}, ")
        return class_labels(owner, y_true, outputs, self.ignore_class, self.num_classes)

    def _check_outputs(self, values: Tensor, received: str = "") -> None:
        owner = type(self).__name__
        pred = static_shape(owner, "y_pred", values)
        if len(pred) < 2 or pred[-1] != self.outputs:
            raise ValueError(
                f"`{owner}`: `y_pred` must have {self.outputs} outputs for num_classes={self.num_classes}. "
                f"Received: {received}y_pred of shape {pred}. End the model with {self.head}."
            )

    def _decoded(self, y_pred: Any, function: Callable[[Tensor], Tensor]) -> Any:
        def decoded(values: Tensor) -> Tensor:
            if -len(values.shape) < self.axis < len(values.shape) and len(values.shape) > 1:
                values = ops.moveaxis(values, self.axis, -1)
            self._check_outputs(values)
            return function(values)

        return self._apply_to_predictions(y_pred, decoded)


@dataclass(frozen=True)
class Ranks:
    """Weights of y > k, y = k and y <= k for each k, `(..., K - 1)`; their expectations for soft labels."""

    above: Tensor
    at: Tensor
    up_to: Tensor


def _ranks(truth: Labels, dtype: str) -> Ranks:
    ranks = np.arange(truth.classes - 1)
    if truth.encoding == "sparse":
        ids = ops.expand_dims(truth.values, -1)
        at = ops.convert_to_tensor(ranks, dtype=keras.backend.standardize_dtype(ids.dtype))
        above = numerics.nan_unless_class(ids, truth.classes, ops.cast(ids > at, dtype))
        return Ranks(above, ops.cast(ops.equal(ids, at), dtype), 1.0 - above)
    is_up_to = np.arange(truth.classes)[:, None] <= ranks
    above, up_to = (ops.convert_to_tensor(mask, dtype=dtype) for mask in (~is_up_to, is_up_to))
    return Ranks(
        numerics.matmul(truth.values, above), truth.values[..., :-1], numerics.matmul(truth.values, up_to)
    )


def _importance(value: Any) -> list[float]:
    """Return checked weights of the ranks."""
    return nonnegative_numbers(value)


class CoralLoss(OrdinalLoss):
    """K - 1 questions "is it above k?" with consistent answers, for ordered classes.

        loss = -sum_{k=0..K-2} importance_k ([y > k] log s(z_k) + [y <= k] log(1 - s(z_k)))

    Here s is the sigmoid and z_k is the logit of P(y > k). All ranks share one weight vector and differ only
    in their bias (`CoralDense`), which keeps P(y > k) decreasing in k. `CornLoss` asks each question only
    about the samples that passed the previous one, and needs no shared weights. Cross-entropy ignores the
    order of the classes.

    Args:
        num_classes: number of classes K, an integer in [2, inf).
        importance: None, or a weight for each of the K - 1 ranks, in [0, inf).

    Other arguments: see `keras_losses.core.ClassificationLoss`. A soft label is the expectation over its
    classes.

    `labels(y_pred)` counts the k with P(y > k) > 1/2, as the paper does. `probabilities(y_pred)` are the
    differences of the s(z_k); where ranks cross, they are cut off at 0 and divided by their sum.
    For a metric of classes use `keras.metrics.MeanAbsoluteError()(y, loss.labels(y_pred))`.

    Shapes: `y_pred` `(..., K - 1)`; `y_true` class ids `(...)` or `(..., 1)`, or one-hot or soft labels
    `(..., K)`. With `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for an argument outside its range, shapes that do not match and, in eager mode,
            invalid labels.

    Example:

    >>> import numpy as np
    >>> from keras_losses import CoralLoss
    >>> loss = CoralLoss(num_classes=3)
    >>> round(float(loss(np.array([1]), np.array([[0.0, 0.0]]))), 4)  # -log 1/2 - log 1/2
    1.3863
    >>> loss.labels(np.array([[3.0, -1.0], [4.0, 2.0]]))
    array([1, 2], dtype=int32)

    References:
        - Cao et al. 2019, Rank Consistent Ordinal Regression for Neural Networks,
          https://arxiv.org/abs/1901.07884
    """

    card = Card(
        family="ordinal",
        formula="-sum_k importance_k ([y > k] log s(z_k) + [y <= k] log(1 - s(z_k)))",
        paper="Cao 2019, 1901.07884",
        labels="class ids, one-hot or soft labels of ordered classes",
        predictions="K - 1 logits of P(y > k)",
        use="grades, ratings and ages in bins, with one score that orders them (CoralDense)",
        avoid="classes without an order; problems in which different features matter at different ranks",
        elicits="class probability",
        elicits_note="as the probabilities of y > k",
        gradient_bound="max(importance) per logit",
        cost="a cross-entropy for each threshold",
    )

    num_classes: int = parameter(within="[2, inf)", integer=True)
    importance: Sequence[float] | None = parameter(
        default=None,
        convert=_importance,
        domain="a sequence with a number from 0 up for each of the K - 1 ranks",
        optional=True,
    )
    head: ClassVar[str] = "CoralDense(num_classes) or Dense(num_classes - 1)"

    def validate(self) -> None:
        super().validate()
        if self.importance is not None and len(self.importance) != self.outputs:
            raise ValueError(
                f"`CoralLoss`: `importance` must have a weight for each of the {self.outputs} ranks of "
                f"num_classes={self.num_classes}. Received: importance={self.importance!r}. Pass one weight "
                "for each rank, or None."
            )

    def per_sample(self, labels: Labels, predictions: Predictions) -> Tensor:
        ranks = _ranks(labels, self.compute_dtype)
        yes, no = numerics.binary_crossentropy(predictions.values)
        costs = ranks.above * yes.value + ranks.up_to * no.value
        if self.importance is not None:
            costs = costs * self.convert(self.importance)
        return ops.sum(costs, axis=-1)

    def class_probabilities(self, values: Tensor) -> Tensor:
        above = ops.sigmoid(values)
        ones = ops.ones_like(above[..., :1])
        differences = ops.relu(ops.concatenate([ones, above], -1) - ops.concatenate([above, 0.0 * ones], -1))
        return differences / ops.sum(differences, axis=-1, keepdims=True)

    def ids(self, values: Tensor) -> Tensor:
        return ops.sum(ops.cast(values > 0, "int32"), axis=-1)


class CornLoss(OrdinalLoss):
    """K - 1 questions "is it above k, if it is at least k?", for ordered classes and unshared weights.

        loss = -sum_{k=0..min(y, K-2)} ([y > k] log s(z_k) + [y = k] log(1 - s(z_k)))

    Here s is the sigmoid and z_k is the logit of P(y > k | y >= k). Task k uses only the samples with y >= k.
    The means divide by the sum of the sizes of the tasks, as the paper does: a sample counts as
    min(y + 1, K - 1) losses. The product of the conditional probabilities keeps P(y > k) decreasing in k for
    any logits, so a plain `Dense(num_classes - 1)` is enough, while `CoralLoss` needs shared weights.

    Args:
        num_classes: number of classes K, an integer in [2, inf).

    Other arguments: see `keras_losses.core.ClassificationLoss`. A soft label is the expectation over its
    classes, also of the number of its losses. A sample of weight 0 counts as one loss in the means that do
    not divide by weights, since its label is not used. Each replica divides by its own tasks, as it does with
    `"mean_with_sample_weight"`; `reduction="sum"` does not depend on the number of replicas.

    `labels(y_pred)` counts the k with P(y > k) > 1/2. `probabilities(y_pred)` are products of the conditional
    probabilities. For a metric of classes use `keras.metrics.MeanAbsoluteError()(y, loss.labels(y_pred))`.

    Shapes: `y_pred` `(..., K - 1)`; `y_true` class ids `(...)` or `(..., 1)`, or one-hot or soft labels
    `(..., K)`. With `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for an argument outside its range, shapes that do not match and, in eager mode,
            invalid labels.

    Example:

    >>> import numpy as np
    >>> from keras_losses import CornLoss
    >>> loss = CornLoss(num_classes=3)
    >>> round(float(loss(np.array([0, 1]), np.zeros((2, 2)))), 4)  # (1 + 2) log 2 over 1 + 2 tasks
    0.6931
    >>> loss.probabilities(np.zeros((1, 2)))
    array([[0.5 , 0.25, 0.25]], dtype=float32)

    References:
        - Shi et al. 2021, Deep Neural Networks for Rank-Consistent Ordinal Regression Based On Conditional
          Probabilities, https://arxiv.org/abs/2111.08851
    """

    card = Card(
        family="ordinal",
        formula="-sum_{k <= y} ([y > k] log s(z_k) + [y = k] log(1 - s(z_k)))",
        paper="Shi 2021, 2111.08851",
        labels="class ids, one-hot or soft labels of ordered classes",
        predictions="K - 1 logits of P(y > k | y >= k)",
        use="ordered classes with separate weights for each rank: a plain Dense(num_classes - 1)",
        avoid="few samples in the upper classes, since the last tasks see no others",
        elicits="class probability",
        elicits_note="as the conditional probabilities of y > k",
        gradient_bound="1 per logit",
        cost="a cross-entropy for each threshold",
    )

    num_classes: int = parameter(within="[2, inf)", integer=True)
    head: ClassVar[str] = "Dense(num_classes - 1)"

    def per_sample(self, labels: Labels, predictions: Predictions) -> Tensor:
        ranks = _ranks(labels, self.compute_dtype)
        yes, no = numerics.binary_crossentropy(predictions.values)
        return ops.sum(ranks.above * yes.value + ranks.at * no.value, axis=-1)

    def _terms_per_sample(self, y_true: Labels, y_pred: Predictions) -> Tensor:
        ranks = _ranks(y_true, self.compute_dtype)
        return ops.sum(ranks.above + ranks.at, axis=-1)

    def class_probabilities(self, values: Tensor) -> Tensor:
        # P(y = k) is P(y > 0) P(y > 1 | y >= 1) ... P(y <= k | y >= k), without the last factor for the last
        # class.
        log_above = numerics.cumsum(ops.log_sigmoid(values))
        zero = ops.zeros_like(log_above[..., :1])
        log_stop = ops.concatenate([ops.log_sigmoid(-values), zero], -1)
        return ops.exp(ops.concatenate([zero, log_above], -1) + log_stop)

    def ids(self, values: Tensor) -> Tensor:
        log_above = numerics.cumsum(ops.log_sigmoid(values))
        return ops.sum(ops.cast(log_above > math.log(0.5), "int32"), axis=-1)


class CumulativeLinkLoss(OrdinalLoss):
    """The likelihood of ordered classes as intervals of one score, with cut points that are learned.

        loss = -log(F(c_y - f) - F(c_{y-1} - f)),   c_{-1} = -inf, c_{K-1} = inf

    Here f is the score and c_0 < ... < c_{K-2} are the cut points. F is the logistic distribution ("logit":
    proportional odds), the normal one ("probit": ordered probit) or 1 - exp(-e^x) ("cloglog": proportional
    hazards). The loss is a likelihood, so the model estimates the class probabilities themselves, from one
    number per sample and K - 1 for all samples. `CoralLoss` fits the same curves, but each cut point by
    itself. The difference is computed from the distance between the cut points and never from two numbers
    near 1.

    Args:
        num_classes: number of classes K, an integer in [2, inf).
        link: `"logit"`, `"probit"` or `"cloglog"`; the same as in the `CumulativeLink` layer.

    Other arguments: see `keras_losses.core.ClassificationLoss`. A soft label is the expectation over its
    classes.

    `labels(y_pred)` counts the cut points with P(y > k) > 1/2, which is the median class.
    `probabilities(y_pred)` are those of the formula.
    For a metric of classes use `keras.metrics.MeanAbsoluteError()(y, loss.labels(y_pred))`.

    Shapes: `y_pred` `(..., K)`, the score and then the K - 1 cut points, as `CumulativeLink` returns them;
    `y_true` class ids `(...)` or `(..., 1)`, or one-hot or soft labels `(..., K)`. With `reduction="none"`
    the result is `(...)`.

    Raises:
        ValueError: for an argument outside its range, shapes that do not match and, in eager mode,
            invalid labels and cut points that do not increase.

    Example:

    >>> import numpy as np
    >>> from keras_losses import CumulativeLinkLoss
    >>> loss = CumulativeLinkLoss(num_classes=3)
    >>> y_pred = np.array([[0.5, -0.5, 1.5]])  # the score, and the two cut points
    >>> round(float(loss(np.array([1]), y_pred)), 4)  # -log(s(1.5 - 0.5) - s(-0.5 - 0.5))
    0.7719
    >>> loss.labels(y_pred)
    array([1], dtype=int32)

    References:
        - McCullagh 1980, Regression Models for Ordinal Data, https://doi.org/10.1111/j.2517-6161.1980.tb01109.x
    """

    card = Card(
        family="ordinal",
        formula="-log(F(c_y - f) - F(c_{y-1} - f))",
        paper="McCullagh 1980",
        labels="class ids, one-hot or soft labels of ordered classes",
        predictions="a score and K - 1 increasing cut points",
        use="ordered classes that are intervals of one quantity; probabilities that must be calibrated",
        avoid="middle classes that do not lie between the outer ones in any one direction",
        elicits="class probability",
        gradient_bound="1 in the score for logit; |c - f| for probit; e^(c - f) for cloglog",
        conditioning="the error of score and cut point counts |c - f| times, for probit (c - f)^2 times",
        cost="the logarithm of a difference of distribution functions, with all its digits",
    )

    num_classes: int = parameter(within="[2, inf)", integer=True)
    link: str = parameter(default="logit", choices=LINKS)
    head: ClassVar[str] = "CumulativeLink(num_classes)"

    @property
    def outputs(self) -> int:
        return self.num_classes

    def per_sample(self, labels: Labels, predictions: Predictions) -> Tensor:
        if labels.encoding == "dense":
            # The probability of a class with label 0 may be 0, and 0 * inf would be NaN.
            absent = labels.values <= 0
            return ops.sum(labels.values * self._nll_of_classes(predictions.values, absent), axis=-1)
        score, *bounds = self._bounds(predictions.values)
        upper, lower, gap = (numerics.take_class_masked(labels.values, x) for x in bounds)
        return self._nll(labels.values, upper - score, lower - score, gap)

    def class_probabilities(self, values: Tensor) -> Tensor:
        return ops.exp(-self._nll_of_classes(values))

    def check(self, y_true: Labels, y_pred: Predictions, wanted: np.ndarray | None) -> None:
        super().check(y_true, y_pred, wanted)
        cuts = wanted_values(y_pred.values, wanted)[..., 1:]
        wrong = cuts[..., 1:] <= cuts[..., :-1]
        if wrong.any():
            raise ValueError(
                "`CumulativeLinkLoss`: the cut points in `y_pred`, all outputs but the first, must "
                f"increase. Received: {cuts[..., 1:][wrong][0]:g} after {cuts[..., :-1][wrong][0]:g}. End "
                "the model with CumulativeLink(num_classes), which keeps them apart."
            )

    def _bounds(self, values: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the score and, for each class, the cut point above it, the one below it, and their distance.

        The first class has no cut point below and the last none above; an unused number stands there.
        """
        cuts = values[..., 1:]
        # Compiled functions do not check that cut points increase; a tiny gap keeps the loss finite there.
        gap = numerics.maximum(cuts[..., 1:] - cuts[..., :-1], 1e-37)
        one = ops.ones_like(cuts[..., :1])
        return (
            values[..., 0],
            ops.concatenate([cuts, cuts[..., -1:]], -1),
            ops.concatenate([cuts[..., :1], cuts], -1),
            ops.concatenate([one, gap, one], -1),
        )

    def _nll_of_classes(self, values: Tensor, absent: Tensor | None = None) -> Tensor:
        """Return -log P of each class, `(..., K)`, with an unused number for `absent` classes."""
        score, upper, lower, gap = self._bounds(values)
        score = ops.expand_dims(score, -1)
        if absent is not None:
            upper, lower = (ops.where(absent, score + end, x) for x, end in ((upper, 0.5), (lower, -0.5)))
            gap = ops.where(absent, ops.ones_like(gap), gap)
        ids = ops.zeros_like(upper, dtype="int32") + ops.arange(self.num_classes, dtype="int32")
        return self._nll(ids, upper - score, lower - score, gap)

    def _nll(self, ids: Tensor, upper: Tensor, lower: Tensor, gap: Tensor) -> Tensor:
        """Return -log(F(upper) - F(lower)) of the classes `ids`, whose interval has the width `gap`.

        It is -log F(upper) for the first class and -log(1 - F(lower)) for the last.
        """
        first, last = ops.equal(ids, 0), ops.equal(ids, self.num_classes - 1)
        zeros, is_end = ops.zeros_like(upper), ops.logical_or(first, last)
        if self.link == "probit":
            log_of_end = numerics.log_ndtr(ops.where(first, upper, ops.where(last, -lower, zeros)))
            # The end classes take a harmless interval through the difference, whose value is not used.
            upper = ops.where(is_end, zeros + 0.5, upper)
            lower = ops.where(is_end, zeros - 0.5, lower)
            gap = ops.where(is_end, zeros + 1.0, gap)
            return -ops.where(is_end, log_of_end, numerics.log_ndtr_difference(upper, lower, gap))
        # log(1 - e^-gap). For the logistic F, log F(upper) + log(1 - F(lower)) is added to it below.
        log_width = ops.where(is_end, zeros, numerics.log1mexp(gap))
        if self.link == "logit":
            # s(a) - s(b) = s(a) s(-b) (1 - e^(b - a))
            below_upper = ops.where(last, zeros, numerics.softplus(-upper))
            return below_upper + ops.where(first, zeros, numerics.softplus(lower)) - log_width
        # exp(-e^b) - exp(-e^a) = exp(-e^b) (1 - exp(-(e^a - e^b))), and e^a - e^b = e^a (1 - e^-gap).
        above_lower = ops.where(first, zeros, ops.exp(ops.where(first, zeros, lower)))
        below_upper = _log_cloglog(ops.where(last, zeros, upper + log_width))
        return above_lower - ops.where(last, zeros, below_upper)


def _log_cloglog(x: Tensor) -> Tensor:
    """Return log(1 - exp(-e^x)), which is x - e^x / 2 far below 0 and -exp(-e^x) far above."""
    far = x < -30
    tail = ops.where(far, x, ops.zeros_like(x) - 30.0)
    near = ops.where(far, ops.zeros_like(x), x)
    # Above about 88, e^x overflows in float32. The logarithm is 0 from 5 on, so x is limited to 80.
    return ops.where(
        far, tail - 0.5 * ops.exp(tail), numerics.log1mexp(ops.exp(numerics.minimum(near, 80.0)))
    )


class WeightedKappaLoss(OrdinalLoss):
    """Cohen's weighted kappa, the agreement beyond chance by which graders are often compared, as a loss.

        loss = log(N / D + epsilon),   N = sum_s w_s sum_j omega[y_s, j] p_sj,
                                       D = sum_ij omega_ij h_i q_j / sum_s w_s

    Here omega_ij = (i - j)^2 or |i - j|, h_i is the weight of the samples of class i, and q_j is the weighted
    sum of the probabilities of class j. N / D is 1 - kappa, so the loss is log(1 - kappa): 0 for predictions
    without information. It is one number for a batch. For weights and `reduction="none"`, each sample gets
    the tangent of the logarithm at the batch's R = N / D:

        value_s = log(R + epsilon) + (r_s - R) / (R + epsilon),   mean of r_s = R

    The weighted mean of these values is the loss, and its gradient is exactly that of the loss.
    `"mean_with_sample_weight"` returns that mean; `"sum_over_batch_size"` scales it by the mean weight.

    Kappa needs large batches in which all classes occur. If all labels are of one class, as in a batch of one
    sample, kappa is 0 and there is no gradient. Each replica has its own kappa.

    Args:
        num_classes: number of classes K, an integer in [2, inf).
        weights: cost of a disagreement, `"quadratic"` or `"linear"` in its distance.
        epsilon: added to the ratio, in (0, 1); a perfect batch has the loss log(epsilon).
        from_logits: whether `y_pred` are logits of a softmax.

    Other arguments: see `keras_losses.core.ClassificationLoss`. A class weight multiplies the weight of the
    sample, in N and D as well. A soft label is the expectation over its classes.

    `labels(y_pred)` are the likeliest classes.
    For a metric of classes use `keras.metrics.MeanAbsoluteError()(y, loss.labels(y_pred))`.

    Shapes: `y_pred` `(..., K)`; `y_true` class ids `(...)` or `(..., 1)`, or one-hot or soft labels
    `(..., K)`. With `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for an argument outside its range, shapes that do not match and, in eager mode,
            invalid labels or probabilities.

    Example:

    >>> import numpy as np
    >>> from keras_losses import WeightedKappaLoss
    >>> y_pred = np.array([[0.5, 0.5], [0.25, 0.75]])
    >>> loss = WeightedKappaLoss(num_classes=2)
    >>> round(float(loss(np.array([0, 1]), y_pred)), 4)  # log(0.75 / ((1 * 1.25 + 1 * 0.75) / 2))
    -0.2877

    References:
        - de la Torre et al. 2018, Weighted kappa loss function for multi-class classification of ordinal
          data in deep learning, https://doi.org/10.1016/j.patrec.2017.05.018
    """

    card = Card(
        family="ordinal",
        formula="log(R + epsilon) + (r_s - R) / (R + epsilon), R = 1 - kappa of the batch, mean of r_s = R",
        paper="de la Torre 2018",
        labels="class ids, one-hot or soft labels of ordered classes",
        predictions="logits or probabilities",
        use="fine-tuning a model that is scored by kappa, with large batches",
        avoid="small batches; probabilities that must be calibrated; training from scratch",
        elicits="agreement",
        gradient_bound="1 / epsilon in a probability, for a nearly perfect batch",
        conditioning="the terms of the tangent cancel for a sample that is much worse than its batch",
        cost="a softmax and the expected distance of every class",
    )

    num_classes: int = parameter(within="[2, inf)", integer=True)
    weights: str = parameter(default="quadratic", choices=("quadratic", "linear"))
    epsilon: float = parameter(default=1e-6, within="(0, 1)")
    from_logits: bool = flag(default=False)
    head: ClassVar[str] = 'Dense(num_classes, activation="softmax")'

    @property
    def outputs(self) -> int:
        return self.num_classes

    @property
    def pools_batch(self) -> bool:
        return True

    def per_sample(self, labels: Labels, predictions: Predictions) -> Tensor:
        p = self.class_probabilities(predictions.marked_values)
        y = one_hot(labels, self.compute_dtype)
        weight = ops.ones_like(p[..., 0]) if labels.weights is None else labels.weights
        if self.class_weight is not None:
            weight = weight * self._class_weights(labels)
        if labels.known is not None:
            weight = ops.where(labels.known, weight, ops.zeros_like(weight))
        counts = _over_samples(ops.expand_dims(weight, -1) * y)
        total = ops.sum(weight)
        share = numerics.divide_no_nan(weight, ops.ones_like(weight) * total)

        omega = self.convert(_disagreement(self.num_classes, self.weights))
        costs = ops.sum(numerics.matmul(y, omega) * p, axis=-1)
        guesses = _over_samples(ops.expand_dims(share, -1) * p)
        of_labels = numerics.divide_no_nan(counts, ops.ones_like(counts) * total)
        by_chance = ops.sum(numerics.matmul(of_labels, omega) * guesses)
        # If all labels are of one class, the ratio is 1 or 0 / 0 whatever is predicted. The gradient is then
        # exactly 0, not the rounding error of two large gradients that cancel.
        varied = numerics.max_last(counts) < ops.sum(counts)
        learned = costs / ops.where(varied, by_chance, ops.ones_like(by_chance))
        fixed = ops.stop_gradient(numerics.divide_no_nan(costs, ops.ones_like(costs) * by_chance))
        sample_ratios = ops.where(varied, learned, fixed)
        ratio = ops.sum(share * sample_ratios)
        return ops.log(ratio + self.epsilon) + (sample_ratios - ratio) / (ratio + self.epsilon)

    def class_probabilities(self, values: Tensor) -> Tensor:
        return ops.softmax(values, axis=-1) if self.from_logits else values

    def ids(self, values: Tensor) -> Tensor:
        return ops.cast(ops.argmax(values, axis=-1), "int32")

    def mark_invalid(self, y_true: Labels, y_pred: Predictions) -> tuple[Labels, Predictions]:
        y_true, y_pred = super().mark_invalid(y_true, y_pred)
        return y_true, y_pred if self.from_logits else y_pred.with_marks()

    def check(self, y_true: Labels, y_pred: Predictions, wanted: np.ndarray | None) -> None:
        super().check(y_true, y_pred, wanted)
        if not self.from_logits:
            owner, values = type(self).__name__, wanted_values(y_pred.values, wanted)
            check_probabilities(owner, values, y_pred.dtype)
            check_distribution(owner, "y_pred", values, "For logits, pass from_logits=True.")

    def _predictions(self, y_pred: Any, multi_class: bool) -> Predictions:
        return self.predictions(y_pred, self.from_logits, "softmax")


def _over_samples(x: Tensor) -> Tensor:
    """Sum over all axes but the last, one axis at a time.

    In one sum over several axes, TensorFlow loses digits on images.
    """
    while len(x.shape) > 1:
        x = ops.sum(x, axis=-2)
    return x


def _disagreement(classes: int, weights: str) -> np.ndarray:
    """Return the cost of predicting class j for class i: 0 for i = j, 1 for the farthest."""
    ranks = np.arange(classes) / (classes - 1)
    distance = np.abs(ranks[:, None] - ranks)
    return distance**2 if weights == "quadratic" else distance
