"""Losses of dense detectors, which predict a score of each class and the sides of a box at every place.

A *quality* is a label in [0, 1]: the overlap (IoU) of the predicted box with its object, at the output of the
object's class, and 0 at all other outputs. It is computed from the predictions of the box, so stop its
gradient.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from keras_losses import numerics
from keras_losses.core import (
    Card,
    ClassProbabilityLoss,
    Identity,
    Labels,
    Loss,
    Predictions,
    checks,
    flag,
    parameter,
    wanted_values,
)
from keras_losses.core.shapes import agree, pinned, static_shape
from keras_losses.core.validity import between, nan_unless
from keras_losses.numerics import Crossentropy, Tensor


def _crossentropy(y: Tensor, one: Crossentropy, zero: Crossentropy) -> Tensor:
    """Return -y log p - (1 - y) log(1 - p) from the cross-entropies of the labels 1 and 0."""
    return y * one.value + (1.0 - y) * zero.value


class VarifocalLoss(ClassProbabilityLoss):
    """Cross-entropy with a quality, which weighs objects by it and easy negatives less, for dense detectors.

        label y > 0:   loss = -y (y log p + (1 - y) log(1 - p))
        label y = 0:   loss = -alpha p^gamma log(1 - p)

    The result is the mean over the outputs, each of which is a probability of its own. The label is a
    quality: the overlap (IoU) of the predicted box with its object at the output of the object's class, and 0
    elsewhere. So the score ranks boxes by how well they fit, and good boxes count most. Objects are rare, so
    their loss is not reduced where p is near y. `QualityFocalLoss` reduces it, and treats all labels alike.

    Detectors divide the sum over all outputs by the number of objects. The mean is smaller by a factor that
    is the number of outputs over the number of objects.

    Args:
        alpha: weight of the negatives, whose label is 0, in [0, inf); 0.75 in the paper.
        gamma: how fast the weight of an easy negative falls, in [0, inf); 2 in the paper.

    Other arguments: see `keras_losses.core.ClassProbabilityLoss`.

    Shapes: `y_pred` `(..., C)`, or `(...)` for one output; `y_true` qualities in the shape of the outputs.
    With `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for an argument outside its range, shapes that do not match and, in eager mode, labels or
            probabilities outside [0, 1].

    Example:

    >>> import numpy as np
    >>> from keras_losses import VarifocalLoss
    >>> loss = VarifocalLoss()
    >>> round(float(loss(np.array([[0.8]]), np.array([[0.5]]))), 4)  # 0.8 log 2
    0.5545
    >>> round(float(loss(np.array([[0.0]]), np.array([[0.5]]))), 4)  # 0.75 * 0.5^2 * log 2
    0.13

    References:
        - Zhang et al. 2020, VarifocalNet: An IoU-aware Dense Object Detector,
          https://arxiv.org/abs/2008.13367
    """

    card = Card(
        family="detection",
        formula="-y (y log p + (1 - y) log(1 - p)) if y > 0, else -alpha p^gamma log(1 - p)",
        paper="Zhang 2020, 2008.13367",
        labels="qualities from 0 to 1, 0 for negatives",
        predictions="logits or probabilities",
        use="scores of a dense detector that rank boxes by their overlap with the object",
        avoid="0/1 labels, for which AsymmetricLoss has a weight of easy positives too",
        elicits="order of probabilities",
        elicits_note="all probabilities are pulled up, since negatives weigh less",
        gradient_bound="max(1, 1.13 alpha) per logit at gamma=2",
        conditioning="relative error of negatives: gamma + 1 times that of p",
        cost="a power of p for each output",
    )

    alpha: float = parameter(default=0.75, within="[0, inf)", live=True)
    gamma: float = parameter(default=2.0, within="[0, inf)", live=True)
    multi_label = True

    def per_sample(self, labels: Labels, predictions: Predictions) -> Tensor:
        y, (one, zero) = labels.values, predictions.of_outputs()
        positive = y * _crossentropy(y, one, zero)
        negative = self.alpha * numerics.power(zero.complement, self.gamma) * zero.value
        # Not y > 0, which would take the mark of an invalid label, NaN, for a negative.
        return ops.where(ops.equal(y, 0), negative, positive)


class QualityFocalLoss(ClassProbabilityLoss):
    """Focal loss with a quality as the label, for the scores of dense detectors.

        loss = |y - p|^beta (-y log p - (1 - y) log(1 - p))

    The result is the mean over the outputs, each of which is a probability of its own. The label is a
    quality: the overlap (IoU) of the predicted box with its object at the output of the object's class, and 0
    elsewhere. For 0/1 labels it is `FocalLoss(gamma=beta)`. For other labels it is 0 at p = y, where the
    cross-entropy is not. `VarifocalLoss` reduces the loss of negatives alone.

    Detectors divide the sum over all outputs by the number of objects. The mean is smaller by a factor that
    is the number of outputs over the number of objects.

    Args:
        beta: how fast the weight of an output falls as p approaches y, in [0, inf); 2 in the paper, 0 is
            cross-entropy. Below 1 the gradient at a quality between 0 and 1 grows without bound as p
            approaches it, as that of a root does.

    Other arguments: see `keras_losses.core.ClassProbabilityLoss`.

    Shapes: `y_pred` `(..., C)`, or `(...)` for one output; `y_true` qualities in the shape of the outputs.
    With `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for an argument outside its range, shapes that do not match and, in eager mode, labels or
            probabilities outside [0, 1].

    Example:

    >>> import numpy as np
    >>> from keras_losses import QualityFocalLoss
    >>> loss = QualityFocalLoss()
    >>> round(float(loss(np.array([[0.8]]), np.array([[0.5]]))), 4)  # 0.3^2 log 2
    0.0624
    >>> float(loss(np.array([[0.8]]), np.array([[0.8]])))
    0.0

    References:
        - Li et al. 2020, Generalized Focal Loss, https://arxiv.org/abs/2006.04388
    """

    card = Card(
        family="detection",
        formula="|y - p|^beta (-y log p - (1 - y) log(1 - p))",
        paper="Li 2020, 2006.04388",
        labels="qualities from 0 to 1, 0 for negatives",
        predictions="logits or probabilities",
        use="scores of a dense detector that estimate the overlap of a box with its object",
        avoid="probabilities that must be calibrated; noisy qualities, whose mean it does not learn",
        elicits="likeliest class",
        elicits_note="of 0/1 labels, its probability pulled towards 1/2; equal qualities are reached",
        gradient_bound="1.13 per logit at beta=2; unbounded for beta < 1",
        identities=(Identity({"beta": 0.0}, "CrossentropyLoss", {"multi_label": True}),),
        conditioning="relative error: beta times that of y - p, which has lost digits where p is near y",
    )

    beta: float = parameter(default=2.0, within="[0, inf)", live=True)
    multi_label = True

    def per_sample(self, labels: Labels, predictions: Predictions) -> Tensor:
        y, (one, zero) = labels.values, predictions.of_outputs()
        distance = numerics.absolute(numerics.probability_difference(y, zero.complement, one.complement))
        return numerics.power(distance, self.beta) * _crossentropy(y, one, zero)


class DistributionFocalLoss(Loss):
    """Cross-entropy of a number between two bins, for the sides of boxes in dense detectors.

        loss = -(i + 1 - y) log S_i - (y - i) log S_{i+1},   i <= y <= i + 1

    S is a softmax over the bins 0 .. bins-1. It is the distribution of one number, such as the distance from
    a place to one side of its box, in units of a bin. `mean(y_pred)` is the predicted number, sum_i i S_i.
    The loss gathers the probability at the two bins beside the target. A squared error of the mean would not
    care how the probability is spread. Despite its name it has no focus on hard targets.

    Each number has its own row of bins, as a pixel has its own row of classes in the other losses of a
    softmax, and its own value. So the four sides of a box are predictions `(..., 4, bins)`, a shape that the
    softmax of a detector needs anyway. `GaussianNLLLoss` and its relatives, which have no softmax, take all
    numbers packed into one axis instead.

    Args:
        bins: number of bins, an integer in [2, inf); 17 in the detector GFL for distances up to 16.
        from_logits: whether `y_pred` are logits. Probabilities of a softmax layer give the same values if
            Keras keeps the logits beside them: on TensorFlow and PyTorch, and on JAX outside of jit.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_pred` `(..., bins)`; `y_true` `(...)` or `(..., 1)`, numbers in [0, bins - 1]. With
    `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: if `bins` is out of range or is not the length of the last axis, the shapes do not match
            and, in eager mode, for labels outside [0, bins - 1] or invalid probabilities.

    Example:

    >>> import numpy as np
    >>> from keras_losses import DistributionFocalLoss
    >>> loss, p = DistributionFocalLoss(bins=4), np.array([[0.25, 0.5, 0.25, 0.0]])
    >>> round(float(loss(np.array([1.25]), p)), 4)  # 0.75 log 2 + 0.25 log 4
    0.8664
    >>> loss.mean(p)
    array([1.], dtype=float32)

    References:
        - Li et al. 2020, Generalized Focal Loss, https://arxiv.org/abs/2006.04388
    """

    card = Card(
        family="detection",
        formula="-(i + 1 - y) log S_i - (y - i) log S_{i+1}, i <= y <= i + 1",
        paper="Li 2020, 2006.04388",
        labels="numbers from 0 to bins - 1",
        predictions="logits or probabilities of the bins",
        use="distances to the sides of a box, whose uncertainty the model should show",
        avoid="numbers beyond a known range; targets whose noise spans many bins, where likelihoods fit",
        elicits="class probability",
        elicits_note="of the bins, where each label is shared between two; their mean is that of the labels",
        gradient_bound="1 per logit",
    )

    bins: int = parameter(within="[2, inf)", integer=True)
    from_logits: bool = flag(default=False, kw_only=True)

    def mean(self, y_pred: Any) -> Any:
        """Mean of each predicted distribution, `(...)`: a tensor for a tensor, else an array."""

        def of_bins(outputs: Tensor) -> Tensor:
            self._check_bins(outputs)
            p = ops.softmax(outputs, axis=-1) if self.from_logits else outputs
            return ops.sum(p * self._bins(), axis=-1)

        return self._apply_to_predictions(y_pred, of_bins)

    def align(self, y_true: Any, y_pred: Any) -> tuple[Tensor, Predictions]:
        if isinstance(y_pred, Predictions):
            return y_true, y_pred
        owner, y_true = type(self).__name__, self.convert(y_true)
        predictions = self.predictions(y_pred, self.from_logits, "softmax")
        true, pred = static_shape(owner, "y_true", y_true), static_shape(owner, "y_pred", predictions.values)
        self._check_bins(predictions.values, f"y_true of shape {true}, ")
        if agree(true, (*pred[:-1], 1)):
            y_true = ops.squeeze(y_true, -1)
        elif not agree(true, pred[:-1]):
            raise ValueError(
                f"`{owner}`: `y_true` must hold a number for each row of bins, of shape {pred[:-1]} or "
                f"{(*pred[:-1], 1)}. Received: y_true of shape {true}, y_pred of shape {pred}. End the model "
                f"with Reshape((..., {self.bins})), with a row for each number of the labels."
            )
        return pinned(y_true, predictions.values, len(pred) - 1), predictions

    def check(self, y_true: Tensor, y_pred: Predictions, wanted: np.ndarray | None) -> None:
        owner, y = type(self).__name__, wanted_values(y_true, wanted)
        wrong = ~((y >= 0) & (y <= self.bins - 1))
        if wrong.any():
            raise ValueError(
                f"`{owner}`: `y_true` must hold numbers in [0, {self.bins - 1}], in units of a bin. "
                f"Received: {y[wrong][0]:g}. Divide them by the width of a bin, clip them, or raise `bins`."
            )
        if not self.from_logits:
            p = wanted_values(y_pred.values, wanted)
            checks.check_probabilities(owner, p, y_pred.dtype)
            checks.check_distribution(owner, "y_pred", p, "For logits, pass from_logits=True.")

    def mark_invalid(self, y_true: Tensor, y_pred: Predictions) -> tuple[Tensor, Predictions]:
        y_true = nan_unless(between(y_true, 0.0, self.bins - 1.0), y_true)
        return y_true, y_pred if self.from_logits else y_pred.with_marks()

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        y, predictions = self.align(y_true, y_pred)
        y, bins = ops.expand_dims(y, -1), self._bins()
        # The share of y that bin i has: y - (i - 1) from the left, i + 1 - y from the right, 0 farther away.
        # Unlike 1 - |y - i|, this keeps the digits of a y just above a bin. The last bin needs no neighbour.
        share = ops.relu(numerics.minimum(y - (bins - 1.0), (bins + 1.0) - y))
        return predictions.expected(share)

    def _bins(self) -> Tensor:
        """Return the numbers of the bins, 0 .. bins-1."""
        return ops.arange(self.bins, dtype=self.compute_dtype)

    def _check_bins(self, outputs: Tensor, received: str = "") -> None:
        """Raise `ValueError` if the last axis of the predictions is not that of the bins."""
        owner = type(self).__name__
        pred = static_shape(owner, "y_pred", outputs)
        if len(pred) < 2 or pred[-1] not in (self.bins, None):
            raise ValueError(
                f"`{owner}`: `y_pred` must have an output for each of the {self.bins} bins in its last axis. "
                f"Received: {received}y_pred of shape {pred}, for a loss with bins={self.bins}. Reshape the "
                f"outputs to (..., {self.bins}), or change `bins`."
            )
