"""What each loss is measured on: labels and predictions of the kind that it takes, large and small.

The kind is that of the loss's oracle in tests/oracles, as in the laws: a new loss is measured without a line
here, a new kind of data needs a function of rows and outputs.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from keras_losses import AbsoluteErrorLoss, CrossentropyLoss, SquaredErrorLoss, catalogue
from keras_losses.card import REQUIRED, Learned
from tests.oracles import REGISTRY

Shape = tuple[int, ...]
Size = Literal["large", "small"]
Data = tuple[np.ndarray, np.ndarray, dict[str, Any]]
"""Labels, predictions, and the hyper-parameters that a loss is given if it has them."""

LEVELS = 10
"""How many ordered classes there are."""


# Kinds of data: functions of the number of rows and of outputs ----------------------------------------


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def normal(rows: int, outputs: int) -> np.ndarray:
    return random().standard_normal((rows, outputs), "float32")


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    return np.asarray(np.eye(classes, dtype="float32")[labels])


def sparse(rows: int, outputs: int) -> Data:
    return random(1).integers(0, outputs, rows, "int32"), normal(rows, outputs), {}


def hot(rows: int, outputs: int) -> Data:
    ids, predictions, options = sparse(rows, outputs)
    return one_hot(ids, outputs), predictions, options


def binary(rows: int, outputs: int) -> Data:
    labels = random(1).integers(0, 2, (rows, outputs)).astype("float32")
    return labels, normal(rows, outputs), {"multi_label": True}


def signs(rows: int, outputs: int) -> Data:
    labels, predictions, _ = binary(rows, outputs)
    return 2 * labels - 1, predictions, {}


def numbers(rows: int, outputs: int) -> Data:
    return random(1).standard_normal((rows, outputs), "float32"), normal(rows, outputs), {}


def distributions(rows: int, outputs: int) -> Data:
    grown = np.exp(random(1).standard_normal((rows, outputs), "float32"))
    return grown / grown.sum(-1, keepdims=True), normal(rows, outputs), {}


def latents(rows: int, outputs: int) -> Data:
    return np.zeros(rows, "float32"), normal(rows, outputs), {}


def halves(rows: int, outputs: int) -> Data:
    """Class ids, with two predictions for each."""
    return random(1).integers(0, outputs // 2, rows, "int32"), normal(rows, outputs), {"views": 2}


def ranks(rows: int, outputs: int) -> Data:
    """Ordered classes, with an output for each."""
    labels, predictions, _ = sparse(rows, outputs)
    return labels, predictions, {"num_classes": outputs}


def below(rows: int, outputs: int) -> Data:
    """Ordered classes, with an output for each but the lowest."""
    return (
        random(1).integers(0, outputs + 1, rows, "int32"),
        normal(rows, outputs),
        {"num_classes": outputs + 1},
    )


def cut_points(rows: int, outputs: int) -> Data:
    """Ordered classes, with a score and cut points that increase."""
    labels, predictions, options = ranks(rows, outputs)
    gaps = random(2).uniform(0.3, 1.5, (rows, outputs - 1)).astype("float32")
    return labels, np.concatenate([predictions[:, :1], np.cumsum(gaps, -1) - 4], -1), options


def packed(rows: int, outputs: int, domain: str, parts: int = 1, **options: Any) -> Data:
    """Targets of a domain, with so many numbers for each in the last axis of the predictions."""
    shape, r = (rows, outputs // parts), random(1)
    if domain == "counts":
        targets = r.poisson(3.0, shape).astype("float32")
    elif domain == "positives":
        targets = r.lognormal(0, 1, shape).astype("float32")
    elif domain == "shares":
        targets = r.beta(1.5, 2.5, shape).astype("float32")
    else:
        targets = r.standard_normal(shape, "float32")
    return targets, normal(rows, outputs), options


# Workloads --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Workload:
    """Data of a kind, in a large shape of predictions and a small one."""

    title: str
    make: Callable[[int, int], Data]
    large: Shape
    small: Shape | None = (256, 10)
    reference: Literal["sparse", "one-hot", "binary"] = "binary"
    """The encoding of the cross-entropy that others are compared with, on the same predictions."""
    few: tuple[str, ...] = ()
    """The losses that are measured on it; all that take it, if none is named."""

    def data(self, shape: Shape) -> Data:
        """Rows of the last axis, in the shape of the predictions."""
        *leading, outputs = shape
        labels, predictions, options = self.make(math.prod(leading), outputs)
        return labels.reshape(*leading, *labels.shape[1:]), predictions.reshape(shape), options


ROWS, HALVES, IMAGES = (8192, 1000), (8192, 2000), (64, 128, 128, 21)
NUMBERS, ORDERED = (4_000_000, 1), (400_000, LEVELS)
PACKED = ((1, "counts"), (2, "counts"), (2, "positives"), (2, "shares"), *((n, "reals") for n in (2, 3, 4)))
PIXELS = ("CrossentropyLoss", "FocalLoss", "GeneralizedCrossentropyLoss")


def _packed(parts: int, domain: str, **options: Any) -> Workload:
    title = f"{parts} number{'s' * (parts > 1)} for each of a million {domain}"
    make = functools.partial(packed, domain=domain, parts=parts, **options)
    return Workload(title, make, (1_000_000, parts), (256, 10 * parts))


WORKLOADS = {
    "sparse": Workload("Class ids", sparse, ROWS, reference="sparse"),
    "one-hot": Workload("One-hot labels", hot, ROWS, reference="one-hot"),
    "sparse pixels": Workload("Class ids of pixels", sparse, IMAGES, None, "sparse", PIXELS),
    "one-hot pixels": Workload("One-hot labels of pixels", hot, IMAGES, None, "one-hot", PIXELS),
    "binary": Workload("0/1 labels", binary, NUMBERS),
    "numbers": Workload("Real numbers", numbers, NUMBERS),
    "signs": Workload("Labels -1 and 1", signs, NUMBERS),
    "amounts": Workload("Counts", functools.partial(packed, domain="counts"), NUMBERS),
    "positives": Workload("Numbers above 0", functools.partial(packed, domain="positives"), NUMBERS),
    "distributions": Workload("Distributions", distributions, ROWS, reference="one-hot"),
    "logits": Workload("Logits of a teacher", numbers, ROWS, reference="one-hot"),
    "latents": Workload("Latent means and variances", latents, ROWS),
    "pairs": Workload("Class ids, with a prediction and a mean", halves, HALVES, (256, 20), "one-hot"),
    "views": Workload("Class ids, with two views", halves, HALVES, (256, 20), "one-hot"),
    "ranks": Workload("Ranks, with logits of being above", below, (400_000, LEVELS - 1), (256, LEVELS - 1)),
    "cut points": Workload("Ranks, with cut points", cut_points, ORDERED, reference="sparse"),
    "pooled": Workload("Ranks, with a logit each", ranks, ORDERED, reference="sparse"),
    **{f"{parts} of {domain}": _packed(parts, domain) for parts, domain in PACKED},
    "6 of reals": _packed(6, "reals", components=2),
}

OF_CLASSES = ("sparse", "one-hot", "sparse pixels", "one-hot pixels")

TAKEN: dict[str, tuple[str, ...]] = {
    "classes": (*OF_CLASSES, "binary"),
    "exclusive": OF_CLASSES,
    "scores": OF_CLASSES,
    "outputs": ("binary",),
    "quantiles": ("numbers",),
    "expectiles": ("numbers",),
    "amounts by powers": ("amounts",),
    "2 or 3 of reals": ("3 of reals",),
    "3 of each component of reals": ("6 of reals",),
    "sums": ("numbers",),
    "anything": ("sparse",),
}
"""The workloads for a kind of data, where there is none of its own name."""


# Losses -----------------------------------------------------------------------------------------------

SUM = {"losses": {"squared": SquaredErrorLoss(), "absolute": AbsoluteErrorLoss()}}

VARIANTS: dict[str, tuple[dict[str, Any], ...]] = {
    "CompositeLoss": (SUM,),
    "UncertaintyWeightedLoss": (SUM,),
    "HingeLoss": ({}, {"power": 2}),
    "MulticlassHingeLoss": ({}, {"kind": "weston_watkins"}),
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
            elif parameter.default is REQUIRED and parameter.examples and key not in given:
                example = parameter.examples[0]
                given[key] = np.resize(example, outputs).tolist() if isinstance(example, list) else example
        return cls(**{**given, **self.options})


def measured(workload: str, names: tuple[str, ...] = ()) -> Iterator[Measured]:
    """The losses that are measured on a workload, all or those of these names."""
    few = WORKLOADS[workload].few
    for name in catalogue.losses():
        takes = REGISTRY[name].takes
        if workload in TAKEN.get(takes, (takes,)) and name in (names or (name,)) and name in (few or (name,)):
            yield from (Measured(name, options) for options in VARIANTS.get(name, ({},)))


def reference(workload: Workload, labels: np.ndarray, shape: Shape) -> tuple[Any, str, np.ndarray]:
    """Our cross-entropy of the same predictions: the loss, how its labels are encoded, and the labels."""
    encoding = workload.reference
    if WORKLOADS[encoding].make is not workload.make:
        labels, _, _ = WORKLOADS[encoding].data(shape)
    return CrossentropyLoss(from_logits=True, multi_label=encoding == "binary"), encoding, labels
