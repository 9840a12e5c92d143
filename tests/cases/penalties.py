"""Penalties on predictions by hand, around other losses."""

from math import log

import keras
import numpy as np
from keras import ops

from keras_losses import (
    AbsoluteErrorLoss,
    CrossentropyLoss,
    HingeLoss,
    KLDivergenceLoss,
    RegularizedLoss,
    SquaredErrorLoss,
)
from tests.cases import NEAR

L2 = {"activity_l2": 0.1}
UNSURE = {"confidence_penalty": 0.5}


def half_square(y_true, y_pred):
    """A loss of the user's own, which broadcasts as it likes."""
    return ops.sum(ops.square(y_true - y_pred), axis=-1) / 2


BY_HAND = [
    (
        RegularizedLoss,
        {"loss": SquaredErrorLoss(), "activity_l2": 0.1},
        [[1.0]],
        [[3.0]],
        [2**2 + 0.1 * 3**2],
    ),
    # Half of each difference belongs to either of its steps.
    (
        RegularizedLoss,
        {"loss": SquaredErrorLoss(), "smoothness": 0.5},
        [[[1.0], [3.0], [4.0]]],
        [[[1.0], [3.0], [2.0]]],
        [[0.5 * 2 / 2, 0.5 * (2 + 1) / 2, 2**2 + 0.5 * 1 / 2]],
    ),
    # Time is the last axis.
    (
        RegularizedLoss,
        {"loss": SquaredErrorLoss(), "smoothness": 0.5, "smoothness_axes": 1},
        [[1.0, 3.0, 2.0]],
        [[1.0, 3.0, 2.0]],
        [0.5 * (2 + 1) / 3],
    ),
    # Rows and columns of an image of two outputs.
    (
        RegularizedLoss,
        {"loss": SquaredErrorLoss(), "smoothness": 1.0},
        [[[[0.0, 0.0], [1.0, 0.0]], [[5.0, 0.0], [3.0, 4.0]]]],
        [[[[0.0, 0.0], [1.0, 0.0]], [[5.0, 0.0], [3.0, 4.0]]]],
        [
            [
                [(1 + 5) / 2 / 2, ((1 + 0) / 2 + (2 + 4) / 2) / 2],
                [((5 + 0) / 2 + (2 + 4) / 2) / 2, ((2 + 4) / 2 + (2 + 4) / 2) / 2],
            ]
        ],
    ),
    (
        RegularizedLoss,
        {"loss": AbsoluteErrorLoss(), "activity_l1": 0.5},
        [[1.0, 0.0]],
        [[3.0, -2.0]],
        [(2 + 2) / 2 + 0.5 * (3 + 2)],
    ),
    # A penalty of weight 0 is not computed, so that what overflows in it does no harm.
    (RegularizedLoss, {"loss": AbsoluteErrorLoss(), "activity_l1": 1.0}, [[0.0]], [[1e30]], [1e30 + 1e30]),
    (
        RegularizedLoss,
        {"loss": CrossentropyLoss(), "confidence_penalty": 0.5},
        [1],
        [[0.5, 0.25, 0.25]],
        [log(4) - 0.5 * (0.5 * log(2) + 2 * 0.25 * log(4))],
    ),
    (
        RegularizedLoss,
        {"loss": CrossentropyLoss(from_logits=True), "confidence_penalty": 2.0},
        [1],
        [0.0],
        [log(2) - 2 * log(2)],
    ),
    (RegularizedLoss, {"loss": "mean_squared_error", **L2}, [1.0, 2.0], [1.0, 5.0], [0.1, 3**2 + 0.1 * 5**2]),
    (
        RegularizedLoss,
        {"loss": half_square, **L2},
        [1.0, 2.0],
        [1.0, 5.0],
        [0.1 * 1**2, 3**2 / 2 + 0.1 * 5**2],
    ),
    (RegularizedLoss, {"loss": half_square, **L2}, [[1.0]], [[1.0, 3.0]], [2**2 / 2 + 0.1 * (1 + 3**2)]),
    (
        RegularizedLoss,
        {"loss": keras.losses.BinaryCrossentropy(), **UNSURE},
        [1, 1],
        [0.5, 0.25],
        [log(2) - 0.5 * log(2), log(4) - 0.5 * (0.25 * log(4) + 0.75 * log(4 / 3))],
    ),
    (
        RegularizedLoss,
        {"loss": keras.losses.BinaryCrossentropy(), **UNSURE},
        [[1.0, 1.0]],
        [[0.5, 0.25]],
        [(log(2) + log(4)) / 2 - 0.5 * (log(2) + 0.25 * log(4) + 0.75 * log(4 / 3)) / 2],
    ),
    (
        RegularizedLoss,
        {"loss": keras.losses.CategoricalCrossentropy(), **UNSURE},
        [[0.0, 1.0, 0.0]],
        [[0.5, 0.25, 0.25]],
        [log(4) - 0.5 * (0.5 * log(2) + 2 * 0.25 * log(4))],
    ),
    (
        RegularizedLoss,
        {"loss": keras.losses.CategoricalCrossentropy(from_logits=True), **UNSURE},
        [[0.0, 1.0]],
        [[log(3), 0.0]],
        [log(4) - 0.5 * (0.75 * log(4 / 3) + 0.25 * log(4))],
    ),
    (
        RegularizedLoss,
        {"loss": keras.losses.SparseCategoricalCrossentropy(ignore_class=2), **UNSURE},
        [1, 2],
        [[0.5, 0.25, 0.25]] * 2,
        [log(4) - 0.5 * (0.5 * log(2) + 2 * 0.25 * log(4)), 0],
    ),
]

BESIDE_KINKS = [
    (RegularizedLoss(AbsoluteErrorLoss(), activity_l1=2.0), np.ones((2, 1)), np.array([[NEAR], [-NEAR]])),
    (
        RegularizedLoss(AbsoluteErrorLoss(), smoothness=2.0, smoothness_axes=-1),
        np.ones((2, 2)),
        np.array([[0.0, NEAR], [0.0, -NEAR]]),
    ),
]

REFUSED = [
    (RegularizedLoss, {"loss": CrossentropyLoss()}, [7], [[0.2, 0.3, 0.5]], "7"),
    (RegularizedLoss, {"loss": HingeLoss()}, [[0.0]], [[0.5]], "0"),
    (RegularizedLoss, {"loss": KLDivergenceLoss()}, [[0.5, 0.7, 0.0]], [[0.2, 0.3, 0.5]], "1.2"),
]
