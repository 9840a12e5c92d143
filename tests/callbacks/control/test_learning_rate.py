"""The rates that LearningRateDecay sets, and where it goes on."""

import doctest

import keras
import numpy as np
import pytest

from keras_losses.callbacks import LearningRateDecay
from keras_losses.callbacks.control import learning_rate
from keras_losses.callbacks.schedules.compiled import compiled
from tests.callbacks.small import TRACED, Interrupt, data, fit, model, one_execution_on_torch


class Rates(keras.callbacks.Callback):
    """The rate that each batch was trained with, and how often it was looked at."""

    def __init__(self):
        super().__init__()
        self.rates = []

    def on_train_batch_end(self, batch, logs=None):
        self.rates.append(float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate.value)))


def halve(position):
    return 0.5**position


def rates_of(one_weight, callback, **arguments):
    seen = Rates()
    fit(one_weight, callback, seen, **arguments)
    return seen.rates


def test_an_epoch_has_one_rate():
    assert rates_of(model(), LearningRateDecay(halve), epochs=2) == [1.0, 1.0, 1.0, 0.5, 0.5, 0.5]


def test_a_step_has_one_rate():
    assert rates_of(model(), LearningRateDecay(halve, "step"), epochs=2) == [
        1,
        1 / 2,
        1 / 4,
        1 / 8,
        1 / 16,
        1 / 32,
    ]


def test_the_rate_is_the_one_that_the_update_takes():
    one_weight = model(**TRACED)
    fit(one_weight, LearningRateDecay(lambda step: [0.5, 0.0, 0.25][step], "step"))
    # 0.5 sets the weight to the batch's mean, 1.5; 0.25 goes half of the way to the last target, 5.
    assert one_weight.get_weights()[0].item() == pytest.approx((1.5 + 5) / 2)


@pytest.mark.parametrize(("unit", "logged"), [("epoch", [1.0, 0.5]), ("step", [1 / 4, 1 / 32])])
def test_history_has_the_rate(unit, logged):
    assert fit(model(), LearningRateDecay(halve, unit), epochs=2)["learning_rate"] == logged


@pytest.mark.parametrize("unit", ["epoch", "step"])
def test_a_second_fit_goes_on(unit):
    whole, parts = model(), model()
    callback = LearningRateDecay(halve, unit)
    expected = rates_of(whole, LearningRateDecay(halve, unit), epochs=4)
    rates = rates_of(parts, callback, epochs=1) + rates_of(parts, callback, epochs=3)
    assert rates == expected


@pytest.mark.parametrize(
    ("unit", "arguments"),
    [
        ("epoch", {"epochs": 4, "initial_epoch": 2}),
        ("step", {"epochs": 2}),
        pytest.param("epoch", {"epochs": 2}, marks=pytest.mark.thorough),
        pytest.param("step", {"epochs": 4, "initial_epoch": 2}, marks=pytest.mark.thorough),
    ],
)
def test_a_loaded_model_goes_on(tmp_path, unit, arguments):
    before, whole = model(), model()
    fit(before, LearningRateDecay(halve, unit), epochs=2)
    before.save(tmp_path / "model.keras")
    after = keras.saving.load_model(tmp_path / "model.keras")
    expected = rates_of(whole, LearningRateDecay(halve, unit), epochs=4)[6:]
    assert rates_of(after, LearningRateDecay(halve, unit), **arguments) == expected


def test_an_interrupted_epoch_counts_when_most_of_it_was_trained():
    for batch, next_epoch in ((1, 0), (2, 1)):
        interrupted = model()
        with pytest.raises(KeyboardInterrupt):
            fit(interrupted, Interrupt(epoch=0, batch=batch))
        assert fit(interrupted, LearningRateDecay(halve))["learning_rate"] == [0.5**next_epoch]


@pytest.mark.parametrize("unit", ["epoch", "step"])
def test_keras_schedules(unit):
    schedule = keras.optimizers.schedules.CosineDecay(0.0, 2, alpha=0.5, warmup_target=1.0, warmup_steps=2)
    # Up from 0 to 1 in 2, down along half a cosine to 0.5 in 2 more.
    expected = [0.0, 0.5, 1.0, 0.75, 0.5]
    history = fit(model(), LearningRateDecay(schedule, unit), targets=(1.0,), epochs=5)
    assert history["learning_rate"] == pytest.approx(expected)


def test_a_schedule_that_cannot_be_traced():
    class Branching(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            return 1.0 if int(step) < 2 else 0.5

    assert rates_of(model(), LearningRateDecay(Branching(), "step")) == [1.0, 1.0, 0.5]


@pytest.mark.parametrize("of", [np.float32, np.float64, np.array, int, keras.ops.convert_to_tensor])
def test_what_counts_as_a_number(of):
    history = fit(model(), LearningRateDecay(lambda epoch: of(1.0)), targets=(1.0,))
    assert history["learning_rate"] == [1.0]


NOT_A_RATE = [
    *(float("nan"), -0.1, float("inf"), None, "0.1", [0.1], np.array([0.1]), True, np.array([1.0, 2.0])),
]


@pytest.mark.parametrize(
    ("unit", "value"),
    [
        *(("step" if turn % 3 == 0 else "epoch", value) for turn, value in enumerate(NOT_A_RATE)),
        *(
            pytest.param("epoch" if turn % 3 == 0 else "step", value, marks=pytest.mark.thorough)
            for turn, value in enumerate(NOT_A_RATE)
        ),
    ],
)
def test_what_does_not(unit, value):
    def schedule(position):
        return value if position == 1 else 0.5

    with pytest.raises(ValueError, match=f"for {unit} 1") as error:
        fit(model(), LearningRateDecay(schedule, unit), targets=(1.0,), epochs=2)
    assert repr(value) in str(error.value)


def test_errors_of_the_schedule_are_its_own():
    with pytest.raises(IndexError):
        fit(model(), LearningRateDecay(lambda epoch: [1.0][epoch]), epochs=2)


def batches_of_unknown_number():
    tf = pytest.importorskip("tensorflow")
    dataset = tf.data.Dataset.from_tensor_slices(data()).batch(2)
    return dataset.filter(lambda x, y: True)  # after a filter the number is not known


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_batches_are_counted_where_keras_does_not_know_their_number():
    callback, one_weight = LearningRateDecay(halve), model()

    def rates(callback, **epochs):
        dataset = batches_of_unknown_number()
        history = one_weight.fit(dataset, callbacks=[callback], shuffle=False, verbose=0, **epochs).history
        return history["learning_rate"]

    assert rates(callback, epochs=3) == [1.0, 0.5, 0.25]
    assert rates(callback, epochs=2) == [0.125, 0.0625]
    # A new callback has counted nothing yet, and takes Keras' word for its first epoch.
    assert rates(LearningRateDecay(halve), initial_epoch=5, epochs=7) == [0.5**5, 0.5**6]


@one_execution_on_torch
def test_steps_per_execution():
    stepwise = model(steps_per_execution=2, **TRACED)
    assert rates_of(stepwise, LearningRateDecay(halve, "step"), batch_size=1) == [1.0, 1 / 4, 1 / 16]
    epochwise = model(steps_per_execution=2)
    assert rates_of(epochwise, LearningRateDecay(halve), batch_size=1, epochs=2) == [1.0] * 3 + [0.5] * 3


def test_gradient_accumulation():
    optimizer = keras.optimizers.SGD(0.0, gradient_accumulation_steps=2)
    callback = LearningRateDecay(halve, "step")
    assert rates_of(model(optimizer), callback, epochs=2) == [1, 1, 1 / 2, 1 / 2, 1 / 4, 1 / 4]
    optimizer = keras.optimizers.SGD(0.0, gradient_accumulation_steps=2)
    assert fit(model(optimizer), LearningRateDecay(halve), epochs=3)["learning_rate"] == [1.0, 0.5, 0.25]


def test_mixed_precision():
    # 2 * 1 * 2**127 overflows: the first batch makes no update, so the second is step 0 again.
    def scaled():
        inner = keras.optimizers.SGD(0.0)
        return model(keras.optimizers.LossScaleOptimizer(inner, initial_scale=2.0**127))

    arguments = {"targets": (1.0, 0.5, 0.5), "batch_size": 1, "epochs": 2}
    assert rates_of(
        scaled(), LearningRateDecay(lambda step: 1e-3 * step, "step"), **arguments
    ) == pytest.approx([0.0, 0.0, 1e-3, 2e-3, 3e-3, 4e-3])
    callback = LearningRateDecay(lambda epoch: 1e-3 * epoch)
    assert rates_of(scaled(), callback, **arguments) == pytest.approx([0, 0, 0, 1e-3, 1e-3, 1e-3])


def test_verbose(capsys):
    fit(model(), LearningRateDecay(halve), epochs=2)
    assert capsys.readouterr().out == ""
    for unit in ("epoch", "step"):
        fit(model(), LearningRateDecay(halve, unit, verbose=1), epochs=2)
        assert capsys.readouterr().out.count("learning rate") == 2


def test_an_optimizer_with_a_schedule():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)
    with pytest.raises(ValueError, match="Give the optimizer a number"):
        fit(model(keras.optimizers.SGD(schedule)), LearningRateDecay(halve))


REDUCE = keras.callbacks.ReduceLROnPlateau("loss", factor=0.1, patience=1)
FOLLOW = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1)


@pytest.mark.parametrize(
    ("other", "decay_first", "replaced"),
    [
        (REDUCE, True, "it set the learning rate to 0.5, and another callback set it to 0.05. "),
        (REDUCE, False, "it set the learning rate to 0.5, and another callback set it to 0.05. "),
        (FOLLOW, True, "it set the learning rate to 1, and another callback set it to 0.1. "),
        (FOLLOW, False, "it set the learning rate to 1, and another callback set it to 0.1. "),
    ],
)
def test_another_callback_that_sets_the_rate_is_named(other, decay_first, replaced, recwarn):
    decay = LearningRateDecay(halve)
    callbacks = [decay, other] if decay_first else [other, decay]
    fit(model(), *callbacks, targets=(0.0,), epochs=5)
    said = [str(each.message) for each in recwarn if "another callback" in str(each.message)]
    assert said == [
        f"`LearningRateDecay`: {replaced}The last callback that sets a rate undoes the others. In place of "
        "`keras.callbacks.ReduceLROnPlateau` use `PlateauDecay`, which multiplies the rate of this callback. "
        "In place of `keras.callbacks.LearningRateScheduler` use this callback alone."
    ]


def test_arguments():
    with pytest.raises(ValueError, match=r"`unit` must be one of 'epoch', 'step'.*'batch'"):
        LearningRateDecay(halve, "batch")
    with pytest.raises(TypeError, match=r"0\.1"):
        LearningRateDecay(0.1)


def test_the_example():
    assert doctest.testmod(learning_rate).failed == 0


def test_what_cannot_be_traced_leaves_tensorflow_as_it_was():
    """It is called as it is, and a strategy's scope can still be entered."""

    class Branches(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            return 0.5 if float(step) < 2 else 0.25

    assert [float(rate) for rate in compiled(Branches())([0, 1, 2])] == [0.5, 0.5, 0.25]
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
            pass
