"""The curve of a learning-rate range test, and the rates that it suggests."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..writers.drawing import need_matplotlib

# The constants of fastai: which part of the curve's ends its suggestions leave out (a tenth of the steps at
# the beginning, 5 points at the end), and the interval and the slope of `slide`.
BEGINNING, END = 10, 5
INTERVAL, SLOPE = 15, 0.005


@dataclass(frozen=True)
class LearningRateCurve:
    """The loss at each learning rate of a range test, and the rates that it suggests.

    The suggestions are those of fastai, read from `smoothed` without the first tenth of the test and the last
    5 points. If the curve has no such suggestion, because the loss never decreases or the curve is too short,
    the property raises `ValueError`, and `suggestions` leaves it out.

    Attributes:
        rates: Learning rates, ascending.
        losses: Loss of each rate before its update, as in the logs, with weight penalties.
        smoothed: Exponential moving average of the losses, corrected for its beginning at 0.
        stopped: Why the curve ends: `"finished"`, `"diverged"` or `"nan"`. The curve does not include an
            infinite loss, which counts as divergence, or a NaN.
        steps: Number of rates of the complete test.
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
        """Rate half-way down the longest descent. Try this suggestion first.

        The longest strictly decreasing subsequence of the curve has L points. The suggestion is the point
        after L/3 + L/6 of the L points that end where the subsequence ends.
        """
        rates, losses = self._inner("valley", 2)
        lengths = np.ones(len(losses), int)
        for i in range(1, len(losses)):
            higher = lengths[:i][losses[:i] > losses[i]]
            lengths[i] = 1 + higher.max(initial=0)
        last = int(lengths.argmax())
        length = int(lengths[last])
        if length == 1:
            raise self._no("valley", "the loss never decreases")
        return float(rates[max(last - length + length // 3 + length // 6, 0)])

    @property
    def steepest(self) -> float:
        """Rate at which the loss has the steepest descent over the logarithm of the rate."""
        rates, losses = self._inner("steepest", 2)
        slopes = np.diff(losses) / np.diff(np.log(rates))
        if slopes.min() >= 0:
            raise self._no("steepest", "the loss never decreases")
        return float(rates[slopes.argmin()])

    @property
    def minimum(self) -> float:
        """Tenth of the rate with the lowest loss."""
        rates, losses = self._inner("minimum", 1)
        return float(rates[losses.argmin()]) / 10

    @property
    def slide(self) -> float:
        """Left end of an interval of 15 points that slides down from the largest rate.

        The interval stops when the slopes at its ends, in loss per point, differ by 0.005 or less, so the
        suggestion depends on the scale of the loss.
        """
        rates, losses = self._inner("slide", INTERVAL + 1)
        slopes = np.gradient(losses)
        left = len(losses) - 1 - INTERVAL
        suggestion = rates[left]
        while left >= 0 and abs(slopes[left + INTERVAL] - slopes[left]) > SLOPE:
            suggestion = rates[left]
            left -= 1
        return float(suggestion)

    @property
    def suggestions(self) -> dict[str, float]:
        """Suggestions that the curve has, by name."""
        suggestions: dict[str, float] = {}
        for name in ("valley", "steepest", "minimum", "slide"):
            with contextlib.suppress(ValueError):
                suggestions[name] = getattr(self, name)
        return suggestions

    def plot(self, ax: Any = None) -> Any:
        """Draw the curve and its suggestions with Matplotlib, on `ax` or a new figure; return the axes."""
        need_matplotlib("LearningRateCurve.plot")
        import matplotlib.pyplot as plt

        if ax is None:
            ax = plt.subplots(figsize=(7.2, 4.2), layout="constrained")[1]
        if self.spacing == "exponential":
            ax.set_xscale("log")
        ax.plot(self.rates, self.losses, color="#9aa5b1", linewidth=1, alpha=0.6)
        ax.plot(self.rates, self.smoothed, color="#1f4e79", linewidth=2)
        # The limits come from the smoothed losses: single losses of a test that diverged would flatten all
        # others.
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
        """Return rates and smoothed losses without the ends, as arrays; raise if too few are left."""
        kept = slice(self.steps // BEGINNING, len(self.rates) - END)
        rates, losses = np.array(self.rates[kept]), np.array(self.smoothed[kept])
        if len(rates) < least:
            raise self._no(
                name,
                f"{len(rates)} of its {len(self.rates)} points are left without the ends, and {least} are "
                "needed",
            )
        return rates, losses

    def _no(self, name: str, reason: str) -> ValueError:
        return ValueError(
            f"`LearningRateCurve`: no `{name}` found: {reason}. Try more `steps`, or a smaller `min_rate`."
        )


def _mark(ax: Any, curve: LearningRateCurve) -> None:
    """Mark the suggestions on the smoothed curve, with their names and rates in a row above the axes."""
    suggestions = sorted(curve.suggestions.items(), key=lambda item: item[1])
    scale = np.log if curve.spacing == "exponential" else np.asarray
    left, right = (scale(limit) for limit in ax.get_xlim())
    width, place = 0.12, -1.0  # as fractions of the axis
    for turn, (name, rate) in enumerate(suggestions):
        # Close to its point, right of the label before it, and with room for the labels after it.
        last = 1 - width * (len(suggestions) - turn - 0.5)
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
