"""Penalties on predictions (Pereyra 2017, Rudin 1992), around any of the other references."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import entr, expit, softmax

from tests.oracles import REGISTRY, expected, oracle, rounded_terms
from tests.oracles.crossentropy import classes_last, distribution, has_probability_for_each_output


def _parts(y_true: Any, y_pred: Any, *, loss: Any, confidence_penalty: float, **penalties: Any) -> np.ndarray:
    """What is added up: the inner loss, the activity penalties and the entropy, which is taken off."""
    positive = regularized(y_true, y_pred, loss=loss, confidence_penalty=0.0, **penalties)
    total = regularized(y_true, y_pred, loss=loss, confidence_penalty=confidence_penalty, **penalties)
    return rounded(loss, y_true, y_pred) + np.abs(positive) + np.abs(positive - total)


@oracle("RegularizedLoss", takes="anything", terms=_parts)
def regularized(
    y_true: Any,
    y_pred: Any,
    *,
    loss: Any,
    confidence_penalty: float,
    activity_l1: float,
    activity_l2: float,
    smoothness: float,
    smoothness_axes: tuple[int, ...] | None,
) -> np.ndarray:
    values, axis = inner(loss, y_true, y_pred), getattr(loss, "axis", -1)
    _, outputs = classes_last(y_true, y_pred, axis)
    # What is ignored is left out of the penalties as well: a sample, or one output of many.
    known, of_outputs = not_ignored(loss, y_true, y_pred)
    counted = known.any(-1)
    penalty = activity_l1 * np.where(known, np.abs(outputs), 0.0).sum(-1)
    penalty = penalty + activity_l2 * np.where(known, outputs**2, 0.0).sum(-1)
    if confidence_penalty:
        entropy = _entropies(loss, outputs, of_outputs)
        entropy = np.where(known, entropy, 0.0).sum(-1)
        penalty = penalty - confidence_penalty * (
            entropy / np.maximum(known.sum(-1), 1) if of_outputs else entropy
        )
    if smoothness:
        penalty = penalty + smoothness * _variation(y_pred, outputs.shape, known, axis, smoothness_axes)
    return np.where(counted, values + penalty, 0.0)


def not_ignored(loss: Any, y_true: Any, y_pred: Any) -> tuple[np.ndarray, bool]:
    """Which outputs the loss inside counts, outputs last; and whether each is a probability of its own."""
    ignored, classes = getattr(loss, "ignore_class", None), getattr(loss, "num_classes", None)
    labels, outputs = classes_last(y_true, y_pred, getattr(loss, "axis", -1))
    of_outputs = has_probability_for_each_output(outputs, getattr(loss, "multi_label", False))
    of_outputs = of_outputs and classes is None
    if ignored is None:
        return np.ones(outputs.shape, bool), of_outputs
    if of_outputs:
        return labels.reshape(outputs.shape) != ignored, of_outputs
    known = distribution(labels, (*outputs.shape[:-1], classes or outputs.shape[-1]), ignored)[1]
    return np.broadcast_to(known[..., None], outputs.shape), of_outputs


def _variation(y_pred: Any, shape: Any, known: Any, axis: int, along: tuple[int, ...] | None) -> np.ndarray:
    """Each step's half of every difference that it has, pair by pair, in the axes as they are given."""
    if y_pred.ndim < 2:
        y_pred, axis = y_pred[:, None], -1
    known = np.moveaxis(np.broadcast_to(known, shape), -1, axis)
    halves = np.zeros(y_pred.shape)
    axes = along or [at for at in range(1, y_pred.ndim) if at != axis % y_pred.ndim]
    for at in {at % y_pred.ndim for at in axes}:
        for step in range(y_pred.shape[at] - 1):
            one, next_one = (np.index_exp[:] * at + (place,) for place in (step, step + 1))
            half = np.where(known[one] & known[next_one], np.abs(y_pred[one] - y_pred[next_one]) / 2, 0.0)
            halves[one] += half
            halves[next_one] += half
    return halves.mean(axis)


def inner(loss: Any, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    if getattr(loss, "__name__", "") == "mean_squared_error":
        return ((y_true.reshape(y_pred.shape) - y_pred) ** 2).mean(-1)
    return expected(loss, y_true, y_pred)


def rounded(loss: Any, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    ours = type(loss).__name__ in REGISTRY
    return rounded_terms(loss, y_true, y_pred) if ours else np.abs(inner(loss, y_true, y_pred))


def _entropies(loss: Any, outputs: np.ndarray, of_outputs: bool) -> np.ndarray:
    """The entropy of each output, or the terms of that of a distribution."""
    if of_outputs:
        p = expit(outputs) if loss.from_logits else outputs
        return entr(p) + entr(1 - p)
    return entr(softmax(outputs, axis=-1) if loss.from_logits else outputs)
