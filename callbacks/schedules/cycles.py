"""Schedules that rise and fall: one cycle over the whole training, repeated cycles, and cosine restarts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from keras import ops

from keras_losses.core import flag, parameter

from .base import FORMS, Schedule, power, share_done, share_left

LAST_STEP = 2**31 - 1  # JAX counts steps in 32 bits


class OneCycle(Schedule):
    """One cycle over the whole training: a rise to a high rate, then a fall to a very low one.

        from peak / div up to peak                  in the steps 0 to pct_start * steps - 1
        from peak down to peak / div_final          from there to step steps - 1, the last one

    With `three_phase=True` the fall has two parts, as in the paper:

        from peak down to peak / div                in as many steps as the rise
        from peak / div down to peak / div_final    from there to step steps - 1

    Each part follows half a cosine or a straight line. Each step has the rate of PyTorch's
    `OneCycleLR(optimizer, peak, total_steps=steps, div_factor=div, final_div_factor=div_final / div,
    three_phase=three_phase)`. Names and defaults are those of fastai, where `div_final` divides the peak.
    Later steps keep the last rate; PyTorch raises an error there. `momentum()` returns the momentum, which
    falls while the rate rises. `WarmupStableDecay` stays at its peak, so that the length of the training can
    be decided later.

    Args:
        peak: The highest rate, above 0.
        steps: Length of the training, above 0, in steps; in epochs with `steps_per_epoch`.
        pct_start: Share of the steps in which the rate rises, from 0 to 1.
        div: Peak divided by the first rate, above 0.
        div_final: Peak divided by the last rate, above 0.
        form: `"cosine"` or `"linear"`.
        three_phase: Whether the fall has two parts. `pct_start` is then 0.5 or less.
        steps_per_epoch: Number of steps in an epoch, if lengths are in epochs.

    Raises:
        TypeError, ValueError: If an argument is outside its range.

    References:
        - Smith & Topin 2018, Super-Convergence, https://arxiv.org/abs/1708.07120

    Example:

    >>> from keras_losses.callbacks import OneCycle
    >>> cycle = OneCycle(1.0, steps=9, pct_start=1 / 3, div=5, div_final=10, form="linear")
    >>> cycle.preview(9).round(2).tolist()
    [0.2, 0.6, 1.0, 0.85, 0.7, 0.55, 0.4, 0.25, 0.1]
    """

    peak: float = parameter(within="(0, inf)")
    steps: float = parameter(within="(0, inf)")
    pct_start: float = parameter(default=0.25, within="[0, 1]")
    div: float = parameter(default=25.0, within="(0, inf)")
    div_final: float = parameter(default=1e5, within="(0, inf)")
    form: str = parameter(default="cosine", choices=("cosine", "linear"))
    three_phase: bool = flag(default=False)

    def validate(self) -> None:
        if self.three_phase and self.pct_start > 0.5:
            raise ValueError(
                "`OneCycle`: `pct_start` must be 0.5 or less with three_phase=True, because the first two "
                f"phases have this length. Received: pct_start={self.pct_start!r}"
            )

    def rate(self, step: Any) -> Any:
        form = FORMS[self.form]
        last = self.steps_of(self.steps) - 1
        top = max(self.pct_start * (last + 1) - 1, 0.0)
        first, final = self.peak / self.div, self.peak / self.div_final
        up = first + (self.peak - first) * form(share_done(step, 0, top))
        if not self.three_phase:
            down = final + (self.peak - final) * form(share_left(step, top, last - top))
            return ops.where(step <= math.floor(top), up, down)
        down = first + (self.peak - first) * form(share_left(step, top, top))
        end = final + (first - final) * form(share_left(step, 2 * top, last - 2 * top))
        falling = ops.where(step <= math.floor(2 * top), down, end)
        return ops.where(step <= math.floor(top), up, falling)

    @property
    def length(self) -> float:
        return self.steps_of(self.steps)

    def momentum(self, low: float = 0.85, high: float = 0.95) -> OneCycle:
        """Return the momentum of the cycle: it falls from `high` to `low` while the rate rises, and returns.

        Pass it as the `momentum` of `ScheduledSGD` or the `beta_1` of `ScheduledAdam`.
        """
        _check_momentum("OneCycle.momentum", low, high)
        inverse = {"peak": low, "div": low / high, "div_final": low / high}
        return OneCycle(**{**self.get_config(), **inverse})


class Cyclic(Schedule):
    """Cycles that each rise in a straight line and fall in a straight line.

        rate(s) = base + (peak - base) * share(s) * scale(s)

    The share rises from 0 to 1 in `steps_up` steps, and falls to 0 in `steps_down` steps. The scale is 1 with
    mode `"triangular"`, 1/2 to the number of complete cycles with `"triangular2"`, and gamma^s with
    `"exp_range"`. Each step has the rate of PyTorch's `CyclicLR(optimizer, base, peak, steps_up, steps_down,
    mode, gamma)`.

    Args:
        base: Rate at the beginning and the end of each cycle, 0 or more.
        peak: Rate between the rise and the fall of the first cycle, above 0.
        steps_up: Length of each rise, above 0, in steps; in epochs with `steps_per_epoch`.
        steps_down: Length of each fall; by default `steps_up`.
        mode: `"triangular"`, `"triangular2"` or `"exp_range"`.
        gamma: Factor of each step with mode `"exp_range"`, above 0 and up to 1.
        steps_per_epoch: Number of steps in an epoch, if lengths are in epochs.

    Raises:
        TypeError, ValueError: If an argument is outside its range, or if a `gamma` other than 1 is passed
            with another mode than `"exp_range"`.

    References:
        - Smith 2017, Cyclical Learning Rates for Training Neural Networks, https://arxiv.org/abs/1506.01186

    Example:

    >>> from keras_losses.callbacks import Cyclic
    >>> Cyclic(0.1, 0.5, steps_up=2, mode="triangular2").preview(9).round(3).tolist()
    [0.1, 0.3, 0.5, 0.3, 0.1, 0.2, 0.3, 0.2, 0.1]
    """

    base: float = parameter(within="[0, inf)")
    peak: float = parameter(within="(0, inf)")
    steps_up: float = parameter(within="(0, inf)")
    steps_down: float | None = parameter(default=None, within="(0, inf)", optional=True)
    mode: str = parameter(default="triangular", choices=("triangular", "triangular2", "exp_range"))
    gamma: float = parameter(default=1.0, within="(0, 1]")

    def validate(self) -> None:
        if self.gamma != 1.0 and self.mode != "exp_range":
            raise ValueError(
                "`Cyclic`: `gamma` must be 1 unless the mode is 'exp_range'. Received: "
                f"gamma={self.gamma!r}, mode={self.mode!r}"
            )

    def rate(self, step: Any) -> Any:
        up = max(self.steps_of(self.steps_up), 1)
        down = up if self.steps_down is None else max(self.steps_of(self.steps_down), 1)
        since = step % (up + down)
        share = ops.where(since < up, share_done(since, 0, up), share_left(since, up, down))
        if self.mode == "triangular2":
            share = share * power(0.5, step // (up + down))
        if self.mode == "exp_range":
            share = share * power(self.gamma, step)
        return self.base + (self.peak - self.base) * share

    def momentum(self, low: float = 0.8, high: float = 0.9) -> Cyclic:
        """Return the momentum of the cycles: it falls from `high` to `low` while the rate rises, and returns.

        Pass it as the `momentum` of `ScheduledSGD` or the `beta_1` of `ScheduledAdam`.
        """
        _check_momentum("Cyclic.momentum", low, high)
        return Cyclic(**{**self.get_config(), "base": high, "peak": low})


def _check_momentum(owner: str, low: float, high: float) -> None:
    if not 0 < low <= high < 1:
        raise ValueError(
            f"`{owner}`: `low` and `high` must be numbers with 0 < low <= high < 1. Received: "
            f"low={low!r}, high={high!r}"
        )


class CosineRestarts(Schedule):
    """Cycles that each fall along half a cosine; each can be longer, start lower and begin with a warm-up.

    Cycle i = 0, 1, ... has T_i = steps * t_mul^i steps and the peak P_i = initial * m_mul^i (not below
    `final`). The rate of its step t = 0, 1, ... is

        final + (P_i - final) * t / warmup                                              for t < warmup
        final + (P_i - final) * (1 + cos(pi (t - warmup) / (T_i - warmup))) / 2         from then on

    Without a warm-up it is timm's `CosineLRScheduler(t_initial=steps, cycle_mul=t_mul, cycle_decay=m_mul)`.
    With `final=0` as well it is Keras's `CosineDecayRestarts`, which has neither warm-ups nor an end. Keras
    finds the cycle of a step with logarithms in float32, so it may be one cycle off next to a restart.

    Args:
        initial: Peak of the first cycle, above 0.
        steps: Length of the first cycle, above 0, in steps; in epochs with `steps_per_epoch`.
        t_mul: Length of a cycle divided by that of the cycle before, 1 or more.
        m_mul: Peak of a cycle divided by that of the cycle before, above 0 and up to 1.
        warmup: Length of the warm-up of each cycle, 0 or more and less than `steps`.
        final: Rate to which each cycle falls, 0 or more.
        cycles: Number of cycles after which the rate stays at `final`; by default there is no end.
        steps_per_epoch: Number of steps in an epoch, if lengths are in epochs.

    Raises:
        TypeError, ValueError: If an argument is outside its range.

    References:
        - Loshchilov & Hutter 2017, SGDR: Stochastic Gradient Descent with Warm Restarts,
          https://arxiv.org/abs/1608.03983

    Example:

    >>> from keras_losses.callbacks import CosineRestarts
    >>> CosineRestarts(1.0, steps=2, t_mul=2, m_mul=0.5).preview(7).round(3).tolist()
    [1.0, 0.5, 0.5, 0.427, 0.25, 0.073, 0.25]
    """

    initial: float = parameter(within="(0, inf)")
    steps: float = parameter(within="(0, inf)")
    t_mul: float = parameter(default=1.0, within="[1, inf)")
    m_mul: float = parameter(default=1.0, within="(0, 1]")
    warmup: float = parameter(default=0.0, within="[0, inf)")
    final: float = parameter(default=0.0, within="[0, inf)")
    cycles: int | None = parameter(default=None, within="[1, inf)", integer=True, optional=True)

    def validate(self) -> None:
        if self.steps_of(self.steps) <= self.steps_of(self.warmup):
            raise ValueError(
                "`CosineRestarts`: `warmup` must be shorter than the first cycle. "
                f"Received: steps={self.steps!r}, warmup={self.warmup!r}"
            )

    def rate(self, step: Any) -> Any:
        warmup = self.steps_of(self.warmup)
        cycle, since, length = self._place(step)
        peak = ops.maximum(self.initial * power(self.m_mul, cycle), self.final)
        left = ops.clip((length - since) / (length - warmup), 0.0, 1.0)
        share = FORMS["cosine"](left)
        if warmup:
            share = ops.where(since < warmup, since / warmup, share)
        if self.cycles is not None:
            share = ops.where(step < math.ceil(self.length), share, 0.0)
        return self.final + (peak - self.final) * share

    def _place(self, step: Any) -> tuple[Any, Any, Any]:
        """Return the number of a step's cycle, how many steps of the cycle are over, and how many it has."""
        first = self.steps_of(self.steps)
        if self.t_mul == 1.0:
            return step // first, ops.cast(step % first, "float32"), float(first)
        # The first step of each cycle is computed here: floor(log(...)) in float32 is off next to a restart.
        begins, lengths = [0.0], [float(first)]
        while len(begins) != self.cycles and begins[-1] + lengths[-1] < LAST_STEP:
            begins.append(begins[-1] + lengths[-1])
            lengths.append(lengths[-1] * self.t_mul)
        whole = np.ceil(begins)
        cycle = ops.sum(ops.cast(step >= ops.cast(whole[1:].astype("int32"), "int"), "int32"))
        begin, before, length = (
            ops.take(ops.convert_to_tensor(table), cycle)
            for table in (
                whole.astype("int32"),
                (whole - begins).astype("float32"),
                np.array(lengths, "float32"),
            )
        )
        return cycle, ops.cast(step - ops.cast(begin, "int"), "float32") + before, length

    @property
    def length(self) -> float:
        if self.cycles is None:
            return math.inf
        growth = self.t_mul
        cycles = self.cycles if growth == 1.0 else (growth**self.cycles - 1) / (growth - 1)
        return self.steps_of(self.steps) * cycles
