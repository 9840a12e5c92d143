"""Checks of values: labels and predictions in eager mode, sequences of numbers in constructors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_losses import numerics
from keras_losses.core.labels import Labels
from keras_losses.numerics import Tensor


def check_labels(owner: str, given: np.ndarray, labels: Labels) -> None:
    """Raises for class ids, distributions or 0/1 labels that are none; `given` are those not ignored."""
    values = given.astype("float64")  # may be integers or booleans
    if labels.encoding == "sparse":
        wrong = ~((values >= 0) & (values < labels.classes) & (values == np.floor(values)))
        domain = f"integer class ids from 0 to {labels.classes - 1}"
        advice = "Give the model an output for each class, or name the id to skip with ignore_class."
    else:
        wrong = ~((values >= 0) & (values <= 1))
        domain = "labels between 0 and 1"
        advice = "For labels of -1 and 1, use (y + 1) / 2."
    if wrong.any():
        raise ValueError(f"`{owner}`: `y_true` must hold {domain}. Received: {values[wrong][0]:g}. {advice}")
    if labels.encoding == "dense":
        check_distribution(owner, "y_true", values, "For several classes at once, pass multi_label=True.")


def check_probabilities(owner: str, values: np.ndarray, dtype: str) -> None:
    """Raises for predictions that are no probabilities; NaN is left to show itself in the loss."""
    slack = 4 * float(numerics.GAP_BELOW_ONE[dtype])
    wrong = (values < -slack) | (values > 1 + slack)
    if wrong.any():
        raise ValueError(
            f"`{owner}`: `y_pred` must hold probabilities between 0 and 1. Received: {values[wrong][0]:g}. "
            "If the model ends without a softmax or sigmoid, pass from_logits=True."
        )


def check_distribution(owner: str, name: str, values: np.ndarray, advice: str) -> None:
    """Raises for rows that do not add up to 1, within what half precision can say."""
    total = values.sum(axis=-1)
    wrong = np.abs(total - 1) > 0.01
    if wrong.any():
        raise ValueError(
            f"`{owner}`: each distribution in `{name}` must add up to 1. Received: one that adds up to "
            f"{total[wrong][0]:g}. {advice}"
        )


def nonnegative_numbers(value: Any) -> list[float]:
    """Return a sequence as a list of checked numbers, which are 0 or above."""
    if isinstance(value, str | bytes | Mapping) or not hasattr(value, "__len__"):
        raise TypeError(f"it is of type {type(value).__name__}")
    return _from_0_up([float(number) for number in value])


def _from_0_up(numbers: list[float]) -> list[float]:
    if not numbers or not all(0 <= number < float("inf") for number in numbers):
        raise ValueError
    return numbers


CLASS_WEIGHT = "a sequence with a weight for each class, or a mapping from class to weight, none negative"


def as_class_weight(value: Sequence[float] | Mapping[Any, float]) -> dict[int, float] | list[float]:
    """Return checked class weights."""
    if not isinstance(value, Mapping):
        return nonnegative_numbers(value)
    weights = {int(key): float(weight) for key, weight in value.items()}
    _from_0_up([*weights, *weights.values()])
    return weights


def weight_vector(owner: str, name: str, weights: Any, classes: int) -> np.ndarray:
    """Weights of `classes` classes as a vector; classes that a mapping leaves out weigh 1."""
    if isinstance(weights, dict):
        vector = [weights.get(label, 1.0) for label in range(classes)]
        fits = max(weights) < classes
    else:
        vector, fits = weights, len(weights) == classes
    if not fits:
        raise ValueError(
            f"`{owner}`: `{name}` must have a number for each of the {classes} classes. Received: "
            f"{name}={weights!r}."
        )
    return np.asarray(vector)


def wanted_values(x: Tensor, wanted: np.ndarray | None) -> np.ndarray:
    """Return the values of the samples that count, for a check in eager mode."""
    values = numerics.to_numpy(x)
    if wanted is None:
        return values
    kept: np.ndarray = values[np.broadcast_to(wanted, values.shape[: wanted.ndim])]
    return kept
