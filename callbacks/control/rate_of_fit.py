"""The learning rate of one `fit`, on which several callbacks agree."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable
from typing import Any

import keras


class RateOfFit:
    """What the callbacks of one `fit` tell each other about the learning rate.

    `LearningRateDecay` sets the rate, `PlateauDecay` reduces it, and `LossCurves` records it. Each of them
    calls `RateOfFit.of(self)` when the training begins, receives the same object, and keeps it.
    """

    def __init__(self, params: dict[str, Any] | None) -> None:
        self._params = params  # kept, so that no other dictionary gets the identity under which this is found
        self._set_by_callback = False
        self._reduction: Callable[[float], float] | None = None
        self._listeners: list[Callable[[int, float], None]] = []
        self._warned = False

    @classmethod
    def of(cls, callback: keras.callbacks.Callback) -> RateOfFit:
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

    def call_on_change(self, listener: Callable[[int, float], None]) -> None:
        """Call `listener(batch, rate)` for each rate that is set in the middle of an epoch.

        A callback that reads the rate before each batch may come before the one that sets it.
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

    def changed(self, batch: int, rate: float) -> None:
        """Tell the listeners the rate of a batch that is about to begin."""
        for listener in self._listeners:
            listener(batch, rate)


_of_params: weakref.WeakValueDictionary[int, RateOfFit] = weakref.WeakValueDictionary()
"""The objects that callbacks hold, by the identity of their `params`."""
