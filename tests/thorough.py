"""How much is tried: all of it with `pytest --thorough`, else what proves the same in a part of the time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")

ASKED = False
"""Whether `--thorough` was asked for; set by tests/conftest.py before tests are collected, as is FEW."""

FEW = os.environ.get("KERAS_BACKEND") == "jax"
"""Whether few cases are tried: on JAX, which compiles each operation for each shape, a hundred times what a
call takes, and with `--few-cases`. Formulas are the same on all backends, and other runs try all cases."""


def spread(found: Sequence[T], most: int) -> Sequence[T]:
    """At most so many, spread evenly, the first among them; all if `--thorough` was asked for."""
    return found if ASKED else found[:: -(-len(found) // most) or 1]


def few(found: Sequence[T], most: int) -> Sequence[T]:
    """At most so many where few cases are tried."""
    return spread(found, most) if FEW else found


def few_paths(found: Iterable[T], of_paths: Sequence[T]) -> Iterable[T]:
    """All losses; where few cases are tried, one for each path through the base."""
    return of_paths if FEW and not ASKED else found
