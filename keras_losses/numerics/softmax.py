"""Cross-entropies, log-odds and entropies of logits, each exact where the softmax saturates."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from keras import ops

from keras_losses.numerics.arrays import full_like, max_last, maximum, minus_max
from keras_losses.numerics.backends import fused_by_xla
from keras_losses.numerics.classes import is_class, put_class, take_class
from keras_losses.numerics.crossentropy import Crossentropy
from keras_losses.numerics.derivatives import Tensor, with_row_gradient
from keras_losses.numerics.elementary import log1p, log1p_unit, one_minus_exp, sigmoid, softplus
from keras_losses.numerics.masked import bounded, bounded_below, is_unmasked


def sparse_crossentropy(ids: Tensor, logits: Tensor) -> Crossentropy:
    """Return -log softmax(z)_t for class ids t, and NaN for invalid ids.

    The true class is kept out of the sum of exponentials, so nothing cancels. A loss of 2e-9, which
    logsumexp(z) - z_t rounds to 0, and its gradient are as exact as a loss of 1e4.
    """
    value = with_row_gradient(_crossentropy_of_id, logits, ids)
    return Crossentropy(value, lambda: one_minus_exp(value))


def _crossentropy_of_id(logits: Tensor, ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    top = ops.stop_gradient(max_last(logits))
    z_t = take_class(ids, logits) - top
    others = put_class(ids, ops.exp(logits - ops.expand_dims(top, -1)), ops.zeros_like(z_t))
    sum_of_others = ops.sum(others, axis=-1)
    # The largest exponential is 1. If it is that of t, expm1 is 0; else it is among the others.
    value = ops.log1p(sum_of_others + ops.expm1(z_t)) - z_t
    return value, put_class(ids, others, -sum_of_others), 1.0 / (sum_of_others + ops.exp(z_t))


def dense_crossentropy(logits: Tensor) -> Crossentropy:
    """Return -log softmax(z)_j for every class j.

    The value of the largest logit z_a is softplus(logsumexp_{j != a} z_j - z_a). The other values are that
    plus z_a - z_j, which is positive, so nothing cancels. Nor does 1 - p_j cancel for them, since p_j is at
    most a half.
    """
    top = _top_class(logits)
    value = bounded(top.all_values)

    def complement() -> Tensor:
        of_top = ops.expand_dims(top.crossentropy.complement, -1)
        return ops.where(top.mask, of_top, 1.0 - ops.exp(-value))

    return Crossentropy(value, complement, logits=logits)


class SoftmaxParts(NamedTuple):
    """The parts of a softmax, from which its logarithm can be taken without cancellation."""

    exponentials: Tensor
    """e^(z - max z)."""
    shifted: Tensor
    """z - max z."""
    sum_minus_1: Tensor
    """The sum of the exponentials minus 1 `(..., 1)`, exact where one class has nearly all probability."""


def softmax_parts(logits: Tensor) -> SoftmaxParts:
    """Return the parts of the softmax of logits."""
    shifted = minus_max(logits)
    exponentials = ops.exp(shifted)
    total = ops.sum(exponentials, axis=-1, keepdims=True)
    others = ops.sum(exponentials - ops.cast(shifted >= 0, exponentials.dtype), axis=-1, keepdims=True)
    # A total below 1.5 has one largest class, and the others make up the part above its 1.
    return SoftmaxParts(exponentials, shifted, ops.where(total < 1.5, others, total - 1.0))


def expected_crossentropy(y: Tensor, logits: Tensor) -> Tensor:
    """Return -sum_j y_j log softmax(z)_j, in one pass over memory and one more for the gradient.

    The sum of e^(z_j - max z) - y_j is the sum of the exponentials minus 1 if y adds up to 1. Where the true
    class is the largest, its two terms cancel exactly, as if it had been left out of the sum.
    """
    return with_row_gradient(_expected_crossentropy, logits, y, of_other=_crossentropy_of_each)


def _expected_crossentropy(logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    shifted = bounded_below(minus_max(logits))
    difference = ops.exp(shifted) - y
    sum_of_differences, total = (ops.sum(x, axis=-1, keepdims=True) for x in (difference, y))
    log_normalizer = ops.log1p(sum_of_differences + (total - 1.0))
    value = total * log_normalizer - ops.sum(y * shifted, axis=-1, keepdims=True)
    gradient = total * difference - sum_of_differences * y
    return ops.squeeze(value, -1), gradient, ops.squeeze(1.0 / (sum_of_differences + total), -1)


def _crossentropy_of_each(logits: Tensor, y: Tensor) -> Tensor:
    return dense_crossentropy(logits).value


def crossentropy_of_others(ids: Tensor, logits: Tensor) -> Tensor:
    """Return -sum_{j != t} log softmax(z)_j for class ids t, without masked classes."""
    return with_row_gradient(_crossentropy_of_others, logits, ids)


def _crossentropy_of_others(logits: Tensor, ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    exponentials, shifted, sum_minus_1 = softmax_parts(logits)
    is_other = ops.logical_and(is_unmasked(logits), ops.logical_not(is_class(ids, logits)))
    distances = ops.sum(ops.where(is_other, -shifted, ops.zeros_like(shifted)), axis=-1)
    others = ops.cast(is_other, shifted.dtype)
    count = ops.sum(others, axis=-1, keepdims=True)
    gradient = count / (1.0 + sum_minus_1) * exponentials - others
    return ops.squeeze(count * log1p(sum_minus_1), -1) + distances, gradient, ops.ones_like(distances)


def entropy(logits: Tensor) -> Tensor:
    """Return -sum_j p_j log p_j for p = softmax(z)."""
    no_label = ops.zeros((), dtype="int32")
    return with_row_gradient(_entropy, logits, no_label)


def _entropy(logits: Tensor, _: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    exponentials, shifted, sum_minus_1 = softmax_parts(logits)
    distance = bounded(-shifted)
    mean = ops.sum(exponentials * distance, axis=-1, keepdims=True) / (1.0 + sum_minus_1)
    gradient = exponentials * (distance - mean)
    return ops.squeeze(log1p(sum_minus_1) + mean, -1), gradient, ops.squeeze(1.0 / (1.0 + sum_minus_1), -1)


def sparse_log_odds(ids: Tensor, logits: Tensor) -> Tensor:
    """Return log p_t - log(1 - p_t) = z_t - logsumexp_{j != t} z_j for class ids t."""
    return with_row_gradient(_log_odds_of_id, logits, ids)


def _log_odds_of_id(logits: Tensor, ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    z_t = take_class(ids, logits)
    others = put_class(ids, logits, full_like(z_t, -np.inf))
    # The bounds matter only where all others are -inf: masked classes.
    top = maximum(ops.stop_gradient(max_last(others)), -1e38)
    others = ops.exp(others - ops.expand_dims(top, -1))
    total = maximum(ops.sum(others, axis=-1), 1e-37)
    return (z_t - top) - ops.log(total), put_class(ids, others, -total), -1.0 / total


def dense_log_odds(logits: Tensor) -> Tensor:
    """Return log p_j - log(1 - p_j) for every class j.

    For the largest p_j, 1 - p_j is the sum of the others. Every other p_j is at most a half, so 1 - p_j does
    not cancel.
    """
    top = _top_class(logits)
    of_top = ops.expand_dims(sparse_log_odds(top.ids, logits), -1)
    safe = ops.where(top.mask, ops.ones_like(logits), top.all_values)
    return ops.where(top.mask, of_top, -safe - ops.log(1.0 - ops.exp(-safe)))


class _TopClass(NamedTuple):
    """The class with the largest logit, and the cross-entropies of all classes measured from its own."""

    ids: Tensor
    mask: Tensor
    crossentropy: Crossentropy
    all_values: Tensor


def _top_class(logits: Tensor) -> _TopClass:
    ids = ops.argmax(logits, axis=-1)
    mask, crossentropy = is_class(ids, logits), sparse_crossentropy(ids, logits)
    largest = ops.expand_dims(take_class(ids, logits), -1)
    distance = ops.where(mask, ops.zeros_like(logits), largest - logits)
    return _TopClass(ids, mask, crossentropy, ops.expand_dims(crossentropy.value, -1) + distance)


def binary_crossentropy(logits: Tensor) -> tuple[Crossentropy, Crossentropy]:
    """Return the cross-entropies of the labels 1 and 0: softplus(-z) and softplus(z)."""
    if not fused_by_xla():  # Each operation is a pass over memory, so the fewest operations are fastest.
        return _crossentropy_against(-logits), _crossentropy_against(logits)
    positive = logits >= 0
    zeros = ops.zeros_like(logits)
    # Both share the exponential and log(1 + e^-|z|). `where` instead of abs and relu: see `softplus`.
    smaller = ops.exp(ops.where(positive, -logits, logits))
    tail, likelier = log1p_unit(smaller), 1.0 / (1.0 + smaller)
    unlikelier = smaller * likelier
    one = bounded(ops.where(positive, zeros, -logits)) + tail
    zero = ops.where(positive, logits, zeros) + tail
    return (
        Crossentropy(one, lambda: ops.where(positive, unlikelier, likelier)),
        Crossentropy(zero, lambda: ops.where(positive, likelier, unlikelier)),
    )


def _crossentropy_against(log_odds: Tensor) -> Crossentropy:
    """Return the cross-entropy of a label from the log-odds of the other label."""
    return Crossentropy(bounded(softplus(log_odds)), lambda: sigmoid(log_odds))
