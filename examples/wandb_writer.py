"""Write loss curves to Weights & Biases with a custom writer.

    pip install wandb && python examples/wandb_writer.py [--epochs N]

The example writes a run to wandb/ without a network; `wandb sync` sends it. Weights & Biases does not delete
points. After a killed training is resumed, the points after its last checkpoint therefore stay beside those
that replace them.
"""

import argparse
import os
from collections.abc import Mapping
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # hides TensorFlow's notes about a missing GPU

import keras
import numpy as np
import wandb

from keras_losses import FocalLoss
from keras_losses.callbacks import LossCurves, Writer


class WandbWriter(Writer):  # type: ignore[misc]
    """Writer with the arguments of `wandb.init`; several fits write to one run."""

    def __init__(self, **arguments: Any) -> None:
        self._arguments = arguments

    def begin(self, step: int, hyperparameters: Mapping[str, float | str | bool]) -> None:
        self._run = wandb.init(**self._arguments)
        self._arguments.update(id=self._run.id, resume="allow")
        self._run.config.update(dict(hyperparameters), allow_val_change=True)
        self._run.define_metric("*", step_metric="iteration")  # the x-axis of all curves

    def scalar(self, run: str, tag: str, value: float, step: int, wall_time: float) -> None:
        self._run.log({f"{run}/{tag}": value, "iteration": step})

    def histogram(self, run: str, tag: str, values: np.ndarray, step: int, wall_time: float) -> None:
        self._run.log({f"{run}/{tag}": wandb.Histogram(values), "iteration": step})

    def close(self) -> None:
        self._run.finish()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--epochs", type=int, default=5, help="epochs of the run (default: %(default)s)")
    epochs = parser.parse_args().epochs

    rng = np.random.default_rng(0)
    x = rng.normal(size=(1000, 20)).astype("float32")
    y = (x[:, 0] + rng.normal(size=1000) > 1.5).astype("int32")
    model = keras.Sequential([keras.Input((20,)), keras.layers.Dense(1, activation="sigmoid")])
    model.compile("adam", loss=FocalLoss())
    writer = WandbWriter(project="keras-losses", mode="offline")
    model.fit(x, y, validation_split=0.2, epochs=epochs, callbacks=[LossCurves(writers=[writer])])


if __name__ == "__main__":
    main()
