"""Functions with stated gradients, and gradients as values. Keras leaves both to its backends."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

Tensor = Any
"""A tensor of whichever backend Keras runs on."""


@functools.cache
def with_derivative(
    function: Callable[[Tensor], Tensor], derivative: Callable[[Tensor], Tensor | tuple[Tensor, ...]]
) -> Callable[[Tensor], Tensor]:
    """Return an elementwise function with a stated derivative.

    Its second derivative is the derivative of `derivative`, which may return several factors. An upstream
    gradient is multiplied by one factor after the other, because their product may overflow. Both arguments
    are functions of a module, not closures, because the result is cached.
    """
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        value_of = jax.custom_jvp(function)
        value_of.defjvps(lambda tangent, _, x: _product(tangent, derivative(x)))
        return value_of  # type: ignore[no-any-return]
    if backend == "tensorflow":
        import tensorflow as tf

        @tf.custom_gradient  # type: ignore[untyped-decorator]
        def valued(x: Tensor) -> Any:
            return function(x), lambda upstream: _product(upstream, derivative(x))

        return valued  # type: ignore[no-any-return]
    import torch

    class WithDerivative(torch.autograd.Function):  # type: ignore[misc]
        generate_vmap_rule = True

        @staticmethod
        def forward(x: Tensor) -> Tensor:
            return function(x)

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx: Any, upstream: Tensor) -> Tensor:
            (x,) = ctx.saved_tensors
            return _product(upstream, derivative(x))

    return WithDerivative.apply  # type: ignore[no-any-return]


def _product(upstream: Tensor, factors: Tensor | tuple[Tensor, ...]) -> Tensor:
    for factor in factors if isinstance(factors, tuple) else (factors,):
        upstream = upstream * factor
    return upstream


def with_row_gradient(
    parts: Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]],
    x: Tensor,
    other: Tensor,
    of_other: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> Tensor:
    """Return f(x, other) for every row of x, with a gradient that is computed together with the value.

    Value and gradient share their exponentials. Second derivatives are the derivatives of what `parts` and
    `of_other` return. Both are functions of a module, not closures, because their gradients are cached.

    Args:
        parts: returns f `(...)` and two factors, `(..., C)` and `(...)`, whose product is its gradient in x.
        x: rows of numbers `(..., C)`.
        other: what the rows are compared with: class ids, or other rows.
        of_other: returns the gradient in `other` `(..., C)`; None for class ids.
    """
    backend = keras.backend.backend()
    if backend == "jax":
        return _on_jax(parts, of_other)(x, other)
    if backend == "torch":
        return _on_torch().apply(parts, of_other, x, other)[0]
    import tensorflow as tf

    def gradients(x: Tensor, other: Tensor, upstream: Tensor, rows: Tensor, factor: Tensor) -> list[Tensor]:
        in_x = rows * ops.expand_dims(upstream * factor, -1)
        return [in_x] if of_other is None else [in_x, ops.expand_dims(upstream, -1) * of_other(x, other)]

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def value_of(x: Tensor, other: Tensor) -> Any:
        value, rows, factor = parts(x, other)

        def backward(upstream: Tensor) -> Any:
            # A tape takes tensors that a custom gradient captures for constants. So the gradient is a
            # function of its own, whose derivative computes `parts` again.
            @tf.custom_gradient  # type: ignore[untyped-decorator]
            def gradient(x: Tensor, other: Tensor, upstream: Tensor) -> Any:
                def second_derivative(*onwards: Tensor) -> Any:
                    inputs = (x, other, upstream) if of_other else (x, upstream)
                    with tf.GradientTape() as tape:
                        tape.watch(inputs)
                        recomputed = gradients(x, other, upstream, *parts(x, other)[1:])
                    zero = tf.UnconnectedGradients.ZERO
                    found = tape.gradient(recomputed, inputs, onwards, unconnected_gradients=zero)
                    return found if of_other else (found[0], None, found[1])

                return gradients(x, other, upstream, rows, factor), second_derivative

            return gradient(x, other, upstream) if of_other else (*gradient(x, other, upstream), None)

        return value, backward

    return value_of(x, other)


@functools.cache
def _on_jax(parts: Any, of_other: Any) -> Any:
    import jax

    @jax.custom_jvp  # type: ignore[untyped-decorator]
    def value_of(x: Tensor, other: Tensor) -> Tensor:
        return parts(x, other)[0]

    def rule(given: Any, tangents: Any) -> Any:
        value, rows, factor = parts(*given)
        zero = jax.custom_derivatives.SymbolicZero
        tangent = ops.zeros_like(value)
        if not isinstance(tangents[0], zero):
            tangent = ops.sum(rows * tangents[0], axis=-1) * factor
        if of_other is not None and not isinstance(tangents[1], zero):
            tangent = tangent + ops.sum(of_other(*given) * tangents[1], axis=-1)
        return value, tangent

    value_of.defjvp(rule, symbolic_zeros=True)
    return value_of


@functools.cache
def _on_torch() -> Any:
    import torch

    class WithRowGradient(torch.autograd.Function):  # type: ignore[misc]
        generate_vmap_rule = True

        @staticmethod
        def forward(parts: Any, of_other: Any, x: Tensor, other: Tensor) -> Any:
            return parts(x, other)

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.parts, ctx.of_other, *given = inputs
            ctx.mark_non_differentiable(*output[1:])
            ctx.save_for_backward(*given, *output[1:])

        @staticmethod
        def backward(ctx: Any, upstream: Tensor, *_: Any) -> Any:
            x, other, rows, factor = ctx.saved_tensors
            if torch.is_grad_enabled():  # The gradient will be differentiated.
                _, rows, factor = ctx.parts(x, other)
            in_x, in_other = rows * (upstream * factor)[..., None], None
            if ctx.of_other is not None and ctx.needs_input_grad[3]:
                in_other = upstream[..., None] * ctx.of_other(x, other)
            return None, None, in_x, in_other

    return WithRowGradient


def values_and_gradients(
    function: Callable[..., list[Tensor]], arrays: list[Tensor]
) -> tuple[list[Tensor], list[list[Tensor]]]:
    """Return the scalars `function(*arrays)` and, for each scalar, its gradients in the arrays.

    The gradients can be differentiated again. Keras has no function for gradients.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape(persistent=True) as tape:
            tape.watch(arrays)
            values = function(*arrays)
        zero = tf.UnconnectedGradients.ZERO
        return values, [tape.gradient(value, arrays, unconnected_gradients=zero) for value in values]
    if backend == "jax":
        import jax

        values, pull = jax.vjp(lambda *given: function(*given), *arrays)
        return values, [
            list(pull([ops.ones_like(x) if k == turn else ops.zeros_like(x) for k, x in enumerate(values)]))
            for turn in range(len(values))
        ]
    import torch

    with torch.enable_grad():  # Keras evaluates without gradients.
        given = [x if x.requires_grad else x.detach().requires_grad_() for x in arrays]
        values = function(*given)
        gradients = [
            torch.autograd.grad(value, given, create_graph=True, allow_unused=True)
            if value.requires_grad
            else [None] * len(given)
            for value in values
        ]
    return values, [
        [ops.zeros_like(x) if gradient is None else gradient for gradient, x in zip(each, given, strict=True)]
        for each in gradients
    ]
