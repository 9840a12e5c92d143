"""Hinge losses: Cortes & Vapnik 1995, Crammer & Singer 2001, Weston & Watkins 1999."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.oracles import oracle
from tests.oracles.crossentropy import classes_last, distribution, vector


@oracle("HingeLoss", takes="signs")
def hinge(y_true: Any, y_pred: Any, *, margin: float, power: float, labels: str) -> np.ndarray:
    sign = np.where(y_true > 0, 1.0, -1.0).reshape(y_pred.shape)
    values = np.maximum(0, margin - sign * y_pred) ** power
    return values if values.ndim == 1 else values.mean(-1)


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
