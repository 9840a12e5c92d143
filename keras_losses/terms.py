"""What the terms of a model's losses are, batch by batch: in its logs, for training and validation."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from keras_losses import numerics
from keras_losses.composite import CompositeLoss
from keras_losses.numerics import Tensor

REGULARIZATION = "regularization"


@dataclass(frozen=True)
class Term:
    """One term of one output's loss; `weight` is all that it is multiplied with in the model's loss."""

    name: str
    weight: float


class LossTerms(keras.metrics.Metric):  # type: ignore[misc]
    """The means of the terms of a model's loss, as a metric of the model.

    For each term of a `CompositeLoss`, and for the model's weight penalties as `regularization`, there are

    - `<term>`: its value, before its weight;
    - `<term>_weighted`: what it adds to `loss`, with the weight of its output;
    - `<term>_share`: that, as a share of `loss`.

    With several outputs the terms are `<output>_<term>`. A model without terms and penalties has none.
    What is recorded is what the model's own steps compute, under their weights and masks; no loss is called
    again.

    `LossTerms.attach(model)` gives one to a compiled model; a `LossAwareModel` has one.
    """

    def __init__(self, name: str = "loss_terms") -> None:
        super().__init__(name=name)
        self.terms: list[Term] = []
        # The losses with terms, and for each time that the model calls one, the places of its terms.
        self._calls: dict[CompositeLoss, list[list[int]]] = {}
        self._penalised = False
        self.count = self.add_variable((), "zeros", name="count")
        self.totals: Any = None
        self.clean: Any = None

    @classmethod
    def attach(cls, model: keras.Model) -> LossTerms:
        """Puts the terms of a compiled model into its logs."""
        found = getattr(model, "loss_terms", None)
        if not isinstance(found, LossTerms):
            found = model.loss_terms = cls()
            if not getattr(model, "records_terms", False):
                # What a subclass would override: Keras has no callback between the loss and the step.
                model.compute_loss = _recorded(model, model.compute_loss)
        found.watch(model)
        return found

    def watch(self, model: keras.Model) -> None:
        """Takes up the losses with which the model is compiled."""
        terms: list[Term] = []
        calls: dict[CompositeLoss, list[list[int]]] = {}
        for output, loss, weight in _outputs(model):
            if isinstance(loss, CompositeLoss):
                prefix = f"{output}_" if output else ""
                calls.setdefault(loss, []).append(list(range(len(terms), len(terms) + len(loss.weights))))
                terms += [Term(f"{prefix}{name}", weight * by) for name, by in loss.weights.items()]
        if (terms, calls) == (self.terms, self._calls) and self.totals is not None:
            return
        if self.totals is None or len(terms) != len(self.terms):
            # The terms, the penalties, and the loss itself.
            self.totals = self.add_variable((len(terms) + 2,), "zeros", name="totals")
            self.clean = self.add_variable((len(terms) + 2,), "zeros", name="clean")
        self.terms, self._calls = terms, calls
        # A step that was traced before does not record them.
        model.train_function = model.test_function = None

    @contextlib.contextmanager
    def recording(self, model: keras.Model, batch: Any) -> Iterator[Callable[[Tensor], None]]:
        """Records the losses that are called, when the model's own is given to what this yields."""
        values: list[Any] = [0.0] * len(self.terms)
        turns = {loss: iter(places) for loss, places in self._calls.items()}

        def seen(loss: CompositeLoss, found: Mapping[str, Tensor]) -> None:
            for place, value in zip(next(turns[loss]), found.values(), strict=True):
                values[place] = numerics.of_all_replicas(ops.cast(value, self.dtype))

        def finish(total: Tensor) -> None:
            self._penalised = bool(model.losses)
            penalties = sum((ops.sum(ops.cast(loss, self.dtype)) for loss in model.losses), 0.0)
            whole = numerics.of_all_replicas(ops.cast(total, self.dtype))
            self._add(
                ops.stack([ops.convert_to_tensor(x, self.dtype) for x in (*values, penalties, whole)]), batch
            )

        for loss in turns:
            loss.seen = seen
        try:
            yield finish
        finally:
            for loss in turns:
                loss.seen = None

    def _add(self, values: Tensor, batch: Any) -> None:
        size = ops.cast(ops.shape(keras.tree.flatten(batch)[0])[0], self.dtype)
        self.count.assign_add(size)
        self.totals.assign_add(size * values)
        self.clean.assign_add(ops.cast(ops.isfinite(ops.convert_to_tensor(self.totals)), self.dtype))

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Does nothing: the model's steps are recorded."""

    def result(self) -> dict[str, Tensor]:
        if self.totals is None:
            return {}
        means = numerics.ratio(ops.convert_to_tensor(self.totals), ops.convert_to_tensor(self.count))
        *values, penalties, total = (means[place] for place in range(len(self.terms) + 2))
        found: dict[str, Tensor] = {}
        of_model = [(Term(REGULARIZATION, 1.0), penalties)] if self._penalised else []
        for term, value in (*zip(self.terms, values, strict=True), *of_model):
            weighted = term.weight * value
            found |= {
                term.name: value,
                f"{term.name}_weighted": weighted,
                f"{term.name}_share": numerics.ratio(weighted, total),
            }
        return found

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}


def _outputs(model: keras.Model) -> list[tuple[str, Any, float]]:
    """The output, the loss and its weight, for each loss of a compiled model; one output has no name."""
    loss, weights = model.loss, model.get_compile_config().get("loss_weights")
    if isinstance(loss, dict):
        names, losses = list(loss), list(loss.values())
    elif isinstance(loss, list | tuple):
        losses = list(loss)
        names = list(getattr(model, "output_names", None) or map(str, range(len(losses))))
    else:
        names, losses = [""], [loss]
    if not isinstance(weights, dict):
        given = weights if isinstance(weights, list | tuple) else [weights]
        weights = dict(zip(names, given, strict=False))
    by = [1.0 if weights.get(name) is None else float(weights[name]) for name in names]
    return list(zip(names if len(names) > 1 else [""], losses, by, strict=False))


def _recorded(model: keras.Model, compute_loss: Callable[..., Any]) -> Callable[..., Any]:
    def recorded(
        x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        with model.loss_terms.recording(model, y_pred) as finish:
            total = compute_loss(x, y, y_pred, sample_weight, training)
            finish(total)
        return total

    return recorded
