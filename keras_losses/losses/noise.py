"""Losses for data with wrong labels: a label that the model finds impossible pulls less, or not at all."""

from __future__ import annotations

from dataclasses import replace

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
    wanted_values,
)
from keras_losses.core.validity import fuses_elementwise, nan_unless
from keras_losses.losses.several_predictions import SeveralPredictions
from keras_losses.losses.tempered_softmax import tempered_log_softmax
from keras_losses.numerics import Crossentropy, Tensor


class GeneralizedCrossentropyLoss(CrossentropyFamily):
    """A compromise between cross-entropy and absolute error, for data with wrong labels.

        loss = (1 - p_t^q) / q

    q = 0 is cross-entropy, which fits every label. q = 1 is 1 - p_t, which limits the pull of a wrong label
    but learns slowly from many classes. The gradient is that of cross-entropy times p_t^q: the less the model
    believes a label, the less the loss follows it. `TaylorCrossentropyLoss` connects the same two ends by a
    number of terms.

    Args:
        q: how little a disbelieved label counts, in [0, 1]; 0.7 in the paper.

    Other arguments: see `keras_losses.core.CrossentropyFamily`.

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
        use="up to half of the labels wrong; one number chooses between robust and fast",
        avoid="clean labels; rare and hard classes, which look like wrong labels",
        elicits="likeliest class",
        elicits_note="for q below 1 its probability is pulled to 0 or 1",
        gradient_bound="1 per logit",
        identities=(Identity({"q": 0.0}, "CrossentropyLoss"), Identity({"q": 1e-9}, "CrossentropyLoss")),
        cost="a power of p, for every class if labels are soft or one-hot",
    )

    q: float = parameter(default=0.7, within="[0, 1]")

    def term(self, crossentropy: Crossentropy) -> Tensor:
        return crossentropy.one_minus_power(self.q)


class SymmetricCrossentropyLoss(CrossentropyFamily):
    """Cross-entropy plus reverse cross-entropy, for wrong labels among hard classes.

        loss = alpha * -log p_t + beta * -log_zero (1 - p_t)

    The reverse cross-entropy is -sum_j p_j log y_j, with log 0 replaced by `log_zero`. For a hard label that
    is -log_zero (1 - p_t), which limits the pull of wrong labels. The first term learns the hard classes, the
    second resists wrong labels. `ActivePassiveLoss` makes the first term robust as well.

    Args:
        alpha: weight of cross-entropy, in [0, inf); 0.1 for CIFAR-10 in the paper.
        beta: weight of reverse cross-entropy, in [0, inf); 1 in the paper.
        log_zero: value that replaces log 0, in (-inf, 0); -4 in the paper.

    Other arguments: see `keras_losses.core.CrossentropyFamily`.

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
        use="wrong labels in data whose hard classes must be learned as well",
        avoid="probabilities that must be calibrated",
        elicits="likeliest class",
        elicits_note="beta pulls its probability to 0 or 1",
        gradient_bound="alpha - beta log_zero / 4 per logit",
        identities=(Identity({"alpha": 1.0, "beta": 0.0}, "CrossentropyLoss"),),
        cost="1 - p of every class, for soft and one-hot labels",
    )

    alpha: float = parameter(default=0.1, within="[0, inf)", live=True)
    beta: float = parameter(default=1.0, within="[0, inf)", live=True)
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

    A loss divided by its sum over the classes is robust to wrong labels but learns too little. A second
    robust loss of the other kind makes up for that. The normalised losses are in [0, 1]. Their sum over the
    classes leaves out masked classes, whose logit is -inf.

    Args:
        active: the loss that raises the true class.
        passive: the loss that lowers the other classes.
        alpha: weight of the active loss, in [0, inf).
        beta: weight of the passive loss, in [0, inf).
        gamma: focus of `"normalized_focal"`, in [0, inf); 0.5 in the paper.
        log_zero: value that replaces log 0 in `"reverse_crossentropy"`, in (-inf, 0); -4 in the paper.

    Other arguments: see `keras_losses.core.CrossentropyFamily`. A sigmoid output stands for two
    classes.

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
        avoid="clean labels; probabilities that must be calibrated",
        elicits="likeliest class",
        elicits_note="all probability goes to it",
        gradient_bound="alpha - beta log_zero / 4 per logit",
        cost="the loss of every class as the label, even for class ids",
    )

    active: str = parameter(
        default="normalized_crossentropy", choices=("normalized_crossentropy", "normalized_focal")
    )
    passive: str = parameter(
        default="reverse_crossentropy", choices=("mean_absolute_error", "reverse_crossentropy")
    )
    alpha: float = parameter(default=1.0, within="[0, inf)", live=True)
    beta: float = parameter(default=1.0, within="[0, inf)", live=True)
    gamma: float = parameter(default=0.5, within="[0, inf)", live=True, kw_only=True)
    log_zero: float = parameter(default=-4.0, within="(-inf, 0)", kw_only=True)

    def id_terms(self, predictions: Predictions, ids: Tensor) -> Tensor:
        if predictions.logits is None or self.active != "normalized_crossentropy":
            return numerics.take_class_masked(ids, self.class_terms(predictions))
        label = predictions.of_class(ids)
        return self._sum(label.value, numerics.crossentropy_of_others(ids, predictions.logits), label)

    def class_terms(self, predictions: Predictions) -> Tensor:
        all_classes = predictions.of_every_class()
        active = self._active(all_classes)
        others = active
        if predictions.logits is not None:
            others = ops.where(numerics.is_unmasked(predictions.logits), active, ops.zeros_like(active))
        return self._sum(active, numerics.sum_of_others(others), all_classes)

    def output_terms(self, predictions: Predictions) -> tuple[Tensor, Tensor]:
        one, zero = predictions.of_outputs()
        positive, negative = self._active(one), self._active(zero)
        return self._sum(positive, negative, one), self._sum(negative, positive, zero)

    def _active(self, crossentropy: Crossentropy) -> Tensor:
        if self.active == "normalized_crossentropy":
            return crossentropy.value
        return numerics.power(crossentropy.complement, self.gamma) * crossentropy.value

    def _sum(self, active: Tensor, active_of_others: Tensor, crossentropy: Crossentropy) -> Tensor:
        height = 2.0 if self.passive == "mean_absolute_error" else -self.log_zero
        normalised = numerics.fraction_of_sum(active, active_of_others)
        return self.alpha * normalised + self.beta * height * crossentropy.complement


class BootstrapLoss(CrossentropyFamily):
    """Cross-entropy against a mixture of the label and the model's own prediction, for inconsistent labels.

        soft:   loss = -sum_j (beta y_j + (1 - beta) p_j) log p_j
        hard:   loss = -beta log p_t - (1 - beta) log max_j p_j

    A model that has learned a pattern outvotes the labels that contradict it. The soft form is beta times
    cross-entropy plus 1 - beta times the entropy of the prediction; `RegularizedLoss` rewards that entropy
    instead of penalising it.

    Args:
        beta: weight of the label, in [0, 1]; 0.95 (soft) and 0.8 (hard) in the paper.
        hard: whether the model's likeliest class replaces its probabilities.

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
        use="wrong labels that contradict a pattern shown by most labels",
        avoid="the first epochs, in which the model has learned nothing yet: start with beta=1",
        elicits="likeliest class",
        elicits_note="its probability is pulled to 0 or 1",
        gradient_bound="per logit: 1 for hard, beta + (1 - beta) log C for soft",
        identities=(
            Identity({"beta": 1.0}, "CrossentropyLoss"),
            Identity({"beta": 1.0, "hard": True}, "CrossentropyLoss"),
        ),
        cost="-log p of every class under the model's own distribution, even for class ids",
    )

    beta: float = parameter(default=0.95, within="[0, 1]", live=True)
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
    """Cross-entropy with a bounded logarithm and a heavy-tailed softmax, for wrong labels near and far.

        loss = sum_j y_j (log_t1 y_j - log_t1 p_j) - (y_j^(2 - t1) - p_j^(2 - t1)) / (2 - t1)
        log_t(x) = (x^(1 - t) - 1) / (1 - t),   p_j = exp_t2(z_j - lambda(z)),   sum_j p_j = 1

    With t1 below 1, a wrong label far from the border costs at most 1 / ((1 - t1) (2 - t1)). With t2 above 1,
    a wrong label near the border is not pushed farther and farther away. A temperature of 1 is the usual
    logarithm or softmax. `GeneralizedCrossentropyLoss` bounds the logarithm only.

    Args:
        t1: temperature of the logarithm, in [0, 1].
        t2: temperature of the softmax, in [1, 10].
        iterations: number of fixed-point steps towards the normaliser lambda, an integer in [1, 100]. Three
            steps of Newton's method follow, which make it exact and carry the derivatives.

    Other arguments: see `keras_losses.core.CrossentropyFamily`. Probabilities are taken to come
    from a plain softmax, whose logits then go through the tempered one. For soft and smoothed labels the
    loss differs from the formula by a constant that does not depend on the predictions.

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
        elicits_note="class probability at t1 = t2 = 1",
        gradient_bound="1 per logit",
        identities=(Identity({"t1": 1.0, "t2": 1.0}, "CrossentropyLoss"),),
        conditioning="terms of both signs cancel as p_t nears 1: the absolute error is 1e-7 of 1 - p_t",
        cost="a power of every class in each of the `iterations`, and in three Newton steps",
    )

    t1: float = parameter(default=0.8, within="[0, 1]")
    t2: float = parameter(default=1.2, within="[1, 10]")
    iterations: int = parameter(default=5, within="[1, 100]", integer=True)

    def id_terms(self, predictions: Predictions, ids: Tensor) -> Tensor:
        all_classes = self._of_every_class(predictions)
        true, powers = numerics.is_class(ids, all_classes.value), self._powers(all_classes)
        label = replace(
            all_classes,
            value=numerics.take_class_masked(ids, all_classes.value),
            compute_complement=lambda: numerics.take_class_masked(ids, all_classes.complement),
        )
        return self._value(label, ops.sum(ops.where(true, ops.zeros_like(powers), powers), axis=-1))

    def class_terms(self, predictions: Predictions) -> Tensor:
        return self._terms(self._of_every_class(predictions))

    def output_terms(self, predictions: Predictions) -> tuple[Tensor, Tensor]:
        # An output stands for two classes, whose logits differ by log p - log(1 - p).
        if self.t2 == 1.0:
            all_classes = _paired(*predictions.of_outputs())
        else:
            logits = predictions.as_logits(of_outputs=True)
            all_classes = self._tempered(ops.stack([logits, ops.zeros_like(logits)], axis=-1))
        terms = self._terms(all_classes)
        return terms[..., 0], terms[..., 1]

    def _of_every_class(self, predictions: Predictions) -> Crossentropy:
        if self.t2 == 1.0:
            return predictions.of_every_class()
        return self._tempered(predictions.as_logits(of_outputs=False))

    def _tempered(self, logits: Tensor) -> Crossentropy:
        log_p = tempered_log_softmax(logits, self.t2, self.iterations)
        value = numerics.bounded(-log_p)
        return Crossentropy(value, lambda: numerics.one_minus_exp(value))

    def _terms(self, all_classes: Crossentropy) -> Tensor:
        return self._value(all_classes, numerics.sum_of_others(self._powers(all_classes)))

    def _powers(self, crossentropy: Crossentropy) -> Tensor:
        return ops.exp((self.t1 - 2.0) * crossentropy.value)

    def _value(self, label: Crossentropy, others: Tensor) -> Tensor:
        """Return the loss of a label, given the sum of the powers of all other classes."""
        power = 2.0 - self.t1
        one_minus_true_power = numerics.one_minus_exp(power * label.value)
        return label.one_minus_power(1.0 - self.t1) + (others - one_minus_true_power) / power


class JensenShannonConsistencyLoss(SeveralPredictions):
    """Cross-entropy plus the disagreement of the predictions for several augmented views of a sample.

        loss = -log p_t + weight * mean_v KL(p_v || m),   m = mean_v p_v

    Here p is the prediction for the first view, which is not augmented and to which the label belongs. The
    second term is the Jensen-Shannon divergence of all views. It is at most log V for V views, which limits
    the pull of each view. `JensenShannonLoss` compares a prediction with a target distribution instead.

    Args:
        weight: weight of the divergence, in [0, inf); 12 in the paper.
        views: number of views, an integer in [2, inf); 3 in the paper: the image and two augmentations.

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
        avoid="augmentations that change the class; a tight budget, since each view costs a forward pass",
        elicits="class probability",
        elicits_note="in every view",
        gradient_bound="1 + weight * log(views) per logit",
        identities=(),
        conditioning="the divergence of nearly equal views has only the digits of their difference",
        cost="a softmax for each view, their mixture, and an exponential series for each class of each view",
    )

    weight: float = parameter(default=12.0, within="[0, inf)", live=True)
    views: int = parameter(default=3, within="[2, inf)", integer=True)

    @property
    def count(self) -> int:
        return self.views

    def added(self, parts: list[Predictions]) -> Tensor:
        logs = [-part.of_every_class().value for part in parts]
        probabilities = [
            ops.exp(log) if part.logits is not None else part.marked_values
            for part, log in zip(parts, logs, strict=True)
        ]
        equal_weights = [1.0 / self.views] * self.views
        return self.weight * numerics.mixture_divergence(probabilities, logs, equal_weights)


class EarlyLearningLoss(SeveralPredictions):
    """Cross-entropy plus agreement with the model's earlier predictions, against memorising wrong labels.

        loss = -log p_t + weight * log max(1 - sum_j p_j q_j, floor)

    A model learns from the right labels first and memorises the wrong ones later. q is the running mean of
    the model's own predictions for the sample; `EarlyLearningTargets` keeps it. The second term falls as the
    prediction agrees with q, and its gradient outweighs that of a label that contradicts q. q is held
    constant when the loss is differentiated.

    Args:
        weight: weight of the second term, in [0, inf); 3 for CIFAR-10 in the paper.
        floor: lower bound of 1 - sum_j p_j q_j, in (0, 1). It bounds the loss from below; the authors' code
            keeps probabilities 1e-4 away from 0 and 1 instead.

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
        avoid="streams whose samples never come again; too little memory for samples * classes numbers",
        elicits="class probability",
        elicits_note="without q; with q, the class that q prefers",
        gradient_bound="1 + weight / 4 / floor per logit",
        identities=(),
        conditioning="near the floor, the error is 1 / floor times that of 1 - sum_j p_j q_j",
        cost="two softmaxes, of the prediction and of the mean of earlier ones",
    )

    weight: float = parameter(default=3.0, within="[0, inf)", live=True)
    floor: float = parameter(default=1e-4, within="(0, 1)")
    count = 2

    def added(self, parts: list[Predictions]) -> Tensor:
        prediction, earlier = parts
        q = ops.stop_gradient(earlier.values)
        if fuses_elementwise(q):
            q = nan_unless(q >= 0, q)  # compiled steps do not check means
        complements = prediction.of_every_class().complement
        # After few updates q adds up to less than 1. The missing part counts as disagreement.
        disagreement = (1.0 - ops.sum(q, axis=-1)) + ops.sum(q * complements, axis=-1)
        return self.weight * ops.log(numerics.maximum(disagreement, self.floor))

    def check(self, y_true: Labels, y_pred: Predictions, wanted: np.ndarray | None) -> None:
        prediction, earlier = y_pred.parts(2)
        CrossentropyFamily.check(self, y_true, prediction, wanted)
        values, owner = wanted_values(earlier.values, wanted), type(self).__name__
        wrong = (values < 0) | (values.sum(-1, keepdims=True) > 1.01)
        if wrong.any():
            raise ValueError(
                f"`{owner}`: the second half of `y_pred` must hold means of probabilities, which add up to "
                f"at most 1. Received: {values[wrong][0]:g}. End the model with EarlyLearningTargets, which "
                "keeps these means."
            )


def _paired(one: Crossentropy, zero: Crossentropy) -> Crossentropy:
    """Stack the labels 1 and 0 of each output as two classes on a last axis."""
    value = ops.stack([one.value, zero.value], axis=-1)
    return Crossentropy(
        value, lambda: ops.stack([one.complement, zero.complement], axis=-1), one.steepest_from
    )
