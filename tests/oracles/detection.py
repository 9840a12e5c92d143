"""Losses of dense detectors: Zhang 2020 (varifocal), Li 2020 (quality and distribution focal)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import expit, log_softmax

from tests.oracles import oracle
from tests.oracles.crossentropy import classes_last, with_class_weights

Formula = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""The value of each output, of y, p, 1 - p, -log p and -log(1 - p)."""


def of_outputs(
    y_true: Any,
    y_pred: Any,
    formula: Formula,
    *,
    from_logits: bool,
    class_weight: Any,
    ignore_class: int | None,
    axis: int,
) -> np.ndarray:
    """Mean of the formula over the outputs whose label is not ignored."""
    y, x = classes_last(y_true, y_pred, axis)
    y = y.reshape(x.shape).astype("float64")
    known = np.ones(y.shape, bool) if ignore_class is None else y != ignore_class
    y = np.where(known, y, 0.0)
    if from_logits:
        values = formula(y, expit(x), expit(-x), np.logaddexp(0, -x), np.logaddexp(0, x))
    else:
        values = formula(y, x, 1 - x, -np.log(x), -np.log1p(-x))
    values = with_class_weights(values, y, class_weight)
    return np.where(known, values, 0.0).sum(-1) / np.maximum(known.sum(-1), 1)


def _magnified(y_true: Any, y_pred: Any, *, gamma: float, **options: Any) -> np.ndarray:
    """p^gamma has gamma times the relative error of p, and its product with -log(1 - p) one more."""
    return (gamma + 2) * varifocal(y_true, y_pred, gamma=gamma, **options)


@oracle("VarifocalLoss", takes="qualities", terms=_magnified)
def varifocal(y_true: Any, y_pred: Any, *, alpha: float, gamma: float, **options: Any) -> np.ndarray:
    def formula(y, p, q, minus_log_p, minus_log_q):
        positive = y * (y * minus_log_p + (1 - y) * minus_log_q)
        return np.where(y > 0, positive, alpha * p**gamma * minus_log_q)

    return of_outputs(y_true, y_pred, formula, **options)


def _blurred(y_true: Any, y_pred: Any, *, beta: float, **options: Any) -> np.ndarray:
    """A power has beta times the relative error of its base; the product one more."""
    return (beta + 2) * quality_focal(y_true, y_pred, beta=beta, **options)


@oracle("QualityFocalLoss", takes="qualities", terms=_blurred)
def quality_focal(y_true: Any, y_pred: Any, *, beta: float, **options: Any) -> np.ndarray:
    def formula(y, p, q, minus_log_p, minus_log_q):
        distance = np.abs(np.where(y > 0.5, (1 - y) - q, p - y))
        return distance**beta * (y * minus_log_p + (1 - y) * minus_log_q)

    return of_outputs(y_true, y_pred, formula, **options)


@oracle("DistributionFocalLoss", takes="bins")
def distribution_focal(y_true: Any, y_pred: Any, *, bins: int, from_logits: bool) -> np.ndarray:
    assert y_pred.shape[-1] == bins
    log_s = log_softmax(y_pred, axis=-1) if from_logits else np.log(y_pred)
    y = y_true.reshape(y_pred.shape[:-1]).astype("float64")
    left = np.minimum(np.floor(y), bins - 2).astype(int)

    def cost(share, at):
        of_bin = np.take_along_axis(log_s, at[..., None], -1)[..., 0]
        return np.where(share == 0, 0.0, -share * of_bin)  # 0 log 0 is 0

    return cost(left + 1 - y, left) + cost(y - left, left + 1)
