"""Losses of a few chosen samples and of their classes, and the norms of the gradient."""

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
"""The largest number of classes with a curve each; nobody reads more curves."""


class Examined:
    """Computes losses and gradients of the same samples after each epoch.

    Args:
        x: Inputs of the model.
        y: Labels of the loss; for several outputs in the structure of the model's outputs.
    """

    def __init__(self, x: Any, y: Any) -> None:
        self.x, self.y = x, y

    def of(self, model: keras.Model) -> tuple[dict[str, np.ndarray], dict[str, float]]:
        """Return arrays for histograms, and scalars, by tag."""
        histograms: dict[str, np.ndarray] = {}
        scalars: dict[str, float] = {}
        x, y = (keras.tree.map_structure(ops.convert_to_tensor, data) for data in (self.x, self.y))
        step = Step(model, x, y, None, None, training=False)
        step = replace(step, y_pred=step.forward(x))
        terms: LossTerms = model.loss_terms
        for output in terms.outputs:
            seen = step.at(output)
            with terms.computing(step):
                losses = None if output.loss is None else _of_each(output.loss, seen)
            if losses is None:
                continue
            name = f"/{output.name}" if output.name else ""
            histograms[f"epoch/sample_loss{name}"] = losses
            for label, mean in _of_classes(losses, ops.convert_to_numpy(seen.y_true)):
                scalars[f"class_loss{name}/{label}"] = mean
        for variable, norm in zip(model.trainable_variables, self._norms(step), strict=True):
            # Keras gives each model of a process another name, so the tag leaves the name out.
            scalars[f"gradient_norm/{variable.path.removeprefix(f'{model.name}/')}"] = norm
        return histograms, scalars

    def _norms(self, step: Step) -> list[float]:
        terms: LossTerms = step.model.loss_terms

        def loss(*weights: Any) -> list[Any]:
            changed = replace(step, instead=dict(enumerate(weights)))
            changed = replace(changed, y_pred=changed.forward(step.x))
            with terms.computing(changed):
                parts = [
                    output.weight * ops.mean(_values(output.loss, changed.at(output)))
                    for output in terms.outputs
                    if output.loss is not None
                ]
            return [sum(parts[1:], parts[0])]

        arrays = [variable.value for variable in step.model.trainable_variables]
        _, (slopes,) = derivatives.values_and_gradients(loss, arrays)
        return [float(np.linalg.norm(ops.convert_to_numpy(slope).astype("float64"))) for slope in slopes]


def _values(loss: Any, step: Step, reduction: str | None = None) -> Any:
    """Return the loss of an output, reduced by `reduction`; by default, as in training."""
    y_true, y_pred = step.y_true, step.of_output(step.y_pred)
    if isinstance(loss, Loss):
        return loss._reduced(y_true, y_pred, None, reduction or loss.reduction)
    function = keras.losses.get(loss)  # a loss of Keras, a name, or a function
    if reduction and isinstance(function, keras.losses.Loss):
        return function.call(y_true, y_pred)
    return function(y_true, y_pred)


def _of_each(loss: Any, step: Step) -> np.ndarray | None:
    """Return the loss of each sample; None if the loss has no value for each sample."""
    try:
        losses = ops.convert_to_numpy(_values(loss, step, "none")).astype("float64")
    except ValueError:  # a sum of a loss per pixel and a loss per image has no common shape
        return None
    samples = keras.tree.flatten(step.x)[0].shape[0]
    if not losses.ndim or len(losses) != samples:
        return None
    means: np.ndarray = losses.reshape(samples, -1).mean(axis=1)
    return means


def _of_classes(losses: np.ndarray, y_true: np.ndarray) -> Iterator[tuple[int, float]]:
    """Yield each class with the mean loss of its samples, if the labels are classes."""
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
