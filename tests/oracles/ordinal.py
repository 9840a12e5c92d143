"""Ordered classes: Cao 2019, Shi 2021, McCullagh 1980, de la Torre 2018."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import log_expit, log_ndtr, softmax

from tests.oracles import Values, oracle
from tests.oracles.crossentropy import classes_last, distribution, vector


def ordered(
    y_true: Any, y_pred: Any, num_classes: int, class_weight: Any, ignore_class: int | None, axis: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels as distributions, predictions with the outputs last, and each sample's weight by its class."""
    y_true, y_pred = classes_last(y_true, y_pred, axis)
    y, known = distribution(y_true, (*y_pred.shape[:-1], num_classes), ignore_class)
    weights = (
        np.ones(known.shape) if class_weight is None else (y * vector(class_weight, num_classes)).sum(-1)
    )
    return y, y_pred, np.where(known, weights, 0.0)


def of_classes(y: np.ndarray, costs: list[np.ndarray]) -> np.ndarray:
    """The expectation of the costs, one for each class, over the classes of a label."""
    return sum(y[..., t] * np.where(y[..., t] == 0, 0.0, cost) for t, cost in enumerate(costs))


@oracle("CoralLoss", takes="ranks")
def coral(y_true: Any, y_pred: Any, *, num_classes: int, importance: Any, **options: Any) -> np.ndarray:
    y, z, weights = ordered(y_true, y_pred, num_classes, **options)
    of_rank = np.ones(num_classes - 1) if importance is None else np.asarray(importance)
    costs = [
        -sum(of_rank[k] * log_expit(z[..., k] if t > k else -z[..., k]) for k in range(num_classes - 1))
        for t in range(num_classes)
    ]
    return weights * of_classes(y, costs)


def tasks(y_true: Any, y_pred: Any, *, num_classes: int, **options: Any) -> np.ndarray:
    """How many of the K - 1 conditional tasks a sample is in: those with y >= k."""
    y, _, _ = ordered(y_true, y_pred, num_classes, **options)
    sizes = [sum(t >= k for k in range(num_classes - 1)) for t in range(num_classes)]
    return y @ np.array(sizes, "float64")


@oracle("CornLoss", takes="ranks", shares=tasks)
def corn(y_true: Any, y_pred: Any, *, num_classes: int, **options: Any) -> np.ndarray:
    y, z, weights = ordered(y_true, y_pred, num_classes, **options)
    costs = [
        -sum(log_expit(z[..., k] if t > k else -z[..., k]) for k in range(num_classes - 1) if t >= k)
        for t in range(num_classes)
    ]
    return weights * of_classes(y, costs)


def conditioned(values: Values) -> Values:
    """The value, and what it changes by, relative to the change, when each prediction changes a little."""

    def terms(y_true: Any, y_pred: Any, **options: Any) -> np.ndarray:
        exact, total, axis = values(y_true, y_pred, **options), 0.0, options["axis"]
        with np.errstate(invalid="ignore"):
            for j in range(y_pred.shape[axis]):
                moved = np.moveaxis(y_pred.copy(), axis, -1)
                moved[..., j] *= 1 + 1e-6
                total = total + np.abs(values(y_true, np.moveaxis(moved, -1, axis), **options) - exact)
        return np.abs(exact) + total / 1e-6

    return terms


def log_difference(link: str, a: Any, b: Any) -> np.ndarray:
    """log(F(a) - F(b)), where a None is infinity and b None minus infinity."""
    with np.errstate(all="ignore"):
        if link == "cloglog":
            return _log_difference_of_hazards(a, b)
        log_f = log_expit if link == "logit" else log_ndtr
        if b is None:
            return log_f(a)
        if a is None:
            return log_f(-b)
        # The distributions are symmetric: both from the side where they are small.
        high, low = np.where(a + b > 0, -b, a), np.where(a + b > 0, -a, b)
        return log_f(high) + np.log(-np.expm1(log_f(low) - log_f(high)))


def _log_difference_of_hazards(a: Any, b: Any) -> np.ndarray:
    if a is None:
        return -np.exp(b)
    below = 0.0 if b is None else -np.expm1(-np.exp(b))
    beyond = np.exp(-np.exp(a))
    if b is None:
        inside = np.log(-np.expm1(-np.exp(a)))
    else:
        survived = -np.exp(b) + np.log(-np.expm1(np.exp(b) - np.exp(a)))
        inside = np.where(a < 0, np.log(-np.expm1(-np.exp(a)) - below), survived)
    likely = np.log1p(-(below + beyond))
    result = np.where(below + beyond < 0.5, likely, inside)
    # Far below 0, F(x) is e^x.
    return np.where(a < -500, a if b is None else a + np.log(-np.expm1(b - a)), result)


def cumulative(y_true: Any, y_pred: Any, *, num_classes: int, link: str, **options: Any) -> np.ndarray:
    y, outputs, weights = ordered(y_true, y_pred, num_classes, **options)
    score, cuts = outputs[..., :1], outputs[..., 1:]
    edges = [None, *np.moveaxis(cuts - score, -1, 0), None]
    costs = [-log_difference(link, edges[t + 1], edges[t]) for t in range(num_classes)]
    with np.errstate(invalid="ignore"):
        return np.where(weights == 0, 0.0, weights * of_classes(y, costs))


oracle("CumulativeLinkLoss", takes="cut points", terms=conditioned(cumulative))(cumulative)


def kappa(
    y_true: Any,
    y_pred: Any,
    *,
    num_classes: int,
    weights: str,
    epsilon: float,
    from_logits: bool,
    size: Any = lambda x: x,
    **options: Any,
) -> np.ndarray:
    y, p, share = ordered(y_true, y_pred, num_classes, **options)
    if p.size == 0:
        return np.zeros(share.shape)
    p = softmax(p, axis=-1) if from_logits else p
    i, j = np.indices((num_classes, num_classes))
    omega = (i - j) ** 2.0 if weights == "quadratic" else np.abs(i - j) * 1.0
    costs = np.einsum("...i,ij,...j->...", y, omega, p)
    observed = (share * costs).sum()
    labels, guesses = ((share[..., None] * x).reshape(-1, num_classes).sum(0) for x in (y, p))
    by_chance = labels @ omega @ guesses / (share.sum() or 1)
    ratio = observed / by_chance if by_chance else 0.0
    each = costs * share.sum() / by_chance if by_chance else 0 * costs
    # Of labels of one class the ratio is 1, but for rounding.
    ratio = 1.0 if by_chance and np.count_nonzero(labels) == 1 else ratio
    tangent = size(each / (ratio + epsilon)) + size(-ratio / (ratio + epsilon))
    return share * (size(np.log(ratio + epsilon)) + tangent)


def _kappa_terms(y_true: Any, y_pred: Any, **options: Any) -> np.ndarray:
    """The terms of the tangent cancel, and a softmax has the errors of its logits."""
    return conditioned(kappa)(y_true, y_pred, **options) + kappa(y_true, y_pred, size=np.abs, **options)


oracle("WeightedKappaLoss", takes="pooled", terms=_kappa_terms, counts_classes=True)(kappa)
