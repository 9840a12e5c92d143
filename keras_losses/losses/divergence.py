"""Divergences between two distributions over the last axis."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from keras import ops

from keras_losses import numerics
from keras_losses.core import (
    Card,
    Identity,
    Loss,
    PackedLoss,
    Predictions,
    checks,
    flag,
    labels,
    parameter,
    shapes,
    wanted_values,
)
from keras_losses.numerics import Crossentropy, Tensor


class DivergenceLoss(Loss):
    """Base of the losses that compare a predicted distribution with a target one, over the last axis.

    A subclass states `divergence(y, p, crossentropy)`: the value of each sample `(...)`, of the target y, the
    prediction p, and -log p and 1 - p of every class, all `(..., C)`.

    Args:
        temperature: softens the prediction to softmax(z / temperature), above 0; the target is taken as
            it is.
        from_logits: whether `y_pred` are logits; the logarithm of a softmax is then never taken.
    """

    temperature: float = parameter(default=1.0, within="(0, inf)", live=True)
    from_logits: bool = flag(default=False, kw_only=False)

    @property
    def of_measures(self) -> bool:
        """Whether what is compared may add up to something other than 1."""
        return False

    def divergence(self, y: Tensor, p: Tensor, crossentropy: Crossentropy) -> Tensor:
        raise NotImplementedError

    def align(self, y_true: Any, y_pred: Any) -> tuple[Tensor, Predictions]:
        if isinstance(y_pred, Predictions):
            return y_true, y_pred
        y_true, predictions = self.convert(y_true), self.predictions(y_pred, self.from_logits, "softmax")
        return labels.distributions(type(self).__name__, y_true, predictions.values), predictions

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        y, predictions = self.align(y_true, y_pred)
        if predictions.logits is not None:
            return self.of_logits(y, self.softened(predictions.logits))
        given = predictions.of_every_class()
        if numerics.is_number(self.temperature, 1.0):
            return self.divergence(y, predictions.values, given)
        softened = numerics.dense_crossentropy(self.softened(-given.value))
        # The slope is held where that of the probability that was given is.
        held = softened.value + (given.steepest_from - given.value) / self.temperature
        return self.divergence(y, ops.exp(-softened.value), replace(softened, steepest_from=held))

    def of_logits(self, y: Tensor, logits: Tensor) -> Tensor:
        """The divergence of softmax(z)."""
        crossentropy = numerics.dense_crossentropy(logits)
        return self.divergence(y, ops.exp(-crossentropy.value), crossentropy)

    def minus_log(self, y: Tensor) -> Tensor:
        """-log y of a target."""
        return numerics.negative_log(y, self.compute_dtype)

    def check(self, y_true: Tensor, y_pred: Predictions, wanted: np.ndarray | None) -> None:
        owner = type(self).__name__
        measures = "generalized" in self.hyperparameters
        advice = "For measures that do not, pass generalized=True." if measures else "Divide it by its sum."
        given = [("y_true", y_true)] if self.from_logits else [("y_true", y_true), ("y_pred", y_pred.values)]
        for name, tensor in given:
            values = wanted_values(tensor, wanted)
            if (values < 0).any():
                raise ValueError(
                    f"`{owner}`: `{name}` must not be negative. Received: {values[values < 0][0]:g}. "
                    "If these are logits, pass from_logits=True."
                )
            if not self.of_measures:
                checks.check_distribution(owner, name, values, advice)

    def softened(self, logits: Tensor) -> Tensor:
        """The logits divided by the temperature, which rounds less of small differences than of z."""
        if numerics.is_number(self.temperature, 1.0):
            return logits
        return numerics.minus_max(logits) / self.temperature


class KLDivergenceLoss(DivergenceLoss):
    """The Kullback-Leibler divergence of a predicted distribution from a target one.

        forward:      loss = sum_j y_j log(y_j / p_j)
        reverse:      loss = sum_j p_j log(p_j / y_j)
        generalized:  the same + sum_j p_j - y_j (forward) or + sum_j y_j - p_j (reverse)

    with 0 log 0 = 0. Forward covers all of y, reverse keeps to one mode of it; the generalized form is for
    measures that do not add up to 1. Where y = 1 and p = 0 the value is finite and the gradient is not 0,
    as it is in Keras's `KLDivergence`, which also has no `from_logits` and is negative for measures that
    do not add up to 1.

    Args:
        direction: `"forward"` or `"reverse"`.
        temperature: softens the prediction to softmax(z / temperature), above 0; the target is taken as
            it is.
        generalized: whether the distributions may add up to something other than 1.
        from_logits: whether `y_pred` are logits; the logarithm of a softmax is then never taken.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., C)`. With `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for hyper-parameters out of range, shapes that differ and, in eager mode, for negative
            entries, and for rows that do not add up to 1 unless `generalized`.

    Example:

    >>> import numpy as np
    >>> from keras_losses import KLDivergenceLoss
    >>> y, p = np.array([[0.5, 0.5, 0.0]]), np.array([[0.25, 0.5, 0.25]])
    >>> round(float(KLDivergenceLoss()(y, p)), 4)  # 0.5 log 2
    0.3466

    References:
        - Kullback & Leibler 1951, On Information and Sufficiency, https://doi.org/10.1214/aoms/1177729694
    """

    card = Card(
        family="divergence",
        formula="sum_j y_j log(y_j / p_j); reverse: sum_j p_j log(p_j / y_j)",
        paper="Kullback & Leibler 1951",
        labels="distributions over the last axis",
        predictions="logits or probabilities",
        use="soft targets: several annotators, a teacher, a histogram",
        avoid="hard labels (CrossentropyLoss is the same but for a constant, and faster)",
        elicits="class probability",
        elicits_note="the reverse divergence: the normalised geometric mean of the targets",
        gradient_bound="1 in a logit (forward)",
        conditioning="as p nears y it has the digits of log p - log y, and of the sum of y",
        cost="an exponential series of log p - log y for each class, for the digits where they are near",
    )

    direction: str = parameter(default="forward", choices=("forward", "reverse"))
    # Restated for its place in the constructor.
    temperature: float = parameter(default=1.0, within="(0, inf)", live=True)
    generalized: bool = flag(default=False, kw_only=False)

    @property
    def of_measures(self) -> bool:
        return self.generalized

    def validate(self) -> None:
        if self.generalized and self.temperature != 1.0:
            raise ValueError(
                "`KLDivergenceLoss`: a temperature normalises the prediction, which `generalized` leaves as "
                f"it is. Received: temperature={self.temperature}, generalized=True. Choose one of them."
            )

    def of_logits(self, y: Tensor, logits: Tensor) -> Tensor:
        if self.direction == "reverse":
            return super().of_logits(y, logits)
        value = numerics.relative_entropy(y, logits)
        return value if self.generalized else value + (ops.sum(y, axis=-1) - 1.0)

    def divergence(self, y: Tensor, p: Tensor, crossentropy: Crossentropy) -> Tensor:
        forward = self.direction == "forward"
        alpha, log_y = (1.0 if forward else 0.0), -self.minus_log(y)
        value = numerics.alpha_divergence(crossentropy.value, alpha, y, p, log_y)
        if self.generalized:
            return value
        excess = numerics.excess_of_sums(y, p, crossentropy.logits)
        return value - excess if forward else value + excess


class JensenShannonLoss(DivergenceLoss):
    """The Jensen-Shannon divergence: how far target and prediction are from their mixture.

        loss = weight * KL(y || m) + (1 - weight) * KL(p || m),   m = weight * y + (1 - weight) * p

    It is symmetric at a weight of 1/2, 0 where p = y, and never above the entropy of the weight, log 2 at a
    half, however wrong the prediction: a sample of a wrong target pulls less than with `KLDivergenceLoss`,
    and a hopeless one hardly. It compares a prediction with its target; `JensenShannonConsistencyLoss`
    compares several predictions with one another.

    Args:
        weight: the weight of the target in the mixture, in (0, 1).
        temperature: softens the prediction to softmax(z / temperature), above 0; the target is taken as
            it is.
        from_logits: whether `y_pred` are logits.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., C)`. With `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for hyper-parameters out of range, shapes that differ and, in eager mode, for negative
            entries and rows that do not add up to 1.

    Example:

    >>> import numpy as np
    >>> from keras_losses import JensenShannonLoss
    >>> y, p = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
    >>> round(float(JensenShannonLoss()(y, p)), 4)  # log 2
    0.6931

    References:
        - Lin 1991, Divergence Measures Based on the Shannon Entropy, https://doi.org/10.1109/18.61115
    """

    card = Card(
        family="divergence",
        formula="weight * KL(y || m) + (1 - weight) * KL(p || m), m = weight * y + (1 - weight) * p",
        paper="Lin 1991",
        labels="distributions over the last axis",
        predictions="logits or probabilities",
        use="soft targets of which some are wrong: the loss is bounded",
        avoid="the model starts far from the targets: where p is near 0, so is the gradient in a logit",
        elicits="centre of distributions",
        gradient_bound="below 1 in a logit",
        conditioning="as p nears y it has the digits of log p - log y",
        cost="the logarithm of the mixture, and two exponential series for each class",
    )

    weight: float = parameter(default=0.5, within="(0, 1)")

    def divergence(self, y: Tensor, p: Tensor, crossentropy: Crossentropy) -> Tensor:
        logs = [-self.minus_log(y), -crossentropy.value]
        return numerics.mixture_divergence([y, p], logs, [self.weight, 1.0 - self.weight])


class RenyiLoss(DivergenceLoss):
    """The Renyi divergence of order alpha of a predicted distribution from a target one.

        loss = log(sum_j y_j^alpha p_j^(1 - alpha)) / (alpha - 1)

    and KL(y || p) at alpha = 1, with values and gradients that are continuous there: the sum is divided by
    that of y, which is 1 but for rounding, as Renyi has it for incomplete distributions. It grows with alpha:
    the larger, the more a class counts that the target has and the prediction has not. It is a function of
    the same sum as `AlphaDivergenceLoss`, and unlike that one not bounded for alpha < 1: on a one-hot target
    it is -log p_t for every alpha.

    Args:
        alpha: the order, above 0; 1/2 is -2 log of the Bhattacharyya coefficient, 1 the Kullback-Leibler
            divergence.
        temperature: softens the prediction to softmax(z / temperature), above 0; the target is taken as
            it is.
        from_logits: whether `y_pred` are logits.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., C)`. With `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for hyper-parameters out of range, shapes that differ and, in eager mode, for negative
            entries and rows that do not add up to 1.

    Example:

    >>> import numpy as np
    >>> from keras_losses import RenyiLoss
    >>> y, p = np.array([[0.5, 0.5]]), np.array([[0.2, 0.8]])
    >>> round(float(RenyiLoss(alpha=2.0)(y, p)), 4)  # log(0.25 / 0.2 + 0.25 / 0.8)
    0.4463

    References:
        - Renyi 1961, On Measures of Entropy and Information, https://projecteuclid.org/euclid.bsmsp/1200512181
        - van Erven & Harremoes 2014, Renyi Divergence and Kullback-Leibler Divergence,
          https://arxiv.org/abs/1206.2459
    """

    card = Card(
        family="divergence",
        formula="log(sum_j y_j^alpha p_j^(1 - alpha) / sum_j y_j) / (alpha - 1); at alpha = 1 KL(y || p)",
        paper="Renyi 1961",
        labels="distributions over the last axis",
        predictions="logits or probabilities",
        use="soft targets, with a say in how much a class counts that the prediction leaves out",
        avoid="hard labels (CrossentropyLoss is the same, and faster)",
        elicits="centre of distributions",
        elicits_note="the mean of the targets at alpha = 1",
        gradient_bound="1 in a logit",
        identities=(Identity({"alpha": 1.0}, "KLDivergenceLoss"),),
        conditioning="as p nears y it has the digits of log p - log y",
        cost="a power, an exponential series and a further sum of exponentials for each class",
    )

    alpha: float = parameter(default=0.5, within="(0, inf)")

    def divergence(self, y: Tensor, p: Tensor, crossentropy: Crossentropy) -> Tensor:
        log_y = -self.minus_log(y)
        return crossentropy.map(numerics.renyi_divergence, self.alpha, y, p, log_y, crossentropy.logits)


class AlphaDivergenceLoss(DivergenceLoss):
    """The alpha-divergence of a predicted distribution from a target one (Amari).

        loss = (1 - sum_j y_j^alpha p_j^(1 - alpha)) / (alpha (1 - alpha))

    which is KL(y || p) at alpha = 1 and KL(p || y) at alpha = 0, with values and gradients that are
    continuous there; four times `HellingerLoss` at 1/2, half of Pearson's chi-square sum (y - p)^2 / p at 2,
    and half of Neyman's sum (y - p)^2 / y at -1. Amari's own parameter is 1 - 2 alpha. A large alpha makes
    the prediction cover the target, a small one keeps it to one mode. For alpha in (0, 1) it is at most
    1 / (alpha (1 - alpha)), where `RenyiLoss`, of the same sum, has no bound.

    Each class is taken with its alpha y_j + (1 - alpha) p_j, whose sum is the 1 of the formula: that is never
    negative, and 0 only where p = y.

    Args:
        alpha: the parameter, in [-1, 2].
        temperature: softens the prediction to softmax(z / temperature), above 0; the target is taken as
            it is.
        from_logits: whether `y_pred` are logits.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., C)`. With `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for hyper-parameters out of range, shapes that differ and, in eager mode, for negative
            entries and rows that do not add up to 1.

    Example:

    >>> import numpy as np
    >>> from keras_losses import AlphaDivergenceLoss
    >>> y, p = np.array([[0.5, 0.5]]), np.array([[0.2, 0.8]])
    >>> round(float(AlphaDivergenceLoss(alpha=2.0)(y, p)), 4)  # (0.09 / 0.2 + 0.09 / 0.8) / 2
    0.2812

    References:
        - Amari 1985, Differential-Geometrical Methods in Statistics, https://doi.org/10.1007/978-1-4612-5056-2
        - Cichocki & Amari 2010, Families of Alpha- Beta- and Gamma-Divergences,
          https://doi.org/10.3390/e12061532
    """

    card = Card(
        family="divergence",
        formula="sum_j (alpha y_j + (1 - alpha) p_j - y_j^alpha p_j^(1 - alpha)) / (alpha (1 - alpha))",
        paper="Amari 1985",
        labels="distributions over the last axis",
        predictions="logits or probabilities",
        use="between covering the target and keeping to one mode of it, or a bounded loss for soft targets",
        avoid="alpha <= 0 where targets may be 0: it is infinite there, and held at what a float holds",
        elicits="centre of distributions",
        elicits_note="p_j proportional to the mean of y_j^alpha, to the power 1 / alpha",
        gradient_bound="1 / alpha in a logit for alpha in (0, 1]; unbounded elsewhere",
        identities=(
            Identity({"alpha": 1.0}, "KLDivergenceLoss", {"generalized": True}),
            Identity({"alpha": 0.0}, "KLDivergenceLoss", {"direction": "reverse", "generalized": True}),
            Identity({"alpha": 0.5}, "HellingerLoss", times=4.0),
        ),
        conditioning="as p nears y it has the digits of log p - log y",
        cost="a power and an exponential series for each class",
    )

    alpha: float = parameter(default=0.5, within="[-1, 2]")

    def divergence(self, y: Tensor, p: Tensor, crossentropy: Crossentropy) -> Tensor:
        log_y = -self.minus_log(y)
        return crossentropy.map(numerics.alpha_divergence, self.alpha, y, p, log_y)


class HellingerLoss(DivergenceLoss):
    """The squared Hellinger distance of a predicted distribution from a target one.

        loss = 1/2 sum_j (sqrt(y_j) - sqrt(p_j))^2 = 1 - sum_j sqrt(y_j p_j)

    The square, in [0, 1], and not its root, whose gradient has no limit where p = y. It is symmetric, and
    bounded as `JensenShannonLoss` is, and `TotalVariationLoss` is, which it is at most: a sample that is
    hopelessly wrong hardly pulls.

    Args:
        temperature: softens the prediction to softmax(z / temperature), above 0; the target is taken as
            it is.
        from_logits: whether `y_pred` are logits.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., C)`. With `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for hyper-parameters out of range, shapes that differ and, in eager mode, for negative
            entries and rows that do not add up to 1.

    Example:

    >>> import numpy as np
    >>> from keras_losses import HellingerLoss
    >>> y, p = np.array([[1.0, 0.0]]), np.array([[0.25, 0.75]])
    >>> float(HellingerLoss()(y, p))  # 1 - sqrt(0.25)
    0.5

    References:
        - Hellinger 1909, Neue Begründung der Theorie quadratischer Formen von unendlichvielen
          Veränderlichen, https://doi.org/10.1515/crll.1909.136.210
    """

    card = Card(
        family="divergence",
        formula="1/2 sum_j (sqrt(y_j) - sqrt(p_j))^2",
        paper="Hellinger 1909",
        labels="distributions over the last axis",
        predictions="logits or probabilities",
        use="soft targets of which some are wrong: the loss is bounded and smooth",
        avoid="the model starts far from the targets: where p is near 0, so is the gradient in a logit",
        elicits="centre of distributions",
        elicits_note="p_j proportional to the square of the mean of sqrt(y_j)",
        gradient_bound="1/2 in a logit",
        conditioning="as p nears y it has the digits of log p - log y",
        cost="a power and an exponential series for each class",
    )

    def divergence(self, y: Tensor, p: Tensor, crossentropy: Crossentropy) -> Tensor:
        log_y = -self.minus_log(y)
        return 0.25 * crossentropy.map(numerics.alpha_divergence, 0.5, y, p, log_y)


class TotalVariationLoss(DivergenceLoss):
    """The total variation between target and prediction: the most by which they differ on any event.

        loss = 1/2 sum_j |y_j - p_j|

    In [0, 1]; on a one-hot target it is 1 - p_t. Each class pulls with its whole weight until it is met,
    and then not at all, so that of several targets it takes a median; `HellingerLoss`, which is smooth, lies
    between it and half of its square.

    Args:
        temperature: softens the prediction to softmax(z / temperature), above 0; the target is taken as
            it is.
        from_logits: whether `y_pred` are logits.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., C)`. With `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for hyper-parameters out of range, shapes that differ and, in eager mode, for negative
            entries and rows that do not add up to 1.

    Example:

    >>> import numpy as np
    >>> from keras_losses import TotalVariationLoss
    >>> y, p = np.array([[0.5, 0.5, 0.0]]), np.array([[0.25, 0.5, 0.25]])
    >>> float(TotalVariationLoss()(y, p))
    0.25

    References:
        - Gibbs & Su 2002, On Choosing and Bounding Probability Metrics, https://arxiv.org/abs/math/0209021
    """

    card = Card(
        family="divergence",
        formula="1/2 sum_j |y_j - p_j|",
        paper="Gibbs & Su 2002, math/0209021",
        labels="distributions over the last axis",
        predictions="logits or probabilities",
        use="a share of the targets is grossly wrong",
        avoid="probabilities must be right on average; p is near 0 at the start, and so is the gradient",
        elicits="centre of distributions",
        elicits_note="each class between its targets, as a median",
        gradient_bound="1/4 in a logit",
        cost="1 - p of every class, with its digits where p is near 1",
    )

    def divergence(self, y: Tensor, p: Tensor, crossentropy: Crossentropy) -> Tensor:
        return 0.5 * ops.sum(numerics.absolute(numerics.excess(y, p, crossentropy.complement)), axis=-1)


class EarthMoverLoss(DivergenceLoss):
    """The work of moving the predicted distribution over ordered classes to where the target is.

        loss = mean_k |F_k(y) - F_k(p)|^power,   F_k the share of the classes up to k, for k = 1 ... C - 1

    With `power=1` it is the first Wasserstein distance between the two, where the classes lie at
    0, 1/(C - 1), 2/(C - 1) ... 1: from the first class to the last it is 1. With `power=2` it is the ranked
    probability score, and smooth; the paper's root of it is not taken. A probability near the true class
    costs less than one far away, which the other losses of this file cannot tell. `OrdinalLabels` with
    `CrossentropyLoss` can, and learns faster from a hopeless sample.

    Args:
        power: of the differences, 1 or more; 2 for training in the paper, 1 for judging.
        temperature: softens the prediction to softmax(z / temperature), above 0; the target is taken as
            it is.
        from_logits: whether `y_pred` are logits.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., C)`, the classes in their order. With `reduction="none"` the result
    is `(...)`.

    Raises:
        ValueError: for hyper-parameters out of range, shapes that differ and, in eager mode, for negative
            entries and rows that do not add up to 1.

    Example:

    >>> import numpy as np
    >>> from keras_losses import EarthMoverLoss
    >>> y, p = np.array([[1.0, 0.0, 0.0]]), np.array([[0.0, 1.0, 0.0]])
    >>> float(EarthMoverLoss(power=1.0)(y, p))  # one step of two
    0.5

    References:
        - Hou et al. 2016, Squared Earth Mover's Distance-based Loss for Training Deep Neural Networks,
          https://arxiv.org/abs/1611.05916
    """

    card = Card(
        family="divergence",
        formula="mean_k |F_k(y) - F_k(p)|^power, F_k the sum of the first k classes, k < C",
        paper="Hou 2016, 1611.05916",
        labels="distributions over the last axis, its classes in their order",
        predictions="logits or probabilities",
        use="ordered classes: ratings, ages, histograms",
        avoid="classes without an order; a model that is sure and wrong learns slowly",
        elicits="class probability",
        elicits_note="at power = 1 the median of the cumulated targets, between them at other powers",
        gradient_bound="power / 4 in a logit",
        cost="the running sum over the classes, a product with a triangular matrix",
    )

    power: float = parameter(default=2.0, within="[1, inf)")

    def divergence(self, y: Tensor, p: Tensor, crossentropy: Crossentropy) -> Tensor:
        ahead = numerics.cumsum(numerics.excess(y, p, crossentropy.complement))[..., :-1]
        return numerics.mean(numerics.power(numerics.absolute(ahead), self.power))


class DistillationLoss(DivergenceLoss):
    """What a student's softened prediction has still to learn from its teacher's.

        loss = temperature^2 * KL(softmax(t / temperature) || softmax(z / temperature))

    with the logits t of the teacher, as `y_true`, and z of the student. The temperature shows the student
    how likely the teacher takes the wrong classes to be; its square keeps the gradient,
    temperature * (p - y), of one size, so that a sum with `CrossentropyLoss` keeps its balance. It is
    `KLDivergenceLoss` with both sides softened, and has the digits of their difference where they nearly
    agree, as at high temperatures, at which it is half the variance of z - t over the classes.

    Args:
        temperature: divides the logits of both, in (0, 1e6]; 2 to 20 in the paper, the higher the larger the
            student.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., C)`. With `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for hyper-parameters out of range and shapes that differ.

    Example:

    >>> import numpy as np
    >>> from keras_losses import DistillationLoss
    >>> teacher, student = np.array([[2 * np.log(3), 0.0]]), np.array([[0.0, 0.0]])
    >>> round(float(DistillationLoss()(teacher, student)), 4)  # 4 (3/4 log(3/2) + 1/4 log(1/2))
    0.5232

    References:
        - Hinton, Vinyals & Dean 2015, Distilling the Knowledge in a Neural Network,
          https://arxiv.org/abs/1503.02531
    """

    card = Card(
        family="divergence",
        formula="temperature^2 * KL(softmax(t / temperature) || softmax(z / temperature)), t = y_true",
        paper="Hinton 2015, 1503.02531",
        labels="logits of a teacher",
        predictions="logits",
        use="a small model is to do what a large one does, on images with labels or without",
        avoid="the teacher's probabilities are all there is (KLDivergenceLoss takes them)",
        elicits="class probability",
        elicits_note="the mean of the teacher's softened probabilities, as the softened prediction",
        gradient_bound="temperature in a logit",
        conditioning="as z nears t it has the digits of the difference of their softened logits",
        cost="two softmaxes, and an exponential series of their difference for each class",
    )

    temperature: float = parameter(default=2.0, within="(0, 1e6]", live=True)
    from_logits = True

    def check(self, y_true: Tensor, y_pred: Predictions, wanted: np.ndarray | None) -> None:
        """Any number is a logit."""

    def of_logits(self, y: Tensor, logits: Tensor) -> Tensor:
        return self.temperature**2 * numerics.relative_entropy_of_logits(self.softened(y), logits)


class GaussianKLLoss(PackedLoss):
    """How far the normal distributions that a model predicts are from the standard one.

        loss = KL(N(mu, e^log_var) || N(0, 1)) = 1/2 sum_j mu_j^2 + e^log_var_j - 1 - log_var_j

    The term that keeps the latent code of a variational autoencoder to its prior. As in the paper it is the
    sum over the latent dimensions, not their mean: beside a reconstruction loss that is a mean over pixels
    it has to be weighted down. The other losses of this file compare probabilities of classes.

    `y_true` is not read, for the prior is fixed. Keras asks for one nevertheless: a zero for each sample.

    Args:
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_pred` `(..., 2 * d)`: all mu, then all log_var; `y_true` `(...)` or `(..., d)`, of any
    numbers. With `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for shapes that do not match.

    Example:

    >>> import numpy as np
    >>> from keras_losses import GaussianKLLoss
    >>> code = np.array([[1.0, 2.0, 0.0, 0.0]])  # mu = (1, 2), variances of 1
    >>> float(GaussianKLLoss()(np.zeros(1), code))  # (1 + 4) / 2
    2.5

    References:
        - Kingma & Welling 2013, Auto-Encoding Variational Bayes, https://arxiv.org/abs/1312.6114
    """

    card = Card(
        family="divergence",
        formula="1/2 sum_j mu_j^2 + e^log_var_j - 1 - log_var_j",
        paper="Kingma & Welling 2013, 1312.6114",
        labels="any numbers: they are not read",
        predictions="mu and log_var of each latent dimension: all mu, then all log_var",
        use="the latent code of a variational autoencoder",
        avoid="a prior that is not the standard normal distribution",
        elicits="centre of distributions",
        elicits_note="mu = 0 and log_var = 0, the prior itself",
        gradient_bound="unbounded: mu in mu, e^log_var / 2 in log_var",
        cost="an exponential series for each number",
    )

    @property
    def parts(self) -> int:
        return 2

    def align(self, y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
        y_true, y_pred = self.convert(y_true), self.convert(y_pred)
        if len(y_pred.shape) > 1 and shapes.agree(y_true.shape, y_pred.shape[:-1]):
            y_true = ops.zeros_like(shapes.parts_of(y_pred, self.parts)[0])
        return super().align(y_true, y_pred)

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        y_true, y_pred = self.align(y_true, y_pred)
        mean, log_variance = shapes.parts_of(y_pred, self.parts)
        return 0.5 * ops.sum(ops.square(mean) + numerics.expm1_minus(log_variance), axis=-1)
