"""Divergences of distributions, as their papers have them, through SciPy where it has them."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import kl_div, log_softmax, rel_entr, softmax, xlogy

from tests.oracles import oracle


def predicted(y_pred: Any, temperature: float, from_logits: bool) -> np.ndarray:
    y_pred = np.asarray(y_pred, "float64")
    if from_logits:
        return softmax(y_pred / temperature, axis=-1)
    if temperature == 1.0:
        return y_pred
    return np.exp(log_softmax(np.log(y_pred) / temperature, axis=-1))


def log_predicted(y_pred: Any, temperature: float, from_logits: bool) -> np.ndarray:
    """Of which the digits are left where the probability is 0."""
    if from_logits:
        return log_softmax(np.asarray(y_pred, "float64") / temperature, axis=-1)
    with np.errstate(divide="ignore"):
        return np.log(predicted(y_pred, temperature, from_logits))


def _both(y_true: Any, y_pred: Any, options: Any) -> tuple[np.ndarray, np.ndarray]:
    told = {key: options[key] for key in ("temperature", "from_logits")}
    return y_true.astype("float64"), predicted(y_pred, **told)


def _sizes(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Of probabilities and their logarithms, of which each has a rounding error relative to its size."""
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.where(y > 0, np.abs(np.log(y)), 0) + np.where(p > 0, np.abs(np.log(p)), 0)
    return ((y + p) * (1 + logs)).sum(-1)


def _weights(y: np.ndarray, log_p: np.ndarray, alpha: float) -> np.ndarray:
    """log y^alpha p^(1 - alpha), where 0^alpha is 0 for alpha > 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = alpha * np.log(y) + (1 - alpha) * log_p
    return np.where((y == 0) & (alpha > 0), -np.inf, logs)


def _js_terms(y_true: Any, y_pred: Any, **options: Any) -> np.ndarray:
    y, p = _both(y_true, y_pred, options)
    return jensen_shannon(y_true, y_pred, **options) + _sizes(y, p)


@oracle("JensenShannonLoss", takes="distributions", terms=_js_terms)
def jensen_shannon(
    y_true: Any, y_pred: Any, *, weight: float, temperature: float, from_logits: bool
) -> np.ndarray:
    """Lin 1991: H(m) - weight H(y) - (1 - weight) H(p), by its terms."""
    y, p = y_true.astype("float64"), predicted(y_pred, temperature, from_logits)
    m = weight * y + (1 - weight) * p
    return (weight * rel_entr(y, m) + (1 - weight) * rel_entr(p, m)).sum(-1)


def _renyi_terms(y_true: Any, y_pred: Any, *, alpha: float, **options: Any) -> np.ndarray:
    y, p = _both(y_true, y_pred, options)
    value = renyi(y_true, y_pred, alpha=alpha, **options)
    if alpha == 1:
        return np.abs(value) + _sizes(y, p)
    logs = _weights(y, log_predicted(y_pred, **options), alpha)
    shares = softmax(logs, axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = alpha * np.abs(np.log(y)) + abs(1 - alpha) * np.abs(log_predicted(y_pred, **options))
    # What y and p add up to beside 1 is as much of the value as it is of 1 - alpha.
    rounded = ((shares * np.where(shares > 0, parts, 0)).sum(-1) + alpha) / abs(1 - alpha)
    return np.abs(value) + rounded + _sizes(y, p)


@oracle("RenyiLoss", takes="distributions", terms=_renyi_terms)
def renyi(y_true: Any, y_pred: Any, *, alpha: float, temperature: float, from_logits: bool) -> np.ndarray:
    """Renyi 1961, equation 3.3, for distributions that may be incomplete: log sum_j ... over alpha - 1."""
    y = y_true.astype("float64")
    if alpha == 1:
        return rel_entr(y, predicted(y_pred, temperature, from_logits)).sum(-1) / y.sum(-1)
    logs = _weights(y, log_predicted(y_pred, temperature, from_logits), alpha)
    return (np.logaddexp.reduce(logs, axis=-1) - np.log(y.sum(-1))) / (alpha - 1)


def _alpha_terms(y_true: Any, y_pred: Any, *, alpha: float, **options: Any) -> np.ndarray:
    y, p = _both(y_true, y_pred, options)
    logs = _weights(y, log_predicted(y_pred, **options), alpha)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        powers = np.where(logs > -np.inf, np.exp(logs) * (1 + np.abs(np.log(y)) + np.abs(np.log(p))), 0)
    value = alpha_divergence(y_true, y_pred, alpha=alpha, **options)
    return np.abs(value) + _sizes(y, p) + np.nan_to_num(powers, nan=0, posinf=0).sum(-1)


@oracle("AlphaDivergenceLoss", takes="distributions", terms=_alpha_terms)
def alpha_divergence(
    y_true: Any, y_pred: Any, *, alpha: float, temperature: float, from_logits: bool
) -> np.ndarray:
    """Cichocki & Amari 2010, equation 19, and its limits."""
    y, p = y_true.astype("float64"), predicted(y_pred, temperature, from_logits)
    if alpha in (0, 1):
        return (kl_div(y, p) if alpha == 1 else kl_div(p, y)).sum(-1)
    with np.errstate(over="ignore"):
        powers = np.exp(_weights(y, log_predicted(y_pred, temperature, from_logits), alpha))
    return (alpha * y + (1 - alpha) * p - powers).sum(-1) / (alpha * (1 - alpha))


def _hellinger_terms(y_true: Any, y_pred: Any, **options: Any) -> np.ndarray:
    y, p = _both(y_true, y_pred, options)
    sizes = np.abs(np.sqrt(y) - np.sqrt(p)) * np.sqrt(np.maximum(y, p)) * (1 + np.abs(xlogy(p > 0, p)))
    return hellinger(y_true, y_pred, **options) + sizes.sum(-1)


@oracle("HellingerLoss", takes="distributions", terms=_hellinger_terms)
def hellinger(y_true: Any, y_pred: Any, *, temperature: float, from_logits: bool) -> np.ndarray:
    p = predicted(y_pred, temperature, from_logits)
    return 0.5 * ((np.sqrt(y_true.astype("float64")) - np.sqrt(p)) ** 2).sum(-1)


def _variation_terms(y_true: Any, y_pred: Any, **options: Any) -> np.ndarray:
    return total_variation(y_true, y_pred, **options) + _sizes(*_both(y_true, y_pred, options))


@oracle("TotalVariationLoss", takes="distributions", terms=_variation_terms)
def total_variation(y_true: Any, y_pred: Any, *, temperature: float, from_logits: bool) -> np.ndarray:
    return 0.5 * np.abs(y_true.astype("float64") - predicted(y_pred, temperature, from_logits)).sum(-1)


def _mover_terms(y_true: Any, y_pred: Any, *, power: float, **options: Any) -> np.ndarray:
    value = earth_mover(y_true, y_pred, power=power, **options)
    slope = power * earth_mover(y_true, y_pred, power=max(power - 1, 1e-9), **options)
    return value + slope * _sizes(*_both(y_true, y_pred, options))


@oracle("EarthMoverLoss", takes="distributions", terms=_mover_terms, counts_classes=True)
def earth_mover(
    y_true: Any, y_pred: Any, *, power: float, temperature: float, from_logits: bool
) -> np.ndarray:
    """Hou 2016, without the root, and the mean over the cut points between the classes."""
    p = predicted(y_pred, temperature, from_logits)
    ahead = np.cumsum(y_true.astype("float64") - p, axis=-1)[..., :-1]
    return (np.abs(ahead) ** power).mean(-1)


def _kl_terms(y_true: Any, y_pred: Any, **options: Any) -> np.ndarray:
    """The value and half of the sum of |terms|, which have both signs and cancel as p nears y."""
    y, p = _both(y_true, y_pred, options)
    a, b = (y, p) if options["direction"] == "forward" else (p, y)
    # Term by term a log(a/b) = a log a - a log b, each of which is rounded.
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.where(a > 0, np.abs(a * np.log(a)) + np.abs(a * np.log(b)), 0.0)
    sizes = (parts + (a + b if options["generalized"] else 0.0)).sum(-1)
    return np.abs(kl_divergence(y_true, y_pred, **options)) + sizes / 2


# The last of its kind of data stands for all of them inside other losses: this one takes measures, too.
@oracle("KLDivergenceLoss", takes="distributions", terms=_kl_terms)
def kl_divergence(
    y_true: Any, y_pred: Any, *, direction: str, temperature: float, generalized: bool, from_logits: bool
) -> np.ndarray:
    y, p = y_true.astype("float64"), predicted(y_pred, temperature, from_logits)
    divergence = kl_div if generalized else rel_entr
    return (divergence(y, p) if direction == "forward" else divergence(p, y)).sum(-1)


def _distillation_terms(y_true: Any, y_pred: Any, *, temperature: float) -> np.ndarray:
    t, z = (log_softmax(np.asarray(x, "float64") / temperature, axis=-1) for x in (y_true, y_pred))
    differences = np.abs(np.exp(t) - np.exp(z)) * (1 + np.abs(t) + np.abs(z))
    return distillation(y_true, y_pred, temperature=temperature) + temperature**2 * differences.sum(-1)


@oracle("DistillationLoss", takes="logits", terms=_distillation_terms)
def distillation(y_true: Any, y_pred: Any, *, temperature: float) -> np.ndarray:
    """Hinton 2015, section 2."""
    t, z = (log_softmax(np.asarray(x, "float64") / temperature, axis=-1) for x in (y_true, y_pred))
    return temperature**2 * (np.exp(t) * (t - z)).sum(-1)
