"""Hyper-parameters that training finds: their values, their steps, and what a model keeps of them."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from keras_losses import (
    AdaptiveBarronLoss,
    CompositeLoss,
    DistillationLoss,
    HuberLoss,
    Learned,
    LossAwareModel,
    LossState,
    SquaredErrorLoss,
    UncertaintyWeightedLoss,
)
from keras_losses.core import ElementwiseLoss, Loss, parameter
from keras_losses.core.interval import Interval
from tests.backends import BACKEND
from tests.oracles import partition

R = np.random.default_rng(0)
X = R.normal(0, 1, (32, 3)).astype("float32")
Y = (X @ np.array([[1.0], [2.0], [-1.0]])).astype("float32")


class OffsetLoss(ElementwiseLoss):
    """slope * offset, whatever the data: the gradient in the offset is the slope."""

    offset: float = parameter(default=0.0, within="(-inf, inf)", live=True)
    slope: float = parameter(default=4.0, within="(0, inf)", live=True)

    def elementwise(self, y_true, y_pred):
        return self.slope * self.offset + 0.0 * y_pred


class Of(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.last = keras.layers.Dense(1)

    def call(self, x):
        return self.last(x)


keras.saving.register_keras_serializable("tests")(Of)


class OfOurs(LossAwareModel):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.last = keras.layers.Dense(1)

    def call(self, x):
        return self.last(x)


keras.saving.register_keras_serializable("tests")(OfOurs)


def functional():
    x = keras.Input((3,))
    return LossAwareModel(x, keras.layers.Dense(1)(x))


def sequential():
    return LossAwareModel.from_model(keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)]))


def subclass(of=OfOurs):
    model = of()
    model.build((None, 3))
    return model


MODELS = {
    "functional": functional,
    "sequential": sequential,
    "subclass": subclass,
    "wrapped": lambda: LossAwareModel.from_model(subclass(Of)),
}


# XLA compiles for longer than these models train; JAX without its compiler would not trace.
TRACED = {"run_eagerly": False, "jit_compile": BACKEND == "jax"}


def compiled(loss, make=functional, optimizer=None, **given):
    """Eager unless it is `TRACED`: a handful of steps costs less than tracing one."""
    keras.utils.set_random_seed(0)
    model = make()
    given = {"run_eagerly": True, **given}
    model.compile(optimizer or keras.optimizers.Adam(0.05), loss=loss, **given)
    return model


def fitted(model, **given):
    return model.fit(X, Y, **{"batch_size": 16, "epochs": 2, "verbose": 0, "shuffle": False, **given}).history


def raw(model):
    """What the optimizer trains, by the names of the hyper-parameters."""
    return {name: ops.convert_to_numpy(variable) for (_, name, variable) in model.loss_state._learned}


def assert_same_weights(one, other, tolerance=1e-6):
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


# The value --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("interval", "initial", "times", "r", "expected"),
    [
        ("(-inf, inf)", -3.0, 1.0, 0.0, -3.0),
        ("(-inf, inf)", -3.0, 10.0, 0.5, -3.0 + 10 * 0.5),
        ("(0, inf)", 4.0, 1.0, 0.0, 4.0),
        ("(1, inf)", 4.0, 2.0, math.log(5) / 2, 1 + 3 * 5),
        ("[1, inf)", 4.0, 1.0, -50.0, 1 + 3 * math.exp(-50)),
        ("(-inf, 1]", -2.0, 1.0, 0.0, -2.0),
        ("(-inf, 1)", -2.0, 0.5, 2 * math.log(3), 1 - 3 / 3),
        ("(0, 1)", 0.25, 1.0, 0.0, 0.25),
        ("[2, 6]", 3.0, 1.0, math.log(3), 2 + 4 / 2),  # logit(1/4) = -log 3
        ("[2, 6]", 3.0, 3.0, math.log(3), 2 + 4 * 9 / 10),  # -log 3 + 3 log 3 = log 9
        ("(0.001, 1.999)", 1.0, 1.0, 0.0, 1.0),
    ],
)
def test_the_value_by_hand(interval, initial, times, r, expected):
    value = Learned(initial, times).value(ops.convert_to_tensor(r, "float32"), Interval(interval))
    assert float(ops.convert_to_numpy(value)) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("interval", ["(0, inf)", "(-inf, 1)", "[2, 6]", "(0.001, 1.999)"])
def test_the_value_stays_within_the_closed_range(interval):
    low, high = Interval(interval).ends
    initial = (max(low, -4.0) + min(high, 4.0)) / 2
    for r in (-80.0, -5.0, 5.0, 80.0):
        raw_value = ops.convert_to_tensor(r, "float32")
        value = ops.convert_to_numpy(Learned(initial).value(raw_value, Interval(interval)))
        assert np.float32(low) <= value <= np.float32(high)
        assert (value < initial) == (r < 0)


def test_round_trips():
    given = Learned(2.0, learning_rate=3)
    assert given == Learned(2.0, 3.0)
    assert given.get_config() == {"initial": 2.0, "learning_rate": 3.0}
    assert Learned.from_config(given.get_config()) == given
    loss = DistillationLoss(temperature=given, name="teacher")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert again._stated("temperature") == given
    assert again.get_config() == loss.get_config()
    assert "temperature=Learned(2.0, learning_rate=3.0)" in repr(loss)
    nested = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(SquaredErrorLoss() + 2 * HuberLoss(delta=given))
    )
    assert nested.losses["huber_loss"]._stated("delta") == given


@pytest.mark.parametrize(
    "bad",
    [{"initial": float("nan")}, {"initial": "1"}, {"initial": True}, {"initial": 1, "learning_rate": 0}],
)
def test_numbers_that_it_does_not_take(bad):
    with pytest.raises(ValueError, match=r"`Learned`: `(initial|learning_rate)` must be"):
        Learned(**bad)


@pytest.mark.parametrize("initial", [0.0, -1.0])
def test_training_begins_inside_of_the_range(initial):
    with pytest.raises(ValueError, match=r"`delta` must be a number in \(0, inf\).*not on its ends"):
        HuberLoss(delta=Learned(initial))


def test_what_cannot_be_learned():
    """Whole numbers, and what is no number of a range."""
    with pytest.raises(TypeError, match=r"`AdaptiveBarronLoss`: `outputs` must be an integer.*Learned"):
        AdaptiveBarronLoss(outputs=Learned(2.0))
    with pytest.raises((TypeError, ValueError), match="`weights`"):
        CompositeLoss([SquaredErrorLoss()], weights=[Learned(1.0)])


# Where nobody trains it -------------------------------------------------------------------------------


def test_a_plain_model_says_what_to_do():
    for act in (lambda m: m.fit(X, Y, verbose=0), lambda m: m.evaluate(X, Y, verbose=0)):
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        model.compile("sgd", loss=SquaredErrorLoss() + AdaptiveBarronLoss(alpha=1.5))
        with pytest.raises(
            ValueError, match=r"`AdaptiveBarronLoss`: `scale` must have a variable.*LossAwareModel"
        ):
            act(model)


def test_a_call_by_hand_says_what_to_do():
    with pytest.raises(ValueError, match=r"`alpha`, `scale` must have a variable.*LossState"):
        AdaptiveBarronLoss()(Y, Y)
    assert AdaptiveBarronLoss(alpha=1.0).alpha == 1.0
    assert AdaptiveBarronLoss().alpha == 1.0  # where training begins


# Steps ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("times", [1.0, 10.0])
def test_a_step_of_gradient_descent(times):
    """d loss / d offset = 4: the offset goes from 1 by 0.1 * m * 4, as r does by 0.1 * 4."""
    loss = OffsetLoss(offset=Learned(1.0, learning_rate=times))
    model = compiled(loss, optimizer=keras.optimizers.SGD(0.1))
    model.train_on_batch(X, Y)
    assert raw(model)["offset"] == pytest.approx(-0.1 * 4)
    assert float(loss(Y, Y)) == pytest.approx(4 * (1 - 0.1 * times * 4))
    model.train_on_batch(X, Y)
    assert raw(model)["offset"] == pytest.approx(-0.2 * 4)


@pytest.mark.parametrize("times", [1.0, 10.0])
def test_the_first_step_of_adam(times):
    """Whatever the gradient, r goes by the learning rate, and the value by m times that."""
    loss = OffsetLoss(offset=Learned(1.0, learning_rate=times), slope=4.0)
    model = compiled(loss, optimizer=keras.optimizers.Adam(0.01))
    model.train_on_batch(X, Y)
    assert float(loss(Y, Y)) == pytest.approx(4 * (1 - 0.01 * times), rel=1e-5)


def test_a_bounded_one_moves_by_its_slope():
    """value = 1 + 3 e^r has the slope 3 at r = 0, and loss = 2 value the gradient 6: r = -0.1 * 6."""

    class ScaledLoss(ElementwiseLoss):
        scale: float = parameter(default=2.0, within="(1, inf)", live=True)

        def elementwise(self, y_true, y_pred):
            return 2 * self.scale + 0.0 * y_pred

    loss = ScaledLoss(scale=Learned(4.0))
    model = compiled(loss, optimizer=keras.optimizers.SGD(0.1))
    model.train_on_batch(X, Y)
    assert raw(model)["scale"] == pytest.approx(-0.6, rel=1e-6)
    assert float(loss(Y, Y)) == pytest.approx(2 * (1 + 3 * math.exp(-0.6)), rel=1e-6)


def test_any_number_of_any_loss():
    """A temperature, inside of a sum."""
    keras.utils.set_random_seed(0)
    model = LossAwareModel.from_model(keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)]))
    distillation = DistillationLoss(temperature=Learned(4.0, learning_rate=10.0))
    model.compile(keras.optimizers.SGD(0.1), loss=0.5 * distillation, run_eagerly=True)
    teacher = (3 * R.normal(0, 1, (32, 4))).astype("float32")
    model.fit(X, teacher, verbose=0)
    assert raw(model)["temperature"] != 0
    assert 0 < float(ops.convert_to_numpy(distillation.temperature)) != 4.0


def test_in_a_loop_of_ones_own():
    loss = SquaredErrorLoss() + OffsetLoss(offset=Learned(1.0, learning_rate=2.0))
    state = LossState(loss)
    (variable,) = state.trainable_variables
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build([variable])
    for _ in range(2):
        if BACKEND == "tensorflow":
            import tensorflow as tf

            with tf.GradientTape() as tape:
                total = loss(Y, Y)
            gradient = tape.gradient(total, variable.value)
        elif BACKEND == "jax":
            import jax

            def of(value):
                with keras.StatelessScope(state_mapping=[(variable, value)]):
                    return loss(Y, Y)

            gradient = jax.grad(of)(variable.value)
        else:
            loss(Y, Y).backward()
            gradient = variable.value.grad.clone()
            variable.value.grad.zero_()
        optimizer.apply([gradient], [variable])
    assert float(loss(Y, Y)) == pytest.approx(4 * (1 - 2 * 0.1 * 2 * 4))  # two steps of lr * m * gradient
    empty = LossState([HuberLoss(), SquaredErrorLoss()])
    assert empty.trainable_variables == []


# Models -----------------------------------------------------------------------------------------------


def kinds(*in_default):
    """All kinds of models, of which the default suite has some: each in one of the tests that have them."""
    marks = {name: [] if name in in_default else [pytest.mark.thorough] for name in MODELS}
    return [pytest.param(make, id=name, marks=marks[name]) for name, make in MODELS.items()]


@pytest.mark.filterwarnings("ignore:.build... was called on layer")
@pytest.mark.parametrize("make", kinds("sequential", "subclass"))
def test_it_is_among_what_is_trained(make):
    model = compiled(AdaptiveBarronLoss(name="robust"), make)
    before = raw(model)
    fitted(model)
    own = {v.name for v in model.trainable_variables}
    assert own == {"kernel", "bias", "robust_alpha", "robust_scale"}
    assert len(model.trainable_variables) == 2 + 2
    assert all(raw(model)[name] != before[name] for name in ("alpha", "scale"))


@pytest.mark.filterwarnings("ignore:.build... was called on layer")
@pytest.mark.parametrize("make", kinds("functional", "wrapped"))
def test_saved_and_trained_on(make, tmp_path):
    """Without custom_objects, and the optimizer goes on: as the model that was not saved."""
    model = compiled(AdaptiveBarronLoss(alpha=Learned(1.5, 3.0)), make)
    fitted(model)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert raw(again) == raw(model) != {"alpha": 0.0, "scale": 0.0}
    assert again.loss._stated("alpha") == Learned(1.5, 3.0)
    one, other = fitted(model), fitted(again)
    np.testing.assert_allclose(one["loss"], other["loss"], rtol=1e-6)
    assert_same_weights(model, again)


def test_weights_alone(tmp_path):
    model = compiled(AdaptiveBarronLoss())
    fitted(model)
    model.save_weights(tmp_path / "model.weights.h5")
    again = compiled(AdaptiveBarronLoss())
    again.train_on_batch(X, Y)
    again.load_weights(tmp_path / "model.weights.h5")
    assert raw(again) == raw(model)
    assert again.evaluate(X, Y, verbose=0) == pytest.approx(model.evaluate(X, Y, verbose=0), rel=1e-6)


def test_two_losses_of_one_name(tmp_path):
    loss = OffsetLoss(offset=Learned(1.0), name="same") + OffsetLoss(
        offset=Learned(2.0), slope=8.0, name="same"
    )
    model = compiled(loss, optimizer=keras.optimizers.SGD(0.1))
    names = [v.path for v in model.loss_state.trainable_variables]
    assert len(set(names)) == 2
    model.train_on_batch(X, Y)
    # 4 (1 - 0.4) + 8 (2 - 0.8)
    assert float(loss(Y, Y)) == pytest.approx(4 * 0.6 + 8 * 1.2)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert float(again.loss(Y, Y)) == pytest.approx(4 * 0.6 + 8 * 1.2)


@pytest.mark.parametrize("name", ["a/b", "a.b c", "ä"])
def test_any_name_of_a_loss(name, tmp_path):
    model = compiled(OffsetLoss(offset=Learned(1.0), name=name), optimizer=keras.optimizers.SGD(0.1))
    model.train_on_batch(X, Y)
    model.save(tmp_path / "model.keras")
    assert raw(keras.saving.load_model(tmp_path / "model.keras"))["offset"] == pytest.approx(-0.4)


def two_outputs(as_dict=True):
    x = keras.Input((3,))
    a, b = (keras.layers.Dense(1, name=name)(x) for name in "ab")
    return LossAwareModel(x, {"a": a, "b": b} if as_dict else [a, b])


def test_one_loss_for_two_outputs_is_learned_once():
    loss = OffsetLoss(offset=Learned(1.0))
    keras.utils.set_random_seed(0)
    model = two_outputs()
    weights = {"a": 1.0, "b": 0.5}
    losses = {"a": loss, "b": loss}
    model.compile(keras.optimizers.SGD(0.1), loss=losses, loss_weights=weights, run_eagerly=True)
    assert len(model.loss_state.trainable_variables) == 1
    model.train_on_batch(X, {"a": Y, "b": Y})
    assert raw(model)["offset"] == pytest.approx(-0.1 * (4 + 0.5 * 4))


def test_compiled_again():
    """With the same loss it goes on; another loss begins anew, and leaves nothing of the first behind."""
    loss = AdaptiveBarronLoss()
    model = compiled(loss)
    fitted(model)
    found = raw(model)
    model.compile(keras.optimizers.Adam(0.05), loss=loss)  # what is not trained is not traced
    assert raw(model) == found
    model.compile("sgd", loss=AdaptiveBarronLoss())
    assert raw(model) == {"alpha": 0.0, "scale": 0.0}
    assert len(model.trainable_variables) == 4
    model.compile("sgd", loss="mse", **TRACED)
    assert len(model.trainable_variables) == 2
    fitted(model)
    model.compile("sgd", loss=OffsetLoss(offset=Learned(1.0)), **TRACED)
    fitted(model)
    assert raw(model)["offset"] < 0


def test_two_models_with_one_loss():
    """Each trains one of its own, whichever was trained or compiled last."""
    loss = OffsetLoss(offset=Learned(1.0))
    one = compiled(loss, optimizer=keras.optimizers.SGD(0.1), **TRACED)
    two = compiled(loss, optimizer=keras.optimizers.SGD(0.2), **TRACED)
    one.train_on_batch(X, Y)
    two.train_on_batch(X, Y)
    one.train_on_batch(X, Y)
    assert raw(one)["offset"] == pytest.approx(-2 * 0.1 * 4)
    assert raw(two)["offset"] == pytest.approx(-0.2 * 4)
    assert one.evaluate(X, Y, verbose=0) == pytest.approx(4 * (1 - 0.8))
    assert two.evaluate(X, Y, verbose=0) == pytest.approx(4 * (1 - 0.8))


def test_a_frozen_model_learns_nothing():
    model = compiled(AdaptiveBarronLoss())
    model.loss_state.trainable = False
    model.compile("sgd", loss=model.loss, run_eagerly=True)
    fitted(model)
    assert raw(model) == {"alpha": 0.0, "scale": 0.0}


@pytest.mark.parametrize(
    "given",
    [
        {"jit_compile": True},
        pytest.param({"steps_per_execution": 2, **TRACED}, marks=pytest.mark.thorough),
    ],
    ids=str,
)
def test_however_it_is_run(given):
    """As step by step."""
    if BACKEND == "torch":
        pytest.skip("Keras runs PyTorch step by step")
    given = {"run_eagerly": False, **given}
    plainly, model = compiled(AdaptiveBarronLoss()), compiled(AdaptiveBarronLoss(), **given)
    fitted(plainly)
    fitted(model)
    assert_same_weights(plainly, model, 1e-5)
    assert raw(model)["alpha"] != 0


def test_mixed_precision():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = compiled(AdaptiveBarronLoss(), optimizer=keras.optimizers.SGD(0.05))
        history = fitted(model)
    finally:
        keras.config.set_dtype_policy("float32")
    assert {v.dtype for v in model.loss_state.variables} == {"float32"}
    whole = compiled(AdaptiveBarronLoss(), optimizer=keras.optimizers.SGD(0.05))
    np.testing.assert_allclose(history["loss"], fitted(whole)["loss"], rtol=2e-2)
    assert raw(model)["scale"] == pytest.approx(raw(whole)["scale"], rel=2e-2)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="a facility of TensorFlow's")
def test_two_replicas_learn_what_one_does():
    import tensorflow as tf

    to_one_device = tf.distribute.ReductionToOneDevice()
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"], cross_device_ops=to_one_device)
    models = []
    for scope in (tf.distribute.get_strategy(), strategy):
        with scope.scope():
            models.append(compiled(HuberLoss(delta=Learned(1.0)), **TRACED))
        fitted(models[-1])
    assert_same_weights(*models, 1e-5)
    assert raw(models[1])["delta"] != 0


def test_from_model_keeps_the_structure_of_inputs_and_outputs():
    x = {"x": keras.Input((3,), name="x"), "z": keras.Input((1,), name="z")}
    inner = keras.Model(x, {"one": keras.layers.Dense(1)(x["x"]), "two": keras.layers.Dense(1)(x["z"])})
    model = LossAwareModel.from_model(inner)
    data = {"x": X, "z": Y}
    expected, found = (each.predict(data, verbose=0) for each in (inner, model))
    assert found.keys() == expected.keys() == {"one", "two"}
    np.testing.assert_array_equal(found["two"], expected["two"])
    losses = {"one": OffsetLoss(offset=Learned(1.0)), "two": "mse"}
    model.compile("sgd", loss=losses, run_eagerly=True)
    model.fit(data, {"one": Y, "two": Y}, verbose=0)
    assert raw(model)["offset"] < 0


def test_a_list_of_callbacks_of_keras():
    model = compiled(SquaredErrorLoss() + HuberLoss())
    callbacks = keras.callbacks.CallbackList([], add_history=True, model=model)
    for _ in range(2):
        model.fit(X, Y, verbose=0, callbacks=callbacks)
    assert [type(each).__name__ for each in callbacks.callbacks].count("WatchTerms") == 1
    assert "huber_loss" in model.history.history


# What is found ----------------------------------------------------------------------------------------


class Zero(keras.layers.Layer):
    """Predictions of 0, and nothing to train: the residuals are the labels."""

    def __init__(self, outputs=1):
        super().__init__()
        self.outputs = outputs

    def call(self, x):
        return ops.zeros_like(x[:, :1]) * ops.ones((1, self.outputs))


def learns(loss, y, outputs=Zero, steps=300):
    """Full batches, all of them in one epoch."""
    x = keras.Input((1,))
    model = LossAwareModel(x, keras.tree.map_structure(lambda _: outputs()(x), y))
    schedule = keras.optimizers.schedules.CosineDecay(0.2, steps, alpha=0.01)
    model.compile(keras.optimizers.Adam(schedule), loss=loss, log_weighted_terms=True)
    count = len(keras.tree.flatten(y)[0])
    y = keras.tree.map_structure(lambda each: np.tile(each, (steps, 1)).astype("float32"), y)
    model.fit(np.zeros((steps * count, 1), "float32"), y, batch_size=count, verbose=0, shuffle=False)
    return model


def test_uncertainty_weighting_recovers_the_noise():
    """The noise of two outputs, 0.1 and 10: the mean of r^2 is its square."""
    residuals = R.normal(0, 1, (200, 1))
    residuals = (residuals / np.sqrt(np.mean(residuals**2))).astype("float32")
    losses = {name: UncertaintyWeightedLoss([SquaredErrorLoss()]) for name in "ab"}
    y = {"a": 0.1 * residuals, "b": 10 * residuals}
    model = learns(losses, y, steps=200)
    assert losses["a"].noises()["squared_error_loss"] == pytest.approx(0.1, rel=0.1)
    assert losses["b"].noises()["squared_error_loss"] == pytest.approx(10.0, rel=0.1)
    logs = model.evaluate(np.zeros((200, 1), "float32"), y, batch_size=200, verbose=0, return_dict=True)
    # At the noise itself the term is r^2 / (2 r^2) = 1/2, beside log noise.
    assert logs["a_squared_error_loss_weighted"] == pytest.approx(0.5, rel=0.1)
    assert logs["a_log_noise"] == pytest.approx(math.log(0.1), rel=0.1)


@pytest.mark.parametrize(
    "truth",
    [
        "0.5",
        pytest.param("1.2", marks=pytest.mark.thorough),
        pytest.param("normal", marks=pytest.mark.thorough),
        pytest.param("Cauchy", marks=pytest.mark.thorough),
    ],
)
def test_adaptive_barron_finds_the_tails(truth):
    """By quantiles of the distribution, not by samples."""
    from scipy import stats

    p = (np.arange(500) + 0.5) / 500
    if truth == "normal":
        residuals = 3.0 * stats.norm.ppf(p)
    elif truth == "Cauchy":
        residuals = 3.0 * stats.cauchy.ppf(p)
    else:
        residuals = partition.quantiles(500, float(truth), 3.0)
    loss = AdaptiveBarronLoss()
    learns(loss, residuals[:, None], steps=1200 if truth == "Cauchy" else 300)
    alpha, scale = (float(ops.convert_to_numpy(x)) for x in (loss.alpha, loss.scale))
    low, high = {"normal": (1.7, 2.0), "Cauchy": (0.0, 1.0), "0.5": (0.4, 0.6), "1.2": (1.1, 1.3)}[truth]
    assert low < alpha < high
    best = partition.negative_log_likelihood(residuals, *partition.most_likely(residuals)).mean()
    assert partition.negative_log_likelihood(residuals, alpha, scale).mean() == pytest.approx(best, abs=0.005)


def test_an_output_is_learned_as_if_it_were_alone():
    """The mean over two outputs halves the slopes."""

    def step(y):
        x = keras.Input((1,))
        model = LossAwareModel(x, Zero(y.shape[1])(x))
        loss = AdaptiveBarronLoss(outputs=y.shape[1], alpha=1.9)
        model.compile(keras.optimizers.SGD(0.1), loss=loss, run_eagerly=True)
        model.train_on_batch(np.zeros((len(y), 1), "float32"), y)
        return raw(model)["scale"]

    y = (np.linspace(-1, 1, 64)[:, None] * np.array([[1.0, 9.0]])).astype("float32")
    alone = np.concatenate([step(y[:, :1]), step(y[:, 1:])])
    np.testing.assert_allclose(step(y), alone / 2, rtol=1e-5)
    assert alone[0] < 0 < alone[1]  # the scale begins at 1


@pytest.mark.thorough
def test_every_output_has_its_own():
    loss = AdaptiveBarronLoss(outputs=2, alpha=1.9)
    learns(loss, np.linspace(-1, 1, 64)[:, None] * np.array([[1.0, 9.0]]), lambda: Zero(2), steps=200)
    scales = ops.convert_to_numpy(loss.scale)
    assert scales.shape == (2,)
    assert scales[1] / scales[0] == pytest.approx(9.0, rel=0.05)


def test_a_loss_that_nothing_declares_has_nothing_to_learn():
    class Plain(Loss):
        def call(self, y_true, y_pred):
            return ops.mean(ops.abs(y_true - y_pred), axis=-1)

    assert Plain()._learned == {}
    assert LossState(Plain()).serves([Plain()])
