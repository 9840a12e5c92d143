"""Stable building blocks, each with the identity that it computes and the range where it is exact.

Everything here works on floating-point tensors of at least 32 bits, in `keras.ops` but for what stands under
"What differs between backends", and is exact to a few units in the last place unless its docstring says
otherwise; so are its first derivatives, and second derivatives are intact.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_losses.numerics.derivatives import with_derivative, with_slope

Tensor = Any
"""A tensor of whichever backend Keras runs on."""


# For each dtype the smallest positive number that survives every backend, and the gap below 1. float16
# reaches far below its smallest normal number, and its subnormals survive the way to float32; those of the
# wider dtypes are flushed to zero by XLA.
_SMALLEST = {"float16": 2.0**-24, "bfloat16": 2.0**-126, "float32": 2.0**-126, "float64": 2.0**-1022}
# The steepest gradient whose square, for an optimizer that squares it, is finite; for float16 just one that
# is finite itself.
_STEEPEST = {"float16": 2.0**14, "bfloat16": 2.0**63, "float32": 2.0**63, "float64": 2.0**511}
GAP_BELOW_ONE = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float32": 2.0**-24, "float64": 2.0**-53}


def compute_dtype(dtype: str) -> str:
    """The dtype to compute in: at least float32, since half precision cannot hold a sum of losses."""
    return dtype if dtype == "float64" else "float32"


def is_double(x: Tensor) -> bool:
    return bool(keras.backend.standardize_dtype(x.dtype) == "float64")


def is_float(x: Tensor) -> bool:
    return bool(keras.backend.is_float_dtype(keras.backend.standardize_dtype(x.dtype)))


# Hyper-parameters in tensors ----------------------------------------------------------------------------


def is_number(x: Any, value: float | None = None) -> bool:
    """Whether x is a plain number, and equal to `value` if one is given; a tensor is not, whatever it holds.

    A formula may take a short cut at a number. A tensor may hold another at the next step, and is learned
    through its gradient: for it there is one formula, which is exact at the special numbers and beside them.
    """
    return isinstance(x, float | int) and (value is None or x == value)


def constant(x: Any) -> Any:
    """A tensor without its gradient; numbers and None have none."""
    return x if x is None or is_number(x) else ops.stop_gradient(x)


def expm1_over(x: Tensor, a: float | Tensor) -> Tensor:
    """(e^(a x) - 1) / a, which is x at a = 0."""
    if is_number(a, 0.0):
        return x
    return ops.expm1(a * x) / a if is_number(a) else times_expm1_over(1.0, 0.0, x, a)


def times_expm1_over(y: Tensor | float, log_y: Tensor | float, x: Tensor, a: float | Tensor) -> Tensor:
    """y (e^(a x) - 1) / a, which is y x at a = 0, where y may be 0 and e^(a x) infinite."""
    if is_number(a, 0.0):
        return y * x
    product = a * x
    near = ops.abs(product) < 1.0
    within = ops.where(near, product, ops.zeros_like(product))
    if is_number(a):
        return ops.where(near, y * ops.expm1(within), ops.exp(log_y + product) - y) / a
    beyond, rate = _where_far(near, product, a)
    around_zero = y * x * (1.0 + 0.5 * within * _exp_series(within))
    return ops.where(near, around_zero, (ops.exp(log_y + beyond) - y) / rate)


def log1p_over(x: Tensor, a: Tensor) -> Tensor:
    """log(1 + a x) / a, which is x at a = 0: near it by the series of the inverse hyperbolic tangent."""
    product = a * x
    near = ops.abs(product) < 0.5
    within = ops.where(near, product, ops.zeros_like(product))
    series = _artanh_over(within / (2.0 + within))
    beyond, rate = _where_far(near, product, a)
    return ops.where(near, x * series * (2.0 / (2.0 + within)), ops.log1p(beyond) / rate)


def _where_far(near: Tensor, product: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
    """The product and its factor a where it is not near 0, and 1 elsewhere."""
    ones = ops.ones_like(product)
    return ops.where(near, ones, product), ops.where(near, ones, a)


# Operations that lose digits on one backend or another ---------------------------------------------------


def softplus(x: Tensor) -> Tensor:
    """log(1 + e^x)."""
    if not _fused():
        return _softplus_of_backend(x)
    positive = x >= 0
    # Not abs and relu, whose derivatives at 0 would add up to 0 instead of a half.
    tail = log1p_of_share(ops.exp(ops.where(positive, -x, x)))
    return ops.where(positive, x, ops.zeros_like(x)) + tail


def log1p(x: Tensor) -> Tensor:
    """log(1 + x) for x >= 0."""
    if not _fused() or is_double(x):
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
    if not _fused() or is_double(x):
        return ops.log1p(x)
    return with_derivative(_log1p_series, _slope_of_log1p)(x)


def _log1p_series(x: Tensor) -> Tensor:
    y = x * (2.0 / (2.0 + x))
    square, series = ops.square(0.5 * y), full(y, _ARTANH_OVER[-1])
    for c in _ARTANH_OVER[-2::-1]:  # Horner's scheme
        series = c + square * series
    return y * series


# artanh(y) / y in powers of y^2, by interpolation at Chebyshev's nodes of [0, 1/9]: 8e-9 off, where as many
# terms of its own series are 2e-6 off.
_ARTANH_OVER = (1.0, 0.3333316082, 0.2001229762, 0.1398257887, 0.1407888918)


def _slope_of_log1p(x: Tensor) -> Tensor:
    return 1.0 / (1.0 + x)


def _artanh_over(y: Tensor) -> Tensor:
    """artanh(y) / y for |y| <= 1/3, by its series."""
    square, series = ops.square(y), ops.zeros_like(y)
    for odd in range(33 if is_double(y) else 17, 0, -2):  # Horner's scheme
        series = 1.0 / odd + square * series
    return series


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


def log1p_square(x: Tensor) -> Tensor:
    """log(1 + x^2) for x >= 0, however large."""
    large = x > 1e9  # where float64 cannot tell the 1
    near, far = ops.where(large, ops.zeros_like(x), x), ops.where(large, x, ops.ones_like(x))
    return ops.where(large, 2.0 * ops.log(far), log1p(ops.square(near)))


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


def mean(x: Tensor) -> Tensor:
    """The mean over the last axis; on PyTorch that of Keras goes through float32."""
    return ops.sum(x, axis=-1) / ops.cast(ops.shape(x)[-1], x.dtype)


def total(x: Tensor) -> Tensor:
    """The sum of all values.

    XLA computes what is summed within the sum, and on JAX's CPU number by number unless that is in rows.
    """
    if keras.backend.backend() != "jax":
        return ops.sum(x)
    flat = ops.reshape(x, (-1,))
    whole = flat.shape[0] // _ROW * _ROW
    return ops.sum(ops.sum(ops.reshape(flat[:whole], (-1, _ROW)), axis=-1)) + ops.sum(flat[whole:])


_ROW = 512


def full(x: Tensor, value: float | Tensor) -> Tensor:
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


def size(x: Tensor) -> Tensor:
    """|x|, with gradient 0 at 0; on JAX that of Keras is 1."""
    return x * ops.stop_gradient(ops.sign(x)) if keras.backend.backend() == "jax" else ops.abs(x)


def peak(x: Tensor) -> Tensor:
    """The largest over the last axis, which is not empty."""
    # Keras refuses an empty batch without a start, and cannot trace a start without data on PyTorch.
    maybe_empty = keras.backend.backend() != "torch" or 0 in tuple(x.shape)
    return ops.max(x, axis=-1, initial=-np.inf if maybe_empty else None)


def sum_of_others(x: Tensor) -> Tensor:
    """sum_{k != j} x_k for every j of the last axis, x >= 0, without subtracting the largest from a sum."""
    largest = is_class(ops.argmax(x, axis=-1), x)
    without = ops.sum(ops.where(largest, ops.zeros_like(x), x), axis=-1, keepdims=True)
    return ops.where(largest, without, ops.sum(x, axis=-1, keepdims=True) - x)


def share(a: Tensor, rest: Tensor) -> Tensor:
    """a / (a + rest) for a, rest >= 0; no two large slopes cancel in its gradient where either is 0."""
    more, ones = a > rest, ops.ones_like(a)
    above = ops.where(more, rest / ops.where(more, a, ones), ones)
    below = ops.where(more, ones, a / ops.where(ops.logical_or(more, ops.equal(rest, 0)), ones, rest))
    return ops.where(more, 1.0 / (1.0 + above), below / (1.0 + below))


def below_peak(x: Tensor) -> Tensor:
    """x minus its largest over the last axis, which is nothing to a softmax and so needs no gradient."""
    return x - ops.stop_gradient(ops.expand_dims(peak(x), -1))


def logsumexp(x: Tensor) -> Tensor:
    """log sum_j e^x_j over the last axis; from 1e4 on the gradient of PyTorch's own is off by 1e-3."""
    return ops.stop_gradient(peak(x)) + ops.log(ops.sum(ops.exp(below_peak(x)), axis=-1))


def ratio(a: Tensor, b: Tensor) -> Tensor:
    """a / b, or 0 where b is 0; on PyTorch that of Keras is float32."""
    none = ops.equal(b, 0)
    return ops.where(none, ops.zeros_like(a), a / ops.where(none, ops.ones_like(b), b))


def times(x: Tensor, matrix: Tensor) -> Tensor:
    """x @ matrix; on PyTorch Keras's `matmul` is float32, and TensorFlow 2.18's `einsum` is wrong."""
    return x @ matrix if len(x.shape) > 1 else (x[None] @ matrix)[0]


def running_sum(x: Tensor) -> Tensor:
    """The sums of the first, the first two ... of the last axis; on PyTorch Keras's `cumsum` is float32."""
    return times(x, ops.convert_to_tensor(np.triu(np.ones((x.shape[-1],) * 2)), dtype=x.dtype))


# Logarithms of probabilities ------------------------------------------------------------------------


@dataclass(frozen=True)
class Crossentropy:
    """-log p and 1 - p of a probability p, each to its own last digits.

    Of a probability that was given as such, the slope of -log p is held from -log p = `steepest_from` on.
    Those of all classes have the `logits` from which they were computed.
    """

    value: Tensor
    rest: Callable[[], Tensor]
    """What makes 1 - p when it is asked for: where nothing compiles, nothing else would leave it out."""
    steepest_from: float | Tensor = np.inf
    logits: Tensor | None = None

    @functools.cached_property
    def complement(self) -> Tensor:
        return self.rest()

    def map(self, function: Callable[..., Tensor], setting: float | Tensor, *others: Tensor | None) -> Tensor:
        """function(-log p, setting, *others), as steep at p = 0 as where the slope of -log p was held.

        Of a power of p, by which that slope is multiplied, p = 0 would leave nothing. The gradient in the
        setting, a hyper-parameter, is that of the function itself.
        """
        if is_number(self.steepest_from, np.inf):
            return function(self.value, setting, *others)
        exact = function(ops.stop_gradient(self.value), setting, *map(constant, others))
        beyond = ops.stop_gradient(ops.relu(self.value - self.steepest_from))
        held = function(self.value - beyond, constant(setting), *others)
        return held + (exact - ops.stop_gradient(held))

    def one_minus_power(self, q: float | Tensor) -> Tensor:
        """(1 - p^q) / q, which is -log p at q = 0."""
        if is_number(q, 0.0):
            return self.value
        if is_number(q, 1.0):
            return self.complement
        return self.map(_one_minus_power, q)


def _one_minus_power(minus_log: Tensor, q: float | Tensor) -> Tensor:
    return one_minus_exp(q * minus_log) / q if is_number(q) else -expm1_over(-minus_log, q)


def sparse_crossentropy(ids: Tensor, logits: Tensor) -> Crossentropy:
    """-log softmax(z)_t for integer t, NaN where t is no class.

    With the true class outside the sum nothing cancels: a loss of 2e-9 and its gradient come out as
    exactly as a loss of 1e4, which logsumexp(z) - z_t rounds to 0.
    """
    value = with_slope(_crossentropy_of_id, logits, ids)
    return Crossentropy(value, lambda: one_minus_exp(value))


def _crossentropy_of_id(logits: Tensor, ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    top = ops.stop_gradient(peak(logits))
    own = chosen(ids, logits) - top
    others = put(ids, ops.exp(logits - ops.expand_dims(top, -1)), ops.zeros_like(own))
    rest = ops.sum(others, axis=-1)
    # The largest exponential is 1: that of t, so that expm1 is 0, or one of the rest.
    return ops.log1p(rest + ops.expm1(own)) - own, put(ids, others, -rest), 1.0 / (rest + ops.exp(own))


def dense_crossentropy(logits: Tensor) -> Crossentropy:
    """-log softmax(z)_j for every class j.

    Measured from the largest logit z_a, whose own term is softplus(logsumexp_{j != a} z_j - z_a): all
    that is added to it, z_a - z_j, is positive; and no other p_j is near enough to 1 for 1 - p_j to cancel.
    """
    _, largest, least, value = _from_the_largest(logits)

    def rest() -> Tensor:
        return ops.where(largest, ops.expand_dims(least.complement, -1), 1.0 - ops.exp(-value))

    return Crossentropy(value, rest, logits=logits)


def _softmax(logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The exponentials of z below its largest, z below it, and what their sum is above 1, with its digits."""
    below = below_peak(logits)
    grown = ops.exp(below)
    total = ops.sum(grown, axis=-1, keepdims=True)
    others = ops.sum(grown - ops.cast(below >= 0, grown.dtype), axis=-1, keepdims=True)
    # Of one largest, what the others add to its 1; of several, far from 1.
    return grown, below, ops.where(total < 1.5, others, total - 1.0)


def expected_crossentropy(y: Tensor, logits: Tensor) -> Tensor:
    """-sum_j y_j log softmax(z)_j for a distribution y, in one pass over both and one more for the gradient.

    The sum of e^z_j - y_j, with logits below their largest, is what the sum of the exponentials has above 1:
    all others' where the true class is the largest, since it is left out then as exactly as a class id is.
    """
    return with_slope(_expected_crossentropy, logits, y, of_other=_crossentropy_of_each)


def _expected_crossentropy(logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    below = below_peak(logits)
    beside = ops.exp(below) - y
    more, total = (ops.sum(x, axis=-1, keepdims=True) for x in (beside, y))
    value = total * ops.log1p(more + (total - 1.0)) - ops.sum(y * below, axis=-1, keepdims=True)
    return ops.squeeze(value, -1), total * beside - more * y, ops.squeeze(1.0 / (more + total), -1)


def _crossentropy_of_each(logits: Tensor, y: Tensor) -> Tensor:
    return dense_crossentropy(logits).value


def crossentropy_of_others(ids: Tensor, logits: Tensor) -> Tensor:
    """-sum_{j != t} log softmax(z)_j, for integer t."""
    return with_slope(_crossentropy_of_others, logits, ids)


def _crossentropy_of_others(logits: Tensor, ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    grown, below, more = _softmax(logits)
    own, count = is_class(ids, logits), logits.shape[-1] - 1.0
    apart = ops.sum(ops.where(own, ops.zeros_like(below), -below), axis=-1)
    slope = count / (1.0 + more) * grown - ops.where(own, ops.zeros_like(below), ops.ones_like(below))
    return count * ops.squeeze(log1p(more), -1) + apart, slope, ops.ones_like(apart)


def entropy(logits: Tensor) -> Tensor:
    """-sum_j p_j log p_j for p = softmax(z)."""
    return with_slope(_entropy, logits, ops.zeros((), dtype="int32"))  # there is no label


def _entropy(logits: Tensor, _: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    grown, below, more = _softmax(logits)
    apart = minimum(-below, 1e30)  # of which none is left where p is 0
    mean = ops.sum(grown * apart, axis=-1, keepdims=True) / (1.0 + more)
    slope = grown * (apart - mean)
    return ops.squeeze(log1p(more) + mean, -1), slope, ops.squeeze(1.0 / (1.0 + more), -1)


def sparse_log_odds(ids: Tensor, logits: Tensor) -> Tensor:
    """log p_t - log(1 - p_t) = z_t - logsumexp_{j != t} z_j, for integer t."""
    return with_slope(_log_odds_of_id, logits, ids)


def _log_odds_of_id(logits: Tensor, ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    own = chosen(ids, logits)
    others = put(ids, logits, full(own, -np.inf))
    # The bound matters only where all others are -inf, as a mask over classes may make them.
    top = maximum(ops.stop_gradient(peak(others)), -1e38)
    others = ops.exp(others - ops.expand_dims(top, -1))
    rest = maximum(ops.sum(others, axis=-1), 1e-37)
    return (own - top) - ops.log(rest), put(ids, others, -rest), -1.0 / rest


def dense_log_odds(logits: Tensor) -> Tensor:
    """log p_j - log(1 - p_j) for every class j.

    The largest p_j is kept out of the logarithm of 1 - p_j; every other is at most a half.
    """
    ids, largest, _, value = _from_the_largest(logits)
    margin = ops.expand_dims(sparse_log_odds(ids, logits), -1)
    safe = ops.where(largest, ops.ones_like(value), value)
    return ops.where(largest, margin, -safe - ops.log(1.0 - ops.exp(-safe)))


def _from_the_largest(logits: Tensor) -> tuple[Tensor, Tensor, Crossentropy, Tensor]:
    """The class of the largest logit, which logit that is, its cross-entropy, and every -log p_j."""
    ids = ops.argmax(logits, axis=-1)
    largest, least = is_class(ids, logits), sparse_crossentropy(ids, logits)
    top = ops.expand_dims(chosen(ids, logits), -1)
    below = ops.where(largest, ops.zeros_like(logits), top - logits)
    return ids, largest, least, ops.expand_dims(least.value, -1) + below


def binary_crossentropy(logits: Tensor) -> tuple[Crossentropy, Crossentropy]:
    """Of the labels 1 and 0: softplus(-z) and softplus(z), which share log(1 + e^-|z|)."""
    if not _fused():  # where each operation is a pass over memory
        return _against(-logits), _against(logits)
    positive = logits >= 0
    zeros = ops.zeros_like(logits)
    # As in softplus, with one exponential for all.
    smaller = ops.exp(ops.where(positive, -logits, logits))
    tail, likelier = log1p_of_share(smaller), 1.0 / (1.0 + smaller)
    unlikelier = smaller * likelier
    one = ops.where(positive, zeros, -logits) + tail
    zero = ops.where(positive, logits, zeros) + tail
    return (
        Crossentropy(one, lambda: ops.where(positive, unlikelier, likelier)),
        Crossentropy(zero, lambda: ops.where(positive, likelier, unlikelier)),
    )


def _against(log_odds: Tensor) -> Crossentropy:
    """Of the label against which these are the log-odds."""
    return Crossentropy(softplus(log_odds), lambda: _sigmoid(log_odds))


_FEW_CLASSES = 64
"""Below so many it is faster to compare every class with the label than to write to the label's place."""


def chosen(ids: Tensor, values: Tensor) -> Tensor:
    """The values `(..., C)` of the classes `ids`, and NaN where there is no such class."""
    there = _some_class(ids, values.shape[-1])
    own = ops.squeeze(ops.take_along_axis(values, ops.expand_dims(there, -1), axis=-1), -1)
    return _where_same(ids, there, own)


def put(ids: Tensor, values: Tensor, own: Tensor) -> Tensor:
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


def or_nan(ids: Tensor, classes: int, values: Tensor) -> Tensor:
    """The values, and NaN where the id is no class; nothing can be raised in a compiled step."""
    return _where_same(ids, _some_class(ids, classes), values)


def _where_same(ids: Tensor, there: Tensor, values: Tensor) -> Tensor:
    return ops.where(ops.equal(ids, there), values, full(values, np.nan))


def is_class(ids: Tensor, logits: Tensor) -> Tensor:
    classes = ops.arange(logits.shape[-1], dtype=keras.backend.standardize_dtype(ids.dtype))
    return ops.equal(ops.expand_dims(ids, -1), classes)


def of_class(ids: Tensor, values: Tensor) -> Tensor:
    """As `chosen`; the gradient of a sum is faster than that of a gather."""
    own = ops.sum(ops.where(is_class(ids, values), values, ops.zeros_like(values)), axis=-1)
    return or_nan(ids, values.shape[-1], own)


def tempered_log_softmax(logits: Tensor, t: float | Tensor, iterations: int) -> Tensor:
    """log p with p_j = [1 + (1 - t)(z_j - lambda)]^(1 / (1 - t)) and sum_j p_j = 1, for t > 1.

    In a tensor t may also be 1, where it is the logarithm of a softmax.

    The fixed point of Amid 2019 comes near lambda, without a derivative; three steps of Newton's method make
    it exact, and the derivatives of the last two, up to the third, are those of lambda.
    """

    def log_p(x: Tensor) -> Tensor:
        return log1p((t - 1.0) * -x) / (1.0 - t) if is_number(t) else -log1p_over(-x, t - 1.0)

    below = below_peak(logits)
    largest, zeros = below >= 0, ops.zeros_like(below)
    many = ops.sum(ops.where(largest, ops.ones_like(below), zeros), axis=-1, keepdims=True)
    held = scaled = ops.stop_gradient(below)
    for _ in range(iterations):
        total = ops.sum(ops.exp(log_p(scaled)), axis=-1, keepdims=True)
        scaled = held * total ** (1.0 - t)
    total = ops.sum(ops.exp(log_p(scaled)), axis=-1, keepdims=True)
    if is_number(t):
        shift = (total ** (t - 1.0) - 1.0) / (t - 1.0)
    else:
        shift = ops.stop_gradient(expm1_over(ops.log(total), t - 1.0))
    for x in (held, below, below):
        apart = shift - x
        p = ops.exp(log_p(-apart))
        # sum_j p_j - 1, where the largest p_j may be near 1: its value apart from its slope.
        beyond = ops.stop_gradient(many * ops.expm1(log_p(-shift)) + (many - 1.0))
        excess = ops.sum(p - ops.stop_gradient(ops.where(largest, p, zeros)), axis=-1, keepdims=True) + beyond
        shift = shift + excess / ops.sum(p / (1.0 + (t - 1.0) * apart), axis=-1, keepdims=True)
        shift = ops.stop_gradient(shift) if x is held else shift
    return log_p(below - shift)


def crossentropy_of_probability(p: Tensor, dtype: str) -> Crossentropy:
    """Of probabilities that came in `dtype`."""
    return Crossentropy(negative_log(p, dtype), lambda: 1.0 - p, float(np.log(_steepest(p, dtype))))


def _steepest(p: Tensor, dtype: str) -> float:
    return min(_STEEPEST[dtype], _STEEPEST[keras.backend.standardize_dtype(p.dtype)])


def negative_log(x: Tensor, dtype: str, times: float | Tensor = 1.0) -> Tensor:
    """-log x for x in [0, 1] that came in `dtype`: 0 stands for the smallest number of that dtype.

    Near 0 the value is exact and the gradient stays at the steepest that the dtype can bear (1e19 in
    float32), with what it will be multiplied by, `times`: it is finite, and a confidently wrong sample
    still learns.
    """
    smallest = max(_SMALLEST[dtype], _SMALLEST[keras.backend.standardize_dtype(x.dtype)])
    slope = _steepest(x, dtype) / _at_least_one(times)
    steady = x >= 1.0 / slope
    log = ops.log(ops.where(steady, x, ops.stop_gradient(maximum(x, smallest))))
    return 0.0 - ops.where(steady, log, ops.stop_gradient(log) + (x - ops.stop_gradient(x)) * slope)


def _at_least_one(times: float | Tensor) -> Any:
    return max(times, 1.0) if is_number(times) else ops.stop_gradient(maximum(times, 1.0))


def negative_log_complement(x: Tensor, dtype: str, times: float | Tensor = 1.0) -> Tensor:
    """-log(1 - x) for x in [0, 1] that came in `dtype`: 1 stands for the largest number below 1.

    As with `negative_log`, the gradient bears being multiplied by `times`.
    """
    computed = keras.backend.standardize_dtype(x.dtype)
    gap = max(GAP_BELOW_ONE[dtype], GAP_BELOW_ONE[computed])
    reach = _at_least_one(times) / min(_STEEPEST[dtype], _STEEPEST[computed])
    reach = max(gap, reach) if is_number(reach) else maximum(reach, gap)
    steady = x <= 1.0 - reach
    log = ops.log1p(-ops.where(steady, x, ops.stop_gradient(minimum(x, 1.0 - gap))))
    return 0.0 - ops.where(steady, log, ops.stop_gradient(log) - (x - ops.stop_gradient(x)) / reach)


def log1mexp(x: Tensor) -> Tensor:
    """log(1 - e^-x) for x > 0."""
    small, ones = x < 0.7, ops.ones_like(x)
    near = ops.log(-ops.expm1(-ops.where(small, x, ones)))
    return ops.where(small, near, ops.log1p(-ops.exp(-ops.where(small, ones, x))))


def log_ndtr(x: Tensor) -> Tensor:
    """log Phi(x), the normal distribution function: for any x, with digits where it is near 0 or tiny.

    Below -10 it is -x^2 / 2 - log(-x sqrt(2 pi)) + log(1 - 1 / x^2 + 3 / x^4 - 15 / x^6 ...), whose
    fifteenth term is below the last digit of a float64.
    """
    above, below = x > 0, x < -10
    zeros = ops.zeros_like(x)
    near_one = ops.log1p(-0.5 * _erfc(ops.where(above, x, zeros) * _ROOT_HALF))
    within = ops.where(ops.logical_or(above, below), zeros, x)  # NaN is here
    between = ops.log(0.5 * _erfc(-within * _ROOT_HALF))
    far = ops.where(below, x, full(x, -10.0))
    square, series = ops.square(far), ops.ones_like(x)
    for odd in range(27, 0, -2):  # Horner's scheme
        series = 1.0 - odd / square * series
    tail = ops.log(series) - ops.log(-far) - 0.5 * square - LOG_ROOT_TWO_PI
    return ops.where(above, near_one, ops.where(below, tail, between))


def log_ndtr_difference(a: Tensor, b: Tensor, gap: Tensor) -> Tensor:
    """log(Phi(a) - Phi(b)) for a > b, where gap = a - b is given with digits that a and b may have lost.

    Mirrored to where both are small. Where a and b are near to one another the integral of the density is
    taken by Gauss and Legendre's rule, a sum of positive terms that is exact to float64 for up to 1 on each
    side and a slope of up to 4; elsewhere Phi(b) is well below Phi(a), and nothing cancels.
    """
    mirrored = a + b > 0
    high, low = ops.where(mirrored, -b, a), ops.where(mirrored, -a, b)
    middle, half, zeros = 0.5 * (high + low), 0.5 * gap, ops.zeros_like(a)
    close = ops.logical_and(half < 1.0, -middle * half < 4.0)

    m, h = ops.where(close, middle, zeros), ops.where(close, half, full(a, 0.5))
    nodes, weights = (ops.convert_to_tensor(x, dtype=a.dtype) for x in _GAUSS_LEGENDRE)
    steps = ops.expand_dims(h, -1) * nodes
    curve = ops.exp(-steps * (ops.expand_dims(m, -1) + 0.5 * steps))
    integral = ops.log(h) + ops.log(ops.sum(weights * curve, axis=-1)) - 0.5 * ops.square(m) - LOG_ROOT_TWO_PI

    largest = log_ndtr(ops.where(close, zeros, high))
    lead = largest - log_ndtr(ops.where(close, full(a, -2.0), low))
    # The true lead is above 1.6 here. Far out, float32 cannot tell it from less, and it no longer matters.
    return ops.where(close, integral, largest + log1mexp(maximum(lead, 1.0)))


_ROOT_HALF = math.sqrt(0.5)
LOG_ROOT_TWO_PI = 0.5 * math.log(2 * math.pi)
_GAUSS_LEGENDRE = np.polynomial.legendre.leggauss(16)


# Barron's density ------------------------------------------------------------------------------------

# Of v in [0, 40], the nodes of the trapezoidal rule, and log cosh v.
_NODES = np.arange(0, 40, 1 / 16)
_LOG_COSH = np.logaddexp(_NODES, -_NODES) - math.log(2.0)


def barron_log_partition(alpha: Tensor) -> Tensor:
    """log Z(alpha), the log of the integral of exp(-rho(x, alpha)) over all x, rho Barron's loss of scale 1.

    For alpha in (0, 2). With x = sqrt(2 - alpha) sinh v,

        Z = sqrt(2 - alpha) times the integral of cosh v exp(-(2 - alpha) (cosh^alpha v - 1) / alpha)

    which falls like e^-v or faster and is analytic beside the real line: there the trapezoidal rule is exact
    to the last digits, and so are its derivatives, in float32 to 2e-4. It takes 640 exponentials for each
    alpha, of which there are as many as outputs at most.
    """
    log_cosh = ops.convert_to_tensor(_LOG_COSH, dtype=alpha.dtype)
    wide = ops.expand_dims(alpha, -1)
    density = ops.exp(log_cosh - (2.0 - wide) * ops.expm1(wide * log_cosh) / wide)
    total = (ops.sum(density, axis=-1) - 0.5 * density[..., 0]) / 8.0
    return ops.log(total) + 0.5 * ops.log(2.0 - alpha)


# Powers and products --------------------------------------------------------------------------------


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


def x_log_x(x: Tensor) -> Tensor:
    """x log x for x >= 0, with 0 log 0 = 0 and gradient 0 there."""
    zero = x <= 0
    return ops.where(zero, ops.zeros_like(x), x * ops.log(ops.where(zero, ops.ones_like(x), x)))


# Divergences ----------------------------------------------------------------------------------------


def power_gap(y: Tensor, p: Tensor, log_y: Tensor, log_p: Tensor, alpha: float | Tensor) -> Tensor:
    """(alpha y + (1 - alpha) p - y^alpha p^(1 - alpha)) / (alpha (1 - alpha)) >= 0, for each y, p > 0.

    At alpha = 1 that is y log(y / p) + p - y, at alpha = 0 the same of p and y, and near both it is what it
    is there. With x = log(p / y) and beta = 1 - alpha it is y (e^x - 1 - (e^(beta x) - 1) / beta) / alpha,
    of which the terms in 1 and x are left out where x is small: the digits are those of x.
    """
    if is_number(alpha) and alpha < 0.5:
        return power_gap(p, y, log_p, log_y, 1.0 - alpha)
    if not is_number(alpha):
        turned = alpha < 0.5
        y, p = ops.where(turned, p, y), ops.where(turned, y, p)
        log_y, log_p = ops.where(turned, log_p, log_y), ops.where(turned, log_y, log_p)
        alpha = ops.where(turned, 1.0 - alpha, alpha)
    beta, x = 1.0 - alpha, log_p - log_y
    near = ops.abs(x) < 1.0
    within = ops.where(near, x, ops.zeros_like(x))
    close = _expm1_minus_near(within)
    if is_number(beta, 0.0):
        return ops.where(near, y * close, p - y - y * x)
    # (e^(beta x) - 1 - beta x) / beta; beta may be 0 in a tensor, so nothing is divided by it.
    less = 0.5 * beta * ops.square(within) * _exp_series(beta * within)
    close = y * (close - less)
    grown = times_expm1_over(y, log_y, x, beta)
    return ops.where(near, close, p - y - grown) / alpha


def relative_entropy(y: Tensor, logits: Tensor) -> Tensor:
    """sum_j y_j log(y_j / p_j) + p_j - y_j for p = softmax(z), and any y_j >= 0."""
    return with_slope(_relative_entropy, logits, y, of_other=_relative_entropy_in_y)


def _relative_entropy(logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    grown, below, more = _softmax(logits)
    p = grown / (1.0 + more)
    x = below - log1p(more) - _log_or_zero(y)
    some, zeros = y > 0, ops.zeros_like(x)  # where y is 0, x may be infinite
    near = ops.logical_and(ops.abs(x) < 1.0, some)
    within, beyond = ops.where(near, x, zeros), ops.where(some, x, zeros)
    close = _expm1_minus_series(within)
    value = ops.sum(ops.where(near, y * close, p - y - y * beyond), axis=-1)
    slope = ops.where(near, y * (close + within), p - y)
    return value, slope + (ops.sum(y, axis=-1, keepdims=True) - 1.0) * p, ops.ones_like(value)


def _relative_entropy_in_y(logits: Tensor, y: Tensor) -> Tensor:
    _, below, more = _softmax(logits)
    return _log_or_zero(y) - (below - log1p(more))


def relative_entropy_of_logits(teacher: Tensor, logits: Tensor) -> Tensor:
    """KL(softmax(t) || softmax(z)), with the digits of z - t.

    With d = z - t, less the difference of the largest of both, and means over softmax(t), it is
    log E[e^d] - E[d]. Where both are small, with s = E[e^d] - 1 = E[d] + E[e^d - 1 - d], nothing cancels in

        (E[e^d - 1 - d] - s E[d]) / (1 + s) + e^-log(1 + s) - 1 + log(1 + s)
    """
    return with_slope(_relative_entropy_of_logits, logits, teacher, of_other=_relative_entropy_in_teacher)


def _relative_entropy_of_logits(logits: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    top, top_t = (ops.stop_gradient(ops.expand_dims(peak(x), -1)) for x in (logits, teacher))
    grown, grown_t = ops.exp(logits - top), ops.exp(teacher - top_t)
    total, total_t = (ops.sum(x, axis=-1, keepdims=True) for x in (grown, grown_t))
    d = (logits - teacher) - (top - top_t)
    near, zeros = ops.abs(d) < 1.0, ops.zeros_like(d)
    # Where one of both has none of a class, d may be infinite or NaN.
    within, beyond = ops.where(near, d, zeros), ops.where(grown_t > 0, d, zeros)
    curve = _expm1_minus_series(within)
    change = ops.where(near, grown_t * (within + curve), grown - grown_t)
    bend = ops.where(near, grown_t * curve, change - grown_t * beyond)
    mean, bend = (ops.sum(x, axis=-1, keepdims=True) / total_t for x in (grown_t * beyond, bend))

    alike = ops.logical_and(ops.abs(mean) < 1.0, ops.abs(mean + bend) < 0.5)
    s = ops.where(alike, mean + bend, ops.zeros_like(mean))
    close = (bend - s * mean) / (1.0 + s) + _expm1_minus_near(-ops.log1p(s))
    value = ops.where(alike, close, ops.log(total) - ops.log(total_t) - mean)
    slope = ops.where(alike, (change - s * grown_t) / (1.0 + s), total_t / total * grown - grown_t)
    return ops.squeeze(value, -1), slope, ops.squeeze(1.0 / total_t, -1)


def _relative_entropy_in_teacher(logits: Tensor, teacher: Tensor) -> Tensor:
    share = ops.softmax(teacher, axis=-1)
    d = ops.where(share > 0, logits - teacher, ops.zeros_like(share))
    return share * (ops.sum(share * d, axis=-1, keepdims=True) - d)


def _log_or_zero(y: Tensor) -> Tensor:
    return ops.log(ops.where(y > 0, y, ops.ones_like(y)))


def excess(y: Tensor, p: Tensor, one_minus_p: Tensor) -> Tensor:
    """p - y for y in [0, 1], with the digits of 1 - p where both are near 1."""
    return ops.where(y > 0.5, (1.0 - y) - one_minus_p, p - y)


def excess_of_sums(y: Tensor, p: Tensor, logits: Tensor | None) -> Tensor:
    """sum_j p_j - y_j, where p adds up to 1, whatever its rounding, if it is that of logits."""
    return 1.0 - ops.sum(y, axis=-1) if logits is not None else ops.sum(p - y, axis=-1)


def alpha_divergence(
    minus_log_p: Tensor, alpha: float | Tensor, y: Tensor, p: Tensor, log_y: Tensor
) -> Tensor:
    """(1 - sum_j y_j^alpha p_j^(1 - alpha)) / (alpha (1 - alpha)), and its limits at alpha = 0 and 1.

    Where y = 0, y^alpha is 0 for every alpha > 0, however small; for alpha <= 0 it is e^(alpha log_y).
    """
    log_p = -minus_log_p
    if is_number(alpha) and alpha <= 0.0:
        return ops.sum(power_gap(y, p, log_y, log_p, alpha), axis=-1)
    some, rate = y > 0, alpha
    if not is_number(alpha):
        positive = alpha > 0
        some = ops.logical_or(some, ops.logical_not(positive))
        rate = ops.where(positive, alpha, ops.ones_like(alpha))
    gap = power_gap(y, p, ops.where(some, log_y, log_p), log_p, alpha)
    return ops.sum(ops.where(some, gap, p / rate), axis=-1)


def renyi_divergence(
    minus_log_p: Tensor,
    alpha: float | Tensor,
    y: Tensor,
    p: Tensor,
    log_y: Tensor,
    logits: Tensor | None,
) -> Tensor:
    """log(sum_j y_j^alpha p_j^(1 - alpha) / sum_j y_j) / (alpha - 1), and its limit at alpha = 1.

    A ratio near 1 is taken from what it is away from 1, which `alpha_divergence` has with all digits; of any
    other one the logarithm is summed, which holds what would be beyond every float. Between the logits from
    which p was computed are differences that log p has lost.
    """
    beta, log_p = 1.0 - alpha, -minus_log_p
    total = ops.sum(y, axis=-1)
    total = ops.where(total > 0, total, ops.ones_like(total))
    more = excess_of_sums(y, p, logits)
    if is_number(beta, 0.0):
        return (alpha_divergence(minus_log_p, alpha, y, p, log_y) - more) / total
    logs = alpha * log_y + beta * (log_p if logits is None else logits)
    log_ratio = logsumexp(ops.where(y > 0, logs, full(y, -1e30))) - ops.log(total)
    if logits is not None:
        log_ratio = log_ratio - beta * logsumexp(logits)
    near = ops.abs(log_ratio) < 0.5
    each = ops.expand_dims(near, -1)
    gap = alpha_divergence(-ops.where(each, log_p, log_y), alpha, y, ops.where(each, p, y), log_y)
    zeros = ops.zeros_like(gap)
    if not is_number(alpha):
        away = ops.where(near, (more - alpha * gap) / total, zeros)
        return -ops.where(near, log1p_over(away, beta), log_ratio / ops.where(near, ops.ones_like(gap), beta))
    away = ops.where(near, beta * (more - alpha * gap) / total, zeros)
    return -ops.where(near, ops.log1p(away), log_ratio) / beta


def mixture_divergence(
    distributions: Sequence[Tensor], logs: Sequence[Tensor], weights: Sequence[float | Tensor]
) -> Tensor:
    """sum_v w_v KL(p_v || m) with m = sum_v w_v p_v, for weights that add up to 1; the terms are positive."""
    log_weights = [math.log(weight) if is_number(weight) else ops.log(weight) for weight in weights]
    shifted = [log + log_weight for log, log_weight in zip(logs, log_weights, strict=True)]
    log_m = logsumexp(ops.stack(shifted, axis=-1))
    parts = list(zip(distributions, logs, weights, strict=True))
    m = sum(weight * p for p, _, weight in parts)
    gaps = (weight * power_gap(p, m, log, log_m, 1.0) for p, log, weight in parts)
    return ops.sum(sum(gaps), axis=-1)


# What differs between backends ----------------------------------------------------------------------


def compiled_by_tensorflow() -> bool:
    """Whether a graph is traced that TensorFlow will compile with XLA."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    # There is no public way to tell; tests/test_private_keras.py watches this one.
    from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

    return bool(GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()))


def _fused() -> bool:
    """Whether XLA makes one loop of many operations: arithmetic is cheap then, and its own log1p is not.

    JAX's own steps are compiled; what is not has the same digits so.
    """
    return keras.backend.backend() == "jax" or compiled_by_tensorflow()


def is_concrete(x: Tensor) -> bool:
    """Whether a tensor has values now, as in eager mode, rather than while a graph is traced."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return bool(tf.executing_eagerly())
    if backend == "jax":
        import jax

        return not isinstance(x, jax.core.Tracer)
    if backend == "torch":
        import torch

        return not (x.is_meta or torch.compiler.is_compiling())
    return True


def to_numpy(x: Tensor) -> np.ndarray:
    """The values of a concrete tensor, in float64 where they are floats."""
    values = np.asarray(ops.convert_to_numpy(x))
    return values.astype("float64") if is_float(x) else values


def _erfc(x: Tensor) -> Tensor:
    """1 - erf(x), with digits where it is tiny; Keras has erf alone."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.math.erfc(x)
    if backend == "jax":
        import jax

        return jax.scipy.special.erfc(x)
    import torch

    return torch.special.erfc(x)


def _softplus_of_backend(x: Tensor) -> Tensor:
    if keras.backend.backend() != "torch":
        return ops.softplus(x)
    import torch

    return torch.nn.functional.softplus(x, threshold=80.0)  # from where on it is x; by default 20


def _sigmoid(x: Tensor) -> Tensor:
    """To the gradient of TensorFlow's and PyTorch's own, 1 - sigmoid(x) is 0 from 17 on."""
    return with_derivative(ops.sigmoid, _slope_of_sigmoid)(x)


def _slope_of_sigmoid(x: Tensor) -> Tensor:
    return _sigmoid(x) * _sigmoid(-x)


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


def kept_logits(probabilities: Tensor, activation: str) -> Tensor | None:
    """The logits that Keras keeps beside the output of a softmax or sigmoid, where there are any.

    Keras keeps them under one name for both activations; the logits of the other one would silently make
    a different loss, so they are taken only where they are known to belong to `activation`.
    """
    logits = getattr(probabilities, "_keras_logits", None)
    if logits is None:
        return None
    kind = _operation(probabilities)
    if kind:
        return logits if kind == activation else None
    if not is_concrete(probabilities):
        return None
    again = to_numpy(getattr(ops, activation)(logits))
    same = np.allclose(to_numpy(probabilities), again, rtol=1e-2, atol=1e-30, equal_nan=True)
    return logits if same else None


def _operation(x: Tensor) -> str:
    """The name of the operation that made a tensor, where the backend tells: "softmax", "sigmoid"."""
    if keras.backend.backend() == "torch":
        return x.grad_fn.name().removesuffix("Backward0").lower() if x.grad_fn is not None else ""
    kind: str = getattr(getattr(x, "op", None), "type", "")  # graphs of TensorFlow
    return kind.lower()


def share_of_replica(value: Tensor) -> Tensor:
    """The value divided by the number of replicas, whose gradients `tf.distribute` adds up."""
    count = replicas()
    return value / count if count > 1 else value


def of_all_replicas(value: Tensor) -> Tensor:
    """What `share_of_replica` divided, for logs."""
    count = replicas()
    return value * count if count > 1 else value


def replicas() -> int:
    """How many of `tf.distribute` there are where this is called."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return int(tf.distribute.get_strategy().num_replicas_in_sync)
