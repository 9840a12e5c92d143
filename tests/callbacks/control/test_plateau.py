"""When PlateauDecay reduces the rate, what is reduced, and where it goes on."""

import doctest

import keras
import numpy as np
import pytest
from keras.optimizers import schedules

from keras_losses.callbacks import LearningRateDecay, PlateauDecay, Polynomial
from keras_losses.callbacks.control import plateau
from tests.callbacks.small import TRACED, OwnOptimizers, fit, model


class Say(keras.callbacks.Callback):
    """Puts a value into the logs of each epoch, by the epochs that the model has been trained."""

    def __init__(self, *values, name="value"):
        super().__init__()
        self.values, self.name = values, name

    def on_epoch_end(self, epoch, logs=None):
        value = self.values[int(keras.ops.convert_to_numpy(self.model.optimizer.iterations)) - 1]
        if value is not None:
            logs[self.name] = value


class Used(keras.callbacks.Callback):
    """The rates of the updates: with the target far away, w goes rate * 2e4 a step."""

    def __init__(self):
        super().__init__()
        self.rates = []

    def on_epoch_begin(self, epoch, logs=None):
        self.before = self.model.get_weights()[0].item()

    def on_epoch_end(self, epoch, logs=None):
        moved = self.model.get_weights()[0].item() - self.before
        self.rates.append(moved / (2 * (1e4 - self.before)))


def train(one_weight, values, *callbacks, **arguments):
    """One update for each epoch; the rates that were logged, and those that were used."""
    used = Used()
    arguments = {"epochs": len(values), **arguments}
    history = fit(one_weight, Say(*values), *callbacks, used, targets=(1e4,), **arguments)
    np.testing.assert_allclose(used.rates, history["learning_rate"], rtol=1e-3)
    return history["learning_rate"]


def about(rates):
    return pytest.approx(rates, rel=1e-6)


def halving(**given):
    return PlateauDecay("value", **{"mode": "min", "factor": 0.5, "patience": 2, **given})


R = 1 / 16
RATES = {
    "number": lambda: keras.optimizers.SGD(R),
    "schedule": lambda: keras.optimizers.SGD(schedules.ExponentialDecay(R, 1, 1.0)),
    "scaled loss": lambda: keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(Polynomial(R, 100, final=R)), initial_scale=2.0
    ),
}
every_rate = pytest.mark.parametrize("optimizer", RATES.values(), ids=RATES)


RELATIVE = {"min_delta": 0.05, "min_delta_mode": "rel"}

# When -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "values", "rates"),
    [
        # Better, the best, two that are not better; and two more.
        ({}, [3, 2, 2, 2, 2, 2, 2], [1, 1, 1, 1, 1 / 2, 1 / 2, 1 / 4]),
        ({}, [3, 4, 2, 3, 1, 1], [1] * 6),
        ({"mode": "max"}, [3, 2, 2, 2, 4, 4], [1, 1, 1, 1 / 2, 1 / 2, 1 / 2]),
        ({"patience": 1}, [1, 1, 1, 1], [1, 1, 1 / 2, 1 / 4]),
        # 0.95 is better by 0.05, 0.85 by 0.15.
        ({"min_delta": 0.1}, [1, 0.95, 0.95, 0.85, 0.85], [1, 1, 1, 1 / 2, 1 / 2]),
        # 0.95 of 10 is 9.5: 9.6 is not better by a twentieth, 9.4 is; of -10 it is -10.5.
        (RELATIVE, [10, 9.6, 9.6, 9.4, 9.4, 9.4], [1, 1, 1, 1 / 2, 1 / 2, 1 / 2]),
        (RELATIVE, [-10, -10.4, -10.6, -10.6, -10.6], [1, 1, 1, 1, 1]),
        ({**RELATIVE, "mode": "max"}, [10, 10.4, 10.6, 10.6, 10.6], [1, 1, 1, 1, 1]),
        (RELATIVE, [float("inf"), 10, float("-inf"), -1, -1], [1, 1, 1, 1, 1]),
        # After the third epoch one is not counted, then two are.
        ({"cooldown": 1}, [1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1 / 2, 1 / 2, 1 / 2, 1 / 4]),
        # One that is better in the cooldown is the best from then on.
        ({"cooldown": 1, "patience": 1}, [3, 3, 1, 2, 2], [1, 1, 1 / 2, 1 / 2, 1 / 4]),
        ({"patience": 1, "min_rate": R / 3}, [1] * 5, [1, 1, 1 / 2, 1 / 3, 1 / 3]),
        # Epochs without it are not counted.
        ({}, [1, None, 1, None, 1, None, 1], [1, 1, 1, 1, 1, 1 / 2, 1 / 2]),
        ({}, [1, float("nan"), float("nan"), 1], [1, 1, 1, 1 / 2]),
        ({}, [float("nan"), 5, float("inf"), 4], [1] * 4),
    ],
)
@pytest.mark.filterwarnings("ignore:`PlateauDecay`")
def test_when(given, values, rates):
    assert train(model(RATES["number"]()), values, halving(**given)) == about([R * rate for rate in rates])


def test_keras_agrees_where_it_can():
    """Without a cooldown, and with one epoch less of it, because Keras counts the last one."""
    values = [5, 4, 4.5, 4.2, 3, 3, 3.1, 3.2, 2.9, 2.95, 2.95, 2.95]
    for theirs, ours in ((0, 0), (1, 0), (3, 2)):
        keras_callback = keras.callbacks.ReduceLROnPlateau(
            "value", mode="min", factor=0.5, patience=2, cooldown=theirs
        )
        used = train(model(RATES["number"]()), values, keras_callback)
        assert train(model(RATES["number"]()), values, halving(cooldown=ours)) == about(used)


def reductions(callback):
    """The epochs, counted from 1, at whose end the rate is reduced if the value is always 1."""
    rates = [*train(model(RATES["number"]()), [1] * 12, callback), None]
    return [epoch for epoch in range(1, 12) if rates[epoch] != rates[epoch - 1]]


@pytest.mark.parametrize(
    ("cooldown", "here", "keras_epochs"),
    [(0, [3, 5, 7, 9, 11], [3, 5, 7, 9, 11]), (1, [3, 6, 9], [3, 5, 7, 9, 11]), (2, [3, 7, 11], [3, 6, 9])],
)
def test_the_epochs_of_the_docstring(cooldown, here, keras_epochs):
    given = {"mode": "min", "factor": 0.5, "patience": 2, "cooldown": cooldown}
    assert reductions(PlateauDecay("value", **given)) == here
    assert reductions(keras.callbacks.ReduceLROnPlateau("value", **given)) == keras_epochs


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="importing PyTorch beside it takes seconds")
@pytest.mark.parametrize("cooldown", [0, 1, 3])
@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
def test_pytorch_agrees(cooldown, mode, threshold_mode):
    import torch

    values = [5, 4, 4.5, 4.2, 3, 3, 3.1, 3.2, 2.9, 2.95, 2.95, 2.95, 2.8, 2.75, 2.72, 2.71, 6]
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=R)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, mode, 0.5, patience=1, threshold=0.03, threshold_mode=threshold_mode, cooldown=cooldown
    )
    expected = []
    for value in values:
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step(value)
    given = {"mode": mode, "min_delta": 0.03, "min_delta_mode": threshold_mode, "cooldown": cooldown}
    assert train(model(RATES["number"]()), values, halving(**given)) == about(expected)


@pytest.mark.filterwarnings("ignore:`PlateauDecay`. the logs")
def test_a_rate_that_is_not_used():
    one_weight = OwnOptimizers(*(lambda each: (each.inputs, each.outputs))(model()))
    one_weight.compile(keras.optimizers.SGD(R), run_eagerly=True)
    with pytest.warns(UserWarning, match="`PlateauDecay`: the compiled optimizer made no update") as seen:
        fit(one_weight, PlateauDecay("loss"), epochs=2)
    assert sum("made no update" in str(each.message) for each in seen) == 1


# What -----------------------------------------------------------------------------------------------------


@every_rate
def test_what_is_reduced(optimizer):
    expected = [R, R, R / 2, R / 4, R / 4]
    rates = train(model(optimizer(), **TRACED), [1] * 5, halving(patience=1, min_rate=R / 4))
    assert rates == about(expected)


def test_a_schedule_goes_on_below():
    schedule = Polynomial(R, steps=8)
    shares = [1, 7 / 8, 6 / 8 / 2, 5 / 8 / 4, 4 / 8 / 4]
    rates = train(model(keras.optimizers.SGD(schedule)), [2, 2, 2, 1, 0], halving(patience=1))
    assert rates == about([R * share for share in shares])


@pytest.mark.parametrize(
    ("unit", "ours_first"),
    [
        ("epoch", True),
        ("step", False),
        pytest.param("epoch", False, marks=pytest.mark.thorough),
        pytest.param("step", True, marks=pytest.mark.thorough),
    ],
)
def test_beside_learning_rate_decay(unit, ours_first, tmp_path):
    def pair():
        callbacks = halving(patience=1, backup_dir=tmp_path), LearningRateDecay(Polynomial(R, steps=8), unit)
        return callbacks if ours_first else callbacks[::-1]

    shares = [1, 7 / 8, 6 / 8 / 2, 5 / 8 / 4]
    one_weight = model()
    assert train(one_weight, [2, 2, 2, 1], *pair()) == about([R * share for share in shares])
    assert train(one_weight, [2, 2, 2, 1, 0, 0], *pair(), epochs=2) == about([R * 4 / 8 / 4, R * 3 / 8 / 4])


# Where it goes on -----------------------------------------------------------------------------------------

# The best; two that are not better, after which it is reduced; one in the cooldown; and two again.
VALUES = [3, 2, 2, 2, 2.5, 2, 2, 2]
EXPECTED = [R, R, R, R, R / 2, R / 2, R / 2, R / 4]

either = pytest.mark.parametrize(
    ("optimizer", "ours_first"),
    [
        # After the callback that saves: what it has saved is from before the decision.
        pytest.param(RATES["number"], False, id="number-after"),
        pytest.param(RATES["schedule"], False, id="schedule-after"),
        pytest.param(RATES["number"], True, id="number-before", marks=pytest.mark.thorough),
        pytest.param(RATES["schedule"], True, id="schedule-before", marks=pytest.mark.thorough),
    ],
)


def with_callback(other, ours_first, directory):
    both = halving(cooldown=1, backup_dir=directory), other
    return both if ours_first else both[::-1]


@every_rate
def test_a_second_fit_goes_on(optimizer):
    parts, callback = model(optimizer()), halving(cooldown=1)
    rates = [train(parts, VALUES, callback, epochs=epochs) for epochs in (3, 1, 4)]
    assert [rate for of_fit in rates for rate in of_fit] == about(EXPECTED)


@either
def test_a_loaded_model_goes_on(optimizer, ours_first, tmp_path):
    """In new objects, from where it was reduced, or from an older epoch, in which it waited."""
    save = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras")
    train(model(optimizer()), VALUES, *with_callback(save, ours_first, tmp_path), epochs=5)
    for epochs in (4, 3):
        after = keras.saving.load_model(tmp_path / f"{epochs}.keras")
        rates = train(after, VALUES, halving(cooldown=1, backup_dir=tmp_path), epochs=8 - epochs)
        assert rates == about(EXPECTED[epochs:])


@either
def test_backup_and_restore(optimizer, ours_first, tmp_path):
    """A run that dies in its fifth epoch, and goes on in new objects."""

    class Die(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 4:
                raise KeyboardInterrupt

    directory = tmp_path / "backup"
    for more in ([Die()], []):
        backup = keras.callbacks.BackupAndRestore(directory)
        callbacks = *with_callback(backup, ours_first, directory), *more
        if more:
            with pytest.raises(KeyboardInterrupt):
                train(model(optimizer()), VALUES, *callbacks)
        else:
            assert train(model(optimizer()), VALUES, *callbacks) == about(EXPECTED[4:])
    assert not directory.exists()  # the training has come to its end


def test_another_model_begins_anew(tmp_path):
    callback = halving(patience=1, backup_dir=tmp_path)
    for _ in range(2):
        assert train(model(RATES["schedule"]()), [1, 1, 1], callback) == about([R, R, R / 2])


def test_without_the_callback_a_loaded_model_keeps_the_rate(tmp_path):
    one_weight = model(RATES["schedule"]())
    train(one_weight, [1, 1], halving(patience=1))
    one_weight.save(tmp_path / "model.keras")
    after = keras.saving.load_model(tmp_path / "model.keras")
    assert float(keras.ops.convert_to_numpy(after.optimizer.learning_rate)) == pytest.approx(R / 2)
    # And with it, but without its state, it is reduced from there.
    assert train(after, [1] * 5, halving(patience=1), epochs=3) == about([R / 2, R / 2, R / 4])


# What it says ---------------------------------------------------------------------------------------------


def test_a_value_that_is_not_there():
    with pytest.warns(UserWarning, match=r"epoch 1 have no 'val_loss'.*The logs have: .*loss") as seen:
        fit(model(), PlateauDecay(), targets=(1.0,), epochs=3)
    assert sum("val_loss" in str(each.message) for each in seen) == 1


def test_a_value_that_is_not_a_number():
    with pytest.warns(UserWarning, match="value is NaN in epoch 2, which counts as not better") as seen:
        train(model(RATES["number"]()), [1, float("nan"), float("nan")], halving())
    assert sum("NaN" in str(each.message) for each in seen) == 1


def test_verbose(capsys):
    train(model(RATES["number"]()), [1, 1, 1], halving())
    assert capsys.readouterr().out == ""
    train(model(RATES["schedule"]()), [1, 1, 1], halving(verbose=1))
    said = "PlateauDecay: value was not better than 1.0 for 2 epochs; learning rate 0.03125\n"
    assert capsys.readouterr().out == said


def keras_scheduler(schedule):
    return keras.callbacks.LearningRateScheduler(schedule)


@pytest.mark.parametrize("plateau_first", [True, False])
def test_another_callback_that_undoes_reductions_is_named(plateau_first, recwarn):
    """Keras's example cifar10_resnet.py has such a pair; its logs show reductions that no update used."""
    callbacks = [PlateauDecay("loss", factor=0.1, patience=2), keras_scheduler(lambda epoch: 0.5**epoch)]
    ordered = callbacks if plateau_first else callbacks[::-1]
    fit(model(keras.optimizers.SGD(1.0)), *ordered, targets=(0.0,), epochs=6)
    undone = [str(each.message) for each in recwarn if "PlateauDecay" in str(each.message)]
    assert undone == [
        "`PlateauDecay`: it set the learning rate to 0.025, and another callback set it to 0.125. That "
        "undoes the reduction. In place of `keras.callbacks.LearningRateScheduler` use `LearningRateDecay`, "
        "or give the optimizer a schedule: `PlateauDecay` multiplies the rates of both."
    ]


def test_another_callback_that_keeps_reductions_is_not(recwarn):
    halve = keras_scheduler(lambda epoch, rate: rate * 0.5 if epoch else rate)
    history = fit(
        model(keras.optimizers.SGD(1.0)),
        halve,
        PlateauDecay("loss", factor=0.1, patience=2),
        targets=(0.0,),
        epochs=5,
    )
    assert history["learning_rate"] == about([1.0, 0.5, 0.25, 0.0125, 0.00625])
    assert not [each for each in recwarn if "PlateauDecay" in str(each.message)]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"monitor": "accuracy"}, "`mode` must be 'min' if less of 'accuracy' is better.*mode='auto'"),
        ({"mode": "least"}, "Received: mode='least'"),
        ({"factor": 1.0}, r"`factor` must be a number in \(0, 1\). Received: factor=1.0"),
        ({"factor": "0.1"}, "Received: factor='0.1'"),
        ({"min_delta": -1e-3}, "`min_delta` must be"),
        ({"min_rate": float("nan")}, "`min_rate` must be"),
        ({"patience": 0}, r"`patience` must be an integer in \[1, inf\). Received: patience=0"),
        ({"cooldown": 1.5}, r"`cooldown` must be an integer in \[0, inf\)"),
        ({"min_delta_mode": "relative"}, "one of 'abs', 'rel'"),
        ({"backup_dir": ""}, "`backup_dir` must be a directory"),
    ],
)
def test_arguments(given, message):
    with pytest.raises((TypeError, ValueError), match=message):
        PlateauDecay(**given)


def test_a_rate_that_is_a_function():
    with pytest.raises(ValueError, match="Give the optimizer a number or a LearningRateSchedule"):
        fit(model(keras.optimizers.SGD(lambda: 0.1)), halving())


def test_the_example():
    assert doctest.testmod(plateau).failed == 0
