"""Losses of heatmaps, whose peaks are the centres of objects or keypoints."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_losses import numerics
from keras_losses.core import Card, ClassProbabilityLoss, parameter
from keras_losses.losses.regions import pixel_weights_of
from keras_losses.numerics import Tensor


class HeatmapFocalLoss(ClassProbabilityLoss):
    """Penalty-reduced focal loss of CornerNet and CenterNet, for heatmaps whose peaks are objects.

        loss = sum of v / number of peaks
        v = -(1 - p)^alpha log p where y = 1, -(1 - y)^beta p^alpha log(1 - p) elsewhere

    The labels are 1 at the centre of each object and fall off around it, as a Gaussian does. A false positive
    close to a peak costs less. In an image without a peak the sum is divided by 1. With labels of 0 and 1
    alone, `FocalLoss` has the same terms, but its mean is over all pixels, of which few are peaks.
    `AdaptiveWingLoss` fits the shape of a heatmap that has no probabilities.

    Args:
        alpha: exponent of the focal factor, in [0, inf).
        beta: exponent of the reduction around peaks, in [0, inf); 0 reduces nothing.

    Other arguments: see `keras_losses.core.ClassProbabilityLoss`. The outputs are separate probabilities; a
    sample ignores the outputs whose label is `ignore_class`, such as -1.

    Weights `(batch,)` multiply the values of images. Weights `(batch, *space)` multiply the terms of pixels
    and their peaks in the number of peaks. Masked pixels are left out.

    Shapes: `y_true` and `y_pred` `(batch, *space, C)`. With `reduction="none"` the result is `(batch,)`.

    Raises:
        ValueError: for an argument outside its range, shapes that do not match and, in eager mode, labels or
            probabilities outside [0, 1].

    Example:

    >>> import numpy as np
    >>> from keras_losses import HeatmapFocalLoss
    >>> y_true, y_pred = np.array([[[1.0], [0.5]]]), np.array([[[0.5], [0.5]]])
    >>> round(float(HeatmapFocalLoss()(y_true, y_pred)), 4)  # (0.5^2 + 0.5^4 * 0.5^2) log 2
    0.1841

    References:
        - Law & Deng 2018, CornerNet: Detecting Objects as Paired Keypoints, https://arxiv.org/abs/1808.01244
        - Zhou et al. 2019, Objects as Points, https://arxiv.org/abs/1904.07850
    """

    card = Card(
        family="heatmap",
        formula="sum of -(1-p)^alpha log p at peaks and -(1-y)^beta p^alpha log(1-p) elsewhere / peaks",
        paper="Law & Deng 2018, 1808.01244",
        labels="numbers from 0 to 1, 1 at peaks",
        predictions="logits or probabilities",
        use="detectors of centres and keypoints",
        avoid="labels never reach 1 exactly, for example after a resize: there is no peak then",
        elicits="order of probabilities",
        elicits_note="a peak is predicted where the label is 1 often enough",
        gradient_bound="the number of pixels, in a logit",
        cost="powers of p, 1 - p and 1 - y for each output",
    )

    alpha: float = parameter(default=2.0, within="[0, inf)", live=True)
    beta: float = parameter(default=4.0, within="[0, inf)", live=True)
    multi_label = True

    @property
    def pools_pixels(self) -> bool:
        return True

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        labels, predictions = self.align(y_true, y_pred)
        one, zero = predictions.of_outputs()
        y = labels.values
        at_peak = numerics.power(one.complement, self.alpha) * one.value
        elsewhere = (
            numerics.power(1.0 - y, self.beta) * numerics.power(zero.complement, self.alpha) * zero.value
        )
        is_peak = ops.equal(y, 1.0)
        values, peaks = ops.where(is_peak, at_peak, elsewhere), ops.cast(is_peak, y.dtype)
        if self.class_weight is not None:
            values = values * self._class_weights(labels)
        weights = pixel_weights_of(labels, y)
        if weights is not None:
            values, peaks = values * weights, peaks * weights
        values, peaks = numerics.sum_of_samples(values), numerics.sum_of_samples(peaks)
        return values / ops.where(peaks > 0, peaks, ops.ones_like(peaks))
