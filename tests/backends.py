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

from keras_losses import config

BACKEND = keras.backend.backend()
COMPILED = {"tensorflow": ("graph", "xla"), "jax": ("jit",), "torch": ()}[BACKEND]

MODES = COMPILED or [pytest.param("", marks=pytest.mark.skip(reason="nothing is compiled on PyTorch"))]
"""For tests that are parametrised over COMPILED."""


def thorough_on_jax(test: Any) -> Any:
    """For formulas without a branch for JAX, which compiles each operation for each shape of an array.

    The laws of tests/contract try them there by default.
    """
    return pytest.mark.thorough(test) if BACKEND == "jax" else test


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


@contextlib.contextmanager
def unchecked() -> Iterator[None]:
    """No checks of values for the time being: eager mode then marks invalid values as compiled steps do."""
    config.validate_values(False)
    try:
        yield
    finally:
        config.validate_values(True)


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


def evaluated(loss: Any, y_true: Any, y_pred: Any) -> tuple[np.ndarray, np.ndarray]:
    """The same as `value_and_gradient`, for laws that evaluate many cases.

    On JAX the loss is compiled as a whole and without optimizations, which takes a third of the time that it
    takes to compile each operation by itself. That eager mode gives the same is a law of its own.
    """
    if BACKEND != "jax":
        return value_and_gradient(loss, y_true, y_pred)

    def both(y_true: Any, y_pred: Any) -> Any:
        return _differentiate(lambda pred: _call(loss, y_true, pred, None, None), y_pred)

    arguments = tensor(y_true), tensor(y_pred)
    run = jax.jit(both).lower(*arguments).compile(compiler_options=UNOPTIMIZED)
    result, gradient = run(*arguments)
    return numpy(result), numpy(gradient)


UNOPTIMIZED = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


@functools.cache
def compiled(loss: Any, mode: str) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """The same as value_and_gradient, compiled: "graph" or "xla" on TensorFlow, "jit" on JAX."""

    def both(y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None) -> Any:
        return _differentiate(lambda pred: _call(loss, y_true, pred, sample_weight, mask), y_pred)

    run = jax.jit(both) if mode == "jit" else tf.function(both, autograph=False, jit_compile=mode == "xla")

    def call(*arguments: Any) -> tuple[np.ndarray, np.ndarray]:
        result, gradient = run(*(_optional(argument) for argument in arguments))
        return numpy(result), numpy(gradient)

    return call


def with_setting(
    loss: Any, key: str, compiled: bool
) -> tuple[Callable[..., tuple[np.ndarray, ...]], list[None]]:
    """The loss as a function of labels, predictions, one of its hyper-parameters, and weights.

    It returns the values and the gradients of their sum in predictions and hyper-parameter; beside it comes a
    list that grows whenever it is traced.
    """
    traces: list[None] = []

    def all_three(y_true: Any, y_pred: Any, setting: Any, weights: Any) -> Any:
        traces.append(None)

        def weighted(pred: Any, number: Any) -> Any:
            loss._follow(key, lambda: number)
            values = loss(y_true, pred)
            return values if weights is None else values * weights

        return _differentiate_both(weighted, y_pred, setting)

    run = all_three
    if compiled and BACKEND != "torch":
        run = jax.jit(all_three) if BACKEND == "jax" else tf.function(all_three, autograph=False)

    def call(*arguments: Any) -> tuple[np.ndarray, ...]:
        y_true, y_pred, setting, weights = (*map(tensor, arguments), None)[:4]
        return tuple(map(numpy, run(y_true, y_pred, setting, weights)))

    return call, traces if compiled and BACKEND != "torch" else [None]


def second_derivative(loss: Any, y_true: Any, y_pred: np.ndarray, along: np.ndarray) -> np.ndarray:
    """The derivative of the gradient of the loss's sum, in the direction `along`."""
    y_true, pred, direction = tensor(y_true), tensor(y_pred), tensor(along)
    if BACKEND == "tensorflow":
        with tf.GradientTape() as outer:
            outer.watch(pred)
            with tf.GradientTape() as inner:
                inner.watch(pred)
                total = ops.sum(loss(y_true, pred))
            slope = ops.sum(inner.gradient(total, pred) * direction)
        none = tf.UnconnectedGradients.ZERO  # where the gradient is constant
        return numpy(outer.gradient(slope, pred, unconnected_gradients=none))
    if BACKEND == "jax":

        def slope_at(x: Any) -> Any:
            return ops.sum(jax.grad(lambda p: ops.sum(loss(y_true, p)))(x) * direction)

        return numpy(jax.jit(jax.grad(slope_at))(pred))
    pred.requires_grad_()
    (gradient,) = torch.autograd.grad(loss(y_true, pred).sum(), pred, create_graph=True)
    gradient = gradient + 0 * pred  # where the gradient is constant, so that it can be differentiated
    return numpy(torch.autograd.grad((gradient * direction).sum(), pred)[0])


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


def _differentiate_both(function: Callable[..., Any], x: Any, setting: Any) -> tuple[Any, Any, Any]:
    if BACKEND == "tensorflow":
        with tf.GradientTape() as tape:
            tape.watch((x, setting))
            result = function(x, setting)
            total = ops.sum(result)
        return result, *tape.gradient(total, (x, setting), unconnected_gradients=tf.UnconnectedGradients.ZERO)
    if BACKEND == "jax":

        def total_and_result(x: Any, setting: Any) -> Any:
            result = function(x, setting)
            return ops.sum(result), result

        gradients, result = jax.grad(total_and_result, (0, 1), has_aux=True)(x, setting)
        return result, *gradients
    x, setting = (each.clone().detach().requires_grad_() for each in (x, setting))
    result = function(x, setting)
    result.sum().backward()
    return result, x.grad, setting.grad
