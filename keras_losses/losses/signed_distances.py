"""Signed distance maps of masks, for the pipeline of data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_losses.core.interval import is_real_number
from keras_losses.core.parameters import Parameter
from keras_losses.core.scipy import import_scipy

OWNER = "signed_distances"
CLASSES = Parameter(within="[2, inf)", integer=True, optional=True)


def signed_distances(
    masks: Any,
    num_classes: int | None = None,
    *,
    one_hot: bool = False,
    ignore_class: int | None = None,
    spacing: Sequence[float] | None = None,
) -> np.ndarray:
    """Return the signed Euclidean distance of each pixel from the contour of each class.

        outside of the class    d        d: the distance to the nearest pixel of the class
        inside the class        1 - d    d: the distance to the nearest pixel outside of it

    So pixels on either side of the contour have the distances 1 and 0, as in the authors' code. A class
    without a contour has the distance 1 everywhere in an image without the class, where the authors have 0,
    and -1 everywhere in an image that it fills. The first keeps a loss from predicting an absent class.

    `BoundaryLoss(distance_maps=True)` takes the result as `y_true`. `BoundaryLoss()` computes the same from
    masks in each step, which on a CPU takes longer. SciPy must be installed.

    Args:
        masks: an array or tensor whose first axis is the batch (for one image pass `mask[None]`). It holds
            0/1 masks of one output, `(batch, *space)` or `(batch, *space, 1)`. With `num_classes` it holds
            class ids of the same shape, with `one_hot=True` a mask for each class `(batch, *space, C)`. Soft
            masks are cut at 0.5.
        num_classes: the number of classes of class ids, 2 or more.
        one_hot: whether the last axis is that of the classes.
        ignore_class: the label of pixels that belong to neither side of a contour: distances are those to
            the nearest pixel with a label. The map is 0 there. Give them the weight 0 in the loss.
        spacing: the length of a pixel along each axis of the space, by default 1. The distance
            inside is then the shortest of these lengths less d.

    Returns:
        A float32 array `(batch, *space, C)`, with C = 1 for masks of one output.

    Raises:
        ImportError: if SciPy is not installed.
        ValueError: for labels that are no class ids or masks, and for arguments outside their range.

    Example:

    >>> import numpy as np
    >>> from keras_losses import signed_distances
    >>> signed_distances(np.array([[0, 0, 1, 1, 1]]))[0, :, 0].tolist()
    [2.0, 1.0, 0.0, -1.0, -2.0]
    >>> import tensorflow as tf
    >>> def with_distances(image, mask):
    ...     maps = tf.numpy_function(lambda ids: signed_distances(ids, num_classes=3), [mask], tf.float32)
    ...     return image, tf.ensure_shape(maps, (*mask.shape, 3))
    >>> data = tf.data.Dataset.from_tensor_slices((np.zeros((4, 8, 8, 1)), np.zeros((4, 8, 8), "int32")))
    >>> data.batch(2).map(with_distances).element_spec[1].shape
    TensorShape([None, 8, 8, 3])

    References:
        - Kervadec et al. 2019, Boundary loss for highly unbalanced segmentation,
          https://arxiv.org/abs/1812.07032
    """
    inside, known = _regions(np.asarray(masks), num_classes, one_hot, ignore_class)
    lengths = _spacing(spacing, inside.ndim - 2)
    maps = np.zeros(inside.shape, "float32")
    for image in range(inside.shape[0]):
        for channel in range(inside.shape[-1]):
            where = (image, ..., channel)
            maps[where] = _of_one(inside[where], known[where], lengths)
    return maps


def _of_one(inside: np.ndarray, known: np.ndarray, lengths: Sequence[float]) -> np.ndarray:
    """Return the map of one class in one image."""
    ndimage = import_scipy(OWNER, "distances", "scipy.ndimage")
    outside = known & ~inside
    unit = min(lengths)
    if not inside.any() or not outside.any():
        return np.where(known, np.where(inside, -unit, unit), 0.0)
    to_inside = ndimage.distance_transform_edt(~inside, sampling=lengths)
    to_outside = ndimage.distance_transform_edt(~outside, sampling=lengths)
    return np.where(known, np.where(inside, unit - to_outside, to_inside), 0.0)


def _regions(
    masks: np.ndarray, num_classes: int | None, one_hot: bool, ignore_class: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return which pixels are inside each class, and which have a label, both `(batch, *space, C)`."""
    CLASSES.check(OWNER, "num_classes", num_classes)
    if one_hot and num_classes is not None:
        raise ValueError(
            f"`{OWNER}`: `num_classes` must be None with one_hot=True, because the last axis has a mask for "
            f"each class. Received: num_classes={num_classes}. Leave one of them out."
        )
    if masks.ndim < 2 + one_hot:
        raise ValueError(
            f"`{OWNER}`: `masks` must have a batch axis and one axis of space or more"
            f"{', and the axis of the classes' if one_hot else ''}. Received: masks of shape {masks.shape}. "
            "For one image, pass mask[None]."
        )
    if not one_hot and (masks.ndim == 2 or masks.shape[-1] != 1):
        masks = masks[..., None]
    known = np.ones(masks.shape, bool) if ignore_class is None else masks != ignore_class
    valid = (masks >= 0) & (masks <= 1) if num_classes is None else np.isin(masks, np.arange(num_classes))
    wrong = masks[known & ~valid]
    if wrong.size:
        wanted = "masks between 0 and 1" if num_classes is None else f"class ids from 0 to {num_classes - 1}"
        raise ValueError(
            f"`{OWNER}`: `masks` must hold {wanted}. Received: {wrong[0]:g}. For class ids, pass "
            "num_classes; for labels to leave out, ignore_class."
        )
    inside = masks > 0.5 if num_classes is None else masks == np.arange(num_classes)
    known = np.broadcast_to(known, inside.shape)
    return inside & known, known


def _spacing(spacing: Sequence[float] | None, axes: int) -> Sequence[float]:
    """Return the length of a pixel along each of the axes."""
    if spacing is None:
        return [1.0] * axes
    lengths = list(spacing)
    if len(lengths) != axes or not all(is_real_number(x) and 0 < x < np.inf for x in lengths):
        raise ValueError(
            f"`{OWNER}`: `spacing` must be a sequence of positive lengths, one for each of the {axes} axes "
            f"of the space. Received: spacing={spacing!r}. Leave it out for pixels of length 1."
        )
    return lengths
