"""Distributions of counts by hand, and the labels that they refuse."""

from math import exp, log

from keras_losses import NegativeBinomialLoss, PoissonNLLLoss, ZeroInflatedPoissonLoss
from tests.cases.likelihood import LOG3, TWOS, raw

BY_HAND = [
    (PoissonNLLLoss, {}, [3.0, 0.0], [0.0, log(2)], [1 + log(6), 2]),
    (PoissonNLLLoss, {}, [[4, 1]], [[log(2), log(3)]], [(2 - 4 * log(2) + log(24) + 3 - log(3)) / 2]),
    (PoissonNLLLoss, {}, [[2]], [[-1e4]], [2e4 + log(2)]),
    # Mean 1 and dispersion 1: 2^-(y + 1); mean 3: (1/4) (3/4)^y; dispersion 1/2 is size 2.
    (NegativeBinomialLoss, {}, [3, 0], [[0.0, raw(1, 1e-6)]] * 2, [4 * log(2), log(2)]),
    (NegativeBinomialLoss, {}, [[2]], [[LOG3, raw(1, 1e-6)]], [log(4) + 2 * log(4 / 3)]),
    (NegativeBinomialLoss, {"floor": 0.1}, [1.0], [[log(2), raw(0.5, 0.1)]], [log(4)]),
    (ZeroInflatedPoissonLoss, {}, [0, 2], [[0.0, 0.0]] * 2, [-log(0.5 + 0.5 / exp(1)), 2 * log(2) + 1]),
    (ZeroInflatedPoissonLoss, {}, [[0], [0]], [[-1e4, log(2)], [1e4, 1e4]], [2, 0]),
    (
        ZeroInflatedPoissonLoss,
        {},
        [[0, 3]],
        [[LOG3, LOG3, 1e4, 0.0]],
        [(log(4 / 3) + log(4) + 1 + log(6)) / 2],
    ),
]

REFUSED = [
    *(
        (loss, {}, y, pred, shown)
        for loss, pred in (
            (PoissonNLLLoss, [0.0]),
            (NegativeBinomialLoss, TWOS),
            (ZeroInflatedPoissonLoss, TWOS),
        )
        for y, shown in (([-1.0], "-1"), ([0.5], "0.5"))
    ),
]
