"""Penalties that ask the model, against slopes worked out by hand."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_losses import (
    ConsistencyPenalty,
    InputGradientPenalty,
    JacobianPenalty,
    LossAwareModel,
    SquaredErrorLoss,
)

R = np.random.default_rng(0)
X = R.normal(0, 1, (6, 3)).astype("float32")
Y = R.normal(0, 1, (6, 2)).astype("float32")
W = R.normal(0, 1, (3, 2)).astype("float32")
B = np.array([0.5, -0.25], "float32")


# XLA compiles for longer than these models train; JAX without its compiler would not trace.
TRACED = {"run_eagerly": False, "jit_compile": keras.backend.backend() == "jax"}


def model_of(*layers, loss, optimizer=None, inputs=3, **given):
    """Eager unless it is `TRACED`: one step or two cost less than tracing one."""
    model = LossAwareModel.from_model(keras.Sequential([keras.Input((inputs,)), *layers]))
    model.compile(optimizer or keras.optimizers.SGD(1.0), loss=loss, **{"run_eagerly": True, **given})
    return model


def dense(activation=None, loss=None, optimizer=None, **given):
    """f = W^T x + b, or tanh of it."""
    model = model_of(keras.layers.Dense(2, activation=activation), loss=loss, optimizer=optimizer, **given)
    model.set_weights([W, B, *model.get_weights()[2:]])
    return model


def gradient(model, y=Y, **given):
    """One step of gradient descent with a rate of 1 takes it off the weights."""
    before = model.get_weights()[:2]
    model.fit(X, y, batch_size=6, verbose=0, **given)
    return [old - new for old, new in zip(before, model.get_weights()[:2], strict=True)]


def value(model, y=Y, **given):
    return model.evaluate(X, y, batch_size=6, verbose=0, return_dict=True, **given)


# Jacobian ---------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Gradients do not exist for variables")
def test_jacobian_of_a_linear_model():
    """d f_k / d x = the k-th column of W: the sum of the squares is |W|^2, and its gradient 2 W."""
    model = dense(loss=1.0 * JacobianPenalty())
    assert value(model)["loss"] == pytest.approx(np.sum(W**2), rel=1e-5)
    of_w, of_b = gradient(model)
    np.testing.assert_allclose(of_w, 2 * W, rtol=1e-5)
    np.testing.assert_array_equal(of_b, 0)


def tanh_by_hand(w, b):
    """Of each sample: sum_k (1 - f_k^2)^2 |w_k|^2."""
    slope = 1 - np.tanh(X.astype("float64") @ w + b) ** 2
    return (slope**2 * np.sum(w**2, axis=0)).sum(axis=-1)


def differences(function, *arrays, step=1e-5):
    """The gradients of a function of arrays, by central differences in float64."""
    found = []
    for turn, array in enumerate(arrays):
        slopes = np.zeros(array.shape)
        for place in np.ndindex(array.shape):
            moved = [np.array(each, "float64") for each in arrays]
            moved[turn][place] += step
            up = function(*moved)
            moved[turn][place] -= 2 * step
            slopes[place] = (up - function(*moved)) / (2 * step)
        found.append(slopes)
    return found


@pytest.mark.parametrize("weights", [None, np.array([2.0, 0.0, 1.0, 0.5, 0.0, 3.0])], ids=["", "weighted"])
def test_jacobian_of_a_tanh(weights):
    model = dense("tanh", loss=1.0 * JacobianPenalty(), **({} if weights is None else TRACED))
    w = np.ones(6) if weights is None else weights

    def expected(*arrays):
        return np.mean(w * tanh_by_hand(*arrays))

    assert value(model, sample_weight=weights)["loss"] == pytest.approx(expected(W, B), rel=1e-5)
    for found, slopes in zip(
        gradient(model, sample_weight=weights), differences(expected, W, B), strict=True
    ):
        np.testing.assert_allclose(found, slopes, rtol=1e-3, atol=1e-4)


def test_jacobian_of_several_inputs_and_axes():
    """f = x u^T + (sum z) v^T for each of two places: the slopes of both inputs are added up."""
    x, z = keras.Input((2, 1)), keras.Input((3,))
    of_x = keras.layers.Dense(2, use_bias=False, kernel_initializer=keras.initializers.Constant([[1.0, 2.0]]))
    of_z = keras.layers.Dense(2, use_bias=False, kernel_initializer=keras.initializers.Constant(3.0))
    y = of_x(x) + keras.layers.Reshape((1, 2))(of_z(z))
    model = LossAwareModel([x, z], y)
    model.compile("sgd", loss=1.0 * JacobianPenalty(), run_eagerly=True)
    data = [R.normal(0, 1, (5, 2, 1)), R.normal(0, 1, (5, 3))]
    logs = model.evaluate(data, np.zeros((5, 2, 2)), verbose=0, return_dict=True)
    # Each of 2 places: 1^2 + 2^2 of its own x; each of 4 numbers: 3 * 3^2 of z.
    assert logs["jacobian_penalty"] == pytest.approx(2 * 5 + 4 * 27, rel=1e-5)


def test_jacobian_is_a_term_beside_the_labels():
    model = dense(loss=SquaredErrorLoss() + 0.1 * JacobianPenalty(), log_weighted_terms=True)
    history = model.fit(X, Y, validation_data=(X, Y), batch_size=6, verbose=0).history
    expected = np.sum(W**2)
    assert history["jacobian_penalty"] == [pytest.approx(expected, rel=1e-5)]
    assert history["jacobian_penalty_weighted"] == [pytest.approx(0.1 * expected, rel=1e-5)]
    after = np.sum(model.get_weights()[0] ** 2)
    assert history["val_jacobian_penalty"] == [pytest.approx(after, rel=1e-5)]


# The slope of the loss --------------------------------------------------------------------------------


def input_gradient(w, b, y=Y, activation=None):
    """The loss (f - y)^2, mean of 2 outputs, has the slopes (f_k - y_k) f_k' w_k in x: |sum_k ...|^2."""
    f = X.astype("float64") @ w + b
    f, slope = (np.tanh(f), 1 - np.tanh(f) ** 2) if activation else (f, 1.0)
    return np.sum((((f - y) * slope) @ w.T) ** 2, axis=-1)


@pytest.mark.parametrize("inner", ["mean_squared_error", SquaredErrorLoss()], ids=["of Keras", "of ours"])
@pytest.mark.parametrize("activation", [None, "tanh"])
def test_input_gradient(inner, activation):
    model = dense(activation, loss=1.0 * InputGradientPenalty(inner))

    def expected(*arrays):
        return np.mean(input_gradient(*arrays, activation=activation))

    assert value(model)["loss"] == pytest.approx(expected(W, B), rel=1e-5)
    for found, slopes in zip(gradient(model), differences(expected, W, B), strict=True):
        np.testing.assert_allclose(found, slopes, rtol=1e-3, atol=1e-4)


def test_a_label_that_does_not_count_may_be_anything():
    """NaN, with a weight of 0; a weight is of the penalty, not of the loss inside."""
    weights, y = np.array([2.0, 0.0, 1.0, 1.0, 1.0, 1.0]), Y.copy()
    y[1] = np.nan
    model = dense(loss=1.0 * InputGradientPenalty(SquaredErrorLoss()), **TRACED)

    def expected(*arrays):
        each = input_gradient(*arrays)
        return np.mean(weights * each)

    assert value(model, y, sample_weight=weights)["loss"] == pytest.approx(expected(W, B), rel=1e-5)
    for found, slopes in zip(
        gradient(model, y, sample_weight=weights), differences(expected, W, B), strict=True
    ):
        np.testing.assert_allclose(found, slopes, rtol=1e-3, atol=1e-4)


def test_each_output_has_its_own():
    """In whatever order the losses are named, as a dict or a list, and with one penalty for both."""
    x = keras.Input((3,))
    kernels = {"a": 1.0, "b": 2.0}
    outputs = [
        keras.layers.Dense(1, name=name, kernel_initializer=keras.initializers.Constant(kernel))(x)
        for name, kernel in kernels.items()
    ]
    y = {"a": Y[:, :1], "b": Y[:, 1:]}
    penalty = JacobianPenalty()
    for structure, data in (
        (dict(zip("ab", outputs, strict=True)), y),
        (outputs, y),
        (outputs, list(y.values())),
    ):
        for order in ("ab", "ba"):
            model = LossAwareModel(x, structure)
            # On b the slope of (f - y)^2 with f = 2 sum x, three inputs: 3 (2 (f - y) 2)^2.
            losses = {"a": 1.0 * penalty, "b": penalty + InputGradientPenalty("mean_squared_error")}
            model.compile("sgd", loss={name: losses[name] for name in order}, run_eagerly=True)
            logs = model.evaluate(X, data, batch_size=6, verbose=0, return_dict=True)
            assert logs["a_jacobian_penalty"] == pytest.approx(3 * 1.0, rel=1e-5)
            assert logs["b_jacobian_penalty"] == pytest.approx(3 * 4.0, rel=1e-5)
            f = 2 * X.sum(axis=1)
            expected = np.mean(3 * (2 * (f - Y[:, 1]) * 2) ** 2)
            assert logs["b_input_gradient_penalty"] == pytest.approx(expected, rel=1e-5)


# Another answer ---------------------------------------------------------------------------------------


@keras.saving.register_keras_serializable("tests")
class Alternating(keras.layers.Layer):
    """A dropout that nobody draws: in training it multiplies with 1 and 3 by turns."""

    def build(self, shape):
        self.turn = self.add_weight(shape=(), initializer="zeros", trainable=False, name="turn")

    def call(self, x, training=False):
        if not training:
            return x
        factor = 1.0 + 2.0 * ops.convert_to_tensor(self.turn)
        self.turn.assign(1.0 - self.turn)
        return x * ops.copy(factor)


def alternating(penalty):
    """The predictions f = w x of the first pass, and 3 f of the second."""
    initial = keras.initializers.Constant(W)
    layers = Alternating(), keras.layers.Dense(2, use_bias=False, kernel_initializer=initial)
    traced = TRACED if getattr(penalty, "kind", None) == "numbers" else {}
    return model_of(*layers, loss=1.0 * penalty, **traced)


def test_consistency_of_numbers():
    """The mean of (f - 3 f)^2 = 4 f^2; both passes are trained, so its gradient in W is that of 4 f^2."""
    model = alternating(ConsistencyPenalty("numbers"))
    f = X @ W
    history = model.fit(X, Y, validation_data=(X, Y), batch_size=6, verbose=0).history
    assert history["loss"] == [pytest.approx(np.mean(4 * f**2), rel=1e-5)]
    assert history["val_loss"] == [0.0]
    after = ops.convert_to_numpy(model.trainable_variables[0])
    np.testing.assert_allclose(W - after, 8 * X.T @ f / 12, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["classes", "outputs"])
def test_consistency_of_probabilities(kind):
    """sum (p - q) (log p - log q) / 2; for outputs with log-odds, and the mean."""
    model = alternating(ConsistencyPenalty(kind, from_logits=True))
    f = (X @ W).astype("float64")
    if kind == "classes":
        logs = [z - np.log(np.sum(np.exp(z), axis=-1, keepdims=True)) for z in (f, 3 * f)]
        expected = np.sum((np.exp(logs[0]) - np.exp(logs[1])) * (logs[0] - logs[1]) / 2, axis=-1)
    else:
        p, q = (1 / (1 + np.exp(-z)) for z in (f, 3 * f))
        expected = (p - q) * (f - 3 * f) / 2
    history = model.fit(X, Y, batch_size=6, verbose=0).history
    assert history["loss"] == [pytest.approx(np.mean(expected), rel=1e-5)]


@pytest.mark.parametrize("kind", ["classes", "outputs", "numbers"])
def test_without_dropout_both_answers_are_one(kind):
    model = model_of(keras.layers.Dense(2, activation="sigmoid"), loss=1.0 * ConsistencyPenalty(kind))
    for found in gradient(model):
        np.testing.assert_array_equal(found, 0)


def test_with_dropout_they_are_two():
    model = model_of(
        keras.layers.Dropout(0.5, seed=0), keras.layers.Dense(2), loss=1.0 * ConsistencyPenalty("numbers")
    )
    assert model.fit(X, Y, verbose=0).history["loss"][0] > 0
    assert value(model)["loss"] == 0


# What they leave alone --------------------------------------------------------------------------------


def test_the_state_of_layers_is_as_without():
    """Moving averages, and the seeds of dropout: a penalty of weight 0 changes nothing at all."""

    def trained(loss):
        keras.utils.set_random_seed(0)
        layers = keras.layers.Dense(4), keras.layers.BatchNormalization(), keras.layers.Dropout(0.5, seed=1)
        optimizer = keras.optimizers.SGD(0.1)
        model = model_of(*layers, keras.layers.Dense(2), loss=loss, optimizer=optimizer, **TRACED)
        model.fit(X, Y, batch_size=3, epochs=2, verbose=0, shuffle=False)
        return [ops.convert_to_numpy(v) for v in model.variables if v.path.split("/")[0] != "sgd"], model

    alone, _ = trained(1.0 * SquaredErrorLoss())
    penalties = SquaredErrorLoss() + 0 * JacobianPenalty() + 0 * InputGradientPenalty(SquaredErrorLoss())
    beside, model = trained(penalties)
    assert model.evaluate(X, Y, verbose=0, return_dict=True)["jacobian_penalty"] > 0
    assert (
        sum(v.name in ("moving_mean", "moving_variance", "seed_generator_state") for v in model.variables)
        == 3
    )
    for one, other in zip(alone, beside, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_slopes_are_asked_for_as_in_inference():
    """With dropout, and batch normalisation of mean 0 and variance 1, they are those of W in training."""
    layers = keras.layers.Dropout(0.5, seed=0), keras.layers.BatchNormalization(momentum=1.0, epsilon=0.0)
    loss = 1.0 * JacobianPenalty() + InputGradientPenalty(SquaredErrorLoss())
    model = model_of(*layers, keras.layers.Dense(2), loss=loss)
    model.layers[-1].set_weights([W, B])
    history = model.fit(X, Y, batch_size=6, verbose=0).history
    assert history["jacobian_penalty"] == [pytest.approx(np.sum(W**2), rel=1e-5)]
    assert history["input_gradient_penalty"] == [pytest.approx(np.mean(input_gradient(W, B)), rel=1e-5)]


def test_activity_is_penalised_once():
    """A second answer, and the slopes, add nothing to what layers add to the loss."""
    layer = keras.layers.Dense(2, activity_regularizer=keras.regularizers.L2(0.1))
    loss = ConsistencyPenalty("numbers") + 0 * JacobianPenalty()
    model = model_of(layer, loss=loss, optimizer=keras.optimizers.SGD(0.0))
    logs = model.fit(X, Y, batch_size=6, verbose=0).history
    layer(X)
    (once,) = layer.losses  # the mean over the batch; with Keras 3.10 the sum
    assert float(once) > 0
    assert logs["regularization"] == [pytest.approx(float(once), rel=1e-5)]


# Where they cannot be asked ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "penalty", [JacobianPenalty(), InputGradientPenalty("mse"), ConsistencyPenalty("numbers")]
)
def test_a_plain_model_says_what_to_do(penalty):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile("sgd", loss=SquaredErrorLoss() + penalty)
    for act in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match=rf"{type(penalty).__name__}`: .*Compile a LossAwareModel"):
            act(X, Y, verbose=0)
    with pytest.raises(ValueError, match="a direct call do not provide"):
        penalty(Y, Y)


@pytest.mark.parametrize("penalty", [JacobianPenalty(), InputGradientPenalty("mse")])
def test_there_are_no_slopes_in_whole_numbers(penalty):
    x = keras.Input((3,), dtype="int32")
    y = keras.layers.Dense(2)(keras.layers.Flatten()(keras.layers.Embedding(5, 2)(x)))
    model = LossAwareModel(x, y)
    model.compile("sgd", loss=SquaredErrorLoss() + penalty)
    with pytest.raises(ValueError, match=r"floating-point dtype.*Received: int32. .*Embedding outside of"):
        model.fit(np.ones((6, 3), "int32"), Y, verbose=0)


def test_saved_and_trained_on(tmp_path):
    loss = SquaredErrorLoss() + 0.1 * JacobianPenalty() + 0.1 * InputGradientPenalty(SquaredErrorLoss())
    loss = loss + 0.1 * ConsistencyPenalty("numbers")
    model = dense("tanh", loss=loss, optimizer=keras.optimizers.Adam(0.1))
    model.fit(X, Y, verbose=0, epochs=2, shuffle=False)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    histories = [each.fit(X, Y, verbose=0, shuffle=False).history for each in (model, again)]
    assert histories[0].keys() == histories[1].keys() >= {"jacobian_penalty", "consistency_penalty"}
    for name, values in histories[0].items():
        np.testing.assert_allclose(histories[1][name], values, rtol=1e-5, atol=1e-7)
