"""Losses that survive wrong labels: a label that the model finds impossible pulls less, or not at all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from keras import ops

from keras_losses import numerics
from keras_losses.core import (
    Card,
    CrossentropyFamily,
    Identity,
    Labels,
    Predictions,
    flag,
    parameter,
    shapes,
    wanted_values,
)
from keras_losses.numerics import Crossentropy, Tensor


class GeneralizedCrossentropyLoss(CrossentropyFamily):
    """A path from cross-entropy to absolute error, for labels some of which are wrong.

        loss = (1 - p_t^q) / q

    At q = 0 it is cross-entropy, which fits every label; at q = 1 it is 1 - p_t, which a wrong label cannot
    pull far, but which learns slowly from many classes. The gradient of cross-entropy is multiplied by
    p_t^q: the less the model believes a label, the less it follows it.

    Args:
        q: how little a disbelieved label counts, in [0, 1]; 0.7 in the paper.

    Other arguments: see `keras_losses.core.CrossentropyFamily`.
    A soft or smoothed label is the expectation of the loss over its classes.

    Shapes: `y_pred` `(..., C)`, or `(...)` and `(..., 1)` for one output; `y_true` class ids `(...)` or
    `(..., 1)`, one-hot or soft labels `(..., C)`, or 0/1 labels in the shape of the outputs. With
    `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for an argument outside its range, shapes that do not match and, in eager mode,
            invalid labels or probabilities.

    Example:

    >>> import numpy as np
    >>> from keras_losses import GeneralizedCrossentropyLoss
    >>> float(GeneralizedCrossentropyLoss(q=0.5)(np.array([1]), np.array([0.25])))  # (1 - sqrt 0.25) / 0.5
    1.0

    References:
        - Zhang & Sabuncu 2018, Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy
          Labels, https://arxiv.org/abs/1805.07836
    """

    card = Card(
        family="noise",
        formula="(1 - p_t^q) / q",
        paper="Zhang 2018, 1805.07836",
        labels="class ids, one-hot or soft labels, or 0/1 labels",
        predictions="logits or probabilities",
        use="wrong labels, up to half of them, with one number between robust and fast",
        avoid="clean labels, or rare and hard classes: they look like wrong labels",
        elicits="likeliest class",
        elicits_note="q below 1: with a probability that is pulled to the ends",
        gradient_bound="1 in a logit",
        identities=(Identity({"q": 0.0}, "CrossentropyLoss"), Identity({"q": 1e-9}, "CrossentropyLoss")),
        cost="a power of p; of soft and one-hot labels for every class",
    )

    q: float = parameter(default=0.7, within="[0, 1]")

    def term(self, crossentropy: Crossentropy) -> Tensor:
        return crossentropy.one_minus_power(self.q)


class SymmetricCrossentropyLoss(CrossentropyFamily):
    """Cross-entropy plus its reverse, which asks the label what it thinks of the prediction.

        loss = alpha * -log p_t + beta * -log_zero (1 - p_t)

    The reverse cross-entropy is -sum_j p_j log y_j, where log 0 is taken to be `log_zero`; for a hard label
    that is -log_zero (1 - p_t), which wrong labels cannot pull far. The first term learns the hard classes,
    the second keeps wrong labels at bay.

    Args:
        alpha: the weight of cross-entropy, 0 or more; 0.1 for CIFAR-10 in the paper.
        beta: the weight of its reverse, 0 or more; 1 in the paper.
        log_zero: what stands for log 0, below 0; -4 in the paper.

    Other arguments: see `keras_losses.core.CrossentropyFamily`.
    A soft or smoothed label is the expectation of the loss over its classes.

    Shapes: `y_pred` `(..., C)`, or `(...)` and `(..., 1)` for one output; `y_true` class ids `(...)` or
    `(..., 1)`, one-hot or soft labels `(..., C)`, or 0/1 labels in the shape of the outputs. With
    `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for an argument outside its range, shapes that do not match and, in eager mode,
            invalid labels or probabilities.

    Example:

    >>> import numpy as np
    >>> from keras_losses import SymmetricCrossentropyLoss
    >>> loss = SymmetricCrossentropyLoss(alpha=1.0)
    >>> round(float(loss(np.array([1]), np.array([0.5]))), 4)  # log 2 + 4 * 0.5
    2.6931

    References:
        - Wang et al. 2019, Symmetric Cross Entropy for Robust Learning with Noisy Labels,
          https://arxiv.org/abs/1908.06112
    """

    card = Card(
        family="noise",
        formula="alpha * -log p_t + beta * -log_zero (1 - p_t)",
        paper="Wang 2019, 1908.06112",
        labels="class ids, one-hot or soft labels, or 0/1 labels",
        predictions="logits or probabilities",
        use="wrong labels, where the hard classes must be learnt as well",
        avoid="probabilities that must be calibrated",
        elicits="likeliest class",
        elicits_note="with a probability that is pulled to the ends by beta",
        gradient_bound="alpha - beta log_zero / 4 in a logit",
        identities=(Identity({"alpha": 1.0, "beta": 0.0}, "CrossentropyLoss"),),
        cost="of soft and one-hot labels 1 - p of every class",
    )

    alpha: float = parameter(default=0.1, within="[0, inf)")
    beta: float = parameter(default=1.0, within="[0, inf)")
    log_zero: float = parameter(default=-4.0, within="(-inf, 0)")

    def term(self, crossentropy: Crossentropy) -> Tensor:
        return self.alpha * crossentropy.value - self.beta * self.log_zero * crossentropy.complement


class ActivePassiveLoss(CrossentropyFamily):
    """A robust loss that raises the true class plus one that lowers the others, for many wrong labels.

        loss = alpha * active + beta * passive
        active:   "normalized_crossentropy"   log p_t / sum_j log p_j
                  "normalized_focal"          (1 - p_t)^gamma log p_t / sum_j (1 - p_j)^gamma log p_j
        passive:  "mean_absolute_error"       2 (1 - p_t)
                  "reverse_crossentropy"      -log_zero (1 - p_t)

    Divided by its sum over the classes, any loss is robust to wrong labels, but learns too little; a second
    robust loss, of the other kind, makes up for that. The normalised losses are in [0, 1].

    Args:
        active: the loss that looks at the true class alone.
        passive: the loss that looks at the others.
        alpha: the weight of the active loss, 0 or more.
        beta: the weight of the passive loss, 0 or more.
        gamma: the focus of `"normalized_focal"`, 0 or more; 0.5 in the paper.
        log_zero: what stands for log 0 in `"reverse_crossentropy"`, below 0; -4 in the paper.

    Other arguments: see `keras_losses.core.CrossentropyFamily`.
    A soft or smoothed label is the expectation of the loss over its classes. Each output that is a
    probability of its own is two classes.

    Shapes: `y_pred` `(..., C)`, or `(...)` and `(..., 1)` for one output; `y_true` class ids `(...)` or
    `(..., 1)`, one-hot or soft labels `(..., C)`, or 0/1 labels in the shape of the outputs. With
    `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for an argument outside its range, shapes that do not match and, in eager mode,
            invalid labels or probabilities.

    Example:

    >>> import numpy as np
    >>> from keras_losses import ActivePassiveLoss
    >>> loss = ActivePassiveLoss(passive="mean_absolute_error")
    >>> float(loss(np.array([1]), np.array([0.5])))  # log 2 / (log 2 + log 2) + 2 * 0.5
    1.5

    References:
        - Ma et al. 2020, Normalized Loss Functions for Deep Learning with Noisy Labels,
          https://arxiv.org/abs/2006.13554
    """

    card = Card(
        family="noise",
        formula="alpha * log p_t / sum_j log p_j + beta * -log_zero (1 - p_t), and variants of both",
        paper="Ma 2020, 2006.13554",
        labels="class ids, one-hot or soft labels, or 0/1 labels",
        predictions="logits or probabilities",
        use="many wrong labels, 40% and more",
        avoid="clean labels, probabilities that must be calibrated",
        elicits="likeliest class",
        elicits_note="all probability goes to it",
        gradient_bound="alpha - beta log_zero / 4 in a logit",
        cost="what every class would cost as the label, for class ids too",
    )

    active: str = parameter(
        default="normalized_crossentropy", choices=("normalized_crossentropy", "normalized_focal")
    )
    passive: str = parameter(
        default="reverse_crossentropy", choices=("mean_absolute_error", "reverse_crossentropy")
    )
    alpha: float = parameter(default=1.0, within="[0, inf)")
    beta: float = parameter(default=1.0, within="[0, inf)")
    gamma: float = parameter(default=0.5, within="[0, inf)", kw_only=True)
    log_zero: float = parameter(default=-4.0, within="(-inf, 0)", kw_only=True)

    def id_terms(self, predictions: Predictions, ids: Tensor) -> Tensor:
        if predictions.logits is None or self.active != "normalized_crossentropy":
            return numerics.take_class_masked(ids, self.class_terms(predictions))
        own = predictions.of_class(ids)
        return self._sum(own.value, numerics.crossentropy_of_others(ids, predictions.logits), own)

    def class_terms(self, predictions: Predictions) -> Tensor:
        every = predictions.of_every_class()
        active = self._active(every)
        return self._sum(active, numerics.sum_of_others(active), every)

    def output_terms(self, predictions: Predictions) -> tuple[Tensor, Tensor]:
        one, zero = predictions.of_outputs()
        positive, negative = self._active(one), self._active(zero)
        return self._sum(positive, negative, one), self._sum(negative, positive, zero)

    def _active(self, crossentropy: Crossentropy) -> Tensor:
        if self.active == "normalized_crossentropy":
            return crossentropy.value
        return numerics.power(crossentropy.complement, self.gamma) * crossentropy.value

    def _sum(self, active: Tensor, of_others: Tensor, crossentropy: Crossentropy) -> Tensor:
        height = 2.0 if self.passive == "mean_absolute_error" else -self.log_zero
        normalised = numerics.fraction(active, of_others)
        return self.alpha * normalised + self.beta * height * crossentropy.complement


class BootstrapLoss(CrossentropyFamily):
    """Cross-entropy against a mixture of the label and what the model itself believes.

        soft:   loss = -sum_j (beta y_j + (1 - beta) p_j) log p_j
        hard:   loss = -beta log p_t - (1 - beta) log max_j p_j

    A model that has begun to see the pattern outvotes the labels that break it. The soft form is
    cross-entropy with the entropy of the prediction as a penalty, where `RegularizedLoss` has it as a reward.

    Args:
        beta: how much the label counts, in [0, 1]; 0.95 (soft) and 0.8 (hard) in the paper.
        hard: whether the model's belief is its likeliest class.

    Other arguments: see `keras_losses.core.CrossentropyFamily`.

    Shapes: `y_pred` `(..., C)`, or `(...)` and `(..., 1)` for one output; `y_true` class ids `(...)` or
    `(..., 1)`, one-hot or soft labels `(..., C)`, or 0/1 labels in the shape of the outputs. With
    `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for an argument outside its range, shapes that do not match and, in eager mode,
            invalid labels or probabilities.

    Example:

    >>> import numpy as np
    >>> from keras_losses import BootstrapLoss
    >>> loss = BootstrapLoss(beta=0.8, hard=True)
    >>> round(float(loss(np.array([0]), np.array([[0.25, 0.75]]))), 4)  # -0.8 log 0.25 - 0.2 log 0.75
    1.1666

    References:
        - Reed et al. 2014, Training Deep Neural Networks on Noisy Labels with Bootstrapping,
          https://arxiv.org/abs/1412.6596
    """

    card = Card(
        family="noise",
        formula="-sum_j (beta y_j + (1 - beta) p_j) log p_j; hard: the likeliest class for p_j",
        paper="Reed 2014, 1412.6596",
        labels="class ids, one-hot or soft labels, or 0/1 labels",
        predictions="logits or probabilities",
        use="wrong labels that contradict a pattern which most labels show",
        avoid="the first epochs, when the model believes nothing yet: start with beta=1",
        elicits="likeliest class",
        elicits_note="its probability is pulled to the ends",
        gradient_bound="1 in a logit for hard; beta + (1 - beta) log C for soft",
        identities=(
            Identity({"beta": 1.0}, "CrossentropyLoss"),
            Identity({"beta": 1.0, "hard": True}, "CrossentropyLoss"),
        ),
        cost="-log p of every class under the model's own distribution, for class ids too",
    )

    beta: float = parameter(default=0.95, within="[0, 1]")
    hard: bool = flag(default=False, kw_only=False)

    def id_terms(self, predictions: Predictions, ids: Tensor) -> Tensor:
        return self._with_belief(predictions.of_class(ids).value, 1.0, predictions)

    def _expected_term(self, y: Tensor, predictions: Predictions) -> Tensor:
        return self._with_belief(predictions.expected(y), ops.sum(y, axis=-1), predictions)

    def _with_belief(self, values: Tensor, weight: Tensor | float, predictions: Predictions) -> Tensor:
        if self.hard:
            belief = predictions.of_class(ops.argmax(predictions.values, axis=-1)).value
        else:
            belief = predictions.entropy_of_classes()
        return self.beta * values + (1.0 - self.beta) * weight * belief

    def output_terms(self, predictions: Predictions) -> tuple[Tensor, Tensor]:
        positive, negative = (crossentropy.value for crossentropy in predictions.of_outputs())
        likelier = ops.where(positive < negative, positive, negative)
        belief = likelier if self.hard else predictions.entropy_of_outputs()
        belief = (1.0 - self.beta) * belief
        return self.beta * positive + belief, self.beta * negative + belief


class BiTemperedLoss(CrossentropyFamily):
    """Cross-entropy with a bounded logarithm and a softmax with heavy tails, for wrong labels near and far.

        loss = sum_j y_j (log_t1 y_j - log_t1 p_j) - (y_j^(2 - t1) - p_j^(2 - t1)) / (2 - t1)
        log_t(x) = (x^(1 - t) - 1) / (1 - t),   p_j = exp_t2(z_j - lambda(z)),   sum_j p_j = 1

    With t1 below 1 a wrong label far from the border costs at most 1 / ((1 - t1) (2 - t1)); with t2 above 1
    one near the border is not pushed ever farther away. Each at 1 is the usual logarithm or softmax.

    Args:
        t1: the temperature of the logarithm, in [0, 1].
        t2: the temperature of the softmax, in [1, 10].
        iterations: how often the search for the normaliser lambda is repeated before three steps of Newton's
            method make it exact, from 1 to 100; the steps also carry the derivatives.

    Other arguments: see `keras_losses.core.CrossentropyFamily`.
    Probabilities are taken for a softmax, whose logits are made tempered. A soft or smoothed label is the
    expectation of the loss over its classes, which differs from the formula by a number that no prediction
    changes.

    Shapes: `y_pred` `(..., C)`, or `(...)` and `(..., 1)` for one output; `y_true` class ids `(...)` or
    `(..., 1)`, one-hot or soft labels `(..., C)`, or 0/1 labels in the shape of the outputs. With
    `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for an argument outside its range, shapes that do not match and, in eager mode,
            invalid labels or probabilities.

    Example:

    >>> import numpy as np
    >>> from keras_losses import BiTemperedLoss
    >>> loss = BiTemperedLoss(t1=0.0, t2=1.0, from_logits=True)
    >>> float(loss(np.array([0]), np.array([[0.0, 0.0]])))  # 1 - 1/2 + (1/4 + 1/4 - 1) / 2
    0.25

    References:
        - Amid et al. 2019, Robust Bi-Tempered Logistic Loss Based on Bregman Divergences,
          https://arxiv.org/abs/1906.03361
    """

    card = Card(
        family="noise",
        formula="-log_t1 p_t + (sum_j p_j^(2 - t1) - 1) / (2 - t1), p = tempered softmax of t2",
        paper="Amid 2019, 1906.03361",
        labels="class ids, one-hot or soft labels, or 0/1 labels",
        predictions="logits or probabilities",
        use="wrong labels both far from the border (t1) and near it (t2)",
        avoid="clean labels; rare and hard classes, which look like wrong labels",
        elicits="likeliest class",
        elicits_note="t1 = t2 = 1: class probability",
        gradient_bound="1 in a logit",
        identities=(Identity({"t1": 1.0, "t2": 1.0}, "CrossentropyLoss"),),
        conditioning="terms of both signs cancel as p_t nears 1: the error is absolute, 1e-7 of 1 - p_t",
        cost="a power of every class in each of the `iterations` of the normaliser, and in three more steps",
    )

    t1: float = parameter(default=0.8, within="[0, 1]")
    t2: float = parameter(default=1.2, within="[1, 10]")
    iterations: int = parameter(default=5, within="[1, 100]", integer=True)

    def id_terms(self, predictions: Predictions, ids: Tensor) -> Tensor:
        every = self._of_every_class(predictions)
        true, powers = numerics.is_class(ids, every.value), self._powers(every)
        own = replace(
            every,
            value=numerics.take_class_masked(ids, every.value),
            rest=lambda: numerics.take_class_masked(ids, every.complement),
        )
        return self._value(own, ops.sum(ops.where(true, ops.zeros_like(powers), powers), axis=-1))

    def class_terms(self, predictions: Predictions) -> Tensor:
        return self._terms(self._of_every_class(predictions))

    def output_terms(self, predictions: Predictions) -> tuple[Tensor, Tensor]:
        # An output is two classes, whose logits differ by log p - log(1 - p).
        if numerics.is_number(self.t2, 1.0):
            every = _paired(*predictions.of_outputs())
        else:
            logits = predictions.as_logits(of_outputs=True)
            every = self._tempered(ops.stack([logits, ops.zeros_like(logits)], axis=-1))
        terms = self._terms(every)
        return terms[..., 0], terms[..., 1]

    def _of_every_class(self, predictions: Predictions) -> Crossentropy:
        if numerics.is_number(self.t2, 1.0):
            return predictions.of_every_class()
        return self._tempered(predictions.as_logits(of_outputs=False))

    def _tempered(self, logits: Tensor) -> Crossentropy:
        log_p = tempered_log_softmax(logits, self.t2, self.iterations)
        return Crossentropy(-log_p, lambda: numerics.one_minus_exp(-log_p))

    def _terms(self, every: Crossentropy) -> Tensor:
        return self._value(every, numerics.sum_of_others(self._powers(every)))

    def _powers(self, crossentropy: Crossentropy) -> Tensor:
        return ops.exp((self.t1 - 2.0) * crossentropy.value)

    def _value(self, label: Crossentropy, others: Tensor) -> Tensor:
        """That of a label, with the sum of the powers of all others."""
        power = 2.0 - self.t1
        own = numerics.one_minus_exp(power * label.value)
        return label.one_minus_power(1.0 - self.t1) + (others - own) / power


class SeveralPredictions(CrossentropyFamily):
    """Base of the losses that see more of a sample than one prediction: cross-entropy and what they add.

    The predictions lie one after another in the last axis; the label is the first one's. A subclass states
    `added(parts)`, a value for each sample.
    """

    multi_label = False
    axis = -1

    @property
    def count(self) -> int:
        """How many predictions there are of a sample."""
        raise NotImplementedError

    def added(self, parts: list[Predictions]) -> Tensor:
        raise NotImplementedError

    def align(self, y_true: Any, y_pred: Any) -> tuple[Labels, Predictions]:
        if isinstance(y_true, Labels):
            return y_true, y_pred
        owner, predictions = type(self).__name__, self._predictions(y_pred, multi_class=True)
        true = shapes.static_shape(owner, "y_true", ops.convert_to_tensor(y_true))
        shape = shapes.static_shape(owner, "y_pred", predictions.values)
        if shape[-1] is None or shape[-1] % self.count or shape[-1] < 2 * self.count:
            raise ValueError(
                f"{owner}: `y_pred` must hold {self.count} predictions over 2 or more classes, one after "
                f"another in the last axis. Received: y_true of shape {true}, y_pred of shape {shape}. Join "
                "them with keras.layers.Concatenate()."
            )
        first = predictions.parts(self.count)[0]
        try:
            truth, _ = super().align(y_true, first.values)
        except ValueError as error:
            raise ValueError(f"{error} The y_pred of shape {shape} holds {self.count} predictions.") from None
        return truth, predictions

    def per_sample(self, labels: Labels, predictions: Predictions) -> Tensor:
        parts = predictions.parts(self.count)
        return super().per_sample(labels, parts[0]) + self.added(parts)

    def check(self, y_true: Labels, y_pred: Predictions, wanted: np.ndarray | None) -> None:
        for part in y_pred.parts(self.count):
            super().check(y_true, part, wanted)


class JensenShannonConsistencyLoss(SeveralPredictions):
    """Cross-entropy, and agreement between the predictions for several augmented views of a sample (AugMix).

        loss = -log p_t + weight * mean_v KL(p_v || m),   m = mean_v p_v

    where p is the prediction for the first view, the clean one, whose label it is. The second term is the
    Jensen-Shannon divergence of all views; it is at most log V, so no view can pull far.

    Args:
        weight: the weight of the divergence, 0 or more; 12 in the paper.
        views: how many views, 2 or more; 3 in the paper: the image, and two augmentations of it.

    Other arguments: see `keras_losses.core.CrossentropyFamily`.

    Shapes: `y_pred` `(..., views * C)`, the predictions one after another in the last axis, as
    `keras.layers.Concatenate()([model(x), model(a), model(b)])` joins them; `y_true` class ids `(...)` or
    `(..., 1)`, or one-hot or soft labels `(..., C)`. With `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for an argument outside its range, shapes that do not match and, in eager mode,
            invalid labels or probabilities.

    Example:

    >>> import numpy as np
    >>> from keras_losses import JensenShannonConsistencyLoss
    >>> loss = JensenShannonConsistencyLoss(views=2)
    >>> round(float(loss(np.array([0]), np.array([[0.5, 0.5, 0.5, 0.5]]))), 4)  # log 2, and no disagreement
    0.6931
    >>> round(float(loss(np.array([0]), np.array([[1.0, 0.0, 0.0, 1.0]]))), 4)  # 0 + 12 log 2
    8.3178

    References:
        - Hendrycks et al. 2020, AugMix: A Simple Data Processing Method to Improve Robustness and
          Uncertainty, https://arxiv.org/abs/1912.02781
    """

    card = Card(
        family="noise",
        formula="-log p_t + weight * mean_v sum_j p_vj log(p_vj / m_j), m the mean of the views",
        paper="Hendrycks 2020, 1912.02781",
        labels="class ids, one-hot or soft labels",
        predictions="logits or probabilities of each view, one view after another",
        use="augmented images whose content may be damaged; inputs that will be corrupted",
        avoid="augmentations that change the class; it costs a forward pass for each view",
        elicits="class probability",
        elicits_note="from every view",
        gradient_bound="1 + weight * log(views) in a logit",
        identities=(),
        conditioning="the divergence of views that nearly agree has the digits of their difference",
        cost="a softmax for each view, their mixture, and an exponential series for each class of each view",
    )

    weight: float = parameter(default=12.0, within="[0, inf)")
    views: int = parameter(default=3, within="[2, inf)", integer=True)

    @property
    def count(self) -> int:
        return self.views

    def added(self, parts: list[Predictions]) -> Tensor:
        logs = [-part.of_every_class().value for part in parts]
        given = [
            ops.exp(log) if part.logits is not None else part.values
            for part, log in zip(parts, logs, strict=True)
        ]
        shares = [1.0 / self.views] * self.views
        return self.weight * numerics.mixture_divergence(given, logs, shares)


class EarlyLearningLoss(SeveralPredictions):
    """Cross-entropy that is held back by what the model believed of the sample before it fitted wrong labels.

        loss = -log p_t + weight * log max(1 - sum_j p_j q_j, floor)

    Early in training a model learns from the right labels, later it memorises the wrong ones. q is the
    running mean of the model's own predictions for the sample; the second term is the lower, the more the
    prediction agrees with it, and its gradient outweighs that of a label which contradicts it. q is taken
    for constant. It has to be kept for each sample: `EarlyLearningTargets` does that.

    Args:
        weight: the weight of the second term, 0 or more; 3 for CIFAR-10 in the paper.
        floor: the least 1 - sum_j p_j q_j, in (0, 1), without which the loss had no lower bound; the authors'
            code keeps probabilities 1e-4 away from 0 and 1.

    Other arguments: see `keras_losses.core.CrossentropyFamily`.

    Shapes: `y_pred` `(..., 2 C)`, the prediction and then q, as `EarlyLearningTargets` returns them; `y_true`
    class ids `(...)` or `(..., 1)`, or one-hot or soft labels `(..., C)`. With `reduction="none"` the result
    is `(...)`.

    Raises:
        ValueError: for an argument outside its range, shapes that do not match and, in eager mode,
            invalid labels or probabilities.

    Example:

    >>> import numpy as np
    >>> from keras_losses import EarlyLearningLoss
    >>> loss = EarlyLearningLoss()
    >>> round(float(loss(np.array([1]), np.array([[0.5, 0.5, 1.0, 0.0]]))), 4)  # log 2 + 3 log(1 - 0.5)
    -1.3863

    References:
        - Liu et al. 2020, Early-Learning Regularization Prevents Memorization of Noisy Labels,
          https://arxiv.org/abs/2007.00151
    """

    card = Card(
        family="noise",
        formula="-log p_t + weight * log max(1 - sum_j p_j q_j, floor), q the mean of earlier predictions",
        paper="Liu 2020, 2007.00151",
        labels="class ids, one-hot or soft labels",
        predictions="logits or probabilities, then the mean of the earlier probabilities",
        use="many wrong labels, and training long enough to memorise them",
        avoid="streams of samples that never come again; memory for samples * classes numbers is missing",
        elicits="class probability",
        elicits_note="without q; with it, the class that q prefers",
        gradient_bound="1 + weight / 4 / floor in a logit",
        identities=(),
        conditioning="near the floor, 1 / floor times the error of 1 - sum_j p_j q_j",
        cost="two softmaxes, of the prediction and of the mean of earlier ones",
    )

    weight: float = parameter(default=3.0, within="[0, inf)")
    floor: float = parameter(default=1e-4, within="(0, 1)")
    count = 2

    def added(self, parts: list[Predictions]) -> Tensor:
        prediction, earlier = parts
        q = ops.stop_gradient(earlier.values)
        rest = prediction.of_every_class().complement
        # q adds up to less than 1 while there are few predictions, and what is missing agrees with none.
        apart = (1.0 - ops.sum(q, axis=-1)) + ops.sum(q * rest, axis=-1)
        return self.weight * ops.log(numerics.maximum(apart, self.floor))

    def check(self, y_true: Labels, y_pred: Predictions, wanted: np.ndarray | None) -> None:
        prediction, earlier = y_pred.parts(2)
        CrossentropyFamily.check(self, y_true, prediction, wanted)
        values, owner = wanted_values(earlier.values, wanted), type(self).__name__
        wrong = (values < 0) | (values.sum(-1, keepdims=True) > 1.01)
        if wrong.any():
            raise ValueError(
                f"{owner}: the second half of `y_pred` must hold means of probabilities, which add up to 1 "
                f"at most. Received: {values[wrong][0]:g}. EarlyLearningTargets makes them."
            )


def _paired(one: Crossentropy, zero: Crossentropy) -> Crossentropy:
    """The labels 1 and 0 of outputs as two classes on a last axis."""
    value = ops.stack([one.value, zero.value], axis=-1)
    return Crossentropy(
        value, lambda: ops.stack([one.complement, zero.complement], axis=-1), one.steepest_from
    )


def tempered_log_softmax(logits: Tensor, t: float | Tensor, iterations: int) -> Tensor:
    """log p with p_j = [1 + (1 - t)(z_j - lambda)]^(1 / (1 - t)) and sum_j p_j = 1, for t > 1.

    In a tensor t may also be 1, where it is the logarithm of a softmax.

    The fixed point of Amid 2019 comes near lambda, without a derivative; three steps of Newton's method make
    it exact, and the derivatives of the last two, up to the third, are those of lambda.
    """

    def log_p(x: Tensor) -> Tensor:
        if numerics.is_number(t):
            return numerics.log1p((t - 1.0) * -x) / (1.0 - t)
        return -numerics.log1p_over(-x, t - 1.0)

    below = numerics.minus_max(logits)
    largest, zeros = below >= 0, ops.zeros_like(below)
    many = ops.sum(ops.where(largest, ops.ones_like(below), zeros), axis=-1, keepdims=True)
    held = scaled = ops.stop_gradient(below)
    for _ in range(iterations):
        total = ops.sum(ops.exp(log_p(scaled)), axis=-1, keepdims=True)
        scaled = held * total ** (1.0 - t)
    total = ops.sum(ops.exp(log_p(scaled)), axis=-1, keepdims=True)
    if numerics.is_number(t):
        shift = (total ** (t - 1.0) - 1.0) / (t - 1.0)
    else:
        shift = ops.stop_gradient(numerics.expm1_over(ops.log(total), t - 1.0))
    for x in (held, below, below):
        apart = shift - x
        p = ops.exp(log_p(-apart))
        # sum_j p_j - 1, where the largest p_j may be near 1: its value apart from its slope.
        beyond = ops.stop_gradient(many * ops.expm1(log_p(-shift)) + (many - 1.0))
        excess = ops.sum(p - ops.stop_gradient(ops.where(largest, p, zeros)), axis=-1, keepdims=True) + beyond
        shift = shift + excess / ops.sum(p / (1.0 + (t - 1.0) * apart), axis=-1, keepdims=True)
        shift = ops.stop_gradient(shift) if x is held else shift
    return log_p(below - shift)
