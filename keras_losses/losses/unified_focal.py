"""A loss of pixels and a loss of regions with the same focus on the foreground."""

from __future__ import annotations

import numpy as np
from keras import ops

from keras_losses import numerics
from keras_losses.core import Card, Predictions, flag, parameter
from keras_losses.losses.regions import RegionLoss, Regions, root_of_share, share_of_errors
from keras_losses.numerics import Tensor


class UnifiedFocalLoss(RegionLoss):
    """Unified focal loss, a focal and a focal Tversky loss whose numbers are shared, for small foregrounds.

        loss = weight F + (1 - weight) T
        F = mean over pixels of -d_t (1 - p_t)^gamma log p_t
        T = mean over classes of (1 - (I + smooth) / (I + (1 - delta) FP + delta FN + smooth))^(1 - gamma)

    d is delta for foreground classes and 1 - delta for the background, which is the first class. With
    `asymmetric=True` only the background is suppressed in F (the foreground has no factor (1 - p_t)^gamma),
    and only the foreground has the exponent in T. An output with a probability of its own is a foreground
    whose complement is the background; the value is the mean over the outputs.

    `FocalLoss() + FocalTverskyLoss()` has two terms with numbers of their own, and shows both in the logs.

    The exponents are those of the paper's asymmetric form and of the authors' code, where a larger gamma
    suppresses more. The paper's symmetric form has gamma and 1 - gamma the other way round, which is the same
    for the default. In the authors' code `weight` multiplies T.

    Args:
        weight: share of the focal loss of pixels, in [0, 1]; the paper's lambda.
        delta: weight of the foreground and of its missed pixels, in [0, 1].
        gamma: suppression of easy pixels and enhancement of small regions, in [0, 0.8].
        asymmetric: whether the foreground keeps all of its focal loss, and the background its Tversky loss.
        smooth: number of pixels added to both sides of the ratio, in [0, inf).

    Other arguments, shapes and errors: see `keras_losses.losses.regions.RegionLoss` and
    `keras_losses.DiceLoss`.

    Example:

    >>> import numpy as np
    >>> from keras_losses import UnifiedFocalLoss
    >>> loss = UnifiedFocalLoss(gamma=0.0, smooth=0.0)
    >>> # F = 0.6 log 2, T = 1 - 0.5 / (0.5 + 0.6 * 0.5) for the foreground and 1 for the background
    >>> round(float(loss(np.array([[[1.0]]]), np.array([[[0.5]]]))), 4)
    0.5517

    References:
        - Yeung et al. 2021, Unified Focal loss, https://arxiv.org/abs/2102.04525
    """

    card = Card(
        family="region",
        formula="weight mean(-d_t (1 - p_t)^gamma log p_t) + (1 - weight) mean of (Tversky loss)^(1 - gamma)",
        paper="Yeung 2021, 2102.04525",
        labels="class ids, one-hot, soft or 0/1 masks",
        predictions="logits or probabilities",
        use="segmentation of small foregrounds, with few numbers to tune",
        avoid="the terms should be seen or weighted by themselves: FocalLoss() + FocalTverskyLoss()",
        elicits="likeliest class",
        elicits_note="of a constant, between the focal loss's and the region of best overlap",
        gradient_bound="unbounded for gamma > 0, at perfect overlap",
        conditioning="a root of the errors of a region has fewer digits where they are small",
        cost="a logarithm and a power of 1 - p for each class, and sums of both kinds of errors",
    )

    weight: float = parameter(default=0.5, within="[0, 1]", live=True)
    delta: float = parameter(default=0.6, within="[0, 1]", live=True)
    gamma: float = parameter(default=0.5, within="[0, 0.8]", live=True)
    asymmetric: bool = flag(default=False)
    smooth: float = parameter(default=1.0, within="[0, inf)")

    def of_predictions(self, regions: Regions, predictions: Predictions) -> Tensor:
        without = predictions.values.shape[-1] - regions.t.shape[-1]  # 1 if the background is left out
        of_classes = self._of_classes if regions.exclusive else self._of_outputs
        return of_classes(regions, predictions, without)

    def _of_classes(self, regions: Regions, predictions: Predictions, without: int) -> Tensor:
        """Return the value of each image for classes that exclude one another."""
        every = predictions.of_every_class()
        minus_log, rest = every.value[..., without:], every.complement[..., without:]
        background = self._background(regions, without)
        weight = self.delta + background * (1.0 - 2.0 * self.delta)
        factor = numerics.power(rest, self.gamma)
        if self.asymmetric:
            factor = ops.where(background > 0, factor, ops.ones_like(factor))
        focal = regions.mean(regions.marked(regions.t * weight * factor * minus_log))
        focal = ops.sum(regions.weighted(focal), axis=-1)
        tversky = self._tversky(regions, *regions.exact_errors(), regions.intersection, background)
        return self.weight * focal + (1.0 - self.weight) * regions.mean_of_classes(tversky)

    def _of_outputs(self, regions: Regions, predictions: Predictions, without: int) -> Tensor:
        """Return the value of each image for outputs that are probabilities of their own."""
        one, zero = predictions.of_outputs()
        p_of_one, p_of_zero = (x.complement[..., without:] for x in (zero, one))
        factor = 1.0 if self.asymmetric else numerics.power(p_of_zero, self.gamma)
        of_one = self.delta * factor * one.value[..., without:]
        of_zero = (1.0 - self.delta) * numerics.power(p_of_one, self.gamma) * zero.value[..., without:]
        t = regions.t
        focal = regions.mean(regions.marked(t * of_one + (1.0 - t) * of_zero))
        false, missed = regions.exact_errors()
        right = regions.sum((1.0 - t) * p_of_zero)
        none = ops.zeros_like(false)
        foreground = self._tversky(regions, false, missed, regions.intersection, none)
        background = self._tversky(regions, missed, false, right, none + 1.0)
        tversky = 0.5 * (foreground + background)
        return regions.mean_of_classes(self.weight * focal + (1.0 - self.weight) * tversky)

    def _background(self, regions: Regions, without: int) -> Tensor:
        """Return 1 for the background and 0 for other classes, as a vector."""
        classes = np.arange(without, without + regions.t.shape[-1])
        return self.convert(classes == 0)

    def _tversky(
        self, regions: Regions, false: Tensor, missed: Tensor, right: Tensor, background: Tensor
    ) -> Tensor:
        wrong = (1.0 - self.delta) * false + self.delta * missed
        share = share_of_errors(wrong, right + self.smooth)
        rooted = root_of_share(share, 1.0 - self.gamma, None if self.from_logits else regions.gap)
        return ops.where(background > 0, share, rooted) if self.asymmetric else rooted
