"""Losses of regions: one value for each image, from sums over its pixels in float64."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, logsumexp, softmax

from tests.oracles import oracle
from tests.oracles.crossentropy import (
    classes_last,
    distribution,
    has_probability_for_each_output,
    vector,
)


@dataclass
class Pixels:
    """Labels, probabilities and weights of pixels `(regions, pixels, C)`, and the weights of the classes."""

    t: np.ndarray
    p: np.ndarray
    q: np.ndarray
    """1 - p, with its own digits."""
    log_p: np.ndarray
    log_odds: np.ndarray
    exclusive: bool
    w: np.ndarray
    class_weights: np.ndarray
    images: int
    """Number of images, which share a value if there is one region."""
    space: tuple[int, ...]

    def sums(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """T, P and I of each class."""
        return tuple((self.w * x).sum(1) for x in (self.t, self.p, self.t * self.p))  # type: ignore[return-value]

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Mean over the classes, a value for each image."""
        return self.of_images((values * self.class_weights).mean(-1))

    def of_images(self, values: np.ndarray) -> np.ndarray:
        return np.broadcast_to(values, (self.images,))


def pixels(
    y_true: Any,
    y_pred: Any,
    *,
    from_logits: bool,
    multi_label: bool,
    class_weight: Any,
    ignore_class: int | None,
    axis: int,
    include_background: bool,
    batch: bool,
) -> Pixels:
    of_outputs = has_probability_for_each_output(y_pred, multi_label, axis if y_pred.ndim > 1 else -1)
    y, z = classes_last(y_true, y_pred, axis)
    classes = z.shape[-1]
    if of_outputs:
        y = y.reshape(z.shape).astype("float64")
        known = np.ones(y.shape) if ignore_class is None else (y != ignore_class).astype("float64")
        t = np.where(known, y, 0.0)
        p, q = (expit(z), expit(-z)) if from_logits else (z, 1 - z)
    else:
        t, known = distribution(y, z.shape, ignore_class)
        p = softmax(z, axis=-1) if from_logits else z
        others = np.where(np.eye(classes, dtype=bool), 0.0, p[..., None, :]).sum(-1)
        q = others if from_logits else 1 - z
        known = np.broadcast_to(known[..., None], t.shape).astype("float64")
    weights = np.ones(classes)
    if class_weight is not None:
        weights = vector(class_weight, max(classes, 2))[-classes:]
    first = 0 if include_background or classes == 1 else 1
    shape = (1 if batch else len(z), -1, classes)
    log_odds = z if from_logits else np.log(z) - np.log1p(-z)
    log_p = np.log(p)
    if from_logits:
        log_p = -np.logaddexp(0, -z) if of_outputs else z - logsumexp(z, -1, keepdims=True)
    parts = (t, p, q, log_p, log_odds, known)
    t, p, q, log_p, log_odds, w = (x.reshape(shape)[..., first:] for x in parts)
    return Pixels(t, p, q, log_p, log_odds, not of_outputs, w, weights[first:], len(z), z.shape[1:-1])


def ones(y_true: Any, y_pred: Any, **options: Any) -> np.ndarray:
    """Scale of the rounding errors: 1 - p loses the digits that p near 1 does not have."""
    return np.full(len(y_pred), 1.0 if options["class_weight"] is None else 3.0)


def index(wrong: np.ndarray, right: np.ndarray) -> np.ndarray:
    """1 less the ratio of an overlap; the overlap of nothing with nothing is 1."""
    return 1 - np.divide(right, right + wrong, out=np.ones_like(right), where=right + wrong > 0)


@oracle("DiceLoss", takes="masks", terms=ones, counts_classes=True)
def dice(y_true: Any, y_pred: Any, *, smooth: float, squared: bool, **options: Any) -> np.ndarray:
    x = pixels(y_true, y_pred, **options)
    t, p, both = x.sums()
    if squared:
        t, p = (x.w * x.t**2).sum(1), (x.w * x.p**2).sum(1)
    return x.mean(index(t + p - 2 * both, 2 * both + smooth))


@oracle("JaccardLoss", takes="masks", terms=ones, counts_classes=True)
def jaccard(y_true: Any, y_pred: Any, *, smooth: float, **options: Any) -> np.ndarray:
    x = pixels(y_true, y_pred, **options)
    t, p, both = x.sums()
    return x.mean(index(t + p - 2 * both, both + smooth))


@oracle("TverskyLoss", takes="masks", terms=ones, counts_classes=True)
def tversky(
    y_true: Any, y_pred: Any, *, alpha: float, beta: float, smooth: float, **options: Any
) -> np.ndarray:
    x = pixels(y_true, y_pred, **options)
    t, p, both = x.sums()
    return x.mean(index(alpha * (p - both) + beta * (t - both), both + smooth))


@oracle("FocalTverskyLoss", takes="masks", terms=ones, counts_classes=True)
def focal_tversky(
    y_true: Any, y_pred: Any, *, alpha: float, beta: float, gamma: float, smooth: float, **options: Any
) -> np.ndarray:
    x = pixels(y_true, y_pred, **options)
    false_positives, false_negatives = (x.w * x.p * (1 - x.t)).sum(1), (x.w * x.t * x.q).sum(1)
    wrong, right = alpha * false_positives + beta * false_negatives, x.sums()[2] + smooth
    share = np.divide(wrong, wrong + right, out=np.zeros_like(wrong), where=wrong + right > 0)
    return x.mean(share ** (1 / gamma))


@oracle("GeneralizedDiceLoss", takes="masks", terms=ones, counts_classes=True)
def generalized_dice(y_true: Any, y_pred: Any, *, smooth: float, **options: Any) -> np.ndarray:
    x = pixels(y_true, y_pred, **options)
    t, p, both = x.sums()
    weights = np.ones_like(t)
    for row, sizes in enumerate(t):
        if (sizes > 0).any():
            paper = 1 / np.where(sizes > 0, sizes, sizes[sizes > 0].min()) ** 2
            weights[row] = paper / paper.max()
    weights = weights * x.class_weights
    right = (weights * 2 * both).sum(-1) + smooth
    return x.of_images(index((weights * (t + p - 2 * both)).sum(-1), right))


@oracle("MatthewsLoss", takes="masks", terms=ones, counts_classes=True)
def matthews(y_true: Any, y_pred: Any, *, smooth: float, **options: Any) -> np.ndarray:
    x = pixels(y_true, y_pred, **options)
    t, p, both = x.sums()
    n = x.w.sum(1)
    tp, fp, fn, tn = both + smooth, p - both, t - both, n - t - p + both + smooth
    return x.mean(1 - (tp * tn - fp * fn) / np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)))


@oracle("UnifiedFocalLoss", takes="masks", terms=ones, counts_classes=True)
def unified_focal(
    y_true: Any,
    y_pred: Any,
    *,
    weight: float,
    delta: float,
    gamma: float,
    asymmetric: bool,
    smooth: float,
    **options: Any,
) -> np.ndarray:
    x = pixels(y_true, y_pred, **options)
    log_p, log_q = x.log_p, np.log(x.q)
    if options["from_logits"] and not x.exclusive:
        log_q = -np.logaddexp(0, x.log_odds)

    def tversky_of(t: Any, p: Any, q: Any, background: Any) -> np.ndarray:
        both, false, missed = ((x.w * part).sum(1) for part in (t * p, p * (1 - t), t * q))
        wrong = (1 - delta) * false + delta * missed
        total = wrong + both + smooth
        share = np.divide(wrong, total, out=np.zeros_like(wrong), where=total > 0)
        return np.where(background, share, share ** (1 - gamma)) if asymmetric else share ** (1 - gamma)

    def focal_of(t: Any, rest: Any, log: Any, background: Any) -> np.ndarray:
        factor = np.where(background, rest**gamma, 1) if asymmetric else rest**gamma
        values = np.where(t > 0, -np.where(background, 1 - delta, delta) * t * factor * log, 0)
        return (x.w * values).sum(1) / np.maximum(x.w.sum(1), 1e-300)

    if x.exclusive:
        first = 0 if options["include_background"] else 1
        background = np.arange(first, first + x.t.shape[-1]) == 0
        focal = (focal_of(x.t, x.q, log_p, background) * x.class_weights).sum(-1)
        return x.of_images(weight * focal) + (1 - weight) * x.mean(tversky_of(x.t, x.p, x.q, background))
    focal = focal_of(x.t, x.q, log_p, False) + focal_of(1 - x.t, x.p, log_q, True)
    regions = (tversky_of(x.t, x.p, x.q, False) + tversky_of(1 - x.t, x.q, x.p, True)) / 2
    return x.mean(weight * focal + (1 - weight) * regions)


def jaccard_loss(truth: np.ndarray, wrong: np.ndarray) -> float:
    """1 - IoU of the mask in which the pixels of a set are wrong."""
    predicted = truth ^ wrong
    union = (truth | predicted).sum()
    return 1 - (truth & predicted).sum() / union if union else 0.0


def lovasz_extension(truth: np.ndarray, errors: np.ndarray) -> float:
    """Sum over the levels of the errors of the Jaccard loss of the pixels above: the definition."""
    levels = sorted({0.0, *errors})
    steps = itertools.pairwise(levels)
    return sum((high - low) * jaccard_loss(truth, errors >= high) for low, high in steps)


def _hinge_terms(y_true: Any, y_pred: Any, **options: Any) -> np.ndarray:
    return 1 + np.abs(lovasz(y_true, y_pred, **options))


@oracle("LovaszLoss", takes="hard masks", terms=_hinge_terms, counts_classes=True)
def lovasz(y_true: Any, y_pred: Any, *, classes: str, **options: Any) -> np.ndarray:
    x = pixels(y_true, y_pred, **options)
    found = []
    for t, p, z, w in zip(x.t, x.p, x.log_odds, x.w, strict=True):
        values, counts = [], []
        for k in range(t.shape[-1]):
            counted = w[:, k] > 0
            truth = t[counted, k] == 1
            errors = np.abs(t - p) if x.exclusive else np.maximum(1 - z * (2 * t - 1), 0)
            values.append(x.class_weights[k] * lovasz_extension(truth, errors[counted, k]))
            counts.append(classes == "all" or not x.exclusive or truth.any())
        counts = counts if any(counts) else [True] * len(counts)
        found.append(np.dot(values, counts) / sum(counts))
    return x.of_images(np.array(found))
