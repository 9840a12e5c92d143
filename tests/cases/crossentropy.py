"""Cross-entropy and focal loss by hand."""

from math import exp, log, log1p

from keras_losses import CrossentropyLoss, FocalLoss

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
]
