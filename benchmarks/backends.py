"""A function's value and gradient in each way that a backend has of computing them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

Function = Callable[[Any, Any], Any]
"""Of labels and predictions, in tensors of the backend; what it returns is a scalar."""

MODES = {"tensorflow": ("XLA", "graph"), "jax": ("jit",), "torch": ("eager",)}
NAMES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}


def name(backend: str, mode: str) -> str:
    """What the tables call a mode: a backend's own name, with the mode where it has several."""
    return f"{NAMES[backend]}, {mode}" if len(MODES[backend]) > 1 else NAMES[backend]


def tensor(x: np.ndarray) -> Any:
    """On the device."""
    return keras.ops.convert_to_tensor(x)


def value_and_gradient(function: Function, y_true: Any, y_pred: Any, mode: str) -> Callable[[], Any]:
    """A call without arguments that returns both, compiled, once they are computed."""
    call, arguments = compiled(function, y_true, y_pred, mode)
    return _waiting(call, *arguments)


def compiled(function: Function, y_true: Any, y_pred: Any, mode: str) -> tuple[Any, tuple[Any, ...]]:
    """The framework's own function of value and gradient, and what it is called with."""
    if mode in ("XLA", "graph"):
        import tensorflow as tf

        def both(y: Any, x: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(x)
                value = function(y, x)
            return value, tape.gradient(value, x)

        return tf.function(both, jit_compile=mode == "XLA"), (y_true, y_pred)
    if mode == "jit":
        import jax

        return jax.jit(jax.value_and_grad(lambda x, y: function(y, x))), (y_pred, y_true)
    import torch

    y_pred = y_pred.detach().requires_grad_()

    def eager() -> Any:
        value = function(y_true, y_pred)
        return value.detach(), *torch.autograd.grad(value, y_pred)

    return eager, ()


def floor(y_pred: Any, mode: str) -> Callable[[], Any]:
    """The least that a value and a gradient take: one read, and one read and write, of the predictions."""

    def passes(x: Any) -> Any:
        total = keras.ops.sum(x)  # nothing is written before all has been read
        return total, x * total

    return _compiled(passes, y_pred, mode)


def copy(x: Any, mode: str) -> Callable[[], Any]:
    """One read, and one write elsewhere."""
    return _compiled(lambda x: (x + 1.0,), x, mode)


def _compiled(function: Callable[[Any], Any], x: Any, mode: str) -> Callable[[], Any]:
    if mode in ("XLA", "graph"):
        import tensorflow as tf

        return _waiting(tf.function(function, jit_compile=mode == "XLA"), x)
    if mode == "jit":
        import jax

        return _waiting(jax.jit(function), x)
    return _waiting(function, x)


def _waiting(call: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    wait = _wait()

    def waiting() -> Any:
        with _no_gradients() if arguments else contextlib.nullcontext():
            result = call(*arguments)
        wait(result)
        return result

    return waiting


def _no_gradients() -> Any:
    if keras.backend.backend() != "torch":
        return contextlib.nullcontext()
    import torch

    return torch.no_grad()


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


def accelerator() -> str:
    """The name of the GPU that the backend computes on, or nothing."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return str(jax.devices()[0].device_kind) if jax.default_backend() == "gpu" else ""
    if backend == "tensorflow":
        import tensorflow as tf

        found = tf.config.list_physical_devices("GPU")
        details = tf.config.experimental.get_device_details(found[0]) if found else {}
        return str(details.get("device_name", "GPU")) if found else ""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else ""
