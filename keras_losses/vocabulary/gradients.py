"""Losses of all tokens as differentiable functions whose gradients are computed in chunks, on each backend.

Each backend has two functions. One returns the weighted sum of the tokens' values: it computes the gradients
together with the values, because the gradients of a sum need only be scaled afterwards. The other returns the
values of the tokens: their gradients depend on what follows, so the chunks are computed a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_losses.numerics import Tensor


class TokenValues(NamedTuple):
    """Values of each token: its loss, -log p_t, and 1 or 0 for whether the true class is the likeliest."""

    loss: Tensor
    crossentropy: Tensor
    hits: Tensor


Run = Callable[[Sequence[Tensor], Tensor, dict[str, Tensor], Tensor | None], tuple[TokenValues, list[Tensor]]]
"""Function from arrays, class ids, live hyper-parameters and weights of tokens to values and gradients.

The arrays are the hidden states, the kernel and perhaps the bias. The gradients are those of the weighted sum
of the losses in the arrays. Without weights there are none.
"""

NO_SECOND_DERIVATIVE = (
    "`VocabularyCrossentropy`: second derivatives must be computed from whole logits. Received: a loss of a "
    "VocabularyHead that is computed in chunks, which have first derivatives only. End the model with "
    "keras.layers.Dense, or run eagerly."
)


def weighted_sum(
    run: Run, arrays: list[Tensor], ids: Tensor, live: dict[str, Tensor], weights: Tensor
) -> TokenValues:
    """Return the weighted sum of the losses as `loss`, with gradients in the arrays and the weights."""
    of_backend = {"tensorflow": _weighted_sum_tensorflow, "jax": _weighted_sum_jax}
    function = of_backend.get(keras.backend.backend(), _weighted_sum_torch)
    return TokenValues(*function(run, arrays, ids, live, weights))


def separate_values(run: Run, arrays: list[Tensor], ids: Tensor, live: dict[str, Tensor]) -> TokenValues:
    """Return the loss of each token, with gradients in the arrays."""
    of_backend = {"tensorflow": _separate_values_tensorflow, "jax": _separate_values_jax}
    function = of_backend.get(keras.backend.backend(), _separate_values_torch)
    return TokenValues(*function(run, arrays, ids, live))


def _scaled(upstream: Tensor, gradients: Sequence[Tensor]) -> list[Tensor]:
    """Return the gradients of a sum, times the gradient of the final loss in the sum."""
    return [ops.cast(upstream, gradient.dtype) * gradient for gradient in gradients]


# TensorFlow ---------------------------------------------------------------------------------------------


def _refuse(*upstream: Any) -> Any:
    raise NotImplementedError(NO_SECOND_DERIVATIVE)


def _weighted_sum_tensorflow(
    run: Run, arrays: list[Tensor], ids: Tensor, live: dict[str, Tensor], weights: Tensor
) -> Any:
    import tensorflow as tf

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def function(*inputs: Tensor) -> Any:
        *arrays, weights = inputs
        tokens, gradients = run(arrays, ids, live, weights)

        def backward(upstream: Tensor, *_: Any) -> Any:
            # A function of the inputs, so that a second derivative in them is refused and not 0.
            @tf.custom_gradient  # type: ignore[untyped-decorator]
            def first_derivative(upstream: Tensor, *inputs: Tensor) -> Any:
                return (*_scaled(upstream, gradients), upstream * tokens.loss), _refuse

            return first_derivative(upstream, *inputs)

        return (tf.reduce_sum(weights * tokens.loss), tokens.crossentropy, tokens.hits), backward

    return function(*arrays, weights)


def _separate_values_tensorflow(run: Run, arrays: list[Tensor], ids: Tensor, live: dict[str, Tensor]) -> Any:
    import tensorflow as tf

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def function(*arrays: Tensor) -> Any:
        tokens, _ = run(arrays, ids, live, None)

        def backward(upstream: Tensor, *_: Any) -> Any:
            @tf.custom_gradient  # type: ignore[untyped-decorator]
            def first_derivative(upstream: Tensor, *arrays: Tensor) -> Any:
                _, gradients = run(arrays, ids, live, upstream)
                return tuple(gradients), _refuse

            return first_derivative(upstream, *arrays)

        return tuple(tokens), backward

    return function(*arrays)


# JAX ----------------------------------------------------------------------------------------------------


def _weighted_sum_jax(
    run: Run, arrays: list[Tensor], ids: Tensor, live: dict[str, Tensor], weights: Tensor
) -> Any:
    import jax

    @jax.custom_vjp  # type: ignore[untyped-decorator]
    def function(arrays: list[Tensor], weights: Tensor, ids: Tensor, live: dict[str, Tensor]) -> Any:
        return forward(arrays, weights, ids, live)[0]

    def forward(arrays: list[Tensor], weights: Tensor, ids: Tensor, live: dict[str, Tensor]) -> Any:
        tokens, gradients = run(arrays, ids, live, weights)
        result = ((weights * tokens.loss).sum(), tokens.crossentropy, tokens.hits)
        return result, (gradients, tokens.loss)

    def backward(saved: Any, upstream: Any) -> Any:
        gradients, losses = saved
        of_sum, *_ = upstream
        return _scaled(of_sum, gradients), of_sum * losses, None, None

    function.defvjp(forward, backward)
    return function(arrays, weights, ids, live)


def _separate_values_jax(run: Run, arrays: list[Tensor], ids: Tensor, live: dict[str, Tensor]) -> Any:
    import jax

    @jax.custom_vjp  # type: ignore[untyped-decorator]
    def function(arrays: list[Tensor], ids: Tensor, live: dict[str, Tensor]) -> Any:
        return forward(arrays, ids, live)[0]

    def forward(arrays: list[Tensor], ids: Tensor, live: dict[str, Tensor]) -> Any:
        tokens, _ = run(arrays, ids, live, None)
        return tuple(tokens), (arrays, ids, live)

    def backward(saved: Any, upstream: Any) -> Any:
        arrays, ids, live = saved
        of_losses, *_ = upstream
        _, gradients = run(arrays, ids, live, of_losses)
        return gradients, None, None

    function.defvjp(forward, backward)
    return function(arrays, ids, live)


# PyTorch ------------------------------------------------------------------------------------------------


def _weighted_sum_torch(
    run: Run, arrays: list[Tensor], ids: Tensor, live: dict[str, Tensor], weights: Tensor
) -> Any:
    import torch

    class Function(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, *inputs: Tensor) -> Any:
            *arrays, weights = inputs
            tokens, gradients = run(arrays, ids, live, weights)
            ctx.mark_non_differentiable(tokens.crossentropy, tokens.hits)
            ctx.save_for_backward(*gradients, tokens.loss)
            return (weights * tokens.loss).sum(), tokens.crossentropy, tokens.hits

        @staticmethod
        @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
        def backward(ctx: Any, upstream: Tensor, *_: Any) -> Any:
            *gradients, losses = ctx.saved_tensors
            return (*_scaled(upstream, gradients), upstream * losses)

    return Function.apply(*arrays, weights)


def _separate_values_torch(run: Run, arrays: list[Tensor], ids: Tensor, live: dict[str, Tensor]) -> Any:
    import torch

    class Function(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, *arrays: Tensor) -> Any:
            tokens, _ = run(arrays, ids, live, None)
            ctx.mark_non_differentiable(tokens.crossentropy, tokens.hits)
            ctx.save_for_backward(*arrays)
            return tuple(tokens)

        @staticmethod
        @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
        def backward(ctx: Any, upstream: Tensor, *_: Any) -> Any:
            _, gradients = run(ctx.saved_tensors, ids, live, upstream)
            return tuple(gradients)

    return Function.apply(*arrays)
