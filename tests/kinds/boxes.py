"""Kinds whose targets are bounding boxes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from keras_losses import CrossentropyLoss, FocalLoss, IoULoss, SquaredErrorLoss
from tests.kinds.kind import LOGITS, Batch, Form, Kind, Population, Source, Workload, named, register

FORMATS = (
    "xyxy",
    "yxyx",
    "xywh",
    "center_xywh",
    "center_yxhw",
    "rel_xyxy",
    "rel_yxyx",
    "rel_xywh",
    "rel_center_xywh",
)

BOX = [1.0, 2.0, 4.0, 6.0]
LINE, POINT = [1.0, 2.0, 1.0, 6.0], [1.0, 2.0, 1.0, 2.0]

BESIDE = {
    "the same": BOX,
    "moved": [0.5, 2.5, 3.5, 6.5],
    "inside": [1.5, 2.5, 3.0, 5.5],
    "around": [0.0, 1.0, 6.0, 7.0],
    "of one edge": [1.0, 2.5, 3.0, 5.0],
    "touching an edge": [4.0, 2.0, 7.0, 6.0],
    "touching a corner": [4.0, 6.0, 7.0, 10.0],
    "apart": [6.0, 3.0, 9.0, 5.0],
    "a line inside": [2.0, 3.0, 2.0, 5.0],
    "a point inside": [2.0, 3.0, 2.0, 3.0],
    "a point outside": [9.0, 8.0, 9.0, 8.0],
    "with swapped corners": [4.0, 6.0, 1.0, 2.0],
    "with a swapped side": [5.0, 2.5, 2.0, 7.0],
}
"""Predictions for the true box `BOX`, as left, top, right and bottom."""


def in_format(corners: np.ndarray, box_format: str) -> np.ndarray:
    """Boxes in a format, from their left, top, right and bottom."""
    first, second = corners[..., :2], corners[..., 2:]
    if box_format.endswith(("yxyx", "yxhw")):
        first, second = first[..., ::-1], second[..., ::-1]
    if box_format.endswith(("xywh", "yxhw")):
        middle = (first + second) / 2
        first, second = middle if "center" in box_format else first, second - first
    return np.concatenate([first, second], -1)


def corners_of(centre: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Left, top, right and bottom of boxes."""
    return np.concatenate([centre - sides / 2, centre + sides / 2], -1)


def _predictions(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    shape = (*shape[:-1], 2)
    return corners_of(random.uniform(0, 500, shape), random.uniform(10, 200, shape)).astype("float32")


def _labels(random: np.random.Generator, x: np.ndarray) -> np.ndarray:
    centre, sides = (x[..., :2] + x[..., 2:]) / 2, x[..., 2:] - x[..., :2]
    moved = centre + sides * random.normal(0, 0.3, sides.shape)
    return corners_of(moved, sides * random.lognormal(0, 0.3, sides.shape)).astype("float32")


class Boxes(Kind):
    """Bounding boxes against bounding boxes, four coordinates for each."""

    forms = tuple(
        Form(box_format, (6, 4) if turn % 3 < 2 else (2, 3, 4), {"box_format": box_format})
        for turn, box_format in enumerate(FORMATS)
    )
    every_form = tuple(
        Form(box_format, shape, {"box_format": box_format})
        for box_format in FORMATS
        for shape in ((2, 3, 4), (2, 3, 2, 4))
    )
    # The box of three labels, with one that overlaps it and one that is far away.
    populations = (
        Population(
            [[1.0, 2.0, 2.0, 2.0]] * 3 + [[1.5, 2.5, 2.0, 3.0], [9.0, 9.0, 1.0, 2.0]],
            {"box_format": "center_xywh"},
            {"median": 1.0},
            4,
            start=2.0,
        ),
    )
    workloads: Mapping[str, Workload] = {
        "boxes": Workload("Boxes", _labels, (1_000_000, 4), (256, 4), predictions=_predictions)
    }

    def make(self, source: Source, form: Form) -> Batch:
        shape = (*form.shape[:-1], 2)
        centre, sides = source.numbers(shape), 1 + 3 * source.shares(shape)
        true = corners_of(centre, sides)
        moved, grown = centre + 0.5 * source.numbers(shape), 1 + 3 * source.shares(shape)
        y_true, y_pred = (in_format(x, form.name) for x in (true, corners_of(moved, grown)))
        fitting = frozenset([form.shape])
        return Batch(named(form.name, y_pred), y_true, y_pred, form.options, 4, None, fitting)

    def extremes(self, dtype: str) -> Iterator[Batch]:
        """Perfect, distant, swapped and degenerate boxes, small and huge ones, and both together."""
        huge = 2.0**12 if dtype == "float16" else 2.0**100
        pairs = [(BOX, predicted) for predicted in BESIDE.values()]
        pairs += [(true, predicted) for true in (LINE, POINT) for predicted in (BOX, LINE, POINT)]
        far = [[0.0, 0.0, huge, huge], [huge, huge, 1.5 * huge, 1.5 * huge], [0.0, 0.0, 1.0, huge]]
        mixed = [
            *((BOX, other) for other in far),
            *((other, BOX) for other in far),
            ([0, 0, huge, 1], far[2]),
        ]
        y_true, y_pred = np.swapaxes(np.concatenate([pairs, huge * np.array(pairs), mixed]), 0, 1)
        for box_format in ("xyxy", "center_xywh", "rel_xywh"):
            told = {"box_format": box_format}
            yield Batch(box_format, in_format(y_true, box_format), in_format(y_pred, box_format), told, 4)

    def refused(self) -> Iterator[tuple[Mapping[str, Any], Any, Any, str]]:
        boxes = [[BOX, LINE, [4.0, 2.0, 3.5, 6.0], [4.0, 6.0, 1.0, 2.0]]]
        yield {"box_format": "xyxy"}, boxes, [[BOX] * 4], "[4.0, 2.0, 3.5, 6.0]"
        yield {"box_format": "xywh"}, [[1.0, 2.0, 3.0, -4.0]], [BOX], "[1.0, 2.0, 3.0, -4.0]"
        yield {"box_format": "center_yxhw"}, [[1.0, 2.0, np.nan, 4.0]], [BOX], "[1.0, 2.0, nan, 4.0]"


FOCAL = FocalLoss(from_logits=True, multi_label=True)
SOFTMAX = CrossentropyLoss(from_logits=True)


class Detections(Kind):
    """Boxes with a class or -1 for no object, against boxes with outputs of classes; one value per image."""

    of_images = True
    forms = (
        Form("sigmoid", (6, 4 + 2), {"class_loss": FOCAL, "box_loss": IoULoss()}),
        Form("softmax", (2, 3, 4 + 3), {"class_loss": SOFTMAX, "box_loss": SquaredErrorLoss()}),
        Form("sigmoid", (2, 2, 2, 4 + 2), {"class_loss": FOCAL, "box_loss": IoULoss("diou")}),
        Form(
            "objectness",
            (2, 3, 4 + 2 + 1),
            {"class_loss": SOFTMAX, "box_loss": IoULoss(), "objectness_loss": SOFTMAX},
        ),
        Form(
            "objectness of sigmoid",
            (6, 4 + 2 + 1),
            {"class_loss": FOCAL, "box_loss": IoULoss(), "objectness_loss": FOCAL},
        ),
    )
    workloads: Mapping[str, Workload] = {
        "detections": Workload(
            "Boxes with classes, one in ten an object",
            lambda random, x: _objects(random, x, 20),
            (64, 2000, 4 + 20),
            (8, 20, 4 + 20),
            options={"class_loss": FOCAL, "box_loss": IoULoss()},
            predictions=lambda random, shape: _outputs(random, shape),
        )
    }

    def make(self, source: Source, form: Form) -> Batch:
        of_boxes = (*form.shape[:-1], 2)
        centre, sides = source.numbers(of_boxes), 1 + 3 * source.shares(of_boxes)
        moved, grown = centre + 0.5 * source.numbers(of_boxes), 1 + 3 * source.shares(of_boxes)
        outputs = form.shape[-1] - 4
        ids = np.where(source.some(form.shape[:-1]), -1, source.integers(0, 1, form.shape[:-1]))
        y_true = np.concatenate([corners_of(centre, sides), ids[..., None]], -1)
        scores = source.numbers((*form.shape[:-1], outputs))
        y_pred = np.concatenate([corners_of(moved, grown), scores], -1)
        fitting = frozenset([y_true.shape])
        name = named(form.name, y_pred)
        return Batch(name, y_true, y_pred, form.options, outputs, None, fitting, value_axes=1)

    def extremes(self, dtype: str) -> Iterator[Batch]:
        """The extreme boxes of objects, and scores that are entirely wrong or right."""
        boxes = next(Boxes("extremes").extremes(dtype))
        turns = np.arange(len(boxes.y_true))
        scores = np.array(LOGITS)[np.stack([turns, 3 * turns + 1], -1) % len(LOGITS)]
        y_true = np.concatenate([boxes.y_true, turns[:, None] % 2], -1)
        y_pred = np.concatenate([boxes.y_pred, scores], -1)
        yield Batch("objects", y_true, y_pred, self.forms[0].options, 2)
        y_true = np.where(turns[:, None] % 3 == 0, [0, 0, 0, 0, -1], y_true)
        yield Batch("objects and none", y_true, y_pred, self.forms[0].options, 2)

    def perfect(self, batch: Batch, loss: Any) -> np.ndarray:
        return np.concatenate([batch.y_true[..., :4], batch.y_pred[..., 4:]], -1).astype("float32")

    def refused(self) -> Iterator[tuple[Mapping[str, Any], Any, Any, str]]:
        told = self.forms[0].options
        yield told, [[*BOX, 2.0]], [[*BOX, 0.0, 0.0]], "2"
        yield told, [[*BOX, 0.5]], [[*BOX, 0.0, 0.0]], "0.5"
        yield told, [[*BOX, -2.0]], [[*BOX, 0.0, 0.0]], "-2"
        yield told, [[4.0, 2.0, 1.0, 6.0, 0.0]], [[*BOX, 0.0, 0.0]], "[4.0, 2.0, 1.0, 6.0]"


def _objects(random: np.random.Generator, x: np.ndarray, classes: int) -> np.ndarray:
    ids = random.integers(0, classes, x.shape[:-1])
    ids = np.where(random.random(ids.shape) < 0.1, ids, -1)
    return np.concatenate([_labels(random, x[..., :4]), ids[..., None]], -1).astype("float32")


def _outputs(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    scores = random.standard_normal((*shape[:-1], shape[-1] - 4))
    return np.concatenate([_predictions(random, shape), scores], -1).astype("float32")


register(Boxes("boxes"), Detections("detections"))
