"""Losses of the residual that limit the weight of outliers: Beaton & Tukey 1974, Barron 2019."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from scipy.special import boxcox1p

from tests.oracles import oracle
from tests.oracles.partition import log_partition
from tests.oracles.regression import mean_of_outputs, residual


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
    """Barron 2019, equation 16: the negative logarithm of the density."""
    del outputs  # all outputs have the same alpha and scale here
    return barron(y_true, y_pred, alpha=alpha, scale=scale) + np.log(scale) + log_partition(alpha)
