"""Schedules made of other schedules: a warm-up before one, several in sequence, a multiple of one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from keras import ops

from keras_losses.core import parameter
from keras_losses.core.interval import is_real_number

from .base import SCHEDULE_OR_NUMBER, Schedule, rate_of, schedule_or_number, share_done
from .length import length_of

LAST_STEP = 2**31 - 1  # JAX counts steps in 32 bits


class Warmup(Schedule):
    """Linear warm-up to the first rate of another schedule, which then follows.

        rate(s) = start + (schedule(0) - start) s / steps    for s < steps
                  schedule(s - steps)                        from step `steps` on

    Step 0 has the rate `start`, and step `steps` is step 0 of the schedule that follows. Any schedule can
    follow, including Keras's own, of which only `CosineDecay` has a warm-up. A number is a constant rate.

    Args:
        schedule: The `LearningRateSchedule` that follows, or a number, 0 or more.
        steps: Length of the warm-up, above 0, in steps; in epochs with `steps_per_epoch`.
        start: Rate of step 0, 0 or more. With 0 the first update changes nothing.
        steps_per_epoch: Number of steps in an epoch, if lengths are in epochs.

    Raises:
        TypeError, ValueError: If an argument is outside its range.

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
        # Until the end of the warm-up this is the first rate of the schedule.
        following = rate_of(self.schedule, ops.maximum(step - steps, 0))
        warming = self.start + (following - self.start) * share_done(step, 0, steps)
        return ops.where(step < steps, warming, following)

    @property
    def length(self) -> float:
        return self.steps_of(self.steps) + length_of(self.schedule)


_LINKS = (
    "a list of (schedule, steps) pairs; the last entry may be a schedule alone, and numbers are schedules"
)


def _links(value: Any) -> list[Any]:
    """Return [schedule, steps] pairs; the last has None for its steps if it has no end."""
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) == 0:
        raise TypeError(f"it is of type {type(value).__name__}" if value or value == 0 else "it is empty")
    links = [list(link) if isinstance(link, list | tuple) else [link, None] for link in value]
    for number, link in enumerate(links):
        if len(link) != 2:
            raise ValueError(f"entry {number} is not a pair of a schedule and its steps")
        link[0] = schedule_or_number(link[0])
        last = number == len(links) - 1
        if not (last and link[1] is None) and not (is_real_number(link[1]) and 0 < link[1] < math.inf):
            raise ValueError(f"entry {number} needs a number of steps above 0")
    return links


class _Link(NamedTuple):
    """A schedule of a `Chain`, with the step at which it begins and the steps that it lasts."""

    begin: int
    steps: int | None
    schedule: Any


class Chain(Schedule):
    """Schedules in sequence; each begins at its own step 0.

        rate(s) = schedule_k(s - b_k)      for b_k <= s < b_k + steps_k

    b_k is the sum of the steps before schedule k. The last schedule has no end. If it is given steps as well,
    the rate that it reaches after them is kept. The same as PyTorch's `SequentialLR` and optax's
    `join_schedules`. For a warm-up use `Warmup`, which rises to the first rate of what follows.

    Args:
        schedules: The schedules and how many steps each lasts, `[(schedule, steps), ..., schedule]`. A
            schedule is Keras's own, one of this library, or a number, 0 or more, for a constant rate.
        steps_per_epoch: Number of steps in an epoch, if the lengths in `schedules` are in epochs. It does not
            change the lengths inside the schedules.

    Raises:
        TypeError, ValueError: If an argument is outside its range.

    Example:

    >>> from keras_losses.callbacks import Chain, Polynomial
    >>> Chain([(0.1, 2), (Polynomial(1.0, steps=2), 2), 0.3]).preview(6).round(3).tolist()
    [0.1, 0.1, 1.0, 0.5, 0.3, 0.3]
    """

    schedules: Sequence[Any] = parameter(convert=_links, domain=_LINKS)

    def rate(self, step: Any) -> Any:
        rate: Any = None
        for link in self._placed():
            since = ops.clip(step - link.begin, 0, LAST_STEP if link.steps is None else link.steps)
            own_rate = rate_of(link.schedule, since)
            rate = own_rate if rate is None else ops.where(step < link.begin, rate, own_rate)
        return rate

    def _placed(self) -> list[_Link]:
        links, begin = [], 0
        for schedule, length in self.schedules:
            steps = None if length is None else self.steps_of(length)
            links.append(_Link(begin, steps, schedule))
            begin += steps or 0
        return links

    @property
    def length(self) -> float:
        last = self._placed()[-1]
        return last.begin + min(length_of(last.schedule), math.inf if last.steps is None else last.steps)


class Scaled(Schedule):
    """A schedule times a factor. `PlateauDecay` puts it in place of an optimizer's schedule.

        rate(s) = max(factor * schedule(s), min(schedule(s), min_rate))

    The factor is a plain number, which is saved with the optimizer's config. A variable would have to be one
    of the optimizer's, so that JAX sees it change. But Keras saves an optimizer's variables by number: with
    one more than its class creates, it is loaded without any of them, including its slots and iterations.

    Args:
        schedule: The `LearningRateSchedule`, or a number.
        factor: The factor, above 0.
        min_rate: Lower limit of what the factor does, 0 or more; the schedule itself may go below it.

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
