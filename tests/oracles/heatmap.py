"""Heatmaps: Law & Deng 2018."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit

from tests.oracles import oracle
from tests.oracles.crossentropy import classes_last, with_class_weights


def _magnified(y_true: Any, y_pred: Any, *, alpha: float, beta: float, **options: Any) -> np.ndarray:
    """Powers magnify the relative errors of 1 - p and 1 - y."""
    return (alpha + beta + 2) * heatmap_focal(y_true, y_pred, alpha=alpha, beta=beta, **options)


@oracle("HeatmapFocalLoss", takes="heatmaps", terms=_magnified)
def heatmap_focal(
    y_true: Any,
    y_pred: Any,
    *,
    alpha: float,
    beta: float,
    from_logits: bool,
    class_weight: Any,
    ignore_class: int | None,
    axis: int,
) -> np.ndarray:
    y, z = classes_last(y_true, y_pred, axis)
    y = y.reshape(z.shape).astype("float64")
    if from_logits:
        costs, p, q = (np.logaddexp(0, -z), np.logaddexp(0, z)), expit(z), expit(-z)
    else:
        costs, p, q = (-np.log(z), -np.log1p(-z)), z, 1 - z
    known = np.ones(y.shape, bool) if ignore_class is None else y != ignore_class
    y = np.where(known, y, 0.0)
    peaks = y == 1
    values = np.where(peaks, q**alpha * costs[0], (1 - y) ** beta * p**alpha * costs[1])
    values = with_class_weights(values, y, class_weight)
    rows = (len(z), -1)
    total = np.where(known, values, 0.0).reshape(rows).sum(-1)
    return total / np.maximum((peaks & known).reshape(rows).sum(-1), 1)
