"""Losses of the residual: digits of small residuals, huge residuals, and other people's code."""

import keras
import numpy as np
import pytest

from keras_losses import (
    BarronLoss,
    EpsilonInsensitiveLoss,
    HuberLoss,
    LogCoshLoss,
    PseudoHuberLoss,
    SmoothL1Loss,
)
from tests.backends import BACKEND, value_and_gradient
from tests.oracles.regression import huber, smooth_l1

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("loss", [PseudoHuberLoss(), LogCoshLoss(), BarronLoss(), BarronLoss(alpha=0.0)])
@pytest.mark.parametrize("size", [1e-30, 1e-12, 1e-6, 1e-4, 1e-3])
def test_small_residuals_keep_their_digits(loss, size):
    """Small residuals give r^2 / 2 and the gradient r in float32, where 1 + r^2 rounds to 1."""
    # The next term of the series is r^4 / 8 at most.
    small = np.array([size], "float32")
    found, gradient = value_and_gradient(loss, np.zeros(1, "float32"), small)
    np.testing.assert_allclose(found, 0.5 * np.float64(small[0]) ** 2, rtol=1e-6, atol=1e-38)
    np.testing.assert_allclose(gradient, small, rtol=2e-6)


@pytest.mark.parametrize(
    "loss", [HuberLoss(), PseudoHuberLoss(), LogCoshLoss(), SmoothL1Loss(), BarronLoss()]
)
@pytest.mark.parametrize("size", [1e19, 1e30, 3e37])
def test_huge_residuals_are_finite(loss, size):
    """Huge residuals give |r| with gradient 1, although r^2 overflows float32."""
    found, gradient = value_and_gradient(loss, np.zeros(1, "float32"), np.array([size], "float32"))
    np.testing.assert_allclose(found, size, rtol=1e-5)
    np.testing.assert_allclose(gradient, [1], rtol=1e-5)


def test_keras_loses_the_digits_of_log_cosh():
    """Keras's own loss is wrong, as the docstring says; if this test fails, change the docstring."""
    pair = np.zeros((1, 1), "float32"), np.full((1, 1), 1e-4, "float32")
    assert float(keras.losses.LogCosh()(*pair)) != pytest.approx(5e-9, rel=0.1)
    assert float(LogCoshLoss()(*pair)) == pytest.approx(5e-9, rel=1e-6)


@pytest.mark.parametrize("power", [1.0, pytest.param(2.0, marks=pytest.mark.thorough)])
def test_support_vector_regression(power):
    """A linear model trained by `fit` reaches the objective of scikit-learn's LinearSVR to 1%."""
    svm = pytest.importorskip("sklearn.svm")
    x = RANDOM.normal(0, 1, (200, 3)).astype("float32")
    y = (x @ np.array([1.0, -2.0, 0.5]) + 0.3 * RANDOM.standard_t(2, 200)).astype("float32")
    kind = {1.0: "epsilon_insensitive", 2.0: "squared_epsilon_insensitive"}[power]
    theirs = svm.LinearSVR(epsilon=0.2, loss=kind, C=10.0, fit_intercept=False, max_iter=100_000, tol=1e-8)
    theirs.fit(x, y)

    def objective(weights):
        beyond = np.maximum(np.abs(y - x @ weights) - 0.2, 0)
        return 0.5 * weights @ weights + 10 * (beyond**power).sum()

    penalty = keras.regularizers.L2(0.5 / (10 * len(x)))
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(1, use_bias=False, kernel_regularizer=penalty)]
    )
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 600)
    model.compile(keras.optimizers.Adam(schedule), loss=EpsilonInsensitiveLoss(epsilon=0.2, power=power))
    model.fit(np.tile(x, (600, 1)), np.tile(y, 600), batch_size=len(x), shuffle=False, verbose=0)
    mine = np.asarray(model.get_weights()[0], "float64").ravel()
    assert objective(mine) <= 1.01 * objective(theirs.coef_)
    np.testing.assert_allclose(mine, theirs.coef_, atol=0.02)


@pytest.mark.skipif(BACKEND != "torch", reason="the references are the same for all backends")
def test_references_agree_with_pytorch():
    """Smooth L1 and Huber of the oracles equal PyTorch's."""
    torch = pytest.importorskip("torch")
    y, f = RANDOM.normal(0, 3, 20), RANDOM.normal(0, 3, 20)
    functional, pair = torch.nn.functional, (torch.tensor(f), torch.tensor(y))
    theirs = functional.smooth_l1_loss(*pair, beta=0.3, reduction="none").numpy()
    np.testing.assert_allclose(smooth_l1(y, f, beta=0.3), theirs, rtol=1e-12)
    theirs = functional.huber_loss(*pair, delta=0.3, reduction="none").numpy()
    np.testing.assert_allclose(huber(y, f, delta=0.3), theirs, rtol=1e-12)
