"""`regularize`: penalties on the weights of a model that is already built."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_losses import LossAwareModel, SquaredErrorLoss, regularize
from keras_losses.penalties.weight_penalty import WeightPenalty
from keras_losses.training.terms import LossTerms
from tests import thorough
from tests.backends import BACKEND, double_precision, numpy, value_and_gradient
from tests.contract.test_gradients import differences

R = np.random.default_rng(0)


def value_of(model):
    return sum(float(keras.ops.convert_to_numpy(loss)) for loss in model.losses)


def line(**kwargs):
    """y = 2 x1 + 3 x2, as a model that is built."""
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1, name="the_line", **kwargs)])
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
    model.compile(keras.optimizers.SGD(0.5), loss="mse", run_eagerly=True)
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


@pytest.mark.filterwarnings("ignore:.build... was called on layer")
@pytest.mark.parametrize("make", [Composite, Subclassed, Nesting])
def test_what_is_not_saved_is_said(make):
    part = make()
    part(np.ones((1, 2)))
    model = part if isinstance(part, keras.Model) else keras.Sequential([keras.Input((2,)), part])
    with pytest.warns(UserWarning, match=r"penalties on .*dense.*/kernel are trained but not saved"):
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
        (
            {"orthogonal": -0.1},
            ValueError,
            "`orthogonal` must be a number in .0, inf.. Received: orthogonal=-0.1",
        ),
        ({"spectral": True}, TypeError, "Received: spectral=True"),
        ({"l2": 0.1, "where": "kernal"}, ValueError, "no weight is called 'kernal'"),
        ({"l2": 0.1, "layers": "dens"}, ValueError, "'dens' matches none.*The model has: .*the_line"),
        ({"l2": 0.1, "layers": ["the_*", layers.LSTM]}, ValueError, "<class .*LSTM.* matches none"),
        ({"l2": 0.1, "layers": 3}, TypeError, "pattern of names, a class of layers.*Received: layers=3"),
        ({"l2": 0.1, "layers": []}, ValueError, "`layers` must not be empty.*Received: layers=.."),
        (
            {"l2": 0.1, "layers": "the_*", "where": "gamma"},
            ValueError,
            "no weight is called 'gamma'. The layers 'the_.' have: bias, kernel",
        ),
        (
            {"orthogonal": 0.1, "where": "bias"},
            ValueError,
            "at least two axes. Received: where='bias'.*(1,)",
        ),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        regularize(line(), **arguments)


def test_models_that_are_none():
    with pytest.raises(TypeError, match=r"must be a keras\.Model\. Received: Dense"):
        regularize(layers.Dense(1), l2=0.1)
    with pytest.raises(ValueError, match=r"`model` must be built.*without weights"):
        regularize(Subclassed(), l2=0.1)


# Matrices ---------------------------------------------------------------------------------------------


def blocks_of(parts):
    """A block-diagonal matrix."""
    whole, row, column = np.zeros(np.sum([x.shape for x in parts], axis=0)), 0, 0
    for part in parts:
        whole[row : row + part.shape[0], column : column + part.shape[1]] = part
        row, column = row + part.shape[0], column + part.shape[1]
    return whole


def rows(kernel):
    return kernel.reshape(-1, kernel.shape[-1])


def matrices():
    """Layers, and their weights as the matrices that the layers multiply a patch of an input with."""
    image, sequence = keras.Input((8, 8, 4)), keras.Input((6, 4))
    convolution = layers.Conv2D(8, (3, 2))
    grouped = layers.Conv2D(6, 3, groups=2)
    depthwise = layers.DepthwiseConv2D(3, depth_multiplier=2)
    transposed = layers.Conv2DTranspose(5, 3)
    separable = layers.SeparableConv1D(3, 3, depth_multiplier=2)
    attention = layers.MultiHeadAttention(2, 3, value_dim=5)
    of_each = layers.EinsumDense("abc,bcd->abd", (6, 2))
    recurrent = layers.LSTM(5)
    for layer in (convolution, grouped, depthwise, transposed):
        layer(image)
    for layer in (separable, of_each, recurrent):
        layer(sequence)
    attention(sequence, sequence)
    channels = np.moveaxis(numpy(depthwise.kernel), 2, 0)
    yield convolution, [rows(numpy(convolution.kernel))]
    halves = np.split(numpy(grouped.kernel), 2, axis=-1)
    yield grouped, [blocks_of([rows(half) for half in halves])]
    yield depthwise, [blocks_of([rows(channel) for channel in channels])]
    yield transposed, [rows(numpy(transposed.kernel))]
    of_channels = np.moveaxis(numpy(separable.depthwise_kernel), 1, 0)
    yield separable, [blocks_of(list(of_channels)), rows(numpy(separable.pointwise_kernel))]
    heads = [numpy(w) for w in attention.trainable_weights if w.name == "kernel"]
    yield attention, [*(w.reshape(4, -1) for w in heads[:3]), heads[3].reshape(-1, 4)]
    yield of_each, [blocks_of(list(numpy(of_each.kernel)))]
    yield recurrent, [numpy(recurrent.cell.kernel), numpy(recurrent.cell.recurrent_kernel)]


MATRICES = [pytest.param(*pair, id=type(pair[0]).__name__) for pair in matrices()]


def model_of(layer):
    """A model that has no other layer with a kernel."""
    shape = (8, 8, 4) if "2D" in type(layer).__name__ else (6, 4)
    x = keras.Input(shape)
    new = type(layer).from_config(layer.get_config())
    y = new(x, x) if isinstance(layer, layers.MultiHeadAttention) else new(x)
    new.set_weights(layer.get_weights())
    return keras.Model(x, y)


def from_orthonormal(w):
    """||W^T W - I||^2 in singular values, without the zeros of the longer side."""
    return ((np.linalg.svd(w, compute_uv=False) ** 2 - 1) ** 2).sum()


@pytest.mark.parametrize(("layer", "exact"), thorough.few(MATRICES, 3))
def test_singular_values(layer, exact, tmp_path, recwarn):
    """Both penalties in the singular values of the layer's matrices, by NumPy; also when saved and loaded."""
    model, exact = model_of(layer), [x.astype("float64") for x in exact]
    spectral = sum(np.linalg.svd(w, compute_uv=False)[0] ** 2 / 2 for w in exact)
    if isinstance(layer, layers.DepthwiseConv2D | layers.EinsumDense) or getattr(layer, "groups", 1) > 1:
        blocks = {"EinsumDense": 6, "DepthwiseConv2D": 4}.get(type(layer).__name__, 2)
        parts = [
            np.split(half, blocks, axis=1)[k]
            for half in exact
            for k, half in enumerate(np.split(half, blocks))
        ]
    else:
        parts = exact
    if isinstance(layer, layers.SeparableConv1D):
        parts = [*(x for k, x in enumerate(np.split(exact[0], 4))), exact[1]]
        parts = [*(np.split(x, 4, axis=1)[k] for k, x in enumerate(parts[:4])), exact[1]]
    orthogonal = sum(from_orthonormal(w) for w in parts)
    regularize(model, spectral=0.5)
    np.testing.assert_allclose(value_of(model), 0.5 * spectral, rtol=1e-5)
    regularize(model, orthogonal=0.25)
    np.testing.assert_allclose(value_of(model), 0.25 * orthogonal, rtol=1e-5)
    assert len(regularize(model, l1=0.5, l2=0.125, orthogonal=0.25, spectral=2.0)) == len(exact)
    total = 0.25 * orthogonal + 2 * spectral
    total += sum(0.5 * np.abs(w).sum() + 0.125 * (w**2).sum() for w in exact)
    np.testing.assert_allclose(value_of(model), total, rtol=1e-5)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(value_of(again), total, rtol=1e-5)
    assert not [w for w in recwarn if "regularize" in str(w.message)]
    regularize(again)
    assert again.losses == []


@pytest.mark.parametrize(
    ("kernel", "penalties", "exact"),
    [
        ([[2.0, 0.0], [0.0, 1.0]], {"orthogonal": 1.0}, (4 - 1) ** 2),
        ([[1.0, 1.0], [0.0, 1.0]], {"orthogonal": 1.0}, (1 - 1) ** 2 + 2 * 1**2 + (2 - 1) ** 2),
        ([[3.0, 4.0]], {"orthogonal": 0.1}, 0.1 * (25 - 1) ** 2),  # the row: two columns of one are no base
        ([[3.0], [4.0]], {"orthogonal": 0.1}, 0.1 * (25 - 1) ** 2),
        ([[3.0, 4.0]], {"spectral": 1.0}, 25 / 2),
        ([[2.0, 0.0], [0.0, -3.0]], {"spectral": 1.0}, 9 / 2),
        ([[1.0, 1.0], [1.0, 1.0]], {"spectral": 0.5}, 0.5 * 4 / 2),
        ([[1.0, 0.0], [0.0, 1.0]], {"spectral": 1.0}, 1 / 2),  # both of them are the largest
        ([[0.0, 0.0], [0.0, 0.0]], {"spectral": 1.0}, 0),
        ([[2.0, 0.0], [0.0, 1.0]], {"l1": 1.0, "l2": 1.0, "orthogonal": 1.0, "spectral": 1.0}, 3 + 5 + 9 + 2),
    ],
)
def test_penalties_of_matrices_by_hand(kernel, penalties, exact):
    kernel = np.array(kernel, "float32")
    model = keras.Sequential([keras.Input(kernel.shape[:1]), layers.Dense(kernel.shape[1], use_bias=False)])
    model.set_weights([kernel])
    regularize(model, **penalties)
    np.testing.assert_allclose(value_of(model), exact, rtol=1e-6, atol=1e-7)


SPECTRA = {
    "normal": R.normal(size=(200, 150)),
    "wide": R.normal(size=(60, 1000)),
    "a convolution's": R.uniform(-1, 1, (3, 3, 64, 96)),
    "of one direction": np.outer(R.normal(size=70), R.normal(size=80)),
    "of ones": np.ones((90, 100)),
    "orthonormal": np.linalg.qr(R.normal(size=(100, 100)))[0],
    "diagonal": np.diag([2.0, *[1.0] * 99]),
    "of close ones": np.diag(1 - 1e-3 * np.arange(300)),
    "huge": 1e15 * R.normal(size=(70, 80)),
    "tiny": 1e-15 * R.normal(size=(70, 80)),
}


IN_DEFAULT = {"a convolution's", "of one direction", "diagonal", "of close ones", "huge", "tiny"}


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[] if n in IN_DEFAULT else [pytest.mark.thorough]) for n in SPECTRA],
)
def test_largest_singular_value(name):
    """NumPy's to 1e-6 whatever the spectrum, and one over the other end of the scale does not overflow."""
    w = SPECTRA[name].astype("float32")
    found = numpy(WeightPenalty(spectral=2.0)(w))
    assert found.dtype == "float32"
    exact = np.linalg.svd(rows(w).astype("float64"), compute_uv=False)[0]
    np.testing.assert_allclose(np.sqrt(found), exact, rtol=1e-6)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (2, 2, 3, 4)], ids=str)
@pytest.mark.parametrize("penalty", ["l1", "l2", "orthogonal", "spectral"])
def test_gradients(penalty, shape):
    """Those of the arithmetic in NumPy, by central differences in float64."""
    w = R.normal(size=shape)

    def exact(x):
        s = np.linalg.svd(rows(x), compute_uv=False)
        values = {"l1": np.abs(x).sum(), "l2": (x**2).sum(), "spectral": s[0] ** 2 / 2}
        return np.array([0.5 * values.get(penalty, ((s**2 - 1) ** 2).sum())])

    with double_precision():
        regularizer = WeightPenalty(**{penalty: 0.5})
        found, slope = value_and_gradient(lambda _, x, __: regularizer(x), 0.0, w)
    np.testing.assert_allclose(found, exact(w)[0], rtol=1e-10)
    np.testing.assert_allclose(slope, differences(exact, w, pools=True), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    "jit",
    [
        pytest.param(jit, marks=[] if jit == (BACKEND != "torch") else [pytest.mark.thorough])
        for jit in (False, True)
    ],
)
def test_penalties_of_matrices_train(jit, tmp_path):
    """One step of SGD on a loss of 0, compiled: w - rate * slope; saved, loaded, and once more."""
    if BACKEND == "torch" and jit:
        pytest.skip("Keras runs PyTorch step by step")
    w = np.array([[2.0, 0.0], [0.0, 1.0]])
    model = keras.Sequential([keras.Input((2,)), layers.Dense(2, use_bias=False)])
    model.compile(keras.optimizers.SGD(0.01), loss="mse", jit_compile=jit)
    zeros = np.zeros((1, 2))
    model.fit(zeros, zeros, verbose=0)  # a step is traced without the penalty
    model.set_weights([w])
    regularize(model, orthogonal=0.5, spectral=1.0)
    for _ in range(2):
        model.fit(zeros, zeros, verbose=0)
        slope = 0.5 * 4 * w @ (w.T @ w - np.eye(2)) + np.diag([w[0, 0], 0])
        w = w - 0.01 * slope
        np.testing.assert_allclose(model.get_weights()[0], w, rtol=1e-5, atol=1e-7)
        model.save(tmp_path / "model.keras")
        model = keras.saving.load_model(tmp_path / "model.keras")


def test_half_precision_is_penalised_in_float32():
    """Squares and sums of these do not fit float16."""
    for policy in ("float16", "bfloat16", "mixed_float16"):
        model = keras.Sequential([keras.Input((8,)), layers.Dense(8, use_bias=False, dtype=policy)])
        model.set_weights([np.full((8, 8), 64.0)])
        regularize(model, l1=1.0, l2=1.0)
        assert value_of(model) == 64 * 64 + 64 * 64**2
        regularize(model, orthogonal=1.0, spectral=1.0)
        assert all("float32" in str(loss.dtype) for loss in model.losses)
        s2 = (8 * 64.0) ** 2
        np.testing.assert_allclose(value_of(model), (s2 - 1) ** 2 + 7 + s2 / 2, rtol=1e-5)
        model.compile(keras.optimizers.SGD(0.0), loss="mse", run_eagerly=True)
        logs = model.evaluate(np.zeros((1, 8)), np.zeros((1, 8)), verbose=0)
        np.testing.assert_allclose(logs, (s2 - 1) ** 2 + 7 + s2 / 2, rtol=1e-5)


def test_heads_that_cannot_be_told_apart_are_said_not_to_be_saved():
    """Where all kernels of an attention have one shape, the layer cannot know which one leads out."""
    x = keras.Input((3, 2))
    model = keras.Model(x, layers.MultiHeadAttention(2, 2)(x, x))
    with pytest.warns(UserWarning, match="penalties on .*query/kernel.* are trained but not saved"):
        regularize(model, spectral=1.0)
    kernels = [numpy(w) for w in model.trainable_weights if w.name == "kernel"]
    as_rows = [*(w.reshape(2, 4) for w in kernels[:3]), kernels[3].reshape(4, 2)]
    exact = sum(np.linalg.svd(w, compute_uv=False)[0] ** 2 / 2 for w in as_rows)
    np.testing.assert_allclose(value_of(model), exact, rtol=1e-5)


# Layers -----------------------------------------------------------------------------------------------


def named():
    inner = [
        keras.Sequential([keras.Input((6, 4)), layers.Dense(4, name=f"dense_{k}")], name=f"encoder_{k}")
        for k in (1, 2)
    ]
    x = keras.Input((6, 4))
    y = layers.Bidirectional(layers.LSTM(2, return_sequences=True, name="lstm"), name="both")(x)
    y = layers.MultiHeadAttention(2, 2, name="attention")(y, y)
    return keras.Model(x, layers.Dense(1, name="head")(inner[1](inner[0](y))))


@pytest.mark.parametrize(
    ("where", "count"),
    [
        ("encoder_*", 2),
        ("encoder_1/*", 1),
        ("*dense_2", 1),
        (["head", "encoder_2"], 2),
        (layers.Dense, 3),
        ([layers.LSTM, "head"], 5),  # kernel and recurrent kernel of both directions
        (layers.MultiHeadAttention, 4),
        ("forward_lstm", 4),  # what the two directions save is one thing, and so they are taken together
        ("query", 4),
        (keras.Sequential, 2),
        ("*", 11),
    ],
    ids=str,
)
def test_layers_are_named(where, count, tmp_path, recwarn):
    model = named()
    found = regularize(model, l2=0.5, layers=where)
    assert len(found) == count
    kernels = {w.path: numpy(w) for w in model.trainable_weights}
    exact = 0.5 * sum((kernels[path] ** 2).sum() for path in found)
    np.testing.assert_allclose(value_of(model), exact, rtol=1e-5)
    model.save(tmp_path / "model.keras")
    np.testing.assert_allclose(value_of(keras.saving.load_model(tmp_path / "model.keras")), exact, rtol=1e-5)
    assert not [w for w in recwarn if "regularize" in str(w.message)]


def test_penalties_of_some_layers_are_replaced_and_taken_off():
    model = named()
    regularize(model, l2=0.5)
    regularize(model, spectral=0.5, layers="encoder_*")
    assert len(model.losses) == 11
    assert regularize(model, layers=["encoder_*", "head"]) == regularize(model, layers=layers.Dense)
    assert len(model.losses) == 8
    regularize(model)
    assert model.losses == []


@pytest.mark.parametrize(
    "aware",
    [True, pytest.param(False, marks=pytest.mark.thorough)],
    ids=["LossAwareModel", "LossTerms.attach"],
)
def test_the_penalty_comes_into_the_logs_and_goes(aware):
    """As `regularization`, of a model that has been trained without it."""
    model = line()
    model = LossAwareModel.from_model(model) if aware else model
    # Traced, as the penalty must come into a step that is; XLA compiles for longer than this trains.
    jit = BACKEND == "jax"
    model.compile(keras.optimizers.SGD(0.0), loss=SquaredErrorLoss() + SquaredErrorLoss(), jit_compile=jit)
    if not aware:
        LossTerms.attach(model)
    x, y = np.array([[1.0, 0.0]]), np.array([[0.0]])
    assert "regularization" not in model.fit(x, y, verbose=0).history
    regularize(model, l2=0.1, orthogonal=0.5)
    exact = 0.1 * 13 + 0.5 * (13 - 1) ** 2
    for logs in (model.fit(x, y, verbose=0).history, model.evaluate(x, y, verbose=0, return_dict=True)):
        np.testing.assert_allclose(logs["regularization"], np.ravel([exact])[0], rtol=1e-5)
        np.testing.assert_allclose(logs["loss"], exact + 2 * 2**2, rtol=1e-5)
    regularize(model)
    history = model.fit(x, y, verbose=0).history
    assert "regularization" not in history
    np.testing.assert_allclose(history["loss"], 2 * 2**2, rtol=1e-6)
