"""What a loss says of itself: its hyper-parameters with their ranges, and its card."""

from __future__ import annotations

import inspect
import math
import numbers
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self, dataclass_transform

import keras
from keras import ops

REQUIRED: Any = object()


@dataclass(frozen=True)
class Interval:
    """A range of numbers, read from the way it is written in a paper: `"[0, inf)"`, `"(0, 1]"`."""

    text: str

    @property
    def ends(self) -> tuple[float, float]:
        low, high = self.text[1:-1].split(",")
        return float(low), float(high)

    def __contains__(self, value: float) -> bool:
        low, high = self.ends
        above = value >= low if self.text[0] == "[" else value > low
        below = value <= high if self.text[-1] == "]" else value < high
        return above and below

    def inside(self) -> tuple[float, ...]:
        """A few members, the closed ends among them."""
        low, high = self.ends
        low, high = max(low, -10.0), min(high, max(low, 0.0) + 10.0)
        steps = (0.0, 0.05, 0.35, 0.5, 0.8, 1.0)
        return tuple(value for step in steps if (value := low + step * (high - low)) in self)

    def outside(self) -> tuple[float, ...]:
        """A few numbers that are not members: beyond the ends, the open ends, infinity and NaN."""
        low, high = self.ends
        near = (low - 1.0, low, low - 1e-6, high, high + 1e-6, high + 1.0)
        return tuple(dict.fromkeys(value for value in (*near, math.inf, math.nan) if value not in self))


@keras.saving.register_keras_serializable("keras_losses")
@dataclass(frozen=True, repr=False)
class Learned:
    """A hyper-parameter that training finds: `DistillationLoss(4, temperature=Learned(4.0))`.

    It stands where a number of a range may stand, and begins with `initial`. It is trained with the weights
    of a `LossAwareModel`, stays inside of the range of the hyper-parameter, and is saved with the model.
    What makes the loss smaller is what is found: that is what one wants of a scale whose loss has a term
    against large ones (a likelihood's), or of a temperature, and not of a weight or a margin, which go to 0.

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
            if isinstance(number, bool) or not isinstance(number, numbers.Real) or not math.isfinite(number):
                raise ValueError(f"Learned: `{name}` must be a finite number. Received: {name}={number!r}.")
            object.__setattr__(self, name, float(number))
        if self.learning_rate <= 0:
            raise ValueError(
                "Learned: `learning_rate` must be above 0: a number in place of Learned is not trained. "
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


@dataclass(frozen=True)
class Parameter:
    """One hyper-parameter: its default, its domain, and how a value is checked.

    The domain is an interval of numbers, a list of choices, or a function that returns the value in the
    form in which it is kept, or raises. A function comes with `examples` of what it takes and refuses.
    """

    default: Any = REQUIRED
    within: str | None = None
    integer: bool = False
    choices: tuple[Any, ...] | None = None
    convert: Callable[[Any], Any] | None = None
    optional: bool = False
    kw_only: bool = False
    examples: tuple[Any, ...] = ()
    refused: tuple[Any, ...] = ()
    name: str = field(default="", init=False, repr=False, compare=False)

    def __set_name__(self, owner: type, name: str) -> None:
        object.__setattr__(self, "name", name)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """The value of an instance: the one it keeps, or what its `_live` says of this name right now.

        `_live` maps names to functions without arguments that return a scalar tensor, so that a number can
        change between the steps of a compiled function, or be learned.
        """
        if instance is None:
            return self
        kept = vars(instance)
        live = kept.get("_live")
        if live and self.name in live:
            return instance.convert(live[self.name]())
        if self.name not in kept:
            raise AttributeError(f"{type(instance).__name__!r} object has no attribute {self.name!r}")
        value = kept[self.name]
        return value.initial if isinstance(value, Learned) else value

    def __set__(self, instance: Any, value: Any) -> None:
        vars(instance)[self.name] = value

    @property
    def is_real(self) -> bool:
        """Whether it is a number of a range, which may be learned or follow a schedule."""
        return self.within is not None and not self.integer

    @property
    def domain(self) -> str:
        """The domain in words, as error messages and tables show it."""
        if self.within is not None:
            words = f"{'an integer' if self.integer else 'a number'} in {self.within}"
        elif self.choices is not None:
            words = f"one of {', '.join(map(repr, self.choices))}"
        elif self.convert is not None:
            words = (self.convert.__doc__ or "").split("\n")[0].rstrip(".")
        else:
            words = "anything"
        return f"{words}, or None" if self.optional else words

    def check(self, owner: str, name: str, value: Any) -> Any:
        """The value in the form in which it is kept; `TypeError` or `ValueError` where it has none."""
        if value is None and self.optional:
            return None
        try:
            return self._checked(value)
        except (TypeError, ValueError) as error:
            detail = f" ({error})" if str(error) else ""
            raise type(error)(
                f"{owner}: `{name}` must be {self.domain}. Received: {name}={value!r}{detail}"
            ) from None

    def _checked(self, value: Any) -> Any:
        if isinstance(value, Learned) and self.is_real and self.within is not None:
            return value.within(Interval(self.within))
        if self.within is not None:
            kind = numbers.Integral if self.integer else numbers.Real
            if not isinstance(value, kind) or isinstance(value, bool):
                raise TypeError(f"it is of type {type(value).__name__}")
            number = int(value) if self.integer else float(value)  # type: ignore[call-overload]
            if number not in Interval(self.within):
                raise ValueError
            return number
        if self.choices is not None:
            if not any(type(value) is type(choice) and value == choice for choice in self.choices):
                raise ValueError
            return value
        return self.convert(value) if self.convert is not None else value


def parameter(
    *,
    default: Any = REQUIRED,
    within: str | None = None,
    integer: bool = False,
    choices: tuple[Any, ...] | None = None,
    convert: Callable[[Any], Any] | None = None,
    optional: bool = False,
    kw_only: bool = False,
    examples: tuple[Any, ...] = (),
    refused: tuple[Any, ...] = (),
) -> Any:
    """Declares a hyper-parameter in the body of a loss; see `Parameter`."""
    return Parameter(default, within, integer, choices, convert, optional, kw_only, examples, refused)


def flag(*, default: bool, kw_only: bool = True) -> Any:
    """Declares a hyper-parameter that is on or off."""
    return Parameter(default, choices=(False, True), kw_only=kw_only)


@dataclass_transform(field_specifiers=(parameter, flag))
class Declared:
    """Base of classes whose constructor takes what their bodies declare, as type checkers then know."""


def signature(parameters: Mapping[str, Parameter]) -> inspect.Signature:
    """The constructor's signature: what has no default first, and the keyword-only ones after the others."""
    in_order = sorted(parameters.items(), key=lambda item: item[1].default is not REQUIRED)
    kinds = {False: inspect.Parameter.POSITIONAL_OR_KEYWORD, True: inspect.Parameter.KEYWORD_ONLY}
    return inspect.Signature(
        [
            inspect.Parameter(
                name, kinds[kw_only], default=inspect.Parameter.empty if p.default is REQUIRED else p.default
            )
            for kw_only in (False, True)
            for name, p in in_order
            if p.kw_only is kw_only
        ]
    )


@dataclass(frozen=True)
class OfTheClass:
    """The signature of a class: its instances, which are called with labels, have their own."""

    signature: inspect.Signature

    def __get__(self, instance: Any, owner: type) -> inspect.Signature:
        if instance is not None:
            raise AttributeError("__signature__")
        return self.signature


@dataclass(frozen=True)
class Identity:
    """The loss with the hyper-parameters `when` equals `times` the loss called `equals` with `given`."""

    when: Mapping[str, Any]
    equals: str
    given: Mapping[str, Any] = field(default_factory=dict)
    times: float = 1.0


Functional = Literal[
    "mean",
    "median",
    "location between median and mean",
    "location near the median",
    "class probability",
    "class probability over its prior",
    "centre of distributions",
    "order of probabilities",
    "likeliest class",
    "agreement",
    "parameters of the distribution",
    "inner loss",
]
"""What the best constant prediction may be of the labels; `"inner loss"`: what the loss inside elicits.

`"location near the median"`: where most labels are, wherever the others are. `"agreement"`: nothing, since
all constant predictions are worth the same; only predictions that go with the labels are worth more.
`"parameters of the distribution"`: those that score best on the labels.

`"centre of distributions"`: a distribution between the targets, which need not be their mean; where all of
them are the same, that one.
"""


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a loss is, where it belongs, and what may be expected of it.

    Validation, the contract tests, the documentation and the advisor all read the same card.
    """

    family: str
    formula: str
    """The value of one sample, in the words of the class's docstring."""
    paper: str
    labels: str
    """The domain of `y_true`."""
    predictions: str
    """The domain of `y_pred`."""
    use: str
    avoid: str
    elicits: Functional
    """What the best constant prediction is, with the default hyper-parameters."""
    gradient_bound: str
    """The largest size of the gradient in one prediction, for a weight of 1."""
    elicits_note: str = ""
    """What has to be added to that: its conditions, and what other hyper-parameters make of it."""
    identities: tuple[Identity, ...] = ()
    conditioning: str = ""
    """Where the formula itself loses digits, and how many."""
    cost: str = ""
    """Which arithmetic costs more than a cross-entropy of the same predictions, if it is a third or more."""
