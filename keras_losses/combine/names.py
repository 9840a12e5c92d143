"""Names of terms, unique among each other and among everything else in the logs of a training."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

RESERVED = ("loss", "regularization", "learning_rate", "epoch")
"""Other entries of the logs: the model's loss, its weight penalties, the learning rate, and the epoch."""

VALIDATION = "val_"
"""The prefix of the entries of a validation."""

PREFIX = "term_"
"""Stands before the name of a term that the logs use for something else."""


def weighted(name: str) -> str:
    """Return the name of a term's value after its weight."""
    return f"{name}_weighted"


def share(name: str) -> str:
    """Return the name of a term's share of the loss."""
    return f"{name}_share"


def is_reserved(name: str) -> bool:
    """Return whether the logs of any model use the name for something else."""
    return name in RESERVED or name.startswith(VALIDATION)


class UniqueNames:
    """Names that are given out one after the other, none of them twice.

    A term called like something else gets the prefix `term_`. The second term of a name gets `_2`, the third
    `_3`. No name is another one with `_weighted` or `_share`.

    Args:
        others: names that the logs use for something else.
    """

    def __init__(self, others: Collection[str] = ()) -> None:
        self._others = others
        self._taken: set[str] = set()

    def add(self, name: str) -> str:
        """Return a name that is free, which is not free any more."""
        if is_reserved(name) or name in self._others:
            name = f"{PREFIX}{name}"
        number, unique = 1, name
        while not self._is_free(unique):
            number += 1
            unique = f"{name}_{number}"
        self._taken.update(_entries(unique))
        return unique

    def _is_free(self, name: str) -> bool:
        return self._taken.isdisjoint(_entries(name)) and name not in self._others


def _entries(name: str) -> tuple[str, str, str]:
    """Return all names that a term may have in the logs."""
    return name, weighted(name), share(name)


def with_unique_names(named: Iterable[tuple[str, Any]], others: Collection[str] = ()) -> dict[str, Any]:
    """Return losses by unique names."""
    names = UniqueNames(others)
    return {names.add(name): loss for name, loss in named}


def names_in_use(names: Iterable[str]) -> Iterator[str]:
    """Yield the names of terms that are reserved, or that collide with a name before them."""
    unique = UniqueNames()
    yield from (name for name in names if unique.add(name) != name)
