"""Cross-entropy and its variants: each is a function of p_t, the predicted probability of the true class.

Each class serves binary, multi-label and multi-class problems. The encoding of the labels and the number of
outputs decide which one it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_losses import numerics
from keras_losses.core import Card, CrossentropyFamily, Identity, Labels, Predictions, checks, parameter
from keras_losses.numerics import Crossentropy, Tensor


def pos_weight_parameter() -> Any:
    """Return the declaration of a weight of the label 1, one number or one for each output."""
    return parameter(
        default=None,
        convert=_checked_pos_weight,
        domain="a number from 0 up, or a sequence with one for each output",
        optional=True,
        kw_only=True,
    )


def _checked_pos_weight(value: Any) -> float | list[float]:
    if hasattr(value, "__len__"):
        return checks.nonnegative_numbers(value)
    if isinstance(value, bool):
        raise TypeError("it is of type bool")
    return checks.nonnegative_numbers([value])[0]


def positive_weight(loss: CrossentropyFamily, outputs: int) -> float | Tensor | None:
    """Return the weight of the label 1, one number or one for each output, or None."""
    weight = loss.pos_weight
    if weight is None or isinstance(weight, float):
        return weight
    return loss._class_vector("pos_weight", outputs)


def refuse_pos_weight(loss: CrossentropyFamily) -> None:
    """Raise an error if a loss over exclusive classes has a weight of the label 1."""
    if loss.pos_weight is not None:
        raise ValueError(
            f"`{type(loss).__name__}`: `pos_weight` must be None for classes that exclude one another, since "
            "it is the weight of the label 1 of sigmoid outputs. Received: "
            f"pos_weight={loss.pos_weight!r}. Pass class_weight, or multi_label=True if several classes may "
            "be true at once."
        )


class CrossentropyLoss(CrossentropyFamily):
    """Cross-entropy, the default loss of classification: one output, exclusive classes or several labels.

        loss = -log p_t + z_loss * (logsumexp_j z_j)^2

    Here p_t is the predicted probability of the true class and z are the logits. This class replaces Keras's
    `BinaryCrossentropy`, `CategoricalCrossentropy` and `SparseCategoricalCrossentropy`: one output or
    `multi_label=True` means sigmoid probabilities, and several outputs mean a softmax. Unlike them, it keeps
    its digits where the model is nearly right (logits 20 and 0: 2.06e-9, not 0), it keeps its gradient where
    the model is completely wrong, and it raises for invalid labels.

    Args:
        z_loss: weight of the squared log-normaliser, in [0, inf); 1e-4 in PaLM. It keeps the logits from
            drifting. For sigmoid outputs the term is softplus(z)^2. Needs `from_logits=True`.
        pos_weight: weight of the label 1, with one output or `multi_label`: a number from 0 up, or one for
            each output, as in PyTorch's `BCEWithLogitsLoss`. It multiplies -log p but not -log(1 - p).

    Other arguments: see `keras_losses.core.CrossentropyFamily`.

    Shapes: `y_pred` `(..., C)`, or `(...)` and `(..., 1)` for one output; `y_true` class ids `(...)` or
    `(..., 1)`, one-hot or soft labels `(..., C)`, or 0/1 labels in the shape of the outputs. With
    `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for an argument outside its range, `z_loss` without logits, shapes that do not match and,
            in eager mode, invalid labels or probabilities.

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
        avoid="many wrong labels, each of which it fits; classes so rare that easy negatives outweigh them",
        elicits="class probability",
        gradient_bound="1 per logit, without z_loss",
    )

    z_loss: float = parameter(default=0.0, within="[0, inf)", live=True)
    pos_weight: float | Sequence[float] | np.ndarray | None = pos_weight_parameter()

    def validate(self) -> None:
        if self.z_loss > 0 and not self.from_logits:
            raise ValueError(
                "`CrossentropyLoss`: `z_loss` must be 0 unless the predictions are logits, because "
                f"probabilities do not contain the normaliser. Received: z_loss={self.z_loss}, "
                "from_logits=False. Pass from_logits=True."
            )

    def _label_weights(self, classes: int) -> Tensor | None:
        refuse_pos_weight(self)
        return None

    def _output_weights(self, outputs: int) -> tuple[Any, Any] | None:
        positive = positive_weight(self, outputs)
        return None if positive is None else (1.0, positive)

    def per_sample(self, labels: Labels, predictions: Predictions) -> Tensor:
        values = super().per_sample(labels, predictions)
        if numerics.is_number(self.z_loss, 0.0):
            return values
        if labels.encoding == "binary":
            normalizer = numerics.softplus(predictions.logits)
        else:
            normalizer = numerics.logsumexp(predictions.logits)
        return values + self.z_loss * ops.square(normalizer)


ALPHA = "a number in [0, 1], or a sequence with a number from 0 up for each class"


def checked_alpha(value: Any) -> float | list[float]:
    """Return a checked alpha."""
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
    """Return the weights of the labels 0 and 1, (1 - alpha, alpha), or None if alpha is None."""
    if alpha is None:
        return None
    if isinstance(alpha, float):
        return 1.0 - alpha, alpha
    if max(alpha) > 1:
        raise ValueError(
            f"`{type(loss).__name__}`: with 0/1 labels `alpha` must be in [0, 1], since it is the weight of "
            f"the label 1 and 1 - alpha that of the label 0. Received: alpha={alpha}. Pass other weights as "
            "class_weight."
        )
    positive = loss._class_vector("alpha", outputs)
    return 1.0 - positive, positive


class FocalLoss(CrossentropyFamily):
    """Cross-entropy with less weight on samples that the model already has right, for rare classes.

        loss = -a_t (1 - p_t)^gamma log p_t

    With one output or `multi_label=True`, p_t is p for the label 1 and 1 - p for the label 0, and a_t is
    alpha for the label 1 and 1 - alpha for the label 0. With several classes, a_t is the alpha of the true
    class, or alpha itself if it is one number.

    It differs from Keras's `BinaryFocalCrossentropy` and `CategoricalFocalCrossentropy` in two points. A
    given alpha takes effect without a second switch. The gradient of a confidently wrong sample is that of
    the formula: about -1 for logits of 20 and 0 where the second class is true (Keras: 0).

    Args:
        gamma: how fast the weight of an easy sample falls, in [0, inf); 2 in the paper, 0 is cross-entropy.
        alpha: None for no weights (the default); one number in [0, 1] (0.25 in the paper); or a sequence
            with a number from 0 up for each class (for each output with `multi_label`, in [0, 1]).
        pos_weight: a further weight of the label 1, as in `CrossentropyLoss`.
        class_gamma: a sequence with a gamma from 0 up for each class (for each output with `multi_label`),
            which replaces `gamma`. With one output: the gammas of the labels 0 and 1.

    Some texts weight positives by alpha and negatives by beta (1 - alpha). With one output that is
    `FocalLoss(alpha=alpha, class_weight={0: beta})`.

    Other arguments: see `keras_losses.core.CrossentropyFamily`.

    Shapes: `y_pred` `(..., C)`, or `(...)` and `(..., 1)` for one output; `y_true` class ids `(...)` or
    `(..., 1)`, one-hot or soft labels `(..., C)`, or 0/1 labels in the shape of the outputs. With
    `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for an argument outside its range, shapes that do not match and, in eager mode,
            invalid labels or probabilities.

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
        avoid="probabilities that must be calibrated; wrong labels, which become its hardest samples",
        elicits="likeliest class",
        elicits_note="its probability is pulled towards uniform",
        gradient_bound="1.13 max(a) per logit at gamma=2",
        identities=(Identity({"gamma": 0.0}, "CrossentropyLoss"),),
        conditioning="relative error: gamma + 1 times that of -log p_t",
    )

    gamma: float = parameter(default=2.0, within="[0, inf)", live=True)
    alpha: float | Sequence[float] | np.ndarray | None = parameter(
        default=None,
        convert=checked_alpha,
        domain=ALPHA,
        optional=True,
    )
    pos_weight: float | Sequence[float] | np.ndarray | None = pos_weight_parameter()
    class_gamma: Sequence[float] | np.ndarray | None = parameter(
        default=None,
        convert=checks.nonnegative_numbers,
        domain="a sequence with a number from 0 up for each class",
        optional=True,
        kw_only=True,
    )

    def term(self, crossentropy: Crossentropy) -> Tensor:
        return self._focal(crossentropy, self.gamma)

    def id_terms(self, predictions: Predictions, ids: Tensor) -> Tensor:
        if self.class_gamma is None:
            return super().id_terms(predictions, ids)
        gammas = self._class_vector("class_gamma", predictions.values.shape[-1])
        return self._focal(predictions.of_class(ids), ops.take(gammas, ids, axis=0))

    def class_terms(self, predictions: Predictions) -> Tensor:
        if self.class_gamma is None:
            return super().class_terms(predictions)
        gammas = self._class_vector("class_gamma", predictions.values.shape[-1])
        return self._focal(predictions.of_every_class(), gammas)

    def output_terms(self, predictions: Predictions) -> tuple[Tensor, Tensor]:
        if self.class_gamma is None:
            return super().output_terms(predictions)
        one, zero = predictions.of_outputs()
        outputs = predictions.values.shape[-1]
        if outputs == 1:
            gamma_of_zero, gamma_of_one = self._class_vector("class_gamma", 2)
            return self._focal(one, gamma_of_one), self._focal(zero, gamma_of_zero)
        gammas = self._class_vector("class_gamma", outputs)
        return self._focal(one, gammas), self._focal(zero, gammas)

    def _focal(self, crossentropy: Crossentropy, gamma: float | Tensor) -> Tensor:
        return numerics.power(crossentropy.complement, gamma) * crossentropy.value

    def _label_weights(self, classes: int) -> Tensor | None:
        refuse_pos_weight(self)
        if self.alpha is None:
            return None
        if isinstance(self.alpha, float):
            return self.convert([self.alpha] * classes)
        return self._class_vector("alpha", classes)

    def _output_weights(self, outputs: int) -> tuple[Any, Any] | None:
        weights, positive = weights_by_alpha(self, self.alpha, outputs), positive_weight(self, outputs)
        if positive is None:
            return weights
        of_zero, of_one = (1.0, 1.0) if weights is None else weights
        return of_zero, of_one * positive


class PolyLoss(CrossentropyFamily):
    """Cross-entropy with an adjustable weight of its leading term, to fit a task by one number.

        loss = -log p_t + epsilon (1 - p_t)

    -log p_t is the sum of the series (1 - p_t)^k / k. Poly-1 changes the weight of the first term, which
    governs the gradient of samples that are nearly right. A positive epsilon keeps pushing these samples, a
    negative one lets go of them, as `FocalLoss` does.

    Args:
        epsilon: added to the weight 1 of the first term, in [-1, inf); 2 for ImageNet in the paper.

    Other arguments: see `keras_losses.core.CrossentropyFamily`.

    Shapes: `y_pred` `(..., C)`, or `(...)` and `(..., 1)` for one output; `y_true` class ids `(...)` or
    `(..., 1)`, one-hot or soft labels `(..., C)`, or 0/1 labels in the shape of the outputs. With
    `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for an argument outside its range, shapes that do not match and, in eager mode,
            invalid labels or probabilities.

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
        use="tasks that cross-entropy already fits well, with one number to tune on top of it",
        avoid="probabilities that must be calibrated: epsilon pulls them away from the class frequencies",
        elicits="likeliest class",
        elicits_note="a positive epsilon pulls its probability to 0 or 1",
        gradient_bound="1 + epsilon / 4 per logit",
        identities=(Identity({"epsilon": 0.0}, "CrossentropyLoss"),),
        cost="1 - p of every class, for soft and one-hot labels",
    )

    epsilon: float = parameter(default=2.0, within="[-1, inf)", live=True)

    def term(self, crossentropy: Crossentropy) -> Tensor:
        return crossentropy.value + self.epsilon * crossentropy.complement


class TaylorCrossentropyLoss(CrossentropyFamily):
    """The first terms of the series of cross-entropy, for data with wrong labels.

        loss = sum_{k=1..order} (1 - p_t)^k / k

    Order 1 is 1 - p_t, which limits the pull of wrong labels but learns slowly. Each further term learns
    faster and trusts the labels more; infinitely many terms are cross-entropy.
    `GeneralizedCrossentropyLoss` connects the same two ends by a power.

    Args:
        order: number of terms, an integer in [1, 100]; 2 in the paper's experiments.

    Other arguments: see `keras_losses.core.CrossentropyFamily`.

    Shapes: `y_pred` `(..., C)`, or `(...)` and `(..., 1)` for one output; `y_true` class ids `(...)` or
    `(..., 1)`, one-hot or soft labels `(..., C)`, or 0/1 labels in the shape of the outputs. With
    `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for an argument outside its range, shapes that do not match and, in eager mode,
            invalid labels or probabilities.

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
        use="wrong labels among right ones; a whole number chooses between robust and fast",
        avoid="clean labels; many classes from scratch, since a completely wrong sample has no gradient",
        elicits="likeliest class",
        elicits_note="order 1 puts all probability on it",
        gradient_bound="1 per logit",
        identities=(Identity({"order": 1}, "GeneralizedCrossentropyLoss", {"q": 1.0}),),
        conditioning="relative error: up to order times that of 1 - p_t",
        cost="powers of 1 - p, for every class if labels are soft or one-hot",
    )

    order: int = parameter(default=2, within="[1, 100]", integer=True)

    def term(self, crossentropy: Crossentropy) -> Tensor:
        complement = crossentropy.complement
        total = ops.zeros_like(complement)
        for k in range(self.order, 0, -1):  # Horner's scheme
            total = complement * (1.0 / k + total)
        return total


class AsymmetricLoss(CrossentropyFamily):
    """Focal loss with a separate focus for absent labels, for samples that have few of many labels.

        label 1:   loss = -(1 - p)^gamma_positive log p
        label 0:   loss = -q^gamma_negative log(1 - q),   q = max(p - clip, 0)

    The result is the mean over the outputs, each of which is a probability of its own. A sample has a few
    labels and lacks hundreds. Labels that are clearly absent cost nothing (q = 0). Absent labels with a high
    p, which are often labels that were forgotten, lose weight as well. `FocalLoss` has one focus for both.

    Args:
        gamma_positive: focus of present labels, in [0, inf); below `gamma_negative`, since they are rare.
        gamma_negative: focus of absent labels, in [0, inf); 4 in the paper.
        clip: probability up to which an absent label costs nothing, in [0, 1); 0.05 in the paper.

    Other arguments: see `keras_losses.core.CrossentropyFamily`.

    Shapes: `y_pred` `(..., C)`, or `(...)` for one output; `y_true` 0/1 labels in the shape of the outputs.
    With `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for an argument outside its range, shapes that do not match and, in eager mode,
            invalid labels or probabilities.

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
        use="multi-label problems with hundreds of labels, few of them present and some forgotten",
        avoid="probabilities that must be calibrated; classes that exclude one another",
        elicits="order of probabilities",
        elicits_note="all probabilities are pulled up, since absent labels weigh less",
        gradient_bound="1.3 per logit for gammas up to 4",
        identities=(
            Identity(
                {"gamma_positive": 0.0, "gamma_negative": 0.0, "clip": 0.0},
                "CrossentropyLoss",
                {"multi_label": True},
            ),
        ),
        conditioning="as FocalLoss; just above clip, an absent label keeps only the digits of p - clip",
        cost="two powers, and the logarithm of a shifted probability",
    )

    gamma_positive: float = parameter(default=1.0, within="[0, inf)", live=True)
    gamma_negative: float = parameter(default=4.0, within="[0, inf)", live=True)
    clip: float = parameter(default=0.05, within="[0, 1)")
    multi_label = True

    def output_terms(self, predictions: Predictions) -> tuple[Tensor, Tensor]:
        one, zero = predictions.of_outputs()
        positive = numerics.power(one.complement, self.gamma_positive) * one.value
        clip = self.clip
        if clip == 0.0:
            return positive, numerics.power(zero.complement, self.gamma_negative) * zero.value
        q = ops.relu(zero.complement - clip)
        return positive, -numerics.power(q, self.gamma_negative) * ops.log1p(-q)
