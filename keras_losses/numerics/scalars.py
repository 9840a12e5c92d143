"""Hyper-parameters in formulas: plain numbers, or scalar tensors that are scheduled or learned."""

from __future__ import annotations

from typing import Any

from keras import ops


def is_number(x: Any, value: float | None = None) -> bool:
    """Return whether x is a plain number, and equal to `value` if that is given. A tensor never is.

    A formula may take a short cut for a plain number. A tensor can have another value at the next step, and a
    learned one needs its gradient. So a tensor takes one formula, which is exact at and near special values.
    """
    return isinstance(x, float | int) and (value is None or x == value)


def without_gradient(x: Any) -> Any:
    """Return a tensor without its gradient; plain numbers and None come back unchanged."""
    return x if x is None or is_number(x) else ops.stop_gradient(x)
