"""Divergences between two distributions over the last axis."""

from __future__ import annotations

import numpy as np
from keras import ops

from keras_losses import numerics
from keras_losses.core import Card, Identity, Predictions, flag, parameter
from keras_losses.losses.distributions import DivergenceLoss
from keras_losses.numerics import Crossentropy, Tensor


class KLDivergenceLoss(DivergenceLoss):
    """Kullback-Leibler divergence of a predicted distribution from a target one, for soft targets.

        forward:      loss = sum_j y_j log(y_j / p_j)
        reverse:      loss = sum_j p_j log(p_j / y_j)
        generalized:  the same + sum_j p_j - y_j (forward) or + sum_j y_j - p_j (reverse)

    with 0 log 0 = 0. The forward divergence makes p cover all of y; the reverse one lets p keep to one mode
    of y. The generalized form is for measures, whose sum may differ from 1. Where y = 1 and p = 0 the value
    is finite and the gradient is not 0. In Keras's `KLDivergence` that gradient is 0; it has no
    `from_logits`, and is negative for some measures.

    Args:
        direction: `"forward"` or `"reverse"`.
        generalized: whether target and prediction may have sums other than 1.
        temperature, from_logits: as in `keras_losses.losses.distributions.DivergenceLoss`.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., C)`. With `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: if a hyper-parameter is out of range or the shapes differ; in eager mode also for negative
            entries, and for rows that do not add up to 1 unless `generalized` is set.

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
        use="soft targets: several annotators, a teacher's probabilities, a histogram",
        avoid="hard labels: CrossentropyLoss has the same gradient and is faster",
        elicits="class probability",
        elicits_note="for the reverse divergence the normalised geometric mean of the targets",
        gradient_bound="1 in a logit (forward)",
        conditioning="near p = y the accuracy is that of log p - log y, and of the sum of y",
        cost="an exponential series of log p - log y for each class, which is accurate near p = y",
    )

    direction: str = parameter(default="forward", choices=("forward", "reverse"))
    # Declared again, to keep its place among the arguments of the constructor.
    temperature: float = parameter(default=1.0, within="(0, inf)", live=True)
    generalized: bool = flag(default=False, kw_only=False)

    @property
    def of_measures(self) -> bool:
        return self.generalized

    def validate(self) -> None:
        if self.generalized and self.temperature != 1.0:
            raise ValueError(
                "`KLDivergenceLoss`: `temperature` must be 1 with generalized=True, because a temperature "
                f"normalises the prediction. Received: temperature={self.temperature}, generalized=True. "
                "Choose one of them."
            )

    def of_logits(self, y: Tensor, logits: Tensor) -> Tensor:
        if self.direction == "reverse":
            return super().of_logits(y, logits)
        value = numerics.relative_entropy(y, logits)
        return value if self.generalized else _not_below_0(value + (ops.sum(y, axis=-1) - 1.0))

    def divergence(self, y: Tensor, p: Tensor, crossentropy: Crossentropy) -> Tensor:
        forward = self.direction == "forward"
        alpha, log_y = (1.0 if forward else 0.0), -self.minus_log(y)
        value = numerics.alpha_divergence(crossentropy.value, alpha, y, p, log_y)
        if self.generalized:
            return value
        difference = numerics.total_difference(y, p, crossentropy.logits)
        return _not_below_0(value - difference if forward else value + difference)


class JensenShannonLoss(DivergenceLoss):
    """Jensen-Shannon divergence of target and prediction, for soft targets that may be wrong.

        loss = weight * KL(y || m) + (1 - weight) * KL(p || m),   m = weight * y + (1 - weight) * p

    It is symmetric for a weight of 1/2 and 0 where p = y. It never exceeds the entropy of the weight, which
    is log 2 for a weight of 1/2. A sample with a wrong target therefore pulls less than in
    `KLDivergenceLoss`, and a hopelessly wrong prediction hardly pulls. `JensenShannonConsistencyLoss`
    compares several predictions with one another.

    Args:
        weight: the weight of the target in the mixture, in (0, 1).
        temperature, from_logits: as in `keras_losses.losses.distributions.DivergenceLoss`.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., C)`. With `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: if a hyper-parameter is out of range or the shapes differ; in eager mode also for negative
            entries and for rows that do not add up to 1.

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
        use="soft targets of which some are wrong, because the loss is bounded",
        avoid="models that start far from the targets: where p is near 0, so is the gradient in a logit",
        elicits="centre of distributions",
        gradient_bound="below 1 in a logit",
        conditioning="near p = y the accuracy is that of log p - log y",
        cost="the logarithm of the mixture, and two exponential series for each class",
    )

    weight: float = parameter(default=0.5, within="(0, 1)")

    def divergence(self, y: Tensor, p: Tensor, crossentropy: Crossentropy) -> Tensor:
        logs = [-self.minus_log(y), -crossentropy.value]
        return numerics.mixture_divergence([y, p], logs, [self.weight, 1.0 - self.weight])


class RenyiLoss(DivergenceLoss):
    """Renyi divergence of order alpha of a predicted distribution from a target one, for soft targets.

        loss = log(sum_j y_j^alpha p_j^(1 - alpha)) / (alpha - 1)

    and KL(y || p) at alpha = 1, where values and gradients are continuous. The sum is divided by sum_j y_j,
    which is 1 up to rounding; this is Renyi's definition for incomplete distributions. The divergence grows
    with alpha: a larger alpha penalises more the classes that the target has and the prediction lacks.
    `AlphaDivergenceLoss` is another function of the same sum. It is bounded for alpha < 1, while this loss is
    -log p_t for a one-hot target and every alpha.

    Args:
        alpha: the order, above 0; 1/2 is -2 log of the Bhattacharyya coefficient, 1 the Kullback-Leibler
            divergence.
        temperature, from_logits: as in `keras_losses.losses.distributions.DivergenceLoss`.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., C)`. With `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: if a hyper-parameter is out of range or the shapes differ; in eager mode also for negative
            entries and for rows that do not add up to 1.

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
        use="soft targets, with a tunable penalty on classes that the prediction leaves out",
        avoid="hard labels: CrossentropyLoss has the same value and is faster",
        elicits="centre of distributions",
        elicits_note="the mean of the targets for alpha = 1",
        gradient_bound="1 in a logit",
        identities=(Identity({"alpha": 1.0}, "KLDivergenceLoss"),),
        conditioning="near p = y the accuracy is that of log p - log y",
        cost="a power, an exponential series and a second sum of exponentials for each class",
    )

    alpha: float = parameter(default=0.5, within="(0, inf)")

    def divergence(self, y: Tensor, p: Tensor, crossentropy: Crossentropy) -> Tensor:
        log_y = -self.minus_log(y)
        value = crossentropy.map(numerics.renyi_divergence, self.alpha, y, p, log_y, crossentropy.logits)
        return _not_below_0(value)


class AlphaDivergenceLoss(DivergenceLoss):
    """Alpha-divergence (Amari) of a predicted distribution from a target one, for soft targets.

        loss = (1 - sum_j y_j^alpha p_j^(1 - alpha)) / (alpha (1 - alpha))

    It is KL(y || p) at alpha = 1 and KL(p || y) at alpha = 0, where values and gradients are continuous. It
    is four times `HellingerLoss` at 1/2, half of Pearson's chi-square sum (y - p)^2 / p at 2, and half of
    Neyman's sum (y - p)^2 / y at -1. Amari's own parameter is 1 - 2 alpha. A large alpha makes the prediction
    cover the target; a small one lets it keep to one mode. For alpha in (0, 1) the value is at most 1 /
    (alpha (1 - alpha)), while `RenyiLoss`, a function of the same sum, has no bound.

    The loss is computed as the sum of (alpha y_j + (1 - alpha) p_j - y_j^alpha p_j^(1 - alpha)) / (alpha (1 -
    alpha)). Each of these terms is at least 0, and 0 only for p_j = y_j.

    Args:
        alpha: the parameter, in [-1, 2].
        temperature, from_logits: as in `keras_losses.losses.distributions.DivergenceLoss`.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., C)`. With `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: if a hyper-parameter is out of range or the shapes differ; in eager mode also for negative
            entries and for rows that do not add up to 1.

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
        use="soft targets, to cover a target or keep to one of its modes, or for a bounded loss",
        avoid="targets of 0 with alpha <= 0: their infinite value is replaced by a finite one",
        elicits="centre of distributions",
        elicits_note="p_j proportional to the mean of y_j^alpha, raised to the power 1 / alpha",
        gradient_bound="1 / alpha in a logit for alpha in (0, 1]; unbounded elsewhere",
        identities=(
            Identity({"alpha": 1.0}, "KLDivergenceLoss", {"generalized": True}),
            Identity({"alpha": 0.0}, "KLDivergenceLoss", {"direction": "reverse", "generalized": True}),
            Identity({"alpha": 0.5}, "HellingerLoss", factor=4.0),
        ),
        conditioning="near p = y the accuracy is that of log p - log y",
        cost="a power and an exponential series for each class",
    )

    alpha: float = parameter(default=0.5, within="[-1, 2]")

    def divergence(self, y: Tensor, p: Tensor, crossentropy: Crossentropy) -> Tensor:
        log_y = -self.minus_log(y)
        return crossentropy.map(numerics.alpha_divergence, self.alpha, y, p, log_y)


class HellingerLoss(DivergenceLoss):
    """Squared Hellinger distance of prediction and target, for soft targets that may be wrong.

        loss = 1/2 sum_j (sqrt(y_j) - sqrt(p_j))^2 = 1 - sum_j sqrt(y_j p_j)

    It is the square of the distance, in [0, 1]; the gradient of the distance itself has no limit at p = y. It
    is symmetric, never above `TotalVariationLoss`, and bounded as that loss and `JensenShannonLoss` are. A
    hopelessly wrong sample therefore hardly pulls.

    Args:
        temperature, from_logits: as in `keras_losses.losses.distributions.DivergenceLoss`.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., C)`. With `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: if a hyper-parameter is out of range or the shapes differ; in eager mode also for negative
            entries and for rows that do not add up to 1.

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
        use="soft targets of which some are wrong, because the loss is bounded and smooth",
        avoid="models that start far from the targets: where p is near 0, so is the gradient in a logit",
        elicits="centre of distributions",
        elicits_note="p_j proportional to the square of the mean of sqrt(y_j)",
        gradient_bound="1/2 in a logit",
        conditioning="near p = y the accuracy is that of log p - log y",
        cost="a power and an exponential series for each class",
    )

    def divergence(self, y: Tensor, p: Tensor, crossentropy: Crossentropy) -> Tensor:
        log_y = -self.minus_log(y)
        return 0.25 * crossentropy.map(numerics.alpha_divergence, 0.5, y, p, log_y)


class TotalVariationLoss(DivergenceLoss):
    """Total variation of target and prediction, for targets of which some are grossly wrong.

        loss = 1/2 sum_j |y_j - p_j|

    It is the largest difference between the two probabilities of any event, in [0, 1]; for a one-hot target
    it is 1 - p_t. Each class pulls with constant force until its probability is met, and then not at all, so
    that the best prediction for several targets is like a median. `HellingerLoss` is smooth, and lies between
    half of the square of this loss and this loss.

    Args:
        temperature, from_logits: as in `keras_losses.losses.distributions.DivergenceLoss`.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., C)`. With `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: if a hyper-parameter is out of range or the shapes differ; in eager mode also for negative
            entries and for rows that do not add up to 1.

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
        use="targets of which a share is grossly wrong",
        avoid=(
            "probabilities that must be right on average; a start with p near 0, where the gradient is "
            "near 0 too"
        ),
        elicits="centre of distributions",
        elicits_note="each class between its targets, like a median",
        gradient_bound="1/4 in a logit",
        cost="1 - p of every class, accurate where p is near 1",
    )

    def divergence(self, y: Tensor, p: Tensor, crossentropy: Crossentropy) -> Tensor:
        difference = numerics.probability_difference(y, p, crossentropy.complement)
        return 0.5 * ops.sum(numerics.absolute(difference), axis=-1)


class EarthMoverLoss(DivergenceLoss):
    """Work of moving the predicted distribution to the target one, for ordered classes.

        loss = mean_k |F_k(y) - F_k(p)|^power,   F_k the share of the classes up to k, for k = 1 ... C - 1

    With `power=1` it is the first Wasserstein distance for classes at 0, 1/(C - 1), 2/(C - 1) ... 1, so that
    the distance from the first class to the last is 1. With `power=2` it is the ranked probability score,
    which is smooth; the root that the paper takes is left out. Probability near the true class costs less
    than probability far away; the other divergences do not know distances between classes. `OrdinalLabels`
    with `CrossentropyLoss` does, and learns faster from a hopelessly wrong sample.

    Args:
        power: the power of the differences, 1 or more; the paper trains with 2 and evaluates with 1.
        temperature, from_logits: as in `keras_losses.losses.distributions.DivergenceLoss`.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., C)`, with the classes in their order. With `reduction="none"` the
    result is `(...)`.

    Raises:
        ValueError: if a hyper-parameter is out of range or the shapes differ; in eager mode also for negative
            entries and for rows that do not add up to 1.

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
        labels="distributions over the last axis, with the classes in their order",
        predictions="logits or probabilities",
        use="ordered classes: ratings, ages, histograms",
        avoid="classes without an order; confident wrong predictions, from which it learns slowly",
        elicits="class probability",
        elicits_note=(
            "for power = 1 the median of the cumulative targets; for powers other than 2 between them"
        ),
        gradient_bound="power / 4 in a logit",
        cost="the cumulative sum over the classes, as a product with a triangular matrix",
    )

    power: float = parameter(default=2.0, within="[1, inf)")

    def divergence(self, y: Tensor, p: Tensor, crossentropy: Crossentropy) -> Tensor:
        ahead = numerics.cumsum(numerics.probability_difference(y, p, crossentropy.complement))[..., :-1]
        return numerics.mean(numerics.power(numerics.absolute(ahead), self.power))


class DistillationLoss(DivergenceLoss):
    """Divergence of a student's softened prediction from its teacher's, for knowledge distillation.

        loss = temperature^2 * KL(softmax(t / temperature) || softmax(z / temperature))

    with the logits t of the teacher, as `y_true`, and z of the student. The temperature shows the student
    which wrong classes the teacher takes to be likely. The factor temperature^2 keeps the size of the
    gradient, temperature * (p - y), about the same for all temperatures, so that a sum with
    `CrossentropyLoss` keeps its balance. It is `KLDivergenceLoss` with both sides softened, and stays
    accurate where they nearly agree, as they do at high temperatures. There it is half the variance of z - t
    over the classes.

    Args:
        temperature: divides the logits of both, in (0, 1e6]; 2 to 20 in the paper, higher for larger
            students.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., C)`. With `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: if `temperature` is out of range or the shapes differ.

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
        use="small models that learn to imitate a large one, on inputs with or without labels",
        avoid="teachers of which only the probabilities are known (KLDivergenceLoss takes them)",
        elicits="class probability",
        elicits_note="the softened prediction is the mean of the teacher's softened probabilities",
        gradient_bound="temperature in a logit",
        conditioning="near z = t the accuracy is that of the difference of their softened logits",
        cost="two softmaxes, and an exponential series of their difference for each class",
    )

    temperature: float = parameter(default=2.0, within="(0, 1e6]", live=True)
    from_logits = True

    def check(self, y_true: Tensor, y_pred: Predictions, wanted: np.ndarray | None) -> None:
        """Accepts all values: any number is a logit."""

    def mark_invalid(self, y_true: Tensor, y_pred: Predictions) -> tuple[Tensor, Predictions]:
        """Return labels and predictions as they are: any number is a logit."""
        return y_true, y_pred

    def of_logits(self, y: Tensor, logits: Tensor) -> Tensor:
        return self.temperature**2 * numerics.relative_entropy_of_logits(self.softened(y), logits)


def _not_below_0(divergence: Tensor) -> Tensor:
    """Return 0 for a negative divergence, and its gradient.

    A divergence of distributions is never negative. In float32 the entries of a target add up to 1 - 2e-7,
    say, and the divergence of equal distributions is then -2e-7.
    """
    return divergence + ops.stop_gradient(ops.maximum(-divergence, ops.zeros_like(divergence)))
