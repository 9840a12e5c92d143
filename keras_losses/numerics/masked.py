"""Masked classes: logits of -inf, for invalid actions or padded vocabularies.

A masked class has probability 0. With an infinite -log p, its product with a label of 0 would be NaN, and so
would the gradient. So -log p of a masked class is a large number here. The product with a label of 0 is then
0, and so is the gradient.
"""

from __future__ import annotations

import keras
from keras import ops

from keras_losses.numerics.backends import fused_by_xla
from keras_losses.numerics.derivatives import Tensor

OF_MASKED = 1e15
"""-log p of a masked class. Its square, and its product with a large weight, are finite in float32."""


def bounded(minus_log: Tensor) -> Tensor:
    """Return -log p, with `OF_MASKED` in place of infinity."""
    backend = keras.backend.backend()
    if backend == "torch":
        return minus_log.clamp(max=OF_MASKED)
    if backend == "tensorflow" and not fused_by_xla():
        return _bounded_by_tensorflow(minus_log)
    return ops.minimum(minus_log, OF_MASKED)


def bounded_below(log_p: Tensor) -> Tensor:
    """Return log p, or the difference of two logits, with -`OF_MASKED` in place of -infinity."""
    if keras.backend.backend() == "torch":
        return log_p.clamp(min=-OF_MASKED)
    return ops.maximum(log_p, -OF_MASKED)


def is_unmasked(logits: Tensor) -> Tensor:
    """Return True for classes with a finite logit and False for masked ones, in the shape of the logits."""
    return ops.logical_not(ops.equal(logits, -float("inf")))


def uniform(logits: Tensor) -> Tensor:
    """Return the uniform distribution over the classes that are not masked, in the shape of the logits."""
    unmasked = ops.cast(is_unmasked(logits), logits.dtype)
    return unmasked / ops.sum(unmasked, axis=-1, keepdims=True)


def _bounded_by_tensorflow(minus_log: Tensor) -> Tensor:
    import tensorflow as tf

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def minimum(x: Tensor) -> tuple[Tensor, object]:
        # The gradient passes through, since it is 0 at a masked class anyway. The gradient of tf.minimum
        # would take two more passes over memory.
        return tf.minimum(x, OF_MASKED), lambda upstream: upstream

    return minimum(minus_log)
