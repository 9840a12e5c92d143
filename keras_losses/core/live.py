"""Hyper-parameters that change while a model trains, by a schedule or by learning, as a loss reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, cast

from keras_losses.core import context
from keras_losses.core.context import Readers
from keras_losses.core.declared import Declared
from keras_losses.core.learned import Learned


class LiveValues(Declared):
    """The part of `Loss` that reads hyper-parameters off the model that trains it.

    While a model computes its loss, the context says how they are read. Outside of it, as in a custom
    training loop, a loss reads what it was last told to follow.
    """

    _needs_model: ClassVar[bool] = False
    """Whether the loss asks the model for more than labels and predictions."""

    # Without an annotation, which would make it an argument of the constructor.
    _followed = cast("Readers", {})

    def _follow(self, name: str, read: Callable[[], Any] | None) -> None:
        """Read a hyper-parameter with a function from now on, outside of a model's own steps.

        Args:
            name: the hyper-parameter, or `weights/<term>` for the weight of a term.
            read: returns its current tensor; None returns to the number that the loss keeps.
        """
        others = {other: reader for other, reader in self._followed.items() if other != name}
        self._followed = others if read is None else {**others, name: read}

    @property
    def _readers(self) -> Readers:
        """How hyper-parameters are read now, for those that are not the numbers that the loss keeps."""
        of_model = context.current().readers
        return of_model[self] if of_model and self in of_model else self._followed

    def _reader(self, name: str) -> Callable[[], Any] | None:
        return self._readers.get(name)

    @property
    def _learned(self) -> dict[str, Learned]:
        """The hyper-parameters that training finds."""
        stated = {name: self._stated(name) for name in self.hyperparameters}
        return {name: value for name, value in stated.items() if isinstance(value, Learned)}

    def _shape_of(self, learned: str) -> tuple[int, ...]:
        """The shape of a learned hyper-parameter: a scalar, unless a loss overrides this."""
        return ()

    @property
    def _inside(self) -> Mapping[str, Any]:
        """The losses of this library inside this one, by the prefix of their names."""
        return {}

    def _check_learned(self) -> None:
        """Raise `ValueError` for a learned hyper-parameter that no model trains."""
        missing = [name for name in self._learned if self._reader(name) is None]
        if missing:
            raise ValueError(
                f"`{type(self).__name__}`: {', '.join(f'`{name}`' for name in missing)} should be learned, "
                "and there is no variable for it that an optimizer could train. Compile a LossAwareModel "
                "with this loss, such as LossAwareModel.from_model(model); in a training loop of your own, "
                "make a LossState(loss) and train its variables as well; or give a number."
            )
        for part in self._inside.values():
            part._check_learned()
