"""What Keras does with a loss: files, replicas, mixed precision, masks, several steps at once.

None of it depends on the formula, so each is tried on one loss of each path through the base, or on fewer;
with `--thorough` on all.
"""

import functools

import keras
import numpy as np
import pytest
from keras import ops

from tests import thorough
from tests.backends import BACKEND, value_and_gradient
from tests.contract.cases import Case, changed, combined, first, plain, pools
from tests.every_loss import ALONE, LOSSES, ONE_OF_EACH_PATH
from tests.kinds import kind_of
from tests.kinds.classes import Joined
from tests.models import arguments, reloaded, small_model
from tests.oracles import REGISTRY

needs_tensorflow = pytest.mark.skipif(BACKEND != "tensorflow", reason="a facility of TensorFlow's")
PATHS = list(LOSSES) if thorough.ASKED else thorough.few(ONE_OF_EACH_PATH, 8)
# A loss that counts samples by shares is among them, since its mean has a divisor of its own.
FEW = [*thorough.spread(PATHS, 3), *(name for name in LOSSES if REGISTRY[name].shares)]
# The mask of a layer is one of time steps, which images do not have.
MASKED = [name for name in PATHS if not kind_of(name).whole_images]


def for_a_layer(loss: str) -> Case:
    """A case whose predictions a layer can make: of a pair, one is of probabilities."""
    if isinstance(kind_of(loss), Joined):
        return next(
            case
            for case in plain(loss)
            if "probabilities" in case.batch.name and case.batch.known is None and case.batch.y_pred.ndim == 2
        )
    return first(loss)


def is_linear(loss: str) -> bool:
    """Whether the model for the loss ends with a linear layer."""
    last = kind_of(loss).last_layer(for_a_layer(loss).build(), 1)
    return getattr(last, "activation", None) is keras.activations.linear


ONE = next(name for name in reversed(ONE_OF_EACH_PATH) if is_linear(name))


def with_everything(loss: str) -> Case:
    """That case with all hyper-parameters changed that can be."""
    case = for_a_layer(loss)
    return combined(loss, changed(loss).options, case.batch) or case


@pytest.mark.parametrize("loss", PATHS)
def test_keras_file(loss, tmp_path):
    """A .keras file needs no custom_objects: the loss has all its arguments, and training goes on."""
    case = with_everything(loss)
    model, x = small_model(case)
    y = case.batch.y_true
    built = case.build(name="mine", reduction="sum")
    model.compile(keras.optimizers.SGD(0.01), loss=built, run_eagerly=True)
    model.train_on_batch(x, y)
    again = reloaded(model, tmp_path)
    assert type(again.loss) is LOSSES[loss]
    assert arguments(again.loss) == arguments(built)
    again.run_eagerly = True
    # A sum of both signs has the rounding of its parts, not of what is left of them.
    size = np.abs(ops.convert_to_numpy(case.build(reduction=None)(y, model(x)))).sum()
    for one in (model, again):
        one.reset_metrics()
    found = [np.ravel(one.train_on_batch(x, y))[0] for one in (model, again)]
    np.testing.assert_allclose(*found, rtol=0, atol=1e-6 * size)
    for mine, theirs in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-7)


def test_weights_file(tmp_path):
    """A .weights.h5 file, into a model compiled with the loss's config: the same loss, and the same steps."""
    case = for_a_layer(ONE)
    made = []
    for turn in range(2):
        keras.utils.set_random_seed(turn)
        model, x = small_model(case)
        again = keras.losses.deserialize(keras.losses.serialize(case.build()))
        model.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss=again, jit_compile=False)
        if not made:
            model.fit(x, case.batch.y_true, verbose=0, batch_size=6)
            model.save_weights(tmp_path / "model.weights.h5")
        else:
            model.optimizer.build(model.trainable_variables)
            model.load_weights(tmp_path / "model.weights.h5")
        made.append(model)
    for model in made:
        model.reset_metrics()  # old Keras would go on with the mean over the steps of fit
    found = [model.train_on_batch(x, case.batch.y_true) for model in made]
    np.testing.assert_allclose(*found, rtol=1e-6)
    for mine, theirs in zip(*(model.get_weights() for model in made), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-7)


@needs_tensorflow
def test_export(tmp_path):
    """A compiled and trained model is exported as a SavedModel, which predicts the same."""
    import tensorflow as tf

    case = for_a_layer(ONE)
    model, x = small_model(case)
    model.compile("sgd", loss=case.build(), run_eagerly=True)
    model.train_on_batch(x, case.batch.y_true)
    model.export(tmp_path / "exported", verbose=False)
    exported = tf.saved_model.load(tmp_path / "exported")
    np.testing.assert_allclose(exported.serve(x), model.predict(x, verbose=0), rtol=1e-6)


@functools.cache
def two_replicas():
    import tensorflow as tf

    # Collective operations between CPUs trip over one another where a process trains model after model.
    to_one_device = tf.distribute.ReductionToOneDevice()
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"], cross_device_ops=to_one_device)


@needs_tensorflow
@pytest.mark.parametrize("loss", [name for name in FEW if name in ALONE])
def test_two_replicas_are_one(loss):
    """Trained by fit on two replicas, a model reaches the weights that it reaches on one, to 1e-6."""
    import tensorflow as tf

    case = with_everything(loss)
    # Where samples are of several losses, each replica divides by those of its own samples.
    common = {"reduction": "sum"} if REGISTRY[loss].shares else {}
    reached = []
    assert len(tf.config.list_logical_devices("CPU")) == 2
    for strategy in (tf.distribute.get_strategy(), two_replicas()):
        with strategy.scope():
            keras.utils.set_random_seed(0)
            model, x = small_model(case)
            model.compile(keras.optimizers.SGD(0.05), loss=case.build(**common), jit_compile=False)
            before = model.get_weights()[0]
        y = np.tile(case.batch.y_true, (2, *[1] * (case.batch.y_true.ndim - 1)))
        model.fit(np.tile(x, (2, 1)), y, batch_size=6, epochs=1, shuffle=False, verbose=0)
        reached.append(model.get_weights())
        assert np.abs(reached[-1][0] - before).max() > 1e-4
    for one, two in zip(*reached, strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-6, atol=1e-6)


@pytest.mark.skipif(BACKEND == "torch", reason="Keras takes no steps together on PyTorch")
@pytest.mark.parametrize("loss", [ONE] if not thorough.ASKED else PATHS)
def test_steps_in_one_execution(loss):
    """With steps_per_execution=4 fit reports the same loss, and reaches the same weights."""
    case = with_everything(loss)
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


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("loss", FEW)
def test_mixed_precision_trains(loss, policy):
    """Under a mixed-precision policy a model trains, in finite steps, on a loss that is float32."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    case = for_a_layer(loss)
    try:
        keras.utils.set_random_seed(0)
        model, x = small_model(case)
        model.compile(keras.optimizers.SGD(0.01), loss=case.build(), jit_compile=False)
        start = model.get_weights()[0]
        # Steps that overflow are left out, and halve what Keras multiplies the loss with: some more will do.
        x, y = (np.tile(each, (20, *[1] * (each.ndim - 1))) for each in (x, case.batch.y_true))
        history = model.fit(x, y, batch_size=6, shuffle=False, verbose=0)
    finally:
        keras.config.set_dtype_policy(before)
    assert np.isfinite(history.history["loss"]).all()
    assert all(np.isfinite(weights).all() for weights in model.get_weights())
    assert (model.get_weights()[0] != start).any()


@pytest.mark.parametrize("masking", [keras.layers.Masking, keras.layers.Embedding])
@pytest.mark.parametrize("loss", MASKED[:: 3 if thorough.FEW else 1])
def test_mask_of_a_layer_arrives(loss, masking):
    """Padding that a layer masks out changes neither the loss nor the step, whatever is in it."""
    case = for_a_layer(loss)
    shape = case.batch.y_true.shape
    y = np.stack([case.batch.y_true, case.batch.y_true], 0).reshape(2, *shape)
    if masking is keras.layers.Masking:
        x, given = np.linspace(0.1, 1, 24, dtype="float32").reshape(2, 6, 2), {}
    else:
        x, given = np.arange(1, 13).reshape(2, 6), {"input_dim": 13, "output_dim": 2, "mask_zero": True}
    x[:, 4:] = 0
    found = []
    for length in (6, 4):
        keras.utils.set_random_seed(0)
        last = kind_of(loss).last_layer(case.build(), case.batch.y_pred.shape[-1])
        model = keras.Sequential([keras.Input((length, *x.shape[2:])), masking(**given), last])
        model.compile(keras.optimizers.SGD(0.1), loss=case.build(), run_eagerly=True)
        value = model.train_on_batch(x[:, :length], y[:, :length])
        found.append((float(np.ravel(value)[0]), model.get_weights()))
    # The logarithm of a ratio near 1 has its last digits from that.
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=2e-6, atol=2e-6 * pools(case))
    for padded, short in zip(found[0][1], found[1][1], strict=True):
        np.testing.assert_allclose(padded, short, rtol=1e-5, atol=1e-7)


def test_gradient_of_the_value_is_what_fit_steps_along():
    """One step of SGD in fit is the learning rate times the gradient of the value."""
    case = for_a_layer(ONE)
    model, x = small_model(case)
    kernel, bias = model.get_weights()
    model.compile(keras.optimizers.SGD(0.5), loss=case.build())
    model.fit(x, case.batch.y_true, batch_size=6, verbose=0)
    y_pred = (x @ kernel + bias).astype("float32")
    _, slope = value_and_gradient(case.build(), case.y_true, y_pred)
    np.testing.assert_allclose(model.get_weights()[0], kernel - 0.5 * x.T @ slope, rtol=1e-5, atol=1e-6)
