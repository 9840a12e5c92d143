"""Quantiles and expectiles by hand, and beside their kinks."""

from math import log

import numpy as np

from keras_losses import ExpectileLoss, QuantileLoss
from tests.cases import NEAR

SEVERAL = [0.25, 0.5, 0.75]
BY_HAND = [
    (QuantileLoss, {}, [1.5, -2.0], [1.0, 1.0], [0.5 / 2, 3 / 2]),
    (QuantileLoss, {"quantiles": 0.9}, [2.0, 0.0], [0.0, 2.0], [0.9 * 2, 0.1 * 2]),
    (QuantileLoss, {"quantiles": SEVERAL}, [2.0], [[0.0, 2.0, 3.0]], [(0.25 * 2 + 0 + 0.25 * 1) / 3]),
    # Two targets: the lower quantile of both, then the upper one of both.
    (
        QuantileLoss,
        {"quantiles": [0.1, 0.9]},
        [[2.0, 10.0]],
        [[0.0, 9.0, 4.0, 9.0]],
        [((0.1 * 2 + 0.1 * 1) + (0.1 * 2 + 0.9 * 1)) / 4],
    ),
    # softplus(0) = log 2, softplus(log 3) = log 4
    (
        QuantileLoss,
        {"quantiles": SEVERAL, "non_crossing": True},
        [[3.0]],
        [[1.0, 0.0, log(3)]],
        [(0.25 * 2 + 0.5 * (2 - log(2)) + 0.25 * (1 + log(2) + log(4) - 3)) / 3],
    ),
    (ExpectileLoss, {}, [1.5, -2.0], [1.0, 1.0], [0.5**2 / 2, 3**2 / 2]),
    (ExpectileLoss, {"tau": 0.75}, [2.0, 0.0], [0.0, 2.0], [0.75 * 4, 0.25 * 4]),
    (
        ExpectileLoss,
        {"tau": SEVERAL},
        [[2.0]],
        [[0.0, 2.0, 3.0]],
        [(0.25 * 4 + 0 + 0.25 * 1) / 3],
    ),
    (
        ExpectileLoss,
        {"tau": [0.5, 0.9], "non_crossing": True},
        [2.0],
        [[1.0, 0.0]],
        [(0.5 * 1 + 0.9 * (1 - log(2)) ** 2) / 2],
    ),
]

BESIDE_KINKS = [(QuantileLoss(quantiles=0.9), np.zeros(2), np.array([NEAR, -NEAR]))]
