"""Values by hand of the losses of contours."""

from math import sqrt

from keras_losses import BoundaryLoss, CenterlineDiceLoss, HausdorffLoss

# Four pixels in a line, one output. Signed distances -1, 0, 1, 2; across the contour 2, 1, 1, 2.
Y = [[[1], [1], [0], [0]]]
NONE, ALL = [[[0], [0]]], [[[1], [1]]]
# Two by two pixels, of which one is labelled. Across the contour 1, 1, 1 and sqrt(2).
CORNER = [[[[1], [0]], [[0], [0]]]]

BY_HAND = [
    (BoundaryLoss, {}, Y, [[[1.0], [0.5], [0.25], [0.5]]], [(-1 + 0 + 0.25 + 2 * 0.5) / 4]),
    (BoundaryLoss, {}, Y, [[[1.0], [1.0], [0.0], [0.0]]], [-1 / 4]),
    (BoundaryLoss, {}, CORNER, [[[[1.0], [0.5]], [[0.25], [1.0]]]], [(0 + 0.5 + 0.25 + sqrt(2)) / 4]),
    # Without a contour, distances are 1 outside and -1 inside.
    (BoundaryLoss, {}, NONE, [[[0.5], [0.25]]], [(0.5 + 0.25) / 2]),
    (BoundaryLoss, {}, NONE, [[[0.0], [0.0]]], [0.0]),
    (BoundaryLoss, {}, ALL, [[[0.5], [1.0]]], [-(0.5 + 1.0) / 2]),
    # The ignored pixel belongs to neither side: distances -1, (none), 2, 3.
    (
        BoundaryLoss,
        {"ignore_class": 9},
        [[[1], [9], [0], [0]]],
        [[[0.5], [1.0], [0.25], [1.0]]],
        [(-1 * 0.5 + 2 * 0.25 + 3 * 1.0) / 3],
    ),
    (
        BoundaryLoss,
        {"distance_maps": True},
        [[[-3.5], [2.0]]],
        [[[0.5], [0.25]]],
        [(-3.5 * 0.5 + 2 * 0.25) / 2],
    ),
    # Predicted is the first pixel alone: distances 1, 1, 2, 3.
    (
        HausdorffLoss,
        {},
        Y,
        [[[1.0], [0.5], [0.0], [0.25]]],
        [(0.25 * (1**2 + 1**2) + 0.0625 * (2**2 + 3**2)) / 4],
    ),
    (
        HausdorffLoss,
        {"alpha": 1.0},
        Y,
        [[[1.0], [0.5], [0.0], [0.25]]],
        [(0.25 * (1 + 1) + 0.0625 * (2 + 3)) / 4],
    ),
    (HausdorffLoss, {}, Y, [[[1.0], [1.0], [0.0], [0.0]]], [0.0]),
    # Predicted are the first and the last pixel: distances 1, 1, 1, 1 and those of the corner.
    (HausdorffLoss, {}, CORNER, [[[[1.0], [0.0]], [[0.0], [1.0]]]], [(2 + 1) / 4]),
    # Without a contour, distances are 1: all wrong, and half of it predicted.
    (HausdorffLoss, {}, NONE, [[[1.0], [1.0]]], [1 + 1]),
    (HausdorffLoss, {}, NONE, [[[0.0], [0.0]]], [0.0]),
    (HausdorffLoss, {}, ALL, [[[1.0], [0.5]]], [0.25 * (1 + 1) / 2]),
    # A line of the width 1 is its own skeleton: precision (2 + 1) / (3 + 1), sensitivity (2 + 1) / (2 + 1).
    (
        CenterlineDiceLoss,
        {},
        [[[[0], [0], [0], [0]], [[1], [1], [0], [0]], [[0], [0], [0], [0]]]],
        [[[[0.0]] * 4, [[1.0], [1.0], [1.0], [0.0]], [[0.0]] * 4]],
        [1 - 2 * 0.75 / 1.75],
    ),
    # Images without space: precision (0.5 + 1) / (0.5 + 1), sensitivity (0.5 + 1) / (1 + 1).
    (CenterlineDiceLoss, {}, [[1]], [[0.5]], [1 - 2 * 0.75 / 1.75]),
    (CenterlineDiceLoss, {"smooth": 0.5}, [[0]], [[1.0]], [1 - 2 / (3 + 1)]),
    (CenterlineDiceLoss, {}, [[0]], [[0.0]], [0.0]),
]
