"""Distributions as outputs: their whole range, what is read off them, and what they come to."""

import math
import sys

import numpy as np
import pytest
from keras import ops
from scipy import integrate, special, stats

from keras_losses import (
    BetaNLLLoss,
    EvidentialClassificationLoss,
    EvidentialRegressionLoss,
    GaussianCRPSLoss,
    GaussianMixtureLoss,
    GaussianNLLLoss,
    LaplaceNLLLoss,
    LogNormalNLLLoss,
    NegativeBinomialLoss,
    PoissonNLLLoss,
    StudentTNLLLoss,
    ZeroInflatedPoissonLoss,
)
from keras_losses.losses.predicted_distribution import LikelihoodLoss
from tests.backends import (
    double_precision,
    numpy,
    tensor,
    thorough_on_jax,
    value,
    value_and_gradient,
)
from tests.oracles import expected, rounded_terms
from tests.oracles.likelihood import positive

DIGITS = {"float32": 1e-6, "float64": 1e-10}
SIZES = np.geomspace(1e-3, 1e6, 10)
each_dtype = pytest.mark.parametrize("dtype", DIGITS)


def raw(x, floor):
    """Output that stands for a positive parameter."""
    x = np.maximum(np.asarray(x, "float64") - floor, 1e-9)
    return x + np.log(-np.expm1(-x))


def grid(*axes):
    return [x.reshape(-1) for x in np.meshgrid(*axes, indexing="ij")]


def scores(loss, y, numbers, dtype):
    """Values and gradients, with the outputs as they are in `dtype`, which the reference must start from."""
    pred = np.stack(numbers, -1).astype(dtype)
    with double_precision():
        loss = type(loss)(**{**loss.get_config(), "dtype": dtype, "reduction": "none"})
        found, slopes = value_and_gradient(loss, y.astype(dtype), pred)
    return pred.astype("float64"), found, slopes


def near(found, exact, terms, dtype, what=""):
    error = np.abs(found - exact) / terms
    assert (error <= DIGITS[dtype]).all(), (what, error.max(), np.argmax(error))


# The whole range ----------------------------------------------------------------------------------------


@thorough_on_jax
@each_dtype
def test_student_t_over_its_range(dtype):
    """Values and gradients are accurate for df from 1e-3 to 1e6, near and far."""
    r, s, df = grid([0.0, 1e-3, 0.7, 30.0, 1e4], [0.01, 1.0, 100.0], SIZES)
    loss = StudentTNLLLoss(floor=1e-4)
    pred, found, slopes = scores(loss, r, [0 * r, raw(s, 1e-4), raw(df, 1e-4)], dtype)
    near(found, -stats.t.logpdf(r, *on(pred, 1e-4)), rounded_terms(loss, r, pred), dtype)

    df, _, s = on(pred, 1e-4)
    z = r / s
    pull, steep = z * z / df / (1 + z * z / df), special.expit(pred[:, 1:])
    near(
        slopes[:, 0],
        -(df + 1) / df * z / s / (1 + z * z / df),
        2 * np.abs(z) * (1 + 1 / df) / s + 1e-30,
        dtype,
    )
    near(
        slopes[:, 1], steep[:, 0] * (1 - (df + 1) * pull) / s, steep[:, 0] * (1 + (df + 1) * pull) / s, dtype
    )
    gammas = special.digamma(df / 2) - special.digamma(df / 2 + 0.5)
    log, lean = np.log1p(z * z / df), (1 + 1 / df) * pull
    exact, terms = (log - lean + 1 / df + gammas) / 2, log + lean + 2 / df
    near(slopes[:, 2], steep[:, 1] * exact, steep[:, 1] * terms, dtype)


def on(pred, floor):
    """Degrees of freedom, location and scale of outputs."""
    return positive(pred[:, 2], floor), pred[:, 0], positive(pred[:, 1], floor)


@thorough_on_jax
@each_dtype
def test_negative_binomial_over_its_range(dtype):
    """Values and gradients are accurate for counts to 1e6, and means and 1 / dispersion from 1e-3 to 1e6."""
    y, m, size = grid([0.0, 1.0, 2.0, 17.0, 1e3, 1e6], np.geomspace(1e-3, 1e6, 7), np.geomspace(1e-3, 1e6, 7))
    loss = NegativeBinomialLoss(floor=1e-7)
    pred, found, slopes = scores(loss, y, [np.log(m), raw(1 / size, 1e-7)], dtype)
    exact = np.concatenate([expected(loss, y[i : i + 7], pred[i : i + 7]) for i in range(0, len(y), 7)])
    near(found, exact, 2 * rounded_terms(loss, y, pred), dtype)

    m, size = np.exp(pred[:, 0]), 1 / positive(pred[:, 1], 1e-7)
    # A mean that is given by its logarithm has the digits of that.
    digits = 2 + np.abs(pred[:, 0])
    near(slopes[:, 0], (m - y) / (1 + m / size), digits * (m + y) / (1 + m / size), dtype)
    # psi(size + y) - psi(size), which SciPy's psi would give to 1e-16 of psi.
    gammas = np.array([(1 / (a + np.arange(n))).sum() for a, n in zip(size, y, strict=True)])
    log = np.log1p(m / size)
    exact = log - gammas + (y - m) / (size + m)
    terms = digits * (log + gammas + (y + m) / (size + m))
    steep = size**2 * special.expit(pred[:, 1])
    near(slopes[:, 1], -steep * exact, steep * terms, dtype)


@thorough_on_jax
@each_dtype
def test_the_others_over_their_range(dtype):
    """The other losses equal scipy.stats, to 1e-6 and 1e-10 of the terms."""
    size = np.geomspace(0.01, 1e4, 9)
    far, s = grid([-1e4, -3.0, 0.0, 0.2, 50.0], size)
    counts, rate = grid([0.0, 1.0, 2.0, 30.0, 1e3, 1e6], np.geomspace(1e-3, 1e6, 10))
    zeros, logit, some = grid(
        [0.0, 1.0, 5.0], [-1e4, -20.0, -0.3, 0.0, 2.0, 30.0], np.geomspace(1e-3, 1e3, 7)
    )
    share, m, k = grid([1e-6, 0.01, 0.5, 0.99], [-30.0, -2.0, 0.0, 5.0], SIZES)
    cases = [
        (GaussianNLLLoss(), far, [0 * far, raw(s, 1e-3)]),
        (LaplaceNLLLoss(), far, [0 * far, raw(s, 1e-3)]),
        (GaussianCRPSLoss(), far, [0 * far, raw(s, 1e-3)]),
        (LogNormalNLLLoss(), np.exp(np.clip(far, -60, 60)), [0 * far, raw(s, 1e-3)]),
        (GaussianMixtureLoss(2), far, [0 * far, far, 0 * far, far + 1, raw(s, 1e-3), 0 * far]),
        (PoissonNLLLoss(), counts, [np.log(rate)]),
        (ZeroInflatedPoissonLoss(), zeros, [logit, np.log(some)]),
        (BetaNLLLoss(floor=1e-4), share, [m, raw(k, 1e-4)]),
        (EvidentialRegressionLoss(), far, [0 * far, raw(s, 1e-3), raw(s[::-1], 1e-3), raw(s, 1e-3)]),
    ]
    for loss, y, numbers in cases:
        y = y.astype(dtype).astype("float64")
        pred, found, slopes = scores(loss, y, numbers, dtype)
        near(found, expected(loss, y, pred), 2 * rounded_terms(loss, y, pred), dtype, loss)
        assert np.isfinite(slopes).all(), type(loss).__name__


def test_references_agree_with_scipy():
    """The references that are written out equal scipy.stats, where that is accurate."""
    y, a, b = np.array([0.0, 3.0, 40.0]), np.array([0.3, -1.0, 2.0]), np.array([-1.0, 0.5, 2.0])
    pred, k = np.stack([a, b], -1), np.logaddexp(0, b) + 0.5
    m = special.expit(a)
    pairs = [
        (LaplaceNLLLoss(floor=0.5), stats.laplace.logpdf(y, a, k), y),
        (NegativeBinomialLoss(floor=0.5), stats.nbinom.logpmf(y, 1 / k, 1 / (1 + k * np.exp(a))), y),
        (
            BetaNLLLoss(floor=0.5),
            stats.beta.logpdf([0.1, 0.5, 0.8], m * k, (1 - m) * k),
            np.array([0.1, 0.5, 0.8]),
        ),
        (LogNormalNLLLoss(floor=0.5), stats.lognorm.logpdf(y + 1, k, scale=np.exp(a)), y + 1),
    ]
    for loss, logs, y in pairs:
        np.testing.assert_allclose(expected(loss, y, pred), -logs, rtol=1e-10)
    np.testing.assert_allclose(
        expected(PoissonNLLLoss(), y := np.arange(3.0), a), -stats.poisson.logpmf(y, np.exp(a))
    )
    zero = m * (y == 0) + (1 - m) * stats.poisson.pmf(y, np.exp(b))
    np.testing.assert_allclose(expected(ZeroInflatedPoissonLoss(), y, pred), -np.log(zero))


def test_crps_is_its_integral():
    """The value is the integral over x of (F(x) - 1[x >= y])^2."""
    for y, mean, s in ((0.0, 0.0, 1.0), (2.0, -1.0, 0.5), (-3.0, 1.0, 4.0)):
        below = integrate.quad(lambda x: stats.norm.cdf(x, mean, s) ** 2, -40, y, points=[mean])[0]  # noqa: B023
        above = integrate.quad(lambda x: stats.norm.sf(x, mean, s) ** 2, y, 40, points=[mean])[0]  # noqa: B023
        found = value(GaussianCRPSLoss(), np.array([y]), np.array([[mean, raw(s, 1e-3)]], "float32"))
        np.testing.assert_allclose(found, below + above, rtol=2e-6)


# What they come to ----------------------------------------------------------------------------------------


@thorough_on_jax
def test_what_the_best_constants_are():
    """Best constants in closed form: normal, Laplace, log-normal, Poisson and negative binomial."""
    y = np.array([0.5, 1.0, 1.5, 2.0, 11.0])
    logs, counts, median = np.log(y), np.array([0.0, 1.0, 1.0, 2.0, 11.0]), np.median(y)
    cases = [
        (GaussianNLLLoss(), y, [y.mean(), raw(y.std(), 1e-3)]),
        (LaplaceNLLLoss(), y, [median, raw(np.abs(y - median).mean(), 1e-3)]),
        (LogNormalNLLLoss(), y, [logs.mean(), raw(logs.std(), 1e-3)]),
        (PoissonNLLLoss(), counts, [np.log(counts.mean())]),
    ]
    for loss, labels, constants in cases:
        # There is no gradient there, and more beside it.
        _, found, slopes = scores(loss, labels, [np.full(len(labels), x) for x in constants], "float64")
        np.testing.assert_allclose(slopes.sum(0), np.zeros(len(constants)), atol=1e-9)
        for turn in range(len(constants)):
            for step in (-0.1, 0.1):
                beside = [np.full(len(labels), x + step * (k == turn)) for k, x in enumerate(constants)]
                assert scores(loss, labels, beside, "float64")[1].sum() > found.sum()
    mean, dispersion = np.full(5, np.log(counts.mean())), np.zeros(5)
    _, _, slopes = scores(NegativeBinomialLoss(), counts, [mean, dispersion], "float64")
    np.testing.assert_allclose(slopes[:, 0].sum(), 0, atol=1e-9)  # whatever the dispersion is


@thorough_on_jax
def test_limits():
    """Student's t becomes normal, the negative binomial Poisson; one component is a normal distribution."""
    r = np.random.default_rng(0)
    y, pred = r.normal(0, 2, 20), r.normal(0, 1, (20, 2)).astype("float32")
    normal = value(GaussianNLLLoss(reduction="none"), y, pred)
    np.testing.assert_allclose(value(StudentTNLLLoss(df=1e9, reduction="none"), y, pred), normal, rtol=1e-6)
    one = np.concatenate([pred[:, :1] * 9, pred], -1)
    np.testing.assert_allclose(value(GaussianMixtureLoss(1, reduction="none"), y, one), normal, rtol=1e-6)
    counts = r.poisson(3, 20)
    few = np.stack([pred[:, 0], np.full(20, -1e4)], -1).astype("float32")
    found = value(NegativeBinomialLoss(floor=1e-9, reduction="none"), counts, few)
    np.testing.assert_allclose(found, value(PoissonNLLLoss(reduction="none"), counts, few[:, :1]), rtol=1e-5)
    never = np.stack([np.full(20, -1e4), pred[:, 0]], -1).astype("float32")
    found = value(ZeroInflatedPoissonLoss(reduction="none"), counts, never)
    np.testing.assert_allclose(found, value(PoissonNLLLoss(reduction="none"), counts, pred[:, :1]), rtol=1e-6)


@thorough_on_jax
def test_beta_1_gives_the_mean_the_gradient_of_squared_error():
    """The gradient in the mean is r for any variance; the loss itself is weighted by the variance."""
    pred = np.array([[1.0, -2.0], [1.0, 3.0]], "float32")
    _, slopes = value_and_gradient(GaussianNLLLoss(beta=1.0, reduction="sum"), np.array([4.0, -1.0]), pred)
    np.testing.assert_allclose(slopes[:, 0], [-3.0, 2.0], rtol=1e-6)


@thorough_on_jax
def test_a_component_that_dies():
    """A component far from every sample, or of weight 0, has gradient 0 and changes nothing else."""
    loss, y = GaussianMixtureLoss(2, reduction="none"), np.array([0.3, 0.3, 0.3])
    pred = np.array(
        [
            [0.0, -1e4, 0.0, 0.0, 0.5, 0.5],
            [0.0, 0.0, 0.0, 1e4, 0.5, -1e4],
            [1e4, -1e4, 0.0, -1e4, 0.5, 1e4],
        ],
        "float32",
    )
    found, slopes = value_and_gradient(loss, y, pred)
    alone = value(GaussianNLLLoss(), y[:1], pred[:1, [2, 4]])
    np.testing.assert_allclose(found, [alone, alone + math.log(2), alone], rtol=1e-6)
    np.testing.assert_array_equal(slopes[:, [3, 5]], 0)
    assert np.isfinite(slopes).all()
    hopeless, slopes = value_and_gradient(loss, np.array([1e4]), np.full((1, 6), -1e4, "float32"))
    assert np.isfinite(hopeless).all()
    assert np.isfinite(slopes).all()
    assert (slopes[0, 2:4] < 0).all()


@thorough_on_jax
def test_evidence_for_nothing_and_for_a_class():
    """Without evidence the uncertainty is 1 and the divergence 0; with much evidence the risk is 0."""
    z = np.array([[-1e4, -1e4, -1e4], [1e4, -1e4, -1e4]], "float32")
    loss = EvidentialClassificationLoss(reduction="none")
    np.testing.assert_allclose(loss.uncertainty(z), [1, 3 / (3 + 1e4)], rtol=1e-6)
    np.testing.assert_allclose(loss.probabilities(z)[1], np.array([1 + 1e4, 1, 1]) / (3 + 1e4), rtol=1e-6)
    without = EvidentialClassificationLoss(annealing=0.0, reduction="none")
    right, wrong = np.array([0, 0]), np.array([1, 1])
    np.testing.assert_array_equal(value(loss, right, z), value(without, right, z))
    assert value(loss, wrong, z)[1] > value(without, wrong, z)[1] + 5
    first = EvidentialClassificationLoss(axis=1)
    np.testing.assert_allclose(first.probabilities(z.T[None])[0], loss.probabilities(z).T, rtol=1e-6)
    assert first.uncertainty(z.T[None]).shape == (1, 2)


# What is read off -----------------------------------------------------------------------------------------

R = np.random.default_rng(1)
PRED = R.normal(0, 1, (5, 3)).astype("float32")
READ = {
    "GaussianNLLLoss": (GaussianNLLLoss(), lambda d: stats.norm(d["mean"], d["scale"])),
    "LaplaceNLLLoss": (LaplaceNLLLoss(), lambda d: stats.laplace(d["location"], d["scale"])),
    "StudentTNLLLoss": (StudentTNLLLoss(floor=1.5), lambda d: stats.t(d["df"], d["location"], d["scale"])),
    "StudentTNLLLoss of df 4": (StudentTNLLLoss(4.0), lambda d: stats.t(d["df"], d["location"], d["scale"])),
    "LogNormalNLLLoss": (
        LogNormalNLLLoss(),
        lambda d: stats.lognorm(d["scale"], scale=np.exp(d["location"].astype("float64"))),
    ),
    "PoissonNLLLoss": (PoissonNLLLoss(), lambda d: stats.poisson(d["rate"])),
    "NegativeBinomialLoss": (
        NegativeBinomialLoss(),
        lambda d: stats.nbinom(1 / d["dispersion"], 1 / (1 + d["dispersion"] * d["mean"])),
    ),
    "BetaNLLLoss": (
        BetaNLLLoss(),
        lambda d: stats.beta(d["mean"] * d["concentration"], (1 - d["mean"]) * d["concentration"]),
    ),
    "GaussianCRPSLoss": (GaussianCRPSLoss(), lambda d: stats.norm(d["mean"], d["scale"])),
    "EvidentialRegressionLoss": (
        EvidentialRegressionLoss(),
        lambda d: stats.t(
            2 * d["alpha"], d["gamma"], np.sqrt(d["beta"] * (1 + d["nu"]) / d["nu"] / d["alpha"])
        ),
    ),
}


def outputs(loss, targets=2):
    return np.random.default_rng(2).normal(0, 1, (5, loss.parts * targets)).astype("float32")


@pytest.mark.parametrize("level", [0.5, 0.9, 0.999])
@pytest.mark.parametrize(("loss", "true"), READ.values(), ids=READ)
def test_intervals_and_means(loss, true, level):
    """The mean, and the central interval, equal those of scipy.stats."""
    pred = outputs(loss)
    true = true({name: x.astype("float64") for name, x in loss.parameters(pred).items()})
    np.testing.assert_allclose(loss.mean(pred), true.mean(), rtol=1e-5)
    low, high = loss.interval(pred, level)
    assert low.shape == high.shape == (5, 2)
    np.testing.assert_allclose(low, true.ppf((1 - level) / 2), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(high, true.ppf((1 + level) / 2), rtol=1e-5)
    held = true.cdf(high.astype("float64")) - true.cdf(low.astype("float64") - 1e-9)
    assert (held >= level - 1e-4).all()


def test_interval_of_a_mixture():
    """The tails have equal probability, for modes apart and for one mode."""
    loss = GaussianMixtureLoss(3)
    pred = np.concatenate([outputs(loss), 5 * outputs(loss)])
    found = {name: x.astype("float64") for name, x in loss.parameters(pred).items()}
    assert all(x.shape == (10, 2, 3) for x in found.values())
    for level in (0.1, 0.9, 0.999):
        for end, p in zip(loss.interval(pred, level), (0.5 - level / 2, 0.5 + level / 2), strict=True):
            held = stats.norm.cdf(end[..., None], found["means"], found["scales"])
            np.testing.assert_allclose((found["weights"] * held).sum(-1), p, atol=1e-5)
    np.testing.assert_allclose(loss.mean(pred), (found["weights"] * found["means"]).sum(-1), rtol=1e-5)


def test_interval_with_zeros_of_another_cause():
    """The ends are the smallest counts with enough probability below; the mean includes the extra zeros."""
    loss = ZeroInflatedPoissonLoss()
    pred = np.array([[-2.0, 2.0], [0.0, 1.0], [4.0, 3.0], [-1e4, 1.0]], "float32")
    found = {name: x[:, 0].astype("float64") for name, x in loss.parameters(pred).items()}
    np.testing.assert_allclose(loss.mean(pred)[:, 0], (1 - found["zeros"]) * found["rate"], rtol=1e-5)
    counts = np.arange(100)[:, None]
    held = found["zeros"] + (1 - found["zeros"]) * stats.poisson.cdf(counts, found["rate"])
    for end, p in zip(loss.interval(pred, 0.8), (0.1, 0.9), strict=True):
        np.testing.assert_array_equal(end[:, 0], (held >= p - 1e-7).argmax(0))


def test_the_order_of_the_outputs():
    """First the first number of every target, then the second, as the docstrings name them."""
    floor = np.array([1e-3, 1e-6])
    pred = np.array([[1.0, 2.0, 3.0, 4.0]], "float32")
    softplus = np.logaddexp(0, pred[0].astype("float64"))
    cases = [
        (GaussianNLLLoss(), {"mean": pred[0, :2], "scale": softplus[2:] + floor[0]}),
        (LaplaceNLLLoss(), {"location": pred[0, :2], "scale": softplus[2:] + floor[0]}),
        (NegativeBinomialLoss(), {"mean": np.exp(pred[0, :2]), "dispersion": softplus[2:] + floor[1]}),
        (ZeroInflatedPoissonLoss(), {"zeros": special.expit(pred[0, :2]), "rate": np.exp(pred[0, 2:])}),
        (BetaNLLLoss(), {"mean": special.expit(pred[0, :2]), "concentration": softplus[2:] + floor[0]}),
        (PoissonNLLLoss(), {"rate": np.exp(pred[0])}),
        (
            EvidentialRegressionLoss(),
            dict(
                zip(("gamma", "nu", "alpha", "beta"), [1, *softplus[1:] + floor[0] + [0, 1, 0]], strict=True)
            ),
        ),
    ]
    for loss, exact in cases:
        found = loss.parameters(pred)
        assert list(found) == list(exact)
        for name in exact:
            np.testing.assert_allclose(found[name][0], np.atleast_1d(exact[name]), rtol=1e-6)
    found = GaussianMixtureLoss(2).parameters(np.arange(6.0)[None])
    np.testing.assert_allclose(found["weights"][0, 0], special.softmax([0, 1]), rtol=1e-6)
    np.testing.assert_allclose(found["means"][0, 0], [2, 3])
    np.testing.assert_allclose(found["scales"][0, 0], np.logaddexp(0, [4, 5]) + 1e-3, rtol=1e-6)


def test_uncertainties_of_evidential_regression():
    """They are beta / (alpha - 1), and that divided by nu."""
    loss = EvidentialRegressionLoss()
    pred = outputs(loss)
    found = loss.parameters(pred)
    noise = found["beta"] / (found["alpha"] - 1)
    np.testing.assert_allclose(loss.aleatoric(pred), noise, rtol=1e-4)
    np.testing.assert_allclose(loss.epistemic(pred), noise / found["nu"], rtol=1e-4)


OBJECTS = [*(loss for loss, _ in READ.values()), GaussianMixtureLoss(2), ZeroInflatedPoissonLoss()]


@pytest.mark.parametrize("loss", OBJECTS, ids=repr)
def test_tensors_of_a_tensor_and_arrays_of_an_array(loss):
    pred = outputs(loss)
    for read in (loss.parameters, loss.mean, loss.interval):
        for given, kind in ((pred, np.ndarray), (pred.tolist(), np.ndarray), (tensor(pred), None)):
            found = read(given)
            found = (
                found.values() if isinstance(found, dict) else found if isinstance(found, tuple) else [found]
            )
            for x in found:
                assert isinstance(x, kind) if kind else ops.is_tensor(x)
                assert numpy(x).shape[:2] == (5, 2)


@pytest.mark.parametrize("loss", OBJECTS, ids=repr)
def test_levels_and_shapes_that_are_refused(loss):
    for level in (0.0, 1.0, -0.1, 90, float("nan")):
        with pytest.raises(
            ValueError, match=rf"`level` must be a number in \(0, 1\)\. Received: level={level}"
        ):
            loss.interval(outputs(loss), level)
    if loss.parts > 1:
        with pytest.raises(ValueError, match=r"outputs for each target in its last axis"):
            loss.mean(np.zeros((5, loss.parts + 1), "float32"))


def test_without_scipy(monkeypatch):
    """Intervals that need SciPy say how to install it; the others work without it."""
    monkeypatch.setitem(sys.modules, "scipy.stats", None)
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    for loss in OBJECTS:
        if isinstance(loss, GaussianNLLLoss | LaplaceNLLLoss | LogNormalNLLLoss | GaussianCRPSLoss):
            loss.interval(outputs(loss))
            continue
        with pytest.raises(ImportError, match=r'pip install "keras-losses\[scipy\]"'):
            loss.interval(outputs(loss))


def test_labels_that_cannot_be_are_nan_in_a_graph_and_nothing_without_weight():
    """Impossible labels give NaN where nothing is checked; with weight 0 they change nothing."""
    for loss, y in ((LogNormalNLLLoss, 0.0), (BetaNLLLoss, 1.0), (PoissonNLLLoss, -1.0)):
        loss = loss(reduction="none")
        assert isinstance(loss, LikelihoodLoss)
        pred = np.zeros((2, loss.parts), "float32")
        assert np.isnan(numpy(loss.call(tensor(np.array([y, 0.5])), tensor(pred)))[0])
        found, slopes = value_and_gradient(
            loss, np.array([y, 0.5 if y >= 0 else 1]), pred, np.array([0.0, 1.0])
        )
        assert found[0] == 0
        assert np.isfinite(found).all()
        assert (slopes[0] == 0).all()
        assert np.isfinite(slopes).all()
