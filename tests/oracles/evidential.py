"""Evidential losses: Sensoy 2018, Amini 2020."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from tests.oracles import oracle
from tests.oracles.crossentropy import classes_last, distribution, vector
from tests.oracles.likelihood import positive, sizes, unpacked
from tests.oracles.regression import mean_of_outputs


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
    """As in the paper, with Omega = 2 beta (1 + nu), but without the terms that cancel in its logarithms."""
    y, gamma, nu, alpha, beta = evidence(y_true, y_pred, floor)
    omega = 2 * beta * (1 + nu)
    fit = (
        0.5 * np.log(np.pi / nu)
        + 0.5 * np.log(omega)
        + (alpha + 0.5) * np.log1p((y - gamma) ** 2 * nu / omega)
        - np.log(special.poch(alpha, 0.5))
    )
    return mean_of_outputs(fit + coefficient * np.abs(y - gamma) * (2 * nu + alpha))


def dirichlet(y_true: Any, y_pred: Any, told: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One-hot labels and evidence, with the classes in the last axis, and the weight of each sample."""
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


@oracle("EvidentialClassificationLoss", takes="scores", terms=dirichlet_terms, counts_classes=True)
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
