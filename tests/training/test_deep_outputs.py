"""Outputs within outputs, weights of losses that callbacks change, and losses that subclasses add to."""

import keras
import numpy as np
import pytest

from keras_losses import AbsoluteErrorLoss, HuberLoss, Learned, LossAwareModel, SquaredErrorLoss
from keras_losses.callbacks import LossCurves, LossParameterSchedule, Writer

X, ZEROS = np.ones((4, 2), "float32"), np.zeros((4, 1), "float32")  # every prediction is 2


class Recorded(Writer):
    def __init__(self):
        self.values = {}

    def scalar(self, run, tag, value, step, wall_time):
        self.values.setdefault(tag, []).append(value)


def dense(inputs, name):
    return keras.layers.Dense(1, kernel_initializer="ones", use_bias=False, name=name)(inputs)


def model_of(structure):
    """A model whose outputs have the structure of these names of layers."""
    inputs = keras.Input((2,))
    return keras.Model(inputs, keras.tree.map_structure(lambda name: dense(inputs, name), structure))


def sum_of_two(factor=1.0):
    return SquaredErrorLoss() + factor * AbsoluteErrorLoss()


def fitted(model, loss, loss_weights=None, callbacks=(), epochs=1, run_eagerly=True):
    """The history of a fit without updates, with the curves."""
    model.compile(keras.optimizers.SGD(0.0), loss=loss, loss_weights=loss_weights, run_eagerly=run_eagerly)
    curves, y = Recorded(), keras.tree.map_structure(lambda _: ZEROS, model.output)
    callbacks = [*callbacks, LossCurves(writers=[curves])]
    return model.fit(X, y, epochs=epochs, verbose=0, callbacks=callbacks).history, curves.values


@pytest.mark.parametrize("aware", [False, True], ids=["plain", "aware"])
@pytest.mark.parametrize(
    ("structure", "loss", "weights", "prefix"),
    [
        ({"a": "x", "b": {"c": "y"}}, lambda: {"a": "mse", "b": {"c": sum_of_two()}}, None, "b/c"),
        ({"a": "x", "b": {"c": "y"}}, lambda: {"a": "mse", "b": {"c": sum_of_two()}}, [1.0, 0.5], "b/c"),
        (
            {"a": "x", "b": {"c": "y"}},
            lambda: {"a": "mse", "b": {"c": sum_of_two()}},
            {"a": 1.0, "b": {"c": 0.5}},
            "b/c",
        ),
        ({"a": "x", "b": ["y", "z"]}, lambda: {"a": "mse", "b": [sum_of_two(), "mae"]}, None, "b/y"),
    ],
)
def test_terms_of_deep_outputs(aware, structure, loss, weights, prefix):
    """A sum on an output within outputs has its terms in logs and curves, with the weight of the output."""
    model = model_of(structure)
    history, curves = fitted(LossAwareModel.from_model(model) if aware else model, loss(), weights)
    assert history[f"{prefix}_squared_error_loss"] == [4.0]
    assert history[f"{prefix}_absolute_error_loss"] == [2.0]
    factor = 1.0 if weights is None else 0.5
    third = 2.0 if isinstance(structure["b"], list) else 0.0
    assert history["loss"] == [4.0 + factor * (4.0 + 2.0) + third]
    assert curves[f"epoch/terms/{prefix}_squared_error_loss_weighted"] == [factor * 4.0]


def test_one_loss_for_deep_outputs():
    """One loss for all outputs has its terms for each."""
    history, _ = fitted(model_of({"a": "x", "b": {"c": "y"}}), sum_of_two(0.5))
    assert history["loss"] == [2 * (4.0 + 0.5 * 2.0)]
    assert history["a_squared_error_loss"] == history["b/c_squared_error_loss"] == [4.0]


def test_numbers_of_deep_outputs():
    """Numbers of a loss on an output within outputs are learned, and set by a schedule."""
    model = LossAwareModel.from_model(model_of({"a": "x", "b": {"c": "y"}}))
    loss = {"a": HuberLoss(delta=Learned(1.0)), "b": {"c": sum_of_two()}}
    halve = LossParameterSchedule("b/c/weights/absolute_error_loss", lambda epoch: 0.5)
    history, _ = fitted(model, loss, callbacks=[halve])
    assert history["loss"] == [1.0 * (2.0 - 0.5) + 4.0 + 0.5 * 2.0]


def test_a_weight_that_a_callback_changes():
    """A variable in `loss_weights` weighs the terms with the value that it has in each epoch."""
    weight = keras.Variable(1.0)

    class Triple(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            weight.assign(1.0 + 2 * epoch)

    model = model_of({"a": "x", "b": "y"})
    losses = {"a": sum_of_two(), "b": AbsoluteErrorLoss()}
    weights = {"a": weight, "b": keras.Variable(0.5)}
    history, curves = fitted(model, losses, weights, [Triple()], epochs=2, run_eagerly=False)
    if keras.backend.backend() == "jax":  # Keras reads the weight once, when the step is compiled
        assert history["loss"] == [6.0 + 1.0] * 2
        assert curves["epoch/terms/a_squared_error_loss_weighted"] == [4.0, 4.0]
    else:
        assert history["loss"] == [6.0 + 1.0, 3 * 6.0 + 1.0]
        assert curves["epoch/terms/a_squared_error_loss_weighted"] == [4.0, 12.0]


class AddsTen(LossAwareModel):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1, kernel_initializer="ones")

    def call(self, inputs):
        return self.dense(inputs)

    def compute_loss(self, *args, **kwargs):
        return super().compute_loss(*args, **kwargs) + 10.0


def test_a_subclass_that_adds_to_the_loss():
    """The curve of batches has the loss that is trained, with what a subclass adds to it."""
    model, curves = AddsTen(), Recorded()
    model.compile(keras.optimizers.SGD(0.0), loss=sum_of_two(), run_eagerly=True)
    model.fit(X, ZEROS, verbose=0, callbacks=[LossCurves(writers=[curves])])
    assert curves.values["batch/loss"] == [4.0 + 2.0 + 10.0]
    assert curves.values["epoch/loss"] == [4.0 + 2.0 + 10.0]
    assert curves.values["epoch/terms/squared_error_loss"] == [4.0]
