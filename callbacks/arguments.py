"""Checks of arguments, with the messages that losses use, and conversion of values to Python numbers."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_losses.core.parameters import Parameter


def number(owner: str, name: str, value: Any, within: str) -> float:
    """Return a number in a range such as `"(0, 1]"`; raise `TypeError` or `ValueError` for other values."""
    checked: float = Parameter(within=within).check(owner, name, value)
    return checked


def whole_number(owner: str, name: str, value: Any, within: str) -> int:
    """Return an integer in a range such as `"[1, inf)"`; raise an error for other values."""
    checked: int = Parameter(within=within, integer=True).check(owner, name, value)
    return checked


def choice(owner: str, name: str, value: Any, choices: tuple[str, ...]) -> str:
    """Return one of the choices; raise `ValueError` for other values."""
    checked: str = Parameter(choices=choices).check(owner, name, value)
    return checked


def as_number(value: Any) -> float:
    """Return a Python float from a number or a tensor with one; raise `TypeError` for other values."""
    if isinstance(value, keras.Variable):
        value = value.value
    if keras.ops.is_tensor(value):
        value = keras.ops.convert_to_numpy(value)
    if isinstance(value, (str, bytes, bool, np.bool_)) or np.ndim(value) != 0:
        raise TypeError(f"not a number: {value!r}")
    converted: float = float(value)
    return converted
