"""Robust losses by hand, and beside their kinks."""

from math import exp, log, sqrt

import numpy as np

from keras_losses import (
    AdaptiveBarronLoss,
    BarronLoss,
    CauchyLoss,
    GemanMcClureLoss,
    TukeyBiweightLoss,
    WelschLoss,
)
from tests.cases import NEAR

BY_HAND = [
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
    (TukeyBiweightLoss(c=0.7), np.zeros(4), np.array([0.7 - NEAR, 0.7 + NEAR, -0.7 - NEAR, -0.7 + NEAR])),
]
