"""Penalties on the weights of a model that is already built: small, sparse, orthogonal, of bounded gain."""

from __future__ import annotations

import contextlib
import fnmatch
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_losses import keras_private, numerics
from keras_losses.core import Parameter
from keras_losses.numerics import Tensor

Shape = tuple[int, ...]


def regularize(
    model: keras.Model,
    l1: float = 0.0,
    l2: float = 0.0,
    orthogonal: float = 0.0,
    spectral: float = 0.0,
    where: str = "kernel",
    layers: str | type | Sequence[str | type] | None = None,
) -> list[str]:
    """Puts penalties on the weights of a model that is already built, pretrained or not.

        loss = ... + l1 * sum |w| + l2 * sum w^2 + orthogonal * ||W^T W - I||_F^2 + spectral / 2 * sigma(W)^2

    over each weight called `where`. W is the weight as a matrix `(inputs, outputs)`, of which W W^T is taken
    where it has fewer inputs than outputs, since only the shorter side can be orthonormal; sigma is its
    largest singular value, the most that the layer can stretch an input.

    The penalties train, show in `model.losses`, are the `regularization` of `LossAwareModel`'s logs, and are
    saved and loaded with the model. Setting `layer.kernel_regularizer` after a layer is built does nothing
    in Keras. The penalties that a weight already had are replaced; `regularize(model)` takes those of the
    weights that it would find off again. Weights of half precision are penalised in float32.

    The matrix of a weight:

    - `Dense`, `Embedding` and recurrent kernels are matrices: `(inputs, units)`, all gates side by side.
    - Convolutions: everything but the filters are inputs. Transposed ones are those whose transpose they
      are. With `groups`, and in depthwise ones, each group or channel is a block of a block-diagonal W: the
      orthogonality of the blocks adds up, and sigma is that of the largest.
    - `EinsumDense`, and so `MultiHeadAttention`: the axes that the equation sums over are inputs, those that
      it leaves in the output are outputs; axes of both number blocks.
    - Other weights, of layers of your own: everything but the last axis are inputs.

    Keras's `OrthogonalRegularizer` takes matrices alone, the mean of |cosine| between its rows, and has no
    pull towards length 1. Keras's `SpectralNormalization` divides by sigma, where this makes it small.

    Args:
        model: a built model, `Sequential` or functional, with nested models and layers. If it is part of
            another one that is compiled, compile that again.
        l1, l2: the weights of the sums of sizes and squares, 0 or more.
        orthogonal: the weight of the distance from orthonormal columns, or rows, 0 or more.
        spectral: the weight of half the squared largest singular value, 0 or more. Its gradient is exact;
            second derivatives through it are not.
        where: the name of the weights: `"kernel"` (those of recurrent and depthwise layers are kernels
            too), `"bias"`, `"embeddings"`, `"gamma"` ...
        layers: which layers: a pattern of names such as `"encoder_*"`, a class of layers, or a list of
            them. It is held against the name of each layer, of those that it is inside of, and their path,
            `"encoder_1/dense"`. All layers by default.

    Returns:
        The paths of the weights that were found, and that now have the penalties.

    Raises:
        TypeError: for a model that is none, and layers that are neither names nor classes.
        ValueError: for penalties below 0, a model that is not built, names that no layer or weight has, and
            `orthogonal` or `spectral` of weights with one axis.

    What a layer keeps in its config is saved. A model or layer of your own that makes its parts anew when it
    is loaded forgets their penalties: they train, and a warning says that they are not saved.

    Example:

    >>> import keras
    >>> from keras_losses import regularize
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, kernel_initializer="ones")])
    >>> len(regularize(model, l2=0.5))
    1
    >>> float(model.losses[0])  # 0.5 * (1^2 + 1^2)
    1.0
    >>> paths = regularize(model, orthogonal=0.5, layers=keras.layers.Dense)
    >>> float(model.losses[0])  # 0.5 * (1^2 + 1^2 - 1)^2
    0.5

    References:
        - Hoerl & Kennard 1970 (L2); Tibshirani 1996 (L1)
        - Brock et al. 2017, Neural Photo Editing with Introspective Adversarial Networks,
          https://arxiv.org/abs/1609.07093; Bansal et al. 2018, Can We Gain More from Orthogonality
          Regularizations in Training Deep CNNs?, https://arxiv.org/abs/1810.09102 (orthogonality)
        - Yoshida & Miyato 2017, Spectral Norm Regularization for Improving the Generalizability of Deep
          Learning, https://arxiv.org/abs/1705.10941 (sigma)
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"`regularize`: `model` must be a keras.Model. Received: {type(model).__name__}.")
    number = Parameter(within="[0, inf)")
    given = {"l1": l1, "l2": l2, "orthogonal": orthogonal, "spectral": spectral}
    given = {name: number.check("regularize", name, value) for name, value in given.items()}
    if not model.built:
        raise ValueError("`regularize`: `model` has no weights yet. Build it, or call it on a batch, first.")
    found = _found(model, where, layers)
    of_matrices = bool(given["orthogonal"] or given["spectral"])
    flat = [weight for weight, _ in found if len(weight.shape) < 2]
    if of_matrices and flat:
        raise ValueError(
            "`regularize`: `orthogonal` and `spectral` are penalties of matrices, not of weights of one "
            f"axis. Received: where={where!r}, which {flat[0].path} of shape {tuple(flat[0].shape)} "
            "is called."
        )

    forgotten = []
    for weight, chains in found:
        layouts, ambiguous = _layouts(found, weight, chains[0]) if of_matrices else ({}, False)
        penalty = _penalty(weight, given, layouts)
        weight.regularizer = penalty
        remembered = [_remember(chain, weight.name, penalty) for chain in chains]
        if penalty is not None and (not any(remembered) or ambiguous):
            forgotten.append(weight.path)
    if forgotten:
        warnings.warn(
            f"`regularize`: the penalty trains, but is not saved with the model for {', '.join(forgotten)}, "
            "whose layers do not keep it in their config. Call regularize again after loading the model.",
            stacklevel=2,
        )
    # The losses of the weights are collected when a step is traced.
    if model.compiled:
        model.train_function = model.test_function = None
    return [weight.path for weight, _ in found]


# The penalty ------------------------------------------------------------------------------------------

STEPS = 64
"""The dimension of the space in which the largest singular value is looked for."""


@keras.saving.register_keras_serializable("keras_losses")
class WeightPenalty(keras.regularizers.Regularizer):  # type: ignore[misc]
    """What `regularize` puts on a weight, as one of Keras's regularizers.

        l1 * sum |w| + l2 * sum w^2 + orthogonal * ||W^T W - I||_F^2 + spectral / 2 * sigma(W)^2

    Args:
        l1, l2, orthogonal, spectral: the weights of the penalties, 0 or more.
        layouts: how a weight of a shape becomes the matrix W, where not all axes but the last are inputs:
            `{"8x2x4": "i8 o2 o4"}`, an i for inputs, o for outputs, g for what numbers blocks of W. An axis
            may be taken apart: `{"3x8": "i3 g2 o4"}`.

    >>> from keras_losses.penalties.weights import WeightPenalty
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
            blocks = self._blocks(x)
            if self.orthogonal:
                total += self.orthogonal * _distance_from_orthonormal(blocks)
            if self.spectral:
                total += 0.5 * self.spectral * _largest_singular_value_squared(blocks)
        return total

    def get_config(self) -> dict[str, Any]:
        names = ("l1", "l2", "orthogonal", "spectral", "layouts")
        return {name: getattr(self, name) for name in names}

    def _blocks(self, x: Tensor) -> Tensor:
        """The weight as matrices, `(blocks, longer side, shorter side)`."""
        shape = tuple(x.shape)
        layout = self.layouts.get(_written(shape), _usual_layout(shape)).split()
        kinds, sizes = [part[0] for part in layout], [int(part[1:]) for part in layout]
        order = [place for kind in "gio" for place in range(len(kinds)) if kinds[place] == kind]
        blocks, inputs, outputs = (
            math.prod(size for size, own in zip(sizes, kinds, strict=True) if own == kind) for kind in "gio"
        )
        x = ops.reshape(ops.transpose(ops.reshape(x, sizes), order), (blocks, inputs, outputs))
        return x if outputs <= inputs else _transposed(x)


def _distance_from_orthonormal(w: Tensor) -> Tensor:
    gram = _transposed(w) @ w
    return ops.sum(ops.square(gram - ops.eye(w.shape[-1], dtype=w.dtype)))


def _largest_singular_value_squared(w: Tensor) -> Tensor:
    """sigma^2 = |W v|^2 for the unit vector v that W stretches most, whose gradient W does not need."""
    return ops.max(ops.sum(ops.square(w @ _most_stretched(w)), axis=(1, 2)))


def _most_stretched(w: Tensor) -> Tensor:
    """The unit vectors `(blocks, n, 1)` that matrices `(blocks, m, n)` stretch most, held constant.

    Lanczos' method, without state: the best vector of the space of v, W^T W v, (W^T W)^2 v ... for a fixed
    v. Power iteration, which only looks at the last of these, needs hundreds of steps for as many digits, and
    XLA is slow at decompositions on processors.
    """
    w = ops.stop_gradient(w)
    w = numerics.divide_no_nan(w, ops.max(ops.absolute(w), axis=(1, 2), keepdims=True))
    steps = min(STEPS, w.shape[-1])
    start = np.random.default_rng(0).normal(size=(1, w.shape[-1], 1))
    start = ops.zeros_like(w[:, :1, :1]) + ops.convert_to_tensor(start, dtype=w.dtype)

    def step(turn: Any, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        basis, v = state
        basis = basis + v * ops.one_hot(turn, steps, dtype=w.dtype)
        return basis, _outside(basis, _transposed(w) @ (w @ v))

    basis = ops.zeros_like(start) * ops.zeros((1, 1, steps), dtype=w.dtype)
    basis, _ = ops.fori_loop(0, steps, step, (basis, _unit(_transposed(w) @ (w @ _unit(start)))))
    image = w @ basis
    return ops.stop_gradient(_unit(basis @ _first_eigenvector(_transposed(image) @ image)))


def _outside(basis: Tensor, v: Tensor) -> Tensor:
    """The part of vectors that is orthogonal to a basis, of length 1, or 0 where that is rounding alone."""
    rest = v
    for _ in range(3):
        rest = _unit(rest)
        rest = rest - basis @ (_transposed(basis) @ rest)
    # What is orthogonal already loses nothing the third time.
    length = ops.sum(ops.square(rest), axis=(1, 2), keepdims=True)
    return ops.where(length > 0.5, _unit(rest), ops.zeros_like(rest))


def _first_eigenvector(gram: Tensor) -> Tensor:
    """That of small matrices, `(blocks, n, 1)`: a column of their power 2^20, the longest."""
    eye = ops.eye(gram.shape[-1], dtype=gram.dtype)
    for _ in range(20):
        gram = numerics.divide_no_nan(gram, ops.sum(gram * eye, axis=(1, 2), keepdims=True))
        gram = gram @ gram
    longest = ops.argmax(ops.sum(gram * eye, axis=-1), axis=-1)
    return gram @ ops.expand_dims(ops.one_hot(longest, gram.shape[-1], dtype=gram.dtype), -1)


def _unit(v: Tensor) -> Tensor:
    return numerics.divide_no_nan(v, ops.sqrt(ops.sum(ops.square(v), axis=(1, 2), keepdims=True)))


def _transposed(x: Tensor) -> Tensor:
    return ops.transpose(x, (0, 2, 1))


# Matrices of weights ----------------------------------------------------------------------------------

Found = list[tuple[Any, list[list[Any]]]]
"""Weights, each with the chains of layers that have it."""


def _penalty(weight: Any, given: Mapping[str, float], layouts: Mapping[str, str]) -> Any:
    if not any(given.values()):
        return None
    half = numerics.compute_dtype(weight.dtype) != weight.dtype
    if given["orthogonal"] or given["spectral"] or half:
        return WeightPenalty(**given, layouts=layouts)
    return keras.regularizers.L1L2(l1=given["l1"], l2=given["l2"])


def _layouts(found: Found, weight: Any, chain: list[Any]) -> tuple[dict[str, str], bool]:
    """The layouts that the penalty of a weight has to know, and whether those of one shape differ.

    A layer made of several may give its one regularizer to each of them when it is loaded.
    """
    kin: dict[Shape, set[str]] = {}
    for other, chains in found:
        if chains[0][0] is chain[0]:
            kin.setdefault(tuple(other.shape), set()).add(_layout(chains[0][-1], other))
    own = {shape: min(layouts) for shape, layouts in kin.items()}
    own[tuple(weight.shape)] = _layout(chain[-1], weight)
    unusual = {_written(shape): layout for shape, layout in own.items() if layout != _usual_layout(shape)}
    return unusual, len(kin[tuple(weight.shape)]) > 1


def _layout(layer: Any, weight: Any) -> str:
    """How the axes of a weight make a matrix, each with its size: inputs, outputs, or a number of blocks."""
    *inputs, last = shape = tuple(weight.shape)
    if isinstance(layer, keras.layers.EinsumDense) and weight.name == "kernel":
        of_inputs, rest = layer.equation.split(",")
        of_kernel, of_outputs = rest.split("->")
        kinds = ["go"[a not in of_inputs] if a in of_outputs else "i" for a in of_kernel]
        return _with_sizes(kinds, shape)
    if weight.name == "depthwise_kernel" or (weight.name == "kernel" and isinstance(layer, DEPTHWISE)):
        return _with_sizes([*"i" * (len(shape) - 2), "g", "o"], shape)
    if isinstance(layer, CONVOLUTIONS) and layer.groups > 1:
        return _with_sizes([*"i" * len(inputs), "g", "o"], (*inputs, layer.groups, last // layer.groups))
    return _usual_layout(shape)


DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)


def _usual_layout(shape: Shape) -> str:
    return _with_sizes([*"i" * (len(shape) - 1), "o"], shape)


def _with_sizes(kinds: Sequence[str], sizes: Shape) -> str:
    return " ".join(f"{kind}{size}" for kind, size in zip(kinds, sizes, strict=True))


def _written(shape: Shape) -> str:
    return "x".join(map(str, shape))


# Layers -----------------------------------------------------------------------------------------------

OF_SEVERAL = (
    keras.layers.Bidirectional,
    keras.layers.MultiHeadAttention,
    keras.layers.GroupQueryAttention,
)
"""Layers that save one regularizer for several of their parts, which are therefore taken together."""


def _found(model: Any, where: str, layers: Any) -> Found:
    """The weights that are meant, each with the chains of layers that have it."""
    patterns = _patterns(layers)
    lines = list(_lines(model, [], []))
    matches = {turn: [_matches(line, pattern) for line, _ in lines] for turn, pattern in enumerate(patterns)}
    for turn, found in matches.items():
        if not any(found):
            paths = ["/".join(layer.name for layer in line) for line, _ in lines if line]
            raise ValueError(
                f"`regularize`: no layer is called {patterns[turn]!r}, or is one. Received: "
                f"layers={layers!r}. The model has: {', '.join(dict.fromkeys(paths))}."
            )
    meant = [chain for place, (_, chain) in enumerate(lines) if _meant(matches, place)]
    holders: dict[int, tuple[Any, list[list[Any]]]] = {}
    for chain in meant:
        for weight in _weights(chain[-1], where):
            holders.setdefault(id(weight), (weight, []))[1].append(chain)
    if not holders:
        names = ", ".join(sorted({weight.name for chain in meant for weight in chain[-1].trainable_weights}))
        of = "The model has" if layers is None else f"Those of layers={layers!r} are"
        raise ValueError(f"`regularize`: no weight is called {where!r}. {of}: {names}.")
    return list(holders.values())


def _patterns(layers: Any) -> list[Any]:
    patterns = [layers] if isinstance(layers, str | type) else layers
    if patterns is None:
        return []
    if not isinstance(patterns, Sequence) or not all(isinstance(each, str | type) for each in patterns):
        raise TypeError(
            "`regularize`: `layers` must be a pattern of names, a class of layers, or a list of them. "
            f"Received: layers={layers!r}. For one layer give its name."
        )
    if not patterns:
        raise ValueError(f"`regularize`: `layers` is empty; None means all. Received: layers={layers!r}.")
    return list(patterns)


def _meant(matches: Mapping[int, list[bool]], place: int) -> bool:
    return not matches or any(found[place] for found in matches.values())


def _matches(line: list[Any], pattern: str | type) -> bool:
    """Whether a layer, or one that it is inside of, has such a name or path, or is of that class."""
    together = [
        part
        for layer in line
        if isinstance(layer, OF_SEVERAL)
        for part in keras_private.layers_inside(layer, include_self=True)
    ]
    if isinstance(pattern, type):
        return any(isinstance(layer, pattern) for layer in (*line, *together))
    names = [layer.name for layer in line]
    paths = ["/".join(names[: end + 1]) for end in range(len(names))]
    found = (*names, *paths, *(layer.name for layer in together))
    return any(fnmatch.fnmatchcase(name, pattern) for name in found)


def _lines(layer: Any, line: list[Any], owners: list[Any]) -> Iterator[tuple[list[Any], list[Any]]]:
    """For every layer the line of layers down to it, and the chain of those from the outermost one saved.

    What makes its parts anew when it is loaded does so with those inside a model that saves its own.
    """
    chain = [*owners, layer]
    yield line, chain
    starts_anew = not owners and _saves_its_layers(layer)
    for part in _parts(layer):
        yield from _lines(part, [*line, part], [] if starts_anew else chain)


def _parts(layer: Any) -> list[Any]:
    return keras_private.layers_inside(layer, recursive=False)


def _weights(layer: Any, where: str) -> list[Any]:
    mine = [value for value in vars(layer).values() if isinstance(value, keras.Variable)]
    return [w for w in mine if w.name == where or w.name.endswith(f"_{where}")]


def _remember(chain: list[Any], weight: str, penalty: Any) -> bool:
    """Sets the layers' own arguments, which their configs save; returns whether one does."""
    holders = [(layer, name) for layer in chain for name in _arguments(layer, weight)]
    before, after = _config_with(None, chain, holders), _config_with(penalty, chain, holders)
    # Keras's wrappers may save one of their parts for two; of others it is seen in the config.
    ours_to_trust = all(type(layer).__module__.startswith("keras.") for layer in chain)
    return bool(holders) and (ours_to_trust or before != after)


def _arguments(layer: Any, weight: str) -> list[str]:
    names = [
        f"{weight}_regularizer",
        f"_{weight}_regularizer",
        f"{weight.removesuffix('_kernel')}_regularizer",
    ]
    if isinstance(layer, keras.layers.DepthwiseConv1D | keras.layers.DepthwiseConv2D):
        names.append("depthwise_regularizer")
    return [name for name in names if hasattr(layer, name)]


def _config_with(penalty: Any, chain: list[Any], holders: list[tuple[Any, str]]) -> Any:
    for layer, name in holders:
        # A recurrent layer only shows its cell's regularizer; the cell is in the chain as well.
        with contextlib.suppress(AttributeError):
            setattr(layer, name, penalty)
    with contextlib.suppress(NotImplementedError):
        return chain[0].get_config()
    return None


def _saves_its_layers(layer: Any) -> bool:
    if not isinstance(layer, keras.Model):
        return False
    with contextlib.suppress(NotImplementedError):
        return isinstance(layer, keras.Sequential) or "layers" in layer.get_config()
    return False
