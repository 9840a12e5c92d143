"""Real numbers and intervals, written in the notation of mathematics."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass, field
from typing import Any, TypeGuard


def is_real_number(value: Any) -> TypeGuard[float]:
    """Return whether a value is a real number of Python or NumPy and not a boolean."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


@dataclass(frozen=True)
class Interval:
    """An interval of numbers, parsed once from its text: `"[0, inf)"`, `"(0, 1]"`.

    Raises:
        ValueError: if the text is not a bracket, two numbers separated by a comma, and a bracket.
    """

    text: str
    low: float = field(init=False, repr=False, compare=False)
    high: float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        ends = self.text[1:-1].split(",")
        if self.text[:1] not in ("[", "(") or self.text[-1:] not in ("]", ")") or len(ends) != 2:
            raise ValueError(
                '`Interval`: `text` must be an interval such as "[0, inf)". '
                f"Received: text={self.text!r}. Write two numbers, separated by a comma, in brackets."
            )
        object.__setattr__(self, "low", float(ends[0]))
        object.__setattr__(self, "high", float(ends[1]))

    @property
    def ends(self) -> tuple[float, float]:
        return self.low, self.high

    def __contains__(self, value: float) -> bool:
        above = value >= self.low if self.text[0] == "[" else value > self.low
        below = value <= self.high if self.text[-1] == "]" else value < self.high
        return above and below

    def inside(self) -> tuple[float, ...]:
        """Return a few numbers inside the interval, including its closed ends."""
        low = max(self.low, -10.0)
        high = min(self.high, max(low, 0.0) + 10.0)
        steps = (0.0, 0.05, 0.35, 0.5, 0.8, 1.0)
        return tuple(value for step in steps if (value := low + step * (high - low)) in self)

    def outside(self) -> tuple[float, ...]:
        """Return a few numbers outside the interval: beyond its ends, its open ends, infinity and NaN."""
        low, high = self.ends
        near = (low - 1.0, low, low - 1e-6, high, high + 1e-6, high + 1.0)
        return tuple(dict.fromkeys(value for value in (*near, math.inf, math.nan) if value not in self))
