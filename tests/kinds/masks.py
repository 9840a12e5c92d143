"""Masks of images: the labels of pixels, and one value for each image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import expit

from tests.kinds.classes import CLASSES, Classes, ClassForm, fits_outputs, ids, one_hot
from tests.kinds.kind import Batch, Form, Population, Source, Workload, named, register, softmax_of

PICTURES, SMALL = (16, 256, 256, 4), (8, 16, 16, 4)


class Masks(Classes):
    """Masks of images: class ids, one-hot or soft labels, or 0/1 labels of outputs; one value per image."""

    of_images = True

    def __init__(self, name: str, hard: bool) -> None:
        super().__init__(name, one=True, several=True, exclusive=True)
        self.hard = hard
        """Whether labels are not soft."""
        # How encodings are told apart is proved by the losses of classes.
        flat = (
            ClassForm("one output", (6,), from_logits=True),
            ClassForm("one output", (6, 1), from_logits=False),
            ClassForm("multi-label", (6, CLASSES), from_logits=True),
            ClassForm("sparse", (6, CLASSES), from_logits=False),
            ClassForm("soft", (6, CLASSES), from_logits=True),
        )
        images = (
            ClassForm("one-hot", (2, 4, CLASSES), from_logits=False, ignored=1),
            ClassForm("one-hot", (2, 3, 2, CLASSES), from_logits=False, axis=1),
            ClassForm("soft", (2, 4, CLASSES), from_logits=True),
            ClassForm("sparse", (2, 3, 4, CLASSES), from_logits=True),
            ClassForm("column", (2, 3, 2, CLASSES), from_logits=False),
            ClassForm("sparse", (2, 2, 2, 2, CLASSES), from_logits=False, ignored=255),
            ClassForm("one output", (2, 3, 4, 1), from_logits=True),
            ClassForm("multi-label", (2, 3, 2, CLASSES), from_logits=True, ignored=-1),
            ClassForm("sparse", (3, 4, CLASSES), {"batch": True}, from_logits=False),
            ClassForm("multi-label", (6, CLASSES), {"batch": True}, from_logits=True),
        )
        self.forms = tuple(form for form in (*flat, *images) if not (hard and "soft" in form.name))
        self.every_form = () if hard else self.every_form
        self.populations = (
            ()
            if hard
            else (
                Population(
                    [[1], [1], [0], [0], [0]],
                    {"from_logits": True, "batch": True},
                    # 1 - (4 + 1) / (2 + 5 + 1) for all of it, 1 - 1 / (2 + 1) for nothing.
                    {"overlapping region": [True], "likeliest class": [False]},
                ),
            )
        )
        self.workloads = {
            "masks": Workload("Class ids of images", ids, PICTURES, SMALL, "sparse", {"from_logits": True}),
            "one-hot masks": Workload(
                "One-hot masks of images, and probabilities",
                one_hot,
                PICTURES,
                SMALL,
                "one-hot",
                {"from_logits": False},
                predictions=lambda random, shape: softmax_of(random.standard_normal(shape, "float32")),
            ),
        }

    @property
    def description(self) -> str:
        soft = "" if self.hard else ", soft labels"
        return f"Masks of images: class ids, one-hot labels{soft}, one output, several 0/1 labels per pixel."

    def make(self, source: Source, form: Form) -> Batch:
        batch = super().make(source, form)
        options = {**batch.options, **form.options}
        if batch.y_pred.ndim <= 2:
            return replace(batch, options=options)
        return replace(batch, options=options, value_axes=1, known=None)

    def extremes(self, dtype: str) -> Iterator[Batch]:
        return (batch for batch in super().extremes(dtype) if not (self.hard and "soft" in batch.name))

    def refused(self) -> Iterator[tuple[Mapping[str, Any], Any, Any, str]]:
        yield from super().refused()
        if self.hard:
            yield {}, [[0.5, 0.25, 0.25]], [[0.2, 0.3, 0.5]], "0.5"


DISTANCES = {"distance_maps": True}


class Contours(Masks):
    """Masks whose contours have distances and whose lines have centres, or distance maps in their place."""

    def __init__(self, name: str) -> None:
        super().__init__(name, hard=False)
        flat = [form for form in self.forms if len(form.shape) < 3 and form.options.get("batch") is not True]
        # Few large images of probabilities: among many, two would be so close that the differences of the
        # gradient tests cross a kink, where one of them becomes the largest of its neighbours.
        self.forms = (
            *flat,
            ClassForm("sparse", (2, 5, 4, CLASSES), from_logits=True),
            ClassForm("column", (2, 4, 5, CLASSES), from_logits=False, ignored=255),
            ClassForm("soft", (2, 6, CLASSES), from_logits=True),
            ClassForm("one output", (2, 6, 5, 1), from_logits=True),
            ClassForm("multi-label", (2, 7, CLASSES), from_logits=False, ignored=-1),
            ClassForm("one-hot", (2, 3, 5, CLASSES), from_logits=False, axis=1),
            ClassForm("one output", (2, 3, 2, 4, 1), from_logits=False),
            ClassForm("sparse", (3, 4, 3, CLASSES), {"batch": True}, from_logits=True),
            ClassForm("distance maps", (6, 1), DISTANCES, from_logits=False),
            ClassForm("distance maps", (2, 3, 2, 1), DISTANCES, from_logits=True),
            ClassForm("distance maps", (2, 3, 2, CLASSES), DISTANCES, from_logits=False),
            ClassForm("distance maps", (6, CLASSES), DISTANCES | {"multi_label": True}, from_logits=True),
        )
        self.populations = (
            Population(
                [[1], [1], [0], [0], [0]],
                {"from_logits": True, "batch": True},
                {"overlapping region": [True], "likeliest class": [False], "class probability": [2 / 5]},
                decode=lambda loss, bias: expit(bias),
            ),
        )
        masks = Workload("Class ids of images", ids, (4, 128, 128, 4), SMALL, "sparse", {"from_logits": True})
        self.workloads = {"contours": masks}

    def make(self, source: Source, form: Form) -> Batch:
        if form.name != "distance maps":
            return super().make(source, form)
        assert isinstance(form, ClassForm)
        told = {"from_logits": form.from_logits, "multi_label": False, **form.options}
        exclusive = form.shape[-1] > 1 and not told["multi_label"]
        probabilities = source.distributions if exclusive else source.shares
        y_pred = (source.numbers if form.from_logits else probabilities)(form.shape)
        y_true, outputs = source.numbers(form.shape), form.shape[-1]
        called = named(f"{form.name} {told}", y_pred)
        return Batch(called, y_true, y_pred, told, outputs, fitting=fits_outputs(form.shape), value_axes=1)

    def perfect(self, batch: Batch, loss: Any) -> np.ndarray:
        if "distance_maps" not in batch.options:
            return super().perfect(batch, loss)
        if batch.outputs == 1 or batch.options["multi_label"]:
            return np.asarray(batch.y_true < 0, "float32")
        nearest = batch.y_true == batch.y_true.min(-1, keepdims=True)
        return np.asarray(nearest / nearest.sum(-1, keepdims=True), "float32")


register(Masks("masks", hard=False), Masks("hard masks", hard=True), Contours("contours"))
