"""The softmax with heavy tails of `BiTemperedLoss`."""

from __future__ import annotations

from keras import ops

from keras_losses import numerics
from keras_losses.numerics import Tensor


def tempered_log_softmax(logits: Tensor, t: float, iterations: int) -> Tensor:
    """Return log p with p_j = [1 + (1 - t)(z_j - lambda)]^(1 / (1 - t)) and sum_j p_j = 1, for t > 1.

    The fixed-point iteration of Amid 2019 approaches lambda, without a derivative. Three steps of Newton's
    method make it exact, and the last two carry the derivatives of lambda up to the third.
    """

    def log_p(x: Tensor) -> Tensor:
        return numerics.log1p((t - 1.0) * -x) / (1.0 - t)

    shifted = numerics.minus_max(logits)
    is_largest, zeros = shifted >= 0, ops.zeros_like(shifted)
    number_of_largest = ops.sum(ops.where(is_largest, ops.ones_like(shifted), zeros), axis=-1, keepdims=True)
    constant = scaled = ops.stop_gradient(shifted)
    for _ in range(iterations):
        total = ops.sum(ops.exp(log_p(scaled)), axis=-1, keepdims=True)
        scaled = constant * total ** (1.0 - t)
    total = ops.sum(ops.exp(log_p(scaled)), axis=-1, keepdims=True)
    normaliser = (total ** (t - 1.0) - 1.0) / (t - 1.0)
    for x in (constant, shifted, shifted):
        distance = normaliser - x
        p = ops.exp(log_p(-distance))
        # sum_minus_1 is sum_j p_j - 1. The largest p_j may be near 1, so the value of p_j - 1 comes from
        # expm1 and only the slope from p_j.
        of_largest = ops.stop_gradient(
            number_of_largest * ops.expm1(log_p(-normaliser)) + (number_of_largest - 1.0)
        )
        without_largest = p - ops.stop_gradient(ops.where(is_largest, p, zeros))
        sum_minus_1 = ops.sum(without_largest, axis=-1, keepdims=True) + of_largest
        slope = ops.sum(p / (1.0 + (t - 1.0) * distance), axis=-1, keepdims=True)
        normaliser = normaliser + sum_minus_1 / slope
        if x is constant:
            normaliser = ops.stop_gradient(normaliser)
    return log_p(shifted - normaliser)
