"""Losses of pictures and heatmaps by hand, beside their kinks, and the labels that they refuse."""

from math import log

import numpy as np

from keras_losses import AdaptiveWingLoss, StructuralSimilarityLoss
from tests.cases import NEAR

# (0.5 - 0.25)^2 over 0.5^2 + 0.25^2 and the constant 0.01^2: what the brightness of a pixel costs.
HALF_AND_QUARTER = 0.0625 / (0.25 + 0.0625 + 0.01**2)


def grey(*rows: list[float]) -> np.ndarray:
    """A batch of one picture with one channel."""
    return np.array(rows)[None, ..., None]


BY_HAND = [
    (StructuralSimilarityLoss, {}, np.ones((1, 11, 11, 1)), np.zeros((1, 11, 11, 1)), [1 / (1 + 0.01**2)]),
    (
        StructuralSimilarityLoss,
        {"max_value": 255.0, "k1": 0.1},
        np.full((1, 12, 11, 2), 255),
        np.zeros((1, 12, 11, 2)),
        [1 / (1 + 0.1**2)],
    ),
    # A window of one pixel has no variance.
    (
        StructuralSimilarityLoss,
        {"filter_size": 1},
        grey([0.5, 0.0, 0.5]),
        grey([0.25, 0.0, 0.5]),
        [HALF_AND_QUARTER / 3],
    ),
    # The four weights are equal. The means are 1/2, the variances 1/4 and the covariance is -1/4.
    (
        StructuralSimilarityLoss,
        {"filter_size": 2},
        grey([0.0, 1.0], [0.0, 1.0]),
        grey([1.0, 0.0], [1.0, 0.0]),
        [1 - (-1 / 2 + 0.03**2) / (1 / 2 + 0.03**2)],
    ),
    # 3 x 3 pixels become 2 x 2, the last row and column counting twice, and then 1 pixel of 1/2 and 1/4.
    (
        StructuralSimilarityLoss,
        {"filter_size": 1, "scales": [0.3, 0.2, 0.5]},
        grey([2.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]),
        grey([0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]),
        [1 - (1 - HALF_AND_QUARTER) ** 0.5],
    ),
    (
        StructuralSimilarityLoss,
        {"filter_size": 2, "scales": [0.5]},
        grey([0.0, 1.0], [0.0, 1.0]),
        grey([1.0, 0.0], [1.0, 0.0]),
        [1.0],
    ),
    (
        AdaptiveWingLoss,
        {"alpha": 3.0},
        [1.0, 0.0],
        [1.25, -0.25],
        [14 * log(1 + 1 / 16), 14 * log(1 + 1 / 64)],
    ),
    # With the exponent 2 the slope at theta = 1/2 is 14 * 2 * (1/2) / (1 + 1/4).
    (
        AdaptiveWingLoss,
        {"alpha": 3.0},
        [1.0],
        [3.0],
        [14 * (log(1 + 1 / 4) + (2 - 1 / 2) * 2 * (1 / 2) / (5 / 4))],
    ),
    (
        AdaptiveWingLoss,
        {"omega": 2.0, "theta": 4.0, "epsilon": 2.0, "alpha": 2.5},
        [[0.5, 0.0]],
        [[-1.5, 0.0]],
        [(2 * log(2) + 0) / 2],
    ),
    (AdaptiveWingLoss, {}, [1.0, 0.0], [1.0, 0.0], [0.0, 0.0]),
]

BESIDE_KINKS = [
    (
        AdaptiveWingLoss(),
        np.array([0.0, 0.3, 0.7, 1.0]),
        np.array([0.5 - NEAR, 0.8 + NEAR, 0.2 - NEAR, 0.5 + NEAR]),
    ),
]

REFUSED = [
    (StructuralSimilarityLoss, {"filter_size": 1}, grey([0.5, 255.0]), grey([0.5, 0.5]), "255"),
    (StructuralSimilarityLoss, {"filter_size": 1, "max_value": 2.0}, grey([-5.0]), grey([0.5]), "-5"),
]
