"""The cross-entropy of a label, -log p, beside 1 - p."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from keras import ops

from keras_losses.numerics.derivatives import Tensor
from keras_losses.numerics.elementary import one_minus_exp
from keras_losses.numerics.scalars import is_number


@dataclass(frozen=True)
class Crossentropy:
    """-log p (`value`) and 1 - p (`complement`) of a probability p, each exact to its last digits.

    If the model gave probabilities, the slope of -log p is held constant from -log p = `steepest_from` on.
    `logits` are those from which the values of all classes were computed.
    """

    value: Tensor
    rest: Callable[[], Tensor]
    """A function that computes 1 - p. It runs when needed, because eager backends would not skip it."""
    steepest_from: float | Tensor = np.inf
    logits: Tensor | None = None

    @functools.cached_property
    def complement(self) -> Tensor:
        """1 - p."""
        return self.rest()

    def map(self, function: Callable[..., Tensor], setting: float, *others: Tensor | None) -> Tensor:
        """Return function(-log p, setting, *others), as steep at p = 0 as where the slope of -log p is held.

        A function that multiplies this slope by a power of p would have no gradient left at p = 0.
        """
        if is_number(self.steepest_from, np.inf):
            return function(self.value, setting, *others)
        fixed = [None if other is None else ops.stop_gradient(other) for other in others]
        exact = function(ops.stop_gradient(self.value), setting, *fixed)
        beyond = ops.stop_gradient(ops.relu(self.value - self.steepest_from))
        held = function(self.value - beyond, setting, *others)
        return held + (exact - ops.stop_gradient(held))

    def one_minus_power(self, q: float) -> Tensor:
        """Return (1 - p^q) / q, which is -log p at q = 0."""
        if q == 0.0:
            return self.value
        if q == 1.0:
            return self.complement
        return self.map(_one_minus_power, q)


def _one_minus_power(minus_log: Tensor, q: float) -> Tensor:
    return one_minus_exp(q * minus_log) / q
