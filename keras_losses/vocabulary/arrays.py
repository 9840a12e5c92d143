"""Array operations of the chunked loss that differ between backends: products, loops, updates of slices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_losses import numerics
from keras_losses.numerics import Tensor

Step = Callable[[list[Tensor], list[Tensor]], tuple[list[Tensor], list[Tensor]]]
"""Function from running sums and the data of a chunk to the new sums and the outputs of the chunk."""

BLOCK = 2**20
"""Number of entries of the kernel's gradient in a block of classes, which fit into a processor's cache."""


def product(a: Tensor, b: Tensor, *, transpose_a: bool = False, transpose_b: bool = False) -> Tensor:
    """Return the matrix product. JAX returns float32 for half precision, so that sums lose no digits."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if len(a.shape) > 2:
            return tf.tensordot(a, b, [[-1], [1 if transpose_b else 0]])
        return tf.matmul(a, b, transpose_a=transpose_a, transpose_b=transpose_b)
    if keras.backend.backend() == "jax":
        import jax

        axes = ((0 if transpose_a else a.ndim - 1,), (1 if transpose_b else 0,))
        result_dtype = None if a.dtype.itemsize > 2 else "float32"
        return jax.lax.dot_general(a, b, (axes, ((), ())), preferred_element_type=result_dtype)
    return (a.T if transpose_a else a) @ (b.T if transpose_b else b)


def pad_first_axis(x: Tensor, count: Any) -> Tensor:
    """Return x with `count` zeros at the end of the first axis; the graph may not know the count."""
    widths = [[0, count], *([0, 0] for _ in x.shape[1:])]
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.pad(x, widths)  # ops.pad takes no tensors as widths
    return ops.pad(x, widths)


def at_least_1(count: Any) -> Any:
    """Return the larger of 1 and a count, which is an integer or a scalar tensor."""
    return max(count, 1) if isinstance(count, int) else ops.maximum(count, 1)


def largest_absolute(x: Tensor) -> Tensor:
    """Return the largest absolute value, or 1 if x is empty or all zeros."""
    if keras.backend.backend() == "torch" and x.shape[0] == 0:
        return ops.ones((), x.dtype)
    largest = ops.max(ops.abs(x), initial=0.0)
    return ops.where(largest > 0, largest, ops.ones_like(largest))


def scan(
    step: Step,
    sums: list[Tensor],
    chunks: list[Tensor],
    count: Any,
    token_shapes: list[tuple[int, ...]],
    dtype: str,
) -> tuple[list[Tensor], list[Tensor]]:
    """Apply `step` to one chunk after the other, and return the last sums and the stacked outputs.

    `keras.ops.scan` does not serve: on TensorFlow it wants outputs of the sums' shapes, and on PyTorch it
    wants at least one chunk.

    Args:
        step: the function for a chunk.
        sums: initial values of the running sums.
        chunks: the data, whose first axis is that of the chunks, and whose second axis is that of the tokens.
        count: number of chunks.
        token_shapes: shape of each output for one token.
        dtype: dtype of the outputs.
    """
    if keras.backend.backend() == "jax":
        import jax

        sums, outputs = jax.lax.scan(step, sums, chunks)
        return sums, outputs
    if keras.backend.backend() == "tensorflow":
        return _scan_tensorflow(step, sums, chunks, count, token_shapes, dtype)
    of_chunks = []
    for index in range(count):
        sums, outputs = step(sums, [x[index] for x in chunks])
        of_chunks.append(outputs)
    if not of_chunks:
        return sums, [ops.zeros((0, 0, *shape), dtype) for shape in token_shapes]
    return sums, [ops.stack(of_output) for of_output in zip(*of_chunks, strict=True)]


def _scan_tensorflow(
    step: Step,
    sums: list[Tensor],
    chunks: list[Tensor],
    count: Any,
    token_shapes: list[tuple[int, ...]],
    dtype: str,
) -> tuple[list[Tensor], list[Tensor]]:
    import tensorflow as tf

    def body(index: Tensor, sums: list[Tensor], arrays: list[Any]) -> Any:
        sums, outputs = step(sums, [x[index] for x in chunks])
        return index + 1, sums, [array.write(index, x) for array, x in zip(arrays, outputs, strict=True)]

    size = chunks[0].shape[1]
    arrays = [tf.TensorArray(dtype, count, element_shape=(size, *shape)) for shape in token_shapes]
    # Iterations in parallel would each hold the logits of a chunk in memory.
    _, sums, arrays = tf.while_loop(
        lambda index, *_: index < count, body, (0, sums, arrays), parallel_iterations=1
    )
    return sums, [array.stack() for array in arrays]


def add_in_blocks(
    add: Callable[[list[Tensor], Any, int], list[Tensor]], sums: list[Tensor], width: int, classes: int
) -> list[Tensor]:
    """Apply `add(sums, first, size)` to all classes, in blocks of `size` classes that start at `first`.

    Blocks are used if XLA updates a slice of an array in place. Then neither the gradients of all logits nor
    a second gradient of the kernel are in memory, and the processor works on data that is in its cache.
    """
    size = max(BLOCK // width, 1)
    if classes < 2 * size or not updates_in_place():
        return add(sums, 0, classes)
    count = classes // size
    sums = list(ops.fori_loop(0, count, lambda index, x: tuple(add(x, index * size, size)), tuple(sums)))
    rest = classes - count * size
    return add(sums, count * size, rest) if rest else sums


def updates_in_place() -> bool:
    """Return whether XLA compiles for a processor, where it updates a slice of an array in place."""
    if keras.backend.backend() == "jax":
        import jax

        return bool(jax.default_backend() == "cpu")
    if not numerics.compiled_by_tensorflow():
        return False
    import tensorflow as tf

    return not tf.config.list_logical_devices("GPU")


def slice_axis(x: Tensor, axis: int, first: Any, size: int) -> Tensor:
    """Return `size` entries of an axis from `first` on; x itself if the axis has no others."""
    if x.shape[axis] == size:
        return x
    start, shape = [0] * len(x.shape), list(ops.shape(x))
    start[axis], shape[axis] = first, size
    return ops.slice(x, start, shape)


def add_to_slice(total: Tensor, axis: int, first: Any, added: Tensor) -> Tensor:
    """Return `total` with `added` added to the entries of an axis from `first` on."""
    size = added.shape[axis]
    if total.shape[axis] == size:
        return total + added
    start = [0] * len(total.shape)
    start[axis] = first
    return ops.slice_update(total, start, slice_axis(total, axis, first, size) + added)
