"""The pieces of the document: what was measured on, tables, and numbers in them."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from benchmarks.timing import Spread

State = Literal["not more", "within the quartiles", "more"]


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield "|" + "---|" * len(heads)
    for row in rows:
        yield f"| {' | '.join(row)} |"


def cell(value: float, unit: float = 1.0) -> str:
    """A number in three digits, without an exponent."""
    value *= unit
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if abs(value) >= 0.1 else 3
    return f"{value:.{digits}f}"


def spread(values: Spread, unit: float = 1.0) -> str:
    """The median, and the quartiles beside it."""
    low, middle, high = (cell(value, unit) for value in values)
    return f"{middle} ({low} to {high})"


def state(ratio: Spread) -> State:
    """Whether the median of a ratio is above 1, and the lower quartile too."""
    low, middle, _ = ratio
    return "not more" if middle <= 1 else "within the quartiles" if low <= 1 else "more"


def marked(text: str, ratio: Spread) -> str:
    """In bold if a ratio is above 1, in italics if the quartiles reach 1."""
    return {"not more": text, "within the quartiles": f"*{text}*", "more": f"**{text}**"}[state(ratio)]


def machine() -> dict[str, Any]:
    """What is measured on."""
    processor, cpuinfo = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    if cpuinfo.exists():
        facts = dict(line.split("\t: ", 1) for line in cpuinfo.read_text().splitlines() if "\t: " in line)
        processor = facts.get("model name", processor)
    names = ("keras", "tensorflow", "jax", "torch", "optax", "focal-loss", "numpy")
    versions = {each.metadata["Name"].lower(): each.version for each in importlib.metadata.distributions()}
    return {
        "processor": processor,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": platform.system(),
        "python": platform.python_version(),
        "packages": {name: versions[name] for name in names if name in versions},
    }


def in_words(machine: Mapping[str, Any]) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    return (
        f"{machine['cores']} cores of {machine['processor']}, {machine['memory']} of memory, "
        f"{machine['system']}, Python {machine['python']}; {packages}."
    )
