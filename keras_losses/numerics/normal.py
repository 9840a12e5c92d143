"""Logarithms of the normal distribution function."""

from __future__ import annotations

import math

import keras
import numpy as np
from keras import ops

from keras_losses.numerics.arrays import full_like, maximum
from keras_losses.numerics.derivatives import Tensor
from keras_losses.numerics.elementary import log1mexp


def log_ndtr(x: Tensor) -> Tensor:
    """Return log Phi(x) of the normal distribution function, accurate for any x.

    Below -10 it is the asymptotic series -x^2 / 2 - log(-x sqrt(2 pi)) + log(1 - 1 / x^2 + 3 / x^4 - 15 / x^6
    ...). Its fifteenth term is below the last digit of a float64.
    """
    above, below = x > 0, x < -10
    zeros = ops.zeros_like(x)
    near_one = ops.log1p(-0.5 * _erfc(ops.where(above, x, zeros) * _ROOT_HALF))
    within = ops.where(ops.logical_or(above, below), zeros, x)  # NaN goes this way.
    between = ops.log(0.5 * _erfc(-within * _ROOT_HALF))
    far = ops.where(below, x, full_like(x, -10.0))
    square, series = ops.square(far), ops.ones_like(x)
    for odd in range(27, 0, -2):  # Horner's scheme
        series = 1.0 - odd / square * series
    tail = ops.log(series) - ops.log(-far) - 0.5 * square - LOG_ROOT_TWO_PI
    return ops.where(above, near_one, ops.where(below, tail, between))


def log_ndtr_difference(a: Tensor, b: Tensor, gap: Tensor) -> Tensor:
    """Return log(Phi(a) - Phi(b)) for a > b.

    `gap` is a - b, with digits that a and b may have lost. The pair is mirrored to the side where Phi is
    small. If a and b are close, the density is integrated by the Gauss-Legendre rule. That is a sum of
    positive terms, exact in float64 for half a gap of up to 1 and an exponent of the density that changes by
    up to 4. Otherwise Phi(b) is well below Phi(a), and nothing cancels.
    """
    mirrored = a + b > 0
    high, low = ops.where(mirrored, -b, a), ops.where(mirrored, -a, b)
    middle, half, zeros = 0.5 * (high + low), 0.5 * gap, ops.zeros_like(a)
    close = ops.logical_and(half < 1.0, -middle * half < 4.0)

    m, h = ops.where(close, middle, zeros), ops.where(close, half, full_like(a, 0.5))
    nodes, weights = (ops.convert_to_tensor(x, dtype=a.dtype) for x in _GAUSS_LEGENDRE)
    steps = ops.expand_dims(h, -1) * nodes
    curve = ops.exp(-steps * (ops.expand_dims(m, -1) + 0.5 * steps))
    integral = ops.log(h) + ops.log(ops.sum(weights * curve, axis=-1)) - 0.5 * ops.square(m) - LOG_ROOT_TWO_PI

    largest = log_ndtr(ops.where(close, zeros, high))
    lead = largest - log_ndtr(ops.where(close, full_like(a, -2.0), low))
    # The true lead is above 1.6 here. Far out, where float32 may compute less, it does not matter.
    return ops.where(close, integral, largest + log1mexp(maximum(lead, 1.0)))


_ROOT_HALF = math.sqrt(0.5)
LOG_ROOT_TWO_PI = 0.5 * math.log(2 * math.pi)
_GAUSS_LEGENDRE = np.polynomial.legendre.leggauss(16)


def _erfc(x: Tensor) -> Tensor:
    """Return 1 - erf(x), accurate where it is tiny. Keras has only erf."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.math.erfc(x)
    if backend == "jax":
        import jax

        return jax.scipy.special.erfc(x)
    import torch

    return torch.special.erfc(x)
