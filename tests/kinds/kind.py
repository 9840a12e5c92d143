"""Base class of the kinds of data: the form of labels and predictions that a loss takes, as one object.

A kind makes data from a `Source`. `Seeded` draws the fixed batches of the contract tests. Hypothesis
(tests/contract/drawing.py) draws further data with the same code.
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
"""Number of classes or outputs in most batches, and length of hyper-parameters with a number for each."""

LOGITS = (-1e4, -88.0, -17.0, 0.0, 17.0, 88.0, 1e4)
"""Logits and scores from entirely wrong to entirely right; beyond 88 exp overflows in float32."""


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
        """Real numbers of ordinary size, about -4 to 4."""

    @abc.abstractmethod
    def shares(self, shape: Shape) -> np.ndarray:
        """Numbers strictly between 0 and 1."""

    def distributions(self, shape: Shape) -> np.ndarray:
        """Probabilities over the last axis that add up to 1."""
        weights = self.shares(shape)
        return weights / weights.sum(-1, keepdims=True)

    def some(self, shape: Shape) -> np.ndarray:
        """Booleans of which about a third are True."""
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
        # Every third place, so that both values occur in a small batch.
        return np.arange(int(np.prod(shape))).reshape(shape) % 3 == 1


@dataclass(frozen=True, eq=False)
class Batch:
    """Labels and predictions in one form, and the arguments with which the loss reads that form."""

    name: str
    y_true: np.ndarray
    y_pred: np.ndarray
    options: Mapping[str, Any] = field(default_factory=dict)
    """Arguments for the constructor of the loss, such as `{"from_logits": True}`."""
    outputs: int = 1
    """Number of classes or outputs, for hyper-parameters with a number for each."""
    known: np.ndarray | None = None
    """Mask over `leading`: True where the label is not ignored. None if no label is ignored."""
    fitting: frozenset[Shape] = frozenset()
    """Every shape that labels for these predictions may have. Labels of other shapes must be refused."""
    images: bool = False
    """Whether samples are whole images with one value each, as `Kind.images` says."""

    def __repr__(self) -> str:
        return self.name

    @property
    def axis(self) -> int:
        """Axis of the classes or outputs in the predictions."""
        return self.options.get("axis", getattr(inner(self.options), "axis", -1))

    @property
    def leading(self) -> Shape:
        """Shape of the values: that of the predictions without the axis of the outputs, or `(images,)`."""
        if self.images:
            return self.y_pred.shape[:1]
        shape = list(self.y_pred.shape)
        if len(shape) > 1:
            del shape[self.axis]
        return tuple(shape)

    @property
    def flat(self) -> bool:
        """Whether the values have one axis, and the predictions more."""
        return len(self.leading) == 1 < self.y_pred.ndim

    @property
    def counted(self) -> np.ndarray:
        """Mask over `leading`: True where the label is not ignored."""
        return np.ones(self.leading, bool) if self.known is None else self.known


def inner(options: Mapping[str, Any]) -> Any:
    """First loss among these options of a loss that contains others, or None."""
    return next(iter(options.get("losses", {"": options.get("loss")}).values()))


@dataclass(frozen=True)
class Form:
    """One way to encode data of a kind: a shape, an encoding and the loss's arguments for it."""

    name: str
    shape: Shape
    """Shape from which `Kind.make` derives those of labels and predictions."""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Population:
    """Labels and their best constant prediction, counted by hand."""

    labels: Any
    options: Mapping[str, Any]
    truth: Mapping[str, Any]
    """Words that a card's `elicits` may be, each with the best constant prediction in that sense.

    tests/contract/test_elicits.py shows how each word is compared.
    """
    outputs: int = 1
    """Number of outputs of the constant prediction."""
    start: float = 0.0
    """Starting point of the search for the best constant."""
    fixed: int = 0
    """How many of the last outputs stay at `start`, because the loss holds them constant."""
    decode: Callable[[str, np.ndarray], np.ndarray] = lambda loss, bias: bias
    """Function of the loss's name and a constant output that returns the probabilities it stands for.

    It is used for the class probabilities and the centre of distributions.
    """
    image: Shape | None = None
    """Shape of the constant prediction, if it is an image."""
    likeliest: Callable[[np.ndarray], np.ndarray] = lambda bias: bias > 0
    """Function of a constant output that returns which labels it predicts."""


@dataclass(frozen=True)
class Workload:
    """Data on which benchmarks time losses: labels for predictions of a large and of a small shape."""

    title: str
    labels: Callable[[np.random.Generator, np.ndarray], np.ndarray]
    """Function of a generator and predictions that returns labels."""
    large: Shape
    """Shape of the predictions in the large case."""
    small: Shape | None = (256, 10)
    reference: str = "binary"
    """Encoding of the cross-entropy that the loss is compared with: "sparse", "one-hot" or "binary"."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Arguments for the losses that have such hyper-parameters."""
    few: tuple[str, ...] = ()
    """Names of the losses that are measured on it; empty for all losses of the kind."""
    predictions: Callable[[np.random.Generator, Shape], np.ndarray] = lambda random, shape: (
        random.standard_normal(shape, "float32")
    )

    def data(self, shape: Shape) -> tuple[np.ndarray, np.ndarray, Mapping[str, Any]]:
        """Labels and predictions of this shape, and the loss's arguments for them."""
        predictions = self.predictions(np.random.default_rng(0), shape)
        return self.labels(np.random.default_rng(1), predictions), predictions, self.options


class Kind(abc.ABC):
    """A form of labels and predictions, and everything that tests and benchmarks need to know about it.

    A subclass states `forms` and `make`, and overrides those defaults that do not fit. Its module registers
    an instance, whose name oracles give as `takes`.
    """

    forms: Sequence[Form] = ()
    """Fixed batches of the default suite: together they cover every encoding, rank and option."""
    every_form: Sequence[Form] = ()
    """Further batches for `pytest --thorough`."""
    populations: Sequence[Population] = ()
    """Labels with known best constant predictions, one entry for each set of arguments."""
    workloads: Mapping[str, Workload] = {}
    """Workloads by name. Kinds that are measured on the same data share an entry."""

    class_ids: ClassVar[bool] = False
    """Whether labels may be class ids."""
    one_output: ClassVar[bool] = False
    """Whether a single output may be the probability of one class, or its logit."""
    may_be_infinite: ClassVar[bool] = False
    """Whether the value may be infinite, as KL(y || p) is where p is 0 and y is not."""
    exact_residual: ClassVar[bool] = False
    """Whether the formula is a function of the exact differences of predictions and targets."""
    around: ClassVar[bool] = False
    """Whether losses of this kind contain other losses."""
    images: ClassVar[bool] = False
    """Whether samples are whole images with one value each: the first axis of predictions is theirs."""
    keeps_logits: ClassVar[bool] = False
    """Whether predictions may be outputs of a softmax or sigmoid, whose logits Keras keeps."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def description(self) -> str:
        """One line about the data, which `python -m tests.kinds` prints."""
        return (type(self).__doc__ or "").splitlines()[0]

    @abc.abstractmethod
    def make(self, source: Source, form: Form) -> Batch:
        """Labels and predictions of one form, drawn from `source`."""

    def batches(self, thorough: bool = False) -> Iterator[Batch]:
        """The fixed batches, drawn under fixed seeds."""
        for form in (*self.forms, *(self.every_form if thorough else ())):
            yield self.make(Seeded(self.name, form.name, form.shape), form)

    def extremes(self, dtype: str) -> Iterator[Batch]:
        """Entirely wrong, perfect and saturated predictions, with the extreme values of `dtype`."""
        return iter(())

    def perfect(self, batch: Batch, loss: Any) -> np.ndarray:
        """Predictions of this kind that are as close to the labels as possible."""
        return np.asarray(batch.y_true, "float32").reshape(batch.y_pred.shape)

    def masked(self, batch: Batch) -> Batch | None:
        """The batch with one more class, which is masked; None if its outputs are no logits of classes."""
        return None

    def mean_over(self, batch: Batch) -> int:
        """How many outputs the value is a mean over."""
        return 1

    def refused(self) -> Iterator[tuple[Mapping[str, Any], Any, Any, str]]:
        """Arguments, labels and predictions that every loss must refuse, and the value its error shows."""
        return iter(())

    def last_layer(self, loss: Any, units: int) -> keras.layers.Layer:
        """Last layer of a model for this loss, whose activation keeps the predictions valid."""
        probabilities = getattr(loss, "from_logits", True) is False
        activation = ("sigmoid" if units == 1 else "softmax") if probabilities else None
        return keras.layers.Dense(units, activation=activation)


KINDS: dict[str, Kind] = {}
"""Every kind of data, by its name."""


def register(*kinds: Kind) -> None:
    """Register kinds under their names, so that oracles can name them in `takes`."""
    for kind in kinds:
        assert kind.name not in KINDS, f"there are two kinds called {kind.name!r}"
        KINDS[kind.name] = kind


def with_masked_class(batch: Batch, logit: float = -np.inf) -> Batch:
    """The batch with a last class whose logit is -inf and whose label is 0."""
    axis, y_true = batch.axis % batch.y_pred.ndim, batch.y_true
    if y_true.ndim == batch.y_pred.ndim and y_true.shape[axis] > 1:
        y_true = np.insert(y_true, y_true.shape[axis], 0, axis=axis)
    y_pred = np.insert(batch.y_pred, batch.y_pred.shape[axis], logit, axis=axis)
    name = f"{batch.name} with a masked class"
    return replace(batch, name=name, y_true=y_true, y_pred=y_pred, outputs=batch.outputs + 1)


def named(name: str, y_pred: np.ndarray) -> str:
    return f"{name} {'x'.join(map(str, y_pred.shape))}"


def hot(ids: np.ndarray, classes: int) -> np.ndarray:
    return np.eye(classes)[ids]


def fits_one_by_one(shape: Shape) -> frozenset[Shape]:
    """Shapes of labels with one number for each prediction; a last axis of length 1 may be left out."""
    if len(shape) == 1:
        return frozenset([shape, (*shape, 1)])
    return frozenset([shape, shape[:-1], (*shape, 1)] if shape[-1] == 1 else [shape, (*shape, 1)])


# Data at the extremes that several kinds share -------------------------------------------------------

DTYPES: dict[str, Any] = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}


def edges(dtype: str) -> list[float]:
    """Probabilities 0 and 1, their nearest neighbours, the smallest normal number and a half."""
    kind = DTYPES[dtype]
    zero, one = kind(0), kind(1)
    near = [np.nextafter(zero, one), ml_dtypes.finfo(kind).smallest_normal, np.nextafter(one, zero)]
    return [float(x) for x in (zero, *near, kind(0.5), one)]


def rows(probabilities: bool, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Distributions over three classes at the `edges`, or logits far apart, with each class as the label."""
    if probabilities:
        found = [np.roll([p, 1 - p, 0.0], turn) for p in edges(dtype) for turn in range(CLASSES)]
    else:
        found = [[a, b, 0.3] for a in LOGITS for b in LOGITS]
    return np.repeat(found, CLASSES, axis=0), np.tile(np.arange(CLASSES), len(found))


def outputs(probabilities: bool, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """As `rows` for single outputs, with the labels 0 and 1."""
    found = edges(dtype) if probabilities else LOGITS
    return np.repeat(found, 2), np.tile([0.0, 1.0], len(found))


def softmax_of(bias: np.ndarray) -> np.ndarray:
    return softmax(bias, -1)


# Shapes of the predictions in workloads.
NUMBERS, ROWS, IMAGES = (4_000_000, 1), (8192, 1000), (64, 128, 128, 21)
