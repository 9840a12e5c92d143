"""The numbers of one `fit` that callbacks set: the learning rate, on which several agree, and others."""

from __future__ import annotations

import math
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import keras


class NumbersOfFit:
    """What the callbacks of one `fit` tell each other about the numbers that they set.

    `LearningRateDecay` sets the rate, `PlateauDecay` reduces it, `LossParameterSchedule` sets numbers of the
    loss, and `LossCurves` records them. Each of them calls `NumbersOfFit.of(self)` when the training begins,
    receives the same object, and keeps it.
    """

    def __init__(self, params: dict[str, Any] | None) -> None:
        self._params = params  # kept, so that no other dictionary gets the identity under which this is found
        self._set_by_callback = False
        self._reduction: Callable[[float], float] | None = None
        self._listeners: list[Callable[[int, str, float], None]] = []
        self._warned = False
        self._given: float | None = None
        self._warned_of_another_rate = False

    @classmethod
    def of(cls, callback: keras.callbacks.Callback) -> NumbersOfFit:
        """Return the object of the fit that the callback takes part in.

        Keras hands the same `params` dictionary to all callbacks of one fit, and a new one for the next fit.
        The dictionary tells the fits apart also after an interrupted one, which skips `on_train_end`.
        """
        params = callback.params
        if params is None:
            return cls(None)  # outside of Keras's loop nothing says which callbacks belong together
        rate = _of_params.get(id(params))
        if rate is None:
            rate = _of_params[id(params)] = cls(params)
        return rate

    def is_set_by_a_callback(self) -> None:
        """Declare that a callback sets the rate again and again."""
        self._set_by_callback = True

    @property
    def set_by_callback(self) -> bool:
        """Whether a callback sets the rate, so that a reduced rate would not last."""
        return self._set_by_callback

    def reduce_by(self, reduction: Callable[[float], float]) -> None:
        """Apply a function to each rate that a callback is about to set."""
        self._reduction = reduction

    def reduced(self, rate: float) -> float:
        """Return the rate to be set in place of `rate`."""
        return rate if self._reduction is None else float(self._reduction(rate))

    def call_on_change(self, listener: Callable[[int, str, float], None]) -> None:
        """Call `listener(batch, name, value)` for each number that is set in the middle of an epoch.

        A callback that reads the numbers before each batch may come before the one that sets them.
        """
        self._listeners.append(listener)

    def warn_of_an_unused_rate(self, owner: str) -> None:
        """Warn once in a fit that the optimizer whose rate a callback sets made no update in an epoch."""
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"`{owner}`: the compiled optimizer made no update in an epoch, so the learning rate that is "
                "set is not used. If `train_step` uses other optimizers, give them schedules as rates.",
                stacklevel=4,
            )

    def give(self, rate: float) -> None:
        """Remember the rate that a callback gave the optimizer."""
        self._given = rate

    def was_replaced_by(self, rate: float) -> bool:
        """Return whether the optimizer's rate is another one than the callbacks of this library gave it."""
        return self._given is not None and not math.isclose(rate, self._given, rel_tol=_ROUNDING)

    def was_raised_to(self, rate: float) -> bool:
        """Return whether the optimizer's rate is above the one that it was given."""
        return self._given is not None and rate > self._given and self.was_replaced_by(rate)

    def warn_of_another_rate(self, owner: str, rate: float, advice: str) -> None:
        """Warn once in a fit that another callback replaced the rate that the optimizer was given."""
        if not self._warned_of_another_rate:
            self._warned_of_another_rate = True
            warnings.warn(
                f"`{owner}`: it set the learning rate to {self._given:.6g}, and another callback set it to "
                f"{rate:.6g}. {advice}",
                stacklevel=4,
            )

    def changed(self, batch: int, name: str, value: float) -> None:
        """Tell the listeners a number of a batch that is about to begin: the rate, or the path of another."""
        for listener in self._listeners:
            listener(batch, name, value)


LEARNING_RATE = "learning_rate"
"""The name of the learning rate among the numbers."""

_ROUNDING = 1e-2
"""Relative difference of rates that is not another rate: an optimizer may hold its rate in bfloat16."""

_of_params: weakref.WeakValueDictionary[int, NumbersOfFit] = weakref.WeakValueDictionary()
"""The objects that callbacks hold, by the identity of their `params`."""
