"""Base classes of the losses whose predictions are the parameters of a distribution for each target.

The last axis of the predictions packs these parameters in the order that each loss states: the first
parameter of every target, then the second of every target, and so on. A parameter that must be positive is
predicted as a raw number; the loss reads it as softplus(raw) + floor, so the model can end with a plain
Dense layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from keras import ops

from keras_losses import numerics
from keras_losses.core import PackedLoss, Parameter, parameter, wanted_values
from keras_losses.core.scipy import import_scipy
from keras_losses.numerics import Tensor
from keras_losses.numerics.gamma import log_gamma_ratio

LOG_TWO_PI = math.log(2 * math.pi)
LEVEL = Parameter(within="(0, 1)")


@dataclass(frozen=True)
class Support:
    """The labels that a distribution can produce."""

    words: str
    contains: Callable[[Any], Any]
    """Test of each label; that labels are whole numbers is tested where `integers` is set."""
    member: float
    """A possible label, which stands in for impossible ones while the value is computed."""
    advice: str
    """What to do about other labels, for the error message."""
    integers: bool = False


POSITIVE = Support(
    words="numbers above 0",
    contains=lambda y: y > 0,
    member=1.0,
    advice="`TweedieLoss` takes targets of 0, and `GaussianNLLLoss` takes all numbers.",
)
COUNTS = Support(
    words="whole numbers from 0 up",
    contains=lambda y: y >= 0,
    member=0.0,
    advice="`TweedieLoss` takes amounts that are not whole, and `GaussianNLLLoss` takes all numbers.",
    integers=True,
)
SHARES = Support(
    words="numbers between 0 and 1, without both ends",
    contains=lambda y: (y > 0) & (y < 1),
    member=0.5,
    advice="`CrossentropyLoss` with one output takes 0 and 1 too.",
)


class LikelihoodLoss(PackedLoss):
    """Base of the losses that score a predicted distribution, whose parameters fill the last axis.

    A subclass states:

    - `parts`: how many numbers it takes for each target;
    - `score(y, numbers)`: the value of each target;
    - `transformed(numbers)`: the parameters of the distribution by name;
    - `expectation(distribution)` and `quantile(p, distribution)`, from these parameters.
    """

    support: ClassVar[Support | None] = None
    """The possible labels; None for all numbers."""

    def score(self, y: Tensor, numbers: list[Tensor]) -> Tensor:
        raise NotImplementedError

    def transformed(self, numbers: list[Tensor]) -> dict[str, Tensor]:
        raise NotImplementedError

    def expectation(self, distribution: Mapping[str, Tensor]) -> Tensor:
        raise NotImplementedError

    def quantile(self, p: float, distribution: Mapping[str, Tensor]) -> Tensor:
        raise NotImplementedError

    def parameters(self, y_pred: Any) -> Any:
        """Parameters of each target's distribution by name, `(..., targets)` each.

        Tensors if `y_pred` is a tensor, NumPy arrays otherwise.
        """
        return self._apply_to_predictions(y_pred, self._distribution)

    def mean(self, y_pred: Any) -> Any:
        """Mean of each target's distribution, `(..., targets)`: a tensor for a tensor, else an array."""
        return self._apply_to_predictions(
            y_pred, lambda outputs: self.expectation(self._distribution(outputs))
        )

    def interval(self, y_pred: Any, level: float = 0.9) -> Any:
        """Central interval `(low, high)` that holds each target with probability `level`.

        The probability below `low` equals the probability above `high`. For counts, each of the two is at
        most (1 - level) / 2.
        """
        level = LEVEL.check(type(self).__name__, "level", level)
        tails = (0.5 - level / 2, 0.5 + level / 2)

        def ends(outputs: Tensor) -> tuple[Tensor, ...]:
            distribution = self._distribution(outputs)
            return tuple(self.quantile(p, distribution) for p in tails)

        return self._apply_to_predictions(y_pred, ends)

    def per_target(self, y_true: Tensor, numbers: list[Tensor]) -> Tensor:
        if self.support is None:
            return self.score(y_true, numbers)
        # Compiled graphs do not check labels: there an impossible label gives NaN. The score is computed for
        # a possible label instead, because a sample that does not count is blanked to 0, and the gradient of
        # its score must stay finite.
        possible = self.support.contains(y_true)
        if self.support.integers:
            possible = ops.logical_and(possible, ops.equal(y_true, ops.floor(y_true)))
        labels = ops.where(possible, y_true, numerics.full_like(y_true, self.support.member))
        values = self.score(labels, numbers)
        return ops.where(possible, values, numerics.full_like(values, np.nan))

    def check(self, y_true: Tensor, y_pred: Tensor, wanted: np.ndarray | None) -> None:
        if self.support is None:
            return
        values = wanted_values(y_true, wanted)
        wrong = ~self.support.contains(values)
        if self.support.integers:
            wrong |= values != np.floor(values)
        wrong &= ~np.isnan(values)
        if wrong.any():
            raise ValueError(
                f"`{type(self).__name__}`: `y_true` must hold {self.support.words}. "
                f"Received: {values[wrong][0]:g}. {self.support.advice}"
            )

    def _distribution(self, y_pred: Tensor) -> dict[str, Tensor]:
        return self.transformed(self.unpacked(y_pred))

    def _scipy_quantile(self, family: str, p: Any, *arguments: Any) -> Tensor:
        """Quantile of a distribution of `scipy.stats`, in float64; it needs values and cannot be traced."""
        stats = import_scipy(type(self).__name__, "the quantiles of this distribution", "scipy.stats")
        return self.convert(getattr(stats, family).ppf(p, *map(numerics.to_numpy, arguments)))


class ScaledLikelihoodLoss(LikelihoodLoss):
    """Base of the likelihoods with a parameter that must be positive.

    Args:
        floor: the smallest value of a positive parameter, above 0, in its units; added to softplus(raw).
    """

    floor: float = parameter(default=1e-3, within="(0, inf)", kw_only=True)

    def positive(self, raw: Tensor) -> Tensor:
        return numerics.softplus(raw) + self.floor


def normal_nll(standardized: Tensor, scale: Tensor) -> Tensor:
    """-log of the density of a normal distribution, where `standardized` is (y - mean) / scale."""
    return 0.5 * ops.square(standardized) + ops.log(scale) + 0.5 * LOG_TWO_PI


def student_t_nll(half_df: Tensor, square_over_df: Tensor, log_scale: Tensor) -> Tensor:
    """-log of the density of Student's t, from z^2 / df; as df grows it becomes the normal one."""
    constant = log_scale + 0.5 * LOG_TWO_PI - log_gamma_ratio(half_df, 0.5)
    return constant + (half_df + 0.5) * numerics.log1p(square_over_df)
