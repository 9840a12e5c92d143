"""What only an author can say of sums of losses."""

from math import log

from keras import losses

from keras_losses import (
    AbsoluteErrorLoss,
    CompositeLoss,
    CrossentropyLoss,
    HingeLoss,
    SquaredErrorLoss,
    UncertaintyWeightedLoss,
)
from tests.cases.penalties import half_square

SQUARE_AND_SIZE = {"losses": {"square": SquaredErrorLoss(), "size": AbsoluteErrorLoss()}}

BY_HAND = [
    (CompositeLoss, SQUARE_AND_SIZE, [[1.0]], [[3.0]], [2**2 + 2]),
    (CompositeLoss, {**SQUARE_AND_SIZE, "weights": {"size": 0.5}}, [[1.0]], [[3.0]], [2**2 + 0.5 * 2]),
    (
        CompositeLoss,
        {"losses": ["mean_squared_error", half_square, losses.MeanAbsoluteError()], "weights": [1, 2, -3]},
        [[1.0, 0.0]],
        [[3.0, 1.0]],
        [(2**2 + 1) / 2 + 2 * (2**2 + 1) / 2 - 3 * (2 + 1) / 2],
    ),
    # What is 0 times a term leaves no NaN of it: 0 * infinity.
    (CompositeLoss, {**SQUARE_AND_SIZE, "weights": {"square": 0.0}}, [[0.0]], [[1e30]], [1e30]),
    # Labels of which each term reads its own: the second class is left out of one.
    (
        CompositeLoss,
        {"losses": [CrossentropyLoss(ignore_class=1), CrossentropyLoss()]},
        [0, 1],
        [[0.5, 0.25, 0.25]] * 2,
        [log(2) + log(2), 0 + log(4)],
    ),
    # 1/2 of squared errors, 1 of cross-entropies.
    (
        UncertaintyWeightedLoss,
        {**SQUARE_AND_SIZE, "noise": 2.0},
        [[1.0]],
        [[4.0]],
        [(3**2 + 3) / 2 / 2**2 + 2 * log(2)],
    ),
    (
        UncertaintyWeightedLoss,
        {"losses": [CrossentropyLoss()], "noise": 0.5},
        [[1]],
        [[0.5]],
        [4 * log(2) - log(2)],
    ),
    (
        UncertaintyWeightedLoss,
        {**SQUARE_AND_SIZE, "weights": {"size": 0.0}, "noise": 1.0},
        [[1.0]],
        [[4.0]],
        [3**2 / 2],
    ),
]

REFUSED = [
    (CompositeLoss, {"losses": [CrossentropyLoss(), SquaredErrorLoss()]}, [[7]], [[0.5]], "7"),
    (CompositeLoss, {"losses": [SquaredErrorLoss(), HingeLoss()]}, [[0.0]], [[0.5]], "0"),
    (UncertaintyWeightedLoss, {"losses": [HingeLoss()], "noise": 1.0}, [[0.0]], [[0.5]], "0"),
]
