"""Masks of images: the labels of pixels, and one value for each image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from tests.kinds.classes import CLASSES, Classes, ClassForm, ids, one_hot
from tests.kinds.kind import Batch, Form, Population, Source, Workload, register

PICTURES = (16, 256, 256, 4)


class Masks(Classes):
    """Masks of images: class ids, one-hot or soft labels, or 0/1 labels of outputs; one value per image."""

    of_images = True

    def __init__(self, name: str, hard: bool) -> None:
        super().__init__(name, one=True, several=True, exclusive=True)
        self.hard = hard
        """Whether labels are not soft."""
        images = (
            ClassForm("sparse", (2, 3, 4, CLASSES), from_logits=True),
            ClassForm("column", (2, 3, 2, CLASSES), from_logits=False),
            ClassForm("sparse", (2, 2, 2, 2, CLASSES), from_logits=False, ignored=255),
            ClassForm("one output", (2, 3, 4, 1), from_logits=True),
            ClassForm("multi-label", (2, 3, 2, CLASSES), from_logits=True, ignored=-1),
            ClassForm("sparse", (3, 4, CLASSES), {"batch": True}, from_logits=False),
            ClassForm("multi-label", (6, CLASSES), {"batch": True}, from_logits=True),
        )
        forms = [*self.forms, *images]
        self.forms = tuple(form for form in forms if not (hard and "soft" in form.name))
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
            "masks": Workload("Class ids of images", ids, PICTURES, None, "sparse", {"from_logits": True}),
            "one-hot masks": Workload("One-hot masks of images", one_hot, PICTURES, None, "one-hot"),
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


register(Masks("masks", hard=False), Masks("hard masks", hard=True))
