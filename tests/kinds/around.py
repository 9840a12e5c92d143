"""Kinds of losses inside a loss: the data are those of the loss inside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from keras_losses import AbsoluteErrorLoss, CrossentropyLoss, HingeLoss, SquaredErrorLoss
from tests import every_loss as losses
from tests.kinds import classes, numbers
from tests.kinds.kind import (
    KINDS,
    Batch,
    Form,
    Kind,
    Population,
    Seeded,
    Source,
    fits_one_by_one,
    inner,
    named,
    register,
)
from tests.oracles import REGISTRY

INSIDE = (
    "numbers", "signs", "amounts", "quantiles", "classes", "scores", "views", "distributions", "latents",
    "ranks", "2 of reals",
)  # fmt: skip
"""The kinds that differ in what a loss around has to know: of the others the thorough suite tries all."""

OF_KERAS = "mean_squared_error"
"""A loss of Keras as the loss inside."""


def fits_inside(name: str) -> bool:
    """Whether it is tried inside another loss, whose reference does not know what this one holds constant."""
    return name in REGISTRY and REGISTRY[name].held is None and not KINDS[REGISTRY[name].takes].around


def _one_of_each_kind(kinds: tuple[str, ...] = INSIDE) -> dict[str, str]:
    found = {REGISTRY[name].takes: name for name in losses.LOSSES if fits_inside(name)}
    return {kind: name for kind, name in found.items() if kind in kinds}


@dataclass(frozen=True)
class InnerForm(Form):
    """A form of the data of the loss inside."""

    inside: str = OF_KERAS
    data: Form | None = None


class Around(Kind):
    """Labels and predictions of an inner loss; a sum has the same loss twice."""

    around = True
    inside = INSIDE
    inside_at_extremes = INSIDE

    def __init__(self, name: str, summed: bool) -> None:
        super().__init__(name)
        self.summed = summed
        self.populations = tuple(
            Population([[0.0], [1.0], [1.0], [2.0], [11.0]], self._told(loss), truth)
            for loss, truth in (
                (SquaredErrorLoss(), {"mean": 15 / 5}),
                (AbsoluteErrorLoss(), {"median": 1.0}),
            )[: 1 if summed else 2]
        )
        if not summed:
            signs = Population([[1.0], [1.0], [-1.0]], self._told(HingeLoss()), {"likeliest class": [True]})
            labels = replace(classes.ONE_OUTPUT, options=self._told(CrossentropyLoss(from_logits=True)))
            self.populations = (*self.populations, labels, signs)
        self.workloads = numbers.Numbers.workloads if summed else {"sparse": classes.OF_CLASSES["sparse"]}

    def _told(self, loss: Any) -> dict[str, Any]:
        return {"losses": {"first": loss, "second": loss}} if self.summed else {"loss": loss}

    @property
    def forms(self) -> tuple[InnerForm, ...]:  # type: ignore[override]
        """The first flat form of each kind, and those with other axes and ignored labels of some."""
        found = [InnerForm("keras", (6, 2))]
        for kind, name in _one_of_each_kind(self.inside).items():
            possible = [form for form in KINDS[kind].forms if self._taken(name, KINDS[kind], form)]
            turn = len(found) % 2
            flat = [form for form in possible if len(form.shape) <= 2]
            found.append(InnerForm(kind, (), inside=name, data=flat[min(turn, len(flat) - 1)]))
            if kind in ("classes", "ranks", "numbers"):
                found += [
                    InnerForm(f"{kind} {form.name}", (), inside=name, data=form)
                    for form in possible
                    if getattr(form, "ignored", None) is not None or len(form.shape) > 2
                ][:3]
        return tuple(found)

    @property
    def every_form(self) -> tuple[InnerForm, ...]:  # type: ignore[override]
        return tuple(
            InnerForm(f"{kind} {form.name}", (), inside=name, data=form)
            for kind, name in _one_of_each_kind(
                tuple(KINDS) if self.inside is INSIDE else self.inside
            ).items()
            for form in KINDS[kind].forms
            if self._taken(name, KINDS[kind], form)
        )

    def _taken(self, name: str, kind: Kind, form: Form) -> bool:
        options = kind.make(Seeded(), form).options
        return options.keys() <= losses.LOSSES[name].hyperparameters.keys()

    def make(self, source: Source, form: Form) -> Batch:
        assert isinstance(form, InnerForm)
        if form.data is None:
            y_true, y_pred = source.numbers(form.shape), source.numbers(form.shape)
            fitting = fits_one_by_one(y_pred.shape)
            return Batch(
                f"a Keras loss {named('', y_pred)}", y_true, y_pred, self._told(OF_KERAS), 1, None, fitting
            )
        batch = KINDS[REGISTRY[form.inside].takes].make(source, form.data)
        loss = losses.build(form.inside, batch.options, batch.outputs)
        return replace(batch, name=f"{form.inside} {batch.name}", options=self._told(loss))

    def extremes(self, dtype: str) -> Iterator[Batch]:
        # The first batch of each kind, since the inner losses have proved all of theirs.
        for kind, name in _one_of_each_kind(self.inside_at_extremes).items():
            batch = next(
                batch
                for batch in KINDS[kind].extremes(dtype)
                if batch.options.keys() <= losses.LOSSES[name].hyperparameters.keys()
            )
            loss = losses.build(name, batch.options, batch.outputs)
            yield replace(batch, name=f"{name} {batch.name}", options=self._told(loss))

    def perfect(self, batch: Batch, loss: Any) -> np.ndarray:
        name = type(inner(batch.options)).__name__
        if name not in REGISTRY:
            return super().perfect(batch, loss)
        return KINDS[REGISTRY[name].takes].perfect(replace(batch), inner(batch.options))

    def last_layer(self, loss: Any, units: int) -> Any:
        inside = losses.inside(loss)
        kind = KINDS[REGISTRY[type(inside).__name__].takes] if type(inside).__name__ in REGISTRY else None
        return kind.last_layer(inside, units) if kind else super().last_layer(loss, units)


class Hardest(Around):
    """Labels and predictions of an inner loss, whose largest values count; one value per image."""

    inside = ("numbers", "signs", "classes")
    inside_at_extremes = ("numbers",)  # classes have equal values there, at which the loss has a kink

    def __init__(self, name: str) -> None:
        super().__init__(name, summed=False)
        self.workloads = numbers.Numbers.workloads
        self.populations = tuple(
            # The quarter of five labels that is farthest: 0 and 11, of which one counts wholly.
            Population([[0.0], [1.0], [1.0], [2.0], [11.0]], self._told(loss), {"midpoint of extremes": 5.5})
            for loss in (SquaredErrorLoss(), AbsoluteErrorLoss())
        )

    @property
    def forms(self) -> tuple[InnerForm, ...]:  # type: ignore[override]
        found = super().forms
        images = next(form for form in found if form.data is not None and len(form.data.shape) > 2)
        return (*found, replace(images, name=f"{images.name} of the batch", options={"batch": True}))

    def make(self, source: Source, form: Form) -> Batch:
        batch = super().make(source, form)
        batch = replace(batch, options={**batch.options, **form.options})
        if form.options or len(batch.leading) == 1:
            return batch
        return replace(batch, value_axes=1, known=None)


register(Around("anything", summed=False), Around("sums", summed=True), Hardest("hardest"))
