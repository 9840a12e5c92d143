"""Losses of the residual: Legendre 1805, Laplace 1774, Huber 1964, Barron 2019 and others."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from scipy.special import boxcox1p, log1p, pseudo_huber
from scipy.special import huber as scipy_huber

from tests.oracles import oracle
from tests.oracles.partition import log_partition


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


@oracle("TukeyBiweightLoss", takes="numbers")
def biweight(y_true: Any, y_pred: Any, *, c: float) -> np.ndarray:
    x = np.minimum(np.abs(residual(y_true, y_pred)) / c, 1) ** 2
    # 1 - (1 - x)^3, as a Box-Cox transform
    return mean_of_outputs(-(c**2) / 6 * 3 * boxcox1p(-x, 3))


def barron(y_true: Any, y_pred: Any, *, alpha: float, scale: float) -> np.ndarray:
    """Barron 2019, equation 8: a Box-Cox transform of 1 + x / |alpha - 2| to the power alpha / 2."""
    x = (residual(y_true, y_pred) / scale) ** 2
    if alpha == 2:
        return mean_of_outputs(x / 2)
    if np.isinf(alpha):
        return mean_of_outputs(np.sign(alpha) * np.expm1(np.sign(alpha) * x / 2))
    b = abs(alpha - 2)
    return mean_of_outputs(b / 2 * boxcox1p(x / b, alpha / 2))


oracle("BarronLoss", takes="numbers")(barron)
for _name, _alpha in (("CauchyLoss", 0.0), ("GemanMcClureLoss", -2.0), ("WelschLoss", -np.inf)):
    oracle(_name, takes="numbers")(functools.partial(barron, alpha=_alpha))


def _sizes(y_true: Any, y_pred: Any, *, alpha: float, scale: float, outputs: int | None) -> np.ndarray:
    del outputs
    return barron(y_true, y_pred, alpha=alpha, scale=scale) + abs(np.log(scale)) + log_partition(alpha)


@oracle("AdaptiveBarronLoss", takes="numbers", terms=_sizes)
def adaptive_barron(
    y_true: Any, y_pred: Any, *, alpha: float, scale: float, outputs: int | None
) -> np.ndarray:
    """Barron 2019, equation 16: its negative logarithm."""
    del outputs  # each has the same alpha and scale here
    return barron(y_true, y_pred, alpha=alpha, scale=scale) + np.log(scale) + log_partition(alpha)


def residual(y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    return y_true.astype("float64").reshape(y_pred.shape) - y_pred


def mean_of_outputs(values: np.ndarray) -> np.ndarray:
    return values if values.ndim == 1 else values.mean(-1)
