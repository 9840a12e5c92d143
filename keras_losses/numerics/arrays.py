"""Array operations that are exact, in the dtype of their input, and differentiable on every backend."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from keras_losses.numerics.derivatives import Tensor
from keras_losses.numerics.scalars import is_number


def mean(x: Tensor) -> Tensor:
    """The mean over the last axis; on PyTorch that of Keras goes through float32."""
    return ops.sum(x, axis=-1) / ops.cast(ops.shape(x)[-1], x.dtype)


def sum_all(x: Tensor) -> Tensor:
    """The sum of all values.

    XLA computes what is summed within the sum, and on JAX's CPU number by number unless that is in rows.
    """
    if keras.backend.backend() != "jax":
        return ops.sum(x)
    flat = ops.reshape(x, (-1,))
    whole = flat.shape[0] // _ROW * _ROW
    return ops.sum(ops.sum(ops.reshape(flat[:whole], (-1, _ROW)), axis=-1)) + ops.sum(flat[whole:])


_ROW = 512


def full_like(x: Tensor, value: float | Tensor) -> Tensor:
    """The value in the shape and dtype of x; that of Keras cannot be traced without data on PyTorch."""
    return ops.zeros_like(x) + value


def minimum(x: Tensor, bound: float | Tensor) -> Tensor:
    """The smaller of x and a number; on PyTorch that of Keras is float32."""
    return ops.where(x > bound, ops.convert_to_tensor(bound, x.dtype), x)


def maximum(x: Tensor, bound: float | Tensor) -> Tensor:
    """The larger of x and a number; on PyTorch that of Keras is float32."""
    return ops.where(x < bound, ops.convert_to_tensor(bound, x.dtype), x)


def capped_share(x: Tensor, whole: float | Tensor) -> Tensor:
    """x / whole up to 1, for x and whole from 0 up: 1 beside a whole of 0."""
    above, zeros = x > whole, ops.zeros_like(x)
    if not is_number(whole):
        whole = ops.where(whole > 0, whole, ops.ones_like(whole))
    return ops.where(above, ops.ones_like(x), ops.where(above, zeros, x) / whole)


def absolute(x: Tensor) -> Tensor:
    """|x|, with gradient 0 at 0; on JAX that of Keras is 1."""
    return x * ops.stop_gradient(ops.sign(x)) if keras.backend.backend() == "jax" else ops.abs(x)


def max_last(x: Tensor) -> Tensor:
    """The largest over the last axis, which is not empty."""
    # Keras refuses an empty batch without a start, and cannot trace a start without data on PyTorch.
    maybe_empty = keras.backend.backend() != "torch" or 0 in tuple(x.shape)
    return ops.max(x, axis=-1, initial=-np.inf if maybe_empty else None)


def fraction(a: Tensor, rest: Tensor) -> Tensor:
    """a / (a + rest) for a, rest >= 0; no two large slopes cancel in its gradient where either is 0."""
    more, ones = a > rest, ops.ones_like(a)
    above = ops.where(more, rest / ops.where(more, a, ones), ones)
    below = ops.where(more, ones, a / ops.where(ops.logical_or(more, ops.equal(rest, 0)), ones, rest))
    return ops.where(more, 1.0 / (1.0 + above), below / (1.0 + below))


def minus_max(x: Tensor) -> Tensor:
    """x minus its largest over the last axis, which is nothing to a softmax and so needs no gradient."""
    return x - ops.stop_gradient(ops.expand_dims(max_last(x), -1))


def logsumexp(x: Tensor) -> Tensor:
    """log sum_j e^x_j over the last axis; from 1e4 on the gradient of PyTorch's own is off by 1e-3."""
    return ops.stop_gradient(max_last(x)) + ops.log(ops.sum(ops.exp(minus_max(x)), axis=-1))


def divide_no_nan(a: Tensor, b: Tensor) -> Tensor:
    """a / b, or 0 where b is 0; on PyTorch that of Keras is float32."""
    none = ops.equal(b, 0)
    return ops.where(none, ops.zeros_like(a), a / ops.where(none, ops.ones_like(b), b))


def matmul(x: Tensor, matrix: Tensor) -> Tensor:
    """x @ matrix; on PyTorch Keras's `matmul` is float32, and TensorFlow 2.18's `einsum` is wrong."""
    return x @ matrix if len(x.shape) > 1 else (x[None] @ matrix)[0]


def cumsum(x: Tensor) -> Tensor:
    """The sums of the first, the first two ... of the last axis; on PyTorch Keras's `cumsum` is float32."""
    return matmul(x, ops.convert_to_tensor(np.triu(np.ones((x.shape[-1],) * 2)), dtype=x.dtype))
