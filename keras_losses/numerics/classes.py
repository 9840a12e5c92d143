"""Values at the place of a class id."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from keras_losses.numerics.arrays import full_like
from keras_losses.numerics.derivatives import Tensor

_FEW_CLASSES = 64
"""With fewer classes, comparing every class with the id is faster than writing to the place of the id."""


def take_class(ids: Tensor, values: Tensor) -> Tensor:
    """Return the value at the class id of each row of `values` `(..., C)`, or NaN for an invalid id."""
    valid_ids = _clip_to_classes(ids, values.shape[-1])
    taken = ops.take_along_axis(values, ops.expand_dims(valid_ids, -1), axis=-1)
    return _nan_where_different(ids, valid_ids, ops.squeeze(taken, -1))


def take_class_masked(ids: Tensor, values: Tensor) -> Tensor:
    """Return the same as `take_class`, computed as a masked sum because its gradient is faster."""
    taken = ops.sum(ops.where(is_class(ids, values), values, ops.zeros_like(values)), axis=-1)
    return nan_unless_class(ids, values.shape[-1], taken)


def take_of_classes(ids: Tensor, vector: Tensor) -> Tensor:
    """Return the entries of a vector `(C,)` at class ids; for an invalid id, that of the nearest class.

    Backends differ for invalid ids: TensorFlow without XLA and PyTorch raise errors of their own. The loss of
    such a sample is NaN already.
    """
    return ops.take(vector, _clip_to_classes(ids, vector.shape[-1]), axis=0)


def one_hot(ids: Tensor, classes: int, dtype: str) -> Tensor:
    """Return one-hot rows `(..., C)` of class ids, with rows of NaN for invalid ids."""
    rows = ops.one_hot(_clip_to_classes(ids, classes), classes, dtype=dtype)
    return nan_unless_class(ops.expand_dims(ids, -1), classes, rows)


def put_class(ids: Tensor, values: Tensor, new: Tensor) -> Tensor:
    """Return `values` `(..., C)` with `new` `(...)` at the class id of each row."""
    if values.shape[-1] < _FEW_CLASSES:
        return ops.where(is_class(ids, values), ops.expand_dims(new, -1), values)
    valid_ids = _clip_to_classes(ids, values.shape[-1])
    if keras.backend.backend() == "torch":  # where Keras writes to a copy of a copy
        return values.scatter(-1, ops.expand_dims(valid_ids, -1).long(), ops.expand_dims(new, -1))
    flat_ids, rows = ops.reshape(valid_ids, (-1,)), ops.reshape(values, (-1, values.shape[-1]))
    places = ops.stack([ops.arange(ops.shape(rows)[0], dtype=flat_ids.dtype), flat_ids], axis=-1)
    return ops.reshape(ops.scatter_update(rows, places, ops.reshape(new, (-1,))), ops.shape(values))


def is_class(ids: Tensor, logits: Tensor) -> Tensor:
    """Return a mask `(..., C)` in the shape of the logits: True at the class id of each row."""
    classes = ops.arange(logits.shape[-1], dtype=keras.backend.standardize_dtype(ids.dtype))
    return ops.equal(ops.expand_dims(ids, -1), classes)


def nan_unless_class(ids: Tensor, classes: int, values: Tensor) -> Tensor:
    """Return `values`, with NaN for invalid ids: a compiled step cannot raise an error."""
    return _nan_where_different(ids, _clip_to_classes(ids, classes), values)


def sum_of_others(x: Tensor) -> Tensor:
    """Return sum_{k != j} x_k for every j of the last axis, for x >= 0.

    The sum without the largest is computed by itself. Subtracting the largest from the whole sum would lose
    the digits of the others.
    """
    is_largest = is_class(ops.argmax(x, axis=-1), x)
    without_largest = ops.sum(ops.where(is_largest, ops.zeros_like(x), x), axis=-1, keepdims=True)
    return ops.where(is_largest, without_largest, ops.sum(x, axis=-1, keepdims=True) - x)


def _clip_to_classes(ids: Tensor, classes: int) -> Tensor:
    return ops.clip(ids, 0, classes - 1)


def _nan_where_different(ids: Tensor, valid_ids: Tensor, values: Tensor) -> Tensor:
    return ops.where(ops.equal(ids, valid_ids), values, full_like(values, np.nan))
