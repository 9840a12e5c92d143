"""What the library is held to, and whether a figure is within it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from benchmarks.timing import Spread
from keras_losses import catalogue
from tests.oracles import REGISTRY

State = Literal["held", "within the spread", "missed"]


@dataclass(frozen=True)
class Bound:
    """A figure of a loss's row and the most that it may be."""

    what: str
    at_most: float
    figure: str
    where: Mapping[str, str] = field(default_factory=dict)
    """The rows that it is about."""


OF_CLASSES = {"workload": "sparse", "size": "large", "takes": "classes"}
BINARY_FOCAL = {"workload": "binary", "size": "large", "loss": "FocalLoss"}

BOUNDS = (
    Bound(
        "softmax losses of class ids, TensorFlow with XLA: times the floor",
        1.9,
        "floors",
        OF_CLASSES | {"mode": "XLA"},
    ),
    Bound("softmax losses of class ids, JAX: times the floor", 1.3, "floors", OF_CLASSES | {"mode": "jit"}),
    Bound(
        "softmax losses of class ids, TensorFlow without XLA: over Keras's one-hot cross-entropy",
        1.0,
        "one-hot",
        OF_CLASSES | {"mode": "graph"},
    ),
    Bound(
        "binary focal, TensorFlow with XLA: times the floor", 2.3, "floors", BINARY_FOCAL | {"mode": "XLA"}
    ),
    Bound(
        "binary focal, TensorFlow without XLA: times the floor",
        3.0,
        "floors",
        BINARY_FOCAL | {"mode": "graph"},
    ),
    Bound("over each counterpart of another library", 1.0, "peers"),
    Bound(
        "without one, and nothing in the card on what costs more: over our cross-entropy", 1.3, "crossentropy"
    ),
    Bound("memory: over that of Keras's cross-entropy", 1.0, "memory"),
)


@dataclass(frozen=True)
class Reason:
    """Why figures miss their bounds, and what was tried."""

    why: str
    figures: tuple[str, ...]
    where: Mapping[str, tuple[str, ...]]
    """The rows that it is about."""


XLA, TIMES = ("XLA", "jit"), ("floors", "one-hot", "peers", "crossentropy")

REASONS = (
    Reason(
        "Each class is asked for: of the bi-tempered loss a power in each of the five iterations of its "
        "normaliser and the three of Newton's method, of the others a second softmax. Tried: one value for "
        "the label instead of one for each class, gradients beside the values, one exponential in a step "
        "of Newton's method; all kept.",
        ("floors", "one-hot"),
        {"loss": ("BiTemperedLoss", "BootstrapLoss", "ActivePassiveLoss")},
    ),
    Reason(
        "A softmax goes over its logits three times, and JAX keeps the exponentials between the second and "
        "the third in memory that is new in each call; optax's cross-entropy, which does the same, is as "
        "far from the floor in this run. Tried: exponentials computed twice, behind a barrier (slower), "
        "and scatters against comparisons (kept where classes are many).",
        ("floors",),
        {"mode": ("jit",)},
    ),
    Reason(
        "Without XLA each of its operations is a pass over memory, and a floor is less than two; Keras's "
        "own is as far. Tried: the kernels that TensorFlow has for softplus and sigmoid; kept.",
        ("floors",),
        {"mode": ("graph",)},
    ),
    Reason(
        "PyTorch computes one operation after the other, and each goes through `keras.ops`, which takes as "
        "long as a small batch: a formula with more steps than a kernel of PyTorch's own takes that much "
        "longer. Tried: PyTorch's softplus and scatter, and gradients beside values; kept.",
        TIMES,
        {"mode": ("eager",)},
    ),
    Reason(
        "On a small batch a call costs more than its arithmetic. XLA divides a loop between threads from "
        "some number of operations on, which 2,560 numbers with a series or two branches reach; waking the "
        "second thread takes longer than the loop. Without XLA it is the number of operations. Tried: sums "
        "in rows, by matrix products and of all at once (the same), series of five terms in place of nine "
        "(kept).",
        TIMES,
        {"size": ("small",)},
    ),
    Reason(
        "Labels may be soft, smoothed or weighted, so that their sum is a pass of its own, and the sum of "
        "what is beside the label another, which keeps the digits of a sample that is nearly right. Tried: "
        "the sum of all exponentials alone, as others have it; faster by that pass, and 0 for logits 20 "
        "and 0.",
        ("peers",),
        {"loss": ("CrossentropyLoss",), "workload": ("one-hot", "one-hot pixels")},
    ),
    Reason(
        "Without XLA each operation is a pass over memory, and more of them keep the digits that others "
        "lose: those of small differences, or of 1 - p of every class. Tried: kernels of TensorFlow's for "
        "several at once (softplus, sigmoid, expm1), gradients beside values that share their "
        "exponentials, series in fewer terms; all kept.",
        TIMES,
        {"mode": ("graph",)},
    ),
    Reason(
        "More arithmetic than the counterpart has, for the digits of small differences, or 1 - p of every "
        "class; on JAX each array between two steps is new memory besides. Tried: sums of what is already "
        "in memory, functions with derivatives of their own; kept.",
        TIMES,
        {"mode": XLA},
    ),
    Reason(
        "XLA computes what is expensive once and keeps it for the gradient: an array for each exponential "
        "or quotient that both need. Keras's cross-entropy has one.",
        ("memory",),
        {"mode": XLA},
    ),
    Reason(
        "Each operation writes an array, and those that its gradient needs stay until then: with more of "
        "them than the cross-entropy of one kernel has, so many more arrays.",
        ("memory",),
        {"mode": ("graph", "eager")},
    ),
)
"""The first that is about a row counts."""

LINEAR = 1.05
"""An exponent of growth up to which it is called linear."""

IMPORT = 0.15
"""Seconds that the import may take."""

HEAD_TIME, HEAD_MEMORY = 1.0, 1 / 8
"""Of the chunked head over whole logits with Keras's loss."""

STEP = 1.0
"""A step with our loss over one with Keras's."""


def state(values: Spread, at_most: float) -> State:
    """Whether the median is within a bound, or the lower quartile at least."""
    low, middle, _ = values
    return "held" if middle <= at_most else "within the spread" if low <= at_most else "missed"


def figures(row: Mapping[str, Any], bound: Bound) -> Iterator[tuple[str, Spread]]:
    """What a bound is about in a row, by the name of what it is compared with."""
    name = row["loss"].split("(")[0]
    facts = {**row, "takes": REGISTRY[name].takes}
    if any(facts.get(key) != value for key, value in bound.where.items()):
        return
    if bound.figure == "peers":
        yield from row.get("peers", {}).items()
    elif bound.figure == "memory":
        if row.get("memory of Keras"):
            # A twentieth of the predictions is other memory of the process.
            yield "", [max(row["memory"] - 0.05, 0.0) / row["memory of Keras"]] * 3
    elif bound.figure in row and (bound.figure != "crossentropy" or _held_to_ours(row, name)):
        yield "", row[bound.figure]


def reason(row: Mapping[str, Any], bound: Bound) -> str:
    """Why a figure of a row may miss its bound; empty where nobody has found out."""
    facts = {**row, "loss": row["loss"].split("(")[0]}
    for each in REASONS:
        if bound.figure in each.figures and all(facts.get(key) in known for key, known in each.where.items()):
            return each.why
    return ""


def _held_to_ours(row: Mapping[str, Any], name: str) -> bool:
    """Whether a loss has nothing else beside which it should cost no more."""
    other = row["peers"] or name == "CrossentropyLoss"
    return not other and not catalogue.card(catalogue.losses()[name]).cost


def marked(text: str, values: Spread, at_most: float) -> str:
    """Bold where a bound is missed, in italics where the spread reaches it."""
    return {"held": text, "within the spread": f"*{text}*", "missed": f"**{text}**"}[state(values, at_most)]
