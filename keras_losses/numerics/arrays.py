"""Array operations that are exact, in the dtype of their input, and differentiable on every backend."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from keras_losses.numerics.derivatives import Tensor


def mean(x: Tensor) -> Tensor:
    """Return the mean over the last axis. Keras's own goes through float32 on PyTorch."""
    return ops.sum(x, axis=-1) / ops.cast(ops.shape(x)[-1], x.dtype)


def sum_all(x: Tensor) -> Tensor:
    """Return the sum of all values.

    XLA fuses the summands into the sum. On JAX's CPU that is computed value by value, unless the sum is split
    into rows.
    """
    if keras.backend.backend() != "jax":
        return ops.sum(x)
    flat = ops.reshape(x, (-1,))
    whole = flat.shape[0] // _ROW * _ROW
    return ops.sum(ops.sum(ops.reshape(flat[:whole], (-1, _ROW)), axis=-1)) + ops.sum(flat[whole:])


_ROW = 512
"""Number of values in a row of `sum_all` on JAX."""


def full_like(x: Tensor, value: float | Tensor) -> Tensor:
    """Return a tensor of the shape and dtype of x. Keras's own cannot be traced without data on PyTorch."""
    return ops.zeros_like(x) + value


def minimum(x: Tensor, bound: float | Tensor) -> Tensor:
    """Return the smaller of x and a bound. Keras's own is float32 on PyTorch."""
    return ops.where(x > bound, ops.convert_to_tensor(bound, x.dtype), x)


def maximum(x: Tensor, bound: float | Tensor) -> Tensor:
    """Return the larger of x and a bound. Keras's own is float32 on PyTorch."""
    return ops.where(x < bound, ops.convert_to_tensor(bound, x.dtype), x)


def sum_of_samples(x: Tensor) -> Tensor:
    """Return the sum over all axes but the first, one axis at a time.

    In one sum over several axes, TensorFlow loses digits on images.
    """
    while len(x.shape) > 1:
        x = ops.sum(x, axis=-1)
    return x


def absolute(x: Tensor) -> Tensor:
    """Return |x| with gradient 0 at 0. Keras's own has gradient 1 there on JAX."""
    return x * ops.stop_gradient(ops.sign(x)) if keras.backend.backend() == "jax" else ops.abs(x)


def max_last(x: Tensor) -> Tensor:
    """Return the maximum over the last axis, which must not be empty."""
    # Keras refuses an empty batch without `initial`, and cannot trace `initial` without data on PyTorch.
    maybe_empty = keras.backend.backend() != "torch" or 0 in tuple(x.shape)
    return ops.max(x, axis=-1, initial=-np.inf if maybe_empty else None)


def fraction_of_sum(a: Tensor, b: Tensor) -> Tensor:
    """Return a / (a + b) for a, b >= 0, with a gradient in which no large terms cancel near 0."""
    larger, ones = a > b, ops.ones_like(a)
    b_over_a = ops.where(larger, b / ops.where(larger, a, ones), ones)
    a_over_b = ops.where(larger, ones, a / ops.where(ops.logical_or(larger, ops.equal(b, 0)), ones, b))
    return ops.where(larger, 1.0 / (1.0 + b_over_a), a_over_b / (1.0 + a_over_b))


def minus_max(x: Tensor) -> Tensor:
    """Return x minus its maximum over the last axis.

    A softmax does not depend on the maximum, so the maximum has no gradient.
    """
    return x - ops.stop_gradient(ops.expand_dims(max_last(x), -1))


def logsumexp(x: Tensor) -> Tensor:
    """Return log sum_j e^x_j over the last axis. PyTorch's own has a gradient off by 1e-3 from 1e4 on."""
    return ops.stop_gradient(max_last(x)) + ops.log(ops.sum(ops.exp(minus_max(x)), axis=-1))


def divide_no_nan(a: Tensor, b: Tensor) -> Tensor:
    """Return a / b, or 0 where b is 0. Keras's own is float32 on PyTorch."""
    none = ops.equal(b, 0)
    return ops.where(none, ops.zeros_like(a), a / ops.where(none, ops.ones_like(b), b))


def matmul(x: Tensor, matrix: Tensor) -> Tensor:
    """Return x @ matrix. Keras's `matmul` is float32 on PyTorch, and TensorFlow 2.18's `einsum` is wrong."""
    return x @ matrix if len(x.shape) > 1 else (x[None] @ matrix)[0]


def cumsum(x: Tensor) -> Tensor:
    """Return the cumulative sum over the last axis. Keras's own is float32 on PyTorch."""
    return matmul(x, ops.convert_to_tensor(np.triu(np.ones((x.shape[-1],) * 2)), dtype=x.dtype))


def running_sum(x: Tensor) -> Tensor:
    """Return the cumulative sum over a last axis of any length, whose `cumsum` would take a large matrix.

    Keras's own is float32 on PyTorch. TensorFlow adds up one number after the other, and loses digits of the
    sums over an image unless they are in double precision.
    """
    backend = keras.backend.backend()
    if backend == "torch":
        return x.cumsum(-1)
    if backend == "tensorflow":
        return ops.cast(ops.cumsum(ops.cast(x, "float64"), axis=-1), x.dtype)
    return ops.cumsum(x, axis=-1)
