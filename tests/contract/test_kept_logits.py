"""The logits that Keras keeps beside a softmax or sigmoid: used where they belong, and nowhere else."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_losses import FocalLoss, MulticlassHingeLoss
from tests import thorough
from tests.backends import BACKEND, numpy, tensor
from tests.contract.test_gradients import differences
from tests.every_loss import ALONE, LOSSES, build
from tests.kinds import kind_of
from tests.oracles import differentiated

pytestmark = pytest.mark.skipif(BACKEND == "jax", reason="Keras keeps no logits beside JAX's arrays")

# A loss of the whole batch has no gradient from one sample.
OF_PROBABILITIES = [
    name for name in ALONE if kind_of(name).keeps_logits and "from_logits" in LOSSES[name].hyperparameters
]
ONLY_OUTPUTS = [name for name in OF_PROBABILITIES if kind_of(name).one_output and not kind_of(name).class_ids]
FROM_LOGITS = [name for name in OF_PROBABILITIES if name not in ONLY_OUTPUTS]
SEVERAL_LABELS = [name for name in FROM_LOGITS if "multi_label" in LOSSES[name].hyperparameters]
ONE_OUTPUT = [name for name in OF_PROBABILITIES if kind_of(name).one_output]
# How the logits are found does not depend on the formula: one loss of each base class.
FEW = {LOSSES[name].__bases__[0]: name for name in reversed(OF_PROBABILITIES)}.values()
if thorough.ASKED:
    FEW = OF_PROBABILITIES

AROUND = next(name for name in LOSSES if "confidence_penalty" in LOSSES[name].hyperparameters)
"""A loss around another that reads the probabilities itself."""

ROUNDING = 3.1e-5
"""A step away from a weight of 300 in float32."""


def one_step(loss, activation, units, label, run_eagerly):
    """The weights of a linear model, and what one step of SGD on a saturated wrong sample makes of them."""
    layers = [keras.Input((2,)), keras.layers.Dense(units, use_bias=False, activation=activation)]
    model = keras.Sequential(layers)
    before = np.array([[300.0, -300.0], [0.0, 0.0]])[:, :units]
    model.set_weights([before])
    model.compile(keras.optimizers.SGD(1.0), loss=loss, run_eagerly=run_eagerly, jit_compile=False)
    model.fit(np.array([[1.0, 0.5]], "float32"), label, verbose=0)
    return model.get_weights()[0] - before


def by_the_formula(name, units, label, **given):
    """That step as the reference has it, which is none for a loss that gives a hopeless sample up."""
    loss = build(name, {"from_logits": True}, units)
    loss = build(AROUND, {"loss": loss, **given}) if given else loss
    z = np.array([[300.0, -300.0]])[:, :units]
    return -differences(differentiated(loss, label, z), z)[0]


def label_for(name, units):
    if units == 1:
        return np.array([[0.0]], "float32")
    return np.array([[0.0, 1.0]], "float32")


# PyTorch is always eager, and a graph is what fit runs elsewhere.
@pytest.mark.parametrize("run_eagerly", [False, True] if BACKEND == "tensorflow" else [False])
@pytest.mark.parametrize(
    ("loss", "units"),
    [(name, 2) for name in FROM_LOGITS if name in FEW] + [(name, 1) for name in ONE_OUTPUT if name in FEW],
)
def test_saturated_sample_trains(loss, units, run_eagerly):
    """Through compile and fit, softmax and sigmoid outputs train as from_logits=True does."""
    label = label_for(loss, units)
    activation = "softmax" if units == 2 else "sigmoid"
    exact = one_step(build(loss, {"from_logits": True}, units), None, units, label, run_eagerly)
    found = one_step(build(loss, {}, units), activation, units, label, run_eagerly)
    np.testing.assert_allclose(exact[0], by_the_formula(loss, units, label), rtol=1e-4, atol=ROUNDING)
    np.testing.assert_allclose(found, exact, rtol=1e-6)


@pytest.mark.parametrize("loss", SEVERAL_LABELS[:2])
def test_a_loss_around_takes_them_too(loss):
    """A loss inside another one has the kept logits as well."""
    for from_logits, activation in ((True, None), (False, "softmax")):
        inner = build(loss, {"from_logits": from_logits}, 2)
        around = build(AROUND, {"loss": inner, "confidence_penalty": 0.1})
        steps = one_step(around, activation, 2, label_for(loss, 2), False)
        exact = by_the_formula(loss, 2, label_for(loss, 2), confidence_penalty=0.1)
        np.testing.assert_allclose(steps[0], exact, rtol=1e-4, atol=ROUNDING)


def in_graph(function, *arrays):
    import tensorflow as tf

    return numpy(tf.function(function, autograph=False)(*map(tensor, arrays)))


def eagerly(function, *arrays):
    return numpy(function(*map(tensor, arrays)))


WAYS = [in_graph, eagerly] if BACKEND == "tensorflow" else [eagerly]


@pytest.mark.parametrize("run", WAYS)
@pytest.mark.parametrize("name", [name for name in FROM_LOGITS if name in FEW])
def test_logits_of_a_sigmoid_are_no_softmax(name, run):
    """Sigmoid outputs that happen to add up to 1 are taken for the probabilities that they are."""
    p = np.array([[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]], "float32")
    y = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]], "float32")
    z = np.log(p) - np.log1p(-p)
    loss = build(name, {}, reduction="none")
    found = run(lambda z: loss(tensor(y), keras.activations.sigmoid(z)), z)
    np.testing.assert_allclose(found, eagerly(lambda p: loss(tensor(y), p), p), rtol=1e-5)


@pytest.mark.parametrize("run", WAYS)
@pytest.mark.parametrize("name", [name for name in SEVERAL_LABELS if name in FEW])
def test_logits_of_a_softmax_are_no_sigmoid(name, run):
    """Softmax outputs under multi_label=True are taken for the probabilities that they are."""
    z = np.array([[0.3, -1.0, 2.0], [1.0, 0.0, 0.0]], "float32")
    y = np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]], "float32")
    p = np.exp(z) / np.exp(z).sum(-1, keepdims=True)
    loss = build(name, {"multi_label": True}, reduction="none")
    found = run(lambda z: loss(tensor(y), keras.activations.softmax(z)), z)
    np.testing.assert_allclose(found, eagerly(lambda p: loss(tensor(y), p), p), rtol=1e-5)


def test_changed_probabilities_have_no_logits():
    """Outputs that were changed after the softmax are taken as they are."""
    loss = build(FROM_LOGITS[0], {}, reduction="none")
    z = np.array([[1.0, 2.0, 3.0]], "float32")
    found = eagerly(lambda z: loss(tensor([0]), ops.flip(keras.activations.softmax(z), axis=-1)), z)
    p = np.exp(z) / np.exp(z).sum()
    np.testing.assert_allclose(found, -np.log(p[0, 2]), rtol=1e-5)


@pytest.mark.parametrize("run_eagerly", [True, False])
@pytest.mark.parametrize(("activation", "units", "label"), [("softmax", 3, [[0]]), ("sigmoid", 1, [[0.0]])])
def test_logits_of_an_activation_are_used_with_a_warning(activation, units, label, run_eagerly):
    """With from_logits=True on a softmax or sigmoid model, a second activation was taken silently."""
    kernel = np.array([[1.0, 2.0, -1.0]], "float32")[:, :units]
    losses = []
    for with_activation in (activation, None):
        layers = [keras.Input((1,)), keras.layers.Dense(units, use_bias=False, activation=with_activation)]
        model = keras.Sequential(layers)
        model.set_weights([kernel])
        model.compile("sgd", loss=FocalLoss(from_logits=True), run_eagerly=run_eagerly, jit_compile=False)
        data = np.ones((1, 1), "float32"), np.array(label)
        if with_activation:
            with pytest.warns(UserWarning, match=r"`FocalLoss`: `y_pred` must be logits .*from_logits=False"):
                losses.append(model.evaluate(*data, verbose=0))
        else:
            losses.append(model.evaluate(*data, verbose=0))
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-6)


@pytest.mark.filterwarnings("error::UserWarning")
def test_scores_of_an_activation_stay_scores():
    """Losses without from_logits take what the model returns, and warn of nothing."""
    scores = keras.activations.softmax(tensor([[1.0, 2.0, 4.0]], "float32"))
    # The true class leads by e^4 - e^2 over the sum, below the margin of 1.
    e = np.exp([1.0, 2.0, 4.0])
    np.testing.assert_allclose(
        numpy(MulticlassHingeLoss()(np.array([2]), scores)), 1 - (e[2] - e[1]) / e.sum(), rtol=1e-5
    )
