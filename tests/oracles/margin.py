"""Hinge losses: Cortes & Vapnik 1995, Crammer & Singer 2001, Weston & Watkins 1999, Zhang 2004."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.oracles import oracle
from tests.oracles.crossentropy import classes_last, distribution, vector
from tests.oracles.regression import mean_of_outputs


@oracle("HingeLoss", takes="signs")
def hinge(y_true: Any, y_pred: Any, *, margin: float, power: float, labels: str) -> np.ndarray:
    return mean_of_outputs(np.maximum(0, margin - margins(y_true, y_pred)) ** power)


@oracle("SmoothHingeLoss", takes="signs")
def smooth_hinge(y_true: Any, y_pred: Any, *, labels: str) -> np.ndarray:
    t = margins(y_true, y_pred)
    return mean_of_outputs(np.where(t <= 0, 0.5 - t, np.where(t < 1, (1 - t) ** 2 / 2, 0.0)))


@oracle("ModifiedHuberLoss", takes="signs")
def modified_huber(y_true: Any, y_pred: Any, *, labels: str) -> np.ndarray:
    t = margins(y_true, y_pred)
    return mean_of_outputs(np.where(t >= -1, np.maximum(0, 1 - t) ** 2, -4 * t))


def margins(y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    return np.where(y_true > 0, 1.0, -1.0).reshape(y_pred.shape) * y_pred


def _magnified(y_true: Any, y_pred: Any, *, power: float, **options: Any) -> np.ndarray:
    """A power has as many times the relative error of what it is taken of, and one more of its own."""
    return (power + 1) * multiclass_hinge(y_true, y_pred, power=power, **options)


@oracle("MulticlassHingeLoss", takes="scores", terms=_magnified)
def multiclass_hinge(
    y_true: Any,
    y_pred: Any,
    *,
    kind: str,
    margin: float,
    power: float,
    class_weight: Any,
    ignore_class: int | None,
    axis: int,
) -> np.ndarray:
    y_true, scores = classes_last(y_true, y_pred, axis)
    y, known = distribution(y_true, scores.shape, ignore_class)
    costs = np.maximum(0, margin + scores - (y * scores).sum(-1, keepdims=True)) ** power
    costs = np.where(y == 1, 0.0, costs)
    values = costs.max(-1) if kind == "crammer_singer" else costs.sum(-1)
    if class_weight is not None:
        values = values * (y * vector(class_weight, scores.shape[-1])).sum(-1)
    return np.where(known, values, 0.0)
