"""Losses of the residual by hand, and beside their kinks."""

from math import exp, log, sqrt

import numpy as np

from keras_losses import (
    AbsoluteErrorLoss,
    AdaptiveBarronLoss,
    BarronLoss,
    CauchyLoss,
    EpsilonInsensitiveLoss,
    GemanMcClureLoss,
    HuberLoss,
    LogCoshLoss,
    PseudoHuberLoss,
    SmoothL1Loss,
    SquaredErrorLoss,
    TukeyBiweightLoss,
    WelschLoss,
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
    (TukeyBiweightLoss, {}, [0.0, 0.0], [5.0, -1e20], [4.685**2 / 6, 4.685**2 / 6]),
    (TukeyBiweightLoss, {"c": 2.0}, [0.0], [1.0], [4 / 6 * (1 - (1 - 1 / 4) ** 3)]),
    (TukeyBiweightLoss, {"c": 2.0}, [[0.0, 0.0]], [[1e-4, 9.0]], [(1e-8 / 2 + 4 / 6) / 2]),
    (BarronLoss, {}, [0.0, 0.0], [1.0, 1e30], [sqrt(2) - 1, 1e30]),
    (BarronLoss, {"alpha": 2.0, "scale": 2.0}, [0.0], [3.0], [(3 / 2) ** 2 / 2]),
    (BarronLoss, {"alpha": -1.0}, [0.0], [3.0], [3 / 1 * (1 - (9 / 3 + 1) ** -0.5)]),
    (BarronLoss, {"alpha": 4.0}, [0.0], [2.0], [2 / 4 * ((4 / 2 + 1) ** 2 - 1)]),
    (BarronLoss, {"alpha": 1.5}, [0.0], [2.0], [0.5 / 1.5 * ((4 / 0.5 + 1) ** 0.75 - 1)]),
    # Z(1) = 2 e K_1(1), which is 3.2723070.
    (AdaptiveBarronLoss, {"alpha": 1.0, "scale": 1.0}, [0.0], [0.0], [log(3.2723070)]),
    (
        AdaptiveBarronLoss,
        {"alpha": 1.0, "scale": 2.0},
        [0.0],
        [3.0],
        [sqrt(9 / 4 + 1) - 1 + log(2 * 3.2723070)],
    ),
    (AdaptiveBarronLoss, {"alpha": 1.0, "scale": 1.0}, [[0.0, 1.0]], [[0.0, 1e30]], [5e29]),
    (CauchyLoss, {}, [0.0, 0.0], [2.0, 1e-4], [log(3), 5e-9]),
    (CauchyLoss, {"scale": 2.0}, [0.0], [4.0], [log(4 / 2 + 1)]),
    (CauchyLoss, {}, [[0.0, 0.0]], [[0.0, 1e30]], [(0 + 60 * log(10) - log(2)) / 2]),
    (GemanMcClureLoss, {}, [0.0, 0.0], [2.0, 1e-4], [2 * 4 / 8, 5e-9]),
    (GemanMcClureLoss, {"scale": 2.0}, [0.0], [4.0], [2 * 4 / 8]),
    (GemanMcClureLoss, {}, [[0.0, 0.0]], [[0.0, 1e30]], [(0 + 2) / 2]),
    (WelschLoss, {}, [0.0, 0.0], [2.0, 1e-4], [1 - exp(-2), 5e-9]),
    (WelschLoss, {"scale": 2.0}, [0.0], [4.0], [1 - exp(-2)]),
    (WelschLoss, {}, [[0.0, 0.0]], [[0.0, 1e15]], [(0 + 1) / 2]),
]

BESIDE_KINKS = [
    (AbsoluteErrorLoss(), np.zeros(2), np.array([NEAR, -NEAR])),
    (SmoothL1Loss(beta=0.7), np.zeros(4), np.array([0.7 - NEAR, 0.7 + NEAR, -0.7 - NEAR, -0.7 + NEAR])),
    (EpsilonInsensitiveLoss(0.7), np.zeros(4), np.array([0.7 - NEAR, 0.7 + NEAR, -0.7 - NEAR, -0.7 + NEAR])),
    (WingLoss(width=0.7), np.zeros(4), np.array([0.7 - NEAR, 0.7 + NEAR, NEAR, -NEAR])),
    (TukeyBiweightLoss(c=0.7), np.zeros(4), np.array([0.7 - NEAR, 0.7 + NEAR, -0.7 - NEAR, -0.7 + NEAR])),
    (HuberLoss(delta=0.7), np.zeros(4), np.array([0.7 - NEAR, 0.7 + NEAR, -0.7 - NEAR, -0.7 + NEAR])),
]
