"""The metric of a model that puts the terms of its loss into the logs, and that callbacks read and set."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_losses import keras_private, numerics
from keras_losses.combine import names
from keras_losses.core import Loss, context
from keras_losses.core.context import Context
from keras_losses.numerics import Tensor
from keras_losses.training.ledger import Ledger, Means
from keras_losses.training.outputs import Output, compiled_outputs
from keras_losses.training.settings import Control, Settings
from keras_losses.training.step import Step, StepTerms, call_compute_loss
from keras_losses.training.watch import REGULARIZATION, Watch


def strategy_scope(model: keras.Model) -> contextlib.AbstractContextManager[Any]:
    """Return the scope in which new variables are distributed as those of the model are."""
    strategy = getattr(model, "distribute_strategy", None)  # exists on TensorFlow only
    return contextlib.nullcontext() if strategy is None else strategy.scope()


class LossTerms(keras.metrics.Metric):  # type: ignore[misc]
    """The means of the terms of a model's loss, as a metric of the model.

    For each term of a sum of losses, and for the model's weight penalties as `regularization`, there are

    - `<term>`: the value of the term, before its weight;
    - `<term>_weighted`: the part of the model's loss that comes from it, with its weight and the weight of
      its output;
    - `<term>_share`: this part as a share of the model's loss.

    The logs have the first of these, and all three with `log_weighted_terms`. With several outputs the terms
    are called `<output>_<term>`. A term with the name of a metric or of another entry of the logs is called
    `term_<term>`; the second of two terms with one name is called `<term>_2`. A model without terms and
    penalties has no such entries.

    The model's own steps compute the values, under their weights and masks. No loss is called again. A
    custom `train_step` that does not call `compute_loss` records nothing, and then the logs have no terms.

    `LossTerms.attach(model)` adds this metric to a compiled model; a `LossAwareModel` has one. It also keeps
    the numbers that callbacks set (`control`), and arrays that callbacks save with the model (`memory`).
    """

    def __init__(self, name: str = "loss_terms") -> None:
        super().__init__(name=name)
        self.names: list[str] = []
        self.outputs: list[Output] = []
        self.ledger: Ledger | None = None
        self.hooks: dict[str, Callable[[Step], None]] = {}
        """Functions called at the end of each step, by the name of the callback that added them."""
        self.log_weighted_terms = False
        """Whether the logs have `<term>_weighted` and `<term>_share` beside each term."""
        self._watch: Watch | None = None
        self._settings = Settings(self._track)
        # Known once a step has been traced.
        self._recorded = False
        self._penalised = False
        self._weighted_of_training: dict[str, float] | None = None

    def _track(self, name: str, variable: keras.Variable) -> None:
        # Keras tracks variables that are attributes.
        setattr(self, name, variable)

    @classmethod
    def attach(cls, model: keras.Model, log_weighted_terms: bool | None = None) -> LossTerms:
        """Put the terms of a compiled model into its logs, and return the metric that does it.

        Args:
            model: the model.
            log_weighted_terms: whether the logs also have `<term>_weighted` and `<term>_share`; None leaves
                this as it is, at first False.
        """
        found = getattr(model, "loss_terms", None)
        if not isinstance(found, LossTerms):
            with keras_private.unlocked(model), strategy_scope(model):
                found = model.loss_terms = cls()
            # Keras has no callback within a step. Replaced in the model itself, the method includes what any
            # subclass adds to the loss.
            model.compute_loss = _recording(model, model.compute_loss)
        found.compiled(model)
        if log_weighted_terms not in (None, found.log_weighted_terms):
            found.log_weighted_terms = bool(log_weighted_terms)
            model.train_function = model.test_function = None
        return found

    def compiled(self, model: keras.Model) -> None:
        """Follow the losses with which the model is compiled now."""
        outputs = compiled_outputs(model)
        terms = [name for output in outputs for name in output.terms]
        if (terms, outputs) == (self.names, self.outputs) and self.ledger is not None:
            return
        if self.ledger is None or self.ledger.terms != len(terms):
            with strategy_scope(model):
                self.ledger = Ledger(len(terms), self.add_variable)
                self._watch = Watch(len(terms), self.add_variable)
        self.names, self.outputs, self.hooks = terms, outputs, {}
        self.watch.forget_warnings()
        self._settings.compiled(model)
        self._recorded = self._penalised = False
        # A step that was traced before does not record the new losses.
        model.train_function = model.test_function = None

    # What callbacks set -------------------------------------------------------------------------------

    def control(self, model: keras.Model, owner: str, name: str) -> Control:
        """Return the handle on a number of a loss, by its name or path; see `Settings.control`."""
        return self._settings.control(model, owner, name)

    def memory(self, name: str, initial: Any) -> keras.Variable:
        """Return an array that a callback keeps with the model; see `Settings.memory`."""
        return self._settings.memory(name, initial)

    def parameters(self) -> dict[str, float]:
        """Return the current values of the numbers of the losses that are set or learned, by path."""
        return self._settings.current()

    # Recording ----------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def recording(self, step: Step) -> Iterator[Callable[[Tensor], None]]:
        """Record the terms of the losses that are called inside this context.

        It yields a function that must be called with the model's total loss.
        """
        # A callback must not stop a training that Keras runs.
        strict = getattr(step.model, "records_terms", False)
        terms = StepTerms(self.outputs, step.y_pred, strict)
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
        """Return the context in which the model's losses are computed from the data of a step.

        Args:
            step: the data, which losses may use.
            listener: receives the values of terms; see `keras_losses.core.context.Context`.
        """
        steps: dict[Loss, list[Step]] = {}
        for output in self.outputs:
            for _, loss in output.losses:
                steps.setdefault(loss, []).append(step.at(output))
        return context.computing(Context(self._settings.readers(), steps, listener))

    def _add(self, step: Step, total: Tensor, terms: StepTerms) -> None:
        samples = step.batch_size
        if samples is None:
            return
        self._recorded, self._penalised = True, bool(step.model.losses)
        penalties = sum((ops.sum(ops.cast(loss, self.dtype)) for loss in step.model.losses), 0.0)
        means = Means(
            loss=self._multiplied_by_replicas(ops.mean(total)),
            penalties=penalties,
            values=[self._multiplied_by_replicas(value) for value in terms.values],
            weighted=[self._multiplied_by_replicas(value) for value in terms.weighted],
        )
        samples = ops.cast(samples, self.dtype)
        self.sums.add(samples, means, getattr(step.model, "steps_per_execution", None) or 1)
        if step.training:
            self.watch.add(self.sums.total())

    def _multiplied_by_replicas(self, value: Any) -> Tensor:
        return numerics.multiply_by_replicas(ops.cast(value, self.dtype))

    # Keras's metric -----------------------------------------------------------------------------------

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing, because `recording` updates the state."""

    def reset_state(self) -> None:
        """Begin an epoch of training or a validation."""
        if self.ledger is not None:
            self.ledger.reset()

    def result(self) -> dict[str, Tensor]:
        """Return the means of the epoch, by the names in the logs."""
        rows = self._rows()
        logs = {name: row.value for name, row in rows.items()}
        if self.log_weighted_terms:
            for name, row in rows.items():
                logs |= {names.weighted(name): row.weighted, names.share(name): row.share}
        return logs

    def _rows(self) -> dict[str, _Row]:
        """Return the means of the epoch by the names of the terms, if the steps record them."""
        if self.ledger is None or not self._recorded:
            return {}
        means = self.ledger.means()
        each = [(name, means.values[k], means.weighted[k]) for k, name in enumerate(self.names)]
        if self._penalised:
            each.append((REGULARIZATION, means.penalties, means.penalties))
        return {
            name: _Row(value, weighted, numerics.divide_no_nan(weighted, means.loss))
            for name, value, weighted in each
        }

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}

    def save_own_variables(self, store: Any) -> None:
        """Save the numbers that are set and the arrays of callbacks. The sums belong to one epoch only."""
        self._settings.save(store)

    def load_own_variables(self, store: Any) -> None:
        self._settings.load(store)

    # What callbacks read ------------------------------------------------------------------------------

    @property
    def sums(self) -> Ledger:
        """The sums of the losses. They exist after `attach`."""
        assert self.ledger is not None
        return self.ledger

    @property
    def watch(self) -> Watch:
        """The watch over the terms. It exists after `attach`."""
        assert self._watch is not None
        return self._watch

    def means_of(self, sums: np.ndarray) -> tuple[float, dict[str, float]]:
        """Return the loss and the value of each term from a vector that was read from the ledger."""
        means = self.sums.means_of(sums)
        values = {name: float(value) for name, value in zip(self.names, means.values, strict=True)}
        if self._penalised:
            values[REGULARIZATION] = float(means.penalties)
        return float(means.loss), values

    @property
    def logged(self) -> set[str]:
        """The names that the values of the terms have, in the logs or elsewhere."""
        terms = [*self.names, *([REGULARIZATION] if self._penalised else [])]
        return {entry for name in terms for entry in (name, names.weighted(name), names.share(name))}

    def begin_epoch(self) -> None:
        """Begin an epoch of training."""
        self._weighted_of_training = None
        self.watch.begin_epoch()

    def end_training(self) -> None:
        """End the training steps of an epoch, before a validation resets the sums.

        A second call in the same epoch does nothing. It waits for the device.
        """
        if self._weighted_of_training is None:
            rows = self._rows().items()
            self._weighted_of_training = {
                names.weighted(name): float(ops.convert_to_numpy(row.weighted)) for name, row in rows
            }

    def end_epoch(self, epoch: int, logs: Mapping[str, Any]) -> None:
        """End an epoch of training; warn of terms that are not finite or that dominate the loss."""
        self.end_training()
        values = {**logs, **(self._weighted_of_training or {})}
        self.watch.end_epoch(epoch, values, self.names, self._penalised)


@dataclass(frozen=True)
class _Row:
    """The means of one term."""

    value: Tensor
    weighted: Tensor
    share: Tensor


def _recording(model: keras.Model, compute_loss: Callable[..., Any]) -> Callable[..., Any]:
    """Return a `compute_loss` that computes the model's and records the terms."""

    def recording(
        x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        step = Step(model, x, y, y_pred, sample_weight, training)
        with model.loss_terms.recording(step) as finish:
            total = call_compute_loss(compute_loss, step)
            finish(total)
        return total

    return recording
