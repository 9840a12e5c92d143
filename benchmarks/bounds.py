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


def _held_to_ours(row: Mapping[str, Any], name: str) -> bool:
    """Whether a loss has nothing else beside which it should cost no more."""
    other = row["peers"] or name == "CrossentropyLoss"
    return not other and not catalogue.card(catalogue.losses()[name]).cost


def marked(text: str, values: Spread, at_most: float) -> str:
    """Bold where a bound is missed, in italics where the spread reaches it."""
    return {"held": text, "within the spread": f"*{text}*", "missed": f"**{text}**"}[state(values, at_most)]
