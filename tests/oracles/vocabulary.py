"""Cross-entropy of a vocabulary's logits, which may be bent (Gemma 2) and penalised (Chowdhery 2022)."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import log_softmax, logsumexp

from tests.oracles import oracle
from tests.oracles.crossentropy import classification


def _bent(y_pred: np.ndarray, soft_cap: float | None) -> np.ndarray:
    return y_pred if soft_cap is None else soft_cap * np.tanh(y_pred / soft_cap)


@oracle("VocabularyCrossentropy", takes="scores")
def vocabulary(
    y_true: Any, y_pred: Any, *, soft_cap: float | None, chunk: int | None, **options: Any
) -> np.ndarray:
    return classification(
        y_true,
        _bent(y_pred, soft_cap),
        lambda ce, rest: ce,
        from_logits=True,
        multi_label=False,
        **options,
    )


def of_hidden_states(
    ids: np.ndarray,
    hidden: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray,
    weights: np.ndarray,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    soft_cap: float | None = None,
) -> dict[str, np.ndarray]:
    """Of ids (n,), hidden states (n, d) and a kernel (d, C): values, and slopes of their weighted sum.

    The slope in a logit is that of -(1 - s) log p_t - s/C sum_j log p_j + z_loss lse^2, by the chain rule.
    """
    classes = kernel.shape[1]
    raw = hidden @ kernel + bias
    z = _bent(raw, soft_cap)
    y = (1 - label_smoothing) * np.eye(classes)[ids] + label_smoothing / classes
    log_p, lse = log_softmax(z, -1), logsumexp(z, -1)
    p = np.exp(log_p)
    slopes = p - y + 2 * z_loss * lse[:, None] * p
    if soft_cap is not None:
        slopes = slopes * (1 - np.tanh(raw / soft_cap) ** 2)
    slopes = slopes * weights[:, None]
    return {
        "values": -(y * log_p).sum(-1) + z_loss * lse**2,
        "crossentropy": -log_p[np.arange(len(ids)), ids],
        "right": (z.argmax(-1) == ids).astype("float64"),
        "hidden": slopes @ kernel.T,
        "kernel": hidden.T @ slopes,
        "bias": slopes.sum(0),
    }
