"""A check of the first batch of a training in eager mode, because compiled steps cannot raise an error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_losses import config
from keras_losses.core import Loss
from keras_losses.training.step import Step

BATCH_SIZE = 32
"""The batch size of `fit` if none is given."""


@dataclass(frozen=True)
class FirstBatch:
    """The first samples of the arrays that `fit` received."""

    x: Any
    y: Any
    sample_weight: Any

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> FirstBatch | None:
        """Return the first batch of the arguments of `fit`; None if they are not arrays.

        Data sets and generators are not read, because the batch would be missing in the training.
        """
        names = ("x", "y", "sample_weight")
        data = {name: arguments[name] for name in names if arguments.get(name) is not None}
        class_weight = arguments.get("class_weight") or {}
        if "y" not in data or 0 in class_weight.values():
            return None
        if not all(isinstance(x, np.ndarray) or ops.is_tensor(x) for x in keras.tree.flatten(data)):
            return None
        count = arguments.get("batch_size") or BATCH_SIZE
        first = keras.tree.map_structure(lambda x: x[:count], data)
        return cls(*(first.get(name) for name in names))

    def check(self, model: Any) -> None:
        """Raise the `ValueError` of a loss of this library whose labels or predictions are invalid.

        The model predicts without a change of its state. It is left alone if it has its own `train_step` or
        `compute_loss`, which may use other labels, and if it cannot be called on the inputs alone.
        """
        own = [getattr(type(model), name).__module__ for name in ("train_step", "compute_loss")]
        if not config.values_are_validated() or not all(module.startswith("keras.") for module in own):
            return
        step = Step(model, self.x, self.y, None, self.sample_weight, training=True)
        try:
            step = replace(step, y_pred=step.forward(self.x))
        except Exception:
            return  # Keras says what is wrong, if anything is
        for output in model.loss_terms.outputs:
            if isinstance(output.loss, Loss):
                at = step.at(output)
                output.loss._check_batch(at.y_true, at.of_output(at.y_pred), at.of_output(at.sample_weight))
