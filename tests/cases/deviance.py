"""Deviances by hand."""

from math import exp, log

from keras_losses import GammaLoss, PoissonLoss, TweedieLoss

MEANS = {"log_link": False}
BY_HAND = [
    # Power 3/2: 2 (-4 sqrt(y) + 2 y / sqrt(mu) + 2 sqrt(mu))
    (TweedieLoss, {}, [4.0, 0.0], [0.0, 0.0], [2 * (-8 + 8 + 2), 2 * 2]),
    (TweedieLoss, MEANS, [9.0], [4.0], [2 * (-12 + 9 + 4)]),
    (TweedieLoss, {}, [0.0, 1.0], [-1e4, 1e-3], [0, 2 * (-4 + 2 * exp(-5e-4) + 2 * exp(5e-4))]),
    (TweedieLoss, {"power": 3.0, **MEANS}, [[2.0, 3.0]], [[1.0, 3.0]], [((2 - 1) ** 2 / 2 + 0) / 2]),
    (TweedieLoss, {"power": 1.0}, [2.0], [-50.0], [2 * (2 * (log(2) + 50) - 2 + exp(-50))]),
    (TweedieLoss, {"power": 2.0}, [2.0], [50.0], [2 * (2 * exp(-50) - 1 - log(2) + 50)]),
    (PoissonLoss, {}, [0.0, 1.0, 3.0], [0.0, 0.0, 0.0], [2, 0, 2 * (3 * log(3) - 2)]),
    (PoissonLoss, MEANS, [[2.0, 0.0]], [[4.0, 0.5]], [(2 * (2 * log(1 / 2) + 2) + 2 * 0.5) / 2]),
    (PoissonLoss, {}, [1.0, 5.0], [-1e4, 50.0], [2 * (1e4 - 1), 2 * (5 * log(5) - 250 - 5 + exp(50))]),
    (GammaLoss, {}, [2.0, 1.0], [0.0, 0.0], [2 * (2 - 1 - log(2)), 0]),
    (GammaLoss, MEANS, [[2.0, 3.0]], [[4.0, 1.0]], [(1 / 2 - 1 + log(2)) + (3 - 1 - log(3))]),
    (GammaLoss, {}, [1.0, 1.0], [1e4, -50.0], [2 * (1e4 - 1), 2 * (exp(50) - 1 - 50)]),
]

REFUSED = [
    (TweedieLoss, {}, [-0.5], [0.0], "-0.5"),
    (TweedieLoss, MEANS, [0.5], [-0.25], "-0.25"),
    (TweedieLoss, {"power": 2.5}, [0.0], [0.0], "0"),
    (PoissonLoss, {}, [1.0, -3.0], [0.0, 0.0], "-3"),
    (GammaLoss, {}, [0.0], [0.0], "0"),
    (GammaLoss, MEANS, [0.5], [0.0], "0"),
]
