"""What only an author can say of sums of losses."""

from math import log

from keras import losses

from keras_losses import (
    AbsoluteErrorLoss,
    CompositeLoss,
    CrossentropyLoss,
    HardestLoss,
    HingeLoss,
    KerasLoss,
    SquaredErrorLoss,
    UncertaintyWeightedLoss,
)
from tests.cases.penalties import half_square

SQUARE_AND_SIZE = {"losses": {"square": SquaredErrorLoss(), "size": AbsoluteErrorLoss()}}

SIZES = {"loss": AbsoluteErrorLoss()}
FOUR_ZEROS, FOUR = [[[0.0]] * 4], [[[1.0], [2.0], [6.0], [3.0]]]

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
    (KerasLoss, {"loss": losses.Dice(axis=1)}, [[1.0, 0.0]], [[0.5, 0.5]], [1 - 2 * 0.5 / (1 + 1)]),
    (KerasLoss, {"loss": half_square}, [[1.0, 0.0]], [[3.0, 1.0]], [(2**2 + 1) / 2]),
    # 1 - 2 * (1 * 0.5) / (1 + 1) for both samples, as one number of the batch.
    (
        KerasLoss,
        {"loss": losses.Dice(), "allow_scalar": True},
        [[1.0], [0.0]],
        [[0.5], [0.5]],
        [0.5, 0.5],
    ),
    # The values 1, 2, 6 and 3 of four pixels, and their largest two, one, and one and a half.
    (HardestLoss, {**SIZES, "share": 0.5}, FOUR_ZEROS, FOUR, [(6 + 3) / 2]),
    (HardestLoss, SIZES, FOUR_ZEROS, FOUR, [6.0]),
    (HardestLoss, {**SIZES, "share": 0.375}, FOUR_ZEROS, FOUR, [(6 + 3 / 2) / 1.5]),
    # The batch competes: the mean over its samples, 3 / 4 of them 0, is 6.
    (HardestLoss, SIZES, [[0.0]] * 4, [[1.0], [2.0], [6.0], [3.0]], [0.0, 0.0, 6 / 0.25, 0.0]),
    # Two equal values share one place.
    (HardestLoss, {**SIZES, "share": 1 / 3}, [[0.0]] * 3, [[2.0], [-2.0], [1.0]], [3.0, 3.0, 0.0]),
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
    (KerasLoss, {"loss": HingeLoss()}, [[0.0]], [[0.5]], "0"),
    (HardestLoss, {"loss": HingeLoss()}, [[0.0]], [[0.5]], "0"),
    (CompositeLoss, {"losses": [CrossentropyLoss(), SquaredErrorLoss()]}, [[7]], [[0.5]], "7"),
    (CompositeLoss, {"losses": [SquaredErrorLoss(), HingeLoss()]}, [[0.0]], [[0.5]], "0"),
    (UncertaintyWeightedLoss, {"losses": [HingeLoss()], "noise": 1.0}, [[0.0]], [[0.5]], "0"),
]
