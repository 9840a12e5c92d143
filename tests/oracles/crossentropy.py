"""Cross-entropy (Good 1952) and focal loss (Lin 2017), for one output, several labels or several classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import expit, logsumexp

from tests.oracles import oracle

Term = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""The loss of one label, as a function of -log p_t and of 1 - p_t."""


@oracle("CrossentropyLoss", takes="classes")
def crossentropy(y_true: Any, y_pred: Any, *, z_loss: float, **common: Any) -> np.ndarray:
    return _classification(y_true, y_pred, lambda ce, rest: ce, alpha=None, z_loss=z_loss, **common)


def _magnified(y_true: Any, y_pred: Any, *, gamma: float, **options: Any) -> np.ndarray:
    """(1 - p_t)^gamma has gamma + 1 times the relative error of -log p_t, and their product one more."""
    return (gamma + 2) * focal(y_true, y_pred, gamma=gamma, **options)


@oracle("FocalLoss", takes="classes", terms=_magnified)
def focal(y_true: Any, y_pred: Any, *, gamma: float, alpha: Any, **common: Any) -> np.ndarray:
    return _classification(
        y_true, y_pred, lambda ce, rest: rest**gamma * ce, alpha=alpha, z_loss=0.0, **common
    )


def has_probability_for_each_output(y_pred: np.ndarray, multi_label: bool, axis: int = -1) -> bool:
    return multi_label or y_pred.ndim == 1 or y_pred.shape[axis] == 1


def _classification(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    term: Term,
    *,
    alpha: Any,
    z_loss: float,
    from_logits: bool,
    multi_label: bool,
    label_smoothing: float,
    class_weight: Any,
    ignore_class: int | None,
    axis: int,
) -> np.ndarray:
    of_outputs = has_probability_for_each_output(y_pred, multi_label, axis if y_pred.ndim > 1 else -1)
    compute = _of_outputs if of_outputs else _of_classes
    y_true, y_pred = classes_last(y_true, y_pred, axis)
    return compute(
        y_true, y_pred, term, alpha, z_loss, from_logits, label_smoothing, class_weight, ignore_class
    )


def classes_last(y_true: np.ndarray, y_pred: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Both with the classes as the last axis, and an axis for the one output of predictions (n,)."""
    if y_pred.ndim == 1:
        return y_true.reshape(-1, 1), y_pred.reshape(-1, 1)
    if y_true.ndim == y_pred.ndim:
        y_true = np.moveaxis(y_true, axis, -1)
    return y_true, np.moveaxis(y_pred, axis, -1)


def _of_outputs(y, pred, term, alpha, z_loss, from_logits, smoothing, class_weight, ignore_class):
    if from_logits:
        positive = term(np.logaddexp(0, -pred), expit(-pred))
        negative = term(np.logaddexp(0, pred), expit(pred))
    else:
        positive = term(-np.log(pred), 1 - pred)
        negative = term(-np.log1p(-pred), pred)
    y = y.reshape(pred.shape).astype("float64")
    known = np.ones(y.shape, bool) if ignore_class is None else y != ignore_class
    y = np.where(known, y, 0.0)
    if alpha is not None:
        positive, negative = np.asarray(alpha) * positive, (1 - np.asarray(alpha)) * negative
    smooth = (1 - smoothing) * y + smoothing / 2
    values = smooth * positive + (1 - smooth) * negative
    if z_loss:
        values = values + z_loss * np.logaddexp(0, pred) ** 2
    if class_weight is not None and pred.shape[-1] == 1:
        weights = vector(class_weight, 2)
        values = values * (y * weights[1] + (1 - y) * weights[0])
    elif class_weight is not None:
        values = values * vector(class_weight, pred.shape[-1])
    return np.where(known, values, 0.0).sum(-1) / np.maximum(known.sum(-1), 1)


def _of_classes(y, pred, term, alpha, z_loss, from_logits, smoothing, class_weight, ignore_class):
    classes = pred.shape[-1]
    y, known = distribution(y, pred.shape, ignore_class)
    if from_logits:
        # -log p_j = log(1 + sum_{k != j} exp(z_k - z_j)), with nothing that cancels in it.
        others = np.where(np.eye(classes, dtype=bool), -np.inf, pred[..., None, :])
        lead = pred - logsumexp(others, axis=-1)
        costs = term(np.logaddexp(0, -lead), expit(-lead))
    else:
        costs = term(-np.log(pred), 1 - pred)
    smooth = (1 - smoothing) * y + smoothing / classes
    if alpha is not None:
        costs = costs * np.asarray(alpha)
    values = (smooth * costs).sum(-1)
    if z_loss:
        values = values + z_loss * logsumexp(pred, axis=-1) ** 2
    if class_weight is not None:
        values = values * (y * vector(class_weight, classes)).sum(-1)
    return np.where(known, values, 0.0)


def distribution(
    y: np.ndarray, shape: tuple[int, ...], ignore_class: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Class ids, one-hot or soft labels as distributions, and which samples are not to be ignored."""
    if y.shape == shape:
        known = np.ones(shape[:-1], bool)
        if ignore_class is not None and 0 <= ignore_class < shape[-1]:
            known = y.argmax(-1) != ignore_class
        return y.astype("float64"), known
    ids = y.reshape(shape[:-1]).astype("int64")
    known = np.ones(ids.shape, bool) if ignore_class is None else ids != ignore_class
    return np.eye(shape[-1])[np.where(known, ids, 0)], known


def vector(weights: Mapping[int, float] | Sequence[float], classes: int) -> np.ndarray:
    """A weight for each class; those that a mapping leaves out weigh 1."""
    if isinstance(weights, Mapping):
        return np.array([weights.get(j, 1.0) for j in range(classes)])
    assert len(weights) == classes
    return np.asarray(weights, "float64")
