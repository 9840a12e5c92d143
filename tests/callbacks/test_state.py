"""State beside a backup: what is found is what belonged to the model that was restored."""

import json
import os
import warnings

import keras
import numpy as np
import pytest

from keras_losses import SquaredErrorLoss
from keras_losses.callbacks import DynamicWeightAverage, GradNorm, state
from keras_losses.callbacks.state import Remembers


class Note(Remembers):
    def __init__(self, backup_dir, of="val_loss"):
        self.keep_state(backup_dir, of)


def file_of(directory):
    (file,) = directory.iterdir()
    return file


def test_the_state_of_each_moment(tmp_path):
    note = Note(tmp_path)
    for batches in (3, 6, 9):
        note.remember(batches, {"best": 1 / batches})
    again = Note(tmp_path)
    assert again.remembered(9) == (9, {"best": 1 / 9})
    assert again.remembered(6) == (6, {"best": 1 / 6})
    # A backup in the middle of an epoch goes on from the end of the one before.
    assert again.remembered(8) == (6, {"best": 1 / 6})
    assert again.remembered(100) == (9, {"best": 1 / 9})
    assert again.remembered(2) is None


def test_what_came_later_never_was(tmp_path):
    note = Note(tmp_path)
    for batches in (3, 6, 9):
        note.remember(batches, {"of": "the first run"})
    Note(tmp_path).remember(6, {"of": "the second run"})
    again = Note(tmp_path)
    assert again.remembered(9) == (6, {"of": "the second run"})
    assert again.remembered(5) == (3, {"of": "the first run"})


def test_as_many_as_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(state, "_KEPT", 2)
    note = Note(tmp_path)
    for batches in (3, 6, 9):
        note.remember(batches, {})
    assert note.remembered(5) is None
    assert note.remembered(6) == (6, {})


def test_each_callback_has_a_file(tmp_path):
    Note(tmp_path, "loss").remember(3, {"best": 1.0})
    Note(tmp_path, "head/accuracy").remember(3, {"best": 2.0})
    assert Note(tmp_path, "loss").remembered(3) == (3, {"best": 1.0})
    assert Note(tmp_path, "head/accuracy").remembered(3) == (3, {"best": 2.0})
    assert Note(tmp_path, "val_loss").remembered(3) is None


def test_numbers_that_are_none(tmp_path):
    Note(tmp_path).remember(3, {"nan": float("nan"), "inf": float("inf"), "none": None})
    _, found = Note(tmp_path).remembered(3)
    assert np.isnan(found["nan"])
    assert found["inf"] == float("inf")
    assert found["none"] is None


def test_without_a_directory_nothing_is_written():
    note = Note(None)
    note.remember(3, {})
    assert note.remembered(3) is None


@pytest.mark.parametrize(
    "content",
    [b"", b'{"states": [[3, {"best"', b"[]", b'{"states": 1}', b'{"states": [[3]]}', b"\xff\xfe", b"null"],
)
def test_a_file_that_is_no_state(tmp_path, content):
    Note(tmp_path).remember(3, {"best": 1.0})
    file_of(tmp_path).write_bytes(content)
    note = Note(tmp_path)
    with pytest.warns(UserWarning, match="cannot be read from .*begins anew"):
        assert note.remembered(3) is None
    note.remember(6, {"best": 2.0})
    assert Note(tmp_path).remembered(6) == (6, {"best": 2.0})


def test_a_kill_while_writing_leaves_the_file_that_was(tmp_path, monkeypatch):
    note = Note(tmp_path)
    note.remember(3, {"best": 1.0})

    def killed(*_):
        raise KeyboardInterrupt

    for what in ("fsync", "replace"):
        with monkeypatch.context() as context:
            context.setattr(os, what, killed)
            with pytest.raises(KeyboardInterrupt):
                note.remember(6, {"best": 2.0})
        assert Note(tmp_path).remembered(6) == (3, {"best": 1.0})


def test_a_directory_that_cannot_be_written_is_warned_of_once(tmp_path):
    (tmp_path / "file").write_text("no directory")
    note = Note(tmp_path / "file")
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for batches in (3, 6):
            note.remember(batches, {})
    assert [str(each.message)[:42] for each in seen] == ["`Note`: the state cannot be written; it wi"]


def test_people_can_read_it(tmp_path):
    Note(tmp_path).remember(3, {"best": 1.0})
    assert json.loads(file_of(tmp_path).read_text()) == {
        "callback": "Note",
        "of": "val_loss",
        "states": [[3, {"best": 1.0}]],
    }


def test_what_is_no_directory():
    for backup_dir in ("", 3, True):
        with pytest.raises(
            ValueError, match=r"`Note`: `backup_dir` must be a directory, or None. Received: backup_dir="
        ):
            Note(backup_dir)


# Weights of tasks, of a plain model that is saved and loaded ---------------------------------------------

R = np.random.default_rng(0)
X = R.normal(0, 1, (16, 3)).astype("float32")
Y = {"a": R.normal(0, 1, (16, 1)).astype("float32"), "b": 5 * R.normal(0, 1, (16, 1)).astype("float32")}
LOGGED = ["loss", "a/weights/squared_error_loss", "b/weights/squared_error_loss"]


def tasks():
    keras.utils.set_random_seed(0)
    x = keras.Input((3,))
    shared = keras.layers.Dense(2, use_bias=False, name="shared")(x)
    model = keras.Model(x, {name: keras.layers.Dense(1, name=name)(shared) for name in "ab"})
    losses = {name: 1.0 * SquaredErrorLoss() for name in "ab"}
    model.compile(keras.optimizers.SGD(0.02), loss=losses, run_eagerly=True)
    return model


def fit(model, callback, epochs):
    arguments = {"batch_size": 16, "shuffle": False, "verbose": 0, "epochs": epochs}
    return model.fit(X, Y, callbacks=[callback], **arguments).history


@pytest.mark.parametrize(
    "make",
    [lambda d: DynamicWeightAverage(0.5, backup_dir=d), lambda d: GradNorm("shared", backup_dir=d)],
    ids=["DynamicWeightAverage", "GradNorm"],
)
def test_weights_of_a_plain_model_go_on(tmp_path, make):
    """From the last epoch, and from an older one, as if the training had not stopped."""
    expected = fit(tasks(), make(None), 4)
    parts, callback = tasks(), make(tmp_path)
    fit(parts, callback, 2)
    parts.save(tmp_path / "model.keras")
    fit(parts, callback, 1)
    third = fit(keras.saving.load_model(tmp_path / "model.keras"), make(tmp_path), 2)
    for name in LOGGED:
        np.testing.assert_allclose(third[name], expected[name][2:], rtol=1e-5)
    # A training that begins with this directory begins.
    begun = fit(tasks(), make(tmp_path), 1)
    assert begun[LOGGED[1]][0] == pytest.approx(expected[LOGGED[1]][0], rel=1e-6)
