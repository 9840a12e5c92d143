"""Losses of the residual by hand, and beside their kinks."""

import numpy as np

from keras_losses import AbsoluteErrorLoss, HuberLoss, SquaredErrorLoss
from tests.cases import NEAR

BY_HAND = [
    (SquaredErrorLoss, {}, [[1.0, 2.0]], [[1.0, 5.0]], [(0 + 3**2) / 2]),
    (SquaredErrorLoss, {}, [1.5, -2.0], [1.0, 1.0], [0.5**2, 3**2]),
    (SquaredErrorLoss, {}, [1e4], [-1e4], [2e4**2]),
    (AbsoluteErrorLoss, {}, [[1.0, 2.0]], [[1.0, 5.0]], [(0 + 3) / 2]),
    (AbsoluteErrorLoss, {}, [1.5, -2.0], [1.0, 1.0], [0.5, 3]),
    (AbsoluteErrorLoss, {}, [[-1.0], [0.0]], [[-1.25], [0.0]], [0.25, 0]),
    (HuberLoss, {}, [0.5, 0.0], [0.0, 3.0], [0.5**2 / 2, 3 - 0.5]),
    (HuberLoss, {"delta": 5.0}, [0.0, 0.0], [4.0, 7.0], [4**2 / 2, 5 * (7 - 2.5)]),
    (HuberLoss, {"delta": 0.1}, [[1.0, 0.0]], [[0.0, 0.1]], [(0.1 * (1 - 0.05) + 0.1**2 / 2) / 2]),
]

BESIDE_KINKS = [
    (AbsoluteErrorLoss(), np.zeros(2), np.array([NEAR, -NEAR])),
    (HuberLoss(delta=0.7), np.zeros(4), np.array([0.7 - NEAR, 0.7 + NEAR, -0.7 - NEAR, -0.7 + NEAR])),
]
