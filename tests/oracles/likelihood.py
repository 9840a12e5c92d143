"""Distributions as outputs, by scipy.stats, and where that has no digits by SciPy's gamma functions."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special, stats

from tests.oracles import oracle
from tests.oracles.crossentropy import classes_last, distribution, vector
from tests.oracles.regression import mean_of_outputs


def unpacked(y_true: np.ndarray, y_pred: np.ndarray, parts: int) -> tuple[np.ndarray, ...]:
    """Labels and numbers in one shape (..., targets): all targets' first number, then their second ..."""
    if parts == 1:
        return y_true.astype("float64").reshape(y_pred.shape), y_pred
    numbers = np.split(y_pred, parts, axis=-1)
    return y_true.astype("float64").reshape(numbers[0].shape), *numbers


def positive(raw: Any, floor: float) -> np.ndarray:
    return np.logaddexp(0, raw) + floor


def sizes(*terms: Any) -> np.ndarray:
    """What is rounded: the terms, without their signs."""
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
    """Those of the component that explains a target best."""
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
    # As in the paper: for z far from 0 its terms are of one sign.
    size = np.abs(z)
    values = size * (1 - 2 * special.ndtr(-size)) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi)
    return mean_of_outputs(s * values)


def evidence(y_true: Any, y_pred: Any, floor: float) -> tuple[np.ndarray, ...]:
    y, gamma, *raw = unpacked(y_true, y_pred, 4)
    nu, alpha, beta = (positive(x, floor) for x in raw)
    return y, gamma, nu, alpha + 1, beta


def evidential_terms(y_true: Any, y_pred: Any, *, coefficient: float, floor: float) -> np.ndarray:
    y, gamma, nu, alpha, beta = evidence(y_true, y_pred, floor)
    spread = 2 * beta * (1 + nu)
    fit = (alpha + 0.5) * np.log1p((y - gamma) ** 2 * nu / spread)
    return sizes(
        fit, np.log(spread), np.log(nu), np.log(alpha), 1, coefficient * (y - gamma) * (2 * nu + alpha)
    )


@oracle("EvidentialRegressionLoss", takes="4 of reals", terms=evidential_terms)
def evidential(y_true: Any, y_pred: Any, *, coefficient: float, floor: float) -> np.ndarray:
    """As in the paper, with Omega = 2 beta (1 + nu), but for what cancels in the logarithms of it."""
    y, gamma, nu, alpha, beta = evidence(y_true, y_pred, floor)
    omega = 2 * beta * (1 + nu)
    fit = (
        0.5 * np.log(np.pi / nu)
        + 0.5 * np.log(omega)
        + (alpha + 0.5) * np.log1p((y - gamma) ** 2 * nu / omega)
        - np.log(special.poch(alpha, 0.5))
    )
    return mean_of_outputs(fit + coefficient * np.abs(y - gamma) * (2 * nu + alpha))


# Counts and shares ------------------------------------------------------------------------------------


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
    # As in the paper: the ratio of gamma functions is a product over what is below y.
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
    # log(q + (1 - q) e^-rate) = log(1 - (1 - q) (1 - e^-rate)), where q is near to 1.
    rest = np.exp(log_rest) * -np.expm1(-np.exp(z))
    none = np.where(rest < 0.5, -np.log1p(-rest), -np.logaddexp(log_q, log_rest - np.exp(z)))
    return mean_of_outputs(np.where(y == 0, none, some))


def log_beta(log_a: np.ndarray, log_b: np.ndarray) -> np.ndarray:
    """log B(a, b), where a or b may be too small for a float64: then it is 1 / a, or 1 / b."""
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


# Classes ----------------------------------------------------------------------------------------------


def dirichlet(y_true: Any, y_pred: Any, told: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One-hot labels and evidence, with the classes in the last axis, and what each sample weighs."""
    y_true, z = classes_last(y_true, y_pred, told["axis"])
    y, known = distribution(y_true, z.shape, told["ignore_class"])
    weight = known.astype("float64")
    if told["class_weight"] is not None:
        weight = weight * (y * vector(told["class_weight"], z.shape[-1])).sum(-1)
    return y, np.logaddexp(0, z), weight


def dirichlet_terms(y_true: Any, y_pred: Any, *, annealing: float, risk: str, **told: Any) -> np.ndarray:
    y, e, weight = dirichlet(y_true, y_pred, told)
    wrong, classes = (1 - y) * e, e.shape[-1]
    divergence = (wrong / (1 + wrong) + np.log1p(wrong)).sum(-1) + classes * np.log1p(wrong.sum(-1) / classes)
    values = dirichlet_risk(y, 1 + e, risk)
    return weight * (values + annealing * divergence)


def dirichlet_risk(y: np.ndarray, alpha: np.ndarray, risk: str) -> np.ndarray:
    total = alpha.sum(-1, keepdims=True)
    if risk == "likelihood":
        return (y * (np.log(total) - np.log(alpha))).sum(-1)
    p = alpha / total
    return ((y - p) ** 2 + p * (1 - p) / (total + 1)).sum(-1)


@oracle("EvidentialClassificationLoss", takes="scores", terms=dirichlet_terms)
def evidential_classes(y_true: Any, y_pred: Any, *, annealing: float, risk: str, **told: Any) -> np.ndarray:
    y, e, weight = dirichlet(y_true, y_pred, told)
    values, kept = dirichlet_risk(y, 1 + e, risk), 1 + (1 - y) * e
    total = kept.sum(-1)
    divergence = (
        special.gammaln(total)
        - special.gammaln(e.shape[-1])
        - special.gammaln(kept).sum(-1)
        + ((kept - 1) * (special.digamma(kept) - special.digamma(total)[..., None])).sum(-1)
    )
    return weight * (values + annealing * divergence)
