"""Deviances (Jorgensen 1987), term by term."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from scipy.special import xlogy

from tests.oracles import oracle
from tests.oracles.regression import mean_of_outputs


def tweedie(y_true: Any, y_pred: Any, *, power: float, log_link: bool) -> np.ndarray:
    return mean_of_outputs(_each(y_true, y_pred, power, log_link))


def _each(y_true: Any, y_pred: Any, power: float, log_link: bool) -> np.ndarray:
    y = y_true.astype("float64").reshape(y_pred.shape)
    mu, log_mu = _mean(y_pred, log_link)
    above_zero = np.where(y > 0, y, 1)
    if power == 1:
        return 2 * (xlogy(y, y) - y * log_mu - y + mu)
    if power == 2:
        d = np.log(above_zero) - log_mu
        # e^d - 1 - d, of which nothing would be left near 0.
        return 2 * np.where(np.abs(d) < 1e-4, d**2 / 2 + d**3 / 6, np.expm1(d) - d)
    a, b = 1 - power, 2 - power
    of_y = np.where(y > 0, above_zero**b, 0) / (a * b)
    of_both = np.where(y > 0, y * np.exp(a * log_mu), 0)
    return 2 * (of_y - of_both / a + np.exp(b * log_mu) / b)


def _terms(y_true: Any, y_pred: Any, *, power: float, log_link: bool) -> np.ndarray:
    """The value, and what it changes by with log y and log mu, whose errors are a share of their size."""
    y = y_true.astype("float64").reshape(y_pred.shape)
    mu, log_mu = _mean(y_pred, log_link)
    log_y = np.log(np.where(y > 0, y, 1))
    with np.errstate(invalid="ignore"):
        slope = np.where(y == mu, 0, 2 * mu ** (1 - power) * np.abs(mu - y))
    value = np.abs(_each(y_true, y_pred, power, log_link))
    # The least that is left where y is mu is a square of last digits.
    return mean_of_outputs((value + slope) * (1 + np.abs(log_y) + np.abs(log_mu)) + 1e-6 * mu ** (2 - power))


def _mean(y_pred: np.ndarray, log_link: bool) -> tuple[np.ndarray, np.ndarray]:
    return (np.exp(y_pred), y_pred) if log_link else (y_pred, np.log(y_pred))


oracle("TweedieLoss", takes="amounts by powers", terms=_terms)(tweedie)
for _name, _power, _kind in (("PoissonLoss", 1.0, "amounts"), ("GammaLoss", 2.0, "positives")):
    oracle(_name, takes=_kind, terms=functools.partial(_terms, power=_power))(
        functools.partial(tweedie, power=_power)
    )
