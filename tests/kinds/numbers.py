"""Kinds whose targets are numbers: residuals, signs, amounts, and several levels of one target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from tests.kinds.kind import (
    LOGITS,
    NUMBERS,
    Batch,
    Form,
    Kind,
    Population,
    Source,
    Workload,
    fits_one_by_one,
    named,
    outputs,
    register,
)

SHAPES = ((6,), (6, 1), (6, 2), (2, 3, 2))
MORE_SHAPES = ((2, 3, 2, 2), (5, 1, 3))
FIVE = [[0.0], [1.0], [1.0], [2.0], [11.0]]
"""Mean 3, median 1."""


def binary(random: np.random.Generator, x: np.ndarray) -> np.ndarray:
    return random.integers(0, 2, x.shape).astype("float32")


class Numbers(Kind):
    """Real numbers against real numbers."""

    exact_residual = True
    forms = (*(Form("numbers", shape) for shape in SHAPES), Form("numbers against a column", (6,)))
    every_form = tuple(Form("numbers", shape) for shape in MORE_SHAPES)
    populations = (Population(FIVE, {}, {"mean": 15 / 5, "median": 1.0}),)
    workloads: Mapping[str, Workload] = {
        "numbers": Workload("Real numbers", lambda r, x: r.standard_normal(x.shape, "float32"), NUMBERS)
    }

    def make(self, source: Source, form: Form) -> Batch:
        y_true, y_pred = source.numbers(form.shape), source.numbers(form.shape)
        if form.name == "numbers against a column":
            y_pred = y_pred[..., None]
        return Batch(
            named(form.name, y_pred), y_true, y_pred, {}, _width(y_pred), None, fits_one_by_one(y_pred.shape)
        )

    def extremes(self, dtype: str) -> Iterator[Batch]:
        far, _ = outputs(False, dtype)
        yield Batch("far", np.full_like(far, 0.25), far)


class Signs(Kind):
    """Labels -1 and 1, or 0 and 1, against scores."""

    forms = tuple(
        Form(encoding, shape, {"labels": encoding})
        for encoding, shape in (
            ("signed", (6,)),
            ("binary", (6, 1)),
            ("signed", (6, 2)),
            ("binary", (2, 3, 2)),
            ("signed", (2, 3, 2, 2)),
        )
    )
    every_form = tuple(Form(e, s, {"labels": e}) for e in ("signed", "binary") for s in SHAPES)
    populations = (
        Population([[1.0], [1.0], [1.0], [-1.0], [-1.0]], {}, {"likeliest class": [True]}),
        Population([[0], [0], [0], [1], [1]], {"labels": "binary"}, {"likeliest class": [False]}),
    )
    workloads: Mapping[str, Workload] = {
        "signs": Workload("Labels -1 and 1", lambda r, x: 2 * binary(r, x) - 1, NUMBERS)
    }

    def make(self, source: Source, form: Form) -> Batch:
        y_pred = source.numbers(form.shape)
        y_true = source.integers(0, 1, form.shape)
        if form.options["labels"] == "signed":
            y_true = 2.0 * y_true - 1.0
        name, fitting = named(form.name, y_pred), fits_one_by_one(y_pred.shape)
        return Batch(name, y_true, y_pred, form.options, _width(y_pred), None, fitting)

    def extremes(self, dtype: str) -> Iterator[Batch]:
        scores, y = outputs(False, dtype)
        yield Batch("signed", 2 * y - 1, scores, {"labels": "signed"})
        yield Batch("binary", y, scores, {"labels": "binary"})


class Amounts(Kind):
    """Numbers that are 0 or more, against predicted means or their logarithms."""

    def __init__(self, name: str, zeros: Mapping[str, Any] | None) -> None:
        super().__init__(name)
        self.zeros = zeros
        """Arguments of the loss if targets may be 0; None if they must be above 0."""
        made = [
            Form("amounts", (6,), {"log_link": True}),
            Form("amounts", (6, 1), {"log_link": False}),
            Form("amounts", (2, 3, 2), {"log_link": True}),
        ]
        if zeros is not None:
            made += [
                Form("with zeros", (6, 2), {"log_link": True, **zeros}),
                Form("with zeros", (6, 2), {"log_link": False, **zeros}),
            ]
        self.forms = tuple(made)
        self.every_form = tuple(
            Form(form.name, shape, {**form.options, "log_link": link})
            for form in made
            for shape in SHAPES
            for link in (True, False)
        )
        mean = {"mean": np.log(15 / 5)}
        labels = [[0.5], [1.0], [1.0], [2.0], [10.5]] if zeros is None else [[0], [1], [1], [2], [11]]
        self.populations = (Population(labels, {}, mean),)
        title, domain = ("Numbers above 0", "positives") if zeros is None else ("Counts", "amounts")
        self.workloads = {domain: Workload(title, self._many, NUMBERS)}

    @property
    def description(self) -> str:
        domain = "above 0" if self.zeros is None else "of 0 or more"
        return f"Numbers {domain}, against predicted means or their logarithms (`log_link`)."

    def _many(self, random: np.random.Generator, x: np.ndarray) -> np.ndarray:
        found = random.lognormal(0, 1, x.shape) if self.zeros is None else random.poisson(3.0, x.shape)
        return np.asarray(found, "float32")

    def make(self, source: Source, form: Form) -> Batch:
        y_true, y_pred = np.exp(0.75 * source.numbers(form.shape)), 0.75 * source.numbers(form.shape)
        if form.name == "with zeros":
            y_true = np.where(source.some(form.shape), 0.0, np.ceil(y_true))
        link = form.options["log_link"]
        y_pred = y_pred if link else np.exp(y_pred)
        name = f"{named(form.name, y_pred)} {'logarithms' if link else 'means'}"
        return Batch(name, y_true, y_pred, form.options, _width(y_pred), None, fits_one_by_one(y_pred.shape))

    def extremes(self, dtype: str) -> Iterator[Batch]:
        far, _ = outputs(False, dtype)
        yield Batch("amounts", np.tile([0.25, 3.0], len(far) // 2), far, {"log_link": True})
        if self.zeros is not None:
            yield Batch("zeros", np.zeros_like(far), far, {"log_link": True, **self.zeros})
        means = np.repeat([1e-3, 0.1, 0.9, 0.999], 2)
        yield Batch("means", np.tile([0.25, 3.0], 4), means, {"log_link": False})

    def perfect(self, batch: Batch, loss: Any) -> np.ndarray:
        exact = super().perfect(batch, loss)
        return exact if loss.log_link else np.maximum(exact, 1e-6)

    def last_layer(self, loss: Any, units: int) -> keras.layers.Layer:
        return keras.layers.Dense(units, activation=None if loss.log_link else "exponential")


class Levels(Kind):
    """One prediction for each of several levels of a target, packed in the last axis."""

    def __init__(self, name: str, called: str) -> None:
        super().__init__(name)
        self.called = called
        """Name of the hyper-parameter with the levels."""
        several = {called: [0.1, 0.5, 0.9]}
        self.forms = (
            *(Form("one level", shape, {called: 0.5}) for shape in ((6,), (6, 2))),
            *(Form("levels", shape, several) for shape in SHAPES),
        )
        self.every_form = tuple(Form("one level", shape, {called: 0.5}) for shape in SHAPES)
        functional = {"quantiles": {"median": 1.0}, "tau": {"mean": 15 / 5}}[called]
        self.populations = (Population(FIVE, {}, functional),)
        self.workloads = Numbers.workloads

    @property
    def description(self) -> str:
        return f"Real numbers against a packed prediction for each of the levels in `{self.called}`."

    def make(self, source: Source, form: Form) -> Batch:
        levels = np.size(form.options[self.called])
        targets = form.shape if len(form.shape) > 1 or levels == 1 else (*form.shape, 1)
        y_true = source.numbers(form.shape)
        y_pred = source.numbers(targets if levels == 1 else (*targets[:-1], levels * targets[-1]))
        fitting = fits_one_by_one(targets) if levels == 1 else fits_packed(targets)
        return Batch(named(form.name, y_pred), y_true, y_pred, form.options, _width(y_pred), None, fitting)

    def extremes(self, dtype: str) -> Iterator[Batch]:
        far, _ = outputs(False, dtype)
        yield Batch("one level", np.full_like(far, 0.25), far, {self.called: 0.5})
        several = np.stack([far, np.roll(far, 2), np.roll(far, 5)], -1)
        yield Batch("levels", np.full_like(far, 0.25), several, {self.called: [0.1, 0.5, 0.9]})

    def perfect(self, batch: Batch, loss: Any) -> np.ndarray:
        truth = np.asarray(batch.y_true, "float32")
        if truth.size == batch.y_pred.size:
            return truth.reshape(batch.y_pred.shape)
        *leading, last = batch.y_pred.shape
        targets = truth.reshape(*leading, -1)
        return np.tile(targets, last // targets.shape[-1])


class Packed(Kind):
    """Several predicted numbers for each target, packed in the last axis."""

    def __init__(
        self,
        name: str,
        domain: str,
        parts: Mapping[int, Mapping[str, Any]],
        labels: Any,
        told: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(name)
        self.domain, self.parts = domain, parts
        """`parts`: for each possible count of numbers per target, the arguments of the loss."""
        first = next(iter(parts))
        # Every number of parts, each on another shape.
        self.forms = tuple(
            Form(f"{parts} numbers", shape, {"parts": parts})
            for parts in parts
            for shape in ((6, 1), (2, 3, 2))
        )
        self.forms = (*self.forms, Form(f"{first} numbers without an axis", (6, 1), {"parts": first}))
        if first == 1:
            self.forms = (*self.forms, Form("1 number without axes", (6, 1), {"parts": 1}))
        self.every_form = tuple(
            Form(f"{parts} numbers", shape, {"parts": parts})
            for parts in parts
            for shape in ((6, 2), (2, 3, 2, 2))
        )
        fitted = (
            parts if told is None else {number: told for number, options in parts.items() if options == told}
        )
        fitted = fitted or {first: told}
        self.populations = tuple(
            Population(labels, more or {}, {}, number) for number, more in fitted.items()
        )
        self.workloads = {
            f"{many} of {domain}": Workload(
                f"{many} number{'s' * (many > 1)} for each of a million {domain}",
                self._targets_of(many),
                (1_000_000, many),
                (256, 10 * many),
                options=told,
            )
            for many, told in list(parts.items())[:1]
        }

    @property
    def description(self) -> str:
        counts = " or ".join(map(str, self.parts))
        return f"{counts} packed predictions for each target; targets are {self.domain}."

    def _targets_of(self, parts: int) -> Any:
        makers = {
            "counts": lambda random, shape: random.poisson(3.0, shape),
            "positives": lambda random, shape: random.lognormal(0, 1, shape),
            "reals": lambda random, shape: random.standard_normal(shape),
            "shares": lambda random, shape: random.beta(1.5, 2.5, shape),
        }

        def targets(random: np.random.Generator, x: np.ndarray) -> np.ndarray:
            return np.asarray(makers[self.domain](random, (*x.shape[:-1], x.shape[-1] // parts)), "float32")

        return targets

    def make(self, source: Source, form: Form) -> Batch:
        parts = form.options["parts"]
        y_true = self._in_domain(source, form.shape)
        y_pred = 0.75 * source.numbers((*form.shape[:-1], parts * form.shape[-1]))
        if "without an axis" in form.name:
            y_true = y_true[..., 0]
        if "without axes" in form.name:
            y_true, y_pred = y_true[..., 0], y_pred[..., 0]
        fitting = fits_packed(form.shape)
        if parts == 1:
            fitting = fits_one_by_one(y_pred.shape)
        name = named(f"{form.name} of {self.domain}", y_pred)
        return Batch(name, y_true, y_pred, self.parts[parts], 1, None, fitting)

    def _in_domain(self, source: Source, shape: tuple[int, ...]) -> np.ndarray:
        if self.domain == "counts":
            return source.integers(0, 9, shape).astype("float32")
        if self.domain == "reals":
            return 1.5 * source.numbers(shape)
        return source.shares(shape) if self.domain == "shares" else np.exp(0.75 * source.numbers(shape))

    def extremes(self, dtype: str) -> Iterator[Batch]:
        """One number of each target far away, and two of them, among others of an ordinary size."""
        targets = {
            "reals": (0.25, -10.0),
            "counts": (0.0, 3.0, 1e4),
            "positives": (0.25, 1e-30, 1e30),
            "shares": (0.25, 1e-30, 1 - 2.0**-24),
        }[self.domain]
        for parts, told in self.parts.items():
            found = [[0.3] * parts]
            for first in range(parts):
                for second in range(first, parts):
                    for a in LOGITS:
                        for b in LOGITS:
                            row = [0.3] * parts
                            row[first], row[second] = a, b
                            found.append(row)
            y_pred = np.unique(found, axis=0)
            # All targets in one batch, since a call costs more than its rows.
            every = np.tile(y_pred, (len(targets), 1))
            y_true = np.repeat(targets, len(y_pred))[:, None]
            yield Batch(f"{parts} numbers", y_true, every, told)

    def perfect(self, batch: Batch, loss: Any) -> np.ndarray:
        truth = np.asarray(batch.y_true, "float32")
        if batch.y_pred.ndim == 1:
            return truth
        truth = truth.reshape(*batch.y_pred.shape[:-1], -1)
        others = batch.y_pred[..., truth.shape[-1] :]
        return np.concatenate([truth, 0 * others], -1).astype("float32")


def fits_packed(targets: tuple[int, ...]) -> frozenset[tuple[int, ...]]:
    """Shapes of targets with several predictions each: of one target with an axis for it or without."""
    return frozenset([targets, targets[:-1]] if targets[-1] == 1 else [targets])


def _width(y_pred: np.ndarray) -> int:
    return y_pred.shape[-1] if y_pred.ndim > 1 else 1


EIGHT = [[-2.0], [0.0], [0.5], [1.0], [1.0], [1.5], [2.0], [4.0]]

register(
    Numbers("numbers"),
    Signs("signs"),
    Amounts("positives", None),
    Amounts("amounts", {}),
    Amounts("amounts by powers", {"power": 1.5}),
    Levels("quantiles", "quantiles"),
    Levels("expectiles", "tau"),
    Packed("1 of counts", "counts", {1: {}}, [[0], [1], [1], [2], [11]]),
    Packed("2 of counts", "counts", {2: {}}, [[0], [0], [0], [2], [2], [3], [11]]),
    Packed("2 of positives", "positives", {2: {}}, [[0.2], [1.0], [1.0], [2.0], [11.0]]),
    Packed("2 of shares", "shares", {2: {}}, [[0.1], [0.2], [0.2], [0.3], [0.8]]),
    Packed("2 of reals", "reals", {2: {}}, [[0.0], [1.0], [2.0], [4.0]]),
    Packed("2 or 3 of reals", "reals", {3: {"df": None}, 2: {"df": 3.5}}, EIGHT),
    # Two components that start alike stay alike, so that the fit is one of one component.
    Packed(
        "3 of each component of reals",
        "reals",
        {6: {"components": 2}, 3: {"components": 1}},
        [[0.0], [1.0], [2.0], [4.0]],
        {"components": 1},
    ),
    # With the term that takes evidence away, the best is to have none.
    Packed("4 of reals", "reals", {4: {}}, EIGHT, {"coefficient": 0.0}),
)
