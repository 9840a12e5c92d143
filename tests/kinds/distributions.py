"""Kinds whose targets are distributions: of classes, logits of a teacher, and a latent code's prior."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tests.kinds.classes import ClassForm
from tests.kinds.kind import (
    CLASSES,
    LOGITS,
    ROWS,
    Batch,
    Form,
    Kind,
    Population,
    Source,
    Workload,
    hot,
    named,
    register,
    rows,
    softmax_of,
    with_masked_class,
)


def _normal(random: np.random.Generator, x: np.ndarray) -> np.ndarray:
    return random.standard_normal(x.shape, "float32")


class Distributions(Kind):
    """Two distributions over the last axis; or two measures, which need not add up to 1."""

    may_be_infinite = True
    keeps_logits = True
    forms = (
        ClassForm("soft", (6, CLASSES), from_logits=True),
        ClassForm("soft", (6, CLASSES), from_logits=False),
        ClassForm("one-hot", (6, CLASSES), from_logits=False),
        ClassForm("one-hot", (2, 3, CLASSES), from_logits=True),
        ClassForm("soft", (2, 3, 2, CLASSES), from_logits=False),
        ClassForm("measures", (6, CLASSES)),
        ClassForm("measures", (2, 3, CLASSES)),
    )
    every_form = tuple(
        ClassForm(name, shape, from_logits=way)
        for name in ("soft", "one-hot")
        for shape in ((2, 3, CLASSES), (2, 3, 2, 5))
        for way in (True, False)
    )
    populations = (
        Population(
            [[0.6, 0.3, 0.1], [0.2, 0.2, 0.6]],
            {"from_logits": True},
            {"class probability": [0.8 / 2, 0.5 / 2, 0.7 / 2], "likeliest class": [True, False, False]},
            3,
            decode=lambda loss, bias: softmax_of(bias),
            likeliest=lambda bias: bias == bias.max(),
        ),
        Population(
            [[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]],
            {"from_logits": True},
            {"class probability": [0.5, 0.3, 0.2], "centre of distributions": [0.5, 0.3, 0.2]},
            3,
            decode=lambda loss, bias: softmax_of(bias),
        ),
    )
    workloads: Mapping[str, Workload] = {
        "distributions": Workload(
            "Distributions", lambda r, x: softmax_of(_normal(r, x)), ROWS, reference="one-hot"
        )
    }

    def make(self, source: Source, form: Form) -> Batch:
        assert isinstance(form, ClassForm)
        if form.name == "measures":
            y_true, y_pred = (2 * source.shares(form.shape) for _ in range(2))
            told: dict[str, Any] = {"generalized": True}
        else:
            told = {"from_logits": form.from_logits}
            y_pred = (source.numbers if form.from_logits else source.distributions)(form.shape)
            classes = form.shape[-1]
            y_true = source.distributions(form.shape)
            if form.name == "one-hot":
                y_true = hot(source.integers(0, classes - 1, form.shape[:-1]), classes)
        fitting = frozenset([form.shape])
        words = {True: "logits", False: "probabilities"}[form.from_logits]
        return Batch(
            f"{named(form.name, y_pred)} {words}", y_true, y_pred, told, form.shape[-1], None, fitting
        )

    def extremes(self, dtype: str) -> Iterator[Batch]:
        for from_logits in (True, False):
            told, kind = {"from_logits": from_logits}, "logits" if from_logits else "probabilities"
            pred, true = rows(not from_logits, dtype)
            yield Batch(f"one-hot {kind}", hot(true, CLASSES), pred, told, CLASSES)
            yield Batch(f"soft {kind}", 0.8 * hot(true, CLASSES) + 0.2 / CLASSES, pred, told, CLASSES)

    def masked(self, batch: Batch) -> Batch | None:
        return with_masked_class(batch) if batch.options.get("from_logits") else None


class TeacherLogits(Kind):
    """Logits of a student against those of a teacher."""

    forms = tuple(Form("logits", shape) for shape in ((6, CLASSES), (2, 3, CLASSES), (2, 3, 2, CLASSES)))
    populations = (
        Population(
            2 * np.log([[0.6, 0.3, 0.1], [0.2, 0.2, 0.6]]),
            {"temperature": 2.0},
            {"class probability": [0.8 / 2, 0.5 / 2, 0.7 / 2]},
            3,
            decode=lambda loss, bias: softmax_of(bias / 2),
        ),
    )
    workloads: Mapping[str, Workload] = {
        "logits": Workload("Logits of a teacher", _normal, ROWS, reference="one-hot")
    }

    def make(self, source: Source, form: Form) -> Batch:
        y_true, y_pred = source.numbers(form.shape), source.numbers(form.shape)
        fitting = frozenset([form.shape])
        return Batch(named(form.name, y_pred), y_true, y_pred, {}, form.shape[-1], None, fitting)

    def extremes(self, dtype: str) -> Iterator[Batch]:
        pred, true = rows(False, dtype)
        yield Batch("of a teacher far away", pred[::-1], pred, {}, CLASSES)
        yield Batch("of a teacher near by", pred + 0.125 * hot(true, CLASSES), pred, {}, CLASSES)

    def masked(self, batch: Batch) -> Batch | None:
        made = with_masked_class(batch)
        return replace(made, y_true=np.where(np.isneginf(made.y_pred), -np.inf, made.y_true))


class Latents(Kind):
    """Means and logarithms of variances of a latent code, with targets that are not read."""

    forms = (
        Form("latents", (6, 2)),
        Form("latents", (2, 3, 4)),
        Form("latents without targets", (6, 4)),
    )
    every_form = (Form("latents", (2, 3, 2, 2)),)
    # The prior: a mean of 0, and the logarithm of a variance of 1.
    populations = (Population([[0.0], [0.0]], {}, {"centre of distributions": [0.0, 0.0]}, 2, start=1.0),)
    workloads: Mapping[str, Workload] = {
        "latents": Workload(
            "Latent means and variances", lambda r, x: np.zeros(x.shape[:-1], "float32"), ROWS
        )
    }

    def make(self, source: Source, form: Form) -> Batch:
        y_pred = source.numbers(form.shape)
        leading, means = form.shape[:-1], form.shape[-1] // 2
        y_true = np.zeros(leading if "without" in form.name else (*leading, means))
        fitting = frozenset([leading, (*leading, means)])
        return Batch(named(form.name, y_pred), y_true, y_pred, {}, form.shape[-1], None, fitting)

    def extremes(self, dtype: str) -> Iterator[Batch]:
        pred = np.array(list(itertools.product(LOGITS, repeat=2)))
        yield Batch("latents", np.zeros(len(pred)), pred)

    def perfect(self, batch: Batch, loss: Any) -> np.ndarray:
        return np.zeros_like(batch.y_pred, "float32")


register(Distributions("distributions"), TeacherLogits("logits"), Latents("latents"))
