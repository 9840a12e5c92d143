"""Schedules that fall once: after a stable phase, with the root of the step, in steps, along a power."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_losses.core import parameter

from .base import FORMS, Schedule, power, share_done, share_left


class WarmupStableDecay(Schedule):
    """Linear warm-up, a long stable phase at the peak, and a decay at the end.

        peak * s / warmup                              for s < warmup
        peak                                           for s < steps - decay
        final + (peak - final) * tail(d)               d = (s - steps + decay) / decay, from 0 to 1

    The tail is 1 - d ("linear"), (1 + cos(pi d)) / 2 ("cosine") or 1 - sqrt(d) ("1-sqrt"). Step 0 has the
    rate 0. Step `steps`, which follows the last one, has the rate `final`, and so have all later steps. The
    rates before the decay do not depend on the length of the training, so a training can be made longer from
    a checkpoint of the stable phase. A cosine over the whole training
    (`keras.optimizers.schedules.CosineDecay`) does not allow that.

    Args:
        peak: The highest rate, above 0.
        steps: Length of the training, above 0, in steps; in epochs with `steps_per_epoch`.
        warmup: Length of the warm-up, 0 or more.
        decay: Length of the decay, 0 or more; 10% to 20% of `steps` are usual.
        tail: `"linear"`, `"cosine"` or `"1-sqrt"`, which the second paper found to be best.
        final: Rate at the end, 0 or more.
        steps_per_epoch: Number of steps in an epoch, if lengths are in epochs.

    Raises:
        TypeError, ValueError: If an argument is outside its range, or if the warm-up and the decay together
            are longer than the training.

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
                "`WarmupStableDecay`: `warmup` and `decay` together must fit into `steps`. Received: "
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
    """Linear warm-up, then a fall with 1 over the root of the step, without an end.

        rate(s) = peak * s / warmup              for s < warmup
                  peak * sqrt(warmup / s)        from step `warmup` on

    It is the schedule of the Transformer, whose peak is 1 / sqrt(d_model * warmup). It does not need the
    length of the training. If that is known, `WarmupStableDecay` ends at a lower rate.

    Args:
        peak: Rate at the end of the warm-up, above 0.
        warmup: Length of the warm-up, above 0, in steps; in epochs with `steps_per_epoch`.
        steps_per_epoch: Number of steps in an epoch, if lengths are in epochs.

    Raises:
        TypeError, ValueError: If an argument is outside its range.

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
    """A rate that is multiplied by a factor at regular intervals.

        rate(s) = initial * factor^floor(s / every)

    The same as PyTorch's `StepLR` and Keras's `ExponentialDecay(staircase=True)`, and also in epochs. For
    intervals of unequal lengths use Keras's `PiecewiseConstantDecay`. `PlateauDecay` chooses the moments from
    the loss.

    Args:
        initial: The first rate, above 0.
        every: Length of an interval, above 0, in steps; in epochs with `steps_per_epoch`.
        factor: Factor of the rate after each interval, above 0.
        steps_per_epoch: Number of steps in an epoch, if lengths are in epochs.

    Raises:
        TypeError, ValueError: If an argument is outside its range.

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
    """Fall to a final rate along a power of the share of steps that is left.

        rate(s) = final + (initial - final) * (1 - min(s, steps) / steps)^power

    Power 1 is a straight line. The formula is that of `keras.optimizers.schedules.PolynomialDecay`, which has
    no epochs and computes 1 - s / steps from a rounded quotient, so that rates close to the end are inexact.

    Args:
        initial: Rate of step 0, above 0.
        steps: Length of the decay, above 0, in steps; in epochs with `steps_per_epoch`.
        power: The exponent, above 0.
        final: Rate from step `steps` on, 0 or more.
        steps_per_epoch: Number of steps in an epoch, if lengths are in epochs.

    Raises:
        TypeError, ValueError: If an argument is outside its range.

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
