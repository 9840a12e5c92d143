"""Soft labels for ordered classes: values by hand, every form of ids, and training."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from keras_losses import CrossentropyLoss, KLDivergenceLoss, OrdinalLabels
from tests.backends import numpy, tensor, thorough_on_jax, value_and_gradient

K = 4
R = np.random.default_rng(0)
Y = np.arange(12) % K


def test_soft_labels_by_hand():
    """Two classes away, a label is e^-4 (sord) or e^-2 (exponential) before scaling, or p^2 with p = 1/6."""
    total = 1 + math.exp(-1) + math.exp(-4)
    np.testing.assert_allclose(OrdinalLabels(3)([0])[0], np.exp([0, -1, -4]) / total, rtol=1e-6)
    wide = np.exp([0, -0.5, -1.0])
    found = OrdinalLabels(3, kind="exponential", scale=0.5)([0])[0]
    np.testing.assert_allclose(found, wide / wide.sum(), rtol=1e-6)
    found = OrdinalLabels(3, kind="binomial")([0, 2])
    np.testing.assert_allclose(found, [[25 / 36, 10 / 36, 1 / 36], [1 / 36, 10 / 36, 25 / 36]], rtol=1e-6)


def test_soft_labels_of_many_classes():
    """The label is the likeliest class, and far classes have 0, not NaN."""
    for kind in ("sord", "exponential", "binomial"):
        rows = OrdinalLabels(300, kind=kind, scale=50.0)(np.arange(300))
        np.testing.assert_array_equal(rows.argmax(-1), np.arange(300))
        np.testing.assert_allclose(rows.sum(-1), 1, rtol=1e-5)


@pytest.mark.parametrize("kind", ["sord", "exponential", "binomial"])
def test_soft_labels_of_anything(kind):
    """Arrays, columns, images and tensors, in eager mode and in dataset.map, give the same rows."""
    import tensorflow as tf

    soften = OrdinalLabels(K, kind=kind)
    exact = soften(Y)
    assert exact.shape == (12, K)
    np.testing.assert_array_equal(soften(Y[:, None]), exact)
    np.testing.assert_array_equal(soften(Y.reshape(3, 4)), exact.reshape(3, 4, K))
    np.testing.assert_array_equal(soften(Y.astype("uint8").tolist()), exact)
    for dtype in ("int32", "uint8", "float32"):
        np.testing.assert_array_equal(numpy(soften(tensor(Y.astype(dtype)))), exact)
        data = tf.data.Dataset.from_tensor_slices(Y.astype(dtype))
        np.testing.assert_array_equal(np.stack(list(data.map(soften).as_numpy_iterator())), exact)
        np.testing.assert_array_equal(next(data.batch(12).map(soften).as_numpy_iterator()), exact)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(soften))
    assert again.get_config() == soften.get_config()
    np.testing.assert_array_equal(again(Y), exact)
    assert kind in repr(soften)


@thorough_on_jax
def test_soft_labels_train():
    """Cross-entropy and divergence on soft labels have the same gradient, and the decoder takes both."""
    soften, z = OrdinalLabels(K), R.normal(size=(12, K)).astype("float32")
    slopes = [
        value_and_gradient(loss(from_logits=True), soften(Y), z)[1]
        for loss in (CrossentropyLoss, KLDivergenceLoss)
    ]
    np.testing.assert_allclose(*slopes, rtol=1e-4, atol=1e-7)
    np.testing.assert_array_equal(soften.labels(z), z.argmax(-1))
    assert ops.is_tensor(soften.labels(tensor(z)))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: OrdinalLabels(1), "`num_classes` must be an integer in"),
        (lambda: OrdinalLabels(3, kind="soft"), "`kind` must be one of .* Received: kind='soft'"),
        (lambda: OrdinalLabels(3, scale=0.0), "`scale` must be a number in"),
        (lambda: OrdinalLabels(3)([0, 3]), "from 0 to 2. Received: 3."),
        (lambda: OrdinalLabels(3)([-1]), "from 0 to 2. Received: -1."),
        (lambda: OrdinalLabels(3)([0.5]), "from 0 to 2. Received: 0.5."),
    ],
)
def test_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
