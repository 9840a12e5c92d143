"""The arithmetic of losses: `FocalLoss() + 0.5 * HuberLoss()`.

The class of the results, `CompositeLoss`, imports this module. It registers itself with
`is_the_sum_of_losses`, so the imports form no circle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

from keras_losses.core.interval import is_real_number

SumClass = TypeVar("SumClass", bound=type)


class Arithmetic:
    """Operators that make weighted sums of losses. The other terms may be Keras losses and functions."""

    _sum_class: ClassVar[Callable[..., Any]]

    __array_ufunc__ = None  # makes NumPy scalars leave `0.5 * loss` to `__rmul__`

    def __add__(self, other: Any) -> Any:
        return _weighted_sum([self, other], [1.0, 1.0])

    def __radd__(self, other: Any) -> Any:
        # sum() begins with 0.
        return self if type(other) is int and other == 0 else _weighted_sum([other, self], [1.0, 1.0])

    def __sub__(self, other: Any) -> Any:
        return _weighted_sum([self, other], [1.0, -1.0])

    def __rsub__(self, other: Any) -> Any:
        return _weighted_sum([other, self], [1.0, -1.0])

    def __neg__(self) -> Any:
        return _weighted_sum([self], [-1.0])

    def __mul__(self, weight: Any) -> Any:
        return _weighted_sum([self], [float(weight)]) if is_real_number(weight) else NotImplemented

    __rmul__ = __mul__

    def __truediv__(self, number: Any) -> Any:
        return _weighted_sum([self], [1.0 / float(number)]) if is_real_number(number) else NotImplemented


def is_the_sum_of_losses(cls: SumClass) -> SumClass:
    """Register the class of sums of losses. Its arguments are losses, weights, reduction and dtype."""
    Arithmetic._sum_class = cls
    return cls


def _weighted_sum(losses: Sequence[Any], weights: Sequence[float]) -> Any:
    """Return the sum, with the reduction and dtype that the losses of this library share."""
    if not all(callable(loss) and not isinstance(loss, type) for loss in losses):
        return NotImplemented
    ours: list[Any] = [loss for loss in losses if isinstance(loss, Arithmetic)]
    for key in ("reduction", "dtype"):
        if len({getattr(loss, key) for loss in ours}) > 1:
            received = ", ".join(f"{loss.name} {getattr(loss, key)!r}" for loss in ours)
            raise ValueError(
                f"`CompositeLoss`: all losses of a sum must have the same `{key}`. Received: {received}. "
                f"Give all the same, or pass the one of the sum: CompositeLoss([...], {key}=...)."
            )
    return Arithmetic._sum_class(losses, weights, reduction=ours[0].reduction, dtype=ours[0].dtype)
