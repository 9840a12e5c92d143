"""The kinds of data that losses take: one object for each, grouped by files.

The oracle of a loss names the kind with `takes`; `python -m tests.kinds` lists all kinds. The base class in
kind.py describes the members of a kind, and CONTRIBUTING.md shows how to add one.
"""

from __future__ import annotations

import importlib
import pkgutil

from tests.kinds.kind import KINDS, Kind
from tests.oracles import REGISTRY

for _module in pkgutil.iter_modules(__path__):
    if _module.name != "__main__":
        importlib.import_module(f"{__name__}.{_module.name}")
importlib.import_module("tests.example")


def kind_of(loss: str) -> Kind:
    """Kind of data that the loss of this name takes."""
    return KINDS[REGISTRY[loss].takes]
