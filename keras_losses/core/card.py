"""The card of a loss: what it computes, for which data, and what may be expected of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Identity:
    """The loss with the hyper-parameters `when` equals `times` the loss called `equals` with `given`."""

    when: Mapping[str, Any]
    equals: str
    given: Mapping[str, Any] = field(default_factory=dict)
    times: float = 1.0


Functional = Literal[
    "mean",
    "median",
    "location between median and mean",
    "location near the median",
    "class probability",
    "class probability over its prior",
    "centre of distributions",
    "order of probabilities",
    "likeliest class",
    "agreement",
    "parameters of the distribution",
    "inner loss",
]
"""What the best constant prediction may be of the labels; `"inner loss"`: what the loss inside elicits.

`"location near the median"`: where most labels are, wherever the others are. `"agreement"`: nothing, since
all constant predictions are worth the same; only predictions that go with the labels are worth more.
`"parameters of the distribution"`: those that score best on the labels.

`"centre of distributions"`: a distribution between the targets, which need not be their mean; where all of
them are the same, that one.
"""


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a loss is, where it belongs, and what may be expected of it.

    The contract tests and the documentation read the same card.
    """

    family: str
    formula: str
    """The value of one sample, in the words of the class's docstring."""
    paper: str
    labels: str
    """The domain of `y_true`."""
    predictions: str
    """The domain of `y_pred`."""
    use: str
    avoid: str
    elicits: Functional
    """What the best constant prediction is, with the default hyper-parameters."""
    gradient_bound: str
    """The largest size of the gradient in one prediction, for a weight of 1."""
    elicits_note: str = ""
    """What has to be added to that: its conditions, and what other hyper-parameters make of it."""
    identities: tuple[Identity, ...] = ()
    conditioning: str = ""
    """Where the formula itself loses digits, and how many."""
    cost: str = ""
    """Which arithmetic costs more than a cross-entropy of the same predictions, if it is a third or more."""
