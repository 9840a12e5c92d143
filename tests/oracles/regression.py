"""Losses of the residual: Legendre 1805, Laplace 1774, Huber 1964."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import huber as scipy_huber

from tests.oracles import oracle


@oracle("SquaredErrorLoss", takes="numbers")
def squared_error(y_true: Any, y_pred: Any) -> np.ndarray:
    return mean_of_outputs(residual(y_true, y_pred) ** 2)


@oracle("AbsoluteErrorLoss", takes="numbers")
def absolute_error(y_true: Any, y_pred: Any) -> np.ndarray:
    return mean_of_outputs(np.abs(residual(y_true, y_pred)))


@oracle("HuberLoss", takes="numbers")
def huber(y_true: Any, y_pred: Any, *, delta: float) -> np.ndarray:
    return mean_of_outputs(scipy_huber(delta, residual(y_true, y_pred)))


def residual(y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    return y_true.astype("float64").reshape(y_pred.shape) - y_pred


def mean_of_outputs(values: np.ndarray) -> np.ndarray:
    return values if values.ndim == 1 else values.mean(-1)
