"""The context in which a model computes its loss: current hyper-parameters, the step's data, and a listener.

A model opens a context around each computation of its loss with `computing`. Losses read it with `current`. A
model never writes on a loss, because several models and threads may share the loss. `tf.distribute` runs each
replica in a separate thread, and each thread has a separate context.
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
    """Data that a model provides while its loss is computed."""

    readers: Mapping[Any, Readers] = field(default_factory=dict)
    """Readers of the scheduled or learned hyper-parameters, for each loss of the model."""
    steps: Mapping[Any, Sequence[Any]] = field(default_factory=dict)
    """Data of the step for each loss of the model: one entry for each output that has the loss."""
    listener: Callable[[Any, Sequence[Any], Sequence[Any]], None] | None = None
    """Function that each sum of losses calls with itself, the values of its terms and their contributions."""

    def with_steps(self, loss: Any, steps: Sequence[Any]) -> Context:
        """Return the same context with other data of the step for one loss."""
        return replace(self, steps={**self.steps, loss: steps})


_NOTHING = Context()
_CURRENT: ContextVar[Context] = ContextVar("keras_losses_context", default=_NOTHING)


def current() -> Context:
    """Return the context of the innermost `computing` in this thread; an empty context outside of it."""
    return _CURRENT.get()


@contextlib.contextmanager
def computing(context: Context) -> Iterator[None]:
    """Make a context the current one, and restore the one before it at the end or after an error."""
    token = _CURRENT.set(context)
    try:
        yield
    finally:
        _CURRENT.reset(token)
