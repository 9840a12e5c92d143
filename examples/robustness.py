"""Compare losses on data in which some targets are wrong.

    python examples/robustness.py [--output DIR] [--epochs N] [--seeds N]

The target is the progression of diabetes in 442 patients (scikit-learn's). 0, 5, 20 or 40% of the training
targets are ten times too large, as if a decimal point had slipped. A small network is trained with each loss,
on the same splits, initial weights and errors. The table has the mean absolute error on test patients, whose
targets are correct.

Targets are centred at their median and divided by 1.4826 times their median absolute deviation; a fifth of
wrong targets changes neither much. The robust losses have their default hyper-parameters, in these units. A
loss tolerates a share of errors if its mean error is at most a tenth above that of the best loss without
errors.
"""

import statistics
from collections.abc import Callable
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
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from keras_losses import (
    AbsoluteErrorLoss,
    BarronLoss,
    CauchyLoss,
    HuberLoss,
    PseudoHuberLoss,
    SquaredErrorLoss,
    TukeyBiweightLoss,
)

SHARES = (0.0, 0.05, 0.2, 0.4)
LOSSES: dict[str, Callable[[], keras.losses.Loss]] = {
    "SquaredErrorLoss": SquaredErrorLoss,
    "AbsoluteErrorLoss": AbsoluteErrorLoss,
    "HuberLoss": HuberLoss,
    "PseudoHuberLoss": PseudoHuberLoss,
    "CauchyLoss": CauchyLoss,
    "BarronLoss(alpha=-2)": lambda: BarronLoss(alpha=-2.0),
    "TukeyBiweightLoss": TukeyBiweightLoss,
}


class Data:
    """One split, with some training targets ten times too large."""

    def __init__(self, seed: int, share: float) -> None:
        x, y = load_diabetes(return_X_y=True)
        x, x_test, y, self.y_test = train_test_split(x, y, test_size=0.3, random_state=seed)
        # A larger share includes the patients of a smaller share with the same seed.
        order = np.random.default_rng(seed).permutation(len(y))
        y = np.where(order < share * len(y), 10 * y, y)
        self.center = float(np.median(y))
        self.scale = 1.4826 * float(np.median(np.abs(y - self.center)))
        scaler = StandardScaler().fit(x)
        self.x, self.x_test = (scaler.transform(part).astype("float32") for part in (x, x_test))
        self.y = ((y - self.center) / self.scale).astype("float32")

    def error(self, outputs: np.ndarray) -> float:
        return float(np.abs(outputs[:, 0] * self.scale + self.center - self.y_test).mean())


class Trainer:
    """One model for all trainings with a loss, such that it is compiled only once."""

    def __init__(self, loss: keras.losses.Loss, features: int, epochs: int) -> None:
        self.epochs = epochs
        self.model = keras.Sequential(
            [
                keras.Input((features,)),
                keras.layers.Dense(32, activation="relu", kernel_regularizer=keras.regularizers.L2(1e-3)),
                keras.layers.Dense(1),
            ]
        )
        schedule = keras.optimizers.schedules.CosineDecay(1e-2, epochs * 5)
        self.optimizer = keras.optimizers.Adam(schedule)
        self.model.compile(self.optimizer, loss=loss)
        self.optimizer.build(self.model.trainable_variables)

    def error(self, data: Data, seed: int) -> float:
        """Train a network from new initial weights and return its error."""
        keras.utils.set_random_seed(seed)
        for layer in self.model.layers:
            for variable in layer.trainable_variables:
                start = keras.initializers.GlorotUniform(seed) if len(variable.shape) > 1 else "zeros"
                variable.assign(keras.initializers.get(start)(variable.shape))
        for variable in self.optimizer.variables:
            if variable is not self.optimizer.learning_rate:
                variable.assign(keras.ops.zeros_like(variable))
        size = len(data.y) // 5
        r = np.random.default_rng(seed)
        order = np.concatenate([r.permutation(len(data.y))[: 5 * size] for _ in range(self.epochs)])
        self.model.fit(data.x[order], data.y[order], batch_size=size, shuffle=False, verbose=0)
        return data.error(np.asarray(self.model(data.x_test)))


def holds_until(errors: dict[float, list[float]], best: float) -> str:
    """Largest share of wrong targets that the loss tolerates."""
    held = [share for share in SHARES if statistics.mean(errors[share]) <= 1.1 * best]
    steps = [share for turn, share in enumerate(held) if share == SHARES[turn]]
    return f"{steps[-1]:.0%}" if steps else "never"


def table_of(errors: dict[str, dict[float, list[float]]]) -> Table:
    """Mean and standard deviation over the seeds."""
    seeds = len(next(iter(errors.values()))[0.0])
    best = min(statistics.mean(found[0.0]) for found in errors.values())
    title = f"Diabetes, some targets wrong: test error, mean ± deviation, {seeds} splits"
    table = common.table(title, "loss", *(f"{share:.0%}" for share in SHARES), "holds")
    for name, found in errors.items():
        cells = [common.spread(found[share], digits=0) for share in SHARES]
        table.add_row(name, *cells, holds_until(found, best))
    return table


def draw(errors: dict[str, dict[float, list[float]]], path: Path) -> None:
    """Plot values and gradients of the losses on the left, and test errors on the right."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
    r = np.linspace(-8, 8, 401).astype("float32")
    for turn, (name, found) in enumerate(errors.items()):
        style: dict[str, Any] = {"color": f"C{turn}", "lw": 1.8, "label": name}
        config = {**LOSSES[name]().get_config(), "reduction": "none"}
        values = np.asarray(type(LOSSES[name]()).from_config(config)(0 * r, r))
        left.plot(r, values, **style)
        middle.plot(r, np.gradient(values, r), **style)
        means = [statistics.mean(found[share]) for share in SHARES]
        deviations = [statistics.stdev(found[share]) if len(found[share]) > 1 else 0 for share in SHARES]
        places = np.arange(len(SHARES)) + 0.06 * (turn - 3)
        right.errorbar(places, means, deviations, marker="o", ms=4, **style)
    left.set(ylim=(-0.2, 8), xlabel="residual, in scales", title="the loss")
    middle.set(ylim=(-4, 4), xlabel="residual, in scales", title="its pull")
    right.set_xticks(range(len(SHARES)), [f"{share:.0%}" for share in SHARES])
    right.set(yscale="log", xlabel="training targets ten times too large", title="test error")
    right.set_yticks([50, 100, 200, 400], ["50", "100", "200", "400"])
    right.minorticks_off()
    right.legend(frameon=False, fontsize=8)
    common.save(figure, path)


def main() -> None:
    arguments = common.arguments(__doc__, "robustness", epochs=80, seeds=5)
    console = Console()
    errors: dict[str, dict[float, list[float]]] = {}
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("training", total=len(LOSSES) * len(SHARES) * arguments.seeds)
        for name, loss in LOSSES.items():
            trainer, errors[name] = Trainer(loss(), 10, arguments.epochs), {}
            for share in SHARES:
                errors[name][share] = []
                for seed in range(arguments.seeds):
                    errors[name][share].append(trainer.error(Data(seed, share), seed))
                    progress.advance(task)
    console.print(table_of(errors))
    draw(errors, arguments.output / "robustness.png")


if __name__ == "__main__":
    main()
