"""What each loss is measured on, and with which hyper-parameters.

The workloads are those of the kind of data that the loss's oracle names (tests/kinds), so that a new loss is
measured without a line here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from keras_losses import AbsoluteErrorLoss, CrossentropyLoss, SquaredErrorLoss
from keras_losses.core import Learned
from keras_losses.core.parameters import REQUIRED
from keras_losses.tools import catalogue
from tests.cases.arguments import argument
from tests.kinds import kind_of
from tests.kinds.kind import KINDS, Shape, Workload

Size = Literal["large", "small"]

WORKLOADS: dict[str, Workload] = {
    name: kind.workloads[name]
    for _, kind in sorted(KINDS.items())
    for name in kind.workloads
    if name != "turns"  # that of an example, which the package has not
}


# Losses -----------------------------------------------------------------------------------------------

SUM = {"losses": {"squared": SquaredErrorLoss(), "absolute": AbsoluteErrorLoss()}}

VARIANTS: dict[str, tuple[dict[str, Any], ...]] = {
    "CompositeLoss": (SUM,),
    "UncertaintyWeightedLoss": (SUM,),
    "HingeLoss": ({}, {"power": 2}),
    "MulticlassHingeLoss": ({}, {"kind": "weston_watkins"}),
    "KerasLoss": ({"loss": CrossentropyLoss(from_logits=True)},),
    "RegularizedLoss": ({"loss": CrossentropyLoss(from_logits=True), "confidence_penalty": 0.1},),
}
"""The hyper-parameters that a loss is measured with, where these are not its defaults alone."""

LEFT_OUT = {("SeesawLoss", "one-hot")}
"""Not measured on the large shape: it weighs each class against each other for each sample, in 33 GB."""


@dataclass(frozen=True)
class Measured:
    """A loss with the hyper-parameters that it is measured with."""

    name: str
    options: dict[str, Any]

    @property
    def label(self) -> str:
        """As the tables have it, with the hyper-parameters that are numbers or words."""
        told = [f"{key}={value}" for key, value in self.options.items() if key not in ("losses", "loss")]
        return f"{self.name}({', '.join(told)})" if told else self.name

    def build(self, outputs: int, options: Mapping[str, Any]) -> Any:
        """The loss for predictions with so many outputs, with the options that its data come with."""
        cls = catalogue.losses()[self.name]
        told = {"from_logits": True, **options}
        given = {key: value for key, value in told.items() if key in cls.hyperparameters}
        for key, parameter in cls.hyperparameters.items():
            if isinstance(parameter.default, Learned):  # a model's; what is measured is the formula
                given[key] = parameter.default.initial
            elif parameter.default is REQUIRED and argument(parameter).taken and key not in given:
                example = argument(parameter).taken[0]
                given[key] = np.resize(example, outputs).tolist() if isinstance(example, list) else example
        return cls(**{**given, **self.options})


def measured(workload: str, names: tuple[str, ...] = ()) -> Iterator[Measured]:
    """The losses that are measured on a workload, all or those of these names."""
    few = WORKLOADS[workload].few
    for name in catalogue.losses():
        if workload in kind_of(name).workloads and name in (names or (name,)) and name in (few or (name,)):
            yield from (Measured(name, options) for options in VARIANTS.get(name, ({},)))


def reference(workload: Workload, labels: np.ndarray, shape: Shape) -> tuple[Any, str, np.ndarray]:
    """Our cross-entropy of the same predictions: the loss, how its labels are encoded, and the labels."""
    encoding = workload.reference
    if WORKLOADS[encoding].labels is not workload.labels:
        labels, _, _ = WORKLOADS[encoding].data(shape)
    return CrossentropyLoss(from_logits=True, multi_label=encoding == "binary"), encoding, labels
