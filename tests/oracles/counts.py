"""Predicted distributions of counts, by SciPy's gamma functions: Cameron & Trivedi 1986, Lambert 1992."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from tests.oracles import oracle
from tests.oracles.likelihood import positive, sizes, unpacked
from tests.oracles.regression import mean_of_outputs


def poisson_terms(y_true: Any, y_pred: Any) -> np.ndarray:
    y, z = unpacked(y_true, y_pred, 1)
    return sizes(np.exp(z), y * z, special.gammaln(y + 1))


@oracle("PoissonNLLLoss", takes="1 of counts", terms=poisson_terms)
def poisson(y_true: Any, y_pred: Any) -> np.ndarray:
    y, z = unpacked(y_true, y_pred, 1)
    return mean_of_outputs(np.exp(z) - y * z + special.gammaln(y + 1))


def negative_binomial_terms(y_true: Any, y_pred: Any, *, floor: float) -> np.ndarray:
    y, z, raw = unpacked(y_true, y_pred, 2)
    a = positive(raw, floor)
    among = (y + 1 / a) * np.logaddexp(0, z + np.log(a))
    return sizes(among, y * z, special.gammaln(y + 1), y * np.log1p(a * y), y, y > 0)


@oracle("NegativeBinomialLoss", takes="2 of counts", terms=negative_binomial_terms)
def negative_binomial(y_true: Any, y_pred: Any, *, floor: float) -> np.ndarray:
    y, z, raw = unpacked(y_true, y_pred, 2)
    a = positive(raw, floor)
    # As in the paper: the ratio of gamma functions is a product over the whole numbers below y.
    k = np.arange(max(int(y.max(initial=0)), 1))
    ways = np.where(k < y[..., None], np.log1p(a[..., None] * k), 0).sum(-1) - special.gammaln(y + 1)
    log_odds = z + np.log(a)
    some = y * (np.logaddexp(0, -log_odds) + np.log(a))
    return mean_of_outputs(some - ways + np.logaddexp(0, log_odds) / a)


def inflated_terms(y_true: Any, y_pred: Any) -> np.ndarray:
    y, logit, z = unpacked(y_true, y_pred, 2)
    rate = np.exp(np.where(y == 0, 0.0, z))
    some = np.logaddexp(0, logit) + rate + np.abs(y * z) + special.gammaln(y + 1)
    return sizes(
        np.where(y == 0, np.logaddexp(0, -np.abs(logit)) + np.minimum(np.exp(z), np.abs(logit)), some)
    )


@oracle("ZeroInflatedPoissonLoss", takes="2 of counts", terms=inflated_terms)
def zero_inflated_poisson(y_true: Any, y_pred: Any) -> np.ndarray:
    y, logit, z = unpacked(y_true, y_pred, 2)
    log_q, log_rest = -np.logaddexp(0, -logit), -np.logaddexp(0, logit)
    some = np.exp(z) - y * z + special.gammaln(y + 1) - log_rest
    # log(q + (1 - q) e^-rate) = log(1 - (1 - q) (1 - e^-rate)), where q is close to 1.
    rest = np.exp(log_rest) * -np.expm1(-np.exp(z))
    none = np.where(rest < 0.5, -np.log1p(-rest), -np.logaddexp(log_q, log_rest - np.exp(z)))
    return mean_of_outputs(np.where(y == 0, none, some))
