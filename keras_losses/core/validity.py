"""NaN for invalid labels and predictions in compiled steps, which cannot raise an error.

docs/decisions/0038-invalid-labels.md explains the policy.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from keras_losses import numerics
from keras_losses.numerics import Tensor


def nan_unless(valid: Tensor, x: Tensor) -> Tensor:
    """Return x, with NaN where `valid` is False."""
    return ops.where(valid, x, numerics.full_like(x, np.nan))


def between(x: Tensor, low: float, high: float) -> Tensor:
    """Return where x is in [low, high]; NaN is not."""
    return ops.logical_and(x >= low, x <= high)


def nan_outside(x: Tensor, low: float, high: float) -> Tensor:
    """Return x, with NaN outside of [low, high] unless that takes another pass over memory."""
    return nan_unless(between(x, low, high), x) if fuses_elementwise(x) else x


def fuses_elementwise(x: Tensor) -> bool:
    """Return whether elementwise operations on x take no pass over memory, because a compiler fuses them.

    TensorFlow without XLA runs each operation as a pass. In eager mode speed is not the point.
    """
    if keras.backend.backend() != "tensorflow":
        return True
    return numerics.is_concrete(x) or numerics.compiled_by_tensorflow()
