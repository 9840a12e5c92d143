"""Models that know of their loss: its terms are in their logs, and are kept with them."""

from __future__ import annotations

import inspect
from typing import Any

import keras

from keras_losses import keras_private
from keras_losses.core import Loss
from keras_losses.training.outputs import compiled_outputs
from keras_losses.training.state import LossState
from keras_losses.training.step import Step
from keras_losses.training.terms import LossTerms
from keras_losses.training.watch import WatchTerms


class RecordsTerms:
    """What models have in common whose terms are in their logs; beside `keras.Model` among the bases."""

    records_terms = True

    def compile(self, *args: Any, **kwargs: Any) -> None:
        super().compile(*args, **kwargs)  # type: ignore[misc]
        losses = [output.loss for output in compiled_outputs(self) if isinstance(output.loss, Loss)]
        state = getattr(self, "loss_state", None)
        if state is None or not state.serves(losses):
            with keras_private.unlocked(self):
                if state is not None:
                    keras_private.untrack(self, state)
                self.loss_state = LossState(losses)
                keras_private.replace_layer(self, state, self.loss_state)
        LossTerms.attach(self)

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        fit = super().fit  # type: ignore[misc]
        given = inspect.signature(fit).bind(*args, **kwargs).arguments
        callbacks = given.pop("callbacks", None) or []
        watch = WatchTerms()
        if isinstance(callbacks, keras.callbacks.CallbackList):
            # It has given its model to its callbacks already.
            watch.set_model(self)
            watch.set_params(callbacks.params)
            callbacks.callbacks = [each for each in callbacks.callbacks if not isinstance(each, WatchTerms)]
            callbacks.callbacks.append(watch)
        else:
            callbacks = [*keras.tree.flatten(callbacks), watch]
        return fit(**given, callbacks=callbacks)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        step = Step(self, x, y, y_pred, sample_weight, training)
        with self.loss_terms.recording(step) as finish:  # type: ignore[attr-defined]
            total = super().compute_loss(x, y, y_pred, sample_weight, training)  # type: ignore[misc]
            finish(total)
        return total

    def compile_from_config(self, config: dict[str, Any]) -> None:
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:  # type: ignore[attr-defined]
            self.optimizer.build(self.trainable_variables)  # type: ignore[attr-defined]


@keras.saving.register_keras_serializable("keras_losses")
class LossAwareModel(RecordsTerms, keras.Model):  # type: ignore[misc]
    """A model whose logs have every term of its loss, and its weight penalties, for training and validation.

    It is used as `keras.Model` is, from inputs and outputs or as the base of a class of your own. With
    `from_model` any model becomes one, without a change of its weights or of its layers' names.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> from keras_losses import AbsoluteErrorLoss, LossAwareModel, SquaredErrorLoss
    >>> inner = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
    >>> model = LossAwareModel.from_model(inner)
    >>> model.compile("sgd", loss=SquaredErrorLoss() + 0.5 * AbsoluteErrorLoss())
    >>> logs = model.evaluate(np.ones((4, 1)), np.full((4, 1), 3.0), verbose=0, return_dict=True)
    >>> logs["loss"], logs["squared_error_loss"], logs["absolute_error_loss_weighted"]  # r = 2
    (5.0, 4.0, 1.0)
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        # Keras gives the bases of a class from inputs and outputs another one in place of keras.Model, for
        # good: this class must stay what others can be made of.
        if cls is LossAwareModel and (len(args) == 2 or "outputs" in kwargs):
            return FunctionalLossAwareModel(*args, **kwargs)
        return super().__new__(cls, *args, **kwargs)

    @classmethod
    def from_model(cls, model: keras.Model) -> Any:
        """The same layers with the same weights, compiled by nobody yet."""
        if not isinstance(model, keras.Model):
            raise TypeError(
                f"LossAwareModel.from_model: `model` must be a keras.Model. Received: {type(model).__name__}."
            )
        if isinstance(model, keras.Sequential) and not model.built:
            raise ValueError(
                "LossAwareModel.from_model: `model` has no weights yet. Build it, or call it "
                "on a batch, first."
            )
        if isinstance(model, keras.Sequential) or hasattr(model, "operations"):
            inputs, outputs = keras_private.structure_of(model)
            return FunctionalLossAwareModel(inputs, outputs, name=model.name)
        return WrappedModel(model)


@keras.saving.register_keras_serializable("keras_losses")
class FunctionalLossAwareModel(RecordsTerms, keras.Model):  # type: ignore[misc]
    """A `LossAwareModel` from inputs and outputs."""


@keras.saving.register_keras_serializable("keras_losses")
class WrappedModel(LossAwareModel):
    """A `LossAwareModel` around a model of a class of its own."""

    def __init__(self, model: keras.Model, **kwargs: Any) -> None:
        super().__init__(**{"name": model.name, **kwargs})
        self.model = model

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return self.model(inputs, training=training)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "model": keras.saving.serialize_keras_object(self.model)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        model = keras.saving.deserialize_keras_object(config["model"])
        return cls(model, **{key: value for key, value in config.items() if key != "model"})
