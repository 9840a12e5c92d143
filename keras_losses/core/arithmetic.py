"""The arithmetic of losses: `FocalLoss() + 0.5 * HuberLoss()`.

The operators are here; the class of their results is declared by `is_the_sum_of_losses`, where it is defined.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

from keras_losses.core.interval import is_real_number

SumClass = TypeVar("SumClass", bound=type)


class Arithmetic:
    """Operators that make weighted sums of losses, of Keras's losses and functions too."""

    _sum_class: ClassVar[Callable[..., Any]]

    __array_ufunc__ = None  # so that NumPy's numbers leave 0.5 * loss to the loss

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
    """Declare the class that sums of losses are made of; it takes losses, weights, reduction and dtype."""
    Arithmetic._sum_class = cls
    return cls


def _weighted_sum(losses: Sequence[Any], weights: Sequence[float]) -> Any:
    """Return the sum, with the reduction and dtype that the losses of this library have in common."""
    if not all(callable(loss) and not isinstance(loss, type) for loss in losses):
        return NotImplemented
    ours: list[Any] = [loss for loss in losses if isinstance(loss, Arithmetic)]
    for key in ("reduction", "dtype"):
        if len({getattr(loss, key) for loss in ours}) > 1:
            received = ", ".join(f"{loss.name} {getattr(loss, key)!r}" for loss in ours)
            raise ValueError(
                f"`CompositeLoss`: losses that are added must have one `{key}`. Received: {received}. "
                f"Or say which: CompositeLoss([...], {key}=...)."
            )
    return Arithmetic._sum_class(losses, weights, reduction=ours[0].reduction, dtype=ours[0].dtype)
