"""The Kullback-Leibler divergence by hand."""

from math import log

from keras_losses import KLDivergenceLoss

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
        [[0.5, 0.5]],
        [[2 * log(3), 0.0]],
        [0.5 * log(0.5 / 0.75) + 0.5 * log(0.5 / 0.25)],
    ),
]

THIRDS = [[0.2, 0.3, 0.5]]
REFUSED = [
    (KLDivergenceLoss, {}, [[0.5, 0.7, 0.0]], THIRDS, "1.2"),
    (KLDivergenceLoss, {}, THIRDS, [[0.5, 0.7, 0.1]], "1.3"),
    (KLDivergenceLoss, {}, [[1.5, -0.5, 0.0]], THIRDS, "-0.5"),
    (KLDivergenceLoss, {"generalized": True}, THIRDS, [[1.0, -2.0, 0.0]], "-2"),
]
