"""Last layers for the losses over ordered classes: initial values, training, saving and refused arguments."""

import keras
import numpy as np
import pytest

from keras_losses import CoralDense, CoralLoss, CumulativeLink, CumulativeLinkLoss
from tests.backends import BACKEND, numpy, tensor, thorough_on_jax

K = 4
R = np.random.default_rng(0)
X, Y = R.normal(size=(12, 3)).astype("float32"), np.arange(12) % K


def heads():
    """Return each layer by the name of its output, once with a score that comes from another layer."""
    return {
        "coral": CoralDense(K, name="coral"),
        "probit": CumulativeLink(K, "probit", name="probit"),
        "score": keras.Sequential([keras.layers.Dense(1), CumulativeLink(K)], name="score"),
    }


LOSSES = {
    "coral": CoralLoss(K),
    "probit": CumulativeLinkLoss(K, "probit"),
    "score": CumulativeLinkLoss(K),
}


def functional():
    inputs = keras.Input((3,))
    features = keras.layers.Dense(5, activation="tanh")(inputs)
    return keras.Model(inputs, {name: head(features) for name, head in heads().items()})


@keras.saving.register_keras_serializable("tests")
class SubclassedOrdinal(keras.Model):
    def __init__(self, layers=None, **kwargs):
        super().__init__(**kwargs)
        self.heads = layers or heads()

    def call(self, inputs):
        return {name: head(inputs) for name, head in self.heads.items()}

    def get_config(self):
        return {"layers": keras.saving.serialize_keras_object(self.heads)}

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config["layers"]))


LONGER_ON_JAX = pytest.mark.thorough if BACKEND == "jax" else ()


@pytest.mark.parametrize("build", [functional, pytest.param(SubclassedOrdinal, marks=LONGER_ON_JAX)])
def test_heads_train_and_come_back(build, tmp_path):
    """Every head trains, is saved, returns the same when loaded, and trains on."""
    model, labels = build(), dict.fromkeys(LOSSES, Y)
    # Not compiled on TensorFlow, which takes seconds for the probit link; tests/contract compiles it. JAX is
    # slower if it compiles each operation by itself.
    model.compile(keras.optimizers.Adam(0.01), loss=LOSSES, run_eagerly=BACKEND != "jax")
    model.fit(X, labels, batch_size=12, verbose=0)
    before = [np.array(weights) for weights in model.get_weights()]
    model.fit(X, labels, batch_size=12, verbose=0)
    assert all((new != old).any() for new, old in zip(model.get_weights(), before, strict=True))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    for name, outputs in model(X).items():
        np.testing.assert_array_equal(numpy(again(X)[name]), numpy(outputs))
    for one in (model, again):
        one.fit(X, labels, batch_size=12, verbose=0)
    for mine, theirs in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(theirs, mine, rtol=1e-5, atol=1e-7)


def test_coral_dense_shares_its_weights():
    """All ranks share one kernel; the biases start as numbers that decrease from 1 to 1 / (K - 1)."""
    layer = CoralDense(K, kernel_initializer="ones")
    found = numpy(layer(tensor(np.array([[0.0, 0.0], [1.0, 2.0]], "float32"))))
    np.testing.assert_allclose(found, [[1, 2 / 3, 1 / 3], [4, 3 + 2 / 3, 3 + 1 / 3]], rtol=1e-6)
    assert [tuple(weights.shape) for weights in layer.weights] == [(2, 1), (3,)]


@thorough_on_jax
@pytest.mark.parametrize("link", ["logit", "probit", "cloglog"])
def test_cut_points_start_with_equal_classes(link):
    """At the score 0 every class has the probability 1/K."""
    outputs = CumulativeLink(K, link)(tensor(np.zeros((1, 2), "float32")))
    found = CumulativeLinkLoss(K, link).probabilities(numpy(outputs))
    np.testing.assert_allclose(found, [[1 / K] * K], rtol=1e-5)


def test_cut_points_that_are_given():
    """The cut points start at the given numbers, and a single feature is the score itself."""
    layer = CumulativeLink(K, cut_points=[-3, 0.5, 40])
    found = numpy(layer(tensor(np.array([[7.0], [-1e6]], "float32"))))
    np.testing.assert_allclose(found, [[7, -3, 0.5, 40], [-1e6, -3, 0.5, 40]], rtol=1e-6)
    assert CumulativeLink.from_config(layer.get_config()).cut_points == [-3, 0.5, 40]
    assert tuple(CumulativeLink(2)(tensor(np.zeros((5, 3), "float32"))).shape) == (5, 2)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: CumulativeLink(3, cut_points=[1, 1]), r"2 increasing numbers .* Received: .*\[1, 1\]"),
        (lambda: CumulativeLink(3, cut_points=[1]), "2 increasing numbers for num_classes=3"),
        (lambda: CumulativeLink(3, link="log"), "`link` must be one of .* Received: link='log'"),
        (lambda: CumulativeLink(1), "`num_classes` must be an integer in"),
        (lambda: CoralDense(1), "`num_classes` must be an integer in"),
        (lambda: CoralDense(3)(np.zeros(4, "float32")), "last axis of the inputs must be known"),
    ],
)
def test_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_mixed_precision_keeps_the_cut_points():
    """Under mixed precision the packed outputs are float32: near cut points stay apart."""
    layer = CumulativeLink(3, cut_points=[100.0, 100.001], dtype="mixed_bfloat16")
    found = layer(tensor(np.array([[1.0]], "float32")))
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    assert np.diff(numpy(found)[0, 1:]) > 5e-4
