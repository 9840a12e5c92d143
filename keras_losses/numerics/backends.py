"""Everything that differs between Keras's backends: dtypes, compilation, replicas, kept logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import numpy as np
from keras import ops

from keras_losses import keras_private
from keras_losses.numerics.derivatives import Tensor


def compute_dtype(dtype: str) -> str:
    """Return the dtype to compute in: at least float32, since half precision cannot hold a sum of losses."""
    return dtype if dtype == "float64" else "float32"


def is_double(x: Tensor) -> bool:
    """Return whether x is float64."""
    return bool(keras.backend.standardize_dtype(x.dtype) == "float64")


def is_float(x: Tensor) -> bool:
    """Return whether x has a floating-point dtype."""
    return bool(keras.backend.is_float_dtype(keras.backend.standardize_dtype(x.dtype)))


def compiled_by_tensorflow() -> bool:
    """Return whether a graph is being traced that TensorFlow will compile with XLA."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return keras_private.compiled_by_xla(tf.compat.v1.get_default_graph())


def fused_by_xla() -> bool:
    """Return whether XLA fuses operations into one loop: arithmetic is cheap then, and its log1p is not.

    On JAX it is True in eager mode too, so that eager and compiled steps have the same digits.
    """
    return keras.backend.backend() == "jax" or compiled_by_tensorflow()


def is_concrete(x: Tensor) -> bool:
    """Return whether a tensor has values now, as in eager mode, and not while a graph is traced."""
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


def on_host(
    owner: str, function: Callable[..., np.ndarray], tensors: Sequence[Tensor], shape: Sequence[int | None]
) -> Tensor:
    """Return the int32 tensor that a NumPy function of tensors returns, in compiled steps too.

    Args:
        owner: the name of the caller, for the error where XLA compiles the step on TensorFlow.
        function: the function, which receives arrays.
        tensors: its arguments.
        shape: the shape of its result, known on JAX.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow" and not is_concrete(tensors[0]):
        import tensorflow as tf

        if compiled_by_tensorflow():
            raise ValueError(
                f"`{owner}`: a step that calls NumPy cannot be compiled with XLA. Received: a step that "
                "TensorFlow compiles. Pass jit_compile=False to compile()."
            )
        result = tf.numpy_function(function, tensors, tf.int32)
        result.set_shape(shape)
        return result
    if backend == "jax" and any(not is_concrete(x) for x in tensors):
        import jax

        return jax.pure_callback(
            lambda *arrays: function(*map(np.asarray, arrays)),
            jax.ShapeDtypeStruct(tuple(shape), np.int32),
            *map(jax.lax.stop_gradient, tensors),
        )
    return ops.convert_to_tensor(function(*(np.asarray(ops.convert_to_numpy(x)) for x in tensors)))


def is_on_cpu(x: Tensor) -> bool:
    """Return whether a concrete tensor is in the memory of the processor."""
    # PyTorch: cpu. TensorFlow: /job:localhost/replica:0/task:0/device:CPU:0. JAX: TFRT_CPU_0.
    return "cpu" in str(x.device).lower()


def to_numpy(x: Tensor) -> np.ndarray:
    """Return the values of a concrete tensor as an array, floats as float64."""
    values = np.asarray(ops.convert_to_numpy(x))
    return values.astype("float64") if is_float(x) else values


def kept_logits(probabilities: Tensor, activation: str) -> Tensor | None:
    """Return the logits that Keras keeps beside the output of a softmax or sigmoid layer, or None.

    Keras keeps them under one name for both activations, and those of the other activation would silently
    give a different loss. So they are returned only if they are known to belong to `activation`.
    """
    logits = keras_private.logits_beside(probabilities)
    if logits is None:
        return None
    kind = _operation(probabilities)
    if kind:
        return logits if kind == activation else None
    if not is_concrete(probabilities):
        return None
    recomputed = to_numpy(getattr(ops, activation)(logits))
    same = np.allclose(to_numpy(probabilities), recomputed, rtol=1e-2, atol=1e-30, equal_nan=True)
    return logits if same else None


def _operation(x: Tensor) -> str:
    """Return the name of the operation that made a tensor, such as "softmax", or "" if it is unknown."""
    if keras.backend.backend() == "torch":
        return x.grad_fn.name().removesuffix("Backward0").lower() if x.grad_fn is not None else ""
    kind: str = getattr(getattr(x, "op", None), "type", "")  # TensorFlow's graphs
    return kind.lower()


def divide_by_replicas(value: Tensor) -> Tensor:
    """Return a mean divided by the number of replicas, because `tf.distribute` adds up their gradients."""
    count = replica_count()
    return value / count if count > 1 else value


def multiply_by_replicas(value: Tensor) -> Tensor:
    """Return the mean that `divide_by_replicas` has divided, for logs."""
    count = replica_count()
    return value * count if count > 1 else value


def replica_count() -> int:
    """Return the number of replicas of the current `tf.distribute` strategy, 1 without one."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return int(tf.distribute.get_strategy().num_replicas_in_sync)
