"""Losses of the residual r = y - f from squared to absolute error."""

from __future__ import annotations

from keras import ops

from keras_losses import numerics
from keras_losses.core import Card, ElementwiseLoss, Identity, parameter
from keras_losses.numerics import Tensor


class SquaredErrorLoss(ElementwiseLoss):
    """The squared residual, for targets whose mean is wanted.

        loss = mean over the last axis of r^2

    Keras's `MeanSquaredError` broadcasts silently: (n,) against (n, n) gives a number there and an error
    here.

    Args:
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., outputs)`; `(...)` stands for one output. With `reduction="none"`
    the result is `(...)`.

    Raises:
        ValueError: for shapes that differ.

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
        use="the mean is wanted and the errors are roughly Gaussian",
        avoid="outliers: one far target outweighs all others",
        elicits="mean",
        gradient_bound="unbounded: 2 |r|",
    )

    def elementwise(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return ops.square(y_true - y_pred)


class AbsoluteErrorLoss(ElementwiseLoss):
    """The size of the residual, for targets whose median is wanted.

        loss = mean over the last axis of |r|

    Args:
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., outputs)`; `(...)` stands for one output. With `reduction="none"`
    the result is `(...)`.

    Raises:
        ValueError: for shapes that differ.

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
        use="the median is wanted, or outliers must not count more than others",
        avoid="the last digits matter: the gradient does not shrink as the error does",
        elicits="median",
        gradient_bound="1",
    )

    def elementwise(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return numerics.size(y_true - y_pred)


class HuberLoss(ElementwiseLoss):
    """The squared residual near zero and the absolute one far away, for targets with outliers.

        loss = mean over the last axis of  r^2 / 2               where |r| <= delta
                                           delta (|r| - delta/2)  elsewhere

    Keras's `Huber` forgets a delta other than 1 when it is saved, and takes a negative one.

    Args:
        delta: from where on a residual counts as an outlier, above 0, in the units of the target.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., outputs)`; `(...)` stands for one output. With `reduction="none"`
    the result is `(...)`.

    Raises:
        ValueError: for a delta that is not above 0 and shapes that differ.

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
        use="mostly Gaussian errors with some outliers, whose scale is known",
        avoid="a delta far from the scale of the residuals: it is then squared or absolute error",
        elicits="location between median and mean",
        gradient_bound="delta",
    )

    delta: float = parameter(default=1.0, within="(0, inf)")

    def elementwise(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        size = numerics.size(y_true - y_pred)
        near = numerics.minimum(size, self.delta)
        return near * (size - 0.5 * near)


class SmoothL1Loss(ElementwiseLoss):
    """The absolute residual with its corner at zero rounded off, as box regression in detectors uses it.

        loss = mean over the last axis of  r^2 / (2 beta)  where |r| < beta
                                           |r| - beta / 2  elsewhere

    It is `HuberLoss(delta=beta)` divided by beta: the slope far away is 1 whatever beta is, where that of
    the Huber loss is delta. With beta = 0 it is the absolute error.

    Args:
        beta: how wide the rounded corner is, 0 or more, in the units of the target.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., outputs)`; `(...)` stands for one output. With `reduction="none"`
    the result is `(...)`.

    Raises:
        ValueError: for a negative beta and shapes that differ.

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
        use="offsets of boxes and the like: outliers count as in the absolute error, and the end is smooth",
        avoid="the noise is Gaussian: squared error is more efficient",
        elicits="location between median and mean",
        gradient_bound="1",
        identities=(
            Identity({"beta": 0.0}, "AbsoluteErrorLoss"),
            Identity({"beta": 0.5}, "HuberLoss", {"delta": 0.5}, times=2.0),
        ),
    )

    beta: float = parameter(default=1.0, within="[0, inf)")

    def elementwise(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        size = numerics.size(y_true - y_pred)
        beta = self.beta
        if numerics.is_number(beta, 0.0):
            return size
        near = numerics.minimum(size, beta)
        share = near / beta if numerics.is_number(beta) else numerics.capped_share(size, beta)
        return share * (size - 0.5 * near)


class PseudoHuberLoss(ElementwiseLoss):
    """A Huber loss that is smooth everywhere (Charbonnier's), for outliers and second-order methods.

        loss = mean over the last axis of  delta^2 (sqrt(1 + (r / delta)^2) - 1)

    computed as |r| delta u / (1 + sqrt(1 + u^2)) with u = |r| / delta, in which nothing cancels: a residual
    of 1e-6 is worth 5e-13 in float32, too, where the formula as it is written gives 0.

    Args:
        delta: from where on a residual counts as an outlier, above 0, in the units of the target.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., outputs)`; `(...)` stands for one output. With `reduction="none"`
    the result is `(...)`.

    Raises:
        ValueError: for a delta that is not above 0 and shapes that differ.

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
        use="as HuberLoss, where the second derivative must be continuous",
        avoid="gross outliers, whose pull is bounded but never lessens: TukeyBiweightLoss, BarronLoss",
        elicits="location between median and mean",
        gradient_bound="delta",
        identities=(Identity({"delta": 1.0}, "BarronLoss", {"alpha": 1.0}),),
        cost="a root and two divisions",
    )

    delta: float = parameter(default=1.0, within="(0, inf)")

    def elementwise(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        size = numerics.size(y_true - y_pred)
        return size * self.delta * numerics.tan_of_half(size / self.delta)


class LogCoshLoss(ElementwiseLoss):
    """The logarithm of the hyperbolic cosine of the residual: r^2 / 2 near zero, |r| - log 2 far away.

        loss = mean over the last axis of  log cosh r

    To full precision: Keras's `LogCosh` gives 0 in float32 for a residual of 1e-4, which is worth 5e-9, and
    it is finite here for any residual. It is the `PseudoHuberLoss` of another shape; its scale is fixed, so
    divide targets and predictions by the scale of the noise.

    Args:
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., outputs)`; `(...)` stands for one output. With `reduction="none"`
    the result is `(...)`.

    Raises:
        ValueError: for shapes that differ.

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
        use="a smooth loss between squared and absolute error, for targets of unit noise",
        avoid="targets whose noise is far from 1 in size: it is then squared or absolute error",
        elicits="location between median and mean",
        gradient_bound="1",
        cost="an exponential and a logarithm, with the digits of small residuals",
    )

    def elementwise(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return numerics.log_cosh(y_true - y_pred)


class EpsilonInsensitiveLoss(ElementwiseLoss):
    """Nothing for errors up to epsilon, the rest above it: support vector regression.

        loss = mean over the last axis of  max(0, |r| - epsilon)^power

    Args:
        epsilon: the error that costs nothing, 0 or more, in the units of the target.
        power: 1 for the plain loss, 2 for the squared one, or any number from 1 up.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., outputs)`; `(...)` stands for one output. With `reduction="none"`
    the result is `(...)`.

    Raises:
        ValueError: for hyper-parameters out of range and shapes that differ.

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
        use="errors below a tolerance do not matter, as with rounded targets",
        avoid="the last digits matter, or no tolerance is known",
        elicits="location near the median",
        elicits_note="anything within epsilon of it costs as little; with power 2: near the mean",
        gradient_bound="1; with power > 1 unbounded",
        identities=(
            Identity({"epsilon": 0.0}, "AbsoluteErrorLoss"),
            Identity({"epsilon": 0.0, "power": 2.0}, "SquaredErrorLoss"),
        ),
    )

    epsilon: float = parameter(default=0.1, within="[0, inf)")
    power: float = parameter(default=1.0, within="[1, inf)")

    def elementwise(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return numerics.power(ops.relu(numerics.size(y_true - y_pred) - self.epsilon), self.power)


class WingLoss(ElementwiseLoss):
    """More weight on small and middle errors than the absolute residual gives: for facial landmarks.

        loss = mean over the last axis of  width log(1 + |r| / curvature)  where |r| < width
                                           |r| - c                         elsewhere

    with c = width - width log(1 + width / curvature), which joins the two. The gradient is 1 far away and
    grows to width / curvature as the error shrinks, so that coordinates that are nearly right are still
    pulled into place.

    Args:
        width: up to where errors are amplified, above 0, in the units of the target (pixels).
        curvature: how far from zero the amplification is half of its largest, above 0, in the same units.
            The paper's epsilon.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., outputs)`; `(...)` stands for one output. With `reduction="none"`
    the result is `(...)`.

    Raises:
        ValueError: for hyper-parameters that are not above 0 and shapes that differ.

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
        use="coordinates that should be right to the pixel, such as landmarks",
        avoid="noisy targets: it runs after the noise of the nearest; the gradient jumps at 0",
        elicits="location near the median",
        gradient_bound="max(1, width / curvature)",
        cost="a logarithm of each residual",
    )

    width: float = parameter(default=10.0, within="(0, inf)")
    curvature: float = parameter(default=2.0, within="(0, inf)")

    def elementwise(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        size = numerics.size(y_true - y_pred)
        near = self.width * numerics.log1p(numerics.minimum(size, self.width) / self.curvature)
        return near + ops.relu(size - self.width)
