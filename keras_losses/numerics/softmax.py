"""Cross-entropies, log odds and entropies of logits, each exact where the softmax saturates."""

from __future__ import annotations

import numpy as np
from keras import ops

from keras_losses.numerics.arrays import full_like, max_last, maximum, minimum, minus_max
from keras_losses.numerics.backends import fused_by_xla
from keras_losses.numerics.classes import is_class, put_class, take_class
from keras_losses.numerics.crossentropy import Crossentropy
from keras_losses.numerics.derivatives import Tensor, with_slope
from keras_losses.numerics.elementary import log1p, log1p_of_share, one_minus_exp, sigmoid, softplus


def sparse_crossentropy(ids: Tensor, logits: Tensor) -> Crossentropy:
    """-log softmax(z)_t for integer t, NaN where t is no class.

    With the true class outside the sum nothing cancels: a loss of 2e-9 and its gradient come out as
    exactly as a loss of 1e4, which logsumexp(z) - z_t rounds to 0.
    """
    value = with_slope(_crossentropy_of_id, logits, ids)
    return Crossentropy(value, lambda: one_minus_exp(value))


def _crossentropy_of_id(logits: Tensor, ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    top = ops.stop_gradient(max_last(logits))
    own = take_class(ids, logits) - top
    others = put_class(ids, ops.exp(logits - ops.expand_dims(top, -1)), ops.zeros_like(own))
    rest = ops.sum(others, axis=-1)
    # The largest exponential is 1: that of t, so that expm1 is 0, or one of the rest.
    return ops.log1p(rest + ops.expm1(own)) - own, put_class(ids, others, -rest), 1.0 / (rest + ops.exp(own))


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
    below = minus_max(logits)
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
    below = minus_max(logits)
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
    own = take_class(ids, logits)
    others = put_class(ids, logits, full_like(own, -np.inf))
    # The bound matters only where all others are -inf, as a mask over classes may make them.
    top = maximum(ops.stop_gradient(max_last(others)), -1e38)
    others = ops.exp(others - ops.expand_dims(top, -1))
    rest = maximum(ops.sum(others, axis=-1), 1e-37)
    return (own - top) - ops.log(rest), put_class(ids, others, -rest), -1.0 / rest


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
    top = ops.expand_dims(take_class(ids, logits), -1)
    below = ops.where(largest, ops.zeros_like(logits), top - logits)
    return ids, largest, least, ops.expand_dims(least.value, -1) + below


def binary_crossentropy(logits: Tensor) -> tuple[Crossentropy, Crossentropy]:
    """Of the labels 1 and 0: softplus(-z) and softplus(z), which share log(1 + e^-|z|)."""
    if not fused_by_xla():  # where each operation is a pass over memory
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
    return Crossentropy(softplus(log_odds), lambda: sigmoid(log_odds))
