"""Elementary functions that keep their digits where the plain formula loses them."""

from __future__ import annotations

import math

import keras
from keras import ops

from keras_losses.numerics.arrays import full_like
from keras_losses.numerics.backends import fused_by_xla, is_double
from keras_losses.numerics.derivatives import Tensor, with_derivative
from keras_losses.numerics.scalars import is_number


def expm1_over(x: Tensor, a: float | Tensor) -> Tensor:
    """(e^(a x) - 1) / a, which is x at a = 0."""
    if is_number(a):
        return ops.expm1(a * x) / a if a != 0.0 else x
    product = a * x
    near, ones = ops.abs(product) < 1.0, ops.ones_like(product)
    within = ops.where(near, product, ops.zeros_like(product))
    beyond, rate = ops.where(near, ones, product), ops.where(near, ones, a)
    return ops.where(near, x * (1.0 + 0.5 * within * _exp_series(within)), (ops.exp(beyond) - 1.0) / rate)


def softplus(x: Tensor) -> Tensor:
    """log(1 + e^x)."""
    if not fused_by_xla():
        return _softplus_of_backend(x)
    positive = x >= 0
    # Not abs and relu, whose derivatives at 0 would add up to 0 instead of a half.
    tail = log1p_of_share(ops.exp(ops.where(positive, -x, x)))
    return ops.where(positive, x, ops.zeros_like(x)) + tail


def log1p(x: Tensor) -> Tensor:
    """log(1 + x) for x >= 0."""
    if not fused_by_xla() or is_double(x):
        return ops.log1p(x)
    return with_derivative(_log1p_in_parts, _slope_of_log1p)(x)


def _log1p_in_parts(x: Tensor) -> Tensor:
    large, ones = x > 1.0, ops.ones_like(x)
    return ops.where(large, ops.log(1.0 + x), _log1p_series(ops.where(large, ones, x)))


def log1p_of_share(x: Tensor) -> Tensor:
    """log(1 + x) for x in [0, 1]; XLA's own takes six times as long on a CPU in single precision.

    By the series of 2 artanh(x / (2 + x)), and not by what rounding 1 + x loses, of which compilers know no
    more than that (1 + x) - 1 is x.
    """
    if not fused_by_xla() or is_double(x):
        return ops.log1p(x)
    return with_derivative(_log1p_series, _slope_of_log1p)(x)


def _log1p_series(x: Tensor) -> Tensor:
    y = x * (2.0 / (2.0 + x))
    square, series = ops.square(0.5 * y), full_like(y, _ARTANH_OVER[-1])
    for c in _ARTANH_OVER[-2::-1]:  # Horner's scheme
        series = c + square * series
    return y * series


# artanh(y) / y in powers of y^2, by interpolation at Chebyshev's nodes of [0, 1/9]: 8e-9 off, where as many
# terms of its own series are 2e-6 off.
_ARTANH_OVER = (1.0, 0.3333316082, 0.2001229762, 0.1398257887, 0.1407888918)


def _slope_of_log1p(x: Tensor) -> Tensor:
    return 1.0 / (1.0 + x)


def log_cosh(x: Tensor) -> Tensor:
    """log cosh x = |x| - log 2 + log(1 + e^-2|x|); near 0, cosh x - 1 = (1 - e^-|x|)^2 / (2 e^-|x|)."""
    return with_derivative(_log_cosh, tanh_with_slope)(x)


def _log_cosh(x: Tensor) -> Tensor:
    size = ops.abs(x)
    small, less = size < 1.0, ops.expm1(-size)
    decay = 1.0 + less
    near = 0.5 * ops.square(less) / ops.where(small, decay, ops.ones_like(x))
    far = ops.where(small, ops.zeros_like(x), size - math.log(2.0))
    return far + log1p_of_share(ops.where(small, near, ops.square(decay)))


def tan_of_half(x: Tensor) -> Tensor:
    """x / (1 + sqrt(1 + x^2)) = (sqrt(1 + x^2) - 1) / x for x >= 0, however large or small."""
    large, ones = x > 1.0, ops.ones_like(x)
    inverse, small = 1.0 / ops.where(large, x, ones), ops.where(large, ones, x)
    return small / (inverse + ops.sqrt(1.0 + ops.square(small * inverse)))


def one_minus_exp(x: Tensor) -> Tensor:
    """1 - e^-x for x >= 0; the derivative of expm1 is 0 on PyTorch where it nears -1."""
    small = x < 1.0
    near = ops.expm1(-ops.where(small, x, ops.ones_like(x)))
    return ops.where(small, -near, 1.0 - ops.exp(-x))


def expm1_minus(x: Tensor) -> Tensor:
    """e^x - 1 - x, to its last digits where it is small: x^2 / 2 (1 + x / 3 (1 + x / 4 (...)))."""
    near = ops.abs(x) < 1.0
    within, beyond = ops.where(near, x, ops.zeros_like(x)), ops.where(near, ops.ones_like(x), x)
    return ops.where(near, _expm1_minus_near(within), ops.exp(beyond) - 1.0 - beyond)


def _expm1_minus_near(x: Tensor) -> Tensor:
    """e^x - 1 - x for |x| < 1."""
    return with_derivative(_expm1_minus_series, ops.expm1)(x)


def _expm1_minus_series(x: Tensor) -> Tensor:
    return 0.5 * ops.square(x) * _exp_series(x)


def _exp_series(x: Tensor) -> Tensor:
    """(e^x - 1 - x) / (x^2 / 2) for |x| < 1."""
    series = ops.ones_like(x)
    for n in range(22 if is_double(x) else 11, 2, -1):  # Horner's scheme
        series = 1.0 + x / n * series
    return series


def log1mexp(x: Tensor) -> Tensor:
    """log(1 - e^-x) for x > 0."""
    small, ones = x < 0.7, ops.ones_like(x)
    near = ops.log(-ops.expm1(-ops.where(small, x, ones)))
    return ops.where(small, near, ops.log1p(-ops.exp(-ops.where(small, ones, x))))


def power(base: Tensor, exponent: float | Tensor) -> Tensor:
    """base^exponent for base >= 0 and exponent >= 0; the gradient at base = 0 is 0, never NaN.

    A tensor may hold the exponent 0, at which it is 1 for every base.
    """
    if is_number(exponent, 0.0):
        return ops.ones_like(base)
    if is_number(exponent, 1.0):
        return base
    if is_number(exponent, 2.0):
        return ops.square(base)
    zero = base <= 0  # and not base > 0, which would make 0 of NaN
    safe = ops.where(zero, ops.ones_like(base), base)
    # Not ops.power, which rounds the exponent to float32 on PyTorch.
    of_zero = ops.zeros_like(base)
    if not is_number(exponent):
        of_zero = of_zero + ops.cast(ops.equal(exponent, 0), base.dtype)
    return ops.where(zero, of_zero, safe**exponent)


def _softplus_of_backend(x: Tensor) -> Tensor:
    if keras.backend.backend() != "torch":
        return ops.softplus(x)
    import torch

    return torch.nn.functional.softplus(x, threshold=80.0)  # from where on it is x; by default 20


def sigmoid(x: Tensor) -> Tensor:
    """To the gradient of TensorFlow's and PyTorch's own, 1 - sigmoid(x) is 0 from 17 on."""
    return with_derivative(ops.sigmoid, _slope_of_sigmoid)(x)


def _slope_of_sigmoid(x: Tensor) -> Tensor:
    return sigmoid(x) * sigmoid(-x)


def tanh_with_slope(x: Tensor) -> Tensor:
    """tanh x, whose slope has its digits where all backends' own, 1 - tanh(x)^2, loses them."""
    return with_derivative(tanh, _slope_of_tanh)(x)


def _slope_of_tanh(x: Tensor) -> Tensor:
    return 4.0 * _slope_of_sigmoid(2.0 * x)


def tanh(x: Tensor) -> Tensor:
    """tanh x; on JAX that of Keras is float32."""
    if keras.backend.backend() != "jax":
        return ops.tanh(x)
    import jax

    return jax.numpy.tanh(x)
