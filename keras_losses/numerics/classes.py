"""Values at the place of a class id."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from keras_losses.numerics.arrays import full_like
from keras_losses.numerics.derivatives import Tensor


def sum_of_others(x: Tensor) -> Tensor:
    """sum_{k != j} x_k for every j of the last axis, x >= 0, without subtracting the largest from a sum."""
    largest = is_class(ops.argmax(x, axis=-1), x)
    without = ops.sum(ops.where(largest, ops.zeros_like(x), x), axis=-1, keepdims=True)
    return ops.where(largest, without, ops.sum(x, axis=-1, keepdims=True) - x)


_FEW_CLASSES = 64
"""Below so many it is faster to compare every class with the label than to write to the label's place."""


def take_class(ids: Tensor, values: Tensor) -> Tensor:
    """The values `(..., C)` of the classes `ids`, and NaN where there is no such class."""
    there = _some_class(ids, values.shape[-1])
    own = ops.squeeze(ops.take_along_axis(values, ops.expand_dims(there, -1), axis=-1), -1)
    return _where_same(ids, there, own)


def put_class(ids: Tensor, values: Tensor, own: Tensor) -> Tensor:
    """The values `(..., C)` with others `(...)` in the places of the classes `ids`."""
    if values.shape[-1] < _FEW_CLASSES:
        return ops.where(is_class(ids, values), ops.expand_dims(own, -1), values)
    there = _some_class(ids, values.shape[-1])
    if keras.backend.backend() == "torch":  # where Keras writes to a copy of a copy
        return values.scatter(-1, ops.expand_dims(there, -1).long(), ops.expand_dims(own, -1))
    there, rows = ops.reshape(there, (-1,)), ops.reshape(values, (-1, values.shape[-1]))
    places = ops.stack([ops.arange(ops.shape(rows)[0], dtype=there.dtype), there], axis=-1)
    return ops.reshape(ops.scatter_update(rows, places, ops.reshape(own, (-1,))), ops.shape(values))


def _some_class(ids: Tensor, classes: int) -> Tensor:
    return ops.clip(ids, 0, classes - 1)


def nan_unless_class(ids: Tensor, classes: int, values: Tensor) -> Tensor:
    """The values, and NaN where the id is no class; nothing can be raised in a compiled step."""
    return _where_same(ids, _some_class(ids, classes), values)


def _where_same(ids: Tensor, there: Tensor, values: Tensor) -> Tensor:
    return ops.where(ops.equal(ids, there), values, full_like(values, np.nan))


def is_class(ids: Tensor, logits: Tensor) -> Tensor:
    classes = ops.arange(logits.shape[-1], dtype=keras.backend.standardize_dtype(ids.dtype))
    return ops.equal(ops.expand_dims(ids, -1), classes)


def take_class_masked(ids: Tensor, values: Tensor) -> Tensor:
    """As `take_class`; the gradient of a sum is faster than that of a gather."""
    own = ops.sum(ops.where(is_class(ids, values), values, ops.zeros_like(values)), axis=-1)
    return nan_unless_class(ids, values.shape[-1], own)
