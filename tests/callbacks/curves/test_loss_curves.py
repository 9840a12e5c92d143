"""The curves that LossCurves writes, against numbers worked out by hand."""

import doctest
import errno
import math
import os
import warnings

import keras
import numpy as np
import pytest
from keras import ops

from keras_losses import AbsoluteErrorLoss, HuberLoss, JacobianPenalty, LossAwareModel, SquaredErrorLoss
from keras_losses.callbacks import LearningRateDecay, LossCurves, Writer
from keras_losses.callbacks.curves import loss_curves, samples
from keras_losses.callbacks.writers import event_file
from tests.callbacks.small import (
    TARGETS,
    TRACED,
    Interrupt,
    curve,
    data,
    fit,
    model,
    one_execution_on_torch,
    points_of,
    tags,
)


def warnings_of(training):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        training()
    return [str(warning.message) for warning in caught if "LossCurves" in str(warning.message)]


@pytest.mark.parametrize(
    ("flush_every", "how"), [(1, {}), (2, TRACED), pytest.param(100, {}, marks=pytest.mark.thorough)]
)
def test_each_batch_has_its_own_loss(tmp_path, flush_every, how):
    fit(model(keras.optimizers.SGD(0.5), **how), LossCurves(tmp_path, flush_every=flush_every), epochs=2)
    assert curve(tmp_path, "train", "batch/loss") == [
        (1, (1 + 4) / 2),  # w = 0
        (2, (1.5**2 + 2.5**2) / 2),  # w = 1.5
        (3, pytest.approx(1.5**2, rel=1e-6)),  # w = 3.5, and a batch of one
        (4, (4**2 + 3**2) / 2),  # w = 5
        (5, (1.5**2 + 2.5**2) / 2),
        (6, pytest.approx(1.5**2, rel=1e-6)),
    ]
    first, second = (5 + 8.5 + 2.25) / 5, (25 + 8.5 + 2.25) / 5
    assert curve(tmp_path, "train", "epoch/loss") == [(3, pytest.approx(first)), (6, pytest.approx(second))]
    assert curve(tmp_path, "train", "learning_rate") == [(step, 0.5) for step in range(1, 7)]


def test_the_runs_and_their_tags(tmp_path):
    history = fit(
        model(metrics=["mae"]),
        LossCurves(tmp_path),
        validation_data=data((2.0,)),
        epochs=4,
        validation_freq=2,
    )
    assert tags(tmp_path, "train") == {"batch/loss", "learning_rate", "epoch/loss", "epoch/mae"}
    assert tags(tmp_path, "validation") == {"batch/loss", "epoch/loss", "epoch/mae"}
    assert curve(tmp_path, "train", "epoch/mae") == [(step, 3.0) for step in (3, 6, 9, 12)]
    assert curve(tmp_path, "validation", "epoch/loss") == [(6, 4.0), (12, 4.0)]
    assert "learning_rate" not in history  # a reader of the training changes nothing in it


@pytest.mark.parametrize(
    ("targets", "points", "flush_every"),
    [
        pytest.param((1.0, 2.0), [(3, 2.5)], 1, marks=pytest.mark.thorough),
        ((1.0, 2.0, 3.0, 4.0), [(2, 2.5), (3, 12.5)], 100),  # round(3/2), round(6/2)
        pytest.param(TARGETS, [(1, 2.5), (2, 12.5), (3, 25.0)], 100, marks=pytest.mark.thorough),
        # Five batches over three steps stand at 0.6, 1.2, 1.8, 2.4, 3: two share 1 and two share 2.
        ((1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0, 5.0), [(1, 2.5), (2, 12.5), (3, 25.0)], 1),
    ],
)
def test_validation_batches_share_the_axis(tmp_path, targets, points, flush_every):
    fit(model(), LossCurves(tmp_path, flush_every=flush_every), validation_data=data(targets), epochs=2)
    again = [(step + 3, loss) for step, loss in points]
    assert curve(tmp_path, "validation", "batch/loss") == points + again
    assert [step for step, _ in curve(tmp_path, "train", "batch/loss")] == [1, 2, 3, 4, 5, 6]


def test_the_rate_of_a_schedule_is_the_one_of_each_update(tmp_path):
    schedule = keras.optimizers.schedules.ExponentialDecay(0.5, decay_steps=1, decay_rate=0.5)
    fit(model(keras.optimizers.SGD(schedule), **TRACED), LossCurves(tmp_path), epochs=2)
    rates = curve(tmp_path, "train", "learning_rate")
    assert rates == [(step, pytest.approx(0.5**step)) for step in range(1, 7)]


@pytest.mark.parametrize(
    ("curves_first", "flush_every"),
    [
        (True, 1),
        (False, 2),
        *(
            pytest.param(first, every, marks=pytest.mark.thorough)
            for first, every in ((True, 2), (True, 100), (False, 1), (False, 100))
        ),
    ],
)
def test_the_rate_of_each_batch_in_either_order_of_callbacks(tmp_path, curves_first, flush_every):
    callbacks = [
        LossCurves(tmp_path, flush_every=flush_every),
        LearningRateDecay(lambda step: 0.5**step, "step"),
    ]
    fit(model(), *(callbacks if curves_first else callbacks[::-1]), validation_data=data(), epochs=2)
    assert curve(tmp_path, "train", "learning_rate") == [(step + 1, 0.5**step) for step in range(6)]


@one_execution_on_torch
def test_a_step_that_is_an_execution(tmp_path):
    fit(model(steps_per_execution=2, **TRACED), LossCurves(tmp_path), batch_size=1, validation_data=data())
    assert curve(tmp_path, "train", "batch/loss") == [(2, (1 + 4) / 2), (4, (9 + 16) / 2), (5, 25.0)]
    assert curve(tmp_path, "train", "epoch/loss") == [(5, 11.0)]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a facility of TensorFlow's")
@pytest.mark.parametrize(
    ("each", "points"),
    [
        pytest.param(1, [(1, 2.5), (2, 12.5), (3, 20.5)], marks=pytest.mark.thorough),
        (2, [(2, 7.5), (3, 20.5)]),
    ],
)
def test_two_replicas_are_one_batch(tmp_path, each, points):
    """Squares 1, 4 | 9, 16 | 16, 25 in halves of one sample; two batches in one execution are their mean."""
    import tensorflow as tf

    to_one_device = tf.distribute.ReductionToOneDevice()
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"], cross_device_ops=to_one_device)
    with strategy.scope():
        mirrored = model(loss=SquaredErrorLoss(), steps_per_execution=each, **TRACED)
    fit(mirrored, LossCurves(tmp_path), targets=(1.0, 2.0, 3.0, 4.0, 4.0, 5.0))
    assert curve(tmp_path, "train", "batch/loss") == points


def test_a_step_that_is_an_accumulation(tmp_path):
    optimizer = keras.optimizers.SGD(0.0, gradient_accumulation_steps=2)
    fit(model(optimizer), LossCurves(tmp_path), batch_size=1, epochs=2)
    assert curve(tmp_path, "train", "batch/loss") == [
        (1, (1 + 4) / 2),
        (2, (9 + 16) / 2),
        (3, (25 + 1) / 2),  # across the epochs
        (4, (4 + 9) / 2),
        (5, (16 + 25) / 2),
    ]
    assert curve(tmp_path, "train", "epoch/loss") == [(2, 11.0), (5, 11.0)]


def test_epochs_that_mixed_precision_skips_are_explained(tmp_path):
    """The gradients 2 * 10 and 2 * 20 overflow at the scales 2^127 and 2^126; no other optimizer updates."""
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.0), initial_scale=2.0**127)
    with pytest.warns(UserWarning, match="made no update in an epoch") as seen:
        fit(model(optimizer), LossCurves(tmp_path), targets=(10.0, 20.0), batch_size=1)
    (warning,) = [str(each.message) for each in seen if "no update" in str(each.message)]
    assert warning == (
        "`LossCurves`: the compiled optimizer made no update in an epoch, because mixed precision skipped "
        "every batch: with the loss scale, the gradients were not finite. In such epochs the curves count "
        "batches, and the learning rate that they show is not used. Each skipped batch halves the scale, "
        "which is 4.25353e+37 now. A smaller `initial_scale` of keras.optimizers.LossScaleOptimizer skips "
        "fewer. If the skipping goes on, the loss itself is infinite or NaN."
    )


def test_a_batch_that_mixed_precision_skips(tmp_path):
    # 2 * 1 * 2**127 overflows: the first batch makes no update and the scale is halved.
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.0), initial_scale=2.0**127)
    fit(model(optimizer), LossCurves(tmp_path), targets=(1.0, 0.5, 0.5, 0.25), batch_size=1)
    losses = [(1, (1 + 0.25) / 2), (2, 0.25), (3, 0.0625)]
    assert curve(tmp_path, "train", "batch/loss") == losses
    assert curve(tmp_path, "train", "learning_rate") == [(1, 0.0), (2, 0.0), (3, 0.0)]


def test_several_fits_and_a_loaded_model_go_on(tmp_path):
    first, callback = model(keras.optimizers.Adam(0.0)), LossCurves(tmp_path / "logs")
    fit(first, callback)
    fit(first, callback)
    first.save(tmp_path / "model.keras")
    second = keras.saving.load_model(tmp_path / "model.keras")
    fit(second, LossCurves(tmp_path / "logs"), initial_epoch=2, epochs=3)
    batches = [
        (3 * epoch + step, loss) for epoch in range(3) for step, loss in ((1, 2.5), (2, 12.5), (3, 25.0))
    ]
    assert curve(tmp_path / "logs", "train", "batch/loss") == batches
    assert curve(tmp_path / "logs", "train", "epoch/loss") == [(3, 11.0), (6, 11.0), (9, 11.0)]


def test_an_interrupted_fit_loses_nothing_that_was_finished(tmp_path):
    interrupted, callback = model(), LossCurves(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        fit(interrupted, callback, Interrupt(epoch=1, batch=2), epochs=2)
    assert curve(tmp_path, "train", "batch/loss") == [(1, 2.5), (2, 12.5), (3, 25.0)]
    interrupted.evaluate(*data(), callbacks=[callback], verbose=0)
    fit(interrupted, callback)
    losses = [2.5, 12.5, 25.0, 2.5, 12.5, 2.5, 12.5, 25.0]
    assert curve(tmp_path, "train", "batch/loss") == list(enumerate(losses, start=1))
    assert tags(tmp_path, "train") == {"batch/loss", "learning_rate", "epoch/loss"}
    assert not (tmp_path / "validation").exists()


def test_what_is_left_is_written_when_the_callback_goes(tmp_path):
    callback = LossCurves(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        fit(model(), callback, Interrupt(epoch=0, batch=2))
    assert curve(tmp_path, "train", "batch/loss") == []
    callback._finalizer()  # what the garbage collector and the end of Python call
    assert curve(tmp_path, "train", "batch/loss") == [(1, 2.5), (2, 12.5)]


def test_evaluate_outside_of_fit_is_not_written(tmp_path):
    evaluated, callback = model(), LossCurves(tmp_path)
    evaluated.evaluate(*data(), callbacks=[callback], verbose=0)
    assert not tmp_path.exists() or not list(tmp_path.iterdir())
    fit(evaluated, callback, validation_data=data())
    before = curve(tmp_path, "validation", "batch/loss")
    evaluated.evaluate(*data((9.0,)), callbacks=[callback], verbose=0)
    assert curve(tmp_path, "validation", "batch/loss") == before == [(1, 2.5), (2, 12.5), (3, 25.0)]


def test_an_infinite_loss_is_that_of_its_batch_alone(tmp_path):
    """The epoch's mean is infinite; the batches after it are what they are."""

    def infinite_at_three(y_true, y_pred):
        squares = ops.mean(ops.square(y_true - y_pred), axis=-1)
        return ops.where(ops.equal(y_true[:, 0], 3.0), math.inf, squares)

    fitted = model(loss=infinite_at_three)
    with pytest.warns(UserWarning, match="loss became infinite or NaN in batch 1 of epoch 0"):
        fit(fitted, LossCurves(tmp_path))
    assert curve(tmp_path, "train", "batch/loss") == [(1, 2.5), (2, math.inf), (3, 25.0)]
    assert curve(tmp_path, "train", "epoch/loss") == [(3, math.inf)]


def test_the_terms_of_each_batch(tmp_path):
    """Squares 1, 4 | 9, 16 | 25 and sizes 1, 2 | 3, 4 | 5, of which half is added."""
    fitted = model(loss=SquaredErrorLoss() + 0.5 * AbsoluteErrorLoss())
    fit(fitted, LossCurves(tmp_path), validation_data=data((2.0,)))
    found = points_of(tmp_path / "train")
    assert found["batch/terms/squared_error_loss"] == [(1, 2.5), (2, 12.5), (3, 25.0)]
    assert found["batch/terms/absolute_error_loss"] == [(1, 1.5), (2, 3.5), (3, 5.0)]
    assert found["batch/loss"] == [(1, 2.5 + 0.75), (2, 12.5 + 1.75), (3, 25.0 + 2.5)]
    assert found["epoch/terms/absolute_error_loss"] == [(3, 3.0)]
    assert found["epoch/terms/absolute_error_loss_weighted"] == [(3, 1.5)]
    assert found["epoch/terms/absolute_error_loss_share"] == [(3, pytest.approx(1.5 / 12.5))]
    validation = points_of(tmp_path / "validation")
    assert validation["batch/terms/absolute_error_loss"] == [(3, 2.0)]
    assert validation["epoch/terms/squared_error_loss"] == [(3, 4.0)]
    assert not [tag for tag in {*found, *validation} if tag.startswith("epoch/") and "epoch/terms" not in tag
                and tag != "epoch/loss"]  # fmt: skip


class Remembered(Writer):
    """What a writer is told, in order."""

    def __init__(self):
        self.told = []

    def begin(self, step, hyperparameters):
        self.told.append(("begin", step, hyperparameters))

    def scalar(self, run, tag, value, step, wall_time):
        self.told.append((run, tag, value, step))

    def histogram(self, run, tag, values, step, wall_time):
        self.told.append((run, tag, sorted(values.tolist()), step))

    def end(self, figures):
        self.told.append(("end", figures))

    def close(self):
        self.told.append(("close",))


def test_what_writers_are_told():
    writer, fitted = Remembered(), model(loss=SquaredErrorLoss() + 0.5 * HuberLoss(delta=2.0))
    curves = LossCurves(writers=[writer], batches=False)
    fit(fitted, curves, targets=(1.0,))
    fit(fitted, curves, targets=(1.0,))
    first = {
        "loss": "CompositeLoss",
        "weights/squared_error_loss": 1.0,
        "weights/huber_loss": 0.5,
        "huber_loss/delta": 2.0,
        "optimizer": "SGD",
        "learning_rate": 0.0,
        "epochs": 1,
        "steps_per_epoch": 1,
    }
    begins = [told for told in writer.told if told[0] == "begin"]
    assert [(what, step) for what, step, _ in begins] == [("begin", 0), ("begin", 1)]
    assert first.items() <= begins[0][2].items()
    assert ("train", "epoch/loss", 1.25, 1) in writer.told  # 1 + 0.5 * 0.5
    assert [told[0] for told in writer.told[-2:]] == ["end", "close"]
    assert writer.told[-2][1]["loss"] == 1.25


def test_a_writer_that_fails_is_dropped_alone(tmp_path):
    class Fails(Remembered):
        def scalar(self, *given):
            raise RuntimeError("the server is gone")

    kept, fails = Remembered(), Fails()
    (message,) = warnings_of(lambda: fit(model(), LossCurves(writers=[fails, kept]), epochs=2))
    assert "Fails" in message
    assert "RuntimeError: the server is gone" in message
    assert [told[0] for told in fails.told] == ["begin", "close"]
    assert [told[3] for told in kept.told if told[1:2] == ("batch/loss",)] == [1, 2, 3, 4, 5, 6]


def test_a_close_look_at_some_samples(tmp_path):
    """Weight 1.5 after one batch; labels 0, 1, 1 with an input of 1: r = 1.5, 0.5, 0.5."""
    writer = Remembered()
    x, y = data((0.0, 1.0, 1.0))
    curves = LossCurves(writers=[writer], examine=(x, y))
    fit(model(keras.optimizers.SGD(0.5)), curves, targets=(1.0, 2.0))
    told = {tag: (value, step) for run, tag, value, step in (t for t in writer.told if len(t) == 4)}
    assert told["epoch/sample_loss"] == ([0.25, 0.25, 2.25], 1)
    assert told["class_loss/0"] == (2.25, 1)
    assert told["class_loss/1"] == (0.25, 1)
    (path,) = (tag for tag in told if tag.startswith("gradient_norm/"))
    assert told[path] == (pytest.approx(2 * (1.5 + 0.5 + 0.5) / 3), 1)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (np.array([2, 0, 2]), {0: 3.0, 2: 2.5}),
        (np.array([[2], [0], [2]]), {0: 3.0, 2: 2.5}),
        (np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]), {0: 3.0, 1: 2.5}),
        (np.array([0.5, 1.0, 0.0]), {}),
        (np.array([[0.5, 0.5], [1.0, 0.0], [0.0, 1.0]]), {}),
    ],
)
def test_the_loss_of_each_class(labels, classes):
    assert dict(samples._of_classes(np.array([1.0, 3.0, 4.0]), labels)) == classes


def test_samples_of_several_outputs_and_penalties_that_ask_the_model():
    inputs = keras.Input((1,))
    heads = [keras.layers.Dense(1, kernel_initializer="zeros", name=name)(inputs) for name in "ab"]
    two = LossAwareModel(inputs, heads)
    loss = SquaredErrorLoss() + 0.5 * JacobianPenalty()
    two.compile(keras.optimizers.SGD(0.0), loss={"a": loss, "b": "mae"}, loss_weights={"a": 1.0, "b": 2.0})
    x, y = data((1.0, 3.0))
    histograms, scalars = samples.Examined(x, [y, y]).of(two)
    assert {tag: sorted(values.tolist()) for tag, values in histograms.items()} == {
        "epoch/sample_loss/a": [1.0, 9.0],
        "epoch/sample_loss/b": [1.0, 3.0],
    }
    norms = [value for tag, value in scalars.items() if tag.startswith("gradient_norm/")]
    assert norms == [pytest.approx(2 * 2.0), pytest.approx(4.0), pytest.approx(2.0), pytest.approx(2.0)]


def test_without_batches(tmp_path):
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([2], [0.5, 0.25])
    for name, optimizer in (
        ("number", keras.optimizers.SGD(0.5)),
        ("schedule", keras.optimizers.SGD(schedule)),
    ):
        fit(model(optimizer), LossCurves(tmp_path / name, batches=False), validation_data=data())
        assert tags(tmp_path / name, "train") == {"learning_rate", "epoch/loss"}
        assert tags(tmp_path / name, "validation") == {"epoch/loss"}
    assert curve(tmp_path / "number", "train", "learning_rate") == [(3, 0.5)]
    assert curve(tmp_path / "schedule", "train", "learning_rate") == [(3, 0.5)]  # steps 0, 1 and 2


def test_several_outputs(tmp_path):
    inputs = keras.Input((1,))
    heads = [keras.layers.Dense(1, kernel_initializer="zeros", name=name)(inputs) for name in "ab"]
    two_heads = keras.Model(inputs, heads)
    two_heads.compile(keras.optimizers.SGD(0.0), loss=["mse", "mae"], run_eagerly=True)
    x, y = data()
    two_heads.fit(x, [y, y], batch_size=2, shuffle=False, verbose=0, callbacks=[LossCurves(tmp_path)])
    losses = [(1, pytest.approx(2.5 + 1.5)), (2, pytest.approx(12.5 + 3.5)), (3, pytest.approx(25.0 + 5))]
    assert curve(tmp_path, "train", "batch/loss") == losses
    assert {"epoch/a_loss", "epoch/b_loss"} <= tags(tmp_path, "train")


def test_a_directory_that_cannot_be_made(tmp_path):
    (tmp_path / "logs").write_text("in the way")
    histories = []
    callback = LossCurves(tmp_path / "logs")

    def twice():
        histories.extend(fit(model(), callback, validation_data=data(), epochs=2) for _ in range(2))

    (message,) = warnings_of(twice)
    assert str(tmp_path / "logs") in message
    assert [len(history["val_loss"]) for history in histories] == [2, 2]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk(tmp_path, monkeypatch):
    full = []
    new_event_file = event_file._new_event_file

    def fills_up(log_dir):
        full.append(log_dir)
        return open("/dev/full", "wb") if len(full) > 2 else new_event_file(log_dir)

    monkeypatch.setattr(event_file, "_new_event_file", fills_up)
    (message,) = warnings_of(lambda: fit(model(), LossCurves(tmp_path), validation_data=data(), epochs=2))
    assert os.strerror(errno.ENOSPC) in message
    assert curve(tmp_path, "train", "batch/loss") == [(1, 2.5), (2, 12.5), (3, 25.0)]


def test_no_dispatch_is_held_up():
    for hook in ("on_batch_end", "on_train_batch_end", "on_test_batch_end"):
        for callback in (LossCurves, LearningRateDecay):
            assert getattr(callback, hook) is getattr(keras.callbacks.Callback, hook)


@pytest.mark.parametrize("flush_every", [0, -1, 2.5])
def test_flush_every_is_a_whole_number(tmp_path, flush_every):
    with pytest.raises((TypeError, ValueError), match=f"`flush_every`.*{flush_every}"):
        LossCurves(tmp_path, flush_every=flush_every)


def test_there_is_something_to_write_to(tmp_path):
    with pytest.raises(ValueError, match="Give `log_dir` for TensorBoard, or `writers`"):
        LossCurves()
    with pytest.raises(TypeError, match=r"`writers` must be instances of .*Writer.* Received: 'curves.csv'"):
        LossCurves(tmp_path, writers=["curves.csv"])


def test_the_example():
    assert doctest.testmod(loss_curves).failed == 0
