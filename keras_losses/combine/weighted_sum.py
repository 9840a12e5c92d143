"""Sums of named losses with a fixed weight for each, which callbacks may set while a model trains."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

from keras_losses.combine.sum_of_terms import SumOfTerms
from keras_losses.core import parameter
from keras_losses.numerics import Tensor


def _weights(value: Any) -> Any:
    """Return checked weights."""
    if isinstance(value, str | bytes) or not isinstance(value, Mapping | Sequence):
        raise TypeError(f"it is of type {type(value).__name__}")
    numbers = value.values() if isinstance(value, Mapping) else value
    if any(isinstance(x, bool) or not math.isfinite(x) for x in numbers):
        raise ValueError
    if isinstance(value, Mapping):
        return {name: float(x) for name, x in value.items()}
    return [float(x) for x in value]


def weights_parameter() -> Any:
    """Return the declaration of the argument `weights` of a `WeightedSum`."""
    return parameter(
        default=None,
        convert=_weights,
        domain="finite numbers, in a mapping from the names of the losses or in a sequence",
        optional=True,
    )


class WeightedSum(SumOfTerms):
    """Base of sums whose argument `weights` holds the factor of each term.

    A subclass declares `weights` behind its losses. In `validate` it replaces them by `_weights_by_name()`.
    """

    @property
    def _weights(self) -> Any:
        return cast("Any", self).weights  # the declaration of the subclass

    def _weights_by_name(self) -> dict[str, float]:
        """Return the weights as they were given, with the default for names that are left out."""
        names = list(self.losses)
        default = {name: self._default_weight(loss) for name, loss in self.losses.items()}
        if self._weights is None:
            return default
        if not isinstance(self._weights, Mapping):
            if len(self._weights) != len(names):
                raise ValueError(
                    f"`{type(self).__name__}`: `weights` must have one number for each of the {len(names)} "
                    f"losses. Received: weights={self._weights}."
                )
            return dict(zip(names, self._weights, strict=True))
        unknown = [name for name in self._weights if name not in names]
        if unknown:
            raise ValueError(
                f"`{type(self).__name__}`: `weights` must have the names of the losses, {', '.join(names)}. "
                f"Received: {', '.join(map(repr, unknown))}."
            )
        return {**default, **self._weights}

    def _default_weight(self, loss: Any) -> float:
        return 1.0

    def _kept_weights(self) -> Mapping[str, float]:
        return cast("Mapping[str, float]", self._weights)

    def _term_weights(self) -> Mapping[str, float | Tensor]:
        current: dict[str, float | Tensor] = {}
        for name, number in self._weights.items():
            read = self._reader(f"weights/{name}")
            current[name] = number if read is None else self.convert(read())
        return current
