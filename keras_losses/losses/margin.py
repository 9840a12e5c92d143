"""Hinge losses, which are zero beyond a margin: only samples near the border or on its wrong side count."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from keras_losses import numerics
from keras_losses.core import (
    Card,
    ClassificationLoss,
    ElementwiseLoss,
    Labels,
    Predictions,
    parameter,
    wanted_values,
)
from keras_losses.core.validity import fuses_elementwise, nan_unless
from keras_losses.numerics import Tensor


class SignLoss(ElementwiseLoss):
    """Base of the losses of a score whose sign is the class: functions of the margin y z, y in {-1, 1}.

    A subclass states `of_margin(margin)`. The encoding of the labels is declared. Keras's `Hinge` guesses it
    from each batch, and mistakes a batch of signed labels that holds no -1 for 0/1 labels.

    Args:
        labels: `"signed"` for labels of -1 and 1 (the default), `"binary"` for 0 and 1.
    """

    labels: str = parameter(default="signed", choices=("signed", "binary"))

    def of_margin(self, margin: Tensor) -> Tensor:
        raise NotImplementedError

    def elementwise(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        sign = y_true if self.labels == "signed" else 2.0 * y_true - 1.0
        return self.of_margin(sign * y_pred)

    def mark_invalid(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        if not fuses_elementwise(y_true):
            return y_true, y_pred
        other, label = (-1.0, 1.0) if self.labels == "signed" else (0.0, 1.0)
        is_valid = ops.logical_or(ops.equal(y_true, other), ops.equal(y_true, label))
        return nan_unless(is_valid, y_true), y_pred

    def check(self, y_true: Any, y_pred: Any, wanted: np.ndarray | None) -> None:
        values = wanted_values(y_true, wanted)
        domain = (-1, 1) if self.labels == "signed" else (0, 1)
        wrong = ~np.isin(values, domain)
        if wrong.any():
            raise ValueError(
                f"`{type(self).__name__}`: `y_true` must hold {domain[0]} and {domain[1]}, as "
                f"labels={self.labels!r} declares. Received: {values[wrong][0]:g}. Pass the other encoding "
                "as labels."
            )


class HingeLoss(SignLoss):
    """The loss of a linear support vector machine, for scores whose sign is the class.

        loss = mean over outputs of max(0, margin - y z)^power,   y in {-1, 1}

    With `margin=0` it is the loss of the perceptron, max(0, -y z): only samples on the wrong side count.
    The encoding of the labels is declared. Keras's `Hinge` guesses it from each batch, and mistakes a batch
    of signed labels that holds no -1 for 0/1 labels. `SmoothHingeLoss` rounds the corner off;
    `MulticlassHingeLoss` has one score for each class.

    Args:
        margin: score from which a sample costs nothing, in [0, inf); 0 is the perceptron loss. Its gradient
            is 0 at a score of exactly 0, so start from random weights.
        power: exponent, in [1, inf): 1 is the hinge, 2 the squared hinge.
        labels: `"signed"` for labels of -1 and 1 (the default), `"binary"` for 0 and 1.

    Other arguments: see `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., outputs)`; `(...)` stands for one output. With `reduction="none"`
    the result is `(...)`.

    Raises:
        ValueError: for an argument outside its range, shapes that differ and, in eager mode, labels that
            are not of the declared encoding.

    Example:

    >>> import numpy as np
    >>> from keras_losses import HingeLoss
    >>> float(HingeLoss()(np.array([-1, 1]), np.array([0.5, 3.0])))  # (1 + 0.5, then 0) / 2
    0.75
    >>> float(HingeLoss(labels="binary", power=2)(np.array([0, 1]), np.array([0.5, 3.0])))
    1.125

    References:
        - Cortes & Vapnik 1995, Support-Vector Networks, https://doi.org/10.1007/BF00994018
        - Rosenblatt 1958, The Perceptron (margin 0), https://doi.org/10.1037/h0042519
    """

    card = Card(
        family="margin",
        formula="max(0, margin - y z)^power",
        paper="Cortes & Vapnik 1995; Rosenblatt 1958 (margin 0)",
        labels="-1 and 1, or 0 and 1, as declared",
        predictions="scores",
        use="a decision rather than a probability; few support vectors; linear heads",
        avoid="probabilities: it only tells which class is likelier",
        elicits="likeliest class",
        elicits_note="as the sign of the score",
        gradient_bound="1 at power 1, unbounded for larger powers",
    )

    margin: float = parameter(default=1.0, within="[0, inf)", live=True)
    power: float = parameter(default=1, within="[1, inf)")

    def of_margin(self, margin: Tensor) -> Tensor:
        return numerics.power(ops.relu(self.margin - margin), self.power)


class MulticlassHingeLoss(ClassificationLoss):
    """The loss of a multi-class support vector machine, for one score per class.

        crammer_singer:   loss = max(0, margin + max_{j != t} z_j - z_t)^power
        weston_watkins:   loss = sum_{j != t} max(0, margin + z_j - z_t)^power

    With `margin=0` it is the loss of the multi-class perceptron: only misclassified samples count. Negative
    scores count like any others, whereas Keras's `CategoricalHinge` takes the best wrong score to be
    at least 0.

    Args:
        kind: `"crammer_singer"` (the best wrong class) or `"weston_watkins"` (all wrong classes).
        margin: lead of the true class from which a sample costs nothing, in [0, inf); 0 is the perceptron
            loss. Its gradient is 0 where all scores are equal, so start from random weights.
        power: exponent, in [1, inf): 1 is the hinge, 2 the squared hinge.

    Other arguments: see `keras_losses.core.ClassificationLoss`.

    Shapes: `y_pred` `(..., C)`; `y_true` class ids `(...)` or `(..., 1)`, or one-hot labels `(..., C)`. With
    `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for an argument outside its range, shapes that do not match and, in eager mode, class
            ids out of range and labels that are not one-hot.

    Example:

    >>> import numpy as np
    >>> from keras_losses import MulticlassHingeLoss
    >>> scores = np.array([[-3.0, -2.5, -2.0]])
    >>> float(MulticlassHingeLoss()(np.array([2]), scores))  # 1 - 2.5 + 2
    0.5
    >>> float(MulticlassHingeLoss(kind="weston_watkins")(np.array([1]), scores))  # 0.5 + 1.5
    2.0

    References:
        - Crammer & Singer 2001, On the Algorithmic Implementation of Multiclass Kernel-based Vector Machines
        - Weston & Watkins 1999, Support Vector Machines for Multi-Class Pattern Recognition
    """

    card = Card(
        family="margin",
        formula="max(0, margin + max_{j != t} z_j - z_t)^power, or the sum over j != t",
        paper="Crammer & Singer 2001; Weston & Watkins 1999",
        labels="class ids or one-hot labels",
        predictions="one score for each class",
        use="a decision among several classes; linear heads",
        avoid="probabilities; for crammer_singer, data in which no class has half of the probability",
        elicits="likeliest class",
        elicits_note="crammer_singer: if it has more than half of the probability",
        gradient_bound="1 for crammer_singer and C - 1 for weston_watkins, at power 1",
        conditioning="relative error: power + 1 times that of the margin",
        cost="the largest score of the other classes, or a sum over them",
    )

    kind: str = parameter(default="crammer_singer", choices=("crammer_singer", "weston_watkins"))
    margin: float = parameter(default=1.0, within="[0, inf)", live=True)
    power: float = parameter(default=1, within="[1, inf)")

    def per_sample(self, labels: Labels, predictions: Predictions) -> Tensor:
        scores = predictions.values
        one_hot = labels.encoding == "dense"
        true = labels.values > 0.5 if one_hot else numerics.is_class(labels.values, scores)
        if one_hot:
            # The other labels of the row are 0, or NaN if they are invalid.
            true_score = ops.sum(ops.where(true, scores, labels.values), axis=-1)
        else:
            true_score = ops.sum(ops.where(true, scores, ops.zeros_like(scores)), axis=-1)
            true_score = numerics.nan_unless_class(labels.values, labels.classes, true_score)
        if self.kind == "crammer_singer":
            best_wrong = numerics.max_last(ops.where(true, numerics.full_like(scores, -np.inf), scores))
            return numerics.power(ops.relu(self.margin + (best_wrong - true_score)), self.power)
        lead = ops.relu(self.margin + (scores - ops.expand_dims(true_score, -1)))
        costs = numerics.power(ops.where(true, ops.zeros_like(scores), lead), self.power)
        return ops.sum(costs, axis=-1)

    def mark_invalid(self, y_true: Labels, y_pred: Predictions) -> tuple[Labels, Predictions]:
        if y_true.encoding != "dense" or not fuses_elementwise(y_true.values):
            return super().mark_invalid(y_true, y_pred)

        def marked(y: Tensor) -> Tensor:
            return nan_unless(ops.logical_or(ops.equal(y, 0.0), ops.equal(y, 1.0)), y)

        return y_true.map(marked), y_pred

    def check(self, y_true: Labels, y_pred: Predictions, wanted: np.ndarray | None) -> None:
        super().check(y_true, y_pred, wanted)
        values = wanted_values(y_true.received, wanted)
        soft = ~np.isin(values, (0, 1))
        if y_true.encoding == "dense" and soft.any():
            raise ValueError(
                f"`MulticlassHingeLoss`: `y_true` must be one-hot. Received: {values[soft][0]:g}. A margin "
                "has one true class; for soft labels, use CrossentropyLoss."
            )


class SmoothHingeLoss(SignLoss):
    """The hinge with a rounded corner, for optimizers that need a gradient without jumps.

        loss = mean over outputs of  1/2 - t         where t = y z <= 0,   y in {-1, 1}
                                     (1 - t)^2 / 2   between
                                     0               where t >= 1

    It is a Huber loss of the distance to the margin: quadratic near the margin, linear on the wrong side of
    the border. `ModifiedHuberLoss` is quadratic farther out and gives a probability.

    Args:
        labels: `"signed"` for labels of -1 and 1 (the default), `"binary"` for 0 and 1.

    Other arguments: see `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., outputs)`; `(...)` stands for one output. With `reduction="none"`
    the result is `(...)`.

    Raises:
        ValueError: for an argument outside its range, shapes that differ and, in eager mode, labels that
            are not of the declared encoding.

    Example:

    >>> import numpy as np
    >>> from keras_losses import SmoothHingeLoss
    >>> float(SmoothHingeLoss()(np.array([-1, 1]), np.array([0.5, 0.5])))  # (1/2 + 0.5, then 0.5^2 / 2) / 2
    0.5625

    References:
        - Rennie & Srebro 2005, Loss Functions for Preference Levels
    """

    card = Card(
        family="margin",
        formula="1/2 - t if t = y z <= 0, (1 - t)^2 / 2 up to 1, then 0",
        paper="Rennie & Srebro 2005",
        labels="-1 and 1, or 0 and 1, as declared",
        predictions="scores",
        use="the same problems as HingeLoss, with optimizers that use curvature or momentum",
        avoid="probabilities",
        elicits="likeliest class",
        elicits_note="as the sign of the score",
        gradient_bound="1",
    )

    def of_margin(self, margin: Tensor) -> Tensor:
        shortfall = ops.relu(1.0 - margin)
        quadratic = numerics.minimum(shortfall, 1.0)
        return quadratic * (shortfall - 0.5 * quadratic)


class ModifiedHuberLoss(SignLoss):
    """The squared hinge with a linear tail, for outliers and for scores that give a probability.

        loss = mean over outputs of  max(0, 1 - t)^2   where t = y z >= -1,   y in {-1, 1}
                                     -4 t              elsewhere

    Unlike `HingeLoss` it elicits a probability: (1 + z) / 2, for scores clipped to [-1, 1].

    Args:
        labels: `"signed"` for labels of -1 and 1 (the default), `"binary"` for 0 and 1.

    Other arguments: see `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., outputs)`; `(...)` stands for one output. With `reduction="none"`
    the result is `(...)`.

    Raises:
        ValueError: for an argument outside its range, shapes that differ and, in eager mode, labels that
            are not of the declared encoding.

    Example:

    >>> import numpy as np
    >>> from keras_losses import ModifiedHuberLoss
    >>> float(ModifiedHuberLoss()(np.array([-1, 1]), np.array([0.5, -3.0])))  # (1.5^2 + 4 * 3) / 2
    7.125

    References:
        - Zhang 2004, Solving Large Scale Linear Prediction Problems Using Stochastic Gradient Descent
          Algorithms, https://doi.org/10.1145/1015330.1015332
    """

    card = Card(
        family="margin",
        formula="max(0, 1 - t)^2 if t = y z >= -1, else -4 t",
        paper="Zhang 2004",
        labels="-1 and 1, or 0 and 1, as declared",
        predictions="scores",
        use="linear classifiers for data with some wrong labels, whose scores should give a probability",
        avoid="many wrong labels, since the gradient of a far one is 4",
        elicits="likeliest class",
        elicits_note="as the sign of the score, whose (1 + z) / 2 is the probability",
        gradient_bound="4",
    )

    def of_margin(self, margin: Tensor) -> Tensor:
        shortfall = ops.relu(1.0 - margin)
        quadratic = numerics.minimum(shortfall, 2.0)
        return quadratic * (2.0 * shortfall - quadratic)
