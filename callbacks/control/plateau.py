"""Learning-rate decay when a logged value has stopped improving."""

from __future__ import annotations

import math
import os
import warnings
from typing import Any

import keras

from ..arguments import as_number, choice, number, whole_number
from ..schedules.around import Scaled
from ..state import Remembers
from .numbers_of_fit import NumbersOfFit
from .optimizers import batches_seen, rate_variable, required_optimizer, schedule_of, updating

_SMALLEST_FACTOR = 1e-30  # products with smaller factors underflow in float32


class PlateauDecay(Remembers, keras.callbacks.Callback):  # type: ignore[misc]
    """Multiplies the learning rate by a factor when a logged value has stopped improving.

    After `patience` epochs in which the value was not better than the best by more than `min_delta`, the
    rate is multiplied by `factor`; then `cooldown` epochs pass before epochs are counted again. The rate of
    an epoch's last update is in the logs, and so in the `History`, as `learning_rate`.

    Unlike `keras.callbacks.ReduceLROnPlateau` it

    - works if the optimizer has a schedule, which it multiplies (each reduction traces the step again), and
      beside `LearningRateDecay`, whose rate it multiplies;
    - takes any value of the logs, with an explicit `mode`;
    - continues in a second `fit` with the best value, the waiting and the cooldown of the first. With
      `backup_dir` it continues in another process as well: after a kill with `BackupAndRestore`, and with a
      model that `ModelCheckpoint` saved and `load_model` loaded.

    The epochs of a `cooldown` are not counted at all, as in PyTorch. Keras counts the last one, so that its
    `cooldown=1` does nothing. If the value never improves after the first epoch, the rate is reduced at the
    end of these epochs, counted from 1:

    | `patience` | `cooldown` | here     | `keras.callbacks.ReduceLROnPlateau` |
    |------------|------------|----------|-------------------------------------|
    | 2          | 0          | 3, 5, 7  | 3, 5, 7                             |
    | 2          | 1          | 3, 6, 9  | 3, 5, 7                             |
    | 2          | 2          | 3, 7, 11 | 3, 6, 9                             |

    To get Keras's epochs, subtract 1 from a `cooldown` above 0. PyTorch waits for one epoch more than
    `patience`, so add 1 to the patience of its `ReduceLROnPlateau`.

    Place it before callbacks that save the model at the end of an epoch, so that they save its decision. An
    epoch whose logs lack the value (`validation_freq`) is not counted. NaN counts as not better.

    Args:
        monitor: The value's name in the logs.
        mode: `"min"` if less is better, `"max"` if more is better. `"auto"` is `"min"` for a name that ends
            in `loss`, and an error for other names.
        factor: Factor of the rate, above 0 and below 1.
        patience: Number of epochs without a better value before the rate is reduced, 1 or more.
        min_delta: Smallest difference that counts as better, 0 or more.
        cooldown: Number of epochs that are not counted after a reduction, 0 or more.
        min_rate: Lower limit of reductions, 0 or more.
        backup_dir: Directory in which the state is kept for other processes: that of `BackupAndRestore`,
            which removes it at the end of training, or that of the checkpoints. None keeps it in memory.
        verbose: 1 prints each reduction, 0 prints nothing.
        min_delta_mode: `"abs"` compares the difference with `min_delta`, as Keras does. `"rel"` compares it
            with `min_delta` times the absolute value of the best value. That is the default of PyTorch's
            `ReduceLROnPlateau`, where `min_delta` is called `threshold`, and the mode `threshold_mode`.

    Raises:
        TypeError, ValueError: For an argument outside its domain.
        ValueError: When training, if the learning rate is a function.

    Warns:
        UserWarning: Once, if the logs lack the value, if it is NaN, if the compiled optimizer makes no
            update, so that its rate is not used, or if another callback, such as
            `keras.callbacks.LearningRateScheduler`, undoes a reduction.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> from keras_losses.callbacks import PlateauDecay
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile(keras.optimizers.SGD(1.0), loss="mse")
    >>> plateau = PlateauDecay("loss", factor=0.5, patience=2)
    >>> x, y = np.zeros((4, 1)), np.zeros((4, 1))  # the loss is 0 in every epoch
    >>> model.fit(x, y, epochs=6, callbacks=[plateau], verbose=0).history["learning_rate"]
    [1.0, 1.0, 1.0, 0.5, 0.5, 0.25]
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        mode: str = "auto",
        factor: float = 0.1,
        patience: int = 10,
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_rate: float = 0.0,
        backup_dir: str | os.PathLike[str] | None = None,
        verbose: int = 0,
        min_delta_mode: str = "abs",
    ) -> None:
        super().__init__()
        if mode == "auto" and str(monitor).endswith("loss"):
            mode = "min"
        if mode not in ("min", "max"):
            raise ValueError(
                f"`PlateauDecay`: `mode` must be 'min' if less of {monitor!r} is better, or 'max' if more is "
                f"better. Received: mode={mode!r}"
            )
        self.monitor, self.mode, self.verbose = monitor, mode, verbose
        self.factor = number("PlateauDecay", "factor", factor, "(0, 1)")
        self.min_delta = number("PlateauDecay", "min_delta", min_delta, "[0, inf)")
        self.min_delta_mode = choice("PlateauDecay", "min_delta_mode", min_delta_mode, ("abs", "rel"))
        self.min_rate = number("PlateauDecay", "min_rate", min_rate, "[0, inf)")
        self.patience = whole_number("PlateauDecay", "patience", patience, "[1, inf)")
        self.cooldown = whole_number("PlateauDecay", "cooldown", cooldown, "[0, inf)")
        self.keep_state(backup_dir, f"{monitor} {mode}")
        self._restored = False
        self._warned: set[str] = set()
        self._begin_anew()

    def _begin_anew(self) -> None:
        self.best: float | None = None
        self.wait = 0
        self.cooldown_left = 0
        self._scale = 1.0  # factor of a rate that comes from a schedule
        self._reduced_to: float | None = None  # the rate that the last decision gave the optimizer
        self._decided_at = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        optimizer = required_optimizer("PlateauDecay", self.model)
        if rate_variable(optimizer) is None and schedule_of(optimizer) is None:
            raise ValueError(
                "`PlateauDecay`: the learning rate is a function without arguments, which cannot be reduced. "
                "Give the optimizer a number or a LearningRateSchedule."
            )
        self._restored = False
        self._numbers_of_fit = NumbersOfFit.of(self)
        self._numbers_of_fit.reduce_by(self.scaled)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._restore()
        self._batches_before_epoch = batches_seen(self.model.optimizer)

    def scaled(self, rate: float) -> float:
        """Return the reduced form of a rate that another callback sets."""
        self._restore()
        return max(self._scale * rate, min(rate, self.min_rate))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = {} if logs is None else logs
        batches = batches_seen(self.model.optimizer)
        logs.setdefault("learning_rate", self._rate(batches))
        skips_batches = isinstance(self.model.optimizer, keras.optimizers.LossScaleOptimizer)
        if batches == self._batches_before_epoch and not skips_batches:
            self._numbers_of_fit.warn_of_an_unused_rate("PlateauDecay")
        self._warn_of_an_undone_reduction()
        self._reduced_to = None
        self._decided_at = batches
        if self.monitor not in logs:
            self._warn_once(
                f"the logs of epoch {epoch + 1} have no {self.monitor!r}, so the epoch is not counted. "
                f"The logs have: {', '.join(sorted(logs))}."
            )
        elif self._is_time(as_number(logs[self.monitor]), epoch):
            self._reduce(float(logs["learning_rate"]))
        state = {"best": self.best, "wait": self.wait, "cooldown_left": self.cooldown_left}
        self.remember(batches, {**state, "scale": self._scale, "reduced_to": self._reduced_to})

    def _is_time(self, value: float, epoch: int) -> bool:
        if math.isnan(value):
            self._warn_once(f"{self.monitor} is NaN in epoch {epoch + 1}, which counts as not better.")
        if self._is_better(value):
            self.best, self.wait = value, 0
        else:
            self.wait += 1
        if self.cooldown_left:
            self.cooldown_left, self.wait = self.cooldown_left - 1, 0
        return self.wait >= self.patience

    def _is_better(self, value: float) -> bool:
        if self.best is None or math.isnan(value):
            return not math.isnan(value)
        needed = self.min_delta
        if self.min_delta_mode == "rel":
            needed *= abs(self.best) if math.isfinite(self.best) else 1.0
        sign = 1.0 if self.mode == "min" else -1.0
        return sign * value < sign * self.best - needed

    def _reduce(self, rate: float) -> None:
        if rate <= self.min_rate * (1 + 1e-6):  # the optimizer holds it in float32
            return
        optimizer = updating(self.model.optimizer)
        if self._numbers_of_fit.set_by_callback or schedule_of(optimizer) is not None:
            self._scale = max(self._scale * self.factor, _SMALLEST_FACTOR)
            self._scale_schedule()
        else:
            self._reduced_to = max(rate * self.factor, self.min_rate)
            optimizer.learning_rate = self._reduced_to
            self._numbers_of_fit.give(self._reduced_to)
        if self.verbose:
            reduced = self.scaled(rate) if self._reduced_to is None else self._reduced_to
            print(
                f"PlateauDecay: {self.monitor} was not better than {self.best} for {self.wait} epochs; "
                f"learning rate {reduced:.6g}"
            )
        self.wait, self.cooldown_left = 0, self.cooldown

    def _rate(self, batches: int) -> float:
        """Return the rate of the last update."""
        variable = rate_variable(self.model.optimizer)
        if variable is not None:
            return as_number(variable)
        schedule = schedule_of(self.model.optimizer)
        assert schedule is not None  # checked in on_train_begin
        return as_number(schedule(max(batches - 1, 0)))

    def _warn_of_an_undone_reduction(self) -> None:
        variable = rate_variable(self.model.optimizer)
        if variable is None or self._numbers_of_fit.set_by_callback:
            return
        rate = as_number(variable)
        # A lower rate may be a multiple of the reduced one, which another callback read.
        if self._numbers_of_fit.was_raised_to(rate):
            self._numbers_of_fit.warn_of_another_rate(
                "PlateauDecay",
                rate,
                "That undoes the reduction. In place of `keras.callbacks.LearningRateScheduler` use "
                "`LearningRateDecay`, or give the optimizer a schedule: `PlateauDecay` multiplies the rates "
                "of both.",
            )

    def _scale_schedule(self) -> None:
        optimizer = updating(self.model.optimizer)
        schedule = schedule_of(optimizer)
        if schedule is None or self._scale == getattr(schedule, "factor", 1.0):
            return
        unscaled = schedule.schedule if isinstance(schedule, Scaled) else schedule
        optimizer.learning_rate = Scaled(unscaled, self._scale, self.min_rate)
        self.model.make_train_function(force=True)

    def _restore(self) -> None:
        """Restore the state that belongs to the optimizer's, which other callbacks have restored by now."""
        if self._restored:
            return
        self._restored = True
        optimizer = updating(self.model.optimizer)
        batches = batches_seen(optimizer)
        if self._decided_at > batches:  # another model, or an older state of this one
            self._begin_anew()
        schedule = schedule_of(optimizer)
        if isinstance(schedule, Scaled):
            self._scale = schedule.factor
        remembered = self.remembered(batches)
        if remembered is None or remembered.batches < self._decided_at:
            return
        self._decided_at, state = remembered.batches, remembered.state
        self.best, self.wait, self.cooldown_left = state["best"], state["wait"], state["cooldown_left"]
        self._scale = state["scale"]
        self._scale_schedule()
        reduced_to = state["reduced_to"]
        # The model may have been saved before the decision.
        if reduced_to is not None and self._decided_at == batches and schedule is None:
            optimizer.learning_rate = min(reduced_to, self._rate(batches))

    def _warn_once(self, message: str) -> None:
        if message.split(" epoch ")[0] not in self._warned:
            self._warned.add(message.split(" epoch ")[0])
            warnings.warn(f"`PlateauDecay`: {message}", stacklevel=3)
