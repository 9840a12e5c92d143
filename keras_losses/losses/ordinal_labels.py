"""Soft labels that know the order of the classes, for losses that do not."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Self

import keras
import numpy as np
from keras import ops

from keras_losses.core import Parameter
from keras_losses.core.saving import PACKAGE

CLASSES = Parameter(within="[2, inf)", integer=True)
KINDS = ("sord", "exponential", "binomial")


@keras.saving.register_keras_serializable(PACKAGE)
class OrdinalLabels:
    """Class ids turned into soft labels that know the order of the classes, for losses that do not.

        sord:          y_j = softmax_j(-scale (t - j)^2)
        exponential:   y_j = softmax_j(-scale |t - j|)
        binomial:      y_j = C(K-1, j) p^j (1 - p)^(K-1-j),   p = (2t + 1) / (2K)

    Here t is the class. Under `CrossentropyLoss` or `KLDivergenceLoss`, a neighbour of the right class then
    costs less than a class far away. The model stays an ordinary classifier with a softmax of K outputs,
    whereas `CoralLoss` and its neighbours need outputs of their own.

    Args:
        num_classes: number of classes K, an integer in [2, inf).
        kind: `"sord"`, `"exponential"` or `"binomial"`.
        scale: how fast the label falls off, in (0, inf); unused by `"binomial"`.

    Shapes: ids `(...)`, or a column `(..., 1)` of at least two axes, to `(..., K)` in float32. A NumPy array
    or list gives an array, a tensor gives a tensor. TensorFlow tensors are taken on every backend, as
    `dataset.map(lambda x, y: (x, soften(y)))` needs.

    `labels(y_pred)` are the likeliest classes of a softmax or its logits.

    Raises:
        TypeError, ValueError: for arguments outside their range, and for invalid class ids in arrays.

    Example:

    >>> from keras_losses import CrossentropyLoss, OrdinalLabels
    >>> soften = OrdinalLabels(num_classes=3, kind="binomial")
    >>> soften([0, 1]).round(4)  # 25/36, 10/36, 1/36 and 1/4, 1/2, 1/4
    array([[0.6944, 0.2778, 0.0278],
           [0.25  , 0.5   , 0.25  ]], dtype=float32)
    >>> round(float(CrossentropyLoss(from_logits=True)(soften([0]), [[2.0, 1.0, 0.0]])), 4)
    0.7409

    References:
        - Diaz & Marathe 2019, Soft Labels for Ordinal Regression, https://doi.org/10.1109/CVPR.2019.00487
        - Liu et al. 2020, Unimodal regularized neuron stick-breaking for ordinal classification
          (exponential), https://doi.org/10.1016/j.neucom.2020.01.025
        - Beckham & Pal 2017, Unimodal probability distributions for deep ordinal classification,
          https://arxiv.org/abs/1705.05278
    """

    def __init__(self, num_classes: int, kind: str = "sord", scale: float = 1.0) -> None:
        owner = type(self).__name__
        self.num_classes: int = CLASSES.check(owner, "num_classes", num_classes)
        self.kind: str = Parameter(choices=KINDS).check(owner, "kind", kind)
        self.scale: float = Parameter(within="(0, inf)").check(owner, "scale", scale)
        ranks = np.arange(self.num_classes)
        if kind == "binomial":
            p = (2 * ranks[:, None] + 1) / (2 * self.num_classes)
            ways = np.array([math.lgamma(k + 1) for k in ranks])
            logits = ranks * np.log(p) + ranks[::-1] * np.log1p(-p) - ways - ways[::-1]
        else:
            distance = np.abs(ranks[:, None] - ranks).astype("float64")
            logits = -self.scale * (distance**2 if kind == "sord" else distance)
        rows = np.exp(logits - logits.max(-1, keepdims=True))
        self._rows = (rows / rows.sum(-1, keepdims=True)).astype("float32")

    def __call__(self, y_true: Any) -> Any:
        if type(y_true).__module__.startswith("tensorflow"):
            import tensorflow as tf

            ids = tf.squeeze(y_true, -1) if len(y_true.shape) > 1 and y_true.shape[-1] == 1 else y_true
            return tf.gather(tf.constant(self._rows), tf.cast(ids, "int32"))
        if ops.is_tensor(y_true):
            ids = ops.squeeze(y_true, -1) if len(y_true.shape) > 1 and y_true.shape[-1] == 1 else y_true
            return ops.take(ops.convert_to_tensor(self._rows), ops.cast(ids, "int32"), axis=0)
        ids = np.asarray(y_true)
        wrong = ~((ids >= 0) & (ids < self.num_classes) & (ids == np.floor(ids)))
        if wrong.any():
            raise ValueError(
                f"`OrdinalLabels`: `y_true` must hold integer class ids from 0 to {self.num_classes - 1}. "
                f"Received: {ids[wrong][0]:g}. Correct the labels or num_classes."
            )
        if ids.ndim > 1 and ids.shape[-1] == 1:
            ids = ids[..., 0]
        return self._rows[ids.astype(int)]

    def labels(self, y_pred: Any) -> Any:
        """Return the likeliest class ids `(...)`: a tensor for a tensor, otherwise an array."""
        ids = ops.cast(ops.argmax(ops.convert_to_tensor(y_pred), axis=-1), "int32")
        return ids if ops.is_tensor(y_pred) else ops.convert_to_numpy(ids)

    def get_config(self) -> dict[str, Any]:
        return {"num_classes": self.num_classes, "kind": self.kind, "scale": self.scale}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        return cls(**config)

    def __repr__(self) -> str:
        return f"OrdinalLabels({self.num_classes}, kind={self.kind!r}, scale={self.scale})"
