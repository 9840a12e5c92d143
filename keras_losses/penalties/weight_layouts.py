"""How a weight of several axes is read as a matrix, or as the blocks of a block-diagonal matrix."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from keras_losses.numerics import Tensor

Shape = tuple[int, ...]

BLOCK, INPUT, OUTPUT = "g", "i", "o"
"""What an axis of a weight may be: a number of blocks, inputs or outputs of the matrix."""

DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)


@dataclass(frozen=True)
class Axis:
    """An axis of a weight, or a part of an axis that is split."""

    kind: str
    size: int


def written_shape(shape: Sequence[int]) -> str:
    """Return a shape as it is saved: `"8x2x4"`."""
    return "x".join(map(str, shape))


def usual_layout(shape: Shape) -> str:
    """Return the layout in which all axes but the last are inputs."""
    *inputs, outputs = shape
    return _written([*(Axis(INPUT, size) for size in inputs), Axis(OUTPUT, outputs)])


def layout_of(layer: Any, weight: Any) -> str:
    """Return the layout of a layer's weight, such as `"i8 o2 o4"`."""
    shape = tuple(weight.shape)
    is_kernel = weight.name == "kernel"
    if is_kernel and isinstance(layer, keras.layers.EinsumDense):
        return _written(_axes_of_equation(layer.equation, shape))
    if weight.name == "depthwise_kernel" or (is_kernel and isinstance(layer, DEPTHWISE)):
        *inputs, channels, outputs = shape
        return _written(_axes_of_blocks(inputs, channels, outputs))
    if isinstance(layer, CONVOLUTIONS) and layer.groups > 1:
        *inputs, filters = shape
        return _written(_axes_of_blocks(inputs, layer.groups, filters // layer.groups))
    return usual_layout(shape)


def as_blocks(x: Tensor, layouts: Mapping[str, str]) -> Tensor:
    """Return a weight as matrices `(blocks, longer side, shorter side)`.

    Args:
        x: the weight.
        layouts: the layouts of shapes whose layout is not the usual one, by `written_shape`.
    """
    shape = tuple(x.shape)
    axes = _read(layouts.get(written_shape(shape), usual_layout(shape)))
    blocks, inputs, outputs = (
        [place for place, axis in enumerate(axes) if axis.kind == kind] for kind in (BLOCK, INPUT, OUTPUT)
    )
    sizes = [math.prod(axes[place].size for place in places) for places in (blocks, inputs, outputs)]
    x = ops.reshape(x, [axis.size for axis in axes])
    x = ops.reshape(ops.transpose(x, [*blocks, *inputs, *outputs]), sizes)
    _, longer, shorter = sizes
    return x if shorter <= longer else ops.transpose(x, (0, 2, 1))


def _axes_of_equation(equation: str, shape: Shape) -> list[Axis]:
    """Return the axes of the kernel of an `EinsumDense` layer."""
    of_inputs, rest = equation.split(",")
    of_kernel, of_outputs = rest.split("->")
    return [
        Axis(_kind_in_equation(letter, of_inputs, of_outputs), size)
        for letter, size in zip(of_kernel, shape, strict=True)
    ]


def _kind_in_equation(letter: str, of_inputs: str, of_outputs: str) -> str:
    if letter not in of_outputs:
        return INPUT  # the equation sums over it
    return BLOCK if letter in of_inputs else OUTPUT


def _axes_of_blocks(inputs: Sequence[int], blocks: int, outputs: int) -> list[Axis]:
    return [*(Axis(INPUT, size) for size in inputs), Axis(BLOCK, blocks), Axis(OUTPUT, outputs)]


def _written(axes: Sequence[Axis]) -> str:
    return " ".join(f"{axis.kind}{axis.size}" for axis in axes)


def _read(layout: str) -> list[Axis]:
    return [Axis(kind=part[0], size=int(part[1:])) for part in layout.split()]
