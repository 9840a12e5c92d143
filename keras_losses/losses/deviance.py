"""Deviances of targets that are never negative: counts, amounts, times."""

from __future__ import annotations

import math

import numpy as np
from keras import ops

from keras_losses import numerics
from keras_losses.core import Card, ElementwiseLoss, Identity, flag, parameter, wanted_values
from keras_losses.core.validity import fuses_elementwise, nan_unless
from keras_losses.numerics import Tensor


class TweedieLoss(ElementwiseLoss):
    """Tweedie deviance, for targets that are never negative and often 0: claims, rainfall, sales.

        loss = mean over the last axis of  2 integral_mu^y (y - t) t^-power dt
             = 2 (y^(2-power) / ((1-power) (2-power)) - y mu^(1-power) / (1-power) + mu^(2-power) / (2-power))

    with mu = e^f, or mu = f for `log_link=False`. It assumes that the variance of y grows as mu^power. Power
    1 is `PoissonLoss`, 2 is `GammaLoss` and 3 the inverse Gaussian; a power between 1 and 2 describes zeros
    among positive amounts. The value is continuous in `power` at 1 and 2. It is 0 at y = mu and exact near
    it, where the three terms cancel.

    Args:
        power: the power of the mean to which the variance is proportional, in [1, 3].
        log_link: whether the predictions are log mu. Otherwise they are mu itself, above 0, for instance from
            a layer with `activation="exponential"`; the loss is then not convex, and slower to train.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., outputs)`, or `(...)` for one output. With `reduction="none"` the
    result is `(...)`.

    Raises:
        ValueError: if `power` is out of range or the shapes differ; in eager mode also for negative targets
            (for power >= 2 targets of 0 too), and for predictions not above 0 with `log_link=False`.

    Example:

    >>> import numpy as np
    >>> from keras_losses import TweedieLoss
    >>> loss = TweedieLoss(power=1.5)
    >>> float(loss(np.array([4.0, 0.0]), np.array([0.0, 0.0])))  # mu = 1: 2 (-8 + 8 + 2) and 2 * 2
    4.0

    References:
        - Jorgensen 1987, Exponential Dispersion Models, https://doi.org/10.1111/j.2517-6161.1987.tb01685.x
    """

    card = Card(
        family="deviance",
        formula="2 (y^(2-p)/((1-p)(2-p)) - y mu^(1-p)/(1-p) + mu^(2-p)/(2-p)), mu = e^f",
        paper="Jorgensen 1987",
        labels="numbers from 0 up; above 0 for power >= 2",
        predictions="log mu; or mu above 0",
        use="amounts of which many are 0, or whose spread grows with their mean",
        avoid="targets that may be negative, or whose spread does not depend on their mean: SquaredErrorLoss",
        elicits="mean",
        gradient_bound="unbounded: 2 mu^(1-p) |mu - y| in log mu",
        identities=(
            Identity({"power": 1.0}, "PoissonLoss"),
            Identity({"power": 2.0}, "GammaLoss"),
        ),
        cost="two powers for the value and two for the gradient, in forms that do not cancel",
    )

    power: float = parameter(default=1.5, within="[1, 3]")
    log_link: bool = flag(default=True, kw_only=False)

    def elementwise(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        log_mu = y_pred if self.log_link else -numerics.negative_log(y_pred, self.compute_dtype)
        is_zero = ops.equal(y_true, 0)
        log_y = ops.log(ops.where(is_zero, ops.ones_like(y_true), y_true))
        if self.power == 1.0:
            mu = ops.exp(y_pred) if self.log_link else y_pred
            divergence = numerics.alpha_divergence_terms(y_true, mu, log_y, log_mu, 1.0)
            return 2.0 * ops.where(is_zero, mu, divergence)
        # The gradient in mu is that of the two terms with mu, which do not cancel in it. The value is that of
        # a form of the deviance in which nothing cancels.
        terms = 2.0 * _terms_of_mu(y_true, log_y, log_mu, self.power)
        value = _exact(is_zero, ops.stop_gradient(log_y), ops.stop_gradient(log_mu), self.power)
        # Adds a gradient and no value. Where the terms overflow, their infinity is the right value.
        gradient_only = ops.where(ops.isfinite(terms), terms - ops.stop_gradient(terms), terms)
        return value + gradient_only

    def mark_invalid(self, y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
        if not fuses_elementwise(y_true):
            return y_true, y_pred
        y_true = nan_unless(y_true >= 0 if self.power < 2.0 else y_true > 0, y_true)
        return y_true, y_pred if self.log_link else nan_unless(y_pred > 0, y_pred)

    def check(self, y_true: Tensor, y_pred: Tensor, wanted: np.ndarray | None) -> None:
        owner, power = type(self).__name__, self.power
        y, f = wanted_values(y_true, wanted), wanted_values(y_pred, wanted)
        wrong = y < 0 if power < 2.0 else y <= 0
        if wrong.any():
            if power < 2.0:
                domain, remedy = "not be negative", "`SquaredErrorLoss` takes targets of any sign."
            else:
                domain = f"be above 0 for a power of {power:g}"
                remedy = "`TweedieLoss` with a power below 2 takes targets of 0."
            raise ValueError(f"`{owner}`: `y_true` must {domain}. Received: {y[wrong][0]:g}. {remedy}")
        if not self.log_link and (f <= 0).any():
            raise ValueError(
                f"`{owner}`: `y_pred` must be above 0 with log_link=False. Received: {f[f <= 0][0]:g}. End "
                'the model with activation="exponential" or "softplus", or pass log_link=True.'
            )


class PoissonLoss(TweedieLoss):
    """Poisson deviance, for counts whose variance equals their mean.

        loss = mean over the last axis of  2 (y log(y / mu) - y + mu)

    with mu = e^f, or mu = f for `log_link=False`, and 0 log 0 = 0. It is `TweedieLoss(power=1)` and
    scikit-learn's `mean_poisson_deviance`, and is 0 at mu = y. Keras's `Poisson` is mu - y log mu, which is
    not 0 there and has half the gradient. `PoissonNLLLoss` is the likelihood itself.

    Args:
        log_link: whether the predictions are log mu; otherwise they are mu itself, above 0.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., outputs)`, or `(...)` for one output. With `reduction="none"` the
    result is `(...)`.

    Raises:
        ValueError: if the shapes differ; in eager mode also for negative targets, and for predictions not
            above 0 with `log_link=False`.

    Example:

    >>> import numpy as np
    >>> from keras_losses import PoissonLoss
    >>> float(PoissonLoss()(np.array([0.0, 1.0]), np.array([0.0, 0.0])))  # mu = 1: 2 * 1 and 0
    1.0

    References:
        - McCullagh & Nelder 1989, Generalized Linear Models, https://doi.org/10.1007/978-1-4899-3242-6
    """

    card = Card(
        family="deviance",
        formula="2 (y log(y/mu) - y + mu), mu = e^f",
        paper="McCullagh & Nelder 1989",
        labels="counts, or any numbers from 0 up",
        predictions="log mu; or mu above 0",
        use="counts, and rates of events",
        avoid="counts whose variance is far above their mean: NegativeBinomialLoss",
        elicits="mean",
        gradient_bound="unbounded: 2 |mu - y| in log mu",
        cost="an exponential for the value and one for the gradient, in forms that do not cancel",
    )

    power = 1.0


class GammaLoss(TweedieLoss):
    """Gamma deviance, for positive amounts whose spread is proportional to their mean.

        loss = mean over the last axis of  2 (y / mu - 1 - log(y / mu))

    with mu = e^f, or mu = f for `log_link=False`. It depends only on the ratio of target and prediction: 1
    for 2 costs as much as 1000 for 2000. It is `TweedieLoss(power=2)` and scikit-learn's
    `mean_gamma_deviance`.

    Args:
        log_link: whether the predictions are log mu; otherwise they are mu itself, above 0.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., outputs)`, or `(...)` for one output. With `reduction="none"` the
    result is `(...)`.

    Raises:
        ValueError: if the shapes differ; in eager mode also for targets not above 0, and for predictions not
            above 0 with `log_link=False`.

    Example:

    >>> import numpy as np
    >>> from keras_losses import GammaLoss
    >>> round(float(GammaLoss()(np.array([2.0]), np.array([0.0]))), 4)  # mu = 1: 2 (2 - 1 - log 2)
    0.6137

    References:
        - McCullagh & Nelder 1989, Generalized Linear Models, https://doi.org/10.1007/978-1-4899-3242-6
    """

    card = Card(
        family="deviance",
        formula="2 (y/mu - 1 - log(y/mu)), mu = e^f",
        paper="McCullagh & Nelder 1989",
        labels="numbers above 0",
        predictions="log mu; or mu above 0",
        use="positive amounts whose spread grows with their mean: durations, prices, sizes",
        avoid="targets of 0 (TweedieLoss), or far too small: y/mu may be huge, but is never far below 0",
        elicits="mean",
        gradient_bound="unbounded: 2 |1 - y/mu| in log mu",
        cost="an exponential for the value and one for the gradient, in forms that do not cancel",
    )

    power = 2.0


def _terms_of_mu(y: Tensor, log_y: Tensor, log_mu: Tensor, p: float) -> Tensor:
    """Half of the terms of the deviance with mu, up to terms that do not depend on mu."""
    a, b = 1.0 - p, 2.0 - p
    positive, zeros = y > 0, ops.zeros_like(y)
    log_mu_if_positive = ops.where(positive, log_mu, zeros)
    power = ops.exp(a * log_mu_if_positive + log_y)
    of_y = y * log_mu if a == 0.0 else ops.where(positive, power, zeros) / a
    return (log_mu if b == 0.0 else ops.exp(b * log_mu) / b) - of_y


def _exact(is_zero: Tensor, log_y: Tensor, log_mu: Tensor, p: float) -> Tensor:
    """Deviance: a series near y = mu, and forms in powers of y or of mu elsewhere."""
    s = ops.where(is_zero, numerics.full_like(log_y, -1e30), log_y - log_mu)
    near = ops.abs(s) < 0.5
    series = 2.0 * ops.exp((2.0 - p) * log_y) * _near_the_mean(ops.where(near, s, ops.zeros_like(s)), p)
    from_y = ops.exp((2.0 - p) * log_y) * (
        numerics.expm1_scaled(s, p - 1.0) - numerics.expm1_scaled(s, p - 2.0)
    )
    if p >= 2.0:
        return ops.where(near, series, 2.0 * from_y)
    shrunk = ops.exp((2.0 - p) * s) * numerics.expm1_scaled(s, p - 1.0)
    from_mu = ops.exp((2.0 - p) * log_mu) * (shrunk - numerics.expm1_scaled(s, 2.0 - p))
    return ops.where(near, series, 2.0 * ops.where(s > 0, from_y, from_mu))


def _near_the_mean(s: Tensor, p: float) -> Tensor:
    """(e^((p-1) s) - 1) / (p-1) - (e^((p-2) s) - 1) / (p-2) for |s| < 1/2.

    A series without its linear terms, which are s in both and cancel.
    """
    value = ops.zeros_like(s)
    for k in range(22 if numerics.is_double(s) else 13, 1, -1):  # Horner's scheme
        value = value * s + _products(p - 1.0, p - 2.0, k - 2) / float(math.factorial(k))
    return ops.square(s) * value


def _products(a: float, b: float, degree: int) -> float:
    """Sum over j of a^j b^(degree - j)."""
    return math.fsum(a**j * b ** (degree - j) for j in range(degree + 1))
