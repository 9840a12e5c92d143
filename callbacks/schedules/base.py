"""The base of schedules, and the phases of which their formulas are made."""

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
    """Base of the schedules: a learning rate for each step, which an optimizer counts from 0.

    A subclass declares its arguments as losses do. Its method `rate` returns the rate of a step, with
    operations of `keras.ops` on an integer tensor and without a branch in Python. Lengths count in steps or,
    with `steps_per_epoch`, in epochs, which may be fractions; `self.steps_of` converts them to the nearest
    whole number of steps.

    A model whose optimizer has a schedule of this library is loaded without `custom_objects` once
    `keras_losses.callbacks` has been imported.

    Positions are subtracted as integers, and each form is computed from the end at which it vanishes.
    Therefore the rates are accurate to float32 at any step up to 2^24 of a phase, also next to 0.
    """

    steps_per_epoch: int | None = parameter(
        default=None, within="[1, inf)", integer=True, optional=True, kw_only=True
    )

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        keras.saving.register_keras_serializable(PACKAGE)(cls)

    def rate(self, step: Any) -> Any:
        """The rate of a step, which is a tensor of integers."""
        raise NotImplementedError

    @property
    def length(self) -> float:
        """After how many steps the decay has come to its end; infinite where it goes on, or there is none."""
        return math.inf

    def __call__(self, step: Any) -> Any:
        return self.rate(ops.cast(ops.convert_to_tensor(step), "int"))

    def steps_of(self, length: float) -> int:
        return math.floor(length * (self.steps_per_epoch or 1) + 0.5)

    def preview(self, steps: int) -> np.ndarray:
        """The rates of the steps 0, 1, ..., `steps` - 1."""
        return np.array([as_number(rate) for rate in compiled(self)(range(steps))])

    def plot(self, steps: int | None = None, ax: Any = None) -> Any:
        """Draws the rates of so many steps, by default until the decay's end, and returns the axes.

        It needs Matplotlib, which `pip install keras-losses[plot]` brings.
        """
        need_matplotlib(f"{type(self).__name__}.plot")
        import matplotlib.pyplot as plt

        if steps is None and math.isinf(self.length):
            raise ValueError(
                f"{type(self).__name__}.plot: it has no end; say how many steps are to be drawn."
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


def rate_of(inner: Any, step: Any) -> Any:
    rate = inner if isinstance(inner, float) else inner(step)
    return ops.cast(ops.convert_to_tensor(rate), "float32")


def share_done(step: Any, begin: float, length: float) -> Any:
    """The share of a phase that is over, from 0 to 1; a phase without length is over when it begins.

    step - begin is of integers, for the greatest part: float32 has to hold the difference only.
    """
    if length <= 0:
        return ops.cast(step >= math.ceil(begin), "float32")
    whole = math.floor(begin)
    return ops.clip((ops.cast(step - whole, "float32") - (begin - whole)) / length, 0.0, 1.0)


def share_left(step: Any, begin: float, length: float) -> Any:
    """1 - share_done, with all digits."""
    if length <= 0:
        return ops.cast(step < math.ceil(begin), "float32")
    whole = math.ceil(begin + length)
    return ops.clip((ops.cast(whole - step, "float32") - (whole - begin - length)) / length, 0.0, 1.0)


# What is left of the height where x of the way is left: 1 at 1, 0 at 0.
FORMS: dict[str, Callable[[Any], Any]] = {
    "linear": lambda x: x,
    "cosine": lambda x: ops.square(ops.sin((math.pi / 2) * x)),  # (1 - cos(pi x)) / 2
    "1-sqrt": lambda x: x / (1.0 + ops.sqrt(1.0 - x)),  # 1 - sqrt(1 - x)
}


def power(base: float, exponent: Any) -> Any:
    """base ** exponent, of a whole number: float32 would raise the rounding of the base with it."""
    return ops.exp(ops.cast(exponent, "float32") * math.log(base))
