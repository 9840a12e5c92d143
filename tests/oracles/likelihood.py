"""Predicted distributions, by scipy.stats, or by SciPy's gamma functions where those are more exact."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special, stats

from tests.oracles import oracle
from tests.oracles.regression import mean_of_outputs


def unpacked(y_true: np.ndarray, y_pred: np.ndarray, parts: int) -> tuple[np.ndarray, ...]:
    """Labels and packed numbers, each of shape (..., targets)."""
    if parts == 1:
        return y_true.astype("float64").reshape(y_pred.shape), y_pred
    numbers = np.split(y_pred, parts, axis=-1)
    return y_true.astype("float64").reshape(numbers[0].shape), *numbers


def positive(raw: Any, floor: float) -> np.ndarray:
    return np.logaddexp(0, raw) + floor


def sizes(*terms: Any) -> np.ndarray:
    """Scale of the rounding errors: the sum of the absolute terms."""
    return mean_of_outputs(np.sum([np.abs(term) + 0 * terms[0] for term in terms], axis=0))


# Real targets -----------------------------------------------------------------------------------------


def variance_power(y_true: Any, y_pred: Any, *, beta: float, floor: float) -> np.ndarray:
    _, _, raw = unpacked(y_true, y_pred, 2)
    return positive(raw, floor) ** (2 * beta)


def gaussian_terms(y_true: Any, y_pred: Any, *, beta: float, floor: float) -> np.ndarray:
    y, mean, raw = unpacked(y_true, y_pred, 2)
    s = positive(raw, floor)
    weight = s ** (2 * beta)
    return sizes(weight * ((y - mean) / s) ** 2, weight * np.log(s), weight)


@oracle("GaussianNLLLoss", takes="2 of reals", terms=gaussian_terms, held=variance_power)
def gaussian(y_true: Any, y_pred: Any, *, beta: float, floor: float, held: Any = None) -> np.ndarray:
    y, mean, raw = unpacked(y_true, y_pred, 2)
    s = positive(raw, floor)
    weight = s ** (2 * beta) if held is None else held
    return mean_of_outputs(-stats.norm.logpdf(y, mean, s) * weight)


def laplace_terms(y_true: Any, y_pred: Any, *, floor: float) -> np.ndarray:
    y, location, raw = unpacked(y_true, y_pred, 2)
    s = positive(raw, floor)
    return sizes((y - location) / s, np.log(s), 1)


@oracle("LaplaceNLLLoss", takes="2 of reals", terms=laplace_terms)
def laplace(y_true: Any, y_pred: Any, *, floor: float) -> np.ndarray:
    y, location, raw = unpacked(y_true, y_pred, 2)
    s = positive(raw, floor)
    return mean_of_outputs(np.abs(y - location) / s + np.log(2 * s))  # scipy's logpdf underflows at 745


def student(y_true: Any, y_pred: Any, df: float | None, floor: float) -> tuple[np.ndarray, ...]:
    y, location, raw, *raw_df = unpacked(y_true, y_pred, 2 if df else 3)
    nu = np.full_like(raw, df) if df else positive(raw_df[0], floor)
    return y, location, positive(raw, floor), nu


def student_terms(y_true: Any, y_pred: Any, *, df: float | None, floor: float) -> np.ndarray:
    y, location, s, nu = student(y_true, y_pred, df, floor)
    return sizes((nu + 1) / 2 * np.log1p(((y - location) / s) ** 2 / nu), np.log(s), np.log(nu / (1 + nu)), 1)


@oracle("StudentTNLLLoss", takes="2 or 3 of reals", terms=student_terms)
def student_t(y_true: Any, y_pred: Any, *, df: float | None, floor: float) -> np.ndarray:
    y, location, s, nu = student(y_true, y_pred, df, floor)
    return mean_of_outputs(-stats.t.logpdf(y, nu, location, s))


def log_normal_terms(y_true: Any, y_pred: Any, *, floor: float) -> np.ndarray:
    y, location, raw = unpacked(y_true, y_pred, 2)
    s = positive(raw, floor)
    return sizes(((np.log(y) - location) / s) ** 2, np.log(s), np.log(y), 1)


@oracle("LogNormalNLLLoss", takes="2 of positives", terms=log_normal_terms)
def log_normal(y_true: Any, y_pred: Any, *, floor: float) -> np.ndarray:
    y, location, raw = unpacked(y_true, y_pred, 2)
    s = positive(raw, floor)
    return mean_of_outputs(-stats.norm.logpdf(np.log(y), location, s) + np.log(y))


def mixture_logs(y_true: Any, y_pred: Any, components: int, floor: float) -> tuple[np.ndarray, ...]:
    """log w_k, log N(y; m_k, s_k) and s_k, with the components in the first axis."""
    y, *numbers = unpacked(y_true, y_pred, 3 * components)
    logits, means, raw = np.split(np.stack(numbers), 3)
    scales = positive(raw, floor)
    return special.log_softmax(logits, axis=0), stats.norm.logpdf(y, means, scales), scales


def mixture_terms(y_true: Any, y_pred: Any, *, components: int, floor: float) -> np.ndarray:
    """Scale of the rounding errors of the component that explains a target best."""
    log_w, log_n, scales = mixture_logs(y_true, y_pred, components, floor)
    best = (log_w + log_n).argmax(0)[None]
    w, n, s = (np.take_along_axis(x, best, 0)[0] for x in (log_w, log_n, scales))
    return sizes(w, n, np.log(s), 2)


@oracle("GaussianMixtureLoss", takes="3 of each component of reals")
def mixture(y_true: Any, y_pred: Any, *, components: int, floor: float) -> np.ndarray:
    log_w, log_n, _ = mixture_logs(y_true, y_pred, components, floor)
    return mean_of_outputs(-special.logsumexp(log_w + log_n, axis=0))


def crps_terms(y_true: Any, y_pred: Any, *, floor: float) -> np.ndarray:
    y, mean, raw = unpacked(y_true, y_pred, 2)
    s = positive(raw, floor)
    return sizes(y - mean, s)


@oracle("GaussianCRPSLoss", takes="2 of reals", terms=crps_terms)
def crps(y_true: Any, y_pred: Any, *, floor: float) -> np.ndarray:
    y, mean, raw = unpacked(y_true, y_pred, 2)
    s = positive(raw, floor)
    z = (y - mean) / s
    # As in the paper: the terms have one sign where z is far from 0.
    size = np.abs(z)
    values = size * (1 - 2 * special.ndtr(-size)) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi)
    return mean_of_outputs(s * values)


# Shares -----------------------------------------------------------------------------------------------


def log_beta(log_a: np.ndarray, log_b: np.ndarray) -> np.ndarray:
    """log B(a, b), which is -log of the smaller one if that is too small for float64."""
    smaller = np.minimum(log_a, log_b)
    a, b = (np.exp(np.maximum(x, -40)) for x in (log_a, log_b))
    return np.where(smaller < -40, -smaller, special.betaln(a, b))


def beta_parts(y_true: Any, y_pred: Any, floor: float) -> tuple[np.ndarray, ...]:
    y, logit, raw = unpacked(y_true, y_pred, 2)
    k, log_m, log_rest = positive(raw, floor), -np.logaddexp(0, -logit), -np.logaddexp(0, logit)
    return y, k, log_m, log_rest


def beta_terms(y_true: Any, y_pred: Any, *, floor: float) -> np.ndarray:
    y, k, log_m, log_rest = beta_parts(y_true, y_pred, floor)
    a, b = k * np.exp(log_m), k * np.exp(log_rest)
    return sizes(
        a * log_m, a * np.log(y), b * log_rest, b * np.log1p(-y), log_m, log_rest, np.log(k), np.log(y), 2
    )


@oracle("BetaNLLLoss", takes="2 of shares", terms=beta_terms)
def beta(y_true: Any, y_pred: Any, *, floor: float) -> np.ndarray:
    y, k, log_m, log_rest = beta_parts(y_true, y_pred, floor)
    a, b = k * np.exp(log_m), k * np.exp(log_rest)
    constant = log_beta(np.log(k) + log_m, np.log(k) + log_rest)
    return mean_of_outputs(constant - (a - 1) * np.log(y) - (b - 1) * np.log1p(-y))
