"""Checks of values: labels and predictions in eager mode, sequences of numbers in constructors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_losses import numerics
from keras_losses.core.labels import Labels
from keras_losses.numerics import Tensor


def check_labels(owner: str, received: np.ndarray, labels: Labels, takes_multi_label: bool) -> None:
    """Raise `ValueError` for invalid class ids, distributions or 0/1 labels.

    Args:
        owner: the name of the loss, for error messages.
        received: the labels of the samples that count, before any conversion.
        labels: all labels in their encoding.
        takes_multi_label: whether the loss has the argument `multi_label`, which the error may advise.
    """
    values = received.astype("float64")  # they may be integers or booleans
    if labels.encoding == "sparse":
        wrong = ~((values >= 0) & (values < labels.classes) & (values == np.floor(values)))
        domain = f"integer class ids from 0 to {labels.classes - 1}"
        advice = "Give the model an output for each class, or name the id to skip with ignore_class."
    else:
        wrong = ~((values >= 0) & (values <= 1))
        domain = "labels between 0 and 1"
        advice = "For labels of -1 and 1, use (y + 1) / 2."
    if np.isnan(values).any():
        advice = "For missing labels, use a number instead of NaN, such as -1, and pass ignore_class=-1."
    if wrong.any():
        raise ValueError(f"`{owner}`: `y_true` must hold {domain}. Received: {values[wrong][0]:g}. {advice}")
    if labels.encoding == "dense":
        if takes_multi_label:
            advice = "For several classes at once, pass multi_label=True."
        else:
            advice = "For several classes at once, use a loss with multi_label, such as FocalLoss."
        check_distribution(owner, "y_true", values, advice)


def check_probabilities(owner: str, values: np.ndarray, dtype: str) -> None:
    """Raise `ValueError` for predictions outside [0, 1]. NaN passes, since the loss shows it."""
    slack = 4 * float(numerics.GAP_BELOW_ONE[dtype])
    wrong = (values < -slack) | (values > 1 + slack)
    if wrong.any():
        raise ValueError(
            f"`{owner}`: `y_pred` must hold probabilities between 0 and 1. Received: {values[wrong][0]:g}. "
            "If the model ends without a softmax or sigmoid, pass from_logits=True."
        )


def check_distribution(owner: str, name: str, values: np.ndarray, advice: str) -> None:
    """Raise `ValueError` for rows that do not add up to 1, up to the rounding of half precision."""
    total = values.sum(axis=-1)
    wrong = np.abs(total - 1) > 0.01
    if wrong.any():
        raise ValueError(
            f"`{owner}`: each distribution in `{name}` must add up to 1. Received: one that adds up to "
            f"{total[wrong][0]:g}. {advice}"
        )


def nonnegative_numbers(value: Any) -> list[float]:
    """Return a sequence of nonnegative numbers as a list; raise an error for other values."""
    if isinstance(value, str | bytes | Mapping) or not hasattr(value, "__len__"):
        raise TypeError(f"it is of type {type(value).__name__}")
    return _nonnegative([float(number) for number in value])


def _nonnegative(numbers: list[float]) -> list[float]:
    """Return the numbers; raise `ValueError` if there are none, or if one is negative or not finite."""
    if not numbers or not all(0 <= number < float("inf") for number in numbers):
        raise ValueError
    return numbers


CLASS_WEIGHT = (
    "a sequence with a nonnegative weight for each class, or a mapping from class ids to such weights"
)


def as_class_weight(value: Sequence[float] | Mapping[Any, float]) -> dict[int, float] | list[float]:
    """Return class weights as a list or dict; raise `TypeError` or `ValueError` for invalid ones."""
    if not isinstance(value, Mapping):
        return nonnegative_numbers(value)
    weights = {int(key): float(weight) for key, weight in value.items()}
    _nonnegative([*weights, *weights.values()])
    return weights


def weight_vector(owner: str, name: str, weights: Any, classes: int) -> np.ndarray:
    """Return the weights of the classes as a vector. Classes that a mapping leaves out have weight 1."""
    if isinstance(weights, dict):
        vector = [weights.get(label, 1.0) for label in range(classes)]
        fits = max(weights) < classes
    else:
        vector, fits = weights, len(weights) == classes
    if not fits:
        raise ValueError(
            f"`{owner}`: `{name}` must have a number for each of the {classes} classes. Received: "
            f"{name}={weights!r}. Change {name}, or the number of outputs of the model."
        )
    return np.asarray(vector)


def wanted_values(x: Tensor, wanted: np.ndarray | None) -> np.ndarray:
    """Return the values of the samples that count, for a check in eager mode."""
    values = numerics.to_numpy(x)
    if wanted is None:
        return values
    selected: np.ndarray = values[np.broadcast_to(wanted, values.shape[: wanted.ndim])]
    return selected
