"""Hyper-parameters that are learned during training."""

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
    """A hyper-parameter that is learned: `DistillationLoss(4, temperature=Learned(4.0))`.

    It replaces a number that may change while a model trains, such as a gamma, temperature, margin, scale or
    weight. Other hyper-parameters refuse it. The number starts at `initial`. The optimizer of a
    `LossAwareModel` updates it together with the weights and keeps it inside its range, and the model saves
    it.

    Training finds the number that makes the loss smallest. This suits a temperature, and a scale whose loss
    penalizes large scales, as likelihoods do. A learned weight or margin goes to 0.

        range                value
        all numbers          initial + m r
        one lower end        low + (initial - low) exp(m r)
        two ends             low + (high - low) sigmoid(logit((initial - low) / (high - low)) + m r)

    The optimizer trains the variable r, which starts at 0; m is `learning_rate`. The factor m is in the value
    but not in the gradient of r. So r moves like a weight, with gradient descent and with Adam, and the
    learning rate of m r is m times that of the weights.

    Args:
        initial: initial value; strictly inside the range.
        learning_rate: factor m of the optimizer's learning rate for this number; above 0.

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
                "`Learned`: `learning_rate` must be above 0. "
                f"Received: learning_rate={self.learning_rate!r}. For a number that is not learned, pass the "
                "number in place of Learned."
            )

    def __repr__(self) -> str:
        rate = f", learning_rate={self.learning_rate}" if self.learning_rate != 1.0 else ""
        return f"Learned({self.initial}{rate})"

    def within(self, interval: Interval) -> Self:
        """Return itself; raise `ValueError` unless the initial value is strictly inside the interval."""
        low, high = interval.ends
        if not low < self.initial < high:
            raise ValueError("a learned number starts strictly inside the range, not on its ends")
        return self

    def value(self, raw: Any, interval: Interval) -> Any:
        """Return the value of the hyper-parameter for the trained variable `raw`."""
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
        # Measured from the nearer end, because rounding could carry a sum that starts at the other end past
        # this one. Not through |logit|, whose gradient is 0 if training starts in the middle.
        shares = ops.sigmoid(logit), ops.sigmoid(-logit)
        return ops.where(logit > 0, high - (high - low) * shares[1], low + (high - low) * shares[0])

    def get_config(self) -> dict[str, Any]:
        return {"initial": self.initial, "learning_rate": self.learning_rate}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        return cls(**config)
