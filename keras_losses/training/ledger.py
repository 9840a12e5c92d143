"""Running sums of a model's losses, for means over an epoch and over the last execution.

One vector holds all sums, because each variable of a metric costs time in every step. Only `Ledger` knows the
order of the numbers in it. Other modules read a `Row` or `Means`.
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
    """The value of each term, before its weight."""
    weighted: Any
    """The part of the loss that comes from each term."""


@dataclass(frozen=True)
class Row(Means):
    """Sums over samples, with the number of samples and the number of steps."""

    samples: Any
    steps: Any


class Ledger:
    """The sums of the epoch so far, and those of the last execution.

    An execution is one step, or `steps_per_execution` of them.

    Args:
        terms: the number of terms.
        add_variable: adds a variable to the metric that has the ledger.
    """

    def __init__(self, terms: int, add_variable: Callable[..., Any]) -> None:
        self.terms = terms
        self.totals = add_variable((self.width,), "zeros", name="totals")
        self.last = add_variable((self.width,), "zeros", name="last")

    # The order of the numbers -------------------------------------------------------------------------

    @property
    def width(self) -> int:
        """The length of a vector of sums."""
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
        """Return whether a vector that was read contains any step."""
        return bool(vector[0] > 0)

    # Writing and reading ------------------------------------------------------------------------------

    def add(self, samples: Tensor, means: Means, steps_per_execution: int) -> None:
        """Add the means of one step.

        Args:
            samples: the number of samples of the step.
            means: the means over these samples.
            steps_per_execution: the number of steps after which `last` begins anew.
        """
        row = self._vector(samples, means)
        if steps_per_execution > 1:
            # Each replica has a copy of both variables. The copies are added up when they are read.
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
        """Return the means of the epoch; zeros before its first step."""
        totals = ops.convert_to_tensor(self.totals)
        return self._in_order(numerics.divide_no_nan(totals[2:], totals[0]))

    def means_of(self, vector: np.ndarray) -> Means:
        """Return the means of a vector that was read from this ledger, or of the sum of several."""
        return self._in_order(vector[2:] / vector[0])
