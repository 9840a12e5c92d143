"""Test whether 90% intervals of a normal, a Student's t and a quantile model contain 90% of the samples.

    python examples/intervals.py [--output DIR] [--epochs N] [--seeds N]  # two splits; --seeds 5 for more

There are two data sets: the progression of diabetes in 442 patients (scikit-learn's), and a curve with known
noise, Student's t with 2 degrees of freedom, which is wider on the right than on the left. The same small
network is trained with each loss, on the same splits and from the same initial weights. Training stops where
the loss of held-out samples, a quarter of the training samples, was lowest. The table shows the share of test
samples inside the interval, which should be 0.90, and the mean width of the intervals.

Then one factor widens or narrows all intervals of a model, such that they contain 90% of the held-out samples
(conformalized intervals: Romano et al. 2019, https://arxiv.org/abs/1905.03222, here relative to the width).
"""

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
from scipy import stats
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from keras_losses import GaussianNLLLoss, QuantileLoss, StudentTNLLLoss

LEVEL = 0.9


def quantiles() -> QuantileLoss:
    return QuantileLoss([0.5 - LEVEL / 2, 0.5, 0.5 + LEVEL / 2], non_crossing=True)


WAYS: dict[str, tuple[Callable[[], Any], int]] = {
    "GaussianNLLLoss": (GaussianNLLLoss, 2),
    "StudentTNLLLoss": (StudentTNLLLoss, 3),
    "QuantileLoss": (quantiles, 3),
}
TRUTH = "the true interval"


@dataclass(frozen=True)
class Data:
    """Standardized training and test samples, and the unit of the targets, in which widths are shown."""

    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    shift: float
    unit: float


@dataclass(frozen=True)
class Result:
    """Intervals that one model predicts for samples."""

    low: np.ndarray
    high: np.ndarray
    y: np.ndarray

    @property
    def coverage(self) -> float:
        return float(((self.low <= self.y) & (self.y <= self.high)).mean())

    @property
    def width(self) -> float:
        return float((self.high - self.low).mean())

    def set_by(self, held_out: "Result") -> "Result":
        """Intervals scaled by the one factor with which they contain `LEVEL` of the held-out samples."""
        low, high, y = held_out.low, held_out.high, held_out.y
        outside = np.sort(np.maximum(low - y, y - high) / (high - low))
        # The quantile of n + 1 samples, because the new sample is one of them (Romano et al. 2019).
        factor = outside[min(int(np.ceil(LEVEL * (len(y) + 1))), len(y)) - 1]
        wider = factor * (self.high - self.low)
        return Result(self.low - wider, self.high + wider, self.y)


def patients(seed: int) -> Data:
    x, y = load_diabetes(return_X_y=True)
    return standardized(*train_test_split(x, y, test_size=0.3, random_state=seed))


def curve(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre and scale of the noise."""
    return np.sin(2 * x), 0.05 + 0.2 * (x + 2) / 4


def heavy_tails(seed: int) -> Data:
    r = np.random.default_rng(seed)
    x = r.uniform(-2, 2, (3000, 1))
    middle, scale = curve(x[:, 0])
    y = middle + scale * r.standard_t(2, len(x))
    return standardized(x[:1000], x[1000:], y[:1000], y[1000:])


def standardized(x: np.ndarray, x_test: np.ndarray, y: np.ndarray, y_test: np.ndarray) -> Data:
    scaler = StandardScaler().fit(x)
    # Scaled by the quartiles, because a few outliers can dominate the standard deviation.
    low, shift, high = np.quantile(y, [0.25, 0.5, 0.75])
    unit = (high - low) / 1.35
    return Data(
        scaler.transform(x).astype("float32"),
        ((y - shift) / unit).astype("float32"),
        scaler.transform(x_test).astype("float32"),
        y_test,
        float(shift),
        float(unit),
    )


def train(way: str, data: Data, seed: int, epochs: int) -> tuple[Result, Result]:
    """Intervals as the model predicts them, and scaled by held-out samples."""
    make, outputs = WAYS[way]
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((data.x.shape[1],)),
            keras.layers.Dense(32, activation="tanh"),
            keras.layers.Dense(32, activation="tanh"),
            keras.layers.Dense(outputs),
        ]
    )
    loss = make()
    model.compile(keras.optimizers.AdamW(1e-2, weight_decay=1e-2), loss=loss)
    fitted, held_out, y, y_held_out = train_test_split(data.x, data.y, test_size=0.25, random_state=seed)
    stop = keras.callbacks.EarlyStopping(patience=12, restore_best_weights=True)
    model.fit(
        fitted,
        y,
        validation_data=(held_out, y_held_out),
        epochs=epochs,
        batch_size=128,
        validation_batch_size=len(y_held_out),
        callbacks=[stop],
        verbose=0,
    )

    def intervals(x: np.ndarray, y: np.ndarray) -> Result:
        ends = loss.interval(np.asarray(model(x)), LEVEL)
        low, high = (np.asarray(end)[:, 0] * data.unit + data.shift for end in ends)
        return Result(low, high, y)

    result = intervals(data.x_test, data.y_test)
    return result, result.set_by(intervals(held_out, y_held_out * data.unit + data.shift))


def true_interval(seed: int) -> tuple[Result]:
    x = np.random.default_rng(seed).uniform(-2, 2, (3000, 1))[1000:, 0]
    middle, scale = curve(x)
    far = scale * stats.t.ppf(0.5 + LEVEL / 2, 2)
    return (Result(middle - far, middle + far, heavy_tails(seed).y_test),)


Results = dict[str, dict[str, list[tuple[Result, ...]]]]
"""Intervals of every split, for each data set and loss: as predicted, and scaled."""

SETS = {"diabetes": patients, "heavy tails": heavy_tails}


def table_of(name: str, of_losses: dict[str, list[tuple[Result, ...]]]) -> Table:
    """Table of means and standard deviations over the seeds."""
    seeds = len(next(iter(of_losses.values())))
    title = f"{name}: intervals of {LEVEL:.0%} of test samples, mean ± deviation over {seeds} splits"
    table = common.table(title, "loss", "inside", "mean width", "held-out: inside", "held-out: width")
    for way, of_seeds in of_losses.items():
        cells = []
        for of_kind in zip(*of_seeds, strict=True):
            cells.append(common.spread([one.coverage for one in of_kind], 3))
            cells.append(common.spread([one.width for one in of_kind], 0 if name == "diabetes" else 2))
        table.add_row(way, *cells)
    return table


COLORS = dict(zip((*WAYS, TRUTH), ("tab:blue", "tab:orange", "tab:green", "tab:gray"), strict=True))


def draw(results: Results, path: Path) -> None:
    """Plot coverage against width, a point for each split, and the intervals along the curve."""
    figure = plt.figure(figsize=(12, 6.8), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=[1, 1.1])
    for axes, (name, of_losses) in zip(top.subplots(1, 2), results.items(), strict=True):
        for way, of_seeds in of_losses.items():
            for of_kind, filled in zip(zip(*of_seeds, strict=True), (False, True), strict=False):
                points = [one.width for one in of_kind], [one.coverage for one in of_kind]
                told = {"label": f"{way}, set by held-out"} if filled else {"label": way, "mfc": "none"}
                axes.plot(*points, "o", color=COLORS[way], alpha=0.7, **told)
        axes.axhline(LEVEL, color="black", lw=0.8, ls=":")
        axes.set(title=name, xlabel="mean width", ylabel="inside")
        axes.legend(fontsize=7, frameon=False)
    x = np.random.default_rng(0).uniform(-2, 2, (3000, 1))[1000:, 0]
    order = np.argsort(x)
    truth = results["heavy tails"][TRUTH][0][0]
    for panel, way in zip(bottom.subplots(1, 3, sharey=True), WAYS, strict=True):
        one = results["heavy tails"][way][0][0]
        panel.plot(x, one.y, ".", color="0.75", ms=2, zorder=0)
        for end in (truth.low, truth.high):
            panel.plot(
                x[order], end[order], color="black", lw=1, ls="--", label=TRUTH if end is truth.low else None
            )
        panel.fill_between(x[order], one.low[order], one.high[order], color=COLORS[way], alpha=0.35, lw=0)
        panel.set(title=f"{way}: {one.coverage:.1%} inside", ylim=(-3.2, 3.2), xlabel="x")
        panel.legend(fontsize=8, frameon=False, loc="upper left")
    common.save(figure, path)


def main() -> None:
    arguments = common.arguments(__doc__, "intervals", epochs=80, seeds=2)
    console = Console()
    results: Results = {name: {way: [] for way in WAYS} for name in SETS}
    results["heavy tails"][TRUTH] = [true_interval(seed) for seed in range(arguments.seeds)]
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("training", total=len(SETS) * len(WAYS) * arguments.seeds)
        for name, make in SETS.items():
            for seed in range(arguments.seeds):
                data = make(seed)
                for way in WAYS:
                    results[name][way].append(train(way, data, seed, arguments.epochs))
                    progress.advance(task)
    for name, of_losses in results.items():
        console.print(table_of(name, of_losses))
    draw(results, arguments.output / "intervals.png")


if __name__ == "__main__":
    main()
