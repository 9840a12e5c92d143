"""Schedules that go down once: after a plateau, without an end, in steps, along a power."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_losses.core import parameter

from .base import FORMS, Schedule, power, share_done, share_left


class WarmupStableDecay(Schedule):
    """Up in a straight line, a long time at the peak, and down at the end.

        peak * s / warmup                              for s < warmup
        peak                                           for s < steps - decay
        final + (peak - final) * tail(d)               d = (s - steps + decay) / decay, from 0 to 1

    with the tail 1 - d ("linear"), (1 + cos(pi d)) / 2 ("cosine") or 1 - sqrt(d) ("1-sqrt"). Step 0 has the
    rate 0, and step `steps`, after the last one, the rate `final`, which stays. What comes before the decay
    does not depend on how long the training will be: it can be made longer from a checkpoint of the stable
    phase, which a cosine over the whole (`keras.optimizers.schedules.CosineDecay`) does not allow.

    Args:
        peak: The highest rate, above 0.
        steps: The length of the training, above 0, in steps; in epochs with `steps_per_epoch`.
        warmup: How much of it is for the warm-up, 0 or more.
        decay: How much of it is for the decay, 0 or more; 10 to 20 % are usual.
        tail: `"linear"`, `"cosine"` or `"1-sqrt"`, which the second paper found to be best.
        final: The rate at the end, 0 or more.
        steps_per_epoch: How many steps an epoch has, where lengths are in epochs.

    Raises:
        TypeError, ValueError: For an argument out of its range, and for a warm-up and a decay that are longer
            than the training.

    References:
        - Hu et al. 2024, MiniCPM, https://arxiv.org/abs/2404.06395
        - Hägele et al. 2024, Scaling Laws and Compute-Optimal Training Beyond Fixed Training Durations,
          https://arxiv.org/abs/2405.18392

    Example:

    >>> from keras_losses.callbacks import WarmupStableDecay
    >>> WarmupStableDecay(1.0, steps=8, warmup=2, decay=4).preview(9).tolist()
    [0.0, 0.5, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]
    """

    peak: float = parameter(within="(0, inf)")
    steps: float = parameter(within="(0, inf)")
    warmup: float = parameter(within="[0, inf)")
    decay: float = parameter(within="[0, inf)")
    tail: str = parameter(default="linear", choices=("linear", "cosine", "1-sqrt"))
    final: float = parameter(default=0.0, within="[0, inf)")

    def validate(self) -> None:
        if self.warmup + self.decay > self.steps:
            raise ValueError(
                "WarmupStableDecay: the warm-up and the decay must fit into steps. Received: "
                f"steps={self.steps!r}, warmup={self.warmup!r}, decay={self.decay!r}"
            )

    def rate(self, step: Any) -> Any:
        steps, warmup, decay = map(self.steps_of, (self.steps, self.warmup, self.decay))
        down = self.final + (self.peak - self.final) * FORMS[self.tail](
            share_left(step, steps - decay, decay)
        )
        return ops.where(step < warmup, self.peak * share_done(step, 0, warmup), down)

    @property
    def length(self) -> float:
        return self.steps_of(self.steps)


class InverseSquareRoot(Schedule):
    """Up in a straight line, and down as 1 over the root of the step, without an end.

        rate(s) = peak * s / warmup              for s < warmup
                  peak * sqrt(warmup / s)        from step `warmup` on

    It is the rate of the Transformer, whose peak is 1 / sqrt(d_model * warmup). Nobody has to know how long
    the training will be; one whose length is known ends lower with `WarmupStableDecay`.

    Args:
        peak: The rate at the end of the warm-up, above 0.
        warmup: The length of the warm-up, above 0, in steps; in epochs with `steps_per_epoch`.
        steps_per_epoch: How many steps an epoch has, where lengths are in epochs.

    Raises:
        TypeError, ValueError: For an argument out of its range.

    References:
        - Vaswani et al. 2017, Attention Is All You Need, https://arxiv.org/abs/1706.03762

    Example:

    >>> from keras_losses.callbacks import InverseSquareRoot
    >>> InverseSquareRoot(1.0, warmup=4).preview(17)[[0, 2, 4, 16]].tolist()
    [0.0, 0.5, 1.0, 0.5]
    """

    peak: float = parameter(within="(0, inf)")
    warmup: float = parameter(within="(0, inf)")

    def rate(self, step: Any) -> Any:
        warmup = max(self.steps_of(self.warmup), 1)
        since = ops.cast(ops.maximum(step, warmup), "float32")
        return self.peak * ops.where(step < warmup, share_done(step, 0, warmup), ops.sqrt(warmup / since))


class Step(Schedule):
    """A rate that is multiplied by a factor again and again, after so many steps each.

        rate(s) = initial * factor^floor(s / every)

    PyTorch's `StepLR`, and Keras's `ExponentialDecay(staircase=True)`, here also in epochs. For steps of
    unequal lengths or rates Keras has `PiecewiseConstantDecay`; `PlateauDecay` lets the loss say when.

    Args:
        initial: The first rate, above 0.
        every: After how many steps the rate is multiplied, above 0; in epochs with `steps_per_epoch`.
        factor: By what, above 0.
        steps_per_epoch: How many steps an epoch has, where lengths are in epochs.

    Raises:
        TypeError, ValueError: For an argument out of its range.

    Example:

    >>> from keras_losses.callbacks import Step
    >>> Step(0.8, every=2, factor=0.5).preview(6).round(6).tolist()
    [0.8, 0.8, 0.4, 0.4, 0.2, 0.2]
    """

    initial: float = parameter(within="(0, inf)")
    every: float = parameter(within="(0, inf)")
    factor: float = parameter(default=0.1, within="(0, inf)")

    def rate(self, step: Any) -> Any:
        return self.initial * power(self.factor, step // max(self.steps_of(self.every), 1))


class Polynomial(Schedule):
    """Down to a last rate along a power of what is left of the training.

        rate(s) = final + (initial - final) * (1 - min(s, steps) / steps)^power

    It is `keras.optimizers.schedules.PolynomialDecay`, which has no epochs, and which next to the end takes
    1 - s / steps from a rounded quotient. Power 1 is a straight line.

    Args:
        initial: The rate of step 0, above 0.
        steps: How long it goes down, above 0, in steps; in epochs with `steps_per_epoch`.
        power: Above 0.
        final: The rate from step `steps` on, 0 or more.
        steps_per_epoch: How many steps an epoch has, where lengths are in epochs.

    Raises:
        TypeError, ValueError: For an argument out of its range.

    Example:

    >>> from keras_losses.callbacks import Polynomial
    >>> Polynomial(1.0, steps=4, power=2).preview(6).tolist()
    [1.0, 0.5625, 0.25, 0.0625, 0.0, 0.0]
    """

    initial: float = parameter(within="(0, inf)")
    steps: float = parameter(within="(0, inf)")
    power: float = parameter(default=1.0, within="(0, inf)")
    final: float = parameter(default=0.0, within="[0, inf)")

    def rate(self, step: Any) -> Any:
        left = share_left(step, 0, self.steps_of(self.steps))
        return self.final + (self.initial - self.final) * ops.power(left, self.power)

    @property
    def length(self) -> float:
        return self.steps_of(self.steps)
