"""Values that hyper-parameters with a converter take and refuse; intervals and choices say so themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras_losses
from keras_losses.combine.around import AroundLoss
from keras_losses.core import ClassificationLoss
from keras_losses.core.parameters import Parameter


@dataclass(frozen=True)
class Argument:
    """What a hyper-parameter takes, and what it refuses."""

    taken: tuple[Any, ...] = ()
    refused: tuple[Any, ...] = ()


NO_COUNTS = (
    "many",
    3.0,
    [],
    [-1.0, 2.0, 3.0],
    [float("nan"), 1.0, 2.0],
    [float("inf"), 1.0, 1.0],
    [0.0, 0.0],
)
NO_ALPHA = (-0.1, 1.5, "high", [-1.0, 1.0])
NO_POS_WEIGHT = (-0.1, float("inf"), True, "high", [-1.0, 1.0], [])
NO_LEVELS = ("median", 0.0, 1.0, [], [0.5, 0.1], [0.2, 0.2], [0.5, float("nan")])
A_LOSS = Argument(("mean_squared_error",), (None, 3, "no such loss"))

ARGUMENTS = {
    (AroundLoss, "loss"): A_LOSS,
    (keras_losses.RegularizedLoss, "loss"): A_LOSS,
    (keras_losses.RegularizedLoss, "smoothness_axes"): Argument(
        (1, -1), (0, [0, 1], [], [1, 1], "1", 1.5, True, [[1]])
    ),
    (keras_losses.CompositeLoss, "losses"): Argument(
        ({"first": "mean_squared_error", "second": "mean_absolute_error"},),
        (None, 3, "mean_squared_error", [], {}, {"": "mean_squared_error"}, ["no such loss"]),
    ),
    (keras_losses.CompositeLoss, "weights"): Argument(
        ({"first": 0.5}, {"first": 3.0, "second": -1.0}),
        (2.0, "heavy", [float("nan")], {"first": float("inf")}, [True]),
    ),
    (ClassificationLoss, "class_weight"): Argument(
        ([0.5, 2.0, 1.0], {1: 3.0}), ("heavy", [-1.0, 1.0], [], {0: float("nan")})
    ),
    (keras_losses.FocalLoss, "alpha"): Argument((0.25, [0.2, 0.5, 0.3]), NO_ALPHA),
    (keras_losses.FocalLoss, "pos_weight"): Argument((2.5, [0.5, 3.0, 2.0]), NO_POS_WEIGHT),
    (keras_losses.FocalLoss, "class_gamma"): Argument(
        ([2.0, 0.5, 0.0],), ("high", 1.0, [-1.0, 1.0], [], [float("nan")])
    ),
    (keras_losses.CrossentropyLoss, "pos_weight"): Argument((2.5, [0.5, 3.0, 2.0]), NO_POS_WEIGHT),
    (keras_losses.EqualizedFocalLoss, "alpha"): Argument((0.6, [0.2, 0.5, 0.3]), NO_ALPHA),
    (keras_losses.LogitAdjustedLoss, "class_prior"): Argument(
        ([0.2, 0.5, 0.3], [0.9, 0.09, 0.01], [400, 20, 5]), (*NO_COUNTS, [0.5, 0.0, 0.5])
    ),
    (keras_losses.LDAMLoss, "class_counts"): Argument(
        ([100, 40, 5], [3, 7, 1000]), (*NO_COUNTS, [10.0, 0.0, 5.0])
    ),
    (keras_losses.SeesawLoss, "class_counts"): Argument(([3, 2, 5], [1000, 40, 0]), NO_COUNTS),
    (keras_losses.EqualizedFocalLoss, "class_counts"): Argument(([6, 2, 4], [1000, 0, 50]), NO_COUNTS),
    (keras_losses.QuantileLoss, "quantiles"): Argument((0.9, [0.1, 0.5, 0.9]), NO_LEVELS),
    (keras_losses.ExpectileLoss, "tau"): Argument((0.9, [0.1, 0.5, 0.9]), NO_LEVELS),
    (keras_losses.StructuralSimilarityLoss, "scales"): Argument(
        ([0.4, 0.6],), ("many", 3.0, [], [-1.0, 1.0], [0.0, 1.0], [float("nan")])
    ),
    (keras_losses.CoralLoss, "importance"): Argument(
        ([2.0], [0.5, 2.0]), ("heavy", 1.0, [-1.0, 1.0], [], [float("nan")])
    ),
}
"""By the class that declares a hyper-parameter, and its name."""

_BY_DECLARATION = {id(vars(loss)[name]): argument for (loss, name), argument in ARGUMENTS.items()}


def argument(parameter: Parameter) -> Argument:
    """The values of a hyper-parameter with a converter; nothing for others."""
    return _BY_DECLARATION.get(id(parameter), Argument())
