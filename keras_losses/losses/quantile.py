"""Losses whose best prediction is a quantile or an expectile: one, or several in one output."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from keras import ops

from keras_losses import numerics
from keras_losses.core import Card, Identity, PackedLoss, flag, parameter
from keras_losses.numerics import Tensor


def _levels(value: Any) -> float | list[float]:
    """a number in (0, 1), or an increasing sequence of them"""
    if isinstance(value, str | bytes | bool):
        raise TypeError(f"it is of type {type(value).__name__}")
    several = hasattr(value, "__len__")
    levels = [float(level) for level in (value if several else [value])]
    rising = all(low < high for low, high in pairwise(levels))
    if not levels or not rising or not 0 < levels[0] <= levels[-1] < 1:
        raise ValueError
    return levels if several else levels[0]


def _declared() -> Any:
    return parameter(
        default=0.5,
        convert=_levels,
        examples=(0.9, [0.1, 0.5, 0.9]),
        refused=("median", 0.0, 1.0, [], [0.5, 0.1], [0.2, 0.2], [0.5, float("nan")]),
    )


class LevelsLoss(PackedLoss):
    """Base of the losses of r = y - f that weigh targets above and below by a level, for several at once.

    A subclass declares its levels and states `of_residual(r, level)`.

    Args:
        non_crossing: whether the outputs are the lowest level and the steps from each to the next, through
            a softplus, so that the levels are in order for every input. `levels(y_pred)` reads them.
    """

    non_crossing: bool = flag(default=False, kw_only=False)

    @property
    def given(self) -> float | list[float]:
        """The hyper-parameter with the levels."""
        raise NotImplementedError

    def of_residual(self, r: Tensor, level: float) -> Tensor:
        raise NotImplementedError

    @property
    def parts(self) -> int:
        return len(self._each)

    @property
    def _each(self) -> list[float]:
        return self.given if isinstance(self.given, list) else [self.given]

    def levels(self, y_pred: Any) -> Any:
        """The predicted levels, packed as the outputs are: a tensor of a tensor, an array of an array."""
        return self._apply_to_predictions(
            y_pred, lambda values: ops.concatenate(self._in_order(self.unpacked(values)), -1)
        )

    def per_target(self, y_true: Tensor, numbers: list[Tensor]) -> Tensor:
        values = [
            self.of_residual(y_true - predicted, level)
            for predicted, level in zip(self._in_order(numbers), self._each, strict=True)
        ]
        return sum(values[1:], values[0]) / len(values)

    def _in_order(self, numbers: list[Tensor]) -> list[Tensor]:
        found = numbers[:1]
        for step in numbers[1:]:
            found.append(found[-1] + numerics.softplus(step) if self.non_crossing else step)
        return found


class QuantileLoss(LevelsLoss):
    """The pinball loss, whose best prediction is a quantile of the target; several make an interval.

        loss = mean over quantiles and targets of  q r         where r >= 0
                                                   (q - 1) r   elsewhere

    with r = y - f and f the prediction of the quantile q: above the 0.9 quantile lies one target in ten, so
    a target above is worth nine times one below. The median (0.5) is half the absolute error. For the mean
    in place of the median, and means of tails, `ExpectileLoss`.

    Args:
        quantiles: a level in (0, 1), or an increasing sequence of levels, of which each has its output.
        non_crossing: whether the outputs are the lowest quantile and the steps from each to the next, through
            a softplus, so that the quantiles never cross. `levels(y_pred)` then gives the quantiles.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    `levels(y_pred)` are the predicted quantiles; `interval(y_pred, level)` the lowest and highest number of
    the central interval of that level, where its two quantiles are among those that are predicted.

    Shapes: with one quantile `y_true` and `y_pred` `(..., targets)`, and `(...)` stands for one target. With
    Q of them `y_pred` is `(..., Q * targets)`: the first quantile of every target, then the second ... With
    `reduction="none"` the result is `(...)`.

    Raises:
        TypeError, ValueError: for levels that are not in (0, 1) or do not increase, shapes that do not match,
            and an interval whose quantiles are not predicted.

    Example:

    >>> import numpy as np
    >>> from keras_losses import QuantileLoss
    >>> loss = QuantileLoss(quantiles=[0.25, 0.75])
    >>> float(loss(np.array([2.0]), np.array([[0.0, 3.0]])))  # (0.25 * 2 + 0.25 * 1) / 2
    0.375
    >>> low, high = loss.interval(np.array([[0.0, 3.0]]), level=0.5)
    >>> low, high
    (array([[0.]], dtype=float32), array([[3.]], dtype=float32))

    References:
        - Koenker & Bassett 1978, Regression Quantiles, https://doi.org/10.2307/1913643
        - Gasthaus et al. 2019, Probabilistic Forecasting with Spline Quantile Function RNNs (quantiles that
          do not cross), https://proceedings.mlr.press/v89/gasthaus19a.html
    """

    card = Card(
        family="quantile",
        formula="q r if r >= 0, else (q - 1) r; the mean over the quantiles",
        paper="Koenker 1978",
        labels="real numbers",
        predictions="real numbers, one for each quantile",
        use="an interval, or a target for which too little costs more than too much",
        avoid="far tails of few samples: a 0.99 quantile has one sample in a hundred to learn from",
        elicits="median",
        elicits_note="with quantiles=q the quantile q",
        gradient_bound="max(q, 1 - q) / (quantiles * targets)",
        identities=(Identity({"quantiles": 0.5}, "AbsoluteErrorLoss", times=0.5),),
    )

    quantiles: float | Sequence[float] = _declared()

    @property
    def given(self) -> Any:
        return self.quantiles

    def interval(self, y_pred: Any, level: float = 0.9) -> tuple[Any, Any]:
        """The ends of the central interval of this level, `(..., targets)` each."""
        ends = [(1.0 - level) / 2.0, (1.0 + level) / 2.0]
        turns = [turn for end in ends for turn, q in enumerate(self._each) if abs(q - end) < 1e-9]
        if len(turns) != 2:
            raise ValueError(
                f"QuantileLoss: the interval of `level` {level} has the quantiles {ends[0]:g} and "
                f"{ends[1]:g} for its ends. Received: level={level!r}, for a loss of the quantiles "
                f"{self.quantiles}."
            )
        found: tuple[Any, Any] = self._apply_to_predictions(
            y_pred, lambda values: tuple(self._in_order(self.unpacked(values))[turn] for turn in turns)
        )
        return found

    def of_residual(self, r: Tensor, level: float) -> Tensor:
        # No slope at r = 0: a target that is hit pulls neither way.
        side = ops.where(r > 0, numerics.full(r, level), numerics.full(r, level - 1.0))
        return r * ops.stop_gradient(ops.where(ops.equal(r, 0), ops.zeros_like(r), side))


class ExpectileLoss(LevelsLoss):
    """The asymmetric squared error, whose best prediction is an expectile of the target.

        loss = mean over levels and targets of  |tau - [r < 0]| r^2

    with r = y - f. An expectile is to the mean what a quantile is to the median: it moves with how far the
    targets of a tail are, not only with how many there are, and is learnt from all samples. It has no share
    of the targets below it; where that is wanted, `QuantileLoss`.

    Args:
        tau: a level in (0, 1), or an increasing sequence of levels, of which each has its output. 0.5 is the
            mean.
        non_crossing: whether the outputs are the lowest expectile and the steps from each to the next,
            through a softplus, so that they never cross. `levels(y_pred)` then gives the expectiles.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: with one level `y_true` and `y_pred` `(..., targets)`, and `(...)` stands for one target. With
    several `y_pred` is `(..., levels * targets)`: the first level of every target, then the second ... With
    `reduction="none"` the result is `(...)`.

    Raises:
        TypeError, ValueError: for levels that are not in (0, 1) or do not increase, and shapes that do not
            match.

    Example:

    >>> import numpy as np
    >>> from keras_losses import ExpectileLoss
    >>> loss = ExpectileLoss(tau=0.75)
    >>> float(loss(np.array([2.0, 0.0]), np.array([0.0, 2.0])))  # (0.75 * 4 + 0.25 * 4) / 2
    2.0

    References:
        - Newey & Powell 1987, Asymmetric Least Squares Estimation and Testing,
          https://doi.org/10.2307/1911031
    """

    card = Card(
        family="quantile",
        formula="|tau - [r < 0]| r^2; the mean over the levels",
        paper="Newey & Powell 1987",
        labels="real numbers",
        predictions="real numbers, one for each level",
        use="tails whose size matters and not only their share: risk, value functions in offline learning",
        avoid="outliers, or an interval that should hold a share of the targets",
        elicits="mean",
        elicits_note="with tau the expectile tau",
        gradient_bound="unbounded: 2 max(tau, 1 - tau) |r|",
        identities=(Identity({"tau": 0.5}, "SquaredErrorLoss", times=0.5),),
    )

    tau: float | Sequence[float] = _declared()

    @property
    def given(self) -> Any:
        return self.tau

    def of_residual(self, r: Tensor, level: float) -> Tensor:
        return ops.where(r < 0, numerics.full(r, 1.0 - level), numerics.full(r, level)) * ops.square(r)
