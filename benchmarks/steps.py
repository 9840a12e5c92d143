"""How long the steps of trainings take, an epoch of each in turn.

What else the machine does then meets all of them, and the time over that of another is taken within a round.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

Ways = Mapping[str, Callable[[Any], Any]]
"""Each trains its model for an epoch on the data; the first is what the others are compared with."""


def network(units: int, layers: int) -> keras.Model:
    keras.utils.set_random_seed(0)
    hidden = [keras.layers.Dense(units, activation="relu") for _ in range(layers)]
    return keras.Sequential([keras.Input((units,)), *hidden, keras.layers.Dense(1)])


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """The same batch again and again: reading data is no part of what is measured."""

    def __init__(self, units: int, size: int, count: int) -> None:
        super().__init__()
        r = np.random.default_rng(0)
        self.x, self.y = (r.normal(size=(size, width)).astype("float32") for width in (units, 1))
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.x, self.y


def compare(
    description: str, sizes: Mapping[str, tuple[int, int, int, int]], ways: Callable[[int, int], Ways]
) -> None:
    """Prints a table of the ways for each size: units, layers, samples in a batch, batches in an epoch."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    table = Table("step", "way", "median ms", "quartiles", "over the first", title=keras.backend.backend())
    for size, (units, layers, samples, count) in sizes.items():
        times = _measured(ways(units, layers), Batches(units, samples, count), rounds, size)
        first = next(iter(times))
        for name, each in times.items():
            low, middle, high = (1e3 * q for q in statistics.quantiles(each, n=4))
            # Of each round, so that what slows a round down does so for both.
            pairs = list(zip(each, times[first], strict=True))
            ratio = statistics.median(t / f for t, f in pairs)
            extra = 1e6 * statistics.median(t - f for t, f in pairs)
            over = "" if name == first else f"{ratio - 1:+.1%}, {extra:+.0f} us"
            table.add_row(size, name, f"{middle:.3f}", f"{low:.3f} to {high:.3f}", over)
    Console().print(table)


def _measured(ways: Ways, data: Batches, rounds: int, size: str) -> dict[str, list[float]]:
    """The seconds of a step, of each round."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in track(range(rounds + 1), size, transient=True):
        for name, train in ways.items():
            begun = time.perf_counter()
            train(data)
            if turn:  # the first traces
                times[name].append((time.perf_counter() - begun) / data.count)
    return times
