"""The pieces of the document: tables and numbers in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks import backends, bounds
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


def missed(rows: Iterable[Mapping[str, Any]], limits: Sequence[bounds.Bound]) -> Iterator[str]:
    """The figures that miss their bounds, each under the reason for it."""
    found: dict[str, dict[str, list[str]]] = {}
    for row in rows:
        for bound in limits:
            for peer, values in bounds.figures(row, bound):
                if bounds.state(values, bound.at_most) == "missed":
                    on = backends.name(row["backend"], row["mode"])
                    of = " ".join([row["workload"], *(["small"] if row.get("size") == "small" else [])])
                    figure = f"`{row['loss']}` ({of}) {' '.join(filter(None, [peer, cell(values[1])]))}"
                    found.setdefault(bounds.reason(row, bound), {}).setdefault(on, []).append(figure)
    for reason, by_backend in found.items():
        yield f"- {reason or 'Not found out.'}"
        for on, figures in by_backend.items():
            yield f"    - {on}: {', '.join(figures)}."
