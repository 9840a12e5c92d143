"""Running sums of a model's losses, from which means over an epoch and over the last execution are read.

One vector holds all sums, because each variable of a metric costs time in every step. `Ledger` alone knows
the order in it; everybody else asks for a `Row` or for `Means`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from keras_losses import numerics
from keras_losses.numerics import Tensor


@dataclass(frozen=True)
class Means:
    """Means over samples: the model's loss, its weight penalties, and its terms in their order."""

    loss: Any
    penalties: Any
    values: Any
    """Each term before its weight."""
    weighted: Any
    """What each term adds to the loss."""


@dataclass(frozen=True)
class Row(Means):
    """Sums over samples, with the number of samples and steps in them."""

    samples: Any
    steps: Any


class Ledger:
    """The sums of the epoch so far, and those of the last execution.

    An execution is one step, or `steps_per_execution` of them.

    Args:
        terms: the number of terms.
        add_variable: makes a variable of the metric that has the ledger.
    """

    def __init__(self, terms: int, add_variable: Callable[..., Any]) -> None:
        self.terms = terms
        self.totals = add_variable((self.width,), "zeros", name="totals")
        self.last = add_variable((self.width,), "zeros", name="last")

    # The order of the numbers -------------------------------------------------------------------------

    @property
    def width(self) -> int:
        """The length of the vectors."""
        return 4 + 2 * self.terms

    def _row(self, vector: Any) -> Row:
        samples, steps = vector[0], vector[1]
        means = self._in_order(vector[2:])
        return Row(**vars(means), samples=samples, steps=steps)

    def _in_order(self, vector: Any) -> Means:
        loss, penalties, terms = vector[0], vector[1], vector[2:]
        return Means(loss, penalties, values=terms[: self.terms], weighted=terms[self.terms :])

    def _vector(self, samples: Tensor, means: Means) -> Tensor:
        each = (means.loss, means.penalties, *means.values, *means.weighted)
        losses = ops.stack([ops.convert_to_tensor(x, self.totals.dtype) for x in each])
        return ops.concatenate([ops.stack([samples, ops.ones_like(samples)]), samples * losses])

    @staticmethod
    def has_samples(vector: np.ndarray) -> bool:
        """Return whether a vector that was read is of any step at all."""
        return bool(vector[0] > 0)

    # Writing and reading ------------------------------------------------------------------------------

    def add(self, samples: Tensor, means: Means, steps_per_execution: int) -> None:
        """Add one step."""
        row = self._vector(samples, means)
        if steps_per_execution > 1:
            # Replicas have a copy of both variables each; the copies are added up when they are read.
            begins = ops.equal(ops.mod(self.total().steps, steps_per_execution), 0)
            self.last.assign(ops.where(begins, row, row + ops.convert_to_tensor(self.last)))
        else:
            self.last.assign(row)
        self.totals.assign_add(row)

    def reset(self) -> None:
        """Set all sums to 0."""
        for variable in (self.totals, self.last):
            variable.assign(ops.zeros(variable.shape))

    def total(self) -> Row:
        """Return the sums of the epoch."""
        return self._row(ops.convert_to_tensor(self.totals))

    def means(self) -> Means:
        """Return the means of the epoch, zeros before its first step."""
        totals = ops.convert_to_tensor(self.totals)
        return self._in_order(numerics.divide_no_nan(totals[2:], totals[0]))

    def means_of(self, vector: np.ndarray) -> Means:
        """Return the means of a vector of this ledger, or of several added up, in the vector's dtype."""
        return self._in_order(vector[2:] / vector[0])
