"""Schedules of hyper-parameters of losses."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import keras

from keras_losses.training.settings import Control
from keras_losses.training.terms import LossTerms

from .follows import FollowsSchedule
from .numbers_of_fit import NumbersOfFit


class LossParameterSchedule(FollowsSchedule):
    """Sets a hyper-parameter of the model's loss from a schedule, such as the weight of a term.

    Keras ignores a number of a loss that is changed after the first step, because the step was traced with
    the old number. Here compiled steps read the number from a variable of the model, so that nothing is
    traced again. Validation uses the number that training used last. The logs, and so the `History` and
    TensorBoard, have the number under its name, and the model is saved with it.

    The schedule continues in a second `fit` and after a restart, as that of `LearningRateDecay` does, which
    describes how epochs and steps are counted.

    Args:
        name: Name of the number, such as `"gamma"`, or `"weights/<term>"` for the weight of a term of a
            `CompositeLoss`. If several losses have a number of that name, its path: `"<term>/gamma"`, or
            `"<output>/gamma"` and `"<output>/<term>/gamma"` in a model with several outputs. The error for
            an unknown name lists the numbers that can be set.
        schedule: A function of the epoch (of the step with `unit="step"`), counted from 0, that returns a
            number in the range of the hyper-parameter. It can be a
            `keras.optimizers.schedules.LearningRateSchedule`.
        unit: `"epoch"` sets the number at the beginning of each epoch, `"step"` before each batch. With
            `steps_per_execution > 1` it holds for the whole execution. On JAX, setting a number in the
            middle of an epoch costs a pass over all of the model's variables.
        verbose: 1 prints the number at the beginning of each epoch, 0 prints nothing.
        backup_dir: Directory in which the number of epochs is kept for other processes, as for
            `LearningRateDecay`. A `LossAwareModel` does not need it.

    Raises:
        TypeError: If `schedule` cannot be called.
        ValueError: If `unit` is neither `"epoch"` nor `"step"`; when training, if the loss has no number or
            several numbers of that name, or if the schedule returns a number outside the range.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> from keras_losses import AbsoluteErrorLoss, SquaredErrorLoss
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", loss=SquaredErrorLoss() + 0 * AbsoluteErrorLoss())
    >>> ramp = LossParameterSchedule("weights/absolute_error_loss", lambda epoch: min(1.0, epoch / 2))
    >>> x, y = np.zeros((4, 1)), np.zeros((4, 1))
    >>> model.fit(x, y, epochs=4, callbacks=[ramp], verbose=0).history["weights/absolute_error_loss"]
    [0.0, 0.5, 1.0, 1.0]

    References:
        - Bowman et al. 2016, Generating Sentences from a Continuous Space (annealing of the KL term),
          https://arxiv.org/abs/1511.06349
    """

    def __init__(
        self,
        name: str,
        schedule: Callable[[int], Any],
        unit: str = "epoch",
        verbose: int = 0,
        backup_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__(name, schedule, unit, verbose, backup_dir)
        self._control: Control | None = None

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        if getattr(model, "compiled", False):
            # Now, because the first step has not been traced yet.
            self._control = LossTerms.attach(model).control(model, type(self).__name__, self.label)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        super().on_train_begin(logs)
        self._numbers_of_fit = NumbersOfFit.of(self)

    def changed(self, batch: int, value: float) -> None:
        assert self._control is not None
        self._numbers_of_fit.changed(batch, self._control.path, value)

    def apply(self, value: float) -> None:
        assert self._control is not None  # Keras gives a model to its callbacks before it trains it
        self._control.assign(value)
