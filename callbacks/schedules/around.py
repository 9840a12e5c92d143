"""Schedules around other schedules: a warm-up before one, one after the other, a multiple of one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_losses.core import parameter
from keras_losses.core.interval import is_real_number

from .base import SCHEDULE_OR_NUMBER, Schedule, rate_of, schedule_or_number, share_done
from .length import length_of

LAST_STEP = 2**31 - 1  # JAX counts steps in 32 bits


class Warmup(Schedule):
    """Goes up in a straight line to where another schedule begins, and leaves the rest to it.

        rate(s) = start + (schedule(0) - start) s / steps    for s < steps
                  schedule(s - steps)                        from step `steps` on

    So step 0 has the rate `start`, and step `steps` is the first of the schedule, its step 0. Any schedule
    will do, Keras's own included, of which only `CosineDecay` has a warm-up. A number stays as it is.

    Args:
        schedule: The `LearningRateSchedule` that follows, or a number, 0 or more.
        steps: How long the warm-up takes, above 0, in steps; in epochs with `steps_per_epoch`.
        start: The rate of step 0, 0 or more. With 0 the first update changes nothing.
        steps_per_epoch: How many steps an epoch has, where lengths are in epochs.

    Raises:
        TypeError, ValueError: For an argument out of its range.

    References:
        - Goyal et al. 2017, Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour,
          https://arxiv.org/abs/1706.02677

    Example:

    >>> from keras_losses.callbacks import Warmup
    >>> Warmup(0.5, steps=4, start=0.1).preview(6).round(3).tolist()
    [0.1, 0.2, 0.3, 0.4, 0.5, 0.5]
    """

    schedule: Any = parameter(convert=schedule_or_number, domain=SCHEDULE_OR_NUMBER)
    steps: float = parameter(within="(0, inf)")
    start: float = parameter(default=0.0, within="[0, inf)")

    def rate(self, step: Any) -> Any:
        steps = self.steps_of(self.steps)
        # Before the end of the warm-up this is the schedule's first.
        following = rate_of(self.schedule, ops.maximum(step - steps, 0))
        warming = self.start + (following - self.start) * share_done(step, 0, steps)
        return ops.where(step < steps, warming, following)

    @property
    def length(self) -> float:
        return self.steps_of(self.steps) + length_of(self.schedule)


_LINKS = "a list of (schedule, steps), of which the last may be a schedule alone; numbers are schedules too"


def _links(value: Any) -> list[Any]:
    """Return pairs of a schedule and its steps, with None for the steps of a last one without an end."""
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) == 0:
        raise TypeError(f"it is of type {type(value).__name__}" if value or value == 0 else "it is empty")
    links = [list(link) if isinstance(link, list | tuple) else [link, None] for link in value]
    for number, link in enumerate(links):
        if len(link) != 2:
            raise ValueError(f"link {number} is not a schedule and its steps")
        link[0] = schedule_or_number(link[0])
        last = number == len(links) - 1
        if not (last and link[1] is None) and not (is_real_number(link[1]) and 0 < link[1] < math.inf):
            raise ValueError(f"link {number} does not say how many steps it lasts, above 0")
    return links


class Chain(Schedule):
    """One schedule after another; each begins at its own step 0.

        rate(s) = schedule_k(s - b_k)      for b_k <= s < b_k + steps_k

    with b_k the sum of the steps before. The last goes on; where it has steps as well, the rate that it has
    after so many stays. PyTorch's `SequentialLR`, and optax's `join_schedules`. A warm-up is `Warmup`,
    which knows how high to go.

    Args:
        schedules: The schedules with the steps that each lasts, `[(schedule, steps), ..., schedule]`: Keras's
            own, those of this library, or numbers, 0 or more, that stay as they are.
        steps_per_epoch: How many steps an epoch has, where the lengths of the links are in epochs; what the
            schedules inside count in is their own affair.

    Raises:
        TypeError, ValueError: For an argument out of its range.

    Example:

    >>> from keras_losses.callbacks import Chain, Polynomial
    >>> Chain([(0.1, 2), (Polynomial(1.0, steps=2), 2), 0.3]).preview(6).round(3).tolist()
    [0.1, 0.1, 1.0, 0.5, 0.3, 0.3]
    """

    schedules: Sequence[Any] = parameter(convert=_links, domain=_LINKS)

    def rate(self, step: Any) -> Any:
        found: Any = None
        for begin, steps, schedule in self._placed():
            since = ops.clip(step - begin, 0, LAST_STEP if steps is None else steps)
            own = rate_of(schedule, since)
            found = own if found is None else ops.where(step < begin, found, own)
        return found

    def _placed(self) -> list[tuple[int, int | None, Any]]:
        placed, begin = [], 0
        for schedule, length in self.schedules:
            steps = None if length is None else self.steps_of(length)
            placed.append((begin, steps, schedule))
            begin += steps or 0
        return placed

    @property
    def length(self) -> float:
        begin, steps, schedule = self._placed()[-1]
        return begin + min(length_of(schedule), math.inf if steps is None else steps)


class Scaled(Schedule):
    """A schedule times a factor, which `PlateauDecay` makes of the schedule of an optimizer.

        rate(s) = max(factor * schedule(s), min(schedule(s), min_rate))

    The factor is a plain number, saved with the optimizer's config. A variable would have to be among those
    of the optimizer for JAX to see it change, and Keras saves these by number: an optimizer with one more
    than its class makes is loaded without any of them, its slots and its iterations included.

    Args:
        schedule: The `LearningRateSchedule`, or a number.
        factor: Above 0.
        min_rate: The factor leads no lower than this; the schedule itself may.

    Example:

    >>> Scaled(0.5, factor=0.1).preview(1).round(3).tolist()
    [0.05]
    """

    schedule: Any = parameter(convert=schedule_or_number, domain=SCHEDULE_OR_NUMBER)
    factor: float = parameter(default=1.0, within="(0, inf)")
    min_rate: float = parameter(default=0.0, within="[0, inf)")

    def rate(self, step: Any) -> Any:
        rate = rate_of(self.schedule, step)
        return ops.maximum(self.factor * rate, ops.minimum(rate, self.min_rate))

    @property
    def length(self) -> float:
        return length_of(self.schedule)
