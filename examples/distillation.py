"""Distil a large network into a small one, on images of which few have labels.

    python examples/distillation.py [--output DIR] [--epochs N] [--seeds N]

Only 200 of scikit-learn's handwritten digits have labels. A teacher with two hidden layers of 256 units and
dropout is trained on them. A student with one hidden layer of 8 units is trained in three ways: on the labels
alone, on the teacher's most likely class of every image, and by `DistillationLoss` on the teacher's softened
probabilities of every image. The second way shows how much of the gain is due to the images without labels.
All students take the same number of steps.
"""

import statistics
from pathlib import Path

import common
import keras
import matplotlib.pyplot as plt
import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from keras_losses import CrossentropyLoss, DistillationLoss

LABELLED = 200
BATCH = 64
TEMPERATURES = (1.0, 2.0, 4.0, 8.0)
TEACHER = "(the teacher itself)"
ALONE = "the labels alone"
HARD = "the teacher's classes"


def taught(temperature: float) -> str:
    return f"DistillationLoss({temperature:g})"


Data = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def images(seed: int) -> Data:
    """Training and test images with labels; only the first LABELLED training labels may be used."""
    x, y = load_digits(return_X_y=True)
    x, x_test, y, y_test = train_test_split(
        x.astype("float32") / 16, y, test_size=0.4, random_state=seed, stratify=y
    )
    order = np.random.default_rng(seed).permutation(len(x))
    return x[order], y[order], x_test, y_test


def network(units: list[int], dropout: float) -> keras.Sequential:
    layers: list[keras.layers.Layer] = []
    for width in units:
        layers += [keras.layers.Dense(width, activation="relu"), keras.layers.Dropout(dropout)]
    return keras.Sequential([keras.Input((64,)), *layers, keras.layers.Dense(10)])


def trained(
    model: keras.Sequential, loss: keras.losses.Loss, x: np.ndarray, y: np.ndarray, steps: int
) -> keras.Sequential:
    """Train a model for a fixed number of steps, whatever the number of images."""
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(5e-3, steps)),
        loss=loss,
        jit_compile=False,
    )
    turns = np.concatenate(
        [np.random.default_rng(turn).permutation(len(x)) for turn in range(steps * BATCH // len(x) + 1)]
    )
    turns = turns[: steps * BATCH]
    model.fit(x[turns], y[turns], batch_size=BATCH, shuffle=False, verbose=0)
    return model


def accuracy(model: keras.Sequential, x: np.ndarray, y: np.ndarray) -> float:
    return 100 * float((np.asarray(model(x)).argmax(-1) == y).mean())


def compare(seed: int, epochs: int) -> dict[str, float]:
    """Test accuracy of the teacher and of every student; all students have the same initial weights."""
    x, y, x_test, y_test = images(seed)
    steps = epochs * -(-len(x) // BATCH)
    crossentropy = CrossentropyLoss(from_logits=True)
    keras.utils.set_random_seed(seed)
    teacher = trained(network([256, 256], 0.5), crossentropy, x[:LABELLED], y[:LABELLED], steps)
    told = np.asarray(teacher(x))
    found = {TEACHER: accuracy(teacher, x_test, y_test)}
    ways = {
        ALONE: (crossentropy, x[:LABELLED], y[:LABELLED]),
        HARD: (crossentropy, x, told.argmax(-1)),
        **{taught(t): (DistillationLoss(temperature=t), x, told) for t in TEMPERATURES},
    }
    for name, (loss, inputs, targets) in ways.items():
        keras.utils.set_random_seed(seed)
        found[name] = accuracy(trained(network([8], 0.0), loss, inputs, targets, steps), x_test, y_test)
    return found


def table_of(scores: dict[str, list[float]]) -> Table:
    """Mean and standard deviation over the seeds, and the gain of each student on the same seed."""
    seeds = len(scores[ALONE])
    title = f"Digits, {LABELLED} with labels: mean ± deviation over {seeds} seeds"
    table = common.table(title, "student of", "test accuracy", "gain over the labels", "better on")
    for name, of_seeds in scores.items():
        gains = [now - before for now, before in zip(of_seeds, scores[ALONE], strict=True)]
        cells = [common.spread(of_seeds, digits=1)]
        if name not in (TEACHER, ALONE):
            better = f"{sum(gain > 0 for gain in gains)} of {seeds}"
            cells += [common.spread(gains, digits=1, sign="+"), better]
        table.add_row(name, *cells)
    return table


def draw(scores: dict[str, list[float]], path: Path) -> None:
    """Plot a point for each seed, a line between the points of one seed, and the means."""
    figure, axes = plt.subplots(figsize=(9, 4.6), layout="constrained")
    students = [name for name in scores if name != TEACHER]
    best = statistics.mean(scores[TEACHER])
    axes.axvline(best, color="tab:gray", ls="--", lw=1)
    axes.annotate(
        "the teacher, on average ", (best, -0.5), color="tab:gray", ha="right", va="top", fontsize=9
    )
    for values in zip(*(scores[name] for name in students), strict=True):
        axes.plot(values, range(len(students)), color="0.88", lw=1, zorder=0)
    for row, name in enumerate(students):
        color = "tab:blue" if "Distillation" in name else "tab:gray"
        axes.plot(scores[name], [row] * len(scores[name]), "o", color=color, alpha=0.4, mew=0)
        axes.plot([statistics.mean(scores[name])], [row], "|", color=color, ms=24, mew=2.5)
    axes.set(yticks=range(len(students)), xlabel=f"accuracy on test images in %, {LABELLED} labels")
    axes.set_yticklabels(students)
    axes.set_ylim(len(students) - 0.5, -0.6)
    common.save(figure, path)


def main() -> None:
    arguments = common.arguments(__doc__, "distillation", epochs=60, seeds=6)
    console = Console()
    scores: dict[str, list[float]] = {}
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("training", total=arguments.seeds)
        for seed in range(arguments.seeds):
            for name, found in compare(seed, arguments.epochs).items():
                scores.setdefault(name, []).append(found)
            progress.advance(task)
    console.print(table_of(scores))
    draw(scores, arguments.output / "distillation.png")


if __name__ == "__main__":
    main()
