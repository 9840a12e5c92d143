"""Hyper-parameters in formulas: plain numbers, or scalar tensors that are scheduled or learned."""

from __future__ import annotations

from typing import Any

from keras import ops


def is_number(x: Any, value: float | None = None) -> bool:
    """Whether x is a plain number, and equal to `value` if one is given; a tensor is not, whatever it holds.

    A formula may take a short cut at a number. A tensor may hold another at the next step, and is learned
    through its gradient: for it there is one formula, which is exact at the special numbers and beside them.
    """
    return isinstance(x, float | int) and (value is None or x == value)


def without_gradient(x: Any) -> Any:
    """A tensor without its gradient; numbers and None have none."""
    return x if x is None or is_number(x) else ops.stop_gradient(x)
