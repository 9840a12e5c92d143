"""What each loss must come to: float64 references, written from the papers, that never call the library.

A family's file registers a function for each loss, under the name of its class, and the kind of data that
it takes (tests/contract/samples.py makes it). The functions take the labels, the predictions and every
hyper-parameter by name, and return one value for each sample.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Values = Callable[..., np.ndarray]


@dataclass(frozen=True)
class Oracle:
    values: Values
    takes: str
    """The kind of data: a key of tests.contract.samples.KINDS."""


REGISTRY: dict[str, Oracle] = {}


def oracle(name: str, takes: str) -> Callable[[Values], Values]:
    """Registers the reference of the loss called `name`."""

    def register(values: Values) -> Values:
        assert name not in REGISTRY, f"{name} has two oracles"
        REGISTRY[name] = Oracle(values, takes)
        return values

    return register


def expected(loss: Any, y_true: Any, y_pred: Any) -> np.ndarray:
    """The values of one loss object, whose hyper-parameters alone are read."""
    options = {name: getattr(loss, name) for name in type(loss).parameters}
    y_true, y_pred = np.asarray(y_true), np.asarray(y_pred, "float64")
    return REGISTRY[type(loss).__name__].values(y_true, y_pred, **options)


for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
