"""A function's value and gradient in each way that a backend has of computing them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

Function = Callable[..., Any]
"""Of tensors of the backend, such as labels and predictions; what it returns is a scalar."""

Call = Callable[[], Any]

MODES = {"tensorflow": ("XLA", "graph"), "jax": ("jit",), "torch": ("eager",)}
NAMES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}


def name(backend: str, mode: str) -> str:
    """What the tables call a mode: a backend's own name, with the mode where it has several."""
    return f"{NAMES[backend]}, {mode}" if len(MODES[backend]) > 1 else NAMES[backend]


def tensor(x: np.ndarray) -> Any:
    """On the device."""
    return keras.ops.convert_to_tensor(x)


def value_and_gradients(function: Function, arrays: Sequence[Any], of: Sequence[int], mode: str) -> Call:
    """A call that returns the value and its gradients in some of the arrays, once they are computed."""
    if mode in ("XLA", "graph"):
        import tensorflow as tf

        def both(*arrays: Any) -> Any:
            watched = [arrays[index] for index in of]
            with tf.GradientTape() as tape:
                tape.watch(watched)
                value = function(*arrays)
            return value, tape.gradient(value, watched)

        return _waiting(_compiled(both, mode), *arrays)
    if mode == "jit":
        import jax

        return _waiting(_compiled(jax.value_and_grad(function, tuple(of)), mode), *arrays)
    import torch

    given = [x.detach().requires_grad_(index in of) for index, x in enumerate(arrays)]
    watched = [given[index] for index in of]

    def eager() -> Any:
        value = function(*given)
        return value.detach(), torch.autograd.grad(value, watched)

    return _waiting(eager)


def floor(y_pred: Any, mode: str) -> Call:
    """The least that a value and a gradient take: one read, and one read and write, of the predictions."""

    def passes(x: Any) -> Any:
        total = keras.ops.sum(x)  # nothing is written before all has been read
        return total, x * total

    return _waiting(_compiled(passes, mode), y_pred)


def _compiled(function: Function, mode: str) -> Function:
    if mode in ("XLA", "graph"):
        import tensorflow as tf

        # Keras's own steps are traced without AutoGraph, too.
        return tf.function(function, jit_compile=mode == "XLA", autograph=False)  # type: ignore[no-any-return]
    if mode == "jit":
        import jax

        return jax.jit(function)  # type: ignore[no-any-return]
    return function


def _waiting(call: Callable[..., Any], *arguments: Any) -> Call:
    wait = _wait()

    def waiting() -> Any:
        result = call(*arguments)
        wait(result)
        return result

    return waiting


def _wait() -> Callable[[Any], Any]:
    """What returns once a result is there: a device computes on while Python goes on."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return lambda result: jax.block_until_ready(result)
    if backend == "tensorflow":
        import tensorflow as tf

        if tf.config.list_physical_devices("GPU"):
            return lambda result: tf.test.experimental.sync_devices()
        return lambda result: result[0].numpy()
    import torch

    if torch.cuda.is_available():
        return lambda result: torch.cuda.synchronize()
    return lambda result: None
