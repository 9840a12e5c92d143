"""What it costs to log the terms of a loss: steps of a plain model, of one with terms, and with LossCurves.

    python -m benchmarks.terms [--rounds 15]

The same network is trained on the same batches in three ways, an epoch of each in turn, so that what else the
machine does meets all of them. A small network has a step of about the least that Keras takes, a large one of
about 50 milliseconds. The time of a step is the epoch's over its steps, with the median over the rounds.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from rich.console import Console
from rich.table import Table

from keras_losses import AbsoluteErrorLoss, HuberLoss, LossAwareModel, SquaredErrorLoss
from keras_losses.callbacks import LossCurves

SIZES = {"smallest": (8, 1, 32, 400), "large": (1024, 4, 256, 40)}
"""Units, layers, samples in a batch, batches in an epoch."""


def network(units: int, layers: int) -> keras.Model:
    keras.utils.set_random_seed(0)
    hidden = [keras.layers.Dense(units, activation="relu") for _ in range(layers)]
    return keras.Sequential([keras.Input((units,)), *hidden, keras.layers.Dense(1)])


def loss() -> Any:
    return SquaredErrorLoss() + 0.5 * AbsoluteErrorLoss() + 0.1 * HuberLoss()


def ways(units: int, layers: int) -> dict[str, Callable[[Any], None]]:
    """Each trains its model for an epoch."""
    plain, aware, curves = network(units, layers), network(units, layers), network(units, layers)
    aware = LossAwareModel.from_model(aware)
    for model in (plain, aware, curves):
        model.compile(keras.optimizers.SGD(1e-6), loss=loss())
    callback = LossCurves(tempfile.mkdtemp(), batches=False)
    return {
        "plain": lambda data: plain.fit(data, verbose=0),
        "LossAwareModel": lambda data: aware.fit(data, verbose=0),
        "LossCurves, no batches": lambda data: curves.fit(data, verbose=0, callbacks=[callback]),
    }


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """The same batch again and again: reading data is no part of what is measured."""

    def __init__(self, units: int, size: int, count: int) -> None:
        super().__init__()
        r = np.random.default_rng(0)
        self.x, self.y = (
            r.normal(size=(size, units)).astype("float32"),
            r.normal(size=(size, 1)).astype("float32"),
        )
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.x, self.y


def measured(size: str, rounds: int) -> dict[str, list[float]]:
    """The seconds of a step, of each round."""
    units, layers, samples, count = SIZES[size]
    data, found = Batches(units, samples, count), ways(units, layers)
    times: dict[str, list[float]] = {name: [] for name in found}
    for turn in range(rounds + 1):
        for name, train in found.items():
            begun = time.perf_counter()
            train(data)
            if turn:  # the first traces
                times[name].append((time.perf_counter() - begun) / count)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    console = Console()
    table = Table("step", "way", "median ms", "quartiles", "over plain", title=f"{keras.backend.backend()}")
    for size in SIZES:
        times = measured(size, rounds)
        plain = statistics.median(times["plain"])
        for name, each in times.items():
            low, middle, high = (1e3 * q for q in statistics.quantiles(each, n=4))
            # Of each round, so that what slows a round down does so for both.
            ratio = statistics.median(t / p for t, p in zip(each, times["plain"], strict=True))
            extra = (
                ""
                if name == "plain"
                else f"{ratio - 1:+.1%}, {1e3 * (1e3 * (statistics.median(each) - plain)):+.0f} us"
            )
            table.add_row(size, name, f"{middle:.3f}", f"{low:.3f} to {high:.3f}", extra)
    console.print(table)


if __name__ == "__main__":
    main()
