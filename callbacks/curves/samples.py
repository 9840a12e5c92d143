"""A close look at a few samples: the loss of each, of each class, and the gradient of the whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_losses.core import Loss
from keras_losses.numerics import derivatives
from keras_losses.training.step import Step
from keras_losses.training.terms import LossTerms

MOST_CLASSES = 100
"""With more of them nobody reads their curves."""


class Examined:
    """Looks at the same samples again and again.

    Args:
        x: Inputs, as the model takes them.
        y: Targets, as its loss takes them; for several outputs in the model's structure.
    """

    def __init__(self, x: Any, y: Any) -> None:
        self.x, self.y = x, y

    def of(self, model: keras.Model) -> tuple[dict[str, np.ndarray], dict[str, float]]:
        """Values for histograms, and scalars, by tag."""
        histograms: dict[str, np.ndarray] = {}
        scalars: dict[str, float] = {}
        x, y = (keras.tree.map_structure(ops.convert_to_tensor, given) for given in (self.x, self.y))
        step = Step(model, x, y, None, None, training=False)
        step = replace(step, y_pred=step.forward(x))
        terms: LossTerms = model.loss_terms
        for output in terms.outputs:
            own = step.at(output)
            with terms.computing(step):
                losses = None if output.loss is None else _of_each(output.loss, own)
            if losses is None:
                continue
            name = f"/{output.name}" if output.name else ""
            histograms[f"epoch/sample_loss{name}"] = losses
            for label, mean in _of_classes(losses, ops.convert_to_numpy(own.y_true)):
                scalars[f"class_loss{name}/{label}"] = mean
        for variable, norm in zip(model.trainable_variables, self._norms(step), strict=True):
            # Without the model's name, to which Keras gives another number for each model of a process.
            scalars[f"gradient_norm/{variable.path.removeprefix(f'{model.name}/')}"] = norm
        return histograms, scalars

    def _norms(self, step: Step) -> list[float]:
        terms: LossTerms = step.model.loss_terms

        def loss(*weights: Any) -> list[Any]:
            own = replace(step, instead=dict(enumerate(weights)))
            own = replace(own, y_pred=own.forward(step.x))
            with terms.computing(own):
                parts = [
                    output.weight * ops.mean(_values(output.loss, own.at(output)))
                    for output in terms.outputs
                    if output.loss is not None
                ]
            return [sum(parts[1:], parts[0])]

        arrays = [variable.value for variable in step.model.trainable_variables]
        _, (slopes,) = derivatives.values_and_gradients(loss, arrays)
        return [float(np.linalg.norm(ops.convert_to_numpy(slope).astype("float64"))) for slope in slopes]


def _values(loss: Any, step: Step, reduction: str | None = None) -> Any:
    """The loss of an output, reduced as it is in training or as it is told."""
    y_true, y_pred = step.y_true, step.of_output(step.y_pred)
    if isinstance(loss, Loss):
        return loss._reduced(y_true, y_pred, None, reduction or loss.reduction)
    given = keras.losses.get(loss)  # Keras's own, by name too, or a function
    if reduction and isinstance(given, keras.losses.Loss):
        return given.call(y_true, y_pred)
    return given(y_true, y_pred)


def _of_each(loss: Any, step: Step) -> np.ndarray | None:
    """The loss of each sample, where it has one for each."""
    try:
        found = ops.convert_to_numpy(_values(loss, step, "none")).astype("float64")
    except ValueError:  # a sum of losses of pixels and of images
        return None
    samples = keras.tree.flatten(step.x)[0].shape[0]
    return found.reshape(samples, -1).mean(axis=1) if found.ndim and len(found) == samples else None


def _of_classes(losses: np.ndarray, y_true: np.ndarray) -> Iterator[tuple[int, float]]:
    """The mean loss of the samples of each class, where the labels are of classes."""
    if y_true.ndim == 2 and y_true.shape[1] == 1:
        y_true = y_true[:, 0]
    if y_true.ndim == 2 and np.all(np.isin(y_true, (0, 1))) and np.all(y_true.sum(axis=1) == 1):
        y_true = np.argmax(y_true, axis=1)
    integers = np.issubdtype(y_true.dtype, np.integer) or np.all(np.isin(y_true, (0, 1)))
    if y_true.ndim != 1 or not integers:
        return
    labels = np.unique(y_true)
    if len(labels) <= MOST_CLASSES:
        yield from ((int(label), float(np.mean(losses[y_true == label]))) for label in labels)
