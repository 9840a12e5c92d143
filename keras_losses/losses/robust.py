"""Robust losses of the residual r = y - f, in which outliers can lose their influence.

`BarronLoss` is the general form; `CauchyLoss`, `GemanMcClureLoss` and `WelschLoss` fix its `alpha`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from keras import ops

from keras_losses import numerics
from keras_losses.core import Card, ElementwiseLoss, Identity, Learned, parameter
from keras_losses.numerics import Tensor


class TukeyBiweightLoss(ElementwiseLoss):
    """Squared error for small residuals that ignores those beyond c (Tukey's biweight), for gross outliers.

        loss = mean over the last axis of  c^2/6 (1 - (1 - (r/c)^2)^3)  where |r| <= c
                                           c^2/6                        elsewhere

    For Gaussian noise of standard deviation 1, c = 4.685 has 95% of the efficiency of squared error. For
    other noise, divide targets and predictions by its scale (1.4826 times the median |r|), or choose `c` in
    its units. A residual beyond `c` has no gradient, so start near the data: centre the targets, or begin
    with some steps of `HuberLoss`. `WelschLoss` has no such edge.

    Args:
        c: the residual beyond which a target has no influence, above 0, in the units of the target.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., outputs)`, or `(...)` for one output. With `reduction="none"` the
    result is `(...)`.

    Raises:
        ValueError: if `c` is not above 0 or the shapes differ.

    Example:

    >>> import numpy as np
    >>> from keras_losses import TukeyBiweightLoss
    >>> float(TukeyBiweightLoss(c=2.0)(np.array([0.0, 0.0]), np.array([9.0, -3.0])))  # 2^2 / 6
    0.6666666865348816

    References:
        - Beaton & Tukey 1974, The Fitting of Power Series, https://doi.org/10.1080/00401706.1974.10489171
    """

    card = Card(
        family="robust",
        formula="c^2/6 (1 - (1 - (r/c)^2)^3) if |r| <= c, else c^2/6",
        paper="Beaton & Tukey 1974",
        labels="real numbers",
        predictions="real numbers",
        use="targets with gross errors, from a start near the other targets",
        avoid="a start at which all residuals are beyond c: the gradient is 0 and nothing is learned",
        elicits="location near the median",
        elicits_note="roughly the mean of the labels within c of the prediction",
        gradient_bound="16 c / (25 sqrt(5))",
    )

    c: float = parameter(default=4.685, within="(0, inf)", live=True)

    def elementwise(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        clipped = numerics.minimum(numerics.absolute(y_true - y_pred), self.c)
        x = ops.square(clipped / self.c)
        # This is c^2/6 (1 - (1 - x)^3) multiplied out: beside the 1, small residuals would be rounded away.
        return ops.square(clipped) * (3.0 - x * (3.0 - x)) / 6.0


class BarronLoss(ElementwiseLoss):
    """General robust loss, from squared error to a bounded loss, with one number for how much outliers count.

        loss = mean over the last axis of  |alpha-2|/alpha (((r/scale)^2/|alpha-2| + 1)^(alpha/2) - 1)

    and its limits at the alphas at which the formula is undefined:

    | alpha | loss, with x = r / scale | also called |
    |---|---|---|
    | 2 | x^2 / 2 | squared error |
    | 1 | sqrt(x^2 + 1) - 1 | pseudo-Huber, Charbonnier |
    | 0 | log(x^2 / 2 + 1) | `CauchyLoss` |
    | -2 | 2 x^2 / (x^2 + 4) | `GemanMcClureLoss` |
    | -inf | 1 - exp(-x^2 / 2) | `WelschLoss` |

    Value and gradient are continuous in alpha at these limits, and computed to full precision beside them.
    Near zero the loss is x^2 / 2 for every alpha. `AdaptiveBarronLoss` learns alpha and scale.

    Args:
        alpha: the shape, any number, -inf and inf included; the lower, the less an outlier counts. Usual
            values are 2 and below.
        scale: the size of a usual residual, above 0, in the units of the target.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., outputs)`, or `(...)` for one output. With `reduction="none"` the
    result is `(...)`.

    Raises:
        ValueError: if a hyper-parameter is out of range or the shapes differ.

    Example:

    >>> import numpy as np
    >>> from keras_losses import BarronLoss
    >>> y, f = np.array([0.0]), np.array([3.0])
    >>> [round(float(BarronLoss(alpha=alpha)(y, f)), 4) for alpha in (2, 1, 0, -2)]
    [4.5, 2.1623, 1.7047, 1.3846]

    References:
        - Barron 2019, A General and Adaptive Robust Loss Function, https://arxiv.org/abs/1701.03077
    """

    card = Card(
        family="robust",
        formula="|alpha-2|/alpha (((r/scale)^2/|alpha-2| + 1)^(alpha/2) - 1), and its limits",
        paper="Barron 2019, 1701.03077",
        labels="real numbers",
        predictions="real numbers",
        use="targets with outliers, where one number should tune the robustness of the loss",
        avoid="alpha below 0 with a start far from the data: the gradient of large residuals vanishes",
        elicits="location between median and mean",
        elicits_note="the mean for alpha = 2; near the median of most labels for alpha < 1",
        gradient_bound="1 / scale for alpha <= 1; unbounded for alpha > 1",
        identities=(
            Identity({"alpha": 2.0}, "SquaredErrorLoss", factor=0.5),
            Identity({"alpha": 1.0}, "PseudoHuberLoss"),
            Identity({"alpha": 0.0}, "CauchyLoss"),
            Identity({"alpha": -2.0}, "GemanMcClureLoss"),
            Identity({"alpha": -math.inf}, "WelschLoss"),
        ),
        cost="a power for each residual, unless alpha is -inf, -2, 0, 1 or 2",
    )

    alpha: float = parameter(default=1.0, within="[-inf, inf]", live=True)
    scale: float = parameter(default=1.0, within="(0, inf)", live=True)

    def elementwise(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return general_robust(numerics.absolute(y_true - y_pred) / self.scale, self.alpha)


class AdaptiveBarronLoss(ElementwiseLoss):
    """`BarronLoss` with learned robustness and scale, for noise whose tails are unknown.

        loss = mean over the last axis of  rho((y - f) / scale, alpha) + log scale + log Z(alpha)

    where rho is `BarronLoss` and Z(alpha) = integral of exp(-rho(x, alpha)) dx. It is the negative
    log-likelihood of a distribution between the normal one (alpha = 2) and one close to Cauchy's (alpha = 0).
    A lower alpha makes outliers cheaper and all other residuals dearer, so that alpha can be learned. In
    `BarronLoss` alpha cannot be learned: it would move to where every residual costs least. `StudentTNLLLoss`
    has parameters that the model predicts for each sample; those of this loss are the same for all samples.

    Args:
        outputs: the number of outputs, each with its own alpha and scale; None for one alpha and one scale.
        alpha: the shape, in (0.001, 1.999): learned, starting at 1, unless it is a number.
        scale: the size of a usual residual, above 1e-5, in the units of the target: learned, starting at 1,
            unless it is a number.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., outputs)`, or `(...)` for one output. With `reduction="none"` the
    result is `(...)`.

    Raises:
        ValueError: if a hyper-parameter is out of range, the shapes differ, the predictions have another
            number of outputs, or nothing trains alpha and scale (compile a `LossAwareModel`).

    Example:

    >>> import numpy as np
    >>> from keras_losses import AdaptiveBarronLoss
    >>> y, f = np.array([0.0]), np.array([10.0])
    >>> [round(float(AdaptiveBarronLoss(alpha=alpha, scale=1.0)(y, f)), 2) for alpha in (1.9, 1.0, 0.1)]
    [38.22, 10.24, 5.61]

    References:
        - Barron 2019, A General and Adaptive Robust Loss Function, https://arxiv.org/abs/1701.03077
    """

    card = Card(
        family="robust",
        formula="rho((y - f) / scale, alpha) + log scale + log Z(alpha)",
        paper="Barron 2019, 1701.03077",
        labels="real numbers",
        predictions="real numbers",
        use="noise whose tails are unknown, in a LossAwareModel",
        avoid="noise that depends on the input: StudentTNLLLoss and other likelihoods predict it",
        elicits="location between median and mean",
        elicits_note="the lighter the learned tails, the nearer the mean",
        gradient_bound="unbounded for alpha > 1; 1 / scale for alpha <= 1",
        cost="a power for each residual, and 640 exponentials for each output",
    )

    outputs: int | None = parameter(default=None, within="[1, inf)", integer=True, optional=True)
    alpha: float = parameter(default=Learned(1.0), within="(0.001, 1.999)", live=True)
    scale: float = parameter(default=Learned(1.0), within="(1e-05, inf)", live=True)

    def _shape_of(self, learned: str) -> tuple[int, ...]:
        return () if self.outputs is None else (self.outputs,)

    def align(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        y_true, y_pred = super().align(y_true, y_pred)
        if self.outputs not in (None, y_pred.shape[-1]):
            raise ValueError(
                f"`AdaptiveBarronLoss`: `y_pred` must have {self.outputs} outputs in its last axis. "
                f"Received: outputs={self.outputs}, y_pred of shape {tuple(y_pred.shape)}. Pass the number "
                "of outputs of the model as `outputs`, or None for one alpha and one scale."
            )
        return y_true, y_pred

    def elementwise(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        alpha, scale = self.convert(self.alpha), self.convert(self.scale)
        rho = general_robust(numerics.absolute(y_true - y_pred) / scale, alpha)
        return rho + ops.log(scale) + barron_log_partition(alpha)


class CauchyLoss(BarronLoss):
    """Logarithm of the squared residual, for noise with tails as heavy as those of a Cauchy distribution.

        loss = mean over the last axis of  log((r/scale)^2 / 2 + 1)

    It is `BarronLoss(alpha=0)`, and the likelihood of Student's t with one degree of freedom for a residual
    of r sqrt(2) / 2. The gradient of an outlier falls as 1 / |r|: it always counts, but ever less. In
    `GemanMcClureLoss` and `WelschLoss` the gradient falls much faster.

    Args:
        scale: the size of a usual residual, above 0, in the units of the target.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., outputs)`, or `(...)` for one output. With `reduction="none"` the
    result is `(...)`.

    Raises:
        ValueError: if `scale` is not above 0 or the shapes differ.

    Example:

    >>> import numpy as np
    >>> from keras_losses import CauchyLoss
    >>> round(float(CauchyLoss()(np.array([0.0]), np.array([2.0]))), 4)  # log 3
    1.0986

    References:
        - Black & Anandan 1996, The Robust Estimation of Multiple Motions,
          https://doi.org/10.1006/cviu.1996.0006
        - Barron 2019, https://arxiv.org/abs/1701.03077
    """

    card = Card(
        family="robust",
        formula="log((r/scale)^2/2 + 1)",
        paper="Black & Anandan 1996",
        labels="real numbers",
        predictions="real numbers",
        use="noise with heavy tails: many outliers, of any size",
        avoid="targets in several groups for the same input: it may settle on one of them",
        elicits="location near the median",
        gradient_bound="sqrt(2) / (2 scale)",
        cost="a logarithm of each squared residual, accurate for small ones",
    )

    alpha = 0.0


class GemanMcClureLoss(BarronLoss):
    """Bounded loss, in which all outliers beyond a few scales cost nearly the same, for gross errors.

        loss = mean over the last axis of  2 (r/scale)^2 / ((r/scale)^2 + 4)

    It is `BarronLoss(alpha=-2)`. The gradient of an outlier falls as 1 / |r|^3; that of `CauchyLoss` falls as
    1 / |r|, and that of `WelschLoss` faster than any power.

    Args:
        scale: the size of a usual residual, above 0, in the units of the target.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., outputs)`, or `(...)` for one output. With `reduction="none"` the
    result is `(...)`.

    Raises:
        ValueError: if `scale` is not above 0 or the shapes differ.

    Example:

    >>> import numpy as np
    >>> from keras_losses import GemanMcClureLoss
    >>> float(GemanMcClureLoss()(np.array([0.0]), np.array([2.0])))  # 2 * 4 / 8
    1.0

    References:
        - Geman & McClure 1985, Bayesian image analysis: an application to single photon emission tomography
        - Barron 2019, https://arxiv.org/abs/1701.03077
    """

    card = Card(
        family="robust",
        formula="2 (r/scale)^2 / ((r/scale)^2 + 4)",
        paper="Geman & McClure 1985",
        labels="real numbers",
        predictions="real numbers",
        use="targets with gross errors, from a start near the other targets",
        avoid="a start at which residuals are far beyond the scale: their gradient is nearly 0",
        elicits="location near the median",
        gradient_bound="3 sqrt(3) / (8 scale)",
        cost="two quotients for each residual, one on each side of the scale, so that squares may overflow",
    )

    alpha = -2.0


class WelschLoss(BarronLoss):
    """Bounded loss (correntropy) that discounts outliers faster than any power, for gross errors.

        loss = mean over the last axis of  1 - exp(-(r/scale)^2 / 2)

    It is `BarronLoss(alpha=-inf)`. It resembles `TukeyBiweightLoss`, but its gradient falls without an edge.

    Args:
        scale: the size of a usual residual, above 0, in the units of the target.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., outputs)`, or `(...)` for one output. With `reduction="none"` the
    result is `(...)`.

    Raises:
        ValueError: if `scale` is not above 0 or the shapes differ.

    Example:

    >>> import numpy as np
    >>> from keras_losses import WelschLoss
    >>> round(float(WelschLoss()(np.array([0.0]), np.array([2.0]))), 4)  # 1 - e^-2
    0.8647

    References:
        - Dennis & Welsch 1978, Techniques for nonlinear least squares and robust regression,
          https://doi.org/10.1080/03610917808812083
        - Barron 2019, https://arxiv.org/abs/1701.03077
    """

    card = Card(
        family="robust",
        formula="1 - exp(-(r/scale)^2/2)",
        paper="Dennis & Welsch 1978",
        labels="real numbers",
        predictions="real numbers",
        use="targets with gross errors, from a start near the other targets",
        avoid="a start at which residuals are beyond six scales: their gradient is below 1e-7",
        elicits="location near the median",
        gradient_bound="exp(-1/2) / scale",
    )

    alpha = -math.inf


def general_robust(u: Tensor, alpha: float | Tensor) -> Tensor:
    """Barron's loss for residuals u >= 0 in units of the scale, continuous and exact in alpha."""
    if not numerics.is_number(alpha):
        return _robust_for_any(u, alpha)
    if alpha == 2.0:
        return 0.5 * ops.square(u)
    if alpha == 1.0:
        return u * numerics.tan_half_arctan(u)
    if alpha == -2.0:
        return 2.0 * numerics.fraction_of_sum(ops.square(0.5 * u), ops.ones_like(u))
    if abs(alpha) > 1e15:  # float64 cannot tell the loss from its limit
        return numerics.one_minus_exp(0.5 * ops.square(u)) if alpha < 0 else ops.expm1(0.5 * ops.square(u))
    b = abs(alpha - 2.0)
    log = log1p_square(u / math.sqrt(b))
    if abs(alpha) < 1e-17:
        return log
    if alpha < 0.0:
        return (b / -alpha) * numerics.one_minus_exp(-0.5 * alpha * log)
    power = (b / alpha) * ops.expm1(0.5 * alpha * log)
    if b > 1.0:
        return power
    # Near alpha = 2 the power is (1 + u^2 / b) e^exponent with a tiny exponent, which is rounded away unless
    # the product is multiplied out.
    near, exponent = log < 41.0, math.copysign(0.5 * b, alpha - 2.0) * log
    square = ops.square(ops.where(near, u, ops.zeros_like(u)))
    return ops.where(near, (square * ops.exp(exponent) + b * ops.expm1(exponent)) / alpha, power)


def _robust_for_any(u: Tensor, alpha: Tensor) -> Tensor:
    """Same loss for alpha in a tensor, with a branch of `where` for each range of alpha.

    A branch gets harmless arguments where it is not taken, so that its gradient is finite there. At alpha = 2
    the slope in alpha is infinite, like log |alpha - 2|; the bound on b keeps it finite.
    """
    low, high, zeros = alpha < -1e15, alpha > 1e15, ops.zeros_like(u)
    at_ends = ops.logical_or(low, high)
    alpha = ops.where(at_ends, ops.ones_like(alpha), alpha)
    half_square = 0.5 * ops.square(u)
    ends = numerics.one_minus_exp(ops.where(low, half_square, zeros))
    ends = ends + ops.expm1(ops.where(high, half_square, zeros))

    b = numerics.maximum(ops.abs(alpha - 2.0), 1e-20)
    log = log1p_square(u / ops.sqrt(b))
    # For larger u the square may overflow where the power is finite.
    near = ops.logical_and(b <= 1.0, u < 1e15)
    power = b * numerics.expm1_scaled(0.5 * ops.where(near, zeros, log), alpha)
    exponent = 0.5 * (alpha - 2.0) * ops.where(near, log, zeros)
    square = ops.square(ops.where(near, u, zeros))
    around_two = square * ops.exp(exponent) + b * ops.expm1(exponent)
    around_two = around_two / ops.where(b <= 1.0, alpha, ops.ones_like(alpha))
    return ends + ops.where(at_ends, zeros, ops.where(near, around_two, power))


def log1p_square(x: Tensor) -> Tensor:
    """log(1 + x^2) for x >= 0, however large."""
    large = x > 1e9  # here 1 + x^2 rounds to x^2, even in float64
    near, far = ops.where(large, ops.zeros_like(x), x), ops.where(large, x, ops.ones_like(x))
    return ops.where(large, 2.0 * ops.log(far), numerics.log1p(ops.square(near)))


# Nodes v of the trapezoidal rule in [0, 40], and log cosh v.
_NODES = np.arange(0, 40, 1 / 16)
_LOG_COSH = np.logaddexp(_NODES, -_NODES) - math.log(2.0)


def barron_log_partition(alpha: Tensor) -> Tensor:
    """Return log Z(alpha) for alpha in (0, 2), the logarithm of the integral of exp(-rho(x, alpha)) over x.

    Here rho is Barron's loss with scale 1. With x = sqrt(2 - alpha) sinh v,

        Z = sqrt(2 - alpha) times the integral of cosh v exp(-(2 - alpha) (cosh^alpha v - 1) / alpha)

    The integrand falls like e^-v or faster and is analytic beside the real line, so that the trapezoidal rule
    is exact up to rounding. So are its derivatives, in float32 to 2e-4. The rule takes 640 exponentials for
    each alpha; there are at most as many alphas as outputs.
    """
    log_cosh = ops.convert_to_tensor(_LOG_COSH, dtype=alpha.dtype)
    wide = ops.expand_dims(alpha, -1)
    density = ops.exp(log_cosh - (2.0 - wide) * ops.expm1(wide * log_cosh) / wide)
    total = (ops.sum(density, axis=-1) - 0.5 * density[..., 0]) / 8.0
    return ops.log(total) + 0.5 * ops.log(2.0 - alpha)
