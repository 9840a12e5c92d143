"""Values by hand of the losses for ordered classes, and what they refuse."""

from math import exp, log, sqrt

from scipy.special import ndtr

from keras_losses import CoralLoss, CornLoss, CumulativeLinkLoss, RegularizedLoss, WeightedKappaLoss

THREE = {"num_classes": 3}
EXACT = {"epsilon": 1e-12}  # negligible beside an ordinary ratio
LOG3 = [[log(3), -log(3)]]  # sigmoids of 3/4 and 1/4


def logistic(x):
    return 1 / (1 + exp(-x))


BY_HAND = [
    # P(y > 0) = 3/4, P(y > 1) = 1/4: class 0 answers no, no; class 1 yes, no; class 2 yes, yes.
    (CoralLoss, THREE, [0, 1, 2], LOG3 * 3, [log(4) + log(4 / 3), 2 * log(4 / 3), log(4 / 3) + log(4)]),
    (CoralLoss, {**THREE, "importance": [0.5, 2.0]}, [0], LOG3, [0.5 * log(4) + 2 * log(4 / 3)]),
    (CoralLoss, {"num_classes": 2}, [[1], [0]], [[0.0], [log(3)]], [log(2), log(4)]),
    (CoralLoss, {**THREE, "class_weight": {1: 3.0}}, [1], LOG3, [3 * 2 * log(4 / 3)]),
    (CoralLoss, THREE, [[0.5, 0.5, 0.0]], LOG3, [(log(4) + log(4 / 3)) / 2 + log(4 / 3)]),
    # Class 0 is asked once, class 1 twice, and class 2 twice as well.
    (CornLoss, THREE, [0, 1, 2], LOG3 * 3, [log(4), 2 * log(4 / 3), log(4 / 3) + log(4)]),
    (CornLoss, {"num_classes": 4}, [1], [[0.0, log(3), 50.0]], [log(2) + log(4)]),
    (CornLoss, {"num_classes": 2}, [[1], [0]], [[0.0], [log(3)]], [log(2), log(4)]),
    (CornLoss, {**THREE, "ignore_class": 1}, [1, 2], LOG3 * 2, [0, log(4 / 3) + log(4)]),
    # Cut points 1 below and 2 above the score.
    (
        CumulativeLinkLoss,
        THREE,
        [0, 1, 2],
        [[0.5, -0.5, 2.5]] * 3,
        [-log(logistic(-1)), -log(logistic(2) - logistic(-1)), -log(1 - logistic(2))],
    ),
    (
        CumulativeLinkLoss,
        {**THREE, "link": "probit"},
        [0, 1, 2],
        [[0.5, -0.5, 2.5]] * 3,
        [-log(ndtr(-1)), -log(ndtr(2) - ndtr(-1)), -log(ndtr(-2))],
    ),
    (
        CumulativeLinkLoss,
        {**THREE, "link": "cloglog"},
        [0, 1, 2],
        [[0.5, -0.5, 1.5]] * 3,
        [-log(1 - exp(-exp(-1))), -log(exp(-exp(-1)) - exp(-exp(1))), exp(1)],
    ),
    # An interval of width 1/2 at 1000 from the score, where F is 1 to the last digit at both ends.
    (CumulativeLinkLoss, THREE, [1], [[-1000.0, 0.0, 0.5]], [1000 - log(1 - exp(-0.5))]),
    # The density at 1 times 1/1024: the two probabilities have nearly all digits in common.
    (
        CumulativeLinkLoss,
        {**THREE, "link": "probit"},
        [1],
        [[0.0, 1 - 2**-11, 1 + 2**-11]],
        [1 / 2 + log(sqrt(2 * 3.141592653589793)) + 10 * log(2)],
    ),
    # Two classes are 1 apart: N = 1/2 + 1/4, D = (1 * 5/4 + 1 * 3/4) / 2 = 1; r = 1/2 and 1/4 times 2 / 1.
    (
        WeightedKappaLoss,
        {"num_classes": 2, **EXACT},
        [[0], [1]],
        [[0.5, 0.5], [0.25, 0.75]],
        [log(3 / 4) + (1 - 3 / 4) / (3 / 4), log(3 / 4) + (1 / 2 - 3 / 4) / (3 / 4)],
    ),
    # Distances 0, 1, 2: N = 2 * 1, D = (2 * 2 + 0) / 2 with all weight on class 1; kappa is 0.
    (
        WeightedKappaLoss,
        {**THREE, **EXACT, "weights": "linear"},
        [0, 2],
        [[0.0, 1.0, 0.0]] * 2,
        [log(1), log(1)],
    ),
    # Squares 0, 1, 4: N = 1, and D = (1 * (4 * 1 + 1) + 1 * 1 + ...) / 2 by q = [1, 1, 0], h = [1, 0, 1].
    (
        WeightedKappaLoss,
        {**THREE, "epsilon": 0.5},
        [0, 2],
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
        # D = (0 + 1 + 4 + 1) / 2 = 3, R = 1 / 3, r = 0 and 2 / 3
        [log(1 / 3 + 1 / 2) + d / (1 / 3 + 1 / 2) for d in (-1 / 3, 1 / 3)],
    ),
    # If all labels are of one class, R is 1 for any prediction.
    (WeightedKappaLoss, {**THREE, **EXACT, "from_logits": True}, [1], [[3.0, 1.0, 0.0]], [0.0]),
    (RegularizedLoss, {"loss": CornLoss(3), "activity_l1": 0.5}, [0], [[0.0, -1.0]], [log(2) + 0.5]),
]

REFUSED = [
    *(
        (loss, options, labels, pred, shown)
        for loss, options, pred in (
            (CoralLoss, THREE, LOG3),
            (CornLoss, THREE, LOG3),
            (CumulativeLinkLoss, THREE, [[0.0, -1.0, 1.0]]),
            (WeightedKappaLoss, THREE, [[0.25, 0.25, 0.5]]),
        )
        for labels, shown in (([3], "3"), ([-1], "-1"), ([1.5], "1.5"), ([[1.0, 1.0, 0.0]], "2"))
    ),
    (CumulativeLinkLoss, THREE, [[0, 1, 0]], [[0.0, 1.0, -2.0]], "-2 after 1"),
    (CumulativeLinkLoss, THREE, [1], [[0.0, 1.0, 1.0]], "1 after 1"),
    (WeightedKappaLoss, THREE, [[0, 1, 0]], [[2.0, -1.0, 0.0]], "2"),
    (WeightedKappaLoss, THREE, [[0, 1, 0]], [[0.9, 0.9, 0.9]], "2.7"),
]
