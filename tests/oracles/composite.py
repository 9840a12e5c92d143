"""Sums of any of the other references."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tests.oracles import oracle
from tests.oracles.penalties import inner, not_ignored, rounded

Named = Mapping[str, Any]


@oracle(
    "KerasLoss", takes="anything", terms=lambda y_true, y_pred, *, loss, **_: rounded(loss, y_true, y_pred)
)
def keras_loss(y_true: Any, y_pred: Any, *, loss: Any, allow_scalar: bool) -> np.ndarray:
    return inner(loss, y_true, y_pred)


def _sizes(
    y_true: Any, y_pred: Any, *, losses: Mapping[str, Any], weights: Mapping[str, float]
) -> np.ndarray:
    """The size of every term, which may cancel."""
    return np.sum([abs(weights[name]) * rounded(losses[name], y_true, y_pred) for name in losses], axis=0)


@oracle("CompositeLoss", takes="sums", terms=_sizes)
def composite(
    y_true: Any, y_pred: Any, *, losses: Mapping[str, Any], weights: Mapping[str, float]
) -> np.ndarray:
    return np.sum([weights[name] * inner(losses[name], y_true, y_pred) for name in losses], axis=0)


def _noisy_sizes(y_true: Any, y_pred: Any, *, losses: Named, weights: Named, noise: float) -> np.ndarray:
    return _sizes(y_true, y_pred, losses=losses, weights=weights) / noise**2 + len(losses) * abs(
        np.log(noise)
    )


@oracle("UncertaintyWeightedLoss", takes="sums", terms=_noisy_sizes)
def uncertainty_weighted(
    y_true: Any, y_pred: Any, *, losses: Named, weights: Named, noise: float
) -> np.ndarray:
    """Kendall 2018, equation 7, with the same noise for all tasks, each on the samples that it counts."""
    tasks = sum(not_ignored(loss, y_true, y_pred)[0].any(-1) for loss in losses.values())
    return composite(y_true, y_pred, losses=losses, weights=weights) / noise**2 + tasks * np.log(noise)


def _largest(values: np.ndarray, counted: np.ndarray, share: float) -> np.ndarray:
    """The part of each value that is among the largest share of those counted, by sorting in Python."""
    chosen, left = np.zeros(values.shape), share * counted.sum()
    for value in sorted(set(values[counted]), reverse=True):
        equal = counted & (values == value)
        part = min(1.0, left / equal.sum())
        chosen[equal] = part
        left -= part * equal.sum()
    return chosen


def _hardest_sizes(y_true: Any, y_pred: Any, *, loss: Any, share: float, batch: bool) -> np.ndarray:
    terms = rounded(loss, y_true, y_pred) / share
    return terms if terms.ndim == 1 or batch else terms.max(tuple(range(1, terms.ndim)))


@oracle("HardestLoss", takes="hardest", terms=_hardest_sizes)
def hardest(y_true: Any, y_pred: Any, *, loss: Any, share: float, batch: bool) -> np.ndarray:
    values = inner(loss, y_true, y_pred)
    counted = not_ignored(loss, y_true, y_pred)[0]
    counted = counted.reshape(*values.shape, -1).any(-1)
    if batch or values.ndim == 1:
        return values * _largest(values, counted, share) / share
    rows, masks = values.reshape(len(values), -1), counted.reshape(len(values), -1)
    parts = [_largest(row, mask, share) for row, mask in zip(rows, masks, strict=True)]
    sums = [(part * row).sum() for part, row in zip(parts, rows, strict=True)]
    return np.array(sums) / np.maximum(share * masks.sum(-1), 1e-300)
