"""The outputs of a compiled model, each with its loss and the weight of its loss."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import keras

from keras_losses import keras_private
from keras_losses.combine.around import name_of
from keras_losses.combine.names import UniqueNames
from keras_losses.combine.sum_of_terms import SumOfTerms
from keras_losses.combine.term_metric import TermMetric
from keras_losses.core import Loss

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Output:
    """An output of a model with its loss, the weight of its loss, and its position."""

    name: str
    """The prefix of its terms in the logs; empty if the model has no other output."""
    loss: Any
    weight: float | keras.Variable
    """The weight of the loss; callbacks may change a variable during training."""
    key: str = ""
    """The name of the output in the model."""
    place: int = 0
    """Its position among the model's outputs, which may differ from the position of its loss."""
    path: Path = ()
    """Its path in outputs that contain dicts or lists in dicts or lists; empty for other outputs."""
    terms: Mapping[str, str] = field(default_factory=dict)
    """The name of each term in the loss, by its name in the logs."""

    @property
    def losses(self) -> Iterator[tuple[str, Loss]]:
        """The loss and all losses inside it, by path."""
        return losses_by_path(self.loss, self.name) if isinstance(self.loss, Loss) else iter(())


def compiled_outputs(model: keras.Model) -> list[Output]:
    """Return the outputs of a compiled model."""
    loss, weights = model.loss, keras_private.loss_weights_of(model)
    structure = keras_private.outputs_structure(model)
    if _is_deep(loss) or _is_deep(structure):
        found = _deep_outputs(model, loss, weights, structure)
    else:
        found = _flat_outputs(model, loss, weights)
    return _with_terms(found, _other_names_in_logs(model, [output.name for output in found]))


def _flat_outputs(model: keras.Model, loss: Any, weights: Any) -> list[Output]:
    """Return the outputs of a model that has one output, or a dict or list of outputs."""
    known = _output_names(model)
    if isinstance(loss, dict):
        names, losses = list(loss), list(loss.values())
    elif isinstance(loss, list | tuple):
        losses = list(loss)
        names = known or list(map(str, range(len(losses))))
    else:
        # Keras takes one loss for every output.
        names = known or [""]
        losses = [loss] * len(names)
    if not isinstance(weights, dict):
        in_order = weights if isinstance(weights, list | tuple) else [weights] * len(names)
        weights = dict(zip(names, in_order, strict=False))
    found = []
    for turn, (name, each) in enumerate(zip(names, losses, strict=False)):
        place = known.index(name) if name in known else turn
        found.append(Output(name if len(names) > 1 else "", each, _weight(weights.get(name)), name, place))
    return found


def _weight(weight: Any) -> float | keras.Variable:
    if weight is None:
        return 1.0
    return weight if isinstance(weight, keras.Variable) else float(weight)


def _is_deep(structure: Any) -> bool:
    """Return whether a structure has dicts or lists in a dict or list."""
    return any(len(path) > 1 for path, _ in _leaves(structure))


def _leaves(structure: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield the leaves of a structure with their paths, in the order in which Keras calls losses."""
    if isinstance(structure, dict | list | tuple):
        items = structure.items() if isinstance(structure, dict) else enumerate(structure)
        for key, part in items:
            yield from _leaves(part, (*path, key))
    else:
        yield path, structure


def _deep_outputs(model: keras.Model, loss: Any, weights: Any, structure: Any) -> list[Output]:
    """Return the outputs of a model whose outputs contain dicts or lists in dicts or lists."""
    layers: dict[Path, str] = {}
    if structure is not None:
        layers = dict(_leaves(keras.tree.pack_sequence_as(structure, _layer_names(model))))
        if not keras.tree.is_nested(loss):
            loss = keras.tree.map_structure(lambda _: loss, structure)
        elif not _is_deep(loss) and len(loss) == len(layers):
            loss = keras.tree.pack_sequence_as(structure, keras.tree.flatten(loss))
    weight_of = dict(_leaves(_like(loss, weights)))
    found = []
    for place, (path, each) in enumerate(_leaves(loss)):
        # Keras calls an entry of a list by the name of its layer.
        last = layers.get(path, path[-1]) if isinstance(path[-1], int) else path[-1]
        name = joined(*map(str, (*path[:-1], last)))
        found.append(Output(name, each, _weight(weight_of.get(path)), name, place, path))
    return found


def _like(loss: Any, weights: Any) -> Any:
    """Return the weights of losses in the structure of the losses."""
    leaves = [] if weights is None else keras.tree.flatten(weights)
    return keras.tree.pack_sequence_as(loss, leaves) if len(leaves) == len(keras.tree.flatten(loss)) else {}


def _with_terms(outputs: Sequence[Output], others: set[str]) -> list[Output]:
    """Return the outputs with names of their terms in the logs, each of them once.

    Args:
        outputs: the outputs.
        others: names that the logs use for something else.
    """
    names = UniqueNames(others)
    found = []
    for output in outputs:
        terms = output.loss.names if isinstance(output.loss, SumOfTerms) else []
        found.append(replace(output, terms={names.add(_prefixed(output.name, term)): term for term in terms}))
    return found


def _other_names_in_logs(model: keras.Model, outputs: Sequence[str]) -> set[str]:
    """Return the names of metrics, and of the losses of outputs."""
    compiled = keras.tree.flatten(keras_private.metrics_of(model))
    with contextlib.suppress(Exception):  # a model may override `metrics`
        compiled += model.metrics
    # `CompositeLoss.term_metrics` are the terms themselves.
    metrics = {
        metric if isinstance(metric, str) else name_of(metric)
        for metric in compiled
        if metric is not None and not isinstance(metric, TermMetric)
    }
    of_outputs = {_prefixed(output, name) for output in outputs for name in (*metrics, "loss")}
    return metrics | of_outputs


def _prefixed(output: str, name: str) -> str:
    return f"{output}_{name}" if output else name


def _output_names(model: keras.Model) -> list[str]:
    """Return Keras's names of the outputs: the keys of a dict, else the names of their layers."""
    structure = keras_private.outputs_structure(model)
    return list(structure) if isinstance(structure, dict) else _layer_names(model)


def _layer_names(model: keras.Model) -> list[str]:
    return list(getattr(model, "output_names", None) or ())


def losses_by_path(loss: Loss, path: str = "") -> Iterator[tuple[str, Loss]]:
    """Yield a loss and all losses inside it, each with its path."""
    yield path, loss
    for name, part in loss._inside.items():
        yield from losses_by_path(part, joined(path, name))


def joined(*parts: str) -> str:
    """Return the names joined to a path, without empty names."""
    return "/".join(part for part in parts if part)
