"""The learning-rate range test: the loss at each of many rates, and what rate to train with."""

from __future__ import annotations

import contextlib
import math
import random
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

# Keras has no public way to the generator behind unseeded random numbers, without making one where there
# is none; tests/test_private_keras.py watches these.
from keras_losses import keras_private
from keras_losses.training.terms import strategy_scope

from ..arguments import is_number
from ..control.optimizers import as_number, batches_per_iteration, rate_variable, updating
from ..writers.drawing import need_matplotlib

# fastai's: what its suggestions leave out of the curve's ends, and the interval and slope of `slide`.
BEGINNING, END = 10, 5
INTERVAL, SLOPE = 15, 0.005


@dataclass(frozen=True)
class LearningRateCurve:
    """The loss at each learning rate of a range test, and the rates that it suggests.

    The suggestions are fastai's, read off `smoothed` without the first tenth of the test and the last 5
    points. Where the curve has none of a kind (it never falls, or is too short), the property raises
    `ValueError`, and `suggestions` is without it.

    Attributes:
        rates: The learning rates, ascending.
        losses: The loss of each, before its update: as in the logs, with regularisation.
        smoothed: Their exponential moving average, corrected for its beginning at 0.
        stopped: Why there is no further point: `"finished"`, `"diverged"` or `"nan"`. A loss that is
            infinite (which is divergence) or NaN is not in the curve.
        steps: How many rates there would have been.
        spacing: `"exponential"` or `"linear"`.

    Example:

    >>> losses = (3.0, 3.0, 2.0, 1.0, 0.5, 0.6, 1.0, 2.0, 3.0, 4.0, 5.0)
    >>> curve = LearningRateCurve(tuple(10.0**k for k in range(-9, 2)), losses, losses, "diverged", 10)
    >>> f"{curve.minimum:.0e}"  # the lowest is at 1e-5
    '1e-06'
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    stopped: str
    steps: int
    spacing: str = "exponential"

    @property
    def valley(self) -> float:
        """Half-way down the longest descent: the one to begin with.

        The descent is the longest strictly falling subsequence of the curve, of L points, taken for the L
        points that end where it ends; the suggestion is the point after L/3 + L/6 of them.
        """
        rates, losses = self._inner("valley", 2)
        lengths = np.ones(len(losses), int)
        for i in range(1, len(losses)):
            higher = lengths[:i][losses[:i] > losses[i]]
            lengths[i] = 1 + higher.max(initial=0)
        last = int(lengths.argmax())
        length = int(lengths[last])
        if length == 1:
            raise self._without("valley", "the loss never falls")
        return float(rates[max(last - length + length // 3 + length // 6, 0)])

    @property
    def steepest(self) -> float:
        """Where the loss falls most for a change of the rate's logarithm."""
        rates, losses = self._inner("steepest", 2)
        slopes = np.diff(losses) / np.diff(np.log(rates))
        if slopes.min() >= 0:
            raise self._without("steepest", "the loss never falls")
        return float(rates[slopes.argmin()])

    @property
    def minimum(self) -> float:
        """A tenth of the rate with the lowest loss."""
        rates, losses = self._inner("minimum", 1)
        return float(rates[losses.argmin()]) / 10

    @property
    def slide(self) -> float:
        """The left end of an interval of 15 points that slides down from the largest rate.

        It stops when the slopes at its ends, in loss per point, are within 0.005 of each other, which
        depends on the scale of the loss.
        """
        rates, losses = self._inner("slide", INTERVAL + 1)
        slopes = np.gradient(losses)
        left = len(losses) - 1 - INTERVAL
        found = rates[left]
        while left >= 0 and abs(slopes[left + INTERVAL] - slopes[left]) > SLOPE:
            found = rates[left]
            left -= 1
        return float(found)

    @property
    def suggestions(self) -> dict[str, float]:
        """Those of the four that the curve has, by name."""
        found: dict[str, float] = {}
        for name in ("valley", "steepest", "minimum", "slide"):
            with contextlib.suppress(ValueError):
                found[name] = getattr(self, name)
        return found

    def plot(self, ax: Any = None) -> Any:
        """Draws the curve and its suggestions with matplotlib, on `ax` or a new figure; returns the axes."""
        need_matplotlib("LearningRateCurve.plot")
        import matplotlib.pyplot as plt

        if ax is None:
            ax = plt.subplots(figsize=(7.2, 4.2), layout="constrained")[1]
        if self.spacing == "exponential":
            ax.set_xscale("log")
        ax.plot(self.rates, self.losses, color="#9aa5b1", linewidth=1, alpha=0.6)
        ax.plot(self.rates, self.smoothed, color="#1f4e79", linewidth=2)
        # The single losses of a test that diverges would flatten all the rest.
        low, high = min(self.smoothed), max(self.smoothed)
        low = max(min(self.losses), low - (high - low) / 2)
        room = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
        ax.set_ylim(low - room, high + room)
        _mark(ax, self)
        ax.set_xlabel("learning rate")
        ax.set_ylabel("loss (thin: of each batch)")
        ax.spines[["top", "right"]].set_visible(False)
        return ax

    def _inner(self, name: str, least: int) -> tuple[Any, Any]:
        """Rates and losses without the ends, as arrays."""
        kept = slice(self.steps // BEGINNING, len(self.rates) - END)
        rates, losses = np.array(self.rates[kept]), np.array(self.smoothed[kept])
        if len(rates) < least:
            raise self._without(
                name,
                f"of its {len(self.rates)} points {len(rates)} are left without the ends; {least} are needed",
            )
        return rates, losses

    def _without(self, name: str, why: str) -> ValueError:
        return ValueError(
            f"LearningRateCurve.{name}: the curve has none, as {why}. Try more steps, or a smaller min_rate."
        )


def _mark(ax: Any, curve: LearningRateCurve) -> None:
    """The suggestions as points of the smoothed line, and their names and rates in a row over it."""
    found = sorted(curve.suggestions.items(), key=lambda item: item[1])
    scale = np.log if curve.spacing == "exponential" else np.asarray
    left, right = (scale(limit) for limit in ax.get_xlim())
    width, place = 0.12, -1.0  # as fractions of the axis
    for turn, (name, rate) in enumerate(found):
        # As close to its point as those before it, and the room for those after it, allow.
        last = 1 - width * (len(found) - turn - 0.5)
        place = min(max((scale(rate) - left) / (right - left), place + width, width / 2), last)
        loss = np.interp(scale(rate), scale(curve.rates), curve.smoothed)
        ax.plot(rate, loss, "o", color="#c8553d", markersize=6, zorder=3)
        ax.annotate(
            f"{name}\n{rate:.2g}",
            (rate, loss),
            (place, 1.02),
            textcoords="axes fraction",
            ha="center",
            va="bottom",
            fontsize=9,
            color="#c8553d",
            arrowprops={"arrowstyle": "-", "color": "#c8553d", "linewidth": 0.6, "shrinkB": 4},
        )


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
    with _put_back(model):
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
        raise TypeError(f"find_learning_rate: model must be a keras.Model. Received: {type(model).__name__}.")
    if not getattr(model, "compiled", False) or model.optimizer is None:
        raise ValueError(
            "find_learning_rate: the model is not compiled. Call model.compile(optimizer, loss) first."
        )

    if not (is_number(min_rate) and is_number(max_rate) and 0 < min_rate < max_rate < math.inf):
        raise ValueError(
            "find_learning_rate: min_rate and max_rate must be numbers, 0 < min_rate < max_rate. "
            f"Received: {min_rate!r} and {max_rate!r}."
        )
    if isinstance(steps, bool) or not isinstance(steps, int | np.integer) or steps < 2:
        raise ValueError(
            f"find_learning_rate: steps must be a whole number, 2 or greater. Received: {steps!r}."
        )
    if spacing not in ("exponential", "linear"):
        raise ValueError(
            f'find_learning_rate: spacing must be "exponential" or "linear". Received: {spacing!r}.'
        )
    if not (is_number(smoothing) and 0 <= smoothing < 1):
        raise ValueError(
            f"find_learning_rate: smoothing must be a number from 0 to below 1. Received: {smoothing!r}."
        )
    if not (is_number(diverge) and diverge > 1):
        raise ValueError(
            "find_learning_rate: diverge must be a number above 1 (math.inf never stops). "
            f"Received: {diverge!r}."
        )


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


# Building, and putting back ------------------------------------------------------------------------------


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


@contextlib.contextmanager
def _put_back(model: Any) -> Iterator[None]:
    """Afterwards the model, its optimizer and the random states are as they were."""
    optimizer, learning_rate = model.optimizer, keras_private.rate_source(updating(model.optimizer))
    attributes = {name: getattr(model, name, None) for name in ("history", "stop_training", "train_function")}
    # fit leaves PyTorch's modules in the mode for inference, or, interrupted, in that for training.
    modules = list(model.modules()) if keras.backend.backend() == "torch" else []
    modes = [module.training for module in modules]
    with contextlib.ExitStack() as last:
        last.callback(_random_states())
        generator = keras_private.seed_generator()
        last.callback(keras_private.set_seed_generator, generator)
        # On JAX and PyTorch the first `fit` after `compile` takes a batch to build them, for which it
        # shuffles arrays once more.
        last.callback(keras_private.unbuild_compiled_parts(model))
        if not optimizer.built:
            # As it is after the first step, from the initial values.
            last.callback(_unbuild, optimizer, {id(variable) for variable in optimizer.variables})
            with strategy_scope(model):
                optimizer.build(model.trainable_variables)
        seeds = [] if generator is None else [generator.state]
        # On the host: the device may have no room for a second model.
        values = [(variable, _copy(variable)) for variable in _variables(model, seeds)]
        try:
            yield
        finally:
            keras_private.drop_jax_training_state(model)
            with strategy_scope(model):
                if keras_private.rate_source(updating(optimizer)) is not learning_rate:
                    optimizer.learning_rate = learning_rate
                model.reset_metrics()  # also those that were made by the first step
                for variable, value in values:
                    variable.assign(value)
            for name, attribute in attributes.items():
                setattr(model, name, attribute)
            for module, mode in zip(modules, modes, strict=True):
                module.training = mode


def _variables(model: Any, others: list[Any]) -> list[Any]:
    groups = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.metrics_variables,
        model.optimizer.variables,
        others,
    )
    return list({id(variable): variable for group in groups for variable in group}.values())


def _copy(variable: Any) -> Any:
    # NumPy may see the memory that PyTorch and TensorFlow write to, and JAX gives away. A variable of
    # several replicas is an array only as a tensor.
    return np.array(keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(variable)), copy=True)


def _unbuild(optimizer: Any, before: set[int]) -> None:
    """Lets go of the slots, so that other variables may be trained than those of the test."""
    for each in {id(o): o for o in (optimizer, updating(optimizer))}.values():
        keras_private.forget_slots(each, before)


def _random_states() -> Callable[[], None]:
    """Notes the global random states, and returns what puts them back."""
    # NumPy's old global state, as it is what Keras shuffles arrays with.
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    torch = sys.modules.get("torch")
    on_cpu = torch.get_rng_state() if torch else None
    on_gpus = torch.cuda.get_rng_state_all() if torch and torch.cuda.is_initialized() else None

    def put_back() -> None:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        if torch:
            torch.set_rng_state(on_cpu)
        if torch and on_gpus is not None:
            torch.cuda.set_rng_state_all(on_gpus)

    return put_back
