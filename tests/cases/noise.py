"""Values by hand of the losses for wrong labels, with the constants of the papers."""

from math import exp, log

import numpy as np

from keras_losses import (
    ActivePassiveLoss,
    BiTemperedLoss,
    BootstrapLoss,
    EarlyLearningLoss,
    GeneralizedCrossentropyLoss,
    JensenShannonConsistencyLoss,
    SymmetricCrossentropyLoss,
)
from tests.cases import NEAR

THIRDS = [[0.5, 0.25, 0.25]]
MAE = {"passive": "mean_absolute_error"}
HEAVY = {"t1": 1.0, "t2": 2.0, "from_logits": True}
FOCAL = {"active": "normalized_focal", "gamma": 1.0, **MAE}

BY_HAND = [
    # Zhang 2018, equation 6: (1 - p^q) / q.
    (GeneralizedCrossentropyLoss, {"q": 0.5}, [1, 0], [0.25, 0.75], [(1 - 0.5) / 0.5, (1 - 0.5) / 0.5]),
    (GeneralizedCrossentropyLoss, {}, [1], THIRDS, [(1 - 0.25**0.7) / 0.7]),
    (GeneralizedCrossentropyLoss, {"q": 1.0, "from_logits": True}, [1], [[log(3), 0.0]], [1 - 1 / 4]),
    (GeneralizedCrossentropyLoss, {"q": 0.0}, [1], THIRDS, [log(4)]),
    # Wang 2019, equations 5 and 7: alpha CE + beta RCE, RCE = -A (1 - p_t) with A = -4.
    (SymmetricCrossentropyLoss, {}, [1], THIRDS, [0.1 * log(4) + 4 * 0.75]),
    (
        SymmetricCrossentropyLoss,
        {"alpha": 2.0, "beta": 0.5, "log_zero": -6.0},
        [1],
        [0.5],
        [2 * log(2) + 1.5],
    ),
    (SymmetricCrossentropyLoss, {"beta": 0.0}, [0], THIRDS, [0.1 * log(2)]),
    # Ma 2020: NCE = log p_t / sum_j log p_j; MAE = 2 (1 - p_t); RCE = -A (1 - p_t) with A = -4.
    (ActivePassiveLoss, {}, [1], THIRDS, [log(4) / (log(2) + 2 * log(4)) + 4 * 0.75]),
    (ActivePassiveLoss, {"alpha": 10.0, "beta": 0.1, **MAE}, [0], THIRDS, [10 / 5 + 0.1 * 2 * 0.5]),
    (ActivePassiveLoss, FOCAL, [0], THIRDS, [0.5 * 1 / (0.5 * 1 + 2 * 0.75 * 2) + 2 * 0.5]),
    (ActivePassiveLoss, {"beta": 0.0, "multi_label": True}, [[1, 1]], [[0.5, 0.5]], [1 / 2]),
    (ActivePassiveLoss, MAE, [1], [0.5], [1 / 2 + 2 * 0.5]),
    # Reed 2014, equations 6 and 7.
    (BootstrapLoss, {"beta": 0.5}, [1], THIRDS, [0.5 * log(4) + 0.5 * (0.5 * log(2) + 0.5 * log(4))]),
    (BootstrapLoss, {"beta": 0.75, "hard": True}, [1], THIRDS, [0.75 * log(4) + 0.25 * log(2)]),
    (BootstrapLoss, {"beta": 0.0}, [1], [0.5], [log(2)]),
    (BootstrapLoss, {"beta": 0.8, "hard": True}, [0], [0.75], [0.8 * log(4) + 0.2 * log(4 / 3)]),
    # Amid 2019: with t1 = 0, log_0 x = x - 1; with t2 = 2, p = 1 / (1 + lambda - z).
    (BiTemperedLoss, {"t1": 0.0, "t2": 1.0}, [1], [0.5], [0.5 + (0.25 + 0.25 - 1) / 2]),
    (BiTemperedLoss, {"t1": 0.0, "t2": 1.0}, [0], THIRDS, [0.5 + (1 / 4 + 1 / 16 + 1 / 16 - 1) / 2]),
    (
        BiTemperedLoss,
        {"t1": 0.5, "t2": 1.0},
        [1],
        [0.25],
        [2 * (1 - 0.5) + (0.5**3 + 0.75**1.5 - 1) / 1.5],
    ),
    # Three equal classes have p = 1/3, whatever the temperature; with t1 = 1 the loss is -log p_t.
    (BiTemperedLoss, HEAVY, [0], [[5.0, 5.0, 5.0]], [log(3)]),
    # 1 / (1 + s) + 1 / (1 + s + d) = 1 with s = 1/2, d = 3/2: p = 2/3 and 1/3.
    (
        BiTemperedLoss,
        HEAVY,
        [0, 1],
        [[1.5, 0.0]] * 2,
        [log(1.5), log(3)],
    ),
    (BiTemperedLoss, {"t1": 1.0, "t2": 1.0, "from_logits": True}, [1], [[1e4, 0.0]], [1e4]),
    (BiTemperedLoss, {"t1": 1.0, "t2": 1.0, "from_logits": True}, [0], [[20.0, 0.0]], [exp(-20)]),
    # Hendrycks 2020, equations 3 and 4: CE of the clean view + 12 * mean of KL(view || mean of the views).
    (JensenShannonConsistencyLoss, {"views": 2}, [0], [[0.5, 0.5, 0.5, 0.5]], [log(2)]),
    (JensenShannonConsistencyLoss, {"views": 2}, [0], [[1.0, 0.0, 0.0, 1.0]], [12 * log(2)]),
    # Views (1, 0), (0, 1), (0, 1), mean (1/3, 2/3): KL log 3, log 1.5, log 1.5.
    (
        JensenShannonConsistencyLoss,
        {"weight": 6.0},
        [0],
        [[1.0, 0.0, 0.0, 1.0, 0.0, 1.0]],
        [6 * (log(3) + 2 * log(1.5)) / 3],
    ),
    (
        JensenShannonConsistencyLoss,
        {"views": 2, "weight": 1.0, "from_logits": True},
        [1],
        [[log(3), 0.0, 0.0, log(3)]],
        [log(4) + 3 / 4 * log(3 / 2) + 1 / 4 * log(1 / 2)],
    ),
    # Liu 2020, equation 6: CE + 3 log(1 - <p, q>).
    (EarlyLearningLoss, {}, [1], [[0.5, 0.5, 1.0, 0.0]], [log(2) + 3 * log(1 - 0.5)]),
    (EarlyLearningLoss, {}, [1], [[0.75, 0.25, 0.0, 0.0]], [log(4)]),
    (EarlyLearningLoss, {"weight": 2.0}, [0], [[0.75, 0.25, 0.5, 0.4]], [log(4 / 3) + 2 * log(1 - 0.475)]),
    (EarlyLearningLoss, {}, [0], [[1.0, 0.0, 1.0, 0.0]], [3 * log(1e-4)]),
]

REFUSED = [
    (EarlyLearningLoss, {}, [0], [[0.5, 0.5, -0.5, 0.5]], "-0.5"),
    (EarlyLearningLoss, {}, [0], [[0.5, 0.5, 0.75, 0.5]], "0.75"),
    (EarlyLearningLoss, {}, [0], [[1.5, -0.5, 0.5, 0.5]], "1.5"),
    (JensenShannonConsistencyLoss, {"views": 2}, [0], [[0.5, 0.5, 0.75, 0.75]], "1.5"),
]

# Hard bootstrapping has a kink where the likeliest class changes.
BESIDE_KINKS = [
    (BootstrapLoss(beta=0.5, hard=True, from_logits=True), np.zeros(2), np.array([-NEAR, NEAR])),
]
