"""All uses of private names of Keras and TensorFlow, each with the reason why no public name serves.

Every name is looked up when its feature is used. If a release of Keras renames it, that feature raises
`PrivateNameError`, and `import keras_losses` still works. `tests/test_private_keras.py` checks the names.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

import keras

P = ParamSpec("P")
R = TypeVar("R")


class PrivateNameError(RuntimeError):
    """Error if a private name of Keras or TensorFlow has moved or is gone."""


def _missing(feature: str, error: Exception) -> PrivateNameError:
    return PrivateNameError(
        f"`keras_losses`: {feature} needs a private name that the installed Keras {keras.__version__} does "
        f"not have ({error}). Install a version of Keras that the README of keras-losses lists, or upgrade "
        "keras-losses."
    )


def needed_for(feature: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Turn the error of a missing name into one that names the feature and says what to do."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return function(*args, **kwargs)
            except (ImportError, AttributeError) as error:
                raise _missing(feature, error) from error

        return guarded

    return decorate


# Tensors ---------------------------------------------------------------------------------------------


@needed_for("reading the mask of a layer")
def mask_of(x: Any) -> Any:
    """Return the mask that a layer set on its output, or None. JAX tensors cannot hold it as an attribute."""
    from keras.src.backend import get_keras_mask

    return get_keras_mask(x)


@needed_for("setting a mask on the output of a layer")
def set_mask(x: Any, mask: Any) -> None:
    """Set the mask of a tensor. `compute_mask` cannot do it for a layer with two kinds of calls."""
    from keras.src.backend import set_keras_mask

    set_keras_mask(x, mask)


@needed_for("telling a trial run of Keras from a step")
def in_stateless_scope() -> bool:
    """Return whether Keras calls the model without its state, as in its trial before training on PyTorch."""
    from keras.src.backend import in_stateless_scope

    return bool(in_stateless_scope())


def logits_beside(probabilities: Any) -> Any:
    """Return the logits that Keras keeps beside the output of a softmax or a sigmoid, or None.

    If Keras renames the attribute, this returns None, and losses compute from the probabilities.
    """
    return getattr(probabilities, "_keras_logits", None)


@needed_for("choosing the faster of two formulas")
def compiled_by_xla(graph: Any) -> bool:
    """Return whether TensorFlow will compile this graph with XLA."""
    from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

    return bool(GraphOrParentsInXlaContext(graph))


# Models and layers -----------------------------------------------------------------------------------


@needed_for("listing the layers inside a layer")
def layers_inside(layer: Any, *, include_self: bool = False, recursive: bool = True) -> list[Any]:
    """Return the layers inside a layer. `Model.layers` lists only those of the outermost level."""
    return list(layer._flatten_layers(include_self=include_self, recursive=recursive))


@needed_for("making a LossAwareModel of a model")
def structure_of(model: Any) -> tuple[Any, Any]:
    """Return the inputs and outputs of a functional or sequential model in their nested structure."""
    functional = getattr(model, "_functional", None) or model
    return functional._inputs_struct, functional._outputs_struct


def outputs_structure(model: Any) -> Any:
    """Return the structure of the outputs, or None for a subclassed model, which has none."""
    return getattr(model, "_outputs_struct", None)


@needed_for("reading the weights of losses")
def loss_weights_of(model: Any) -> Any:
    """Return the `loss_weights` with which a model was compiled.

    The public `get_compile_config` serializes the loss, the metrics and the optimizer too. It fails on a
    `functools.partial` or a callable object, which train without it, and warns of lambdas.
    """
    return model._compile_config.config.get("loss_weights")


@needed_for("reading the metrics of a model")
def metrics_of(model: Any) -> list[Any]:
    """Return the metrics with which a model was compiled, in their structure.

    The public `metrics` lists them only after the first batch.
    """
    config = model._compile_config.config
    return [config.get("metrics"), config.get("weighted_metrics")]


@contextlib.contextmanager
def unlocked(model: keras.Model) -> Iterator[None]:
    """Allow a built, subclassed model to get more state. Keras allows metrics only."""
    try:
        tracker = model._tracker
        locked, tracker.locked = tracker.locked, False
    except AttributeError as error:
        raise _missing("attaching the state of a loss to a model", error) from error
    try:
        yield
    finally:
        tracker.locked = locked


@needed_for("attaching the state of a loss to a model")
def replace_layer(model: Any, old: Any, new: Any) -> None:
    """Add a layer that is outside of the model's graph to the model's layers, in place of another one.

    With Keras 3.10 a functional model lists only the layers of its graph.
    """
    if not any(layer is new for layer in model._layers):
        model._layers[:] = [*(layer for layer in model._layers if layer is not old), new]


@contextlib.contextmanager
def without_layer(model: Any, layer: Any) -> Iterator[None]:
    """Hide a layer among the model's layers for a while. `Sequential.get_config` saves all of them."""
    try:
        before = list(model._layers)
        model._layers[:] = [each for each in before if each is not layer]
    except AttributeError as error:
        raise _missing("saving a LossAwareModel of a Sequential", error) from error
    try:
        yield
    finally:
        model._layers[:] = before


@needed_for("detaching the state of a loss from a model")
def untrack(model: Any, layer: Any) -> None:
    """Remove a layer from a model's state."""
    model._tracker.untrack(layer)


@contextlib.contextmanager
def keeping_losses(model: Any, *, keep: bool) -> Iterator[None]:
    """Keep the losses that layers added with `add_loss` while a loss calls the model again.

    Another call clears them. Keras on JAX keeps them in `_losses_override`, which is empty on the other
    backends.
    """
    try:
        before = model._losses_override
    except AttributeError as error:
        raise _missing("a loss that calls the model again", error) from error
    if keep and not before:
        model._losses_override = list(model.losses)
    try:
        yield
    finally:
        model._losses_override = before


def jax_training_state(model: Any) -> Any:
    """Return the values of the variables within an epoch on JAX, by group; None if the variables hold them.

    The public way, `Callback.model`, copies the values into every variable, and the next step removes them
    again.
    """
    state = getattr(model, "_jax_state", None)
    return None if not state or model._jax_state_synced else state


def drop_jax_training_state(model: Any) -> None:
    """Drop the state that an interrupted step left on JAX, which would replace the variables' values."""
    if hasattr(model, "_jax_state"):
        model._jax_state, model._jax_state_synced = None, True


@needed_for("find_learning_rate")
def unbuild_compiled_parts(model: Any) -> Callable[[], None]:
    """Return a function that makes those compiled metrics and losses unbuilt again that are unbuilt now."""
    compiled_loss = model._compile_loss
    parts = [part for part in (model._compile_metrics, compiled_loss) if part is not None]
    unbuilt = [part for part in parts if not part.built]

    @needed_for("find_learning_rate")
    def put_back() -> None:
        for part in unbuilt:
            if part is compiled_loss:
                for metric in list(part.metrics):
                    part._tracker.untrack(metric)
            part.built = False

    return put_back


# Optimizers ------------------------------------------------------------------------------------------


@needed_for("reading what computes the learning rate")
def rate_source(optimizer: Any) -> Any:
    """Return the variable, schedule or function of the rate. The public `learning_rate` is only its value."""
    return optimizer._learning_rate


@needed_for("find_learning_rate")
def set_rate_source(optimizer: Any, variable: keras.Variable) -> None:
    """Replace a schedule by a variable. The public setter replaces only a number, and not a schedule."""
    rate_source(optimizer)  # raises if Keras renamed the attribute, which the next line would not
    optimizer._learning_rate = variable


@needed_for("an optimizer whose momentum follows a schedule")
def iteration_counter(optimizer: Any) -> Any:
    """Return the counter that Keras passes to the schedule of the rate.

    With gradient accumulation the public `iterations` is this counter divided by the number of steps.
    """
    return optimizer._iterations


@needed_for("an optimizer whose momentum follows a schedule")
def slot_index(optimizer: Any, variable: Any) -> int:
    """Return the index of a variable's slots among those of all variables."""
    return int(optimizer._get_variable_index(variable))


@needed_for("find_learning_rate")
def forget_slots(optimizer: Any, kept: set[int]) -> None:
    """Make an optimizer unbuilt, and remove its variables except those with the ids `kept`."""
    for variable in optimizer.variables:
        if id(variable) not in kept:
            optimizer._untrack_variable(variable)
    optimizer._trainable_variables_indices.clear()
    optimizer._trainable_variables = []
    optimizer.built = False


# Random numbers --------------------------------------------------------------------------------------


_SEED_GENERATOR = "global_seed_generator"
"""The key of the generator, as a literal because Keras 3.10 does not define a name for it."""


@needed_for("find_learning_rate")
def seed_generator() -> Any:
    """Return the generator of unseeded random numbers, or None if none has been drawn."""
    from keras.src.backend.common import global_state

    return global_state.get_global_attribute(_SEED_GENERATOR)


@needed_for("find_learning_rate")
def set_seed_generator(generator: Any) -> None:
    """Set the generator of unseeded random numbers."""
    from keras.src.backend.common import global_state

    global_state.set_global_attribute(_SEED_GENERATOR, generator)
