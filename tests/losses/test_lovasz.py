"""The Lovasz losses against the set function that they extend, and what weights and absent classes do."""

import itertools

import numpy as np
import pytest

from keras_losses import LovaszLoss
from tests.backends import double_precision, thorough_on_jax, value, value_and_gradient

R = np.random.default_rng(0)


def jaccard_loss(truth, wrong, weights):
    """1 - IoU of the mask in which the pixels `wrong` are wrong."""
    predicted = truth ^ wrong
    union = weights[truth | predicted].sum()
    return 1 - weights[truth & predicted].sum() / union if union else 0.0


def largest_of_orders(truth, errors, weights):
    """The largest sum of errors times steps of the Jaccard loss, over every order of the pixels.

    It is the Lovasz extension, because the Jaccard loss is a submodular function of the wrong pixels.
    """
    sums = []
    for order in itertools.permutations(range(len(truth))):
        wrong, before, total = np.zeros(len(truth), bool), 0.0, 0.0
        for pixel in order:
            wrong[pixel] = True
            after = jaccard_loss(truth, wrong, weights)
            total, before = total + errors[pixel] * (after - before), after
        sums.append(total)
    return max(sums)


MASKS = [[1, 1, 0, 0, 0], [0, 1, 1, 1, 1], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]]


@pytest.mark.parametrize("mask", MASKS, ids=str)
@pytest.mark.parametrize("weights", [None, [1.0, 0.3, 2.5, 0.0, 0.7]], ids=["equal", "weighted"])
def test_hinge_is_the_largest_sum_over_all_orders(mask, weights):
    """Of five pixels, with every order tried."""
    truth, logits = np.array(mask, bool), R.normal(0, 1.5, 5)
    errors = np.maximum(1 - logits * (2.0 * truth - 1), 0)
    exact = largest_of_orders(truth, errors, np.ones(5) if weights is None else np.array(weights))
    given = None if weights is None else np.array([weights], "float32")
    y_true, y_pred = truth.astype("float32")[None, :, None], logits.astype("float32")[None, :, None]
    np.testing.assert_allclose(
        value(LovaszLoss(from_logits=True), y_true, y_pred, given), exact, rtol=2e-6, atol=1e-7
    )


@pytest.mark.parametrize("weights", [None, [0.5, 2.0, 0.0, 1.5, 1.0]], ids=["equal", "weighted"])
def test_softmax_is_the_largest_sum_over_all_orders(weights):
    """Of five pixels and three classes, which are all labelled in pixels that count."""
    ids, p = np.array([0, 1, 1, 2, 0]), R.dirichlet(np.ones(3), 5)
    counted = np.ones(5) if weights is None else np.array(weights)
    exact = np.mean([largest_of_orders(ids == k, np.abs((ids == k) - p[:, k]), counted) for k in range(3)])
    given = None if weights is None else counted.astype("float32")[None]
    np.testing.assert_allclose(
        value(LovaszLoss(), ids[None], p.astype("float32")[None], given), exact, rtol=2e-6
    )


@thorough_on_jax
@pytest.mark.parametrize("multi_label", [False, True])
def test_a_pixel_of_weight_two_is_the_pixel_twice(multi_label):
    """Value and gradient: the two equal pixels share the gradient of the heavy one."""
    ids = R.integers(0, 3, (2, 4, 5))
    y_true = np.eye(3, dtype="float32")[ids]
    logits = R.normal(0, 1, (2, 4, 5, 3)).astype("float32")
    weights = np.ones((2, 4, 5), "float32")
    weights[:, :, 0] = 2
    loss = LovaszLoss(from_logits=True, multi_label=multi_label)
    found, slope = value_and_gradient(loss, y_true, logits, weights)
    twice = [np.concatenate([x, x[:, :, :1]], axis=2) for x in (y_true, logits)]
    exact, slopes = value_and_gradient(loss, *twice)
    np.testing.assert_allclose(found, exact, rtol=1e-6)
    np.testing.assert_allclose(slope[:, :, 0], slopes[:, :, 0] + slopes[:, :, -1], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(slope[:, :, 1:], slopes[:, :, 1:-1], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("heavy", [2.0**30, 1e30])
def test_one_pixel_of_a_large_weight(heavy):
    """Weights 1, W and 1: the value was infinite from 2^24 on, where 1 + W - W is 0 in float32."""
    y_true = np.array([[[1.0], [0.0], [0.0]]], "float32")
    logits = np.array([[[-1.0], [2.0], [0.5]]], "float32")
    # Errors 2, 3 and 1.5. The heavy pixel comes first: J_1 = W / (1 + W), and J_2 = 1.
    found, slope = value_and_gradient(
        LovaszLoss(from_logits=True), y_true, logits, np.array([[1.0, heavy, 1.0]], "float32")
    )
    share = heavy / (1 + heavy)
    np.testing.assert_allclose(found, 3 * share + 2 * (1 - share), rtol=2e-6)
    np.testing.assert_allclose(slope.ravel(), [-1 / (1 + heavy), share, 0], rtol=2e-6)


def with_weights(y_true, logits, weights):
    """The value and the gradient of one image with one output, in float64."""
    t, z, w = (np.ravel(x).astype("float64") for x in (y_true, logits, weights))
    errors = np.maximum(1 - z * (2 * t - 1), 0)
    order = np.argsort(-errors, kind="stable")
    inside, outside = (w * t)[order], (w * (1 - t))[order]
    jaccard = 1 - (inside.sum() - inside.cumsum()) / (inside.sum() + outside.cumsum())
    steps = np.empty_like(jaccard)
    steps[order] = np.diff(jaccard, prepend=0.0)
    return (errors * steps).sum(), np.where(errors > 0, steps * (1 - 2 * t), 0)


def test_fractional_weights_keep_their_digits_on_large_images():
    """The cumulative weights of 512 x 512 pixels: one after the other in float32, they lost 30 units."""
    y_true = (R.random((1, 512, 512, 1)) < 0.1).astype("float32")
    logits = R.normal(0, 2, y_true.shape).astype("float32")
    weights = R.uniform(0.1, 3, (1, 512, 512)).astype("float32")
    exact, slopes = with_weights(y_true, logits, weights)
    found, slope = value_and_gradient(LovaszLoss(from_logits=True), y_true, logits, weights)
    np.testing.assert_allclose(found, exact, rtol=2e-6)
    # Rounded errors may be equal, and their order any: so not every pixel is compared.
    counted = slopes != 0
    error = np.abs(slope.ravel() - slopes)[counted] / np.abs(slopes[counted])
    assert np.quantile(error, 0.9) < 1e-6


def test_fractional_weights_in_double_precision():
    """Keras's cumulative sum is float32 on PyTorch."""
    y_true = (R.random((1, 30, 1)) < 0.4).astype("float64")
    logits, weights = R.normal(0, 2, y_true.shape), R.uniform(0.1, 3, (1, 30))
    exact, slopes = with_weights(y_true, logits, weights)
    with double_precision():
        loss = LovaszLoss(from_logits=True, dtype="float64")
        found, slope = value_and_gradient(loss, y_true, logits, weights)
    np.testing.assert_allclose(found, exact, rtol=1e-12)
    np.testing.assert_allclose(slope.ravel(), slopes, rtol=1e-11, atol=1e-15)
