"""Small models for the tests, and what a loss has kept of its arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np

from tests.kinds import kind_of


def small_model(case: Any) -> tuple[keras.Model, np.ndarray]:
    """The last layer that the loss expects, which may have to make an image, and inputs for six samples."""
    shape = case.batch.y_pred.shape[1:]
    last = kind_of(case.loss).last_layer(case.build(), int(np.prod(shape)))
    model = keras.Sequential([keras.Input((2,)), last])
    if len(shape) > 1:
        model.add(keras.layers.Reshape(shape))
    return model, np.linspace(-1, 1, 12, dtype="float32").reshape(6, 2)


def reloaded(model: keras.Model, folder: Path) -> keras.Model:
    """The model from a .keras file, without custom_objects."""
    model.save(folder / "model.keras")
    return keras.saving.load_model(folder / "model.keras")


def arguments(loss: Any) -> dict[str, Any]:
    """The constructor's arguments as they are in the object, those of a loss inside it too."""
    found = {"name": loss.name, "reduction": loss.reduction, "dtype": loss.dtype}
    for key in type(loss).hyperparameters:
        found[key] = _comparable(getattr(loss, key))
    return found


def _comparable(kept: Any) -> Any:
    if isinstance(kept, dict):
        return {key: _comparable(value) for key, value in kept.items()}
    if hasattr(kept, "get_config"):
        return type(kept), _comparable(kept.get_config())
    return list(kept) if isinstance(kept, tuple) else kept
