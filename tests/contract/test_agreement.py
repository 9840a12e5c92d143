"""The same numbers however the loss is run: eager, compiled, on one replica or on two, in mixed precision.

That the backends agree with one another follows from each agreeing with the references (test_values.py).
"""

import functools

import keras
import numpy as np
import pytest

from tests.backends import BACKEND, MODES, compiled, value_and_gradient
from tests.contract import samples
from tests.contract.test_round_trips import FIRST, last_layer, small_model
from tests.oracles import REGISTRY, rounded_terms

needs_tensorflow = pytest.mark.skipif(BACKEND != "tensorflow", reason="a facility of TensorFlow's")


def once_per_encoding(batch):
    return samples.simple(batch) and "one-hot" not in batch.name


# Each loss as it is, and with everything changed that its labels allow.
CASES = [
    case
    for case in samples.all_cases(lambda case: once_per_encoding(case.batch) and len(case.options) != 1)
    if not (case.loss == "RegularizedLoss" and not case.options)
]


@pytest.mark.costly
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", CASES, ids=repr)
def test_compiled_is_eager(case, mode):
    """tf.function, XLA and jax.jit give the values and gradients of eager mode to 2e-6, of the terms too."""
    y_true, y_pred = case.batch.y_true, case.batch.y_pred.astype("float32")
    weights = np.linspace(0, 2, len(y_pred), dtype="float32")
    loss = case.build(reduction="none")
    values, gradient = value_and_gradient(loss, y_true, y_pred, weights)
    found, slope = compiled(loss, mode)(y_true, y_pred, weights)
    of_samples = weights.reshape(-1, *[1] * (values.ndim - 1))
    bound = 1e-7 + 2e-6 * of_samples * rounded_terms(loss, y_true, y_pred)
    assert (np.abs(found - values) <= bound).all(), (found, values)
    np.testing.assert_allclose(slope, gradient, rtol=2e-6, atol=2e-6 * np.abs(gradient).max())


@pytest.mark.of_the_base
@pytest.mark.costly
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", samples.LOSSES)
def test_compiled_removes_samples(name, mode):
    """In a compiled loss, too, a weight of 0 removes a sample full of NaN, in value and gradient."""
    case = FIRST[name]
    y_true, y_pred = case.batch.y_true, case.batch.y_pred.astype("float32").copy()
    weights = np.ones(len(y_pred), "float32")
    weights[1] = 0
    loss = case.build()
    exact, _ = value_and_gradient(loss, y_true, y_pred, weights)
    y_pred[1] = np.nan
    found, slope = compiled(loss, mode)(y_true, y_pred, weights)
    np.testing.assert_allclose(found, exact, rtol=2e-6)
    assert np.isfinite(slope).all()
    assert (slope[1] == 0).all()


@pytest.mark.of_the_base
@needs_tensorflow
@pytest.mark.parametrize("name", samples.LOSSES)
def test_unknown_batch_size(name):
    """A graph traced for batches of any size gives the values of eager mode."""
    import tensorflow as tf

    case = FIRST[name]
    y_true, y_pred = case.batch.y_true, case.batch.y_pred.astype("float32")
    loss = case.build()
    signature = [tf.TensorSpec((None, *x.shape[1:]), x.dtype) for x in (y_true, y_pred)]
    run = tf.function(lambda y, p: loss(y, p), input_signature=signature)
    for size in (6, 4):
        exact, _ = value_and_gradient(loss, y_true[:size], y_pred[:size])
        np.testing.assert_allclose(run(y_true[:size], y_pred[:size]), exact, rtol=2e-6)


@functools.cache
def two_replicas():
    import tensorflow as tf

    # Collective operations between CPUs trip over one another where a process trains model after model.
    to_one_device = tf.distribute.ReductionToOneDevice()
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"], cross_device_ops=to_one_device)


def changed(name):
    """The loss on its first batch with all hyper-parameters changed that can be."""
    return [case for case in samples.cases(name) if case.batch is FIRST[name].batch][-1]


@needs_tensorflow
@pytest.mark.parametrize("name", [name for name in samples.OF_EACH_KIND if name in samples.ALONE])
def test_two_replicas_are_one(name):
    """Trained by fit on two replicas, a model reaches the weights that it reaches on one, to 1e-6."""
    import tensorflow as tf

    case = changed(name)
    # Where samples are of several losses, each replica divides by those of its own samples.
    common = {"reduction": "sum"} if REGISTRY[name].shares else {}
    reached = []
    assert len(tf.config.list_logical_devices("CPU")) == 2
    for strategy in (tf.distribute.get_strategy(), two_replicas()):
        with strategy.scope():
            keras.utils.set_random_seed(0)
            model, x = small_model(case)
            model.compile(keras.optimizers.SGD(0.05), loss=case.build(**common))
            before = model.get_weights()[0]
        y = np.tile(case.batch.y_true, (2, *[1] * (case.batch.y_true.ndim - 1)))
        model.fit(np.tile(x, (2, 1)), y, batch_size=6, epochs=1, shuffle=False, verbose=0)
        reached.append(model.get_weights())
        assert np.abs(reached[-1][0] - before).max() > 1e-4
    for one, two in zip(*reached, strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-6, atol=1e-6)


@pytest.mark.skipif(BACKEND == "torch", reason="Keras takes no steps together on PyTorch")
@pytest.mark.parametrize("name", samples.OF_EACH_KIND)
def test_steps_in_one_execution(name):
    """With steps_per_execution=4 fit reports the same loss, and reaches the same weights."""
    case = changed(name)
    reached = []
    for together in (1, 4):
        keras.utils.set_random_seed(0)
        model, x = small_model(case)
        model.compile(keras.optimizers.SGD(0.01), loss=case.build(), steps_per_execution=together)
        history = model.fit(x, case.batch.y_true, batch_size=1, shuffle=False, verbose=0)
        reached.append([*history.history["loss"], *model.get_weights()])
    for one, four in zip(*reached, strict=True):
        np.testing.assert_allclose(four, one, rtol=1e-5, atol=1e-6)


# PyTorch has no half-precision kernels on a CPU for all that a layer does.
POLICIES = ["mixed_bfloat16"] if BACKEND == "torch" else ["mixed_float16", "mixed_bfloat16"]


@pytest.mark.of_the_base
@pytest.mark.costly
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", samples.LOSSES)
def test_mixed_precision_trains(name, policy):
    """Under a mixed-precision policy a model trains, in finite steps, on a loss that is float32."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        keras.utils.set_random_seed(0)
        model, x = small_model(FIRST[name])
        model.compile(keras.optimizers.SGD(0.01), loss=FIRST[name].build())
        start = model.get_weights()[0]
        # Steps that overflow are left out, and halve what Keras multiplies the loss with: some more will do.
        y = FIRST[name].batch.y_true
        x, y = (np.tile(each, (20, *[1] * (each.ndim - 1))) for each in (x, y))
        history = model.fit(x, y, batch_size=6, shuffle=False, verbose=0)
    finally:
        keras.config.set_dtype_policy(before)
    assert np.isfinite(history.history["loss"]).all()
    assert all(np.isfinite(weights).all() for weights in model.get_weights())
    assert (model.get_weights()[0] != start).any()


@pytest.mark.of_the_base
@pytest.mark.costly
@pytest.mark.parametrize("masking", [keras.layers.Masking, keras.layers.Embedding])
@pytest.mark.parametrize("name", samples.LOSSES)
def test_mask_of_a_layer_arrives(name, masking):
    """Padding that a layer masks out changes neither the loss nor the step, whatever is in it."""
    case = FIRST[name]
    shape = case.batch.y_true.shape
    y = np.stack([case.batch.y_true, case.batch.y_true], 0).reshape(2, *shape)
    if masking is keras.layers.Masking:
        x, arguments = np.linspace(0.1, 1, 24, dtype="float32").reshape(2, 6, 2), {}
    else:
        x, arguments = np.arange(1, 13).reshape(2, 6), {"input_dim": 13, "output_dim": 2, "mask_zero": True}
    x[:, 4:] = 0
    losses = []
    for length in (6, 4):
        keras.utils.set_random_seed(0)
        layers = [masking(**arguments), last_layer(case)]
        model = keras.Sequential([keras.Input((length, *x.shape[2:])), *layers])
        model.compile(keras.optimizers.SGD(0.1), loss=case.build())
        loss = model.train_on_batch(x[:, :length], y[:, :length])
        losses.append((float(np.ravel(loss)[0]), model.get_weights()))
    # The logarithm of a ratio near 1 has its last digits from that.
    near_one = 2e-6 if samples.pools(case) else 0
    np.testing.assert_allclose(losses[0][0], losses[1][0], rtol=2e-6, atol=near_one)
    for padded, short in zip(losses[0][1], losses[1][1], strict=True):
        np.testing.assert_allclose(padded, short, rtol=1e-5, atol=1e-7)
