"""Losses for rare classes, which are told the counts or shares of the classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from keras import ops

from keras_losses import numerics
from keras_losses.core import Card, CrossentropyFamily, Identity, Predictions, checks, parameter
from keras_losses.losses.crossentropy import ALPHA, checked_alpha, weights_by_alpha
from keras_losses.numerics import Tensor

# Arguments with a number for each class ------------------------------------------------------------------


POSITIVE_NUMBERS = "a sequence with a number above 0 for each class"
COUNTS = "a sequence with a number from 0 up for each class, not all of them 0"


def _positive(value: Any) -> list[float]:
    """Return checked positive numbers."""
    numbers = checks.nonnegative_numbers(value)
    if 0 in numbers:
        raise ValueError(
            f"class {numbers.index(0)} has no samples; leave it out, or smooth the counts: counts + 1"
        )
    return numbers


def _counts(value: Any) -> list[float]:
    """Return checked counts."""
    numbers = checks.nonnegative_numbers(value)
    if not any(numbers):
        raise ValueError
    return numbers


# Losses -------------------------------------------------------------------------------------------------


class LogitAdjustedLoss(CrossentropyFamily):
    """Cross-entropy that keeps the class priors out of the model: rare and common classes count alike.

        loss = -log softmax(z + tau log prior)_t

    The logits are shifted in the loss alone. The model therefore learns only how much likelier a class is
    than its prior. At test time, the largest of the plain logits z gives the smallest error averaged over
    the classes, and softmax(z) are the probabilities if all classes were equally frequent. With tau = 1 the
    loss is the balanced softmax.

    Class weights have the same aim, but lose their effect on a model that separates its training samples;
    the shift still moves the decision border. `LDAMLoss` asks for a margin instead.

    With one output the logit is z + tau (log prior_1 - log prior_0). With `multi_label` it is
    z_j + tau log(prior_j / (1 - prior_j)).

    Args:
        class_prior: a number above 0 for each class: counts (from `class_counts`) or shares, because the
            softmax does not depend on their scale. With one output: those of the labels 0 and 1. With
            `multi_label`: the rate of each output, in (0, 1).
        tau: how much of the prior is removed, in [0, inf); 1 follows from theory, 0 is cross-entropy.

    Other arguments: see `keras_losses.core.CrossentropyFamily`. Probabilities are turned into logits by their
    logarithm (by their log-odds for sigmoid outputs).

    Shapes: `y_pred` `(..., C)`, or `(...)` and `(..., 1)` for one output; `y_true` class ids `(...)` or
    `(..., 1)`, one-hot or soft labels `(..., C)`, or 0/1 labels in the shape of the outputs. With
    `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for an argument outside its range, a number of priors other than that of the classes,
            shapes that do not match and, in eager mode, invalid labels or probabilities.

    Example:

    >>> import numpy as np
    >>> from keras_losses import LogitAdjustedLoss
    >>> loss = LogitAdjustedLoss(class_prior=[300, 100], from_logits=True)
    >>> round(float(loss(np.array([1]), np.array([[0.0, 0.0]]))), 4)  # -log 1/4, and not -log 1/2
    1.3863

    References:
        - Menon et al. 2020, Long-tail learning via logit adjustment, https://arxiv.org/abs/2007.07314
        - Ren et al. 2020, Balanced Meta-Softmax for Long-Tailed Visual Recognition,
          https://arxiv.org/abs/2007.10740
    """

    card = Card(
        family="imbalance",
        formula="-log softmax(z + tau log prior)_t",
        paper="Menon 2020, 2007.07314; Ren 2020, 2007.10740 (tau=1)",
        labels="class ids, one-hot or soft labels, or 0/1 labels",
        predictions="logits or probabilities",
        use="rare classes that matter as much as common ones: the first loss to try against imbalance",
        avoid="probabilities that must match the training data; test data as imbalanced as the training data",
        elicits="class probability over its prior",
        elicits_note="the prior to the power of tau",
        gradient_bound="1 per logit",
        identities=(Identity({"tau": 0.0}, "CrossentropyLoss"),),
        cost="the logits are shifted before their largest is found",
    )

    class_prior: Sequence[float] | np.ndarray = parameter(
        convert=_positive,
        domain=POSITIVE_NUMBERS,
    )
    tau: float = parameter(default=1.0, within="[0, inf)", live=True)

    def validate(self) -> None:
        if self.multi_label and max(self.class_prior) >= 1:
            raise ValueError(
                "`LogitAdjustedLoss`: with multi_label=True `class_prior` must be the rate of each output, "
                f"in (0, 1). Received: class_prior={self.class_prior!r}. Divide counts by the number of "
                "samples."
            )

    def adjusted(self, predictions: Predictions, of_outputs: bool) -> Predictions:
        shift = self._shift(predictions.values.shape[-1], of_outputs)
        if numerics.is_number(self.tau, 0.0):  # plain cross-entropy
            return predictions
        logits = predictions.as_logits(of_outputs)
        # Added to logits of 1e4, the prior would lose its digits in float32.
        logits = (logits if of_outputs else numerics.minus_max(logits)) + self.convert(shift)
        return replace(predictions, values=logits, logits=logits)

    def _shift(self, outputs: int, of_outputs: bool) -> Any:
        one_output = of_outputs and not self.multi_label
        prior = checks.weight_vector(
            type(self).__name__, "class_prior", self.class_prior, 2 if one_output else outputs
        )
        logs = np.log(prior)
        logs = logs[1:] - logs[:1] if one_output else logs - (np.log1p(-prior) if of_outputs else logs.max())
        with np.errstate(over="ignore"):
            return self.tau * self._beside(np.asarray(logs), self.tau)


class LDAMLoss(CrossentropyFamily):
    """Cross-entropy with a margin around each class, the wider the rarer the class is.

        loss = -log( e^{scale (z_t - m_t)} / (e^{scale (z_t - m_t)} + sum_{j != t} e^{scale z_j}) )
        m_j = max_margin (min_k n_k / n_j)^(1/4)

    A rare class has few samples that show where its border is, so the margin keeps the border farther away
    from them. The margin needs logits of a fixed scale. In the paper the inputs and the weights of the last
    layer have length 1, and their products are cosines in [-1, 1]. A plain `Dense` layer can grow its logits
    instead. There, a scale of 1 and larger margins work better and come near to `LogitAdjustedLoss`, which is
    simpler. The paper adds class weights (`class_weights`) in the last epochs only.

    Args:
        class_counts: number of samples of each class, above 0, as `class_counts` counts them. With one
            output: of the labels 0 and 1.
        max_margin: margin of the rarest class, in [0, inf); 0.5 in the paper.
        scale: factor of the logits, in (0, inf); 30 in the paper's code.

    Other arguments: see `keras_losses.core.CrossentropyFamily`. The classes exclude one another, and one
    output z stands for two classes with the logits 0 and z. Probabilities are turned into logits by their
    logarithm (by their log-odds with one output).

    Shapes: `y_pred` `(..., C)`, or `(...)` and `(..., 1)` for one output; `y_true` class ids `(...)` or
    `(..., 1)`, one-hot or soft labels `(..., C)`, or 0/1 labels in the shape of the output. With
    `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for an argument outside its range, a number of counts other than that of the classes,
            shapes that do not match and, in eager mode, invalid labels or probabilities.

    Example:

    >>> import numpy as np
    >>> from keras_losses import LDAMLoss
    >>> loss = LDAMLoss(class_counts=[1600, 100], scale=1.0, from_logits=True)  # margins 0.25 and 0.5
    >>> round(float(loss(np.array([0]), np.array([[0.25, 0.0]]))), 4)  # -log 1/2
    0.6931

    References:
        - Cao et al. 2019, Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss,
          https://arxiv.org/abs/1906.07413
    """

    card = Card(
        family="imbalance",
        formula="-log softmax(scale (z - m_t [j = t]))_t, m_j = max_margin (min_k n_k / n_j)^(1/4)",
        paper="Cao 2019, 1906.07413",
        labels="class ids, one-hot or soft labels of exclusive classes, or 0/1 labels of one output",
        predictions="logits (best: cosines) or probabilities",
        use="rare classes, with a last layer whose outputs are cosines",
        avoid="probabilities that must be calibrated; plain logits with a scale of 30",
        elicits="likeliest class",
        elicits_note="if scale times the margins is well above 1; smaller margins favour the rare class",
        gradient_bound="scale per logit",
        identities=(Identity({"max_margin": 0.0, "scale": 1.0}, "CrossentropyLoss"),),
        conditioning="relative error: scale times the error of a logit",
        cost="the log-odds of every class, for soft and one-hot labels",
    )

    class_counts: Sequence[float] | np.ndarray = parameter(convert=_positive, domain=POSITIVE_NUMBERS)
    max_margin: float = parameter(default=0.5, within="[0, inf)", live=True)
    scale: float = parameter(default=30.0, within="(0, inf)", live=True)
    multi_label = False

    def adjusted(self, predictions: Predictions, of_outputs: bool) -> Predictions:
        if numerics.is_number(self.scale, 1.0):
            return predictions
        logits = predictions.as_logits(of_outputs, factor=self.scale)
        if not of_outputs:
            logits = numerics.minus_max(logits)  # the product keeps more digits near 0
        logits = logits * self.scale
        return replace(predictions, values=logits, logits=logits)

    def id_terms(self, predictions: Predictions, ids: Tensor) -> Tensor:
        margins = self._margins(predictions.values.shape[-1])
        if margins is None:
            return super().id_terms(predictions, ids)
        odds = numerics.sparse_log_odds(ids, predictions.as_logits(of_outputs=False))
        return numerics.softplus(numerics.take_of_classes(ids, margins) - odds)

    def class_terms(self, predictions: Predictions) -> Tensor:
        margins = self._margins(predictions.values.shape[-1])
        if margins is None:
            return super().class_terms(predictions)
        odds = numerics.dense_log_odds(predictions.as_logits(of_outputs=False))
        return numerics.softplus(margins - numerics.bounded_below(odds))

    def output_terms(self, predictions: Predictions) -> tuple[Tensor, Tensor]:
        margins = self._margins(2)
        if margins is None:
            return super().output_terms(predictions)
        odds = numerics.bounded_below(predictions.as_logits(of_outputs=True))
        return numerics.softplus(margins[1] - odds), numerics.softplus(margins[0] + odds)

    def _margins(self, classes: int) -> Tensor | None:
        """Return scale times the margin of each class, or None if `max_margin` is the number 0."""
        counts = checks.weight_vector(type(self).__name__, "class_counts", self.class_counts, classes)
        if numerics.is_number(self.max_margin, 0.0):
            return None
        widest = self.scale * self.max_margin
        return self.convert(widest * self._beside((counts.min() / counts) ** 0.25, widest))


class SeesawLoss(CrossentropyFamily):
    """Cross-entropy in which samples of common classes push rare classes down less, for long tails.

        loss = -log( e^{z_t} / (e^{z_t} + sum_{j != t} S_tj e^{z_j}) ),   S_tj = M_tj C_tj
        M_tj = (N_j / N_t)^p   where class j is rarer than the true one, else 1
        C_tj = (p_j / p_t)^q   where class j is predicted likelier than the true one, else 1

    In a long tail, most gradients that reach a rare class come from samples of common classes. The mitigation
    factor M reduces these gradients. The compensation factor C restores them where the rare class is
    mistaken for the true one. As in the reference implementation, S is held constant when the loss is
    differentiated. The reference also bounds p_t in C from below by 0.01; here the computation in logarithms
    needs no bound.

    The paper counts the samples of each class during training. This loss has no state, so it takes the
    counts of the whole data, which the paper's counts approach. `LogitAdjustedLoss` shifts the logits by the
    counts whatever is predicted.

    Args:
        class_counts: number of samples of each class, in [0, inf), as `class_counts` counts them; a number
            below 1 counts as 1. With one output: of the labels 0 and 1.
        p: how far a rarer class is spared, in [0, inf); 0.8 in the paper.
        q: how much a mistake costs, in [0, inf); 2 in the paper.

    Other arguments: see `keras_losses.core.CrossentropyFamily`. The classes exclude one another, and one
    output z stands for two classes with the logits 0 and z. Probabilities are turned into logits by their
    logarithm (by their log-odds with one output). Soft labels need C^2 numbers for each sample; prefer class
    ids, which need C.

    Shapes: `y_pred` `(..., C)`, or `(...)` and `(..., 1)` for one output; `y_true` class ids `(...)` or
    `(..., 1)`, one-hot or soft labels `(..., C)`, or 0/1 labels in the shape of the output. With
    `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for an argument outside its range, a number of counts other than that of the classes,
            shapes that do not match and, in eager mode, invalid labels or probabilities.

    Example:

    >>> import numpy as np
    >>> from keras_losses import SeesawLoss
    >>> loss = SeesawLoss(class_counts=[300, 100], p=1.0)
    >>> round(float(loss(np.array([0]), np.array([[0.5, 0.5]]))), 4)  # -log(1 / (1 + 100/300))
    0.2877
    >>> round(float(loss(np.array([1]), np.array([[0.75, 0.25]]))), 4)  # -log(1 / (1 + 3^2 * 3))
    3.3322

    References:
        - Wang et al. 2021, Seesaw Loss for Long-Tailed Instance Segmentation,
          https://arxiv.org/abs/2008.10032
    """

    card = Card(
        family="imbalance",
        formula=(
            "-log(e^{z_t} / (e^{z_t} + sum_{j != t} S_tj e^{z_j})), "
            "S_tj = min(N_j / N_t, 1)^p max(p_j / p_t, 1)^q"
        ),
        paper="Wang 2021, 2008.10032",
        labels="class ids, one-hot or soft labels of exclusive classes, or 0/1 labels of one output",
        predictions="logits or probabilities",
        use="a long tail of many classes, in which samples of common classes push the rare ones down",
        avoid="probabilities that must be calibrated; soft labels over many classes, which need C^2 numbers",
        elicits="likeliest class",
        elicits_note="equal counts: its probability is pulled towards uniform; else rare classes are raised",
        gradient_bound="1 per logit",
        identities=(Identity({"p": 0.0, "q": 0.0}, "CrossentropyLoss"),),
        conditioning="relative error: q + 1 times the error of a logit",
        cost="a factor with a power for each pair of a label and another class",
    )

    class_counts: Sequence[float] | np.ndarray = parameter(convert=_counts, domain=COUNTS)
    p: float = parameter(default=0.8, within="[0, inf)")
    q: float = parameter(default=2.0, within="[0, inf)")
    multi_label = False

    def adjusted(self, predictions: Predictions, of_outputs: bool) -> Predictions:
        if self.p == 0.0 and self.q == 0.0:
            return predictions
        logits = predictions.as_logits(of_outputs)
        return replace(predictions, values=logits, logits=logits)

    def id_terms(self, predictions: Predictions, ids: Tensor) -> Tensor:
        log_shares = self._log_shares(predictions.values.shape[-1])
        if predictions.logits is None:  # p = q = 0: plain cross-entropy of probabilities
            return super().id_terms(predictions, ids)
        logits = numerics.bounded_below(predictions.logits)
        true_logits = ops.expand_dims(numerics.take_class_masked(ids, logits), -1)
        true_shares = ops.expand_dims(numerics.take_of_classes(ids, log_shares), -1)
        return self._seesaw(ids, true_logits, logits, log_shares - true_shares)

    def class_terms(self, predictions: Predictions) -> Tensor:
        log_shares = self._log_shares(predictions.values.shape[-1])
        if predictions.logits is None:
            return super().class_terms(predictions)
        class_logits = numerics.bounded_below(predictions.logits)
        true_logits = ops.expand_dims(class_logits, -1)
        logits = ops.expand_dims(class_logits, -2) + ops.zeros_like(true_logits)
        ids = ops.broadcast_to(ops.arange(class_logits.shape[-1], dtype="int32"), ops.shape(class_logits))
        return self._seesaw(ids, true_logits, logits, log_shares - ops.expand_dims(log_shares, -1))

    def output_terms(self, predictions: Predictions) -> tuple[Tensor, Tensor]:
        log_shares = self._log_shares(2)
        if predictions.logits is None:
            return super().output_terms(predictions)
        z = numerics.bounded_below(predictions.logits)
        fixed_z = ops.stop_gradient(z)
        log_factor_of_zero = self._log_mitigation(log_shares[0] - log_shares[1]) + self.q * ops.relu(-fixed_z)
        log_factor_of_one = self._log_mitigation(log_shares[1] - log_shares[0]) + self.q * ops.relu(fixed_z)
        return numerics.softplus(log_factor_of_zero - z), numerics.softplus(log_factor_of_one + z)

    def _seesaw(self, ids: Tensor, true_logits: Tensor, logits: Tensor, log_ratio: Tensor) -> Tensor:
        """Return the loss of the labels `ids` with logits `true_logits`, among all `logits` `(..., C)`."""
        # log C is q max(z_j - z_t, 0). Adding q (z_t - max z) to every class does not change the loss. It
        # keeps the digits of the likeliest classes, which decide, when they lead by much.
        fixed, fixed_true = ops.stop_gradient(logits), ops.stop_gradient(true_logits)
        larger = ops.where(fixed > fixed_true, fixed, fixed_true)
        log_compensation = self.q * (larger - ops.expand_dims(numerics.max_last(fixed), -1))
        adjusted = numerics.minus_max(logits) + self._log_mitigation(log_ratio) + log_compensation
        return numerics.sparse_crossentropy(ids, adjusted).value

    def _log_mitigation(self, log_ratio: Tensor) -> Tensor:
        """Return log M = p log(N_j / N_t) for rarer classes j and 0 for others."""
        return -ops.relu(-log_ratio)

    def _log_shares(self, classes: int) -> Tensor:
        """Return p log(N / max N) for each class."""
        counts = checks.weight_vector(type(self).__name__, "class_counts", self.class_counts, classes)
        logs = np.log(np.maximum(counts, 1.0))
        with np.errstate(over="ignore"):
            return self.convert(self.p * (logs - logs.max()))


class EqualizedFocalLoss(CrossentropyFamily):
    """Focal loss with a stronger focus for rarer classes, for detectors and many labels at once.

        loss = -a_t (gamma_j / gamma) (1 - p_t)^gamma_j log p_t
        gamma_j = gamma + scale (1 - g_j),   g_j = n_j / max_k n_k

    The result is the mean over the outputs j, each of which is a probability of its own. A rare class has
    many easy negatives for each positive, so the focus of a common class (`FocalLoss`) is too weak for it.
    The factor gamma_j / gamma restores the size of the loss, which a stronger focus reduces.

    In the paper, g_j is measured during training: the ratio of the summed gradients of the positives and of
    the negatives of a class. This loss has no state, so it takes g_j from the counts, which that ratio
    follows: 1 for the most frequent class, near 0 for rare ones. It does not change as training balances the
    classes.

    Args:
        class_counts: number of positives of each output, in [0, inf), as `class_counts` counts them.
        gamma: focus of the most frequent class, in (0, inf); 2 in the paper.
        scale: largest extra focus of a rare class, in [0, inf); 8 in the paper, 0 is focal loss.
        alpha: weight of the label 1, while the label 0 has 1 - alpha, as in `FocalLoss`: one number in [0, 1]
            (0.25 in the paper), a sequence with one for each output, or None for no weights.

    Other arguments: see `keras_losses.core.CrossentropyFamily`.

    Shapes: `y_pred` `(..., C)`, or `(...)` for one output; `y_true` 0/1 labels in the shape of the outputs.
    With `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for an argument outside its range, a number of counts other than that of the outputs,
            shapes that do not match and, in eager mode, invalid labels or probabilities.

    Example:

    >>> import numpy as np
    >>> from keras_losses import EqualizedFocalLoss
    >>> loss = EqualizedFocalLoss(class_counts=[4, 1], scale=4.0, alpha=None)  # gammas of 2 and 5
    >>> round(float(loss(np.array([[0.0, 1.0]]), np.array([[0.0, 0.5]]))), 6)  # 5/2 * 0.5^5 * log 2 / 2
    0.027076

    References:
        - Li et al. 2022, Equalized Focal Loss for Dense Long-Tailed Object Detection,
          https://arxiv.org/abs/2201.02593
    """

    card = Card(
        family="imbalance",
        formula="-a_t (gamma_j / gamma) (1 - p_t)^gamma_j log p_t, gamma_j = gamma + scale (1 - n_j / max n)",
        paper="Li 2022, 2201.02593",
        labels="0/1 labels",
        predictions="logits or probabilities",
        use="one-stage detectors, and multi-label problems in which some labels are rare",
        avoid="probabilities that must be calibrated; classes that exclude one another",
        elicits="order of probabilities",
        elicits_note="among outputs of equal counts; the probability of a rarer one is pulled towards 1/2",
        gradient_bound="1.5 max(a) gamma_j / gamma per logit, for gamma_j up to 10",
        identities=(Identity({"scale": 0.0}, "FocalLoss", {"multi_label": True, "alpha": 0.25}),),
        conditioning="relative error: gamma_j + 1 times that of -log p_t",
        cost="two powers with a separate exponent for each class",
    )

    class_counts: Sequence[float] | np.ndarray = parameter(convert=_counts, domain=COUNTS)
    gamma: float = parameter(default=2.0, within="(0, inf)", live=True)
    scale: float = parameter(default=8.0, within="[0, inf)", live=True)
    alpha: float | Sequence[float] | np.ndarray | None = parameter(
        default=0.25,
        convert=checked_alpha,
        domain=ALPHA,
        optional=True,
    )
    multi_label = True

    def output_terms(self, predictions: Predictions) -> tuple[Tensor, Tensor]:
        gammas, factors = self._focus(predictions.values.shape[-1])
        one, zero = predictions.of_outputs()
        return (
            factors * numerics.power(one.complement, gammas) * one.value,
            factors * numerics.power(zero.complement, gammas) * zero.value,
        )

    def _output_weights(self, outputs: int) -> tuple[Any, Any] | None:
        return weights_by_alpha(self, self.alpha, outputs)

    def _focus(self, outputs: int) -> tuple[Tensor, Tensor]:
        """Return gamma_j and gamma_j / gamma for each output j."""
        counts = checks.weight_vector(type(self).__name__, "class_counts", self.class_counts, outputs)
        with np.errstate(over="ignore"):
            gamma, scale = self.gamma, self.scale
            gammas = gamma + scale * self._beside(1.0 - counts / counts.max(), gamma, scale)
            return self.convert(gammas), self.convert(gammas / gamma)
