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
    """The negative log-likelihood of a Poisson distribution whose log rate the model predicts.

        loss = e^z - y z + log y!,  z = log rate

    Keras's `Poisson` takes the rate itself, adds an epsilon to it, and leaves log y! out, so that its values
    do not compare with those of other distributions.

    The order of the outputs: log rate.

    Args:
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., targets)`; `(...)` stands for one target. With `reduction="none"`
    the result is `(...)`, the mean over the targets.

    `interval` needs SciPy.

    Raises:
        ValueError: for shapes that do not match and, in eager mode, for labels that are no counts.

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
        use="counts of events that do not know of each other: arrivals, claims, clicks",
        avoid="counts that vary more than their mean (NegativeBinomialLoss), or are 0 too often",
        elicits="parameters of the distribution",
        elicits_note="the mean of the counts, as e^z",
        gradient_bound="unbounded: e^z - y",
        conditioning="for large counts the terms cancel: the error is absolute, 1e-7 of y log y",
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
    """The negative log-likelihood of a negative binomial distribution: counts that vary more than their mean.

        loss = (y + 1/a) log(1 + a m) - y log(a m) - log[Gamma(y + 1/a) / (Gamma(1/a) y!)]

    with the mean m = e^z and the dispersion a = softplus(raw) + floor: the variance is m + a m^2. (What
    others call the total count, or size, is 1/a, and the probability a m / (1 + a m).) As a goes to 0 it is
    `PoissonNLLLoss`, to the last digits.

    The order of the outputs: log mean, raw dispersion.

    Args:
        floor: the smallest dispersion, above 0.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` `(..., targets)`, or `(...)` for one target, and `y_pred` `(..., 2 * targets)`. With
    `reduction="none"` the result is `(...)`, the mean over the targets.

    `interval` needs SciPy.

    Raises:
        ValueError: for a floor that is not above 0, shapes that do not match and, in eager mode, for labels
            that are no counts.

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
        use="counts that vary more than their mean: demand, visits, reads of a gene",
        avoid="counts that vary less than their mean",
        elicits="parameters of the distribution",
        gradient_bound="(y + 1/a) in the log mean",
        conditioning=(
            "exact for 1/a and counts from 1e-3 to 1e6: the error is 1e-6 of sum |terms|, which cancel for "
            "large counts"
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
        # Where a m < 1, y log a is left out, of the logarithms and of the ratio of gamma functions in which
        # it cancels. Where a m > 1 the slopes would be differences of two that are y.
        below = total * zero - y * log_mean - (total - 0.5) * numerics.log1p(y / size)
        above = size * zero + y * numerics.softplus(-log_odds)
        above = above - ((total - 0.5) * ops.log(total) - (size - 0.5) * ops.log(size))
        some = y > 0  # of a count of 0 nothing is left, nor of its slopes, which are large
        left = ops.where(some, binet(total) - binet(size), ops.zeros_like(total))
        many = ops.logical_and(log_odds > 0, some)
        return ops.where(many, above, below) + y + log_factorial(y) - left

    def transformed(self, numbers: list[Tensor]) -> dict[str, Tensor]:
        log_mean, raw = numbers
        return {"mean": ops.exp(log_mean), "dispersion": self.positive(raw)}

    def expectation(self, distribution: Mapping[str, Tensor]) -> Tensor:
        return distribution["mean"]

    def quantile(self, p: float, distribution: Mapping[str, Tensor]) -> Tensor:
        mean, dispersion = distribution["mean"], distribution["dispersion"]
        return self._scipy_quantile("nbinom", p, 1.0 / dispersion, 1.0 / (1.0 + dispersion * mean))


class ZeroInflatedPoissonLoss(LikelihoodLoss):
    """The negative log-likelihood of Poisson counts among which there are zeros of another cause.

        loss = -log[q + (1 - q) e^-rate]           where y = 0
               -log(1 - q) + rate - y z + log y!   elsewhere,   q = sigmoid(logit),  rate = e^z

    Of the zeros `PoissonNLLLoss` knows only those that come of the rate.

    The order of the outputs: logit of the extra zeros, log rate.

    Args:
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` `(..., targets)`, or `(...)` for one target, and `y_pred` `(..., 2 * targets)`. With
    `reduction="none"` the result is `(...)`, the mean over the targets.

    `parameters` gives "zeros", the probability q, and the rate. `interval` needs SciPy.

    Raises:
        ValueError: for shapes that do not match and, in eager mode, for labels that are no counts.

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
        use="counts with more zeros than their rate explains: no visit because no customer",
        avoid="counts that vary more than their mean beside the zeros, too",
        elicits="parameters of the distribution",
        gradient_bound="1 in the logit; unbounded: e^z - y in the log rate",
        conditioning="for large counts the terms cancel: the error is absolute, 1e-7 of y log y",
        cost="the logarithm of a factorial, and the logarithm of a mixture",
    )

    support = COUNTS

    @property
    def parts(self) -> int:
        return 2

    def score(self, y: Tensor, numbers: list[Tensor]) -> Tensor:
        logit, log_rate = numbers
        none, zeros = ops.equal(y, 0), ops.zeros_like(log_rate)
        some = numerics.softplus(logit) + _poisson_nll(y, ops.where(none, zeros, log_rate))
        # Of a rate beyond e^80 nothing is left in e^-rate, and its own slope would be infinite.
        rate = ops.exp(numerics.minimum(ops.where(none, log_rate, zeros), 80.0))
        return ops.where(none, self._zero(logit, rate), some)

    @staticmethod
    def _zero(logit: Tensor, rate: Tensor) -> Tensor:
        """softplus(logit) - log(e^logit + e^-rate), from the side on which the two do not cancel."""
        often, zeros = logit >= 0, ops.zeros_like(logit)
        high, low = ops.where(often, logit, zeros), ops.where(often, zeros, logit)
        of_often = numerics.softplus(-high) - numerics.softplus(-(high + rate))
        both = low + rate
        either = ops.where(both > 0, low + numerics.softplus(-both), numerics.softplus(both) - rate)
        return ops.where(often, of_often, numerics.softplus(low) - either)

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
