"""Hyper-parameters of a training as a flat dict, for tables that compare trainings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras

from keras_losses.core import Loss
from keras_losses.training.outputs import compiled_outputs, joined

from ..arguments import as_number
from ..control.optimizers import rate_source, updating

Value = float | str | bool


def hyperparameters(model: keras.Model, params: Mapping[str, Any] | None = None) -> dict[str, Value]:
    """Return the hyper-parameters of the losses by path, the optimizer, its rate, and the length of `fit`."""
    values: dict[str, Value] = {}
    for output in compiled_outputs(model):
        values[joined(output.name, "loss")] = _name(output.loss)
        for path, loss in output.losses:
            for name, value in _numbers_of(loss):
                values[joined(path, name)] = value
        weight = as_number(output.weight)
        if weight != 1.0:
            values[f"loss_weights/{output.name}"] = weight
    if isinstance(model.optimizer, keras.optimizers.Optimizer):
        optimizer = updating(model.optimizer)
        values["optimizer"] = type(optimizer).__name__
        schedule = rate_source(optimizer)
        values["learning_rate"] = as_number(optimizer.learning_rate) if schedule is None else _name(schedule)
    for name in ("epochs", "steps"):
        length: int | None = (params or {}).get(name)
        if length is not None:
            values["steps_per_epoch" if name == "steps" else name] = length
    return values


def _numbers_of(loss: Loss) -> Iterator[tuple[str, Value]]:
    """Yield the numbers and texts that users tune; the encoding of labels is not among them."""
    for name in loss.hyperparameters:
        value = loss._stated(name)
        if name == "weights" and isinstance(value, dict):
            yield from ((f"{name}/{term}", weight) for term, weight in value.items())
        elif isinstance(value, int | float | str) and not isinstance(value, bool) and name != "axis":
            yield name, value


def _name(thing: Any) -> str:
    return thing if isinstance(thing, str) else getattr(thing, "__name__", type(thing).__name__)
