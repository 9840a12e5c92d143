"""Schedules of the learning rate, for optimizers and for callbacks; all work beside Keras's own."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import keras
import numpy as np
from keras import ops

from keras_losses.core import Learned, Parameter, parameter
from keras_losses.core.declared import Declared, signature

from ..arguments import is_number
from ..control.optimizers import as_number, batches_seen, compiled, rate_source
from ..writers.drawing import need_matplotlib

_LAST_STEP = 2**31 - 1  # of JAX's counter, which has 32 bits

if TYPE_CHECKING:
    from keras.optimizers.schedules import LearningRateSchedule as _KerasSchedule
else:
    _KerasSchedule = keras.optimizers.schedules.LearningRateSchedule


def _whole_steps(value: Any) -> int:
    """Return a checked number of steps."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"it is of type {type(value).__name__}")
    if value < 1:
        raise ValueError
    return int(value)


_STEPS_PER_EPOCH: Any = Parameter(
    default=None,
    convert=_whole_steps,
    stated_domain="a number of steps, 1 or more",
    optional=True,
    kw_only=True,
)


class Schedule(Declared, _KerasSchedule):  # type: ignore[misc]
    """Base of the schedules: a learning rate for each step, which an optimizer counts from 0.

    A subclass declares its arguments as losses do, and says in `rate` what the rate of a step is: operations
    of `keras.ops` on an integer tensor, without a branch in Python. Lengths count in steps or, with
    `steps_per_epoch`, in epochs, of which a fraction will do; `self.steps_of` makes steps of them, to the
    nearest whole number.

    A model whose optimizer has one is loaded without `custom_objects` once `keras_losses.callbacks` has been
    imported.

    Positions are subtracted as integers, and each form is computed from the end at which it vanishes: so
    the rates have the digits of float32 at any step up to 2^24 of a phase, next to 0 as well.
    """

    arguments: ClassVar[dict[str, Parameter]] = {}

    if TYPE_CHECKING:
        steps_per_epoch: int | None = parameter(default=None, kw_only=True)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = {name: value for name, value in vars(cls).items() if isinstance(value, Parameter)}
        cls.arguments = {**cls.arguments, **own}
        cls.__signature__ = signature({**cls.arguments, "steps_per_epoch": _STEPS_PER_EPOCH})  # type: ignore[attr-defined]
        keras.saving.register_keras_serializable("keras_losses")(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        owner = type(self).__name__
        declared = {**self.arguments, "steps_per_epoch": _STEPS_PER_EPOCH}
        try:
            bound = signature(declared).bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{owner}: {error}. Its arguments are: {', '.join(declared)}") from None
        bound.apply_defaults()
        for name, value in bound.arguments.items():
            if isinstance(value, Learned):
                raise TypeError(f"{owner}: `{name}` cannot be learned. Received: {name}={value!r}")
            setattr(self, name, declared[name].check(owner, name, value))
        self.validate()

    def validate(self) -> None:
        """Checks arguments against each other; raises `ValueError`."""

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

    def get_config(self) -> dict[str, Any]:
        return {name: _saved(getattr(self, name)) for name in inspect.signature(type(self)).parameters}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        return cls(**{name: _loaded(value) for name, value in config.items()})

    def __repr__(self) -> str:
        written = inspect.signature(type(self)).parameters.values()
        given = {p.name: getattr(self, p.name) for p in written if getattr(self, p.name) != p.default}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in given.items())})"


# What schedules are made of -----------------------------------------------------------------------------


def _inner(value: Any) -> Any:
    """Return a checked rate or schedule."""
    if is_number(value):
        if not (math.isfinite(value) and value >= 0):
            raise ValueError
        return float(value)
    if not isinstance(value, _KerasSchedule):
        raise TypeError(f"it is of type {type(value).__name__}")
    return value


def _rate_of(inner: Any, step: Any) -> Any:
    rate = inner if isinstance(inner, float) else inner(step)
    return ops.cast(ops.convert_to_tensor(rate), "float32")


def _saved(value: Any) -> Any:
    if isinstance(value, _KerasSchedule):
        return keras.saving.serialize_keras_object(value)
    return [_saved(each) for each in value] if isinstance(value, list | tuple) else value


def _loaded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return keras.saving.deserialize_keras_object(dict(value))
    return [_loaded(each) for each in value] if isinstance(value, list | tuple) else value


def _done(step: Any, begin: float, length: float) -> Any:
    """The share of a phase that is over, from 0 to 1; a phase without length is over when it begins.

    step - begin is of integers, for the greatest part: float32 has to hold the difference only.
    """
    if length <= 0:
        return ops.cast(step >= math.ceil(begin), "float32")
    whole = math.floor(begin)
    return ops.clip((ops.cast(step - whole, "float32") - (begin - whole)) / length, 0.0, 1.0)


def _left(step: Any, begin: float, length: float) -> Any:
    """1 - _done, with all digits."""
    if length <= 0:
        return ops.cast(step < math.ceil(begin), "float32")
    whole = math.ceil(begin + length)
    return ops.clip((ops.cast(whole - step, "float32") - (whole - begin - length)) / length, 0.0, 1.0)


# What is left of the height where x of the way is left: 1 at 1, 0 at 0.
_FORMS: dict[str, Callable[[Any], Any]] = {
    "linear": lambda x: x,
    "cosine": lambda x: ops.square(ops.sin((math.pi / 2) * x)),  # (1 - cos(pi x)) / 2
    "1-sqrt": lambda x: x / (1.0 + ops.sqrt(1.0 - x)),  # 1 - sqrt(1 - x)
}


def _power(base: float, exponent: Any) -> Any:
    """base ** exponent, of a whole number: float32 would raise the rounding of the base with it."""
    return ops.exp(ops.cast(exponent, "float32") * math.log(base))


# The schedules ------------------------------------------------------------------------------------------


class Warmup(Schedule):
    """Goes up in a straight line to where another schedule begins, and leaves the rest to it.

        rate(s) = start + (schedule(0) - start) s / steps    for s < steps
                  schedule(s - steps)                        from step `steps` on

    So step 0 has the rate `start`, and step `steps` is the first of the schedule, its step 0. Any schedule
    will do, Keras's own included, of which only `CosineDecay` has a warm-up. A number stays as it is.

    Args:
        schedule: The `LearningRateSchedule` that follows, or a number, 0 or more.
        steps: How long the warm-up takes, above 0, in steps; in epochs with `steps_per_epoch`.
        start: The rate of step 0, 0 or more. With 0 the first update changes nothing.
        steps_per_epoch: How many steps an epoch has, where lengths are in epochs.

    Raises:
        TypeError, ValueError: For an argument out of its range.

    References:
        - Goyal et al. 2017, Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour,
          https://arxiv.org/abs/1706.02677

    Example:

    >>> from keras_losses.callbacks import Warmup
    >>> Warmup(0.5, steps=4, start=0.1).preview(6).round(3).tolist()
    [0.1, 0.2, 0.3, 0.4, 0.5, 0.5]
    """

    schedule: Any = parameter(
        convert=_inner,
        domain="a learning rate, 0 or more, or a keras.optimizers.schedules.LearningRateSchedule",
    )
    steps: float = parameter(within="(0, inf)")
    start: float = parameter(default=0.0, within="[0, inf)")

    def rate(self, step: Any) -> Any:
        steps = self.steps_of(self.steps)
        # Before the end of the warm-up this is the schedule's first.
        following = _rate_of(self.schedule, ops.maximum(step - steps, 0))
        warming = self.start + (following - self.start) * _done(step, 0, steps)
        return ops.where(step < steps, warming, following)

    @property
    def length(self) -> float:
        return self.steps_of(self.steps) + length_of(self.schedule)


class OneCycle(Schedule):
    """Up to a high rate and down to a very low one, in one cycle as long as the training.

        from peak / div up to peak                  in the steps 0 to pct_start * steps - 1
        from peak down to peak / div_final          from there to step steps - 1, the last one

    Both along half a cosine, or in straight lines. Step for step it is PyTorch's `OneCycleLR(optimizer, peak,
    total_steps=steps, div_factor=div, final_div_factor=div_final / div)`; names and defaults are fastai's,
    where `div_final` divides the peak. Later steps keep the last rate, where PyTorch raises an error.
    The momentum that goes the other way is `momentum()`. `WarmupStableDecay` stays at its peak, so that one
    may decide on the training's length late.

    Args:
        peak: The highest rate, above 0.
        steps: The length of the training, above 0, in steps; in epochs with `steps_per_epoch`.
        pct_start: The share of it in which the rate goes up, between 0 and 1.
        div: The peak over the first rate, above 0.
        div_final: The peak over the last rate, above 0.
        form: `"cosine"` or `"linear"`.
        steps_per_epoch: How many steps an epoch has, where lengths are in epochs.

    Raises:
        TypeError, ValueError: For an argument out of its range.

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

    def rate(self, step: Any) -> Any:
        form = _FORMS[self.form]
        last = self.steps_of(self.steps) - 1
        top = max(self.pct_start * (last + 1) - 1, 0.0)
        first, final = self.peak / self.div, self.peak / self.div_final
        up = first + (self.peak - first) * form(_done(step, 0, top))
        down = final + (self.peak - final) * form(_left(step, top, last - top))
        return ops.where(step <= math.floor(top), up, down)

    @property
    def length(self) -> float:
        return self.steps_of(self.steps)

    def momentum(self, low: float = 0.85, high: float = 0.95) -> OneCycle:
        """The momentum of the cycle: from `high` down to `low` while the rate goes up, and back.

        It is for the `momentum` of `ScheduledSGD` and the `beta_1` of `ScheduledAdam`.
        """
        if not 0 < low <= high < 1:
            raise ValueError(
                f"OneCycle.momentum: it must be 0 < low <= high < 1. Received: low={low!r}, high={high!r}"
            )
        inverse = {"peak": low, "div": low / high, "div_final": low / high}
        return OneCycle(**{**self.get_config(), **inverse})


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
        down = self.final + (self.peak - self.final) * _FORMS[self.tail](_left(step, steps - decay, decay))
        return ops.where(step < warmup, self.peak * _done(step, 0, warmup), down)

    @property
    def length(self) -> float:
        return self.steps_of(self.steps)


class CosineRestarts(Schedule):
    """Down along half a cosine again and again, each time longer, from a lower peak, or after a warm-up.

    Cycle i = 0, 1, ... has T_i = steps * t_mul^i steps and the peak P_i = initial * m_mul^i (not below
    `final`). Of its steps t = 0, 1, ...

        final + (P_i - final) * t / warmup                                              for t < warmup
        final + (P_i - final) * (1 + cos(pi (t - warmup) / (T_i - warmup))) / 2         from then on

    Without a warm-up it is timm's `CosineLRScheduler(t_initial=steps, cycle_mul=t_mul, cycle_decay=m_mul)`,
    and with `final=0` Keras's `CosineDecayRestarts`, which looks for its place in the cycles with logarithms
    in float32, and so may be a cycle off beside a restart; and which has neither warm-ups nor an end.

    Args:
        initial: The peak of the first cycle, above 0.
        steps: The length of the first cycle, above 0, in steps; in epochs with `steps_per_epoch`.
        t_mul: How many times as long as the one before a cycle is, 1 or more.
        m_mul: How many times as high its peak is, above 0 and up to 1.
        warmup: How much of each cycle is for going up, 0 or more and less than `steps`.
        final: The rate to which each cycle goes, 0 or more.
        cycles: After how many cycles the rate stays at `final`; by default it never does.
        steps_per_epoch: How many steps an epoch has, where lengths are in epochs.

    Raises:
        TypeError, ValueError: For an argument out of its range.

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
                "CosineRestarts: warmup must be shorter than the first cycle. "
                f"Received: steps={self.steps!r}, warmup={self.warmup!r}"
            )

    def rate(self, step: Any) -> Any:
        warmup = self.steps_of(self.warmup)
        cycle, since, length = self._place(step)
        peak = ops.maximum(self.initial * _power(self.m_mul, cycle), self.final)
        left = ops.clip((length - since) / (length - warmup), 0.0, 1.0)
        share = _FORMS["cosine"](left)
        if warmup:
            share = ops.where(since < warmup, since / warmup, share)
        if self.cycles is not None:
            share = ops.where(step < math.ceil(self.length), share, 0.0)
        return self.final + (peak - self.final) * share

    def _place(self, step: Any) -> tuple[Any, Any, Any]:
        """The number of the step's cycle, how many steps of it are over, and how many it has."""
        first = self.steps_of(self.steps)
        if self.t_mul == 1.0:
            return step // first, ops.cast(step % first, "float32"), float(first)
        # Where each cycle begins, worked out beforehand: floor(log(...)) in float32 is off beside a restart.
        begins, lengths = [0.0], [float(first)]
        while len(begins) != self.cycles and begins[-1] + lengths[-1] < _LAST_STEP:
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
        return self.peak * ops.where(step < warmup, _done(step, 0, warmup), ops.sqrt(warmup / since))


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
        return self.initial * _power(self.factor, step // max(self.steps_of(self.every), 1))


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
        left = _left(step, 0, self.steps_of(self.steps))
        return self.final + (self.initial - self.final) * ops.power(left, self.power)

    @property
    def length(self) -> float:
        return self.steps_of(self.steps)


def _links(value: Any) -> list[Any]:
    """Return checked schedules with their lengths."""
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) == 0:
        raise TypeError(f"it is of type {type(value).__name__}" if value or value == 0 else "it is empty")
    links = [list(link) if isinstance(link, list | tuple) else [link, None] for link in value]
    for number, link in enumerate(links):
        if len(link) != 2:
            raise ValueError(f"link {number} is not a schedule and its steps")
        link[0] = _inner(link[0])
        last = number == len(links) - 1
        if not (last and link[1] is None) and not (is_number(link[1]) and 0 < link[1] < math.inf):
            raise ValueError(f"link {number} does not say how many steps it lasts, above 0")
    return links


class Chain(Schedule):
    """One schedule after another; each begins at its own step 0.

        rate(s) = schedule_k(s - b_k)      for b_k <= s < b_k + steps_k

    with b_k the sum of the steps before. The last goes on; where it has steps as well, the rate that it has
    after so many stays. PyTorch's `SequentialLR`, and optax's `join_schedules`. A warm-up is `Warmup`,
    which knows how high to go.

    Args:
        schedules: The schedules with the steps that each lasts, `[(schedule, steps), ..., schedule]`: Keras's
            own, those of this library, or numbers, 0 or more, that stay as they are.
        steps_per_epoch: How many steps an epoch has, where the lengths of the links are in epochs; what the
            schedules inside count in is their own affair.

    Raises:
        TypeError, ValueError: For an argument out of its range.

    Example:

    >>> from keras_losses.callbacks import Chain, Polynomial
    >>> Chain([(0.1, 2), (Polynomial(1.0, steps=2), 2), 0.3]).preview(6).round(3).tolist()
    [0.1, 0.1, 1.0, 0.5, 0.3, 0.3]
    """

    schedules: Sequence[Any] = parameter(
        convert=_links,
        domain="a list of (schedule, steps), the last without steps or with; numbers are schedules too",
    )

    def rate(self, step: Any) -> Any:
        found: Any = None
        for begin, steps, schedule in self._placed():
            since = ops.clip(step - begin, 0, _LAST_STEP if steps is None else steps)
            own = _rate_of(schedule, since)
            found = own if found is None else ops.where(step < begin, found, own)
        return found

    def _placed(self) -> list[tuple[int, int | None, Any]]:
        placed, begin = [], 0
        for schedule, length in self.schedules:
            steps = None if length is None else self.steps_of(length)
            placed.append((begin, steps, schedule))
            begin += steps or 0
        return placed

    @property
    def length(self) -> float:
        begin, steps, schedule = self._placed()[-1]
        return begin + min(length_of(schedule), math.inf if steps is None else steps)


class Scaled(Schedule):
    """A schedule times a factor, which `PlateauDecay` makes of the schedule of an optimizer.

        rate(s) = max(factor * schedule(s), min(schedule(s), min_rate))

    The factor is a plain number, saved with the optimizer's config. A variable would have to be among those
    of the optimizer for JAX to see it change, and Keras saves these by number: an optimizer with one more
    than its class makes is loaded without any of them, its slots and its iterations included.

    Args:
        schedule: The `LearningRateSchedule`, or a number.
        factor: Above 0.
        min_rate: The factor leads no lower than this; the schedule itself may.

    Example:

    >>> Scaled(0.5, factor=0.1).preview(1).round(3).tolist()
    [0.05]
    """

    schedule: Any = parameter(
        convert=_inner,
        domain="a learning rate, 0 or more, or a keras.optimizers.schedules.LearningRateSchedule",
    )
    factor: float = parameter(default=1.0, within="(0, inf)")
    min_rate: float = parameter(default=0.0, within="[0, inf)")

    def rate(self, step: Any) -> Any:
        rate = _rate_of(self.schedule, step)
        return ops.maximum(self.factor * rate, ops.minimum(rate, self.min_rate))

    @property
    def length(self) -> float:
        return length_of(self.schedule)


# Does it fit the training? ------------------------------------------------------------------------------


def length_of(schedule: Any) -> float:
    """After how many steps a schedule has come to its end, Keras's own included; infinite without one."""
    own = keras.optimizers.schedules
    if isinstance(schedule, Schedule):
        return schedule.length
    if isinstance(schedule, own.CosineDecay):
        return float(
            schedule.decay_steps + (schedule.warmup_steps if schedule.warmup_target is not None else 0)
        )
    if isinstance(schedule, own.PolynomialDecay) and not schedule.cycle:
        return float(schedule.decay_steps)
    return math.inf


def check_length(rate: Any, params: Mapping[str, Any] | None, made: int = 0) -> None:
    """Warns where a decay comes to its end long before, or long after, the training does.

    Long is: before the half, or after twice the length. Nothing is said where the length of either is not
    known, or where the schedule has no end.

    Args:
        rate: A schedule; or an optimizer, whose schedule is looked at, if it has one.
        params: The `params` of a callback: `epochs`, and the `steps` of an epoch, as the schedule counts.
        made: How many steps were made before this `fit`; read off an optimizer.
    """
    if isinstance(rate, keras.optimizers.Optimizer):
        # Keras hands the batches to it, under gradient accumulation too, and so counts `params`.
        rate, made = schedule_of(rate), batches_seen(rate)
    length = length_of(rate)
    epochs, steps = ((params or {}).get(name) for name in ("epochs", "steps"))
    if math.isinf(length) or not epochs or not steps:
        return
    # `initial_epoch` is not among the params: the steps made before are in `epochs`, or come before them.
    least, most = max(made, epochs * steps), made + epochs * steps
    name = type(rate).__name__
    if length < 0.5 * least:
        warnings.warn(
            f"{name} comes to its end after {length:g} steps, and the training makes {least:g}: the rate "
            f"stays as it is for the last {least - length:g}. Give it the length of the training, which is "
            "epochs times the steps of an epoch, or let another schedule follow with Chain.",
            stacklevel=2,
        )
    elif length > 2 * most:
        warnings.warn(
            f"{name} comes to its end after {length:g} steps, and the training makes only {most:g}: it stops "
            "while the rate is still high. Give it the length of the training, which is epochs times the "
            "steps of an epoch.",
            stacklevel=2,
        )


def schedule_of(optimizer: Any) -> Any | None:
    """An optimizer's learning-rate schedule, or None where its rate is a number or a function."""
    source = rate_source(optimizer)
    return source if isinstance(source, _KerasSchedule) else None
