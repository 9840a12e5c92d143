"""Values by hand of cross-entropy and its variants."""

from math import exp, log, log1p

import numpy as np

from keras_losses import AsymmetricLoss, CrossentropyLoss, FocalLoss, PolyLoss, TaylorCrossentropyLoss
from tests.cases import NEAR

WITH_LOGITS = {"from_logits": True}

BY_HAND = [
    (CrossentropyLoss, {}, [1], [0.9], [-log(0.9)]),
    (CrossentropyLoss, {}, [0], [0.9], [-log(0.1)]),
    (CrossentropyLoss, {}, [2, 0], [[0.2, 0.3, 0.5], [0.25, 0.5, 0.25]], [log(2), log(4)]),
    (CrossentropyLoss, {}, [[0.5, 0.5, 0.0]], [[0.25, 0.5, 0.25]], [0.5 * log(4) + 0.5 * log(2)]),
    (CrossentropyLoss, WITH_LOGITS, [0, 1], [[0.0, 0.0], [3.0, 0.0]], [log(2), log(1 + exp(3))]),
    (CrossentropyLoss, WITH_LOGITS, [0], [[20.0, 0.0]], [log1p(exp(-20))]),
    (CrossentropyLoss, WITH_LOGITS, [1], [[1e4, 0.0]], [1e4]),
    (CrossentropyLoss, {"multi_label": True}, [[1, 0]], [[0.8, 0.4]], [(-log(0.8) - log(0.6)) / 2]),
    (CrossentropyLoss, {"label_smoothing": 0.2}, [1], [0.8], [-0.9 * log(0.8) - 0.1 * log(0.2)]),
    (
        CrossentropyLoss,
        {"label_smoothing": 0.3},
        [0],
        [[0.5, 0.25, 0.25]],
        [(0.7 + 0.1) * log(2) + 2 * 0.1 * log(4)],
    ),
    (CrossentropyLoss, {"class_weight": [1.0, 3.0]}, [1, 0], [0.5, 0.5], [3 * log(2), log(2)]),
    (
        CrossentropyLoss,
        {"z_loss": 0.1, **WITH_LOGITS},
        [0],
        [[0.0, 0.0]],
        [log(2) + 0.1 * log(2) ** 2],
    ),
    (FocalLoss, {}, [1], [0.9], [0.1**2 * -log(0.9)]),
    (FocalLoss, {}, [0], [0.9], [0.9**2 * -log(0.1)]),
    (FocalLoss, {"gamma": 0.5}, [0], [0.25], [0.25**0.5 * -log(0.75)]),
    (FocalLoss, {"alpha": 0.25}, [1, 0], [0.5, 0.5], [0.25 * 0.25 * log(2), 0.75 * 0.25 * log(2)]),
    (FocalLoss, {"alpha": 0.25}, [1], [[0.5, 0.5]], [0.25 * 0.5**2 * log(2)]),
    (FocalLoss, {"alpha": 0.0}, [1, 0], [0.5, 0.5], [0, 0.25 * log(2)]),
    (FocalLoss, {"alpha": 1.0}, [1, 0], [0.5, 0.5], [0.25 * log(2), 0]),
    (FocalLoss, {"alpha": [1.0, 0.5], "multi_label": True}, [[1, 1]], [[0.5, 0.5]], [0.75 * 0.25 * log(2)]),
    (FocalLoss, {"alpha": [1.0, 3.0]}, [1], [[0.5, 0.5]], [3 * 0.5**2 * log(2)]),
    (FocalLoss, WITH_LOGITS, [1], [[20.0, 0.0]], [(1 - exp(-20) / (1 + exp(-20))) ** 2 * (20 + exp(-20))]),
    (FocalLoss, {"gamma": 1.0}, [2], [[0.2, 0.3, 0.5]], [0.5 * log(2)]),
    (PolyLoss, {}, [1, 0], [0.9, 0.9], [-log(0.9) + 2 * 0.1, -log(0.1) + 2 * 0.9]),
    (PolyLoss, {"epsilon": -1.0}, [1], [[0.5, 0.25, 0.25]], [log(4) - 0.75]),
    (PolyLoss, {"epsilon": 0.5, **WITH_LOGITS}, [1], [[20.0, 0.0]], [20 + 0.5]),
    (PolyLoss, {"multi_label": True}, [[1, 0]], [[0.5, 0.5]], [log(2) + 2 * 0.5]),
    (TaylorCrossentropyLoss, {}, [1], [0.5], [0.5 + 0.5**2 / 2]),
    (TaylorCrossentropyLoss, {"order": 1}, [2], [[0.2, 0.3, 0.5]], [1 - 0.5]),
    (TaylorCrossentropyLoss, {"order": 3}, [0], [[0.25, 0.75]], [0.75 + 0.75**2 / 2 + 0.75**3 / 3]),
    (TaylorCrossentropyLoss, {"order": 60}, [1], [0.5], [log(2)]),
    (AsymmetricLoss, {}, [[1.0], [0.0]], [[0.5], [0.05]], [0.5 * log(2), 0]),
    (AsymmetricLoss, {}, [[0.0]], [[0.55]], [0.5**4 * log(2)]),
    (CrossentropyLoss, {"pos_weight": 3.0}, [1, 0], [0.5, 0.75], [3 * log(2), log(4)]),
    (
        CrossentropyLoss,
        {"pos_weight": [3.0, 0.5], "multi_label": True},
        [[1, 1]],
        [[0.5, 0.25]],
        [(3 * log(2) + 0.5 * log(4)) / 2],
    ),
    (
        FocalLoss,
        {"pos_weight": 4.0, "alpha": 0.25},
        [1, 0],
        [0.75, 0.5],
        [4 * 0.25 * 0.25**2 * -log(0.75), 0.75 * 0.5**2 * log(2)],
    ),
    (
        FocalLoss,
        {"class_gamma": [2.0, 1.0, 0.0]},
        [0, 1, 2],
        [[0.5, 0.25, 0.25]] * 3,
        [0.5**2 * log(2), 0.75 * log(4), log(4)],
    ),
    (FocalLoss, {"class_gamma": [2.0, 1.0]}, [0, 1], [0.5, 0.25], [0.5**2 * log(2), 0.75 * log(4)]),
    (
        FocalLoss,
        {"class_gamma": [3.0, 1.0], "multi_label": True},
        [[0, 1]],
        [[0.5, 0.25]],
        [(0.5**3 * log(2) + 0.75 * log(4)) / 2],
    ),
    (
        AsymmetricLoss,
        {"clip": 0.0, "gamma_negative": 2.0},
        [[0, 1]],
        [[0.25, 0.5]],
        [(0.25**2 * -log(0.75) + 0.5 * log(2)) / 2],
    ),
]

BESIDE_KINKS = [
    (AsymmetricLoss(gamma_negative=0.0, clip=0.2), np.zeros(2), np.array([0.2 - NEAR, 0.2 + NEAR]))
]
