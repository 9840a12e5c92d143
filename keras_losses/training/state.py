"""The variables of learned hyper-parameters."""

from __future__ import annotations

import functools
import re
from typing import Any

import keras
from keras import ops

from keras_losses.core import Loss
from keras_losses.training.outputs import losses_by_path
from keras_losses.training.settings import ReadersByLoss


class LossState(keras.layers.Layer):  # type: ignore[misc]
    """A layer with the variables of learned hyper-parameters. Every `LossAwareModel` has one.

    In a custom training loop, make one and train its `trainable_variables` too:

    >>> from keras_losses import DistillationLoss, LossState
    >>> state = LossState(DistillationLoss(4.0))
    """

    def __init__(self, losses: Any, name: str = "loss_state") -> None:
        super().__init__(name=name, dtype="float32")
        outermost = list(losses) if isinstance(losses, list | tuple) else [losses]
        parts = dict.fromkeys(part for loss in outermost for _, part in losses_by_path(loss))
        self._learned: list[tuple[Loss, str, Any]] = []
        for turn, loss in enumerate(parts):
            name = re.sub(r"\W", "_", str(loss.name))
            for parameter in loss._learned:
                # Two losses may have the same name, but Keras on PyTorch requires unique names of parameters,
                # without dots. No backend allows a slash.
                variable = self.add_weight(
                    shape=loss._shape_of(parameter),
                    initializer="zeros",
                    name=f"{name}_{turn}_{parameter}" if turn else f"{name}_{parameter}",
                )
                self._learned.append((loss, parameter, variable))
        self.built = True
        for loss, readers in self.readers().items():
            for parameter, read in readers.items():
                loss._follow(parameter, read)

    def serves(self, losses: list[Loss]) -> bool:
        """Return whether it has exactly the variables of these losses."""
        found = {part for loss in losses for _, part in losses_by_path(loss) if part._learned}
        return found == {loss for loss, _, _ in self._learned}

    def readers(self) -> ReadersByLoss:
        """Return functions that read the learned hyper-parameters, for each loss that has some."""
        found: ReadersByLoss = {}
        for loss, parameter, variable in self._learned:
            found.setdefault(loss, {})[parameter] = functools.partial(_value_of, loss, parameter, variable)
        return found


def _value_of(loss: Loss, parameter: str, variable: keras.Variable) -> Any:
    interval = loss.hyperparameters[parameter].interval
    assert interval is not None  # `Learned` is accepted only for numbers with a range
    return loss._learned[parameter].value(ops.convert_to_tensor(variable), interval)
