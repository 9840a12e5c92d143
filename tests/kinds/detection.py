"""Kinds of dense detectors: qualities of outputs, and numbers between bins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tests.kinds.classes import LOGITS_TOLD, Classes, ClassForm
from tests.kinds.kind import (
    CLASSES,
    NUMBERS,
    Batch,
    Form,
    Kind,
    Population,
    Source,
    Workload,
    named,
    outputs,
    register,
    rows,
    softmax_of,
)


def _qualities(random: np.random.Generator, x: np.ndarray) -> np.ndarray:
    """A tenth of the outputs are objects; real detectors have fewer."""
    return np.where(random.random(x.shape) < 0.1, random.random(x.shape), 0.0).astype("float32")


class Qualities(Classes):
    """Outputs that are probabilities of their own, with qualities from 0 to 1 as labels, many of them 0."""

    def __init__(self, name: str) -> None:
        super().__init__(name, one=True, several=True, exclusive=False)
        # Labels 1 are 3/4 of the output; of the three outputs 3/5, 1/5 and 2/5.
        self.populations = (
            Population(
                [[1], [1], [1], [0]],
                LOGITS_TOLD,
                {"likeliest class": [True], "order of probabilities": [0]},
            ),
            Population(
                [[1, 0, 0], [1, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 1]],
                LOGITS_TOLD,
                {"likeliest class": [True, False, False], "order of probabilities": [1, 2, 0]},
                3,
            ),
        )
        self.workloads = {"qualities": Workload("Qualities from 0 to 1", _qualities, NUMBERS)}

    @property
    def description(self) -> str:
        return (type(self).__doc__ or "").splitlines()[0]

    def make(self, source: Source, form: Form) -> Batch:
        batch = super().make(source, form)
        shape = batch.y_true.shape
        # Of the labels 1, some stay.
        is_soft = (batch.y_true == 1) & ~source.some(shape)
        return replace(batch, y_true=np.where(is_soft, source.shares(shape), batch.y_true))

    def extremes(self, dtype: str) -> Iterator[Batch]:
        yield from super().extremes(dtype)
        for from_logits in (True, False):
            pred, _ = outputs(not from_logits, dtype)
            y = np.tile([0.25, 1e-30], len(pred) // 2)
            name = "logits" if from_logits else "probabilities"
            yield Batch(f"soft {name}", y, pred, {"from_logits": from_logits}, 1)


BINS = 16


def _places(random: np.random.Generator, x: np.ndarray) -> np.ndarray:
    return random.uniform(0, BINS - 1, x.shape[:-1]).astype("float32")


def places(source: Source, shape: tuple[int, ...], bins: int) -> np.ndarray:
    """Numbers from 0 to bins - 1, about a third of them whole."""
    lower = source.integers(0, bins - 2, shape)
    return np.where(
        source.some(shape), 1.0 * source.integers(0, bins - 1, shape), lower + source.shares(shape)
    )


def shared(y: np.ndarray, bins: int) -> np.ndarray:
    """The distribution over the bins that shares each number between the two bins beside it."""
    return np.asarray(np.maximum(1 - np.abs(np.asarray(y, "float64")[..., None] - np.arange(bins)), 0))


class Bins(Kind):
    """Numbers from 0 to bins - 1, against a distribution over the bins for each."""

    forms = (
        ClassForm("numbers", (6, 4), from_logits=True),
        ClassForm("numbers", (6, 4), from_logits=False),
        ClassForm("last bin", (5, CLASSES), from_logits=True),
        ClassForm("column", (6, 2), from_logits=False),
        ClassForm("numbers", (2, 4, 5), from_logits=True),
        ClassForm("numbers", (2, 3, 4, CLASSES), from_logits=False),
    )
    every_form = tuple(
        ClassForm(name, shape, from_logits=way)
        for name in ("numbers", "last bin", "column")
        for shape in ((5, 2), (2, 4, 4))
        for way in (True, False)
    )
    # The bins have 3/4 + 1/4, 1/4 + 3/4 + 1 + 1/2 and 1/2 + 1 of the five labels.
    populations = (
        Population(
            [0.25, 0.75, 1.0, 1.5, 2.0],
            {"from_logits": True, "bins": 3},
            {"class probability": [1 / 5, 2.5 / 5, 1.5 / 5]},
            3,
            decode=lambda loss, bias: softmax_of(bias),
        ),
    )
    workloads: Mapping[str, Workload] = {
        "bins": Workload(
            "Numbers between 16 bins", _places, (250_000, BINS), (256, BINS), "one-hot", {"bins": BINS}
        )
    }

    def make(self, source: Source, form: Form) -> Batch:
        assert isinstance(form, ClassForm)
        *leading, bins = form.shape
        y_pred = (source.numbers if form.from_logits else source.distributions)(form.shape)
        y_true = places(source, tuple(leading), bins)
        if form.name == "last bin":
            y_true = np.full_like(y_true, bins - 1.0)
        y_true = y_true[..., None] if form.name == "column" else y_true
        fitting = frozenset([tuple(leading), (*leading, 1)])
        name = f"{named(form.name, y_pred)} {'logits' if form.from_logits else 'probabilities'}"
        told = {"bins": bins, "from_logits": form.from_logits}
        return Batch(name, y_true, y_pred, told, bins, None, fitting)

    def extremes(self, dtype: str) -> Iterator[Batch]:
        for from_logits in (True, False):
            told = {"bins": CLASSES, "from_logits": from_logits}
            kind = "logits" if from_logits else "probabilities"
            pred, ids = rows(not from_logits, dtype)
            yield Batch(f"sparse {kind}", ids, pred, told, CLASSES)
            yield Batch(
                f"between {kind}", np.tile([0.25, 1.5, 2 - 2.0**-20], len(ids) // 3), pred, told, CLASSES
            )

    def perfect(self, batch: Batch, loss: Any) -> np.ndarray:
        return shared(batch.y_true.reshape(batch.leading), batch.outputs).astype("float32")

    def refused(self) -> Iterator[tuple[Mapping[str, Any], Any, Any, str]]:
        three, thirds = {"bins": 3}, [[0.2, 0.3, 0.5]]
        yield three, [2.5], thirds, "2.5"
        yield three, [-0.25], thirds, "-0.25"
        yield three, [float("nan")], thirds, "nan"
        yield three, [1.0], [[1.5, -0.5, 0.0]], "1.5"
        yield three, [1.0], [[0.9, 0.9, 0.9]], "2.7"


register(Qualities("qualities"), Bins("bins"))
