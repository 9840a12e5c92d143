"""Losses of dense detectors beside their relatives, and how numbers between bins are laid out and read."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from keras_losses import (
    AsymmetricLoss,
    CrossentropyLoss,
    DistributionFocalLoss,
    FocalLoss,
    QualityFocalLoss,
    VarifocalLoss,
)
from tests import thorough
from tests.backends import BACKEND, numpy, second_derivative, tensor, unchecked, value, value_and_gradient

LOGITS = np.array([-1e4, -88.0, -17.0, -1.0, 0.0, 3.0, 17.0, 88.0, 1e4], "float32")
OUTPUTS = np.stack([LOGITS, -LOGITS], axis=-1)
LABELS = np.tile([[1.0, 0.0]], (len(LOGITS), 1))

SAME = [
    (QualityFocalLoss(beta=1.5, from_logits=True), FocalLoss(1.5, multi_label=True, from_logits=True)),
    (
        VarifocalLoss(alpha=1.0, gamma=1.5, from_logits=True),
        AsymmetricLoss(gamma_positive=0.0, gamma_negative=1.5, clip=0.0, from_logits=True),
    ),
]


@pytest.mark.parametrize(("loss", "other"), SAME, ids=lambda loss: type(loss).__name__)
def test_labels_of_0_and_1(loss, other):
    """With 0/1 labels they are focal losses, of equal focus on both labels or on negatives alone."""
    for found, exact in zip(
        value_and_gradient(loss, LABELS, OUTPUTS), value_and_gradient(other, LABELS, OUTPUTS), strict=True
    ):
        np.testing.assert_allclose(found, exact, rtol=2e-6)


SURE = np.array([[20.0], [40.0], [60.0], [88.0], [103.0], [1e4]], "float32")


@pytest.mark.parametrize(
    ("loss", "sign"),
    thorough.few(
        [
            (QualityFocalLoss(0.1, from_logits=True), 1),
            (QualityFocalLoss(0.1, from_logits=True), -1),
            (VarifocalLoss(gamma=0.25, from_logits=True), -1),
        ],
        2,
    ),
)
def test_derivatives_of_sure_outputs_are_finite(loss, sign):
    """Where p is y to the last digit of float32, mmdetection's quality focal loss with beta=0.5 is NaN."""
    y_true = np.full(SURE.shape, float(sign > 0))
    _, gradient = value_and_gradient(loss, y_true, sign * SURE)
    assert np.isfinite(gradient).all()
    assert gradient[0, 0] * sign < 0
    assert np.isfinite(second_derivative(loss, y_true, sign * SURE, np.ones_like(SURE))).all()


# Numbers between bins ----------------------------------------------------------------------------------


def test_whole_numbers_are_classes():
    """At a whole number the loss is the cross-entropy of that bin, the last one included."""
    logits = np.random.default_rng(0).normal(0, 3, (5, 4, 5)).astype("float32")
    ids = np.arange(20).reshape(5, 4) % 5
    loss = DistributionFocalLoss(bins=5, from_logits=True)
    other = CrossentropyLoss(from_logits=True)
    for found, exact in zip(
        value_and_gradient(loss, ids.astype("float32"), logits),
        value_and_gradient(other, ids, logits),
        strict=True,
    ):
        np.testing.assert_allclose(found, exact, rtol=2e-6, atol=1e-8)


def test_a_number_just_above_a_bin_keeps_its_digits():
    """Its share of the next bin is 1e-9, which times a loss of 1e4 is 1e-5; 1 - |y - i| would make it 0.

    The share 1 - 1e-9 of its own bin is rounded to 1, which costs 1e-9.
    """
    found = value(DistributionFocalLoss(bins=2, from_logits=True), np.array([1e-9]), np.array([[1e4, 0.0]]))
    np.testing.assert_allclose(found, 1e-9 * 1e4, rtol=0, atol=2e-9)


@pytest.mark.parametrize("bins", [2, 3, 17])
def test_the_best_distribution_is_the_shared_label(bins):
    """At the two bins' shares the gradient is 0, and the mean of the distribution is the label."""
    y = np.linspace(0.01, bins - 1.01, 8)
    shares = np.maximum(1 - np.abs(y[:, None] - np.arange(bins)), 1e-12)
    logits = np.log(shares)
    loss = DistributionFocalLoss(bins=bins, from_logits=True)
    _, gradient = value_and_gradient(loss, y, logits.astype("float32"))
    np.testing.assert_allclose(gradient, 0, atol=1e-6)
    np.testing.assert_allclose(loss.mean(logits), y, rtol=1e-5)


@pytest.mark.parametrize("from_logits", [True, False])
def test_the_mean_is_that_of_the_distribution(from_logits):
    """A quarter, a half and a quarter of the bins 0, 1 and 3; tensors for tensors, arrays for arrays."""
    p = np.array([[[0.25, 0.5, 1e-12, 0.25]]])
    outputs = np.log(p) if from_logits else p
    loss = DistributionFocalLoss(bins=4, from_logits=from_logits)
    assert isinstance(loss.mean(outputs), np.ndarray)
    np.testing.assert_allclose(loss.mean(outputs), [[0.5 + 3 * 0.25]], rtol=1e-6)
    found = loss.mean(tensor(outputs))
    assert ops.is_tensor(found)
    np.testing.assert_allclose(numpy(found), [[1.25]], rtol=1e-6)


@pytest.mark.parametrize(
    ("true", "pred", "words"),
    [
        ((6, 4), (6, 4, 5), r"for each of the 3 bins .* y_pred of shape \(6, 4, 5\), for a loss with bins=3"),
        ((6, 4), (6, 12), r"for each of the 3 bins .* Reshape the outputs to \(\.\.\., 3\)"),
        ((6,), (3,), r"for each of the 3 bins"),
        (
            (6, 4),
            (6, 3),
            r"for each row of bins, of shape \(6,\) or \(6, 1\)\. Received: y_true of shape \(6, 4",
        ),
        ((6, 4), (6, 2, 3), r"of shape \(6, 2\) or \(6, 2, 1\)\. Received: y_true of shape \(6, 4\)"),
        ((6, 4), (6, 2, 3), r"for each row .* End the model with Reshape\(\(\.\.\., 3\)\)"),
    ],
)
def test_advice_on_shapes(true, pred, words):
    with pytest.raises(ValueError, match=words):
        DistributionFocalLoss(bins=3)(np.zeros(true), np.full(pred, 1 / 3))


def test_labels_may_have_an_axis_of_1():
    """It is the last one, on any number of axes."""
    y, logits = np.array([[0.5, 1.0], [2.0, 0.0]]), np.zeros((2, 2, 3), "float32")
    loss = DistributionFocalLoss(bins=3, from_logits=True, reduction="none")
    for y_true in (y, y[..., None]):
        np.testing.assert_allclose(value(loss, y_true, logits), np.full((2, 2), math.log(3)), rtol=1e-6)


def test_only_labels_beyond_the_bins_are_nan():
    """The first and the last bin are valid labels; so are all logits, and no probability above 1."""
    y, p = np.array([0.0, 2.0, -0.25, 2.25, 1.0]), np.array([[0.25, 0.25, 0.5]] * 4 + [[0.25, 1.5, 0.25]])
    with unchecked():
        found = value(DistributionFocalLoss(bins=3, reduction="none"), y, p)
    np.testing.assert_allclose(found, [math.log(4), math.log(2), np.nan, np.nan, np.nan], rtol=1e-6)
    with unchecked():
        found = value(DistributionFocalLoss(bins=3, from_logits=True, reduction="none"), y, 0 * p + 5.0)
    np.testing.assert_allclose(found, np.log([3, 3, np.nan, np.nan, 3]), rtol=1e-6)


def test_a_label_beyond_the_bins_is_shown_with_their_range():
    with pytest.raises(ValueError, match=r"numbers in \[0, 2\], in units of a bin\. Received: 2\.25\."):
        DistributionFocalLoss(bins=3, from_logits=True)(np.array([2.25, 7.0]), np.zeros((2, 3)))


def test_the_mean_needs_the_axis_of_the_bins():
    with pytest.raises(ValueError, match=r"`y_pred` must have an output for each of the 3 bins"):
        DistributionFocalLoss(bins=3).mean(np.zeros((6, 4)))


@pytest.mark.skipif(BACKEND == "jax", reason="Keras keeps no logits beside JAX's arrays")
def test_logits_beside_a_softmax_are_used():
    """A softmax that rounds to 0 keeps the value and the gradient of its logits."""
    z = np.array([[300.0, -300.0]], "float32")

    class Through(DistributionFocalLoss):
        def __call__(self, y_true, y_pred, sample_weight=None):
            return super().__call__(y_true, keras.activations.softmax(y_pred), sample_weight)

    found, gradient = value_and_gradient(Through(bins=2), np.array([0.75]), z)
    np.testing.assert_allclose(found, 0.75 * 600, rtol=1e-6)
    np.testing.assert_allclose(gradient, [[0.75, -0.75]], rtol=1e-6)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="the other backends know the shapes")
def test_axes_of_unknown_length():
    """Labels that do not have the rows of the predictions raise when the graph runs, and do not broadcast."""
    import tensorflow as tf

    loss = DistributionFocalLoss(bins=2, from_logits=True)
    unknown = tf.TensorSpec((None, None)), tf.TensorSpec((None, None, None))

    @tf.function(input_signature=unknown, autograph=False)
    def step(y_true, y_pred):
        return loss(y_true, y_pred)

    assert math.isclose(step(tf.zeros((3, 4)), tf.zeros((3, 4, 2))), math.log(2), rel_tol=1e-6)
    with pytest.raises(tf.errors.InvalidArgumentError):
        step(tf.zeros((3, 1)), tf.zeros((3, 4, 2)))


def test_sides_of_a_box_are_learned():
    """A model that ends with a row of bins for each side, as a detector does, finds four constants."""
    sides = np.array([0.0, 1.25, 2.5, 7.0], "float32")
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(32), keras.layers.Reshape((4, 8))])
    loss = DistributionFocalLoss(bins=8, from_logits=True)
    model.compile(keras.optimizers.Adam(0.5), loss=loss, jit_compile=BACKEND == "jax")
    model.fit(np.ones((640, 1)), np.tile(sides, (640, 1)), batch_size=8, verbose=0)
    found = loss.mean(model.predict(np.ones((1, 1)), verbose=0))
    np.testing.assert_allclose(found[0], sides, atol=0.05)
