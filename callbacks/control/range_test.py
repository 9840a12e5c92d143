"""The learning-rate range test: trains for some batches with ever larger rates, and puts all back."""

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
from .put_back import putting_back
from .range_curve import LearningRateCurve


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
    """Trains for some batches with ever larger learning rates, and puts everything back.

    rate_k = min_rate (max_rate / min_rate)^(k / (steps - 1)), or evenly spaced, k = 0, ..., steps - 1.
    smoothed_k = sum_j b^(k - j) loss_j / sum_j b^(k - j), j = 0, ..., k, with b = `smoothing`.

    Afterwards all is what it was, bit for bit, also when the test is interrupted or fails: weights and
    other variables of the model (batch normalisation, seeds of dropout, what losses learn, what callbacks
    set of them), the optimizer's slots, iterations and rate, the metrics, the global random states of
    Keras, Python, NumPy and PyTorch, the `History` and the compiled step. A following `fit` is the one
    that would have been without the test. What cannot be put back are random numbers that your own data
    draws elsewhere, and a generator: the batches taken from it are gone. A model that has no weights yet
    is built on the first batch, and stays built with its initial weights.

    A copy of all variables is held in the host's memory. Differs from raising the rate in a callback of
    `fit` in all of the above, and works when the optimizer has a `LearningRateSchedule`, which is set
    aside for the test. The model's own `fit`, if it overrides Keras', is not called.

    Args:
        model: A compiled model.
        x, y, sample_weight, class_weight, batch_size, shuffle: As for `model.fit`: arrays, a
            `tf.data.Dataset`, a `PyDataset`, a `DataLoader` or a generator. Begun again as often as is
            needed; a generator that ends too early is an error.
        min_rate, max_rate: The first and the last learning rate, 0 < `min_rate` < `max_rate`.
        steps: How many rates, 2 or more. Each is for one batch; with `steps_per_execution` or gradient
            accumulation for the batches up to the next execution or update, whose mean is the loss.
        spacing: `"exponential"` multiplies the rate at each step, `"linear"` adds to it.
        smoothing: The weight b of the past in the moving average, from 0 (none) to below 1.
        diverge: The test stops when the smoothed loss is more than this times its lowest value, above
            1; where that is negative, when it lies (`diverge` - 1) times its size above it.
            `math.inf` never stops.
        verbose: 1 shows a progress bar, 0 nothing.

    Returns:
        A `LearningRateCurve`: the losses, the suggestions and a plot.

    Raises:
        TypeError: If `model` is no Keras model.
        ValueError: If it is not compiled with an optimizer, an argument is out of range, the data end
            before the test does, or the first loss is not finite.

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
    with putting_back(model):
        once = isinstance(x, types.GeneratorType)
        test = _RangeTest(rates, _executions(model), smoothing, diverge, once, verbose)
        if rate_variable(optimizer) is None:
            with strategy_scope(model):
                variable = keras.Variable(
                    min_rate, trainable=False, name="learning_rate", aggregation="only_first_replica"
                )
                keras_private.set_rate_source(updating(optimizer), variable)
            model.train_function = None  # it has the schedule in it
        # A LossAwareModel's own would warn of the divergence that is sought here.
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
            f"find_learning_rate: the data ended after {len(test.losses)} of {steps} steps, and cannot be "
            "begun again. Give a generator that goes on for ever, a data set that can be iterated over "
            "again, or fewer steps."
        )
    if not test.losses:
        raise ValueError(
            "find_learning_rate: the loss of the first batch is not finite, before any update. "
            "Check the data and the loss."
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
            f"find_learning_rate: `model` must be a keras.Model. Received: {type(model).__name__}."
        )
    if not getattr(model, "compiled", False) or model.optimizer is None:
        raise ValueError(
            "find_learning_rate: `model` is not compiled with an optimizer. "
            "Call model.compile(optimizer, loss) first."
        )

    owner = "find_learning_rate"
    number(owner, "min_rate", min_rate, "(0, inf)")
    number(owner, "max_rate", max_rate, "(0, inf)")
    if not min_rate < max_rate:
        raise ValueError(
            f"{owner}: `max_rate` must be above `min_rate`. "
            f"Received: min_rate={min_rate!r}, max_rate={max_rate!r}."
        )
    whole_number(owner, "steps", steps, "[2, inf)")
    choice(owner, "spacing", spacing, ("exponential", "linear"))
    number(owner, "smoothing", smoothing, "[0, 1)")
    number(owner, "diverge", diverge, "(1, inf]")


def _executions(model: Any) -> int:
    """How many executions share a rate, so that each has at least one update."""
    each = int(getattr(model, "steps_per_execution", 1) or 1)
    return math.lcm(each, batches_per_iteration(model.optimizer)) // each


class _RangeTest(keras.callbacks.Callback):  # type: ignore[misc]
    """Sets the rates, and records the losses."""

    def __init__(
        self, rates: list[float], executions: int, smoothing: float, diverge: float, once: bool, verbose: int
    ) -> None:
        super().__init__()
        self.rates, self.executions, self.smoothing, self.diverge = rates, executions, smoothing, diverge
        self.once = once
        self.progress = keras.utils.Progbar(len(rates), stateful_metrics=["loss"]) if verbose else None
        self.losses: list[float] = []
        self.smoothed: list[float] = []
        self.stopped: str | None = None
        self._pending: list[float] = []  # losses of executions at the present rate
        self._average = 0.0
        self._batches = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._batches = 0

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if not self._pending:
            self.model.optimizer.learning_rate = self.rates[len(self.losses)]
        # So that the mean in the logs is that of this execution alone.
        self.model.reset_metrics()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._batches += 1
        if "loss" not in (logs or {}):
            raise ValueError(
                "find_learning_rate: the model's train_step gives no `loss` in its logs. "
                f"They have: {', '.join(logs or {}) or 'nothing'}."
            )
        self._pending.append(as_number((logs or {})["loss"]))
        if len(self._pending) == self.executions or not math.isfinite(self._pending[-1]):
            self._add(sum(self._pending) / len(self._pending))
            self._pending = []
        if self.stopped is not None:
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        # Keras would go on with the first batches of a generator that is at its end.
        if self.once or self._batches == 0:
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
    """Builds a model that has no weights yet on the first batch; what is to be used in place of `x`."""
    # Some layers, of a class's own, may be unbuilt in a model that calls itself built.
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
    # The call leaves no trace but the weights.
    with strategy_scope(model), keras.StatelessScope():
        model(keras.tree.map_structure(keras.ops.convert_to_tensor, inputs))
    return x
