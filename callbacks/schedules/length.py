"""Checks whether the length of a schedule fits the length of the training."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

import keras

from .base import Schedule


def length_of(schedule: Any) -> float:
    """After how many steps a schedule has come to its end, Keras's own included; infinite without one."""
    own = keras.optimizers.schedules
    if isinstance(schedule, Schedule):
        return schedule.length
    if isinstance(schedule, own.CosineDecay):
        return float(
            schedule.decay_steps + (schedule.warmup_steps if schedule.warmup_target is not None else 0)
        )
    if isinstance(schedule, own.PolynomialDecay) and not schedule.cycle:
        return float(schedule.decay_steps)
    return math.inf


def check_length(schedule: Any, params: Mapping[str, Any] | None, made: int = 0) -> None:
    """Warns where a decay comes to its end long before, or long after, the training does.

    Long is: before the half, or after twice the length. Nothing is said where the length of either is not
    known, or where the schedule has no end.

    Args:
        rate: A schedule; or an optimizer, whose schedule is looked at, if it has one.
        params: The `params` of a callback: `epochs`, and the `steps` of an epoch, as the schedule counts.
        made: How many steps were made before this `fit`; read off an optimizer.
    """
    length = length_of(schedule)
    epochs, steps = ((params or {}).get(name) for name in ("epochs", "steps"))
    if math.isinf(length) or not epochs or not steps:
        return
    # `initial_epoch` is not among the params: the steps made before are in `epochs`, or come before them.
    least, most = max(made, epochs * steps), made + epochs * steps
    name = type(schedule).__name__
    if length < 0.5 * least:
        warnings.warn(
            f"{name} comes to its end after {length:g} steps, and the training makes {least:g}: the rate "
            f"stays as it is for the last {least - length:g}. Give it the length of the training, which is "
            "epochs times the steps of an epoch, or let another schedule follow with Chain.",
            stacklevel=2,
        )
    elif length > 2 * most:
        warnings.warn(
            f"{name} comes to its end after {length:g} steps, and the training makes only {most:g}: it stops "
            "while the rate is still high. Give it the length of the training, which is epochs times the "
            "steps of an epoch.",
            stacklevel=2,
        )
