"""Heatmaps: labels from 0 to 1 that are 1 at peaks, and one value for each image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tests.kinds.classes import CLASSES, Classes, ClassForm
from tests.kinds.kind import Batch, Form, Population, Source, Workload, register


def _peaks(random: np.random.Generator, x: np.ndarray) -> np.ndarray:
    y = np.maximum(random.normal(-0.5, 0.4, x.shape), 0)
    return np.where(random.random(x.shape) < 1e-3, 1, np.minimum(y, 0.99)).astype("float32")


class Heatmaps(Classes):
    """Labels from 0 to 1 that are 1 at peaks, against logits or probabilities; one value per image."""

    of_images = True

    def __init__(self, name: str) -> None:
        super().__init__(name, one=True, several=True, exclusive=False)
        images = (
            ClassForm("one output", (2, 3, 4, 1), from_logits=True),
            ClassForm("multi-label", (2, 3, 2, CLASSES), from_logits=False),
        )
        self.forms = (*self.forms, *images)
        self.every_form = ()
        # One peak of three numbers; the higher label costs less.
        self.populations = (
            Population(
                [[1, 0.5, 0.0], [0.0, 0.5, 1.0], [1.0, 0.0, 0.0]],
                {"from_logits": True},
                {"order of probabilities": [1, 2, 0]},
                3,
            ),
        )
        self.workloads: Mapping[str, Workload] = {
            "heatmaps": Workload(
                "Heatmaps", _peaks, (16, 128, 128, 20), (8, 16, 16, 2), options={"from_logits": True}
            )
        }

    @property
    def description(self) -> str:
        return "Heatmaps: labels from 0 to 1 that are 1 at peaks; logits or probabilities of each output."

    def make(self, source: Source, form: Form) -> Batch:
        batch = super().make(source, form)
        reduced = np.where(source.some(batch.y_true.shape), source.shares(batch.y_true.shape), batch.y_true)
        ignored = batch.options.get("ignore_class")
        y_true = np.where(batch.y_true == ignored, batch.y_true, reduced) if ignored is not None else reduced
        if batch.y_pred.ndim <= 2:
            return replace(batch, y_true=y_true)
        return replace(batch, y_true=y_true, value_axes=1, known=None)

    def mean_over(self, batch: Batch) -> int:
        return 1

    def refused(self) -> Iterator[tuple[Mapping[str, Any], Any, Any, str]]:
        yield {}, [[1.5, 0.0]], [[0.5, 0.5]], "1.5"
        yield {}, [[-0.5, 0.0]], [[0.5, 0.5]], "-0.5"
        yield {}, [[1.0, 0.0]], [[0.5, 3.0]], "3"


register(Heatmaps("heatmaps"))
