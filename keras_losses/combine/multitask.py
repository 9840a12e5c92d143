"""Several tasks in one loss, weighted by what training finds of their noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from keras import ops

from keras_losses.combine.around import AroundLoss
from keras_losses.combine.composite import CompositeLoss
from keras_losses.core import Card, Learned, parameter
from keras_losses.numerics import Tensor

LOG_NOISE = "log_noise"


class UncertaintyWeightedLoss(CompositeLoss):
    """A sum of tasks' losses, each divided by a noise that is learned, so that no weights have to be tuned.

        loss = sum_k weights[k] * losses[k] / noise[k]^2 + log noise[k]

    With a weight of 1/2 and squared errors this is the negative log-likelihood of normal distributions: the
    noise is the standard deviation of a task's residuals. With a weight of 1 and cross-entropy, noise^2 is
    about the temperature of the softmax. For other losses it makes the tasks' losses equally large. The
    weights of `CompositeLoss` are chosen by hand instead; `DynamicWeightAverage` and `GradNorm` look at how
    fast tasks learn, not at how noisy they are.

    For tasks of different outputs, give each output one of its own:
    `loss={"depth": UncertaintyWeightedLoss([SquaredErrorLoss()]), "class": ...}`.

    In the logs of a `LossAwareModel`, `log_noise` is the term that keeps the noise from growing; a sum of
    losses among the tasks is one task.

    Args:
        losses: the tasks, as in `CompositeLoss`.
        weights: as in `CompositeLoss`, but where none is given 1 for losses of classes and 1/2 for others.
        noise: how noisy each task is, above 0: learned, from 1, unless a number is given.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: as all of the tasks take them. With `reduction="none"` the tasks' values must have one shape.

    Raises:
        TypeError, ValueError: as `CompositeLoss`; and when it is called where nobody trains the noise.

    Example:

    >>> import numpy as np
    >>> from keras_losses import SquaredErrorLoss, UncertaintyWeightedLoss
    >>> loss = UncertaintyWeightedLoss([SquaredErrorLoss()], noise=2.0)
    >>> round(float(loss(np.array([[0.0]]), np.array([[4.0]]))), 4)  # 4^2 / (2 * 2^2) + log 2
    2.6931

    References:
        - Kendall, Gal & Cipolla 2018, Multi-Task Learning Using Uncertainty to Weigh Losses,
          https://arxiv.org/abs/1705.07115
    """

    card = Card(
        family="composite",
        formula="sum_k weights[k] * losses[k] / noise[k]^2 + log noise[k]",
        paper="Kendall 2018, 1705.07115",
        labels="those that all tasks take",
        predictions="those that all tasks take",
        use="tasks of different units or noise, in a LossAwareModel",
        avoid="a task whose loss may go to 0: its noise follows, and its weight grows without end",
        elicits="inner loss",
        elicits_note="what the tasks agree on, the noisier ones less heard",
        gradient_bound="the sum of the tasks', times weights / noise^2",
    )

    noise: float = parameter(default=Learned(1.0), within="(0, inf)", live=True)

    is_sum: ClassVar[bool] = False

    def _shape_of(self, learned: str) -> tuple[int, ...]:
        return (len(self.losses),)

    @property
    def names(self) -> list[str]:
        return [*self.losses, LOG_NOISE]

    def noises(self) -> dict[str, float]:
        """The noise of each task now."""
        found = ops.convert_to_numpy(self._noise())
        return {name: float(x) for name, x in zip(self.losses, found, strict=True)}

    def validate(self) -> None:
        super().validate()
        self._counts = {name: _Count(term, dtype=self.dtype) for name, term in self._terms.items()}

    def _default_weight(self, loss: Any) -> float:
        return 1.0 if hasattr(loss, "from_logits") else 0.5

    def _noise(self) -> Tensor:
        return ops.broadcast_to(self.convert(self.noise), (len(self.losses),))

    def contributions(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        noise = self._noise()
        parts = {
            name: self._weighted(self.weight(name), values[name]) / ops.square(noise[k])
            for k, name in enumerate(self.losses)
        }
        logs = [ops.log(noise[k]) * values[_count(name)] for k, name in enumerate(self.losses)]
        return {**parts, LOG_NOISE: sum(logs[1:], logs[0])}

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        values = {name: term.call(y_true, y_pred) for name, term in self._terms.items()}
        ones = {_count(name): ops.ones_like(value) for name, value in values.items()}
        return self._added(self.contributions({**values, **ones}))

    def _reduced_terms(
        self, y_true: Any, y_pred: Any, sample_weight: Any, reduction: str | None
    ) -> dict[str, Tensor]:
        given = (y_true, y_pred, sample_weight, reduction)
        counts = {_count(name): count._reduced(*given) for name, count in self._counts.items()}
        return {**super()._reduced_terms(*given), **counts}


class _Count(AroundLoss):
    """1 for each sample of another loss: the log of the noise has its weights, masks and reduction."""

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        return ops.ones_like(super().call(y_true, y_pred))


def _count(name: str) -> str:
    return f"{name}/count"
