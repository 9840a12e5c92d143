"""How long the steps of trainings take, an epoch of each in turn.

What else the machine does then meets all of them, and the time over that of another is taken within a round.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from benchmarks import backends, bounds, timing
from benchmarks.report import cell, spread, table
from benchmarks.timing import Settings, Spread, progress

Ways = Mapping[str, Callable[[Any], Any]]
"""Each trains its model for an epoch on the data; the first is what the others are compared with."""


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """The same batch again and again: reading data is no part of what is measured."""

    def __init__(self, x: np.ndarray, y: np.ndarray, count: int) -> None:
        super().__init__()
        self.x, self.y, self.count = x, y, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.x, self.y


@dataclass(frozen=True)
class Training:
    """A network with its batches, and the ways to train it."""

    data: Batches
    ways: Ways


def dense(units: int, layers: int) -> keras.Model:
    keras.utils.set_random_seed(0)
    hidden = [keras.layers.Dense(units, activation="relu") for _ in range(layers)]
    return keras.Sequential([keras.Input((units,)), *hidden, keras.layers.Dense(1)])


def numbers(units: int, samples: int, batches: int) -> Batches:
    r = np.random.default_rng(0)
    x, y = (r.normal(size=(samples, width)).astype("float32") for width in (units, 1))
    return Batches(x, y, batches)


def compare(trainings: Mapping[str, Callable[[], Training]], settings: Settings, what: str) -> dict[str, Any]:
    """For each training and way: seconds of a step, and over those of the first way; of each round."""
    rows = []
    names = list(trainings)[: 1 if settings.quick else None]
    for name in progress(names, what):
        training = trainings[name]()
        data, ways = training.data, training.ways
        times: dict[str, list[float]] = {way: [] for way in ways}
        for turn in range(settings.rounds + 1):
            for way, train in ways.items():
                seconds = timing.seconds(functools.partial(train, data)) / data.count
                if turn:  # the first traces
                    times[way].append(seconds)
        first = next(iter(times.values()))
        for way, each in times.items():
            extra = [t - f for t, f in zip(each, first, strict=True)]
            rows.append(
                {
                    "network": name,
                    "way": way,
                    "seconds": timing.quartiles(each),
                    "over": timing.ratio(each, first),
                    "extra": timing.quartiles(extra),
                }
            )
    return {"rows": rows}


def figures(data: Mapping[str, Any]) -> dict[str, Spread]:
    first = {row["network"]: row["way"] for row in reversed(data["rows"])}
    return {
        f"{row['network']}, {row['way']}": row["over"]
        for row in data["rows"]
        if row["way"] != first[row["network"]]
    }


def rows(found: Mapping[str, Any], at_most: float = math.inf) -> Iterator[str]:
    """The table of what `compare` measured on each backend, with a bound of the ratio."""
    first = {row["network"]: row["way"] for data in found.values() for row in reversed(data["rows"])}
    yield from table(
        ("on", "network", "way", "ms a step", "times the first", "more, ms"),
        [
            (
                backends.NAMES[backend],
                row["network"],
                row["way"],
                spread(row["seconds"], 1e3),
                ""
                if row["way"] == first[row["network"]]
                else bounds.marked(spread(row["over"]), row["over"], at_most),
                ""
                if row["way"] == first[row["network"]]
                else f"{'-' * (row['extra'][1] < 0)}{cell(abs(row['extra'][1]), 1e3)}",
            )
            for backend, data in found.items()
            for row in data["rows"]
        ],
    )
