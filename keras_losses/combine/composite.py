"""Sums of losses with weights, each term of which keeps its name: `FocalLoss() + 0.5 * HuberLoss()`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import keras
from keras import ops

from keras_losses import numerics
from keras_losses.combine.around import AroundLoss, Penalty, any_loss
from keras_losses.core import Card, Loss, context, parameter
from keras_losses.core.arithmetic import is_the_sum_of_losses
from keras_losses.numerics import Tensor


def _losses(value: Any) -> dict[str, Any]:
    """Return checked losses by their names."""
    if isinstance(value, str | bytes) or not isinstance(value, Mapping | Sequence):
        raise TypeError(f"it is of type {type(value).__name__}")
    if not value:
        raise ValueError
    if not isinstance(value, Mapping):
        return _with_unique_names((_name_of(loss), loss) for loss in map(any_loss, value))
    if not all(isinstance(name, str) and name for name in value):
        raise TypeError("a name is not a string with something in it")
    return {name: any_loss(loss) for name, loss in value.items()}


def _weights(value: Any) -> Any:
    """Return checked weights."""
    if isinstance(value, str | bytes) or not isinstance(value, Mapping | Sequence):
        raise TypeError(f"it is of type {type(value).__name__}")
    numbers = value.values() if isinstance(value, Mapping) else value
    if any(isinstance(x, bool) or not math.isfinite(x) for x in numbers):
        raise ValueError
    return (
        {k: float(x) for k, x in value.items()} if isinstance(value, Mapping) else [float(x) for x in value]
    )


def _name_of(loss: Any) -> str:
    return str(getattr(loss, "name", None) or getattr(loss, "__name__", None) or type(loss).__name__)


def _with_unique_names(named: Iterator[tuple[str, Any]]) -> dict[str, Any]:
    """The second loss of a name is name_2, the third name_3."""
    found: dict[str, Any] = {}
    for name, loss in named:
        turn, unique = 1, name
        while unique in found:
            turn += 1
            unique = f"{name}_{turn}"
        found[unique] = loss
    return found


@is_the_sum_of_losses
class CompositeLoss(Loss):
    """A weighted sum of named losses of the same output, whose parts can be seen.

        loss = sum_k weights[k] * losses[k]

    Adding and multiplying losses makes one: `FocalLoss() + 0.5 * HuberLoss()`, `loss / 2`, `sum([...])`,
    with Keras's own losses and plain functions on either side of the plus sign. In Keras,
    `compile(loss=["mse", "mae"])` on one output trains the first alone.

    Every term has the weights, masks and reduction of the whole, and its own `class_weight` and
    `ignore_class`: it is reduced by itself, so that a loss of pixels and one of images may be added up. The
    reductions that the terms were made with are not used.

    Composites inside are taken apart: of a composite called "box" by a mapping, the terms become "box_iou"
    and so on; of one that was added, they keep their names. Where a name comes twice, the second is name_2.

    Args:
        losses: the terms, by name, or in a sequence: losses of this library or of Keras, their names
            there, or functions `(y_true, y_pred)` that return a value for each sample. In a sequence each
            has the name of its own.
        weights: what they are multiplied with: finite numbers by the names in `losses`, where those that
            are left out are 1, or a sequence as long as `losses`; 1 each by default.
        name, reduction, dtype: as in `keras_losses.core.Loss`. Terms of this library compute in their own
            dtype.

    Shapes: as all of the terms take them. With `reduction="none"` the terms' values must have one shape.

    Raises:
        TypeError, ValueError: for losses that are none, weights that are not finite or of other names, terms
            of other reductions than one another that are added, and whatever a term raises.

    Example:

    >>> import numpy as np
    >>> from keras_losses import AbsoluteErrorLoss, SquaredErrorLoss
    >>> loss = SquaredErrorLoss() + 0.5 * AbsoluteErrorLoss()
    >>> float(loss(np.array([[1.0]]), np.array([[3.0]])))  # 2^2 + 0.5 * 2
    5.0
    >>> {name: float(value) for name, value in loss.terms(np.array([[1.0]]), np.array([[3.0]])).items()}
    {'squared_error_loss': 4.0, 'absolute_error_loss': 2.0}

    References:
        - Zadeh 1963, Optimality and Non-Scalar-Valued Performance Criteria (weighted sums),
          https://doi.org/10.1109/TAC.1963.1105511
    """

    card = Card(
        family="composite",
        formula="sum_k weights[k] * losses[k]",
        paper="Zadeh 1963",
        labels="those that all terms take",
        predictions="those that all terms take",
        use="several things should be small at once, and each should be seen",
        avoid="the terms have different outputs: give each output of the model a loss of its own",
        elicits="inner loss",
        elicits_note="what the terms agree on",
        gradient_bound="the sum of the terms', times their weights",
    )

    losses: Any = parameter(
        convert=_losses,
        domain="losses of this library or of Keras, names of Keras's, or functions: by name or in a sequence",
    )
    weights: Any = parameter(
        default=None,
        convert=_weights,
        domain="finite numbers, by the names of the losses or in a sequence",
        optional=True,
    )

    is_sum: ClassVar[bool] = True
    """Whether it is nothing but the sum of its terms, which may then be taken apart."""

    def validate(self) -> None:
        given = self._given_weights()
        losses: list[tuple[str, Any]] = []
        weights: list[float] = []
        for name, loss in self.losses.items():
            if self.is_sum and isinstance(loss, CompositeLoss) and loss.is_sum:
                # Its own name is one that nobody chose.
                prefix = "" if re.fullmatch(rf"{re.escape(str(loss.name))}(_\d+)?", name) else f"{name}_"
                losses += [(f"{prefix}{inner}", term) for inner, term in loss.losses.items()]
                weights += [given[name] * weight for weight in loss.weights.values()]
            else:
                losses.append((name, loss))
                weights.append(given[name])
        self.losses = _with_unique_names(iter(losses))
        self.weights = dict(zip(self.losses, weights, strict=True))
        self._terms = {
            name: loss if isinstance(loss, Loss) else AroundLoss(loss, dtype=self.dtype)
            for name, loss in self.losses.items()
        }

    def _given_weights(self) -> dict[str, float]:
        names = list(self.losses)
        default = {name: self._default_weight(loss) for name, loss in self.losses.items()}
        if self.weights is None:
            return default
        if not isinstance(self.weights, Mapping):
            if len(self.weights) != len(names):
                raise ValueError(
                    f"`CompositeLoss`: `weights` must have one number for each of the {len(names)} losses. "
                    f"Received: weights={self.weights}."
                )
            return dict(zip(names, self.weights, strict=True))
        unknown = [name for name in self.weights if name not in names]
        if unknown:
            raise ValueError(
                f"`CompositeLoss`: `weights` must have the names of the losses, {', '.join(names)}. "
                f"Received: {', '.join(map(repr, unknown))}."
            )
        return {**default, **self.weights}

    def _default_weight(self, loss: Any) -> float:
        return 1.0

    @property
    def _inside(self) -> dict[str, Loss]:
        return self._terms

    @property
    def names(self) -> list[str]:
        """Of all that adds to the value."""
        return list(self.losses)

    def weight(self, name: str) -> float | Tensor:
        """What the term is multiplied with: a number, or what a schedule says now."""
        read = self._reader(f"weights/{name}")
        return self.weights[name] if read is None else self.convert(read())

    # The value ----------------------------------------------------------------------------------------

    @property
    def pools_batch(self) -> bool:
        return any(term.pools_batch for term in self._computed().values())

    def terms(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Tensor]:
        """The value of each term by name, before its weight, reduced as the whole is."""
        return self.values_and_parts(y_true, y_pred, sample_weight, self.reduction)[0]

    def _reduced(self, y_true: Any, y_pred: Any, sample_weight: Any, reduction: str | None) -> Tensor:
        values, parts = self.values_and_parts(y_true, y_pred, sample_weight, reduction)
        listener = context.current().listener
        if listener is not None:
            listener(self, list(values.values()), list(parts.values()))
        return self._added(parts)

    def values_and_parts(
        self, y_true: Any, y_pred: Any, sample_weight: Any, reduction: str | None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The value of each of `names`, and what it adds to the loss."""
        self._check_learned()
        values = self._reduced_terms(y_true, y_pred, sample_weight, reduction)
        parts = self.contributions(values)
        return {name: values.get(name, parts[name]) for name in self.names}, parts

    def term_metrics(self) -> list[TermMetric]:
        """Metrics of the terms, for `compile(metrics=...)`; with sample weights, `weighted_metrics=`.

        They are `<term>` and `<term>_weighted`, the numbers that `LossCurves` and `LossAwareModel` put into
        the logs of a model without calling the loss again, with each term's share and the model's weight
        penalties, of which a metric knows nothing.
        """
        return [TermMetric(self, term, weighted) for term in self.names for weighted in (False, True)]

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        found = {name: term.call(y_true, y_pred) for name, term in self._computed().items()}
        return self._added(self.contributions(self._with_zeros(found)))

    def contributions(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What each of `names` adds to the loss."""
        return {name: self._weighted(self.weight(name), value) for name, value in values.items()}

    def _weighted(self, weight: float | Tensor, value: Tensor) -> Tensor:
        # A term of weight 0 is not trained on, whatever its value. Where the weight may change, the loss has
        # a slope in it.
        if isinstance(weight, float):
            return weight * value if weight != 0 else ops.zeros_like(value)
        kept = ops.logical_or(ops.isfinite(value), ops.not_equal(weight, 0))
        return weight * ops.where(kept, value, ops.zeros_like(value))

    def _reduced_terms(
        self, y_true: Any, y_pred: Any, sample_weight: Any, reduction: str | None
    ) -> dict[str, Tensor]:
        found = {
            name: self.convert(term._reduced(y_true, y_pred, sample_weight, reduction))
            for name, term in self._computed().items()
        }
        return self._with_zeros(found)

    def _computed(self) -> dict[str, Loss]:
        """The terms without the penalties that are off; a weight that is no plain number may change."""
        on = {
            name: term
            for name, term in self._terms.items()
            if not isinstance(term, Penalty) or not numerics.is_number(self.weight(name), 0.0)
        }
        return on or self._terms

    def _with_zeros(self, found: dict[str, Tensor]) -> dict[str, Tensor]:
        """The values of all terms, of those that were not computed 0."""
        first = next(iter(found.values()))
        return {name: found[name] if name in found else ops.zeros_like(first) for name in self._terms}

    def _added(self, parts: dict[str, Tensor]) -> Tensor:
        shapes = {name: tuple(part.shape) for name, part in parts.items()}
        if len(set(shapes.values())) > 1:
            listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
            raise ValueError(
                f"`{type(self).__name__}`: without a reduction the values of all terms must have one shape. "
                f"Received: {listed}. Let them be reduced, or call the terms one by one."
            )
        first, *others = parts.values()
        return sum(others, first)


@keras.saving.register_keras_serializable("keras_losses")
class TermMetric(keras.metrics.Metric):  # type: ignore[misc]
    """The mean of one term of a `CompositeLoss`, before or after its weight; see `term_metrics`."""

    def __init__(
        self,
        loss: CompositeLoss,
        term: str,
        weighted: bool = False,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name or (f"{term}_weighted" if weighted else term), dtype=dtype)
        self.loss, self.term, self.weighted = loss, term, weighted
        self.total = self.add_variable((), "zeros", name="total")
        self.count = self.add_variable((), "zeros", name="count")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        found = self.loss.values_and_parts(y_true, y_pred, sample_weight, self.loss.reduction)[self.weighted]
        # As Keras counts what the loss of a batch is worth.
        size = ops.cast(ops.shape(y_pred)[0], self.dtype)
        value = numerics.multiply_by_replicas(ops.cast(found[self.term], self.dtype))
        self.count.assign_add(size)
        self.total.assign_add(size * value)

    def result(self) -> Tensor:
        return numerics.divide_no_nan(ops.convert_to_tensor(self.total), ops.convert_to_tensor(self.count))

    def get_config(self) -> dict[str, Any]:
        loss = keras.saving.serialize_keras_object(self.loss)
        return {**super().get_config(), "loss": loss, "term": self.term, "weighted": self.weighted}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TermMetric:
        return cls(**{**config, "loss": keras.saving.deserialize_keras_object(config["loss"])})
