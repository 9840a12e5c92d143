"""Several tasks in one loss, weighted by a noise that is learned for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from keras import ops

from keras_losses.combine.around import AroundLoss
from keras_losses.combine.composite import CompositeLoss
from keras_losses.combine.sum_of_terms import Values
from keras_losses.core import Card, Learned, Loss, parameter
from keras_losses.numerics import Tensor

LOG_NOISE = "log_noise"


class UncertaintyWeightedLoss(CompositeLoss):
    """A sum of the losses of tasks, each divided by a learned noise, so that no weights have to be tuned.

        loss = sum_k weights[k] * losses[k] / noise[k]^2 + log noise[k]

    With a weight of 1/2 and squared errors this is the negative log-likelihood of normal distributions: the
    noise is the standard deviation of a task's residuals. With a weight of 1 and cross-entropy, noise^2 is
    about the temperature of the softmax. For other losses it makes the tasks' losses equally large. The
    weights of `CompositeLoss` are chosen by hand. `DynamicWeightAverage` and `GradNorm` weight the tasks by
    how fast they learn, not by their noise.

    If the tasks have different outputs, give each output its own loss:
    `loss={"depth": UncertaintyWeightedLoss([SquaredErrorLoss()]), "class": ...}`.

    In the logs of a `LossAwareModel`, `log_noise` is the term that keeps the noise from growing. A sum of
    losses among the tasks is one task.

    Args:
        losses: The tasks, as in `CompositeLoss`.
        weights: As in `CompositeLoss`, but the default is 1 for losses of classes and 1/2 for other losses.
        noise: The noise of each task, above 0. By default it is learned, starting at 1; a number fixes it.
        name, reduction, dtype: As in `keras_losses.core.Loss`.

    Shapes: as all of the tasks take them. With `reduction="none"` the tasks' values must have one shape.

    Raises:
        TypeError, ValueError: As `CompositeLoss`, and if it is called while nothing trains the noise.

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
        avoid="the loss of a task can reach 0: its noise goes to 0 too, and its weight grows without bound",
        elicits="inner loss",
        elicits_note="a compromise between the tasks, in which noisier tasks count less",
        gradient_bound="the sum of the tasks', times weights / noise^2",
    )

    noise: float = parameter(default=Learned(1.0), within="(0, inf)", live=True)

    _can_be_taken_apart: ClassVar[bool] = False
    _other_names: ClassVar[tuple[str, ...]] = (LOG_NOISE,)

    def _shape_of(self, learned: str) -> tuple[int, ...]:
        return (len(self.losses),)

    @property
    def names(self) -> list[str]:
        return [*self.losses, LOG_NOISE]

    def noises(self) -> dict[str, float]:
        """Return the current noise of each task, by name."""
        noises = ops.convert_to_numpy(self._noise())
        return {name: float(noise) for name, noise in zip(self.losses, noises, strict=True)}

    def validate(self) -> None:
        super().validate()
        self._ones = {name: _OnePerSample(task, dtype=self.dtype) for name, task in self._terms().items()}

    def _default_weight(self, loss: Any) -> float:
        # Losses of probabilities have this argument.
        return 1.0 if hasattr(loss, "from_logits") else 0.5

    def _noise(self) -> Tensor:
        return ops.broadcast_to(self.convert(self.noise), (len(self.losses),))

    def _evaluated(self, value_of: Callable[[Loss], Tensor]) -> tuple[Values, Values]:
        values, parts = super()._evaluated(value_of)
        noise = self._noise()
        noises = {name: noise[k] for k, name in enumerate(self.losses)}
        parts = {name: part / ops.square(noises[name]) for name, part in parts.items()}
        first, *others = (ops.log(noises[name]) * value_of(ones) for name, ones in self._ones.items())
        log_noise = sum(others, first)
        return {**values, LOG_NOISE: log_noise}, {**parts, LOG_NOISE: log_noise}


class _OnePerSample(AroundLoss):
    """The value 1 for each sample of another loss, with the weights, masks and reduction of that loss.

    The logarithm of a task's noise is multiplied with it, so that a sample of weight 0 does not move the
    noise.
    """

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        return ops.ones_like(super().call(y_true, y_pred))
