"""Values and gradients of the vocabulary loss, computed from hidden states and kernel chunk by chunk.

The logits of a chunk of tokens are computed, used for the values and the gradients of these tokens, and
dropped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from keras_losses import numerics
from keras_losses.numerics import Tensor
from keras_losses.vocabulary.arrays import (
    add_in_blocks,
    add_to_slice,
    at_least_1,
    largest_absolute,
    pad_first_axis,
    product,
    scan,
    slice_axis,
)
from keras_losses.vocabulary.gradients import TokenValues, separate_values, weighted_sum

MIN_CHUNK = 128
"""Smallest default number of tokens in a chunk: smaller matrix products are slow."""

MIN_LOGITS = 2**24
"""Number of logits that a default chunk may always have: 64 MB in float32."""

HALF_PRECISION = ("float16", "bfloat16")

LogitGradients = Callable[[Any, int], Tensor]
"""Function from the first class and the number of classes to the gradients of the losses in their logits."""


@dataclass(frozen=True)
class Options:
    """Options of the computation that are known before anything is traced."""

    is_embedding: bool
    """Whether the kernel has the shape `(C, d)` of an embedding, and not `(d, C)`."""
    dtype: str
    """Dtype of logits, values and sums."""
    chunk: int | None
    """Number of tokens in a chunk; None for the default."""


def chunked_loss(
    hidden: Tensor,
    kernel: Tensor,
    bias: Tensor | None,
    ids: Tensor,
    weights: Tensor | None,
    numbers: dict[str, Any],
    options: Options,
) -> TokenValues:
    """Return the loss in chunks: the weighted sum over all tokens, or without weights the value of each.

    Args:
        hidden: hidden states `(tokens, d)`.
        kernel: kernel `(d, C)`, or embeddings `(C, d)`.
        bias: None, or the bias `(C,)`.
        ids: class ids `(tokens,)`.
        weights: None, or the weights of the tokens.
        numbers: the hyper-parameters `label_smoothing`, `z_loss` and `soft_cap`.
        options: the options of the computation.
    """
    arrays = [x for x in (hidden, kernel, bias) if x is not None]
    # Tensors are passed as arguments, since JAX cannot differentiate a function that closes over traced ones.
    fixed = {name: x for name, x in numbers.items() if x is None or numerics.is_number(x)}
    live = {name: x for name, x in numbers.items() if name not in fixed}

    def run(
        arrays: Sequence[Tensor], ids: Tensor, live: dict[str, Tensor], weights: Tensor | None
    ) -> tuple[TokenValues, list[Tensor]]:
        chunks = _Run(arrays, ids, {**fixed, **live}, options)
        return (chunks.values(), []) if weights is None else chunks.values_and_gradients(weights)

    if weights is None:
        return separate_values(run, arrays, ids, live)
    return weighted_sum(run, arrays, ids, live, weights)


class _Run:
    """One pass over all chunks.

    Args:
        arrays: hidden states, kernel and perhaps a bias.
        ids: class ids of the tokens.
        numbers: the hyper-parameters.
        options: the options of the computation.
    """

    def __init__(
        self, arrays: Sequence[Tensor], ids: Tensor, numbers: dict[str, Any], options: Options
    ) -> None:
        self.arrays, self.ids, self.numbers, self.options = arrays, ids, numbers, options
        self.hidden, kernel, *bias = arrays
        self.kernel = ops.cast(kernel, self.hidden.dtype)
        self.bias = bias[0] if bias else None
        self.class_axis = 0 if options.is_embedding else 1
        self.width, self.classes = self.hidden.shape[-1], kernel.shape[self.class_axis]
        self.tokens = ops.shape(self.hidden)[0]
        size = options.chunk or max(3 * self.width // 4, MIN_CHUNK, MIN_LOGITS // self.classes)
        self.count = (self.tokens + size - 1) // size
        # The same number of chunks with as little padding as possible.
        self.size = (self.tokens + at_least_1(self.count) - 1) // at_least_1(self.count)

    def values(self) -> TokenValues:
        """Return the values of all tokens."""

        def step(sums: list[Tensor], chunk: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
            hidden, ids = chunk
            values, _ = _values_of_logits(self._logits(hidden), ids, **self.numbers)
            return sums, list(values)

        chunks = [self._in_chunks(self.hidden), self._in_chunks(self.ids)]
        _, outputs = scan(step, [], chunks, self.count, [(), (), ()], self.options.dtype)
        return TokenValues(*map(self._joined, outputs))

    def values_and_gradients(self, weights: Tensor) -> tuple[TokenValues, list[Tensor]]:
        """Return the values of all tokens, and the gradients of their weighted sum in the arrays."""
        dtype, scale = self.options.dtype, None
        if keras.backend.standardize_dtype(self.hidden.dtype) in HALF_PRECISION:
            # Weights far below 1, such as 1 / tokens, would underflow in half precision.
            scale = largest_absolute(weights)
            weights = weights / scale

        def step(sums: list[Tensor], chunk: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
            hidden, ids, weights = chunk
            values, logit_gradients = _values_of_logits(self._logits(hidden), ids, **self.numbers)
            # The gradient of an invalid label is NaN, as its value is.
            weight = ops.expand_dims(ops.where(ops.isnan(values.loss), values.loss, weights), -1)
            of_hidden, sums = self._add_gradients(hidden, weight, logit_gradients, sums)
            return sums, [*values, weight * of_hidden]

        sums = [ops.zeros(x.shape, dtype) for x in self.arrays[1:]]
        chunks = [self._in_chunks(x) for x in (self.hidden, self.ids, weights)]
        sums, outputs = scan(step, sums, chunks, self.count, [(), (), (), (self.width,)], dtype)
        *values, of_hidden = map(self._joined, outputs)
        gradients = [of_hidden, *sums]
        if scale is not None:
            gradients = [scale * x for x in gradients]
        return TokenValues(*values), [
            ops.cast(x, y.dtype) for x, y in zip(gradients, self.arrays, strict=True)
        ]

    def _logits(self, hidden: Tensor) -> Tensor:
        dtype = self.options.dtype
        logits = ops.cast(product(hidden, self.kernel, transpose_b=self.options.is_embedding), dtype)
        return logits if self.bias is None else logits + ops.cast(self.bias, dtype)

    def _add_gradients(
        self, hidden: Tensor, weight: Tensor, logit_gradients: LogitGradients, sums: list[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """Return the gradients in the hidden states of a chunk, without the weights, and the new sums.

        The sums are the gradients in the kernel and the bias over all chunks.
        """
        dtype, is_embedding = self.options.dtype, self.options.is_embedding
        weighted = ops.cast(weight * ops.cast(hidden, dtype), hidden.dtype)

        def add(sums: list[Tensor], first: Any, size: int) -> list[Tensor]:
            """Add the gradients through a block of classes."""
            of_hidden, of_kernel, *of_bias = sums
            of_logits = ops.cast(logit_gradients(first, size), hidden.dtype)
            kernel = slice_axis(self.kernel, self.class_axis, first, size)
            of_hidden = of_hidden + ops.cast(product(of_logits, kernel, transpose_b=not is_embedding), dtype)
            left, right = (of_logits, weighted) if is_embedding else (weighted, of_logits)
            added = ops.cast(product(left, right, transpose_a=True), dtype)
            sums = [of_hidden, add_to_slice(of_kernel, self.class_axis, first, added)]
            if of_bias:
                added = ops.sum(weight * ops.cast(of_logits, dtype), axis=0)
                sums.append(add_to_slice(of_bias[0], 0, first, added))
            return sums

        sums = [ops.zeros(ops.shape(hidden), dtype), *sums]
        of_hidden, *sums = add_in_blocks(add, sums, self.width, self.classes)
        return of_hidden, sums

    def _in_chunks(self, x: Tensor) -> Tensor:
        """Return an array of all tokens as `(chunks, tokens of a chunk, ...)`, padded with zeros."""
        padded = pad_first_axis(x, self.count * self.size - self.tokens)
        return ops.reshape(padded, (self.count, self.size, *x.shape[1:]))

    def _joined(self, x: Tensor) -> Tensor:
        """Return an array of chunks as `(tokens, ...)`, without the padding."""
        return ops.reshape(x, (self.count * self.size, *x.shape[2:]))[: self.tokens]


def _values_of_logits(
    logits: Tensor, ids: Tensor, label_smoothing: Any, z_loss: Any, soft_cap: Any
) -> tuple[TokenValues, LogitGradients]:
    """Return the values of each token, and a function for their gradients in the logits of some classes.

    As in `numerics.sparse_crossentropy`, the true class is left out of the sum of exponentials. With the sum
    r over the other classes and the exponential t of the true class, -log p_t = log(1 + r / t), and the
    gradient in the true class's logit is -r / (t + r). Neither subtracts nearly equal numbers.
    """
    capped = None if soft_cap is None else numerics.tanh(logits / soft_cap)
    # A masked class stays masked: its logit is -inf, not -soft_cap.
    z = logits if capped is None else ops.where(numerics.is_unmasked(logits), soft_cap * capped, logits)
    has_smoothing = not numerics.is_number(label_smoothing, 0.0)
    has_z_loss = not numerics.is_number(z_loss, 0.0)

    z_true = numerics.take_class(ids, z)
    others = ops.where(numerics.is_class(ids, z), numerics.full_like(z, -math.inf), z)
    best_other = ops.max(others, axis=-1)
    is_hit = z_true > best_other
    largest = ops.where(is_hit, z_true, best_other)
    exponentials = ops.exp(others - ops.expand_dims(largest, -1))
    sum_of_others = ops.sum(exponentials, axis=-1)
    of_true = ops.exp(z_true - largest)
    total = sum_of_others + of_true
    crossentropy = ops.where(is_hit, ops.log1p(sum_of_others), ops.log(total) + (largest - z_true))
    log_normalizer = largest + ops.log(total)
    loss = crossentropy
    if has_smoothing:
        unmasked = numerics.is_unmasked(z)
        # Label smoothing spreads over the classes that are not masked.
        classes = ops.sum(ops.cast(unmasked, z.dtype), axis=-1)
        total_logit = ops.sum(ops.where(unmasked, z, ops.zeros_like(z)), axis=-1)
        loss = loss + label_smoothing * (z_true - total_logit / classes)
    if has_z_loss:
        loss = loss + z_loss * ops.square(log_normalizer)

    # Gradient in the true logit, and the factor of the other classes' exponentials in their gradients.
    z_loss_factor = 2.0 * z_loss * log_normalizer / total if has_z_loss else 0.0
    true_gradient = z_loss_factor * of_true - sum_of_others / total
    other_factor = z_loss_factor + 1.0 / total
    if has_smoothing:
        true_gradient = true_gradient + label_smoothing

    def gradients(first: Any, size: int) -> Tensor:
        block = slice_axis(exponentials, 1, first, size)
        is_true = numerics.is_class(ids - ops.cast(first, ids.dtype), block)
        of_logits = ops.where(
            is_true, ops.expand_dims(true_gradient, -1), block * ops.expand_dims(other_factor, -1)
        )
        if has_smoothing:
            is_smoothed = slice_axis(unmasked, 1, first, size)
            smoothed = of_logits - label_smoothing / ops.expand_dims(classes, -1)
            of_logits = ops.where(is_smoothed, smoothed, of_logits)
        if capped is None:
            return of_logits
        return of_logits * (1.0 - ops.square(slice_axis(capped, 1, first, size)))

    return TokenValues(loss, crossentropy, ops.cast(is_hit, z.dtype)), gradients
