"""Quantiles (Koenker & Bassett 1978) and expectiles (Newey & Powell 1987)."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.oracles import oracle


@oracle("QuantileLoss", takes="quantiles")
def pinball(y_true: Any, y_pred: Any, *, quantiles: Any, non_crossing: bool) -> np.ndarray:
    r, q = _residuals(y_true, y_pred, quantiles, non_crossing)
    return np.maximum(q * r, (q - 1) * r).mean((0, -1))


@oracle("ExpectileLoss", takes="expectiles")
def expectile(y_true: Any, y_pred: Any, *, tau: Any, non_crossing: bool) -> np.ndarray:
    r, level = _residuals(y_true, y_pred, tau, non_crossing)
    return (np.abs(level - (r < 0)) * r**2).mean((0, -1))


def _residuals(y_true: Any, y_pred: Any, levels: Any, non_crossing: bool) -> tuple[np.ndarray, np.ndarray]:
    """(levels, ..., targets): y less each level, which lie one after another in the last axis."""
    level = np.atleast_1d(np.asarray(levels, "float64"))
    outputs = y_pred if y_pred.ndim > 1 else y_pred[:, None]
    predicted = np.stack(np.split(outputs, len(level), axis=-1))
    if non_crossing:
        predicted = np.cumsum(np.concatenate([predicted[:1], np.logaddexp(0, predicted[1:])]), axis=0)
    y = y_true.astype("float64").reshape(predicted.shape[1:])
    return y - predicted, level.reshape(-1, *[1] * y.ndim)
