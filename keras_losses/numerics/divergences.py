"""Divergences between distributions, without cancellation where they are near to one another."""

from __future__ import annotations

import math
from collections.abc import Sequence

from keras import ops

from keras_losses.numerics.arrays import full_like, logsumexp, max_last
from keras_losses.numerics.derivatives import Tensor, with_slope
from keras_losses.numerics.elementary import (
    _exp_series,
    _expm1_minus_near,
    _expm1_minus_series,
    log1p,
)
from keras_losses.numerics.softmax import _softmax


def power_gap(y: Tensor, p: Tensor, log_y: Tensor, log_p: Tensor, alpha: float) -> Tensor:
    """(alpha y + (1 - alpha) p - y^alpha p^(1 - alpha)) / (alpha (1 - alpha)) >= 0, for each y, p > 0.

    At alpha = 1 that is y log(y / p) + p - y, at alpha = 0 the same of p and y, and near both it is what it
    is there. With x = log(p / y) and beta = 1 - alpha it is y (e^x - 1 - (e^(beta x) - 1) / beta) / alpha,
    of which the terms in 1 and x are left out where x is small: the digits are those of x.
    """
    if alpha < 0.5:
        return power_gap(p, y, log_p, log_y, 1.0 - alpha)
    beta, x = 1.0 - alpha, log_p - log_y
    near = ops.abs(x) < 1.0
    within = ops.where(near, x, ops.zeros_like(x))
    close = _expm1_minus_near(within)
    if beta == 0.0:
        return ops.where(near, y * close, p - y - y * x)
    # (e^(beta x) - 1 - beta x) / beta
    less = 0.5 * beta * ops.square(within) * _exp_series(beta * within)
    close = y * (close - less)
    # y (e^(beta x) - 1) / beta, where y may be 0 and e^(beta x) infinite.
    product = beta * x
    small = ops.abs(product) < 1.0
    tiny = ops.where(small, product, ops.zeros_like(product))
    grown = ops.where(small, y * ops.expm1(tiny), ops.exp(log_y + product) - y) / beta
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
    top, top_t = (ops.stop_gradient(ops.expand_dims(max_last(x), -1)) for x in (logits, teacher))
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


def alpha_divergence(minus_log_p: Tensor, alpha: float, y: Tensor, p: Tensor, log_y: Tensor) -> Tensor:
    """(1 - sum_j y_j^alpha p_j^(1 - alpha)) / (alpha (1 - alpha)), and its limits at alpha = 0 and 1.

    Where y = 0, y^alpha is 0 for every alpha > 0, however small; for alpha <= 0 it is e^(alpha log_y).
    """
    log_p = -minus_log_p
    if alpha <= 0.0:
        return ops.sum(power_gap(y, p, log_y, log_p, alpha), axis=-1)
    some = y > 0
    gap = power_gap(y, p, ops.where(some, log_y, log_p), log_p, alpha)
    return ops.sum(ops.where(some, gap, p / alpha), axis=-1)


def renyi_divergence(
    minus_log_p: Tensor,
    alpha: float,
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
    if beta == 0.0:
        return (alpha_divergence(minus_log_p, alpha, y, p, log_y) - more) / total
    logs = alpha * log_y + beta * (log_p if logits is None else logits)
    log_ratio = logsumexp(ops.where(y > 0, logs, full_like(y, -1e30))) - ops.log(total)
    if logits is not None:
        log_ratio = log_ratio - beta * logsumexp(logits)
    near = ops.abs(log_ratio) < 0.5
    each = ops.expand_dims(near, -1)
    gap = alpha_divergence(-ops.where(each, log_p, log_y), alpha, y, ops.where(each, p, y), log_y)
    zeros = ops.zeros_like(gap)
    away = ops.where(near, beta * (more - alpha * gap) / total, zeros)
    return -ops.where(near, ops.log1p(away), log_ratio) / beta


def mixture_divergence(
    distributions: Sequence[Tensor], logs: Sequence[Tensor], weights: Sequence[float]
) -> Tensor:
    """sum_v w_v KL(p_v || m) with m = sum_v w_v p_v, for weights that add up to 1; the terms are positive."""
    shifted = [log + math.log(weight) for log, weight in zip(logs, weights, strict=True)]
    log_m = logsumexp(ops.stack(shifted, axis=-1))
    parts = list(zip(distributions, logs, weights, strict=True))
    m = sum(weight * p for p, _, weight in parts)
    gaps = (weight * power_gap(p, m, log, log_m, 1.0) for p, log, weight in parts)
    return ops.sum(sum(gaps), axis=-1)
