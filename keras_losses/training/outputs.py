"""The outputs of a compiled model, each with its loss and the weight of its loss."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras

from keras_losses import keras_private
from keras_losses.combine.sum_of_terms import SumOfTerms
from keras_losses.core import Loss


@dataclass(frozen=True)
class Output:
    """An output of a model with its loss, its weight in the model's loss, and its place."""

    name: str
    """The prefix of its terms in the logs; empty if the model has no other output."""
    loss: Any
    weight: float
    key: str = ""
    """The name of the output in the model."""
    place: int = 0
    """Its position among the model's outputs, which may differ from the position of its loss."""

    @property
    def terms(self) -> dict[str, str]:
        """The terms of the loss: the name in the logs of each, with its name in the loss."""
        if not isinstance(self.loss, SumOfTerms):
            return {}
        return {f"{self.name}_{name}" if self.name else name: name for name in self.loss.names}

    @property
    def losses(self) -> Iterator[tuple[str, Loss]]:
        """The loss and all losses inside it, by path."""
        return losses_by_path(self.loss, self.name) if isinstance(self.loss, Loss) else iter(())


def compiled_outputs(model: keras.Model) -> list[Output]:
    """Return the outputs of a compiled model."""
    loss, weights = model.loss, keras_private.loss_weights_of(model)
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
        weight = 1.0 if weights.get(name) is None else float(weights[name])
        place = known.index(name) if name in known else turn
        found.append(Output(name if len(names) > 1 else "", each, weight, name, place))
    return found


def _output_names(model: keras.Model) -> list[str]:
    """Return Keras's names of the outputs: the keys of a dict, else the names of their layers."""
    structure = keras_private.outputs_structure(model)
    return (
        list(structure) if isinstance(structure, dict) else list(getattr(model, "output_names", None) or ())
    )


def losses_by_path(loss: Loss, path: str = "") -> Iterator[tuple[str, Loss]]:
    """Yield a loss and all losses inside it, each with its path."""
    yield path, loss
    for name, part in loss._inside.items():
        yield from losses_by_path(part, joined(path, name))


def joined(*parts: str) -> str:
    """Return the path made of names, without those that are empty."""
    return "/".join(part for part in parts if part)
