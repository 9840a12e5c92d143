"""Models that record the terms of their loss, and train and save its learned hyper-parameters."""

from __future__ import annotations

import contextlib
import functools
import inspect
import types
from collections.abc import Iterator
from typing import Any, ClassVar

import keras

from keras_losses import keras_private
from keras_losses.core import Loss
from keras_losses.training.first_batch import FirstBatch
from keras_losses.training.outputs import compiled_outputs
from keras_losses.training.state import LossState
from keras_losses.training.terms import LossTerms
from keras_losses.training.watch import WatchTerms


class RecordsTerms:
    """The methods that models with recorded terms share; a base class before `keras.Model`."""

    records_terms = True

    def compile(self, *args: Any, log_weighted_terms: bool = False, **kwargs: Any) -> None:
        """Configure the model for training, as `keras.Model.compile` does.

        Args:
            *args: As in `keras.Model.compile`.
            log_weighted_terms: Whether the progress bar and the history also have `<term>_weighted` and
                `<term>_share`, the part of the loss that comes from a term and its share. `LossCurves`
                records both anyway.
            **kwargs: As in `keras.Model.compile`.
        """
        super().compile(*args, **kwargs)  # type: ignore[misc]
        losses = [output.loss for output in compiled_outputs(self) if isinstance(output.loss, Loss)]
        state = getattr(self, "loss_state", None)
        if state is None or not state.serves(losses):
            with keras_private.unlocked(self):
                if state is not None:
                    keras_private.untrack(self, state)
                self.loss_state = LossState(losses)
                keras_private.replace_layer(self, state, self.loss_state)
        LossTerms.attach(self, log_weighted_terms)

    @property
    def metrics(self) -> list[Any]:
        """The metrics of the model, which include the terms of the loss if a subclass overrides them."""
        metrics = list(super().metrics)  # type: ignore[misc]
        terms = getattr(self, "loss_terms", None)
        if terms is None or any(metric is terms for metric in metrics):
            return metrics
        return [*metrics, terms]

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        fit = super().fit  # type: ignore[misc]
        given = inspect.signature(fit).bind(*args, **kwargs).arguments
        callbacks = given.pop("callbacks", None) or []
        watch = WatchTerms(FirstBatch.of(given))
        if isinstance(callbacks, keras.callbacks.CallbackList):
            # The list has set the model of its callbacks already.
            watch.set_model(self)
            watch.set_params(callbacks.params)
            callbacks.callbacks = [each for each in callbacks.callbacks if not isinstance(each, WatchTerms)]
            callbacks.callbacks.append(watch)
        else:
            callbacks = [*keras.tree.flatten(callbacks), watch]
        return fit(**given, callbacks=callbacks)

    def get_compile_config(self) -> Any:
        config = super().get_compile_config()  # type: ignore[misc]
        terms = getattr(self, "loss_terms", None)
        if config is None or terms is None or not terms.log_weighted_terms:
            return config
        return {**config, "log_weighted_terms": True}

    def compile_from_config(self, config: dict[str, Any]) -> None:
        inherited = super().compile_from_config  # type: ignore[misc]
        if not inherited.__func__.__module__.startswith("keras."):
            inherited(config)
            return
        # Keras compiles no model that overrides `compile`.
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:  # type: ignore[attr-defined]
            self.optimizer.build(self.trainable_variables)  # type: ignore[attr-defined]


@keras.saving.register_keras_serializable("keras_losses")
class LossAwareModel(RecordsTerms, keras.Model):  # type: ignore[misc]
    """A model that logs every term of its loss and its weight penalties, in training and validation.

    It is used as `keras.Model` is: from inputs and outputs, or as the base of your own class, with your own
    `train_step` if you need one. `from_model` makes one of any model. It also trains and saves the learned
    hyper-parameters of its loss.

    Compiled steps cannot raise an error for invalid labels or predictions. If the data are arrays, `fit`
    checks those of the first batch before it begins, unless the model has its own `train_step`.

    `compile(..., log_weighted_terms=True)` also logs what each term adds to the loss, and its share.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> from keras_losses import AbsoluteErrorLoss, LossAwareModel, SquaredErrorLoss
    >>> inner = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
    >>> model = LossAwareModel.from_model(inner)
    >>> model.compile("sgd", loss=SquaredErrorLoss() + 0.5 * AbsoluteErrorLoss())
    >>> logs = model.evaluate(np.ones((4, 1)), np.full((4, 1), 3.0), verbose=0, return_dict=True)
    >>> logs["loss"], logs["squared_error_loss"], logs["absolute_error_loss"]  # r = 2
    (5.0, 4.0, 2.0)
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        # For a model from inputs and outputs, Keras permanently replaces `keras.Model` among the bases of
        # its class. A separate class takes this, so that LossAwareModel can still be subclassed.
        if cls is LossAwareModel and (len(args) == 2 or "outputs" in kwargs):
            return FunctionalLossAwareModel(*args, **kwargs)
        # For a subclass from inputs and outputs, Keras replaces `keras.Model` here, among the bases of this
        # class, and then calls `__new__` of the subclass. The subclass takes the replacement instead.
        *_, base = LossAwareModel.__bases__
        if cls is not LossAwareModel and base is not keras.Model:
            cls.__bases__ = (*cls.__bases__, base)
            LossAwareModel.__bases__ = (RecordsTerms, keras.Model)
        return super().__new__(cls, *args, **kwargs)

    @classmethod
    def from_model(cls, model: keras.Model) -> Any:
        """Return a loss-aware model with the same layers, weights and names, which has to be compiled.

        For a `Sequential` or functional model this is a new model that shares the layers. A model of your own
        class becomes loss-aware itself and is returned: it keeps its class, with its `train_step`,
        `test_step`, `compute_loss` and other methods, and the names of its weights in files.
        """
        if not isinstance(model, keras.Model):
            raise TypeError(
                "`LossAwareModel.from_model`: `model` must be a keras.Model. "
                f"Received: {type(model).__name__}."
            )
        if isinstance(model, RecordsTerms):
            return model
        if isinstance(model, keras.Sequential) and not model.built:
            raise ValueError(
                "`LossAwareModel.from_model`: `model` must be built. Received: a model without weights. "
                "Build it, or call it on a batch, first."
            )
        is_of_keras = type(model).__module__.startswith("keras.")
        if is_of_keras and (isinstance(model, keras.Sequential) or hasattr(model, "operations")):
            inputs, outputs = keras_private.structure_of(model)
            return FunctionalLossAwareModel(inputs, outputs, name=model.name)
        return WrappedModel.in_place(model)


@keras.saving.register_keras_serializable("keras_losses")
class FunctionalLossAwareModel(RecordsTerms, keras.Model):  # type: ignore[misc]
    """A `LossAwareModel` from inputs and outputs."""


@keras.saving.register_keras_serializable("keras_losses")
class WrappedModel(LossAwareModel):
    """Base of the classes that `LossAwareModel.from_model` derives from other classes of models."""

    of_class: ClassVar[type]
    """The class of the model before."""

    @staticmethod
    def in_place(model: keras.Model) -> Any:
        """Make a model loss-aware, and return it."""
        with contextlib.suppress(AttributeError):
            model.train_function = model.test_function = model.predict_function = None
        model.compiled = False
        _set_class(model, _loss_aware(type(model)))  # type: ignore[arg-type]
        return model

    def get_config(self) -> dict[str, Any]:
        of_class = self.of_class
        with keras_private.without_layer(self, getattr(self, "loss_state", None)), _seen_as(self, of_class):
            model = {
                "module": of_class.__module__,
                "class_name": of_class.__name__,
                "registered_name": keras.saving.get_registered_name(of_class),
                "config": keras.saving.serialize_keras_object(self.get_config()),
                "build_config": self.get_build_config(),
            }
        return {"model": model}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        model = keras.saving.deserialize_keras_object(config["model"], custom_objects=custom_objects)
        return LossAwareModel.from_model(model)


@functools.cache
def _loss_aware(of_class: type) -> type:
    """Return the loss-aware subclass of a class of models."""

    def body(namespace: dict[str, Any]) -> None:
        namespace |= {"of_class": of_class, "__module__": of_class.__module__, "__doc__": of_class.__doc__}

    derived = types.new_class(f"LossAware{of_class.__name__}", (WrappedModel, of_class), {}, body)
    # All derived classes are saved under this name. `from_config` is the same for all of them.
    keras.saving.register_keras_serializable("keras_losses", "WrappedModel")(derived)
    return derived


def _set_class(model: keras.Model, cls: type) -> None:
    object.__setattr__(model, "__class__", cls)


@contextlib.contextmanager
def _seen_as(model: keras.Model, cls: type) -> Iterator[None]:
    """Give a model another class for a while: Keras makes a config only if `get_config` is not overridden."""
    before = type(model)
    _set_class(model, cls)
    try:
        yield
    finally:
        _set_class(model, before)
