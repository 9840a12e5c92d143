"""One step of a model: the data from which it computes its loss, and the values of the terms."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import keras
from keras import ops

from keras_losses.combine.sum_of_terms import SumOfTerms
from keras_losses.numerics import Tensor
from keras_losses.training.outputs import Output, Path


@dataclass(frozen=True)
class Step:
    """The data from which a model computes its loss, with one of its outputs selected."""

    model: Any
    x: Any
    y: Any
    y_pred: Any
    sample_weight: Any
    training: bool
    output: str = ""
    place: int = 0
    path: Path = ()
    instead: Mapping[int, Any] = field(default_factory=dict)
    """Values used in place of trainable variables, by the position of the variable among them."""

    def at(self, output: Output) -> Step:
        """Return the same step with another output selected."""
        return replace(self, output=output.key, place=output.place, path=output.path)

    def of_output(self, structure: Any) -> Any:
        """Return the part of labels, predictions or weights that belongs to the selected output."""
        if self.path:
            return _at_path(structure, self.path)
        if isinstance(structure, dict):
            return structure[self.output] if self.output in structure else next(iter(structure.values()))
        return structure[self.place] if isinstance(structure, list | tuple) else structure

    @property
    def y_true(self) -> Any:
        """The labels of the selected output."""
        return self.of_output(self.y)

    @property
    def batch_size(self) -> Any:
        """The number of samples; None if the step has no tensors with a batch axis."""
        for tensor in keras.tree.flatten([self.y_pred, self.y, self.x]):
            if tensor is not None and len(tensor.shape) > 0:
                return ops.shape(tensor)[0]
        return None

    def forward(self, x: Any, training: bool = False) -> Any:
        """Return the model's predictions for inputs, without a change of its state or its random seeds.

        In training mode a sample depends on the others of its batch, as in batch normalization.
        """
        trained = [v.value for v in self.model.trainable_variables]
        trained = [self.instead.get(place, value) for place, value in enumerate(trained)]
        others = [v.value for v in self.model.non_trainable_variables]
        y_pred, _ = self.model.stateless_call(trained, others, x, **self._mode(training))
        return y_pred

    def again(self) -> Any:
        """Return predictions of the selected output from a second pass, with its own dropout."""
        if self.instead:
            return self.of_output(self.forward(self.x, self.training))
        return self.of_output(self.model(self.x, **self._mode(self.training)))

    def _mode(self, training: bool) -> dict[str, bool]:
        return {"training": training} if _takes_training(self.model.call) else {}


def _at_path(structure: Any, path: Path) -> Any:
    """Return the part of a structure at a path; a weight may stand for all parts below it."""
    part: Any = structure
    for key in path:
        part = part[key] if keras.tree.is_nested(part) else part
    return part


def _takes_training(function: Callable[..., Any]) -> bool:
    return "training" in inspect.signature(function).parameters


def call_compute_loss(compute_loss: Callable[..., Any], step: Step) -> Any:
    """Return the total loss of a step.

    Args:
        compute_loss: a model's `compute_loss`, which may be overridden without an argument `training`.
        step: the data.
    """
    mode = {"training": step.training} if _takes_training(compute_loss) else {}
    return compute_loss(step.x, step.y, step.y_pred, step.sample_weight, **mode)


class StepTerms:
    """The values of all terms in one step, recorded while the model calls its losses.

    Args:
        outputs: the outputs of the model.
        y_pred: the predictions of the step.
        strict: whether a loss that is called for more outputs than are known is an error. Otherwise the
            values of its terms are added up.

    `values` are the terms before their weights. `weighted` are the parts of the model's loss that come from
    them. Both are in the order of the names in the logs.
    """

    def __init__(self, outputs: Sequence[Output], y_pred: Any, strict: bool = True) -> None:
        count = sum(len(output.terms) for output in outputs)
        self.values: list[Any] = [0.0] * count
        self.weighted: list[Any] = [0.0] * count
        self._strict = strict
        self._calls: dict[SumOfTerms, list[_Place]] = {}
        places: list[tuple[Output, _Place]] = []
        first = 0
        for output in outputs:
            if isinstance(output.loss, SumOfTerms):
                places.append((output, _Place(first, output.weight)))
                first += len(output.terms)
        # Keras calls the losses in the order of the argument `loss` if the outputs are a dict, otherwise in
        # the order of the outputs.
        if not isinstance(y_pred, dict):
            places.sort(key=lambda item: item[0].place)
        for output, place in places:
            self._calls.setdefault(output.loss, []).append(place)

    def record(self, loss: SumOfTerms, values: Sequence[Tensor], parts: Sequence[Tensor]) -> None:
        """Record one call of a sum of losses. Sums inside other losses are not terms of the model.

        Args:
            loss: the sum.
            values: the values of its terms.
            parts: what each term adds to the sum.
        """
        if loss not in self._calls:
            return
        calls = self._calls[loss]
        if len(calls) == 1 and not self._strict:
            self._add(calls[0], values, parts)
            return
        if not calls:
            raise ValueError(
                f"`{type(loss).__name__}`: the loss {loss.name!r} belongs to more outputs than are known "
                "before the model is called. Give each output of the model its loss by name: "
                "compile(loss={...})."
            )
        self._add(calls.pop(0), values, parts)

    def _add(self, place: _Place, values: Sequence[Tensor], parts: Sequence[Tensor]) -> None:
        for k, (value, part) in enumerate(zip(values, parts, strict=True), place.first):
            self.values[k] += value
            self.weighted[k] += ops.multiply(place.weight, part)


@dataclass(frozen=True)
class _Place:
    """The position of an output's first term among all terms, and the weight of the output's loss."""

    first: int
    weight: float | keras.Variable
