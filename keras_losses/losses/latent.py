"""Losses of latent codes: distributions that an encoder predicts."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_losses import numerics
from keras_losses.core import Card, PackedLoss, shapes
from keras_losses.numerics import Tensor


class GaussianKLLoss(PackedLoss):
    """Divergence of predicted normal distributions from the standard one, for variational autoencoders.

        loss = KL(N(mu, e^log_var) || N(0, 1)) = 1/2 sum_j mu_j^2 + e^log_var_j - 1 - log_var_j

    It keeps the latent code of the autoencoder close to its prior. As in the paper it is the sum over the
    latent dimensions, not their mean: give it a small weight beside a reconstruction loss that is a mean over
    pixels. The divergences of `divergence.py` compare class probabilities instead.

    The prior is fixed, so `y_true` is not read. Keras requires one nevertheless: pass a zero for each sample.

    Args:
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_pred` `(..., 2 * d)`: all mu, then all log_var; `y_true` `(...)` or `(..., d)`, with any
    numbers. With `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: if the shapes do not match.

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
        family="latent",
        formula="1/2 sum_j mu_j^2 + e^log_var_j - 1 - log_var_j",
        paper="Kingma & Welling 2013, 1312.6114",
        labels="any numbers, which are not read",
        predictions="mu and log_var of each latent dimension: all mu, then all log_var",
        use="latent codes of variational autoencoders",
        avoid="priors other than the standard normal distribution",
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
        return 0.5 * ops.sum(ops.square(mean) + numerics.expm1_minus_x(log_variance), axis=-1)
