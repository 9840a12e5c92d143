"""Functions of -log p and 1 - p: Good 1952, Lin 2017, Leng 2022, Feng 2020, Ben-Baruch 2020."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import expit, logsumexp

from tests.oracles import oracle

Term = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""The value of each class as the label, of -log p and 1 - p of all of them, which are the last axis.

An output that is a probability of its own is two classes: that of the label 1, then that of the label 0.
"""


@oracle("CrossentropyLoss", takes="classes")
def crossentropy(y_true: Any, y_pred: Any, **options: Any) -> np.ndarray:
    return classification(y_true, y_pred, lambda ce, rest: ce, **options)


def _magnified(y_true: Any, y_pred: Any, *, gamma: float, **options: Any) -> np.ndarray:
    """(1 - p_t)^gamma has gamma + 1 times the relative error of -log p_t, and their product one more."""
    gamma = max([gamma, *(options.get("class_gamma") or [])])
    return (gamma + 2) * focal(y_true, y_pred, gamma=gamma, **options)


@oracle("FocalLoss", takes="classes", terms=_magnified)
def focal(y_true: Any, y_pred: Any, *, gamma: float, class_gamma: Any = None, **options: Any) -> np.ndarray:
    gammas: Any = gamma
    if class_gamma is not None:
        gammas = np.asarray(class_gamma)
        if options["multi_label"]:
            gammas = gammas[:, None]  # Both labels of an output have the same gamma.
        elif has_probability_for_each_output(y_pred, False, options["axis"] if y_pred.ndim > 1 else -1):
            gammas = gammas[::-1]  # The label 1 comes first.
    return classification(y_true, y_pred, lambda ce, rest: rest**gammas * ce, **options)


def _poly_terms(y_true: Any, y_pred: Any, *, epsilon: float, **options: Any) -> np.ndarray:
    """With a negative epsilon the two terms cancel."""
    return poly(y_true, y_pred, epsilon=abs(epsilon), **options)


@oracle("PolyLoss", takes="classes", terms=_poly_terms)
def poly(y_true: Any, y_pred: Any, *, epsilon: float, **options: Any) -> np.ndarray:
    return classification(y_true, y_pred, lambda ce, rest: ce + epsilon * rest, **options)


def _powers(y_true: Any, y_pred: Any, *, order: int, **options: Any) -> np.ndarray:
    """Each power has as many times the relative error of 1 - p_t, and one more of its own."""

    def term(ce: np.ndarray, rest: np.ndarray) -> np.ndarray:
        return sum((k + 1) * rest**k / k for k in range(1, order + 1))

    return classification(y_true, y_pred, term, **options)


@oracle("TaylorCrossentropyLoss", takes="classes", terms=_powers)
def taylor(y_true: Any, y_pred: Any, *, order: int, **options: Any) -> np.ndarray:
    def term(ce: np.ndarray, rest: np.ndarray) -> np.ndarray:
        return sum(rest**k / k for k in range(1, order + 1))

    return classification(y_true, y_pred, term, **options)


def _asymmetric_terms(y_true: Any, y_pred: Any, **options: Any) -> np.ndarray:
    """As with the focal loss; and p - clip has the error of clip, which the power magnifies."""
    gamma, clip = max(options["gamma_positive"], options["gamma_negative"]), options["clip"]
    return (gamma + 2) * (asymmetric(y_true, y_pred, **options) + clip)


@oracle("AsymmetricLoss", takes="outputs", terms=_asymmetric_terms)
def asymmetric(
    y_true: Any, y_pred: Any, *, gamma_positive: float, gamma_negative: float, clip: float, **options: Any
) -> np.ndarray:
    def term(ce: np.ndarray, rest: np.ndarray) -> np.ndarray:
        (present, absent), (one_minus_p, p) = np.moveaxis(ce, -1, 0), np.moveaxis(rest, -1, 0)
        q = np.maximum(p - clip, 0.0)
        absent = absent if clip == 0 else -np.log1p(-q)
        return np.stack([one_minus_p**gamma_positive * present, q**gamma_negative * absent], axis=-1)

    return classification(y_true, y_pred, term, multi_label=True, **options)


def has_probability_for_each_output(y_pred: np.ndarray, multi_label: bool, axis: int = -1) -> bool:
    return multi_label or y_pred.ndim == 1 or y_pred.shape[axis] == 1


def classification(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    term: Term,
    *,
    from_logits: bool,
    multi_label: bool,
    label_smoothing: float,
    class_weight: Any,
    ignore_class: int | None,
    axis: int,
    alpha: Any = None,
    z_loss: float = 0.0,
    pos_weight: Any = None,
    added: Any = 0.0,
) -> np.ndarray:
    """`added` is what a sample over classes costs beside its label."""
    of_outputs = has_probability_for_each_output(y_pred, multi_label, axis if y_pred.ndim > 1 else -1)
    y_true, y_pred = classes_last(y_true, y_pred, axis)
    given = (y_true, y_pred, term, alpha, z_loss, from_logits, label_smoothing, class_weight, ignore_class)
    if of_outputs:
        return _of_outputs(*given, 1.0 if pos_weight is None else np.asarray(pos_weight))
    assert pos_weight is None
    return _of_classes(*given, added)


def classes_last(y_true: np.ndarray, y_pred: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Both with the classes as the last axis, and an axis for the one output of predictions (n,)."""
    if y_pred.ndim == 1:
        return y_true.reshape(-1, 1), y_pred.reshape(-1, 1)
    if y_true.ndim == y_pred.ndim:
        y_true = np.moveaxis(y_true, axis, -1)
    return y_true, np.moveaxis(y_pred, axis, -1)


def _of_outputs(y, pred, term, alpha, z_loss, from_logits, smoothing, class_weight, ignore_class, pos_weight):
    if from_logits:
        costs = np.logaddexp(0, -pred), np.logaddexp(0, pred)
        complements = expit(-pred), expit(pred)
    else:
        costs, complements = (-np.log(pred), -np.log1p(-pred)), (1 - pred, pred)
    positive, negative = np.moveaxis(term(np.stack(costs, -1), np.stack(complements, -1)), -1, 0)
    y = y.reshape(pred.shape).astype("float64")
    known = np.ones(y.shape, bool) if ignore_class is None else y != ignore_class
    y = np.where(known, y, 0.0)
    if alpha is not None:
        positive, negative = np.asarray(alpha) * positive, (1 - np.asarray(alpha)) * negative
    smooth = (1 - smoothing) * y + smoothing / 2
    values = smooth * pos_weight * positive + (1 - smooth) * negative
    if z_loss:
        values = values + z_loss * np.logaddexp(0, pred) ** 2
    values = with_class_weights(values, y, class_weight)
    return np.where(known, values, 0.0).sum(-1) / np.maximum(known.sum(-1), 1)


def _of_classes(y, pred, term, alpha, z_loss, from_logits, smoothing, class_weight, ignore_class, added):
    classes = pred.shape[-1]
    y, known = distribution(y, pred.shape, ignore_class)
    if from_logits:
        # -log p_j = log(1 + sum_{k != j} exp(z_k - z_j)), with nothing that cancels in it.
        others = np.where(np.eye(classes, dtype=bool), -np.inf, pred[..., None, :])
        lead = pred - logsumexp(others, axis=-1)
        costs = term(np.logaddexp(0, -lead), expit(-lead))
    else:
        costs = term(-np.log(pred), 1 - pred)
    smooth = (1 - smoothing) * y + smoothing / classes
    if alpha is not None:
        costs = costs * np.asarray(alpha)
    values = (smooth * costs).sum(-1) + added
    if z_loss:
        values = values + z_loss * logsumexp(pred, axis=-1) ** 2
    if class_weight is not None:
        values = values * (y * vector(class_weight, classes)).sum(-1)
    return np.where(known, values, 0.0)


def distribution(
    y: np.ndarray, shape: tuple[int, ...], ignore_class: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Class ids, one-hot or soft labels as distributions, and which samples are not to be ignored."""
    if y.shape == shape:
        known = np.ones(shape[:-1], bool)
        if ignore_class is not None and 0 <= ignore_class < shape[-1]:
            known = y.argmax(-1) != ignore_class
        return y.astype("float64"), known
    ids = y.reshape(shape[:-1]).astype("int64")
    known = np.ones(ids.shape, bool) if ignore_class is None else ids != ignore_class
    return np.eye(shape[-1])[np.where(known, ids, 0)], known


def with_class_weights(values: np.ndarray, y: np.ndarray, class_weight: Any) -> np.ndarray:
    """Values of outputs, each multiplied by its class weight; that of one output depends on its label."""
    if class_weight is None:
        return values
    if y.shape[-1] > 1:
        return values * vector(class_weight, y.shape[-1])
    weights = vector(class_weight, 2)
    return values * (y * weights[1] + (1 - y) * weights[0])


def vector(weights: Mapping[int, float] | Sequence[float], classes: int) -> np.ndarray:
    """A weight for each class; those that a mapping leaves out weigh 1."""
    if isinstance(weights, Mapping):
        return np.array([weights.get(j, 1.0) for j in range(classes)])
    assert len(weights) == classes
    return np.asarray(weights, "float64")
