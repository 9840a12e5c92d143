"""Record of a training in memory, of limited size, from which pictures are drawn."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np

from .recorded import SEAM_TAG, Recorded

V = TypeVar("V")

POINTS = 4000
"""The smallest number of points to which a curve is thinned; a picture has fewer columns."""

LEVELS = np.linspace(0.0, 100.0, 101)
"""The percentiles of a histogram that are kept."""


@dataclass
class Series(Generic[V]):
    """The steps and values of a curve."""

    steps: list[int] = field(default_factory=list)
    values: list[V] = field(default_factory=list)

    def append(self, step: int, value: V) -> None:
        self.steps.append(step)
        self.values.append(value)

    def keep(self, indices: Sequence[int]) -> None:
        self.steps = [self.steps[index] for index in indices]
        self.values = [self.values[index] for index in indices]

    def __len__(self) -> int:
        return len(self.steps)


class Record:
    """The points of a training by run and tag, with the interface of a `Writer`.

    A curve of more than 8000 points is thinned to the points that a picture shows. For each of many equal
    parts of the x-axis it keeps the least value, the greatest value, and the first NaN or infinity.
    Histograms are kept as their percentiles, for the last 500 to 1000 steps.
    """

    def __init__(self) -> None:
        self.hyperparameters: dict[str, float | str | bool] = {}
        self.curves: dict[tuple[str, str], Series[float]] = {}
        self.histograms: dict[tuple[str, str], Series[list[float]]] = {}
        self.unfinished = False

    def begin(self, step: int, hyperparameters: Mapping[str, float | str | bool]) -> None:
        self.hyperparameters = dict(hyperparameters)
        self.unfinished = True
        series: Any
        for kind in (self.curves, self.histograms):
            for key, series in list(kind.items()):
                series.keep([index for index, at in enumerate(series.steps) if at <= step])
                if not len(series):
                    del kind[key]  # type: ignore[attr-defined]

    def end(self) -> None:
        """End a fit, or its interruption."""
        self.unfinished = False

    def scalar(self, run: str, tag: str, value: float, step: int) -> None:
        curve = self.curves.setdefault((run, tag), Series())
        curve.append(int(step), _rounded(value))
        if len(curve) > 2 * POINTS:
            _thin(curve)

    def histogram(self, run: str, tag: str, values: np.ndarray, step: int) -> None:
        finite = np.asarray(values, float)
        finite = finite[np.isfinite(finite)]
        if finite.size:
            series = self.histograms.setdefault((run, tag), Series())
            series.append(int(step), [_rounded(value) for value in np.percentile(finite, LEVELS)])
            if len(series) > 1000:
                series.keep(range(1, len(series), 2))

    def curve(self, run: str, tag: str) -> Series[float]:
        """Return a curve, without points if nothing was recorded."""
        return self.curves.get((run, tag), Series())

    def names(self, prefix: str) -> list[str]:
        """Return the tags of all runs that begin with a prefix, without it; sorted if all are numbers."""
        tags = dict.fromkeys(tag for _, tag in (*self.curves, *self.histograms))
        names = [tag.removeprefix(prefix) for tag in tags if tag.startswith(prefix)]
        return sorted(names, key=int) if all(name.isdecimal() for name in names) else names

    def best(self) -> tuple[str, int] | None:
        """Return the run (validation if it exists) and the index of the epoch with the least loss."""
        for run in ("validation", "train"):
            values = self.curve(run, "epoch/loss").values
            finite = [index for index, value in enumerate(values) if math.isfinite(value)]
            if finite:
                return run, min(finite, key=values.__getitem__)
        return None

    def recorded(self) -> Recorded:
        """Return the extent of the curves."""
        recorded = Recorded(unfinished=self.unfinished)
        for (run, tag), curve in sorted(self.curves.items(), key=lambda item: item[0][1] != SEAM_TAG):
            for step, value in zip(curve.steps, curve.values, strict=True):
                recorded.add(run, tag, step, value)
        return recorded

    def to_json(self) -> str:
        """Return ASCII text; NaN and infinities, which JSON lacks, are texts that `float` reads."""
        content = {
            "version": 1,
            "unfinished": self.unfinished,
            "hyperparameters": {name: _plain(value) for name, value in self.hyperparameters.items()},
            "curves": [
                [run, tag, curve.steps, [_plain(value) for value in curve.values]]
                for (run, tag), curve in self.curves.items()
            ],
            "histograms": [
                [run, tag, series.steps, series.values] for (run, tag), series in self.histograms.items()
            ],
        }
        return json.dumps(content, separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Record:
        content, record = json.loads(text), cls()
        record.hyperparameters = content["hyperparameters"]
        record.unfinished = content.get("unfinished", False)
        for run, tag, steps, values in content["curves"]:
            record.curves[run, tag] = Series(steps, [float(value) for value in values])
        for run, tag, steps, rows in content["histograms"]:
            record.histograms[run, tag] = Series(steps, rows)
        return record


def _thin(curve: Series[float]) -> None:
    width = (curve.steps[-1] - curve.steps[0]) * 2 // POINTS + 1
    kept: set[int] = set()
    for _, group in itertools.groupby(range(len(curve)), lambda index: curve.steps[index] // width):
        part = list(group)
        finite = [index for index in part if math.isfinite(curve.values[index])]
        kept.update([index for index in part if not math.isfinite(curve.values[index])][:1])
        if finite:
            kept.update(
                (min(finite, key=curve.values.__getitem__), max(finite, key=curve.values.__getitem__))
            )
    curve.keep(sorted(kept))


def _rounded(value: float) -> float:
    # Seven digits, as float32 has: the float32 0.001 arrives as 0.0010000000475.
    return float(f"{value:.7g}")


def _plain(value: float | str | bool) -> float | str | bool:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
