"""Values of hyper-parameters that a model changes: by a schedule, or by learning them.

This is all that a loss knows of the model that trains it. `Parameter.__get__` reads `_live`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, cast

from keras_losses.core.declared import Declared
from keras_losses.core.learned import Learned


class LiveValues(Declared):
    """What `Loss` has of the model that trains it."""

    _needs_model: ClassVar[bool] = False
    """Whether the loss asks the model for more than labels and predictions."""

    # Current tensor values of scheduled or learned hyper-parameters, by name; and, while the model computes
    # its loss, the step's inputs for each output that has the loss. Without annotations, which would make
    # them arguments of the constructor.
    _live = cast("Mapping[str, Callable[[], Any]]", {})
    _steps = cast("Sequence[Any]", ())

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
        missing = [name for name in self._learned if name not in self._live]
        if missing:
            raise ValueError(
                f"`{type(self).__name__}`: {', '.join(f'`{name}`' for name in missing)} should be learned, "
                "and there is no variable for it that an optimizer could train. Compile a LossAwareModel "
                "with this loss, such as LossAwareModel.from_model(model); in a training loop of your own, "
                "make a LossState(loss) and train its variables as well; or give a number."
            )
        for part in self._inside.values():
            part._check_learned()
