"""Whatever trains with plain Keras trains with our callbacks, and has the same losses.

A table of models and ways to fit, times a table of callbacks. Each callback is set up so that it changes
nothing: the rate is the one that the optimizer has, and the hyper-parameter the one that the loss has.
"""

import contextlib
import functools
import warnings
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from keras_losses import HuberLoss, LossAwareModel, SquaredErrorLoss
from keras_losses.callbacks import (
    LearningRateDecay,
    LossCurves,
    LossParameterSchedule,
    PlateauDecay,
    find_learning_rate,
)
from tests.backends import BACKEND
from tests.callbacks.small import FiveUpdates, OwnOptimizers, one_execution_on_torch

RATE = 0.05
R = np.random.default_rng(0)
X = R.normal(0, 1, (4, 3)).astype("float32")
Y = R.normal(0, 1, (4, 1)).astype("float32")

another_signature = pytest.mark.skipif(BACKEND == "jax", reason="steps have another signature on JAX")
with_tensorflow = pytest.mark.skipif(BACKEND != "tensorflow", reason="a facility of TensorFlow's")


@dataclass
class Training:
    """A compiled model, and how it is fitted."""

    model: keras.Model
    data: Any = (X, Y)
    fit: dict[str, Any] = field(default_factory=lambda: {"validation_data": (X, Y), "batch_size": 2})
    between: Any = None
    """What happens to the model between two fits."""

    def trained(self, callbacks):
        """The losses of two fits."""
        losses = []
        for turn in range(2):
            if turn and self.between is not None:
                self.between(self.model)
            data = self.data() if callable(self.data) else self.data
            arguments = {"epochs": 1, "verbose": 0, "shuffle": False, **self.fit}
            history = self.model.fit(*data, callbacks=callbacks, **arguments).history
            losses += history["loss"] + history.get("val_loss", [])
        return losses


def graph(units=1, **dense):
    x = keras.Input((3,))
    return x, keras.layers.Dense(units, kernel_initializer="ones", **dense)(x)


def of(cls=keras.Model, loss=None, optimizer=None, **given):
    """A model of a class, compiled with a loss that has a number which may be set."""
    model = cls(*graph())
    arguments = {"loss": loss or HuberLoss(delta=1.0), "run_eagerly": True, **given}
    model.compile(optimizer or keras.optimizers.SGD(RATE), **arguments)
    return model


# Models ---------------------------------------------------------------------------------------------------


class TwoOptimizers(keras.Model):
    """Trains with two optimizers in turn, as a GAN does."""

    def compile(self, optimizer, **given):
        super().compile(**given)  # with Keras's default optimizer, which is not used
        self.first, self.second = (keras.optimizers.SGD(rate) for rate in (0.1, 0.01))
        self.turn = 0

    def train_step(self, data):
        x, y = data
        self.turn += 1
        optimizer = self.first if self.turn % 2 else self.second
        weights = self.trainable_variables
        optimizer.apply([ops.ones_like(ops.convert_to_tensor(weight)) for weight in weights], weights)
        return {"loss": self.compute_loss(x, y, self(x))}


class Refuses(keras.optimizers.SGD):
    def get_config(self):
        raise NotImplementedError


class Deviation(keras.metrics.Metric):
    """A metric with a value for each of two names, and without a config."""

    def __init__(self, unit):
        super().__init__(name="deviation")
        self.unit, self.total = unit, self.add_variable((), "zeros", name="total")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.total.assign_add(ops.mean(ops.abs(ops.cast(y_true, "float32") - y_pred)))

    def result(self):
        return {"deviation": self.total / self.unit, "twice": 2 * self.total / self.unit}

    def get_config(self):
        raise NotImplementedError


class Callable:
    def __call__(self, y_true, y_pred):
        return ops.mean(ops.abs(ops.cast(y_true, "float32") - y_pred), -1)


def scaled_error(y_true, y_pred, scale):
    return scale * ops.mean(ops.square(ops.cast(y_true, "float32") - y_pred), -1)


class Subclass(keras.Model):
    def __init__(self):
        super().__init__()
        self.inner = keras.Sequential([keras.layers.Dense(2, kernel_initializer="ones")])
        self.last = keras.layers.Dense(1, kernel_initializer="ones")

    def call(self, x, training=False):
        return self.last(self.inner(x))


class OwnLoss(keras.Model):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return ops.mean(ops.square(y - y_pred))


class Penalised(keras.layers.Layer):
    def call(self, x):
        self.add_loss(0.01 * ops.mean(ops.square(x)))
        return x


def compiled(model, **given):
    model.compile(**{"optimizer": keras.optimizers.SGD(RATE), "loss": HuberLoss(delta=1.0), **given})
    return model


def nested():
    inner = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, kernel_initializer="ones")])
    middle = keras.Model(inner.inputs, keras.layers.Dense(2, kernel_initializer="ones")(inner.outputs[0]))
    x = keras.Input((3,))
    y = keras.layers.Dense(1, kernel_initializer="ones")(middle(x))
    return Training(compiled(keras.Model(x, y), run_eagerly=True))


def two_outputs():
    x, y = graph(name="a")
    z = keras.layers.Dense(1, kernel_initializer="ones", name="b")(x)
    losses = {"a": HuberLoss(delta=1.0), "b": "mse"}
    model = compiled(keras.Model(x, {"a": y, "b": z}), loss=losses, run_eagerly=True)
    return Training(model, data=(X, {"a": Y, "b": Y}), fit={"batch_size": 2})


def frozen():
    model = of()
    model.trainable = False
    return Training(compiled(model, run_eagerly=True))


def without_optimizer():
    model = of(OwnOptimizers)
    model.optimizer = None
    return Training(model)


def compiled_again(model):
    compiled(model, run_eagerly=True)


def with_a_new_loss(model):
    compiled(model, loss=HuberLoss(delta=1.0), run_eagerly=True)


def another_layer_frozen(model):
    model.layers[0].trainable = False
    compiled(model, run_eagerly=True)


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 2

    def __getitem__(self, place):
        return X[2 * place :][:2], Y[2 * place :][:2]


def generator():
    while True:
        for place in range(2):
            yield X[2 * place :][:2], Y[2 * place :][:2]


def dataset(known=True):
    import tensorflow as tf

    batches = tf.data.Dataset.from_tensor_slices((X, Y)).batch(2)
    return (batches if known else batches.filter(lambda x, y: True),)


def with_penalty():
    x = keras.Input((3,))
    dense = keras.layers.Dense(1, kernel_initializer="ones", kernel_regularizer="l2")
    return Training(compiled(keras.Model(x, Penalised()(dense(x))), run_eagerly=True))


TRACED = {"run_eagerly": False, "jit_compile": False} if BACKEND != "jax" else {"run_eagerly": False}

MODELS = {
    "plain": lambda: Training(of()),
    "traced": lambda: Training(of(**TRACED)),
    "several steps an execution": lambda: Training(of(steps_per_execution=2, **TRACED)),
    "no optimizer step": lambda: Training(of(OwnOptimizers)),
    "five updates a batch": lambda: Training(of(FiveUpdates)),
    "two optimizers": lambda: Training(of(TwoOptimizers)),
    "no optimizer": without_optimizer,
    "nothing to train": frozen,
    "a loss of its own": lambda: Training(of(OwnLoss)),
    "a function with a bound argument": lambda: Training(
        of(loss=functools.partial(scaled_error, scale=2.0))
    ),
    "a lambda": lambda: Training(of(loss=lambda y, p: ops.mean(ops.square(y - p), -1))),
    "a callable object": lambda: Training(of(loss=Callable())),
    "an optimizer without a config": lambda: Training(of(optimizer=Refuses(RATE))),
    "a metric without a config": lambda: Training(of(metrics=[Deviation(unit=2.0)])),
    "a loss-aware model": lambda: Training(of(LossAwareModel, SquaredErrorLoss() + HuberLoss(delta=1.0))),
    "nested models": nested,
    "a subclass, unbuilt": lambda: Training(compiled(Subclass(), run_eagerly=True)),
    "two outputs": two_outputs,
    "losses of layers": with_penalty,
    "a sequence of batches": lambda: Training(of(), lambda: (Batches(),), {}),
    "a generator": lambda: Training(of(), lambda: (generator(),), {"steps_per_epoch": 2, "epochs": 2}),
    "a generator of unknown length": lambda: Training(of(), lambda: dataset(known=False), {}),
    "a data set": lambda: Training(
        of(), dataset, {"epochs": 2, "validation_freq": 2, "validation_data": (X, Y)}
    ),
    "weights": lambda: Training(of(), fit={"sample_weight": np.arange(4.0), "validation_split": 0.5}),
    "one batch of more samples": lambda: Training(of(), fit={"batch_size": 100}),
    "an epoch to begin with": lambda: Training(of(), fit={"initial_epoch": 1, "epochs": 2, "batch_size": 2}),
    "gradients of two batches": lambda: Training(
        of(optimizer=keras.optimizers.SGD(RATE, gradient_accumulation_steps=2))
    ),
    "scaled losses": lambda: Training(
        of(optimizer=keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(RATE), initial_scale=2.0))
    ),
    "averaged weights": lambda: Training(of(optimizer=keras.optimizers.Adam(RATE, use_ema=True))),
    "compiled again": lambda: Training(of(), between=compiled_again),
    "compiled again with another loss": lambda: Training(of(), between=with_a_new_loss),
    "frozen in the second fit": lambda: Training(of(), between=another_layer_frozen),
}  # fmt: skip

SKIPPED = {
    "several steps an execution": one_execution_on_torch,
    "two optimizers": another_signature,
    "no optimizer": pytest.mark.skipif(BACKEND == "jax", reason="Keras itself needs one on JAX"),
    "a generator of unknown length": with_tensorflow,
    "a data set": with_tensorflow,
}

# Callbacks ------------------------------------------------------------------------------------------------

CALLBACKS = {
    "LearningRateDecay": lambda path: LearningRateDecay(lambda epoch: RATE, backup_dir=path),
    "LearningRateDecay by steps": lambda path: LearningRateDecay(lambda step: RATE, "step"),
    "PlateauDecay": lambda path: PlateauDecay("loss", backup_dir=path),
    "LossParameterSchedule": lambda path: LossParameterSchedule("delta", lambda epoch: 1.0),
    "LossParameterSchedule by steps": lambda path: LossParameterSchedule("delta", lambda step: 1.0, "step"),
    "LossCurves": lambda path: LossCurves(path / "curves"),
}

WITHOUT_A_RATE = {"no optimizer"}
"""Models whose rate cannot be set: `LearningRateDecay` and `PlateauDecay` say so."""

WITHOUT_A_NUMBER = {"a function with a bound argument", "a lambda", "a callable object"}
"""Models whose loss has no number to set: `LossParameterSchedule` says so."""


def suits(callback, model):
    """Whether a callback can do its work on a model."""
    sets_a_rate = callback.startswith(("LearningRateDecay", "PlateauDecay", "find"))
    sets_a_number = callback.startswith("LossParameterSchedule")
    return not (sets_a_rate and model in WITHOUT_A_RATE) and not (sets_a_number and model in WITHOUT_A_NUMBER)


def trained(model, callbacks, prepare=None):
    keras.utils.set_random_seed(0)
    training = MODELS[model]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the callbacks say is tested elsewhere
        if prepare is not None:
            prepare(training)
        return training.trained(callbacks)


@functools.cache
def plain(model):
    """The losses with Keras alone."""
    return trained(model, [])


every_model = pytest.mark.parametrize(
    "model", [pytest.param(name, marks=SKIPPED.get(name, ())) for name in MODELS]
)


@every_model
@pytest.mark.parametrize("turned_round", [False, pytest.param(True, marks=pytest.mark.thorough)])
def test_all_callbacks_together(model, turned_round, tmp_path):
    callbacks = [make(tmp_path) for name, make in CALLBACKS.items() if suits(name, model)]
    found = trained(model, callbacks[::-1] if turned_round else callbacks)
    np.testing.assert_allclose(found, plain(model), rtol=1e-5, atol=1e-7)


@pytest.mark.thorough
@every_model
@pytest.mark.parametrize("callback", CALLBACKS)
def test_each_callback(model, callback, tmp_path):
    if suits(callback, model):
        found = trained(model, [CALLBACKS[callback](tmp_path)])
        np.testing.assert_allclose(found, plain(model), rtol=1e-5, atol=1e-7)
    else:
        with pytest.raises(ValueError, match=f"`{callback.split()[0]}`: "):
            trained(model, [CALLBACKS[callback](tmp_path)])


AS_OTHERS = {*WITHOUT_A_NUMBER, "weights", "averaged weights", "one batch of more samples"} | {
    name for name in MODELS if name.startswith(("compiled again", "frozen", "an epoch"))
}
"""Models that differ from others in nothing that a range test would notice."""


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(name, marks=SKIPPED.get(name, [pytest.mark.thorough] if name in AS_OTHERS else ()))
        for name in MODELS
    ],
)
def test_find_learning_rate(model):
    """It leaves no trace in the fits that follow."""

    def find(training):
        data = training.data() if callable(training.data) else training.data
        find_learning_rate(training.model, *data, batch_size=None, steps=2)

    refused = contextlib.nullcontext()
    if not suits("find_learning_rate", model):
        refused = pytest.raises(ValueError, match="`model` is not compiled with an optimizer")
    with refused:
        np.testing.assert_allclose(trained(model, [], find), plain(model), rtol=1e-6, atol=1e-7)
