"""A training that is killed anywhere and started again has the curves of one that was not."""

import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_losses import AbsoluteErrorLoss, SquaredErrorLoss
from keras_losses.callbacks import CSVWriter, LossCurves, LossParameterSchedule, PlateauDecay, Warmup
from tests.callbacks.small import points_of

EPOCHS, BATCHES, BATCH = 5, 5, 6
KILLS = int(os.environ.get("KILLS", "3"))
"""How many places are tried with --thorough; 20 take four minutes."""


class AtACall(keras.callbacks.Callback):
    """Does something at one of the calls that a callback gets."""

    def __init__(self, at, action):
        super().__init__()
        self.left, self.action = at, action

    def count(self, *args, logs=None):
        self.left -= 1
        if self.left == 0:
            self.action()

    on_train_begin = on_epoch_begin = on_epoch_end = count
    on_train_batch_begin = on_test_begin = on_test_batch_begin = on_test_end = count


def kill():
    """As a machine that goes away."""
    os.kill(os.getpid(), signal.SIGKILL)


PER_EPOCH = 1 + BATCHES + 1 + 2 + 1 + 1
"""Calls of an epoch: its begin, its batches, the begin, two batches and end of a validation, its end."""
CALLS = 1 + EPOCHS * PER_EPOCH
"""Those of a whole training."""


def call_of(epoch, turn):
    return 1 + epoch * PER_EPOCH + turn


KILLED = {
    # At which call, and before which of the callbacks; the curves are the third, the backup is the fourth.
    "before the first backup": (call_of(0, 5), 4),
    "in a batch of the third epoch": (call_of(2, 4), 2),
    "in a validation": (call_of(1, BATCHES + 4), 1),
    "before the backup of an epoch": (call_of(1, PER_EPOCH), 3),
    "after the backup of an epoch": (call_of(2, PER_EPOCH), 4),
}


def schedule():
    return Warmup(keras.optimizers.schedules.CosineDecay(0.3, 30), 4)


def train(directory, *at_calls):
    """Epochs with a schedule, a plateau and a loss whose weight changes; an update takes two batches.

    `at_calls` are calls, places among the callbacks and actions.
    """
    r = np.random.default_rng(0)
    x = r.normal(0, 1, (BATCHES * BATCH - 2, 3)).astype("float32")
    y = (x.sum(axis=1, keepdims=True) + r.normal(0, 1, (len(x), 1))).astype("float32")
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    optimizer = keras.optimizers.Adam(schedule(), gradient_accumulation_steps=2)
    # XLA compiles for longer than this trains; JAX without its compiler would not trace.
    jit = keras.backend.backend() == "jax"
    model.compile(optimizer, loss=SquaredErrorLoss() + 0.5 * AbsoluteErrorLoss(), jit_compile=jit)
    callbacks = [
        LossParameterSchedule("weights/absolute_error_loss", lambda epoch: 0.5 + 0.1 * epoch),
        PlateauDecay("val_loss", factor=0.5, patience=1, min_delta=0.5, backup_dir=directory / "state"),
        LossCurves(directory / "curves", flush_every=2, writers=[CSVWriter(directory / "curves.csv")]),
        keras.callbacks.BackupAndRestore(directory / "backup"),
    ]
    for at, place, action in sorted(at_calls, key=lambda each: -each[1]):
        callbacks.insert(place, AtACall(at, action))
    fitted = model.fit(
        x, y, batch_size=BATCH, epochs=EPOCHS, shuffle=False, verbose=0, callbacks=callbacks,
        validation_data=(x[: 2 * BATCH], y[: 2 * BATCH]), validation_batch_size=BATCH,
    )  # fmt: skip
    return fitted.history


def in_a_process(directory, *given):
    root = Path(__file__).resolve().parents[3]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), *sys.path])}
    command = [sys.executable, "-m", "tests.callbacks.curves.test_killed", str(directory), *map(str, given)]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The curves of a training that nobody killed, and copies of its files from the calls of `KILLED`.

    A copy has what a kill at that call leaves: what is in the memory of the process is not in it.
    """
    base = tmp_path_factory.mktemp("whole")
    directory = base / "logs"
    directory.mkdir()

    def copy(name):
        return lambda: shutil.copytree(directory, base / name)

    history = train(directory, *((*where, copy(name)) for name, where in KILLED.items()))
    assert len(set(history["learning_rate"])) == EPOCHS  # it follows the schedule,
    curves = {run: points_of(directory / "curves" / run) for run in ("train", "validation")}
    rates = dict(curves["train"]["learning_rate"])
    assert max(rates) == EPOCHS * BATCHES // 2
    # Keras hands its schedules the batches, of which an update takes two: the last of step 3 is batch 5.
    factors = {round(rate / float(schedule()(2 * step - 1)), 3) for step, rate in rates.items()}
    assert {1.0, 0.5} <= factors  # and the plateau's decisions
    return base, curves, sorted((directory / "curves.csv").read_text().splitlines())


def ends_as_the_whole(directory, whole):
    _, expected, lines = whole
    train(directory)
    found = {run: points_of(directory / "curves" / run) for run in expected}
    for run, curves in expected.items():
        assert found[run].keys() == curves.keys()
        for tag, points in curves.items():
            assert [step for step, _ in found[run][tag]] == [step for step, _ in points], (run, tag)
            values = [[value for _, value in each] for each in (found[run][tag], points)]
            np.testing.assert_allclose(*values, rtol=1e-6, atol=1e-6, err_msg=f"{run} {tag}")
    again = sorted((directory / "curves.csv").read_text().splitlines())
    assert [line.split(",")[:3] for line in again] == [line.split(",")[:3] for line in lines]


IN_DEFAULT = {"before the first backup", "in a validation", "before the backup of an epoch"}


@pytest.mark.parametrize(
    "where", [pytest.param(w, marks=[] if w in IN_DEFAULT else [pytest.mark.thorough]) for w in KILLED]
)
def test_killed(whole, where):
    """`test_resume` and the thorough suite kill a process; here the files are those that a kill leaves."""
    ends_as_the_whole(whole[0] / where, whole)


@pytest.mark.thorough
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no such signal")
@pytest.mark.parametrize("seed", range(KILLS))
def test_killed_anywhere(tmp_path, whole, seed):
    r = random.Random(seed)
    killed = in_a_process(tmp_path, r.randint(1, CALLS), r.randint(0, 4))
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    ends_as_the_whole(tmp_path, whole)


if __name__ == "__main__":
    train(Path(sys.argv[1]), (int(sys.argv[2]), int(sys.argv[3]), kill))
