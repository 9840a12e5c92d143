"""Kinds of images with a number for each pixel and channel: pictures, and heatmaps of landmarks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tests.kinds.kind import (
    LOGITS,
    Batch,
    Form,
    Kind,
    Population,
    Source,
    Workload,
    fits_one_by_one,
    named,
    register,
)
from tests.kinds.numbers import SHAPES

RAMP = np.array([[0.1, 0.3], [0.5, 0.9]])[..., None]


def _told(filter_size: int, scales: list[float] | None = None, max_value: float = 1.0) -> dict[str, Any]:
    return {"filter_size": filter_size, "scales": scales, "max_value": max_value}


class Pictures(Kind):
    """Pictures `(batch, height, width, channels)`, with one value for each picture."""

    whole_images = True
    forms = (
        Form("pictures", (6, 4, 5, 2), _told(3)),
        Form("bytes", (6, 4, 3, 1), _told(2, max_value=255.0)),
        Form("pictures", (2, 12, 11, 1), _told(11)),
        Form("scales", (6, 6, 5, 1), _told(3, [0.4, 0.6])),
        Form("scales", (2, 9, 10, 2), _told(3, [0.2, 0.3, 0.5])),
        Form("scales without channels", (4, 5, 4, 1), _told(2, [0.7, 0.5], 255.0)),
    )
    every_form = (Form("pictures", (3, 5, 4, 1), _told(1)), Form("one scale", (3, 5, 4, 3), _told(4, [0.5])))
    populations = (
        Population([RAMP, RAMP], _told(2), {"centre of images": RAMP}, 4, start=0.5, image=RAMP.shape),
    )
    workloads: Mapping[str, Workload] = {
        "pictures": Workload(
            "Pictures",
            lambda random, x: random.uniform(0, 1, x.shape).astype("float32"),
            (8, 256, 256, 3),
            (2, 32, 32, 3),
        )
    }

    def make(self, source: Source, form: Form) -> Batch:
        y_true = source.shares(form.shape)
        # Alike enough that the similarities are above 0, below which the multi-scale form has no gradient.
        y_pred = form.options["max_value"] * (y_true + 0.05 * source.numbers(form.shape))
        y_true = form.options["max_value"] * y_true
        if "without" in form.name:
            y_true = y_true[..., 0]
        fitting = {form.shape, form.shape[:-1]} if form.shape[-1] == 1 else {form.shape}
        name, channels = named(form.name, y_pred), form.shape[-1]
        return Batch(name, y_true, y_pred, form.options, channels, None, frozenset(fitting), value_axes=1)

    def extremes(self, dtype: str) -> Iterator[Batch]:
        flat, spot = np.ones((3, 3, 1)), np.zeros((3, 3, 1))
        spot[1, 1] = 1
        ramp = np.arange(9).reshape(3, 3, 1) / 8
        found = [0.5 * flat, ramp, 1 - ramp, *(x * flat for x in LOGITS), *(ramp + x * spot for x in LOGITS)]
        for scales in (None, [0.4, 0.6]):
            for name, label in (("black", 0 * flat), ("grey", 0.5 * flat), ("ramp", ramp)):
                y_true, y_pred = np.stack([label] * len(found)), np.stack(found)
                yield Batch(f"{name} picture", y_true, y_pred, _told(2, scales), value_axes=1)


class Landmarks(Kind):
    """Numbers between 0 and 1, both included, against real numbers."""

    forms = tuple(Form("landmarks", shape) for shape in SHAPES)
    every_form = (Form("landmarks", (2, 3, 2, 2)),)
    populations = (
        Population([[0.0], [0.1], [0.1], [0.2], [1.0]], {}, {"mean": 1.4 / 5, "median": 0.1}, start=0.1),
    )
    workloads: Mapping[str, Workload] = {
        "landmarks": Workload(
            "Heatmaps",
            lambda random, x: random.uniform(0, 1, x.shape).astype("float32"),
            (64, 64, 64, 16),
        )
    }

    def make(self, source: Source, form: Form) -> Batch:
        y_true = source.shares(form.shape)
        y_true = np.where(source.some(form.shape), np.round(y_true), y_true)
        # Errors of many sizes, but none near 0, where the higher derivatives jump.
        errors = source.numbers(form.shape) ** 3 / 8
        y_pred = y_true + np.where(np.abs(errors) < 0.05, 0.05, errors)
        width = form.shape[-1] if len(form.shape) > 1 else 1
        return Batch(named(form.name, y_pred), y_true, y_pred, {}, width, None, fits_one_by_one(form.shape))

    def extremes(self, dtype: str) -> Iterator[Batch]:
        for label in (0.0, 0.25, 1.0):
            yield Batch(f"far from {label}", np.full(len(LOGITS), label), np.array(LOGITS))

    def refused(self) -> Iterator[tuple[Mapping[str, Any], Any, Any, str]]:
        yield {}, [[1.5, 0.0]], [[0.5, 0.5]], "1.5"
        yield {}, [[0.0], [-0.25]], [[0.5], [0.5]], "-0.25"


register(Pictures("pictures"), Landmarks("landmarks"))
