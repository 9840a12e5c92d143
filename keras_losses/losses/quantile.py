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
    """Return checked levels."""
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
        domain="a number in (0, 1), or an increasing sequence of them",
    )


class LevelsLoss(PackedLoss):
    """Base of the losses that weigh residuals r = y - f by a level, which depends on their sign.

    There may be several levels, each with its own output. A subclass declares its levels as a
    hyper-parameter, returns them from `declared_levels`, and states `of_residual(r, level)`.

    Args:
        non_crossing: whether the outputs are the lowest level and the raw steps from each level to the next;
            a softplus makes the steps positive, so that the levels are in order for every input.
            `levels(y_pred)` returns the levels.
    """

    non_crossing: bool = flag(default=False, kw_only=False)

    @property
    def declared_levels(self) -> float | list[float]:
        """Hyper-parameter that holds the level or levels."""
        raise NotImplementedError

    def of_residual(self, r: Tensor, level: float) -> Tensor:
        raise NotImplementedError

    @property
    def parts(self) -> int:
        return len(self._level_list)

    @property
    def _level_list(self) -> list[float]:
        levels = self.declared_levels
        return levels if isinstance(levels, list) else [levels]

    def levels(self, y_pred: Any) -> Any:
        """Predicted levels, packed like the outputs: a tensor for a tensor, else an array."""
        return self._apply_to_predictions(
            y_pred, lambda values: ops.concatenate(self._in_order(self.unpacked(values)), -1)
        )

    def per_target(self, y_true: Tensor, numbers: list[Tensor]) -> Tensor:
        values = [
            self.of_residual(y_true - predicted, level)
            for predicted, level in zip(self._in_order(numbers), self._level_list, strict=True)
        ]
        return sum(values[1:], values[0]) / len(values)

    def _in_order(self, numbers: list[Tensor]) -> list[Tensor]:
        """Predictions of the levels: the outputs, or running sums of their softplus steps."""
        if not self.non_crossing:
            return numbers
        lowest, *raw_steps = numbers
        levels = [lowest]
        for raw_step in raw_steps:
            levels.append(levels[-1] + numerics.softplus(raw_step))
        return levels


class QuantileLoss(LevelsLoss):
    """Pinball loss, for predicting a quantile of the target, or several that form an interval.

        loss = mean over quantiles and targets of  q r         where r >= 0
                                                   (q - 1) r   elsewhere

    with r = y - f and f the prediction of the quantile q. Above the 0.9 quantile lies one target in ten, so a
    target above it costs nine times as much as one below. For the median (q = 0.5) it is half the absolute
    error. `ExpectileLoss` is its counterpart around the mean, for the means of tails.

    Args:
        quantiles: a level in (0, 1), or an increasing sequence of levels, each with its own output.
        non_crossing: whether the outputs are the lowest quantile and the raw steps from each quantile to the
            next; a softplus makes the steps positive, so that the quantiles never cross.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    `levels(y_pred)` returns the predicted quantiles. `interval(y_pred, level)` returns both ends of a central
    interval whose quantiles are among the predicted ones.

    Shapes: with one quantile `y_true` and `y_pred` `(..., targets)`, or `(...)` for one target. With Q
    quantiles `y_pred` is `(..., Q * targets)`: the first quantile of every target, then the second, and so
    on. With `reduction="none"` the result is `(...)`.

    Raises:
        TypeError, ValueError: if the levels are not in (0, 1) or do not increase, the shapes do not match, or
            the quantiles of an interval are not predicted.

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
        use="prediction intervals, and targets for which too low costs more than too high (or the reverse)",
        avoid="far tails with few samples: a 0.99 quantile learns from one sample in a hundred",
        elicits="median",
        elicits_note="the quantile q for quantiles=q",
        gradient_bound="max(q, 1 - q) / (quantiles * targets)",
        identities=(Identity({"quantiles": 0.5}, "AbsoluteErrorLoss", factor=0.5),),
    )

    quantiles: float | Sequence[float] = _declared()

    @property
    def declared_levels(self) -> Any:
        return self.quantiles

    def interval(self, y_pred: Any, level: float = 0.9) -> tuple[Any, Any]:
        """Ends of the central interval with this level, `(..., targets)` each."""
        ends = [(1.0 - level) / 2.0, (1.0 + level) / 2.0]
        positions = [k for end in ends for k, q in enumerate(self._level_list) if abs(q - end) < 1e-9]
        if len(positions) != 2:
            raise ValueError(
                f"`QuantileLoss`: the interval of `level` {level} ends at the quantiles {ends[0]:g} and "
                f"{ends[1]:g}, and both must be predicted. Received: level={level!r}, for a loss with "
                f"quantiles={self.quantiles}. Add them to `quantiles`, or choose a level whose quantiles "
                "are there."
            )
        low, high = positions

        def at_positions(outputs: Tensor) -> tuple[Tensor, Tensor]:
            levels = self._in_order(self.unpacked(outputs))
            return levels[low], levels[high]

        interval: tuple[Any, Any] = self._apply_to_predictions(y_pred, at_positions)
        return interval

    def of_residual(self, r: Tensor, level: float) -> Tensor:
        # At r = 0 the gradient is 0: a target that is predicted exactly pulls neither way.
        side = ops.where(r > 0, numerics.full_like(r, level), numerics.full_like(r, level - 1.0))
        return r * ops.stop_gradient(ops.where(ops.equal(r, 0), ops.zeros_like(r), side))


class ExpectileLoss(LevelsLoss):
    """Asymmetric squared error, for predicting an expectile of the target: tails weighted by their size.

        loss = mean over levels and targets of  |tau - [r < 0]| r^2

    with r = y - f. An expectile is to the mean what a quantile is to the median. It depends on how far away
    the targets of a tail are, not only on their number, and it learns from all samples. No fixed share of the
    targets lies below it; for such a share use `QuantileLoss`.

    Args:
        tau: a level in (0, 1), or an increasing sequence of levels, each with its own output; 0.5 is the
            mean.
        non_crossing: whether the outputs are the lowest expectile and the raw steps from each expectile to
            the next; a softplus makes the steps positive, so that the expectiles never cross.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    `levels(y_pred)` returns the predicted expectiles.

    Shapes: with one level `y_true` and `y_pred` `(..., targets)`, or `(...)` for one target. With several
    levels `y_pred` is `(..., levels * targets)`: the first level of every target, then the second, and so on.
    With `reduction="none"` the result is `(...)`.

    Raises:
        TypeError, ValueError: if the levels are not in (0, 1) or do not increase, or the shapes do not match.

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
        use="tails whose size matters, not only their share: risk, value functions in offline learning",
        avoid="targets with outliers, or an interval that must hold a share of the targets",
        elicits="mean",
        elicits_note="the expectile tau for tau other than 0.5",
        gradient_bound="unbounded: 2 max(tau, 1 - tau) |r|",
        identities=(Identity({"tau": 0.5}, "SquaredErrorLoss", factor=0.5),),
    )

    tau: float | Sequence[float] = _declared()

    @property
    def declared_levels(self) -> Any:
        return self.tau

    def of_residual(self, r: Tensor, level: float) -> Tensor:
        below, above = numerics.full_like(r, 1.0 - level), numerics.full_like(r, level)
        return ops.where(r < 0, below, above) * ops.square(r)
