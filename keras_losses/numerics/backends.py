"""What differs between Keras's backends: dtypes, compilation, replicas, kept logits."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from keras_losses import keras_private
from keras_losses.numerics.derivatives import Tensor


def compute_dtype(dtype: str) -> str:
    """The dtype to compute in: at least float32, since half precision cannot hold a sum of losses."""
    return dtype if dtype == "float64" else "float32"


def is_double(x: Tensor) -> bool:
    return bool(keras.backend.standardize_dtype(x.dtype) == "float64")


def is_float(x: Tensor) -> bool:
    return bool(keras.backend.is_float_dtype(keras.backend.standardize_dtype(x.dtype)))


def compiled_by_tensorflow() -> bool:
    """Whether a graph is traced that TensorFlow will compile with XLA."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return keras_private.compiled_by_xla(tf.compat.v1.get_default_graph())


def fused_by_xla() -> bool:
    """Whether XLA makes one loop of many operations: arithmetic is cheap then, and its own log1p is not.

    JAX's own steps are compiled; what is not has the same digits so.
    """
    return keras.backend.backend() == "jax" or compiled_by_tensorflow()


def is_concrete(x: Tensor) -> bool:
    """Whether a tensor has values now, as in eager mode, rather than while a graph is traced."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return bool(tf.executing_eagerly())
    if backend == "jax":
        import jax

        return not isinstance(x, jax.core.Tracer)
    if backend == "torch":
        import torch

        return not (x.is_meta or torch.compiler.is_compiling())
    return True


def to_numpy(x: Tensor) -> np.ndarray:
    """The values of a concrete tensor, in float64 where they are floats."""
    values = np.asarray(ops.convert_to_numpy(x))
    return values.astype("float64") if is_float(x) else values


def kept_logits(probabilities: Tensor, activation: str) -> Tensor | None:
    """The logits that Keras keeps beside the output of a softmax or sigmoid, where there are any.

    Keras keeps them under one name for both activations; the logits of the other one would silently make
    a different loss, so they are taken only where they are known to belong to `activation`.
    """
    logits = keras_private.logits_beside(probabilities)
    if logits is None:
        return None
    kind = _operation(probabilities)
    if kind:
        return logits if kind == activation else None
    if not is_concrete(probabilities):
        return None
    again = to_numpy(getattr(ops, activation)(logits))
    same = np.allclose(to_numpy(probabilities), again, rtol=1e-2, atol=1e-30, equal_nan=True)
    return logits if same else None


def _operation(x: Tensor) -> str:
    """The name of the operation that made a tensor, where the backend tells: "softmax", "sigmoid"."""
    if keras.backend.backend() == "torch":
        return x.grad_fn.name().removesuffix("Backward0").lower() if x.grad_fn is not None else ""
    kind: str = getattr(getattr(x, "op", None), "type", "")  # graphs of TensorFlow
    return kind.lower()


def share_of_replica(value: Tensor) -> Tensor:
    """The value divided by the number of replicas, whose gradients `tf.distribute` adds up."""
    count = replicas()
    return value / count if count > 1 else value


def of_all_replicas(value: Tensor) -> Tensor:
    """What `share_of_replica` divided, for logs."""
    count = replicas()
    return value * count if count > 1 else value


def replicas() -> int:
    """How many of `tf.distribute` there are where this is called."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return int(tf.distribute.get_strategy().num_replicas_in_sync)
