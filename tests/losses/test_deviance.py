"""Deviances against scikit-learn, near the mean, and for zeros."""

import numpy as np
import pytest

from keras_losses import GammaLoss, PoissonLoss, TweedieLoss
from tests.backends import double_precision, thorough_on_jax, value, value_and_gradient

AMOUNTS = np.array([1e-3, 0.5, 1.0, 7.0, 1e3])
LOGS = np.array([-50.0, -3.0, 0.0, 0.4, 50.0])


def deviances(power, y, log_mu, dtype="float64"):
    with double_precision():
        loss = TweedieLoss(power=power, reduction="none", dtype=dtype)
        return value_and_gradient(loss, y.astype(dtype), log_mu.astype(dtype))


@thorough_on_jax
@pytest.mark.parametrize("power", [1.0, 1.0 + 1e-9, 1.3, 1.5, 1.9, 2.0 - 1e-9, 2.0, 2.0 + 1e-9, 2.5, 3.0])
def test_deviance_is_that_of_scikit_learn(power):
    """With log mu from -50 to 50 it equals scikit-learn's, to 1e-10 in float64 and 2e-5 in float32."""
    metrics = pytest.importorskip("sklearn.metrics")
    y, log_mu = (x.ravel() for x in np.meshgrid(AMOUNTS, LOGS))
    # Near 1 and 2 scikit-learn's three terms lose all their digits; those of the limit are at hand.
    limit = round(power) if abs(power - round(power)) < 1e-6 else power
    pairs = zip(y, np.exp(log_mu), strict=True)
    exact = [metrics.mean_tweedie_deviance([target], [mu], power=limit) for target, mu in pairs]
    found, gradient = deviances(power, y, log_mu)
    near = 1e-10 if limit == power else 1e-6
    np.testing.assert_allclose(found, exact, rtol=near, atol=1e-13)
    slope = 2 * np.exp((1 - power) * log_mu) * (np.exp(log_mu) - y)
    np.testing.assert_allclose(gradient, slope, rtol=1e-10, atol=1e-12)
    single, steep = deviances(power, y, log_mu, "float32")
    # Infinity is the right answer where the exact one is beyond float32.
    with np.errstate(over="ignore"):
        exact, slope = (np.asarray(x).astype("float32") for x in (exact, slope))
    np.testing.assert_allclose(single, exact, rtol=2e-5, atol=1e-5)
    np.testing.assert_allclose(steep, slope, rtol=2e-5, atol=1e-5)


@thorough_on_jax
@pytest.mark.parametrize("power", [1.0, 1.2, 1.5, 1.99])
def test_zeros_have_a_deviance(power):
    """For y = 0 the value is 2 mu^(2 - power) / (2 - power), and its gradient 2 mu^(2 - power)."""
    found, gradient = deviances(power, np.zeros(5), LOGS)
    np.testing.assert_allclose(found, 2 * np.exp((2 - power) * LOGS) / (2 - power), rtol=1e-12)
    np.testing.assert_allclose(gradient, 2 * np.exp((2 - power) * LOGS), rtol=1e-12)


@thorough_on_jax
@pytest.mark.parametrize("power", [1.0, 1.5, 2.0, 3.0])
def test_deviance_near_the_mean_keeps_its_digits(power):
    """(log y - log mu)^2 y^(2 - power) is accurate to 1e-5 in float32, where the formula's terms cancel."""
    log_mu = np.float32(2.0**-11) * np.array([1, -1, 2], "float32")
    found, _ = deviances(power, np.ones(3, "float32"), log_mu, "float32")
    s = -log_mu.astype("float64")
    # The series to the next order: s^2 (1 + (2 power - 3) s / 3).
    np.testing.assert_allclose(found, s**2 * (1 + (2 * power - 3) * s / 3), rtol=1e-5)


@pytest.mark.parametrize("loss", [PoissonLoss, GammaLoss, TweedieLoss])
def test_means_and_their_logarithms_are_worth_the_same(loss):
    """`log_link` changes the form of the predictions and nothing else."""
    y, mu = np.array([1.0, 2.0, 5.0]), np.array([0.5, 2.0, 9.0])
    found = value(loss(log_link=False, reduction="none"), y, mu.astype("float32"))
    exact = value(loss(reduction="none"), y, np.log(mu).astype("float32"))
    np.testing.assert_allclose(found, exact, rtol=1e-5, atol=1e-6)
