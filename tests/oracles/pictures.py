"""Losses of pictures and heatmaps: Wang et al. 2004 and 2003, Wang, Bo & Fuxin 2019."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.oracles import oracle
from tests.oracles.regression import mean_of_outputs, residual


def windows(x: np.ndarray, size: int) -> np.ndarray:
    """The pixels of each window, `(batch, rows, columns, channels, size, size)`."""
    return np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))


def losses(y: Any, f: Any, *, size: int, sigma: float, c1: float, c2: float) -> tuple[Any, ...]:
    """1 - luminance and 1 - contrast times structure of each window, and how the latter is rounded.

    1 - (2 my mf + c1) / (my^2 + mf^2 + c1) is (my - mf)^2 / (my^2 + mf^2 + c1), which keeps its digits near
    0, and likewise for the covariance and the variances.
    """
    at = np.arange(size) - (size - 1) / 2
    weights = np.exp(-(at[:, None] ** 2 + at**2) / (2 * sigma**2))
    weights = weights / weights.sum()

    def mean(x: np.ndarray) -> np.ndarray:
        return (weights * x).sum((-1, -2), keepdims=True)

    pictures = y, f, f - y
    pixels = [windows(x, size) for x in pictures]
    my, mf, md = map(mean, pixels)
    vy, vf, vd = (mean((x - m) ** 2) for x, m in zip(pixels, (my, mf, md), strict=True))
    of_luminance, of_structure = md**2 / (my**2 + mf**2 + c1), vd / (vy + vf + c2)
    # Variances are differences of squares, from which the mean of the picture is subtracted.
    sy, sf, sd = (mean(windows((x - x.mean((1, 2), keepdims=True)) ** 2, size)) for x in pictures)
    rounding = (of_structure * (sy + sf) + sd) / (vy + vf + c2)
    return tuple(x[..., 0, 0] for x in (of_luminance, of_structure, rounding))


def factors(
    y_true: Any, y_pred: Any, scales: Any, filter_size: int, sigma: float, c1: float, c2: float
) -> list[tuple[Any, Any, float]]:
    """One less the mean similarity of each scale and channel, the scale of its rounding, and its weight."""
    y, f = y_true.astype("float64").reshape(y_pred.shape), y_pred
    found = []
    for turn, weight in enumerate(scales):
        if turn:
            y, f = halved(y), halved(f)
        of_luminance, loss, rounding = losses(y, f, size=filter_size, sigma=sigma, c1=c1, c2=c2)
        if turn == len(scales) - 1:
            loss = loss + of_luminance - of_luminance * loss
        found.append((loss.mean((1, 2)), (loss + rounding).mean((1, 2)), weight))
    return found


def halved(x: np.ndarray) -> np.ndarray:
    batch, height, width, channels = x.shape
    x = np.pad(x, [(0, 0), (0, height % 2), (0, width % 2), (0, 0)], mode="symmetric")
    return x.reshape(batch, x.shape[1] // 2, 2, x.shape[2] // 2, 2, channels).mean((2, 4))


def product(found: list[tuple[Any, Any, float]]) -> np.ndarray:
    """One less the product of the powers of the similarities, those below 0 taken as 0."""
    return -np.expm1(sum(weight * np.log1p(-np.minimum(loss, 1)) for loss, _, weight in found))


def rounded(
    y_true: Any, y_pred: Any, *, max_value: Any, filter_size: Any, sigma: Any, scales: Any, k1: Any, k2: Any
) -> np.ndarray:
    constants = (k1 * max_value) ** 2, (k2 * max_value) ** 2
    found = factors(y_true, y_pred, scales or [1.0], filter_size, sigma, *constants)
    if scales is None:
        return found[0][1].mean(-1)
    of_factors = sum(weight * terms / np.maximum(1 - loss, 1e-12) for loss, terms, weight in found)
    return (product(found) + (1 - product(found)) * of_factors).mean(-1)


@oracle("StructuralSimilarityLoss", takes="pictures", terms=rounded)
def structural_similarity(
    y_true: Any, y_pred: Any, *, max_value: Any, filter_size: Any, sigma: Any, scales: Any, k1: Any, k2: Any
) -> np.ndarray:
    constants = (k1 * max_value) ** 2, (k2 * max_value) ** 2
    found = factors(y_true, y_pred, scales or [1.0], filter_size, sigma, *constants)
    return found[0][0].mean(-1) if scales is None else product(found).mean(-1)


@oracle("AdaptiveWingLoss", takes="heatmaps")
def adaptive_wing(
    y_true: Any, y_pred: Any, *, omega: float, theta: float, epsilon: float, alpha: float
) -> np.ndarray:
    r = np.abs(residual(y_true, y_pred))
    power = alpha - y_true.astype("float64").reshape(y_pred.shape)
    a = omega / (1 + (theta / epsilon) ** power) * power * (theta / epsilon) ** (power - 1) / epsilon
    c = theta * a - omega * np.log1p((theta / epsilon) ** power)
    return mean_of_outputs(np.where(r < theta, omega * np.log1p((r / epsilon) ** power), a * r - c))
