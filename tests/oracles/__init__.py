"""What each loss must come to: float64 references, written from the papers, that never call the library.

A family's file registers a function for each loss, under the name of its class, and the kind of data that
it takes (an object of tests/kinds). The functions take the labels, the predictions and every
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
    """The kind of data: a key of tests.kinds.KINDS."""
    terms: Values | None = None
    """What rounding errors are relative to, where that is more than the value: terms that cancel, powers."""
    held: Values | None = None
    """What the loss takes for constant when it is differentiated; `values` then takes that as `held`."""
    shares: Values | None = None
    """Of how many losses a sample's value is the sum, where the means divide by that."""


REGISTRY: dict[str, Oracle] = {}


def oracle(
    name: str,
    takes: str,
    terms: Values | None = None,
    held: Values | None = None,
    shares: Values | None = None,
) -> Callable[[Values], Values]:
    """Registers the reference of the loss called `name`; the arguments are those of `Oracle`."""

    def register(values: Values) -> Values:
        assert name not in REGISTRY, f"{name} has two oracles"
        REGISTRY[name] = Oracle(values, takes, terms, held, shares)
        return values

    return register


def expected(loss: Any, y_true: Any, y_pred: Any) -> np.ndarray:
    """The values of one loss object, whose hyper-parameters alone are read."""
    return _of(loss, REGISTRY[type(loss).__name__].values, y_true, y_pred)


def differentiated(loss: Any, y_true: Any, y_pred: Any) -> Callable[[Any], np.ndarray]:
    """The values as a function of the predictions whose derivative at `y_pred` is the loss's gradient."""
    found = REGISTRY[type(loss).__name__]
    held = {} if found.held is None else {"held": _of(loss, found.held, y_true, y_pred)}
    return lambda x: _of(loss, found.values, y_true, x, **held)


def rounded_terms(loss: Any, y_true: Any, y_pred: Any) -> np.ndarray:
    """The size of what a rounding error of one loss object is relative to, for each sample."""
    found = REGISTRY[type(loss).__name__]
    return np.abs(_of(loss, found.terms or found.values, y_true, y_pred))


def shares(loss: Any, y_true: Any, y_pred: Any) -> np.ndarray:
    """What each sample of one loss object adds to the divisor of a mean."""
    inner = next(iter(getattr(loss, "losses", {"": getattr(loss, "loss", loss)}).values()))
    found = REGISTRY.get(type(inner).__name__)
    if found is None or found.shares is None:
        return np.ones(expected(loss, y_true, y_pred).shape)
    return _of(inner, found.shares, y_true, y_pred)


def _of(loss: Any, function: Values, y_true: Any, y_pred: Any, **held: Any) -> np.ndarray:
    options = {name: getattr(loss, name) for name in type(loss).hyperparameters} | held
    with np.errstate(all="ignore"):  # what is infinite, or not a number, is for the tests to judge
        return function(np.asarray(y_true), np.asarray(y_pred, "float64"), **options)


for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
