"""Kinds whose labels are ordered classes, whose number the loss is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from scipy.special import expit

from keras_losses import CumulativeLink
from tests.kinds.classes import SIX_THREE_ONE, ClassForm, labelled
from tests.kinds.kind import (
    CLASSES,
    LOGITS,
    Batch,
    Form,
    Kind,
    Population,
    Source,
    Workload,
    hot,
    register,
    rows,
    with_masked_class,
)
from tests.oracles import REGISTRY

LEVELS = 10
"""How many ordered classes there are in workloads."""


def _ranks(random: np.random.Generator, x: np.ndarray) -> np.ndarray:
    return random.integers(0, LEVELS, x.shape[:-1], "int32")


def _cut(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """A score, and cut points that increase."""
    gaps = random.uniform(0.3, 1.5, (*shape[:-1], shape[-1] - 1)).astype("float32")
    return np.concatenate([random.standard_normal((*shape[:-1], 1), "float32"), np.cumsum(gaps, -1) - 4], -1)


class Ordinal(Kind):
    """Labels over ordered classes; a subclass says what stands in the outputs."""

    forms = (
        ClassForm("sparse", (6, CLASSES)),
        ClassForm("one-hot", (6, CLASSES)),
        ClassForm("soft", (6, CLASSES), from_logits=False),
        ClassForm("column", (6, CLASSES)),
        ClassForm("sparse", (2, 4, CLASSES), ignored=-1, from_logits=False),
        ClassForm("sparse", (6, CLASSES), ignored=255),
        ClassForm("one-hot", (2, 4, CLASSES), ignored=1),
        ClassForm("sparse", (2, 3, 2, CLASSES), axis=1),
        ClassForm("one-hot", (2, 3, 2, CLASSES), axis=1, from_logits=False),
        ClassForm("sparse", (6, 2)),
        ClassForm("sparse", (6, 12)),
    )
    every_form = (ClassForm("soft", (2, 4, CLASSES)), ClassForm("column", (6, 7)))

    def make(self, source: Source, form: Form) -> Batch:
        assert isinstance(form, ClassForm)
        told, y_pred = self.outputs(source, form)
        if form.ignored is not None:
            told["ignore_class"] = form.ignored
        return labelled(source, form, y_pred, told, form.shape[-1])

    def outputs(self, source: Source, form: ClassForm) -> tuple[dict[str, Any], np.ndarray]:
        """What the loss is told, and predictions for labels (..., classes)."""
        raise AssertionError("a subclass says what stands in the outputs")

    def _ids(self, batch: Batch) -> np.ndarray:
        truth = np.asarray(batch.y_true)
        if truth.shape[-1:] == (batch.outputs,) and truth.ndim > 1:
            return truth.argmax(-1)
        return truth.reshape(-1)


class Ranks(Ordinal):
    """A score for each y > k: Cao 2019, Shi 2021."""

    populations = (
        Population(
            [0] * 6 + [1] * 3 + [2],
            {"num_classes": 3},
            SIX_THREE_ONE,
            2,
            decode=lambda loss, z: _from_ranks(z, conditional=REGISTRY[loss].shares is not None),
        ),
    )
    workloads: Mapping[str, Workload] = {
        "ranks": Workload(
            "Ranks, with logits of being above",
            _ranks,
            (400_000, LEVELS - 1),
            (256, LEVELS - 1),
            options={"num_classes": LEVELS},
        )
    }

    def outputs(self, source: Source, form: ClassForm) -> tuple[dict[str, Any], np.ndarray]:
        classes = form.shape[-1]
        return {"num_classes": classes}, source.numbers((*form.shape[:-1], classes - 1))

    def extremes(self, dtype: str) -> Iterator[Batch]:
        pred, true = rows(False, dtype)
        told = {"num_classes": CLASSES}
        yield Batch("sparse", true, pred[:, :-1], told, CLASSES)
        yield Batch("one-hot", hot(true, CLASSES), pred[:, :-1], told, CLASSES)

    def perfect(self, batch: Batch, loss: Any) -> np.ndarray:
        return (self._ids(batch)[:, None] > np.arange(batch.outputs - 1)).astype("float32")


def _from_ranks(z: np.ndarray, conditional: bool) -> np.ndarray:
    """Probabilities from sigmoids of y > k, for all samples or for those that are past the rank before.

    Conditional tasks are as many as the ranks that a sample has passed, which the loss's oracle says.
    """
    above = np.cumprod(expit(z)) if conditional else expit(z)
    return -np.diff([1.0, *above, 0.0])


class CutPoints(Ordinal):
    """A score, and the cut points that divide its line into classes: McCullagh 1980."""

    populations = (
        Population(
            [0] * 6 + [1] * 3 + [2],
            {"num_classes": 3},
            SIX_THREE_ONE,
            3,
            decode=lambda loss, x: np.diff([0.0, *expit(x[1:] - x[0]), 1.0]),
        ),
    )
    workloads: Mapping[str, Workload] = {
        "cut points": Workload(
            "Ranks, with cut points",
            _ranks,
            (400_000, LEVELS),
            reference="sparse",
            options={"num_classes": LEVELS},
            predictions=_cut,
        )
    }

    def outputs(self, source: Source, form: ClassForm) -> tuple[dict[str, Any], np.ndarray]:
        leading, classes = form.shape[:-1], form.shape[-1]
        first = source.shares((*leading, 1)) - 1.5
        gaps = 0.3 + source.shares((*leading, classes - 2))
        score = source.numbers((*leading, 1))
        return {"num_classes": classes}, np.concatenate([score, first, first + np.cumsum(gaps, -1)], -1)

    def extremes(self, dtype: str) -> Iterator[Batch]:
        # Scores far away and near, between cut points that are close, at an ordinary distance, and far.
        found = [[f, a, b] for f in (*LOGITS, 0.3, 2.0) for a, b in ((-0.25, 0.25), (-1, 2), (-50, 60))]
        pred, true = np.repeat(found, CLASSES, axis=0), np.tile(np.arange(CLASSES), len(found))
        told = {"num_classes": CLASSES}
        yield Batch("sparse", true, pred, told, CLASSES)
        yield Batch("one-hot", hot(true, CLASSES), pred, told, CLASSES)

    def perfect(self, batch: Batch, loss: Any) -> np.ndarray:
        ids = self._ids(batch)[:, None]
        ranks = np.arange(batch.outputs - 1)
        return np.concatenate([ids - 0.5, ranks + 0 * ids], -1).astype("float32")

    def last_layer(self, loss: Any, units: int) -> keras.layers.Layer:
        return CumulativeLink(loss.num_classes, link=loss.link)


class Pooled(Ordinal):
    """A probability or a logit for each class, of a loss over the whole batch: de la Torre 2018."""

    class_ids = False
    workloads: Mapping[str, Workload] = {
        "pooled": Workload(
            "Ranks, with a logit each",
            _ranks,
            (400_000, LEVELS),
            reference="sparse",
            options={"num_classes": LEVELS},
        )
    }

    def outputs(self, source: Source, form: ClassForm) -> tuple[dict[str, Any], np.ndarray]:
        make = source.numbers if form.from_logits else source.distributions
        return {"num_classes": form.shape[-1], "from_logits": form.from_logits}, make(form.shape)

    def extremes(self, dtype: str) -> Iterator[Batch]:
        for kind in ("logits", "probabilities"):
            told = {"num_classes": CLASSES, "from_logits": kind == "logits"}
            pred, true = rows(kind == "probabilities", dtype)
            yield Batch(f"sparse {kind}", true, pred, told, CLASSES)
            yield Batch(f"soft {kind}", 0.8 * hot(true, CLASSES) + 0.2 / CLASSES, pred, told, CLASSES)

    def masked(self, batch: Batch) -> Batch | None:
        made = with_masked_class(batch)
        told = {**batch.options, "num_classes": made.outputs}
        return replace(made, options=told) if batch.options["from_logits"] else None

    def perfect(self, batch: Batch, loss: Any) -> np.ndarray:
        truth = np.asarray(batch.y_true, "float32")
        is_rows = truth.ndim > 1 and truth.shape[-1] == batch.outputs
        return (truth if is_rows else hot(self._ids(batch), batch.outputs)).astype("float32")


register(Ranks("ranks"), CutPoints("cut points"), Pooled("pooled"))
