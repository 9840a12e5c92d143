"""Epochs and steps of schedules, where the optimizer's count says something else."""

import keras
import pytest

from keras_losses import HuberLoss, LossAwareModel
from keras_losses.callbacks import LearningRateDecay, LossParameterSchedule
from tests.callbacks.small import FiveUpdates, Interrupt, OwnOptimizers, fit

unused = pytest.mark.filterwarnings("ignore:.*made no update in an epoch")


class AwareFiveUpdates(FiveUpdates, LossAwareModel):
    pass


class AwareOwnOptimizers(OwnOptimizers, LossAwareModel):
    pass


def model_of(cls=keras.Sequential, loss="mse"):
    layers = [keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")]
    model = keras.Sequential(layers)
    if cls is not keras.Sequential:
        model = cls(model.inputs, model.outputs)
    model.compile(keras.optimizers.SGD(0.0), loss=loss, run_eagerly=True)
    return model


def counted(model, unit="epoch", callback=None, **arguments):
    """The positions that the schedule is asked for: a rate that is the position, as a small number."""
    seen = []

    def schedule(position):
        seen.append(position)
        return 0.0

    fit(model, LearningRateDecay(schedule, unit, **(callback or {})), **arguments)
    return seen


def test_five_updates_a_batch():
    model = model_of(FiveUpdates)
    assert counted(model, epochs=2) == [0, 1]
    assert counted(model, epochs=2) == [2, 3]
    # Steps are updates: 3 batches an epoch, of 5 each.
    assert counted(model, "step", epochs=2) == [60, 65, 70, 75, 80, 85]


@unused
def test_no_update_of_the_compiled_optimizer():
    model = model_of(OwnOptimizers)
    assert counted(model, epochs=2) == [0, 1]
    assert counted(model, epochs=2) == [2, 3]
    # Steps are batches.
    assert counted(model, "step", epochs=2) == [12, 13, 14, 15, 16, 17]


def test_a_rate_that_is_not_used_is_warned_of_once():
    callbacks = [LearningRateDecay(lambda epoch: 0.1), LossParameterSchedule("delta", lambda epoch: 1.0)]
    with pytest.warns(UserWarning, match="made no update in an epoch, so the learning rate") as seen:
        fit(model_of(OwnOptimizers, HuberLoss()), *callbacks, epochs=3)
    assert sum("made no update" in str(each.message) for each in seen) == 1


def test_another_batch_size_in_a_second_fit():
    model = model_of()
    assert counted(model, epochs=2) == [0, 1]
    assert counted(model, epochs=2, batch_size=1) == [2, 3]
    assert counted(model, epochs=3, initial_epoch=1, batch_size=5) == [4, 5]
    assert counted(model, "step", epochs=2, batch_size=5) == [18, 19]


def test_fits_without_the_callback_are_counted_by_their_batches():
    model = model_of()
    assert counted(model, epochs=1) == [0]
    fit(model, epochs=2)
    assert counted(model, epochs=1) == [3]
    with pytest.raises(KeyboardInterrupt):
        fit(model, LearningRateDecay(lambda epoch: 0.0), Interrupt(epoch=0, batch=2))
    assert counted(model, epochs=1) == [5]


def test_weights_alone_and_an_initial_epoch(tmp_path):
    before = model_of()
    before.save_weights(tmp_path / "model.weights.h5")
    for unit, expected in (("epoch", [3]), ("step", [9, 10, 11])):
        model = model_of()
        model.load_weights(tmp_path / "model.weights.h5")
        with pytest.warns(
            UserWarning, match="`LearningRateDecay`: .* has made no update.*continues at epoch 3"
        ):
            assert counted(model, unit, initial_epoch=3, epochs=4) == expected
    # And it goes on from there.
    assert counted(model, epochs=1) == [4]


def test_compiled_again():
    """A new training begins anew, unless it says that it continues."""
    model = model_of()
    assert counted(model, epochs=2) == [0, 1]
    model.compile(keras.optimizers.SGD(0.0), loss="mse", run_eagerly=True)
    assert counted(model, epochs=1) == [0]
    model.compile(keras.optimizers.SGD(0.0), loss="mse", run_eagerly=True)
    with pytest.warns(UserWarning, match="compiled again.*continues at epoch 2"):
        assert counted(model, epochs=3, initial_epoch=2) == [2]


def test_an_older_state_of_the_optimizer():
    model = model_of()
    counted(model, epochs=1)
    state = [keras.ops.convert_to_numpy(variable) for variable in model.optimizer.variables]
    counted(model, epochs=2)
    model.optimizer.build(model.trainable_variables)
    for variable, value in zip(model.optimizer.variables, state, strict=True):
        variable.assign(value)
    assert counted(model, epochs=1) == [1]


def saved_and_loaded(model, path):
    model.save(path / "model.keras")
    return keras.saving.load_model(path / "model.keras", custom_objects={c.__name__: c for c in CLASSES})


CLASSES = [FiveUpdates, OwnOptimizers, AwareFiveUpdates, AwareOwnOptimizers]


@unused
@pytest.mark.parametrize("cls", CLASSES)
def test_a_loaded_model_knows_the_epochs(cls, tmp_path):
    """From itself if it is a LossAwareModel, else from the file beside the checkpoints."""
    kept = {} if issubclass(cls, LossAwareModel) else {"backup_dir": tmp_path / "state"}
    model = model_of(cls)
    assert counted(model, callback=kept, epochs=2) == [0, 1]
    assert counted(model, callback=kept, epochs=1, batch_size=1) == [2]
    loaded = saved_and_loaded(model, tmp_path)
    loaded.run_eagerly = True
    assert counted(loaded, callback=kept, epochs=1) == [3]


def test_a_loaded_plain_model_is_told_by_its_batches(tmp_path):
    model = model_of()
    counted(model, epochs=2)
    assert counted(saved_and_loaded(model, tmp_path), epochs=1) == [2]
    assert counted(saved_and_loaded(model, tmp_path), initial_epoch=2, epochs=3) == [2]
    with pytest.warns(UserWarning, match="number 4.*counted 6 batches, which are not 4 epochs of 3 batches"):
        assert counted(saved_and_loaded(model, tmp_path), initial_epoch=4, epochs=5) == [4]


@pytest.mark.parametrize("ours_first", [True, False])
def test_backup_and_restore(tmp_path, ours_first):
    """A second fit of another batch size dies in its third epoch, and goes on in new objects."""
    keep, directory = tmp_path / "state", tmp_path / "backup"
    model = model_of()
    arguments = {"epochs": 3, "batch_size": 1}
    seen = []

    def callbacks(*more):
        decay = LearningRateDecay(lambda epoch: seen.append(epoch) or 0.0, backup_dir=keep)
        both = [decay, keras.callbacks.BackupAndRestore(directory)]
        return [*(both if ours_first else both[::-1]), *more]

    fit(model, LearningRateDecay(lambda epoch: 0.0, backup_dir=keep), epochs=1)
    model.save(tmp_path / "model.keras")
    with pytest.raises(KeyboardInterrupt):
        fit(model, *callbacks(Interrupt(epoch=2, batch=1)), **arguments)
    fit(keras.saving.load_model(tmp_path / "model.keras"), *callbacks(), **arguments)
    assert seen == [1, 2, 3, 3]


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="Keras itself needs an optimizer on JAX")
def test_a_model_without_an_optimizer():
    """Hyper-parameters need none; a rate does."""
    model = model_of(OwnOptimizers, HuberLoss())
    model.optimizer = None
    seen = []
    fit(model, LossParameterSchedule("delta", lambda at: seen.append(at) or 1.0, "step"), epochs=2)
    assert seen == [0, 1, 2, 3, 4, 5]
    with pytest.raises(
        ValueError, match=r"`LearningRateDecay`: the model must be compiled with an optimizer"
    ):
        fit(model, LearningRateDecay(lambda epoch: 0.1))
