"""Losses that are told the counts: Menon 2020, Cao 2019, Wang 2021, Li 2022."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import logsumexp

from tests.oracles import oracle
from tests.oracles.crossentropy import classification, has_probability_for_each_output


def of_each_class(y_pred: np.ndarray, numbers: Sequence[float], axis: int) -> np.ndarray:
    """A number for each class; the two classes of one output are the label 1, then the label 0."""
    found = np.asarray(numbers, "float64")
    if has_probability_for_each_output(y_pred, False, axis if y_pred.ndim > 1 else -1):
        assert len(found) == 2
        return found[::-1]
    assert len(found) == y_pred.shape[axis]
    return found


def against(own: np.ndarray, others: np.ndarray) -> np.ndarray:
    """-log(e^own_i / (e^own_i + sum_{j != i} e^others_ij)) for every class i."""
    rest = np.where(np.eye(own.shape[-1], dtype=bool), -np.inf, others)
    return np.logaddexp(0, logsumexp(rest, axis=-1) - own)


@oracle("LogitAdjustedLoss", takes="classes")
def logit_adjusted(y_true: Any, y_pred: Any, *, class_prior: Any, tau: float, **options: Any) -> np.ndarray:
    if options["multi_label"]:
        rate = np.asarray(class_prior, "float64")
        assert len(rate) == y_pred.shape[options["axis"]]
        prior = np.stack([rate, 1 - rate], axis=-1)
    else:
        prior = of_each_class(y_pred, class_prior, options["axis"])

    def term(ce: np.ndarray, rest: np.ndarray) -> np.ndarray:
        if tau == 0:
            return ce  # to which probabilities of the other classes make no difference
        z = -ce + tau * np.log(prior)
        return against(z, z[..., None, :])

    return classification(y_true, y_pred, term, **options)


def _scaled(y_true: Any, y_pred: Any, *, scale: float, **options: Any) -> np.ndarray:
    """A logit has scale times its rounding error, and so has, relative to itself, a small value.

    The smallest values are below what float32 can hold.
    """
    return (1 + scale) * ldam(y_true, y_pred, scale=scale, **options) + 1e-31


def _seesawn(y_true: Any, y_pred: Any, *, q: float, **options: Any) -> np.ndarray:
    """A lead has q + 1 times its rounding error."""
    return (1 + q) * seesaw(y_true, y_pred, q=q, **options)


def _scores(y_true: Any, y_pred: Any, **options: Any) -> np.ndarray:
    """The compensation is made of the predictions, and is no part of what is made small."""
    return np.asarray(y_pred)


@oracle("SeesawLoss", takes="exclusive", terms=_seesawn, held=_scores)
def seesaw(
    y_true: Any, y_pred: Any, *, class_counts: Any, p: float, q: float, held: Any = None, **options: Any
) -> np.ndarray:
    n = np.maximum(of_each_class(y_pred, class_counts, options["axis"]), 1)
    log_p = []

    def see(ce: np.ndarray, rest: np.ndarray) -> np.ndarray:
        log_p.append(-ce)
        return ce

    classification(y_true, y_pred if held is None else held, see, multi_label=False, **options)

    def term(ce: np.ndarray, rest: np.ndarray) -> np.ndarray:
        if p == q == 0:
            return ce
        mitigation = np.where(n[:, None] > n, (n / n[:, None]) ** p, 1.0)
        # log (sigma_j / sigma_i)^q where sigma_j > sigma_i
        lead = log_p[0][..., None, :] - log_p[0][..., :, None]
        others = -ce[..., None, :] + np.log(mitigation) + q * np.maximum(lead, 0)
        return against(-ce, others)

    return classification(y_true, y_pred, term, multi_label=False, **options)


@oracle("LDAMLoss", takes="exclusive", terms=_scaled)
def ldam(
    y_true: Any, y_pred: Any, *, class_counts: Any, max_margin: float, scale: float, **options: Any
) -> np.ndarray:
    margins = of_each_class(y_pred, class_counts, options["axis"]) ** -0.25
    margins = max_margin * margins / margins.max()

    def term(ce: np.ndarray, rest: np.ndarray) -> np.ndarray:
        if max_margin == 0 and scale == 1:
            return ce
        return against(-scale * (ce + margins), -scale * ce[..., None, :])

    return classification(y_true, y_pred, term, multi_label=False, **options)


def _focused(y_true: Any, y_pred: Any, *, gamma: float, scale: float, **options: Any) -> np.ndarray:
    """As with the focal loss."""
    return (gamma + scale + 2) * equalized_focal(y_true, y_pred, gamma=gamma, scale=scale, **options)


@oracle("EqualizedFocalLoss", takes="outputs", terms=_focused)
def equalized_focal(
    y_true: Any, y_pred: Any, *, class_counts: Any, gamma: float, scale: float, **options: Any
) -> np.ndarray:
    counts = np.asarray(class_counts, "float64")
    assert len(counts) == (y_pred.shape[options["axis"]] if y_pred.ndim > 1 else 1)
    gammas = (gamma + scale * (1 - counts / counts.max()))[:, None]

    def term(ce: np.ndarray, rest: np.ndarray) -> np.ndarray:
        return gammas / gamma * rest**gammas * ce

    return classification(y_true, y_pred, term, multi_label=True, **options)
