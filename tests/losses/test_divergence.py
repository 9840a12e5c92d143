"""What divergences have in common beyond the contract: limits, distances of SciPy's, digits near p = y."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from scipy.stats import wasserstein_distance

from keras_losses import (
    AlphaDivergenceLoss,
    DistillationLoss,
    EarthMoverLoss,
    GaussianKLLoss,
    HellingerLoss,
    JensenShannonLoss,
    KLDivergenceLoss,
    RenyiLoss,
    TotalVariationLoss,
    numerics,
)
from tests.backends import (
    BACKEND,
    double_precision,
    numpy,
    tensor,
    thorough_on_jax,
    value,
    value_and_gradient,
)
from tests.every_loss import LOSSES, build
from tests.kinds.kind import Seeded


def double(loss, **options):
    return loss(**options, reduction="none", dtype="float64")


def histograms(count, classes, *seed):
    return softmax(Seeded("histograms", count, classes, *seed).random.normal(0, 2, (count, classes)), -1)


LIMITS = [
    (RenyiLoss, 1.0, 1.0),
    (AlphaDivergenceLoss, 1.0, 1.0),
    (AlphaDivergenceLoss, 0.0, 1.0),
    (RenyiLoss, 0.5, 1.0),
    (AlphaDivergenceLoss, 0.5, 1.0),
    # The values there go through where a sum is taken in one way or the other.
    (RenyiLoss, 3.0, 3.0),
]


@thorough_on_jax
@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("loss", "at", "spread"), LIMITS)
def test_continuous_in_alpha(loss, at, spread, dtype, from_logits):
    """Values and gradients at alpha +- 1e-9 ... 1e-3 equal those at alpha, up to rounding and the step."""
    y = histograms(20, 5)
    z = spread * Seeded("logits").random.normal(0, 2, (20, 5))
    pred = z if from_logits else softmax(z, -1)
    options = {"from_logits": from_logits, "reduction": "none", "dtype": dtype}
    digits = 1e-6 if dtype == "float32" else 1e-13
    with double_precision():
        here = value_and_gradient(loss(alpha=at, **options), y, pred.astype(dtype))
        for step in (1e-9, 1e-7, 1e-5, 1e-3):
            for alpha in (at - step, at + step):
                there = value_and_gradient(loss(alpha=alpha, **options), y, pred.astype(dtype))
                for a, b in zip(here, there, strict=True):
                    size = 1 + np.abs(a).max()
                    assert np.abs(a - b).max() <= (40 * digits + 40 * step) * size, (alpha, a, b)


@thorough_on_jax
@pytest.mark.parametrize(
    ("loss", "alpha", "direction"),
    [
        (RenyiLoss, 1 - 1e-11, "forward"),
        (RenyiLoss, 1 + 1e-11, "forward"),
        (AlphaDivergenceLoss, 1 - 1e-11, "forward"),
        (AlphaDivergenceLoss, 1e-11, "reverse"),
        (AlphaDivergenceLoss, -1e-11, "reverse"),
    ],
)
def test_limit_is_kullback_leiblers(loss, alpha, direction):
    """Next to alpha = 1 the value is KL(y || p); next to alpha = 0 the alpha-divergence is KL(p || y)."""
    y, p = histograms(20, 5), histograms(20, 5, "p")
    with double_precision():
        exact = value(double(KLDivergenceLoss, direction=direction), y, p)
        np.testing.assert_allclose(value(double(loss, alpha=alpha), y, p), exact, rtol=1e-9)


@thorough_on_jax
@pytest.mark.parametrize("classes", [2, 3, 10])
def test_earth_mover_is_wasserstein_distance(classes):
    """For power 1 it is SciPy's distance between distributions over 0, 1/(C - 1) ... 1."""
    y, p = histograms(20, classes), histograms(20, classes, "p")
    places = np.linspace(0, 1, classes)
    exact = [wasserstein_distance(places, places, a, b) for a, b in zip(y, p, strict=True)]
    with double_precision():
        found = value(double(EarthMoverLoss, power=1.0), y, p)
    np.testing.assert_allclose(found, exact, rtol=1e-10, atol=1e-15)


@thorough_on_jax
def test_jensen_shannon_is_scipys():
    """It is the square of SciPy's distance, and swapping both distributions swaps the weights."""
    distance = pytest.importorskip("scipy.spatial.distance")
    y, p = histograms(20, 5), histograms(20, 5, "p")
    with double_precision():
        found = value(double(JensenShannonLoss), y, p)
        np.testing.assert_allclose(found, distance.jensenshannon(y, p, axis=-1) ** 2, rtol=1e-10)
        found = value(double(JensenShannonLoss, weight=0.2), y, p)
        np.testing.assert_allclose(found, value(double(JensenShannonLoss, weight=0.8), p, y), rtol=1e-12)


@pytest.mark.skipif(BACKEND != "torch", reason="the references are the same for all backends")
def test_pytorch_has_the_same():
    """torch.nn.functional.kl_div and torch.distributions agree in float64 to 1e-10."""
    torch = pytest.importorskip("torch")
    y, z, t = (
        histograms(8, 5),
        Seeded("z").random.normal(0, 2, (8, 5)),
        Seeded("t").random.normal(0, 2, (8, 5)),
    )
    as_torch = torch.tensor
    theirs = torch.nn.functional.kl_div(as_torch(log_softmax(z, -1)), as_torch(y), reduction="none").sum(-1)
    soft = (as_torch(log_softmax(x / 3, -1)) for x in (z, t))
    taught = 9 * torch.nn.functional.kl_div(*soft, reduction="none", log_target=True).sum(-1)
    normal = torch.distributions.Normal
    of = normal(as_torch(z), torch.exp(0.5 * as_torch(t)))
    latent = torch.distributions.kl_divergence(of, normal(0.0, 1.0)).sum(-1)
    with double_precision():
        for loss, y_true, y_pred, exact in (
            (double(KLDivergenceLoss, from_logits=True), y, z, theirs),
            (double(RenyiLoss, alpha=1.0, from_logits=True), y, z, theirs),
            (double(DistillationLoss, temperature=3.0), t, z, taught),
            (double(GaussianKLLoss), np.zeros(8), np.concatenate([z, t], -1), latent),
        ):
            np.testing.assert_allclose(value(loss, y_true, y_pred), exact.numpy(), rtol=1e-10)


SMOOTH = [
    # Next to p = y each is this multiple of sum_j (p_j - y_j)^2 / y_j.
    (JensenShannonLoss, {}, 1 / 8),
    (JensenShannonLoss, {"weight": 0.2}, 0.2 * 0.8 / 2),
    (KLDivergenceLoss, {}, 1 / 2),
    (KLDivergenceLoss, {"direction": "reverse"}, 1 / 2),
    (RenyiLoss, {}, 1 / 4),
    (RenyiLoss, {"alpha": 1.0}, 1 / 2),
    (RenyiLoss, {"alpha": 3.0}, 3 / 2),
    (AlphaDivergenceLoss, {"alpha": 0.0}, 1 / 2),
    (AlphaDivergenceLoss, {"alpha": 0.3}, 1 / 2),
    (AlphaDivergenceLoss, {"alpha": 1.0}, 1 / 2),
    (AlphaDivergenceLoss, {"alpha": 1.7}, 1 / 2),
    (HellingerLoss, {}, 1 / 8),
]


@thorough_on_jax
@pytest.mark.parametrize(("loss", "options", "curvature"), SMOOTH)
def test_digits_near_the_target(loss, options, curvature):
    """A prediction 1e-3 off has a value accurate to 3e-3 in float32, although its terms round by its size."""
    y = np.array([[0.5, 0.25, 0.25]], "float32")  # which float32 has exactly, and their logarithms nearly
    z = np.log(y.astype("float64")) + 1e-3 * np.array([[1.0, -1.0, 0.5]])
    exact = curvature * ((softmax(z, -1) - y) ** 2 / y).sum(-1)
    found = value(loss(**options, from_logits=True, reduction="none"), y, z.astype("float32"))
    np.testing.assert_allclose(found, exact, rtol=3e-3)
    assert (found >= 0).all()


@thorough_on_jax
@pytest.mark.parametrize("classes", [6, 1000])
@pytest.mark.parametrize(
    # Softened logits are rounded, as they are when computed.
    ("temperature", "digits"),
    [(1.0, 2e-6), (2.0, 2e-4), (20.0, 2e-4), (1e6, 2e-4)],
)
def test_a_student_that_nearly_agrees(temperature, digits, classes):
    """An equal student leaves rounding errors; a close one keeps the accuracy of the difference."""
    t = Seeded("teacher").random.normal(0, 3, (10, classes)).astype("float32")
    loss = DistillationLoss(temperature=temperature, reduction="none")
    found, gradient = value_and_gradient(loss, t, t)
    assert (found <= digits**2).all()
    assert np.abs(gradient).max() <= digits
    z = (t + 1e-2 * Seeded("student").random.normal(0, 1, t.shape)).astype("float32")
    found, gradient = value_and_gradient(loss, t, z)
    exact, slope = distillation_of(t, z, temperature)
    np.testing.assert_allclose(found, exact, rtol=digits)
    np.testing.assert_allclose(gradient, slope, atol=digits * np.abs(slope).max())


@thorough_on_jax
def test_a_student_that_agrees_but_for_some_classes():
    """Accuracy holds where a class with almost no probability differs a lot, and where few classes differ.

    In the second row all other classes are off by as much, measured from the largest of 1000 equal ones. The
    value is a thousandth of that, and loses as many digits; the gradient loses none.
    """
    t, z = np.zeros((2, 3, 1000), "float32")
    t[0, 3], z[0, 3], z[0, 5] = -20.0, -23.0, -1e-3
    z[1, 3:] = 1e-3
    z[2, 5] = 1e-3
    found, gradient = value_and_gradient(DistillationLoss(temperature=1.0, reduction="none"), t, z)
    exact, slope = distillation_of(t, z, 1.0)
    assert (np.abs(found - exact) <= [2e-6, 2e-6, 1e-3] * exact).all()
    assert (np.abs(gradient - slope) <= 2e-6 * np.abs(slope).max(-1, keepdims=True)).all()


def distillation_of(t, z, temperature):
    """Accurate value, and the gradient in z, in float64."""
    a, b = (log_softmax(x.astype("float64") / temperature, -1) for x in (t, z))
    terms = np.exp(a) * (np.expm1(b - a) - (b - a))
    return temperature**2 * terms.sum(-1), temperature * np.exp(a) * np.expm1(b - a)


def test_high_temperatures_match_logits():
    """Hinton 2015, section 2.1: for d = z - t the gradient in a logit is (d - mean d) / C."""
    t, z = np.array([[0.0, 0.0, 0.0]], "float32"), np.array([[3.0, 0.0, 0.0]], "float32")
    found, gradient = value_and_gradient(DistillationLoss(temperature=1e6, reduction="none"), t, z)
    np.testing.assert_allclose(found, [((9 + 0 + 0) / 3 - 1) / 2], rtol=3e-6)
    np.testing.assert_allclose(gradient, [[(3 - 1) / 3, (0 - 1) / 3, (0 - 1) / 3]], rtol=3e-6)


@pytest.mark.parametrize("far", [1e2, 1e4])
def test_gradient_of_a_distant_student(far):
    """The gradient is temperature * (p - y), however far apart they are."""
    t, z = np.array([[far, 0.0, -far]], "float32"), np.array([[-far, far, 0.0]], "float32")
    found, gradient = value_and_gradient(DistillationLoss(temperature=3.0, reduction="none"), t, z)
    np.testing.assert_allclose(found, [9 * 2 * far / 3], rtol=1e-6)
    np.testing.assert_allclose(gradient, [[-3.0, 3.0, 0.0]], atol=1e-6)


OF_PROBABILITIES = [
    name
    for name in LOSSES
    if LOSSES[name].card.family == "divergence" and "from_logits" in LOSSES[name].hyperparameters
]


@thorough_on_jax
@pytest.mark.parametrize("name", OF_PROBABILITIES)
def test_classes_that_neither_has(name):
    """Classes of probability 0 on both sides change nothing, and have a finite gradient."""
    y, p = np.array([[0.4, 0.6, 0.0, 0.0]]), np.array([[0.7, 0.3, 0.0, 0.0]], "float32")
    loss = build(name, {})
    found, gradient = value_and_gradient(loss, y, p)
    assert np.isfinite(gradient).all()
    cut_points = 3 if name == "EarthMoverLoss" else 1  # of which it is a mean
    np.testing.assert_allclose(cut_points * found, value(loss, y[:, :2], p[:, :2]), rtol=1e-6)


@thorough_on_jax
@pytest.mark.parametrize("alpha", [1e-3, 0.05, 0.5, 0.95, 1.0, 2.0, 9.0])
def test_a_one_hot_target_is_the_crossentropy_of_renyi(alpha):
    """For a one-hot target the value depends only on p_t, for every alpha above 0."""
    z = np.array([[2.0, -1.0, 0.5], [1e4, -1e4, 0.0], [0.0, 5.0, 0.0]], "float32")
    found, gradient = value_and_gradient(
        RenyiLoss(alpha=alpha, from_logits=True, reduction="none"), np.eye(3), z
    )
    z = z.astype("float64")
    np.testing.assert_allclose(found, -np.diagonal(log_softmax(z, -1)), rtol=3e-6, atol=1e-9)
    np.testing.assert_allclose(gradient, softmax(z, -1) - np.eye(3), atol=1e-6)


@thorough_on_jax
@pytest.mark.parametrize("alpha", [-1.0, 0.0, 0.05, 0.5, 0.95, 1.0, 2.0])
def test_gradient_where_p_is_zero(alpha):
    """At p = 0 the gradient is as steep as where the slope of -log p becomes bounded."""
    y, p = np.array([[0.5, 0.5]]), np.array([[0.0, 1.0]], "float32")
    _, gradient = value_and_gradient(AlphaDivergenceLoss(alpha=alpha, reduction="none"), y, p)
    held = 2.0**63
    if alpha > 0:
        exact = (1 - (0.5 * held) ** alpha) / alpha
    else:
        exact = np.log(2 / held) if alpha == 0 else 0 / 0.5 - 1
    np.testing.assert_allclose(gradient[0, 0], exact, rtol=0.1)


@thorough_on_jax
@pytest.mark.parametrize(("temperature", "alpha"), [(0.25, 0.75), (0.5, 0.5), (2.0, 0.5)])
def test_gradient_where_p_is_zero_and_softened(temperature, alpha):
    """Where a power of p undoes the temperature, the gradient is that of p itself."""
    y, p = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]], "float32")
    loss = AlphaDivergenceLoss(alpha=alpha, temperature=temperature, reduction="none")
    _, gradient = value_and_gradient(loss, y, p)
    # p^(1 - alpha) is p^((1 - alpha) / temperature) here, over alpha (1 - alpha).
    power = (1 - alpha) / temperature
    exact = -power * (2.0**-63) ** (power - 1) / (alpha * (1 - alpha))
    np.testing.assert_allclose(gradient[0, 0], exact, rtol=1e-3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_expm1_minus(dtype):
    """e^x - 1 - x is accurate from 1e-6 to where it overflows."""
    x = np.array([1e-6, -1e-6, 1e-3, -0.3, 0.99, -0.99, 1.01, -1.01, 3.0, -20.0, 80.0]).astype(dtype)
    wide = x.astype("longdouble")
    terms = [wide**2 / 2]
    for n in range(3, 400):
        terms.append(terms[-1] * wide / n)
    exact = np.array([np.sum(column[::-1]) for column in np.array(terms).T])
    exact = np.where(wide < -10, np.expm1(wide) - wide, exact).astype("float64")
    with double_precision():
        found = numpy(numerics.expm1_minus_x(tensor(x, dtype)))
    assert found.dtype == dtype
    np.testing.assert_allclose(found, exact, rtol=2e-6 if dtype == "float32" else 2e-15)


def test_total_variation_keeps_its_digits():
    """1 - p_t of a nearly perfect sample is accurate, and so is its gradient."""
    z = np.array([[25.0, 0.0, 0.0]], "float32")
    loss = TotalVariationLoss(from_logits=True, reduction="none")
    found, gradient = value_and_gradient(loss, np.array([[1.0, 0.0, 0.0]]), z)
    p = np.exp(-25.0) / (1 + 2 * np.exp(-25.0))
    np.testing.assert_allclose(found, [2 * p], rtol=1e-6)
    np.testing.assert_allclose(gradient, [[-2 * p, p, p]], rtol=1e-5)


@thorough_on_jax
@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize(
    ("loss", "options", "away"),
    [
        (KLDivergenceLoss, {}, -(2.0**-22)),
        (KLDivergenceLoss, {"direction": "reverse"}, 2.0**-22),
        (RenyiLoss, {"alpha": 0.5}, -(2.0**-22)),
        (RenyiLoss, {"alpha": 1.0}, -(2.0**-22)),
    ],
)
def test_the_rounding_of_a_target_makes_no_divergence_negative(loss, options, away, from_logits):
    """The sum of a target is 1 up to 2.4e-7, to which the divergence of 1e-12 is added."""
    y = np.array([[0.5, 0.5 + away]], "float32")
    p = np.array([[0.500001, 0.499999]], "float32")
    divergence = loss(**options, from_logits=from_logits, reduction="none")
    found, gradient = value_and_gradient(divergence, y, np.log(p) if from_logits else p)
    assert found == [0.0]
    assert np.isfinite(gradient).all()


@thorough_on_jax
def test_a_divergence_of_0_keeps_its_gradient():
    """z = (0.001, 0) is too near for the rounded sum of the target, but p - y = 0.00025 pulls."""
    y, z = np.array([[0.5, 0.5 - 2.0**-22]], "float32"), np.array([[0.001, 0.0]], "float32")
    found, gradient = value_and_gradient(KLDivergenceLoss(from_logits=True, reduction="none"), y, z)
    assert found == [0.0]
    np.testing.assert_allclose(gradient, [[2.5e-4, -2.5e-4]], rtol=2e-3)
