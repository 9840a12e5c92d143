"""What each loss is measured on: labels and predictions of the kind that it takes, large and small.

The kind is that of the loss's oracle in tests/oracles, as in the laws, so that a new loss is measured without
a line here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from keras_losses import AbsoluteErrorLoss, CrossentropyLoss, SquaredErrorLoss, catalogue
from keras_losses.card import REQUIRED, Learned
from tests.oracles import REGISTRY

Shape = tuple[int, ...]
Size = Literal["large", "small"]
Random = np.random.Generator

NUMBERS, ROWS, IMAGES = (4_000_000, 1), (8192, 1000), (64, 128, 128, 21)
LEVELS = 10
"""How many ordered classes there are."""


@dataclass(frozen=True)
class Workload:
    """Labels and predictions that a loss may take."""

    title: str
    labels: Callable[[Random, np.ndarray], np.ndarray]
    """Given the predictions."""
    large: Shape
    """Of the predictions."""
    small: Shape | None = (256, 10)
    reference: Literal["sparse", "one-hot", "binary"] = "binary"
    """The encoding of the cross-entropy that others are compared with, on the same predictions."""
    options: dict[str, Any] = field(default_factory=dict)
    """What a loss is told, if it has such a hyper-parameter."""
    few: tuple[str, ...] = ()
    """The losses that are measured on it; all that take it, if none is named."""
    predictions: Callable[[Random, Shape], np.ndarray] = lambda r, shape: r.standard_normal(shape, "float32")

    def arrays(self, shape: Shape) -> tuple[np.ndarray, np.ndarray]:
        random = np.random.default_rng(0)
        y_pred = self.predictions(random, shape)
        return self.labels(random, y_pred), y_pred


def ids(random: Random, x: np.ndarray) -> np.ndarray:
    return random.integers(0, x.shape[-1], x.shape[:-1], "int32")


def hot(random: Random, x: np.ndarray) -> np.ndarray:
    return one_hot(ids(random, x), x.shape[-1])


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    return np.asarray(np.eye(classes, dtype="float32")[labels])


def binary(random: Random, x: np.ndarray) -> np.ndarray:
    return random.integers(0, 2, x.shape).astype("float32")


def distributions(random: Random, x: np.ndarray) -> np.ndarray:
    grown = np.exp(numbers(random, x))
    return np.asarray(grown / grown.sum(-1, keepdims=True))


def numbers(random: Random, x: np.ndarray) -> np.ndarray:
    return random.standard_normal(x.shape, "float32")


def _ranks(random: Random, x: np.ndarray) -> np.ndarray:
    return random.integers(0, LEVELS, x.shape[:-1], "int32")


def _cut(random: Random, shape: Shape) -> np.ndarray:
    """A score, and cut points that increase."""
    gaps = random.uniform(0.3, 1.5, (*shape[:-1], shape[-1] - 1)).astype("float32")
    return np.concatenate([random.standard_normal((*shape[:-1], 1), "float32"), np.cumsum(gaps, -1) - 4], -1)


def _of_parts(parts: int, domain: Callable[[Random, Shape], Any]) -> Callable[..., np.ndarray]:
    """Targets of which each has several numbers in the last axis of the predictions."""

    def targets(random: Random, x: np.ndarray) -> np.ndarray:
        return np.asarray(domain(random, (*x.shape[:-1], x.shape[-1] // parts)), "float32")

    return targets


DOMAINS: dict[str, Callable[[Random, Shape], Any]] = {
    "counts": lambda random, shape: random.poisson(3.0, shape),
    "positives": lambda random, shape: random.lognormal(0, 1, shape),
    "reals": lambda random, shape: random.standard_normal(shape),
    "shares": lambda random, shape: random.beta(1.5, 2.5, shape),
}


def _packed(parts: int, domain: str, **options: Any) -> Workload:
    title = f"{parts} number{'s' * (parts > 1)} for each of a million {domain}"
    return Workload(
        title, _of_parts(parts, DOMAINS[domain]), (1_000_000, parts), (256, 10 * parts), options=options
    )


def _amounts(title: str, domain: str) -> Workload:
    return Workload(title, _of_parts(1, DOMAINS[domain]), NUMBERS)


PIXELS = ("CrossentropyLoss", "FocalLoss", "GeneralizedCrossentropyLoss")

WORKLOADS = {
    "sparse": Workload("Class ids", ids, ROWS, reference="sparse"),
    "one-hot": Workload("One-hot labels", hot, ROWS, reference="one-hot"),
    "sparse pixels": Workload("Class ids of pixels", ids, IMAGES, None, "sparse", few=PIXELS),
    "one-hot pixels": Workload("One-hot labels of pixels", hot, IMAGES, None, "one-hot", few=PIXELS),
    "binary": Workload("0/1 labels", binary, NUMBERS, options={"multi_label": True}),
    "numbers": Workload("Real numbers", numbers, NUMBERS),
    "signs": Workload("Labels -1 and 1", lambda r, x: 2 * binary(r, x) - 1, NUMBERS),
    "amounts": _amounts("Counts", "counts"),
    "positives": _amounts("Numbers above 0", "positives"),
    "distributions": Workload("Distributions", distributions, ROWS, reference="one-hot"),
    "logits": Workload("Logits of a teacher", numbers, ROWS, reference="one-hot"),
    "latents": Workload("Latent means and variances", lambda r, x: np.zeros(x.shape[:-1], "float32"), ROWS),
    "pairs": Workload(
        "Class ids, with a prediction and the mean of earlier ones",
        lambda r, x: r.integers(0, x.shape[-1] // 2, x.shape[:-1], "int32"),
        (8192, 2000),
        (256, 20),
        "one-hot",
    ),
    "views": Workload(
        "Class ids, with two views",
        lambda r, x: r.integers(0, x.shape[-1] // 2, x.shape[:-1], "int32"),
        (8192, 2000),
        (256, 20),
        "one-hot",
        {"views": 2},
    ),
    "ranks": Workload(
        "Ranks, with logits of being above", _ranks, (400_000, LEVELS - 1), (256, LEVELS - 1), "binary"
    ),
    "cut points": Workload(
        "Ranks, with cut points", _ranks, (400_000, LEVELS), (256, LEVELS), "sparse", predictions=_cut
    ),
    "pooled": Workload("Ranks, with a logit each", _ranks, (400_000, LEVELS), (256, LEVELS), "sparse"),
    "1 of counts": _packed(1, "counts"),
    "2 of counts": _packed(2, "counts"),
    "2 of positives": _packed(2, "positives"),
    "2 of shares": _packed(2, "shares"),
    "2 of reals": _packed(2, "reals"),
    "3 of reals": _packed(3, "reals"),
    "4 of reals": _packed(4, "reals"),
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

SUM = {"losses": {"squared": SquaredErrorLoss(), "absolute": AbsoluteErrorLoss()}}

VARIANTS: dict[str, tuple[dict[str, Any], ...]] = {
    "CompositeLoss": (SUM,),
    "UncertaintyWeightedLoss": (SUM,),
    "HingeLoss": ({}, {"power": 2}),
    "MulticlassHingeLoss": ({}, {"kind": "weston_watkins"}),
    "RegularizedLoss": ({"loss": CrossentropyLoss(from_logits=True), "confidence_penalty": 0.1},),
}
"""The hyper-parameters that a loss is measured with, where these are not its defaults alone."""


LEFT_OUT = {
    (
        "SeesawLoss",
        "one-hot",
    ): "it weighs each class against each other one for each sample, which takes 33 GB",
}
"""What is not measured on the large shape, and why."""


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

    def build(self, workload: Workload, shape: Shape) -> Any:
        cls = catalogue.losses()[self.name]
        told = {"from_logits": True, "num_classes": LEVELS, **workload.options}
        given = {key: value for key, value in told.items() if key in cls.hyperparameters}
        for key, parameter in cls.hyperparameters.items():
            if isinstance(parameter.default, Learned):  # a model's; what is measured is the formula
                given[key] = parameter.default.initial
            elif parameter.default is REQUIRED and parameter.examples:
                example = parameter.examples[0]
                given[key] = np.resize(example, shape[-1]).tolist() if isinstance(example, list) else example
        return cls(**{**given, **self.options})


def measured(workload: str, names: tuple[str, ...] = ()) -> Iterator[Measured]:
    """The losses that are measured on a workload, all or those of these names."""
    for name in catalogue.losses():
        takes = REGISTRY[name].takes
        if workload not in TAKEN.get(takes, (takes,)) or (names and name not in names):
            continue
        if WORKLOADS[workload].few and name not in WORKLOADS[workload].few:
            continue
        yield from (Measured(name, options) for options in VARIANTS.get(name, ({},)))


def reference(workload: Workload, y_true: np.ndarray, shape: Shape) -> tuple[Any, str, np.ndarray]:
    """Our cross-entropy of the same predictions: the loss, how its labels are encoded, and the labels."""
    encoding = workload.reference
    make = {"sparse": ids, "one-hot": hot, "binary": binary}[encoding]
    y = y_true
    if WORKLOADS[encoding].labels is not workload.labels:
        y = make(np.random.default_rng(1), np.empty(shape, "float32"))
    return CrossentropyLoss(from_logits=True, multi_label=encoding == "binary"), encoding, y
