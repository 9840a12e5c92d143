"""Losses for ordered classes 0 .. K-1, the head layers that they go with, and labels that know the order.

A wrong class is the more wrong the farther it is. Each loss has `labels(y_pred)` and
`probabilities(y_pred)`, which read the classes off what the model gives.
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
from keras_losses.core.labels import class_labels, classes_last, one_hot
from keras_losses.core.shapes import static_shape
from keras_losses.numerics import Tensor

LINKS = ("logit", "probit", "cloglog")


class OrdinalLoss(ClassificationLoss):
    """Base of the losses over ordered classes 0 .. K-1, which are told how many there are.

    A subclass states `per_sample(labels, predictions)`, how many outputs it takes, and how classes are read
    off them: `class_probabilities(values)` and, unless it is the class in the middle of those, `ids(values)`.
    Both get predictions with the outputs in the last axis.

    Args:
        num_classes: the number of classes K, 2 or more.
    """

    num_classes: int
    head: ClassVar[str] = "Dense"
    """The layer that a model should end with."""

    @property
    def outputs(self) -> int:
        """How many outputs the loss takes."""
        return self.num_classes - 1

    def class_probabilities(self, values: Tensor) -> Tensor:
        raise NotImplementedError

    def ids(self, values: Tensor) -> Tensor:
        """The median: how many k have P(y > k) above 1/2."""
        at_most = numerics.cumsum(self.class_probabilities(values)[..., :-1])
        return ops.sum(ops.cast(at_most < 0.5, "int32"), axis=-1)

    def labels(self, y_pred: Any) -> Any:
        """The class ids `(...)` that predictions stand for: a tensor of a tensor, an array of an array."""
        return self._decoded(y_pred, self.ids)

    def probabilities(self, y_pred: Any) -> Any:
        """The probability of each class, `(..., K)`: a tensor of a tensor, an array of an array."""
        return self._decoded(
            y_pred, lambda values: ops.moveaxis(self.class_probabilities(values), -1, self.axis)
        )

    def validate(self) -> None:
        if self.class_weight is not None:
            weight_vector(type(self).__name__, "class_weight", self.class_weight, self.num_classes)

    def align(self, y_true: Any, y_pred: Any) -> tuple[Labels, Predictions]:
        if isinstance(y_true, Labels):
            return y_true, y_pred
        owner = type(self).__name__
        y_true, y_pred = self._convert_labels(y_true), self._predictions(y_pred, multi_class=True)
        y_true, y_pred = classes_last(owner, y_true, y_pred, self.axis)
        self._check_outputs(y_pred.values, f"y_true of shape {static_shape(owner, 'y_true', y_true)}, ")
        found = class_labels(owner, y_true, y_pred.values, self.ignore_class, self.num_classes)
        return self._floats(found), y_pred

    def _check_outputs(self, values: Tensor, received: str = "") -> None:
        owner = type(self).__name__
        given = static_shape(owner, "y_pred", values)
        if len(given) < 2 or given[-1] != self.outputs:
            raise ValueError(
                f"{owner}: `y_pred` must have {self.outputs} outputs for num_classes={self.num_classes}. "
                f"Received: {received}y_pred of shape {given}. End the model with {self.head}."
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
    """The weights of y > k, y = k and y <= k for each k, `(..., K - 1)`: of soft labels the expectations."""

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
    up_to = np.arange(truth.classes)[:, None] <= ranks
    above, below = (ops.convert_to_tensor(chosen, dtype=dtype) for chosen in (~up_to, up_to))
    return Ranks(
        numerics.matmul(truth.values, above), truth.values[..., :-1], numerics.matmul(truth.values, below)
    )


def _importance(value: Any) -> list[float]:
    """a sequence with a number from 0 up for each of the K - 1 ranks"""
    return nonnegative_numbers(value)


class CoralLoss(OrdinalLoss):
    """Ordered classes as K - 1 questions "is it above k?" whose answers cannot contradict one another.

        loss = -sum_{k=0..K-2} importance_k ([y > k] log s(z_k) + [y <= k] log(1 - s(z_k)))

    where s is the sigmoid and z_k the logit of P(y > k). All ranks share one weight vector and differ in
    their bias alone (`CoralDense`), which keeps P(y > k) falling in k. `CornLoss` asks each question of the
    samples that are past the one before, and needs no shared weights; cross-entropy knows no order.

    Args:
        num_classes: the number of classes K, 2 or more.
        importance: None, or a weight for each of the K - 1 ranks, 0 or more.

    Other arguments: see `keras_losses.core.ClassificationLoss`. A soft label is the expectation over its
    classes.

    `labels(y_pred)` counts the k with P(y > k) > 1/2, as the paper does; `probabilities(y_pred)` are the
    differences of the s(z_k), where ranks cross cut off at 0 and made to add up to 1. For a metric in
    classes: `keras.metrics.MeanAbsoluteError()(y, loss.labels(model.predict(x)))`.

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
        use="grades, ratings, ages in bins, with one score that orders them (CoralDense)",
        avoid="the classes have no order, or different features matter at different ranks",
        elicits="class probability",
        elicits_note="as the probabilities of y > k",
        gradient_bound="max(importance) in a logit",
        cost="a cross-entropy for each threshold",
    )

    num_classes: int = parameter(within="[2, inf)", integer=True)
    importance: Sequence[float] | None = parameter(
        default=None,
        convert=_importance,
        optional=True,
        examples=([2.0], [0.5, 2.0]),
        refused=("heavy", 1.0, [-1.0, 1.0], [], [float("nan")]),
    )
    head: ClassVar[str] = "CoralDense(num_classes) or Dense(num_classes - 1)"

    def validate(self) -> None:
        super().validate()
        if self.importance is not None and len(self.importance) != self.outputs:
            raise ValueError(
                f"CoralLoss: `importance` must have a weight for each of the {self.outputs} ranks of "
                f"num_classes={self.num_classes}. Received: importance={self.importance!r}."
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
        each = ops.concatenate([ones, above], -1) - ops.concatenate([above, 0.0 * ones], -1)
        each = ops.relu(each)
        return each / ops.sum(each, axis=-1, keepdims=True)

    def ids(self, values: Tensor) -> Tensor:
        return ops.sum(ops.cast(values > 0, "int32"), axis=-1)


class CornLoss(OrdinalLoss):
    """Ordered classes as K - 1 questions "is it above k, if it is at least k?", each asked where it arises.

        loss = -sum_{k=0..min(y, K-2)} ([y > k] log s(z_k) + [y = k] log(1 - s(z_k)))

    where s is the sigmoid and z_k the logit of P(y > k | y >= k). Task k is over the samples with y >= k
    alone, and the means divide by the sum of the tasks' sizes, as the paper does: a sample counts as
    min(y + 1, K - 1) losses. The chain of products keeps P(y > k) falling in k whatever the logits are, so
    that a plain `Dense(num_classes - 1)` will do, where `CoralLoss` needs shared weights.

    Args:
        num_classes: the number of classes K, 2 or more.

    Other arguments: see `keras_losses.core.ClassificationLoss`. A soft label is the expectation over its
    classes, of the number of its losses, too. On several replicas each divides by its own tasks, as it does
    with `"mean_with_sample_weight"`; `reduction="sum"` does not depend on their number. A
    sample of weight 0, which has no label any more, counts as one loss in the means that do not divide by
    weights.

    `labels(y_pred)` counts the k with P(y > k) > 1/2; `probabilities(y_pred)` are products of the
    conditional ones. For a metric in classes: `keras.metrics.MeanAbsoluteError()(y, loss.labels(y_pred))`.

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
        use="ordered classes and a network that is free at each rank: a plain Dense(num_classes - 1)",
        avoid="few samples in the upper classes: the last tasks see no others",
        elicits="class probability",
        elicits_note="as the conditional probabilities of y > k",
        gradient_bound="1 in a logit",
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
        # P(y = k) is P(y > 0) P(y > 1 | y >= 1) ... P(y <= k | y >= k); the last class has no end.
        past = numerics.cumsum(ops.log_sigmoid(values))
        none = ops.zeros_like(past[..., :1])
        stop = ops.concatenate([ops.log_sigmoid(-values), none], -1)
        return ops.exp(ops.concatenate([none, past], -1) + stop)

    def ids(self, values: Tensor) -> Tensor:
        past = numerics.cumsum(ops.log_sigmoid(values))
        return ops.sum(ops.cast(past > math.log(0.5), "int32"), axis=-1)


class CumulativeLinkLoss(OrdinalLoss):
    """Ordered classes as the intervals of one score between cut points that are learned with it.

        loss = -log(F(c_y - f) - F(c_{y-1} - f)),   c_{-1} = -inf, c_{K-1} = inf

    where f is the score, c_0 < ... < c_{K-2} are the cut points, and F is the logistic distribution
    ("logit": proportional odds), the normal one ("probit": ordered probit) or 1 - exp(-e^x) ("cloglog":
    proportional hazards). It is a likelihood, so its probabilities mean what they say, with one number for
    each sample and K - 1 for all of them. `CoralLoss` fits the same curves, each cut by itself. The
    difference is computed from the distance between the cut points, never from two numbers near 1.

    Args:
        num_classes: the number of classes K, 2 or more.
        link: `"logit"`, `"probit"` or `"cloglog"`; that of the `CumulativeLink` layer, which starts by it.

    Other arguments: see `keras_losses.core.ClassificationLoss`. A soft label is the expectation over its
    classes.

    `labels(y_pred)` counts the cut points with P(y > k) > 1/2: the median. `probabilities(y_pred)` are those
    of the formula. For a metric in classes: `keras.metrics.MeanAbsoluteError()(y, loss.labels(y_pred))`.

    Shapes: `y_pred` `(..., K)`, the score and then the K - 1 cut points, as `CumulativeLink` gives them;
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
        use="ordered classes behind which one quantity lies; probabilities that must be calibrated",
        avoid="the middle classes are not between the outer ones in any one direction",
        elicits="class probability",
        gradient_bound="1 in the score for logit; |c - f| for probit; e^(c - f) for cloglog",
        conditioning="the distance of the score from a cut point, and for probit its square, of their digits",
        cost="the logarithm of a difference of distribution functions, for the digits where they are near",
    )

    num_classes: int = parameter(within="[2, inf)", integer=True)
    link: str = parameter(default="logit", choices=LINKS)
    head: ClassVar[str] = "CumulativeLink(num_classes)"

    @property
    def outputs(self) -> int:
        return self.num_classes

    def per_sample(self, labels: Labels, predictions: Predictions) -> Tensor:
        if labels.encoding == "dense":
            # A class that is not in the label may be infinitely unlikely.
            absent = labels.values <= 0
            return ops.sum(labels.values * self._surprise_of_classes(predictions.values, absent), axis=-1)
        score, *bounds = self._bounds(predictions.values)
        upper, lower, gap = (numerics.take_class_masked(labels.values, x) for x in bounds)
        return self._surprise(labels.values, upper - score, lower - score, gap)

    def class_probabilities(self, values: Tensor) -> Tensor:
        return ops.exp(-self._surprise_of_classes(values))

    def check(self, y_true: Labels, y_pred: Predictions, wanted: np.ndarray | None) -> None:
        super().check(y_true, y_pred, wanted)
        cuts = wanted_values(y_pred.values, wanted)[..., 1:]
        wrong = cuts[..., 1:] <= cuts[..., :-1]
        if wrong.any():
            raise ValueError(
                "CumulativeLinkLoss: the cut points, all outputs but the first, must increase. Received: "
                f"{cuts[..., 1:][wrong][0]:g} after {cuts[..., :-1][wrong][0]:g}. End the model with "
                "CumulativeLink(num_classes), which keeps them apart."
            )

    def _bounds(self, values: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The score, and for each class the cut point above, that below, and how far apart they are.

        The first class has none below and the last none above; some number is there in their place.
        """
        cuts = values[..., 1:]
        # Cut points that do not increase, which only a graph lets through, are taken for just apart.
        gap = numerics.maximum(cuts[..., 1:] - cuts[..., :-1], 1e-37)
        one = ops.ones_like(cuts[..., :1])
        return (
            values[..., 0],
            ops.concatenate([cuts, cuts[..., -1:]], -1),
            ops.concatenate([cuts[..., :1], cuts], -1),
            ops.concatenate([one, gap, one], -1),
        )

    def _surprise_of_classes(self, values: Tensor, absent: Tensor | None = None) -> Tensor:
        """That of each class, `(..., K)`: some number for those that are absent."""
        score, upper, lower, gap = self._bounds(values)
        score = ops.expand_dims(score, -1)
        if absent is not None:
            upper, lower = (ops.where(absent, score + end, x) for x, end in ((upper, 0.5), (lower, -0.5)))
            gap = ops.where(absent, ops.ones_like(gap), gap)
        ids = ops.zeros_like(upper, dtype="int32") + ops.arange(self.num_classes, dtype="int32")
        return self._surprise(ids, upper - score, lower - score, gap)

    def _surprise(self, ids: Tensor, a: Tensor, b: Tensor, gap: Tensor) -> Tensor:
        """-log(F(a) - F(b)) of the classes `ids`: -log F(a) for the first, -log(1 - F(b)) for the last."""
        first, last = ops.equal(ids, 0), ops.equal(ids, self.num_classes - 1)
        zeros = ops.zeros_like(a)
        if self.link == "probit":
            ends = ops.logical_or(first, last)
            one_sided = numerics.log_ndtr(ops.where(first, a, ops.where(last, -b, zeros)))
            a, b, gap = (ops.where(ends, zeros + end, x) for x, end in ((a, 0.5), (b, -0.5), (gap, 1.0)))
            return -ops.where(ends, one_sided, numerics.log_ndtr_difference(a, b, gap))
        # log(1 - e^-gap), which is log(F(a) - F(b)) - log F(a) - log(1 - F(b)) for the logistic one.
        apart = ops.where(ops.logical_or(first, last), zeros, numerics.log1mexp(gap))
        if self.link == "logit":
            # s(a) - s(b) = s(a) s(-b) (1 - e^(b - a))
            below = ops.where(last, zeros, numerics.softplus(-a))
            return below + ops.where(first, zeros, numerics.softplus(b)) - apart
        # exp(-e^b) - exp(-e^a) = exp(-e^b) (1 - exp(-(e^a - e^b))), and e^a - e^b = e^a (1 - e^-gap).
        survived = ops.where(first, zeros, ops.exp(ops.where(first, zeros, b)))
        return survived - ops.where(last, zeros, _log_cloglog(ops.where(last, zeros, a + apart)))


def _log_cloglog(x: Tensor) -> Tensor:
    """log(1 - exp(-e^x)), which is x - e^x / 2 far below 0, and -exp(-e^x) above."""
    far = x < -30
    tail = ops.where(far, x, ops.zeros_like(x) - 30.0)
    near = ops.where(far, ops.zeros_like(x), x)
    # Beyond 80, e^x would overflow, and the logarithm is 0 from 5 on.
    return ops.where(
        far, tail - 0.5 * ops.exp(tail), numerics.log1mexp(ops.exp(numerics.minimum(near, 80.0)))
    )


class WeightedKappaLoss(OrdinalLoss):
    """Cohen's weighted kappa itself: agreement beyond chance, by which rankings of grades are often scored.

        loss = log(N / D + epsilon),   N = sum_s w_s sum_j omega[y_s, j] p_sj,
                                       D = sum_ij omega_ij h_i q_j / sum_s w_s

    where omega_ij = (i - j)^2 or |i - j|, h_i is the weight of the samples of class i and q_j the weighted
    sum of the probabilities of class j. N / D is 1 - kappa, so that the loss is log(1 - kappa), 0 for
    predictions that know nothing. It is one number for a batch. To weights and `reduction="none"` each
    sample gets the tangent of the logarithm at the batch's R = N / D:

        value_s = log(R + epsilon) + (r_s - R) / (R + epsilon),   mean of r_s = R

    whose weighted mean is the loss, with exactly its gradient; with `"mean_with_sample_weight"` that mean is
    what is returned, with `"sum_over_batch_size"` it is scaled by the mean weight.

    Kappa needs a batch: large ones, in which all classes occur. Of labels of one class alone, as in a batch
    of one sample, kappa is a constant 0, and nothing is learned. On several replicas each has its own kappa.

    Args:
        num_classes: the number of classes K, 2 or more.
        weights: what a disagreement costs, `"quadratic"` or `"linear"` in its distance.
        epsilon: what a perfect batch is worth, as a ratio, in (0, 1).
        from_logits: whether `y_pred` are logits of a softmax.

    Other arguments: see `keras_losses.core.ClassificationLoss`; a class weight is one more weight of the
    sample, in N
    and D, too. A soft label is the expectation over its classes.

    `labels(y_pred)` are the likeliest classes. For a metric in classes:
    `keras.metrics.MeanAbsoluteError()(y, loss.labels(y_pred))`.

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
        use="kappa is what is scored, batches are large, and a model is fine-tuned for it",
        avoid="small batches, probabilities that must be calibrated, or training from scratch",
        elicits="agreement",
        gradient_bound="1 / epsilon in a probability, for a batch that is nearly perfect",
        conditioning="the terms of the tangent cancel where a sample is much worse than its batch",
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
        p = self.class_probabilities(predictions.values)
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
        # Labels of one class leave the ratio at 1, or 0 / 0, whatever is predicted: no gradient, and none
        # of what rounding would make of two large ones that cancel.
        varied = numerics.max_last(counts) < ops.sum(counts)
        learned = costs / ops.where(varied, by_chance, ops.ones_like(by_chance))
        fixed = ops.stop_gradient(numerics.divide_no_nan(costs, ops.ones_like(costs) * by_chance))
        each = ops.where(varied, learned, fixed)
        ratio = ops.sum(share * each)
        return ops.log(ratio + self.epsilon) + (each - ratio) / (ratio + self.epsilon)

    def class_probabilities(self, values: Tensor) -> Tensor:
        return ops.softmax(values, axis=-1) if self.from_logits else values

    def ids(self, values: Tensor) -> Tensor:
        return ops.cast(ops.argmax(values, axis=-1), "int32")

    def check(self, y_true: Labels, y_pred: Predictions, wanted: np.ndarray | None) -> None:
        super().check(y_true, y_pred, wanted)
        if not self.from_logits:
            owner, values = type(self).__name__, wanted_values(y_pred.values, wanted)
            check_probabilities(owner, values, y_pred.dtype)
            check_distribution(owner, "y_pred", values, "For logits, pass from_logits=True.")

    def _predictions(self, y_pred: Any, multi_class: bool) -> Predictions:
        return self.predictions(y_pred, self.from_logits, "softmax")


def _over_samples(x: Tensor) -> Tensor:
    """The sum over all axes but the last, one after the other: at once, TensorFlow loses digits on images."""
    while len(x.shape) > 1:
        x = ops.sum(x, axis=-2)
    return x


def _disagreement(classes: int, weights: str) -> np.ndarray:
    """What predicting class j for class i costs: 0 for i = j, 1 for the farthest."""
    ranks = np.arange(classes) / (classes - 1)
    distance = np.abs(ranks[:, None] - ranks)
    return distance**2 if weights == "quadratic" else distance
