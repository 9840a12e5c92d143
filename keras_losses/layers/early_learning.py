"""The layer that keeps a running mean of the predictions for each sample, for `EarlyLearningLoss`."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_losses.core import Parameter
from keras_losses.numerics import Tensor


@keras.saving.register_keras_serializable("keras_losses")
class EarlyLearningTargets(keras.layers.Layer):  # type: ignore[misc]
    """The last layer for `EarlyLearningLoss`, which keeps a running mean of each sample's predictions.

        q[i] <- momentum * q[i] + (1 - momentum) * p,   with q = 0 at first

    It belongs at the end of a model for training, whose inputs are samples and their indices, and which
    shares its other layers with the model that predicts. The means are weights of the layer, so they are
    saved and loaded with the model. They change only in training.

    Args:
        samples: number of training samples, an integer in [1, inf).
        momentum: weight of the old mean at each step, in [0, 1); 0.7 in the paper.
        from_logits: whether the predictions are logits, as in the loss.

    Shapes: takes `[predictions (batch, C), indices (batch,) or (batch, 1)]`, with indices from 0 to
    `samples - 1`, and returns `(batch, 2 C)`: the predictions unchanged, then the means.

    Raises:
        TypeError, ValueError: for an argument outside its range.

    Example:

    >>> import keras
    >>> from keras_losses import EarlyLearningLoss, EarlyLearningTargets
    >>> image, index = keras.Input((4,)), keras.Input((), dtype="int32")
    >>> classifier = keras.Sequential([keras.layers.Dense(3)])
    >>> outputs = EarlyLearningTargets(samples=100, from_logits=True)([classifier(image), index])
    >>> training = keras.Model([image, index], outputs)
    >>> training.compile("adam", loss=EarlyLearningLoss(from_logits=True))
    >>> outputs.shape
    (None, 6)

    References:
        - Liu et al. 2020, https://arxiv.org/abs/2007.00151
    """

    def __init__(self, samples: int, momentum: float = 0.7, from_logits: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        declared = {
            "samples": Parameter(within="[1, inf)", integer=True),
            "momentum": Parameter(within="[0, 1)"),
            "from_logits": Parameter(choices=(False, True)),
        }
        arguments = {"samples": samples, "momentum": momentum, "from_logits": from_logits}
        for name, value in arguments.items():
            setattr(self, name, declared[name].check(type(self).__name__, name, value))

    def build(self, input_shape: Any) -> None:
        shape = (self.samples, input_shape[0][-1])
        self.means = self.add_weight(shape=shape, initializer="zeros", trainable=False, name="means")

    def call(self, inputs: Any, training: bool = False) -> Tensor:
        predictions, indices = inputs
        indices = ops.reshape(ops.cast(indices, "int32"), (-1,))
        means = ops.take(self.means, indices, axis=0)
        if training:
            p = ops.stop_gradient(predictions)
            p = ops.cast(ops.softmax(p) if self.from_logits else p, means.dtype)
            p = p / ops.sum(p, axis=-1, keepdims=True)
            means = self.momentum * means + (1.0 - self.momentum) * p
            self.means.assign(ops.scatter_update(self.means, ops.expand_dims(indices, -1), means))
        return ops.concatenate([predictions, ops.cast(means, predictions.dtype)], axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "samples": self.samples,
            "momentum": self.momentum,
            "from_logits": self.from_logits,
        }
