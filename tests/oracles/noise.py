"""Losses for wrong labels: Zhang 2018, Wang 2019, Ma 2020, Reed 2014, Amid 2019."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import log_softmax, rel_entr

from tests.oracles import oracle
from tests.oracles.crossentropy import classification


@oracle("GeneralizedCrossentropyLoss", takes="classes")
def generalized_crossentropy(y_true: Any, y_pred: Any, *, q: float, **options: Any) -> np.ndarray:
    def term(ce: np.ndarray, rest: np.ndarray) -> np.ndarray:
        return ce if q == 0 else -np.expm1(-q * ce) / q

    return classification(y_true, y_pred, term, **options)


@oracle("SymmetricCrossentropyLoss", takes="classes")
def symmetric_crossentropy(
    y_true: Any, y_pred: Any, *, alpha: float, beta: float, log_zero: float, **options: Any
) -> np.ndarray:
    def term(ce: np.ndarray, rest: np.ndarray) -> np.ndarray:
        # Reverse cross-entropy is -sum_j p_j log y_j with log 1 = 0: that of all classes but the label.
        return alpha * ce + beta * rest * -log_zero

    return classification(y_true, y_pred, term, **options)


def _active_passive_terms(y_true: Any, y_pred: Any, **options: Any) -> np.ndarray:
    """As with the focal loss."""
    return (options["gamma"] + 2) * active_passive(y_true, y_pred, **options)


@oracle("ActivePassiveLoss", takes="classes", terms=_active_passive_terms)
def active_passive(
    y_true: Any,
    y_pred: Any,
    *,
    active: str,
    passive: str,
    alpha: float,
    beta: float,
    gamma: float,
    log_zero: float,
    **options: Any,
) -> np.ndarray:
    def term(ce: np.ndarray, rest: np.ndarray) -> np.ndarray:
        costs = rest**gamma * ce if active == "normalized_focal" else ce
        height = 2.0 if passive == "mean_absolute_error" else -log_zero
        return alpha * costs / costs.sum(-1, keepdims=True) + beta * height * rest

    return classification(y_true, y_pred, term, **options)


@oracle("BootstrapLoss", takes="classes")
def bootstrap(y_true: Any, y_pred: Any, *, beta: float, hard: bool, **options: Any) -> np.ndarray:
    def term(ce: np.ndarray, rest: np.ndarray) -> np.ndarray:
        belief = np.exp(-ce)
        if hard:
            belief = np.eye(ce.shape[-1])[ce.argmin(-1)]
        targets = beta * np.eye(ce.shape[-1]) + (1 - beta) * belief[..., None, :]
        return (targets * ce[..., None, :]).sum(-1)

    return classification(y_true, y_pred, term, **options)


def _bi_tempered_terms(y_true: Any, y_pred: Any, **options: Any) -> np.ndarray:
    """The cost of the label and what is added of all probabilities cancel where p_t is near 1."""
    return _bi_tempered(y_true, y_pred, size=np.abs, **options)


@oracle("BiTemperedLoss", takes="classes", terms=_bi_tempered_terms)
def bi_tempered(y_true: Any, y_pred: Any, **options: Any) -> np.ndarray:
    return _bi_tempered(y_true, y_pred, size=lambda x: x, **options)


def _bi_tempered(
    y_true: Any, y_pred: Any, *, t1: float, t2: float, iterations: int, size: Any, **options: Any
) -> np.ndarray:
    def term(ce: np.ndarray, rest: np.ndarray) -> np.ndarray:
        # A softmax does not change with a shift of its logits, and neither does a tempered one.
        log_p = -ce
        if t2 != 1 and ce.size:
            log_p = np.apply_along_axis(_tempered_log_softmax, -1, -ce, t2)
        cost = -log_p if t1 == 1 else -np.expm1((1 - t1) * log_p) / (1 - t1)
        powers = np.exp((2 - t1) * log_p)
        others = (powers[..., None, :] * (1 - np.eye(ce.shape[-1]))).sum(-1)
        return cost + size(others + np.expm1((2 - t1) * log_p)) / (2 - t1)

    return classification(y_true, y_pred, term, **options)


def _tempered_log_softmax(z: np.ndarray, t: float) -> np.ndarray:
    """The normaliser by bisection, to the last digit: it lies where the largest p is from 1 / C to 1."""
    z = z - z.max()

    def logs(shift: float) -> np.ndarray:
        return np.log1p((t - 1) * (shift - z)) / (1 - t)

    def excess(shift: float) -> float:
        each = logs(shift)
        largest = each.argmax()
        return float(np.expm1(each[largest]) + np.exp(np.delete(each, largest)).sum())

    end = (len(z) ** (t - 1) - 1) / (t - 1)
    shift = brentq(excess, 0.0, end * (1 + 1e-9) + 1e-300, xtol=1e-300, rtol=1e-15)
    return logs(shift)


def _with(y_true: Any, y_pred: Any, added: np.ndarray, **options: Any) -> np.ndarray:
    """Cross-entropy, and what is added to that of a sample, whatever its label."""
    told = {"multi_label": False, "axis": -1, "added": added}
    return classification(y_true, y_pred, lambda ce, rest: ce, **told, **options)


def _consistency_terms(y_true: Any, y_pred: Any, **options: Any) -> np.ndarray:
    """The divergences of single classes have both signs."""
    return _consistency(y_true, y_pred, size=np.abs, **options)


@oracle("JensenShannonConsistencyLoss", takes="views", terms=_consistency_terms)
def consistency(y_true: Any, y_pred: Any, **options: Any) -> np.ndarray:
    return _consistency(y_true, y_pred, size=lambda x: x, **options)


def _consistency(
    y_true: Any, y_pred: Any, *, weight: float, views: int, size: Any, **options: Any
) -> np.ndarray:
    parts = np.split(y_pred, views, axis=-1)
    p = np.stack([np.exp(log_softmax(z, -1)) if options["from_logits"] else z for z in parts])
    divergence = size(rel_entr(p, p.mean(0))).sum(-1).mean(0)
    return _with(y_true, parts[0], weight * divergence, **options)


def _means(y_true: Any, y_pred: Any, **options: Any) -> np.ndarray:
    return np.split(y_pred, 2, axis=-1)[1]


def _early_terms(y_true: Any, y_pred: Any, *, floor: float, weight: float, **options: Any) -> np.ndarray:
    """Of 1 - sum_j p_j q_j the digits are those of 1, and the two terms cancel."""
    p, q = np.split(y_pred, 2, axis=-1)
    apart = _apart(p, q, options["from_logits"])
    lost = np.where(apart > floor, 4 / np.maximum(apart, floor), 0)
    return _with(y_true, p, weight * (lost + np.abs(np.log(np.maximum(apart, floor)))), **options)


def _apart(p: np.ndarray, q: np.ndarray, from_logits: bool) -> np.ndarray:
    """1 - sum_j p_j q_j."""
    p = np.exp(log_softmax(p, -1)) if from_logits else p
    return 1 - q.sum(-1) + (q * (1 - p)).sum(-1)


@oracle("EarlyLearningLoss", takes="pairs", terms=_early_terms, held=_means)
def early_learning(
    y_true: Any, y_pred: Any, *, weight: float, floor: float, held: Any = None, **options: Any
) -> np.ndarray:
    p, q = np.split(y_pred, 2, axis=-1)
    apart = _apart(p, q if held is None else held, options["from_logits"])
    return _with(y_true, p, weight * np.log(np.maximum(apart, floor)), **options)
