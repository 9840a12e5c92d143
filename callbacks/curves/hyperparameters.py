"""What a training was made with, as a flat dict: for tables that compare trainings."""

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
    """Those of the losses by path, the optimizer and its rate, and what `fit` was asked for."""
    found: dict[str, Value] = {}
    for output in compiled_outputs(model):
        found[joined(output.name, "loss")] = _name(output.loss)
        for path, loss in output.losses:
            for name, value in _numbers_of(loss):
                found[joined(path, name)] = value
        if output.weight != 1.0:
            found[f"loss_weights/{output.name}"] = output.weight
    optimizer = updating(model.optimizer)
    found["optimizer"] = type(optimizer).__name__
    schedule = rate_source(optimizer)
    found["learning_rate"] = as_number(optimizer.learning_rate) if schedule is None else _name(schedule)
    for name in ("epochs", "steps"):
        asked: int | None = (params or {}).get(name)
        if asked is not None:
            found["steps_per_epoch" if name == "steps" else name] = asked
    return found


def _numbers_of(loss: Loss) -> Iterator[tuple[str, Value]]:
    """What one might try other values of; not how labels and predictions are encoded."""
    for name in loss.hyperparameters:
        value = loss._stated(name)
        if name == "weights" and isinstance(value, dict):
            yield from ((f"{name}/{term}", weight) for term, weight in value.items())
        elif isinstance(value, int | float | str) and not isinstance(value, bool) and name != "axis":
            yield name, value


def _name(thing: Any) -> str:
    return thing if isinstance(thing, str) else getattr(thing, "__name__", type(thing).__name__)
