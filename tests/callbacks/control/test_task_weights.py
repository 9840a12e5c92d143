"""Weights of tasks against their formulas, worked out once more in NumPy."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from keras_losses import (
    AbsoluteErrorLoss,
    HuberLoss,
    JacobianPenalty,
    LossAwareModel,
    SquaredErrorLoss,
)
from keras_losses.callbacks import DynamicWeightAverage, GradNorm
from tests.backends import BACKEND

# The tasks are of very different size at first, which is what the callbacks are for.
pytestmark = pytest.mark.filterwarnings("ignore:The term .* of the loss in epoch")


R = np.random.default_rng(0)
X = R.normal(0, 1, (16, 3)).astype("float32")
Y = {"a": R.normal(0, 1, (16, 1)).astype("float32"), "b": 5 * R.normal(0, 1, (16, 1)).astype("float32")}
TERMS = ["a_squared_error_loss", "b_squared_error_loss"]
PATHS = ["a/weights/squared_error_loss", "b/weights/squared_error_loss"]


# XLA compiles for longer than these models train; JAX without its compiler would not trace.
TRACED = {"run_eagerly": False, "jit_compile": BACKEND == "jax"}


def tasks(optimizer=None, aware=True, losses=None, **given):
    """Two outputs of one linear layer; eager unless it is `TRACED`, as most fits are of a few steps."""
    keras.utils.set_random_seed(0)
    x = keras.Input((3,))
    shared = keras.layers.Dense(2, use_bias=False, name="shared")(x)
    outputs = {name: keras.layers.Dense(1, use_bias=False, name=name)(shared) for name in "ab"}
    model = (LossAwareModel if aware else keras.Model)(x, outputs)
    losses = losses or {name: 1.0 * SquaredErrorLoss() for name in "ab"}
    given = {"run_eagerly": True, **given}
    model.compile(optimizer or keras.optimizers.SGD(0.02), loss=losses, **given)
    return model


def fit(model, *callbacks, **given):
    given = {"batch_size": 16, "epochs": 4, "verbose": 0, "shuffle": False, **given}
    return model.fit(X, Y, callbacks=list(callbacks), **given).history


def weights_of(model):
    return [model.loss[name].weights["squared_error_loss"] for name in "ab"]


# Dynamic weight average -------------------------------------------------------------------------------


def averages(losses, temperature):
    """The weights of each epoch, of the losses of all, `(epochs, tasks)`."""
    found = [np.ones(losses.shape[1])] * 2
    for before, last in itertools.pairwise(losses):
        e = np.exp(last / before / temperature)
        found.append(losses.shape[1] * e / e.sum())
    return np.array(found[: len(losses)])


@pytest.mark.parametrize(
    ("temperature", "aware"),
    [
        (2.0, True),
        (0.1, False),
        pytest.param(2.0, False, marks=pytest.mark.thorough),
        pytest.param(0.1, True, marks=pytest.mark.thorough),
    ],
)
def test_dynamic_weight_average(temperature, aware):
    model = tasks(aware=aware, **(TRACED if aware else {}))
    history = fit(model, DynamicWeightAverage(temperature), epochs=5, batch_size=8)
    losses = np.array([history[name] for name in TERMS]).T
    found = np.array([history[path] for path in PATHS]).T
    np.testing.assert_allclose(found, averages(losses, temperature), rtol=1e-5)
    np.testing.assert_allclose(found.sum(axis=1), 2.0, rtol=1e-6)
    assert np.ptp(found[2:]) > 1e-3
    # The loss is of these weights.
    np.testing.assert_allclose(history["loss"], (losses * found).sum(axis=1), rtol=1e-5)


def test_terms_of_one_output():
    """Those that are named; the others keep their weights."""
    x = keras.Input((3,))
    model = LossAwareModel(x, keras.layers.Dense(1)(x))
    loss = SquaredErrorLoss() + AbsoluteErrorLoss() + 0.3 * HuberLoss()
    model.compile(keras.optimizers.SGD(0.02), loss=loss, run_eagerly=True)
    names = ["absolute_error_loss", "squared_error_loss"]
    callback = DynamicWeightAverage(terms=names)
    history = model.fit(X, Y["a"], epochs=4, callbacks=[callback], verbose=0).history
    losses = np.array([history[name] for name in names]).T
    found = np.array([history[f"weights/{name}"] for name in names]).T
    np.testing.assert_allclose(found, averages(losses, 2.0), rtol=1e-5)
    assert model.loss.weights["huber_loss"] == 0.3
    assert "weights/huber_loss" not in history


def test_two_groups_of_tasks():
    losses = {name: SquaredErrorLoss() + AbsoluteErrorLoss() for name in "ab"}
    groups = [[f"{name}_{kind}_error_loss" for kind in ("squared", "absolute")] for name in "ab"]
    history = fit(tasks(losses=losses), *(DynamicWeightAverage(terms=group) for group in groups))
    for name, group in zip("ab", groups, strict=True):
        of = np.array([history[term] for term in group]).T
        found = [history[f"{name}/weights/{kind}_error_loss"] for kind in ("squared", "absolute")]
        np.testing.assert_allclose(np.array(found).T, averages(of, 2.0), rtol=1e-5)


def test_a_loss_that_is_no_number_leaves_the_weights():
    model, y = tasks(keras.optimizers.SGD(0.0)), {**Y, "a": Y["a"] * np.nan}
    callback = DynamicWeightAverage(0.1)
    fit(model, callback, epochs=3)
    before = weights_of(model)
    with pytest.warns(UserWarning, match="a_squared_error_loss became infinite or NaN"):
        model.fit(X, y, callbacks=[callback], verbose=0)
    assert weights_of(model) == before


def test_dynamic_weight_average_goes_on(tmp_path):
    """In a second fit, and in a model that was loaded, as if it had been one."""
    whole, parts = tasks(), tasks()
    expected = fit(whole, DynamicWeightAverage(0.5), epochs=6)
    callback = DynamicWeightAverage(0.5)
    first, second = fit(parts, callback, epochs=2), fit(parts, callback, epochs=2)
    parts.save(tmp_path / "model.keras")
    third = fit(keras.saving.load_model(tmp_path / "model.keras"), DynamicWeightAverage(0.5), epochs=2)
    for name in ("loss", *PATHS):
        np.testing.assert_allclose(first[name] + second[name] + third[name], expected[name], rtol=1e-5)


def test_other_losses_begin_anew():
    model = tasks()
    fit(model, DynamicWeightAverage(), epochs=3)
    losses = {"a": SquaredErrorLoss() + AbsoluteErrorLoss(), "b": 1.0 * SquaredErrorLoss()}
    model.compile("sgd", loss=losses, run_eagerly=True)
    history = fit(model, DynamicWeightAverage(), epochs=2)
    for name in (*PATHS, "a/weights/absolute_error_loss"):
        assert history[name] == [1.0, 1.0]


# GradNorm ---------------------------------------------------------------------------------------------


def by_hand(kernels, steps, alpha, rate, sgd):
    """f_k = x W u_k with (f_k - y_k)^2: the slope in W is 2/n x^T r_k u_k^T. All weights of each step."""
    w, heads = kernels[0].astype("float64"), [kernel.astype("float64") for kernel in kernels[1:]]
    weights, first, found = np.ones(2), None, []
    for _ in range(steps):
        residuals = [X @ w @ head - Y[name] for head, name in zip(heads, "ab", strict=True)]
        losses = np.array([np.mean(r**2) for r in residuals])
        slopes = [2 / 16 * X.T @ r @ head.T for r, head in zip(residuals, heads, strict=True)]
        of_heads = [2 / 16 * (X @ w).T @ r for r in residuals]
        norms = np.array([np.sqrt(np.sum(slope**2)) for slope in slopes])
        first = losses if first is None else first
        slowness = losses / first / np.mean(losses / first)
        sizes = weights * norms
        aim = sizes.mean() * slowness**alpha
        moved = weights * np.exp(-rate * np.sign(sizes - aim) * sizes / sizes.mean())
        w = w - sgd * sum(weight * slope for weight, slope in zip(weights, slopes, strict=True))
        heads = [h - sgd * k * s for h, k, s in zip(heads, weights, of_heads, strict=True)]
        weights = moved / moved.mean()
        found.append(weights)
    return np.array(found)


@pytest.mark.parametrize(
    ("alpha", "aware"),
    [
        (1.5, True),
        (3.0, False),
        *(
            pytest.param(alpha, aware, marks=pytest.mark.thorough)
            for alpha, aware in ((0.0, True), (0.0, False), (1.5, False), (3.0, True))
        ),
    ],
)
def test_grad_norm(alpha, aware):
    model = tasks(aware=aware, **(TRACED if aware else {}))
    # The three alphas part after two and after three steps.
    kernels = [np.eye(3)[:, :2], np.array([[1.0], [0.5]]), np.array([[0.5], [-0.5]])]
    model.set_weights([*kernels, *model.get_weights()[3:]])
    history = fit(model, GradNorm("shared", alpha=alpha, learning_rate=0.1), epochs=6)
    found = np.array([history[path] for path in PATHS]).T
    np.testing.assert_allclose(found, by_hand(kernels, 6, alpha, 0.1, 0.02), rtol=1e-4)
    np.testing.assert_allclose(found.sum(axis=1), 2.0, rtol=1e-6)
    assert weights_of(model) == pytest.approx(list(found[-1]))


@pytest.mark.thorough  # test_grad_norm.py has its like, of which the norms are further apart
def test_without_alpha_all_gradients_come_to_one_size():
    """The model stands still, so the norms n_k do, and the weights come to where w_k n_k are equal."""
    model = tasks(keras.optimizers.SGD(0.0), **TRACED)
    w, *heads = np.eye(3)[:, :2], np.array([[0.5], [-0.5]]), np.array([[0.5], [-0.5]])
    model.set_weights([w, *heads, *model.get_weights()[3:]])
    norms = []
    for head, name in zip(heads, "ab", strict=True):
        slope = 2 / 16 * X.T @ (X @ w @ head - Y[name]) @ head.T
        norms.append(np.sqrt(np.sum(slope**2)))
    assert 2 < max(norms) / min(norms) < 4
    # One epoch of many steps, all of the whole data.
    x, y = np.tile(X, (500, 1)), {name: np.tile(of, (500, 1)) for name, of in Y.items()}
    callback = GradNorm(model.get_layer("shared"), alpha=0.0, learning_rate=0.002)
    model.fit(x, y, batch_size=16, callbacks=[callback], verbose=0, shuffle=False)
    a, b = np.array(weights_of(model)) * norms
    assert a == pytest.approx(b, rel=0.05)


def test_terms_of_one_output_and_a_penalty():
    """Penalties that ask the model are tasks as well: |W|^2 has the slope 2 W."""
    x = keras.Input((3,))
    keras.utils.set_random_seed(0)
    model = LossAwareModel(x, keras.layers.Dense(1, use_bias=False, name="shared")(x))
    loss = SquaredErrorLoss() + JacobianPenalty()
    model.compile(keras.optimizers.SGD(0.0), loss=loss, run_eagerly=True)
    w = model.get_weights()[0]
    callback = GradNorm("shared", alpha=0.0, learning_rate=0.1)
    history = model.fit(X, Y["a"], batch_size=16, callbacks=[callback], verbose=0).history
    norms = np.array([np.linalg.norm(2 / 16 * X.T @ (X @ w - Y["a"])), np.linalg.norm(2 * w)])
    moved = np.exp(-0.1 * np.sign(norms - norms.mean()) * norms / norms.mean())
    expected = moved / moved.mean()
    found = [history[f"weights/{name}"][0] for name in ("squared_error_loss", "jacobian_penalty")]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_terms_that_are_not_named_are_left_alone():
    losses = {"a": SquaredErrorLoss() + 0.2 * JacobianPenalty(), "b": 1.0 * SquaredErrorLoss()}
    model = tasks(losses=losses)
    history = fit(model, GradNorm("shared", terms=TERMS), epochs=2)
    assert losses["a"].weights["jacobian_penalty"] == 0.2
    assert sum(history[path][-1] for path in PATHS) == pytest.approx(2.0, rel=1e-6)


def test_grad_norm_under_sample_weights_and_validation():
    """A sample of weight 0 moves nothing; validation moves no weight."""
    weights = (np.arange(16) < 12).astype("float32")
    y = {name: np.where(weights[:, None] > 0, of, 1e3) for name, of in Y.items()}
    found = []
    for labels in (Y, y):
        model = tasks()
        history = model.fit(
            X, labels, sample_weight={"a": weights, "b": weights}, callbacks=[GradNorm("shared")], verbose=0
        ).history
        found.append([history[path] for path in PATHS])
        before = weights_of(model)
        model.evaluate(X, labels, verbose=0)
        assert weights_of(model) == before
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)


def test_grad_norm_goes_on(tmp_path):
    whole, parts = (tasks(keras.optimizers.Adam(0.02), log_weighted_terms=True) for _ in range(2))
    expected = fit(whole, GradNorm("shared", learning_rate=0.1), epochs=5)
    callback = GradNorm("shared", learning_rate=0.1)
    first, second = fit(parts, callback, epochs=2), fit(parts, callback, epochs=1)
    parts.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    third = fit(loaded, GradNorm("shared", learning_rate=0.1), epochs=2)
    for name in ("loss", *PATHS):
        np.testing.assert_allclose(first[name] + second[name] + third[name], expected[name], rtol=1e-5)
    before = weights_of(loaded)
    fit(loaded, epochs=1)  # without it the weights stay
    assert weights_of(loaded) == before
    assert loaded.evaluate(X, Y, verbose=0, return_dict=True)["a_squared_error_loss_weighted"] > 0


# What they refuse -------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [DynamicWeightAverage, lambda **given: GradNorm("shared", **given)])
def test_terms_that_are_none(make):
    for terms in (["a_squared_error_loss"], [], "ab"):
        with pytest.raises(ValueError, match="`terms` must be two or more names of terms"):
            make(terms=terms)
    with pytest.raises(ValueError, match="Its terms are: a_squared_error_loss, b_squared_error_loss"):
        fit(tasks(), make(terms=["a_squared_error_loss", "c"]))
    for losses in ({"a": "mse", "b": "mse"}, {"a": 1.0 * SquaredErrorLoss(), "b": "mse"}):
        with pytest.raises(
            ValueError, match="two or more terms, or several outputs with a CompositeLoss each"
        ):
            fit(tasks(losses=losses), make())


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda x: DynamicWeightAverage(temperature=x), "temperature"),
        (lambda x: GradNorm("shared", learning_rate=x), "learning_rate"),
        (lambda x: GradNorm("shared", alpha=x), "alpha"),
    ],
)
def test_numbers_out_of_range(make, name):
    for value in (-1.0, float("nan"), "1", True, *([] if name == "alpha" else [0.0])):
        message = rf"`{name}` must be a number in .*Received: {name}={value!r}"
        with pytest.raises((TypeError, ValueError), match=message):
            make(value)


def test_a_layer_that_is_none():
    with pytest.raises(ValueError, match=r"Received: shared='body'. The model has: a, b, shared\."):
        fit(tasks(), GradNorm("body"))
    model = tasks()
    model.get_layer("shared").trainable = False
    model.compile("sgd", loss=model.loss)
    with pytest.raises(ValueError, match="a layer of the model with trainable weights"):
        fit(model, GradNorm("shared"))


@pytest.mark.skipif(BACKEND != "tensorflow", reason="a facility of TensorFlow's")
def test_two_replicas():
    """The averages of both are one's; gradient norms of each its own are none."""
    import tensorflow as tf

    to_one_device = tf.distribute.ReductionToOneDevice()
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"], cross_device_ops=to_one_device)
    histories = []
    for scope in (tf.distribute.get_strategy(), strategy):
        with scope.scope():
            model = tasks(**TRACED)
        histories.append(fit(model, DynamicWeightAverage(0.5)))
    for path in PATHS:
        np.testing.assert_allclose(histories[0][path], histories[1][path], rtol=1e-5)
    with pytest.raises(ValueError, match="`GradNorm`: the model must have one replica"):
        fit(model, GradNorm("shared"))


def test_weights_are_numbers_of_the_model():
    """What is saved with it, and read in its steps."""
    model = tasks()
    fit(model, DynamicWeightAverage(0.1))
    values = [float(ops.convert_to_numpy(model.loss[name].weight("squared_error_loss"))) for name in "ab"]
    assert values == pytest.approx(weights_of(model), rel=1e-6)
