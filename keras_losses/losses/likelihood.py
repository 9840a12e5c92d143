"""Likelihoods and scores of predicted continuous distributions.

`predicted_distribution.py` says how the parameters are packed and how the raw numbers are read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist
from typing import ClassVar

import numpy as np
from keras import ops

from keras_losses import numerics
from keras_losses.core import Card, parameter
from keras_losses.core.scipy import import_scipy
from keras_losses.losses.predicted_distribution import (
    LOG_TWO_PI,
    POSITIVE,
    SHARES,
    ScaledLikelihoodLoss,
    normal_nll,
    student_t_nll,
)
from keras_losses.numerics import Tensor
from keras_losses.numerics.gamma import binet


class LocationScaleLoss(ScaledLikelihoodLoss):
    """Base of the likelihoods with a location and a raw scale as outputs."""

    location: ClassVar[str] = "location"
    """Name of the first parameter."""

    @property
    def parts(self) -> int:
        return 2

    def transformed(self, numbers: list[Tensor]) -> dict[str, Tensor]:
        location, raw = numbers
        return {self.location: location, "scale": self.positive(raw)}

    def expectation(self, distribution: Mapping[str, Tensor]) -> Tensor:
        return distribution[self.location]


class NormalLoss(LocationScaleLoss):
    """Base of the losses that predict a normal distribution."""

    location = "mean"

    def quantile(self, p: float, distribution: Mapping[str, Tensor]) -> Tensor:
        return distribution["mean"] + NormalDist().inv_cdf(p) * distribution["scale"]


class GaussianNLLLoss(NormalLoss):
    """Negative log-likelihood of a normal distribution, for noise whose size differs between samples.

        loss = r^2 / (2 s^2) + log s + log(2 pi) / 2,  r = y - mean,  s = softplus(raw) + floor

    times the variance to the power `beta`, which is held constant in the gradient. With beta = 0 it is a true
    likelihood with its constant, which PyTorch's `GaussianNLLLoss` leaves out by default. With beta = 1 the
    mean learns as with squared error, so that samples with a large predicted variance still count; the paper
    recommends 0.5. Outliers count more than in `StudentTNLLLoss` and `GaussianCRPSLoss`.

    The order of the outputs: mean, raw scale.

    Args:
        beta: the power of the variance that weights the loss, in [0, 1].
        floor: the smallest scale, above 0, in the units of the target. It limits the gradient in the mean to
            |r| / floor^2; the default is meant for targets of about unit scale, and is that of PyTorch.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` `(..., targets)`, or `(...)` for one target, and `y_pred` `(..., 2 * targets)`. With
    `reduction="none"` the result is `(...)`, the mean over the targets.

    Raises:
        ValueError: if a hyper-parameter is out of range or the shapes do not match.

    Example:

    >>> import numpy as np
    >>> from keras_losses import GaussianNLLLoss
    >>> loss, y_pred = GaussianNLLLoss(), np.array([[10.0, 1.8534]])  # softplus(1.8534) + 0.001 = 2
    >>> round(float(loss(np.array([12.0]), y_pred)), 2)  # 1 / 2 + log 2 + log(2 pi) / 2
    2.11
    >>> [round(float(end[0, 0]), 2) for end in loss.interval(y_pred, level=0.9)]  # 10 -+ 1.645 * 2
    [6.71, 13.29]

    References:
        - Nix & Weigend 1994, Estimating the Mean and Variance of the Target Probability Distribution,
          https://doi.org/10.1109/ICNN.1994.374138
        - Seitzer et al. 2022, On the Pitfalls of Heteroscedastic Uncertainty Estimation with Probabilistic
          Neural Networks, https://arxiv.org/abs/2203.09168
    """

    card = Card(
        family="likelihood",
        formula="[r^2 / (2 s^2) + log s + log(2 pi) / 2] stop_gradient(s^(2 beta))",
        paper="Nix & Weigend 1994; Seitzer et al. 2022",
        labels="real numbers",
        predictions="mean, raw scale: s = softplus(raw) + floor",
        use="roughly Gaussian noise whose size differs between samples and should be predicted",
        avoid="outliers (StudentTNLLLoss); a mean that fits badly where the noise is large (then beta=0.5)",
        elicits="parameters of the distribution",
        elicits_note="the mean and the standard deviation, if it is above the floor",
        gradient_bound="unbounded: |r| / s^2 in the mean, at most |r| / floor^2",
        conditioning="the terms have both signs: the rounding error is 1e-7 of the sum of |terms|",
    )

    beta: float = parameter(default=0.0, within="[0, 1]")

    def score(self, y: Tensor, numbers: list[Tensor]) -> Tensor:
        mean, raw = numbers
        scale = self.positive(raw)
        values = normal_nll((y - mean) / scale, scale)
        if self.beta == 0.0:
            return values
        return values * numerics.power(ops.stop_gradient(scale), 2.0 * self.beta)


class LaplaceNLLLoss(LocationScaleLoss):
    """Negative log-likelihood of a Laplace distribution, for medians with noise whose size differs.

        loss = |r| / s + log(2 s),  r = y - location,  s = softplus(raw) + floor

    The location is the median, and the scale the mean distance from it. The loss is `AbsoluteErrorLoss` that
    also predicts how large the noise is.

    The order of the outputs: location, raw scale.

    Args:
        floor: the smallest scale, above 0, in the units of the target.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` `(..., targets)`, or `(...)` for one target, and `y_pred` `(..., 2 * targets)`. With
    `reduction="none"` the result is `(...)`, the mean over the targets.

    Raises:
        ValueError: if `floor` is not above 0 or the shapes do not match.

    Example:

    >>> import numpy as np
    >>> from keras_losses import LaplaceNLLLoss
    >>> y_pred = np.array([[10.0, 1.8534]])  # softplus(1.8534) + 0.001 = 2
    >>> round(float(LaplaceNLLLoss()(np.array([12.0]), y_pred)), 2)  # 2 / 2 + log 4
    2.39

    References:
        - Laplace 1774; Kotz, Kozubowski & Podgorski 2001, https://doi.org/10.1007/978-1-4612-0173-1
    """

    card = Card(
        family="likelihood",
        formula="|r| / s + log(2 s)",
        paper="Laplace 1774",
        labels="real numbers",
        predictions="location, raw scale: s = softplus(raw) + floor",
        use="noise with outliers whose size differs between samples, where the median is wanted",
        avoid="convergence to the last digits: the gradient in the location does not shrink with the error",
        elicits="parameters of the distribution",
        elicits_note="the median, and the mean distance from it",
        gradient_bound="1 / floor in the location, unbounded in the raw scale",
        conditioning="the terms have both signs: the rounding error is 1e-7 of the sum of |terms|",
    )

    def score(self, y: Tensor, numbers: list[Tensor]) -> Tensor:
        location, raw = numbers
        scale = self.positive(raw)
        return numerics.absolute(y - location) / scale + ops.log(2.0 * scale)

    def quantile(self, p: float, distribution: Mapping[str, Tensor]) -> Tensor:
        steps = math.log(2 * p) if p < 0.5 else -math.log(2 * (1 - p))
        return distribution["location"] + steps * distribution["scale"]


class StudentTNLLLoss(LocationScaleLoss):
    """Negative log-likelihood of Student's t distribution, for targets with outliers.

        loss = (df + 1) / 2 log(1 + z^2 / df) + log s + log(df pi) / 2
               + log[Gamma(df / 2) / Gamma((df + 1) / 2)]

    with z = (y - location) / s and s = softplus(raw) + floor. Far outliers have hardly any gradient, unlike
    in `GaussianNLLLoss` and even `LaplaceNLLLoss`. As df grows, the loss becomes `GaussianNLLLoss`.

    The order of the outputs: location, raw scale and, where df is None, raw df: df = softplus(raw) + floor.

    Args:
        df: the degrees of freedom, above 0; None for a third output from which they are predicted.
        floor: the smallest scale, in the units of the target, and the smallest df, above 0.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` `(..., targets)`, or `(...)` for one target, and `y_pred` `(..., 2 * targets)`, or
    `(..., 3 * targets)` where df is predicted. With `reduction="none"` the result is `(...)`, the mean over
    the targets.

    `mean` returns the location, which is the median and, for df > 1, the mean. `interval` needs SciPy.

    Raises:
        ValueError: if a hyper-parameter is out of range or the shapes do not match.

    Example:

    >>> import numpy as np
    >>> from keras_losses import StudentTNLLLoss
    >>> y_pred = np.array([[10.0, 1.8534]])  # softplus(1.8534) + 0.001 = 2
    >>> round(float(StudentTNLLLoss(df=1.0)(np.array([12.0]), y_pred)), 2)  # log 2 + log(2 pi)
    2.53

    References:
        - Student 1908; Lange, Little & Taylor 1989, Robust Statistical Modeling Using the t Distribution,
          https://doi.org/10.1080/01621459.1989.10478852
    """

    card = Card(
        family="likelihood",
        formula="(df + 1)/2 log(1 + z^2/df) + log s + log(df pi)/2 + log[Gamma(df/2) / Gamma((df + 1)/2)]",
        paper="Lange, Little & Taylor 1989",
        labels="real numbers",
        predictions="location, raw scale and, without df, raw df: softplus(raw) + floor",
        use="targets with heavy tails, whose outliers must neither move the location nor inflate the scale",
        avoid="few samples with predicted df: its gradient is small, and a fixed df from 3 to 7 does as well",
        elicits="parameters of the distribution",
        gradient_bound="(df + 1) / (2 sqrt(df) s) in the location, (df + 1) / s in the scale",
        conditioning=(
            "accurate for df from 1e-3 to 1e6: the error is 1e-6 of the sum of |terms|. In the raw df the "
            "slope is a difference of terms as large as 1 / df"
        ),
        cost="two logarithms of gamma functions",
    )

    df: float | None = parameter(default=None, within="(0, inf)", optional=True)

    @property
    def parts(self) -> int:
        return 3 if self.df is None else 2

    def transformed(self, numbers: list[Tensor]) -> dict[str, Tensor]:
        location, raw, *raw_df = numbers
        df = numerics.full_like(raw, self.df) if self.df is not None else self.positive(*raw_df)
        return {"location": location, "scale": self.positive(raw), "df": df}

    def score(self, y: Tensor, numbers: list[Tensor]) -> Tensor:
        location, scale, df = self.transformed(numbers).values()
        return student_t_nll(0.5 * df, ops.square((y - location) / scale) / df, ops.log(scale))

    def quantile(self, p: float, distribution: Mapping[str, Tensor]) -> Tensor:
        return self._scipy_quantile(
            "t", p, distribution["df"], distribution["location"], distribution["scale"]
        )


class LogNormalNLLLoss(LocationScaleLoss):
    """Negative log-likelihood of a log-normal distribution, for sizes, times and prices above 0.

        loss = r^2 / (2 s^2) + log s + log(2 pi) / 2 + log y,  r = log y - location

    with s = softplus(raw) + floor. It is `GaussianNLLLoss` of log y plus log y, a density of y. Its value can
    therefore be compared with that of a model of y itself: the lower one is better.

    The order of the outputs: location and raw scale, those of log y.

    Args:
        floor: the smallest scale of log y, above 0.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` `(..., targets)`, or `(...)` for one target, and `y_pred` `(..., 2 * targets)`. With
    `reduction="none"` the result is `(...)`, the mean over the targets.

    Raises:
        ValueError: if `floor` is not above 0 or the shapes do not match; in eager mode also for targets that
            are not above 0.

    Example:

    >>> import numpy as np
    >>> from keras_losses import LogNormalNLLLoss
    >>> loss, y_pred = LogNormalNLLLoss(), np.array([[0.0, 1.8534]])  # softplus(1.8534) + 0.001 = 2
    >>> round(float(loss(np.array([1.0]), y_pred)), 2)  # log 2 + log(2 pi) / 2
    1.61
    >>> round(float(loss.mean(y_pred)[0, 0]), 1)  # e^(2^2 / 2)
    7.4

    References:
        - Aitchison & Brown 1957, The Lognormal Distribution
        - https://en.wikipedia.org/wiki/Log-normal_distribution
    """

    card = Card(
        family="likelihood",
        formula="r^2 / (2 s^2) + log s + log(2 pi) / 2 + log y, r = log y - location",
        paper="Aitchison & Brown 1957",
        labels="numbers above 0",
        predictions="location and raw scale of log y: s = softplus(raw) + floor",
        use="positive targets with relative errors: prices, times, concentrations",
        avoid="targets of 0; means of wide distributions, which depend on s as e^(s^2 / 2)",
        elicits="parameters of the distribution",
        elicits_note="the mean and the standard deviation of log y",
        gradient_bound="unbounded: |r| / s^2 in the location",
        conditioning="the terms have both signs: the rounding error is 1e-7 of the sum of |terms|",
        cost="a softplus and two logarithms",
    )

    support = POSITIVE

    def score(self, y: Tensor, numbers: list[Tensor]) -> Tensor:
        location, raw = numbers
        scale, log_y = self.positive(raw), ops.log(y)
        return normal_nll((log_y - location) / scale, scale) + log_y

    def expectation(self, distribution: Mapping[str, Tensor]) -> Tensor:
        return ops.exp(distribution["location"] + 0.5 * ops.square(distribution["scale"]))

    def quantile(self, p: float, distribution: Mapping[str, Tensor]) -> Tensor:
        return ops.exp(distribution["location"] + NormalDist().inv_cdf(p) * distribution["scale"])


class GaussianMixtureLoss(ScaledLikelihoodLoss):
    """Negative log-likelihood of a mixture of normal distributions, for mixture density networks.

        loss = -log sum_k w_k N(y; m_k, s_k),  w = softmax(logits),  s_k = softplus(raw_k) + floor

    It is computed with logsumexp, so that a component far from every sample, or with weight 0, has gradient 0
    and never NaN. Where several answers may be right, as in inverse problems, the mean of `GaussianNLLLoss`
    lies between them; here each answer can have a component.

    The order of the outputs: the logits of the components, their means, their raw scales.

    Args:
        components: the number of components, from 1 to 64.
        floor: the smallest scale of a component, above 0, in the units of the target. It keeps a component
            from shrinking to a single sample, where the likelihood has no bound.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` `(..., targets)`, or `(...)` for one target, and `y_pred`
    `(..., 3 * components * targets)`. Each target has its own mixture. With `reduction="none"` the result is
    `(...)`, the mean over the targets.

    `parameters` returns weights, means and scales `(..., targets, components)`. `interval` needs SciPy. A
    central interval also covers the gap between separate modes.

    Raises:
        ValueError: if a hyper-parameter is out of range or the shapes do not match.

    Example:

    >>> import numpy as np
    >>> from keras_losses import GaussianMixtureLoss
    >>> loss = GaussianMixtureLoss(components=2)
    >>> y_pred = np.array([[0.0, 0.0, -1.0, 1.0, -2.0, -2.0]])  # at -1 and 1, softplus(-2) + 0.001 = 0.128
    >>> round(float(loss(np.array([1.0]), y_pred)), 2)  # log 2 + log 0.128 + log(2 pi) / 2
    -0.44

    References:
        - Bishop 1994, Mixture Density Networks, https://publications.aston.ac.uk/id/eprint/373/
    """

    card = Card(
        family="likelihood",
        formula="-log sum_k w_k N(y; m_k, s_k)",
        paper="Bishop 1994",
        labels="real numbers",
        predictions="logits, means and raw scales of the components: s = softplus(raw) + floor",
        use="targets with several right answers, or with noise of an unusual shape",
        avoid="outputs that all start alike: equal components stay equal, so start their means apart",
        elicits="parameters of the distribution",
        elicits_note="a local optimum",
        gradient_bound="unbounded: |y - m_k| / s_k^2 in a mean",
        conditioning="the terms have both signs: the rounding error is 1e-7 of the sum of |terms|",
        cost="a logarithm of a sum of exponentials over the components",
    )

    components: int = parameter(within="[1, 64]", integer=True)

    @property
    def parts(self) -> int:
        return 3 * self.components

    def _components(self, numbers: list[Tensor]) -> list[Tensor]:
        """Logits, means and scales, `(..., targets, components)` each."""
        k = self.components
        logits, means, raw = (ops.stack(numbers[i : i + k], axis=-1) for i in range(0, 3 * k, k))
        return [logits, means, self.positive(raw)]

    def score(self, y: Tensor, numbers: list[Tensor]) -> Tensor:
        logits, means, scales = self._components(numbers)
        below = numerics.minus_max(logits)
        terms = below - normal_nll((ops.expand_dims(y, -1) - means) / scales, scales)
        return numerics.logsumexp(below) - numerics.logsumexp(terms)

    def transformed(self, numbers: list[Tensor]) -> dict[str, Tensor]:
        logits, means, scales = self._components(numbers)
        return {"weights": ops.softmax(logits, axis=-1), "means": means, "scales": scales}

    def expectation(self, distribution: Mapping[str, Tensor]) -> Tensor:
        return ops.sum(distribution["weights"] * distribution["means"], axis=-1)

    def quantile(self, p: float, distribution: Mapping[str, Tensor]) -> Tensor:
        ndtr = import_scipy(type(self).__name__, "the quantiles of this distribution", "scipy.special").ndtr
        weights, means, scales = (numerics.to_numpy(x) for x in distribution.values())
        weights = weights / weights.sum(axis=-1, keepdims=True)
        # The quantile lies between those of the components: halve this range until it is found.
        component_quantiles = means + NormalDist().inv_cdf(p) * scales
        low, high = component_quantiles.min(axis=-1), component_quantiles.max(axis=-1)
        for _ in range(100):
            middle = 0.5 * (low + high)
            below = (weights * ndtr((middle[..., None] - means) / scales)).sum(axis=-1) < p
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return self.convert(high)


class BetaNLLLoss(ScaledLikelihoodLoss):
    """Negative log-likelihood of a beta distribution, for shares and rates between 0 and 1.

        loss = log B(m k, (1 - m) k) - (m k - 1) log y - ((1 - m) k - 1) log(1 - y)

    with the mean m = sigmoid(logit) and the concentration k = softplus(raw) + floor. The shapes are a = m k
    and b = (1 - m) k, and the variance is m (1 - m) / (1 + k). Cross-entropy on the same targets predicts the
    mean alone, and also takes targets of 0 and 1. The `beta` of `GaussianNLLLoss` is unrelated.

    The order of the outputs: logit of the mean, raw concentration.

    Args:
        floor: the smallest concentration, above 0.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` `(..., targets)`, or `(...)` for one target, and `y_pred` `(..., 2 * targets)`. With
    `reduction="none"` the result is `(...)`, the mean over the targets.

    `interval` needs SciPy.

    Raises:
        ValueError: if `floor` is not above 0 or the shapes do not match; in eager mode also for targets that
            are not between 0 and 1.

    Example:

    >>> import numpy as np
    >>> from keras_losses import BetaNLLLoss
    >>> y_pred = np.array([[0.0, 3.9805]])  # mean 1/2, concentration 4: the density is 6 y (1 - y)
    >>> round(float(BetaNLLLoss()(np.array([0.5]), y_pred)), 3)  # -log(6 / 4)
    -0.405

    References:
        - Ferrari & Cribari-Neto 2004, Beta Regression for Modelling Rates and Proportions,
          https://doi.org/10.1080/0266476042000214501
    """

    card = Card(
        family="likelihood",
        formula="log B(m k, (1 - m) k) - (m k - 1) log y - ((1 - m) k - 1) log(1 - y)",
        paper="Ferrari & Cribari-Neto 2004",
        labels="numbers between 0 and 1, without both ends",
        predictions="logit of the mean m, raw concentration: k = softplus(raw) + floor",
        use="shares and rates, with an interval that stays between 0 and 1",
        avoid="targets of exactly 0 or 1 (CrossentropyLoss takes them)",
        elicits="parameters of the distribution",
        gradient_bound="unbounded: k / 4 |log odds of y| in the logit",
        conditioning="the terms have both signs: the rounding error is 1e-6 of the sum of |terms|",
        cost="three logarithms of gamma functions",
    )

    support = SHARES

    @property
    def parts(self) -> int:
        return 2

    def score(self, y: Tensor, numbers: list[Tensor]) -> Tensor:
        logit, raw = numbers
        k = self.positive(raw)
        log_k, log_m, log_rest = ops.log(k), -numerics.softplus(-logit), -numerics.softplus(logit)
        a, b = (k * m for m in _sigmoid_and_complement(logit))
        log_y, log_other = ops.log(y), ops.log1p(-y)
        # Stirling's formula for each gamma function: `far` combines its large terms, `near` the remainders.
        far = a * (log_m - log_y) + b * (log_rest - log_other) + log_y + log_other
        near = binet(a, log_m + log_k) + binet(b, log_rest + log_k) - binet(k)
        return far + near + 0.5 * (LOG_TWO_PI - log_m - log_rest - log_k)

    def transformed(self, numbers: list[Tensor]) -> dict[str, Tensor]:
        logit, raw = numbers
        return {"mean": ops.sigmoid(logit), "concentration": self.positive(raw)}

    def expectation(self, distribution: Mapping[str, Tensor]) -> Tensor:
        return distribution["mean"]

    def quantile(self, p: float, distribution: Mapping[str, Tensor]) -> Tensor:
        mean, k = distribution["mean"], distribution["concentration"]
        return self._scipy_quantile("beta", p, mean * k, (1.0 - mean) * k)


class GaussianCRPSLoss(NormalLoss):
    """Continuous ranked probability score of a normal distribution, for calibrated intervals.

        loss = r erf(z / sqrt 2) + s [2 phi(z) - 1 / sqrt pi],  r = y - mean,  z = r / s

    with s = softplus(raw) + floor. It is the integral of (F(x) - 1[x >= y])^2, above 0 and in the units of
    the target, and approaches |r| for a small s. Outliers count as in `AbsoluteErrorLoss`, far less than in
    `GaussianNLLLoss`, and a scale that is too small costs no more than the error.

    The order of the outputs: mean, raw scale.

    Args:
        floor: the smallest scale, above 0, in the units of the target.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` `(..., targets)`, or `(...)` for one target, and `y_pred` `(..., 2 * targets)`. With
    `reduction="none"` the result is `(...)`, the mean over the targets.

    Raises:
        ValueError: if `floor` is not above 0 or the shapes do not match.

    Example:

    >>> import numpy as np
    >>> from keras_losses import GaussianCRPSLoss
    >>> y_pred = np.array([[10.0, 1.8534]])  # softplus(1.8534) + 0.001 = 2
    >>> round(float(GaussianCRPSLoss()(np.array([10.0]), y_pred)), 3)  # 2 (0.798 - 0.564)
    0.467

    References:
        - Gneiting et al. 2005, Calibrated Probabilistic Forecasting Using Ensemble Model Output Statistics
          and Minimum CRPS Estimation, https://doi.org/10.1175/MWR2904.1
    """

    card = Card(
        family="likelihood",
        formula="r erf(z / sqrt 2) + s [2 phi(z) - 1 / sqrt pi], z = r / s",
        paper="Gneiting et al. 2005",
        labels="real numbers",
        predictions="mean, raw scale: s = softplus(raw) + floor",
        use="calibrated intervals for targets with outliers, with a value in the units of the target",
        avoid="rare events in the tails, which hardly count",
        elicits="parameters of the distribution",
        elicits_note="those of the normal distribution, if the targets are normal",
        gradient_bound="1 in the mean, 0.6 in the scale",
        cost="the distribution function and the density of the normal distribution",
    )

    def score(self, y: Tensor, numbers: list[Tensor]) -> Tensor:
        mean, raw = numbers
        r, scale = y - mean, self.positive(raw)
        z = r / scale
        density = ops.exp(-0.5 * ops.square(z)) * math.sqrt(2 / math.pi)
        return r * ops.erf(z * math.sqrt(0.5)) + scale * (density - 1 / math.sqrt(math.pi))


def _sigmoid_and_complement(logit: Tensor) -> tuple[Tensor, Tensor]:
    """sigmoid(logit) and 1 - sigmoid(logit), both with the accurate gradient of the smaller of the two."""
    above = logit > 0
    small = ops.sigmoid(ops.where(above, -logit, logit))
    return ops.where(above, 1.0 - small, small), ops.where(above, small, 1.0 - small)
