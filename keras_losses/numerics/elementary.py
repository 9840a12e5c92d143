"""Elementary functions that stay accurate where the plain formula cancels or overflows."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import keras
from keras import ops

from keras_losses.numerics.arrays import full_like
from keras_losses.numerics.backends import fused_by_xla, is_double
from keras_losses.numerics.derivatives import Tensor, with_derivative
from keras_losses.numerics.scalars import is_number


def expm1_scaled(x: Tensor, a: float | Tensor) -> Tensor:
    """Return (e^(a x) - 1) / a, which is x at a = 0."""
    if is_number(a):
        return ops.expm1(a * x) / a if a != 0.0 else x
    product = a * x
    near, ones = ops.abs(product) < 1.0, ops.ones_like(product)
    within = ops.where(near, product, ops.zeros_like(product))
    beyond, rate = ops.where(near, ones, product), ops.where(near, ones, a)
    return ops.where(near, x * (1.0 + 0.5 * within * exp_series(within)), (ops.exp(beyond) - 1.0) / rate)


def softplus(x: Tensor) -> Tensor:
    """Return log(1 + e^x)."""
    if not fused_by_xla():
        return _softplus_of_backend(x)
    positive = x >= 0
    # Not abs and relu, whose derivatives at 0 would add up to 0 instead of a half.
    tail = log1p_unit(ops.exp(ops.where(positive, -x, x)))
    return ops.where(positive, x, ops.zeros_like(x)) + tail


def log1p(x: Tensor) -> Tensor:
    """Return log(1 + x) for x >= 0."""
    if not fused_by_xla() or is_double(x):
        return ops.log1p(x)
    return with_derivative(_log1p_in_two_ranges, _derivative_of_log1p)(x)


def _log1p_in_two_ranges(x: Tensor) -> Tensor:
    large, ones = x > 1.0, ops.ones_like(x)
    return ops.where(large, ops.log(1.0 + x), _log1p_series(ops.where(large, ones, x)))


def log1p_unit(x: Tensor) -> Tensor:
    """Return log(1 + x) for x in [0, 1].

    XLA's own function takes six times as long on a CPU in single precision. This one evaluates the series of
    2 artanh(x / (2 + x)). The usual correction by the rounding error of 1 + x would not survive a compiler,
    which simplifies (1 + x) - 1 to x.
    """
    if not fused_by_xla() or is_double(x):
        return ops.log1p(x)
    return with_derivative(_log1p_series, _derivative_of_log1p)(x)


def _log1p_series(x: Tensor) -> Tensor:
    y = x * (2.0 / (2.0 + x))
    square, series = ops.square(0.5 * y), full_like(y, _ARTANH_SERIES[-1])
    for c in _ARTANH_SERIES[-2::-1]:  # Horner's scheme
        series = c + square * series
    return y * series


# Coefficients of artanh(y) / y in powers of y^2, by interpolation at the Chebyshev nodes of [0, 1/9]. Their
# error is 8e-9. As many terms of the Taylor series have an error of 2e-6.
_ARTANH_SERIES = (1.0, 0.3333316082, 0.2001229762, 0.1398257887, 0.1407888918)


def _derivative_of_log1p(x: Tensor) -> Tensor:
    return 1.0 / (1.0 + x)


def log1p_power(base: Tensor, exponent: Tensor) -> Tensor:
    """Return log(1 + base^exponent) for base >= 0 and exponent > 1, also where the power overflows.

    The gradient at base = 0 is 0. The value is softplus(exponent log base).
    """
    # Below the smallest normal number 1 / base overflows. Not base >= ..., which would turn NaN into 0.
    zero = base < smallest_normal(base)
    value = softplus(exponent * _log(ops.where(zero, ops.ones_like(base), base)))
    return ops.where(zero, ops.zeros_like(value), value)


def log_cosh(x: Tensor) -> Tensor:
    """Return log cosh x = |x| - log 2 + log(1 + e^-2|x|).

    Near 0 it is log1p of cosh x - 1 = (1 - e^-|x|)^2 / (2 e^-|x|).
    """
    return with_derivative(_log_cosh, tanh)(x)


def _log_cosh(x: Tensor) -> Tensor:
    absolute = ops.abs(x)
    small, minus_one = absolute < 1.0, ops.expm1(-absolute)
    decay = 1.0 + minus_one
    near = 0.5 * ops.square(minus_one) / ops.where(small, decay, ops.ones_like(x))
    far = ops.where(small, ops.zeros_like(x), absolute - math.log(2.0))
    return far + log1p_unit(ops.where(small, near, ops.square(decay)))


def tan_half_arctan(x: Tensor) -> Tensor:
    """Return tan(arctan(x) / 2) = x / (1 + sqrt(1 + x^2)) = (sqrt(1 + x^2) - 1) / x for any x >= 0."""
    large, ones = x > 1.0, ops.ones_like(x)
    inverse, small = 1.0 / ops.where(large, x, ones), ops.where(large, ones, x)
    return small / (inverse + ops.sqrt(1.0 + ops.square(small * inverse)))


def one_minus_exp(x: Tensor) -> Tensor:
    """Return 1 - e^-x for x >= 0. On PyTorch the derivative of expm1 is 0 where its value nears -1."""
    small = x < 1.0
    near = ops.expm1(-ops.where(small, x, ops.ones_like(x)))
    return ops.where(small, -near, 1.0 - ops.exp(-x))


def expm1_minus_x(x: Tensor) -> Tensor:
    """Return e^x - 1 - x. Near 0 it is the series x^2 / 2 (1 + x / 3 (1 + x / 4 (...))), which is exact."""
    near = ops.abs(x) < 1.0
    within, beyond = ops.where(near, x, ops.zeros_like(x)), ops.where(near, ops.ones_like(x), x)
    return ops.where(near, expm1_minus_x_near_0(within), ops.exp(beyond) - 1.0 - beyond)


def expm1_minus_x_near_0(x: Tensor) -> Tensor:
    """Return e^x - 1 - x for |x| < 1, with an accurate derivative."""
    return with_derivative(expm1_minus_x_series, ops.expm1)(x)


def expm1_minus_x_series(x: Tensor) -> Tensor:
    """Return e^x - 1 - x for |x| < 1, for use where the gradient is stated beside the value."""
    return 0.5 * ops.square(x) * exp_series(x)


def exp_series(x: Tensor) -> Tensor:
    """Return (e^x - 1 - x) / (x^2 / 2) for |x| < 1."""
    series = ops.ones_like(x)
    for n in range(22 if is_double(x) else 11, 2, -1):  # Horner's scheme
        series = 1.0 + x / n * series
    return series


def log1mexp(x: Tensor) -> Tensor:
    """Return log(1 - e^-x) for x > 0."""
    small, ones = x < 0.7, ops.ones_like(x)
    near = ops.log(-ops.expm1(-ops.where(small, x, ones)))
    return ops.where(small, near, ops.log1p(-ops.exp(-ops.where(small, ones, x))))


def power(base: Tensor, exponent: float | Tensor) -> Tensor:
    """Return base^exponent for base >= 0 and exponent >= 0. The gradient at base = 0 is 0, never NaN.

    With a tensor that holds the exponent 0 the value is 1 for every base. The second derivative, of order
    base^(exponent - 2), overflows for a small base. In a loss it meets factors as small as the base,
    so the derivatives are stated as factors that are multiplied one after the other.
    """
    if is_number(exponent, 0.0):
        return ops.ones_like(base)
    if is_number(exponent, 1.0):
        return base
    if is_number(exponent, 2.0):
        return ops.square(base)
    # Below the smallest normal number 1 / base overflows. Not base >= ..., which would turn NaN into 0.
    zero = base < smallest_normal(base)
    safe = ops.where(zero, ops.ones_like(base), base)
    of_zero = ops.zeros_like(base)
    if not is_number(exponent):
        of_zero = of_zero + ops.cast(ops.equal(exponent, 0), base.dtype)
        return ops.where(zero, of_zero, _power_of_tensors(safe, exponent))
    # Not ops.power, which rounds the exponent to float32 on PyTorch. From 1 on, nothing overflows.
    value = safe**exponent if exponent > 1.0 else _root(exponent)(safe)
    return ops.where(zero, of_zero, value)


@functools.cache
def _root(exponent: float) -> Callable[[Tensor], Tensor]:
    """Return the function x^exponent for x > 0 and an exponent below 1."""

    def value(x: Tensor) -> Tensor:
        return x**exponent

    def derivative(x: Tensor) -> tuple[Tensor, Tensor]:
        return exponent * _root(exponent)(x), _reciprocal(x)

    return with_derivative(value, derivative)


def _power_of_tensors(base: Tensor, exponent: Tensor) -> Tensor:
    """Return base^exponent for base > 0, with the derivatives of e^(exponent log base)."""
    exponential = ops.exp(exponent * _log(base))
    # The rounding of a large product shows in its exponential. The factor near 1 corrects it.
    positive = exponential > 0
    safe = ops.where(positive, exponential, ops.ones_like(exponential))
    correction = ops.where(positive, base**exponent / safe, ops.ones_like(safe))
    return exponential * ops.stop_gradient(correction)


def smallest_normal(x: Tensor) -> float:
    """Return the smallest number of the dtype of x whose reciprocal does not overflow."""
    return 2.0**-1022 if is_double(x) else 2.0**-126


def _log(x: Tensor) -> Tensor:
    """Return log x, whose derivatives do not overflow for small x where a factor as small follows."""
    return with_derivative(ops.log, _reciprocal)(x)


def _reciprocal(x: Tensor) -> Tensor:
    return with_derivative(_reciprocal_of_backend, _derivative_of_reciprocal)(x)


def _reciprocal_of_backend(x: Tensor) -> Tensor:
    return 1.0 / x


def _derivative_of_reciprocal(x: Tensor) -> tuple[Tensor, Tensor]:
    return -_reciprocal(x), _reciprocal(x)


def _softplus_of_backend(x: Tensor) -> Tensor:
    if keras.backend.backend() != "torch":
        return ops.softplus(x)
    import torch

    # Above the threshold PyTorch returns x. Its default, 20, is too low for float64.
    return torch.nn.functional.softplus(x, threshold=80.0)


def sigmoid(x: Tensor) -> Tensor:
    """Return sigmoid(x), whose derivative stays accurate.

    In the gradients of TensorFlow and PyTorch, 1 - sigmoid(x) is 0 for x from 17 on.
    """
    return with_derivative(ops.sigmoid, _derivative_of_sigmoid)(x)


def _derivative_of_sigmoid(x: Tensor) -> Tensor:
    return sigmoid(x) * sigmoid(-x)


def tanh(x: Tensor) -> Tensor:
    """Return tanh x, whose derivative stays accurate: the backends' own, 1 - tanh(x)^2, cancels."""
    return with_derivative(_tanh_of_backend, _derivative_of_tanh)(x)


def _derivative_of_tanh(x: Tensor) -> Tensor:
    return 4.0 * _derivative_of_sigmoid(2.0 * x)


def _tanh_of_backend(x: Tensor) -> Tensor:
    """Return tanh x with the gradient of the backend. Keras's own is float32 on JAX."""
    if keras.backend.backend() != "jax":
        return ops.tanh(x)
    import jax

    return jax.numpy.tanh(x)


def arctan2(y: Tensor, x: Tensor) -> Tensor:
    """Return the angle of the point (x, y). Keras's own is float32 on JAX and PyTorch."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return jax.numpy.arctan2(y, x)
    if backend == "torch":
        import torch

        return torch.arctan2(y, x)
    return ops.arctan2(y, x)
