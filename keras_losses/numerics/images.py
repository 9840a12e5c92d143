"""Operations on the pixels of images `(batch, *space, C)`: extremes of neighbours and exact distances."""

from __future__ import annotations

import math

import numpy as np
from keras import ops

from keras_losses.numerics.arrays import minimum
from keras_losses.numerics.derivatives import Tensor

_AT_ONCE = 2**22
"""Number of pairs of pixels whose distances are held in memory at once, unless one line needs more."""


def largest_of_neighbours(x: Tensor, axis: int) -> Tensor:
    """Return the largest of each pixel and its two neighbours along one axis of the space."""
    shape = ops.shape(x)
    # In one dimension, because TensorFlow's pooling in three has no float64. Slices that are compared with
    # each other would be a fifth as fast in a compiled step.
    lines = ops.reshape(x, (math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])))
    pooled = ops.max_pool(lines, 3, strides=1, padding="same", data_format="channels_last")
    return ops.reshape(pooled, shape)


def squared_distances(members: Tensor, dtype: str) -> Tensor:
    """Return each pixel's squared Euclidean distance to the nearest member of its channel.

    The distance is exact, in pixels. It is infinite if the channel of the image has no members.

    Args:
        members: a mask `(batch, *space, C)`.
        dtype: the dtype of the result.
    """
    x = ops.where(members, ops.zeros_like(members, dtype=dtype), ops.full(ops.shape(members), np.inf, dtype))
    for axis in range(1, len(members.shape) - 1):
        x = _nearest_along(x, axis)
    return x


def _nearest_along(squares: Tensor, axis: int) -> Tensor:
    """Return min_j (i - j)^2 + squares_j for each place i along an axis.

    All pairs of places are compared. An algorithm with linear cost takes its decisions one after another,
    which compilers and accelerators cannot do for many lines at a time.
    """
    moved = ops.moveaxis(squares, axis, 0)
    shape = ops.shape(moved)
    lines = ops.reshape(moved, (shape[0], math.prod(shape[1:])))
    places = ops.cast(ops.arange(shape[0]), squares.dtype)

    def with_place(index: int | Tensor, nearest: Tensor) -> Tensor:
        steps = ops.square(places - places[index])
        return minimum(nearest, lines[index] + ops.expand_dims(steps, 1))

    is_small = None not in tuple(moved.shape) and math.prod(moved.shape) * moved.shape[0] <= _AT_ONCE
    if is_small:
        steps = ops.square(ops.expand_dims(places, 0) - ops.expand_dims(places, 1))
        nearest = ops.min(ops.expand_dims(lines, 1) + ops.expand_dims(steps, 2), axis=0)
    else:
        nearest = ops.fori_loop(0, shape[0], with_place, lines)
    return ops.moveaxis(ops.reshape(nearest, shape), 0, axis)
