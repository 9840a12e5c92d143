"""Registration of classes for saving, and conversion of arguments to and from configs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from keras_losses.core.learned import Learned

PACKAGE = "keras_losses"
"""The package of registered names. It must never change, because saved models refer to it."""


def registered(cls: type) -> type:
    """Register a class for `keras.saving`: ours under `PACKAGE`, others under their top-level package."""
    package = PACKAGE if cls.__module__.startswith(f"{PACKAGE}.") else cls.__module__.split(".")[0]
    keras.saving.register_keras_serializable(package)(cls)
    return cls


def saved(value: Any) -> Any:
    """Return an argument in the form in which a config holds it."""
    if callable(value) or isinstance(value, Learned):
        return keras.saving.serialize_keras_object(value)
    if isinstance(value, Mapping):
        return {key: saved(element) for key, element in value.items()}
    if isinstance(value, list | tuple):
        return [saved(element) for element in value]
    return value


def loaded(value: Any) -> Any:
    """Return the argument from the form in which a config holds it."""
    if isinstance(value, Mapping) and "class_name" in value:
        return keras.saving.deserialize_keras_object(dict(value))
    if isinstance(value, Mapping):
        return {key: loaded(element) for key, element in value.items()}
    if isinstance(value, list | tuple):
        return [loaded(element) for element in value]
    return value
