"""The Kullback-Leibler divergence (Kullback & Leibler 1951), through SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import kl_div, log_softmax, rel_entr, softmax

from tests.oracles import oracle


def _terms(y_true: Any, y_pred: Any, **options: Any) -> np.ndarray:
    """The value and half of the sum of |terms|, which have both signs and cancel as p nears y."""
    y = np.asarray(y_true, "float64")
    p = predicted(y_pred, options["temperature"], options["from_logits"])
    a, b = (y, p) if options["direction"] == "forward" else (p, y)
    # Term by term a log(a/b) = a log a - a log b, each of which is rounded.
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.where(a > 0, np.abs(a * np.log(a)) + np.abs(a * np.log(b)), 0.0)
    sizes = (parts + (a + b if options["generalized"] else 0.0)).sum(-1)
    return np.abs(kl_divergence(y_true, y_pred, **options)) + sizes / 2


@oracle("KLDivergenceLoss", takes="distributions", terms=_terms)
def kl_divergence(
    y_true: Any, y_pred: Any, *, direction: str, temperature: float, generalized: bool, from_logits: bool
) -> np.ndarray:
    y, p = y_true.astype("float64"), predicted(y_pred, temperature, from_logits)
    divergence = kl_div if generalized else rel_entr
    return (divergence(y, p) if direction == "forward" else divergence(p, y)).sum(-1)


def predicted(y_pred: Any, temperature: float, from_logits: bool) -> np.ndarray:
    y_pred = np.asarray(y_pred, "float64")
    if from_logits:
        return softmax(y_pred / temperature, axis=-1)
    if temperature == 1.0:
        return y_pred
    return np.exp(log_softmax(np.log(y_pred) / temperature, axis=-1))
