"""Robust losses of the residual r = y - f, in which outliers can lose their influence.

`BarronLoss` is the general form; `CauchyLoss`, `GemanMcClureLoss` and `WelschLoss` fix its `alpha`.
"""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from keras_losses import numerics
from keras_losses.core import Card, ElementwiseLoss, Identity, Learned, parameter
from keras_losses.numerics import Tensor


class TukeyBiweightLoss(ElementwiseLoss):
    """Squared error for small residuals, and no pull at all from those beyond c: Tukey's biweight.

        loss = mean over the last axis of  c^2/6 (1 - (1 - (r/c)^2)^3)  where |r| <= c
                                           c^2/6                        elsewhere

    c = 4.685 has 95% of the efficiency of squared error on Gaussian noise of deviation 1: divide targets and
    predictions by the scale of the noise (1.4826 times the median |r|), or choose c in its units. A residual
    beyond c has no gradient, so start near the data: with targets centred, or after some steps of a
    `HuberLoss`. Beside it, `WelschLoss` lets outliers go without an edge.

    Args:
        c: from where on a residual counts no more, above 0, in the units of the target.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., outputs)`; `(...)` stands for one output. With `reduction="none"`
    the result is `(...)`.

    Raises:
        ValueError: for a c that is not above 0 and shapes that differ.

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
        use="gross errors among the targets, and a start that is near the others",
        avoid="all residuals are beyond c at the start: nothing is learnt",
        elicits="location near the median",
        elicits_note="the mean of the labels within c, as it were",
        gradient_bound="16 c / (25 sqrt(5))",
    )

    c: float = parameter(default=4.685, within="(0, inf)")

    def elementwise(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        size = numerics.minimum(numerics.size(y_true - y_pred), self.c)
        x = ops.square(size / self.c)
        # c^2 (1 - (1 - x)^3), without the 1 that small residuals would vanish beside.
        return ops.square(size) * (3.0 - x * (3.0 - x)) / 6.0


class BarronLoss(ElementwiseLoss):
    """One loss for all degrees of robustness, from squared error to one that lets outliers go.

        loss = mean over the last axis of  |alpha-2|/alpha (((r/scale)^2/|alpha-2| + 1)^(alpha/2) - 1)

    and its limits at the alphas that the formula leaves out:

    | alpha | loss, with x = r / scale | also called |
    |---|---|---|
    | 2 | x^2 / 2 | squared error |
    | 1 | sqrt(x^2 + 1) - 1 | pseudo-Huber, Charbonnier |
    | 0 | log(x^2 / 2 + 1) | `CauchyLoss` |
    | -2 | 2 x^2 / (x^2 + 4) | `GemanMcClureLoss` |
    | -inf | 1 - exp(-x^2 / 2) | `WelschLoss` |

    Value and gradient are continuous in alpha through all of these, and to the last digits between them.
    All of them are r^2 / 2 near zero, for a scale of 1.

    Args:
        alpha: the shape; the lower, the less an outlier counts. Any number, -inf and inf too; 2 and below
            are in use.
        scale: the size of a residual that is no outlier, above 0, in the units of the target.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., outputs)`; `(...)` stands for one output. With `reduction="none"`
    the result is `(...)`.

    Raises:
        ValueError: for hyper-parameters out of range and shapes that differ.

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
        use="how robust the loss should be is to be tuned, with one number",
        avoid="alpha below 0 from a start far from the data: the gradient of far residuals vanishes",
        elicits="location between median and mean",
        elicits_note="with alpha = 2 the mean; with alpha < 1 near the median of most labels",
        gradient_bound="1 / scale for alpha <= 1; unbounded above",
        identities=(
            Identity({"alpha": 2.0}, "SquaredErrorLoss", times=0.5),
            Identity({"alpha": 1.0}, "PseudoHuberLoss"),
            Identity({"alpha": 0.0}, "CauchyLoss"),
            Identity({"alpha": -2.0}, "GemanMcClureLoss"),
            Identity({"alpha": -math.inf}, "WelschLoss"),
        ),
        cost="for any alpha but -inf, -2, 0, 1 and 2 a power of each residual",
    )

    alpha: float = parameter(default=1.0, within="[-inf, inf]")
    scale: float = parameter(default=1.0, within="(0, inf)")

    def elementwise(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return general_robust(numerics.size(y_true - y_pred) / self.scale, self.alpha)


class AdaptiveBarronLoss(ElementwiseLoss):
    """`BarronLoss` that finds out by itself how robust it should be, and how large a residual is usual.

        loss = mean over the last axis of  rho((y - f) / scale, alpha) + log scale + log Z(alpha)

    where rho is the loss of `BarronLoss` and Z(alpha) = integral of exp(-rho(x, alpha)) dx. It is the
    negative log-likelihood of a distribution between the normal one (alpha = 2) and one like Cauchy's
    (alpha = 0): a lower alpha takes outliers lightly and pays for it at the other residuals, so that alpha
    can be learned. That of `BarronLoss` cannot: alpha would go to where every residual costs least.
    `StudentTNLLLoss` has parameters that the model predicts for each sample; here they are those of the whole
    data.

    Args:
        outputs: how many outputs the model has, each of which then has an alpha and a scale of its own; None
            is one of each for all outputs.
        alpha: the shape, in (0.001, 1.999): learned, from 1, unless a number is given.
        scale: the size of a usual residual, above 1e-5, in the units of the target: learned, from 1, unless a
            number is given.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., outputs)`; `(...)` stands for one output. With `reduction="none"`
    the result is `(...)`.

    Raises:
        ValueError: for hyper-parameters out of range, shapes that differ, predictions of another number of
            outputs; and when it is called where nobody trains alpha and scale: see `LossAwareModel`.

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
        use="nobody knows how heavy the tails of the noise are; in a LossAwareModel",
        avoid="a noise that depends on the input: likelihoods such as StudentTNLLLoss predict it",
        elicits="location between median and mean",
        elicits_note="the nearer the mean, the lighter the tails that are found",
        gradient_bound="unbounded for alpha > 1; 1 / scale for alpha <= 1",
        cost="a power of each residual for any alpha, and 640 exponentials for each output",
    )

    outputs: int | None = parameter(default=None, within="[1, inf)", integer=True, optional=True)
    alpha: float = parameter(default=Learned(1.0), within="(0.001, 1.999)")
    scale: float = parameter(default=Learned(1.0), within="(1e-05, inf)")

    def _shape_of(self, learned: str) -> tuple[int, ...]:
        return () if self.outputs is None else (self.outputs,)

    def align(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        y_true, y_pred = super().align(y_true, y_pred)
        if self.outputs not in (None, y_pred.shape[-1]):
            raise ValueError(
                f"AdaptiveBarronLoss: `y_pred` must have outputs={self.outputs} in its last axis. Received: "
                f"y_pred of shape {tuple(y_pred.shape)}."
            )
        return y_true, y_pred

    def elementwise(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        alpha, scale = self.convert(self.alpha), self.convert(self.scale)
        rho = general_robust(numerics.size(y_true - y_pred) / scale, alpha)
        return rho + ops.log(scale) + numerics.barron_log_partition(alpha)


class CauchyLoss(BarronLoss):
    """The logarithm of the squared residual, for noise with tails as heavy as a Cauchy distribution's.

        loss = mean over the last axis of  log((r/scale)^2 / 2 + 1)

    `BarronLoss(alpha=0)`. It is the likelihood of Student's t with one degree of freedom for a residual
    of r sqrt(2) / 2: an outlier always counts, ever less. `GemanMcClureLoss` and `WelschLoss` let it go.

    Args:
        scale: the size of a residual that is no outlier, above 0, in the units of the target.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., outputs)`; `(...)` stands for one output. With `reduction="none"`
    the result is `(...)`.

    Raises:
        ValueError: for a scale that is not above 0 and shapes that differ.

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
        use="heavy tails: outliers of any size, and many of them",
        avoid="several groups of targets for one input: it may settle on one of them",
        elicits="location near the median",
        gradient_bound="sqrt(2) / (2 scale)",
        cost="a logarithm of each residual's square, with the digits of small ones",
    )

    alpha = 0.0


class GemanMcClureLoss(BarronLoss):
    """A bounded loss, to which the outliers beyond a few scales are all the same: Geman and McClure's.

        loss = mean over the last axis of  2 (r/scale)^2 / ((r/scale)^2 + 4)

    `BarronLoss(alpha=-2)`. The gradient of an outlier falls with the cube of its size, that of `CauchyLoss`
    with its size, and that of `WelschLoss` faster than any power.

    Args:
        scale: the size of a residual that is no outlier, above 0, in the units of the target.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., outputs)`; `(...)` stands for one output. With `reduction="none"`
    the result is `(...)`.

    Raises:
        ValueError: for a scale that is not above 0 and shapes that differ.

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
        use="gross errors among the targets, and a start that is near the others",
        avoid="residuals are far beyond the scale at the start: their gradient is nearly 0",
        elicits="location near the median",
        gradient_bound="3 sqrt(3) / (8 scale)",
        cost="a quotient of its own on each side of the scale, so that no square is beyond a float",
    )

    alpha = -2.0


class WelschLoss(BarronLoss):
    """A bounded loss that lets outliers go faster than any power of their size: Welsch's, or correntropy.

        loss = mean over the last axis of  1 - exp(-(r/scale)^2 / 2)

    `BarronLoss(alpha=-inf)`. As `TukeyBiweightLoss`, but without an edge beyond which there is nothing.

    Args:
        scale: the size of a residual that is no outlier, above 0, in the units of the target.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., outputs)`; `(...)` stands for one output. With `reduction="none"`
    the result is `(...)`.

    Raises:
        ValueError: for a scale that is not above 0 and shapes that differ.

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
        use="gross errors among the targets, and a start that is near the others",
        avoid="residuals are beyond some six scales at the start: their gradient is 0 in float32",
        elicits="location near the median",
        gradient_bound="exp(-1/2) / scale",
    )

    alpha = -math.inf


def general_robust(u: Tensor, alpha: float | Tensor) -> Tensor:
    """Barron's loss of residuals u >= 0 in units of the scale, continuous and exact in alpha."""
    if not numerics.is_number(alpha):
        return _robust_for_any(u, alpha)
    if alpha == 2.0:
        return 0.5 * ops.square(u)
    if alpha == 1.0:
        return u * numerics.tan_of_half(u)
    if alpha == -2.0:
        return 2.0 * numerics.share(ops.square(0.5 * u), ops.ones_like(u))
    if abs(alpha) > 1e15:  # which float64 cannot tell from infinity
        return numerics.one_minus_exp(0.5 * ops.square(u)) if alpha < 0 else ops.expm1(0.5 * ops.square(u))
    b = abs(alpha - 2.0)
    log = numerics.log1p_square(u / math.sqrt(b))
    if abs(alpha) < 1e-17:
        return log
    if alpha < 0.0:
        return (b / -alpha) * numerics.one_minus_exp(-0.5 * alpha * log)
    power = (b / alpha) * ops.expm1(0.5 * alpha * log)
    if b > 1.0:
        return power
    # Near squared error the power is u^2 / b times one that is near 1; together they would lose its digits.
    near, exponent = log < 41.0, math.copysign(0.5 * b, alpha - 2.0) * log
    square = ops.square(ops.where(near, u, ops.zeros_like(u)))
    return ops.where(near, (square * ops.exp(exponent) + b * ops.expm1(exponent)) / alpha, power)


def _robust_for_any(u: Tensor, alpha: Tensor) -> Tensor:
    """The same for alpha in a tensor: each form has its arguments only where it is taken, for its slope.

    At alpha = 2 the slope in alpha is infinite, as log |alpha - 2| is; it is held there.
    """
    low, high, zeros = alpha < -1e15, alpha > 1e15, ops.zeros_like(u)
    at_ends = ops.logical_or(low, high)
    alpha = ops.where(at_ends, ops.ones_like(alpha), alpha)
    half_square = 0.5 * ops.square(u)
    ends = numerics.one_minus_exp(ops.where(low, half_square, zeros))
    ends = ends + ops.expm1(ops.where(high, half_square, zeros))

    b = numerics.maximum(ops.abs(alpha - 2.0), 1e-20)
    log = numerics.log1p_square(u / ops.sqrt(b))
    # The square of a larger one might be infinite where the power is not.
    near = ops.logical_and(b <= 1.0, u < 1e15)
    power = b * numerics.expm1_over(0.5 * ops.where(near, zeros, log), alpha)
    exponent = 0.5 * (alpha - 2.0) * ops.where(near, log, zeros)
    square = ops.square(ops.where(near, u, zeros))
    around_two = square * ops.exp(exponent) + b * ops.expm1(exponent)
    found = ops.where(near, around_two / ops.where(b <= 1.0, alpha, ops.ones_like(alpha)), power)
    return ends + ops.where(at_ends, zeros, found)
