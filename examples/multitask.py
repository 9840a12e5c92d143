"""Balance two tasks with very different units, and learn how robust a loss should be.

    python examples/multitask.py [--output DIR] [--epochs N] [--seeds N]

The network sees the upper half of scikit-learn's handwritten digits. It predicts the digit (cross-entropy,
2.3 at the start) and the amount of ink in the lower half (squared error, with a variance of some thousand).
In a plain sum, the ink dominates the training. The table compares, over the same splits and initial weights:
each task alone, weights of 1, weights by hand (the ink's divided by its variance), and three ways that find
the weights during training: `UncertaintyWeightedLoss`, `DynamicWeightAverage` and `GradNorm`.

The second part trains `AdaptiveBarronLoss`, which learns the shape alpha of the noise between a density like
Cauchy's (0) and the normal one (2). The data are the progression of diabetes in 442 patients as they are, and
with a tenth or a fifth of the training targets ten times too large.
"""

import statistics
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import common
import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from sklearn.datasets import load_diabetes, load_digits
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from keras_losses import (
    AdaptiveBarronLoss,
    CrossentropyLoss,
    LossAwareModel,
    SquaredErrorLoss,
    UncertaintyWeightedLoss,
)
from keras_losses.callbacks import DynamicWeightAverage, GradNorm
from keras_losses.core import Learned

# Two tasks ----------------------------------------------------------------------------------------------


class Halves:
    """Upper halves of the digits, and the targets of both tasks."""

    def __init__(self, seed: int) -> None:
        digits = load_digits()
        upper = (digits.images[:, :4] / 16).reshape(-1, 32).astype("float32")
        ink = digits.images[:, 4:].sum(axis=(1, 2)).astype("float32")
        parts = train_test_split(upper, digits.target, ink, test_size=0.4, random_state=seed)
        self.x, self.x_test, self.digit, self.digit_test, self.ink, self.ink_test = parts


Losses = dict[str, keras.losses.Loss]
TERMS = {"digit": "digit_crossentropy_loss", "ink": "ink_squared_error_loss"}  # in the logs


def digits() -> CrossentropyLoss:
    return CrossentropyLoss(from_logits=True)


def weighted(data: Halves) -> Losses:
    return {"digit": 1.0 * digits(), "ink": 1.0 * SquaredErrorLoss()}


def by_hand(data: Halves) -> Losses:
    return {"digit": 1.0 * digits(), "ink": SquaredErrorLoss() / data.ink.var()}


def uncertain(data: Halves) -> Losses:
    # The learned noise must grow from 1 to more than 10, so it learns ten times as fast as the weights.
    noise: Any = Learned(1.0, learning_rate=10.0)
    tasks = {"digit": digits(), "ink": SquaredErrorLoss()}
    return {name: UncertaintyWeightedLoss([loss], noise=noise) for name, loss in tasks.items()}


ALONE = {
    "the digit alone": lambda data: {"digit": digits()},
    "the ink alone": lambda data: {"ink": SquaredErrorLoss()},
}
Way = tuple[Callable[[Halves], Losses], Callable[[], list[keras.callbacks.Callback]]]
TOGETHER: dict[str, Way] = {
    "weights of 1": (weighted, list),
    "weights by hand": (by_hand, list),
    "UncertaintyWeightedLoss": (uncertain, list),
    "DynamicWeightAverage": (weighted, lambda: [DynamicWeightAverage()]),
    "GradNorm": (weighted, lambda: [GradNorm("shared")]),
}
WAYS: dict[str, Way] = {way: (losses, list) for way, losses in ALONE.items()} | TOGETHER
COLORS = dict(zip(TOGETHER, ("tab:gray", "black", "tab:blue", "tab:orange", "tab:green"), strict=True))


@dataclass
class Run:
    """Errors of both tasks on the test images, and the ink's weight relative to the digit's."""

    accuracy: float
    error: float
    ratio: np.ndarray


def train(way: str, seed: int, epochs: int) -> Run:
    data = Halves(seed)
    losses, callbacks = WAYS[way]
    loss = losses(data)
    keras.utils.set_random_seed(seed)
    x = keras.Input((32,))
    hidden = layers.Dense(64, activation="relu")(x)
    hidden = layers.Dense(64, activation="relu", name="shared")(hidden)
    usual = keras.initializers.Constant(float(data.ink.mean()))
    heads = {
        "digit": layers.Dense(10, name="digit"),
        "ink": layers.Dense(1, name="ink", bias_initializer=usual),
    }
    model = LossAwareModel(x, {task: heads[task](hidden) for task in loss})
    schedule = keras.optimizers.schedules.CosineDecay(5e-3, epochs * -(-len(data.x) // 64))
    model.compile(keras.optimizers.Adam(schedule), loss=loss, log_weighted_terms=True)
    targets = {"digit": data.digit, "ink": data.ink}
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "ink_squared_error_loss was"
        )  # so much of the loss: it is to be seen
        history = model.fit(
            data.x,
            {task: targets[task] for task in loss},
            batch_size=64,
            epochs=epochs,
            callbacks=callbacks(),
            verbose=0,
        ).history
    said = {task: keras.ops.convert_to_numpy(outputs) for task, outputs in model(data.x_test).items()}
    run = Run(np.nan, np.nan, np.array([]))
    if "digit" in loss:
        run.accuracy = float((said["digit"].argmax(axis=1) == data.digit_test).mean())
    if "ink" in loss:
        run.error = float(np.sqrt(np.square(said["ink"][:, 0] - data.ink_test).mean()))
    if len(loss) == 2:
        weights = {
            task: np.divide(history[f"{term}_weighted"], history[term]) for task, term in TERMS.items()
        }
        run.ratio = weights["ink"] / weights["digit"]
    return run


def known(values: list[float], unit: str = "") -> str:
    """Mean and standard deviation, or nothing for a task on which the model was not trained."""
    return "" if np.isnan(values).any() else common.spread(values, digits=1, unit=unit)


def table_of_tasks(runs: dict[str, list[Run]]) -> Table:
    """Mean and standard deviation over the seeds."""
    seeds = len(next(iter(runs.values())))
    title = f"Two tasks: test images, mean ± deviation over {seeds} splits"
    table = common.table(title, "weights", "digits right", "error of the ink", "ink's weight to digit's")
    for way, of_seeds in runs.items():
        last = [run.ratio[-1] for run in of_seeds if len(run.ratio)]
        table.add_row(
            way,
            known([100 * run.accuracy for run in of_seeds], "%"),
            known([run.error for run in of_seeds]),
            f"{np.exp(np.mean(np.log(last))):.2g}" if last else "",
        )
    return table


# The shape of the noise ---------------------------------------------------------------------------------

SHARES = (0.0, 0.1, 0.2)
SHADES = ("tab:green", "tab:orange", "tab:red")


class Patients:
    """One split of the patients, with some training targets ten times too large."""

    def __init__(self, seed: int, share: float) -> None:
        x, y = load_diabetes(return_X_y=True)
        x, x_test, y, self.y_test = train_test_split(x, y, test_size=0.3, random_state=seed)
        order = np.random.default_rng(seed).permutation(len(y))
        y = np.where(order < share * len(y), 10 * y, y)
        self.center = float(np.median(y))
        self.unit = 1.4826 * float(np.median(np.abs(y - self.center)))
        scaler = StandardScaler().fit(x)
        self.x, self.x_test = (scaler.transform(part).astype("float32") for part in (x, x_test))
        self.y = ((y - self.center) / self.unit).astype("float32")

    def error(self, outputs: np.ndarray) -> float:
        return float(np.abs(outputs[:, 0] * self.unit + self.center - self.y_test).mean())


@dataclass
class Found:
    """Mean error on test patients, and alpha and the scale after each epoch."""

    error: float
    learned: list[dict[str, float]]


class Notes(keras.callbacks.Callback):  # type: ignore[misc]
    """Record the learned hyper-parameters after each epoch, which `LossCurves` writes to TensorBoard."""

    def __init__(self) -> None:
        super().__init__()
        self.learned: list[dict[str, float]] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.learned.append(self.model.loss_terms.parameters())


def find(share: float, seed: int, epochs: int) -> Found:
    data, notes = Patients(seed, share), Notes()
    keras.utils.set_random_seed(seed)
    weights = keras.regularizers.L2(1e-3)
    network = [layers.Dense(32, activation="relu", kernel_regularizer=weights), layers.Dense(1)]
    model = LossAwareModel.from_model(keras.Sequential([keras.Input((10,)), *network]))
    schedule = keras.optimizers.schedules.CosineDecay(1e-2, epochs * 10)
    learned: Any = Learned(1.0, learning_rate=3.0)
    model.compile(keras.optimizers.Adam(schedule), loss=AdaptiveBarronLoss(alpha=learned, scale=learned))
    model.fit(data.x, data.y, -(-len(data.y) // 10), epochs, callbacks=[notes], verbose=0)
    return Found(data.error(keras.ops.convert_to_numpy(model(data.x_test))), notes.learned)


def table_of_noise(found: dict[float, list[Found]]) -> Table:
    """Mean and standard deviation over the seeds."""
    seeds = len(found[0.0])
    title = f"AdaptiveBarronLoss: mean ± deviation over {seeds} splits"
    table = common.table(title, "wrong", "alpha", "scale", "test error")
    for share, of_seeds in found.items():
        table.add_row(
            f"{share:.0%}",
            common.spread([one.learned[-1]["alpha"] for one in of_seeds], 2),
            common.spread([one.learned[-1]["scale"] for one in of_seeds], 2),
            common.spread([one.error for one in of_seeds], 1),
        )
    return table


# Both -----------------------------------------------------------------------------------------------------


def draw(runs: dict[str, list[Run]], found: dict[float, list[Found]], path: Path) -> None:
    """Plot the errors of both tasks against each other, the weights over the epochs, and alpha."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4.4), layout="constrained")
    for way, color in COLORS.items():
        of_seeds = runs[way]
        errors = [100 - 100 * run.accuracy for run in of_seeds], [run.error for run in of_seeds]
        left.plot(*errors, "o", color=color, alpha=0.35, ms=4)
        left.plot(*map(statistics.mean, errors), "o", color=color, ms=9, label=way)
        ratios = np.array([run.ratio for run in of_seeds])
        epochs = np.arange(1, ratios.shape[1] + 1)
        middle.fill_between(epochs, ratios.min(0), ratios.max(0), color=color, alpha=0.2, lw=0)
        # The curves of the two ways with constant weights coincide.
        middle.plot(epochs, np.exp(np.log(ratios).mean(0)), color=color, lw=5 if color == "tab:gray" else 2)
    alone = {name: runs[f"the {name} alone"] for name in ("digit", "ink")}
    left.axvline(
        statistics.mean(100 - 100 * run.accuracy for run in alone["digit"]), color="0.6", lw=1, ls=":"
    )
    left.axhline(statistics.mean(run.error for run in alone["ink"]), color="0.6", lw=1, ls=":")
    left.set(
        xlabel="digits wrong, %", ylabel="error of the ink", title="test errors (dotted: the task alone)"
    )
    left.legend(frameon=False, fontsize=8)
    middle.set(yscale="log", xlabel="epoch", title="the ink's weight to the digit's")
    for (share, of_share), color in zip(found.items(), SHADES, strict=True):
        alphas = np.array([[each["alpha"] for each in one.learned] for one in of_share])
        epochs = np.arange(1, alphas.shape[1] + 1)
        right.fill_between(epochs, alphas.min(0), alphas.max(0), color=color, alpha=0.2, lw=0)
        right.plot(epochs, alphas.mean(0), color=color, lw=2, label=f"{share:.0%} of the targets wrong")
    right.set(ylim=(0, 2.02), xlabel="epoch", title="alpha of AdaptiveBarronLoss, diabetes")
    for place, text in ((1.93, "as of normal noise"), (0.02, "as of Cauchy's")):
        right.text(0.02, place, text, color="0.4", fontsize=8, transform=right.get_yaxis_transform())
    right.legend(frameon=False, fontsize=8)
    common.save(figure, path)


def main() -> None:
    arguments = common.arguments(__doc__, "multitask", epochs=40, seeds=3)
    console, epochs = Console(), arguments.epochs
    runs: dict[str, list[Run]] = {way: [] for way in WAYS}
    found: dict[float, list[Found]] = {share: [] for share in SHARES}
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("training", total=(len(WAYS) + len(SHARES)) * arguments.seeds)
        for seed in range(arguments.seeds):
            for way, of_seeds in runs.items():
                of_seeds.append(train(way, seed, epochs))
                progress.advance(task)
            for share, of_share in found.items():
                of_share.append(find(share, seed, epochs))
                progress.advance(task)
    console.print(table_of_tasks(runs))
    console.print(table_of_noise(found))
    draw(runs, found, arguments.output / "multitask.png")


if __name__ == "__main__":
    main()
