"""Reading of hyper-parameters that change while a model trains: scheduled or learned ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, cast

from keras_losses.core import context
from keras_losses.core.context import Readers
from keras_losses.core.declared import Declared
from keras_losses.core.learned import Learned


class LiveValues(Declared):
    """Part of `Loss` that reads scheduled and learned hyper-parameters.

    While a model computes its loss, the context provides the readers. Outside of it, as in a custom training
    loop, the readers are those set with `_follow`.
    """

    _needs_model: ClassVar[bool] = False
    """Whether the loss needs data of the model beyond labels and predictions."""

    # Not annotated: an annotation would make it an argument of the constructor for type checkers.
    _followed = cast("Readers", {})

    def _follow(self, name: str, read: Callable[[], Any] | None) -> None:
        """Read a hyper-parameter with a function from now on, except in the steps of a model.

        Args:
            name: the hyper-parameter, or `weights/<term>` for the weight of a term.
            read: a function that returns its current tensor; None restores the stored number.
        """
        others = {other: reader for other, reader in self._followed.items() if other != name}
        self._followed = others if read is None else {**others, name: read}

    @property
    def _readers(self) -> Readers:
        """Current readers of hyper-parameters, by name; the others have their stored numbers."""
        of_model = context.current().readers
        return of_model[self] if of_model and self in of_model else self._followed

    def _reader(self, name: str) -> Callable[[], Any] | None:
        return self._readers.get(name)

    @property
    def _learned(self) -> dict[str, Learned]:
        """Learned hyper-parameters by name."""
        stated = {name: self._stated(name) for name in self.hyperparameters}
        return {name: value for name, value in stated.items() if isinstance(value, Learned)}

    def _shape_of(self, learned: str) -> tuple[int, ...]:
        """Return the shape of a learned hyper-parameter: that of a scalar, unless a loss overrides this."""
        return ()

    @property
    def _inside(self) -> Mapping[str, Any]:
        """Losses of this library inside this one, by the prefix of their names."""
        return {}

    def _check_learned(self) -> None:
        """Raise `ValueError` if a learned hyper-parameter has no variable that an optimizer trains."""
        missing = [name for name in self._learned if self._reader(name) is None]
        if missing:
            raise ValueError(
                f"`{type(self).__name__}`: {', '.join(f'`{name}`' for name in missing)} must have a variable "
                "that an optimizer trains, because it is Learned. Received: a loss without such a variable. "
                "Compile a LossAwareModel with this loss, such as LossAwareModel.from_model(model). In a "
                "custom training loop, create LossState(loss) and train its variables too. Or pass a number."
            )
        for part in self._inside.values():
            part._check_learned()
