"""Reduction of the values of samples to the loss: weights, masks and the divisor of means.

A sample is *counted* if it is in the divisor of means: it is not masked, and its label is not ignored. It is
*wanted* if it also adds to the loss: its weight is not 0. As in Keras, a mean counts a sample of weight 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import keras
from keras import ops

from keras_losses import numerics
from keras_losses.core.labels import Labels, Predictions
from keras_losses.core.shapes import Shape, like_rank, spread
from keras_losses.numerics import Tensor

REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none")


@dataclass(frozen=True)
class Samples:
    """Weights of the samples of a batch, and masks of the counted and the wanted ones; None means all."""

    weight: Tensor | None
    counted: Tensor | None
    wanted: Tensor | None

    def with_axes_of(self, values: Tensor, owner: str) -> Samples:
        """Return the same with the axes of the values, which may be fewer than those of the predictions."""
        rank = len(values.shape)
        return Samples(*(_with_rank(owner, x, rank) for x in (self.weight, self.counted, self.wanted)))

    @property
    def has_image_weights(self) -> bool:
        """Whether the weights belong to whole images `(batch, 1, ...)`, and not to their pixels."""
        return self.weight is not None and all(length == 1 for length in self.weight.shape[1:])

    def of_images(self) -> Samples:
        """Return the same without the weights of pixels, which are used within the images."""
        return self if self.has_image_weights else replace(self, weight=None)

    def of_pixels(self) -> Samples:
        """Return the same without the weights of images, which multiply their values."""
        return replace(self, weight=None) if self.has_image_weights else self


def prepare(
    owner: str, y_true: Any, sample_weight: Any, mask: Any, leading: Shape, compute_dtype: str
) -> Samples:
    """Return the samples of aligned labels, from the arguments of a loss and the mask of the predictions.

    Args:
        owner: the name of the loss, for error messages.
        y_true: the aligned labels.
        sample_weight: None, or weights `(batch,)` or of up to all `leading` axes.
        mask: None, or a mask of one of these shapes.
        leading: shape of the predictions without their last axis.
        compute_dtype: the dtype of the weights.
    """
    counted = both(_spread(owner, "mask", mask, leading, "bool"), known_samples(y_true))
    weight = _spread(owner, "sample_weight", sample_weight, leading, compute_dtype)
    wanted = both(counted, None if weight is None else ops.not_equal(weight, 0))
    return Samples(weight, counted, wanted)


def both(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    """Return where both masks are True; a mask that is None is True everywhere."""
    if a is None:
        return b
    return a if b is None else ops.logical_and(a, b)


def known_samples(truth: Any) -> Tensor | None:
    """Return which samples have a label that is not ignored, or None if all have."""
    if not isinstance(truth, Labels) or truth.known is None:
        return None
    return ops.any(truth.known, axis=-1) if truth.encoding == "binary" else truth.known


def blanked(x: Any, wanted: Tensor) -> Any:
    """Return zeros in place of unwanted samples: their NaNs reach neither the value nor the gradient."""
    if isinstance(x, Labels | Predictions):
        return x.map(lambda values: blanked(values, wanted))
    return ops.where(like_rank(wanted, len(x.shape)), x, ops.zeros_like(x))


def pooled_weights(like: Tensor, samples: Samples) -> Tensor:
    """Return the weight of each sample, 0 for those that are not wanted."""
    ones = ops.ones_like(like)
    weights = ones if samples.weight is None else ones * samples.weight
    return weights if samples.wanted is None else ops.where(samples.wanted, weights, ops.zeros_like(ones))


def pixel_weights(like: Tensor, samples: Samples, pools_batch: bool) -> Tensor | None:
    """Return the weight of each pixel, 0 for those that are not wanted; None if every weight is 1.

    Args:
        like: a tensor with a number for each pixel.
        samples: weights and masks, of images or of pixels.
        pools_batch: whether all images are one region, in which the weights of images weigh their pixels.
    """
    if not pools_batch:
        samples = samples.of_pixels()
    if samples.weight is None and samples.wanted is None:
        return None
    return pooled_weights(like, samples)


def divisor(
    values: Tensor, samples: Samples, reduction: str | None, terms_per_sample: Tensor | None = None
) -> Tensor:
    """Return the divisor of the sum of the values in a mean.

    Args:
        values: a value for each sample.
        samples: their weights and masks, with the axes of the values.
        reduction: one of the means of `REDUCTIONS`.
        terms_per_sample: number of terms summed into each sample's value; None if it is always 1.
    """
    by_weight = reduction == "mean_with_sample_weight" and samples.weight is not None
    if samples.counted is None and not by_weight and terms_per_sample is None:
        return ops.cast(ops.size(values), values.dtype)
    shares = ops.ones_like(values)
    if terms_per_sample is not None:
        shares = terms_per_sample
        if samples.wanted is not None:
            # Samples of weight 0 have lost their labels, because they were blanked: each counts as one term.
            shares = ops.where(samples.wanted, shares, ops.ones_like(values))
    if by_weight:
        shares = shares * samples.weight
    if samples.counted is not None:
        shares = ops.where(samples.counted, shares, ops.zeros_like(values))
    return ops.sum(shares)


def reduce(
    values: Tensor, samples: Samples, reduction: str | None, terms_per_sample: Tensor | None = None
) -> Tensor:
    """Return the values under one of Keras's reductions; see `divisor` for the arguments."""
    if samples.wanted is not None:
        values = ops.where(samples.wanted, values, ops.zeros_like(values))
    if samples.weight is not None:
        values = values * samples.weight
    if reduction in (None, "none"):
        return values
    total = numerics.sum_all(values)
    if reduction == "sum":
        return total
    count = divisor(values, samples, reduction, terms_per_sample)
    return numerics.divide_by_replicas(numerics.divide_no_nan(total, count))


def _spread(owner: str, name: str, x: Any, leading: Shape, dtype: str) -> Tensor | None:
    if x is None:
        return None
    return spread(owner, name, ops.cast(ops.convert_to_tensor(x), dtype), leading)


def _with_rank(owner: str, x: Tensor | None, rank: int) -> Tensor | None:
    """Return a weight or mask with `rank` axes."""
    if x is None:
        return None
    if len(x.shape) <= rank:
        return like_rank(x, rank)
    more = tuple(range(rank, len(x.shape)))
    if keras.backend.standardize_dtype(x.dtype) == "bool":
        return ops.any(x, axis=more)
    if any(x.shape[axis] != 1 for axis in more):
        raise ValueError(
            f"`{owner}`: `sample_weight` must have one value for each sample: the values of this loss have "
            f"{rank} axes. Received: sample_weight of shape {tuple(x.shape)}. Average it over the other axes."
        )
    for _ in more:
        x = ops.squeeze(x, -1)
    return x
