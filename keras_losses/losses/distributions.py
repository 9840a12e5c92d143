"""Base class of the losses that compare two distributions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from keras import ops

from keras_losses import numerics
from keras_losses.core import Loss, Predictions, checks, flag, labels, parameter, wanted_values
from keras_losses.core.validity import fuses_elementwise, nan_unless
from keras_losses.numerics import Crossentropy, Tensor


class DivergenceLoss(Loss):
    """Base of the losses that compare a predicted distribution with a target one, over the last axis.

    A subclass states `divergence(y, p, crossentropy)`, the value of each sample `(...)`, from the target y,
    the prediction p, and -log p and 1 - p of every class, all `(..., C)`.

    A class with a logit of -inf is masked: its probability is 0, and its target must be 0. It adds nothing to
    the value or to the gradient.

    Args:
        temperature: divides the logits of the prediction, which is softmax(z / temperature); above 0. The
            target is not changed.
        from_logits: whether `y_pred` are logits. The loss then computes log-probabilities from them, which is
            exact, and never takes the logarithm of a softmax.
    """

    temperature: float = parameter(default=1.0, within="(0, inf)", live=True)
    from_logits: bool = flag(default=False, kw_only=False)

    @property
    def of_measures(self) -> bool:
        """Whether target and prediction may have sums other than 1."""
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
        crossentropy = predictions.of_every_class()
        if numerics.is_number(self.temperature, 1.0):
            return self.divergence(y, predictions.values, crossentropy)
        softened = numerics.dense_crossentropy(self.softened(-crossentropy.value))
        # The slope of -log p is bounded near p = 0; softening moves the point from which it is.
        bounded_from = softened.value + (crossentropy.steepest_from - crossentropy.value) / self.temperature
        return self.divergence(y, ops.exp(-softened.value), replace(softened, steepest_from=bounded_from))

    def of_logits(self, y: Tensor, logits: Tensor) -> Tensor:
        """Divergence of softmax(z) from the target."""
        crossentropy = numerics.dense_crossentropy(logits)
        return self.divergence(y, ops.exp(-crossentropy.value), crossentropy)

    def minus_log(self, y: Tensor) -> Tensor:
        """-log y for a target y."""
        return numerics.negative_log(y, self.compute_dtype)

    def check(self, y_true: Tensor, y_pred: Predictions, wanted: np.ndarray | None) -> None:
        owner = type(self).__name__
        if "generalized" in self.hyperparameters:
            advice = "For measures that do not, pass generalized=True."
        else:
            advice = "Divide it by its sum."
        distributions = [("y_true", y_true)]
        if not self.from_logits:
            distributions.append(("y_pred", y_pred.values))
        for name, tensor in distributions:
            values = wanted_values(tensor, wanted)
            if (values < 0).any():
                raise ValueError(
                    f"`{owner}`: `{name}` must not be negative. Received: {values[values < 0][0]:g}. "
                    "If these are logits, pass from_logits=True."
                )
            if not self.of_measures:
                checks.check_distribution(owner, name, values, advice)

    def mark_invalid(self, y_true: Tensor, y_pred: Predictions) -> tuple[Tensor, Predictions]:
        if not fuses_elementwise(y_true):
            return y_true, y_pred
        valid = y_true >= 0
        if y_pred.logits is None:
            valid = ops.logical_and(valid, y_pred.values >= 0)
        # Both are marked, because some formulas do not read the label or the prediction where the other is 0.
        return nan_unless(valid, y_true), y_pred.map(lambda x: nan_unless(valid, x))

    def softened(self, logits: Tensor) -> Tensor:
        """Logits minus their largest, divided by the temperature; this rounds small differences less."""
        if numerics.is_number(self.temperature, 1.0):
            return logits
        return numerics.minus_max(logits) / self.temperature
