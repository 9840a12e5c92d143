"""One interface to the three backends: values and gradients of a loss as NumPy arrays."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

# The tests put a mask where Keras's layers put it; there is no public way to.
from keras.src.backend import set_keras_mask

BACKEND = keras.backend.backend()
COMPILED = {"tensorflow": ("graph", "xla"), "jax": ("jit",), "torch": ()}[BACKEND]

MODES = COMPILED or [pytest.param("", marks=pytest.mark.skip(reason="nothing is compiled on PyTorch"))]
"""For tests that are parametrised over COMPILED."""

if BACKEND == "tensorflow":
    import tensorflow as tf
elif BACKEND == "jax":
    import jax
else:
    import torch


@contextlib.contextmanager
def double_precision() -> Iterator[None]:
    """float64 for the time being; JAX has it only where it is asked for."""
    if BACKEND != "jax":
        yield
        return
    enable = jax.enable_x64 if hasattr(jax, "enable_x64") else jax.experimental.enable_x64
    with enable(True):
        yield


def tensor(x: Any, dtype: str | None = None) -> Any:
    """A tensor with exactly the array's dtype, unless another one is named."""
    x = np.asarray(x)
    if "bfloat16" in (dtype, str(x.dtype)):
        # Not every backend takes NumPy's bfloat16; every bfloat16 is a float32 as well.
        return ops.cast(ops.convert_to_tensor(x.astype("float32")), "bfloat16")
    return ops.convert_to_tensor(x, dtype=dtype or str(x.dtype))


def numpy(x: Any) -> np.ndarray:
    """A tensor as an array, half precision as float32."""
    x = np.asarray(ops.convert_to_numpy(x))
    return x.astype("float32") if x.dtype.itemsize == 2 else x


def value(loss: Any, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None) -> np.ndarray:
    """The loss in eager mode."""
    return numpy(_call(loss, tensor(y_true), tensor(y_pred), _optional(sample_weight), _optional(mask)))


def value_and_gradient(
    loss: Any, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None, dtype: str | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The loss in eager mode, and the gradient of its sum in y_pred."""
    y_pred = tensor(y_pred, dtype)
    result, gradient = _differentiate(
        lambda pred: _call(loss, tensor(y_true), pred, _optional(sample_weight), _optional(mask)), y_pred
    )
    return numpy(result), numpy(gradient)


@functools.cache
def compiled(loss: Any, mode: str) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """The same as value_and_gradient, compiled: "graph" or "xla" on TensorFlow, "jit" on JAX."""

    def both(y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None) -> Any:
        return _differentiate(lambda pred: _call(loss, y_true, pred, sample_weight, mask), y_pred)

    run = jax.jit(both) if mode == "jit" else tf.function(both, jit_compile=mode == "xla")

    def call(*arguments: Any) -> tuple[np.ndarray, np.ndarray]:
        result, gradient = run(*(_optional(argument) for argument in arguments))
        return numpy(result), numpy(gradient)

    return call


def second_derivative(loss: Any, y_true: Any, y_pred: np.ndarray) -> np.ndarray:
    """The matrix of second derivatives of each sample: (n, c, c) for predictions (n, c)."""
    y_true, pred = tensor(y_true), tensor(y_pred)
    classes = range(y_pred.shape[-1])
    if BACKEND == "tensorflow":
        with tf.GradientTape(persistent=True) as outer:
            outer.watch(pred)
            with tf.GradientTape() as inner:
                inner.watch(pred)
                total = ops.sum(loss(y_true, pred))
            gradient = inner.gradient(total, pred)
            columns = [gradient[:, j] for j in classes]
        none = tf.UnconnectedGradients.ZERO  # where the gradient is constant
        rows = [outer.gradient(column, pred, unconnected_gradients=none) for column in columns]
        return np.stack([numpy(row) for row in rows], axis=1)
    if BACKEND == "jax":
        whole = numpy(jax.hessian(lambda p: ops.sum(loss(y_true, p)))(pred))
        return np.stack([whole[i, :, i, :] for i in range(len(y_pred))])
    pred.requires_grad_()
    (gradient,) = torch.autograd.grad(loss(y_true, pred).sum(), pred, create_graph=True)
    gradient = gradient + 0 * pred  # where the gradient is constant, so that it can be differentiated
    rows = [torch.autograd.grad(gradient[:, j].sum(), pred, retain_graph=True)[0] for j in classes]
    return np.stack([numpy(row) for row in rows], axis=1)


def _optional(x: Any) -> Any:
    return None if x is None else tensor(x)


def _call(loss: Any, y_true: Any, y_pred: Any, sample_weight: Any, mask: Any) -> Any:
    if mask is not None:
        set_keras_mask(y_pred, mask)
    return loss(y_true, y_pred, sample_weight)


def _differentiate(function: Callable[[Any], Any], x: Any) -> tuple[Any, Any]:
    if BACKEND == "tensorflow":
        with tf.GradientTape() as tape:
            tape.watch(x)
            result = function(x)
            total = ops.sum(result)
        return result, tape.gradient(total, x)
    if BACKEND == "jax":

        def total_and_result(x: Any) -> Any:
            result = function(x)
            return ops.sum(result), result

        gradient, result = jax.grad(total_and_result, has_aux=True)(x)
        return result, gradient
    x = x.clone().detach().requires_grad_()
    result = function(x)
    result.sum().backward()
    return result, x.grad
