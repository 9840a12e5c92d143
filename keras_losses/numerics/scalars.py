"""Hyper-parameters in formulas: plain numbers, or scalar tensors that are scheduled or learned."""

from __future__ import annotations

from typing import Any


def is_number(x: Any, value: float | None = None) -> bool:
    """Return whether x is a plain number, and equal to `value` if that is given. A tensor never is.

    A formula may take a short cut for a plain number. A tensor can have another value at the next step, and a
    learned one needs its gradient. So a tensor takes one formula, which is exact at and near special values.
    """
    return isinstance(x, float | int) and (value is None or x == value)
