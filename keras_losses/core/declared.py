"""Declared constructors: signature, checks of arguments, config and repr of losses and schedules."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self, dataclass_transform

from keras_losses.core.parameters import REQUIRED, Parameter, flag, parameter
from keras_losses.core.saving import loaded, saved


def signature(parameters: Mapping[str, Parameter]) -> inspect.Signature:
    """Return a constructor's signature: required arguments first, keyword-only arguments last."""
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
    """The signature of a class, hidden from its instances, whose calls take other arguments."""

    signature: inspect.Signature

    def __get__(self, instance: Any, owner: type) -> inspect.Signature:
        if instance is not None:
            raise AttributeError("__signature__")
        return self.signature


@dataclass_transform(field_specifiers=(parameter, flag))
class Declared:
    """Base of classes that declare the arguments of their constructor in their bodies.

        class Warmup(Declared):
            steps: float = parameter(within="(0, inf)")

    The signature, the checks, `get_config`, `from_config` and `repr` follow from the declarations. A subclass
    that sets an inherited argument to a plain value fixes it: the constructor no longer takes it.

    A base class sets `_common` to the arguments that all of its subclasses take and that come last. It stores
    them itself: `_checked` returns them with the others, and `repr` leaves them out.
    """

    hyperparameters: ClassVar[dict[str, Parameter]] = {}
    """The declared arguments by name, without `_common`."""

    _common: ClassVar[Mapping[str, Parameter]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        body = vars(cls)
        declared = {name: value for name, value in body.items() if isinstance(value, Parameter)}
        inherited = {name: p for name, p in cls.hyperparameters.items() if name not in body}
        cls.hyperparameters = {**declared, **inherited}
        written = None
        if "__init__" in body:
            _, *arguments = inspect.signature(cls.__init__).parameters.values()  # without self
            written = inspect.Signature(arguments)
        cls.__signature__ = OfTheClass(  # type: ignore[attr-defined]
            written or signature({**cls.hyperparameters, **cls._common})
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        for name, value in self._checked(args, kwargs).items():
            setattr(self, name, value)
        self.validate()

    def _checked(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return all arguments in the form in which they are stored; raise if one is outside its domain."""
        owner = type(self).__name__
        declared = {**self.hyperparameters, **self._common}
        try:
            bound = signature(declared).bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"`{owner}`: {error}. Its arguments are: {', '.join(declared)}") from None
        bound.apply_defaults()
        return {name: declared[name].check(owner, name, value) for name, value in bound.arguments.items()}

    def validate(self) -> None:
        """Check the arguments against each other; raise `ValueError` if they do not fit together."""

    def _stated(self, name: str) -> Any:
        """Return the stored argument, a number or `Learned`, also while a model provides another value."""
        return vars(self)[name] if name in vars(self) else getattr(self, name)

    def _reader(self, name: str) -> Callable[[], Any] | None:
        """Return a function for the current tensor of an argument, or None to use the stored number."""
        return None

    def get_config(self) -> dict[str, Any]:
        """Return every argument of the constructor, read from its signature."""
        written = inspect.signature(type(self)).parameters.values()
        names = {p.name: None for p in written if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
        arguments = [name for name in {**names, **self.hyperparameters} if name not in self._common]
        return {name: saved(self._stated(name)) for name in (*arguments, *self._common)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Return an object with the arguments of a config."""
        return cls(**{name: loaded(value) for name, value in config.items()})

    def __repr__(self) -> str:
        defaults = inspect.signature(type(self)).parameters
        changed = (
            f"{name}={self._stated(name)!r}"
            for name in self.hyperparameters
            if name not in defaults or self._stated(name) != defaults[name].default
        )
        return f"{type(self).__name__}({', '.join(changed)})"
