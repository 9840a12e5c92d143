"""Gamma and digamma functions without their large terms, so that these cancel on paper. Keras has neither.

All functions take floating-point tensors of at least 32 bits.
"""

from __future__ import annotations

from keras import ops

from keras_losses.numerics.arrays import full_like
from keras_losses.numerics.backends import is_double
from keras_losses.numerics.derivatives import Tensor
from keras_losses.numerics.elementary import log1p, log1p_unit
from keras_losses.numerics.normal import LOG_ROOT_TWO_PI

# Stirling's series, and the numbers from which on it is exact in single and in double precision. Below them,
# the recurrence of the gamma function leads up to it. Derivatives of any order are those of these formulas.
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
_FAR = (4, 10)


def binet(x: Tensor, log_x: Tensor | None = None) -> Tensor:
    """Return Binet's function log Gamma(x) - (x - 1/2) log x + x - log sqrt(2 pi) for x > 0.

    It lies between 0 and 1 / (12 x). The terms subtracted here are those that cancel in a ratio of gamma
    functions, where they can be cancelled on paper. For a small x, terms (t + 1/2) log(1 + 1/t) - 1 for t =
    x, x + 1 ... lead up to the series.

    Args:
        x: the argument.
        log_x: log x, needed if x may have underflowed to 0.
    """
    begin = _FAR[is_double(x)]
    far, small = x > begin, x < 1
    ones = ops.ones_like(x)
    tiny, start = ops.where(small, x, ones), ops.where(far, ones, x)
    log_x = ops.log(tiny) if log_x is None else ops.where(small, log_x, ops.zeros_like(x))
    first = log1p_unit(1.0 / ops.where(small, ones, x))
    near = (start + 0.5) * ops.where(small, log1p_unit(tiny) - log_x, first) - 1.0
    for step in range(1, begin):
        t = start + step
        near = near + ((t + 0.5) * log1p_unit(1.0 / t) - 1.0)
    z = ops.where(far, x, x + begin)
    return ops.where(far, ops.zeros_like(x), near) + _series(z, _STIRLING) / z


def digamma_minus_log(x: Tensor) -> Tensor:
    """Return psi(x) - log x for x > 0, where psi is the derivative of log Gamma.

    It lies between -1 / x and -1 / (2 x).
    """
    begin = _FAR[is_double(x)]
    far = x > begin
    start = ops.where(far, ops.ones_like(x), x)
    near = log1p(1.0 / start) - 1.0 / start
    for step in range(1, begin):
        inverse = 1.0 / (start + step)
        near = near + (log1p_unit(inverse) - inverse)
    z = ops.where(far, x, x + begin)
    derivative = tuple(-(2 * k + 1) * c for k, c in enumerate(_STIRLING))
    tail = -0.5 / z + _series(z, derivative) * ops.square(1.0 / z)
    return ops.where(far, ops.zeros_like(x), near) + tail


def log_gamma_ratio(a: Tensor, x: Tensor | float) -> Tensor:
    """Return log Gamma(a + x) - log Gamma(a) - x log a for a > 0 and x >= 0.

    For an integer x it is log prod_{k < x} (1 + k / a). For a large a it is close to x (x - 1) / (2 a), with
    an absolute error of the last digit of x.
    """
    return (a + x - 0.5) * log1p(x / a) - x + (binet(a + x) - binet(a))


def log_factorial(count: Tensor) -> Tensor:
    """Return log n! for n >= 0, and exactly 0 for 0 and 1."""
    trivial = count < 2
    n = ops.where(trivial, full_like(count, 2.0), count) + 1.0
    log_gamma = (n - 0.5) * ops.log(n) - n + LOG_ROOT_TWO_PI + binet(n)
    return ops.where(trivial, ops.zeros_like(count), log_gamma)


def _series(z: Tensor, coefficients: tuple[float, ...]) -> Tensor:
    """Return sum_k c_k z^(-2 k), by Horner's scheme."""
    square, total = ops.square(1.0 / z), full_like(z, coefficients[-1])
    for c in coefficients[-2::-1]:
        total = c + square * total
    return total
