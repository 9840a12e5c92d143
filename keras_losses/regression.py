"""Losses of the residual r = y - f: what the model should predict of y, and how much an outlier counts."""

from __future__ import annotations

from keras import ops

from keras_losses import numerics
from keras_losses.base import ElementwiseLoss
from keras_losses.card import Card, parameter
from keras_losses.numerics import Tensor


class SquaredErrorLoss(ElementwiseLoss):
    """The squared residual, for targets whose mean is wanted.

        loss = mean over the last axis of r^2

    Keras's `MeanSquaredError` broadcasts silently: (n,) against (n, n) gives a number there and an error
    here.

    Args:
        name, reduction, dtype: as in `keras_losses.base.Loss`.

    Shapes: `y_true` and `y_pred` `(..., outputs)`; `(...)` stands for one output. With `reduction="none"`
    the result is `(...)`.

    Raises:
        ValueError: for shapes that differ.

    Example:

    >>> import numpy as np
    >>> from keras_losses import SquaredErrorLoss
    >>> float(SquaredErrorLoss()(np.array([[1.0, 2.0]]), np.array([[1.0, 5.0]])))  # (0 + 3^2) / 2
    4.5

    References:
        - Legendre 1805; Gauss 1809
    """

    card = Card(
        family="regression",
        formula="r^2",
        paper="Legendre 1805; Gauss 1809",
        labels="real numbers",
        predictions="real numbers",
        use="the mean is wanted and the errors are roughly Gaussian",
        avoid="outliers: one far target outweighs all others",
        elicits="mean",
        gradient_bound="unbounded: 2 |r|",
    )

    def elementwise(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return ops.square(y_true - y_pred)


class AbsoluteErrorLoss(ElementwiseLoss):
    """The size of the residual, for targets whose median is wanted.

        loss = mean over the last axis of |r|

    Args:
        name, reduction, dtype: as in `keras_losses.base.Loss`.

    Shapes: `y_true` and `y_pred` `(..., outputs)`; `(...)` stands for one output. With `reduction="none"`
    the result is `(...)`.

    Raises:
        ValueError: for shapes that differ.

    Example:

    >>> import numpy as np
    >>> from keras_losses import AbsoluteErrorLoss
    >>> float(AbsoluteErrorLoss()(np.array([[1.0, 2.0]]), np.array([[1.0, 5.0]])))  # (0 + 3) / 2
    1.5

    References:
        - Laplace 1774
    """

    card = Card(
        family="regression",
        formula="|r|",
        paper="Laplace 1774",
        labels="real numbers",
        predictions="real numbers",
        use="the median is wanted, or outliers must not count more than others",
        avoid="the last digits matter: the gradient does not shrink as the error does",
        elicits="median",
        gradient_bound="1",
    )

    def elementwise(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return numerics.size(y_true - y_pred)


class HuberLoss(ElementwiseLoss):
    """The squared residual near zero and the absolute one far away, for targets with outliers.

        loss = mean over the last axis of  r^2 / 2               where |r| <= delta
                                           delta (|r| - delta/2)  elsewhere

    Keras's `Huber` forgets a delta other than 1 when it is saved, and takes a negative one.

    Args:
        delta: from where on a residual counts as an outlier, above 0, in the units of the target.
        name, reduction, dtype: as in `keras_losses.base.Loss`.

    Shapes: `y_true` and `y_pred` `(..., outputs)`; `(...)` stands for one output. With `reduction="none"`
    the result is `(...)`.

    Raises:
        ValueError: for a delta that is not above 0 and shapes that differ.

    Example:

    >>> import numpy as np
    >>> from keras_losses import HuberLoss
    >>> float(HuberLoss(delta=1.0)(np.array([0.5, 0.0]), np.array([0.0, 3.0])))  # (0.125 + 2.5) / 2
    1.3125

    References:
        - Huber 1964, Robust Estimation of a Location Parameter, https://doi.org/10.1214/aoms/1177703732
    """

    card = Card(
        family="regression",
        formula="r^2/2 if |r| <= delta, else delta (|r| - delta/2)",
        paper="Huber 1964",
        labels="real numbers",
        predictions="real numbers",
        use="mostly Gaussian errors with some outliers, whose scale is known",
        avoid="a delta far from the scale of the residuals: it is then squared or absolute error",
        elicits="location between median and mean",
        gradient_bound="delta",
    )

    delta: float = parameter(default=1.0, within="(0, inf)")

    def elementwise(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        size = numerics.size(y_true - y_pred)
        near = numerics.minimum(size, self.delta)
        return near * (size - 0.5 * near)
