"""Puts a model, its optimizer and the random states back to what they were before a range test."""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

# Keras has no public way to the generator behind unseeded random numbers, without making one where there
# is none; tests/test_private_keras.py watches these.
from keras_losses import keras_private
from keras_losses.training.terms import strategy_scope

from .optimizers import updating


@contextlib.contextmanager
def putting_back(model: Any) -> Iterator[None]:
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
