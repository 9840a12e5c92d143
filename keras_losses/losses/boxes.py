"""Losses of bounding boxes, with one value for each box."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from keras import ops

from keras_losses import numerics
from keras_losses.core import Card, Loss, parameter, shapes, wanted_values
from keras_losses.core.checks import nonnegative_numbers
from keras_losses.core.validity import fuses_elementwise, nan_unless
from keras_losses.losses.box_geometry import BOX_FORMATS, BoxPairs, over_longest, ratio, sides
from keras_losses.numerics import Tensor


def _image_shape(value: Any) -> tuple[float, ...]:
    """Return a checked height and width."""
    numbers = tuple(nonnegative_numbers(value))
    if len(numbers) != 2 or 0 in numbers:
        raise ValueError
    return numbers


class IoULoss(Loss):
    """Intersection over union of predicted and true boxes and its generalizations, for object detectors.

        loss = 1 - IoU + penalty,   IoU = area of the intersection / area of the union

    The penalty pulls boxes together that do not overlap, where the IoU is 0 and has no gradient:

    | kind | penalty | paper |
    |---|---|---|
    | `"iou"` | 0 | Yu 2016 |
    | `"giou"` | share of the enclosing box that is in neither of the boxes | Rezatofighi 2019 |
    | `"diou"` | d = squared distance of the centres / squared diagonal of the enclosing box | Zheng 2019 |
    | `"ciou"` | d + alpha v, v = (2/pi (arctan(w/h) of the true box - of the predicted))^2 | Zheng 2019 |
    | `"eiou"` | d + (difference of the widths / enclosing width)^2 + same of the heights | Zhang 2021 |
    | `"siou"` | (distance cost + shape cost) / 2; the distance depends on its angle | Gevorgyan 2022 |

    The enclosing box is the smallest one around both. alpha = v / (1 - IoU + v) is held constant in the
    gradient, as in the paper. The gradient of v is that of the formula; the code of the paper leaves out its
    factor 1 / (w^2 + h^2). The exponent of the shape cost is 4.

    A perfect prediction has the value 0, also of a box without width or height. Such boxes have an IoU of 0
    with all boxes that are not equally thin in the same place. The corners of a predicted box may be in any
    order, as in the paper of `"giou"`: a negative width or height counts as its absolute value. Boxes of any
    size at any distance have a finite value and gradient. `SmoothL1Loss` compares the coordinates themselves,
    so its value grows with the size of the box.

    Args:
        kind: the penalty, one of the names above.
        box_format: the meaning of the four coordinates, by Keras's names: `"xyxy"` (left, top, right,
            bottom), `"yxyx"`, `"xywh"` (left, top, width, height), `"center_xywh"`, `"center_yxhw"`, or
            `"rel_xyxy"`, `"rel_yxyx"`, `"rel_xywh"`, `"rel_center_xywh"` for coordinates divided by the width
            and the height of the image.
        image_shape: height and width of the images of a `rel_` format, or their ratio as `(1, ratio)`. All
            kinds but `"iou"` and `"giou"` compare widths with heights. They need it unless the images are
            square; otherwise they are those of relative coordinates.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., boxes, 4)`, or `(batch, 4)` for one box in each sample. With
    `reduction="none"` the result is `(..., boxes)`. `sample_weight` and masks may be `(batch, boxes)`; a
    weight of 0 takes padding out, whatever its coordinates are.

    Raises:
        ValueError: if an argument is outside its domain, the shapes differ, or the last axis is not of length
            4; in eager mode also for true boxes whose width or height is negative or not a number.

    Example:

    >>> import numpy as np
    >>> from keras_losses import IoULoss
    >>> y_true, y_pred = np.array([[0.0, 0.0, 2.0, 2.0]]), np.array([[1.0, 0.0, 3.0, 2.0]])
    >>> round(float(IoULoss(kind="iou")(y_true, y_pred)), 4)  # 1 - 2 / 6
    0.6667
    >>> float(IoULoss()(y_true, y_pred + [[3.0, 0.0, 3.0, 0.0]]))  # apart: 1 - 0 + 4 / 12
    1.3333333730697632

    References:
        - Yu et al. 2016, UnitBox, https://arxiv.org/abs/1608.01471
        - Rezatofighi et al. 2019, Generalized Intersection over Union, https://arxiv.org/abs/1902.09630
        - Zheng et al. 2019, Distance-IoU Loss, https://arxiv.org/abs/1911.08287
        - Zhang et al. 2021, Focal and Efficient IOU Loss, https://arxiv.org/abs/2101.08158
        - Gevorgyan 2022, SIoU Loss, https://arxiv.org/abs/2205.12740
    """

    card = Card(
        family="boxes",
        formula="1 - IoU + penalty of the kind",
        paper="Rezatofighi 2019, 1902.09630; Zheng 2019, 1911.08287; others in the docstring",
        labels="boxes whose widths and heights are 0 or more",
        predictions="boxes; the corners may be in any order",
        use="boxes of objects, large and small ones alike",
        avoid='boxes that do not overlap with kind="iou": they have no gradient',
        elicits="location near the median",
        elicits_note="of the coordinates: the box that overlaps most with the labels",
        gradient_bound="some multiple of 1 / (side of the true box); unbounded for sides of 0",
        cost="minima, maxima and ratios of areas, in forms that do not overflow or cancel",
    )

    kind: str = parameter(default="giou", choices=("iou", "giou", "diou", "ciou", "eiou", "siou"))
    box_format: str = parameter(default="xyxy", choices=BOX_FORMATS)
    image_shape: tuple[float, ...] | None = parameter(
        default=None, convert=_image_shape, domain="a height and a width above 0", optional=True
    )

    def validate(self) -> None:
        if self.image_shape is not None and not self.box_format.startswith("rel_"):
            raise ValueError(
                f"`{type(self).__name__}`: `image_shape` is for relative coordinates. Received: "
                f"image_shape={self.image_shape}, box_format={self.box_format!r}. Leave image_shape out, or "
                'pass the box_format that starts with "rel_".'
            )

    def align(self, y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
        owner, y_true, y_pred = type(self).__name__, self.convert(y_true), self.convert(y_pred)
        true = shapes.static_shape(owner, "y_true", y_true)
        pred = shapes.static_shape(owner, "y_pred", y_pred)
        if len(pred) < 2 or pred[-1] != 4 or not shapes.agree(true, pred):
            raise ValueError(
                f"`{owner}`: `y_true` and `y_pred` must have the same shape (..., boxes, 4). Received: "
                f"y_true of shape {true}, y_pred of shape {pred}. Pad the boxes of all images to the same "
                "number, with weights of 0, and end the model with 4 outputs for each box."
            )
        return shapes.pinned(y_true, y_pred, len(pred)), y_pred

    def check(self, y_true: Tensor, y_pred: Tensor, wanted: np.ndarray | None) -> None:
        boxes = wanted_values(y_true, wanted)
        wrong = ~(sides(boxes, self.box_format) >= 0).all(-1)
        if wrong.any():
            raise ValueError(
                f"`{type(self).__name__}`: boxes in `y_true` must have widths and heights of 0 or more. "
                f"Received: {boxes[wrong][0].tolist()} with box_format={self.box_format!r}. Pass the "
                "box_format of the labels, and give padding a weight of 0."
            )

    def mark_invalid(self, y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
        if not fuses_elementwise(y_true):
            return y_true, y_pred
        valid = sides(y_true, self.box_format) >= 0
        return nan_unless(ops.logical_and(valid[..., :1], valid[..., 1:]), y_true), y_pred

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        y_true, y_pred = self.align(y_true, y_pred)
        pairs = BoxPairs.of(y_true, y_pred, self.box_format, self.image_shape)
        one_minus_iou = pairs.areas.one_minus_iou()
        if self.kind == "iou":
            return one_minus_iou
        if self.kind == "giou":
            return one_minus_iou + pairs.areas.empty_share()
        if self.kind == "siou":
            return one_minus_iou + 0.5 * (_distance_cost(pairs) + _shape_cost(pairs))
        distant = one_minus_iou + _distance(pairs)
        if self.kind == "ciou":
            aspect = _aspect(pairs)
            alpha = numerics.fraction_of_sum(aspect, one_minus_iou)
            return distant + ops.stop_gradient(alpha) * aspect
        if self.kind == "eiou":
            return distant + _sum_of_squares(ratio(pairs.growth, pairs.enclosing))
        return distant


def _sum_of_squares(x: Tensor) -> Tensor:
    return ops.sum(ops.square(x), axis=-1)


def _distance(pairs: BoxPairs) -> Tensor:
    """Squared distance of the centres over the squared diagonal of the enclosing box."""
    offset, enclosing = (over_longest(x, pairs.enclosing) for x in (pairs.offset, pairs.enclosing))
    return numerics.divide_no_nan(_sum_of_squares(offset), _sum_of_squares(enclosing))


def _aspect(pairs: BoxPairs) -> Tensor:
    """Squared angle between the diagonals of the boxes, 1 for a right angle; 0 for a box without sides."""
    true = over_longest(pairs.true, pairs.true)
    predicted = over_longest(pairs.predicted, pairs.predicted)
    across = true[..., 0] * predicted[..., 1] - true[..., 1] * predicted[..., 0]
    along = ops.sum(true * predicted, axis=-1)
    without_angle = ops.logical_and(ops.equal(across, 0), ops.equal(along, 0))
    angle = numerics.arctan2(across, ops.where(without_angle, ops.ones_like(along), along))
    return ops.square((2.0 / math.pi) * angle)


def _distance_cost(pairs: BoxPairs) -> Tensor:
    """Sum over the axes of 1 - e^(-(2 - angle cost) (offset / side of the enclosing box)^2)."""
    legs = numerics.absolute(pairs.offset)
    legs = over_longest(legs, legs)
    # sin(2 arcsin(leg / hypotenuse)), which is 1 for centres that are apart along a diagonal.
    angle_cost = numerics.divide_no_nan(2.0 * legs[..., 0] * legs[..., 1], _sum_of_squares(legs))
    squares = ops.square(ratio(pairs.offset, pairs.enclosing))
    return ops.sum(numerics.one_minus_exp(ops.expand_dims(2.0 - angle_cost, -1) * squares), axis=-1)


def _shape_cost(pairs: BoxPairs) -> Tensor:
    """Sum over the axes of (1 - e^(-difference of the sides / larger side))^4."""
    larger = ops.where(pairs.predicted < pairs.true, pairs.true, pairs.predicted)
    difference = ratio(numerics.absolute(pairs.growth), larger)
    return _sum_of_squares(ops.square(numerics.one_minus_exp(difference)))
