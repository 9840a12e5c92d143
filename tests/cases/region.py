"""Values by hand of the losses of regions."""

from math import log, sqrt

from keras_losses import (
    DiceLoss,
    FocalTverskyLoss,
    GeneralizedDiceLoss,
    JaccardLoss,
    LovaszLoss,
    MatthewsLoss,
    TverskyLoss,
    UnifiedFocalLoss,
)

# One image of three pixels and one output: T = 2, P = 2, I = 1.5, FP = FN = 0.5.
Y, P = [[[1], [1], [0]]], [[[1.0], [0.5], [0.5]]]
# Nothing is labelled, and 1 is predicted in all: T = 0, P = FP = 1.
NONE = [[[0], [0], [0]]]
# Two images of two pixels and two classes. The first is perfect. In the second, the class 0 has T = 1,
# P = 0.5, I = 0.5, and the class 1 has T = 1, P = 1.5, I = 1.
IDS = [[0, 1], [0, 1]]
TWO = [[[1.0, 0.0], [0.0, 1.0]], [[0.5, 0.5], [0.0, 1.0]]]

PLAIN = {"gamma": 0.0, "smooth": 0.0}

BY_HAND = [
    (DiceLoss, {"smooth": 0.0}, Y, P, [1 - 2 * 1.5 / 4]),
    (DiceLoss, {}, Y, P, [1 - (3 + 1) / (4 + 1)]),
    (DiceLoss, {}, NONE, [[[0.5], [0.5], [0.0]]], [1 - (0 + 1) / (1 + 1)]),
    (DiceLoss, {}, NONE, [[[0.0], [0.0], [0.0]]], [0.0]),
    (DiceLoss, {"smooth": 0.0}, NONE, [[[0.0], [0.0], [0.0]]], [0.0]),
    # Squares: 1 + 1 labelled, 1 + 0.25 + 0.25 predicted.
    (DiceLoss, {"squared": True, "smooth": 0.0}, Y, P, [1 - 3 / (2 + 1.5)]),
    (DiceLoss, {"smooth": 0.0}, IDS, TWO, [0.0, (1 / 3 + (1 - 2 / 2.5)) / 2]),
    (DiceLoss, {"smooth": 0.0, "include_background": False}, IDS, TWO, [0.0, 1 - 2 / 2.5]),
    (DiceLoss, {"smooth": 0.0, "class_weight": [3.0, 1.0]}, IDS, TWO, [0.0, (3 / 3 + 0.2) / 2]),
    # Both images as one region: T = 2, P = 1.5, I = 1.5 and T = 2, P = 2.5, I = 2.
    (DiceLoss, {"smooth": 0.0, "batch": True}, IDS, TWO, [(0.5 / 3.5 + 0.5 / 4.5) / 2] * 2),
    # The label 9 takes the first pixel of the second image out.
    (DiceLoss, {"smooth": 0.0, "ignore_class": 9}, [[0, 1], [9, 1]], TWO, [0.0, 0.0]),
    (JaccardLoss, {"smooth": 0.0}, Y, P, [1 - 1.5 / 2.5]),
    (JaccardLoss, {}, Y, P, [1 - 2.5 / 3.5]),
    (JaccardLoss, {"smooth": 0.0}, IDS, TWO, [0.0, (1 / 2 + (1 - 1 / 1.5)) / 2]),
    (TverskyLoss, {"smooth": 0.0}, Y, P, [1 - 1.5 / (1.5 + 0.3 * 0.5 + 0.7 * 0.5)]),
    (TverskyLoss, {}, NONE, [[[0.5], [0.5], [0.0]]], [1 - 1 / (0.3 + 1)]),
    (TverskyLoss, {"alpha": 0.0, "beta": 2.0, "smooth": 0.0}, Y, P, [1 - 1.5 / (1.5 + 2 * 0.5)]),
    (FocalTverskyLoss, {"smooth": 0.0}, Y, P, [(1 - 1.5 / 2) ** 0.75]),
    (FocalTverskyLoss, {"smooth": 0.0, "gamma": 0.5}, Y, P, [(1 - 1.5 / 2) ** 2]),
    (FocalTverskyLoss, {"gamma": 3.0}, NONE, [[[0.0], [0.0], [0.0]]], [0.0]),
    # T = 3 and 1: w = 1/9 and 1.
    (
        GeneralizedDiceLoss,
        {"smooth": 0.0},
        [[0, 0, 0, 1]],
        [[[1.0, 0.0], [1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]],
        [1 - 2 * (2.5 / 9 + 1) / (5.5 / 9 + 2.5)],
    ),
    # The class 2 is absent, and weighs as the class 1 does.
    (
        GeneralizedDiceLoss,
        {},
        [[0, 0, 1]],
        [[[1.0, 0.0, 0.0], [0.5, 0.0, 0.5], [0.0, 1.0, 0.0]]],
        [1 - (2 * (1.5 / 4 + 1) + 1) / (3.5 / 4 + 2 + 0.5 + 1)],
    ),
    (GeneralizedDiceLoss, {}, NONE, [[[0.5], [0.5], [0.0]]], [1 - 1 / 2]),
    # The first pixel is right by 1, the second by 1/2, and the third wrong by 1/2: 1/2 of the Jaccard loss of
    # the mask in which the last two are wrong, which has 1 of 3 pixels.
    (LovaszLoss, {}, IDS[1:], TWO[1:], [(0.5 * 1 + 0.5 * (1 - 1 / 2)) / 2]),
    (LovaszLoss, {}, IDS[:1], TWO[:1], [0.0]),
    # The class 2 is absent, and its largest error is 1/2.
    (LovaszLoss, {"classes": "all"}, [[0]], [[[0.5, 0.0, 0.5]]], [(0.5 + 0 + 0.5) / 3]),
    (LovaszLoss, {}, [[0]], [[[0.5, 0.0, 0.5]]], [0.5]),
    # Hinge errors of the logits 3, 0 and 1: 0, 1 and 2. The Jaccard loss is 1 - 2/3 if the last pixel alone
    # is wrong, and 1 - 1/3 if the last two are.
    (
        LovaszLoss,
        {"from_logits": True},
        Y,
        [[[3.0], [0.0], [1.0]]],
        [(2 - 1) * (1 - 2 / 3) + 1 * (1 - 1 / 3)],
    ),
    # One labelled pixel with p = 1/2: F = 0.6 log 2; the shares of errors are 3/8 in the foreground and 1.
    (UnifiedFocalLoss, {**PLAIN, "weight": 1.0}, [[[1]]], [[[0.5]]], [0.6 * log(2)]),
    (UnifiedFocalLoss, {**PLAIN, "weight": 0.0}, [[[1]]], [[[0.5]]], [(3 / 8 + 1) / 2]),
    (
        UnifiedFocalLoss,
        {"smooth": 0.0, "weight": 0.25},
        [[[1]]],
        [[[0.5]]],
        [0.25 * 0.6 * sqrt(1 / 2) * log(2) + 0.75 * (sqrt(3 / 8) + 1) / 2],
    ),
    (
        UnifiedFocalLoss,
        {"smooth": 0.0, "weight": 0.25, "asymmetric": True},
        [[[1], [0]]],
        [[[0.5], [0.5]]],
        # FP = FN = 1/2 in both: shares of 1/2.
        [0.25 * (0.6 + 0.4 * sqrt(1 / 2)) / 2 * log(2) + 0.75 * (sqrt(1 / 2) + 1 / 2) / 2],
    ),
    # Two classes: the first pixel is background with p = 1, the second foreground with p = 1/2.
    # FP = 1/2, FN = 0 of the background: 0.2 / 1.2; FP = 0, FN = 1/2 of the foreground: 0.3 / 0.8.
    (
        UnifiedFocalLoss,
        PLAIN,
        [[0, 1]],
        [[[1.0, 0.0], [0.5, 0.5]]],
        [0.5 * 0.6 * log(2) / 2 + 0.5 * (0.2 / 1.2 + 0.3 / 0.8) / 2],
    ),
    # TP = 1 + 1, TN = 2 + 1, FP = 0, FN = 1.
    (MatthewsLoss, {}, [[[1], [1], [0], [0]]], [[[1.0], [0.0], [0.0], [0.0]]], [1 - 6 / sqrt(2 * 3 * 3 * 4)]),
    # TP = 0.5, TN = 0.5, FP = FN = 1: all wrong.
    (MatthewsLoss, {"smooth": 0.5}, [[[1], [0]]], [[[0.0], [1.0]]], [1 - (0.25 - 1) / 1.5**2]),
    # TP = 1, TN = 2 + 1, FP = 1, FN = 0.
    (MatthewsLoss, {}, NONE, [[[0.5], [0.5], [0.0]]], [1 - 3 / sqrt(2 * 1 * 4 * 3)]),
]
