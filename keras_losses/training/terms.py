"""The metric of a model that puts the terms of its loss into the logs, with what callbacks ask it for."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_losses import keras_private, numerics
from keras_losses.core import Loss, context
from keras_losses.core.context import Context
from keras_losses.numerics import Tensor
from keras_losses.training.ledger import Ledger, Means
from keras_losses.training.outputs import Output, compiled_outputs
from keras_losses.training.settings import Control, Settings
from keras_losses.training.step import Step, StepTerms
from keras_losses.training.watch import REGULARIZATION, Watch


def strategy_scope(model: keras.Model) -> contextlib.AbstractContextManager[Any]:
    """Return the scope in which variables are made as the model's are; its own scope has been left by now."""
    strategy = getattr(model, "distribute_strategy", None)  # a facility of TensorFlow's
    return contextlib.nullcontext() if strategy is None else strategy.scope()


class LossTerms(keras.metrics.Metric):  # type: ignore[misc]
    """The means of the terms of a model's loss, as a metric of the model.

    For each term of a `CompositeLoss`, and for the model's weight penalties as `regularization`, there are

    - `<term>`: its value, before its weight;
    - `<term>_weighted`: what it adds to `loss`, with the weight of its output;
    - `<term>_share`: that, as a share of `loss`.

    With several outputs the terms are `<output>_<term>`. A model without terms and penalties has none.
    The values are those that the model's own steps compute, under their weights and masks; no loss is called
    again.

    `LossTerms.attach(model)` gives one to a compiled model; a `LossAwareModel` has one. It also has the
    numbers that callbacks set (`control`), and what callbacks save with the model (`memory`).
    """

    def __init__(self, name: str = "loss_terms") -> None:
        super().__init__(name=name)
        self.names: list[str] = []
        self.outputs: list[Output] = []
        self.ledger: Ledger | None = None
        self.hooks: dict[str, Callable[[Step], None]] = {}
        """Functions that are called at the end of each step, by the name of the callback that has them."""
        self._watch: Watch | None = None
        self._settings = Settings(self._track)
        self._penalised = False

    def _track(self, name: str, variable: keras.Variable) -> None:
        # Keras tracks variables that are attributes.
        setattr(self, name, variable)

    @classmethod
    def attach(cls, model: keras.Model) -> LossTerms:
        """Put the terms of a compiled model into its logs, and return the metric that does it."""
        found = getattr(model, "loss_terms", None)
        if not isinstance(found, LossTerms):
            with keras_private.unlocked(model), strategy_scope(model):
                found = model.loss_terms = cls()
            if not getattr(model, "records_terms", False):
                # What a subclass would override: Keras has no callback between the loss and the step.
                model.compute_loss = _recorded(model, model.compute_loss)
        found.compiled(model)
        return found

    def compiled(self, model: keras.Model) -> None:
        """Go on with the losses with which the model is compiled."""
        outputs = compiled_outputs(model)
        names = [name for output in outputs for name in output.terms]
        if (names, outputs) == (self.names, self.outputs) and self.ledger is not None:
            return
        if self.ledger is None or self.ledger.terms != len(names):
            with strategy_scope(model):
                self.ledger = Ledger(len(names), self.add_variable)
                self._watch = Watch(len(names), self.add_variable)
        self.names, self.outputs, self.hooks = names, outputs, {}
        self.watch.forget_warnings()
        self._settings.compiled(model)
        # A step that was traced before does not record them.
        model.train_function = model.test_function = None

    # What callbacks set -------------------------------------------------------------------------------

    def control(self, model: keras.Model, owner: str, name: str) -> Control:
        """Return the handle on a number of a loss, by its name or path; see `Settings.control`."""
        return self._settings.control(model, owner, name)

    def memory(self, name: str, initial: Any) -> keras.Variable:
        """Return an array that a callback keeps with the model; see `Settings.memory`."""
        return self._settings.memory(name, initial)

    def parameters(self) -> dict[str, float]:
        """Return the numbers of the losses that are set or learned, as they are now, by path."""
        return self._settings.current()

    # Recording ----------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def recording(self, step: Step) -> Iterator[Callable[[Tensor], None]]:
        """Record the losses that are called, once what this yields is given the model's whole loss."""
        terms = StepTerms(self.outputs, step.y_pred)
        asks = any(loss._needs_model for output in self.outputs for _, loss in output.losses)
        with (
            self.computing(step, terms.record),
            keras_private.keeping_losses(step.model, keep=asks),
        ):
            yield lambda total: self._add(step, total, terms)
        for hook in self.hooks.values():
            hook(step)

    def computing(
        self, step: Step, listener: Callable[..., None] | None = None
    ) -> contextlib.AbstractContextManager[None]:
        """Open the context in which the model's losses are computed from the data of a step.

        Args:
            step: the data, which losses may ask for.
            listener: is told the values of terms; see `keras_losses.core.context.Context`.
        """
        steps: dict[Loss, list[Step]] = {}
        for output in self.outputs:
            for _, loss in output.losses:
                steps.setdefault(loss, []).append(step.at(output))
        return context.computing(Context(self._settings.readers(), steps, listener))

    def _add(self, step: Step, total: Tensor, terms: StepTerms) -> None:
        self._penalised = bool(step.model.losses)
        penalties = sum((ops.sum(ops.cast(loss, self.dtype)) for loss in step.model.losses), 0.0)
        means = Means(
            loss=self._multiplied_by_replicas(total),
            penalties=penalties,
            values=[self._multiplied_by_replicas(value) for value in terms.values],
            weighted=[self._multiplied_by_replicas(value) for value in terms.weighted],
        )
        samples = ops.cast(ops.shape(keras.tree.flatten(step.y_pred)[0])[0], self.dtype)
        self.sums.add(samples, means, getattr(step.model, "steps_per_execution", None) or 1)
        if step.training:
            self.watch.add(self.sums.total())

    def _multiplied_by_replicas(self, value: Any) -> Tensor:
        return numerics.multiply_by_replicas(ops.cast(value, self.dtype))

    # Keras's metric -----------------------------------------------------------------------------------

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the model's steps are recorded."""

    def reset_state(self) -> None:
        """Begin an epoch of training or a validation."""
        if self.ledger is not None:
            self.ledger.reset()

    def result(self) -> dict[str, Tensor]:
        """Return the means of the epoch, by the names in the logs."""
        if self.ledger is None:
            return {}
        means = self.ledger.means()
        rows = [(name, means.values[k], means.weighted[k]) for k, name in enumerate(self.names)]
        if self._penalised:
            rows.append((REGULARIZATION, means.penalties, means.penalties))
        logs: dict[str, Tensor] = {}
        for name, value, weighted in rows:
            logs |= {
                name: value,
                f"{name}_weighted": weighted,
                f"{name}_share": numerics.divide_no_nan(weighted, means.loss),
            }
        return logs

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}

    def save_own_variables(self, store: Any) -> None:
        """Save the numbers that are set and the memories of callbacks: the sums are of one epoch only."""
        self._settings.save(store)

    def load_own_variables(self, store: Any) -> None:
        self._settings.load(store)

    # What callbacks read ------------------------------------------------------------------------------

    @property
    def sums(self) -> Ledger:
        """The sums of the losses; they exist once a model is attached."""
        assert self.ledger is not None
        return self.ledger

    @property
    def watch(self) -> Watch:
        """The watch over the terms; it exists once a model is attached."""
        assert self._watch is not None
        return self._watch

    def means_of(self, sums: np.ndarray) -> tuple[float, dict[str, float]]:
        """Return the loss and the value of each term, from a vector that was read off the ledger."""
        means = self.sums.means_of(sums)
        values = {name: float(value) for name, value in zip(self.names, means.values, strict=True)}
        if self._penalised:
            values[REGULARIZATION] = float(means.penalties)
        return float(means.loss), values

    @property
    def logged(self) -> set[str]:
        """The names of this metric in the logs."""
        names = [*self.names, *([REGULARIZATION] if self._penalised else [])]
        return {f"{name}{kind}" for name in names for kind in ("", "_weighted", "_share")}

    def begin_epoch(self) -> None:
        """Tell the watch that an epoch of training begins."""
        self.watch.begin_epoch()

    def end_epoch(self, epoch: int, logs: Mapping[str, Any]) -> None:
        """Let the watch warn of the terms of an epoch that ends."""
        self.watch.end_epoch(epoch, logs, self.names, self._penalised)


def _recorded(model: keras.Model, compute_loss: Callable[..., Any]) -> Callable[..., Any]:
    """Return a model's `compute_loss` that records the terms."""

    def recorded(
        x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        with model.loss_terms.recording(Step(model, x, y, y_pred, sample_weight, training)) as finish:
            total = compute_loss(x, y, y_pred, sample_weight, training)
            finish(total)
        return total

    return recorded
