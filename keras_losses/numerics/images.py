"""Operations on the pixels of images `(batch, *space, C)`: extremes of neighbours and exact distances."""

from __future__ import annotations

import importlib.util
import math

import numpy as np
from keras import ops

from keras_losses.numerics.arrays import full_like
from keras_losses.numerics.backends import is_concrete, is_on_cpu
from keras_losses.numerics.derivatives import Tensor


def largest_of_neighbours(x: Tensor, axis: int) -> Tensor:
    """Return the largest of each pixel and its two neighbours along one axis of the space."""
    shape = ops.shape(x)
    # In one dimension, because TensorFlow's pooling in three has no float64. Slices that are compared with
    # each other would be a fifth as fast in a compiled step.
    lines = ops.reshape(x, (math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])))
    pooled = ops.max_pool(lines, 3, strides=1, padding="same", data_format="channels_last")
    return ops.reshape(pooled, shape)


def squared_distances(members: Tensor) -> Tensor:
    """Return each pixel's squared Euclidean distance to the nearest member of its channel.

    It is a whole number, exact in float32 for images with diagonals of up to 4096 pixels, and infinite if the
    channel of the image has no members.

    Args:
        members: a mask `(batch, *space, C)`.
    """
    # In eager mode on a CPU, SciPy's algorithm of linear cost is a hundred times as fast as comparisons.
    if is_concrete(members) and is_on_cpu(members) and importlib.util.find_spec("scipy"):
        return ops.convert_to_tensor(squared_distances_by_scipy(ops.convert_to_numpy(members)))
    return squared_distances_by_comparison(members)


def squared_distances_by_scipy(members: np.ndarray) -> np.ndarray:
    """Return `squared_distances` of an array."""
    from scipy import ndimage

    squares = np.full(members.shape, np.inf, "float32")
    if members.ndim == 2:
        return np.where(members, np.float32(0), squares)
    present = np.any(members, axis=tuple(range(1, members.ndim - 1)))
    for image, channel in np.argwhere(present):
        where = (image, ..., channel)
        distances = ndimage.distance_transform_edt(~members[where])
        squares[where] = np.rint(np.square(distances))
    return squares


def squared_distances_by_comparison(members: Tensor) -> Tensor:
    """Return `squared_distances` with operations that compilers and accelerators can do.

    One axis after the other, each place is compared with all places of its line.
    """
    zeros = ops.zeros_like(members, dtype="float32")
    squares = ops.where(members, zeros, full_like(zeros, np.inf))
    for axis in range(1, len(members.shape) - 1):
        squares = _nearest_along(squares, axis)
    return squares


def _nearest_along(squares: Tensor, axis: int) -> Tensor:
    """Return min_j (i - j)^2 + squares_j for each place i along an axis."""
    moved = ops.moveaxis(squares, axis, 0)
    shape = ops.shape(moved)
    lines = ops.reshape(moved, (shape[0], math.prod(shape[1:])))
    places = ops.cast(ops.arange(shape[0]), "float32")

    def with_place(index: int | Tensor, nearest: Tensor) -> Tensor:
        steps = ops.square(places - places[index])
        return ops.minimum(nearest, lines[index] + ops.expand_dims(steps, 1))

    nearest = ops.fori_loop(0, shape[0], with_place, lines)
    return ops.moveaxis(ops.reshape(nearest, shape), 0, axis)
