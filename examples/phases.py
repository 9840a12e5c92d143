"""Show what curves and schedules do in fine-tuning, folds, restarts and custom training steps.

    python examples/phases.py [--output DIR] [--epochs N]

The output folder receives the logs of each case and a picture that shows them. `docs/training.md` explains
the picture. The two custom training steps use TensorFlow's gradients; with other backends they are left out.
"""

import csv
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import common
import keras
import matplotlib.pyplot as plt
import numpy as np
from rich.console import Console
from sklearn.datasets import load_digits
from sklearn.model_selection import KFold

from keras_losses import CrossentropyLoss
from keras_losses.callbacks import CSVWriter, LearningRateDecay, LossCurves

BATCH = 128


def cosine(epochs: int) -> Callable[[int], float]:
    """Half a cosine from 0.1 down to 0 over `epochs` epochs."""
    return lambda epoch: 0.05 * (1.0 + math.cos(math.pi * min(epoch / epochs, 1.0)))


def load_images() -> tuple[np.ndarray, np.ndarray]:
    digits = load_digits()
    return (digits.data / 16.0).astype("float32"), digits.target


def build_model(model_class: Any = keras.Model) -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((64,))
    hidden = keras.layers.Dense(32, activation="relu", name="hidden")(inputs)
    return model_class(inputs, keras.layers.Dense(10, name="logits")(hidden))


def compiled(model: keras.Model) -> keras.Model:
    """Compile a model with a new optimizer."""
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss=CrossentropyLoss(from_logits=True))
    return model


def fit(
    model: keras.Model,
    logs: Path,
    decay: int,
    data: tuple[np.ndarray, np.ndarray],
    *others: Any,
    **options: Any,
) -> None:
    """Train with curves in `logs` and a rate that decays over `decay` epochs, and print the warnings."""
    callbacks = [
        LearningRateDecay(cosine(decay), backup_dir=logs / "state"),
        LossCurves(logs, writers=[CSVWriter(logs / "curves.csv")]),
        *others,
    ]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            model.fit(*data, batch_size=BATCH, callbacks=callbacks, verbose=0, **options)
        except KeyboardInterrupt:
            print("(interrupted)")
    for warning in caught:
        if "`L" in str(warning.message):  # those of LossCurves and LearningRateDecay
            print(warning.message)


def fine_tuning(logs: Path, epochs: int) -> None:
    """Train the last layer, then all layers with a new optimizer."""
    model = build_model()
    model.get_layer("hidden").trainable = False
    fit(compiled(model), logs, 2 * epochs, load_images(), epochs=epochs)
    model.get_layer("hidden").trainable = True
    fit(compiled(model), logs, 2 * epochs, load_images(), initial_epoch=epochs, epochs=2 * epochs)


def folds(logs: Path, epochs: int) -> None:
    """Train a new model on each fold, all with curves in one place."""
    x, y = load_images()
    for chosen, _ in KFold(3, shuffle=True, random_state=0).split(x):
        fit(compiled(build_model()), logs, epochs, (x[chosen], y[chosen]), epochs=epochs)


def restart(logs: Path, epochs: int) -> None:
    """Interrupt a training with a backup of each epoch, and start it again with a new model."""
    interrupt = common.Interrupt(epochs, batch=10)
    for others in ([interrupt], []):
        backup = keras.callbacks.BackupAndRestore(logs / "backup")
        fit(compiled(build_model()), logs, 2 * epochs, load_images(), backup, *others, epochs=2 * epochs)


class TwoOptimizers(keras.Model):  # type: ignore[misc]
    """A model whose training step leaves the compiled optimizer alone, as in a GAN."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.optimizer_of = {name: keras.optimizers.SGD(0.1) for name in ("hidden", "logits")}
        self.mean_loss = keras.metrics.Mean(name="loss")

    @property
    def metrics(self) -> list[keras.Metric]:
        return [self.mean_loss]

    def train_step(self, data: Any) -> dict[str, Any]:
        import tensorflow as tf

        x, y = data
        with tf.GradientTape(persistent=True) as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        for name, optimizer in self.optimizer_of.items():
            weights = self.get_layer(name).trainable_variables
            optimizer.apply(tape.gradient(loss, weights), weights)
        self.mean_loss.update_state(loss)
        return {"loss": self.mean_loss.result()}


class FiveUpdates(keras.Model):  # type: ignore[misc]
    """A model whose training step makes five updates with each batch."""

    def train_step(self, data: Any) -> Any:
        for _ in range(5):
            logs = super().train_step(data)
        return logs


def two_optimizers(logs: Path, epochs: int) -> None:
    """Train with a step that leaves the compiled optimizer alone."""
    fit(compiled(build_model(TwoOptimizers)), logs, epochs, load_images(), epochs=epochs)


def five_updates(logs: Path, epochs: int) -> None:
    """Train with a step that makes five updates with each batch."""
    fit(compiled(build_model(FiveUpdates)), logs, epochs, load_images(), epochs=epochs)


CASES = {
    "fine-tuning: the last layer, then all layers, compiled again": fine_tuning,
    "three folds of a cross-validation": folds,
    "a restart from the backup of the last epoch": restart,
    "a training step with two optimizers of its own": two_optimizers,
    "a training step with five updates a batch": five_updates,
}


def points(path: Path, tag: str, after: int = -1) -> tuple[list[int], list[float]]:
    """Steps and values of a curve of the training after a step."""
    with path.open() as file:
        rows = [row for row in csv.DictReader(file) if row["tag"] == tag and int(row["step"]) > after]
    return [int(row["step"]) for row in rows], [float(row["value"]) for row in rows]


def draw(logs: dict[str, Path], path: Path) -> None:
    figure, rows = plt.subplots(len(logs), 2, figsize=(12, 2.5 * len(logs)), layout="constrained")
    for (name, directory), (left, right) in zip(logs.items(), rows, strict=True):
        curves = directory / "curves.csv"
        for old in sorted((directory / "superseded").glob("curves.csv*")):
            backup = points(old, "epoch/loss")[0][-1]  # the step from which the training was repeated
            left.plot(
                *points(old, "batch/loss", backup), color="tab:red", lw=3, alpha=0.5, label="superseded"
            )
        left.plot(*points(curves, "batch/loss"), color="tab:blue", lw=0.8, alpha=0.6, label="batch/loss")
        left.plot(*points(curves, "epoch/loss"), "o-", color="tab:blue", ms=4, label="epoch/loss")
        right.plot(*points(curves, "learning_rate"), color="tab:gray")
        for axes in (left, right):
            for step in points(curves, "optimizer_updates")[0]:
                axes.axvline(step, color="black", ls=":", lw=1)
            axes.set_ylim(0, 1.15 * axes.get_ylim()[1])  # room for the legend
        left.set_title(name, loc="left")
        right.set_title("learning_rate", loc="left")
        left.legend(frameon=False, loc="upper right", fontsize=8, ncols=3)
    for axes in rows[-1]:
        axes.set_xlabel("step")
    common.save(figure, path)


def main() -> None:
    arguments, console = common.arguments(__doc__, "phases", epochs=4), Console()
    table = common.table("Curves", "case", "ends of epochs", "seams")
    logs: dict[str, Path] = {}
    for name, train in CASES.items():
        if train in (two_optimizers, five_updates) and keras.backend.backend() != "tensorflow":
            continue
        console.rule(name)
        logs[name] = arguments.output / "logs" / train.__name__
        train(logs[name], arguments.epochs)
        tags = ("epoch/loss", "optimizer_updates")
        steps = [points(logs[name] / "curves.csv", tag)[0] for tag in tags]
        table.add_row(train.__name__, *(", ".join(map(str, each)) for each in steps))
    console.print(table)
    draw(logs, arguments.output / "phases.png")


if __name__ == "__main__":
    main()
