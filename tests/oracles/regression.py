"""Losses of the residual: Legendre 1805, Laplace 1774, Huber 1964 and others."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import huber as scipy_huber
from scipy.special import log1p, pseudo_huber

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


@oracle("SmoothL1Loss", takes="numbers")
def smooth_l1(y_true: Any, y_pred: Any, *, beta: float) -> np.ndarray:
    r = np.abs(residual(y_true, y_pred))
    return mean_of_outputs(scipy_huber(beta, r) / beta if beta else r)


@oracle("PseudoHuberLoss", takes="numbers")
def smooth_huber(y_true: Any, y_pred: Any, *, delta: float) -> np.ndarray:
    return mean_of_outputs(pseudo_huber(delta, residual(y_true, y_pred)))


@oracle("LogCoshLoss", takes="numbers")
def log_cosh(y_true: Any, y_pred: Any) -> np.ndarray:
    r = np.abs(residual(y_true, y_pred))
    near = np.minimum(r, 1)
    # log sqrt(1 + sinh^2), and log((e^r + e^-r) / 2)
    values = np.where(r < 1, 0.5 * log1p(np.sinh(near) ** 2), r + log1p(np.exp(-2 * r)) - np.log(2))
    return mean_of_outputs(values)


@oracle("EpsilonInsensitiveLoss", takes="numbers")
def epsilon_insensitive(y_true: Any, y_pred: Any, *, epsilon: float, power: float) -> np.ndarray:
    return mean_of_outputs(np.maximum(np.abs(residual(y_true, y_pred)) - epsilon, 0) ** power)


@oracle("WingLoss", takes="numbers")
def wing(y_true: Any, y_pred: Any, *, width: float, curvature: float) -> np.ndarray:
    r = np.abs(residual(y_true, y_pred))
    c = width - width * np.log1p(width / curvature)
    return mean_of_outputs(np.where(r < width, width * np.log1p(r / curvature), r - c))


def residual(y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    return y_true.astype("float64").reshape(y_pred.shape) - y_pred


def mean_of_outputs(values: np.ndarray) -> np.ndarray:
    return values if values.ndim == 1 else values.mean(-1)
