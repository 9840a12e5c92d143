"""Divergences by hand."""

from math import exp, log, sqrt

import numpy as np

from keras_losses import (
    AlphaDivergenceLoss,
    DistillationLoss,
    EarthMoverLoss,
    HellingerLoss,
    JensenShannonLoss,
    KLDivergenceLoss,
    RenyiLoss,
    TotalVariationLoss,
)
from tests.cases import NEAR

HALVES, FIFTHS = [[0.5, 0.5]], [[0.2, 0.8]]
FIRST, LAST = [[1.0, 0.0, 0.0]], [[0.0, 0.0, 1.0]]
LOGITS = {"from_logits": True}

BY_HAND = [
    (KLDivergenceLoss, {}, [[0.5, 0.5, 0.0]], [[0.25, 0.5, 0.25]], [0.5 * log(2)]),
    (
        KLDivergenceLoss,
        {"direction": "reverse"},
        [[0.25, 0.5, 0.25]],
        [[0.5, 0.5, 0.0]],
        [0.5 * log(2)],
    ),
    (KLDivergenceLoss, {"generalized": True}, [[2.0, 1.0]], [[1.0, 3.0]], [2 * log(2) - log(3) + 4 - 3]),
    (
        KLDivergenceLoss,
        {"temperature": 2.0, "from_logits": True},
        HALVES,
        [[2 * log(3), 0.0]],
        [0.5 * log(0.5 / 0.75) + 0.5 * log(0.5 / 0.25)],
    ),
    (JensenShannonLoss, {}, FIRST, LAST, [log(2)]),
    # m = (1/4) y + (3/4) p: y is sure of what m gives 1/4, p of what it gives 3/4.
    (JensenShannonLoss, {"weight": 0.25}, FIRST, LAST, [0.25 * log(4) + 0.75 * log(4 / 3)]),
    (
        JensenShannonLoss,
        LOGITS,
        [[1.0, 0.0]],
        [[0.0, 0.0]],
        [0.5 * log(1 / 0.75) + 0.5 * (0.5 * log(0.5 / 0.75) + 0.5 * log(0.5 / 0.25))],
    ),
    (RenyiLoss, {}, HALVES, FIFTHS, [-2 * log(sqrt(0.1) + sqrt(0.4))]),
    (RenyiLoss, {"alpha": 2.0}, HALVES, FIFTHS, [log(0.25 / 0.2 + 0.25 / 0.8)]),
    (RenyiLoss, {"alpha": 1.0}, HALVES, FIFTHS, [0.5 * log(0.5 / 0.2) + 0.5 * log(0.5 / 0.8)]),
    (RenyiLoss, {"alpha": 3.0, **LOGITS}, FIRST, [[-1e4, 0.0, 0.0]], [1e4 + log(2)]),
    (AlphaDivergenceLoss, {}, HALVES, FIFTHS, [4 * (1 - sqrt(0.1) - sqrt(0.4))]),
    (AlphaDivergenceLoss, {"alpha": 2.0}, HALVES, FIFTHS, [(0.3**2 / 0.2 + 0.3**2 / 0.8) / 2]),
    (AlphaDivergenceLoss, {"alpha": -1.0}, HALVES, FIFTHS, [(0.3**2 / 0.5 + 0.3**2 / 0.5) / 2]),
    (AlphaDivergenceLoss, {"alpha": 0.0}, HALVES, FIFTHS, [0.2 * log(0.2 / 0.5) + 0.8 * log(0.8 / 0.5)]),
    (AlphaDivergenceLoss, {"alpha": 0.25}, FIRST, LAST, [1 / (0.25 * 0.75)]),
    (HellingerLoss, {}, [[1.0, 0.0]], [[0.25, 0.75]], [1 - 0.5]),
    (HellingerLoss, {}, FIRST, LAST, [1.0]),
    (HellingerLoss, LOGITS, HALVES, [[log(4), 0.0]], [1 - sqrt(0.4) - sqrt(0.1)]),
    (TotalVariationLoss, {}, [[0.5, 0.5, 0.0]], [[0.25, 0.5, 0.25]], [0.25]),
    (TotalVariationLoss, {}, FIRST, LAST, [1.0]),
    # 1 - p_t, of which all digits are left where p_t is nearly 1.
    (TotalVariationLoss, LOGITS, [[1.0, 0.0]], [[20.0, 0.0]], [exp(-20) / (1 + exp(-20))]),
    (EarthMoverLoss, {"power": 1.0}, FIRST, LAST, [1.0]),
    (EarthMoverLoss, {}, FIRST, [[0.0, 1.0, 0.0]], [(1 + 0) / 2]),
    (EarthMoverLoss, {}, [[0.2, 0.3, 0.5]], [[0.5, 0.1, 0.4]], [(0.3**2 + 0.1**2) / 2]),
    (EarthMoverLoss, {"power": 3.0, **LOGITS}, [[1.0, 0.0]], [[0.0, log(3)]], [0.75**3]),
    (
        DistillationLoss,
        {},
        [[2 * log(3), 0.0]],
        [[5.0, 5.0]],
        [4 * (0.75 * log(0.75 / 0.5) + 0.25 * log(0.25 / 0.5))],
    ),
    (
        DistillationLoss,
        {"temperature": 1.0},
        [[0.0, 0.0]],
        [[log(3), 0.0]],
        [0.5 * log(2 / 3) + 0.5 * log(2)],
    ),
    (DistillationLoss, {"temperature": 4.0}, [[1e4, 0.0]], [[-1e4, 0.0]], [16 * 1e4 / 4]),
    (DistillationLoss, {}, [[3.0, -1.0, 0.5]], [[103.0, 99.0, 100.5]], [0.0]),
]

TARGET = np.array([[0.2, 0.3, 0.5]] * 6)
STEPS = NEAR * np.array([[1, -1, 0], [-1, 1, 0], [0, 1, -1], [0, -1, 1], [1, 0, -1], [-1, 0, 1]])
BESIDE_KINKS = [
    (TotalVariationLoss(), TARGET, TARGET + STEPS + np.array([[0.001, 0.002, -0.003]])),
    (EarthMoverLoss(power=1.0), TARGET, TARGET + STEPS + np.array([[0.001, 0.002, -0.003]])),
]

THIRDS = [[0.2, 0.3, 0.5]]
NO_SUM, NEGATIVE = [[0.5, 0.7, 0.1]], [[1.5, -0.5, 0.0]]
NORMALISED = (
    KLDivergenceLoss,
    JensenShannonLoss,
    RenyiLoss,
    AlphaDivergenceLoss,
    HellingerLoss,
    TotalVariationLoss,
    EarthMoverLoss,
)
REFUSED = [
    *((loss, {}, NO_SUM, THIRDS, "1.3") for loss in NORMALISED),
    *((loss, {}, THIRDS, NO_SUM, "1.3") for loss in NORMALISED),
    *((loss, {}, NEGATIVE, THIRDS, "-0.5") for loss in NORMALISED),
    *((loss, {}, THIRDS, NEGATIVE, "-0.5") for loss in NORMALISED),
    (KLDivergenceLoss, {"generalized": True}, THIRDS, [[1.0, -2.0, 0.0]], "-2"),
]
