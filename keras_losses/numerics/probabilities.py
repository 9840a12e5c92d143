"""Logarithms of probabilities in [0, 1], both ends included."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_losses.numerics.arrays import maximum, minimum
from keras_losses.numerics.crossentropy import Crossentropy
from keras_losses.numerics.derivatives import Tensor
from keras_losses.numerics.scalars import is_number

# For each dtype the smallest positive number that survives every backend, and the gap below 1. float16
# reaches far below its smallest normal number, and its subnormals survive the way to float32; those of the
# wider dtypes are flushed to zero by XLA.
_SMALLEST = {"float16": 2.0**-24, "bfloat16": 2.0**-126, "float32": 2.0**-126, "float64": 2.0**-1022}


# The steepest gradient whose square, for an optimizer that squares it, is finite; for float16 just one that
# is finite itself.
_STEEPEST = {"float16": 2.0**14, "bfloat16": 2.0**63, "float32": 2.0**63, "float64": 2.0**511}


GAP_BELOW_ONE = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float32": 2.0**-24, "float64": 2.0**-53}


def crossentropy_of_probability(p: Tensor, dtype: str) -> Crossentropy:
    """Of probabilities that came in `dtype`."""
    return Crossentropy(negative_log(p, dtype), lambda: 1.0 - p, float(np.log(_steepest(p, dtype))))


def _steepest(p: Tensor, dtype: str) -> float:
    return min(_STEEPEST[dtype], _STEEPEST[keras.backend.standardize_dtype(p.dtype)])


def negative_log(x: Tensor, dtype: str, times: float | Tensor = 1.0) -> Tensor:
    """-log x for x in [0, 1] that came in `dtype`: 0 stands for the smallest number of that dtype.

    Near 0 the value is exact and the gradient stays at the steepest that the dtype can bear (1e19 in
    float32), with what it will be multiplied by, `matmul`: it is finite, and a confidently wrong sample
    still learns.
    """
    smallest = max(_SMALLEST[dtype], _SMALLEST[keras.backend.standardize_dtype(x.dtype)])
    slope = _steepest(x, dtype) / _at_least_one(times)
    steady = x >= 1.0 / slope
    log = ops.log(ops.where(steady, x, ops.stop_gradient(maximum(x, smallest))))
    return 0.0 - ops.where(steady, log, ops.stop_gradient(log) + (x - ops.stop_gradient(x)) * slope)


def _at_least_one(times: float | Tensor) -> Any:
    return max(times, 1.0) if is_number(times) else ops.stop_gradient(maximum(times, 1.0))


def negative_log_complement(x: Tensor, dtype: str, times: float | Tensor = 1.0) -> Tensor:
    """-log(1 - x) for x in [0, 1] that came in `dtype`: 1 stands for the largest number below 1.

    As with `negative_log`, the gradient bears being multiplied by `matmul`.
    """
    computed = keras.backend.standardize_dtype(x.dtype)
    gap = max(GAP_BELOW_ONE[dtype], GAP_BELOW_ONE[computed])
    reach = _at_least_one(times) / min(_STEEPEST[dtype], _STEEPEST[computed])
    reach = max(gap, reach) if is_number(reach) else maximum(reach, gap)
    steady = x <= 1.0 - reach
    log = ops.log1p(-ops.where(steady, x, ops.stop_gradient(minimum(x, 1.0 - gap))))
    return 0.0 - ops.where(steady, log, ops.stop_gradient(log) - (x - ops.stop_gradient(x)) / reach)
