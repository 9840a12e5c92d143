"""The regularizer that `regularize` puts on a weight, and the numerics of singular values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_losses import numerics
from keras_losses.numerics import Tensor
from keras_losses.penalties.weight_layouts import as_blocks

STEPS = 64
"""The largest dimension of the Krylov space in which the largest singular value is searched for."""

SQUARINGS = 20
"""How often a Gram matrix is squared. Its power 2^20 separates eigenvalues that differ by 1e-5."""


@keras.saving.register_keras_serializable("keras_losses")
class WeightPenalty(keras.regularizers.Regularizer):  # type: ignore[misc]
    """A regularizer of Keras with all the penalties of `regularize`.

        l1 * sum |w| + l2 * sum w^2 + orthogonal * ||W^T W - I||_F^2 + spectral / 2 * sigma(W)^2

    Args:
        l1, l2, orthogonal, spectral: The weights of the penalties, 0 or more.
        layouts: How a weight of a given shape becomes the matrix W, if not all axes but the last are inputs:
            `{"8x2x4": "i8 o2 o4"}`. The letters are i for inputs, o for outputs and g for axes that number
            blocks of W. An axis may be split: `{"3x8": "i3 g2 o4"}`.

    >>> from keras_losses.penalties.weight_penalty import WeightPenalty
    >>> float(WeightPenalty(spectral=1.0)([[3.0, 0.0], [0.0, 2.0]]))  # 3^2 / 2
    4.5
    """

    def __init__(
        self,
        l1: float = 0.0,
        l2: float = 0.0,
        orthogonal: float = 0.0,
        spectral: float = 0.0,
        layouts: Mapping[str, str] | None = None,
    ) -> None:
        self.l1, self.l2, self.orthogonal, self.spectral = l1, l2, orthogonal, spectral
        self.layouts = dict(layouts or {})

    def __call__(self, x: Any) -> Tensor:
        x = ops.convert_to_tensor(x)
        dtype = numerics.compute_dtype(keras.backend.standardize_dtype(x.dtype))
        x, total = ops.cast(x, dtype), ops.zeros((), dtype)
        if self.l1:
            total += self.l1 * ops.sum(numerics.absolute(x))
        if self.l2:
            total += self.l2 * ops.sum(ops.square(x))
        if self.orthogonal or self.spectral:
            blocks = as_blocks(x, self.layouts)
            if self.orthogonal:
                total += self.orthogonal * _distance_from_orthonormal(blocks)
            if self.spectral:
                total += 0.5 * self.spectral * _largest_singular_value_squared(blocks)
        return total

    def get_config(self) -> dict[str, Any]:
        return {
            "l1": self.l1,
            "l2": self.l2,
            "orthogonal": self.orthogonal,
            "spectral": self.spectral,
            "layouts": self.layouts,
        }


def _distance_from_orthonormal(w: Tensor) -> Tensor:
    """Return ||W^T W - I||_F^2, added up over the blocks."""
    gram = _transposed(w) @ w
    return ops.sum(ops.square(gram - ops.eye(w.shape[-1], dtype=w.dtype)))


def _largest_singular_value_squared(w: Tensor) -> Tensor:
    """Return the largest sigma^2 of the blocks: |W v|^2 for the right singular vector v of sigma.

    The gradient in W does not need the derivative of v, because v maximizes |W v|.
    """
    return ops.max(ops.sum(ops.square(w @ _first_right_singular_vector(w)), axis=(1, 2)))


def _first_right_singular_vector(w: Tensor) -> Tensor:
    """Return the right singular vectors `(blocks, n, 1)` of the largest singular values, as constants.

    This is Lanczos' method without restarts: the best vector in the space of v, W^T W v, (W^T W)^2 v ... for
    a fixed v. Power iteration uses only the last of these vectors and needs hundreds of steps for the same
    accuracy. A full decomposition is slow in XLA on processors.
    """
    w = ops.stop_gradient(w)
    w = numerics.divide_no_nan(w, ops.max(ops.absolute(w), axis=(1, 2), keepdims=True))
    steps = min(STEPS, w.shape[-1])
    start = np.random.default_rng(0).normal(size=(1, w.shape[-1], 1))
    start = ops.zeros_like(w[:, :1, :1]) + ops.convert_to_tensor(start, dtype=w.dtype)

    def step(turn: Any, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        basis, v = state
        basis = basis + v * ops.one_hot(turn, steps, dtype=w.dtype)
        return basis, _orthogonal_part(basis, _transposed(w) @ (w @ v))

    basis = ops.zeros_like(start) * ops.zeros((1, 1, steps), dtype=w.dtype)
    basis, _ = ops.fori_loop(0, steps, step, (basis, _unit(_transposed(w) @ (w @ _unit(start)))))
    image = w @ basis
    return ops.stop_gradient(_unit(basis @ _first_eigenvector(_transposed(image) @ image)))


def _orthogonal_part(basis: Tensor, v: Tensor) -> Tensor:
    """Return unit vectors along the part of `v` that is orthogonal to a basis; 0 if it is only rounding."""
    rest = v
    for _ in range(3):
        rest = _unit(rest)
        rest = rest - basis @ (_transposed(basis) @ rest)
    # A vector that is orthogonal after two projections keeps its length in the third.
    squared_length = ops.sum(ops.square(rest), axis=(1, 2), keepdims=True)
    return ops.where(squared_length > 0.5, _unit(rest), ops.zeros_like(rest))


def _first_eigenvector(gram: Tensor) -> Tensor:
    """Return the first eigenvectors `(blocks, n, 1)` of small Gram matrices, not normalized.

    Every column of a high power of the matrix points along the first eigenvector. The longest is the most
    accurate.
    """
    eye = ops.eye(gram.shape[-1], dtype=gram.dtype)
    for _ in range(SQUARINGS):
        gram = numerics.divide_no_nan(gram, ops.sum(gram * eye, axis=(1, 2), keepdims=True))
        gram = gram @ gram
    longest = ops.argmax(ops.sum(gram * eye, axis=-1), axis=-1)
    return gram @ ops.expand_dims(ops.one_hot(longest, gram.shape[-1], dtype=gram.dtype), -1)


def _unit(v: Tensor) -> Tensor:
    """Return vectors of length 1; those of length 0 stay 0."""
    return numerics.divide_no_nan(v, ops.sqrt(ops.sum(ops.square(v), axis=(1, 2), keepdims=True)))


def _transposed(x: Tensor) -> Tensor:
    return ops.transpose(x, (0, 2, 1))
