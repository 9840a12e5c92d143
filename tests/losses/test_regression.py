"""Robust losses over the whole range of their residuals and shapes, and against other people's code."""

import math
from itertools import pairwise

import keras
import numpy as np
import pytest

from keras_losses import (
    BarronLoss,
    EpsilonInsensitiveLoss,
    GammaLoss,
    HuberLoss,
    LogCoshLoss,
    PoissonLoss,
    PseudoHuberLoss,
    SmoothL1Loss,
    TukeyBiweightLoss,
    TweedieLoss,
)
from tests.backends import (
    BACKEND,
    double_precision,
    tensor,
    thorough_on_jax,
    value,
    value_and_gradient,
)
from tests.oracles.regression import barron

# Barron's, over 100,000 samples ---------------------------------------------------------------------------

r = np.random.default_rng(0)
LIMITS = (-math.inf, -2.0, 0.0, 1.0, 2.0)
BESIDE = [a + side * step for a in LIMITS[1:] for step in (1e-12, 1e-6, 1e-3) for side in (-1, 1)]
ALPHAS = sorted([*LIMITS, *BESIDE, -1e17, -1e6, -100.0, *r.uniform(-10, 4, 18)])
SIZE = -(-100_000 // len(ALPHAS))
RESIDUALS = r.normal(0, 1, SIZE) * 10 ** r.uniform(-6, 4, SIZE)


def robust(alpha, residuals=RESIDUALS, scale=1.0, dtype="float64"):
    """Values and gradients of one shape, with the targets 0."""
    with double_precision():
        loss = BarronLoss(alpha=alpha, scale=scale, dtype=dtype, reduction="none")
        return value_and_gradient(loss, np.zeros_like(residuals), residuals.astype(dtype))


@pytest.fixture(scope="module")
def samples():
    return {alpha: robust(alpha) for alpha in ALPHAS}


@thorough_on_jax
def test_barron_grows_with_the_residual(samples):
    """The farther off, the larger the loss: the gradient has the sign of the residual, and is finite."""
    assert sum(len(values) for values, _ in samples.values()) >= 100_000
    for alpha, (values, gradient) in samples.items():
        possible = np.isfinite(barron(np.zeros(SIZE), RESIDUALS, alpha=alpha, scale=1.0))
        assert np.isfinite(values[possible]).all()
        assert np.isfinite(gradient[possible]).all()
        assert (np.sign(gradient) * np.sign(RESIDUALS) >= 0).all(), alpha
        assert (values >= 0).all()


@thorough_on_jax
def test_barron_has_a_bounded_gradient(samples):
    """At most |r| / scale^2, and from alpha = 1 down at most 1 / scale."""
    for alpha, (_, gradient) in samples.items():
        if alpha <= 2:
            assert (np.abs(gradient) <= np.abs(RESIDUALS) * (1 + 1e-9)).all()
        if alpha <= 1:
            assert (np.abs(gradient) <= 1 + 1e-9).all()


@thorough_on_jax
def test_barron_sees_the_ratio_of_residual_and_scale():
    """Residuals and scale in other units have the same value."""
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
    """Value and gradient change by as little as alpha does, on both sides of the limits."""
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
    """From alpha = -1000 to -infinity what is left of the difference falls as 1 / alpha."""
    near = RESIDUALS[np.abs(RESIDUALS) < 10]
    limit = robust(-math.inf, near)
    for alpha in (-1e3, -1e6, -1e12):
        for exact, found in zip(limit, robust(alpha, near), strict=True):
            assert (np.abs(found - exact) <= 40 / -alpha).all()


# Digits ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [PseudoHuberLoss(), LogCoshLoss(), BarronLoss(), BarronLoss(alpha=0.0)])
@pytest.mark.parametrize("size", [1e-30, 1e-12, 1e-6, 1e-4, 1e-3])
def test_small_residuals_keep_their_digits(loss, size):
    """r^2 / 2 and its gradient r in float32, where 1 + r^2 is 1."""
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
    """|r| with the gradient 1 where r^2 is beyond float32."""
    found, gradient = value_and_gradient(loss, np.zeros(1, "float32"), np.array([size], "float32"))
    np.testing.assert_allclose(found, size, rtol=1e-5)
    np.testing.assert_allclose(gradient, [1], rtol=1e-5)


def test_keras_loses_the_digits_of_log_cosh():
    """What the docstring says of Keras's own; if it has been mended, the docstring has to be, too."""
    pair = np.zeros((1, 1), "float32"), np.full((1, 1), 1e-4, "float32")
    assert float(keras.losses.LogCosh()(*pair)) != pytest.approx(5e-9, rel=0.1)
    assert float(LogCoshLoss()(*pair)) == pytest.approx(5e-9, rel=1e-6)


@thorough_on_jax
def test_tukey_is_nearly_as_efficient_as_the_mean():
    """95% on Gaussian noise with c = 4.685: var(psi) / E[psi']^2 is 1 / 0.95."""
    x = np.linspace(-12, 12, 200_001)
    density = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi) * (x[1] - x[0])
    with double_precision():
        loss = TukeyBiweightLoss(reduction="none", dtype="float64")
        _, psi = value_and_gradient(loss, np.zeros_like(x), x)
    slope = np.gradient(psi, x)
    efficiency = (density * slope).sum() ** 2 / (density * psi**2).sum()
    assert efficiency == pytest.approx(0.95, abs=1e-3)


# Deviances ------------------------------------------------------------------------------------------------

AMOUNTS = np.array([1e-3, 0.5, 1.0, 7.0, 1e3])
LOGS = np.array([-50.0, -3.0, 0.0, 0.4, 50.0])


def deviances(power, y, log_mu, dtype="float64"):
    with double_precision():
        loss = TweedieLoss(power=power, reduction="none", dtype=dtype)
        return value_and_gradient(loss, y.astype(dtype), log_mu.astype(dtype))


@thorough_on_jax
@pytest.mark.parametrize("power", [1.0, 1.0 + 1e-9, 1.3, 1.5, 1.9, 2.0 - 1e-9, 2.0, 2.0 + 1e-9, 2.5, 3.0])
def test_deviance_is_that_of_scikit_learn(power):
    """With a log link up to 50 on either side, in float64 to 1e-10, and float32 to 1e-5 of e^50's digits."""
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
    """Of y = 0 it is 2 mu^(2 - power) / (2 - power), and its gradient 2 mu^(2 - power)."""
    found, gradient = deviances(power, np.zeros(5), LOGS)
    np.testing.assert_allclose(found, 2 * np.exp((2 - power) * LOGS) / (2 - power), rtol=1e-12)
    np.testing.assert_allclose(gradient, 2 * np.exp((2 - power) * LOGS), rtol=1e-12)


@thorough_on_jax
@pytest.mark.parametrize("power", [1.0, 1.5, 2.0, 3.0])
def test_deviance_near_the_mean_keeps_its_digits(power):
    """In float32 (log y - log mu)^2 y^(2 - power) to 1e-5, of which the formula's terms leave nothing."""
    log_mu = np.float32(2.0**-11) * np.array([1, -1, 2], "float32")
    found, _ = deviances(power, np.ones(3, "float32"), log_mu, "float32")
    s = -log_mu.astype("float64")
    # The series to the next order: s^2 (1 + (2 power - 3) s / 3).
    np.testing.assert_allclose(found, s**2 * (1 + (2 * power - 3) * s / 3), rtol=1e-5)


@pytest.mark.parametrize("loss", [PoissonLoss, GammaLoss, TweedieLoss])
def test_means_and_their_logarithms_are_worth_the_same(loss):
    """log_link says of what form the predictions are, and changes nothing else."""
    y, mu = np.array([1.0, 2.0, 5.0]), np.array([0.5, 2.0, 9.0])
    found = value(loss(log_link=False, reduction="none"), y, mu.astype("float32"))
    exact = value(loss(reduction="none"), y, np.log(mu).astype("float32"))
    np.testing.assert_allclose(found, exact, rtol=1e-5, atol=1e-6)


# Other people's models ------------------------------------------------------------------------------------


@pytest.mark.parametrize("power", [1.0, pytest.param(2.0, marks=pytest.mark.thorough)])
def test_support_vector_regression(power):
    """A linear model trained by fit has the objective of scikit-learn's LinearSVR to 1%."""
    svm = pytest.importorskip("sklearn.svm")
    x = r.normal(0, 1, (200, 3)).astype("float32")
    y = (x @ np.array([1.0, -2.0, 0.5]) + 0.3 * r.standard_t(2, 200)).astype("float32")
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
    """Smooth L1 and Huber of the oracles are PyTorch's."""
    torch = pytest.importorskip("torch")
    from tests.oracles.regression import huber, smooth_l1

    y, f = r.normal(0, 3, 20), r.normal(0, 3, 20)
    functional, pair = torch.nn.functional, (torch.tensor(f), torch.tensor(y))
    theirs = functional.smooth_l1_loss(*pair, beta=0.3, reduction="none").numpy()
    np.testing.assert_allclose(smooth_l1(y, f, beta=0.3), theirs, rtol=1e-12)
    theirs = functional.huber_loss(*pair, delta=0.3, reduction="none").numpy()
    np.testing.assert_allclose(huber(y, f, delta=0.3), theirs, rtol=1e-12)


def test_a_target_is_checked_at_the_power_of_now():
    """Where a schedule has set the power to 2.5, a target of 0 has no value any more."""
    loss, y_pred = TweedieLoss(power=1.5), np.array([0.0], "float32")
    assert value(loss, np.array([0.0]), y_pred) == 2 / 0.5  # 2 mu^(2-p) / (2-p), mu = 1
    vars(loss)["_live"] = {"power": lambda: tensor(np.float32(2.5))}
    with pytest.raises(ValueError, match=r"be above 0 for a power of 2.5"):
        value(loss, np.array([0.0]), y_pred)
