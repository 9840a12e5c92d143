"""Checks whether the length of a schedule fits the length of the training."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

import keras

from .base import Schedule


def length_of(schedule: Any) -> float:
    """Return the number of steps after which a schedule, also one of Keras, ends; infinite without end."""
    of_keras = keras.optimizers.schedules
    if isinstance(schedule, Schedule):
        return schedule.length
    if isinstance(schedule, of_keras.CosineDecay):
        warmup = 0 if schedule.warmup_target is None else schedule.warmup_steps
        return float(schedule.decay_steps + warmup)
    if isinstance(schedule, of_keras.PolynomialDecay) and not schedule.cycle:
        return float(schedule.decay_steps)
    return math.inf


def check_length(schedule: Any, params: Mapping[str, Any] | None, made: int = 0) -> None:
    """Warn if a decay ends in the first half of the training, or after twice its length.

    There is no warning if one of the two lengths is unknown, or if the schedule has no end.

    Args:
        schedule: The schedule, or None.
        params: The `params` of a callback: `epochs`, and the `steps` of an epoch in the unit of the schedule.
        made: Number of steps made before this `fit`.
    """
    length = length_of(schedule)
    epochs, steps = ((params or {}).get(name) for name in ("epochs", "steps"))
    if math.isinf(length) or not epochs or not steps:
        return
    # `initial_epoch` is not among the params: `epochs` may or may not include the steps made before.
    least, most = max(made, epochs * steps), made + epochs * steps
    name = type(schedule).__name__
    if length < 0.5 * least:
        warnings.warn(
            f"`{name}`: the schedule ends after {length:g} steps, but the training has {least:g}, so the "
            f"rate is constant for the last {least - length:g}. Pass the length of the training, which is "
            "epochs times the steps of an epoch, or add another schedule with `Chain`.",
            stacklevel=2,
        )
    elif length > 2 * most:
        warnings.warn(
            f"`{name}`: the schedule ends after {length:g} steps, but the training has only {most:g}, so it "
            "stops while the rate is still high. Pass the length of the training, which is epochs times the "
            "steps of an epoch.",
            stacklevel=2,
        )
