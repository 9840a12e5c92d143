"""Find the rare digit: Keras's binary cross-entropy against the focal loss, on real data, over several seeds.

    python examples/quickstart.py [--output DIR] [--epochs N] [--seeds N]

The 8s among scikit-learn's handwritten digits are thinned to about 2% of the training images; the test
images keep all of theirs. A small convolutional network is trained with each loss from the same starts, and
the table says how well it ranks the 8s. Then the model with the focal loss is saved, loaded and trained on.
Everything is written to the output folder: TensorBoard logs, a picture of the curves, the model.
"""

import argparse
import os
import statistics
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # no GPU is needed, and none is missed

import keras
import matplotlib as mpl
import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from sklearn.datasets import load_digits
from sklearn.metrics import average_precision_score, precision_recall_curve
from sklearn.model_selection import train_test_split

from keras_losses import FocalLoss
from keras_losses.callbacks import LearningRateDecay, LossCurves

mpl.use("Agg")
import matplotlib.pyplot as plt

RARE_DIGIT = 8
RARE_SHARE = 0.02
LOSSES = {
    "BinaryCrossentropy (Keras)": keras.losses.BinaryCrossentropy,
    "FocalLoss (keras-losses)": FocalLoss,
}
COLORS = ("tab:gray", "tab:blue")


@dataclass
class Run:
    """One training run: what it scored on the test images, and its curves."""

    average_precision: float
    recall: float
    losses: list[float]
    validation_losses: list[float]
    precision_recall: tuple[np.ndarray, np.ndarray]


def load_images(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training images with few 8s, and test images with all of theirs."""
    digits = load_digits()
    images = (digits.images / 16.0).astype("float32")[..., None]
    labels = (digits.target == RARE_DIGIT).astype("int32")
    x, x_test, y, y_test = train_test_split(images, labels, test_size=0.5, stratify=labels, random_state=0)
    positives, negatives = np.flatnonzero(y == 1), np.flatnonzero(y == 0)
    kept = round(RARE_SHARE / (1 - RARE_SHARE) * len(negatives))
    chosen = np.concatenate([negatives, np.random.default_rng(seed).choice(positives, kept, replace=False)])
    return x[chosen], y[chosen], x_test, y_test


def build_model() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(16, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )


def train(name: str, seed: int, epochs: int, logs: Path, progress: Progress) -> tuple[Run, keras.Model]:
    """Trains one model with the loss `name` and scores it on the test images."""
    x, y, x_test, y_test = load_images(seed)
    keras.utils.set_random_seed(seed)
    model = build_model()
    model.compile("adam", loss=LOSSES[name]())
    schedule = keras.optimizers.schedules.CosineDecay(3e-3, decay_steps=epochs)
    task = progress.add_task(f"{name}, seed {seed}", total=epochs)
    advance = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: progress.advance(task))
    history = model.fit(
        x,
        y,
        batch_size=64,
        epochs=epochs,
        validation_data=(x_test, y_test),
        callbacks=[LearningRateDecay(schedule), LossCurves(logs), advance],
        verbose=0,
    ).history
    progress.remove_task(task)

    scores = model.predict(x_test, verbose=0).ravel()
    precision, recall, _ = precision_recall_curve(y_test, scores)
    run = Run(
        average_precision=float(average_precision_score(y_test, scores)),
        recall=float(recall[precision >= 0.9].max()),
        losses=history["loss"],
        validation_losses=history["val_loss"],
        precision_recall=(precision, recall),
    )
    return run, model


def table_of(runs: dict[str, list[Run]]) -> Table:
    """Mean and standard deviation over the seeds."""
    seeds = len(next(iter(runs.values())))
    table = Table(title=f"Finding the rare {RARE_DIGIT}: test images, mean ± deviation over {seeds} seeds")
    for heading in ("loss", "precision-recall AUC", "recall at 90% precision"):
        table.add_column(heading, justify="left" if heading == "loss" else "right")
    for name, of_seeds in runs.items():
        table.add_row(
            name,
            spread([run.average_precision for run in of_seeds]),
            spread([run.recall for run in of_seeds]),
        )
    return table


def spread(values: list[float]) -> str:
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.3f} ± {deviation:.3f}"


def draw(runs: dict[str, list[Run]], path: Path) -> None:
    """The losses by epoch and the precision-recall curves, a line for each seed."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    for (name, of_seeds), color in zip(runs.items(), COLORS, strict=True):
        for number, run in enumerate(of_seeds):
            label = name if number == 0 else None
            epochs = range(1, len(run.losses) + 1)
            left.plot(epochs, run.validation_losses, color=color, alpha=0.8, lw=1, label=label)
            left.plot(epochs, run.losses, color=color, alpha=0.5, lw=1, ls=":")
            precision, recall = run.precision_recall
            right.plot(recall, precision, color=color, alpha=0.8, lw=1, label=label)
    left.set(xlabel="epoch", ylabel="loss", yscale="log", title="test loss (training dotted)")
    right.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02), title="precision and recall")
    right.axhline(0.9, color="black", lw=0.5, ls="--")
    for axes in (left, right):
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def save_and_go_on(model: keras.Model, path: Path) -> None:
    """Saves the model, loads it without custom_objects, compares, and trains on."""
    x, y, x_test, _ = load_images(seed=0)
    model.save(path)
    loaded = keras.saving.load_model(path)
    np.testing.assert_array_equal(loaded.predict(x_test, verbose=0), model.predict(x_test, verbose=0))
    before = int(loaded.optimizer.iterations)
    loaded.fit(x, y, batch_size=64, verbose=0)
    assert loaded.loss.get_config() == model.loss.get_config()
    assert int(loaded.optimizer.iterations) > before


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--output", type=Path, default=Path("quickstart_output"), help="folder for what is made"
    )
    parser.add_argument("--epochs", type=int, default=30, help="epochs of each run (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=5, help="runs with each loss (default: %(default)s)")
    arguments = parser.parse_args()
    if arguments.epochs < 1 or arguments.seeds < 1:
        parser.error("--epochs and --seeds must be 1 or more")
    arguments.output.mkdir(parents=True, exist_ok=True)

    console = Console()
    runs: dict[str, list[Run]] = {name: [] for name in LOSSES}
    with Progress(console=console, transient=True) as progress:
        whole = progress.add_task("training", total=len(LOSSES) * arguments.seeds)
        for seed in range(arguments.seeds):
            for name in LOSSES:
                logs = arguments.output / "logs" / name.split()[0] / f"seed-{seed}"
                run, model = train(name, seed, arguments.epochs, logs, progress)
                runs[name].append(run)
                progress.advance(whole)
    console.print(table_of(runs))

    draw(runs, arguments.output / "curves.png")
    save_and_go_on(model, arguments.output / "model.keras")
    console.print("The model was saved, loaded without custom_objects, predicts the same, and trained on.")
    console.print(f"Curves: {arguments.output / 'curves.png'}")
    console.print(f"TensorBoard: tensorboard --logdir {arguments.output / 'logs'}", soft_wrap=True)


if __name__ == "__main__":
    main()
