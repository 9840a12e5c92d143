"""One step of a model: the data from which it computes its loss, and the terms that the loss comes to."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from keras_losses.combine.sum_of_terms import SumOfTerms
from keras_losses.numerics import Tensor
from keras_losses.training.outputs import Output


@dataclass(frozen=True)
class Step:
    """The data from which a model computes its loss, seen from one of its outputs."""

    model: Any
    x: Any
    y: Any
    y_pred: Any
    sample_weight: Any
    training: bool
    output: str = ""
    place: int = 0
    instead: Mapping[int, Any] = field(default_factory=dict)
    """Values used in place of trainable variables, by the position of the variable among them."""

    def at(self, output: Output) -> Step:
        """Return the same step, seen from another output."""
        return replace(self, output=output.key, place=output.place)

    def of_output(self, structure: Any) -> Any:
        """Return the part of labels, predictions or weights that belongs to the output."""
        if isinstance(structure, dict):
            return structure[self.output] if self.output in structure else next(iter(structure.values()))
        return structure[self.place] if isinstance(structure, list | tuple) else structure

    @property
    def y_true(self) -> Any:
        """The labels of the output."""
        return self.of_output(self.y)

    def forward(self, x: Any, training: bool = False) -> Any:
        """Return the model's predictions for inputs, without a change of its state or of its random seeds.

        Without `training` a sample does not depend on the others, as it does in batch normalisation.
        """
        trained = [v.value for v in self.model.trainable_variables]
        trained = [self.instead.get(place, value) for place, value in enumerate(trained)]
        others = [v.value for v in self.model.non_trainable_variables]
        y_pred, _ = self.model.stateless_call(trained, others, x, **self._mode(training))
        return y_pred

    def again(self) -> Any:
        """Return the output's predictions of a second pass over the same inputs, with dropout of its own."""
        if self.instead:
            return self.of_output(self.forward(self.x, self.training))
        return self.of_output(self.model(self.x, **self._mode(self.training)))

    def _mode(self, training: bool) -> dict[str, bool]:
        takes = "training" in inspect.signature(self.model.call).parameters
        return {"training": training} if takes else {}


class StepTerms:
    """The values of all terms in one step, written down while the model calls its losses.

    `values` are the terms before their weights, `weighted` is what each adds to the model's loss. Both are
    in the order of the names in the logs.
    """

    def __init__(self, outputs: Sequence[Output], y_pred: Any) -> None:
        count = sum(len(output.terms) for output in outputs)
        self.values: list[Any] = [0.0] * count
        self.weighted: list[Any] = [0.0] * count
        self._calls: dict[SumOfTerms, list[_Place]] = {}
        places: list[tuple[Output, _Place]] = []
        first = 0
        for output in outputs:
            if isinstance(output.loss, SumOfTerms):
                places.append((output, _Place(first, output.weight)))
                first += len(output.terms)
        # Keras calls the losses in the order in which they are given if the outputs are a dict, otherwise in
        # the order of the outputs.
        if not isinstance(y_pred, dict):
            places.sort(key=lambda item: item[0].place)
        for output, place in places:
            self._calls.setdefault(output.loss, []).append(place)

    def record(self, loss: SumOfTerms, values: Sequence[Tensor], parts: Sequence[Tensor]) -> None:
        """Write down what a call of a loss came to: the values of its terms, and what each adds to it.

        Sums of losses inside other losses are called as well; they are not among the model's terms.
        """
        if loss not in self._calls:
            return
        if not self._calls[loss]:
            raise ValueError(
                f"The terms of {loss.name} are asked for more outputs than are known before the model is "
                "called. Give each output of the model its loss by name: compile(loss={...})."
            )
        place = self._calls[loss].pop(0)
        end = place.first + len(parts)
        self.values[place.first : end] = values
        self.weighted[place.first : end] = [place.weight * part for part in parts]


@dataclass(frozen=True)
class _Place:
    """Where the terms of one output begin among all terms, and the weight of the output's loss."""

    first: int
    weight: float
