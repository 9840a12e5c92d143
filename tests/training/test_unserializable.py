"""Models that are compiled with parts that cannot be serialized train as they do with plain Keras."""

import functools

import keras
import numpy as np
import pytest
from keras import ops

from keras_losses import LossAwareModel
from keras_losses.callbacks import LossCurves, Writer


class WithoutConfig:
    """A mixin for parts that cannot be serialized."""

    def get_config(self):
        raise NotImplementedError("get_config")


class MetricWithoutConfig(WithoutConfig, keras.metrics.MeanAbsoluteError):
    pass


class SGDWithoutConfig(WithoutConfig, keras.optimizers.SGD):
    pass


class CallableLoss:
    def __call__(self, y_true, y_pred):
        return squares(y_true, y_pred)


def squares(y_true, y_pred, factor=1.0):
    return factor * ops.mean(ops.square(y_true - y_pred), axis=-1)


UNSERIALIZABLE = {
    "a partial": {"loss": functools.partial(squares, factor=1.0)},
    "a callable object": {"loss": CallableLoss()},
    "a lambda": {"loss": lambda y_true, y_pred: squares(y_true, y_pred)},
    "a metric": {"loss": "mse", "metrics": [MetricWithoutConfig()]},
    "a partial as metric": {"loss": "mse", "metrics": [functools.partial(squares, factor=2.0)]},
    "an optimizer": {"loss": "mse", "optimizer": SGDWithoutConfig},
}


@pytest.mark.parametrize("name", UNSERIALIZABLE)
def test_parts_that_cannot_be_serialized_train_as_with_plain_keras(name):
    """The error is 1 with weight 0, and (1 - 0.2)^2 after a step with the gradient -2 and the rate 0.1."""
    given = dict(UNSERIALIZABLE[name])
    optimizer = given.pop("optimizer", keras.optimizers.SGD)
    x = np.ones((1, 1), "float32")
    plain = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")]
    )
    for model, callbacks in (
        (plain, [LossCurves(writers=[Writer()])]),
        (LossAwareModel.from_model(plain), []),
    ):
        plain.layers[-1].kernel.assign([[0.0]])
        # Keras warns of lambdas when it serializes them; here, a warning is an error.
        model.compile(optimizer(0.1), run_eagerly=True, **given)
        history = model.fit(x, x, epochs=2, callbacks=callbacks, verbose=0).history
        assert history["loss"] == pytest.approx([1.0, 0.64])
