"""The learning-rate range test: trains for some batches with increasing rates, then restores everything."""

from __future__ import annotations

import math
import sys
import types
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_losses import keras_private
from keras_losses.training.terms import strategy_scope

from ..arguments import as_number, choice, number, whole_number
from .optimizers import batches_per_iteration, rate_variable, updating
from .range_curve import LearningRateCurve
from .restoring import restoring


def find_learning_rate(
    model: keras.Model,
    x: Any,
    y: Any = None,
    *,
    sample_weight: Any = None,
    class_weight: dict[int, float] | None = None,
    batch_size: int | None = None,
    shuffle: bool = True,
    min_rate: float = 1e-7,
    max_rate: float = 10.0,
    steps: int = 100,
    spacing: str = "exponential",
    smoothing: float = 0.98,
    diverge: float = 4.0,
    verbose: int = 0,
) -> LearningRateCurve:
    """Train for some batches with increasing learning rates, then restore everything.

    rate_k = min_rate (max_rate / min_rate)^(k / (steps - 1)), or evenly spaced, k = 0, ..., steps - 1.
    smoothed_k = sum_j b^(k - j) loss_j / sum_j b^(k - j), j = 0, ..., k, with b = `smoothing`.

    Everything is restored bit for bit, even if the test is interrupted or fails: weights and other variables
    of the model (batch normalisation, seeds of dropout, learned and scheduled hyper-parameters), the
    optimizer's slots, iterations and rate, the metrics, the global random states of Keras, Python, NumPy and
    PyTorch, the `History` and the compiled step. A `fit` afterwards gives the result that it would give
    without the test. Two things cannot be restored: random numbers that your own data draws elsewhere, and
    the batches taken from a generator. A model without weights is built on the first batch, and stays built
    with its initial weights.

    The host's memory holds a copy of all variables. If the optimizer has a `LearningRateSchedule`, the test
    replaces it by plain rates and restores it. A `fit` that the model's class overrides is not called.

    Args:
        model: A compiled model.
        x, y, sample_weight, class_weight, batch_size, shuffle: As for `model.fit`: arrays, a
            `tf.data.Dataset`, a `PyDataset`, a `DataLoader` or a generator. Data are repeated as often as
            necessary. A generator that ends too early is an error.
        min_rate, max_rate: The first and the last learning rate, 0 < `min_rate` < `max_rate`.
        steps: Number of rates, 2 or more. Each rate is used for one batch. With `steps_per_execution` or
            gradient accumulation it is used up to the next execution or update, and the loss is the mean of
            these batches.
        spacing: `"exponential"` multiplies the rate at each step, `"linear"` adds to it.
        smoothing: Weight b of the past in the moving average, from 0 (no average) to below 1.
        diverge: The test stops when the smoothed loss is more than this multiple of its lowest value, above
            1. If the lowest value is negative, it stops when the loss is (`diverge` - 1) times its absolute
            value above it. With `math.inf` the test never stops early.
        verbose: 1 shows a progress bar, 0 shows nothing.

    Returns:
        A `LearningRateCurve`: the losses, the suggestions and a plot.

    Raises:
        TypeError: If `model` is not a Keras model.
        ValueError: If the model is not compiled with an optimizer, an argument is outside its range, the data
            end before the test does, or the first loss is not finite.

    References:
        Smith, Cyclical learning rates for training neural networks, 2017, https://arxiv.org/abs/1506.01186;
        the suggestions are those of fastai, https://docs.fast.ai/callback.schedule.html.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", loss="mse")
    >>> x = np.linspace(-1, 1, 64)[:, None]
    >>> curve = find_learning_rate(model, x, 3 * x + 1, max_rate=100.0, steps=40)
    >>> curve.stopped
    'diverged'
    >>> 1e-3 < curve.valley < 1
    True
    """
    _check(model, min_rate, max_rate, steps, spacing, smoothing, diverge)
    space = np.geomspace if spacing == "exponential" else np.linspace
    rates = [float(rate) for rate in space(min_rate, max_rate, steps)]
    x = _built(model, x)
    optimizer = model.optimizer
    with restoring(model):
        test = _RangeTest(
            rates,
            executions=_executions_per_rate(model),
            smoothing=smoothing,
            diverge=diverge,
            repeatable=not isinstance(x, types.GeneratorType),
            verbose=verbose,
        )
        if rate_variable(optimizer) is None:
            with strategy_scope(model):
                variable = keras.Variable(
                    min_rate, trainable=False, name="learning_rate", aggregation="only_first_replica"
                )
                keras_private.set_rate_source(updating(optimizer), variable)
            model.train_function = None  # it was traced with the schedule
        # The `fit` of a LossAwareModel would warn of the divergence that the test looks for.
        keras.Model.fit(
            model,
            x,
            y,
            sample_weight=sample_weight,
            class_weight=class_weight,
            batch_size=batch_size,
            shuffle=shuffle,
            epochs=sys.maxsize,
            callbacks=[test],
            verbose=0,
        )
    if test.stopped is None:
        raise ValueError(
            f"`find_learning_rate`: the data ended after {len(test.losses)} of {steps} steps and cannot be "
            "repeated. Pass a generator without an end, a data set that can be iterated over again, or fewer "
            "`steps`."
        )
    if not test.losses:
        raise ValueError(
            "`find_learning_rate`: the loss of the first batch is infinite or NaN, before any update. Check "
            "the data and the loss."
        )
    return LearningRateCurve(
        tuple(rates[: len(test.losses)]),
        tuple(test.losses),
        tuple(test.smoothed),
        test.stopped,
        steps,
        spacing,
    )


def _check(
    model: Any, min_rate: Any, max_rate: Any, steps: Any, spacing: Any, smoothing: Any, diverge: Any
) -> None:
    if not isinstance(model, keras.Model):
        raise TypeError(
            "`find_learning_rate`: `model` must be a keras.Model. Received: an object of type "
            f"{type(model).__name__}"
        )
    if not getattr(model, "compiled", False) or model.optimizer is None:
        raise ValueError(
            "`find_learning_rate`: `model` is not compiled with an optimizer. Call "
            "model.compile(optimizer, loss) first."
        )

    owner = "find_learning_rate"
    number(owner, "min_rate", min_rate, "(0, inf)")
    number(owner, "max_rate", max_rate, "(0, inf)")
    if not min_rate < max_rate:
        raise ValueError(
            f"`{owner}`: `max_rate` must be above `min_rate`. Received: min_rate={min_rate!r}, "
            f"max_rate={max_rate!r}"
        )
    whole_number(owner, "steps", steps, "[2, inf)")
    choice(owner, "spacing", spacing, ("exponential", "linear"))
    number(owner, "smoothing", smoothing, "[0, 1)")
    number(owner, "diverge", diverge, "(1, inf]")


def _executions_per_rate(model: Any) -> int:
    """Return how many executions use one rate, so that each rate has at least one update."""
    batches = int(getattr(model, "steps_per_execution", 1) or 1)
    return math.lcm(batches, batches_per_iteration(model.optimizer)) // batches


class _RangeTest(keras.callbacks.Callback):  # type: ignore[misc]
    """Sets the rates, and records the losses."""

    def __init__(
        self,
        rates: list[float],
        *,
        executions: int,
        smoothing: float,
        diverge: float,
        repeatable: bool,
        verbose: int,
    ) -> None:
        super().__init__()
        self.rates, self.executions, self.smoothing, self.diverge = rates, executions, smoothing, diverge
        self.repeatable = repeatable
        self.progress = keras.utils.Progbar(len(rates), stateful_metrics=["loss"]) if verbose else None
        self.losses: list[float] = []
        self.smoothed: list[float] = []
        self.stopped: str | None = None
        self._pending: list[float] = []  # losses at the present rate
        self._average = 0.0
        self._batches = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._batches = 0

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if not self._pending:
            self.model.optimizer.learning_rate = self.rates[len(self.losses)]
        # Reset, so that the mean in the logs is that of this execution alone.
        self.model.reset_metrics()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._batches += 1
        logs = logs or {}
        if "loss" not in logs:
            raise ValueError(
                "`find_learning_rate`: the model's train_step returns no `loss` in its logs. Return it under "
                f"that name. The logs have: {', '.join(logs) or 'nothing'}."
            )
        self._pending.append(as_number(logs["loss"]))
        if len(self._pending) == self.executions or not math.isfinite(self._pending[-1]):
            self._add(sum(self._pending) / len(self._pending))
            self._pending = []
        if self.stopped is not None:
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        # Keras would train on the first batches of an exhausted generator again and again.
        if not self.repeatable or self._batches == 0:
            self.model.stop_training = True

    def _add(self, loss: float) -> None:
        if not math.isfinite(loss):
            self.stopped = "nan" if math.isnan(loss) else "diverged"
            return
        self.losses.append(loss)
        self._average = self.smoothing * self._average + (1 - self.smoothing) * loss
        self.smoothed.append(self._average / (1 - self.smoothing ** len(self.losses)))
        lowest = min(self.smoothed)
        if self.smoothed[-1] - lowest > (self.diverge - 1) * abs(lowest):
            self.stopped = "diverged"
        elif len(self.losses) == len(self.rates):
            self.stopped = "finished"
        if self.progress is not None:
            self.progress.update(len(self.losses), [("loss", loss)], finalize=self.stopped is not None)


def _built(model: Any, x: Any) -> Any:
    """Build a model without weights on the first batch; return the data to use in place of `x`."""
    # A model of a subclass may be built although some of its layers are not.
    if all(layer.built for layer in keras_private.layers_inside(model, include_self=True)):
        return x
    if isinstance(x, types.GeneratorType):
        batch = next(x)
        generator = x

        def again() -> Iterator[Any]:
            yield batch
            yield from generator

        x = again()
    elif isinstance(x, keras.utils.PyDataset):
        batch = x[0]
    elif isinstance(x, list | tuple | dict) or hasattr(x, "shape"):
        batch = (keras.tree.map_structure(lambda values: values[:1], x),)
    else:
        batch = next(iter(x))
    inputs, _, _ = keras.utils.unpack_x_y_sample_weight(batch)
    # A stateless scope discards every change of the call except the new weights.
    with strategy_scope(model), keras.StatelessScope():
        model(keras.tree.map_structure(keras.ops.convert_to_tensor, inputs))
    return x
