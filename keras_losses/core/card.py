"""The card of a loss: its formula, its data, its use and its properties."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Identity:
    """An equality of two losses.

    The loss with the hyper-parameters `when` equals `factor` times the loss named `equals` with the
    hyper-parameters `arguments`.
    """

    when: Mapping[str, Any]
    equals: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    factor: float = 1.0


Functional = Literal[
    "mean",
    "median",
    "location between median and mean",
    "location near the median",
    "class probability",
    "class probability over its prior",
    "centre of distributions",
    "centre of images",
    "order of probabilities",
    "likeliest class",
    "agreement",
    "parameters of the distribution",
    "inner loss",
]
"""Property of the labels that the best constant prediction equals; statisticians say that a loss elicits it.

- `"location near the median"`: a location close to most labels, wherever the others are.
- `"agreement"`: no property. All constant predictions have the same loss; only predictions that vary with the
  labels have a smaller one.
- `"parameters of the distribution"`: the parameters with the best score on the labels.
- `"centre of distributions"`: a distribution between the targets. It need not be their mean, and it equals
  the targets if they are all equal.
- `"centre of images"`: an image between the targets, which equals them if they are all equal.
- `"inner loss"`: the property that the wrapped loss elicits.
"""


@dataclass(frozen=True, kw_only=True)
class Card:
    """A description of a loss, which the contract tests and the documentation read."""

    family: str
    formula: str
    """The value of one sample, in the notation of the class's docstring."""
    paper: str
    labels: str
    """The domain of `y_true`."""
    predictions: str
    """The domain of `y_pred`."""
    use: str
    avoid: str
    elicits: Functional
    """The property that the best constant prediction equals, with the default hyper-parameters."""
    gradient_bound: str
    """A bound on the absolute gradient in one prediction, for a weight of 1."""
    elicits_note: str = ""
    """Conditions of `elicits`, and what it becomes with other hyper-parameters."""
    identities: tuple[Identity, ...] = ()
    conditioning: str = ""
    """Where rounding errors of the formula grow, and how many digits they cost."""
    cost: str = ""
    """Arithmetic beyond that of a cross-entropy of the same predictions, if it adds a third or more."""
