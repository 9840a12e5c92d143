"""Losses of pictures, by the structure that people see, and of the heatmaps of landmarks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_losses import numerics
from keras_losses.core import Card, ElementwiseLoss, Loss, checks, parameter, wanted_values
from keras_losses.core.validity import nan_outside
from keras_losses.numerics import Tensor


def _positive_numbers(value: Any) -> list[float]:
    """Return checked positive numbers."""
    numbers = checks.nonnegative_numbers(value)
    if 0 in numbers:
        raise ValueError
    return numbers


class StructuralSimilarityLoss(Loss):
    """One less the structural similarity (SSIM), for pictures that should look right.

        loss = mean over positions and channels of  1 - l c
        l = (2 m_y m_f + (k1 max_value)^2) / (m_y^2 + m_f^2 + (k1 max_value)^2)
        c = (2 s_yf + (k2 max_value)^2) / (s_y^2 + s_f^2 + (k2 max_value)^2)

    where m, s^2 and s_yf are the means, variances and covariance of y and f in a Gaussian window around the
    position. l compares the brightness, c the contrast and the structure. With weights in `scales`, the loss
    is one less the multi-scale similarity (MS-SSIM):

        loss = mean over channels of  1 - max(0, C_1)^w_1 ... max(0, C_M-1)^w_M-1 max(0, S_M)^w_M

    where C_j is the mean of c over the positions, and S_j that of l c, after halving the size of the pictures
    j - 1 times.

    The values are those of `tf.image.ssim` and `tf.image.ssim_multiscale`. These lose their digits where
    pictures are nearly equal or have little contrast. This loss is computed from the variance of y - f, so
    that nothing cancels as f nears y, and from pictures whose mean is subtracted first. `SquaredErrorLoss`
    and `AbsoluteErrorLoss` compare pixel by pixel, so that they prefer a blurred picture to one whose texture
    is displaced. They are often added: `0.84 * StructuralSimilarityLoss() + 0.16 * AbsoluteErrorLoss()`.

    Args:
        max_value: the difference of the largest and the smallest possible pixel, above 0: 1 for pictures in
            [0, 1], 2 for [-1, 1], 255 for bytes.
        filter_size: height and width of the window in pixels, 1 or more.
        sigma: standard deviation of the Gaussian window in pixels, above 0.
        scales: None for one scale, or a positive weight w for each scale, from fine to coarse. Wang et al.
            published (0.0448, 0.2856, 0.3001, 0.2363, 0.1333).
        k1: the brightness, in units of `max_value`, below which differences of brightness do not count, above
            0.
        k2: the contrast, in the same units, below which differences of structure do not count, above 0.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(batch, height, width, channels)`. With `reduction="none"` the result is
    `(batch,)`. A mask `(batch, height, width)` blackens the masked pixels of both pictures.

    Raises:
        ValueError: if a hyper-parameter is out of range, the shapes differ, or the pictures are smaller than
            the window at the coarsest scale; in eager mode also for pixels of `y_true` beyond twice
            `max_value`.

    Example:

    >>> import numpy as np
    >>> from keras_losses import StructuralSimilarityLoss
    >>> black, white = np.zeros((1, 11, 11, 1)), np.ones((1, 11, 11, 1))
    >>> round(float(StructuralSimilarityLoss()(white, black)), 6)  # 1 - 0.01^2 / (1 + 0.01^2)
    0.9999

    References:
        - Wang et al. 2004, Image Quality Assessment: From Error Visibility to Structural Similarity,
          https://doi.org/10.1109/TIP.2003.819861
        - Wang et al. 2003, Multiscale Structural Similarity for Image Quality Assessment,
          https://doi.org/10.1109/ACSSC.2003.1292216
    """

    card = Card(
        family="pictures",
        formula="1 - mean of (2 m_y m_f + c1) (2 s_yf + c2) / ((m_y^2 + m_f^2 + c1) (s_y^2 + s_f^2 + c2))",
        paper="Wang 2004; Wang 2003",
        labels="pictures, with pixels between -2 max_value and 2 max_value",
        predictions="real numbers",
        use="restored, compressed, enlarged or generated pictures that should look like the original",
        avoid=(
            "colours and brightness that must be exact: add AbsoluteErrorLoss; with scales, a start whose "
            "contrast is opposite to that of the labels, where the gradient is 0"
        ),
        elicits="centre of images",
        gradient_bound=(
            "a multiple of 1 / (k1 max_value) and 1 / (k2 max_value), over the number of pixels; with scales "
            "it also grows with the powers, for similarities near 0"
        ),
        conditioning=(
            "variances lose digits in flat parts whose brightness is far from the mean of the picture; more "
            "where TensorFlow with XLA rounds products to TF32 on a GPU, until "
            "tf.config.experimental.enable_tensor_float_32_execution(False)"
        ),
        cost="four means over a window of filter_size^2 pixels for each pixel, along height and then width",
    )

    max_value: float = parameter(default=1.0, within="(0, inf)")
    filter_size: int = parameter(default=11, within="[1, inf)", integer=True)
    sigma: float = parameter(default=1.5, within="(0, inf)")
    scales: Sequence[float] | None = parameter(
        default=None, convert=_positive_numbers, optional=True, domain="a sequence of positive numbers"
    )
    k1: float = parameter(default=0.01, within="(0, inf)")
    k2: float = parameter(default=0.03, within="(0, inf)")

    def align(self, y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
        y_true, y_pred = super().align(y_true, y_pred)
        shape = tuple(y_pred.shape)
        if len(shape) != 4:
            raise ValueError(
                "`StructuralSimilarityLoss`: `y_true` and `y_pred` must have the shape (batch, height, "
                f"width, channels). Received: y_true and y_pred of shape {shape}. Grey pictures have one "
                "channel, as in y[..., None]; the frames of a film are pictures of the batch."
            )
        count = len(self.scales or [1])
        smallest = (self.filter_size - 1) * 2 ** (count - 1) + 1
        if any(length is not None and length < smallest for length in shape[1:3]):
            raise ValueError(
                f"`StructuralSimilarityLoss`: pictures must have at least {smallest} x {smallest} pixels for "
                f"filter_size={self.filter_size} and {count} scale{'s' if count > 1 else ''}. Received: "
                f"y_pred of shape {shape}, with {shape[1]} x {shape[2]} pixels. Pass a smaller filter_size, "
                "fewer scales, or larger pictures."
            )
        return y_true, y_pred

    def check(self, y_true: Tensor, y_pred: Tensor, wanted: np.ndarray | None) -> None:
        y, largest = wanted_values(y_true, wanted), 2 * self.max_value
        wrong = np.abs(y) > largest
        if wrong.any():
            raise ValueError(
                f"`StructuralSimilarityLoss`: `y_true` must hold pixels between {-largest:g} and {largest:g} "
                f"for max_value={self.max_value:g}. Received: {y[wrong][0]:g}. Pass the difference of the "
                "largest and the smallest possible pixel as max_value, such as 255 for bytes."
            )

    def mark_invalid(self, y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
        largest = 2 * self.max_value
        return nan_outside(y_true, -largest, largest), y_pred

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        y_true, y_pred = self.align(y_true, y_pred)
        y_pred = numerics.minimum(numerics.maximum(y_pred, -_FARTHEST), _FARTHEST)
        difference = y_pred - y_true
        if self.scales is None:
            return numerics.mean(self._compared(y_true, difference, brightness=True)[1])
        logarithm, opposed = 0.0, False
        for scale, weight in enumerate(self.scales):
            if scale > 0:
                y_true, difference = numerics.halved(y_true), numerics.halved(difference)
            is_last = scale == len(self.scales) - 1
            similarity, loss = self._compared(y_true, difference, brightness=is_last)
            # The power of 0 has an infinite slope. The gradient is 0 there, as it is below 0.
            none = similarity < _SMALLEST
            logarithm += weight * _logarithm(ops.where(none, ops.ones_like(loss), similarity), loss)
            opposed = ops.logical_or(none, opposed)
        product = numerics.one_minus_exp(-ops.where(opposed, ops.zeros_like(logarithm), logarithm))
        return numerics.mean(ops.where(opposed, ops.ones_like(product), product))

    def _compared(self, y_true: Tensor, difference: Tensor, brightness: bool) -> tuple[Tensor, Tensor]:
        """Return the mean similarity over the positions, and one less it, `(batch, channels)` each.

        The similarity is c, or l c with `brightness`. Each of the two is exact where it is near 0:

            1 - c = variance of f - y / (s_y^2 + s_f^2 + (k2 max_value)^2)
            1 - l = (m_f - m_y)^2 / (m_y^2 + m_f^2 + (k1 max_value)^2)

        Args:
            y_true: the labels y.
            difference: f - y.
            brightness: whether l counts.
        """
        window = _gaussian_window(self.filter_size, self.sigma)
        # A variance does not depend on what is subtracted from all pixels, but its digits do.
        mean, mean_difference = _mean_of_picture(y_true), _mean_of_picture(difference)
        y, d = y_true - mean, difference - mean_difference
        f = y + d
        m_y, m_d = numerics.window_means(y, window), numerics.window_means(d, window)
        squares = numerics.window_means(ops.square(y) + ops.square(f), window)
        variances = numerics.maximum(squares - ops.square(m_y) - ops.square(m_y + m_d), 0.0)
        variance = numerics.maximum(numerics.window_means(ops.square(d), window) - ops.square(m_d), 0.0)
        loss = variance / (variances + (self.k2 * self.max_value) ** 2)
        similarity = 1.0 - loss
        if brightness:
            c1 = (self.k1 * self.max_value) ** 2
            m_y, m_d = m_y + mean, m_d + mean_difference
            m_f = m_y + m_d
            squares = ops.square(m_y) + ops.square(m_f) + c1
            loss = loss + ops.square(m_d) / squares * similarity
            similarity = (2.0 * m_y * m_f + c1) / squares * similarity
        return _mean_over_positions(similarity), _mean_over_positions(loss)


def _logarithm(similarity: Tensor, loss: Tensor) -> Tensor:
    """Return the logarithm of a similarity above 0, which is one less the loss."""
    near, ones = loss < 0.5, ops.ones_like(loss)
    far = ops.log(ops.where(near, ones, similarity))
    return ops.where(near, ops.log1p(-ops.where(near, loss, 0.0 * ones)), far)


_SMALLEST = 1e-37
"""Similarities below it count as 0; their reciprocals overflow in float32."""

_FARTHEST = 1e18
"""Predictions are compared as if they were at most so far from 0, so that their squares do not overflow."""


def _gaussian_window(size: int, sigma: float) -> np.ndarray:
    """Return the weights of a Gaussian window along one axis, which add up to 1."""
    squares = (np.arange(size) - (size - 1) / 2) ** 2
    weights = np.exp(-0.5 * (squares - squares.min()) / sigma**2)
    return np.asarray(weights / weights.sum())


def _mean_over_positions(x: Tensor) -> Tensor:
    """Return the mean over height and width. Keras's own goes through float32 on PyTorch."""
    _, height, width, _ = ops.shape(x)
    return ops.sum(x, axis=(1, 2)) / ops.cast(height * width, x.dtype)


def _mean_of_picture(x: Tensor) -> Tensor:
    """Return the mean of each channel of each picture as a constant `(batch, 1, 1, channels)`."""
    return ops.stop_gradient(_mean_over_positions(x)[:, None, None])


class AdaptiveWingLoss(ElementwiseLoss):
    """Loss that is steep for small errors at the peaks of heatmaps, and flat for those of their background.

        loss = mean over the last axis of  omega log(1 + |r / epsilon|^(alpha - y))  where |r| < theta
                                           slope (|r| - theta) + the same at theta   elsewhere

    where `slope` is that at theta, so that value and gradient are continuous. At a peak (y = 1) the exponent
    is close to 1, and the gradient of small errors close to that of `AbsoluteErrorLoss`. In the background
    (y = 0) it is about that of a squared error, which vanishes with the error. `WingLoss` has an exponent of
    1 everywhere, for coordinates of landmarks instead of heatmaps.

    The paper also gives peaks and what surrounds them a larger weight. `sample_weight` weighs each pixel if
    labels and predictions get a last axis of 1, as in `y[..., None]`.

    Args:
        omega: the height of the curved part, above 0.
        theta: the error from which the loss grows linearly, above 0.
        epsilon: the error at which the curved part bends over, above 0; the smaller, the steeper.
        alpha: the exponent for y = 0, above 2. That for y = 1 is then above 1, so that the gradient is
            continuous at r = 0.
        name, reduction, dtype: as in `keras_losses.core.Loss`.

    Shapes: `y_true` and `y_pred` `(..., outputs)`, or `(...)` for one output. With `reduction="none"` the
    result is `(...)`.

    Raises:
        ValueError: if a hyper-parameter is out of range or the shapes differ; in eager mode also for labels
            outside [0, 1].

    Example:

    >>> import numpy as np
    >>> from keras_losses import AdaptiveWingLoss
    >>> loss = AdaptiveWingLoss(omega=1.0, theta=4.0, alpha=3.0)
    >>> round(float(loss(np.array([1.0]), np.array([3.0]))), 4)  # log(1 + 2^2)
    1.6094

    References:
        - Wang, Bo & Fuxin 2019, Adaptive Wing Loss for Robust Face Alignment via Heatmap Regression,
          https://arxiv.org/abs/1904.07399
    """

    card = Card(
        family="pictures",
        formula="omega log(1 + |r/epsilon|^(alpha - y)) if |r| < theta, else linear in |r|",
        paper="Wang 2019, 1904.07399",
        labels="numbers between 0 and 1",
        predictions="real numbers",
        use="heatmaps of landmarks, whose peaks are few among the pixels and must be right",
        avoid="labels that are no heatmaps: WingLoss for coordinates, HuberLoss for other numbers",
        elicits="location between median and mean",
        gradient_bound="omega / epsilon (alpha - 1)^((alpha - 1) / alpha)",
        conditioning="|r / epsilon|^(alpha - y) has a relative error of |log(|r| / epsilon)| rounding errors",
        cost="two logarithms and two exponentials for each residual",
    )

    omega: float = parameter(default=14.0, within="(0, inf)", live=True)
    theta: float = parameter(default=0.5, within="(0, inf)", live=True)
    epsilon: float = parameter(default=1.0, within="(0, inf)", live=True)
    alpha: float = parameter(default=2.1, within="(2, inf)", live=True)

    def check(self, y_true: Tensor, y_pred: Tensor, wanted: np.ndarray | None) -> None:
        y = wanted_values(y_true, wanted)
        wrong = (y < 0) | (y > 1)
        if wrong.any():
            raise ValueError(
                "`AdaptiveWingLoss`: `y_true` must hold heatmaps with values between 0 and 1. Received: "
                f"{y[wrong][0]:g}. Divide the heatmaps by their largest possible value."
            )

    def mark_invalid(self, y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
        return nan_outside(y_true, 0.0, 1.0), y_pred

    def elementwise(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        absolute, exponent = numerics.absolute(y_true - y_pred), self.alpha - y_true
        near = numerics.minimum(absolute, self.theta)
        curved = numerics.log1p_power(near / self.epsilon, exponent)
        ratio = self.theta / self.epsilon
        log_ratio = math.log(ratio) if numerics.is_number(ratio) else ops.log(ratio)
        slope = exponent / self.theta * numerics.sigmoid(exponent * log_ratio)
        return self.omega * (curved + slope * ops.relu(absolute - self.theta))
