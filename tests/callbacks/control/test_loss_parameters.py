"""Numbers of losses that follow a schedule, as if each epoch had a loss that was made with its own."""

import doctest

import keras
import numpy as np
import pytest
from keras import ops

from keras_losses import (
    AbsoluteErrorLoss,
    AdaptiveBarronLoss,
    CompositeLoss,
    CrossentropyLoss,
    FocalLoss,
    HuberLoss,
    Learned,
    LossAwareModel,
    SquaredErrorLoss,
    TweedieLoss,
)
from keras_losses.callbacks import LossCurves, LossParameterSchedule
from keras_losses.callbacks.control import loss_parameters
from tests.backends import BACKEND
from tests.callbacks.small import curve, one_execution_on_torch

R = np.random.default_rng(0)
X = R.normal(0, 1, (32, 3)).astype("float32")
Y = (X @ np.array([[1.0], [2.0], [-1.0]])).astype("float32")
IDS = R.integers(0, 4, 32)


def network(units=1, aware=True, outputs=None):
    keras.utils.set_random_seed(0)
    x = keras.Input((3,))
    if outputs:
        y = {name: keras.layers.Dense(units, name=name)(x) for name in outputs}
    else:
        y = keras.layers.Dense(units)(x)
    return (LossAwareModel if aware else keras.Model)(x, y)


# XLA compiles for longer than these models train; JAX without its compiler would not trace.
TRACED = {"run_eagerly": False, "jit_compile": BACKEND == "jax"}


def compiled(loss, optimizer=None, *, units=1, aware=True, outputs=None, **given):
    """Eager unless it is `TRACED`: where the step must follow a number without being traced again."""
    model = network(units, aware, outputs)
    given = {"run_eagerly": True, **given}
    model.compile(optimizer or keras.optimizers.Adam(0.05), loss=loss, **given)
    return model


def fit(model, *callbacks, y=Y, **given):
    given = {"batch_size": 8, "epochs": 3, "verbose": 0, "shuffle": False, **given}
    return model.fit(X, y, callbacks=list(callbacks), **given).history


def assert_same_weights(one, other):
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


def two_hubers(delta, weight=1.0):
    return CompositeLoss(
        {"first": HuberLoss(delta=delta), "second": HuberLoss(delta=0.7)}, weights={"second": weight}
    )


CASES = {
    # name of the number, what the loss is made of it, its values in three epochs, classes
    "a number": ("gamma", lambda v: FocalLoss(gamma=v, from_logits=True), [0.0, 2.0, 3.5], 4),
    "a weight": ("weights/second", lambda v: two_hubers(1.0, v), [1.0, 0.0, -0.5], 1),
    "by path": ("first/delta", two_hubers, [0.3, 2.0, 0.05], 1),
    "inside of a sum": (
        "delta",
        lambda v: SquaredErrorLoss() + 3.0 * HuberLoss(delta=v),
        [0.3, 2.0, 0.05],
        1,
    ),
}


# Paths and numbers inside of sums are found in the same way for both kinds of models, and tested below.
IN_DEFAULT = {("a number", False), ("a weight", True)}


@pytest.mark.parametrize(
    ("name", "of", "values", "units", "aware"),
    [
        pytest.param(
            *case, aware, id=f"{words}-{'aware' if aware else 'plain'}",
            marks=[] if (words, aware) in IN_DEFAULT else [pytest.mark.thorough],
        )
        for words, case in CASES.items()
        for aware in (True, False)
    ],
)  # fmt: skip
def test_as_if_the_loss_were_made_with_it(name, of, values, units, aware):
    """In each epoch, in training and validation; the optimizer knows of nothing."""
    y = IDS if units > 1 else Y
    scheduled = compiled(of(values[0]), units=units, aware=aware, **TRACED)
    validated = (X[:8], y[:8])
    schedule = LossParameterSchedule(name, lambda epoch: values[epoch])
    history = fit(scheduled, schedule, y=y, validation_data=validated, batch_size=16)

    model = network(units, aware=False)
    optimizer = keras.optimizers.Adam(0.05)
    expected = {"loss": [], "val_loss": []}
    for value in values:
        model.compile(optimizer, loss=of(value), run_eagerly=True)
        logs = fit(model, y=y, validation_data=validated, epochs=1, batch_size=16)
        for key, kept in expected.items():
            kept += logs[key]
    assert history[name] == values
    for key, kept in expected.items():
        np.testing.assert_allclose(history[key], kept, rtol=1e-5, atol=1e-6)
    assert_same_weights(scheduled, model)
    again = scheduled.evaluate(*validated, verbose=0, return_dict=True)["loss"]
    assert again == pytest.approx(history["val_loss"][-1], rel=1e-6)


def test_paths_of_outputs():
    """<output>/<number>, and <output>/weights/<term>."""
    given = {"a": 1.0 * HuberLoss(delta=1.0), "b": HuberLoss(delta=1.0)}
    model = compiled(given, outputs="ab")
    y = {"a": Y, "b": Y}
    history = fit(
        model,
        LossParameterSchedule("a/weights/huber_loss", lambda epoch: 1.0 + epoch),
        LossParameterSchedule("b/delta", lambda epoch: 0.1),
        y=y,
        epochs=2,
    )
    assert history["a/weights/huber_loss"] == [1.0, 2.0]
    assert given["a"].weights == {"huber_loss": 2.0}
    logs = model.evaluate(X, y, verbose=0, return_dict=True)
    found = model.predict(X, verbose=0)
    assert logs["a_huber_loss"] == pytest.approx(float(HuberLoss(delta=1.0)(Y, found["a"])), rel=1e-5)
    assert logs["b_loss"] == pytest.approx(float(HuberLoss(delta=0.1)(Y, found["b"])), rel=1e-5)
    assert logs["loss"] == pytest.approx(2 * logs["a_huber_loss"] + logs["b_loss"], rel=1e-5)


class CountedLoss(HuberLoss):
    """How often its formula is run by Python."""

    runs = 0

    def elementwise(self, y_true, y_pred):
        type(self).runs += 1
        return super().elementwise(y_true, y_pred)


@pytest.mark.skipif(BACKEND == "torch", reason="Keras runs PyTorch step by step")
def test_nothing_is_traced_again():
    runs = []
    for unit in ("epoch", "step"):
        schedule = LossParameterSchedule("delta", lambda position: 0.1 * (1 + position), unit)
        model = compiled(CountedLoss(delta=1.0), **TRACED)
        for epochs in (1, 3):
            CountedLoss.runs = 0
            fit(model, schedule, epochs=epochs)
            runs.append(CountedLoss.runs)
    assert runs[0] > 0
    assert runs == [runs[0], 0, runs[0], 0]  # in the first epoch alone; for one value as for many


@pytest.mark.parametrize("unit", ["epoch", "step"])
def test_a_schedule_of_keras(unit):
    """0.8 0.5^n, of the epoch or of the update, beside one of the learning rate's own."""
    schedule = keras.optimizers.schedules.ExponentialDecay(0.8, 1, 0.5)
    model = compiled(HuberLoss(delta=1.0), keras.optimizers.SGD(0.0), **(TRACED if unit == "step" else {}))
    history = fit(model, LossParameterSchedule("delta", schedule, unit), epochs=2, batch_size=16)
    last = [0, 1] if unit == "epoch" else [1, 3]
    assert history["delta"] == pytest.approx([0.8 * 0.5**n for n in last])
    r, logs = np.abs(Y - model.predict(X, verbose=0)).astype("float64"), []
    for epoch in range(2):
        each = []
        for batch in range(2):
            delta = 0.8 * 0.5 ** (epoch if unit == "epoch" else 2 * epoch + batch)
            of = r[16 * batch :][:16]
            each.append(np.mean(np.where(of <= delta, of**2 / 2, delta * (of - delta / 2))))
        logs.append(np.mean(each))
    np.testing.assert_allclose(history["loss"], logs, rtol=1e-5)


@pytest.mark.parametrize(
    ("unit", "aware"),
    [
        pytest.param("epoch", True, id="epoch-aware"),
        pytest.param("step", False, id="step-plain"),
        pytest.param("epoch", False, id="epoch-plain", marks=pytest.mark.thorough),
        pytest.param("step", True, id="step-aware", marks=pytest.mark.thorough),
    ],
)
def test_it_goes_on(unit, aware, tmp_path):
    """In a second fit, and in a model that was loaded, as if it had been one."""

    def schedule():
        return LossParameterSchedule("delta", lambda position: 2.0 * 0.8**position, unit)

    whole, parts = (compiled(SquaredErrorLoss() + HuberLoss(delta=1.0), aware=aware) for _ in range(2))
    expected = fit(whole, schedule(), epochs=4, batch_size=16)
    callback = schedule()
    first = fit(parts, callback, epochs=1, batch_size=16)
    second = fit(parts, callback, epochs=1, batch_size=16)
    parts.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    last = first["delta"][-1] * 0.8 if unit == "epoch" else expected["delta"][1]
    assert loaded.loss.losses["huber_loss"].delta == pytest.approx(last)
    one, other = (each.evaluate(X, Y, verbose=0, return_dict=True)["loss"] for each in (parts, loaded))
    assert one == pytest.approx(other, rel=1e-6)
    third = fit(loaded, schedule(), epochs=4, initial_epoch=2, batch_size=16)
    for name in ("loss", "delta"):
        np.testing.assert_allclose(first[name] + second[name] + third[name], expected[name], rtol=1e-5)
    assert_same_weights(loaded, whole)


@pytest.mark.parametrize("aware", [True, False], ids=["aware", "plain"])
def test_another_loss_begins_with_its_own(aware):
    model = compiled(HuberLoss(delta=1.0), aware=aware, **TRACED)
    fit(model, LossParameterSchedule("delta", lambda epoch: 5.0), epochs=1)
    loss = HuberLoss(delta=0.1)
    model.compile("sgd", loss=loss, **TRACED)
    found = model.evaluate(X, Y, verbose=0)
    expected = HuberLoss(delta=0.1)(Y, model.predict(X, verbose=0))
    found = found[0] if isinstance(found, list) else found
    assert found == pytest.approx(float(expected), rel=1e-5)


@keras.saving.register_keras_serializable("tests")
class OfOneDense(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.last = keras.layers.Dense(1)

    def call(self, x):
        return self.last(x)


def test_a_model_of_a_class_of_ones_own():
    keras.utils.set_random_seed(0)
    model = OfOneDense()
    model.compile(keras.optimizers.SGD(0.0), loss=HuberLoss(delta=1.0), **TRACED)
    history = fit(model, LossParameterSchedule("delta", lambda epoch: [1.0, 0.1, 1.0][epoch]))
    assert history["loss"][0] == pytest.approx(history["loss"][2], rel=1e-6)
    assert history["loss"][1] < history["loss"][0]


# What it refuses --------------------------------------------------------------------------------------


def test_names_that_are_none_or_several():
    model = compiled(two_hubers(1.0))
    with pytest.raises(
        ValueError, match=r"first/delta, second/delta\. Received: 'delta', which names several"
    ):
        fit(model, LossParameterSchedule("delta", lambda epoch: 1.0))
    everything = r"first/delta, second/delta|weights/first, weights/second"
    with pytest.raises(ValueError, match=rf"({everything}).*'gamma', which names none"):
        fit(model, LossParameterSchedule("gamma", lambda epoch: 1.0))
    with pytest.raises(ValueError, match=r"there are none\. Received: 'x', which names none"):
        fit(compiled("mse"), LossParameterSchedule("x", lambda epoch: 1.0))
    with pytest.raises(
        ValueError,
        match=r"there are none\. Received: 'outputs', which is a hyper-parameter that cannot change",
    ):
        fit(compiled(AdaptiveBarronLoss(outputs=1)), LossParameterSchedule("outputs", lambda epoch: 1))


def test_a_number_whose_formula_takes_no_tensor_is_refused_by_name():
    with pytest.raises(
        ValueError, match=r"'power', which is a hyper-parameter that cannot change while a model trains"
    ):
        fit(compiled(TweedieLoss()), LossParameterSchedule("power", lambda epoch: 1.5))
    with pytest.raises(TypeError, match=r"`TweedieLoss`: `power`.*it cannot be Learned"):
        TweedieLoss(Learned(1.5))


def test_what_is_learned_is_not_set():
    with pytest.raises(
        ValueError, match=r"'alpha', which is learned. Give the loss a number in place of Learned"
    ):
        fit(compiled(AdaptiveBarronLoss()), LossParameterSchedule("alpha", lambda epoch: 1.0))
    loss = SquaredErrorLoss() + AdaptiveBarronLoss(alpha=1.0)
    schedule = LossParameterSchedule("alpha", lambda epoch: 1.5 - epoch / 4)
    history = fit(compiled(loss), schedule, epochs=2, batch_size=32)
    assert history["alpha"] == [1.5, 1.25]


OUT_OF_RANGE = [0.0, -1.0, float("nan"), "1", None, True]


@pytest.mark.parametrize(
    ("value", "unit"),
    [
        *((value, "step" if turn % 2 else "epoch") for turn, value in enumerate(OUT_OF_RANGE)),
        *(
            pytest.param(value, "epoch" if turn % 2 else "step", marks=pytest.mark.thorough)
            for turn, value in enumerate(OUT_OF_RANGE)
        ),
    ],
)
def test_numbers_out_of_range(value, unit):
    schedule = LossParameterSchedule("delta", lambda at: value if at else 1.0, unit)
    with pytest.raises(
        ValueError, match=rf"returned {value!r} for {unit} 1.*HuberLoss`: `delta` must be .*\(0"
    ):
        fit(compiled(HuberLoss(delta=1.0)), schedule, batch_size=32)


def test_numbers_that_do_not_go_with_others():
    """As when a loss is made with both."""
    model = compiled(CrossentropyLoss(), units=4)
    with pytest.raises(ValueError, match="`z_loss` must be 0 unless the predictions are logits"):
        fit(model, LossParameterSchedule("z_loss", lambda epoch: 0.1 * epoch), y=IDS)


def test_arguments():
    with pytest.raises(TypeError, match=r"`?LossParameterSchedule`?: `schedule` must be.*0\.1"):
        LossParameterSchedule("delta", 0.1)
    with pytest.raises(
        ValueError, match=r"ParameterSchedule`: `unit` must be one of 'epoch', 'step'.*'batch'"
    ):
        LossParameterSchedule("delta", lambda epoch: 1.0, "batch")


# Beside others ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("curves_first", [False, True])
def test_with_curves(tmp_path, curves_first):
    """The number of each update is on its curve, and the loss of each batch is of its number."""
    model = compiled(HuberLoss(delta=1.0), keras.optimizers.SGD(0.0))
    schedule = LossParameterSchedule("delta", lambda step: 0.1 * (1 + step), "step")
    callbacks = [LossCurves(tmp_path), schedule] if curves_first else [schedule, LossCurves(tmp_path)]
    fit(model, *callbacks, epochs=2, batch_size=16)
    r = np.abs(Y - model.predict(X, verbose=0))
    found = curve(tmp_path, "train", "batch/loss")
    assert [step for step, _ in found] == [1, 2, 3, 4]
    for step, loss in found:
        delta, of = 0.1 * step, r[16 * ((step - 1) % 2) :][:16]
        expected = np.mean(np.where(of <= delta, of**2 / 2, delta * (of - delta / 2)))
        assert loss == pytest.approx(expected, rel=1e-4)
    assert curve(tmp_path, "train", "parameters/delta") == [
        (step, pytest.approx(0.1 * step)) for step in (1, 2, 3, 4)
    ]


def test_gradient_accumulation():
    """A step is an update: the number stays for the batches that are gathered for one."""
    seen = []

    class Look(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            # On JAX the variables are filled when the model is asked for.
            seen.append(float(ops.convert_to_numpy(self.model.loss.delta)))

    model = compiled(HuberLoss(delta=1.0), keras.optimizers.SGD(0.1, gradient_accumulation_steps=2))
    schedule = LossParameterSchedule("delta", lambda step: 1.0 + step, "step")
    fit(model, schedule, Look(), epochs=2)
    assert seen == [1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0]


@one_execution_on_torch
def test_steps_per_execution():
    """It holds for the whole execution: two batches, of which both have the first one's number."""
    model = compiled(HuberLoss(delta=1.0), keras.optimizers.SGD(0.0), steps_per_execution=2, **TRACED)
    history = fit(model, LossParameterSchedule("delta", lambda step: 0.1 * (1 + step), "step"), epochs=1)
    r, each = np.abs(Y - model.predict(X, verbose=0)), []
    for batch, delta in enumerate((0.1, 0.1, 0.3, 0.3)):
        of = r[8 * batch :][:8]
        each.append(np.mean(np.where(of <= delta, of**2 / 2, delta * (of - delta / 2))))
    assert history["loss"] == [pytest.approx(np.mean(each), rel=1e-5)]


@pytest.mark.skipif(BACKEND != "tensorflow", reason="a facility of TensorFlow's")
def test_two_replicas():
    import tensorflow as tf

    to_one_device = tf.distribute.ReductionToOneDevice()
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"], cross_device_ops=to_one_device)
    models, histories = [], []
    for scope in (tf.distribute.get_strategy(), strategy):
        with scope.scope():
            models.append(compiled(HuberLoss(delta=1.0), **TRACED))
        schedule = LossParameterSchedule("delta", lambda step: 0.1 * (1 + step), "step")
        histories.append(fit(models[-1], schedule, epochs=2))
    np.testing.assert_allclose(histories[0]["loss"], histories[1]["loss"], rtol=1e-5)
    assert_same_weights(*models)


def test_verbose(capsys):
    fit(
        compiled(HuberLoss(delta=1.0)), LossParameterSchedule("delta", lambda epoch: 0.5, verbose=1), epochs=1
    )
    assert capsys.readouterr().out == "LossParameterSchedule: delta 0.5\n"


def test_terms_of_weight_0_are_still_shown():
    loss = SquaredErrorLoss() + 0 * AbsoluteErrorLoss()
    ramp = LossParameterSchedule("weights/absolute_error_loss", lambda epoch: epoch / 2)
    history = fit(compiled(loss, log_weighted_terms=True), ramp, batch_size=32)
    weighted = np.array(history["absolute_error_loss_weighted"])
    np.testing.assert_allclose(weighted, [0, 0.5, 1] * np.array(history["absolute_error_loss"]), rtol=1e-6)
    assert history["absolute_error_loss"][0] > 0


def test_the_example():
    assert doctest.testmod(loss_parameters).failed == 0
