"""Weighted sums of named losses: `FocalLoss() + 0.5 * HuberLoss()`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from keras_losses.combine.around import any_loss, as_loss, name_of
from keras_losses.combine.names import names_in_use, with_unique_names
from keras_losses.combine.sum_of_terms import SumOfTerms
from keras_losses.combine.weighted_sum import WeightedSum, weights_parameter
from keras_losses.core import Card, Loss, parameter
from keras_losses.core.arithmetic import is_the_sum_of_losses


def _losses(value: Any) -> dict[str, Any]:
    """Return checked losses by their names."""
    if isinstance(value, str | bytes) or not isinstance(value, Mapping | Sequence):
        raise TypeError(f"it is of type {type(value).__name__}")
    if not value:
        raise ValueError
    if not isinstance(value, Mapping):
        return with_unique_names((name_of(loss), loss) for loss in map(any_loss, value))
    if not all(isinstance(name, str) and name for name in value):
        raise TypeError("a name is empty or not a string")
    for name in names_in_use(value):
        raise ValueError(f"the logs use the name {name!r} for something else; choose another name")
    return {name: any_loss(loss) for name, loss in value.items()}


def _is_default_name(name: str, loss: Loss) -> bool:
    """Return whether the name of a term is the name of its loss, with or without a number behind it."""
    return re.fullmatch(rf"{re.escape(str(loss.name))}(_\d+)?", name) is not None


@is_the_sum_of_losses
class CompositeLoss(WeightedSum):
    """A weighted sum of named losses of the same output. The value of every term can be seen.

        loss = sum_k weights[k] * losses[k]

    Adding and multiplying losses makes one: `FocalLoss() + 0.5 * HuberLoss()`, `loss / 2`, `sum([...])`.
    Keras's losses and plain functions may stand on either side of the plus sign. To multiply one, wrap it:
    `0.5 * KerasLoss("mean_squared_error")`. In Keras, `compile(loss=["mse", "mae"])` on one output trains the
    first alone.

    Every term has the weights, the mask and the reduction of the sum, and its own `class_weight` and
    `ignore_class`. It is reduced separately, so a loss per pixel and a loss per image can be added. The
    reduction with which a term was constructed is not used.

    A sum inside a sum is taken apart. If a mapping calls it "box", its terms become "box_iou" and so on; if
    it was added, its terms keep their names. The second term of a name is called name_2.

    Args:
        losses: The terms, in a mapping from names or in a sequence: losses of this library or of Keras, their
            names in Keras, or functions `(y_true, y_pred)` that return one value per sample. In a sequence
            each term is called by the name of its loss.
        weights: The factors of the terms, finite numbers: a mapping from the names in `losses`, where the
            default is 1, or a sequence as long as `losses`. None stands for 1 each.
        name, reduction, dtype: As in `keras_losses.core.Loss`. Terms of this library compute in their own
            dtype.

    Shapes: as all of the terms take them. With `reduction="none"` the terms' values must have one shape.

    Raises:
        TypeError, ValueError: If `losses` holds anything else, if weights are not finite or have other names,
            if losses with different reductions are added, or if a term raises.

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
        use="several objectives at once, each visible in the logs",
        avoid="the terms have different outputs: give each output of the model a loss of its own",
        elicits="inner loss",
        elicits_note="what the terms agree on",
        gradient_bound="the sum of the terms', times their weights",
    )

    losses: Any = parameter(
        convert=_losses,
        domain="losses of this library or of Keras, names in Keras, or functions, in a mapping or a sequence",
    )

    weights: Any = weights_parameter()

    _other_names: ClassVar[tuple[str, ...]] = ()
    """Names of further entries in the logs, which terms must not have."""

    def validate(self) -> None:
        weights = self._weights_by_name()
        losses: list[tuple[str, Any]] = []
        factors: list[float] = []
        for name, loss in self.losses.items():
            if isinstance(loss, SumOfTerms) and self._takes_apart(loss):
                prefix = "" if _is_default_name(name, loss) else f"{name}_"
                losses += [(f"{prefix}{inner}", term) for inner, term in loss.losses.items()]
                factors += [weights[name] * weight for weight in loss._kept_weights().values()]
            else:
                losses.append((name, loss))
                factors.append(weights[name])
        self.losses = with_unique_names(losses, self._other_names)
        self.weights = dict(zip(self.losses, factors, strict=True))
        self._losses_of_terms = {name: as_loss(loss, self.dtype, name) for name, loss in self.losses.items()}

    def _takes_apart(self, loss: SumOfTerms) -> bool:
        # A sum that learns a weight is kept whole, because `weights` holds plain numbers.
        return self._can_be_taken_apart and loss._can_be_taken_apart and not loss._learned

    def _terms(self) -> Mapping[str, Loss]:
        return self._losses_of_terms
