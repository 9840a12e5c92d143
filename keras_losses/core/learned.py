"""Hyper-parameters that training finds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import keras
from keras import ops

from keras_losses.core.interval import Interval, is_real_number


@keras.saving.register_keras_serializable("keras_losses")
@dataclass(frozen=True, repr=False)
class Learned:
    """A hyper-parameter that training finds: `DistillationLoss(4, temperature=Learned(4.0))`.

    It replaces a number that may change while a model trains, such as a gamma, temperature, margin, scale
    or weight. Other hyper-parameters refuse it. Training starts at `initial`, updates the number with the
    weights of a `LossAwareModel`, keeps it inside its range, and saves it with the model.

    Training finds the number that makes the loss smallest. This suits a scale whose loss has a term against
    large scales, as likelihoods have, and a temperature. A learned weight or margin goes to 0.

        value = initial + m r               where the range is all numbers
        value = low + (initial - low) exp(m r)                                 where it has a lower end
        value = low + (high - low) sigmoid(logit((initial - low) / (high - low)) + m r)     where it has both

    r is what the optimizer trains, from 0. The factor m is only in the value, not in the gradient of r: with
    gradient descent and with Adam alike r moves as a weight does, and m r as with a learning rate times m.

    Args:
        initial: where training begins; inside of the range, not on its ends.
        learning_rate: m, what the optimizer's learning rate is multiplied with for it; above 0.

    Raises:
        ValueError: for a learning rate that is not above 0, or an initial value that is not finite.
    """

    initial: float
    learning_rate: float = 1.0

    def __post_init__(self) -> None:
        for name, number in (("initial", self.initial), ("learning_rate", self.learning_rate)):
            if not is_real_number(number) or not math.isfinite(number):
                raise ValueError(f"`Learned`: `{name}` must be a finite number. Received: {name}={number!r}.")
            object.__setattr__(self, name, float(number))
        if self.learning_rate <= 0:
            raise ValueError(
                "`Learned`: `learning_rate` must be above 0: a number in place of Learned is not trained. "
                f"Received: learning_rate={self.learning_rate!r}."
            )

    def __repr__(self) -> str:
        rate = f", learning_rate={self.learning_rate}" if self.learning_rate != 1.0 else ""
        return f"Learned({self.initial}{rate})"

    def within(self, interval: Interval) -> Self:
        """Itself; `ValueError` where training could not begin inside of the interval."""
        low, high = interval.ends
        if not low < self.initial < high:
            raise ValueError("what is learned begins inside of the range, not on its ends")
        return self

    def value(self, raw: Any, interval: Interval) -> Any:
        """The value that a raw variable stands for."""
        low, high = interval.ends
        step = raw + ops.stop_gradient((self.learning_rate - 1.0) * raw)
        if math.isinf(low) and math.isinf(high):
            return self.initial + step
        if math.isinf(high):
            return low + (self.initial - low) * ops.exp(step)
        if math.isinf(low):
            return high - (high - self.initial) * ops.exp(-step)
        part = (self.initial - low) / (high - low)
        logit = step + math.log(part / (1.0 - part))
        # From the nearer end: what is added to the other may be rounded beyond this one.
        # Not through |logit|, whose slope is 0 where training begins in the middle.
        shares = ops.sigmoid(logit), ops.sigmoid(-logit)
        return ops.where(logit > 0, high - (high - low) * shares[1], low + (high - low) * shares[0])

    def get_config(self) -> dict[str, Any]:
        return {"initial": self.initial, "learning_rate": self.learning_rate}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        return cls(**config)
