"""Oracles: float64 references of all losses, written from the papers, which never call the library.

A family's file registers one function for each loss, under the name of its class, together with the kind of
data (an object of tests/kinds). A function takes the labels, the predictions and every hyper-parameter by
name, and returns one value for each sample.
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
    """Name of the kind of data; `python -m tests.kinds` lists all."""
    terms: Values | None = None
    """Scale of the rounding errors if it exceeds the value: the sum of the absolute terms that cancel."""
    held: Values | None = None
    """Part of the formula through which the loss passes no gradient; `values` takes its result as `held`."""
    shares: Values | None = None
    """Number of terms summed into each sample's value, used as the divisor of means; None if always 1."""
    counts_classes: bool = False
    """Whether a class that is neither a label nor predicted changes the value."""


REGISTRY: dict[str, Oracle] = {}


def oracle(
    name: str,
    takes: str,
    terms: Values | None = None,
    held: Values | None = None,
    shares: Values | None = None,
    counts_classes: bool = False,
) -> Callable[[Values], Values]:
    """Register the oracle of the loss called `name`; the arguments are those of `Oracle`."""

    def register(values: Values) -> Values:
        assert name not in REGISTRY, f"{name} has two oracles"
        REGISTRY[name] = Oracle(values, takes, terms, held, shares, counts_classes)
        return values

    return register


def expected(loss: Any, y_true: Any, y_pred: Any) -> np.ndarray:
    """Values of the oracle with the hyper-parameters of one loss object."""
    return _of(loss, REGISTRY[type(loss).__name__].values, y_true, y_pred)


def differentiated(loss: Any, y_true: Any, y_pred: Any) -> Callable[[Any], np.ndarray]:
    """Oracle as a function of the predictions, whose derivative at `y_pred` is the loss's gradient."""
    found = REGISTRY[type(loss).__name__]
    held = {} if found.held is None else {"held": _of(loss, found.held, y_true, y_pred)}
    return lambda x: _of(loss, found.values, y_true, x, **held)


def rounded_terms(loss: Any, y_true: Any, y_pred: Any) -> np.ndarray:
    """Scale of the rounding errors of one loss object, for each sample."""
    found = REGISTRY[type(loss).__name__]
    return np.abs(_of(loss, found.terms or found.values, y_true, y_pred))


def shares(loss: Any, y_true: Any, y_pred: Any) -> np.ndarray:
    """Contribution of each sample of one loss object to the divisor of a mean."""
    own = REGISTRY.get(type(loss).__name__)
    inner = loss
    if own is None or own.shares is None:
        inner = next(iter(getattr(loss, "losses", {"": getattr(loss, "loss", loss)}).values()))
    found = REGISTRY.get(type(inner).__name__)
    if found is None or found.shares is None:
        return np.ones(expected(loss, y_true, y_pred).shape)
    return _of(inner, found.shares, y_true, y_pred)


def _of(loss: Any, function: Values, y_true: Any, y_pred: Any, **held: Any) -> np.ndarray:
    options = {name: getattr(loss, name) for name in type(loss).hyperparameters} | held
    with np.errstate(all="ignore"):  # tests compare infinities and NaNs themselves
        return function(np.asarray(y_true), np.asarray(y_pred, "float64"), **options)


for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
