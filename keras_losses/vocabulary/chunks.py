"""The arithmetic of logits in chunks: values and gradients of some tokens at a time, on each backend."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from keras_losses import numerics
from keras_losses.numerics import Tensor


@dataclass(frozen=True)
class Plan:
    """What is known before anything is traced."""

    is_embedding: bool
    dtype: str
    chunk: int | None


@dataclass(frozen=True)
class Found:
    """The sum of the weighted values, or without weights each of them; and what is counted of each token."""

    value: Tensor
    crossentropy: Tensor
    hits: Tensor


def fused(
    hidden: Tensor,
    kernel: Tensor,
    bias: Tensor | None,
    ids: Tensor,
    rows: Tensor | None,
    numbers: dict[str, Any],
    plan: Plan,
) -> Found:
    """With a scalar's gradients made on the way; for those of a vector, the chunks are gone through again."""
    backend = keras.backend.backend()
    attach = {"tensorflow": _with_tensorflow, "jax": _with_jax}.get(backend, _with_torch)
    arrays = [x for x in (hidden, kernel, bias) if x is not None]
    fixed = {name: x for name, x in numbers.items() if x is None or numerics.is_number(x)}
    live = {name: x for name, x in numbers.items() if name not in fixed}

    def run(
        arrays: Sequence[Tensor], ids: Tensor, live: dict[str, Tensor], rows: Tensor | None
    ) -> tuple[list[Tensor], list[Tensor]]:
        return _scanned(arrays, ids, {**fixed, **live}, rows, plan)

    return Found(*attach(run, arrays, ids, live, rows))


Run = Callable[..., tuple[list[Tensor], list[Tensor]]]
"""Of the arrays, ids, live numbers and weights: what is found of each token, and the arrays' gradients."""


def _with_tensorflow(
    run: Run, arrays: list[Tensor], ids: Tensor, live: dict[str, Tensor], rows: Tensor | None
) -> list[Tensor]:
    import tensorflow as tf

    def refuse(*upstream: Any) -> Any:
        raise NotImplementedError(NO_SECOND)

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def function(*given: Tensor) -> Any:
        (values, *counted), slopes = run(
            given[: len(arrays)], ids, live, given[-1] if rows is not None else None
        )

        def gradient(upstream: Tensor, *_: Any) -> Any:
            @tf.custom_gradient  # type: ignore[untyped-decorator]
            def once(upstream: Tensor, *given: Tensor) -> Any:
                if rows is None:
                    _, found = run(given, ids, live, upstream)
                    return tuple(found), refuse
                return (*(_times(upstream, slope) for slope in slopes), upstream * values), refuse

            return once(upstream, *given)

        return (tf.reduce_sum(given[-1] * values) if rows is not None else values, *counted), gradient

    return list(function(*arrays, *([] if rows is None else [rows])))


def _with_jax(
    run: Run, arrays: list[Tensor], ids: Tensor, live: dict[str, Tensor], rows: Tensor | None
) -> list[Tensor]:
    import jax

    @jax.custom_vjp  # type: ignore[untyped-decorator]
    def function(arrays: list[Tensor], rows: Tensor | None, ids: Tensor, live: dict[str, Tensor]) -> Any:
        return forward(arrays, rows, ids, live)[0]

    def forward(arrays: list[Tensor], rows: Tensor | None, ids: Tensor, live: dict[str, Tensor]) -> Any:
        if rows is None:
            (values, *counted), _ = run(arrays, ids, live, None)
            return (values, *counted), (arrays, ids, live)
        (values, *counted), slopes = run(arrays, ids, live, rows)
        return ((rows * values).sum(), *counted), (slopes, values)

    def backward(kept: Any, upstream: Any) -> Any:
        upstream = upstream[0]
        if rows is None:
            arrays, ids, live = kept
            return run(arrays, ids, live, upstream)[1], None, None, None
        slopes, values = kept
        return [_times(upstream, slope) for slope in slopes], upstream * values, None, None

    function.defvjp(forward, backward)
    return list(function(arrays, rows, ids, live))


def _with_torch(
    run: Run, arrays: list[Tensor], ids: Tensor, live: dict[str, Tensor], rows: Tensor | None
) -> list[Tensor]:
    import torch

    class Function(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, *given: Tensor) -> Any:
            of_rows = given[-1] if rows is not None else None
            (values, *counted), slopes = run(given[: len(arrays)], ids, live, of_rows)
            ctx.mark_non_differentiable(*counted)
            ctx.save_for_backward(*(given if rows is None else (*slopes, values)))
            return (values if rows is None else (given[-1] * values).sum(), *counted)

        @staticmethod
        @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
        def backward(ctx: Any, upstream: Tensor, *_: Any) -> Any:
            if rows is None:
                return tuple(run(ctx.saved_tensors, ids, live, upstream)[1])
            *slopes, values = ctx.saved_tensors
            return (*(_times(upstream, slope) for slope in slopes), upstream * values)

    return list(Function.apply(*arrays, *([] if rows is None else [rows])))


NO_SECOND = (
    "`VocabularyCrossentropy`: the loss of a VocabularyHead is computed in chunks, with its first "
    "derivatives alone. For second ones, end the model with keras.layers.Dense, or run eagerly."
)


def _times(upstream: Tensor, slope: Tensor) -> Tensor:
    return ops.cast(upstream, slope.dtype) * slope


def _scanned(
    arrays: Sequence[Tensor], ids: Tensor, numbers: dict[str, Any], rows: Tensor | None, plan: Plan
) -> tuple[list[Tensor], list[Tensor]]:
    """What is found of each token; and, of the sum weighted by `rows`, the gradients of the arrays."""
    hidden, kernel, bias = (*arrays, None)[:3]
    half = ops.cast(kernel, hidden.dtype)
    across = 0 if plan.is_embedding else 1  # the axis of the classes
    width, classes = hidden.shape[-1], kernel.shape[across]
    tokens = ops.shape(hidden)[0]
    size = plan.chunk or max(3 * width // 4, LEAST_CHUNK, LEAST_LOGITS // classes)
    count = (tokens + size - 1) // size
    size = (tokens + _at_least_1(count) - 1) // _at_least_1(count)

    def chunks(x: Tensor) -> Tensor:
        more = [[0, count * size - tokens], *([0, 0] for _ in x.shape[1:])]
        return ops.reshape(_padded(x, more), (count, size, *x.shape[1:]))

    largest = None
    if rows is not None and keras.backend.standardize_dtype(hidden.dtype) in HALF:
        # In half precision, weights that are all far below 1 would be lost.
        largest = _largest(rows)
        rows = rows / largest

    def step(sums: list[Tensor], chunk: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        h, of_chunk, *weights = chunk
        raw = ops.cast(product(h, half, False, plan.is_embedding), plan.dtype)
        raw = raw if bias is None else raw + ops.cast(bias, plan.dtype)
        found, slopes = _of_logits(raw, of_chunk, **numbers)
        if not weights:
            return sums, found
        # A label that is no class makes NaN of the gradient as it does of the value.
        weight = ops.expand_dims(ops.where(ops.isnan(found[0]), found[0], weights[0]), -1)
        scaled = ops.cast(weight * ops.cast(h, plan.dtype), h.dtype)

        def add(sums: list[Tensor], first: Any, size: int) -> list[Tensor]:
            """The sums with what a block of classes adds to them."""
            of_hidden, of_kernel, *of_bias = sums
            slope = ops.cast(slopes(first, size), h.dtype)
            part = _block(half, across, first, size)
            of_hidden = of_hidden + ops.cast(product(slope, part, False, not plan.is_embedding), plan.dtype)
            added = (slope, scaled) if plan.is_embedding else (scaled, slope)
            added = ops.cast(product(*added, True, False), plan.dtype)
            found = [of_hidden, _with_added(of_kernel, across, first, added)]
            if of_bias:
                added = ops.sum(weight * ops.cast(slope, plan.dtype), axis=0)
                found.append(_with_added(of_bias[0], 0, first, added))
            return found

        of_hidden, *sums = _in_blocks(add, [ops.zeros(ops.shape(h), plan.dtype), *sums], width, classes)
        return sums, [*found, weight * of_hidden]

    sums = [ops.zeros(x.shape, plan.dtype) for x in arrays[1:]] if rows is not None else []
    shapes = [(), (), (), *([] if rows is None else [(width,)])]
    given = [chunks(x) for x in (hidden, ids, rows) if x is not None]
    sums, found = _scan(step, sums, given, count, shapes, plan.dtype)
    found = [ops.reshape(x, (count * size, *x.shape[2:]))[:tokens] for x in found]
    if rows is None:
        return found, []
    *found, of_hidden = found
    slopes = [of_hidden, *sums] if largest is None else [largest * x for x in (of_hidden, *sums)]
    return found, [ops.cast(x, y.dtype) for x, y in zip(slopes, arrays, strict=True)]


HALF = ("float16", "bfloat16")

LEAST_CHUNK = 128
"""So few tokens at least, for the sake of the matrix products."""

LEAST_LOGITS = 2**24
"""So many logits are no burden: 64 MB."""


def _of_logits(
    raw: Tensor, ids: Tensor, label_smoothing: Any, z_loss: Any, soft_cap: Any
) -> tuple[list[Tensor], Callable[[Any, int], Tensor]]:
    """The value, the cross-entropy, and whether it was right, of each token; and the slopes in some logits.

    As in `numerics.sparse_crossentropy`, the true class stays out of the sum: with the others' sum r and
    its own term o, -log p_t = log(1 + r / o), and the slope in its logit is -r / (o + r).
    """
    bent = None if soft_cap is None else numerics.plain_tanh(raw / soft_cap)
    z = raw if bent is None else soft_cap * bent
    smooth, squared = (not numerics.is_number(x, 0.0) for x in (label_smoothing, z_loss))
    chosen, classes = numerics.is_class(ids, z), z.shape[-1]
    own = numerics.take_class(ids, z)
    others = ops.where(chosen, numerics.full_like(z, -math.inf), z)
    best = ops.max(others, axis=-1)
    won = own > best
    top = ops.where(won, own, best)
    exponentials = ops.exp(others - ops.expand_dims(top, -1))
    rest = ops.sum(exponentials, axis=-1)
    term = ops.exp(own - top)
    total = rest + term
    crossentropy = ops.where(won, ops.log1p(rest), ops.log(total) + (top - own))
    log_total = top + ops.log(total)
    value = crossentropy
    if smooth:
        value = value + label_smoothing * (own - ops.sum(z, axis=-1) / classes)
    if squared:
        value = value + z_loss * ops.square(log_total)

    drift = 2.0 * z_loss * log_total / total if squared else 0.0
    of_true, of_others = drift * term - rest / total, drift + 1.0 / total
    if smooth:
        of_true = of_true + label_smoothing

    def slopes(first: Any, size: int) -> Tensor:
        part = _block(exponentials, 1, first, size)
        chosen = numerics.is_class(ids - ops.cast(first, ids.dtype), part)
        found = ops.where(chosen, ops.expand_dims(of_true, -1), part * ops.expand_dims(of_others, -1))
        if smooth:
            found = found - label_smoothing / classes
        return found if bent is None else found * (1.0 - ops.square(_block(bent, 1, first, size)))

    return [value, crossentropy, ops.cast(won, z.dtype)], slopes


# What differs between backends ------------------------------------------------------------------------


def _at_least_1(count: Any) -> Any:
    return max(count, 1) if isinstance(count, int) else ops.maximum(count, 1)


def _padded(x: Tensor, more: list[list[Any]]) -> Tensor:
    """With zeros at the ends of axes, of which there may be as many as only the graph knows."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.pad(x, more)
    return ops.pad(x, more)


def _largest(rows: Tensor) -> Tensor:
    """The largest size of a weight, or 1 where none is above 0."""
    if keras.backend.backend() == "torch" and rows.shape[0] == 0:
        return ops.ones((), rows.dtype)
    largest = ops.max(ops.abs(rows), initial=0.0)
    return ops.where(largest > 0, largest, ops.ones_like(largest))


def product(a: Tensor, b: Tensor, transpose_a: bool, transpose_b: bool) -> Tensor:
    """A product of matrices, of half precision in float32 where the backend gives it."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if len(a.shape) > 2:
            return tf.tensordot(a, b, [[-1], [1 if transpose_b else 0]])
        return tf.matmul(a, b, transpose_a=transpose_a, transpose_b=transpose_b)
    if keras.backend.backend() == "jax":
        import jax

        axes = ((0 if transpose_a else a.ndim - 1,), (1 if transpose_b else 0,))
        wide = None if a.dtype.itemsize > 2 else "float32"
        return jax.lax.dot_general(a, b, (axes, ((), ())), preferred_element_type=wide)
    return (a.T if transpose_a else a) @ (b.T if transpose_b else b)


def _scan(
    step: Callable[[list[Tensor], list[Tensor]], tuple[list[Tensor], list[Tensor]]],
    sums: list[Tensor],
    chunks: list[Tensor],
    count: Any,
    shapes: list[tuple[int, ...]],
    dtype: str,
) -> tuple[list[Tensor], list[Tensor]]:
    """`step` over the chunks: what it adds up, and what it finds of each token of them, of these shapes.

    Keras's own wants to find what is of the sums' shapes on TensorFlow, and one chunk at least on PyTorch.
    """
    if keras.backend.backend() == "jax":
        import jax

        sums, found = jax.lax.scan(step, sums, chunks)
        return sums, found
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        def body(turn: Tensor, sums: list[Tensor], found: list[Any]) -> Any:
            sums, each = step(sums, [x[turn] for x in chunks])
            return turn + 1, sums, [kept.write(turn, x) for kept, x in zip(found, each, strict=True)]

        size = chunks[0].shape[1]
        kept = [tf.TensorArray(dtype, count, element_shape=(size, *shape)) for shape in shapes]
        # One chunk after the other: several at a time would each have their logits.
        _, sums, found = tf.while_loop(
            lambda turn, *_: turn < count, body, (0, sums, kept), parallel_iterations=1
        )
        return sums, [x.stack() for x in found]
    found = []
    for turn in range(count):
        sums, each = step(sums, [x[turn] for x in chunks])
        found.append(each)
    if not found:
        return sums, [ops.zeros((0, 0, *shape), dtype) for shape in shapes]
    return sums, [ops.stack(each) for each in zip(*found, strict=True)]


BLOCK = 2**20
"""So many numbers of the kernel's gradient are added to at a time: what a processor's cache holds."""


def _in_blocks(
    add: Callable[[list[Tensor], Any, int], list[Tensor]], sums: list[Tensor], width: int, classes: int
) -> list[Tensor]:
    """`add(sums, first, size)` for all classes.

    In place, a block of classes after the other: neither their slopes nor a second gradient of the kernel are
    in memory, and what is in the cache is used at once.
    """
    block = max(BLOCK // width, 1)
    if classes < 2 * block or not _adds_in_place():
        return add(sums, 0, classes)
    blocks = classes // block
    sums = list(ops.fori_loop(0, blocks, lambda turn, x: tuple(add(x, turn * block, block)), tuple(sums)))
    rest = classes - blocks * block
    return add(sums, blocks * block, rest) if rest else sums


def _block(x: Tensor, axis: int, first: Any, size: int) -> Tensor:
    """So many of an axis; all of them are x itself."""
    if x.shape[axis] == size:
        return x
    at, shape = [0] * len(x.shape), list(ops.shape(x))
    at[axis], shape[axis] = first, size
    return ops.slice(x, at, shape)


def _with_added(total: Tensor, axis: int, first: Any, added: Tensor) -> Tensor:
    if total.shape[axis] == added.shape[axis]:
        return total + added
    at = [0] * len(total.shape)
    at[axis] = first
    return ops.slice_update(total, at, _block(total, axis, first, added.shape[axis]) + added)


def _adds_in_place() -> bool:
    """Whether XLA compiles for a processor: it updates a slice of an array where the array is."""
    if keras.backend.backend() == "jax":
        import jax

        return bool(jax.default_backend() == "cpu")
    if not numerics.compiled_by_tensorflow():
        return False
    import tensorflow as tf

    return not tf.config.list_logical_devices("GPU")
