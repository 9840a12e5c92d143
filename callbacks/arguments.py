"""What callbacks ask of the numbers that they are given."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_losses.core.interval import Interval


def is_number(value: Any) -> bool:
    """Also NumPy's; no truth value is one."""
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def in_range(owner: str, name: str, value: Any, interval: str) -> float:
    """The number, if it lies in the interval, such as `"(0, 1]"`; else `ValueError`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value not in Interval(interval):
        raise ValueError(f"{owner}: {name} must be a number in {interval}. Received: {value!r}")
    return float(value)
