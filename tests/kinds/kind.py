"""What a kind of data is: the form of labels and predictions that a loss takes, as one object.

A kind makes data from a `Source`. With `Seeded` the data are the fixed batches of the contract tests; with
Hypothesis (tests/contract/drawing.py) the same code makes data that nobody thought of.
"""

from __future__ import annotations

import abc
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeVar

import keras
import ml_dtypes
import numpy as np
from scipy.special import softmax

Shape = tuple[int, ...]
T = TypeVar("T")

CLASSES = 3
"""Number of classes or outputs in most batches, and of the numbers in the examples of hyper-parameters."""

LOGITS = (-1e4, -88.0, -17.0, 0.0, 17.0, 88.0, 1e4)
"""Logits and scores from hopeless to perfect; beyond 88 exp overflows in float32."""


class Source(abc.ABC):
    """Where arrays of data come from: a seeded generator, or Hypothesis."""

    @abc.abstractmethod
    def choose(self, options: Sequence[T]) -> T:
        """One of the options."""

    @abc.abstractmethod
    def integers(self, low: int, high: int, shape: Shape) -> np.ndarray:
        """Whole numbers from `low` to `high`, both included."""

    @abc.abstractmethod
    def numbers(self, shape: Shape) -> np.ndarray:
        """Real numbers of an ordinary size, about -4 to 4."""

    @abc.abstractmethod
    def shares(self, shape: Shape) -> np.ndarray:
        """Numbers between 0 and 1, without the ends."""

    def distributions(self, shape: Shape) -> np.ndarray:
        """Probabilities over the last axis that add up to 1."""
        weights = self.shares(shape)
        return weights / weights.sum(-1, keepdims=True)

    def some(self, shape: Shape) -> np.ndarray:
        """True for about a third of the places."""
        return self.integers(0, 2, shape) == 0


class Seeded(Source):
    """The same data in every run."""

    def __init__(self, *seed: object) -> None:
        self.random = np.random.default_rng(zlib.crc32(repr(seed).encode()))

    def choose(self, options: Sequence[T]) -> T:
        return options[self.random.integers(len(options))]

    def integers(self, low: int, high: int, shape: Shape) -> np.ndarray:
        return self.random.integers(low, high, shape, endpoint=True)

    def numbers(self, shape: Shape) -> np.ndarray:
        return self.random.normal(0, 2, shape)

    def shares(self, shape: Shape) -> np.ndarray:
        return self.random.uniform(0.05, 0.95, shape)

    def some(self, shape: Shape) -> np.ndarray:
        # Every third, so that something is left and something is not.
        return np.arange(int(np.prod(shape))).reshape(shape) % 3 == 1


@dataclass(frozen=True, eq=False)
class Batch:
    """Labels and predictions in one form, and the arguments that tell the loss of it."""

    name: str
    y_true: np.ndarray
    y_pred: np.ndarray
    options: Mapping[str, Any] = field(default_factory=dict)
    outputs: int = 1
    """Number of classes or outputs, for hyper-parameters with a number for each."""
    known: np.ndarray | None = None
    """Which of the losses have a label that is not ignored; None for all."""
    fitting: frozenset[Shape] = frozenset()
    """Every shape that labels for these predictions may have."""

    def __repr__(self) -> str:
        return self.name

    @property
    def axis(self) -> int:
        """The axis of the outputs."""
        return self.options.get("axis", getattr(inner(self.options), "axis", -1))

    @property
    def leading(self) -> Shape:
        """The shape of the losses."""
        shape = list(self.y_pred.shape)
        if len(shape) > 1:
            del shape[self.axis]
        return tuple(shape)

    @property
    def counted(self) -> np.ndarray:
        """Which of the losses have a label that is not ignored."""
        return np.ones(self.leading, bool) if self.known is None else self.known


def inner(options: Mapping[str, Any]) -> Any:
    """The loss inside the one that has these options: the first of several, or None."""
    return next(iter(options.get("losses", {"": options.get("loss")}).values()))


@dataclass(frozen=True)
class Form:
    """One way to write data of a kind down: a shape, an encoding, and what the loss is told."""

    name: str
    shape: Shape
    """Shape of the targets or of the predictions, as the kind says."""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Population:
    """Labels whose best constant prediction is known, and what it is, counted by hand."""

    labels: Any
    options: Mapping[str, Any]
    truth: Mapping[str, Any]
    """For each word that a card's `elicits` may be, the best constant in that sense."""
    outputs: int = 1
    start: float = 0.0
    """Where a search for the best constant begins."""
    fixed: int = 0
    """How many of the last outputs stay there, since the loss holds them constant."""
    decode: Callable[[str, np.ndarray], np.ndarray] = lambda loss, bias: bias
    """The probabilities that a constant output stands for; of a loss, by its name."""
    likeliest: Callable[[np.ndarray], np.ndarray] = lambda bias: bias > 0
    """Which labels a constant output predicts."""


@dataclass(frozen=True)
class Workload:
    """What a loss of a kind is timed on: labels for predictions of a large and of a small shape."""

    title: str
    labels: Callable[[np.random.Generator, np.ndarray], np.ndarray]
    """Labels for these predictions."""
    large: Shape
    """Shape of the predictions."""
    small: Shape | None = (256, 10)
    reference: str = "binary"
    """Encoding of the cross-entropy that the loss is compared with: "sparse", "one-hot" or "binary"."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What a loss is told, if it has such a hyper-parameter."""
    few: tuple[str, ...] = ()
    """The losses that are measured on it; empty for all that take it."""
    predictions: Callable[[np.random.Generator, Shape], np.ndarray] = lambda random, shape: (
        random.standard_normal(shape, "float32")
    )

    def data(self, shape: Shape) -> tuple[np.ndarray, np.ndarray, Mapping[str, Any]]:
        """Labels and predictions of this shape, and what a loss is told of them."""
        predictions = self.predictions(np.random.default_rng(0), shape)
        return self.labels(np.random.default_rng(1), predictions), predictions, self.options


class Kind(abc.ABC):
    """A form of labels and predictions, and everything that a test or a benchmark asks of it.

    A subclass states `forms` and `make`, and what it has to add of the rest. Its module registers an object
    of it, and the loss's oracle names that with `takes`.
    """

    forms: Sequence[Form] = ()
    """The fixed batches: together they have every encoding, rank and option."""
    every_form: Sequence[Form] = ()
    """More of them, for `pytest --thorough`."""
    populations: Sequence[Population] = ()
    workloads: Mapping[str, Workload] = {}
    """By name; kinds that are measured on the same data share an entry."""

    class_ids: ClassVar[bool] = False
    """Whether labels may be class ids."""
    one_output: ClassVar[bool] = False
    """Whether one output may be a probability by itself, or its logit."""
    may_be_infinite: ClassVar[bool] = False
    """Whether the formula may be infinite: a distribution that has what the other has not."""
    exact_residual: ClassVar[bool] = False
    """Whether predictions are compared with targets one by one by a difference, which rounds nothing."""
    around: ClassVar[bool] = False
    """Whether it is a kind with losses inside a loss."""
    keeps_logits: ClassVar[bool] = False
    """Whether the predictions may be the output of a softmax or sigmoid, whose logits Keras keeps."""

    def __init__(self, name: str) -> None:
        self.name = name

    @abc.abstractmethod
    def make(self, source: Source, form: Form) -> Batch:
        """Labels and predictions of one form."""

    def batches(self, thorough: bool = False) -> Iterator[Batch]:
        """The fixed batches: draws under fixed seeds."""
        for form in (*self.forms, *(self.every_form if thorough else ())):
            yield self.make(Seeded(self.name, form.name, form.shape), form)

    def reshaped(self, form: Form, shape: Shape) -> Form:
        """The form with another shape (batch, ..., outputs), as far as the form leaves it free."""
        return replace(form, shape=shape)

    def extremes(self, dtype: str) -> Iterator[Batch]:
        """Hopeless, perfect and saturated predictions, as they are in `dtype`."""
        return iter(())

    def perfect(self, batch: Batch, loss: Any) -> np.ndarray:
        """Predictions that are as near to the labels as predictions of this kind come."""
        return np.asarray(batch.y_true, "float32").reshape(batch.y_pred.shape)

    def refused(self) -> Iterator[tuple[Mapping[str, Any], Any, Any, str]]:
        """Hyper-parameters, labels and predictions that no loss of the kind takes, and the value shown."""
        return iter(())

    def last_layer(self, loss: Any, units: int) -> keras.layers.Layer:
        """The last layer of a model for this loss."""
        probabilities = getattr(loss, "from_logits", True) is False
        activation = ("sigmoid" if units == 1 else "softmax") if probabilities else None
        return keras.layers.Dense(units, activation=activation)


KINDS: dict[str, Kind] = {}
"""Every kind of data, by its name."""


def register(*kinds: Kind) -> None:
    """Adds kinds, so that the oracles of losses can name them."""
    for kind in kinds:
        assert kind.name not in KINDS, f"there are two kinds called {kind.name!r}"
        KINDS[kind.name] = kind


def named(name: str, y_pred: np.ndarray) -> str:
    return f"{name} {'x'.join(map(str, y_pred.shape))}"


def hot(ids: np.ndarray, classes: int) -> np.ndarray:
    return np.eye(classes)[ids]


def fits_one_by_one(shape: Shape) -> frozenset[Shape]:
    """Shapes of targets with a number for each output: of one output with an axis for it or without."""
    if len(shape) == 1:
        return frozenset([shape, (*shape, 1)])
    return frozenset([shape, shape[:-1], (*shape, 1)] if shape[-1] == 1 else [shape, (*shape, 1)])


# Data at the extremes that several kinds share -------------------------------------------------------

DTYPES: dict[str, Any] = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}


def edges(dtype: str) -> list[float]:
    """Probabilities 0 and 1, one unit in the last place from both, the smallest normal number, a half."""
    kind = DTYPES[dtype]
    zero, one = kind(0), kind(1)
    near = [np.nextafter(zero, one), ml_dtypes.finfo(kind).smallest_normal, np.nextafter(one, zero)]
    return [float(x) for x in (zero, *near, kind(0.5), one)]


def rows(probabilities: bool, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Distributions over three classes at the edges, or logits far apart, and each class as the label."""
    if probabilities:
        found = [np.roll([p, 1 - p, 0.0], turn) for p in edges(dtype) for turn in range(CLASSES)]
    else:
        found = [[a, b, 0.3] for a in LOGITS for b in LOGITS]
    return np.repeat(found, CLASSES, axis=0), np.tile(np.arange(CLASSES), len(found))


def outputs(probabilities: bool, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """The same for single outputs, with the labels 0 and 1."""
    found = edges(dtype) if probabilities else LOGITS
    return np.repeat(found, 2), np.tile([0.0, 1.0], len(found))


def softmax_of(bias: np.ndarray) -> np.ndarray:
    return softmax(bias, -1)


# Sizes of workloads, in predictions.
NUMBERS, ROWS, IMAGES = (4_000_000, 1), (8192, 1000), (64, 128, 128, 21)
