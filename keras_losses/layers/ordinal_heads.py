"""Last layers for the losses over ordered classes: `CoralDense` and `CumulativeLink`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_losses import numerics
from keras_losses.core import Parameter
from keras_losses.core.saving import PACKAGE
from keras_losses.losses.ordinal import LINKS
from keras_losses.numerics import Tensor

CLASSES = Parameter(within="[2, inf)", integer=True)


@keras.saving.register_keras_serializable(PACKAGE)
class CoralDense(keras.layers.Layer):  # type: ignore[misc]
    """The last layer for `CoralLoss`: one weight vector for all ranks, and a bias for each rank.

        z_k = w x + b_k,   k = 0 .. K-2

    The biases start as numbers that decrease from 1 to 1 / (K - 1), so the ranks start in their order.

    Args:
        num_classes: number of classes K, an integer in [2, inf).
        kernel_initializer, kernel_regularizer: as in `keras.layers.Dense`.

    Shapes: `(..., d)` to `(..., K - 1)`.

    Raises:
        TypeError, ValueError: for an argument outside its range, and inputs whose last axis is unknown.

    Example:

    >>> import keras
    >>> from keras_losses import CoralDense, CoralLoss
    >>> model = keras.Sequential([keras.Input((4,)), CoralDense(num_classes=5)])
    >>> model.compile("adam", loss=CoralLoss(num_classes=5))
    >>> model.count_params()  # 4 and 4
    8

    References:
        - Cao et al. 2019, https://arxiv.org/abs/1901.07884
    """

    def __init__(
        self,
        num_classes: int,
        kernel_initializer: Any = "glorot_uniform",
        kernel_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_classes: int = CLASSES.check("CoralDense", "num_classes", num_classes)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.supports_masking = True

    def build(self, input_shape: Sequence[int | None]) -> None:
        _check_known_width("CoralDense", input_shape)
        self.kernel = self.add_weight(
            name="kernel",
            shape=(input_shape[-1], 1),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
        )
        ranks = self.num_classes - 1
        falling = np.arange(ranks, 0, -1) / ranks
        self.bias = self.add_weight(name="bias", shape=(ranks,), initializer=_constant(falling))

    def call(self, inputs: Tensor) -> Tensor:
        return ops.matmul(inputs, self.kernel) + self.bias

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        return (*input_shape[:-1], self.num_classes - 1)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }


@keras.saving.register_keras_serializable(PACKAGE)
class CumulativeLink(keras.layers.Layer):  # type: ignore[misc]
    """The last layer for `CumulativeLinkLoss`: a score, and cut points between the classes that never cross.

        outputs = [f, c_0, ..., c_{K-2}],   c_0 = first,  c_k = c_{k-1} + softplus(step_k)

    The score is f = w x, or the input itself if it has one feature. To scale a single feature, put a
    `Dense(1)` before this layer. The score and the cut points are separate outputs, so their difference, on
    which the loss depends, keeps its digits. Under mixed precision they are float32.

    Args:
        num_classes: number of classes K, an integer in [2, inf).
        link: `"logit"`, `"probit"` or `"cloglog"`, as in the loss. The cut points start where this link gives
            all classes the same probability at a score of 0.
        cut_points: None, or K - 1 increasing numbers to start from instead.
        kernel_initializer, kernel_regularizer: as in `keras.layers.Dense`.

    Shapes: `(..., d)` to `(..., K)`: the score, then the K - 1 cut points, the same for all samples.

    Raises:
        TypeError, ValueError: for an argument outside its range, cut points that do not increase, and inputs
            whose last axis is unknown.

    Example:

    >>> import keras
    >>> from keras_losses import CumulativeLink, CumulativeLinkLoss
    >>> model = keras.Sequential([keras.Input((4,)), CumulativeLink(num_classes=3, link="probit")])
    >>> model.compile("adam", loss=CumulativeLinkLoss(num_classes=3, link="probit"))
    >>> model.output_shape
    (None, 3)

    References:
        - McCullagh 1980, https://doi.org/10.1111/j.2517-6161.1980.tb01109.x
    """

    def __init__(
        self,
        num_classes: int,
        link: str = "logit",
        cut_points: Sequence[float] | None = None,
        kernel_initializer: Any = "glorot_uniform",
        kernel_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_classes: int = CLASSES.check("CumulativeLink", "num_classes", num_classes)
        self.link: str = Parameter(choices=LINKS).check("CumulativeLink", "link", link)
        self.cut_points = None if cut_points is None else [float(cut) for cut in cut_points]
        starts = np.asarray(
            _link_quantiles(self.num_classes, link) if cut_points is None else self.cut_points
        )
        if starts.shape != (self.num_classes - 1,) or not (np.diff(starts) > 0).all():
            raise ValueError(
                f"`CumulativeLink`: `cut_points` must be {self.num_classes - 1} increasing numbers for "
                f"num_classes={self.num_classes}. Received: cut_points={cut_points!r}. Sort them and remove "
                "doubles, or change num_classes."
            )
        self._starts = starts
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.supports_masking = True

    def build(self, input_shape: Sequence[int | None]) -> None:
        _check_known_width("CumulativeLink", input_shape)
        self.kernel = None
        if input_shape[-1] != 1:
            self.kernel = self.add_weight(
                name="kernel",
                shape=(input_shape[-1], 1),
                initializer=self.kernel_initializer,
                regularizer=self.kernel_regularizer,
            )
        # autocast=False keeps float32 under mixed precision, since near cut points are equal in float16.
        self.first = self.add_weight(
            name="first", shape=(1,), initializer=_constant(self._starts[:1]), autocast=False
        )
        gaps = np.diff(self._starts)
        steps = gaps + np.log(-np.expm1(-gaps))  # whose softplus is the gap
        self.steps = self.add_weight(
            name="steps", shape=(self.num_classes - 2,), initializer=_constant(steps), autocast=False
        )

    def call(self, inputs: Tensor) -> Tensor:
        score = inputs if self.kernel is None else ops.matmul(inputs, self.kernel)
        score = ops.cast(score, self.variable_dtype)
        gaps = numerics.softplus(ops.convert_to_tensor(self.steps))
        cuts = numerics.cumsum(ops.concatenate([ops.convert_to_tensor(self.first), gaps])[None])
        return ops.concatenate([score, ops.zeros_like(score) + cuts], axis=-1)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        return (*input_shape[:-1], self.num_classes)

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=self.variable_dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "link": self.link,
            "cut_points": self.cut_points,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }


def _link_quantiles(classes: int, link: str) -> list[float]:
    """Return the points at which the distribution function of the link is 1/K, 2/K, ..."""
    quantile: dict[str, Callable[[float], float]] = {
        "logit": lambda p: math.log(p / (1 - p)),
        "probit": NormalDist().inv_cdf,
        "cloglog": lambda p: math.log(-math.log1p(-p)),
    }
    return [quantile[link](k / classes) for k in range(1, classes)]


def _constant(values: np.ndarray) -> Callable[..., Tensor]:
    """Return an initializer with these values."""
    return lambda shape, dtype=None: ops.convert_to_tensor(values, dtype=dtype)


def _check_known_width(owner: str, input_shape: Sequence[int | None]) -> None:
    if len(input_shape) < 2 or input_shape[-1] is None:
        raise ValueError(
            f"`{owner}`: the last axis of the inputs must be known, and must not be the batch axis. "
            f"Received: inputs of shape {tuple(input_shape)}. Pass inputs of shape (batch, ..., features)."
        )
