"""The weights of a model selected by name and layer, with the layers that hold and save them."""

from __future__ import annotations

import contextlib
import fnmatch
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from keras_losses import keras_private

Layers = list[Any]
"""Layers from an outer one down to one inside it."""

LayerPattern = str | type
"""A pattern of the names of layers, or a class of layers."""

SAVED_AS_ONE = (
    keras.layers.Bidirectional,
    keras.layers.MultiHeadAttention,
    keras.layers.GroupQueryAttention,
)
"""Layers that save one regularizer for several of their parts. A pattern selects all of the parts or none."""


@dataclass(frozen=True)
class FoundWeight:
    """A weight, with every chain of layers that leads to it."""

    variable: keras.Variable
    chains: list[Layers]
    """From the outermost layer whose config saves the parts inside, down to the layer with the weight."""

    @property
    def layer(self) -> Any:
        """The layer that has the weight."""
        return self.chains[0][-1]

    @property
    def saved_with(self) -> Any:
        """The outermost layer whose config saves the layer."""
        return self.chains[0][0]


@dataclass(frozen=True)
class Place:
    """A layer in a model."""

    path: Layers
    """The layers from the model, which is left out, down to this one."""
    chain: Layers
    """The layers from the outermost one whose config saves the parts inside, down to this one."""

    @property
    def layer(self) -> Any:
        return self.chain[-1]


def weights_called(model: Any, where: str, layers: Any) -> list[FoundWeight]:
    """Return the weights called `where` in the layers that are selected; raise if there are none."""
    patterns = _patterns(layers)
    places = list(_places(model, [], []))
    for pattern in patterns:
        if not any(_matches(place.path, pattern) for place in places):
            paths = ["/".join(layer.name for layer in place.path) for place in places if place.path]
            raise ValueError(
                f"`regularize`: `layers` must name or be a class of layers of the model; {pattern!r} matches "
                f"none. Received: layers={layers!r}. The model has: {', '.join(dict.fromkeys(paths))}."
            )
    selected = [
        place
        for place in places
        if not patterns or any(_matches(place.path, pattern) for pattern in patterns)
    ]
    found: dict[int, FoundWeight] = {}
    for place in selected:
        for variable in _variables(place.layer, where):
            found.setdefault(id(variable), FoundWeight(variable, [])).chains.append(place.chain)
    if not found:
        names = ", ".join(sorted({v.name for place in selected for v in place.layer.trainable_weights}))
        owner = "The model has" if layers is None else f"The layers {layers!r} have"
        raise ValueError(f"`regularize`: no weight is called {where!r}. {owner}: {names}.")
    return list(found.values())


def _patterns(layers: Any) -> list[LayerPattern]:
    if layers is None:
        return []
    patterns = [layers] if isinstance(layers, LayerPattern) else layers
    if not isinstance(patterns, Sequence) or not all(isinstance(each, LayerPattern) for each in patterns):
        raise TypeError(
            "`regularize`: `layers` must be a pattern of names, a class of layers, or a list of these. "
            f"Received: layers={layers!r}. To select one layer, give its name."
        )
    if not patterns:
        raise ValueError(
            f"`regularize`: `layers` must not be empty; None selects all layers. Received: layers={layers!r}."
        )
    return list(patterns)


def _matches(path: Layers, pattern: LayerPattern) -> bool:
    """Return whether the pattern matches a layer by its name, path or class, or a layer that it is inside of.

    Parts of a layer that saves one regularizer for all of them also match by each other's names.
    """
    saved_together = [
        part
        for layer in path
        if isinstance(layer, SAVED_AS_ONE)
        for part in keras_private.layers_inside(layer, include_self=True)
    ]
    if isinstance(pattern, type):
        return any(isinstance(layer, pattern) for layer in (*path, *saved_together))
    names = [layer.name for layer in path]
    paths = ["/".join(names[: end + 1]) for end in range(len(names))]
    others = [layer.name for layer in saved_together]
    return any(fnmatch.fnmatchcase(name, pattern) for name in (*names, *paths, *others))


def _places(layer: Any, path: Layers, outer: Layers) -> Iterator[Place]:
    """Yield the place of a layer and the places of all layers inside it.

    Args:
        layer: the layer.
        path: the layers down to it.
        outer: the layers around it, from the outermost one whose config saves the parts inside.
    """
    chain = [*outer, layer]
    yield Place(path, chain)
    # A model whose config has its layers saves each of them; a chain begins anew inside of it.
    saves_each_layer = not outer and _saves_its_layers(layer)
    for part in keras_private.layers_inside(layer, recursive=False):
        yield from _places(part, [*path, part], [] if saves_each_layer else chain)


def _saves_its_layers(layer: Any) -> bool:
    if not isinstance(layer, keras.Model):
        return False
    with contextlib.suppress(NotImplementedError):
        return isinstance(layer, keras.Sequential) or "layers" in layer.get_config()
    return False


def _variables(layer: Any, where: str) -> list[keras.Variable]:
    attributes = [value for value in vars(layer).values() if isinstance(value, keras.Variable)]
    return [v for v in attributes if v.name == where or v.name.endswith(f"_{where}")]
