"""The base of sums of named losses: each term has its own name, weight and value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from keras import ops

from keras_losses import numerics
from keras_losses.combine.term_metric import TermMetric
from keras_losses.core import Loss, context
from keras_losses.numerics import Tensor

Values = dict[str, Tensor]
"""Tensors by the names of terms."""


class SumOfTerms(Loss):
    """Base of weighted sums of named losses.

    A subclass provides `losses`, `_terms`, `_term_weights` and `_kept_weights`, each with the same names in
    the same order.
    Every term is reduced separately, under the weights, the mask and the reduction of the sum.
    """

    _can_be_taken_apart: ClassVar[bool] = True
    """Whether the loss is just the weighted sum of its terms, so that a larger sum may hold these terms."""

    @property
    def losses(self) -> Mapping[str, Any]:
        """The losses as they were given, by name: losses of this library or of Keras, or functions."""
        raise NotImplementedError

    def _terms(self) -> Mapping[str, Loss]:
        """Return the losses of this library that compute the terms."""
        raise NotImplementedError

    def _term_weights(self) -> Mapping[str, float | Tensor]:
        """Return the current weights: numbers, and tensors for those that are set or learned."""
        raise NotImplementedError

    def _kept_weights(self) -> Mapping[str, float]:
        """Return the numbers with which the weights are saved."""
        raise NotImplementedError

    @property
    def names(self) -> list[str]:
        """The names of everything that is added up."""
        return list(self.losses)

    def weight(self, name: str) -> float | Tensor:
        """Return the current weight of a term."""
        return self._term_weights()[name]

    @property
    def _inside(self) -> Mapping[str, Loss]:
        return self._terms()

    @property
    def pools_batch(self) -> bool:
        return any(term.pools_batch for term in self._computed(self._term_weights()).values())

    def terms(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Values:
        """Return the value of each term by name, before its weight, with the reduction of the sum."""
        return self._values_and_parts(y_true, y_pred, sample_weight, self.reduction)[0]

    def term_metrics(self) -> list[TermMetric]:
        """Return metrics of the terms for `compile(metrics=...)`, or `weighted_metrics` with sample weights.

        They are called `<term>` and `<term>_weighted`. A metric calls the loss again in every step.
        `LossAwareModel` and `LossCurves` record the same numbers without a second call, and also the weight
        penalties of the model, which a metric cannot see.
        """
        return [TermMetric(self, term, weighted) for term in self.names for weighted in (False, True)]

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        _, parts = self._evaluated(lambda term: term.call(y_true, y_pred))
        return self._added(parts)

    def _reduced(self, y_true: Any, y_pred: Any, sample_weight: Any, reduction: str | None) -> Tensor:
        values, parts = self._values_and_parts(y_true, y_pred, sample_weight, reduction)
        listener = context.current().listener
        if listener is not None:
            listener(self, list(values.values()), list(parts.values()))
        return self._added(parts)

    def _check_batch(self, y_true: Any, y_pred: Any, sample_weight: Any) -> None:
        for term in self._terms().values():
            term._check_batch(y_true, y_pred, sample_weight)

    def _values_and_parts(
        self, y_true: Any, y_pred: Any, sample_weight: Any, reduction: str | None
    ) -> tuple[Values, Values]:
        """Return the reduced value of each of `names`, and what each adds to the loss."""
        self._check_learned()
        return self._evaluated(lambda term: term._reduced(y_true, y_pred, sample_weight, reduction))

    def _evaluated(self, value_of: Callable[[Loss], Tensor]) -> tuple[Values, Values]:
        """Return the value of each of `names`, and what each adds to the loss.

        Args:
            value_of: computes the value of one term; reduced or not, the sum is the same.
        """
        weights = self._term_weights()
        computed = {name: self.convert(value_of(term)) for name, term in self._computed(weights).items()}
        zeros = ops.zeros_like(next(iter(computed.values())))
        values = {name: computed.get(name, zeros) for name in self._terms()}
        return values, {name: _weighted(weights[name], value) for name, value in values.items()}

    def _computed(self, weights: Mapping[str, float | Tensor]) -> dict[str, Loss]:
        """Return the terms that have to be computed; the values of the others are 0.

        A penalty whose weight is the number 0 is skipped. A weight that is a tensor may change later.
        """
        terms = dict(self._terms())
        computed = {
            name: term
            for name, term in terms.items()
            if not (term._skipped_at_weight_zero and numerics.is_number(weights[name], 0.0))
        }
        return computed or terms

    def _added(self, parts: Values) -> Tensor:
        shapes = {name: tuple(part.shape) for name, part in parts.items()}
        if len(set(shapes.values())) > 1:
            listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
            raise ValueError(
                f"`{type(self).__name__}`: with `reduction={self.reduction!r}` the values of all terms must "
                f"have one shape. Received: {listed}. Choose another reduction, or call the terms one by one."
            )
        first, *others = parts.values()
        return sum(others, first)


def _weighted(weight: float | Tensor, value: Tensor) -> Tensor:
    """Return `weight * value`, which is 0 for a weight of 0 even if the value is infinite or NaN."""
    if isinstance(weight, float):
        return weight * value if weight != 0 else ops.zeros_like(value)
    # A weight that may change, or that is learned, needs the gradient of the product.
    kept = ops.logical_or(ops.isfinite(value), ops.not_equal(weight, 0))
    return weight * ops.where(kept, value, ops.zeros_like(value))
