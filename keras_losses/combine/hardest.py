"""The mean of the largest values of another loss: hard examples and hard pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from keras_losses import numerics
from keras_losses.combine.around import AroundLoss
from keras_losses.core import Card, Identity, flag, parameter
from keras_losses.core.reduction import Samples, pooled_weights
from keras_losses.numerics import Tensor


class HardestLoss(AroundLoss):
    """The mean of the largest share of another loss's values, so that easy pixels or samples do not count.

        loss = (sum of the largest values, a share of all weights) / (share * sum of the weights)

    If the inner loss has a value for each pixel, or each time step, the largest are chosen within each image,
    and the loss has one value for each image. If it has one value for each sample, they are chosen within the
    batch, and the values of the other samples are 0. Of n values with equal weights, the largest share * n
    count. If this is not a whole number, the last one counts in part. Equal values at the threshold count in
    equal parts.

    The focal loss weights hard pixels more by a formula, which does not depend on the other pixels.

    Args:
        loss: The inner loss: a loss of this library or of Keras, the name of a loss of Keras, or a function
            `(y_true, y_pred)` that returns one value per sample. Its reduction is not used.
        share: The share of the values that count, in (0, 1].
        batch: Whether all values of the batch compete, rather than those of each image. They always do if the
            inner loss has one value for each sample. Each replica has its own batch.
        name, reduction, dtype: As in `keras_losses.core.Loss`.

    Weights `(batch,)` multiply the values of images. Other weights, and all weights where the batch competes,
    count in both sums, and not in the choice: a pixel of weight 2 is two equal pixels.

    Shapes: as the inner loss takes them. With `reduction="none"` the result is `(batch,)`, or with
    `batch=True` that of the inner loss.

    Raises:
        TypeError, ValueError: For an argument outside its domain, and if the inner loss raises.

    Example:

    >>> import numpy as np
    >>> from keras_losses import AbsoluteErrorLoss, HardestLoss
    >>> loss = HardestLoss(AbsoluteErrorLoss(), share=0.5)
    >>> float(loss(np.zeros((1, 4, 1)), np.array([[[1.0], [2.0], [6.0], [3.0]]])))  # (6 + 3) / 2
    4.5

    References:
        - Fan et al. 2017, Learning with Average Top-k Loss, https://arxiv.org/abs/1705.08826
        - Shrivastava et al. 2016, Training Region-based Object Detectors with Online Hard Example Mining,
          https://arxiv.org/abs/1604.03540
    """

    card = Card(
        family="composite",
        formula="mean of the largest share of the inner values",
        paper="Fan 2017, 1705.08826",
        labels="those of the inner loss",
        predictions="those of the inner loss",
        use="most pixels or samples are easy, such as background",
        avoid="labels may be wrong: wrong ones are the hardest",
        elicits="midpoint of extremes",
        elicits_note="for regression with a small share; with share = 1, as the inner loss",
        gradient_bound="the inner loss's / share",
        identities=(Identity({"share": 1.0, "batch": True}, "the inner loss"),),
        cost="sorting",
    )

    share: float = parameter(default=0.25, within="(0, 1]", live=True)
    batch: bool = flag(default=False)

    @property
    def pools_batch(self) -> bool:
        return True  # but for images; their number of axes is not known before a call

    def _unreduced(
        self, y_true: Any, y_pred: Any, sample_weight: Any
    ) -> tuple[Tensor, Samples, Tensor | None]:
        values, samples, _ = super()._unreduced(y_true, y_pred, sample_weight)
        share = self.share
        if self.batch or len(values.shape) == 1:
            chosen = _chosen(_row(values), _row(pooled_weights(values, samples)), share)
            return ops.reshape(chosen, ops.shape(values)) * values / share, samples, None
        weights = pooled_weights(values, samples.of_pixels())
        rows, weights = (ops.reshape(x, (ops.shape(x)[0], -1)) for x in (values, weights))
        chosen = weights * _chosen(rows, weights, share)
        total = share * ops.sum(weights, axis=-1)
        of_images = numerics.divide_no_nan(ops.sum(chosen * rows, axis=-1), total)
        return of_images, samples.of_images().with_axes_of(of_images, type(self).__name__), None


def _row(x: Tensor) -> Tensor:
    return ops.reshape(x, (1, -1))


def _chosen(values: Tensor, weights: Tensor, share: float | Tensor) -> Tensor:
    """Return the part of each value `(rows, n)` that is among the largest share of the weights of its row."""
    values, weights = ops.stop_gradient(values), ops.stop_gradient(weights)
    order = ops.argsort(-values, axis=-1)
    ordered, masses = (ops.take_along_axis(x, order, axis=-1) for x in (values, weights))
    wanted = share * ops.sum(weights, axis=-1, keepdims=True)
    # Rounding of the cumulative sum may move the threshold to a neighbour, but not the sums below.
    reached = numerics.running_sum(masses) >= wanted * (1.0 - 1e-6)
    threshold = numerics.max_last(ops.where(reached, ordered, numerics.full_like(ordered, -np.inf)))
    threshold = ops.expand_dims(threshold, -1)
    above, equal = (ops.cast(x, weights.dtype) for x in (values > threshold, ops.equal(values, threshold)))
    left = wanted - ops.sum(weights * above, axis=-1, keepdims=True)
    part = numerics.divide_no_nan(left, ops.sum(weights * equal, axis=-1, keepdims=True))
    return above + ops.clip(part, 0.0, 1.0) * equal
