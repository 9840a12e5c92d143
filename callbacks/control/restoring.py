"""Restores a model, its optimizer and the random states after a range test."""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from keras_losses import keras_private
from keras_losses.training.terms import strategy_scope

from .optimizers import updating


@contextlib.contextmanager
def restoring(model: Any) -> Iterator[None]:
    """Restore the model, its optimizer and the random states on exit, also after an error."""
    optimizer, learning_rate = model.optimizer, keras_private.rate_source(updating(model.optimizer))
    attributes = {name: getattr(model, name, None) for name in ("history", "stop_training", "train_function")}
    # `fit` leaves PyTorch's modules in inference mode, or in training mode if it is interrupted.
    modules = list(model.modules()) if keras.backend.backend() == "torch" else []
    modes = [module.training for module in modules]
    with contextlib.ExitStack() as on_exit:
        on_exit.callback(_random_state_restorer())
        generator = keras_private.seed_generator()
        on_exit.callback(keras_private.set_seed_generator, generator)
        # On JAX and PyTorch the first `fit` after `compile` draws a batch to build these parts, and shuffles
        # arrays once more for it. The `fit` after the test must do the same.
        on_exit.callback(keras_private.unbuild_compiled_parts(model))
        if not optimizer.built:
            # Built now, so that the copies below include the initial values of its slots.
            on_exit.callback(_unbuild, optimizer, {id(variable) for variable in optimizer.variables})
            with strategy_scope(model):
                optimizer.build(model.trainable_variables)
        seeds = [] if generator is None else [generator.state]
        # Copies are on the host, because the device may have no room for a second model.
        values = [(variable, _copy(variable)) for variable in _variables(model, seeds)]
        try:
            yield
        finally:
            keras_private.drop_jax_training_state(model)
            with strategy_scope(model):
                if keras_private.rate_source(updating(optimizer)) is not learning_rate:
                    optimizer.learning_rate = learning_rate
                model.reset_metrics()  # also the metrics that the first step created
                for variable, value in values:
                    variable.assign(value)
            for name, attribute in attributes.items():
                setattr(model, name, attribute)
            for module, mode in zip(modules, modes, strict=True):
                module.training = mode


def _variables(model: Any, others: list[Any]) -> list[Any]:
    """Return all variables of a model and its optimizer, and others, each once."""
    groups = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.metrics_variables,
        model.optimizer.variables,
        others,
    )
    return list({id(variable): variable for group in groups for variable in group}.values())


def _copy(variable: Any) -> Any:
    # Copied, because NumPy may share memory that PyTorch and TensorFlow overwrite and JAX frees. A variable
    # of several replicas has to become a tensor first.
    return np.array(keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(variable)), copy=True)


def _unbuild(optimizer: Any, before: set[int]) -> None:
    """Remove the slots, so that the next training may have other trainable variables than the test."""
    keras_private.forget_slots(optimizer, before)
    if updating(optimizer) is not optimizer:
        keras_private.forget_slots(updating(optimizer), before)


def _random_state_restorer() -> Callable[[], None]:
    """Return a function that restores the present global random states."""
    # Keras shuffles arrays with NumPy's legacy global state.
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    torch = sys.modules.get("torch")
    on_cpu = torch.get_rng_state() if torch else None
    on_gpus = torch.cuda.get_rng_state_all() if torch and torch.cuda.is_initialized() else None

    def restore() -> None:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        if torch:
            torch.set_rng_state(on_cpu)
        if torch and on_gpus is not None:
            torch.cuda.set_rng_state_all(on_gpus)

    return restore
