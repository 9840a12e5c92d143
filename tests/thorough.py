"""How much is tried: all of it with `pytest --thorough`, else what proves the same in a part of the time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")

ASKED = False
"""Whether `--thorough` was asked for; set by tests/conftest.py before tests are collected."""

ON_JAX = os.environ.get("KERAS_BACKEND") == "jax"


def spread(found: Sequence[T], most: int) -> Sequence[T]:
    """At most so many, spread evenly, the first among them; all if `--thorough` was asked for."""
    return found if ASKED else found[:: -(-len(found) // most) or 1]


def on_jax(found: Sequence[T], most: int) -> Sequence[T]:
    """On JAX at most so many: it compiles each operation for each shape, a hundred times what a call takes.

    The formulas are the same on all backends, and the others try all of them.
    """
    return spread(found, most) if ON_JAX else found


def paths_on_jax(found: Iterable[T], of_paths: Sequence[T]) -> Iterable[T]:
    """All losses; on JAX one for each path through the base, where a law compiles a shape of its own."""
    return of_paths if ON_JAX and not ASKED else found
