"""Divergences between distributions, without cancellation where they are close to one another."""

from __future__ import annotations

import math
from collections.abc import Sequence

from keras import ops

from keras_losses.numerics.arrays import full_like, logsumexp, max_last
from keras_losses.numerics.derivatives import Tensor, with_row_gradient
from keras_losses.numerics.elementary import (
    exp_series,
    expm1_minus_x_near_0,
    expm1_minus_x_series,
    log1p,
)
from keras_losses.numerics.softmax import softmax_parts


def alpha_divergence_terms(y: Tensor, p: Tensor, log_y: Tensor, log_p: Tensor, alpha: float) -> Tensor:
    """Return (alpha y + (1 - alpha) p - y^alpha p^(1 - alpha)) / (alpha (1 - alpha)) >= 0 for each y, p > 0.

    These are the terms of the alpha-divergence. At alpha = 1 a term is y log(y / p) + p - y, and at alpha = 0
    the same with p and y exchanged. With x = log(p / y) and beta = 1 - alpha, a term is
    y (e^x - 1 - (e^(beta x) - 1) / beta) / alpha. For a small x the terms of first order in x cancel and are
    left out, so the result is as accurate as x.
    """
    if alpha < 0.5:
        return alpha_divergence_terms(p, y, log_p, log_y, 1.0 - alpha)
    beta, x = 1.0 - alpha, log_p - log_y
    near = ops.abs(x) < 1.0
    within = ops.where(near, x, ops.zeros_like(x))
    if_near = expm1_minus_x_near_0(within)
    if beta == 0.0:
        return ops.where(near, y * if_near, p - y - y * x)
    # (e^(beta x) - 1 - beta x) / beta
    of_beta = 0.5 * beta * ops.square(within) * exp_series(beta * within)
    if_near = y * (if_near - of_beta)
    # y (e^(beta x) - 1) / beta, where y may be 0 and e^(beta x) infinite.
    product = beta * x
    small = ops.abs(product) < 1.0
    small_product = ops.where(small, product, ops.zeros_like(product))
    power = ops.where(small, y * ops.expm1(small_product), ops.exp(log_y + product) - y) / beta
    return ops.where(near, if_near, p - y - power) / alpha


def relative_entropy(y: Tensor, logits: Tensor) -> Tensor:
    """Return sum_j y_j log(y_j / p_j) + p_j - y_j for p = softmax(z) and any y_j >= 0."""
    return with_row_gradient(_relative_entropy, logits, y, of_other=_relative_entropy_in_y)


def _relative_entropy(logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    exponentials, shifted, sum_minus_1 = softmax_parts(logits)
    p = exponentials / (1.0 + sum_minus_1)
    x = shifted - log1p(sum_minus_1) - _log_or_zero(y)
    positive, zeros = y > 0, ops.zeros_like(x)  # Where y is 0, x may be infinite.
    near = ops.logical_and(ops.abs(x) < 1.0, positive)
    within, beyond = ops.where(near, x, zeros), ops.where(positive, x, zeros)
    series = expm1_minus_x_series(within)
    value = ops.sum(ops.where(near, y * series, p - y - y * beyond), axis=-1)
    gradient = ops.where(near, y * (series + within), p - y)
    return value, gradient + (ops.sum(y, axis=-1, keepdims=True) - 1.0) * p, ops.ones_like(value)


def _relative_entropy_in_y(logits: Tensor, y: Tensor) -> Tensor:
    _, shifted, sum_minus_1 = softmax_parts(logits)
    return _log_or_zero(y) - (shifted - log1p(sum_minus_1))


def relative_entropy_of_logits(teacher: Tensor, logits: Tensor) -> Tensor:
    """Return KL(softmax(t) || softmax(z)), as accurate as z - t.

    Let d = (z - max z) - (t - max t), and E[] be the mean over softmax(t). The divergence is log E[e^d] -
    E[d]. If both are small, nothing cancels in this form, where s = E[e^d] - 1 = E[d] + E[e^d - 1 - d]:

        (E[e^d - 1 - d] - s E[d]) / (1 + s) + e^-log(1 + s) - 1 + log(1 + s)
    """
    return with_row_gradient(
        _relative_entropy_of_logits, logits, teacher, of_other=_relative_entropy_in_teacher
    )


def _relative_entropy_of_logits(logits: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    top, top_t = (ops.stop_gradient(ops.expand_dims(max_last(x), -1)) for x in (logits, teacher))
    exp, exp_t = ops.exp(logits - top), ops.exp(teacher - top_t)
    total, total_t = (ops.sum(x, axis=-1, keepdims=True) for x in (exp, exp_t))
    d = (logits - teacher) - (top - top_t)
    near, zeros = ops.abs(d) < 1.0, ops.zeros_like(d)
    # Where the probability of a class is 0 in one of both, d may be infinite or NaN.
    within, beyond = ops.where(near, d, zeros), ops.where(exp_t > 0, d, zeros)
    series = expm1_minus_x_series(within)
    # e^d - 1 and e^d - 1 - d, each times the exponential of the teacher.
    first = ops.where(near, exp_t * (within + series), exp - exp_t)
    second = ops.where(near, exp_t * series, first - exp_t * beyond)
    mean_d, mean_second = (ops.sum(x, axis=-1, keepdims=True) / total_t for x in (exp_t * beyond, second))

    alike = ops.logical_and(ops.abs(mean_d) < 1.0, ops.abs(mean_d + mean_second) < 0.5)
    s = ops.where(alike, mean_d + mean_second, ops.zeros_like(mean_d))
    if_alike = (mean_second - s * mean_d) / (1.0 + s) + expm1_minus_x_near_0(-ops.log1p(s))
    value = ops.where(alike, if_alike, ops.log(total) - ops.log(total_t) - mean_d)
    gradient = ops.where(alike, (first - s * exp_t) / (1.0 + s), total_t / total * exp - exp_t)
    return ops.squeeze(value, -1), gradient, ops.squeeze(1.0 / total_t, -1)


def _relative_entropy_in_teacher(logits: Tensor, teacher: Tensor) -> Tensor:
    p_t = ops.softmax(teacher, axis=-1)
    d = ops.where(p_t > 0, logits - teacher, ops.zeros_like(p_t))
    return p_t * (ops.sum(p_t * d, axis=-1, keepdims=True) - d)


def _log_or_zero(y: Tensor) -> Tensor:
    return ops.log(ops.where(y > 0, y, ops.ones_like(y)))


def probability_difference(y: Tensor, p: Tensor, one_minus_p: Tensor) -> Tensor:
    """Return p - y for y in [0, 1], as accurate as 1 - p where both are near 1."""
    return ops.where(y > 0.5, (1.0 - y) - one_minus_p, p - y)


def total_difference(y: Tensor, p: Tensor, logits: Tensor | None) -> Tensor:
    """Return sum_j p_j - y_j. The p of logits adds up to 1 exactly, whatever its rounding errors."""
    return 1.0 - ops.sum(y, axis=-1) if logits is not None else ops.sum(p - y, axis=-1)


def alpha_divergence(minus_log_p: Tensor, alpha: float, y: Tensor, p: Tensor, log_y: Tensor) -> Tensor:
    """Return the alpha-divergence of y and p, whose limits at alpha = 1 and 0 are the two KL divergences.

        (1 - sum_j y_j^alpha p_j^(1 - alpha)) / (alpha (1 - alpha))

    Where y = 0, y^alpha is 0 for every alpha > 0, however small. For alpha <= 0 it is e^(alpha log_y).
    """
    log_p = -minus_log_p
    if alpha <= 0.0:
        return ops.sum(alpha_divergence_terms(y, p, log_y, log_p, alpha), axis=-1)
    positive = y > 0
    terms = alpha_divergence_terms(y, p, ops.where(positive, log_y, log_p), log_p, alpha)
    return ops.sum(ops.where(positive, terms, p / alpha), axis=-1)


def renyi_divergence(
    minus_log_p: Tensor,
    alpha: float,
    y: Tensor,
    p: Tensor,
    log_y: Tensor,
    logits: Tensor | None,
) -> Tensor:
    """Return log(sum_j y_j^alpha p_j^(1 - alpha) / sum_j y_j) / (alpha - 1), and its limit at alpha = 1.

    If the ratio is near 1, its difference from 1 comes from `alpha_divergence`, which is exact there.
    Otherwise the logarithms are summed, because the ratio itself may overflow. `logits`, from which p was
    computed, are used if there are any, because log p has lost the digits of small differences between large
    logits.
    """
    beta, log_p = 1.0 - alpha, -minus_log_p
    total = ops.sum(y, axis=-1)
    total = ops.where(ops.equal(total, 0), ops.ones_like(total), total)  # a NaN stays
    difference = total_difference(y, p, logits)
    if beta == 0.0:
        return (alpha_divergence(minus_log_p, alpha, y, p, log_y) - difference) / total
    logs = alpha * log_y + beta * (log_p if logits is None else logits)
    log_ratio = logsumexp(ops.where(y > 0, logs, full_like(y, -1e30))) - ops.log(total)
    if logits is not None:
        log_ratio = log_ratio - beta * logsumexp(logits)
    near = ops.abs(log_ratio) < 0.5
    each = ops.expand_dims(near, -1)
    divergence = alpha_divergence(-ops.where(each, log_p, log_y), alpha, y, ops.where(each, p, y), log_y)
    zeros = ops.zeros_like(divergence)
    ratio_minus_1 = ops.where(near, beta * (difference - alpha * divergence) / total, zeros)
    return -ops.where(near, ops.log1p(ratio_minus_1), log_ratio) / beta


def mixture_divergence(
    distributions: Sequence[Tensor], logs: Sequence[Tensor], weights: Sequence[float]
) -> Tensor:
    """Return sum_v w_v KL(p_v || m) with m = sum_v w_v p_v, for weights that add up to 1.

    The terms of the sum are positive, so nothing cancels.
    """
    shifted = [log + math.log(weight) for log, weight in zip(logs, weights, strict=True)]
    log_m = logsumexp(ops.stack(shifted, axis=-1))
    parts = list(zip(distributions, logs, weights, strict=True))
    m = sum(weight * p for p, _, weight in parts)
    terms = (weight * alpha_divergence_terms(p, m, log, log_m, 1.0) for p, log, weight in parts)
    return ops.sum(sum(terms), axis=-1)
