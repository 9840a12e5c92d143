"""Distributions as outputs by hand, and what they refuse."""

from math import exp, expm1, log, pi, sqrt

from keras_losses import (
    BetaNLLLoss,
    GaussianCRPSLoss,
    GaussianMixtureLoss,
    GaussianNLLLoss,
    LaplaceNLLLoss,
    LogNormalNLLLoss,
    StudentTNLLLoss,
)


def raw(scale, floor=1e-3):
    """The output that stands for a scale."""
    return log(expm1(scale - floor))


HALF_LOG_2PI = log(2 * pi) / 2
LOG3 = log(3)
ONE, TWO = raw(1), raw(2)

BY_HAND = [
    (
        GaussianNLLLoss,
        {},
        [3.0, -1.0],
        [[1.0, ONE], [1.0, TWO]],
        [2 + HALF_LOG_2PI, 0.5 + log(2) + HALF_LOG_2PI],
    ),
    # The first target's mean, the second's, then their scales.
    (
        GaussianNLLLoss,
        {},
        [[3.0, 0.0]],
        [[1.0, 4.0, ONE, TWO]],
        [(2 + HALF_LOG_2PI + 2 + log(2) + HALF_LOG_2PI) / 2],
    ),
    (GaussianNLLLoss, {"beta": 0.5}, [5.0], [[1.0, TWO]], [2 * (2 + log(2) + HALF_LOG_2PI)]),
    (
        GaussianNLLLoss,
        {"beta": 1.0, "floor": 0.5},
        [0.0],
        [[0.0, raw(2, 0.5)]],
        [4 * (log(2) + HALF_LOG_2PI)],
    ),
    (LaplaceNLLLoss, {}, [3.0, -5.0], [[1.0, ONE], [1.0, TWO]], [2 + log(2), 3 + log(4)]),
    (LaplaceNLLLoss, {}, [[1.0]], [[1.0, TWO]], [log(4)]),
    (
        LaplaceNLLLoss,
        {"floor": 0.5},
        [[1.0, 1.0]],
        [[1.0, 0.0, raw(1, 0.5), raw(2, 0.5)]],
        [(2.5 + log(8)) / 2 - 1],
    ),
    # One degree of freedom is Cauchy's 1 / (pi s (1 + z^2)).
    (StudentTNLLLoss, {"df": 1.0}, [3.0, 5.0], [[1.0, ONE], [1.0, TWO]], [log(5 * pi), log(2 * 5 * pi)]),
    # Two: (2 + z^2)^(-3/2) / s; three, learned: 6 sqrt 3 / (pi (3 + z^2)^2).
    (StudentTNLLLoss, {"df": 2.0}, [2.0], [[1.0, ONE]], [1.5 * log(2 + 1)]),
    (StudentTNLLLoss, {}, [[3.0]], [[1.0, ONE, raw(3)]], [log(pi * (3 + 4) ** 2 / (6 * sqrt(3)))]),
    (
        LogNormalNLLLoss,
        {},
        [exp(2), 1.0],
        [[0.0, ONE], [0.0, TWO]],
        [2 + HALF_LOG_2PI + 2, log(2) + HALF_LOG_2PI],
    ),
    (LogNormalNLLLoss, {}, [[exp(-3)]], [[-1.0, TWO]], [0.5 + log(2) + HALF_LOG_2PI - 3]),
    (LogNormalNLLLoss, {"floor": 0.5}, [2.0], [[log(2), raw(1, 0.5)]], [HALF_LOG_2PI + log(2)]),
    # Two components that agree are one; a weight of 3/4 for one of the two that is right.
    (GaussianMixtureLoss, {"components": 1}, [3.0], [[7.0, 1.0, ONE]], [2 + HALF_LOG_2PI]),
    (GaussianMixtureLoss, {"components": 2}, [3.0], [[0.0, 1.0, 1.0, 1.0, ONE, ONE]], [2 + HALF_LOG_2PI]),
    (
        GaussianMixtureLoss,
        {"components": 2},
        [[3.0]],
        [[LOG3, 0.0, 3.0, -1e4, TWO, ONE]],
        [log(4 / 3) + log(2) + HALF_LOG_2PI],
    ),
    (GaussianCRPSLoss, {}, [1.0], [[1.0, TWO]], [2 * (sqrt(2 / pi) - 1 / sqrt(pi))]),
    (GaussianCRPSLoss, {}, [1e4, -1e4], [[0.0, ONE]] * 2, [1e4 - 1 / sqrt(pi)] * 2),
    # Far out, the distance and no square of it; both targets at once.
    (
        GaussianCRPSLoss,
        {"floor": 0.5},
        [[50.0, 0.0]],
        [[0.0, 30.0, raw(2, 0.5), raw(1, 0.5)]],
        [(80 - 3 / sqrt(pi)) / 2],
    ),
    # Shapes 2 and 2: 6 y (1 - y); 3 and 1: 3 y^2.
    (BetaNLLLoss, {}, [[0.5, 0.25]], [[0.0, LOG3, raw(4), raw(4)]], [-(log(6 / 4) + log(3 / 16)) / 2]),
    (BetaNLLLoss, {}, [[0.01]], [[0.0, raw(4)]], [-log(6 * 0.01 * 0.99)]),
    (
        BetaNLLLoss,
        {"floor": 0.5},
        [[0.25, 0.5]],
        [[LOG3, 0.0, raw(4, 0.5), raw(4, 0.5)]],
        [-(log(3 / 16) + log(1.5)) / 2],
    ),
]

TWOS = [[0.0, 0.0]]
REFUSED = [
    *((LogNormalNLLLoss, {}, y, TWOS, shown) for y, shown in (([0.0], "0"), ([-0.5], "-0.5"))),
    *((BetaNLLLoss, {}, y, TWOS, shown) for y, shown in (([0.0], "0"), ([1.0], "1"), ([1.5], "1.5"))),
]
