"""Losses of the residual by hand, and beside their kinks."""

from math import log, sqrt

import numpy as np

from keras_losses import (
    AbsoluteErrorLoss,
    EpsilonInsensitiveLoss,
    HuberLoss,
    LogCoshLoss,
    PseudoHuberLoss,
    SmoothL1Loss,
    SquaredErrorLoss,
    WingLoss,
)
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
    (SmoothL1Loss, {}, [0.5, 0.0], [0.0, 3.0], [0.5**2 / 2, 3 - 0.5]),
    (SmoothL1Loss, {"beta": 2.0}, [1.0, 0.0], [0.0, 4.0], [1 / (2 * 2), 4 - 1]),
    (SmoothL1Loss, {"beta": 0.0}, [[1.0, 0.0]], [[0.0, 4.0]], [(1 + 4) / 2]),
    (PseudoHuberLoss, {}, [0.0, 0.0], [1.0, -1e-6], [sqrt(2) - 1, 5e-13]),
    (PseudoHuberLoss, {"delta": 3.0}, [0.0], [4.0], [9 * (5 / 3 - 1)]),
    (PseudoHuberLoss, {"delta": 3.0}, [[0.0, 4.0]], [[1e30, 4.0]], [(3 * 1e30 + 0) / 2]),
    (LogCoshLoss, {}, [0.0, 0.0], [1e-4, -1e-4], [5e-9, 5e-9]),
    (LogCoshLoss, {}, [0.0, 0.0], [1e30, -50.0], [1e30, 50 - log(2)]),
    (LogCoshLoss, {}, [[0.0, 0.0]], [[log(2), -log(2)]], [log((2 + 1 / 2) / 2)]),
    (EpsilonInsensitiveLoss, {}, [0.0, 0.0], [0.05, 2.1], [0, 2]),
    (EpsilonInsensitiveLoss, {"epsilon": 0.5, "power": 2.0}, [0.0, 0.0], [0.25, -3.5], [0, 3**2]),
    (EpsilonInsensitiveLoss, {"epsilon": 0.0}, [[1.0, 2.0]], [[1.0, 5.0]], [(0 + 3) / 2]),
    (WingLoss, {}, [0.0, 0.0], [2.0, -2.0], [10 * log(2), 10 * log(2)]),
    (WingLoss, {"width": 3.0, "curvature": 1.0}, [0.0], [7.0], [7 - (3 - 3 * log(4))]),
    (WingLoss, {"width": 3.0, "curvature": 1.0}, [[0.0, 1.0]], [[1.0, 1.0]], [(3 * log(2) + 0) / 2]),
]

BESIDE_KINKS = [
    (AbsoluteErrorLoss(), np.zeros(2), np.array([NEAR, -NEAR])),
    (SmoothL1Loss(beta=0.7), np.zeros(4), np.array([0.7 - NEAR, 0.7 + NEAR, -0.7 - NEAR, -0.7 + NEAR])),
    (EpsilonInsensitiveLoss(0.7), np.zeros(4), np.array([0.7 - NEAR, 0.7 + NEAR, -0.7 - NEAR, -0.7 + NEAR])),
    (WingLoss(width=0.7), np.zeros(4), np.array([0.7 - NEAR, 0.7 + NEAR, NEAR, -NEAR])),
    (HuberLoss(delta=0.7), np.zeros(4), np.array([0.7 - NEAR, 0.7 + NEAR, -0.7 - NEAR, -0.7 + NEAR])),
]
