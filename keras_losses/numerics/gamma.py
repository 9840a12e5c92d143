"""Gamma functions, whose large parts are apart so that they cancel by hand; Keras has none.

As in numerics.py, everything works on floating-point tensors of at least 32 bits.
"""

from __future__ import annotations

from keras import ops

from keras_losses.numerics.arrays import full_like
from keras_losses.numerics.backends import is_double
from keras_losses.numerics.derivatives import Tensor
from keras_losses.numerics.elementary import log1p, log1p_of_share
from keras_losses.numerics.normal import LOG_ROOT_TWO_PI

# Stirling's series, and from where on it is exact in single and in double precision; below, the recurrence
# leads up to it. The derivatives of this are those of any order.
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
_FAR = (4, 10)


def binet(x: Tensor, log_x: Tensor | None = None) -> Tensor:
    """log Gamma(x) - (x - 1/2) log x + x - log sqrt(2 pi), for x > 0: 1 / (12 x) at most, and above 0.

    What cancels in a ratio of gamma functions is in the terms taken off here, where it can be cancelled by
    hand. Before the series it is the sum of (t + 1/2) log(1 + 1/t) - 1 for t = x, x + 1 ... and of the rest.
    `log_x` is given where x may have become 0.
    """
    begin = _FAR[is_double(x)]
    far, small = x > begin, x < 1
    ones = ops.ones_like(x)
    tiny, start = ops.where(small, x, ones), ops.where(far, ones, x)
    log_x = ops.log(tiny) if log_x is None else ops.where(small, log_x, ops.zeros_like(x))
    first = log1p_of_share(1.0 / ops.where(small, ones, x))
    near = (start + 0.5) * ops.where(small, log1p_of_share(tiny) - log_x, first) - 1.0
    for step in range(1, begin):
        t = start + step
        near = near + ((t + 0.5) * log1p_of_share(1.0 / t) - 1.0)
    z = ops.where(far, x, x + begin)
    return ops.where(far, ops.zeros_like(x), near) + _series(z, _STIRLING) / z


def digamma_excess(x: Tensor) -> Tensor:
    """psi(x) - log x for x > 0, between -1 / x and -1 / (2 x); psi is the derivative of log Gamma."""
    begin = _FAR[is_double(x)]
    far = x > begin
    start = ops.where(far, ops.ones_like(x), x)
    near = log1p(1.0 / start) - 1.0 / start
    for step in range(1, begin):
        inverse = 1.0 / (start + step)
        near = near + (log1p_of_share(inverse) - inverse)
    z = ops.where(far, x, x + begin)
    slopes = tuple(-(2 * k + 1) * c for k, c in enumerate(_STIRLING))
    tail = -0.5 / z + _series(z, slopes) * ops.square(1.0 / z)
    return ops.where(far, ops.zeros_like(x), near) + tail


def log_gamma_ratio(a: Tensor, x: Tensor | float) -> Tensor:
    """log Gamma(a + x) - log Gamma(a) - x log a, for a > 0 and x >= 0: log prod_{k < x} (1 + k / a).

    For large a it is near to x (x - 1) / (2 a), with an error of the last digit of x.
    """
    return (a + x - 0.5) * log1p(x / a) - x + (binet(a + x) - binet(a))


def log_factorial(count: Tensor) -> Tensor:
    """log n! for n >= 0, and 0 itself for 0 and 1."""
    trivial = count < 2
    n = ops.where(trivial, full_like(count, 2.0), count) + 1.0
    found = (n - 0.5) * ops.log(n) - n + LOG_ROOT_TWO_PI + binet(n)
    return ops.where(trivial, ops.zeros_like(count), found)


def _series(z: Tensor, coefficients: tuple[float, ...]) -> Tensor:
    """sum_k c_k z^(-2 k), by Horner's scheme."""
    square, total = ops.square(1.0 / z), full_like(z, coefficients[-1])
    for c in coefficients[-2::-1]:
        total = c + square * total
    return total
