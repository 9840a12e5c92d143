"""Losses of bounding boxes: Yu 2016, Rezatofighi 2019, Zheng 2019, Zhang 2021, Gevorgyan 2022."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.oracles import expected, oracle, rounded_terms


def corners(boxes: np.ndarray, box_format: str, image_shape: Any) -> tuple[np.ndarray, np.ndarray]:
    """Top left and bottom right `(x, y)` in float64, in pixels if the shape of the image is known."""
    a, b = boxes[..., :2].astype("float64"), boxes[..., 2:].astype("float64")
    if box_format in ("xywh", "rel_xywh"):
        b = a + b
    elif "center" in box_format:
        a, b = a - b / 2, a + b / 2
    if box_format in ("yxyx", "rel_yxyx", "center_yxhw"):
        a, b = a[..., ::-1], b[..., ::-1]
    height, width = image_shape or (1, 1)
    a, b = a * [width, height], b * [width, height]
    return np.minimum(a, b), np.maximum(a, b)


def geometry(y_true: Any, y_pred: Any, box_format: str, image_shape: Any) -> dict[str, np.ndarray]:
    (low_t, high_t), (low_p, high_p) = (corners(y, box_format, image_shape) for y in (y_true, y_pred))
    true, predicted = high_t - low_t, high_p - low_p
    overlap = np.maximum(np.minimum(high_t, high_p) - np.maximum(low_t, low_p), 0)
    enclosing = np.maximum(high_t, high_p) - np.minimum(low_t, low_p)
    # Sides without length in the same place: as the limit of two equal sides.
    same = enclosing == 0
    areas = [np.where(same, 1, x).prod(-1) for x in (true, predicted, overlap, enclosing)]
    union = areas[0] + areas[1] - areas[2]
    return {
        "true": true,
        "predicted": predicted,
        "offset": (low_p + high_p) / 2 - (low_t + high_t) / 2,
        "enclosing": enclosing,
        "iou": quotient(areas[2], union),
        "empty": (areas[3] - union) / areas[3],
    }


def quotient(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a / b, and 0 for 0 / 0."""
    return np.where(b == 0, 0, a / np.where(b == 0, 1, b))


def aspect(of: dict[str, np.ndarray]) -> np.ndarray:
    """v of CIoU; 0 for a box that is a point, which has no aspect."""
    angles = [np.arctan2(of[box][..., 0], of[box][..., 1]) for box in ("true", "predicted")]
    points = (of["true"] == 0).all(-1) | (of["predicted"] == 0).all(-1)
    return np.where(points, 0, 4 / np.pi**2 * (angles[0] - angles[1]) ** 2)


def trade_off(y_true: Any, y_pred: Any, *, kind: str, box_format: str, image_shape: Any) -> np.ndarray:
    """alpha of CIoU."""
    of = geometry(y_true, y_pred, box_format, image_shape)
    v = aspect(of)
    return quotient(v, 1 - of["iou"] + v)


@oracle("IoULoss", takes="boxes", held=trade_off)
def iou_loss(
    y_true: Any, y_pred: Any, *, kind: str, box_format: str, image_shape: Any, held: Any = None
) -> np.ndarray:
    of = geometry(y_true, y_pred, box_format, image_shape)
    offset, enclosing = of["offset"], of["enclosing"]
    squared_distance = quotient((offset**2).sum(-1), (enclosing**2).sum(-1))
    growth = of["predicted"] - of["true"]
    loss = 1 - of["iou"]
    if kind == "giou":
        return loss + of["empty"]
    if kind == "diou":
        return loss + squared_distance
    if kind == "ciou":
        v = aspect(of)
        return loss + squared_distance + (quotient(v, loss + v) if held is None else held) * v
    if kind == "eiou":
        return loss + squared_distance + (quotient(growth, enclosing) ** 2).sum(-1)
    if kind == "siou":
        x = quotient(np.abs(offset[..., 1]), np.hypot(offset[..., 0], offset[..., 1]))
        gamma = 2 - (1 - 2 * np.sin(np.arcsin(np.minimum(x, 1)) - np.pi / 4) ** 2)
        distance = (1 - np.exp(-gamma[..., None] * quotient(offset, enclosing) ** 2)).sum(-1)
        shape = -np.expm1(-quotient(np.abs(growth), np.maximum(of["predicted"], of["true"])))
        return loss + (distance + (shape**4).sum(-1)) / 2
    return loss


# Detectors ---------------------------------------------------------------------------------------------


def objects(y_true: np.ndarray) -> np.ndarray:
    return y_true[..., 4] >= 0


def of_objects(y_true: Any, y_pred: Any, **_: Any) -> np.ndarray:
    """The number of objects of each image, at least 1."""
    return np.maximum(objects(y_true).reshape(len(y_true), -1).sum(-1), 1)


def _detection(
    values_of: Any,
    y_true: Any,
    y_pred: Any,
    class_loss: Any,
    box_loss: Any,
    objectness_loss: Any,
    weights: Any,
) -> np.ndarray:
    end = y_pred.shape[-1] - (objectness_loss is not None)
    found, total = objects(y_true), 0.0
    ids, scores = y_true[..., 4].astype(int), y_pred[..., 4:end]
    boxes = [x[found][:, :4] for x in (y_true, y_pred)]

    def summed(loss: Any, true: np.ndarray, pred: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """The sum over the chosen boxes of each image."""
        values = np.zeros(found.shape)
        if len(true):
            values[chosen] = values_of(loss, true, pred)
        return values.reshape(len(values), -1).sum(-1)

    everywhere = np.ones(found.shape, bool)
    chosen = everywhere if objectness_loss is None else found
    if getattr(class_loss, "multi_label", False):
        labels = np.eye(scores.shape[-1])[np.maximum(ids, 0)] * found[..., None]
    else:
        labels = np.where(found, ids, scores.shape[-1] - 1)
    total = weights["class"] * summed(class_loss, labels[chosen], scores[chosen], chosen)
    total = total + weights["box"] * summed(box_loss, *boxes, found)
    if objectness_loss is not None:
        truth = found[everywhere][:, None].astype("float64")
        total = total + weights["objectness"] * summed(
            objectness_loss, truth, y_pred[everywhere][:, end:], everywhere
        )
    return total


def _detection_terms(y_true: Any, y_pred: Any, *, weights: Any, **losses: Any) -> np.ndarray:
    sizes = {name: abs(weight) for name, weight in weights.items()}
    return _detection(rounded_terms, y_true, y_pred, weights=sizes, **losses)


@oracle("DetectionLoss", takes="detections", terms=_detection_terms, shares=of_objects)
def detection(y_true: Any, y_pred: Any, **options: Any) -> np.ndarray:
    return _detection(expected, y_true, y_pred, **options)
