"""The normalizer of Barron's density: three ways to its true value, and the one that is trained through."""

import math

import numpy as np
import pytest
from scipy.special import k1
from scipy.stats import cauchy

from keras_losses.losses import robust
from tests.backends import (
    MODES,
    compiled,
    double_precision,
    second_derivative,
    thorough_on_jax,
    value_and_gradient,
)
from tests.oracles import partition

ALPHAS = np.linspace(0, 2, 201)[1:-1]
BESIDE = np.array([1e-6, 1e-3, 2 - 1e-3, 2 - 1e-6])
ALL = np.sort(np.concatenate([ALPHAS, BESIDE]))

# A Cauchy, a hyperbolic and a normal distribution's; and E[d rho / d alpha] under the Cauchy distribution.
SPECIAL = {
    0.0: math.log(math.pi * math.sqrt(2)),
    1.0: math.log(2 * k1(1)) + 1,
    2.0: math.log(2 * math.pi) / 2,
}
SLOPE_AT_0 = math.log(2) - math.log(2) ** 2 - math.pi**2 / 12 - 1 / 4


def log_partition(_, alpha, __=None):
    return robust.barron_log_partition(alpha)


def slopes(alpha, step):
    """Central differences of the oracle."""
    return (partition.log_partition(alpha + step) - partition.log_partition(alpha - step)) / (2 * step)


# The oracle -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", SPECIAL)
def test_the_oracle_in_closed_form(alpha):
    assert partition.log_partition(alpha) == pytest.approx(SPECIAL[alpha], abs=1e-14)


@pytest.mark.parametrize("alpha", [1e-3, 0.02, 0.11, 0.5, 1.0, 1.5, 1.9, 1.999])
def test_the_oracle_by_another_quadrature(alpha):
    """Of the residuals themselves, whose tails are a Cauchy distribution's near alpha = 0."""
    assert partition.log_partition(alpha) == pytest.approx(np.log(partition.integral(alpha)), abs=1e-10)


@pytest.mark.parametrize("alpha", [1.03, 1.13, 1.37, 1.713, 1.9123, 1.9991, 2 - 1e-6])
def test_the_oracle_by_residues(alpha):
    assert partition.log_partition(alpha) == pytest.approx(np.log(partition.series(alpha)), abs=1e-11)


def test_the_likelihood_that_a_later_loss_is_held_to():
    """A Cauchy distribution's at alpha = 0; its quantiles are most likely under what they were made with."""
    r = partition.quantiles(1001, 0.0, 3.0)
    truth = cauchy(scale=3 * math.sqrt(2))
    np.testing.assert_allclose(r, truth.ppf((np.arange(1001) + 0.5) / 1001), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(partition.negative_log_likelihood(r, 0.0, 3.0), -truth.logpdf(r), rtol=1e-12)
    for alpha, scale in ((0.5, 3.0), (1.0, 2.0), (1.7, 0.5)):
        found = partition.most_likely(partition.quantiles(4001, alpha, scale))
        assert found == pytest.approx((alpha, scale), abs=5e-3)


# What stands for it -----------------------------------------------------------------------------------------


@thorough_on_jax
@pytest.mark.parametrize(("dtype", "error"), [("float64", 1e-13), ("float32", 1e-6)])
def test_value(dtype, error):
    with double_precision():
        alpha = ALL.astype(dtype)
        found, _ = value_and_gradient(log_partition, 0, alpha)
        assert found.dtype == dtype
        np.testing.assert_allclose(found, partition.log_partition(alpha), rtol=0, atol=error)
        special, _ = value_and_gradient(log_partition, 0, np.ones(1, dtype))
        np.testing.assert_allclose(special, SPECIAL[1.0], rtol=0, atol=error)


@thorough_on_jax
@pytest.mark.parametrize(("dtype", "error"), [("float64", 1e-5), ("float32", 3e-4)])
def test_derivative(dtype, error):
    """As near as the oracle's differences are; in float32 the slope near 0 is itself one of two numbers."""
    with double_precision():
        alpha = ALL[(ALL > 1e-4) & (ALL < 2 - 1e-4)].astype(dtype)
        inner = alpha.astype("float64")
        _, found = value_and_gradient(log_partition, 0, alpha)
        expected = slopes(inner, np.minimum(1e-4, np.minimum(inner, 2 - inner) / 100))
        np.testing.assert_allclose(found, expected, rtol=error, atol=error)


@thorough_on_jax
def test_second_derivative():
    with double_precision():
        alpha, step = np.linspace(0.02, 1.98, 99), 1e-3
        found = second_derivative(log_partition, np.zeros(1), alpha, np.ones_like(alpha))
        expected = (slopes(alpha + step, step) - slopes(alpha - step, step)) / (2 * step)
        np.testing.assert_allclose(found, expected, rtol=3e-3, atol=1e-4)


@thorough_on_jax
def test_any_shape_and_nan():
    value, gradient = value_and_gradient(log_partition, 0, np.ones((2, 0, 3), "float32"))
    assert value.shape == gradient.shape == (2, 0, 3)
    value, _ = value_and_gradient(log_partition, 0, np.float32(1.0))
    assert value.shape == ()
    assert np.isnan(value_and_gradient(log_partition, 0, np.array([np.nan], "float32"))[0]).all()


@pytest.mark.parametrize("mode", MODES)
def test_compiled(mode):
    alpha = ALPHAS.astype("float32")
    eager = value_and_gradient(log_partition, 0, alpha)
    found = compiled(log_partition, mode)(np.zeros(1), alpha)
    np.testing.assert_allclose(found[0], partition.log_partition(alpha), rtol=0, atol=2e-6)
    for x, expected in zip(found, eager, strict=True):
        np.testing.assert_allclose(x, expected, rtol=3e-4, atol=2e-6)
