"""Losses of the residual r = y - f from squared to absolute error."""

from __future__ import annotations

from keras import ops

from keras_losses import numerics
from keras_losses.core import Card, ElementwiseLoss, Identity, parameter
from keras_losses.numerics import Tensor


class SquaredErrorLoss(ElementwiseLoss):
    """Squared error, for predicting the mean of the targets.

        loss = mean over the last axis of r^2

    Keras's `MeanSquaredError` broadcasts: for shapes `(n,)` and `(n, n)` it returns a number, and this loss
    raises an error.

    Args:
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., outputs)`, or `(...)` for one output. With `reduction="none"` the
    result is `(...)`.

    Raises:
        ValueError: if the shapes differ.

    Example:

    >>> import numpy as np
    >>> from keras_losses import SquaredErrorLoss
    >>> float(SquaredErrorLoss()(np.array([[1.0, 2.0]]), np.array([[1.0, 5.0]])))  # (0 + 3^2) / 2
    4.5

    References:
        - Legendre 1805; Gauss 1809
    """

    card = Card(
        family="regression",
        formula="r^2",
        paper="Legendre 1805; Gauss 1809",
        labels="real numbers",
        predictions="real numbers",
        use="targets with roughly Gaussian errors, where the mean is wanted",
        avoid="targets with outliers: one of them can outweigh all other targets",
        elicits="mean",
        gradient_bound="unbounded: 2 |r|",
    )

    def elementwise(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return ops.square(y_true - y_pred)


class AbsoluteErrorLoss(ElementwiseLoss):
    """Absolute error, for predicting the median of the targets.

        loss = mean over the last axis of |r|

    Every target pulls with the same force, however far away it is. `HuberLoss` and `SmoothL1Loss` are smooth
    at r = 0, where the gradient of this loss jumps from -1 to 1 and is itself 0.

    Args:
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., outputs)`, or `(...)` for one output. With `reduction="none"` the
    result is `(...)`.

    Raises:
        ValueError: if the shapes differ.

    Example:

    >>> import numpy as np
    >>> from keras_losses import AbsoluteErrorLoss
    >>> float(AbsoluteErrorLoss()(np.array([[1.0, 2.0]]), np.array([[1.0, 5.0]])))  # (0 + 3) / 2
    1.5

    References:
        - Laplace 1774
    """

    card = Card(
        family="regression",
        formula="|r|",
        paper="Laplace 1774",
        labels="real numbers",
        predictions="real numbers",
        use="targets whose median is wanted, or whose outliers must not count more than other targets",
        avoid="convergence to the last digits: the gradient does not shrink with the error",
        elicits="median",
        gradient_bound="1",
    )

    def elementwise(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return numerics.absolute(y_true - y_pred)


class HuberLoss(ElementwiseLoss):
    """Squared error for small residuals and absolute error for large ones, for targets with outliers.

        loss = mean over the last axis of  r^2 / 2               where |r| <= delta
                                           delta (|r| - delta/2)  elsewhere

    Keras's `Huber` does not save `delta` and accepts a negative one.

    Args:
        delta: the residual from which a target counts as an outlier, above 0, in the units of the target.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., outputs)`, or `(...)` for one output. With `reduction="none"` the
    result is `(...)`.

    Raises:
        ValueError: if `delta` is not above 0 or the shapes differ.

    Example:

    >>> import numpy as np
    >>> from keras_losses import HuberLoss
    >>> float(HuberLoss(delta=1.0)(np.array([0.5, 0.0]), np.array([0.0, 3.0])))  # (0.125 + 2.5) / 2
    1.3125

    References:
        - Huber 1964, Robust Estimation of a Location Parameter, https://doi.org/10.1214/aoms/1177703732
    """

    card = Card(
        family="regression",
        formula="r^2/2 if |r| <= delta, else delta (|r| - delta/2)",
        paper="Huber 1964",
        labels="real numbers",
        predictions="real numbers",
        use="targets with mostly Gaussian errors of known scale and some outliers",
        avoid=(
            "residuals far below delta, where it is squared error, or far above it, where it is absolute "
            "error"
        ),
        elicits="location between median and mean",
        gradient_bound="delta",
    )

    delta: float = parameter(default=1.0, within="(0, inf)", live=True)

    def elementwise(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        absolute = numerics.absolute(y_true - y_pred)
        near = numerics.minimum(absolute, self.delta)
        return near * (absolute - 0.5 * near)


class SmoothL1Loss(ElementwiseLoss):
    """Absolute error with a rounded corner at zero, for the box offsets of detectors.

        loss = mean over the last axis of  r^2 / (2 beta)  where |r| < beta
                                           |r| - beta / 2  elsewhere

    It equals `HuberLoss(delta=beta)` divided by `beta`. Its slope for large residuals is therefore 1 for
    every `beta`, while that of the Huber loss is `delta`. With `beta=0` it is the absolute error.

    Args:
        beta: the residual up to which the corner is rounded, 0 or more, in the units of the target.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., outputs)`, or `(...)` for one output. With `reduction="none"` the
    result is `(...)`.

    Raises:
        ValueError: if `beta` is negative or the shapes differ.

    Example:

    >>> import numpy as np
    >>> from keras_losses import SmoothL1Loss
    >>> float(SmoothL1Loss(beta=2.0)(np.array([1.0, 0.0]), np.array([0.0, 4.0])))  # (1/4 + 3) / 2
    1.625

    References:
        - Girshick 2015, Fast R-CNN, https://arxiv.org/abs/1504.08083
    """

    card = Card(
        family="regression",
        formula="r^2/(2 beta) if |r| < beta, else |r| - beta/2",
        paper="Girshick 2015, 1504.08083",
        labels="real numbers",
        predictions="real numbers",
        use="box offsets and other targets with outliers, where training must end smoothly",
        avoid="targets with Gaussian noise: squared error is more efficient",
        elicits="location between median and mean",
        gradient_bound="1",
        identities=(
            Identity({"beta": 0.0}, "AbsoluteErrorLoss"),
            Identity({"beta": 0.5}, "HuberLoss", {"delta": 0.5}, factor=2.0),
        ),
    )

    beta: float = parameter(default=1.0, within="[0, inf)", live=True)

    def elementwise(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        absolute = numerics.absolute(y_true - y_pred)
        beta = self.beta
        if numerics.is_number(beta, 0.0):
            return absolute
        near = numerics.minimum(absolute, beta)
        fraction = near / beta if numerics.is_number(beta) else _capped_ratio(absolute, beta)
        return fraction * (absolute - 0.5 * near)


class PseudoHuberLoss(ElementwiseLoss):
    """Smooth form of the Huber loss (Charbonnier loss), for targets with outliers and second-order methods.

        loss = mean over the last axis of  delta^2 (sqrt(1 + (r / delta)^2) - 1)

    It is computed as |r| delta u / (1 + sqrt(1 + u^2)) with u = |r| / delta, in which nothing cancels: a
    residual of 1e-6 gives 5e-13 in float32, while the formula as written gives 0. `HuberLoss` has a second
    derivative that jumps at `delta`.

    Args:
        delta: the residual from which a target counts as an outlier, above 0, in the units of the target.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., outputs)`, or `(...)` for one output. With `reduction="none"` the
    result is `(...)`.

    Raises:
        ValueError: if `delta` is not above 0 or the shapes differ.

    Example:

    >>> import numpy as np
    >>> from keras_losses import PseudoHuberLoss
    >>> float(PseudoHuberLoss(delta=3.0)(np.array([0.0]), np.array([4.0])))  # 9 (5/3 - 1)
    6.0

    References:
        - Charbonnier et al. 1994, Two deterministic half-quadratic regularization algorithms for computed
          imaging, https://doi.org/10.1109/ICIP.1994.413553
    """

    card = Card(
        family="regression",
        formula="delta^2 (sqrt(1 + (r/delta)^2) - 1)",
        paper="Charbonnier 1994",
        labels="real numbers",
        predictions="real numbers",
        use="the same targets as HuberLoss, where the second derivative must be continuous",
        avoid="gross outliers: their pull is bounded but never decreases (TukeyBiweightLoss, BarronLoss)",
        elicits="location between median and mean",
        gradient_bound="delta",
        identities=(Identity({"delta": 1.0}, "BarronLoss", {"alpha": 1.0}),),
        cost="a square root and two divisions for each residual",
    )

    delta: float = parameter(default=1.0, within="(0, inf)", live=True)

    def elementwise(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        absolute = numerics.absolute(y_true - y_pred)
        return absolute * self.delta * numerics.tan_half_arctan(absolute / self.delta)


class LogCoshLoss(ElementwiseLoss):
    """Logarithm of the hyperbolic cosine of the residual, for targets with unit noise and some outliers.

        loss = mean over the last axis of  log cosh r

    It is r^2 / 2 near zero and |r| - log 2 far away. Keras's `LogCosh` returns 0 in float32 for a residual of
    1e-4; this loss returns the exact 5e-9, and it is finite for any residual. `PseudoHuberLoss` has a similar
    shape and a scale, `delta`. The scale of this loss is fixed: divide targets and predictions by the scale
    of the noise.

    Args:
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., outputs)`, or `(...)` for one output. With `reduction="none"` the
    result is `(...)`.

    Raises:
        ValueError: if the shapes differ.

    Example:

    >>> import numpy as np
    >>> from keras_losses import LogCoshLoss
    >>> print(f"{float(LogCoshLoss()(np.array([0.0]), np.array([1e-4]))):.6g}")  # (1e-4)^2 / 2
    5e-09

    References:
        - Saleh & Saleh 2022, Statistical Properties of the log-cosh Loss Function,
          https://arxiv.org/abs/2208.04564
    """

    card = Card(
        family="regression",
        formula="log cosh r",
        paper="Saleh 2022, 2208.04564",
        labels="real numbers",
        predictions="real numbers",
        use="targets of unit noise, for a smooth loss between squared and absolute error",
        avoid="targets whose noise is far from 1, where it is squared or absolute error",
        elicits="location between median and mean",
        gradient_bound="1",
        cost="an exponential and a logarithm for each residual, accurate for small ones",
    )

    def elementwise(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return numerics.log_cosh(y_true - y_pred)


class EpsilonInsensitiveLoss(ElementwiseLoss):
    """Error beyond a tolerance, for support vector regression and rounded targets.

        loss = mean over the last axis of  max(0, |r| - epsilon)^power

    Errors up to epsilon have no cost and no gradient, unlike in `AbsoluteErrorLoss` (epsilon = 0).

    Args:
        epsilon: the error that costs nothing, 0 or more, in the units of the target.
        power: the power of the error beyond epsilon, 1 or more: 1 for the linear loss, 2 for the squared one.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., outputs)`, or `(...)` for one output. With `reduction="none"` the
    result is `(...)`.

    Raises:
        ValueError: if a hyper-parameter is out of range or the shapes differ.

    Example:

    >>> import numpy as np
    >>> from keras_losses import EpsilonInsensitiveLoss
    >>> float(EpsilonInsensitiveLoss(epsilon=0.5)(np.array([0.0, 0.0]), np.array([0.25, 2.5])))  # (0 + 2) / 2
    1.0

    References:
        - Vapnik 1995, The Nature of Statistical Learning Theory,
          https://doi.org/10.1007/978-1-4757-3264-1
    """

    card = Card(
        family="regression",
        formula="max(0, |r| - epsilon)^power",
        paper="Vapnik 1995",
        labels="real numbers",
        predictions="real numbers",
        use="targets whose errors below a tolerance do not matter, such as rounded ones",
        avoid="targets without a known tolerance, or with one of 0",
        elicits="location near the median",
        elicits_note="predictions within epsilon of it may cost as little; with power=2 near the mean",
        gradient_bound="1 for power = 1; unbounded for power > 1",
        identities=(
            Identity({"epsilon": 0.0}, "AbsoluteErrorLoss"),
            Identity({"epsilon": 0.0, "power": 2.0}, "SquaredErrorLoss"),
        ),
    )

    epsilon: float = parameter(default=0.1, within="[0, inf)", live=True)
    power: float = parameter(default=1.0, within="[1, inf)")

    def elementwise(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return numerics.power(ops.relu(numerics.absolute(y_true - y_pred) - self.epsilon), self.power)


class WingLoss(ElementwiseLoss):
    """Loss that amplifies small and medium errors, for facial landmarks.

        loss = mean over the last axis of  width log(1 + |r| / curvature)  where |r| < width
                                           |r| - c                         elsewhere

    with c = width - width log(1 + width / curvature), which makes it continuous. The gradient is 1 for large
    errors, as in `AbsoluteErrorLoss`, and grows to width / curvature as the error shrinks. Coordinates that
    are nearly right are therefore still pulled into place.

    Args:
        width: the error up to which errors are amplified, above 0, in the units of the target (pixels).
        curvature: the error at which the amplification is half of its largest, above 0, in the same units;
            the paper's epsilon.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., outputs)`, or `(...)` for one output. With `reduction="none"` the
    result is `(...)`.

    Raises:
        ValueError: if a hyper-parameter is not above 0 or the shapes differ.

    Example:

    >>> import numpy as np
    >>> from keras_losses import WingLoss
    >>> round(float(WingLoss()(np.array([0.0]), np.array([2.0]))), 4)  # 10 log 2
    6.9315

    References:
        - Feng et al. 2018, Wing Loss for Robust Facial Landmark Localisation,
          https://arxiv.org/abs/1711.06753
    """

    card = Card(
        family="regression",
        formula="width log(1 + |r|/curvature) if |r| < width, else |r| - c",
        paper="Feng 2018, 1711.06753",
        labels="real numbers",
        predictions="real numbers",
        use="coordinates that must be right to the pixel, such as landmarks",
        avoid="noisy targets: it fits the noise of the target that is nearest, and its gradient jumps at 0",
        elicits="location near the median",
        gradient_bound="max(1, width / curvature)",
        cost="a logarithm for each residual",
    )

    width: float = parameter(default=10.0, within="(0, inf)")
    curvature: float = parameter(default=2.0, within="(0, inf)")

    def elementwise(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        absolute = numerics.absolute(y_true - y_pred)
        near = self.width * numerics.log1p(numerics.minimum(absolute, self.width) / self.curvature)
        return near + ops.relu(absolute - self.width)


def _capped_ratio(x: Tensor, whole: Tensor) -> Tensor:
    """Return min(x / whole, 1) for x >= 0 and whole >= 0, and 1 where whole is 0 and x above it."""
    above, zeros = x > whole, ops.zeros_like(x)
    divisor = ops.where(whole > 0, whole, ops.ones_like(whole))
    return ops.where(above, ops.ones_like(x), ops.where(above, zeros, x) / divisor)
