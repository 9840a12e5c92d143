"""Robust losses over the whole range of their residuals and shapes."""

import math
from itertools import pairwise

import numpy as np
import pytest

from keras_losses import BarronLoss, TukeyBiweightLoss
from tests.backends import double_precision, thorough_on_jax, value_and_gradient
from tests.oracles.robust import barron

RANDOM = np.random.default_rng(0)
LIMITS = (-math.inf, -2.0, 0.0, 1.0, 2.0)
BESIDE = [a + side * step for a in LIMITS[1:] for step in (1e-12, 1e-6, 1e-3) for side in (-1, 1)]
ALPHAS = sorted([*LIMITS, *BESIDE, -1e17, -1e6, -100.0, *RANDOM.uniform(-10, 4, 18)])
SIZE = -(-100_000 // len(ALPHAS))
RESIDUALS = RANDOM.normal(0, 1, SIZE) * 10 ** RANDOM.uniform(-6, 4, SIZE)


def robust(alpha, residuals=RESIDUALS, scale=1.0, dtype="float64"):
    """Values and gradients for one alpha, with all targets 0."""
    with double_precision():
        loss = BarronLoss(alpha=alpha, scale=scale, dtype=dtype, reduction="none")
        return value_and_gradient(loss, np.zeros_like(residuals), residuals.astype(dtype))


@pytest.fixture(scope="module")
def samples():
    return {alpha: robust(alpha) for alpha in ALPHAS}


@thorough_on_jax
def test_barron_grows_with_the_residual(samples):
    """The loss grows with the residual: the gradient has its sign, and is finite."""
    assert sum(len(values) for values, _ in samples.values()) >= 100_000
    for alpha, (values, gradient) in samples.items():
        possible = np.isfinite(barron(np.zeros(SIZE), RESIDUALS, alpha=alpha, scale=1.0))
        assert np.isfinite(values[possible]).all()
        assert np.isfinite(gradient[possible]).all()
        assert (np.sign(gradient) * np.sign(RESIDUALS) >= 0).all(), alpha
        assert (values >= 0).all()


@thorough_on_jax
def test_barron_has_a_bounded_gradient(samples):
    """The gradient is at most |r| / scale^2, and for alpha <= 1 at most 1 / scale."""
    for alpha, (_, gradient) in samples.items():
        if alpha <= 2:
            assert (np.abs(gradient) <= np.abs(RESIDUALS) * (1 + 1e-9)).all()
        if alpha <= 1:
            assert (np.abs(gradient) <= 1 + 1e-9).all()


@thorough_on_jax
def test_barron_sees_the_ratio_of_residual_and_scale():
    """Residuals and scale in other units give the same value."""
    for alpha in (-math.inf, -3.3, 0.0, 0.7, 1.0, 1.9, 2.0, 3.0):
        expected, _ = robust(alpha, RESIDUALS[:50])
        for unit in (0.1, 7.3):
            np.testing.assert_allclose(robust(alpha, RESIDUALS[:50] * unit, unit)[0], expected)


@thorough_on_jax
def test_barron_does_not_fall_with_alpha(samples):
    """A larger alpha never makes a residual cheaper."""
    for low, high in pairwise(ALPHAS):
        (below, _), (above, _) = samples[low], samples[high]
        assert (below <= above * (1 + 1e-12)).all(), (low, high)


@thorough_on_jax
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("alpha", [2.0, 1.0, 0.0, -2.0])
def test_barron_is_smooth_in_alpha(alpha, dtype):
    """Value and gradient change as little as alpha does, on both sides of the limits."""
    residuals = RESIDUALS[np.abs(RESIDUALS) < 100]
    here = robust(alpha, residuals, dtype=dtype)
    rounding = {"float32": 4e-6, "float64": 1e-12}[dtype]
    for step in (1e-3, 1e-5, 1e-7, 1e-12):
        for side in (-1, 1):
            for exact, found in zip(here, robust(alpha + side * step, residuals, dtype=dtype), strict=True):
                # The loss is |r|^alpha far away: log |r| for one of alpha. Next to 2 it is also (2 - alpha)
                # times the logarithm of that.
                allowed = step * (2 + 2 * np.log1p(residuals**2) - np.log(step)) + rounding
                assert (np.abs(found - exact) <= allowed * np.abs(exact) * 2 + 1e-30).all(), step


@thorough_on_jax
def test_barron_nears_welsch():
    """From alpha = -1000 to -infinity the difference from the limit falls as 1 / alpha."""
    near = RESIDUALS[np.abs(RESIDUALS) < 10]
    limit = robust(-math.inf, near)
    for alpha in (-1e3, -1e6, -1e12):
        for exact, found in zip(limit, robust(alpha, near), strict=True):
            assert (np.abs(found - exact) <= 40 / -alpha).all()


@thorough_on_jax
def test_tukey_is_nearly_as_efficient_as_the_mean():
    """On Gaussian noise with c = 4.685 the efficiency is 95%: var(psi) / E[psi']^2 is 1 / 0.95."""
    x = np.linspace(-12, 12, 200_001)
    density = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi) * (x[1] - x[0])
    with double_precision():
        loss = TukeyBiweightLoss(reduction="none", dtype="float64")
        _, psi = value_and_gradient(loss, np.zeros_like(x), x)
    slope = np.gradient(psi, x)
    efficiency = (density * slope).sum() ** 2 / (density * psi**2).sum()
    assert efficiency == pytest.approx(0.95, abs=1e-3)
