"""Values by hand of the hinge losses, and points near their kinks."""

import numpy as np

from keras_losses import HingeLoss, ModifiedHuberLoss, MulticlassHingeLoss, SmoothHingeLoss
from tests.cases import NEAR

BY_HAND = [
    (HingeLoss, {}, [1, -1, -1], [0.25, -3.0, 0.5], [1 - 0.25, 0, 1 + 0.5]),
    (HingeLoss, {"power": 2.0, "margin": 2.0}, [1], [-1.5], [(2 + 1.5) ** 2]),
    (HingeLoss, {"margin": 0.0}, [1, 1, -1, -1], [0.25, -3.0, 0.5, 0.0], [0, 3, 0.5, 0]),
    (HingeLoss, {"labels": "binary"}, [[0, 1]], [[0.5, 0.5]], [((1 + 0.5) + (1 - 0.5)) / 2]),
    (MulticlassHingeLoss, {}, [2, 0], [[-3.0, -2.5, -2.0]] * 2, [1 - 2.5 + 2, 1 - 2 + 3]),
    (
        MulticlassHingeLoss,
        {"kind": "weston_watkins"},
        [0],
        [[-3.0, -2.5, -2.0]],
        [(1 - 2.5 + 3) + (1 - 2 + 3)],
    ),
    (MulticlassHingeLoss, {"margin": 0.0}, [2, 0], [[-3.0, -2.5, -2.0]] * 2, [0, 3 - 2]),
    (
        MulticlassHingeLoss,
        {"margin": 0.0, "kind": "weston_watkins"},
        [0],
        [[-3.0, -2.5, -2.0]],
        [(3 - 2.5) + (3 - 2)],
    ),
    (MulticlassHingeLoss, {"power": 2.0, "margin": 0.5}, [[0, 1]], [[1.0, -1.0]], [(0.5 + 1 + 1) ** 2]),
    (MulticlassHingeLoss, {"class_weight": {1: 4.0}}, [1, 0], [[0.0, 0.0]] * 2, [4 * 1, 1]),
    (SmoothHingeLoss, {}, [1, -1, 1], [0.25, 3.0, 1.5], [(1 - 0.25) ** 2 / 2, 1 / 2 + 3, 0]),
    (SmoothHingeLoss, {}, [1, -1], [0.0, 0.0], [1 / 2, 1 / 2]),
    (SmoothHingeLoss, {"labels": "binary"}, [[0, 1]], [[0.5, 0.5]], [(1 / 2 + 0.5 + 0.5**2 / 2) / 2]),
    (ModifiedHuberLoss, {}, [1, -1, 1], [0.25, 3.0, 1.5], [(1 - 0.25) ** 2, 4 * 3, 0]),
    (ModifiedHuberLoss, {}, [1, -1], [-1.0, 1.0], [2**2, 4 * 1]),
    (ModifiedHuberLoss, {"labels": "binary"}, [[0, 1]], [[0.5, -2.0]], [(1.5**2 + 4 * 2) / 2]),
]

BESIDE_KINKS = [
    (SmoothHingeLoss(), np.ones(4), np.array([-NEAR, NEAR, 1 - NEAR, 1 + NEAR])),
    (ModifiedHuberLoss(), -np.ones(4), np.array([-1 - NEAR, -1 + NEAR, 1 - NEAR, 1 + NEAR])),
    (HingeLoss(), np.array([1.0, 1, -1, -1]), np.array([1 - NEAR, 1 + NEAR, -1 + NEAR, -1 - NEAR])),
    (HingeLoss(margin=0.0), np.array([1.0, 1, -1, -1]), np.array([-NEAR, NEAR, NEAR, -NEAR])),
    (HingeLoss(power=2.0, margin=0.5), np.array([1.0, 1]), np.array([0.5 - NEAR, 0.5 + NEAR])),
    (HingeLoss(power=1.5), np.array([1.0, -1]), np.array([1 - NEAR, -1 + NEAR])),
    *(
        (
            MulticlassHingeLoss(kind=kind, power=power),
            np.array([0, 0, 0, 0]),
            np.array(
                [[1.0 - NEAR, 0, -1], [1.0 + NEAR, 0, -1], [0.0, 0.5 + NEAR, 0.5], [0.0, 0.5 - NEAR, 0.5]]
            ),
        )
        for kind in ("crammer_singer", "weston_watkins")
        for power in (1.0, 2.0)
    ),
]

REFUSED = [
    (MulticlassHingeLoss, {}, [[0.5, 0.5, 0.0]], [[0.2, 0.3, 0.5]], "0.5"),
    (HingeLoss, {"labels": "binary"}, [-1.0], [0.5], "-1"),
    (HingeLoss, {}, [0.0], [0.5], "0"),
    (SmoothHingeLoss, {}, [0.0], [0.5], "0"),
    (ModifiedHuberLoss, {"labels": "binary"}, [-1.0], [0.5], "-1"),
]
