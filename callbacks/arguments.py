"""What callbacks ask of the numbers that they are given."""

from __future__ import annotations

from typing import Any

import keras
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


def as_number(value: Any) -> float:
    """A Python float from a number, a NumPy scalar or a tensor of one; TypeError for all else."""
    if isinstance(value, keras.Variable):
        value = value.value
    if keras.ops.is_tensor(value):
        value = keras.ops.convert_to_numpy(value)
    if isinstance(value, (str, bytes, bool, np.bool_)) or np.ndim(value) != 0:
        raise TypeError(f"not a number: {value!r}")
    number: float = float(value)
    return number
