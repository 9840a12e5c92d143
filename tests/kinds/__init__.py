"""The kinds of data that losses take: one object for each, in a file for each family of kinds.

A kind says everything that a test or a benchmark has to know of its data (kind.py); the oracle of a loss
names the kind with `takes`. CONTRIBUTING.md shows how to add one.
"""

from __future__ import annotations

import importlib
import pkgutil

from tests.kinds.kind import KINDS, Kind
from tests.oracles import REGISTRY

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
importlib.import_module("tests.example")


def kind_of(loss: str) -> Kind:
    """The kind of data that a loss takes, by the loss's name."""
    return KINDS[REGISTRY[loss].takes]
