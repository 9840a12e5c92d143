"""The cross-entropy of a label, -log p, beside 1 - p."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from keras import ops

from keras_losses.numerics.derivatives import Tensor
from keras_losses.numerics.elementary import one_minus_exp
from keras_losses.numerics.scalars import is_number, without_gradient


@dataclass(frozen=True)
class Crossentropy:
    """-log p and 1 - p of a probability p, each to its own last digits.

    Of a probability that was given as such, the slope of -log p is held from -log p = `steepest_from` on.
    Those of all classes have the `logits` from which they were computed.
    """

    value: Tensor
    rest: Callable[[], Tensor]
    """What makes 1 - p when it is asked for: where nothing compiles, nothing else would leave it out."""
    steepest_from: float | Tensor = np.inf
    logits: Tensor | None = None

    @functools.cached_property
    def complement(self) -> Tensor:
        return self.rest()

    def map(self, function: Callable[..., Tensor], setting: float | Tensor, *others: Tensor | None) -> Tensor:
        """function(-log p, setting, *others), as steep at p = 0 as where the slope of -log p was held.

        Of a power of p, by which that slope is multiplied, p = 0 would leave nothing. The gradient in the
        setting, a hyper-parameter, is that of the function itself.
        """
        if is_number(self.steepest_from, np.inf):
            return function(self.value, setting, *others)
        exact = function(ops.stop_gradient(self.value), setting, *map(without_gradient, others))
        beyond = ops.stop_gradient(ops.relu(self.value - self.steepest_from))
        held = function(self.value - beyond, without_gradient(setting), *others)
        return held + (exact - ops.stop_gradient(held))

    def one_minus_power(self, q: float) -> Tensor:
        """(1 - p^q) / q, which is -log p at q = 0."""
        if q == 0.0:
            return self.value
        if q == 1.0:
            return self.complement
        return self.map(_one_minus_power, q)


def _one_minus_power(minus_log: Tensor, q: float) -> Tensor:
    return one_minus_exp(q * minus_log) / q
