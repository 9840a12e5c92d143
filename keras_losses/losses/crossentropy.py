"""Cross-entropy and the losses that bend it: each a function of p_t alone.

Binary, multi-label and multi-class alike: the encoding of the labels and the number of outputs decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_losses import numerics
from keras_losses.core import Card, CrossentropyFamily, Identity, Labels, Predictions, checks, parameter
from keras_losses.numerics import Crossentropy, Tensor


class CrossentropyLoss(CrossentropyFamily):
    """Cross-entropy for one output, several exclusive classes or several labels at once.

        loss = -log p_t + z_loss * (logsumexp_j z_j)^2

    where p_t is the predicted probability of the true class and z are the logits. One class does the work
    of Keras's `BinaryCrossentropy`, `CategoricalCrossentropy` and `SparseCategoricalCrossentropy`: a model
    with one output, or `multi_label=True`, means sigmoid probabilities, and more outputs mean a softmax.
    Unlike them it keeps its digits where the model is nearly right (logits 20 and 0: 2.06e-9, not 0) and
    its gradient where the model is wholly wrong, and it refuses labels that are none.

    Args:
        z_loss: the weight, 0 or more, of the square of the log-normaliser, which keeps logits from drifting
            (1e-4 in PaLM); with one output that is softplus(z)^2. Needs `from_logits=True`.

    Further keyword arguments (`from_logits`, `multi_label`, `label_smoothing`, `class_weight`,
    `ignore_class`, `axis`, `name`, `reduction`, `dtype`) are those of `keras_losses.core.CrossentropyFamily`.

    Shapes: `y_pred` `(..., C)`, or `(...)` and `(..., 1)` for one output; `y_true` class ids `(...)` or
    `(..., 1)`, one-hot or soft labels `(..., C)`, or 0/1 labels in the shape of the outputs. With
    `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for shapes that do not match and, in eager mode, for labels or probabilities that are
            none.

    Example:

    >>> import numpy as np
    >>> from keras_losses import CrossentropyLoss
    >>> loss = CrossentropyLoss(from_logits=True)
    >>> round(float(loss(np.array([0, 1]), np.array([[2.0, 0.0], [2.0, 0.0]]))), 4)  # mean of 0.1269, 2.1269
    1.1269

    References:
        - Chowdhery et al. 2022, PaLM, https://arxiv.org/abs/2204.02311 (the z-loss, section 5)
    """

    card = Card(
        family="crossentropy",
        formula="-log p_t + z_loss * logsumexp(z)^2",
        paper="Good 1952; Chowdhery 2022, 2204.02311 (z-loss)",
        labels="class ids, one-hot or soft labels, or 0/1 labels",
        predictions="logits or probabilities",
        use="the default of classification: calibrated probabilities from clean labels",
        avoid="many wrong labels (it fits each of them), or a class so rare that easy negatives drown it",
        elicits="class probability",
        gradient_bound="1 in a logit, without z_loss",
    )

    z_loss: float = parameter(default=0.0, within="[0, inf)")

    def validate(self) -> None:
        if self.z_loss > 0 and not self.from_logits:
            raise ValueError(
                "CrossentropyLoss: `z_loss` penalises the normaliser of logits, which probabilities have "
                f"lost. Received: z_loss={self.z_loss}, from_logits=False. Pass from_logits=True."
            )

    def per_sample(self, labels: Labels, predictions: Predictions) -> Tensor:
        values = super().per_sample(labels, predictions)
        if numerics.is_number(self.z_loss, 0.0):
            return values
        if labels.encoding == "binary":
            normalizer = numerics.softplus(predictions.logits)
        else:
            normalizer = numerics.logsumexp(predictions.logits)
        return values + self.z_loss * ops.square(normalizer)


def checked_alpha(value: Any) -> float | list[float]:
    """a number in [0, 1], or a sequence with a number from 0 up for each class"""
    if hasattr(value, "__len__"):
        return list(checks.as_class_weight(list(value)))
    if isinstance(value, bool):
        raise TypeError("it is of type bool")
    if not 0 <= float(value) <= 1:
        raise ValueError
    return float(value)


def weights_by_alpha(
    loss: CrossentropyFamily, alpha: float | Sequence[float] | np.ndarray | None, outputs: int
) -> tuple[Any, Any] | None:
    """The weights of the labels 0 and 1: 1 - alpha and alpha, one number or one for each output."""
    if alpha is None:
        return None
    if isinstance(alpha, float):
        return 1.0 - alpha, alpha
    if max(alpha) > 1:
        raise ValueError(
            f"{type(loss).__name__}: with 0/1 labels `alpha` weighs the label 1 and 1 - alpha the label 0, "
            f"so it must be in [0, 1]. Received: alpha={alpha}"
        )
    positive = loss._class_vector("alpha", outputs)
    return 1.0 - positive, positive


class FocalLoss(CrossentropyFamily):
    """Cross-entropy that turns away from samples the model already has right, for rare classes.

        loss = -a_t (1 - p_t)^gamma log p_t

    With one output or `multi_label=True` p_t is p for the label 1 and 1 - p for the label 0, and a_t is
    alpha and 1 - alpha; with several classes a_t is the true class's alpha, or alpha for all of them.
    Unlike Keras's `BinaryFocalCrossentropy` and `CategoricalFocalCrossentropy`, alpha works as soon as it is
    given, and the gradient of a confidently wrong sample is that of the formula: about -1 for logits of 20
    and 0 where the second class is true (Keras: 0).

    Args:
        gamma: how fast an easy sample loses its weight, 0 or more; 2 in the paper, 0 is cross-entropy.
        alpha: None for no weights (the default); one number in [0, 1] (0.25 in the paper); or a sequence
            with a number for each class (each output, with `multi_label`, none above 1).

    Further keyword arguments (`from_logits`, `multi_label`, `label_smoothing`, `class_weight`,
    `ignore_class`, `axis`, `name`, `reduction`, `dtype`) are those of `keras_losses.core.CrossentropyFamily`.
    A soft or smoothed label is the expectation of the loss over its classes.

    Shapes: `y_pred` `(..., C)`, or `(...)` and `(..., 1)` for one output; `y_true` class ids `(...)` or
    `(..., 1)`, one-hot or soft labels `(..., C)`, or 0/1 labels in the shape of the outputs. With
    `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for hyper-parameters out of range, shapes that do not match and, in eager mode, for
            labels or probabilities that are none.

    Example:

    >>> import numpy as np
    >>> from keras_losses import FocalLoss
    >>> round(float(FocalLoss(gamma=2.0)(np.array([1]), np.array([0.9]))), 6)  # 0.1^2 * -log 0.9
    0.001054
    >>> float(FocalLoss(from_logits=True)(np.array([1]), np.array([[20.0, 0.0]])))
    20.0

    References:
        - Lin et al. 2017, Focal Loss for Dense Object Detection, https://arxiv.org/abs/1708.02002
    """

    card = Card(
        family="crossentropy",
        formula="-a_t (1 - p_t)^gamma log p_t",
        paper="Lin 2017, 1708.02002",
        labels="class ids, one-hot or soft labels, or 0/1 labels",
        predictions="logits or probabilities",
        use="rare positives among many easy negatives: detection, segmentation, fraud",
        avoid="probabilities that must be calibrated, or wrong labels (they are the hard samples)",
        elicits="likeliest class",
        elicits_note="its probability is pulled towards uniform",
        gradient_bound="max(a) * 1.13 in a logit at gamma=2",
        identities=(Identity({"gamma": 0.0}, "CrossentropyLoss"),),
        conditioning="gamma + 1 times the relative error of -log p_t",
    )

    gamma: float = parameter(default=2.0, within="[0, inf)")
    alpha: float | Sequence[float] | np.ndarray | None = parameter(
        default=None,
        convert=checked_alpha,
        optional=True,
        examples=(0.25, [0.2, 0.5, 0.3]),
        refused=(-0.1, 1.5, "high", [-1.0, 1.0]),
    )

    def term(self, crossentropy: Crossentropy) -> Tensor:
        return numerics.power(crossentropy.complement, self.gamma) * crossentropy.value

    def _label_weights(self, classes: int) -> Tensor | None:
        if self.alpha is None:
            return None
        if isinstance(self.alpha, float):
            return self.convert([self.alpha] * classes)
        return self._class_vector("alpha", classes)

    def _output_weights(self, outputs: int) -> tuple[Any, Any] | None:
        return weights_by_alpha(self, self.alpha, outputs)


class PolyLoss(CrossentropyFamily):
    """Cross-entropy with its leading term made larger or smaller, to fit a task by one number.

        loss = -log p_t + epsilon (1 - p_t)

    -log p_t is the series of (1 - p_t)^k / k; Poly-1 changes the weight of its first term, which governs
    the gradient of samples that are nearly right. Focal loss turns away from them; a positive epsilon keeps
    pushing, a negative one lets go.

    Args:
        epsilon: what is added to the weight 1 of the first term, -1 or more; 2 for ImageNet in the paper.

    Further keyword arguments (`from_logits`, `multi_label`, `label_smoothing`, `class_weight`,
    `ignore_class`, `axis`, `name`, `reduction`, `dtype`) are those of `keras_losses.core.CrossentropyFamily`.
    A soft or smoothed label is the expectation of the loss over its classes.

    Shapes: `y_pred` `(..., C)`, or `(...)` and `(..., 1)` for one output; `y_true` class ids `(...)` or
    `(..., 1)`, one-hot or soft labels `(..., C)`, or 0/1 labels in the shape of the outputs. With
    `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for hyper-parameters out of range, shapes that do not match and, in eager mode, for
            labels or probabilities that are none.

    Example:

    >>> import numpy as np
    >>> from keras_losses import PolyLoss
    >>> round(float(PolyLoss(epsilon=2.0)(np.array([1]), np.array([0.9]))), 6)  # -log 0.9 + 2 * 0.1
    0.305361

    References:
        - Leng et al. 2022, PolyLoss, https://arxiv.org/abs/2204.12511
    """

    card = Card(
        family="crossentropy",
        formula="-log p_t + epsilon (1 - p_t)",
        paper="Leng 2022, 2204.12511",
        labels="class ids, one-hot or soft labels, or 0/1 labels",
        predictions="logits or probabilities",
        use="cross-entropy fits well and one number is to be tuned on top of it",
        avoid="probabilities that must be calibrated: epsilon pulls them from the class frequencies",
        elicits="likeliest class",
        elicits_note="its probability is pulled to the ends by a positive epsilon",
        gradient_bound="1 + epsilon / 4 in a logit",
        identities=(Identity({"epsilon": 0.0}, "CrossentropyLoss"),),
        cost="of soft and one-hot labels 1 - p of every class",
    )

    epsilon: float = parameter(default=2.0, within="[-1, inf)")

    def term(self, crossentropy: Crossentropy) -> Tensor:
        return crossentropy.value + self.epsilon * crossentropy.complement


class TaylorCrossentropyLoss(CrossentropyFamily):
    """The first terms of cross-entropy's series, from absolute error to cross-entropy, for wrong labels.

        loss = sum_{k=1..order} (1 - p_t)^k / k

    Order 1 is 1 - p_t, which no wrong label can pull far but which learns slowly; each order more learns
    faster and trusts the labels more, up to cross-entropy at infinity. `GeneralizedCrossentropyLoss` goes
    the same way by a power.

    Args:
        order: how many terms, from 1 to 100; 2 in the paper's experiments.

    Further keyword arguments (`from_logits`, `multi_label`, `label_smoothing`, `class_weight`,
    `ignore_class`, `axis`, `name`, `reduction`, `dtype`) are those of `keras_losses.core.CrossentropyFamily`.
    A soft or smoothed label is the expectation of the loss over its classes.

    Shapes: `y_pred` `(..., C)`, or `(...)` and `(..., 1)` for one output; `y_true` class ids `(...)` or
    `(..., 1)`, one-hot or soft labels `(..., C)`, or 0/1 labels in the shape of the outputs. With
    `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for hyper-parameters out of range, shapes that do not match and, in eager mode, for
            labels or probabilities that are none.

    Example:

    >>> import numpy as np
    >>> from keras_losses import TaylorCrossentropyLoss
    >>> float(TaylorCrossentropyLoss(order=2)(np.array([1]), np.array([0.5])))  # 0.5 + 0.5^2 / 2
    0.625

    References:
        - Feng et al. 2020, Can Cross Entropy Loss Be Robust to Label Noise?,
          https://doi.org/10.24963/ijcai.2020/305
    """

    card = Card(
        family="crossentropy",
        formula="sum_{k=1..order} (1 - p_t)^k / k",
        paper="Feng 2020",
        labels="class ids, one-hot or soft labels, or 0/1 labels",
        predictions="logits or probabilities",
        use="wrong labels among the right ones, with one whole number between robust and fast",
        avoid="clean labels, or many classes from scratch: a hopeless sample's gradient vanishes",
        elicits="likeliest class",
        elicits_note="order 1 puts all probability on it",
        gradient_bound="1 in a logit",
        identities=(Identity({"order": 1}, "GeneralizedCrossentropyLoss", {"q": 1.0}),),
        conditioning="up to order times the relative error of 1 - p_t",
        cost="powers of 1 - p; of soft and one-hot labels for every class",
    )

    order: int = parameter(default=2, within="[1, 100]", integer=True)

    def term(self, crossentropy: Crossentropy) -> Tensor:
        rest = crossentropy.complement
        total = ops.zeros_like(rest)
        for k in range(self.order, 0, -1):  # Horner's scheme
            total = rest * (1.0 / k + total)
        return total


class AsymmetricLoss(CrossentropyFamily):
    """Focal loss with a focus of its own for the absent labels, for samples with few of many labels.

        label 1:   loss = -(1 - p)^gamma_positive log p
        label 0:   loss = -q^gamma_negative log(1 - q),   q = max(p - clip, 0)

    and the mean over the outputs. A sample has a few labels and lacks hundreds; those it clearly lacks are
    dropped altogether (q = 0), and the hardest of them, which are often labels somebody forgot, lose weight
    as well. Each output is a probability of its own.

    Args:
        gamma_positive: the focus of present labels, 0 or more; below `gamma_negative`, since they are rare.
        gamma_negative: the focus of absent labels, 0 or more; 4 in the paper.
        clip: the probability up to which an absent label costs nothing, in [0, 1); 0.05 in the paper.

    Further keyword arguments (`from_logits`, `label_smoothing`, `class_weight`, `ignore_class`, `axis`,
    `name`, `reduction`, `dtype`) are those of `keras_losses.core.CrossentropyFamily`.

    Shapes: `y_pred` `(..., C)`, or `(...)` for one output; `y_true` 0/1 labels in the shape of the outputs.
    With `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for hyper-parameters out of range, shapes that do not match and, in eager mode, for
            labels or probabilities that are none.

    Example:

    >>> import numpy as np
    >>> from keras_losses import AsymmetricLoss
    >>> loss = AsymmetricLoss()
    >>> round(float(loss(np.array([[1.0]]), np.array([[0.5]]))), 4)  # 0.5 * log 2
    0.3466
    >>> float(loss(np.array([[0.0]]), np.array([[0.05]])))  # clipped
    0.0

    References:
        - Ben-Baruch et al. 2020, Asymmetric Loss For Multi-Label Classification,
          https://arxiv.org/abs/2009.14119
    """

    card = Card(
        family="crossentropy",
        formula="-(1 - p)^gamma_positive log p, or -q^gamma_negative log(1 - q), q = max(p - clip, 0)",
        paper="Ben-Baruch 2020, 2009.14119",
        labels="0/1 labels",
        predictions="logits or probabilities",
        use="several labels a sample of hundreds, most of them absent, some of them forgotten",
        avoid="probabilities that must be calibrated; classes that exclude one another",
        elicits="order of probabilities",
        elicits_note="pulled up: absent labels weigh less",
        gradient_bound="1.3 in a logit up to gammas of 4",
        identities=(
            Identity(
                {"gamma_positive": 0.0, "gamma_negative": 0.0, "clip": 0.0},
                "CrossentropyLoss",
                {"multi_label": True},
            ),
        ),
        conditioning="as focal loss; an absent label just above clip has the digits of p - clip",
        cost="two powers, and the logarithm of a shifted probability",
    )

    gamma_positive: float = parameter(default=1.0, within="[0, inf)")
    gamma_negative: float = parameter(default=4.0, within="[0, inf)")
    clip: float = parameter(default=0.05, within="[0, 1)")
    multi_label = True

    def output_terms(self, predictions: Predictions) -> tuple[Tensor, Tensor]:
        one, zero = predictions.of_outputs()
        positive = numerics.power(one.complement, self.gamma_positive) * one.value
        clip = self.clip
        if numerics.is_number(clip, 0.0):
            return positive, numerics.power(zero.complement, self.gamma_negative) * zero.value
        q = ops.relu(zero.complement - clip)
        if numerics.is_number(clip):
            return positive, -numerics.power(q, self.gamma_negative) * ops.log1p(-q)
        # A clip in a tensor may be 0, and q then 1: its 1 - q is 1 - p + clip, and -log(1 - p) below that.
        near, rest, ones = q < 0.5, one.complement + clip, ops.ones_like(q)
        held = rest < 1e-30
        far = ops.where(held, zero.value, -ops.log(ops.where(held, ones, rest)))
        minus_log = ops.where(near, -ops.log1p(-ops.where(near, q, ops.zeros_like(q))), far)
        return positive, numerics.power(q, self.gamma_negative) * minus_log
