"""Likelihoods of predicted distributions of counts.

`predicted_distribution.py` says how the parameters are packed and how the raw numbers are read.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from keras import ops

from keras_losses import numerics
from keras_losses.core import Card, parameter
from keras_losses.losses.predicted_distribution import COUNTS, LikelihoodLoss, ScaledLikelihoodLoss
from keras_losses.numerics import Tensor
from keras_losses.numerics.gamma import binet, log_factorial


class PoissonNLLLoss(LikelihoodLoss):
    """Negative log-likelihood of a Poisson distribution, for counts of independent events.

        loss = e^z - y z + log y!,  z = log rate

    Keras's `Poisson` takes the rate itself, adds an epsilon to it, and leaves out log y!, so that its values
    cannot be compared with those of other distributions. `PoissonLoss`, the deviance, is 0 where the rate is
    y.

    The order of the outputs: log rate.

    Args:
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., targets)`, or `(...)` for one target. With `reduction="none"` the
    result is `(...)`, the mean over the targets.

    `interval` needs SciPy.

    Raises:
        ValueError: if the shapes do not match; in eager mode also for labels that are not counts.

    Example:

    >>> import numpy as np
    >>> from keras_losses import PoissonNLLLoss
    >>> round(float(PoissonNLLLoss()(np.array([3.0]), np.array([0.0]))), 3)  # 1 + log 3!
    2.792

    References:
        - Nelder & Wedderburn 1972, Generalized Linear Models, https://doi.org/10.2307/2344614
    """

    card = Card(
        family="counts",
        formula="e^z - y z + log y!, z = log rate",
        paper="Nelder & Wedderburn 1972",
        labels="counts: 0, 1, 2 ...",
        predictions="log rate",
        use="counts of independent events: arrivals, claims, clicks",
        avoid="counts with a variance above their mean (NegativeBinomialLoss) or with too many zeros",
        elicits="parameters of the distribution",
        elicits_note="the mean of the counts, as e^z",
        gradient_bound="unbounded: e^z - y",
        conditioning="for large counts the terms cancel: the rounding error is 1e-7 of y log y",
        cost="the logarithm of a factorial",
    )

    support = COUNTS

    @property
    def parts(self) -> int:
        return 1

    def score(self, y: Tensor, numbers: list[Tensor]) -> Tensor:
        return _poisson_nll(y, *numbers)

    def transformed(self, numbers: list[Tensor]) -> dict[str, Tensor]:
        return {"rate": ops.exp(*numbers)}

    def expectation(self, distribution: Mapping[str, Tensor]) -> Tensor:
        return distribution["rate"]

    def quantile(self, p: float, distribution: Mapping[str, Tensor]) -> Tensor:
        return self._scipy_quantile("poisson", p, distribution["rate"])


class NegativeBinomialLoss(ScaledLikelihoodLoss):
    """Negative log-likelihood of a negative binomial distribution, for counts that vary more than their mean.

        loss = (y + 1/a) log(1 + a m) - y log(a m) - log[Gamma(y + 1/a) / (Gamma(1/a) y!)]

    with the mean m = e^z and the dispersion a = softplus(raw) + floor: the variance is m + a m^2. Others call
    1/a the total count or size, and a m / (1 + a m) the probability. As a goes to 0 the loss becomes
    `PoissonNLLLoss`, to full precision.

    The order of the outputs: log mean, raw dispersion.

    Args:
        floor: the smallest dispersion, above 0.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` `(..., targets)`, or `(...)` for one target, and `y_pred` `(..., 2 * targets)`. With
    `reduction="none"` the result is `(...)`, the mean over the targets.

    `interval` needs SciPy.

    Raises:
        ValueError: if `floor` is not above 0 or the shapes do not match; in eager mode also for labels that
            are not counts.

    Example:

    >>> import numpy as np
    >>> from keras_losses import NegativeBinomialLoss
    >>> y_pred = np.array([[0.0, 0.5413]])  # mean 1, dispersion 1: P(y) = 2^-(y + 1)
    >>> round(float(NegativeBinomialLoss()(np.array([3.0]), y_pred)), 3)  # 4 log 2
    2.773

    References:
        - Lawless 1987, Negative Binomial and Mixed Poisson Regression, https://doi.org/10.2307/3314912
        - Salinas et al. 2017, DeepAR, https://arxiv.org/abs/1704.04110
    """

    card = Card(
        family="counts",
        formula="(y + 1/a) log(1 + a m) - y log(a m) - log[Gamma(y + 1/a) / (Gamma(1/a) y!)]",
        paper="Lawless 1987",
        labels="counts: 0, 1, 2 ...",
        predictions="log mean, raw dispersion: a = softplus(raw) + floor",
        use="counts with a variance above their mean: demand, visits, reads of a gene",
        avoid="counts with a variance below their mean",
        elicits="parameters of the distribution",
        gradient_bound="(y + 1/a) in the log mean",
        conditioning=(
            "accurate for 1/a and counts from 1e-3 to 1e6: the error is 1e-6 of the sum of |terms|, which "
            "cancel for large counts"
        ),
        cost="three logarithms of gamma functions",
    )

    floor: float = parameter(default=1e-6, within="(0, inf)", kw_only=True)

    support = COUNTS

    @property
    def parts(self) -> int:
        return 2

    def score(self, y: Tensor, numbers: list[Tensor]) -> Tensor:
        log_mean, raw = numbers
        dispersion = self.positive(raw)
        size, log_odds = 1.0 / dispersion, log_mean + ops.log(dispersion)
        total, zero = size + y, numerics.softplus(log_odds)
        # For a m < 1, y log a cancels between the logarithms and the ratio of gamma functions, and is left
        # out of both. For a m > 1 the gradient of that form would be a difference of two terms near y.
        below = total * zero - y * log_mean - (total - 0.5) * numerics.log1p(y / size)
        above = size * zero + y * numerics.softplus(-log_odds)
        above = above - ((total - 0.5) * ops.log(total) - (size - 0.5) * ops.log(size))
        # For a count of 0 the remainders cancel exactly, and so do their gradients, which are large.
        positive = y > 0
        remainder = ops.where(positive, binet(total) - binet(size), ops.zeros_like(total))
        use_above = ops.logical_and(log_odds > 0, positive)
        return ops.where(use_above, above, below) + y + log_factorial(y) - remainder

    def transformed(self, numbers: list[Tensor]) -> dict[str, Tensor]:
        log_mean, raw = numbers
        return {"mean": ops.exp(log_mean), "dispersion": self.positive(raw)}

    def expectation(self, distribution: Mapping[str, Tensor]) -> Tensor:
        return distribution["mean"]

    def quantile(self, p: float, distribution: Mapping[str, Tensor]) -> Tensor:
        mean, dispersion = distribution["mean"], distribution["dispersion"]
        return self._scipy_quantile("nbinom", p, 1.0 / dispersion, 1.0 / (1.0 + dispersion * mean))


class ZeroInflatedPoissonLoss(LikelihoodLoss):
    """Negative log-likelihood of a zero-inflated Poisson distribution, for counts with extra zeros.

        loss = -log[q + (1 - q) e^-rate]           where y = 0
               -log(1 - q) + rate - y z + log y!   elsewhere,   q = sigmoid(logit),  rate = e^z

    `PoissonNLLLoss` explains only the zeros that come from the rate.

    The order of the outputs: logit of the extra zeros, log rate.

    Args:
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` `(..., targets)`, or `(...)` for one target, and `y_pred` `(..., 2 * targets)`. With
    `reduction="none"` the result is `(...)`, the mean over the targets.

    `parameters` returns "zeros", the probability q, and "rate". `interval` needs SciPy.

    Raises:
        ValueError: if the shapes do not match; in eager mode also for labels that are not counts.

    Example:

    >>> import numpy as np
    >>> from keras_losses import ZeroInflatedPoissonLoss
    >>> loss, y_pred = ZeroInflatedPoissonLoss(), np.array([[0.0, 0.0]])  # q = 1/2, rate 1
    >>> round(float(loss(np.array([0.0]), y_pred)), 3)  # -log(1/2 + e^-1 / 2)
    0.38
    >>> loss.mean(y_pred).tolist()
    [[0.5]]

    References:
        - Lambert 1992, Zero-Inflated Poisson Regression, https://doi.org/10.2307/1269547
    """

    card = Card(
        family="counts",
        formula="-log[q + (1 - q) e^-rate] if y = 0, else -log(1 - q) + rate - y z + log y!",
        paper="Lambert 1992",
        labels="counts: 0, 1, 2 ...",
        predictions="logit of the extra zeros, log rate z",
        use="counts with more zeros than their rate explains, because some samples never have any",
        avoid="counts that vary more than their mean even without the extra zeros",
        elicits="parameters of the distribution",
        gradient_bound="1 in the logit; unbounded: e^z - y in the log rate",
        conditioning="for large counts the terms cancel: the rounding error is 1e-7 of y log y",
        cost="the logarithm of a factorial, and the logarithm of a mixture",
    )

    support = COUNTS

    @property
    def parts(self) -> int:
        return 2

    def score(self, y: Tensor, numbers: list[Tensor]) -> Tensor:
        logit, log_rate = numbers
        is_zero, zeros = ops.equal(y, 0), ops.zeros_like(log_rate)
        positive_nll = numerics.softplus(logit) + _poisson_nll(y, ops.where(is_zero, zeros, log_rate))
        # For a rate of e^80, e^-rate is 0. The slope of a much larger rate would be infinite.
        rate = ops.exp(numerics.minimum(ops.where(is_zero, log_rate, zeros), 80.0))
        return ops.where(is_zero, self._zero_nll(logit, rate), positive_nll)

    @staticmethod
    def _zero_nll(logit: Tensor, rate: Tensor) -> Tensor:
        """softplus(logit) - log(e^logit + e^-rate), without cancellation for each sign of the logit."""
        likely, zeros = logit >= 0, ops.zeros_like(logit)
        high, low = ops.where(likely, logit, zeros), ops.where(likely, zeros, logit)
        for_likely = numerics.softplus(-high) - numerics.softplus(-(high + rate))
        both = low + rate
        either = ops.where(both > 0, low + numerics.softplus(-both), numerics.softplus(both) - rate)
        return ops.where(likely, for_likely, numerics.softplus(low) - either)

    def transformed(self, numbers: list[Tensor]) -> dict[str, Tensor]:
        logit, log_rate = numbers
        return {"zeros": ops.sigmoid(logit), "rate": ops.exp(log_rate)}

    def expectation(self, distribution: Mapping[str, Tensor]) -> Tensor:
        return (1.0 - distribution["zeros"]) * distribution["rate"]

    def quantile(self, p: float, distribution: Mapping[str, Tensor]) -> Tensor:
        zeros = numerics.to_numpy(distribution["zeros"])
        among = np.maximum((p - zeros) / np.maximum(1.0 - zeros, 1e-300), 0.0)
        return ops.relu(self._scipy_quantile("poisson", among, distribution["rate"]))


def _poisson_nll(y: Tensor, log_rate: Tensor) -> Tensor:
    return ops.exp(log_rate) - y * log_rate + log_factorial(y)
