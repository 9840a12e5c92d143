"""What the callbacks ask of an optimizer, in one place: its counter, its rate, its schedule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np


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
    rate = optimizer.learning_rate
    return rate if isinstance(rate, keras.Variable) else None


def as_number(value: Any) -> float:
    """A Python float from a number, a NumPy scalar or a tensor of one; TypeError for all else."""
    if isinstance(value, keras.Variable):
        value = value.value
    if keras.ops.is_tensor(value):
        value = keras.ops.convert_to_numpy(value)
    if isinstance(value, (str, bytes, bool, np.bool_)) or np.ndim(value) != 0:
        raise TypeError(f"not a number: {value!r}")
    number: float = float(value)
    return number


def compiled(schedule: Callable[[Any], Any]) -> Callable[[int], Any]:
    """The same schedule, traced once: called op by op, Keras' CosineDecay takes 36 ms a call on JAX.

    A schedule that cannot be traced (one that branches on the step in Python, on JAX) stays as it is.
    """
    traced: Callable[[Any], Any]
    if keras.backend.backend() == "jax":
        import jax

        traced = jax.jit(schedule)
    elif keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        traced = tf.function(schedule)
    else:
        return schedule
    try:
        traced(np.asarray(0, "int32"))
    except Exception:  # each backend has its own errors for what it cannot trace
        return schedule
    # An array, not a Python int: TensorFlow traces anew for every Python int.
    return lambda step: traced(np.asarray(step, "int32"))
