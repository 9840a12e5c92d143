"""Optimizers whose momentum follows a schedule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from keras_losses import keras_private


class _ScheduledMomentum:
    """Base of optimizers whose momentum is a schedule, which the config holds as well.

    In Keras the momentum is a Python number of the traced step, so a later change has no effect. Here it is
    computed in the step, from the counter that the learning rate's schedule receives.
    """

    def _momentum_of(self, schedule: Any, name: str) -> Any:
        if isinstance(schedule, Mapping):
            schedule = keras.saving.deserialize_keras_object(dict(schedule))
        if not isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
            raise TypeError(
                f"`{type(self).__name__}`: `{name}` must be a schedule, such as OneCycle(...).momentum(). "
                f"For a number use Keras's own optimizer. Received: {name}={schedule!r}"
            )
        return schedule

    def _momentum_now(self, schedule: Any) -> Any:
        iterations = keras_private.iteration_counter(self)
        return ops.cast(ops.convert_to_tensor(schedule(iterations)), "float32")


class _ScheduledBeta(_ScheduledMomentum):
    """Base of Adam and AdamW, which read `beta_1` in each step."""

    @property
    def beta_1(self) -> Any:
        return self._momentum_now(self._beta_1)

    @beta_1.setter
    def beta_1(self, schedule: Any) -> None:
        self._beta_1 = self._momentum_of(schedule, "beta_1")

    def get_config(self) -> dict[str, Any]:
        config: dict[str, Any] = super().get_config()  # type: ignore[misc]
        return {**config, "beta_1": keras.saving.serialize_keras_object(self._beta_1)}


@keras.saving.register_keras_serializable("keras_losses")
class ScheduledAdam(_ScheduledBeta, keras.optimizers.Adam):  # type: ignore[misc]
    """Adam whose `beta_1` follows a schedule, for one-cycle training.

    The bias correction of the first moment is 1 - beta_1^step with the beta_1 of the present step, as in
    PyTorch, whose `OneCycleLR` cycles it too. The correction is exact for a constant beta_1, and after some
    hundred steps it is 1 for any schedule.

    Args:
        learning_rate: A number or a schedule.
        beta_1: A `LearningRateSchedule` of numbers from 0 to below 1, such as `OneCycle(...).momentum()`.
        **kwargs: Arguments of `keras.optimizers.Adam`.

    Raises:
        TypeError: If `beta_1` is not a schedule.

    References:
        - Smith 2018, A disciplined approach to neural network hyper-parameters,
          https://arxiv.org/abs/1803.09820

    Example:

    >>> from keras_losses.callbacks import OneCycle, ScheduledAdam
    >>> cycle = OneCycle(1e-2, steps=1000)
    >>> optimizer = ScheduledAdam(cycle, beta_1=cycle.momentum(0.85, 0.95))
    """

    def __init__(self, learning_rate: Any, beta_1: Any, **kwargs: Any) -> None:
        super().__init__(learning_rate=learning_rate, beta_1=beta_1, **kwargs)


@keras.saving.register_keras_serializable("keras_losses")
class ScheduledAdamW(_ScheduledBeta, keras.optimizers.AdamW):  # type: ignore[misc]
    """AdamW whose `beta_1` follows a schedule; see `ScheduledAdam`.

    Args:
        learning_rate: A number or a schedule.
        beta_1: A `LearningRateSchedule` of numbers from 0 to below 1, such as `OneCycle(...).momentum()`.
        **kwargs: Arguments of `keras.optimizers.AdamW`.

    Raises:
        TypeError: If `beta_1` is not a schedule.
    """

    def __init__(self, learning_rate: Any, beta_1: Any, **kwargs: Any) -> None:
        super().__init__(learning_rate=learning_rate, beta_1=beta_1, **kwargs)


@keras.saving.register_keras_serializable("keras_losses")
class ScheduledSGD(_ScheduledMomentum, keras.optimizers.SGD):  # type: ignore[misc]
    """SGD whose momentum follows a schedule, for one-cycle training.

        m <- momentum(s) m - learning_rate(s) g        w <- w + m

    Args:
        learning_rate: A number or a schedule.
        momentum: A `LearningRateSchedule` of numbers from 0 to 1, such as `OneCycle(...).momentum()`.
        **kwargs: Arguments of `keras.optimizers.SGD`.

    Raises:
        TypeError: If `momentum` is not a schedule.

    References:
        - Smith 2018, A disciplined approach to neural network hyper-parameters,
          https://arxiv.org/abs/1803.09820

    Example:

    >>> from keras_losses.callbacks import OneCycle, ScheduledSGD
    >>> cycle = OneCycle(0.4, steps=1000)
    >>> optimizer = ScheduledSGD(cycle, momentum=cycle.momentum(), nesterov=True)
    """

    def __init__(self, learning_rate: Any, momentum: Any, **kwargs: Any) -> None:
        # Keras requires a number here. Any number but 0 makes it create the slots.
        super().__init__(learning_rate=learning_rate, momentum=0.9, **kwargs)
        self._momentum = self._momentum_of(momentum, "momentum")

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        momentum = ops.cast(self._momentum_now(self._momentum), variable.dtype)
        step = ops.cast(gradient, variable.dtype) * ops.cast(learning_rate, variable.dtype)
        velocity = self.momentums[keras_private.slot_index(self, variable)]
        self.assign(velocity, ops.multiply(velocity, momentum) - step)
        change = ops.multiply(velocity, momentum) - step if self.nesterov else velocity
        self.assign_add(variable, change)

    def get_config(self) -> dict[str, Any]:
        config: dict[str, Any] = super().get_config()
        return {**config, "momentum": keras.saving.serialize_keras_object(self._momentum)}
