"""Special cases of the losses for ordered classes: decoded classes, divisors and refused arguments."""

import math

import numpy as np
import pytest
from keras import ops
from scipy.integrate import quad
from scipy.special import expit, log_ndtr, ndtr

from keras_losses import CoralLoss, CornLoss, CumulativeLinkLoss, WeightedKappaLoss, numerics
from tests.backends import (
    double_precision,
    numpy,
    tensor,
    thorough_on_jax,
    unchecked,
    value,
    value_and_gradient,
)

K = 4
R = np.random.default_rng(0)
X, Y = R.normal(size=(12, 3)).astype("float32"), np.arange(12) % K


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: CoralLoss(3, importance=[1.0]), r"each of the 2 ranks .* Received: importance=\[1.0\]"),
        (lambda: CornLoss(3, class_weight=[1.0, 2.0]), "each of the 3 classes"),
    ],
)
def test_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize(
    ("loss", "outputs", "head"),
    [
        (CoralLoss(4), 3, "CoralDense"),
        (CornLoss(4), 3, "Dense"),
        (CumulativeLinkLoss(4), 4, "CumulativeLink"),
        (WeightedKappaLoss(4), 4, "softmax"),
    ],
)
def test_advice_on_outputs(loss, outputs, head):
    """A wrong number of outputs raises; the message has both shapes, the right number and the layer."""
    with pytest.raises(ValueError) as caught:
        loss(np.zeros(6, "int32"), np.zeros((6, 5), "float32"))
    for words in (f"{outputs} outputs for num_classes=4", "of shape (6,)", "of shape (6, 5)", head):
        assert words in str(caught.value)
    with pytest.raises(ValueError, match=f"{outputs} outputs"):
        loss.labels(np.zeros((6, 5), "float32"))


# Decoders -------------------------------------------------------------------------------------------

Z = R.normal(0, 2, (20, K - 1))


@thorough_on_jax
def test_coral_classes():
    """Differences of sigmoids, cut off where they cross; the class is the number of sigmoids above 1/2."""
    loss = CoralLoss(K)
    np.testing.assert_array_equal(loss.labels(Z), (Z > 0).sum(-1))
    ordered = -np.sort(-Z, axis=-1)
    edges = np.concatenate([np.ones((20, 1)), expit(ordered), np.zeros((20, 1))], -1)
    np.testing.assert_allclose(loss.probabilities(ordered), -np.diff(edges), rtol=1e-4, atol=1e-6)
    crossing = loss.probabilities(np.array([[-1.0, 1.0, 0.0]]))
    parts = np.array([1 - expit(-1.0), 0, expit(1.0) - 0.5, 0.5])
    np.testing.assert_allclose(crossing[0], parts / parts.sum(), rtol=1e-5)


@thorough_on_jax
def test_corn_classes():
    """Class probabilities are products of the conditional ones."""
    loss, past = CornLoss(K), np.cumprod(expit(Z), -1)
    edges = np.concatenate([np.ones((20, 1)), past, np.zeros((20, 1))], -1)
    np.testing.assert_allclose(loss.probabilities(Z), -np.diff(edges), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(loss.labels(Z), (past > 0.5).sum(-1))
    far = loss.probabilities(np.array([[40.0, 40.0, -60.0]]))
    np.testing.assert_allclose(far[0, 3], math.exp(-60), rtol=1e-5)


@thorough_on_jax
@pytest.mark.parametrize(("link", "f"), [("logit", expit), ("probit", ndtr)])
def test_cumulative_link_classes(link, f):
    """Class probabilities are differences of the distribution function; the class is the median."""
    loss = CumulativeLinkLoss(K, link)
    packed = np.concatenate([Z[:, :1], np.sort(Z[:, 1:], -1), np.full((20, 1), 9.0)], -1)
    at_most = np.concatenate([np.zeros((20, 1)), f(packed[:, 1:] - packed[:, :1]), np.ones((20, 1))], -1)
    np.testing.assert_allclose(loss.probabilities(packed), np.diff(at_most), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(loss.labels(packed), (packed[:, 1:] < packed[:, :1]).sum(-1))


def test_kappa_classes():
    """Class probabilities are the softmax; the class is the likeliest one."""
    z = R.normal(size=(5, K))
    p = np.exp(z) / np.exp(z).sum(-1, keepdims=True)
    loss = WeightedKappaLoss(K, from_logits=True)
    np.testing.assert_allclose(loss.probabilities(z), p, rtol=1e-5)
    np.testing.assert_array_equal(loss.labels(z), p.argmax(-1))
    np.testing.assert_allclose(WeightedKappaLoss(K).probabilities(p), p, rtol=1e-6)


@thorough_on_jax
@pytest.mark.parametrize("loss", [CoralLoss(K), CornLoss(K), CumulativeLinkLoss(K), WeightedKappaLoss(K)])
def test_what_is_decoded_is_what_came(loss):
    """A tensor gives a tensor and an array an array; the classes stay on their axis."""
    packed = np.sort(R.uniform(size=(2, loss.outputs, 3)), 1).astype("float32")
    last = np.moveaxis(packed, 1, -1)
    axis = type(loss).from_config({**loss.get_config(), "axis": 1})
    np.testing.assert_array_equal(axis.labels(packed), loss.labels(last))
    np.testing.assert_array_equal(axis.probabilities(packed), np.moveaxis(loss.probabilities(last), -1, 1))
    assert isinstance(loss.labels(last), np.ndarray)
    assert ops.is_tensor(loss.labels(tensor(last)))
    assert ops.is_tensor(loss.probabilities(tensor(last)))
    np.testing.assert_array_equal(numpy(loss.labels(tensor(last))), loss.labels(last))


def test_probabilities_of_sequences():
    """The probabilities add up to 1 at each step, even where scores are not in order."""
    scores = np.array([[[2.0, 0.0], [-1.0, 1.0], [0.0, 0.0], [3.0, -3.0]]] * 2, "float32")
    found = numpy(CoralLoss(num_classes=3).probabilities(scores))
    np.testing.assert_allclose(found.sum(-1), np.ones((2, 4)), rtol=1e-6)


# What is special to one loss --------------------------------------------------------------------------


@thorough_on_jax
def test_corn_divides_by_its_tasks():
    """Classes 0, 1 and 2 of 3 are in 1, 2 and 2 tasks; with all logits 0, the loss of each task is log 2."""
    y, z = np.array([0, 1, 2]), np.zeros((3, 2), "float32")
    np.testing.assert_allclose(value(CornLoss(3, reduction="sum"), y, z), 5 * math.log(2), rtol=1e-6)
    np.testing.assert_allclose(value(CornLoss(3), y, z), math.log(2), rtol=1e-6)
    z[2] = [math.log(3), 0]  # log 4/3 and log 2 instead of 2 log 2
    exact = (1 * math.log(2) + 2 * math.log(2) + math.log(4 / 3) + math.log(2)) / (1 + 2 + 2)
    np.testing.assert_allclose(value(CornLoss(3), y, z), exact, rtol=1e-6)
    by_weight = CornLoss(3, reduction="mean_with_sample_weight")
    exact = (3 * 2 * math.log(2) + math.log(2)) / (3 * 2 + 1)
    found = value(by_weight, y, z, np.array([1.0, 3.0, 0.0], "float32"))
    np.testing.assert_allclose(found, exact, rtol=1e-6)
    found = value(CornLoss(3), y, z, mask=np.array([True, False, True]))
    np.testing.assert_allclose(found, (2 * math.log(2) + math.log(4 / 3)) / (1 + 2), rtol=1e-6)


@thorough_on_jax
@pytest.mark.parametrize("weights", ["quadratic", "linear"])
def test_kappa_is_that_of_scikit_learn(weights):
    """For hard predictions the loss is log(1 - kappa), with sample weights too."""
    metrics = pytest.importorskip("sklearn.metrics")
    r = np.random.default_rng(1)  # a separate generator, so the draws do not depend on other tests
    guess = (Y + (r.uniform(size=12) < 0.3)) % K
    w = r.uniform(0.5, 2, 12)
    kappa = metrics.cohen_kappa_score(Y, guess, weights=weights, sample_weight=w)
    loss = WeightedKappaLoss(K, weights, epsilon=1e-9, reduction="mean_with_sample_weight")
    found = value(loss, Y, np.eye(K, dtype="float32")[guess], w.astype("float32"))
    np.testing.assert_allclose(found, np.log(1 - kappa), rtol=1e-5)


@thorough_on_jax
def test_kappa_of_one_class_has_no_gradient():
    """The gradient is exactly 0 even for nearly perfect predictions, whose large terms cancel."""
    for off in (0.5, 1e-3, 1e-20, 0.0):
        p = np.array([[1 - off, off / 2, off / 2]] * 3, "float32")
        found, gradient = value_and_gradient(WeightedKappaLoss(3), np.zeros(3, "int32"), p)
        np.testing.assert_allclose(found, math.log(1e-6) if off == 0 else 0, atol=2e-6)
        assert (gradient == 0).all()


@thorough_on_jax
def test_a_perfect_batch_is_worth_epsilon():
    found, gradient = value_and_gradient(WeightedKappaLoss(K), Y, np.eye(K, dtype="float32")[Y])
    np.testing.assert_allclose(found, math.log(1e-6), rtol=1e-6)
    assert np.isfinite(gradient).all()


@thorough_on_jax
def test_kappa_hessian():
    """The derivative of the batch's gradient in one direction is the difference of gradients."""
    z, d = R.normal(size=(12, K)), R.normal(size=(12, K))
    with double_precision():
        loss = WeightedKappaLoss(K, from_logits=True, dtype="float64")
        ahead, behind = (value_and_gradient(loss, Y, z + h * d)[1] for h in (1e-4, -1e-4))
        totals = [value_and_gradient(loss, Y, z + h * d)[0] for h in (1e-3, 0.0, -1e-3)]
    along = ((ahead - behind) * d).sum() / 2e-4
    assert along == pytest.approx((totals[0] - 2 * totals[1] + totals[2]) / 1e-6, rel=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_log_ndtr(dtype):
    """log_ndtr agrees with SciPy from -1e4 up, to the last digits of the dtype."""
    x = np.concatenate([np.linspace(-40, 5, 901), [-1e4, -1e3, -9.999, -10.001]]).astype(dtype)
    with double_precision():
        found = numpy(numerics.log_ndtr(tensor(x)))
    exact = log_ndtr(x.astype("float64"))
    # Above 0 the value is near -e^(-x^2 / 2), whose relative error grows with x^2.
    tolerance = (1e-6 if dtype == "float32" else 2e-14) * np.maximum(1, np.where(x > 0, x**2, 1))
    assert (np.abs(found - exact) <= tolerance * np.abs(exact)).all()


def exact_difference(middle, gap):
    """Return the logarithm of an integral of the density, scaled by the density at the nearer end."""
    a, b = middle + gap / 2, middle - gap / 2
    near = 0.0 if a > 0 > b else min(abs(a), abs(b))
    # Integrate exp(near^2 / 2) times the density, over the part that is not negligible.
    start, width = (b, gap) if near == 0 or b > 0 else (-a, gap)
    width = min(width, 60.0 / max(near, 1.0)) if near else width
    whole = quad(lambda u: math.exp(-0.5 * (start + u - near) * (start + u + near)), 0, width, epsrel=1e-13)[
        0
    ]
    return math.log(whole) - 0.5 * near**2 - 0.5 * math.log(2 * math.pi)


def test_log_ndtr_difference():
    middle, gap = (
        x.reshape(-1)
        for x in np.meshgrid(
            [-1e4, -30.0, -5.0, -0.3, 0.0, 0.7, 8.0, 300.0], [1e-6, 1e-3, 0.3, 1.9, 2.1, 12.0]
        )
    )
    with double_precision():
        given = (tensor(x) for x in (middle + gap / 2, middle - gap / 2, gap))
        found = numpy(numerics.log_ndtr_difference(*given))
    exact = [exact_difference(*pair) for pair in zip(middle, gap, strict=True)]
    np.testing.assert_allclose(found, exact, rtol=1e-11, atol=1e-12)


@thorough_on_jax
def test_crossing_cut_points_where_nothing_is_checked():
    """Eager mode refuses crossing cut points; without checks the loss and its gradient are finite."""
    y, crossing = np.array([1]), np.array([[0.0, 1.0, 0.5]], "float32")
    for link in ("logit", "probit", "cloglog"):
        loss = CumulativeLinkLoss(3, link)
        with pytest.raises(ValueError, match="must increase"):
            value(loss, y, crossing)
        with unchecked():
            found, gradient = value_and_gradient(loss, y, crossing)
        assert np.isfinite(found)
        assert np.isfinite(gradient).all()
