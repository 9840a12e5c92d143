"""The layer that keeps means of earlier predictions: updates, training, saving and refused arguments."""

import keras
import numpy as np
import pytest

from keras_losses import EarlyLearningLoss, EarlyLearningTargets
from tests.backends import BACKEND, numpy

P = np.array([[0.5, 0.5], [0.25, 0.75]], "float32")


def model_for(samples, classes=2, **options):
    """Return a classifier and the model that trains it."""
    x, number = keras.Input((3,)), keras.Input((), dtype="int32")
    classifier = keras.Sequential([keras.Input((3,)), keras.layers.Dense(classes)])
    outputs = EarlyLearningTargets(samples, from_logits=True, **options)([classifier(x), number])
    training = keras.Model([x, number], outputs)
    options = {"jit_compile": False} if BACKEND == "tensorflow" else {}
    training.compile(keras.optimizers.SGD(0.1), loss=EarlyLearningLoss(from_logits=True), **options)
    return classifier, training


def test_means_of_the_samples_seen():
    """q <- momentum q + (1 - momentum) p in training, for the samples of the batch only."""
    layer = EarlyLearningTargets(samples=4, momentum=0.75)
    numbers = np.array([3, 1])
    np.testing.assert_allclose(numpy(layer([P, numbers])), np.concatenate([P, 0 * P], -1))
    first = numpy(layer([P, numbers], training=True))
    np.testing.assert_allclose(first, np.concatenate([P, 0.25 * P], -1), rtol=1e-6)
    again = numpy(layer([P[:1], numbers[:1]], training=True))
    # 0.75 * 0.25 p + 0.25 p
    np.testing.assert_allclose(again, [[0.5, 0.5, 0.4375 * 0.5, 0.4375 * 0.5]], rtol=1e-6)
    kept = [[0, 0], 0.25 * P[1], [0, 0], 0.4375 * P[0]]
    np.testing.assert_allclose(numpy(layer.means), kept, rtol=1e-6)


def test_logits_are_turned_into_probabilities():
    """The means are those of the softmax; the predictions are returned unchanged."""
    layer = EarlyLearningTargets(samples=2, momentum=0.0, from_logits=True)
    found = numpy(layer([np.log(P), np.array([[0], [1]])], training=True))
    np.testing.assert_allclose(found, np.concatenate([np.log(P), P], -1), rtol=1e-6)


def test_trained_and_saved(tmp_path):
    """`fit` updates the means; a saved and loaded model has them and trains on like the original."""
    keras.utils.set_random_seed(0)
    x, y = np.random.default_rng(0).normal(size=(8, 3)).astype("float32"), np.arange(8) % 2
    numbers = np.arange(8)
    classifier, training = model_for(8)
    z = numpy(classifier(x))
    training.fit([x, numbers], y, batch_size=8, epochs=1, shuffle=False, verbose=0)
    means = numpy(training.layers[-1].means)
    np.testing.assert_allclose(means, 0.3 * np.exp(z) / np.exp(z).sum(-1, keepdims=True), rtol=1e-5)
    training.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(numpy(again.layers[-1].means), means)
    for model in (training, again):
        model.fit([x, numbers], y, batch_size=8, epochs=2, shuffle=False, verbose=0)
    for mine, theirs in zip(training.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(theirs, mine, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"samples": 0}, "`samples` must be an integer in"),
        ({"samples": 2, "momentum": 1.0}, "`momentum` must be a number in"),
        ({"samples": 2, "from_logits": "yes"}, "`from_logits` must be one of"),
    ],
)
def test_refused(options, words):
    """The message for an argument outside its range names it."""
    with pytest.raises((ValueError, TypeError), match=words):
        EarlyLearningTargets(**options)
