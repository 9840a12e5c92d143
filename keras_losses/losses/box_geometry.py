"""Predicted boxes beside true ones: how their sides overlap, in every format of their coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from keras import ops

from keras_losses import numerics
from keras_losses.numerics import Tensor

BOX_FORMATS = (
    "xyxy",
    "yxyx",
    "xywh",
    "center_xywh",
    "center_yxhw",
    "rel_xyxy",
    "rel_yxyx",
    "rel_xywh",
    "rel_center_xywh",
)
"""Keras's names of the formats. `rel_` coordinates are divided by the width and the height of the image."""


def sides(boxes: Tensor, box_format: str) -> Tensor:
    """Return the sides of boxes along the two axes `(..., 2)`; they are negative if corners are swapped."""
    first, second = boxes[..., :2], boxes[..., 2:]
    return second if box_format.endswith(("xywh", "yxhw")) else second - first


def edges(boxes: Tensor, box_format: str) -> tuple[Tensor, Tensor]:
    """Return the lower and the upper edges of boxes along the two axes, each `(..., 2)`."""
    first, second = boxes[..., :2], boxes[..., 2:]
    if "center" in box_format:
        return first - 0.5 * second, first + 0.5 * second
    return first, first + second if box_format.endswith("xywh") else second


@dataclass(frozen=True)
class BoxPairs:
    """Predicted and true boxes, compared along each of their two axes. All tensors are `(..., 2)`.

    Edges are functions of the differences of coordinates, which are exact for boxes that are close together,
    wherever they are in the image.
    """

    predicted: Tensor
    """Sides of the predicted boxes, 0 or more."""
    true: Tensor
    """Sides of the true boxes."""
    lower: Tensor
    """Lower edges of the predicted boxes minus those of the true ones."""
    upper: Tensor
    """Upper edges of the predicted boxes minus those of the true ones."""

    @classmethod
    def of(
        cls, y_true: Tensor, y_pred: Tensor, box_format: str, image_shape: Sequence[float] | None
    ) -> BoxPairs:
        """Return the pairs of aligned boxes; the corners of a prediction may be swapped.

        With `image_shape`, the height and the width of the images, relative coordinates become pixels.
        """
        predicted, true = sides(y_pred, box_format), sides(y_true, box_format)
        # The edges of a difference are the differences of the edges.
        lower, upper = edges(y_pred - y_true, box_format)
        swapped = ops.where(predicted < 0, predicted, ops.zeros_like(predicted))
        pairs = predicted - 2.0 * swapped, true, lower + swapped, upper - swapped
        if image_shape is None:
            return cls(*pairs)
        vertical_first = box_format.endswith(("yxyx", "yxhw"))
        pixels = np.asarray(image_shape if vertical_first else image_shape[::-1])
        return cls(*(x * ops.convert_to_tensor(pixels, x.dtype) for x in pairs))

    @property
    def offset(self) -> Tensor:
        """Centres of the predicted boxes minus those of the true ones."""
        return 0.5 * (self.lower + self.upper)

    @property
    def growth(self) -> Tensor:
        """Sides of the predicted boxes minus those of the true ones."""
        return self.upper - self.lower

    @cached_property
    def beyond(self) -> Tensor:
        """How far the predicted boxes stick out of the true ones, both edges together."""
        return _positive(self.upper) + _positive(-self.lower)

    @cached_property
    def enclosing(self) -> Tensor:
        """Sides of the smallest boxes around both."""
        return self.true + self.beyond

    @cached_property
    def areas(self) -> Areas:
        """The areas into which the pairs divide the smallest boxes around both."""
        missing = _positive(-self.upper) + _positive(self.lower)
        # Both differences are the overlap. That of the shorter sides has the smaller rounding error.
        overlap = ops.where(self.predicted < self.true, self.predicted - self.beyond, self.true - missing)
        zeros, (length, is_zero) = ops.zeros_like(overlap), _divisor(self.enclosing)
        # Where boxes touch, slopes are those of boxes that overlap; a side of length 0 never does.
        meet = ops.logical_or(overlap > 0, ops.logical_and(ops.equal(overlap, 0), self.true > 0))

        def part(x: Tensor, of_zero: Tensor) -> Tensor:
            return ops.where(is_zero, of_zero, x / length)

        return Areas.of(
            # Sides of length 0 in one place overlap entirely, so that a perfect prediction is perfect.
            shared=part(ops.where(meet, overlap, zeros), ops.ones_like(overlap)),
            predicted=part(ops.where(meet, self.beyond, self.predicted), zeros),
            true=part(ops.where(meet, missing, self.true), zeros),
            gap=part(ops.where(meet, zeros, -overlap), zeros),
        )


@dataclass(frozen=True)
class Areas:
    """Areas in the smallest boxes around pairs of boxes, whose own areas are 1; all tensors are `(...)`.

    Each is a sum of areas of rectangles, so no digits cancel and the area of a small error is exact.
    """

    intersection: Tensor
    outside: Tensor
    """Area in one of the boxes and not in the other."""
    empty: Tensor
    """Area in neither of the boxes."""

    @classmethod
    def of(cls, *, shared: Tensor, predicted: Tensor, true: Tensor, gap: Tensor) -> Areas:
        """Return the areas from the parts of the enclosing boxes' sides, which are `(..., 2)`.

        Along an axis `shared` is in both boxes, `predicted` and `true` are in one of them alone, and `gap`
        lies between boxes that do not meet.
        """
        (shared_x, shared_y), (true_x, true_y) = _axes(shared), _axes(true)
        (predicted_x, predicted_y), (gap_x, gap_y) = _axes(predicted), _axes(gap)
        of_predicted = predicted_x * (shared_y + predicted_y) + shared_x * predicted_y
        of_true = true_x * (shared_y + true_y) + shared_x * true_y
        covered_x = shared_x + predicted_x + true_x
        enclosing_y = shared_y + predicted_y + true_y + gap_y
        corners = predicted_x * true_y + true_x * predicted_y
        return cls(
            intersection=shared_x * shared_y,
            outside=of_predicted + of_true,
            empty=corners + gap_x * enclosing_y + covered_x * gap_y,
        )

    def one_minus_iou(self) -> Tensor:
        """Return the share of the union that is not in both boxes: 1 minus the intersection over union."""
        union, is_zero = _divisor(self.outside + self.intersection)
        share = numerics.fraction_of_sum(self.outside / union, self.intersection / union)
        return ops.where(is_zero, ops.ones_like(share), share)

    def empty_share(self) -> Tensor:
        """Return the share of the smallest boxes around both that is in neither of them."""
        return numerics.fraction_of_sum(self.empty, self.outside + self.intersection)


def ratio(part: Tensor, whole: Tensor) -> Tensor:
    """Return part / whole for |part| <= whole, or 0 where whole is 0, with a gradient without overflow."""
    scale, is_zero = _divisor(whole)
    quotient = (part / scale) / ops.where(is_zero, ops.ones_like(whole), whole / scale)
    return ops.where(is_zero, ops.zeros_like(quotient), quotient)


def over_longest(x: Tensor, longest: Tensor) -> Tensor:
    """Return x `(..., 2)` divided by the longer side of `longest`, held constant; by 1 if that is 0."""
    return x / _divisor(ops.expand_dims(numerics.max_last(longest), -1))[0]


def _divisor(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return x >= 0 as a constant, with 1 where it is 0, and where that is.

    A number below the smallest normal one counts as 0, because its reciprocal overflows.
    """
    x = ops.stop_gradient(x)
    is_zero = x < numerics.smallest_normal(x)
    return ops.where(is_zero, ops.ones_like(x), x), is_zero


def _axes(x: Tensor) -> tuple[Tensor, Tensor]:
    return x[..., 0], x[..., 1]


def _positive(x: Tensor) -> Tensor:
    """Return max(x, 0) with slope 1/2 at 0: the slopes at a perfect prediction add up to exactly 0."""
    return ops.where(ops.equal(x, 0), 0.5 * x, ops.relu(x))
