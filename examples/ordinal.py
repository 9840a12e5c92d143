"""Compare losses for ordered classes with cross-entropy: how far off is the predicted class?

    python examples/ordinal.py [--output DIR] [--epochs N] [--seeds N]

The target is the progression of diabetes in 442 patients (scikit-learn's), in five classes of equal size from
the mildest to the worst. A small network is trained with each loss, on the same splits and from the same
initial weights. The table has the distance between the predicted and the true class, the share of exact hits
and the quadratic kappa. One line reads the median class instead of the most likely class off a softmax.
"""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import common
import keras
import matplotlib.pyplot as plt
import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from sklearn.datasets import load_diabetes
from sklearn.metrics import cohen_kappa_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from keras_losses import (
    CoralDense,
    CoralLoss,
    CornLoss,
    CrossentropyLoss,
    CumulativeLink,
    CumulativeLinkLoss,
    OrdinalLabels,
    WeightedKappaLoss,
)

K = 5
BASELINE = "the median patient, always"
MEDIAN = "CrossentropyLoss, read as median"


@dataclass(frozen=True)
class Way:
    """A loss, its last layer, and functions that encode labels and decode classes."""

    loss: Callable[[], keras.losses.Loss]
    head: Callable[[], keras.layers.Layer]
    labels: Callable[[Any], Any] = lambda y: y
    decode: Callable[[Any], Any] | None = None


soft = OrdinalLabels(K, kind="sord")


def dense(outputs: int) -> Callable[[], keras.layers.Layer]:
    return lambda: keras.layers.Dense(outputs)


WAYS = {
    "CrossentropyLoss": Way(lambda: CrossentropyLoss(from_logits=True), dense(K), decode=soft.labels),
    "CrossentropyLoss on OrdinalLabels": Way(
        lambda: CrossentropyLoss(from_logits=True), dense(K), soft, soft.labels
    ),
    "CoralLoss": Way(lambda: CoralLoss(K), lambda: CoralDense(K)),
    "CornLoss": Way(lambda: CornLoss(K), dense(K - 1)),
    "CumulativeLinkLoss": Way(lambda: CumulativeLinkLoss(K), lambda: CumulativeLink(K)),
    "WeightedKappaLoss": Way(lambda: WeightedKappaLoss(K, from_logits=True), dense(K)),
}


@dataclass(frozen=True)
class Score:
    """Scores of one model on the test patients."""

    distance: float
    accuracy: float
    kappa: float
    confusion: np.ndarray


def patients(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training and test patients, in classes whose limits come from the training patients."""
    x, progression = load_diabetes(return_X_y=True)
    x, x_test, target, target_test = train_test_split(x, progression, test_size=0.3, random_state=seed)
    limits = np.quantile(target, np.arange(1, K) / K)
    scaler = StandardScaler().fit(x)
    y, y_test = (np.digitize(values, limits).astype("int32") for values in (target, target_test))
    return scaler.transform(x).astype("float32"), y, scaler.transform(x_test).astype("float32"), y_test


def score(y: np.ndarray, found: np.ndarray) -> Score:
    confusion = np.zeros((K, K))
    np.add.at(confusion, (y, found), 1)
    return Score(
        distance=float(np.abs(y - found).mean()),
        accuracy=float((y == found).mean()),
        kappa=float(cohen_kappa_score(y, found, weights="quadratic", labels=range(K))),
        confusion=confusion,
    )


def median_class(outputs: np.ndarray) -> np.ndarray:
    """Median class of a softmax: the first class at which the cumulative probability reaches a half."""
    p = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    found: np.ndarray = np.argmax(p.cumsum(axis=1) >= p.sum(axis=1, keepdims=True) / 2, axis=1)
    return found


def train(way: Way, seed: int, epochs: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Train one model and return true classes, predicted classes and outputs of the test patients."""
    x, y, x_test, y_test = patients(seed)
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((x.shape[1],)),
            keras.layers.Dense(32, activation="relu", kernel_regularizer=keras.regularizers.L2(1e-3)),
            way.head(),
        ]
    )
    steps = -(-len(x) // 64) * epochs
    loss = way.loss()
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-2, steps)), loss=loss)
    model.fit(x, way.labels(y), batch_size=64, epochs=epochs, verbose=0)
    outputs = np.asarray(model(x_test))
    decode = way.decode or loss.labels  # type: ignore[attr-defined]
    return y_test, decode(outputs), outputs


def constant(seed: int) -> Score:
    _, y, _, y_test = patients(seed)
    return score(y_test, np.full(len(y_test), int(np.median(y))))


def table_of(scores: dict[str, list[Score]]) -> Table:
    """Mean and standard deviation over the seeds."""
    seeds = len(next(iter(scores.values())))
    title = f"Diabetes in {K} ordered classes: test patients, mean ± deviation over {seeds} splits"
    table = common.table(title, "loss", "classes off", "accuracy", "quadratic kappa")
    for name, of_seeds in scores.items():
        columns = ([getattr(one, key) for one in of_seeds] for key in ("distance", "accuracy", "kappa"))
        table.add_row(name, *map(common.spread, columns))
    return table


def against_crossentropy(scores: dict[str, list[Score]]) -> list[str]:
    """Table of the number of splits on which each loss was closer than cross-entropy."""
    plain = [one.distance for one in scores["CrossentropyLoss"]]
    lines = []
    for name, of_seeds in scores.items():
        if name not in ("CrossentropyLoss", BASELINE):
            gains = [before - one.distance for before, one in zip(plain, of_seeds, strict=True)]
            better = sum(gain > 0 for gain in gains)
            lines.append(f"{name}: {statistics.mean(gains):+.3f}, better on {better} of {len(gains)}")
    return lines


def draw(scores: dict[str, list[Score]], path: Path) -> None:
    """Plot the distance for each loss and split, and the predicted classes for each true class."""
    figure = plt.figure(figsize=(12, 6.4), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[1, 1.25])
    axes = left.subplots()
    for row, (name, of_seeds) in enumerate(scores.items()):
        distances = [one.distance for one in of_seeds]
        color = "tab:gray" if name in ("CrossentropyLoss", MEDIAN, BASELINE) else "tab:blue"
        axes.plot(distances, [row] * len(distances), "o", color=color, alpha=0.35, mew=0)
        axes.plot([statistics.mean(distances)], [row], "|", color=color, ms=24, mew=2.5)
    axes.set(yticks=range(len(scores)), xlabel="mean distance from the true class (less is better)")
    axes.set_yticklabels([name.replace(" on ", "\non ").replace(", ", ",\n") for name in scores])
    axes.invert_yaxis()
    for panel, name in zip(right.subplots(2, 3, sharex=True, sharey=True).flat, WAYS, strict=True):
        total = np.sum([one.confusion for one in scores[name]], axis=0)
        panel.imshow(total / total.sum(axis=1, keepdims=True), cmap="Blues", vmin=0, vmax=0.8)
        panel.set_title(name.replace(" on ", "\non "), fontsize=9)
        panel.set(xticks=range(K), yticks=range(K))
    right.supxlabel("predicted class", fontsize=10)
    right.supylabel("true class", fontsize=10)
    common.save(figure, path)


def main() -> None:
    arguments = common.arguments(__doc__, "ordinal", epochs=40, seeds=5)
    console = Console()
    first, *others = WAYS
    scores: dict[str, list[Score]] = {name: [] for name in (first, MEDIAN, *others, BASELINE)}
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("training", total=len(WAYS) * arguments.seeds)
        for seed in range(arguments.seeds):
            scores[BASELINE].append(constant(seed))
            for name, way in WAYS.items():
                y, found, outputs = train(way, seed, arguments.epochs)
                scores[name].append(score(y, found))
                if name == first:
                    scores[MEDIAN].append(score(y, median_class(outputs)))
                progress.advance(task)
    console.print(table_of(scores))
    console.print("Classes nearer than with cross-entropy on the same split:")
    for line in against_crossentropy(scores):
        console.print(f"  {line}", highlight=False)
    draw(scores, arguments.output / "ordinal.png")


if __name__ == "__main__":
    main()
