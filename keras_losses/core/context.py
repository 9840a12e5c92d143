"""The context in which a model computes its loss: what losses read of the model, and who is told of terms.

A model opens a context around each computation of its loss, with `computing`; losses read it with `current`.
So nothing that belongs to a step is ever written on a loss, which several models and threads may share.
`tf.distribute` runs a step in a thread for each replica: every thread has a context of its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

Readers = Mapping[str, Callable[[], Any]]
"""Functions that return the current tensors of hyper-parameters, by name."""


@dataclass(frozen=True)
class Context:
    """What holds while a loss is computed."""

    readers: Mapping[Any, Readers] = field(default_factory=dict)
    """For each loss of the model, how its scheduled or learned hyper-parameters are read."""
    steps: Mapping[Any, Sequence[Any]] = field(default_factory=dict)
    """For each loss of the model, the step's data for every output that has the loss."""
    listener: Callable[[Any, Sequence[Any], Sequence[Any]], None] | None = None
    """What is told of each call of a sum of losses: the loss, its terms' values, and what each adds."""

    def with_steps(self, loss: Any, steps: Sequence[Any]) -> Context:
        """Return the same context with other data of the step for one loss."""
        return replace(self, steps={**self.steps, loss: steps})


_NOTHING = Context()
_CURRENT: ContextVar[Context] = ContextVar("keras_losses_context", default=_NOTHING)


def current() -> Context:
    """Return the context of the innermost `computing` in this thread; an empty one outside of all."""
    return _CURRENT.get()


@contextlib.contextmanager
def computing(context: Context) -> Iterator[None]:
    """Make a context the current one; afterwards, also after an error, it is the one before."""
    token = _CURRENT.set(context)
    try:
        yield
    finally:
        _CURRENT.reset(token)
