"""`regularize`: penalties on the weights of a model that is already built."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_losses import regularize


def value_of(model):
    return sum(float(keras.ops.convert_to_numpy(loss)) for loss in model.losses)


def line(**kwargs):
    """y = 2 x1 + 3 x2, as a model that is built."""
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1, **kwargs)])
    model.layers[0].set_weights([np.array([[2.0], [3.0]]), np.zeros(1)])
    return model


@keras.saving.register_keras_serializable("tests")
class Composite(layers.Layer):
    """A layer that makes its part anew when it is loaded."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.part = layers.Dense(2)

    def build(self, shape):
        self.part.build(shape)

    def call(self, x):
        return self.part(x)


@keras.saving.register_keras_serializable("tests")
class Subclassed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.part = layers.Dense(2)

    def call(self, x):
        return self.part(x)


@keras.saving.register_keras_serializable("tests")
class OwnDense(layers.Dense):
    """A layer of the user's own that keeps the regularizers of the one that it extends."""


@keras.saving.register_keras_serializable("tests")
class Nesting(Subclassed):
    """A model that makes a whole model anew when it is loaded."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.part = keras.Sequential([keras.Input((2,)), layers.Dense(2)])


def every_layer():
    """Layers that keep their regularizers under all the names that Keras has for them."""
    inputs = keras.Input((8, 4))
    x = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(inputs)
    x = layers.MultiHeadAttention(2, 4)(x, x)
    x = layers.TimeDistributed(keras.Sequential([keras.Input((8,)), layers.Dense(4)]))(x)
    x = layers.SeparableConv1D(4, 3)(x)
    x = layers.DepthwiseConv1D(3)(x)
    x = layers.SpectralNormalization(layers.Conv1D(3, 2))(x)
    x = layers.RNN([layers.GRUCell(3), layers.SimpleRNNCell(4)])(x)
    return keras.Model(inputs, layers.Dense(2)(x))


def test_the_penalty_is_in_the_losses_of_a_built_model():
    model = line()
    assert regularize(model, l1=0.1, l2=0.01) == [model.layers[0].kernel.path]
    assert value_of(model) == pytest.approx(0.1 * (2 + 3) + 0.01 * (2**2 + 3**2))


def test_the_penalty_trains():
    """One step of SGD on a loss of 0: w - rate * 2 * l2 * w."""
    model = line()
    model.compile(keras.optimizers.SGD(0.5), loss="mse")
    x = np.zeros((1, 2))
    model.fit(x, np.zeros((1, 1)), verbose=0)  # a step is traced without the penalty
    regularize(model, l2=0.1)
    logs = model.fit(x, np.zeros((1, 1)), verbose=0).history
    assert logs["loss"][0] == pytest.approx(0.1 * (2**2 + 3**2))
    np.testing.assert_allclose(model.get_weights()[0].ravel(), [2 * (1 - 0.1), 3 * (1 - 0.1)], rtol=1e-6)


def test_the_penalty_is_saved_and_loaded_and_trains_on(tmp_path):
    model = line()
    model.compile(keras.optimizers.SGD(0.5), loss="mse")
    regularize(model, l1=0.5, l2=0.1)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert value_of(loaded) == pytest.approx(0.5 * (2 + 3) + 0.1 * (2**2 + 3**2))
    loaded.fit(np.zeros((1, 2)), np.zeros((1, 1)), verbose=0)
    expected = [2 - 0.5 * (0.5 + 0.2 * 2), 3 - 0.5 * (0.5 + 0.2 * 3)]
    np.testing.assert_allclose(loaded.get_weights()[0].ravel(), expected, rtol=1e-6)


def test_every_kind_of_layer_keeps_the_penalty(tmp_path, recwarn):
    model = every_layer()
    found = regularize(model, l2=0.1)
    kernels = [w for w in model.trainable_weights if w.name.endswith("kernel")]
    assert sorted(found) == sorted(w.path for w in kernels)
    expected = 0.1 * sum(float((keras.ops.convert_to_numpy(w) ** 2).sum()) for w in kernels)
    assert value_of(model) == pytest.approx(expected, rel=1e-5)
    model.save(tmp_path / "model.keras")
    assert value_of(keras.saving.load_model(tmp_path / "model.keras")) == pytest.approx(expected, rel=1e-5)
    assert not [w for w in recwarn if "regularize" in str(w.message)]


@pytest.mark.parametrize(
    ("where", "weights"), [("bias", 8), ("recurrent_kernel", 4), ("depthwise_kernel", 1), ("gamma", 0)]
)
def test_weights_are_named(where, weights):
    model = every_layer()
    if not weights:
        with pytest.raises(ValueError, match=r"no weight is called 'gamma'.*bias, .*kernel"):
            regularize(model, l2=0.1, where=where)
        return
    found = regularize(model, l2=0.1, where=where)
    assert all(path.split("/")[-1].endswith(where) for path in found)
    assert len(found) == len([w for w in model.trainable_weights if w.name.endswith(where)])


def test_the_embedding_is_a_weight_too():
    model = keras.Sequential([keras.Input((3,)), layers.Embedding(5, 4)])
    model.layers[0].set_weights([np.ones((5, 4))])
    regularize(model, l1=1.0, where="embeddings")
    assert value_of(model) == pytest.approx(5 * 4)


def test_a_penalty_is_replaced_and_taken_off():
    model = line(kernel_regularizer=keras.regularizers.L2(1.0))
    regularize(model, l2=0.5)
    regularize(model, l2=0.5)
    assert value_of(model) == pytest.approx(0.5 * (2**2 + 3**2))
    regularize(model)
    assert model.losses == []
    assert model.layers[0].get_config()["kernel_regularizer"] is None


def test_a_layer_of_the_users_own_that_saves_it_is_trusted(tmp_path, recwarn):
    model = keras.Sequential([keras.Input((2,)), OwnDense(1, kernel_initializer="ones")])
    regularize(model, l2=0.5)
    model.save(tmp_path / "model.keras")
    assert value_of(keras.saving.load_model(tmp_path / "model.keras")) == 0.5 * (1**2 + 1**2)
    assert not [w for w in recwarn if "regularize" in str(w.message)]


@pytest.mark.parametrize("make", [Composite, Subclassed, Nesting])
def test_what_is_not_saved_is_said(make):
    part = make()
    part(np.ones((1, 2)))
    model = part if isinstance(part, keras.Model) else keras.Sequential([keras.Input((2,)), part])
    with pytest.warns(UserWarning, match=r"not saved with the model for .*dense.*/kernel"):
        regularize(model, l2=0.1)
    assert value_of(model) > 0


def test_the_warning_points_at_the_caller():
    part = Subclassed()
    part(np.ones((1, 2)))
    with pytest.warns(UserWarning, match="not saved") as caught:
        regularize(part, l2=0.1)
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"l1": -1.0}, ValueError, "`l1` must be a number in .0, inf.. Received: l1=-1.0"),
        ({"l2": float("nan")}, ValueError, "Received: l2=nan"),
        ({"l2": "much"}, TypeError, "Received: l2='much'"),
        ({"l2": 0.1, "where": "kernal"}, ValueError, "no weight is called 'kernal'"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        regularize(line(), **arguments)


def test_models_that_are_none():
    with pytest.raises(TypeError, match=r"must be a keras\.Model\. Received: Dense"):
        regularize(layers.Dense(1), l2=0.1)
    with pytest.raises(ValueError, match="no weights yet"):
        regularize(Subclassed(), l2=0.1)
