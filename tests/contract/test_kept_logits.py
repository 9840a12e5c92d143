"""The logits that Keras keeps beside a softmax or sigmoid: used where they belong, and nowhere else."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.backends import BACKEND, numpy, tensor
from tests.contract import samples
from tests.contract.test_gradients import differences
from tests.oracles import REGISTRY, differentiated

pytestmark = pytest.mark.skipif(BACKEND == "jax", reason="Keras keeps no logits beside JAX's arrays")

# A loss of the whole batch has no gradient from one sample.
OF_PROBABILITIES = [name for name in samples.ALONE if "from_logits" in samples.LOSSES[name].hyperparameters]
# Of predictions that are joined Keras keeps no logits.
FROM_LOGITS = [
    name for name in OF_PROBABILITIES if REGISTRY[name].takes not in ("outputs", *samples.SEVERAL_PREDICTIONS)
]
SEVERAL_LABELS = [name for name in OF_PROBABILITIES if REGISTRY[name].takes == "classes"]
ONE_OUTPUT = [name for name in OF_PROBABILITIES if REGISTRY[name].takes in samples.OF_ONE_OUTPUT]

ROUNDING = 3.1e-5
"""A step away from a weight of 300 in float32."""


def one_step(loss, activation, units, label, run_eagerly):
    """The weights of a linear model, and what one step of SGD on a saturated wrong sample makes of them."""
    layers = [keras.Input((2,)), keras.layers.Dense(units, use_bias=False, activation=activation)]
    model = keras.Sequential(layers)
    before = np.array([[300.0, -300.0], [0.0, 0.0]])[:, :units]
    model.set_weights([before])
    model.compile(keras.optimizers.SGD(1.0), loss=loss, run_eagerly=run_eagerly)
    model.fit(np.array([[1.0, 0.5]], "float32"), label, verbose=0)
    return model.get_weights()[0] - before


def by_the_formula(name, units, label, **given):
    """That step as the reference has it, which is none for a loss that gives a hopeless sample up."""
    loss = samples.build(name, {"from_logits": True}, units)
    loss = samples.build("RegularizedLoss", {"loss": loss, **given}) if given else loss
    z = np.array([[300.0, -300.0]])[:, :units]
    return -differences(differentiated(loss, label, z), z)[0]


def label_for(name, units):
    if units == 1:
        return np.array([[0.0]], "float32")
    return np.array([[0.0, 1.0]], "float32")


@pytest.mark.parametrize("run_eagerly", [False, True])
@pytest.mark.parametrize(
    ("name", "units"), [(name, 2) for name in FROM_LOGITS] + [(name, 1) for name in ONE_OUTPUT]
)
def test_saturated_sample_trains(name, units, run_eagerly):
    """Through compile and fit, softmax and sigmoid outputs train as from_logits=True does."""
    label = label_for(name, units)
    activation = "softmax" if units == 2 else "sigmoid"
    exact = one_step(samples.build(name, {"from_logits": True}, units), None, units, label, run_eagerly)
    found = one_step(samples.build(name, {}, units), activation, units, label, run_eagerly)
    np.testing.assert_allclose(exact[0], by_the_formula(name, units, label), rtol=1e-4, atol=ROUNDING)
    np.testing.assert_allclose(found, exact, rtol=1e-6)


@pytest.mark.parametrize("name", SEVERAL_LABELS)
def test_regularized_loss_takes_them_too(name):
    """A loss inside another one has the kept logits as well."""
    for from_logits, activation in ((True, None), (False, "softmax")):
        inner = samples.build(name, {"from_logits": from_logits}, 2)
        loss = samples.build("RegularizedLoss", {"loss": inner, "confidence_penalty": 0.1})
        steps = one_step(loss, activation, 2, label_for(name, 2), False)
        exact = by_the_formula(name, 2, label_for(name, 2), confidence_penalty=0.1)
        np.testing.assert_allclose(steps[0], exact, rtol=1e-4, atol=ROUNDING)


def in_graph(function, *arrays):
    import tensorflow as tf

    return numpy(tf.function(function)(*map(tensor, arrays)))


def eagerly(function, *arrays):
    return numpy(function(*map(tensor, arrays)))


WAYS = [in_graph, eagerly] if BACKEND == "tensorflow" else [eagerly]


@pytest.mark.parametrize("run", WAYS)
@pytest.mark.parametrize("name", FROM_LOGITS)
def test_logits_of_a_sigmoid_are_no_softmax(name, run):
    """Sigmoid outputs that happen to add up to 1 are taken for the probabilities that they are."""
    p = np.array([[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]], "float32")
    y = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]], "float32")
    z = np.log(p) - np.log1p(-p)
    loss = samples.build(name, {}, reduction="none")
    found = run(lambda z: loss(tensor(y), keras.activations.sigmoid(z)), z)
    np.testing.assert_allclose(found, eagerly(lambda p: loss(tensor(y), p), p), rtol=1e-5)


@pytest.mark.parametrize("run", WAYS)
@pytest.mark.parametrize("name", SEVERAL_LABELS)
def test_logits_of_a_softmax_are_no_sigmoid(name, run):
    """Softmax outputs under multi_label=True are taken for the probabilities that they are."""
    z = np.array([[0.3, -1.0, 2.0], [1.0, 0.0, 0.0]], "float32")
    y = np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]], "float32")
    p = np.exp(z) / np.exp(z).sum(-1, keepdims=True)
    loss = samples.build(name, {"multi_label": True}, reduction="none")
    found = run(lambda z: loss(tensor(y), keras.activations.softmax(z)), z)
    np.testing.assert_allclose(found, eagerly(lambda p: loss(tensor(y), p), p), rtol=1e-5)


def test_changed_probabilities_have_no_logits():
    """Outputs that were changed after the softmax are taken as they are."""
    loss = samples.build(FROM_LOGITS[0], {}, reduction="none")
    z = np.array([[1.0, 2.0, 3.0]], "float32")
    found = eagerly(lambda z: loss(tensor([0]), ops.flip(keras.activations.softmax(z), axis=-1)), z)
    p = np.exp(z) / np.exp(z).sum()
    np.testing.assert_allclose(found, -np.log(p[0, 2]), rtol=1e-5)
