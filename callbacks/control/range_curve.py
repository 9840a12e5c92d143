"""The curve of a learning-rate range test, and the rates that it suggests."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..writers.drawing import need_matplotlib

# fastai's: what its suggestions leave out of the curve's ends, and the interval and slope of `slide`.
BEGINNING, END = 10, 5
INTERVAL, SLOPE = 15, 0.005


@dataclass(frozen=True)
class LearningRateCurve:
    """The loss at each learning rate of a range test, and the rates that it suggests.

    The suggestions are fastai's, read off `smoothed` without the first tenth of the test and the last 5
    points. Where the curve has none of a kind (it never falls, or is too short), the property raises
    `ValueError`, and `suggestions` is without it.

    Attributes:
        rates: The learning rates, ascending.
        losses: The loss of each, before its update: as in the logs, with regularisation.
        smoothed: Their exponential moving average, corrected for its beginning at 0.
        stopped: Why there is no further point: `"finished"`, `"diverged"` or `"nan"`. A loss that is
            infinite (which is divergence) or NaN is not in the curve.
        steps: How many rates there would have been.
        spacing: `"exponential"` or `"linear"`.

    Example:

    >>> losses = (3.0, 3.0, 2.0, 1.0, 0.5, 0.6, 1.0, 2.0, 3.0, 4.0, 5.0)
    >>> curve = LearningRateCurve(tuple(10.0**k for k in range(-9, 2)), losses, losses, "diverged", 10)
    >>> f"{curve.minimum:.0e}"  # the lowest is at 1e-5
    '1e-06'
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    stopped: str
    steps: int
    spacing: str = "exponential"

    @property
    def valley(self) -> float:
        """Half-way down the longest descent: the one to begin with.

        The descent is the longest strictly falling subsequence of the curve, of L points, taken for the L
        points that end where it ends; the suggestion is the point after L/3 + L/6 of them.
        """
        rates, losses = self._inner("valley", 2)
        lengths = np.ones(len(losses), int)
        for i in range(1, len(losses)):
            higher = lengths[:i][losses[:i] > losses[i]]
            lengths[i] = 1 + higher.max(initial=0)
        last = int(lengths.argmax())
        length = int(lengths[last])
        if length == 1:
            raise self._without("valley", "the loss never falls")
        return float(rates[max(last - length + length // 3 + length // 6, 0)])

    @property
    def steepest(self) -> float:
        """Where the loss falls most for a change of the rate's logarithm."""
        rates, losses = self._inner("steepest", 2)
        slopes = np.diff(losses) / np.diff(np.log(rates))
        if slopes.min() >= 0:
            raise self._without("steepest", "the loss never falls")
        return float(rates[slopes.argmin()])

    @property
    def minimum(self) -> float:
        """A tenth of the rate with the lowest loss."""
        rates, losses = self._inner("minimum", 1)
        return float(rates[losses.argmin()]) / 10

    @property
    def slide(self) -> float:
        """The left end of an interval of 15 points that slides down from the largest rate.

        It stops when the slopes at its ends, in loss per point, are within 0.005 of each other, which
        depends on the scale of the loss.
        """
        rates, losses = self._inner("slide", INTERVAL + 1)
        slopes = np.gradient(losses)
        left = len(losses) - 1 - INTERVAL
        found = rates[left]
        while left >= 0 and abs(slopes[left + INTERVAL] - slopes[left]) > SLOPE:
            found = rates[left]
            left -= 1
        return float(found)

    @property
    def suggestions(self) -> dict[str, float]:
        """Those of the four that the curve has, by name."""
        found: dict[str, float] = {}
        for name in ("valley", "steepest", "minimum", "slide"):
            with contextlib.suppress(ValueError):
                found[name] = getattr(self, name)
        return found

    def plot(self, ax: Any = None) -> Any:
        """Draws the curve and its suggestions with matplotlib, on `ax` or a new figure; returns the axes."""
        need_matplotlib("LearningRateCurve.plot")
        import matplotlib.pyplot as plt

        if ax is None:
            ax = plt.subplots(figsize=(7.2, 4.2), layout="constrained")[1]
        if self.spacing == "exponential":
            ax.set_xscale("log")
        ax.plot(self.rates, self.losses, color="#9aa5b1", linewidth=1, alpha=0.6)
        ax.plot(self.rates, self.smoothed, color="#1f4e79", linewidth=2)
        # The single losses of a test that diverges would flatten all the rest.
        low, high = min(self.smoothed), max(self.smoothed)
        low = max(min(self.losses), low - (high - low) / 2)
        room = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
        ax.set_ylim(low - room, high + room)
        _mark(ax, self)
        ax.set_xlabel("learning rate")
        ax.set_ylabel("loss (thin: of each batch)")
        ax.spines[["top", "right"]].set_visible(False)
        return ax

    def _inner(self, name: str, least: int) -> tuple[Any, Any]:
        """Rates and losses without the ends, as arrays."""
        kept = slice(self.steps // BEGINNING, len(self.rates) - END)
        rates, losses = np.array(self.rates[kept]), np.array(self.smoothed[kept])
        if len(rates) < least:
            raise self._without(
                name,
                f"of its {len(self.rates)} points {len(rates)} are left without the ends; {least} are needed",
            )
        return rates, losses

    def _without(self, name: str, why: str) -> ValueError:
        return ValueError(
            f"LearningRateCurve.{name}: the curve has none, as {why}. Try more steps, or a smaller min_rate."
        )


def _mark(ax: Any, curve: LearningRateCurve) -> None:
    """The suggestions as points of the smoothed line, and their names and rates in a row over it."""
    found = sorted(curve.suggestions.items(), key=lambda item: item[1])
    scale = np.log if curve.spacing == "exponential" else np.asarray
    left, right = (scale(limit) for limit in ax.get_xlim())
    width, place = 0.12, -1.0  # as fractions of the axis
    for turn, (name, rate) in enumerate(found):
        # As close to its point as those before it, and the room for those after it, allow.
        last = 1 - width * (len(found) - turn - 0.5)
        place = min(max((scale(rate) - left) / (right - left), place + width, width / 2), last)
        loss = np.interp(scale(rate), scale(curve.rates), curve.smoothed)
        ax.plot(rate, loss, "o", color="#c8553d", markersize=6, zorder=3)
        ax.annotate(
            f"{name}\n{rate:.2g}",
            (rate, loss),
            (place, 1.02),
            textcoords="axes fraction",
            ha="center",
            va="bottom",
            fontsize=9,
            color="#c8553d",
            arrowprops={"arrowstyle": "-", "color": "#c8553d", "linewidth": 0.6, "shrinkB": 4},
        )
