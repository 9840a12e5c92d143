"""Losses of boxes by hand, and beside their kinks."""

from math import atan, exp, log, pi

import numpy as np

from keras_losses import CrossentropyLoss, DetectionLoss, IoULoss, SquaredErrorLoss
from tests.cases import NEAR

SQUARE = [0.0, 0.0, 2.0, 2.0]
RIGHT = [1.0, 0.0, 3.0, 2.0]  # intersection 2, union 6, enclosing box 3 x 2
DIAGONAL = [1.0, 1.0, 3.0, 3.0]  # intersection 1, union 7, enclosing box 3 x 3
APART = [3.0, 0.0, 4.0, 4.0]  # intersection 0, union 8, enclosing box 4 x 4
WIDE = [0.0, 0.0, 4.0, 1.0]  # intersection 2, union 6, enclosing box 4 x 2
V = 4 / pi**2 * (atan(1) - atan(4)) ** 2

# Objects of the classes 1 and 0, and no object. The boxes are off by 0, 1 in one coordinate, and much.
OBJECTS = [[[*SQUARE, 1.0], [*SQUARE, 0.0], [0.0, 0.0, 0.0, 0.0, -1.0]]]
FOUND = [[[*SQUARE, 0.5, 0.25], [0.0, 0.0, 2.0, 3.0, 0.5, 0.75], [9.0, 9.0, 9.0, 9.0, 0.5, 0.5]]]
SIGMOID = {"class_loss": CrossentropyLoss(multi_label=True), "box_loss": SquaredErrorLoss()}
SOFTMAX = {"class_loss": CrossentropyLoss(), "box_loss": SquaredErrorLoss()}
# The last of three outputs stands for no object: p of the labels 1, 0 and 2.
SCORED = [[[*SQUARE, 0.25, 0.5, 0.25], [0.0, 0.0, 2.0, 3.0, 0.5, 0.25, 0.25], [9, 9, 9, 9, 0.5, 0.25, 0.25]]]
# Two classes, and an objectness of 1/2, 3/4 and 1/4.
RATED = [[[*SQUARE, 0.75, 0.25, 0.5], [0.0, 0.0, 2.0, 3.0, 0.5, 0.5, 0.75], [9, 9, 9, 9, 1.0, 0.0, 0.25]]]

BY_HAND = [
    # Means over the two classes: (log 2 + log 4) / 2, (log 2 + log 4) / 2, log 2; boxes: 0 and 1 / 4.
    (DetectionLoss, SIGMOID, OBJECTS, FOUND, [2 * (log(2) + log(4)) / 2 + log(2) + 1 / 4]),
    (DetectionLoss, SOFTMAX, OBJECTS, SCORED, [log(2) + log(2) + log(4) + 1 / 4]),
    (
        DetectionLoss,
        {**SOFTMAX, "objectness_loss": CrossentropyLoss(), "weights": {"box": 8.0, "objectness": 0.5}},
        OBJECTS,
        RATED,
        [log(4) + log(2) + 8 / 4 + 0.5 * (log(2) - 2 * log(3 / 4))],
    ),
    (IoULoss, {"kind": "iou"}, [SQUARE] * 4, [RIGHT, DIAGONAL, APART, SQUARE], [1 - 2 / 6, 1 - 1 / 7, 1, 0]),
    (IoULoss, {}, [SQUARE] * 3, [RIGHT, DIAGONAL, APART], [1 - 2 / 6, 1 - 1 / 7 + 2 / 9, 1 + 8 / 16]),
    (IoULoss, {"kind": "diou"}, [SQUARE] * 2, [RIGHT, APART], [4 / 6 + 1 / 13, 1 + (2.5**2 + 1) / 32]),
    (
        IoULoss,
        {"kind": "ciou"},
        [SQUARE] * 2,
        [RIGHT, WIDE],
        [4 / 6 + 1 / 13, 4 / 6 + (1 + 0.5**2) / 20 + V**2 / (4 / 6 + V)],
    ),
    (
        IoULoss,
        {"kind": "eiou"},
        [SQUARE] * 2,
        [RIGHT, WIDE],
        [4 / 6 + 1 / 13, 4 / 6 + (1 + 0.5**2) / 20 + (2 / 4) ** 2 + (1 / 2) ** 2],
    ),
    # The angle cost of RIGHT is 0 and that of DIAGONAL 1. The sides of SQUARE and WIDE differ by a half.
    (
        IoULoss,
        {"kind": "siou"},
        [SQUARE, SQUARE, [1.0, 0.0, 3.0, 2.0]],
        [RIGHT, DIAGONAL, [0.0, 0.5, 4.0, 1.5]],
        [4 / 6 + (1 - exp(-2 / 9)) / 2, 6 / 7 + (1 - exp(-1 / 9)), 4 / 6 + (1 - exp(-1 / 2)) ** 4],
    ),
    (IoULoss, {"kind": "iou", "box_format": "xywh"}, [[1.0, 1.0, 2.0, 2.0]], [[2.0, 1.0, 2.0, 2.0]], [4 / 6]),
    (IoULoss, {"box_format": "center_yxhw"}, [[1.0, 1.0, 2.0, 2.0]], [[2.0, 3.5, 4.0, 1.0]], [1 + 8 / 16]),
    # In an image of height 1 and width 3: centres 3 apart across, sides 6 and 1.
    (
        IoULoss,
        {"kind": "diou", "box_format": "rel_xywh", "image_shape": (1, 3)},
        [[0.0, 0.0, 1.0, 1.0]],
        [[1.0, 0.0, 1.0, 1.0]],
        [1 + 9 / (36 + 1)],
    ),
    # Swapped corners; the same line twice, half of a line, another line, a point.
    (IoULoss, {}, [SQUARE] * 2, [[2.0, 2.0, 0.0, 0.0], [3.0, 0.0, 1.0, 2.0]], [0, 4 / 6]),
    (
        IoULoss,
        {"kind": "iou"},
        [[1.0, 0.0, 1.0, 2.0]] * 4,
        [[1.0, 0.0, 1.0, 2.0], [1.0, 0.0, 1.0, 1.0], [2.0, 0.0, 2.0, 2.0], [1.0, 1.0, 1.0, 1.0]],
        [0, 1 - 1 / 2, 1, 1],
    ),
]


def beside(kind, *boxes):
    """Samples for the true box `SQUARE`."""
    return IoULoss(kind=kind), np.array([SQUARE] * len(boxes)), np.array(boxes)


BESIDE_KINKS = [
    # An upper edge just inside and just outside of the true one; boxes that just overlap, and just do not.
    beside("iou", [0.5, 0.5, 2 - NEAR, 1.5], [0.5, 0.5, 2 + NEAR, 1.5]),
    beside("giou", [0.5, 0.5, 2 - NEAR, 2.5], [0.5, 0.5, 2 + NEAR, 2.5]),
    beside("giou", [2 - NEAR, 0.5, 4.0, 2.5], [2 + NEAR, 0.5, 4.0, 2.5]),
    # Just before and after the corners are swapped.
    beside("diou", [0.5, 0.5, 0.5 + NEAR, 2.5], [0.5, 0.5, 0.5 - NEAR, 2.5]),
    # Sides just above and below the true ones, and centres on either side of the true one.
    beside("siou", [1.0, 0.5, 3 + NEAR, 1.75], [1.0, 0.5, 3 - NEAR, 1.75]),
    beside("siou", [0.5 + NEAR, 0.5, 1.5, 3.0], [0.5 - NEAR, 0.5, 1.5, 3.0]),
]
