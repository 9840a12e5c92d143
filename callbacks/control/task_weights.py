"""Weights of tasks that follow how fast each task learns."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_losses import keras_private, numerics
from keras_losses.numerics import derivatives
from keras_losses.training.outputs import compiled_outputs, joined
from keras_losses.training.settings import WEIGHTS, Control
from keras_losses.training.step import Step
from keras_losses.training.terms import LossTerms

from ..arguments import number
from ..state import Remembers
from .optimizers import batches_seen


class _TaskWeights(Remembers, keras.callbacks.Callback):  # type: ignore[misc]
    """Base of callbacks that set the weights of the terms of the model's losses; each term is a task."""

    memory: keras.Variable
    """A variable saved with the model; all zeros until something has been recorded."""

    def __init__(self, terms: Sequence[str] | None, backup_dir: str | os.PathLike[str] | None) -> None:
        super().__init__()
        if isinstance(terms, str) or (terms is not None and len(terms) < 2):
            raise ValueError(
                f"`{type(self).__name__}`: `terms` must be two or more names of terms, or None for all. "
                f"Received: terms={terms!r}"
            )
        self.terms = None if terms is None else list(terms)
        self.backup_dir = backup_dir
        self.keep_state(backup_dir, "")

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        if not getattr(model, "compiled", False):
            return
        loss_terms: LossTerms = LossTerms.attach(model)
        paths = {
            log: joined(output.name, WEIGHTS + name)
            for output in compiled_outputs(model)
            for log, name in output.terms.items()
            if name in output.loss.losses
        }
        names = list(paths) if self.terms is None else self.terms
        unknown = [name for name in names if name not in paths]
        if unknown or len(names) < 2:
            raise ValueError(
                f"`{type(self).__name__}`: the model must have a loss with two or more terms, or several "
                "outputs with a CompositeLoss each, such as 1.0 * SquaredErrorLoss(). Its terms are: "
                f"{', '.join(paths) or 'none'}. Received: terms={self.terms!r}"
            )
        self.paths = {name: paths[name] for name in names}
        self.controls: list[Control] = [
            loss_terms.control(model, type(self).__name__, path) for path in self.paths.values()
        ]
        # A second callback of the class may have other terms.
        self.kept_as = f"{type(self).__name__} {','.join(self.paths.values())}"
        self.keep_state(self.backup_dir, self.kept_as)
        self._began = False
        self.prepare(loss_terms)

    def prepare(self, terms: LossTerms) -> None:
        """Create `memory`."""
        raise NotImplementedError

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        # Not earlier: other callbacks restore the model, and its memory with it, when the training begins.
        began, self._began = self._began, True
        if began or np.any(ops.convert_to_numpy(self.memory)):
            return
        remembered = self.remembered(batches_seen(self.model.optimizer))
        if remembered is not None:
            self.memory.assign(np.array(remembered.state["memory"], "float32"))
            self._set(remembered.state["weights"])

    def _remember(self) -> None:
        if self.backup_dir is None:
            return
        memory = ops.convert_to_numpy(self.memory).tolist()
        weights = [self._weight(task) for task in range(len(self.controls))]
        self.remember(batches_seen(self.model.optimizer), {"memory": memory, "weights": weights})

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is not None:
            logs.update({path: self._weight(k) for k, path in enumerate(self.paths.values())})

    def _weight(self, task: int) -> float:
        return float(ops.convert_to_numpy(self.controls[task].variable))

    def _set(self, weights: Iterable[float]) -> None:
        for control, weight in zip(self.controls, weights, strict=True):
            control.assign(float(weight))


class DynamicWeightAverage(_TaskWeights):
    """Gives more weight to tasks whose loss decreased less from one epoch to the next.

        weight_k = K exp(r_k / temperature) / sum_j exp(r_j / temperature)
        r_k = (loss of task k in the last epoch) / (loss of task k in the epoch before)

    for K tasks. In the first two epochs all weights are 1. The tasks are the terms of the `CompositeLoss`es
    of all outputs; a single loss of an output becomes a `CompositeLoss` as `1.0 * loss`. Losses must stay
    positive. The logs have the weights as `weights/<term>`. `GradNorm` uses gradients in every step instead,
    and `UncertaintyWeightedLoss` the noise of the tasks.

    The weights continue after a restart with `BackupAndRestore`, and after a `LossAwareModel` was saved and
    loaded. For a plain model that is saved and loaded, pass `backup_dir`. Place the callback before callbacks
    that save the model at the end of an epoch.

    Args:
        temperature: Evenness of the weights, above 0; 2 in the paper.
        terms: Names of the terms that are tasks, as in the logs; by default all terms.
        backup_dir: Directory in which the weights of a plain model are kept, such as that of its checkpoints.

    Raises:
        TypeError, ValueError: If an argument is outside its range; when training, if the loss has fewer than
            two terms.

    References:
        - Liu, Johns & Davison 2019, End-to-End Multi-Task Learning with Attention,
          https://arxiv.org/abs/1803.10704
    """

    def __init__(
        self,
        temperature: float = 2.0,
        terms: Sequence[str] | None = None,
        backup_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__(terms, backup_dir)
        self.temperature = number(type(self).__name__, "temperature", temperature, "(0, inf)")

    def prepare(self, terms: LossTerms) -> None:
        # Losses of the last two epochs; 0 for an epoch that has not been trained.
        self.memory = terms.memory(self.kept_as, np.zeros((2, len(self.controls)), "float32"))

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if not np.any(ops.convert_to_numpy(self.memory)):
            self._set(np.ones(len(self.controls)))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        super().on_epoch_end(epoch, logs)
        last = np.array([float((logs or {})[name]) for name in self.paths])
        before = ops.convert_to_numpy(self.memory)[1].astype("float64")
        self.memory.assign(np.stack([before, last]))
        # NaN and infinity do not change the weights; callbacks such as TerminateOnNaN act on them.
        if np.all(before > 0) and np.all(np.isfinite(last)):
            slowness = last / before / self.temperature
            shares = np.exp(slowness - np.max(slowness))
            self._set(len(last) * shares / np.sum(shares))
        self._remember()


class GradNorm(_TaskWeights):
    """Balances the gradient norms of all tasks, with larger norms for tasks that learn more slowly.

    Let G_k = weight_k ||d loss_k / d W|| be the gradient norms in the weights W of a layer that the tasks
    share, and r_k = (loss_k / loss_k of the first step), divided by its mean over the tasks. Every step sets

        weight_k <- weight_k exp(-learning_rate * sign(G_k - mean(G) r_k^alpha) G_k / mean(G))

    and then divides all weights by their mean. This is the paper's gradient descent on
    sum_k |G_k - mean(G) r_k^alpha|, but in the logarithms of the weights and in units of mean(G), so that the
    result does not depend on the units of the losses. (In the weights themselves, a step is larger for a
    smaller weight, so that the descent does not converge beside a task of much larger units.)

    The logs have the weights of the epoch's last step as `weights/<term>`. They continue after a restart like
    those of `DynamicWeightAverage`. That callback costs nothing; `GradNorm` adds to each step about one
    forward pass and one backward pass for each task.

    Args:
        shared: The layer whose weights all tasks share, or its name; in the paper the last shared layer.
        alpha: Strength of the help for slower tasks, 0 or more; with 0 all gradient norms become equal.
        learning_rate: Relative change of the weights in a step, above 0.
        terms: Names of the terms that are tasks, as in the logs; by default all terms.
        backup_dir: Directory in which the weights of a plain model are kept, such as that of its checkpoints.

    Raises:
        TypeError, ValueError: If an argument is outside its range; when training, if the loss has fewer than
            two terms, the model has no such layer or no trainable weights in it, or there are several
            replicas.

    References:
        - Chen et al. 2018, GradNorm: Gradient Normalization for Adaptive Loss Balancing in Deep Multitask
          Networks, https://arxiv.org/abs/1711.02257
    """

    def __init__(
        self,
        shared: str | keras.layers.Layer,
        alpha: float = 1.5,
        learning_rate: float = 0.025,
        terms: Sequence[str] | None = None,
        backup_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__(terms, backup_dir)
        self.shared = shared if isinstance(shared, str) else shared.name
        self.alpha = number(type(self).__name__, "alpha", alpha, "[0, inf)")
        self.learning_rate = number(type(self).__name__, "learning_rate", learning_rate, "(0, inf)")

    def prepare(self, terms: LossTerms) -> None:
        self.memory = terms.memory(self.kept_as, np.zeros(len(self.controls), "float32"))
        # One hook for these terms, also if the model is fitted again with another callback of this class.
        terms.hooks[self.kept_as] = self.in_step
        self.model.train_function = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._places(self.model)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.model.loss_terms.hooks.pop(self.kept_as, None)
        self.model.train_function = None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        super().on_epoch_end(epoch, logs)
        for task, control in enumerate(self.controls):
            control.setting.keep(self._weight(task))
        self._remember()

    def in_step(self, step: Step) -> None:
        """Set the weights for the next step, within the compiled step."""
        if not step.training:
            return
        if numerics.replica_count() > 1:
            raise ValueError(
                "`GradNorm`: the model must have one replica, because each replica would set the weights "
                f"from its own gradients. Received: {numerics.replica_count()} replicas. Train on one "
                "device, or weight the tasks with DynamicWeightAverage."
            )
        losses, norms = self._losses_and_norms(step)
        weights = ops.stack([control.variable.value for control in self.controls])
        first = self.memory.value
        first = ops.where(first > 0, first, losses)
        self.memory.assign(first)
        ratios = numerics.divide_no_nan(losses, first)
        slowness = numerics.divide_no_nan(ratios, ops.mean(ratios))
        sizes = weights * norms
        mean = ops.mean(sizes)
        sign = ops.sign(sizes - mean * ops.power(slowness, self.alpha))
        moved = weights * ops.exp(-self.learning_rate * sign * numerics.divide_no_nan(sizes, mean))
        moved = moved / ops.mean(moved)
        # NaN and infinity do not change the weights; callbacks such as TerminateOnNaN act on them.
        moved = ops.where(ops.all(ops.isfinite(moved)), moved, weights)
        for task, control in enumerate(self.controls):
            control.variable.assign(moved[task])

    def _losses_and_norms(self, step: Step) -> tuple[Any, Any]:
        places = self._places(step.model)
        arrays = [step.model.trainable_variables[place].value for place in places]

        def task_losses(*shared: Any) -> list[Any]:
            inner = replace(step, instead=dict(zip(places, shared, strict=True)))
            inner = replace(inner, y_pred=inner.forward(step.x, step.training))
            losses = {}
            with step.model.loss_terms.computing(inner):
                for output in step.model.loss_terms.outputs:
                    of = inner.at(output).of_output
                    for log, name in output.terms.items():
                        if log in self.paths:
                            term = output.loss._inside[name]
                            data = of(inner.y), of(inner.y_pred), of(inner.sample_weight)
                            losses[log] = term._reduced(*data, output.loss.reduction)
            return [losses[name] for name in self.paths]

        losses, gradients = derivatives.values_and_gradients(task_losses, arrays)
        norms = [ops.sqrt(sum(ops.sum(ops.square(part)) for part in parts)) for parts in gradients]
        return _constant_vector(losses), _constant_vector(norms)

    def _places(self, model: keras.Model) -> list[int]:
        """Return the indices of the shared weights among the model's trainable variables."""
        # The model is an argument, because on JAX `self.model` would fill the variables with traced values.
        layers = keras_private.layers_inside(model)
        shared = {id(v) for layer in layers if layer.name == self.shared for v in layer.trainable_variables}
        places = [k for k, variable in enumerate(model.trainable_variables) if id(variable) in shared]
        if not places:
            names = sorted({layer.name for layer in layers if layer.trainable_variables})
            raise ValueError(
                "`GradNorm`: `shared` must be the name of a layer of the model with trainable weights. "
                f"Received: shared={self.shared!r}. The model has: {', '.join(names)}."
            )
        return places


def _constant_vector(scalars: Sequence[Any]) -> Any:
    """Return scalars as one float32 vector, which is a constant to the gradient of the step."""
    return ops.stop_gradient(ops.cast(ops.stack(scalars), "float32"))
