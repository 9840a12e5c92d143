"""What the callbacks ask of an optimizer, in one place: its counter, its rate, its schedule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from keras_losses import keras_private


def updating(optimizer: Any) -> Any:
    """The optimizer that holds the counter and the rate: mixed precision wraps it in another."""
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return optimizer.inner_optimizer
    return optimizer


def batch_counter(optimizer: Any) -> Any:
    """The variable that counts batches: `iterations` times the steps of gradient accumulation, and the rest.

    `optimizer.iterations` is not enough: under gradient accumulation it is a rounded-down quotient, and
    no variable, so that it cannot be read from JAX's state in the middle of an epoch.
    """
    return next(variable for variable in updating(optimizer).variables if variable.name == "iteration")


def batches_seen(optimizer: Any) -> int:
    """The counter's number; waits for the device."""
    return int(keras.ops.convert_to_numpy(batch_counter(optimizer).value))


def batches_per_iteration(optimizer: Any) -> int:
    return int(updating(optimizer).gradient_accumulation_steps or 1)


def rate_variable(optimizer: Any) -> Any | None:
    """The variable that holds the learning rate, or None where a schedule or a function computes it."""
    # Not `optimizer.learning_rate`, which computes a schedule's value, op by op, to be thrown away.
    return next((v for v in updating(optimizer).variables if v.name == "learning_rate"), None)


def rate_source(optimizer: Any) -> Callable[..., Any] | None:
    """What computes the learning rate, a schedule or a function; None where it is a number."""
    if rate_variable(optimizer) is not None:
        return None
    source: Callable[..., Any] = keras_private.rate_source(updating(optimizer))
    return source


def schedule_of(optimizer: Any) -> Any | None:
    """An optimizer's learning-rate schedule, or None where its rate is a number or a function."""
    source = rate_source(optimizer)
    return source if isinstance(source, keras.optimizers.schedules.LearningRateSchedule) else None
