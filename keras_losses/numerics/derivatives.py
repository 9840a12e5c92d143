"""Functions that state their own gradients, and gradients as values: Keras leaves both to its backends."""

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
    function: Callable[[Tensor], Tensor], derivative: Callable[[Tensor], Tensor]
) -> Callable[[Tensor], Tensor]:
    """function(x) of every number, whose derivative is derivative(x), and further ones that one's own.

    Both are functions of a module, not closures.
    """
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        value_of = jax.custom_jvp(function)
        value_of.defjvps(lambda tangent, _, x: tangent * derivative(x))
        return value_of  # type: ignore[no-any-return]
    if backend == "tensorflow":
        import tensorflow as tf

        @tf.custom_gradient  # type: ignore[untyped-decorator]
        def valued(x: Tensor) -> Any:
            return function(x), lambda upstream: upstream * derivative(x)

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
            return upstream * derivative(x)

    return WithDerivative.apply  # type: ignore[no-any-return]


def with_slope(
    parts: Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]],
    x: Tensor,
    other: Tensor,
    of_other: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> Tensor:
    """f(x, other) of every row of x, with a gradient that is computed beside it and shares its exponentials.

    `parts(x, other)` returns f `(...)`, and two whose product is its gradient in x, `(..., C)` and `(...)`;
    `of_other(x, other)`, where the other is no class id, the gradient in that. Further derivatives are those
    of all that these two return; they are functions of a module, not closures.
    """
    backend = keras.backend.backend()
    if backend == "jax":
        return _on_jax(parts, of_other)(x, other)
    if backend == "torch":
        return _on_torch().apply(parts, of_other, x, other)[0]
    import tensorflow as tf

    def slopes(x: Tensor, other: Tensor, upstream: Tensor, slope: Tensor, times: Tensor) -> list[Tensor]:
        found = [slope * ops.expand_dims(upstream * times, -1)]
        return found if of_other is None else [*found, ops.expand_dims(upstream, -1) * of_other(x, other)]

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def value_of(x: Tensor, other: Tensor) -> Any:
        value, slope, times = parts(x, other)

        def backward(upstream: Tensor) -> Any:
            # To a tape all that is used here but was not made here is constant; so what it may differentiate
            # again is the gradient as a function, made anew.
            @tf.custom_gradient  # type: ignore[untyped-decorator]
            def kept(x: Tensor, other: Tensor, upstream: Tensor) -> Any:
                def again(*onwards: Tensor) -> Any:
                    inputs = (x, other, upstream) if of_other else (x, upstream)
                    with tf.GradientTape() as tape:
                        tape.watch(inputs)
                        made = slopes(x, other, upstream, *parts(x, other)[1:])
                    zero = tf.UnconnectedGradients.ZERO
                    found = tape.gradient(made, inputs, onwards, unconnected_gradients=zero)
                    return found if of_other else (found[0], None, found[1])

                return slopes(x, other, upstream, slope, times), again

            return kept(x, other, upstream) if of_other else (*kept(x, other, upstream), None)

        return value, backward

    return value_of(x, other)


@functools.cache
def _on_jax(parts: Any, of_other: Any) -> Any:
    import jax

    @jax.custom_jvp  # type: ignore[untyped-decorator]
    def value_of(x: Tensor, other: Tensor) -> Tensor:
        return parts(x, other)[0]

    def rule(given: Any, tangents: Any) -> Any:
        value, slope, times = parts(*given)
        zero = jax.custom_derivatives.SymbolicZero
        tangent = ops.zeros_like(value)
        if not isinstance(tangents[0], zero):
            tangent = ops.sum(slope * tangents[0], axis=-1) * times
        if of_other is not None and not isinstance(tangents[1], zero):
            tangent = tangent + ops.sum(of_other(*given) * tangents[1], axis=-1)
        return value, tangent

    value_of.defjvp(rule, symbolic_zeros=True)
    return value_of


@functools.cache
def _on_torch() -> Any:
    import torch

    class WithSlope(torch.autograd.Function):  # type: ignore[misc]
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
            x, other, slope, times = ctx.saved_tensors
            if torch.is_grad_enabled():  # the gradient will be differentiated
                _, slope, times = ctx.parts(x, other)
            found = slope * (upstream * times)[..., None]
            wanted = ctx.of_other is not None and ctx.needs_input_grad[3]
            return None, None, found, upstream[..., None] * ctx.of_other(x, other) if wanted else None

    return WithSlope


def values_and_gradients(
    function: Callable[..., list[Tensor]], arrays: list[Tensor]
) -> tuple[list[Tensor], list[list[Tensor]]]:
    """The scalars that `function(*arrays)` returns, and of each the gradients in the arrays.

    They can be differentiated again. Keras has no gradients of its own.
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

    with torch.enable_grad():  # Keras evaluates without
        given = [x if x.requires_grad else x.detach().requires_grad_() for x in arrays]
        values = function(*given)
        found = [
            torch.autograd.grad(value, given, create_graph=True, allow_unused=True)
            if value.requires_grad
            else [None] * len(given)
            for value in values
        ]
    return values, [
        [ops.zeros_like(x) if slope is None else slope for slope, x in zip(each, given, strict=True)]
        for each in found
    ]
