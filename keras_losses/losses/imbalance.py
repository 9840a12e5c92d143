"""Losses for rare classes, which are told the counts or shares of the classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from keras import ops

from keras_losses import numerics
from keras_losses.core import Card, CrossentropyFamily, Identity, Predictions, checks, parameter
from keras_losses.losses.crossentropy import checked_alpha, weights_by_alpha
from keras_losses.numerics import Tensor

# Hyper-parameters: a number for each class ----------------------------------------------------------------


def _positive(value: Any) -> list[float]:
    """a sequence with a number above 0 for each class"""
    numbers = checks.nonnegative_numbers(value)
    if 0 in numbers:
        raise ValueError(
            f"class {numbers.index(0)} has no samples; leave it out, or smooth the counts: counts + 1"
        )
    return numbers


def _counts(value: Any) -> list[float]:
    """a sequence with a number from 0 up for each class, not all of them 0"""
    numbers = checks.nonnegative_numbers(value)
    if not any(numbers):
        raise ValueError
    return numbers


REFUSED: tuple[Any, ...] = (
    "many",
    3.0,
    [],
    [-1.0, 2.0, 3.0],
    [float("nan"), 1.0, 2.0],
    [float("inf"), 1.0, 1.0],
    [0.0, 0.0],
)


# Losses -------------------------------------------------------------------------------------------------


class LogitAdjustedLoss(CrossentropyFamily):
    """Cross-entropy in which the priors do the work of the rare classes, for a model that is balanced.

        loss = -log softmax(z + tau log prior)_t

    The logits are shifted in the loss alone. What is left for the model to learn is how much likelier a
    class is than its prior, so that at test time the largest of the plain logits z has the smallest error
    averaged over the classes, and softmax(z) are the probabilities if all classes were equally frequent.
    With tau = 1 it is the balanced softmax. Class weights aim at the same, but a model that separates its
    training samples stops to feel them; the shift moves the border all the same. `LDAMLoss` asks for a
    margin instead.

    With one output, z + tau (log prior_1 - log prior_0). With `multi_label`, each z_j + tau log(prior_j /
    (1 - prior_j)).

    Args:
        class_prior: a number above 0 for each class, counts (of `class_counts`) or shares alike, for softmax
            does not change with their scale. With one output: those of the labels 0 and 1. With
            `multi_label`: the rate of each output, in (0, 1).
        tau: how much of the prior is taken out, 0 or more; 1 is what theory asks for, 0 is cross-entropy.

    Further keyword arguments (`from_logits`, `multi_label`, `label_smoothing`, `class_weight`,
    `ignore_class`, `axis`, `name`, `reduction`, `dtype`) are those of `keras_losses.core.CrossentropyFamily`.
    A soft or smoothed label is the expectation of the loss over its classes. The logits of probabilities are
    their logarithms (log-odds, for outputs of their own).

    Shapes: `y_pred` `(..., C)`, or `(...)` and `(..., 1)` for one output; `y_true` class ids `(...)` or
    `(..., 1)`, one-hot or soft labels `(..., C)`, or 0/1 labels in the shape of the outputs. With
    `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for hyper-parameters out of range, another number of priors than of classes, shapes that
            do not match and, in eager mode, for labels or probabilities that are none.

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
        use="rare classes that matter as much as common ones: the first to try against imbalance",
        avoid="probabilities that must be those of the training data; test data as imbalanced as these",
        elicits="class probability over its prior",
        elicits_note="to the power of tau",
        gradient_bound="1 in a logit",
        identities=(Identity({"tau": 0.0}, "CrossentropyLoss"),),
        cost="the logits are shifted before their largest is found",
    )

    class_prior: Sequence[float] | np.ndarray = parameter(
        convert=_positive,
        examples=([0.2, 0.5, 0.3], [0.9, 0.09, 0.01], [400, 20, 5]),
        refused=(*REFUSED, [0.5, 0.0, 0.5]),
    )
    tau: float = parameter(default=1.0, within="[0, inf)")

    def validate(self) -> None:
        if self.multi_label and max(self.class_prior) >= 1:
            raise ValueError(
                "LogitAdjustedLoss: with multi_label=True `class_prior` must be the rate of each output, in "
                f"(0, 1). Received: class_prior={self.class_prior!r}. Divide counts by the number of samples."
            )

    def adjusted(self, predictions: Predictions, of_outputs: bool) -> Predictions:
        shift = self._shift(predictions.values.shape[-1], of_outputs)
        if numerics.is_number(self.tau, 0.0):  # cross-entropy itself
            return predictions
        logits = predictions.as_logits(of_outputs)
        # Beside logits of 1e4 float32 would round the prior.
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
    """Cross-entropy that asks for a margin, the wider the rarer the true class is.

        loss = -log( e^{scale (z_t - m_t)} / (e^{scale (z_t - m_t)} + sum_{j != t} e^{scale z_j}) )
        m_j = max_margin (min_k n_k / n_j)^(1/4)

    A rare class has few samples to say where its border is, so the border is kept farther away from them.
    The margin means something where logits have a scale: the paper's last layer has weights and inputs of
    length 1, whose products are cosines in [-1, 1]. A plain `Dense` layer may grow its logits instead; there
    a scale of 1 and larger margins are nearer to what `LogitAdjustedLoss` does with less. In the paper it is
    put to use with class weights for the last epochs alone (`class_weight` of `class_weights`).

    Args:
        class_counts: how many samples there are of each class, above 0, as `class_counts` counts them. With
            one output: of the labels 0 and 1.
        max_margin: the margin of the rarest class, 0 or more; 0.5 in the paper.
        scale: what the logits are multiplied with, above 0; 30 in the paper's code.

    Further keyword arguments (`from_logits`, `label_smoothing`, `class_weight`, `ignore_class`, `axis`,
    `name`, `reduction`, `dtype`) are those of `keras_losses.core.CrossentropyFamily`; classes exclude one
    another. One output z is two classes with the logits 0 and z. A soft or smoothed label is the expectation
    of the loss over its classes. The logits of probabilities are their logarithms (log-odds, for one output).

    Shapes: `y_pred` `(..., C)`, or `(...)` and `(..., 1)` for one output; `y_true` class ids `(...)` or
    `(..., 1)`, one-hot or soft labels `(..., C)`, or 0/1 labels in the shape of the output. With
    `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for hyper-parameters out of range, another number of counts than of classes, shapes that
            do not match and, in eager mode, for labels or probabilities that are none.

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
        use="rare classes, with a last layer of cosines",
        avoid="probabilities that must be calibrated; plain logits with the scale of 30",
        elicits="likeliest class",
        elicits_note="where scale times the margins is well above 1; small ones favour the rare class",
        gradient_bound="scale in a logit",
        identities=(Identity({"max_margin": 0.0, "scale": 1.0}, "CrossentropyLoss"),),
        conditioning="scale times the error of a logit, relative",
        cost="of soft and one-hot labels the log-odds of every class",
    )

    class_counts: Sequence[float] | np.ndarray = parameter(
        convert=_positive, examples=([100, 40, 5], [3, 7, 1000]), refused=(*REFUSED, [10.0, 0.0, 5.0])
    )
    max_margin: float = parameter(default=0.5, within="[0, inf)")
    scale: float = parameter(default=30.0, within="(0, inf)")
    multi_label = False

    def adjusted(self, predictions: Predictions, of_outputs: bool) -> Predictions:
        if numerics.is_number(self.scale, 1.0):
            return predictions
        logits = predictions.as_logits(of_outputs, times=self.scale)
        if not of_outputs:
            logits = numerics.minus_max(logits)  # near 0 the product keeps more digits
        logits = logits * self.scale
        return replace(predictions, values=logits, logits=logits)

    def id_terms(self, predictions: Predictions, ids: Tensor) -> Tensor:
        margins = self._margins(predictions.values.shape[-1])
        if margins is None:
            return super().id_terms(predictions, ids)
        odds = numerics.sparse_log_odds(ids, predictions.as_logits(of_outputs=False))
        return numerics.softplus(ops.take(margins, ids, axis=0) - odds)

    def class_terms(self, predictions: Predictions) -> Tensor:
        margins = self._margins(predictions.values.shape[-1])
        if margins is None:
            return super().class_terms(predictions)
        return numerics.softplus(margins - numerics.dense_log_odds(predictions.as_logits(of_outputs=False)))

    def output_terms(self, predictions: Predictions) -> tuple[Tensor, Tensor]:
        margins = self._margins(2)
        if margins is None:
            return super().output_terms(predictions)
        odds = predictions.as_logits(of_outputs=True)
        return numerics.softplus(margins[1] - odds), numerics.softplus(margins[0] + odds)

    def _margins(self, classes: int) -> Tensor | None:
        """The margin of each class, multiplied with the scale; None where there are none."""
        counts = checks.weight_vector(type(self).__name__, "class_counts", self.class_counts, classes)
        if numerics.is_number(self.max_margin, 0.0):
            return None
        widest = self.scale * self.max_margin
        return self.convert(widest * self._beside((counts.min() / counts) ** 0.25, widest))


class SeesawLoss(CrossentropyFamily):
    """Cross-entropy in which a common class's samples push the rare classes down less.

        loss = -log( e^{z_t} / (e^{z_t} + sum_{j != t} S_tj e^{z_j}) ),   S_tj = M_tj C_tj
        M_tj = (N_j / N_t)^p   where class j is rarer than the true one, else 1
        C_tj = (p_j / p_t)^q   where class j is thought likelier than the true one, else 1

    In a long tail the rare classes drown in the negatives of the common ones. M takes these off; C puts them
    back where a rare class is mistaken for the truth. As in the reference implementation S is held constant
    when the loss is differentiated: it weighs the gradients, and is not itself to be made small. That
    implementation also bounds p_t in C from below by 0.01; here the logarithms are exact and need no bound.

    The paper counts the samples of each class while it trains; a loss has no state here, so the counts are
    given, which is where the paper's end up.

    Args:
        class_counts: how many samples there are of each class, 0 or more, as `class_counts` counts them;
            fewer than 1 counts as 1. With one output: of the labels 0 and 1.
        p: how far a rarer class is spared, 0 or more; 0.8 in the paper.
        q: how much a mistake costs, 0 or more; 2 in the paper.

    Further keyword arguments (`from_logits`, `label_smoothing`, `class_weight`, `ignore_class`, `axis`,
    `name`, `reduction`, `dtype`) are those of `keras_losses.core.CrossentropyFamily`; classes exclude one
    another. One output z is two classes with the logits 0 and z. A soft or smoothed label is the expectation
    of the loss over its classes, which takes C numbers for each class where ids take C in all: prefer ids.
    The logits of probabilities are their logarithms (log-odds, for one output).

    Shapes: `y_pred` `(..., C)`, or `(...)` and `(..., 1)` for one output; `y_true` class ids `(...)` or
    `(..., 1)`, one-hot or soft labels `(..., C)`, or 0/1 labels in the shape of the output. With
    `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for hyper-parameters out of range, another number of counts than of classes, shapes that
            do not match and, in eager mode, for labels or probabilities that are none.

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
        use="a long tail of many classes, where common classes' samples push the rare ones down",
        avoid="probabilities that must be calibrated; soft labels over many classes, which take C^2",
        elicits="likeliest class",
        elicits_note="of like counts, its probability pulled towards uniform; else rarer classes are raised",
        gradient_bound="1 in a logit",
        identities=(Identity({"p": 0.0, "q": 0.0}, "CrossentropyLoss"),),
        conditioning="q + 1 times the error of a logit, relative",
        cost="a factor for each pair of a label and another class, with a power",
    )

    class_counts: Sequence[float] | np.ndarray = parameter(
        convert=_counts, examples=([3, 2, 5], [1000, 40, 0]), refused=REFUSED
    )
    p: float = parameter(default=0.8, within="[0, inf)")
    q: float = parameter(default=2.0, within="[0, inf)")
    multi_label = False

    def adjusted(self, predictions: Predictions, of_outputs: bool) -> Predictions:
        if numerics.is_number(self.p, 0.0) and numerics.is_number(self.q, 0.0):
            return predictions
        logits = predictions.as_logits(of_outputs)
        return replace(predictions, values=logits, logits=logits)

    def id_terms(self, predictions: Predictions, ids: Tensor) -> Tensor:
        shares = self._shares(predictions.values.shape[-1])
        if predictions.logits is None:  # cross-entropy itself
            return super().id_terms(predictions, ids)
        own = ops.expand_dims(numerics.take_class_masked(ids, predictions.logits), -1)
        share = ops.expand_dims(ops.take(shares, ids, axis=0), -1)
        return self._against(ids, own, predictions.logits, shares - share)

    def class_terms(self, predictions: Predictions) -> Tensor:
        shares = self._shares(predictions.values.shape[-1])
        if predictions.logits is None:
            return super().class_terms(predictions)
        every = predictions.logits
        own = ops.expand_dims(every, -1)
        logits = ops.expand_dims(every, -2) + ops.zeros_like(own)
        ids = ops.broadcast_to(ops.arange(every.shape[-1], dtype="int32"), ops.shape(every))
        return self._against(ids, own, logits, shares - ops.expand_dims(shares, -1))

    def output_terms(self, predictions: Predictions) -> tuple[Tensor, Tensor]:
        shares = self._shares(2)
        if predictions.logits is None:
            return super().output_terms(predictions)
        z, lead = predictions.logits, ops.stop_gradient(predictions.logits)
        one = self._log_mitigation(shares[0] - shares[1]) + self.q * ops.relu(-lead)
        zero = self._log_mitigation(shares[1] - shares[0]) + self.q * ops.relu(lead)
        return numerics.softplus(one - z), numerics.softplus(zero + z)

    def _against(self, ids: Tensor, own: Tensor, logits: Tensor, log_ratio: Tensor) -> Tensor:
        """The value of the labels `ids`, whose own logits are `own`, against all `logits` `(..., C)`."""
        # log C is q max(z_j - z_t, 0). With q (z_t - max z) added to every class nothing changes, and the
        # likeliest ones, which decide, are not rounded to the last digit of a large lead.
        held, kept = ops.stop_gradient(logits), ops.stop_gradient(own)
        log_c = self.q * (ops.where(held > kept, held, kept) - ops.expand_dims(numerics.max_last(held), -1))
        against = numerics.minus_max(logits) + self._log_mitigation(log_ratio) + log_c
        return numerics.sparse_crossentropy(ids, against).value

    def _log_mitigation(self, log_ratio: Tensor) -> Tensor:
        """log M, of p log(N_j / N_t)."""
        rarer = -ops.relu(-log_ratio)
        return rarer if numerics.is_number(self.p) else self.p * rarer

    def _shares(self, classes: int) -> Tensor:
        """p log N; log N for a p in a tensor, of which relu would leave no slope at 0."""
        counts = checks.weight_vector(type(self).__name__, "class_counts", self.class_counts, classes)
        logs = np.log(np.maximum(counts, 1.0))
        with np.errstate(over="ignore"):
            return self.convert((self.p if numerics.is_number(self.p) else 1.0) * (logs - logs.max()))


class EqualizedFocalLoss(CrossentropyFamily):
    """Focal loss with a focus for each class: the rarer its positives, the more it turns from easy samples.

        loss = -a_t (gamma_j / gamma) (1 - p_t)^gamma_j log p_t
        gamma_j = gamma + scale (1 - g_j),   g_j = n_j / max_k n_k

    and the mean over the outputs j. A rare class has so many easy negatives to each positive that the focus
    of a common class is not enough for it; gamma_j / gamma gives back the size that a stronger focus takes.
    Each output is a probability of its own.

    In the paper g_j is measured while it trains: the sum of the gradients of a class's positives, divided by
    that of its negatives. A loss has no state here, so g_j comes from the counts, which that ratio follows:
    1 for the most frequent class, towards 0 for rare ones. It does not move as training balances the classes.

    Args:
        class_counts: how many positives each output has, 0 or more, as `class_counts` counts them.
        gamma: the focus of the most frequent class, above 0; 2 in the paper.
        scale: how much more the focus of a rare class may be, 0 or more; 8 in the paper, 0 is focal loss.
        alpha: as in `FocalLoss`: the weight of the label 1, where the label 0 has 1 - alpha; one number in
            [0, 1] (0.25 in the paper), a sequence with a number for each output, or None for no weights.

    Further keyword arguments (`from_logits`, `label_smoothing`, `class_weight`, `ignore_class`, `axis`,
    `name`, `reduction`, `dtype`) are those of `keras_losses.core.CrossentropyFamily`. A soft or smoothed
    label is the expectation of the loss over 0 and 1.

    Shapes: `y_pred` `(..., C)`, or `(...)` for one output; `y_true` 0/1 labels in the shape of the outputs.
    With `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for hyper-parameters out of range, another number of counts than of outputs, shapes that
            do not match and, in eager mode, for labels or probabilities that are none.

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
        use="one-stage detectors and many labels at once, of which some are rare",
        avoid="probabilities that must be calibrated; classes that exclude one another",
        elicits="order of probabilities",
        elicits_note="among outputs of like counts; a rarer one's is pulled nearer to a half",
        gradient_bound="1.5 max(a) gamma_j / gamma in a logit, up to a gamma_j of 10",
        identities=(Identity({"scale": 0.0}, "FocalLoss", {"multi_label": True, "alpha": 0.25}),),
        conditioning="gamma_j + 1 times the relative error of -log p_t",
        cost="two powers with an exponent of each class",
    )

    class_counts: Sequence[float] | np.ndarray = parameter(
        convert=_counts, examples=([6, 2, 4], [1000, 0, 50]), refused=REFUSED
    )
    gamma: float = parameter(default=2.0, within="(0, inf)")
    scale: float = parameter(default=8.0, within="[0, inf)")
    alpha: float | Sequence[float] | np.ndarray | None = parameter(
        default=0.25,
        convert=checked_alpha,
        optional=True,
        examples=(0.6, [0.2, 0.5, 0.3]),
        refused=(-0.1, 1.5, "high", [-1.0, 1.0]),
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
        """gamma_j and gamma_j / gamma."""
        counts = checks.weight_vector(type(self).__name__, "class_counts", self.class_counts, outputs)
        with np.errstate(over="ignore"):
            gamma, scale = self.gamma, self.scale
            gammas = gamma + scale * self._beside(1.0 - counts / counts.max(), gamma, scale)
            return self.convert(gammas), self.convert(gammas / gamma)
