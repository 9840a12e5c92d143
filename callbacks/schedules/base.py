"""The base of schedules, and functions that their formulas share."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from keras_losses.core import parameter
from keras_losses.core.declared import Declared
from keras_losses.core.interval import is_real_number
from keras_losses.core.saving import PACKAGE

from ..arguments import as_number
from ..writers.drawing import need_matplotlib
from .compiled import compiled

if TYPE_CHECKING:
    from keras.optimizers.schedules import LearningRateSchedule as KerasSchedule
else:
    KerasSchedule = keras.optimizers.schedules.LearningRateSchedule


class Schedule(Declared, KerasSchedule):  # type: ignore[misc]
    """Base of schedules: a learning rate for each step. An optimizer counts steps from 0.

    A subclass declares its arguments as losses do. Its method `rate` returns the rate of a step. The step is
    an integer tensor, so `rate` uses `keras.ops` and has no branch in Python on it. Lengths are in steps, or
    with `steps_per_epoch` in epochs, which may be fractions. `self.steps_of` converts them to the nearest
    whole number of steps.

    Import `keras_losses.callbacks` before you load a model whose optimizer has a schedule of this library.
    It then needs no `custom_objects`.

    Positions are subtracted as integers, and each form is computed from the end at which it vanishes.
    Therefore the rates are accurate to float32 in phases of up to 2^24 steps, even where they are almost 0.
    """

    steps_per_epoch: int | None = parameter(
        default=None, within="[1, inf)", integer=True, optional=True, kw_only=True
    )

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        keras.saving.register_keras_serializable(PACKAGE)(cls)

    def rate(self, step: Any) -> Any:
        """Return the rate of a step, which is an integer tensor."""
        raise NotImplementedError

    @property
    def length(self) -> float:
        """Number of steps after which the decay has ended; infinite if it has no end."""
        return math.inf

    def __call__(self, step: Any) -> Any:
        return self.rate(ops.cast(ops.convert_to_tensor(step), "int"))

    def steps_of(self, length: float) -> int:
        """Return a length, which is in steps or epochs, as a whole number of steps."""
        return math.floor(length * (self.steps_per_epoch or 1) + 0.5)

    def preview(self, steps: int) -> np.ndarray:
        """Return the rates of the steps 0, 1, ..., `steps` - 1."""
        return np.array([as_number(rate) for rate in compiled(self)(range(steps))])

    def plot(self, steps: int | None = None, ax: Any = None) -> Any:
        """Draw the rates with Matplotlib, on `ax` or a new figure, and return the axes.

        `pip install keras-losses[plot]` installs Matplotlib.

        Args:
            steps: Number of steps to draw; by default all until the end of the decay.
            ax: Axes of Matplotlib, or None for a new figure.
        """
        need_matplotlib(f"{type(self).__name__}.plot")
        import matplotlib.pyplot as plt

        if steps is None and math.isinf(self.length):
            raise ValueError(
                f"`{type(self).__name__}.plot`: `steps` must be a number, because this schedule has no end. "
                "Received: steps=None"
            )
        if ax is None:
            ax = plt.subplots()[1]
        ax.plot(self.preview(int(self.length) + 1 if steps is None else steps))
        ax.set(xlabel="step", ylabel="learning rate", title=repr(self))
        return ax


SCHEDULE_OR_NUMBER = "a learning rate, 0 or more, or a keras.optimizers.schedules.LearningRateSchedule"
"""The domain of `schedule_or_number`, in words."""


def schedule_or_number(value: Any) -> Any:
    """Return a learning rate as a float, or a schedule as it is; raise an error for other values."""
    if is_real_number(value):
        if not (math.isfinite(value) and value >= 0):
            raise ValueError
        return float(value)
    if not isinstance(value, KerasSchedule):
        raise TypeError(f"it is of type {type(value).__name__}")
    return value


def rate_of(schedule: Any, step: Any) -> Any:
    """Return the rate of a step of a schedule, or of a number in its place."""
    rate = schedule if isinstance(schedule, float) else schedule(step)
    return ops.cast(ops.convert_to_tensor(rate), "float32")


def share_done(step: Any, begin: float, length: float) -> Any:
    """Return the share of a phase that is over, from 0 to 1. A phase of length 0 is over when it begins.

    The integer part of step - begin is subtracted in integers, so that float32 holds only the difference.
    """
    if length <= 0:
        return ops.cast(step >= math.ceil(begin), "float32")
    whole = math.floor(begin)
    return ops.clip((ops.cast(step - whole, "float32") - (begin - whole)) / length, 0.0, 1.0)


def share_left(step: Any, begin: float, length: float) -> Any:
    """Return 1 - share_done, without the rounding error of that subtraction."""
    if length <= 0:
        return ops.cast(step < math.ceil(begin), "float32")
    whole = math.ceil(begin + length)
    return ops.clip((ops.cast(whole - step, "float32") - (whole - begin - length)) / length, 0.0, 1.0)


# The remaining share of the height by the remaining share x of the way: 1 at x = 1, and 0 at x = 0.
FORMS: dict[str, Callable[[Any], Any]] = {
    "linear": lambda x: x,
    "cosine": lambda x: ops.square(ops.sin((math.pi / 2) * x)),  # (1 - cos(pi x)) / 2
    "1-sqrt": lambda x: x / (1.0 + ops.sqrt(1.0 - x)),  # 1 - sqrt(1 - x)
}


def power(base: float, exponent: Any) -> Any:
    """Return base ** exponent for an integer tensor.

    The base is a Python float. In float32 its rounding error would be raised to the power with it.
    """
    return ops.exp(ops.cast(exponent, "float32") * math.log(base))
