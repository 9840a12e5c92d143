"""The losses under test, objects of them, and combinations of their hyper-parameters.

The losses are those of the package and the examples of CONTRIBUTING.md; their hyper-parameters come from
their declarations. So a new loss is tested without a line here.
"""

from __future__ import annotations

import functools
import itertools
import types
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

import keras_losses
from keras_losses.core import Learned, Parameter
from keras_losses.core.interval import Interval
from keras_losses.core.parameters import REQUIRED
from keras_losses.tools import catalogue
from tests import example
from tests.cases.arguments import argument
from tests.kinds.kind import CLASSES, inner

LOSSES: dict[str, type] = {**catalogue.losses(), **{loss.__name__: loss for loss in example.LOSSES}}

LAID_OUT = ("axis", "ignore_class", "outputs", "batch", "distance_maps", "box_format", "objectness_loss")
"""Hyper-parameters that say how data are laid out: the batches state them."""


def build(loss: str, options: Mapping[str, Any], outputs: int = CLASSES, /, **common: Any) -> Any:
    """The loss, with the required arguments that are not among the options.

    An inner loss among the options computes in the same dtype as the outer one.
    """
    given = {**required(loss, outputs, options), **options}
    if "dtype" in common:
        given = {key: _in_dtype(value, common["dtype"]) for key, value in given.items()}
    return LOSSES[loss](**given, **common)


def inside(loss: Any) -> Any:
    """The loss inside, the first of several, or the loss itself."""
    return inner({"loss": loss} | vars(loss))


def _in_dtype(value: Any, dtype: Any) -> Any:
    if isinstance(value, keras_losses.Loss):
        return type(value).from_config({**value.get_config(), "dtype": dtype})
    return {key: _in_dtype(x, dtype) for key, x in value.items()} if isinstance(value, dict) else value


def values(parameter: Parameter) -> list[Any]:
    """Values that a hyper-parameter takes, other than its default."""
    found: list[Any] = [*argument(parameter).taken, *(parameter.choices or ())]
    if parameter.within is not None:
        members = Interval(parameter.within).inside()
        members = sorted({int(x) for x in members if int(x) == x} if parameter.integer else members)
        members = [x for x in members if x != parameter.default]
        # Both ends, and what lies next to the first: a fraction, which is where powers go wrong.
        found += members if len(members) <= 3 else [*members[:2], members[-1]]
    return [x for x in found if not (type(x) is type(parameter.default) and x == parameter.default)]


def required(
    name: str, outputs: int = CLASSES, options: Mapping[str, Any] = types.MappingProxyType({})
) -> dict[str, Any]:
    """Values for the required arguments of a loss that are not in its `options`.

    A learned hyper-parameter is a number here: the contract holds for each number that it may become.
    """
    parameters = {key: p for key, p in LOSSES[name].hyperparameters.items() if key not in options}
    numbers = {key: p.default.initial for key, p in parameters.items() if isinstance(p.default, Learned)}
    return numbers | {
        key: resized(values(parameter)[0], entries(name, key, outputs, options))
        for key, parameter in parameters.items()
        if parameter.default is REQUIRED and values(parameter)
    }


def entries(name: str, key: str, outputs: int, options: Mapping[str, Any]) -> int:
    """Length of a sequence among the hyper-parameters: with one output, 2 where it is classes."""
    is_required = LOSSES[name].hyperparameters[key].default is REQUIRED
    several = options.get("multi_label", getattr(LOSSES[name], "multi_label", False)) is True
    of_two = key in ("class_weight", "class_gamma") or (is_required and not several)
    return 2 if outputs == 1 and of_two else outputs


def resized(example: Any, length: int) -> Any:
    """A sequence, cut or repeated to that length; anything else as it is."""
    return np.resize(example, length).tolist() if isinstance(example, list) else example


@functools.cache
def free(name: str) -> dict[str, tuple[Any, ...]]:
    """The values of each hyper-parameter that the batches do not state, its default first."""
    found = {}
    for key, parameter in LOSSES[name].hyperparameters.items():
        if key in LAID_OUT:
            continue
        default = parameter.default
        standing = REQUIRED if default is REQUIRED or isinstance(default, Learned) else default
        others = values(parameter)
        if others:
            found[key] = (standing, *others)
    return found


@functools.cache
def rows(name: str) -> tuple[Mapping[str, Any], ...]:
    """Combinations of hyper-parameters that together have every pair of values of two of them.

    The defaults come first. A hyper-parameter at its default is not in the combination.
    """
    factors = free(name)
    if len(factors) == 1:
        ((key, choices),) = factors.items()
        return tuple({} if choice is choices[0] else {key: choice} for choice in choices)
    return tuple(_pairwise(factors)) if factors else ({},)


def _pairwise(factors: Mapping[str, tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    """Greedy: each row takes, key by key, the value that has most pairs left with what the row has."""
    keys = sorted(factors, key=lambda key: -len(factors[key]))
    left = {
        ((a, i), (b, j))
        for a, b in itertools.combinations(keys, 2)
        for i in range(len(factors[a]))
        for j in range(len(factors[b]))
    }
    first = True
    while left:
        places: dict[str, int] = {}
        if first:
            places = dict.fromkeys(keys, 0)
        else:
            start = min(left, key=repr)
            places = dict(start)
            for key in keys:
                if key in places:
                    continue
                gained = [
                    sum(
                        ((key, i), (other, j)) in left or ((other, j), (key, i)) in left
                        for other, j in places.items()
                    )
                    for i in range(len(factors[key]))
                ]
                places[key] = int(np.argmax(gained))
        first = False
        left -= {((a, places[a]), (b, places[b])) for a, b in itertools.combinations(keys, 2)}
        yield {key: factors[key][places[key]] for key in keys if places[key]}


def pools(name: str) -> bool:
    """Whether the loss is one of the whole batch, so that its samples know of each other."""
    return bool(build(name, required(name)).pools_batch)


ALONE = [name for name in LOSSES if not pools(name)]
"""The losses in which no sample knows of another."""


def path(name: str) -> tuple[Any, ...]:
    """What tells how a loss goes through the base: the class that it derives from, and the base's flags."""
    loss = LOSSES[name]
    stated = tuple(key for key in ("class_terms", "id_terms", "adjusted") if key in vars(loss))
    return (loss.__bases__[0], stated, name in ALONE)


ONE_OF_EACH_PATH = list({path(name): name for name in reversed(LOSSES)}.values())[::-1]
"""One loss for each path through the base: for laws of what Keras does with a loss, whatever its formula."""
