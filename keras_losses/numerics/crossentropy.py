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
    """-log p (`value`) and 1 - p (`complement`) of a probability p, each exact to its last digits."""

    value: Tensor
    compute_complement: Callable[[], Tensor]
    """Returns 1 - p. It is called when 1 - p is needed, because eager backends would not skip the work."""
    steepest_from: float | Tensor = np.inf
    """With probabilities: the value of -log p from which on its derivative is held constant."""
    logits: Tensor | None = None
    """The logits from which the values of all classes were computed, if there are any."""

    @functools.cached_property
    def complement(self) -> Tensor:
        """1 - p."""
        return self.compute_complement()

    def map(self, function: Callable[..., Tensor], setting: float, *others: Tensor | None) -> Tensor:
        """Return function(-log p, setting, *others) with a gradient that does not vanish at p = 0.

        A function whose derivative contains a power of p would have gradient 0 there. From `steepest_from`
        on, its derivative is the one at `steepest_from`.
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
