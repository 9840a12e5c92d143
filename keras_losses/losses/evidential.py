"""Evidential losses: the predictions are a distribution over the parameters of the labels' distribution.

They tell noise in the labels from a lack of data. `predicted_distribution.py` says how the parameters are
packed and how the raw numbers are read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from keras import ops

from keras_losses import numerics
from keras_losses.core import Card, ClassificationLoss, Labels, Predictions, labels, parameter
from keras_losses.losses.predicted_distribution import ScaledLikelihoodLoss, student_t_nll
from keras_losses.numerics import Tensor
from keras_losses.numerics.gamma import binet, digamma_minus_log


class EvidentialRegressionLoss(ScaledLikelihoodLoss):
    """Student's t likelihood with a predicted prior on mean and variance, for ranking samples by uncertainty.

        loss = -log St(y; gamma, beta (1 + nu) / (nu alpha), 2 alpha) + coefficient |y - gamma| (2 nu + alpha)

    where St is Student's t distribution with that squared scale and 2 alpha degrees of freedom. It is the
    distribution of y under a normal-inverse-gamma prior with the predicted parameters. The second term
    reduces the evidence where the prediction is wrong. The first term depends on nu and beta only through
    beta (1 + nu) / nu, so the data do not determine how much of the variance is noise: read the uncertainties
    as ranks (Meinert 2023), or use `StudentTNLLLoss`, the first term with parameters that the data determine.

    The order of the outputs: gamma, raw nu, raw alpha, raw beta; nu and beta are softplus(raw) + floor and
    alpha is 1 + softplus(raw) + floor.

    Args:
        coefficient: the weight of the second term, 0 or more.
        floor: the smallest nu, alpha - 1 and beta, above 0; beta is in squared units of the target.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` `(..., targets)`, or `(...)` for one target, and `y_pred` `(..., 4 * targets)`. With
    `reduction="none"` the result is `(...)`, the mean over the targets.

    `aleatoric` and `epistemic` return the variances of the noise and of the mean. `interval` returns that of
    the t distribution and needs SciPy.

    Raises:
        ValueError: if a hyper-parameter is out of range or the shapes do not match.

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
        family="evidential",
        formula="-log St(y; gamma, beta (1 + nu) / (nu alpha), 2 alpha) + c |y - gamma| (2 nu + alpha)",
        paper="Amini et al. 2020",
        labels="real numbers",
        predictions="gamma, raw nu, raw alpha, raw beta: softplus(raw) + floor, and 1 more for alpha",
        use="ranking samples by how little is known about them, from one model and one forward pass",
        avoid="epistemic variances whose size matters: the data do not determine nu",
        elicits="parameters of the distribution",
        elicits_note="nu and beta are determined only together",
        gradient_bound="(2 alpha + 1) sqrt(nu / (8 beta (1 + nu))) + coefficient (2 nu + alpha) in gamma",
        conditioning="the terms have both signs: the rounding error is 1e-6 of the sum of |terms|",
        cost="two logarithms of gamma functions",
    )

    coefficient: float = parameter(default=0.01, within="[0, inf)", live=True)

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
        fit = student_t_nll(alpha, 0.5 * ops.square(r) / spread, log_scale)
        return fit + self.coefficient * numerics.absolute(r) * (2.0 * nu + alpha)

    def expectation(self, distribution: Mapping[str, Tensor]) -> Tensor:
        return distribution["gamma"]

    def quantile(self, p: float, distribution: Mapping[str, Tensor]) -> Tensor:
        gamma, nu, alpha, beta = distribution.values()
        scale = ops.sqrt(beta * (1.0 + nu) / (nu * alpha))
        return self._scipy_quantile("t", p, 2.0 * alpha, gamma, scale)

    def aleatoric(self, y_pred: Any) -> Any:
        """Variance of the noise, beta / (alpha - 1), `(..., targets)`."""
        return self._apply_to_predictions(y_pred, lambda x: self._variances(x)[0])

    def epistemic(self, y_pred: Any) -> Any:
        """Variance of the mean, beta / (nu (alpha - 1)), `(..., targets)`."""
        return self._apply_to_predictions(y_pred, lambda x: self._variances(x)[1])

    def _variances(self, y_pred: Tensor) -> tuple[Tensor, Tensor]:
        _, nu, alpha, beta = map(self.positive, self.unpacked(y_pred))
        return beta / alpha, beta / (nu * alpha)


class EvidentialClassificationLoss(ClassificationLoss):
    """Dirichlet distribution over the class probabilities, for models that can tell when they do not know.

        loss = risk + annealing KL(Dir(y + (1 - y) alpha) || Dir(1)),  alpha = 1 + evidence

        risk "squared_error":  sum_j (y_j - p_j)^2 + p_j (1 - p_j) / (S + 1),  p = alpha / S,  S = sum alpha
        risk "likelihood":     sum_j y_j log(S / alpha_j)

    The evidence is the softplus of the outputs; with a relu, a class with an output below 0 would stop
    learning. The risk is the mean squared error over the Dirichlet distribution, or the likelihood with the
    probabilities integrated out. The divergence reduces the evidence for wrong classes. `CrossentropyLoss`
    predicts the same uniform distribution for an input between all classes and for one unlike any of them.

    The order of the outputs: one for each class.

    Args:
        annealing: the weight of the divergence, in [0, 1]. The paper raises it from 0 to 1 over the first ten
            epochs, so that evidence can grow before it is reduced.
        risk: `"squared_error"` or `"likelihood"`.
        class_weight, ignore_class, axis: as in `keras_losses.core.ClassificationLoss`.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_pred` `(..., C)`; `y_true` class ids `(...)` or `(..., 1)`, or one-hot labels `(..., C)`. With
    `reduction="none"` the result is `(...)`.

    `probabilities(y_pred)` returns alpha / S. `uncertainty(y_pred)` returns C / S, which is 1 without any
    evidence. There is no interval, because classes have no order.

    Raises:
        ValueError: if a hyper-parameter is out of range or the shapes do not match; in eager mode also for
            invalid labels.

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
        family="evidential",
        formula="sum_j (y_j - p_j)^2 + p_j (1 - p_j)/(S + 1) + annealing KL(Dir(y + (1 - y) alpha), Dir(1))",
        paper="Sensoy et al. 2018",
        labels="class ids or one-hot labels",
        predictions="scores whose softplus is the evidence for a class",
        use="telling inputs of no known class from inputs between two classes",
        avoid=(
            "probabilities that must be calibrated: the divergence keeps the evidence low, and so the "
            "probabilities"
        ),
        elicits="likeliest class",
        elicits_note="the class probabilities for annealing=0, as the evidence grows",
        gradient_bound="at most 2 for the risk, and at most log alpha for the divergence",
        conditioning="none: the large terms that cancel are left out of the formula",
        cost="the logarithm of a gamma function and a digamma function for every class",
    )

    annealing: float = parameter(default=1.0, within="[0, 1]", live=True)
    risk: str = parameter(default="squared_error", choices=("squared_error", "likelihood"))

    def per_sample(self, labels_: Labels, predictions: Predictions) -> Tensor:
        y, evidence = labels.one_hot(labels_, self.compute_dtype), numerics.softplus(predictions.values)
        values = self._risk(y, 1.0 + evidence)
        if numerics.is_number(self.annealing, 0.0):
            return values
        return values + self.annealing * _divergence_from_uniform((1.0 - y) * evidence)

    def _risk(self, y: Tensor, alpha: Tensor) -> Tensor:
        total, others = ops.sum(alpha, axis=-1, keepdims=True), numerics.sum_of_others(alpha)
        if self.risk == "likelihood":
            return ops.sum(y * numerics.log1p(others / alpha), axis=-1)
        # y - p = [y (S - alpha) - (1 - y) alpha] / S
        residual = (y * others - (1.0 - y) * alpha) / total
        variance = (alpha / total) * (others / total) / (total + 1.0)
        return ops.sum(ops.square(residual) + variance, axis=-1)

    def probabilities(self, y_pred: Any) -> Any:
        """Expected class probabilities: a tensor for a tensor, else an array."""

        def expected(alpha: Tensor) -> Tensor:
            return ops.moveaxis(alpha / ops.sum(alpha, axis=-1, keepdims=True), -1, self.axis)

        return self._of_alpha(y_pred, expected)

    def uncertainty(self, y_pred: Any) -> Any:
        """C / S, which falls from 1 to 0 as evidence grows: a tensor for a tensor, else an array."""
        return self._of_alpha(y_pred, lambda alpha: alpha.shape[-1] / ops.sum(alpha, axis=-1))

    def _of_alpha(self, y_pred: Any, function: Callable[[Tensor], Tensor]) -> Any:
        def of_alpha(x: Tensor) -> Tensor:
            return function(1.0 + numerics.softplus(ops.moveaxis(x, self.axis, -1)))

        return self._apply_to_predictions(y_pred, of_alpha)


def _divergence_from_uniform(evidence: Tensor) -> Tensor:
    """KL(Dir(1 + e) || Dir(1)) over the last axis, which is exactly 0 for e = 0.

    The gamma and digamma functions are written with Stirling's formula, whose large terms cancel and are left
    out.
    """
    classes = evidence.shape[-1]
    alpha, extra = 1.0 + evidence, ops.sum(evidence, axis=-1)
    total, ones = classes + extra, ops.ones_like(extra)
    difference = digamma_minus_log(alpha) - ops.expand_dims(digamma_minus_log(total), -1)
    start = binet(ops.ones_like(alpha[..., :1]))
    per_class = evidence * difference - 0.5 * numerics.log1p(evidence) - (binet(alpha) - start)
    of_total = binet(total) - binet(classes * ones)
    return (classes - 0.5) * numerics.log1p(extra / classes) + of_total + ops.sum(per_class, axis=-1)
