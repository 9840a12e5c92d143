"""Divergences between two distributions over the last axis."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from keras_losses import labels, numerics
from keras_losses.base import Loss, wanted_values
from keras_losses.card import Card, flag, parameter
from keras_losses.labels import Predictions
from keras_losses.numerics import Tensor


class KLDivergenceLoss(Loss):
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
        name, reduction, dtype: as in `keras_losses.base.Loss`.

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
        conditioning="terms of both signs cancel as p nears y: the error is absolute, 1e-7 of sum |terms|",
    )

    direction: str = parameter(default="forward", choices=("forward", "reverse"))
    temperature: float = parameter(default=1.0, within="(0, inf)")
    generalized: bool = flag(default=False, kw_only=False)
    from_logits: bool = flag(default=False, kw_only=False)

    def validate(self) -> None:
        if self.generalized and self.temperature != 1.0:
            raise ValueError(
                "KLDivergenceLoss: a temperature normalises the prediction, which `generalized` leaves as it "
                f"is. Received: temperature={self.temperature}, generalized=True. Choose one of them."
            )

    def align(self, y_true: Any, y_pred: Any) -> tuple[Tensor, Predictions]:
        if isinstance(y_pred, Predictions):
            return y_true, y_pred
        y_true, predictions = self.convert(y_true), self.predictions(y_pred, self.from_logits, "softmax")
        return labels.distributions(type(self).__name__, y_true, predictions.values), predictions

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        y, predictions = self.align(y_true, y_pred)
        minus_log_p = self._minus_log(predictions)
        given = predictions.logits is None and self.temperature == 1.0
        p = predictions.values if given else ops.exp(-minus_log_p)
        if self.direction == "forward":
            terms, excess = numerics.x_log_x(y) + y * minus_log_p, p - y
        else:
            minus_log_y = numerics.negative_log(y, self.compute_dtype)
            terms, excess = p * (minus_log_y - minus_log_p), y - p
        return ops.sum(terms + excess if self.generalized else terms, axis=-1)

    def _minus_log(self, predictions: Predictions) -> Tensor:
        if self.temperature == 1.0:
            return predictions.of_every_class().value
        logits = predictions.logits
        if logits is None:
            logits = -numerics.negative_log(predictions.values, predictions.dtype)
        return numerics.dense_crossentropy(logits / self.temperature).value

    def check(self, y_true: Tensor, y_pred: Predictions, wanted: np.ndarray | None) -> None:
        owner, advice = type(self).__name__, "For measures that do not, pass generalized=True."
        given = [("y_true", y_true)] if self.from_logits else [("y_true", y_true), ("y_pred", y_pred.values)]
        for name, tensor in given:
            values = wanted_values(tensor, wanted)
            if (values < 0).any():
                raise ValueError(
                    f"{owner}: `{name}` must not be negative. Received: {values[values < 0][0]:g}. "
                    "If these are logits, pass from_logits=True."
                )
            if not self.generalized:
                labels.check_distribution(owner, name, values, advice)
