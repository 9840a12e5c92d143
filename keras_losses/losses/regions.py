"""The base of losses of regions: sums over the pixels of an image, for each class.

With labels t, probabilities p and pixel weights w, the sums of a class over an image are

    T = sum w t        the size of the labelled region
    P = sum w p        the size of the predicted region
    I = sum w t p      their intersection

The false positives P - I and the false negatives T - I are differences of these sums, which are exact to the
digits of the larger one. `exact_errors` sums them pixel by pixel, for formulas that magnify small errors.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from keras import ops

from keras_losses import numerics
from keras_losses.core import ClassProbabilityLoss, Labels, Predictions, flag
from keras_losses.core.labels import one_hot
from keras_losses.core.shapes import like_rank
from keras_losses.core.validity import fuses_elementwise, nan_unless
from keras_losses.numerics import Tensor


@dataclass(frozen=True)
class Regions:
    """The labels t and probabilities p of pixels `(batch, *space, C)`, and sums over the pixels of regions.

    Sums are `(batch, C)`, or `(1, C)` if the whole batch is one region.
    """

    t: Tensor
    p: Tensor
    weights: Tensor | None
    """The weights of pixels, `(batch, *space, 1)` or `(batch, *space, C)`; None if every weight is 1."""
    class_weights: Tensor | None
    whole_batch: bool
    received: tuple[Tensor, ...]
    """Those of t and p that were not computed from class ids or logits, so that they may be invalid."""
    gap: float
    """The distance from 1 to the next smaller number in the dtype of the predictions."""
    exclusive: bool
    """Whether the classes exclude one another."""
    complement: Callable[[], Tensor]
    """Computes 1 - p, exact where p is near 1."""
    log_odds: Callable[[], Tensor]
    """Computes log p - log(1 - p)."""

    def without_background(self) -> Regions:
        """Return the regions of all classes but the first."""
        weights, class_weights = self.weights, self.class_weights
        return replace(
            self,
            t=self.t[..., 1:],
            p=self.p[..., 1:],
            weights=weights if weights is None or weights.shape[-1] == 1 else weights[..., 1:],
            class_weights=None if class_weights is None else class_weights[1:],
            received=tuple(x[..., 1:] for x in self.received),
            complement=lambda: self.complement()[..., 1:],
            log_odds=lambda: self.log_odds()[..., 1:],
        )

    def sum(self, x: Tensor) -> Tensor:
        """Return the weighted sum over the pixels of each region."""
        if self.weights is not None:
            x = x * self.weights
        # One axis at a time: in one sum over several axes, TensorFlow loses digits on images.
        while len(x.shape) > 2:
            x = ops.sum(x, axis=-2)
        return ops.sum(x, axis=0, keepdims=True) if self.whole_batch else x

    def mean(self, x: Tensor) -> Tensor:
        """Return the weighted mean over the pixels of each region; 0 if no pixel counts."""
        return numerics.divide_no_nan(self.sum(x), self.sum(ops.ones_like(x)))

    def weighted(self, values: Tensor) -> Tensor:
        """Return the values of the classes, each multiplied by its class weight."""
        return values if self.class_weights is None else values * self.class_weights

    def mean_of_classes(self, values: Tensor) -> Tensor:
        """Return the mean over the classes, each multiplied by its class weight."""
        return numerics.mean(self.weighted(values))

    def marked(self, x: Tensor) -> Tensor:
        """Return numbers of pixels, with NaN where a label or probability is outside [0, 1].

        One such number makes the value of its image NaN, so each loss marks one of its sums. Adding the mark
        takes half the time of `where`.
        """
        if not self.received or not fuses_elementwise(x):
            return x
        lowest = functools.reduce(ops.minimum, self.received)
        highest = functools.reduce(ops.maximum, self.received)
        valid = ops.logical_and(lowest >= 0, highest <= 1.0 + 4.0 * self.gap)
        return x + nan_unless(valid, ops.zeros_like(x))

    def rows(self, x: Tensor) -> Tensor:
        """Return numbers of pixels as a row for each class of each region, `(batch, C, pixels)`."""
        x = ops.broadcast_to(x, ops.shape(self.t))
        classes = self.t.shape[-1]
        if self.whole_batch:
            return ops.expand_dims(ops.transpose(ops.reshape(x, (-1, classes))), 0)
        images, *space, _ = ops.shape(x)
        return ops.transpose(ops.reshape(x, (images, math.prod(space), classes)), (0, 2, 1))

    def spread(self, x: Tensor) -> Tensor:
        """Return numbers of regions `(batch, C)` with the axes of the pixels."""
        for _ in range(len(self.t.shape) - 2):
            x = ops.expand_dims(x, 1)
        return x

    @cached_property
    def counted(self) -> Tensor | None:
        """A mask of the pixels of weights other than 0, with the axes of the weights; None if all count."""
        return None if self.weights is None else ops.not_equal(self.weights, 0)

    @cached_property
    def labelled(self) -> Tensor:
        """T, the size of the labelled region."""
        return self.sum(self.t)

    @cached_property
    def predicted(self) -> Tensor:
        """P, the size of the predicted region."""
        return self.sum(self.p)

    @cached_property
    def intersection(self) -> Tensor:
        """I, the size of what both have in common."""
        return self.sum(self.marked(self.t * self.p))

    @cached_property
    def errors(self) -> Tensor:
        """FP + FN = T + P - 2 I."""
        # One sum of t + p, because a sum is a pass over memory. Rounding may make the difference negative.
        return numerics.maximum(self.sum(self.t + self.p) - 2.0 * self.intersection, 0.0)

    @cached_property
    def false_positives(self) -> Tensor:
        """P - I."""
        return numerics.maximum(self.predicted - self.intersection, 0.0)

    @cached_property
    def false_negatives(self) -> Tensor:
        """T - I."""
        return numerics.maximum(self.labelled - self.intersection, 0.0)

    def exact_errors(self) -> tuple[Tensor, Tensor]:
        """Return the false positives and the false negatives with all of their digits."""
        return self.sum(self.p * (1.0 - self.t)), self.sum(self.t * self.complement())


NOTHING = 2.0**-60
"""A ratio of smaller sizes counts as 0 / 0, because its gradient overflows."""


def share_of_errors(wrong: Tensor, right: Tensor) -> Tensor:
    """Return wrong / (wrong + right), which is 0 if both are 0."""
    empty = wrong + right < NOTHING
    wrong = ops.where(empty, ops.zeros_like(wrong), wrong)
    right = ops.where(empty, ops.ones_like(right), right)
    return numerics.fraction_of_sum(wrong, right)


def root_of_share(share: Tensor, exponent: float | Tensor, gap: float | None) -> Tensor:
    """Return share^exponent for an exponent that may be below 1.

    Probabilities cannot tell errors below the gap of their dtype apart, and the slope of a root overflows
    there. So the root goes on as a line below this gap; None stands for predictions that are logits.
    """
    if gap is None:
        return numerics.power(share, exponent)
    line = numerics.minimum(share / gap, 1.0)
    return line * numerics.power(numerics.maximum(share, gap), exponent)


class RegionLoss(ClassProbabilityLoss):
    """Base of the losses with one value for each image, from the regions of its classes.

    A subclass defines `of_classes(regions)`, the value of each class `(batch, C)`. The value of an image is
    their mean.

    Weights `(batch,)` multiply the values of images. Weights `(batch, *space)` weigh the pixels in the sums,
    and do not change the weight of the image. Masked pixels are left out, and so are those labelled
    `ignore_class` and those of weight 0.

    Predictions without space, `(batch, C)`, are images of one pixel. If they are the pixels of one image or
    the samples of one data set, pass `batch=True`.

    Args:
        include_background: whether the first class counts. With one output, which is the foreground, this
            has no effect.
        batch: whether the batch is one region, rather than each image. All images then have the same value,
            and their weights weigh their pixels. Each replica has its own region.
    """

    include_background: bool = flag(default=True, kw_only=True)
    batch: bool = flag(default=False, kw_only=True)

    @property
    def pools_pixels(self) -> bool:
        return True

    @property
    def pools_batch(self) -> bool:
        return self.batch

    def of_classes(self, regions: Regions) -> Tensor:
        """Return the value of each class, `(batch, C)`."""
        raise NotImplementedError

    def of_images(self, regions: Regions) -> Tensor:
        """Return the value of each image, `(batch,)`."""
        return regions.mean_of_classes(self.of_classes(regions))

    def mark_invalid(self, y_true: Labels, y_pred: Predictions) -> tuple[Labels, Predictions]:
        # `Regions.marked` marks the other encodings.
        return y_true.with_marks() if y_true.encoding == "sparse" else y_true, y_pred

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        labels, predictions = self.align(y_true, y_pred)
        values = self.of_predictions(self._regions(labels, predictions), predictions)
        return ops.broadcast_to(values, ops.shape(predictions.values)[:1]) if self.batch else values

    def of_predictions(self, regions: Regions, predictions: Predictions) -> Tensor:
        """Return the value of each image; a loss of pixels as well as of regions reads the predictions."""
        return self.of_images(regions)

    def _regions(self, labels: Labels, predictions: Predictions) -> Regions:
        exclusive = labels.encoding != "binary"
        t = one_hot(labels, self.compute_dtype) if exclusive else labels.values
        p, complement = self._probabilities(predictions.values, exclusive)
        weights, class_weights = pixel_weights_of(labels, t), None
        if self.class_weight is not None:
            class_weights = self._class_vector("class_weight", max(labels.classes, 2))
            class_weights = class_weights[-labels.classes :]
        received = [] if labels.encoding == "sparse" else [t]
        if not self.from_logits:
            received.append(p)
        regions = Regions(
            t=t,
            p=p,
            weights=weights,
            class_weights=class_weights,
            whole_batch=self.batch,
            received=tuple(received),
            gap=float(numerics.GAP_BELOW_ONE[predictions.dtype]),
            exclusive=exclusive,
            complement=complement,
            log_odds=lambda: predictions.as_logits(of_outputs=True),
        )
        has_background = labels.classes > 1
        return regions if self.include_background or not has_background else regions.without_background()

    def _probabilities(self, z: Tensor, exclusive: bool) -> tuple[Tensor, Callable[[], Tensor]]:
        """Return p, and a function that computes 1 - p without a loss of digits."""
        if not self.from_logits:
            return z, lambda: 1.0 - z
        if not exclusive:
            return ops.sigmoid(z), lambda: ops.sigmoid(-z)
        p = ops.softmax(z, axis=-1)
        return p, lambda: numerics.sum_of_others(p)


def pixel_weights_of(labels: Labels, t: Tensor) -> Tensor | None:
    """Return the weights of pixels with the axes of t, 0 for ignored labels; None if every weight is 1."""
    weights = None if labels.weights is None else like_rank(labels.weights, len(t.shape))
    if labels.known is None:
        return weights
    known = ops.cast(like_rank(labels.known, len(t.shape)), t.dtype)
    return known if weights is None else known * weights
