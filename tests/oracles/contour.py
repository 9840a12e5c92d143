"""Losses of contours: distances by SciPy, and skeletons by SciPy's filters, in float64."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import ndimage

from tests.oracles import oracle
from tests.oracles.region import Pixels, ones, pixels


def images(x: np.ndarray, of: Pixels) -> np.ndarray:
    """Pixels `(regions, pixels, C)` as images `(batch, *space, C)`."""
    return x.reshape(of.images, *of.space, x.shape[-1])


def mean_of_pixels(of: Pixels, x: np.ndarray) -> np.ndarray:
    """Weighted mean over the pixels, then the mean over the classes."""
    x = x.reshape(of.w.shape)
    count = of.w.sum(1)
    return of.mean(np.divide((of.w * x).sum(1), count, out=np.zeros_like(count), where=count > 0))


def remembered(function: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """The function with its last results kept: those of labels do not change with the predictions."""

    @functools.lru_cache(maxsize=64)
    def of_bytes(*arrays: tuple[bytes, str, tuple[int, ...]], **options: Any) -> np.ndarray:
        return function(*(np.frombuffer(x, dtype).reshape(shape) for x, dtype, shape in arrays), **options)

    def call(*arrays: np.ndarray, **options: Any) -> np.ndarray:
        return of_bytes(*((x.tobytes(), x.dtype.str, x.shape) for x in arrays), **options)

    return call


@remembered
def across(inside: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Distance of each pixel to the nearest known one on the other side; 0 if there is none."""
    found = np.zeros(inside.shape)
    for image in range(inside.shape[0]):
        for channel in range(inside.shape[-1]):
            where = (image, ..., channel)
            a, k = inside[where], known[where]
            for side, other in ((a, k & ~a), (~a, k & a)):
                if other.any():
                    found[where] = np.where(side, ndimage.distance_transform_edt(~other), found[where])
    return found


def signed(of: Pixels) -> np.ndarray:
    inside, known = images(of.t, of) > 0.5, images(of.w, of) > 0
    d = across(inside, known)
    return np.where(inside, np.where(d > 0, 1 - d, -1), np.where(d > 0, d, 1))


def boundary_pixels(y_true: Any, y_pred: Any, distance_maps: bool, **options: Any) -> tuple[Pixels, Any]:
    of = pixels(y_true, y_pred, **options)
    return of, (of.t if distance_maps else signed(of)).reshape(of.p.shape)


def boundary_terms(y_true: Any, y_pred: Any, **options: Any) -> np.ndarray:
    of, d = boundary_pixels(y_true, y_pred, **options)
    return mean_of_pixels(of, of.p * np.abs(d))


@oracle("BoundaryLoss", takes="contours", terms=boundary_terms, counts_classes=True)
def boundary(y_true: Any, y_pred: Any, **options: Any) -> np.ndarray:
    of, d = boundary_pixels(y_true, y_pred, **options)
    return mean_of_pixels(of, of.p * d)


def from_contour(mask: np.ndarray, of: Pixels) -> np.ndarray:
    d = across(images(mask, of) > 0.5, images(of.w, of) > 0)
    return np.where(d > 0, d, 1.0).reshape(of.p.shape)


def of_prediction(y_true: Any, y_pred: Any, *, alpha: float, **options: Any) -> np.ndarray:
    of = pixels(y_true, y_pred, **options)
    return from_contour(of.p, of)


@oracle("HausdorffLoss", takes="contours", held=of_prediction, counts_classes=True)
def hausdorff(y_true: Any, y_pred: Any, *, alpha: float, held: Any = None, **options: Any) -> np.ndarray:
    of = pixels(y_true, y_pred, **options)
    predicted = from_contour(of.p, of) if held is None else held
    error = of.p * (1 - of.t) - of.q * of.t
    return mean_of_pixels(of, error**2 * (from_contour(of.t, of) ** alpha + predicted**alpha))


@remembered
def skeleton(x: np.ndarray, known: np.ndarray, *, iterations: int) -> np.ndarray:
    """The paper's algorithm 1, in which pixels that are unknown or outside are no neighbours."""
    space = x.ndim - 2
    if space == 0:
        return x
    cross = ndimage.generate_binary_structure(space, 1)[None, ..., None]
    square = np.ones((1, *[3] * space, 1))

    def erode(x: np.ndarray) -> np.ndarray:
        x = np.where(known, x, np.inf)
        return ndimage.minimum_filter(x, footprint=cross, mode="constant", cval=np.inf)

    def opened(x: np.ndarray) -> np.ndarray:
        x = np.where(known, erode(x), -np.inf)
        return ndimage.maximum_filter(x, footprint=square, mode="constant", cval=-np.inf)

    result = np.maximum(x - opened(x), 0)
    for _ in range(iterations):
        x = np.where(known, erode(x), 0.0)
        change = np.maximum(x - opened(x), 0)
        result = result + np.maximum(change - result * change, 0)
    return np.where(known, result, 0.0)


@oracle("CenterlineDiceLoss", takes="contours", terms=ones, counts_classes=True)
def centerline_dice(
    y_true: Any, y_pred: Any, *, iterations: int, smooth: float, **options: Any
) -> np.ndarray:
    of = pixels(y_true, y_pred, **options)
    known = images(of.w, of) > 0
    of_t, of_p = (
        skeleton(images(x, of), known, iterations=iterations).reshape(of.p.shape) for x in (of.t, of.p)
    )
    precision = ((of.w * of_p * of.t).sum(1) + smooth) / ((of.w * of_p).sum(1) + smooth)
    sensitivity = ((of.w * of_t * of.p).sum(1) + smooth) / ((of.w * of_t).sum(1) + smooth)
    return of.mean(1 - 2 * precision * sensitivity / (precision + sensitivity))
