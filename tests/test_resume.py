"""A training that is killed between two epochs, and started again, ends as one that was not."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_losses import AdaptiveBarronLoss, HuberLoss, LossAwareModel
from keras_losses.callbacks import DynamicWeightAverage, LossCurves, LossParameterSchedule

EPOCHS, KILLED_IN = 4, 2


class Kill(keras.callbacks.Callback):
    """As a machine that goes away: nothing is written or closed."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == KILLED_IN:
            os.kill(os.getpid(), signal.SIGKILL)


def train(directory, kill=False):
    """All that is kept of a training of some epochs; what it has learned is written at its end."""
    r = np.random.default_rng(0)
    x = r.normal(0, 1, (24, 3)).astype("float32")
    y = (x.sum(axis=1, keepdims=True) + r.standard_t(2, (24, 1))).astype("float32")
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3,))
    model = LossAwareModel(inputs, keras.layers.Dense(1)(inputs))
    loss = AdaptiveBarronLoss() + HuberLoss(delta=1.0)
    # XLA compiles for longer than this trains; JAX without its compiler would not trace.
    jit = keras.backend.backend() == "jax"
    model.compile(keras.optimizers.Adam(0.05), loss=loss, jit_compile=jit)
    callbacks = [
        LossParameterSchedule("delta", lambda step: 0.97**step, "step"),
        DynamicWeightAverage(0.5),
        LossCurves(directory / "curves"),
        keras.callbacks.BackupAndRestore(directory / "backup"),
        *([Kill()] if kill else []),
    ]
    history = model.fit(
        x, y, batch_size=8, epochs=EPOCHS, shuffle=False, verbose=0, callbacks=callbacks
    ).history
    kept = {f"weights_{turn}": weight for turn, weight in enumerate(model.get_weights())}
    kept |= {name: np.array(values) for name, values in history.items()}
    robust = loss.losses["adaptive_barron_loss"]
    for name, value in (("alpha", robust.alpha), ("scale", robust.scale)):
        kept[name] = keras.ops.convert_to_numpy(value)
    np.savez(directory / "kept.npz", **{name.replace("/", "|"): value for name, value in kept.items()})


def in_a_process(directory, *given):
    root = Path(__file__).resolve().parent.parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), *sys.path])}
    command = [sys.executable, "-m", "tests.test_resume", str(directory), *given]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no such signal")
def test_killed_and_started_again(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for directory in (whole, parts):
        directory.mkdir()
    killed = in_a_process(parts, "kill")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (parts / "kept.npz").exists()
    train(whole)
    train(parts)
    expected, found = (np.load(directory / "kept.npz") for directory in (whole, parts))
    assert set(found) == set(expected) >= {"alpha", "scale", "delta", "weights|huber_loss"}
    for name in expected:
        if expected[name].shape == (EPOCHS,):  # a line of the history
            assert found[name].shape == (EPOCHS - KILLED_IN,)
        np.testing.assert_allclose(
            found[name], expected[name][KILLED_IN:] if expected[name].shape == (EPOCHS,) else expected[name],
            rtol=1e-6, atol=1e-6, err_msg=name,
        )  # fmt: skip
    # Else it would be no wonder.
    assert abs(expected["alpha"] - 1.0) > 0.01
    assert expected["weights|huber_loss"][-1] != expected["weights|huber_loss"][KILLED_IN]


if __name__ == "__main__":
    train(Path(sys.argv[1]), kill=sys.argv[2:] == ["kill"])
