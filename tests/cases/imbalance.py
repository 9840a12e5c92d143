"""Values by hand of the losses that take class counts, with the constants of the papers."""

from math import log, log1p

import numpy as np

from keras_losses import EqualizedFocalLoss, LDAMLoss, LogitAdjustedLoss, SeesawLoss
from tests.cases import NEAR

LOGITS = {"from_logits": True}
EVEN = [[0.25, 0.25, 0.5]]
THREE_TO_ONE = {"class_prior": [3, 1]}
MARGINS = {"class_counts": [1600, 100], "scale": 1.0, **LOGITS}  # n^(1/4) is 2 sqrt 10 and sqrt 10

BY_HAND = [
    # Menon 2020, equation 10: -log e^(z_y + tau log pi_y) / sum_j e^(z_j + tau log pi_j).
    (LogitAdjustedLoss, {**THREE_TO_ONE, **LOGITS}, [0, 1], [[0.0, 0.0]] * 2, [log(4 / 3), log(4)]),
    (LogitAdjustedLoss, {"class_prior": [2, 1, 1]}, [2], EVEN, [-log(0.5 / (0.5 + 0.25 + 0.5))]),
    (LogitAdjustedLoss, {**THREE_TO_ONE, "tau": 2.0, **LOGITS}, [1], [[0.0, 0.0]], [log(10)]),
    # Equal priors have no effect, as counts or as shares.
    (LogitAdjustedLoss, {"class_prior": [7, 7, 7]}, [2], EVEN, [log(2)]),
    (LogitAdjustedLoss, {"class_prior": np.array([0.5, 0.5])}, [1], [0.9], [-log(0.9)]),
    # One output: z + log(1 / 3), the odds of 1 against 3.
    (LogitAdjustedLoss, {**THREE_TO_ONE, **LOGITS}, [1, 0], [0.0, 0.0], [log(4), log(4 / 3)]),
    (LogitAdjustedLoss, THREE_TO_ONE, [1], [0.75], [log(2)]),
    # Several labels: odds of 1/4 against 3/4 and of 1/2 against 1/2.
    (
        LogitAdjustedLoss,
        {"class_prior": [0.25, 0.5], "multi_label": True, **LOGITS},
        [[1, 0]],
        [[0.0, 0.0]],
        [(log(4) + log(2)) / 2],
    ),
    (LogitAdjustedLoss, {**THREE_TO_ONE, **LOGITS}, [1], [[1e4, 0.0]], [1e4 + log(3)]),
    # Cao 2019, equation 13, with C so that the rarest class has 0.5; 100^(1/4) / 1600^(1/4) = 1/2.
    (LDAMLoss, MARGINS, [0, 1], [[0.25, 0.0], [0.0, 0.5]], [log(2), log(2)]),
    (LDAMLoss, {**MARGINS, "max_margin": 2.0}, [0, 1], [[1.0, 0.0], [0.0, 2.0]], [log(2), log(2)]),
    (
        LDAMLoss,
        {"class_counts": [1600, 100], **LOGITS},
        [1],
        [[1.0, 0.0]],
        [30 * 1.5],
    ),
    (LDAMLoss, {"class_counts": [100, 1600], "scale": 2.0, **LOGITS}, [1, 0], [0.25, -0.5], [log(2), log(2)]),
    (LDAMLoss, {"class_counts": [5, 5, 5], "scale": 1.0}, [2], EVEN, [log1p(0.5 * np.exp(0.5) / 0.5)]),
    (LDAMLoss, {"class_counts": [5, 9], "max_margin": 0.0, "scale": 1.0}, [1], [[0.75, 0.25]], [log(4)]),
    # Wang 2021, equations 6 and 7: p = 0.8, q = 2.
    (SeesawLoss, {"class_counts": [300, 100]}, [0], [[0.5, 0.5]], [log1p(3**-0.8)]),
    (SeesawLoss, {"class_counts": [300, 100]}, [1], [[0.75, 0.25]], [log1p(3**2 * 3)]),
    (
        SeesawLoss,
        {"class_counts": [4, 1, 0], "p": 0.5, "q": 1.0},  # a count of 0 counts as 1
        [0],
        EVEN,
        [log1p(0.5 * 1 + 0.5 * 2 * 2)],
    ),
    (
        SeesawLoss,
        {"class_counts": [300, 100], "p": 1.0},
        [0, 1],
        [0.75, 0.25],
        [log1p(3**2 * 3 / 3), log1p(3**2 * 3)],
    ),
    (SeesawLoss, {"class_counts": [5, 5], "q": 0.0, **LOGITS}, [1], [[1e4, 0.0]], [1e4]),
    (SeesawLoss, {"class_counts": [5, 5], **LOGITS}, [1], [[1e3, 0.0]], [3e3]),
    # Li 2022, equation 5: gamma = 2, scale = 8 and, with it, alpha = 0.25. g = 1 and 1/2: focus 2 and 6.
    (
        EqualizedFocalLoss,
        {"class_counts": [6, 3]},
        [[1, 0], [1, 1]],
        [[0.5, 0.5]] * 2,
        [
            (0.25 * 0.5**2 * log(2) + 0.75 * 3 * 0.5**6 * log(2)) / 2,
            (0.25 * 0.5**2 * log(2) + 0.25 * 3 * 0.5**6 * log(2)) / 2,
        ],
    ),
    (
        EqualizedFocalLoss,
        {"class_counts": [4, 1], "scale": 4.0, "gamma": 1.0, "alpha": None},
        [[0, 0]],
        [[0.75, 0.5]],
        [(0.75 * log(4) + 4 * 0.5**4 * log(2)) / 2],
    ),
    (EqualizedFocalLoss, {"class_counts": [9], "alpha": None}, [1], [0.9], [0.1**2 * -log(0.9)]),
    # Equal counts give the focal loss.
    (
        EqualizedFocalLoss,
        {"class_counts": [4, 4]},
        [[1, 0]],
        [[0.5, 0.5]],
        [(0.25 + 0.75) * log(2) / 8],
    ),
]

# The compensation factor begins where another class becomes likelier than the true one.
BESIDE_KINKS = [
    (
        SeesawLoss([3, 2, 5], from_logits=True),
        np.array([0, 0]),
        np.array([[0.0, -NEAR, -1.0], [0.0, NEAR, -1.0]]),
    ),
    (SeesawLoss([3, 2], from_logits=True), np.zeros(2), np.array([-NEAR, NEAR])),
]

REFUSED = [
    (LogitAdjustedLoss, {"class_prior": [1, 1, 1]}, [3], [[0.2, 0.3, 0.5]], "3"),
    (LDAMLoss, {"class_counts": [1, 1]}, [2.0], [0.5], "2"),
    (SeesawLoss, {"class_counts": [1, 1]}, [0.5, -0.5], [0.5, 0.5], "-0.5"),
    (EqualizedFocalLoss, {"class_counts": [1, 1]}, [[0, 2]], [[0.5, 0.5]], "2"),
]
