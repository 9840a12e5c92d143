"""Losses of contours: one value for each image, from distances to contours and from centre lines."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import numpy as np
from keras import ops

from keras_losses import numerics
from keras_losses.core import Card, Labels, Predictions, flag, parameter
from keras_losses.core.labels import classes_last, output_labels
from keras_losses.core.shapes import agree, static_shape
from keras_losses.losses.regions import RegionLoss, Regions, share_of_errors
from keras_losses.numerics import Tensor


def squares_across_contour(inside: Tensor, counted: Tensor | None, dtype: str) -> Tensor:
    """Return each pixel's squared distance to the nearest pixel on the other side of the contour.

    It is 1 or more, and infinite if the other side has no pixels.

    Args:
        inside: a mask `(batch, *space, C)`.
        counted: a mask of the pixels that belong to a side; None if all do.
        dtype: the dtype of the result.
    """
    sides = [inside, ops.logical_not(inside)]
    if counted is not None:
        sides = [ops.logical_and(side, counted) for side in sides]
    to_inside, to_outside = map(numerics.squared_distances, sides)
    return ops.cast(ops.where(inside, to_outside, to_inside), dtype)


class BoundaryLoss(RegionLoss):
    """Boundary loss, beside a loss of regions, for masks whose contours should be at the right place.

        loss = mean over classes and pixels of p d

    d is the signed distance of the pixel from the contour of the labels: negative inside of the class and
    positive outside, as in `keras_losses.signed_distances`. So a false pixel costs more, the farther it is
    from the labelled region. The loss is smallest, and negative, for the labelled mask itself. The paper adds
    it to a loss of regions, with a small weight that grows: `DiceLoss() + 0.01 * BoundaryLoss()`. Alone it
    leaves pixels at the contour undecided, whose distance is 0.

    `HausdorffLoss` also measures distances from the predicted contour, in every step.

    Distances are computed from the labels in each step: by SciPy in eager mode on a CPU if it is installed,
    elsewhere by comparing all pixels of each line. The pipeline of data can compute them before, with
    `signed_distances`.

    Args:
        distance_maps: whether `y_true` are the distances that `signed_distances` made of masks, of the shape
            of `y_pred`. Any numbers are taken. Pass `ignore_class` to `signed_distances` then.

    Other arguments, shapes and errors: see `keras_losses.losses.regions.RegionLoss` and
    `keras_losses.DiceLoss`. Soft labels are cut at 0.5. Pixels that do not count belong to neither side of a
    contour.

    Example:

    >>> import numpy as np
    >>> from keras_losses import BoundaryLoss
    >>> y_true = np.array([[[1.0], [1.0], [0.0], [0.0]]])  # distances -1, 0, 1, 2
    >>> y_pred = np.array([[[1.0], [0.5], [0.0], [0.5]]])
    >>> float(BoundaryLoss()(y_true, y_pred))  # (1 * -1 + 0.5 * 2) / 4
    0.0

    References:
        - Kervadec et al. 2019, Boundary loss for highly unbalanced segmentation,
          https://arxiv.org/abs/1812.07032
    """

    card = Card(
        family="contour",
        formula="p d, mean over classes and pixels; d the signed distance from the contour of the labels",
        paper="Kervadec 2019, 1812.07032",
        labels="class ids, one-hot, soft or 0/1 masks; distance maps",
        predictions="logits or probabilities",
        use="segmentation that is scored by distances of contours, beside a loss of regions",
        avoid="used alone, or objects one or two pixels thin, whose inside has the distance 0",
        elicits="likeliest class",
        elicits_note="of images of one pixel; in larger ones, the pixels whose mean distance is negative",
        gradient_bound="|d| / N in a probability, for N pixels",
        conditioning="the digits of the largest distance: terms of both signs cancel",
        cost="distances of all pixels in each step, unless `distance_maps=True`",
    )

    distance_maps: bool = flag(default=False)

    def validate(self) -> None:
        if self.distance_maps and self.ignore_class is not None:
            raise ValueError(
                "`BoundaryLoss`: `ignore_class` must be None with distance_maps=True, since distances are no "
                f"labels. Received: ignore_class={self.ignore_class}. Pass it to signed_distances, and "
                "leave the pixels out by a mask or by weights of 0."
            )

    def align(self, y_true: Any, y_pred: Any) -> tuple[Labels, Predictions]:
        if not self.distance_maps or isinstance(y_true, Labels):
            return super().align(y_true, y_pred)
        owner, y_true = type(self).__name__, self.convert(y_true)
        exclusive = self._are_exclusive(static_shape(owner, "y_pred", ops.convert_to_tensor(y_pred)))
        predictions = self._predictions(y_pred, multi_class=exclusive)
        if len(predictions.values.shape) == 1:
            predictions = predictions.map(lambda x: ops.expand_dims(x, -1))
        else:
            y_true, predictions = classes_last(owner, y_true, predictions, self.axis)
        true, pred = (tuple(x.shape) for x in (y_true, predictions.values))
        if not agree(true, pred) and not agree((*true, 1), pred):
            raise ValueError(
                f"`{owner}`: with distance_maps=True `y_true` must hold a distance for each output, as "
                f"signed_distances returns them. Received: y_true of shape {true}, y_pred of shape {pred}. "
                "For masks, pass distance_maps=False."
            )
        maps = output_labels(owner, y_true, predictions.values, None)
        return replace(maps, encoding="dense" if exclusive else "binary"), predictions

    def check(self, y_true: Labels, y_pred: Predictions, wanted: np.ndarray | None) -> None:
        if self.distance_maps:
            self._check_predictions(y_true, y_pred, wanted)
        else:
            super().check(y_true, y_pred, wanted)

    def of_classes(self, regions: Regions) -> Tensor:
        if self.distance_maps:  # which may be any numbers
            regions = replace(regions, received=regions.received[1:])
            return regions.mean(regions.marked(regions.p * regions.t))
        return regions.mean(regions.marked(regions.p * self._distances(regions)))

    def _distances(self, regions: Regions) -> Tensor:
        inside = regions.t > 0.5
        squares = squares_across_contour(inside, regions.counted, self.compute_dtype)
        without_contour, ones = ops.isinf(squares), ops.ones_like(squares)
        distances = ops.sqrt(ops.where(without_contour, ones, squares))
        within = ops.where(without_contour, -ones, 1.0 - distances)
        # Labels that are no class ids are NaN here, and must stay NaN.
        return ops.where(ops.isnan(regions.t), regions.t, ops.where(inside, within, distances))


class HausdorffLoss(RegionLoss):
    """Hausdorff loss, for masks whose worst error should be near the contour.

        loss = mean over classes and pixels of (p - t)^2 (d_t^alpha + d_p^alpha)

    d_t and d_p are distances across the contours of the labels and of the prediction p > 0.5: that of a pixel
    inside to the nearest one outside, and the reverse. They are constant in the gradient. A mask without a
    contour, empty or all of the image, has the distance 1 everywhere. So an empty mask that is predicted
    empty costs nothing, and each pixel that is predicted nevertheless does. In the code of MONAI the distance
    is then 0, and a mask that is entirely wrong costs nothing.

    The Hausdorff distance itself depends on one pixel, and so does its gradient. This estimate learns from
    all wrong pixels. The paper adds it to `DiceLoss`, with weights that make both equally large. Distances
    are computed in each step, as in `BoundaryLoss`.

    Args:
        alpha: exponent of the distances, in (0, inf). The larger it is, the more the farthest errors count.
            The paper recommends 1 to 3.

    Other arguments, shapes and errors: see `keras_losses.losses.regions.RegionLoss` and
    `keras_losses.DiceLoss`. Soft labels are cut at 0.5 for their contour. Pixels that do not count belong to
    neither side of a contour.

    Example:

    >>> import numpy as np
    >>> from keras_losses import HausdorffLoss
    >>> y_true = np.array([[[1.0], [0.0], [0.0], [0.0]]])  # distances 1, 1, 2, 3
    >>> y_pred = np.array([[[1.0], [1.0], [0.0], [0.5]]])  # distances 2, 1, 1, 2
    >>> float(HausdorffLoss()(y_true, y_pred))  # (1 * (1 + 1) + 0.25 * (9 + 4)) / 4
    1.3125

    References:
        - Karimi & Salcudean 2019, Reducing the Hausdorff distance in medical image segmentation with
          convolutional neural networks, https://arxiv.org/abs/1904.10030
    """

    card = Card(
        family="contour",
        formula="(p - t)^2 (d_t^alpha + d_p^alpha), mean over classes and pixels",
        paper="Karimi & Salcudean 2019, 1904.10030",
        labels="class ids, one-hot, soft or 0/1 masks",
        predictions="logits or probabilities",
        use="segmentation that is scored by the Hausdorff distance, beside a loss of regions",
        avoid="labels with errors far from the objects, which then cost most",
        elicits="class probability",
        elicits_note="of images of one pixel; in larger ones, weighted by the distances",
        gradient_bound="2 (d_t^alpha + d_p^alpha) / N in a probability, for N pixels",
        cost="distances of all pixels from two contours in each step",
    )

    alpha: float = parameter(default=2.0, within="(0, inf)")

    def of_classes(self, regions: Regions) -> Tensor:
        t, p = regions.t, regions.p
        errors = p * (1.0 - t) - regions.complement() * t  # p - t, with the digits of small errors
        weights = self._power(regions, t) + self._power(regions, p)
        return regions.mean(regions.marked(ops.square(errors) * weights))

    def _power(self, regions: Regions, mask: Tensor) -> Tensor:
        """Return the distances across the contour of a mask, to the power alpha."""
        squares = squares_across_contour(mask > 0.5, regions.counted, self.compute_dtype)
        squares = ops.where(ops.isinf(squares), ops.ones_like(squares), squares)
        return numerics.power(squares, 0.5 * self.alpha)


class CenterlineDiceLoss(RegionLoss):
    """Centre-line Dice loss (clDice), for masks of vessels, roads and other lines that must not break.

        precision  = (sum s_p t + smooth) / (sum s_p + smooth)
        sensitivity = (sum s_t p + smooth) / (sum s_t + smooth)
        loss = mean over classes of 1 - 2 precision sensitivity / (precision + sensitivity)

    s_t and s_p are the soft skeletons of labels and prediction: centre lines, found by `iterations` rounds of
    minima and maxima over neighbours. A gap in a thin line costs as much as one in a thick line. The paper
    adds it to the Dice loss, `DiceLoss() + CenterlineDiceLoss()`, because skeletons do not know how thick
    their lines are. An empty mask that is predicted empty costs nothing. A region without a line in it, such
    as an image that is predicted as a whole, has no skeleton and costs nothing either.

    The background of exclusive classes has a skeleton too: pass `include_background=False`.

    Args:
        iterations: number of rounds, from 1 up. It should be the largest radius of a line in pixels; lines
            that are thicker have no skeleton.
        smooth: number of pixels added to both sides of the ratios, in (0, inf).

    Other arguments, shapes and errors: see `keras_losses.losses.regions.RegionLoss` and
    `keras_losses.DiceLoss`. The space may have one, two or three axes. In images without space the skeleton
    is the mask itself.

    Example:

    >>> import numpy as np
    >>> from keras_losses import CenterlineDiceLoss
    >>> y_true = np.zeros((1, 5, 5, 1))
    >>> y_true[:, 1:4] = 1  # a line of the width 3, whose centre line is the row 2
    >>> y_pred = np.zeros((1, 5, 5, 1))
    >>> y_pred[:, 2, :2] = 1  # a part of the centre line
    >>> # precision (2 + 1) / (2 + 1), sensitivity (2 + 1) / (5 + 1): 1 - 2 * 0.5 / 1.5
    >>> round(float(CenterlineDiceLoss()(y_true, y_pred)), 4)
    0.3333

    References:
        - Shit et al. 2021, clDice: a novel topology-preserving loss function for tubular structure
          segmentation, https://arxiv.org/abs/2003.07311
    """

    card = Card(
        family="contour",
        formula="1 - 2 precision sensitivity / (precision + sensitivity) of skeletons, mean over classes",
        paper="Shit 2021, 2003.07311",
        labels="class ids, one-hot, soft or 0/1 masks",
        predictions="logits or probabilities",
        use="vessels, roads and other lines whose connections count, beside a loss of regions",
        avoid="objects that are no lines",
        elicits="overlapping region",
        elicits_note="of images of one pixel",
        gradient_bound="of the order of the number of pixels near a pixel, over smooth, in a probability",
        conditioning="with softmax outputs, a value is exact to 1e-7, not to its own digits",
        cost="minima and maxima over neighbours, two for each axis and round",
    )

    iterations: int = parameter(default=3, within="[1, inf)", integer=True)
    smooth: float = parameter(default=1.0, within="(0, inf)")

    def of_classes(self, regions: Regions) -> Tensor:
        t, p = regions.t, regions.p
        of_labels = soft_skeleton(t, self.iterations, regions.counted)
        of_prediction = soft_skeleton(p, self.iterations, regions.counted)
        false = regions.sum(of_prediction * (1.0 - t))
        true = regions.sum(regions.marked(of_prediction * t)) + self.smooth
        missed = regions.sum(of_labels * regions.complement())
        met = regions.sum(of_labels * p) + self.smooth
        # 1 / precision = 1 + false / true, 1 / sensitivity = 1 + missed / met.
        return share_of_errors(false / true + missed / met, 2.0 * ops.ones_like(true))


def soft_skeleton(x: Tensor, iterations: int, counted: Tensor | None) -> Tensor:
    """Return what `iterations` rounds of erosion, each followed by an opening, leave of centre lines.

    Pixels that do not count are left out of minima and maxima, as those outside of the image are.

    Args:
        x: probabilities `(batch, *space, C)`.
        iterations: the number of rounds.
        counted: a mask of the pixels that count; None if all do.
    """
    axes = range(1, len(x.shape) - 1)
    if not axes:
        return x

    def eroded(x: Tensor) -> Tensor:
        """Return the smallest of each pixel and its neighbours along the axes, without the diagonal ones."""
        x = x if counted is None else ops.where(counted, x, ops.ones_like(x))
        lines = [-numerics.largest_of_neighbours(-x, axis) for axis in axes]
        return functools.reduce(numerics.minimum, lines)

    def dilated(x: Tensor) -> Tensor:
        """Return the largest of each pixel and all of its neighbours."""
        x = x if counted is None else ops.where(counted, x, ops.zeros_like(x))
        return functools.reduce(numerics.largest_of_neighbours, axes, x)

    thinner = eroded(x)
    skeleton = ops.relu(x - dilated(thinner))
    for _ in range(iterations):
        x, thinner = thinner, eroded(thinner)
        skeleton = skeleton + ops.relu(x - dilated(thinner)) * (1.0 - skeleton)
    return skeleton
