"""Weighted means over a sliding window of an image, and images of half the size."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_losses.numerics.backends import fused_by_xla
from keras_losses.numerics.derivatives import Tensor

_BLOCK = 64
"""Number of windows in one matrix product. The matrix of a larger product has more zeros."""


def window_means(x: Tensor, weights: np.ndarray) -> Tensor:
    """Return the weighted means of images `(batch, height, width, channels)` over a sliding square window.

    The weight of a pixel is the product of its weights along height and width. Only windows inside the image
    are taken, so that height and width shrink by the length of `weights` less 1.
    """
    # On a CPU XLA's convolutions take ten times as long as its matrix products, which need a known size.
    if fused_by_xla() and None not in tuple(x.shape)[1:3]:
        return _by_products(x, weights)
    kernel = np.tile(weights[:, None, None, None], (1, 1, x.shape[-1], 1))
    for along_axis in (kernel, np.swapaxes(kernel, 0, 1)):
        along_axis = ops.convert_to_tensor(along_axis, dtype=x.dtype)
        x = ops.depthwise_conv(x, along_axis, data_format="channels_last")
    return x


def _by_products(x: Tensor, weights: np.ndarray) -> Tensor:
    """Return the same as `window_means`, computed as products with banded matrices."""
    with _exact_products():
        x = ops.transpose(x, (0, 3, 1, 2))
        along_width = [x[..., block] @ band for block, band in _bands(x.shape[-1], weights, x.dtype)]
        x = ops.concatenate(along_width, axis=-1)
        along_height = [
            ops.transpose(band) @ x[..., block, :] for block, band in _bands(x.shape[-2], weights, x.dtype)
        ]
        return ops.transpose(ops.concatenate(along_height, axis=-2), (0, 2, 3, 1))


def _bands(length: int, weights: np.ndarray, dtype: Any) -> Iterator[tuple[slice, Tensor]]:
    """Yield blocks of an axis, each with the matrix `(pixels, windows)` that makes means of its pixels."""
    windows = length - len(weights) + 1
    for start in range(0, windows, _BLOCK):
        count = min(_BLOCK, windows - start)
        band = np.zeros((count + len(weights) - 1, count))
        for window in range(count):
            band[window : window + len(weights), window] = weights
        yield slice(start, start + len(band)), ops.convert_to_tensor(band, dtype=dtype)


def _exact_products() -> Any:
    """Return a context in which JAX multiplies matrices in float32 on accelerators too, and not in less."""
    if keras.backend.backend() != "jax":
        return contextlib.nullcontext()
    import jax

    return jax.default_matmul_precision("highest")


def halved(x: Tensor) -> Tensor:
    """Return images `(batch, height, width, channels)` of half the size, with the means of 2 x 2 pixels.

    The last row and column count twice if height and width are odd.
    """
    next_row = ops.concatenate([x[:, 1:], x[:, -1:]], axis=1)
    x = 0.5 * (x[:, ::2] + next_row[:, ::2])
    next_column = ops.concatenate([x[:, :, 1:], x[:, :, -1:]], axis=2)
    return 0.5 * (x[:, :, ::2] + next_column[:, :, ::2])
