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

# The smallest positive number of each dtype that survives on every backend. Subnormal numbers of float16
# survive the conversion to float32. XLA flushes those of the wider dtypes to zero.
_SMALLEST = {"float16": 2.0**-24, "bfloat16": 2.0**-126, "float32": 2.0**-126, "float64": 2.0**-1022}


# The steepest gradient that an optimizer can square without overflow. For float16 only the gradient itself is
# finite.
_STEEPEST = {"float16": 2.0**14, "bfloat16": 2.0**63, "float32": 2.0**63, "float64": 2.0**511}

# The gap between 1 and the largest number below it.
GAP_BELOW_ONE = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float32": 2.0**-24, "float64": 2.0**-53}


def crossentropy_of_probability(p: Tensor, dtype: str) -> Crossentropy:
    """Return -log p and 1 - p for probabilities that came in `dtype`."""
    return Crossentropy(negative_log(p, dtype), lambda: 1.0 - p, float(np.log(_steepest(p, dtype))))


def _steepest(p: Tensor, dtype: str) -> float:
    return min(_STEEPEST[dtype], _STEEPEST[keras.backend.standardize_dtype(p.dtype)])


def negative_log(x: Tensor, dtype: str, times: float | Tensor = 1.0) -> Tensor:
    """Return -log x for x in [0, 1] that came in `dtype`, with 0 read as the smallest number of that dtype.

    Near 0 the value is exact, and the gradient is held at the steepest one that the dtype can represent
    (1e19 in float32) after a multiplication by `times`. So it is finite, and a confidently wrong sample still
    learns.
    """
    smallest = max(_SMALLEST[dtype], _SMALLEST[keras.backend.standardize_dtype(x.dtype)])
    slope = _steepest(x, dtype) / _at_least_one(times)
    steady = x >= 1.0 / slope
    log = ops.log(ops.where(steady, x, ops.stop_gradient(maximum(x, smallest))))
    return 0.0 - ops.where(steady, log, ops.stop_gradient(log) + (x - ops.stop_gradient(x)) * slope)


def _at_least_one(times: float | Tensor) -> Any:
    return max(times, 1.0) if is_number(times) else ops.stop_gradient(maximum(times, 1.0))


def negative_log_complement(x: Tensor, dtype: str, times: float | Tensor = 1.0) -> Tensor:
    """Return -log(1 - x) for x in [0, 1] that came in `dtype`, with 1 read as the largest number below 1.

    As in `negative_log`, the gradient is finite after a multiplication by `times`.
    """
    computed = keras.backend.standardize_dtype(x.dtype)
    gap = max(GAP_BELOW_ONE[dtype], GAP_BELOW_ONE[computed])
    reach = _at_least_one(times) / min(_STEEPEST[dtype], _STEEPEST[computed])
    reach = max(gap, reach) if is_number(reach) else maximum(reach, gap)
    steady = x <= 1.0 - reach
    log = ops.log1p(-ops.where(steady, x, ops.stop_gradient(minimum(x, 1.0 - gap))))
    return 0.0 - ops.where(steady, log, ops.stop_gradient(log) - (x - ops.stop_gradient(x)) / reach)
