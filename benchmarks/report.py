"""The pieces of the document: tables and numbers in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from benchmarks.timing import Spread


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield "|" + "---|" * len(heads)
    for row in rows:
        yield f"| {' | '.join(row)} |"


def cell(value: float, unit: float = 1.0) -> str:
    """A number in three digits, without an exponent."""
    value *= unit
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 0.1 else 3
    return f"{value:.{digits}f}"


def spread(values: Spread, unit: float = 1.0) -> str:
    """The median, and the quartiles beside it."""
    low, middle, high = (cell(value, unit) for value in values)
    return f"{middle} ({low} to {high})"
