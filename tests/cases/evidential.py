"""Evidential losses by hand."""

from math import log, pi, sqrt

from keras_losses import EvidentialClassificationLoss, EvidentialRegressionLoss
from tests.cases.likelihood import ONE, TWO, raw

BY_HAND = [
    # alpha = 3/2: three degrees of freedom, of squared scale beta (1 + nu) / (nu alpha) = 1.
    (
        EvidentialRegressionLoss,
        {"coefficient": 0.0},
        [3.0],
        [[1.0, ONE, raw(0.5), raw(0.75)]],
        [log(pi * (3 + 4) ** 2 / (6 * sqrt(3)))],
    ),
    (
        EvidentialRegressionLoss,
        {"coefficient": 0.5},
        [3.0],
        [[1.0, ONE, raw(0.5), raw(0.75)]],
        [log(pi * (3 + 4) ** 2 / (6 * sqrt(3))) + 0.5 * 2 * (2 + 1.5)],
    ),
    (
        EvidentialRegressionLoss,
        {},
        [[1.0]],
        [[1.0, TWO, raw(0.5), raw(4)]],
        [log(pi * 3**2 / (6 * sqrt(3))) + log(4 * 3 / (2 * 1.5)) / 2],
    ),
    # Evidence 6, 0, 0, S = 9. With evidence 2 for class 0 and the label 1: alpha = 3, 1; KL of (3, 1).
    (
        EvidentialClassificationLoss,
        {},
        [0],
        [[raw(6, 0), -1e4, -1e4]],
        [(2**2 + 1 + 1) / 81 + (7 * 2 + 8 + 8) / 81 / 10],
    ),
    (
        EvidentialClassificationLoss,
        {"annealing": 0.5},
        [[0.0, 1.0]],
        [[raw(2, 0), -1e4]],
        # psi(4) - psi(3) = 1/3, and the density of Beta(3, 1) is 3 p^2
        [2 * (3 / 4) ** 2 + 2 * 3 / 16 / 5 + 0.5 * (log(3) - 2 / 3)],
    ),
    (
        EvidentialClassificationLoss,
        {"risk": "likelihood", "annealing": 0.0},
        [[1], [0]],
        [[raw(2, 0), raw(1, 0)]] * 2,
        [log(5 / 2), log(5 / 3)],
    ),
]
