"""Declarations of constructor arguments: their defaults, their domains, and the checks of their values."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from keras_losses.core.interval import Interval
from keras_losses.core.learned import Learned

REQUIRED: Any = object()
"""The default of a required argument."""


@dataclass(frozen=True)
class Parameter:
    """A hyper-parameter with its default and its domain, which checks values.

    The domain is an interval of numbers, a list of choices, or a function that converts a value or raises.
    `stated_domain` describes the values that such a function takes.
    """

    default: Any = REQUIRED
    within: str | None = None
    integer: bool = False
    choices: tuple[Any, ...] | None = None
    convert: Callable[[Any], Any] | None = None
    optional: bool = False
    kw_only: bool = False
    live: bool = False
    """Whether the number may be learned or scheduled. The formula must then take a scalar tensor too."""
    stated_domain: str = ""
    """The domain of `convert` in words that complete "must be ..."."""
    name: str = field(default="", init=False, repr=False, compare=False)
    interval: Interval | None = field(default=None, init=False, repr=False, compare=False)
    """The parsed form of `within`."""

    def __post_init__(self) -> None:
        if self.within is not None:
            object.__setattr__(self, "interval", Interval(self.within))

    def __set_name__(self, owner: type, name: str) -> None:
        object.__setattr__(self, "name", name)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """Return the value of an instance: the stored one, or the current tensor if there is a reader.

        A reader lets a number change between the steps of a compiled function, or be learned.
        """
        if instance is None:
            return self
        read = instance._reader(self.name)
        if read is not None:
            return instance.convert(read())
        stored = vars(instance)
        if self.name not in stored:
            raise AttributeError(f"{type(instance).__name__!r} object has no attribute {self.name!r}")
        value = stored[self.name]
        return value.initial if isinstance(value, Learned) else value

    def __set__(self, instance: Any, value: Any) -> None:
        vars(instance)[self.name] = value

    @property
    def domain(self) -> str:
        """The domain in words, as error messages and tables show it."""
        if self.within is not None:
            words = f"{'an integer' if self.integer else 'a number'} in {self.within}"
        elif self.choices is not None:
            words = f"one of {', '.join(map(repr, self.choices))}"
        elif self.convert is not None:
            words = self.stated_domain
        else:
            words = "anything"
        return f"{words}, or None" if self.optional else words

    def check(self, owner: str, name: str, value: Any) -> Any:
        """Return the value in the form in which it is stored; raise an error if it is invalid."""
        if value is None and self.optional:
            return None
        try:
            return self._checked(value)
        except (TypeError, ValueError) as error:
            detail = f" ({error})" if str(error) else ""
            raise type(error)(
                f"`{owner}`: `{name}` must be {self.domain}. Received: {name}={value!r}{detail}"
            ) from None

    def _checked(self, value: Any) -> Any:
        if isinstance(value, Learned):
            if self.interval is None or not self.live:
                raise TypeError("it cannot change while a model trains, so it cannot be Learned")
            return value.within(self.interval)
        if self.interval is not None:
            kind = numbers.Integral if self.integer else numbers.Real
            if not isinstance(value, kind) or isinstance(value, bool):
                raise TypeError(f"it is of type {type(value).__name__}")
            number = int(value) if self.integer else float(value)  # type: ignore[call-overload]
            if number not in self.interval:
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
    live: bool = False,
    domain: str = "",
) -> Any:
    """Declare a hyper-parameter in the body of a loss; see `Parameter`.

    `domain` describes the values that `convert` takes. It is an argument and not the docstring of `convert`,
    because `python -OO` removes docstrings.
    """
    return Parameter(default, within, integer, choices, convert, optional, kw_only, live, domain)


def flag(*, default: bool, kw_only: bool = True) -> Any:
    """Declare a hyper-parameter that is True or False."""
    return Parameter(default, choices=(False, True), kw_only=kw_only)
