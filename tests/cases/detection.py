"""Values by hand of the losses of dense detectors."""

from math import exp, log, log1p

import numpy as np

from keras_losses import DistributionFocalLoss, QualityFocalLoss, VarifocalLoss
from tests.cases import NEAR

WITH_LOGITS = {"from_logits": True}

BY_HAND = [
    (VarifocalLoss, {}, [[0.8]], [[0.5]], [0.8 * log(2)]),
    (VarifocalLoss, {}, [[0.25]], [[0.75]], [0.25 * (0.25 * -log(0.75) + 0.75 * log(4))]),
    (VarifocalLoss, {}, [0.0, 1.0], [0.25, 0.25], [0.75 * 0.25**2 * -log(0.75), log(4)]),
    (VarifocalLoss, {"alpha": 2.0, "gamma": 0.5}, [[0.0]], [[0.25]], [2 * 0.5 * -log(0.75)]),
    (VarifocalLoss, {}, [[0.5, 0.0]], [[0.5, 0.5]], [(0.5 * log(2) + 0.75 * 0.25 * log(2)) / 2]),
    (VarifocalLoss, WITH_LOGITS, [1.0, 0.0, 0.5], [-1e4, 1e4, 1e4], [1e4, 0.75 * 1e4, 0.5 * 0.5 * 1e4]),
    (VarifocalLoss, WITH_LOGITS, [1.0, 1.0], [20.0, 1e4], [log1p(exp(-20)), 0]),
    (VarifocalLoss, {"ignore_class": -1}, [[0.5, -1.0]], [[0.5, 0.9]], [0.5 * log(2)]),
    (QualityFocalLoss, {}, [[0.8]], [[0.5]], [0.3**2 * log(2)]),
    (QualityFocalLoss, {}, [[0.25]], [[0.75]], [0.5**2 * (0.25 * -log(0.75) + 0.75 * log(4))]),
    (QualityFocalLoss, {}, [1.0, 0.0], [0.75, 0.75], [0.25**2 * -log(0.75), 0.75**2 * log(4)]),
    (QualityFocalLoss, {"beta": 0.5}, [[0.5]], [[0.75]], [0.5 * (0.5 * -log(0.75) + 0.5 * log(4))]),
    (QualityFocalLoss, {"beta": 0.5}, [[0.25, 0.0]], [[0.25, 0.25]], [0.5 * -log(0.75) / 2]),
    (QualityFocalLoss, {"beta": 0.0}, [[0.25]], [[0.25]], [0.25 * log(4) - 0.75 * log(0.75)]),
    (QualityFocalLoss, WITH_LOGITS, [1.0, 0.0, 0.5], [-1e4, 1e4, 1e4], [1e4, 1e4, 0.5**2 * 0.5 * 1e4]),
    # 1 - p = 1 / (1 + e^20) keeps its digits.
    (
        QualityFocalLoss,
        {"beta": 1.0, **WITH_LOGITS},
        [1.0, 0.0],
        [20.0, -20.0],
        [log1p(exp(-20)) / (1 + exp(20))] * 2,
    ),
    (DistributionFocalLoss, {"bins": 4}, [1.25], [[0.25, 0.5, 0.25, 0.0]], [0.75 * log(2) + 0.25 * log(4)]),
    (DistributionFocalLoss, {"bins": 3}, [0.0, 1.0, 2.0], [[0.25, 0.25, 0.5]] * 3, [log(4), log(4), log(2)]),
    (DistributionFocalLoss, {"bins": 2}, [[0.5], [1.0]], [[0.25, 0.75], [0.0, 1.0]], [log(4 / 3**0.5), 0]),
    # Four sides of one box.
    (
        DistributionFocalLoss,
        {"bins": 2, **WITH_LOGITS},
        [[0.0, 0.25, 0.5, 1.0]],
        [[[0.0, 0.0], [0.0, 0.0], [log(3), 0.0], [1e4, 0.0]]],
        [[log(2), log(2), 0.5 * log(4 / 3) + 0.5 * log(4), 1e4]],
    ),
]

BESIDE_KINKS = [
    # The absolute difference, at p = y.
    (QualityFocalLoss(beta=1.0, from_logits=True), np.full(2, 0.5), np.array([-NEAR, NEAR])),
    (QualityFocalLoss(beta=0.5, from_logits=True), np.full(2, 0.5), np.array([-NEAR, NEAR])),
]

REFUSED = [
    (VarifocalLoss, {}, [[1.5]], [[0.5]], "1.5"),
    (QualityFocalLoss, {}, [[0.5, -0.5]], [[0.5, 0.5]], "-0.5"),
    (QualityFocalLoss, {}, [[float("nan")]], [[0.5]], "nan"),
    (DistributionFocalLoss, {"bins": 3, **WITH_LOGITS}, [[0.5, 3.0]], [[[0.0] * 3] * 2], "3"),
]
