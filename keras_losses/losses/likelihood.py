"""Distributions as outputs: losses that score the distribution which a model predicts for each target.

The last axis of the predictions packs the parameters of the distribution, in the order that each class
names: all targets' first parameter, then all targets' second ... What has to be above 0 comes as a raw
number, of which the loss takes softplus(raw) + floor, so that a model ends with a plain Dense layer.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, ClassVar

import numpy as np
from keras import ops

from keras_losses import numerics
from keras_losses.core import (
    Card,
    ClassificationLoss,
    Labels,
    PackedLoss,
    Parameter,
    Predictions,
    labels,
    parameter,
    wanted_values,
)
from keras_losses.numerics import Tensor
from keras_losses.numerics.gamma import binet, digamma_excess, log_factorial, log_gamma_ratio

LOG_TWO_PI = math.log(2 * math.pi)
LEVEL = Parameter(within="(0, 1)")


@dataclass(frozen=True)
class Targets:
    """What labels a distribution can have; `inside` is one of them."""

    words: str
    hold: Callable[[Any], Any]
    inside: float
    whole: bool = False


POSITIVE = Targets("numbers above 0", lambda y: y > 0, 1.0)
COUNTS = Targets("whole numbers from 0 up", lambda y: y >= 0, 0.0, whole=True)
SHARES = Targets("numbers between 0 and 1, without both ends", lambda y: (y > 0) & (y < 1), 0.5)


class LikelihoodLoss(PackedLoss):
    """Base of the losses whose predictions are the parameters of a distribution, packed in the last axis.

    A subclass states `parts`, how many numbers it takes for each target, `score(y, numbers)`, the value of
    each target, and how predictions are read: `transformed(numbers)`, the parameters of the distribution,
    and of those `expectation(found)` and `quantile(p, found)`.
    """

    targets: ClassVar[Targets | None] = None
    """The domain of the labels, where it is less than all numbers."""

    def score(self, y: Tensor, numbers: list[Tensor]) -> Tensor:
        raise NotImplementedError

    def transformed(self, numbers: list[Tensor]) -> dict[str, Tensor]:
        raise NotImplementedError

    def expectation(self, found: Mapping[str, Tensor]) -> Tensor:
        raise NotImplementedError

    def quantile(self, p: float, found: Mapping[str, Tensor]) -> Tensor:
        raise NotImplementedError

    def parameters(self, y_pred: Any) -> Any:
        """The parameters of each target's distribution by name, `(..., targets)`: tensors of a tensor."""
        return self.read(y_pred, self._transformed)

    def mean(self, y_pred: Any) -> Any:
        """The mean of each target's distribution, `(..., targets)`: a tensor of a tensor, else an array."""
        return self.read(y_pred, lambda x: self.expectation(self._transformed(x)))

    def interval(self, y_pred: Any, level: float = 0.9) -> Any:
        """The central interval `(low, high)` of each target that holds it with probability `level`.

        As much probability is below it as above; of counts, no more than that on either side.
        """
        level = LEVEL.check(type(self).__name__, "level", level)
        tails = (0.5 - level / 2, 0.5 + level / 2)

        def ends(x: Tensor) -> tuple[Tensor, ...]:
            found = self._transformed(x)
            return tuple(self.quantile(p, found) for p in tails)

        return self.read(y_pred, ends)

    def per_target(self, y_true: Tensor, numbers: list[Tensor]) -> Tensor:
        if self.targets is None:
            return self.score(y_true, numbers)
        # NaN for a label that cannot be, which only a compiled graph lets through; and not in the gradient,
        # for a sample that does not count is blanked to 0.
        possible = self.targets.hold(y_true)
        values = self.score(ops.where(possible, y_true, numerics.full(y_true, self.targets.inside)), numbers)
        return ops.where(possible, values, numerics.full(values, np.nan))

    def check(self, y_true: Tensor, y_pred: Tensor, wanted: np.ndarray | None) -> None:
        if self.targets is None:
            return
        values = wanted_values(y_true, wanted)
        wrong = ~self.targets.hold(values)
        if self.targets.whole:
            wrong |= values != np.floor(values)
        wrong &= ~np.isnan(values)
        if wrong.any():
            raise ValueError(
                f"{type(self).__name__}: `y_true` must hold {self.targets.words}. "
                f"Received: {values[wrong][0]:g}."
            )

    def _transformed(self, y_pred: Tensor) -> dict[str, Tensor]:
        return self.transformed(self.unpacked(y_pred))

    def _by_scipy(self, family: str, p: Any, *arguments: Any) -> Tensor:
        """The quantile of a family of scipy.stats, in float64; needs values, not a graph."""
        stats = _scipy(type(self).__name__, "scipy.stats")
        return self.convert(getattr(stats, family).ppf(p, *map(numerics.to_numpy, arguments)))


def _scipy(owner: str, module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise ImportError(
            f'{owner}: the quantiles of this distribution need SciPy. pip install "keras-losses[intervals]"'
        ) from None


class ScaledLikelihoodLoss(LikelihoodLoss):
    """Base of those with a parameter that has to be above 0.

    Args:
        floor: what is added to softplus(raw), above 0: the smallest value of a parameter that has to be
            positive, in its units.
    """

    floor: float = parameter(default=1e-3, within="(0, inf)", kw_only=True)

    def positive(self, raw: Tensor) -> Tensor:
        return numerics.softplus(raw) + self.floor


def _normal(standardized: Tensor, scale: Tensor) -> Tensor:
    """-log of the normal density."""
    return 0.5 * ops.square(standardized) + ops.log(scale) + 0.5 * LOG_TWO_PI


def _student_t(half_df: Tensor, square_over_df: Tensor, log_scale: Tensor) -> Tensor:
    """-log of Student's density of z^2 / df, which comes to the normal one as df grows."""
    constant = log_scale + 0.5 * LOG_TWO_PI - log_gamma_ratio(half_df, 0.5)
    return constant + (half_df + 0.5) * numerics.log1p(square_over_df)


def _both_shares(logit: Tensor) -> tuple[Tensor, Tensor]:
    """sigmoid(logit) and the rest, with the slopes of the smaller: that of 1 - 1e-8 has no digits."""
    above = logit > 0
    small = ops.sigmoid(ops.where(above, -logit, logit))
    return ops.where(above, 1.0 - small, small), ops.where(above, small, 1.0 - small)


def _poisson(y: Tensor, log_rate: Tensor) -> Tensor:
    return ops.exp(log_rate) - y * log_rate + log_factorial(y)


class LocationScaleLoss(ScaledLikelihoodLoss):
    """Base of those whose numbers are a location and a raw scale."""

    location: ClassVar[str] = "location"
    """What the first of the parameters is called."""

    @property
    def parts(self) -> int:
        return 2

    def transformed(self, numbers: list[Tensor]) -> dict[str, Tensor]:
        location, raw = numbers
        return {self.location: location, "scale": self.positive(raw)}

    def expectation(self, found: Mapping[str, Tensor]) -> Tensor:
        return found[self.location]


class NormalLoss(LocationScaleLoss):
    """Base of those that predict a normal distribution."""

    location = "mean"

    def quantile(self, p: float, found: Mapping[str, Tensor]) -> Tensor:
        return found["mean"] + NormalDist().inv_cdf(p) * found["scale"]


class GaussianNLLLoss(NormalLoss):
    """The negative log-likelihood of a normal distribution whose mean and scale the model predicts.

        loss = r^2 / (2 s^2) + log s + log(2 pi) / 2,  r = y - mean,  s = softplus(raw) + floor

    times the variance to the power `beta`, held constant when it is differentiated. With beta = 0 it is a
    true likelihood, its constant included, which PyTorch's `GaussianNLLLoss` leaves out by default. With
    beta = 1 the mean learns as with squared error, so that samples of a large predicted variance are not
    given up; the paper recommends 0.5. It takes outliers harder than `StudentTNLLLoss` and
    `GaussianCRPSLoss`.

    The order of the outputs: mean, raw scale.

    Args:
        beta: the power of the variance that weights the loss, in [0, 1].
        floor: the smallest scale, above 0, in the units of the target. The gradient in the mean is at most
            |r| / floor^2: the default is for targets of about unit scale, and is that of PyTorch.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` `(..., targets)`, or `(...)` for one target, and `y_pred` `(..., 2 * targets)`. With
    `reduction="none"` the result is `(...)`, the mean over the targets.

    Raises:
        ValueError: for hyper-parameters out of range and shapes that do not match.

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
        use="the noise differs between samples and is roughly Gaussian, and the model should say how large",
        avoid="outliers (StudentTNLLLoss); the mean fits badly where the noise is large: then beta=0.5",
        elicits="parameters of the distribution",
        elicits_note="the mean and the standard deviation, if that is above the floor",
        gradient_bound="unbounded: |r| / s^2 in the mean, which floor holds to |r| / floor^2",
        conditioning="the terms have both signs: the error is absolute, 1e-7 of sum |terms|",
    )

    beta: float = parameter(default=0.0, within="[0, 1]")

    def score(self, y: Tensor, numbers: list[Tensor]) -> Tensor:
        mean, raw = numbers
        scale = self.positive(raw)
        values = _normal((y - mean) / scale, scale)
        if numerics.is_number(self.beta, 0.0):
            return values
        return values * numerics.power(ops.stop_gradient(scale), 2.0 * self.beta)


class LaplaceNLLLoss(LocationScaleLoss):
    """The negative log-likelihood of a Laplace distribution whose location and scale the model predicts.

        loss = |r| / s + log(2 s),  r = y - location,  s = softplus(raw) + floor

    Its location is the median, and its scale the mean distance from it: `AbsoluteErrorLoss` that knows how
    large the noise is.

    The order of the outputs: location, raw scale.

    Args:
        floor: the smallest scale, above 0, in the units of the target.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` `(..., targets)`, or `(...)` for one target, and `y_pred` `(..., 2 * targets)`. With
    `reduction="none"` the result is `(...)`, the mean over the targets.

    Raises:
        ValueError: for a floor that is not above 0 and shapes that do not match.

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
        use="the noise differs between samples and has outliers; the median is wanted",
        avoid="the last digits matter: the gradient in the location does not shrink as the error does",
        elicits="parameters of the distribution",
        elicits_note="the median and the mean distance from it",
        gradient_bound="1 / floor in the location, unbounded in the raw scale",
        conditioning="the terms have both signs: the error is absolute, 1e-7 of sum |terms|",
    )

    def score(self, y: Tensor, numbers: list[Tensor]) -> Tensor:
        location, raw = numbers
        scale = self.positive(raw)
        return numerics.size(y - location) / scale + ops.log(2.0 * scale)

    def quantile(self, p: float, found: Mapping[str, Tensor]) -> Tensor:
        steps = math.log(2 * p) if p < 0.5 else -math.log(2 * (1 - p))
        return found["location"] + steps * found["scale"]


class StudentTNLLLoss(LocationScaleLoss):
    """The negative log-likelihood of Student's t distribution, for targets with outliers.

        loss = (df + 1) / 2 log(1 + z^2 / df) + log s + log(df pi) / 2
               + log[Gamma(df / 2) / Gamma((df + 1) / 2)]

    with z = (y - location) / s and s = softplus(raw) + floor. Far outliers have hardly any gradient, which
    those of `GaussianNLLLoss` and even `LaplaceNLLLoss` have. As df grows it becomes the former.

    The order of the outputs: location, raw scale and, where df is None, raw df: df = softplus(raw) + floor.

    Args:
        df: the degrees of freedom, above 0, or None for a third output from which they are learned.
        floor: the smallest scale, in the units of the target, and the smallest df, above 0.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` `(..., targets)`, or `(...)` for one target, and `y_pred` `(..., 2 * targets)`, or
    `(..., 3 * targets)` where df is learned. With `reduction="none"` the result is `(...)`, the mean over
    the targets.

    `mean` is the location: the median, and for df > 1 the mean. `interval` needs SciPy.

    Raises:
        ValueError: for hyper-parameters out of range and shapes that do not match.

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
        use="heavy tails: outliers should not move the location, nor blow up the scale",
        avoid="few samples and df learned: its gradient is small, and df from 3 to 7 does as well",
        elicits="parameters of the distribution",
        gradient_bound="(df + 1) / (2 sqrt(df) s) in the location, (df + 1) / s in the scale",
        conditioning=(
            "exact for df from 1e-3 to 1e6: the error is 1e-6 of sum |terms|. In the raw df the slope "
            "is a difference of terms as large as 1 / df"
        ),
        cost="two logarithms of gamma functions",
    )

    df: float | None = parameter(default=None, within="(0, inf)", optional=True)

    @property
    def parts(self) -> int:
        return 3 if self.df is None else 2

    def transformed(self, numbers: list[Tensor]) -> dict[str, Tensor]:
        location, raw, *raw_df = numbers
        df = numerics.full(raw, self.df) if self.df is not None else self.positive(*raw_df)
        return {"location": location, "scale": self.positive(raw), "df": df}

    def score(self, y: Tensor, numbers: list[Tensor]) -> Tensor:
        location, scale, df = self.transformed(numbers).values()
        return _student_t(0.5 * df, ops.square((y - location) / scale) / df, ops.log(scale))

    def quantile(self, p: float, found: Mapping[str, Tensor]) -> Tensor:
        return self._by_scipy("t", p, found["df"], found["location"], found["scale"])


class LogNormalNLLLoss(LocationScaleLoss):
    """The negative log-likelihood of a log-normal distribution: sizes, times and prices above 0.

        loss = r^2 / (2 s^2) + log s + log(2 pi) / 2 + log y,  r = log y - location

    with s = softplus(raw) + floor. It is `GaussianNLLLoss` of log y, as a density of y: of a model of y and
    one of log y, the lower value is then the better one.

    The order of the outputs: location and raw scale, those of log y.

    Args:
        floor: the smallest scale of log y, above 0.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` `(..., targets)`, or `(...)` for one target, and `y_pred` `(..., 2 * targets)`. With
    `reduction="none"` the result is `(...)`, the mean over the targets.

    Raises:
        ValueError: for a floor that is not above 0, shapes that do not match and, in eager mode, for
            targets that are not above 0.

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
        use="positive targets whose errors are relative: prices, times, concentrations",
        avoid="targets of 0; the mean is wanted and s is large: it goes with e^(s^2 / 2)",
        elicits="parameters of the distribution",
        elicits_note="the mean and the standard deviation of log y",
        gradient_bound="unbounded: |r| / s^2 in the location",
        conditioning="the terms have both signs: the error is absolute, 1e-7 of sum |terms|",
        cost="a softplus and two logarithms",
    )

    targets = POSITIVE

    def score(self, y: Tensor, numbers: list[Tensor]) -> Tensor:
        location, raw = numbers
        scale, log_y = self.positive(raw), ops.log(y)
        return _normal((log_y - location) / scale, scale) + log_y

    def expectation(self, found: Mapping[str, Tensor]) -> Tensor:
        return ops.exp(found["location"] + 0.5 * ops.square(found["scale"]))

    def quantile(self, p: float, found: Mapping[str, Tensor]) -> Tensor:
        return ops.exp(found["location"] + NormalDist().inv_cdf(p) * found["scale"])


class GaussianMixtureLoss(ScaledLikelihoodLoss):
    """The negative log-likelihood of a mixture of normal distributions: a mixture density network.

        loss = -log sum_k w_k N(y; m_k, s_k),  w = softmax(logits),  s_k = softplus(raw_k) + floor

    through logsumexp: a component that no sample wants has weight and gradient 0, never NaN. One answer of
    several may be right, as in an inverse problem, where the mean of `GaussianNLLLoss` lies between them.

    The order of the outputs: the logits of the components, their means, their raw scales.

    Args:
        components: the number of components, from 1 to 64.
        floor: the smallest scale of a component, above 0, in the units of the target. It keeps a component
            from shrinking on to a single sample, where the likelihood has no bound.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` `(..., targets)`, or `(...)` for one target, and `y_pred`
    `(..., 3 * components * targets)`. With `reduction="none"` the result is `(...)`, the mean over the
    targets. Of several targets each has a mixture of its own.

    `parameters` gives weights, means and scales `(..., targets, components)`. `interval` needs SciPy. With
    modes apart from one another a central interval holds what is between them, too.

    Raises:
        ValueError: for hyper-parameters out of range and shapes that do not match.

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
        use="several answers may be right, or the noise has no usual shape",
        avoid="all outputs start alike: components that are the same stay so; start the means apart",
        elicits="parameters of the distribution",
        elicits_note="a local optimum of them",
        gradient_bound="unbounded: |y - m_k| / s_k^2 in a mean",
        conditioning="the terms have both signs: the error is absolute, 1e-7 of sum |terms|",
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
        below = numerics.below_peak(logits)
        terms = below - _normal((ops.expand_dims(y, -1) - means) / scales, scales)
        return numerics.logsumexp(below) - numerics.logsumexp(terms)

    def transformed(self, numbers: list[Tensor]) -> dict[str, Tensor]:
        logits, means, scales = self._components(numbers)
        return {"weights": ops.softmax(logits, axis=-1), "means": means, "scales": scales}

    def expectation(self, found: Mapping[str, Tensor]) -> Tensor:
        return ops.sum(found["weights"] * found["means"], axis=-1)

    def quantile(self, p: float, found: Mapping[str, Tensor]) -> Tensor:
        ndtr = _scipy(type(self).__name__, "scipy.special").ndtr
        weights, means, scales = (numerics.to_numpy(x) for x in found.values())
        weights = weights / weights.sum(axis=-1, keepdims=True)
        # It lies between those of the components.
        of_each = means + NormalDist().inv_cdf(p) * scales
        low, high = of_each.min(axis=-1), of_each.max(axis=-1)
        for _ in range(100):
            middle = 0.5 * (low + high)
            below = (weights * ndtr((middle[..., None] - means) / scales)).sum(axis=-1) < p
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return self.convert(high)


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
        family="likelihood",
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

    targets = COUNTS

    @property
    def parts(self) -> int:
        return 1

    def score(self, y: Tensor, numbers: list[Tensor]) -> Tensor:
        return _poisson(y, *numbers)

    def transformed(self, numbers: list[Tensor]) -> dict[str, Tensor]:
        return {"rate": ops.exp(*numbers)}

    def expectation(self, found: Mapping[str, Tensor]) -> Tensor:
        return found["rate"]

    def quantile(self, p: float, found: Mapping[str, Tensor]) -> Tensor:
        return self._by_scipy("poisson", p, found["rate"])


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
        family="likelihood",
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

    targets = COUNTS

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

    def expectation(self, found: Mapping[str, Tensor]) -> Tensor:
        return found["mean"]

    def quantile(self, p: float, found: Mapping[str, Tensor]) -> Tensor:
        mean, dispersion = found["mean"], found["dispersion"]
        return self._by_scipy("nbinom", p, 1.0 / dispersion, 1.0 / (1.0 + dispersion * mean))


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
        family="likelihood",
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

    targets = COUNTS

    @property
    def parts(self) -> int:
        return 2

    def score(self, y: Tensor, numbers: list[Tensor]) -> Tensor:
        logit, log_rate = numbers
        none, zeros = ops.equal(y, 0), ops.zeros_like(log_rate)
        some = numerics.softplus(logit) + _poisson(y, ops.where(none, zeros, log_rate))
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

    def expectation(self, found: Mapping[str, Tensor]) -> Tensor:
        return (1.0 - found["zeros"]) * found["rate"]

    def quantile(self, p: float, found: Mapping[str, Tensor]) -> Tensor:
        zeros = numerics.to_numpy(found["zeros"])
        among = np.maximum((p - zeros) / np.maximum(1.0 - zeros, 1e-300), 0.0)
        return ops.relu(self._by_scipy("poisson", among, found["rate"]))


class BetaNLLLoss(ScaledLikelihoodLoss):
    """The negative log-likelihood of a beta distribution: shares and rates between 0 and 1.

        loss = log B(m k, (1 - m) k) - (m k - 1) log y - ((1 - m) k - 1) log(1 - y)

    with the mean m = sigmoid(logit) and the concentration k = softplus(raw) + floor, which are the shapes
    a = m k and b = (1 - m) k: the variance is m (1 - m) / (1 + k). Cross-entropy on the same targets finds
    the mean alone, and takes the ends 0 and 1 as well. (The beta of `GaussianNLLLoss` is something else.)

    The order of the outputs: logit of the mean, raw concentration.

    Args:
        floor: the smallest concentration, above 0.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` `(..., targets)`, or `(...)` for one target, and `y_pred` `(..., 2 * targets)`. With
    `reduction="none"` the result is `(...)`, the mean over the targets.

    `interval` needs SciPy.

    Raises:
        ValueError: for a floor that is not above 0, shapes that do not match and, in eager mode, for targets
            that are not between 0 and 1.

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
        avoid="targets of exactly 0 or 1 (cross-entropy takes them)",
        elicits="parameters of the distribution",
        gradient_bound="unbounded: k / 4 |log odds of y| in the logit",
        conditioning="the terms have both signs: the error is absolute, 1e-6 of sum |terms|",
        cost="three logarithms of gamma functions",
    )

    targets = SHARES

    @property
    def parts(self) -> int:
        return 2

    def score(self, y: Tensor, numbers: list[Tensor]) -> Tensor:
        logit, raw = numbers
        k = self.positive(raw)
        log_k, log_m, log_rest = ops.log(k), -numerics.softplus(-logit), -numerics.softplus(logit)
        a, b = (k * m for m in _both_shares(logit))
        log_y, log_other = ops.log(y), ops.log1p(-y)
        # Stirling's formula of each gamma function, whose large terms go together, and what it leaves.
        far = a * (log_m - log_y) + b * (log_rest - log_other) + log_y + log_other
        near = binet(a, log_m + log_k) + binet(b, log_rest + log_k) - binet(k)
        return far + near + 0.5 * (LOG_TWO_PI - log_m - log_rest - log_k)

    def transformed(self, numbers: list[Tensor]) -> dict[str, Tensor]:
        logit, raw = numbers
        return {"mean": ops.sigmoid(logit), "concentration": self.positive(raw)}

    def expectation(self, found: Mapping[str, Tensor]) -> Tensor:
        return found["mean"]

    def quantile(self, p: float, found: Mapping[str, Tensor]) -> Tensor:
        mean, k = found["mean"], found["concentration"]
        return self._by_scipy("beta", p, mean * k, (1.0 - mean) * k)


class GaussianCRPSLoss(NormalLoss):
    """The continuous ranked probability score of a normal distribution: absolute error that knows its scale.

        loss = r erf(z / sqrt 2) + s [2 phi(z) - 1 / sqrt pi],  r = y - mean,  z = r / s

    with s = softplus(raw) + floor; it is the integral of (F(x) - 1[x >= y])^2. In the units of the target,
    above 0, and |r| where s is small: outliers count as in `AbsoluteErrorLoss`, far less than in
    `GaussianNLLLoss`, and a scale that is too small costs no more than the error.

    The order of the outputs: mean, raw scale.

    Args:
        floor: the smallest scale, above 0, in the units of the target.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` `(..., targets)`, or `(...)` for one target, and `y_pred` `(..., 2 * targets)`. With
    `reduction="none"` the result is `(...)`, the mean over the targets.

    Raises:
        ValueError: for a floor that is not above 0 and shapes that do not match.

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
        use="calibrated intervals, robust to outliers, with a value in the units of the target",
        avoid="rare events in the tails matter: they hardly count",
        elicits="parameters of the distribution",
        elicits_note="of the normal distribution, if that is what the targets have",
        gradient_bound="1 in the mean, 0.6 in the scale",
        cost="the normal distribution's function and density",
    )

    def score(self, y: Tensor, numbers: list[Tensor]) -> Tensor:
        mean, raw = numbers
        r, scale = y - mean, self.positive(raw)
        z = r / scale
        density = ops.exp(-0.5 * ops.square(z)) * math.sqrt(2 / math.pi)
        return r * ops.erf(z * math.sqrt(0.5)) + scale * (density - 1 / math.sqrt(math.pi))


class EvidentialRegressionLoss(ScaledLikelihoodLoss):
    """A normal distribution with a prior on its mean and variance: what is noise, and what is not known?

        loss = -log St(y; gamma, beta (1 + nu) / (nu alpha), 2 alpha) + coefficient |y - gamma| (2 nu + alpha)

    where St is Student's t distribution with that squared scale and 2 alpha degrees of freedom: what the
    normal-inverse-gamma distribution of the model's parameters makes of y. The second term takes evidence
    away where the prediction is wrong. With nu alone in both it is not settled by the data how much of the
    variance is noise: read the uncertainties as ranks (Meinert 2023), or take `StudentTNLLLoss`, which is
    the first term with nothing in it that the data do not settle.

    The order of the outputs: gamma, raw nu, raw alpha, raw beta; nu and beta are softplus(raw) + floor and
    alpha is 1 + softplus(raw) + floor.

    Args:
        coefficient: the weight of the second term, from 0 up.
        floor: the smallest nu, alpha - 1 and beta, above 0; beta is in squared units of the target.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` `(..., targets)`, or `(...)` for one target, and `y_pred` `(..., 4 * targets)`. With
    `reduction="none"` the result is `(...)`, the mean over the targets.

    `aleatoric` and `epistemic` are the variances of the noise and of the mean. `interval`, that of the
    t distribution, needs SciPy.

    Raises:
        ValueError: for hyper-parameters out of range and shapes that do not match.

    Example:

    >>> import numpy as np
    >>> from keras_losses import EvidentialRegressionLoss
    >>> loss, y_pred = EvidentialRegressionLoss(), np.array([[10.0, 3.9805, 0.5397, 1.8534]])
    >>> noise, mean = loss.aleatoric(y_pred), loss.epistemic(y_pred)  # nu 4, alpha 2, beta 2
    >>> round(float(noise[0, 0]), 2), round(float(mean[0, 0]), 2)  # 2 / 1, 2 / (4 * 1)
    (2.0, 0.5)

    References:
        - Amini et al. 2020, Deep Evidential Regression, https://arxiv.org/abs/1910.02600
        - Meinert, Gawlikowski & Lavin 2023, The Unreasonable Effectiveness of Deep Evidential Regression,
          https://arxiv.org/abs/2205.10060
    """

    card = Card(
        family="likelihood",
        formula="-log St(y; gamma, beta (1 + nu) / (nu alpha), 2 alpha) + c |y - gamma| (2 nu + alpha)",
        paper="Amini et al. 2020",
        labels="real numbers",
        predictions="gamma, raw nu, raw alpha, raw beta: softplus(raw) + floor, and 1 more for alpha",
        use="ranking samples by how little is known of them, from one model and one pass",
        avoid="the size of the epistemic variance matters: nu is not settled by the data",
        elicits="parameters of the distribution",
        elicits_note="nu and beta only together",
        gradient_bound="(2 alpha + 1) sqrt(nu / (8 beta (1 + nu))) + coefficient (2 nu + alpha) in gamma",
        conditioning="the terms have both signs: the error is absolute, 1e-6 of sum |terms|",
        cost="two logarithms of gamma functions",
    )

    coefficient: float = parameter(default=0.01, within="[0, inf)")

    @property
    def parts(self) -> int:
        return 4

    def transformed(self, numbers: list[Tensor]) -> dict[str, Tensor]:
        gamma, *raw = numbers
        nu, alpha, beta = map(self.positive, raw)
        return {"gamma": gamma, "nu": nu, "alpha": 1.0 + alpha, "beta": beta}

    def score(self, y: Tensor, numbers: list[Tensor]) -> Tensor:
        gamma, nu, alpha, beta = self.transformed(numbers).values()
        r = y - gamma
        spread = beta * (1.0 + 1.0 / nu)
        log_scale = 0.5 * (ops.log(spread) - ops.log(alpha))
        fit = _student_t(alpha, 0.5 * ops.square(r) / spread, log_scale)
        return fit + self.coefficient * numerics.size(r) * (2.0 * nu + alpha)

    def expectation(self, found: Mapping[str, Tensor]) -> Tensor:
        return found["gamma"]

    def quantile(self, p: float, found: Mapping[str, Tensor]) -> Tensor:
        gamma, nu, alpha, beta = found.values()
        scale = ops.sqrt(beta * (1.0 + nu) / (nu * alpha))
        return self._by_scipy("t", p, 2.0 * alpha, gamma, scale)

    def aleatoric(self, y_pred: Any) -> Any:
        """The variance of the noise, beta / (alpha - 1), `(..., targets)`."""
        return self.read(y_pred, lambda x: self._variances(x)[0])

    def epistemic(self, y_pred: Any) -> Any:
        """The variance of the mean, beta / (nu (alpha - 1)), `(..., targets)`."""
        return self.read(y_pred, lambda x: self._variances(x)[1])

    def _variances(self, y_pred: Tensor) -> tuple[Tensor, Tensor]:
        _, nu, alpha, beta = map(self.positive, self.unpacked(y_pred))
        return beta / alpha, beta / (nu * alpha)


class EvidentialClassificationLoss(ClassificationLoss):
    """A Dirichlet distribution over the class probabilities, so that a model can say that it does not know.

        loss = risk + annealing KL(Dir(y + (1 - y) alpha) || Dir(1)),  alpha = 1 + evidence

        risk "squared_error":  sum_j (y_j - p_j)^2 + p_j (1 - p_j) / (S + 1),  p = alpha / S,  S = sum alpha
        risk "likelihood":     sum_j y_j log(S / alpha_j)

    The evidence is softplus of the outputs; with a relu, a class whose output is below 0 would learn no more.
    The risk is the mean squared error over that distribution, or the likelihood with the probabilities
    integrated out; the divergence takes the evidence for wrong classes away. Cross-entropy has one
    distribution for "all classes alike" and "never seen".

    The order of the outputs: one for each class.

    Args:
        annealing: the weight of the divergence, in [0, 1]. The paper raises it from 0 to 1 over the first ten
            epochs, so that evidence is not taken away before there is any.
        risk: `"squared_error"` or `"likelihood"`.
        class_weight, ignore_class, axis: as in `keras_losses.core.ClassificationLoss`.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_pred` `(..., C)`; `y_true` class ids `(...)` or `(..., 1)`, or one-hot labels `(..., C)`. With
    `reduction="none"` the result is `(...)`.

    `probabilities(y_pred)` are alpha / S, `uncertainty(y_pred)` is C / S: 1 where there is no evidence at
    all. There is no interval: classes have no order.

    Raises:
        ValueError: for hyper-parameters out of range, shapes that do not match and, in eager mode, for labels
            that are no classes.

    Example:

    >>> import numpy as np
    >>> from keras_losses import EvidentialClassificationLoss
    >>> loss = EvidentialClassificationLoss()
    >>> y_pred = np.array([[5.9975, -20.0, -20.0], [-20.0, -20.0, -20.0]])  # evidence 6, 0, 0, and none
    >>> [round(float(p), 2) for p in loss.probabilities(y_pred)[0]]  # 7/9, 1/9, 1/9
    [0.78, 0.11, 0.11]
    >>> [round(float(u), 2) for u in loss.uncertainty(y_pred)]  # 3/9, 3/3
    [0.33, 1.0]
    >>> round(float(loss(np.array([0]), y_pred[:1])), 3)  # 6/81 + 30/81 / 10; no evidence is wrong
    0.111

    References:
        - Sensoy et al. 2018, Evidential Deep Learning to Quantify Classification Uncertainty,
          https://arxiv.org/abs/1806.01768
    """

    card = Card(
        family="likelihood",
        formula="sum_j (y_j - p_j)^2 + p_j (1 - p_j)/(S + 1) + annealing KL(Dir(y + (1 - y) alpha), Dir(1))",
        paper="Sensoy et al. 2018",
        labels="class ids or one-hot labels",
        predictions="scores, of which softplus is the evidence for a class",
        use="inputs of no known class are to be told from those between two classes",
        avoid="calibrated probabilities are wanted: evidence is held down, and so are they",
        elicits="likeliest class",
        elicits_note="without annealing, the class probabilities as the evidence grows",
        gradient_bound="2 and below for the risk; log alpha and below for the divergence",
        conditioning="beside terms that cancel by hand, none",
        cost="the logarithm of a gamma function and a digamma function of every class",
    )

    annealing: float = parameter(default=1.0, within="[0, 1]")
    risk: str = parameter(default="squared_error", choices=("squared_error", "likelihood"))

    def per_sample(self, labels_: Labels, predictions: Predictions) -> Tensor:
        y, found = labels.one_hot(labels_, self.compute_dtype), numerics.softplus(predictions.values)
        values = self._risk(y, 1.0 + found)
        if numerics.is_number(self.annealing, 0.0):
            return values
        return values + self.annealing * _divergence_from_uniform((1.0 - y) * found)

    def _risk(self, y: Tensor, alpha: Tensor) -> Tensor:
        total, others = ops.sum(alpha, axis=-1, keepdims=True), numerics.sum_of_others(alpha)
        if self.risk == "likelihood":
            return ops.sum(y * numerics.log1p(others / alpha), axis=-1)
        # y - p = [y (S - alpha) - (1 - y) alpha] / S
        residual = (y * others - (1.0 - y) * alpha) / total
        variance = (alpha / total) * (others / total) / (total + 1.0)
        return ops.sum(ops.square(residual) + variance, axis=-1)

    def probabilities(self, y_pred: Any) -> Any:
        """The expected class probabilities: a tensor of a tensor, an array of an array."""

        def expected(alpha: Tensor) -> Tensor:
            return ops.moveaxis(alpha / ops.sum(alpha, axis=-1, keepdims=True), -1, self.axis)

        return self._read(y_pred, expected)

    def uncertainty(self, y_pred: Any) -> Any:
        """C / S, from 1 down to 0 as evidence comes in: a tensor of a tensor, an array of an array."""
        return self._read(y_pred, lambda alpha: alpha.shape[-1] / ops.sum(alpha, axis=-1))

    def _read(self, y_pred: Any, function: Callable[[Tensor], Tensor]) -> Any:
        def of_alpha(x: Tensor) -> Tensor:
            return function(1.0 + numerics.softplus(ops.moveaxis(x, self.axis, -1)))

        return self.read(y_pred, of_alpha)


def _divergence_from_uniform(evidence: Tensor) -> Tensor:
    """KL(Dir(1 + e) || Dir(1)) over the last axis, of which nothing is left where e is 0.

    Stirling's formula of each gamma and digamma function: what is large in them cancels.
    """
    classes = evidence.shape[-1]
    alpha, extra = 1.0 + evidence, ops.sum(evidence, axis=-1)
    total, ones = classes + extra, ops.ones_like(extra)
    excess = digamma_excess(alpha) - ops.expand_dims(digamma_excess(total), -1)
    start = binet(ops.ones_like(alpha[..., :1]))
    each = evidence * excess - 0.5 * numerics.log1p(evidence) - (binet(alpha) - start)
    of_total = binet(total) - binet(classes * ones)
    return (classes - 0.5) * numerics.log1p(extra / classes) + of_total + ops.sum(each, axis=-1)
