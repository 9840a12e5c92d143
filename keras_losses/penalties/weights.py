"""Penalties on the weights of a model that is already built: small, sparse, orthogonal, of bounded gain."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_losses import numerics
from keras_losses.core import Parameter
from keras_losses.penalties.weight_layouts import DEPTHWISE, Shape, layout_of, usual_layout, written_shape
from keras_losses.penalties.weight_penalty import WeightPenalty
from keras_losses.penalties.weight_search import FoundWeight, Layers, weights_called

_WEIGHT = Parameter(within="[0, inf)")
"""The declaration of the weight of a penalty."""


def regularize(
    model: keras.Model,
    l1: float = 0.0,
    l2: float = 0.0,
    orthogonal: float = 0.0,
    spectral: float = 0.0,
    where: str = "kernel",
    layers: str | type | Sequence[str | type] | None = None,
) -> list[str]:
    """Add penalties on the weights of a model that is already built, pretrained or not.

        loss = ... + l1 * sum |w| + l2 * sum w^2 + orthogonal * ||W^T W - I||_F^2 + spectral / 2 * sigma(W)^2

    over each weight called `where`. W is the weight as a matrix `(inputs, outputs)`; sigma is its largest
    singular value, the largest factor by which the layer stretches an input. Only the shorter side of a
    matrix can be orthonormal, so W W^T replaces W^T W if there are fewer inputs than outputs.

    The penalties are trained, are in `model.losses`, are logged as `regularization` by a `LossAwareModel`,
    and are saved and loaded with the model. In Keras, setting `layer.kernel_regularizer` on a built layer has
    no effect. Existing penalties of a weight are replaced; `regularize(model)` without penalties removes
    them. Weights in half precision are penalized in float32.

    The matrix of a weight:

    - `Dense`, `Embedding` and recurrent kernels are matrices `(inputs, units)`, with all gates side by side.
    - Convolutions: all axes but the filters are inputs. A transposed convolution is read as the convolution
      of which it is the transpose. With `groups`, and in depthwise convolutions, each group or channel is a
      block of a block-diagonal W: the orthogonality of the blocks is added up, and sigma is the largest of
      the blocks.
    - `EinsumDense`, and therefore `MultiHeadAttention`: the axes that the equation sums over are inputs, and
      axes of the output alone are outputs. Axes of both inputs and output number blocks.
    - Other weights, as in custom layers: all axes but the last are inputs.

    Keras's `OrthogonalRegularizer` takes matrices only and penalizes the mean |cosine| between rows, which
    does not pull their length towards 1. Keras's `SpectralNormalization` divides by sigma; this penalty makes
    sigma small.

    Args:
        model: A built model, `Sequential` or functional, with nested models and layers. If it is part of
            another model that is compiled, compile that model again.
        l1, l2: The weights of the sums of absolute values and of squares, 0 or more.
        orthogonal: The weight of the distance from orthonormal columns, or rows, 0 or more.
        spectral: The weight of half the squared largest singular value, 0 or more. Its gradient is exact;
            second derivatives through it are not.
        where: The name of the weights: `"kernel"` (which includes recurrent and depthwise kernels), `"bias"`,
            `"embeddings"`, `"gamma"` ...
        layers: Which layers: a pattern of names such as `"encoder_*"`, a class of layers, or a list of these.
            A pattern is compared with the name of each layer, the names of the layers around it, and its
            path, such as `"encoder_1/dense"`. None selects all layers.

    Returns:
        The paths of the selected weights, which now have the penalties.

    Raises:
        TypeError: If `model` is not a model, or `layers` are neither names nor classes.
        ValueError: If a penalty is below 0, if the model is not built, if no layer or weight has the name, or
            if `orthogonal` or `spectral` is given for weights with one axis.

    Penalties are saved by the configs of the layers. A custom model or layer that constructs its parts anew
    when it is loaded loses their penalties. They are trained, and a warning says that they are not saved.

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
    given = {"l1": l1, "l2": l2, "orthogonal": orthogonal, "spectral": spectral}
    factors = {name: _WEIGHT.check("regularize", name, value) for name, value in given.items()}
    if not model.built:
        raise ValueError(
            "`regularize`: `model` must be built. Received: a model without weights. Build it, or call it on "
            "a batch, first."
        )
    found = weights_called(model, where, layers)
    needs_matrices = bool(factors["orthogonal"] or factors["spectral"])
    if needs_matrices:
        _check_matrices(found, where)

    not_saved = []
    for weight in found:
        layouts = _layouts_saved_with(weight, found) if needs_matrices else {}
        penalty = _penalty(weight, factors, layouts)
        weight.variable.regularizer = penalty
        saved = [_save_in_layers(chain, weight.variable.name, penalty) for chain in weight.chains]
        ambiguous = needs_matrices and _is_ambiguous(weight, found)
        if penalty is not None and (not any(saved) or ambiguous):
            not_saved.append(weight.variable.path)
    if not_saved:
        warnings.warn(
            f"`regularize`: the penalties on {', '.join(not_saved)} are trained but not saved with the "
            "model, because the layers do not have them in their configs. Call regularize again after the "
            "model is loaded.",
            stacklevel=2,
        )
    # Keras collects the losses of weights when it traces a step.
    if model.compiled:
        model.train_function = model.test_function = None
    return [weight.variable.path for weight in found]


def _check_matrices(found: Sequence[FoundWeight], where: str) -> None:
    for weight in found:
        shape = tuple(weight.variable.shape)
        if len(shape) < 2:
            raise ValueError(
                "`regularize`: `orthogonal` and `spectral` need weights of at least two axes. Received: "
                f"where={where!r}, which selects {weight.variable.path} of shape {shape}."
            )


def _penalty(weight: FoundWeight, factors: Mapping[str, float], layouts: Mapping[str, str]) -> Any:
    """Return the regularizer of a weight: one of Keras if it has the penalties; None without penalties."""
    if not any(factors.values()):
        return None
    dtype = weight.variable.dtype
    is_half_precision = numerics.compute_dtype(dtype) != dtype
    if factors["orthogonal"] or factors["spectral"] or is_half_precision:
        return WeightPenalty(**factors, layouts=layouts)
    return keras.regularizers.L1L2(l1=factors["l1"], l2=factors["l2"])


# Layouts ----------------------------------------------------------------------------------------------


def _layouts_saved_with(weight: FoundWeight, found: Sequence[FoundWeight]) -> dict[str, str]:
    """Return the layouts, other than usual ones, that the regularizer of a weight has to know, by shape.

    A layer made of several parts may give its one regularizer to each of them when it is loaded. The
    regularizer therefore knows the layouts of all weights that are saved with the same layer.
    """
    layouts = {shape: min(several) for shape, several in _layouts_by_shape(weight, found).items()}
    layouts[tuple(weight.variable.shape)] = layout_of(weight.layer, weight.variable)
    return {
        written_shape(shape): layout for shape, layout in layouts.items() if layout != usual_layout(shape)
    }


def _is_ambiguous(weight: FoundWeight, found: Sequence[FoundWeight]) -> bool:
    """Return whether a weight of the same shape, saved with the same layer, has another layout."""
    return len(_layouts_by_shape(weight, found)[tuple(weight.variable.shape)]) > 1


def _layouts_by_shape(weight: FoundWeight, found: Sequence[FoundWeight]) -> dict[Shape, set[str]]:
    """Return the layouts of all weights that are saved with the same layer, by the shape of the weight."""
    layouts: dict[Shape, set[str]] = {}
    for other in found:
        if other.saved_with is weight.saved_with:
            shape = tuple(other.variable.shape)
            layouts.setdefault(shape, set()).add(layout_of(other.layer, other.variable))
    return layouts


# Saving -----------------------------------------------------------------------------------------------


def _save_in_layers(chain: Layers, weight: str, penalty: Any) -> bool:
    """Set the arguments of layers from which their configs are made; return whether one config has it.

    Args:
        chain: the layers from the outermost one that is saved down to the one with the weight.
        weight: the name of the weight.
        penalty: the regularizer, or None.
    """
    arguments = [(layer, name) for layer in chain for name in _regularizer_arguments(layer, weight)]
    before, after = _config_with(None, chain, arguments), _config_with(penalty, chain, arguments)
    # A layer of Keras may save one of its parts for two, so its config does not show the change. Whether a
    # custom layer saves it can only be seen in its config.
    all_of_keras = all(type(layer).__module__.startswith("keras.") for layer in chain)
    return bool(arguments) and (all_of_keras or before != after)


def _regularizer_arguments(layer: Any, weight: str) -> list[str]:
    """Return the attributes of a layer that may hold the regularizer of a weight."""
    names = [
        f"{weight}_regularizer",
        f"_{weight}_regularizer",
        f"{weight.removesuffix('_kernel')}_regularizer",
    ]
    if isinstance(layer, DEPTHWISE):
        names.append("depthwise_regularizer")
    return [name for name in names if hasattr(layer, name)]


def _config_with(penalty: Any, chain: Layers, arguments: Sequence[tuple[Any, str]]) -> Any:
    """Set the arguments, and return the config of the outermost layer; None if it has no config."""
    for layer, name in arguments:
        # The regularizer of a recurrent layer is a read-only view of its cell's; the cell is in the chain.
        with contextlib.suppress(AttributeError):
            setattr(layer, name, penalty)
    with contextlib.suppress(NotImplementedError):
        return chain[0].get_config()
    return None
