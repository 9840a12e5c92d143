"""The counter, the rate and the schedule of an optimizer, as callbacks read them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from keras_losses import keras_private


def required_optimizer(owner: str, model: Any) -> Any:
    """Return the optimizer with which a model is compiled; raise `ValueError` without one of Keras."""
    optimizer = getattr(model, "optimizer", None)
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        raise ValueError(
            f"`{owner}`: the model must be compiled with an optimizer of Keras, whose rate can be set. "
            f"Received: optimizer={optimizer!r}"
        )
    return optimizer


def updating(optimizer: Any) -> Any:
    """Return the optimizer that holds the counter and the rate, without the wrapper of mixed precision."""
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return optimizer.inner_optimizer
    return optimizer


def batch_counter(optimizer: Any) -> Any:
    """Return the variable that counts batches, also within the steps of gradient accumulation.

    `optimizer.iterations` is not enough: under gradient accumulation it is a rounded-down quotient, and
    no variable, so that it cannot be read from JAX's state in the middle of an epoch.
    """
    return next(variable for variable in updating(optimizer).variables if variable.name == "iteration")


def batches_seen(optimizer: Any) -> int:
    """Return the number of batches so far; this waits for the device. 0 if it is no optimizer of Keras."""
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        return 0
    return int(keras.ops.convert_to_numpy(batch_counter(optimizer).value))


def batches_per_iteration(optimizer: Any) -> int:
    """Return the number of batches in an update, above 1 under gradient accumulation."""
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        return 1
    return int(updating(optimizer).gradient_accumulation_steps or 1)


def loss_scale(optimizer: Any) -> float | None:
    """Return the loss scale of mixed precision; None without one. This waits for the device."""
    if not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return None
    if not optimizer.built:
        return float(optimizer.initial_scale)
    return float(keras.ops.convert_to_numpy(optimizer.dynamic_scale.value))


def rate_variable(optimizer: Any) -> Any | None:
    """Return the variable that holds the learning rate; None if a schedule or a function computes it."""
    # Not `optimizer.learning_rate`: it would compute a schedule's value op by op for nothing.
    return next((v for v in updating(optimizer).variables if v.name == "learning_rate"), None)


def rate_source(optimizer: Any) -> Callable[..., Any] | None:
    """Return the schedule or function that computes the learning rate; None if the rate is a number."""
    if rate_variable(optimizer) is not None:
        return None
    source: Callable[..., Any] = keras_private.rate_source(updating(optimizer))
    return source


def schedule_of(optimizer: Any) -> Any | None:
    """Return an optimizer's learning-rate schedule; None if its rate is a number or a function."""
    source = rate_source(optimizer)
    return source if isinstance(source, keras.optimizers.schedules.LearningRateSchedule) else None
