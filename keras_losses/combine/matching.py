"""Which object belongs to which prediction of a detector that predicts a set of boxes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from keras import ops

from keras_losses import config, numerics
from keras_losses.combine.detection import BOX, DetectionLoss
from keras_losses.combine.sum_of_terms import SumOfTerms
from keras_losses.core import Loss, parameter
from keras_losses.core.scipy import import_scipy
from keras_losses.numerics import Tensor

HUGE = 1e30
"""Stands for costs that are not finite, which SciPy refuses."""


def match_boxes(y_true: Any, y_pred: Any, cost: DetectionLoss) -> Any:
    """Assign the objects of an image to predictions, so that the loss is as small as possible.

    Each object gets one prediction, by the Hungarian method; the other predictions get no object. If there
    are more objects than predictions, some objects get none. The assignment is the one with the smallest sum
    of `cost` over the predictions of the image. It has no gradient.

    Args:
        y_true: Objects `(batch, objects, 4 + 1)`, as for `DetectionLoss`. Their order has no meaning; padding
            has the class -1.
        y_pred: Predictions `(batch, boxes, 4 + classes)`, or with one more output for the objectness.
        cost: The loss of one assignment.

    Returns:
        Labels `(batch, boxes, 4 + 1)`: for each prediction its object, or the class -1. They are a NumPy
        array if `y_true` is one.

    Raises:
        TypeError: If `cost` is not a `DetectionLoss`.
        ImportError: If SciPy is not installed: `pip install "keras-losses[scipy]"`.
        ValueError: If XLA compiles the step on TensorFlow, since the method runs in NumPy; for shapes that do
            not match.

    Example:

    >>> import numpy as np
    >>> from keras_losses import AbsoluteErrorLoss, CrossentropyLoss, DetectionLoss, match_boxes
    >>> cost = DetectionLoss(CrossentropyLoss(multi_label=True), AbsoluteErrorLoss())
    >>> y_true = np.array([[[0, 0, 2, 2, 0], [5, 5, 6, 6, 0]]], "float32")
    >>> y_pred = np.array([[[5, 5, 6, 7, 0.5], [9, 9, 9, 9, 0.5], [0, 0, 2, 3, 0.5]]], "float32")
    >>> match_boxes(y_true, y_pred, cost)[0].tolist()
    [[5.0, 5.0, 6.0, 6.0, 0.0], [0.0, 0.0, 0.0, 0.0, -1.0], [0.0, 0.0, 2.0, 2.0, 0.0]]

    References:
        - Carion et al. 2020, End-to-End Object Detection with Transformers, https://arxiv.org/abs/2005.12872
        - Kuhn 1955, The Hungarian Method for the Assignment Problem, https://doi.org/10.1002/nav.3800020109
    """
    if not isinstance(cost, DetectionLoss):
        raise TypeError(f"`match_boxes`: `cost` must be a DetectionLoss. Received: {cost!r}.")
    labels = _matched(cost.convert(y_true), ops.stop_gradient(cost.convert(y_pred)), cost)
    return labels if ops.is_tensor(y_true) else ops.convert_to_numpy(labels)


def _matched(y_true: Tensor, y_pred: Tensor, cost: DetectionLoss) -> Tensor:
    true, pred = tuple(y_true.shape), tuple(y_pred.shape)
    if len(true) != 3 or len(pred) != 3 or true[-1] != BOX + 1:
        raise ValueError(
            "`match_boxes`: `y_true` must have the shape (batch, objects, 4 + 1), for a box and its class, "
            f"and `y_pred` (batch, boxes, 4 + classes). Received: y_true of shape {true}, y_pred of shape "
            f"{pred}."
        )
    if numerics.is_concrete(y_pred) and config.values_are_validated():
        for term in cost._terms().values():
            term.check(y_true, y_pred, None)
    none = _without_objects(y_pred[:, :1])
    of_pairs = cost.of_boxes(*_pairs(y_true, y_pred)) - cost.of_boxes(*_pairs(none, y_pred))
    objects = numerics.on_host("match_boxes", _assigned, [of_pairs, y_true[..., BOX]], pred[:2])
    index = ops.expand_dims(objects, -1)
    labels = ops.take_along_axis(y_true, numerics.maximum(index, 0), axis=1)
    return ops.where(index >= 0, labels, _without_objects(y_pred))


def _without_objects(y_pred: Tensor) -> Tensor:
    """Return labels of predictions that have no object."""
    coordinates = ops.zeros_like(y_pred[..., :BOX])
    return ops.concatenate([coordinates, coordinates[..., :1] - 1.0], axis=-1)


def _pairs(y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return every prediction beside every object, `(batch, boxes, objects, *)`, and weights of 1."""
    batch, objects, _ = ops.shape(y_true)
    boxes = ops.shape(y_pred)[1]
    true = ops.broadcast_to(ops.expand_dims(y_true, 1), (batch, boxes, objects, y_true.shape[-1]))
    pred = ops.broadcast_to(ops.expand_dims(y_pred, 2), (batch, boxes, objects, y_pred.shape[-1]))
    return true, pred, ops.ones_like(pred[..., 0])


def _assigned(costs: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Return the object of each prediction `(batch, boxes)`, -1 for none.

    Args:
        costs: what it costs to assign an object to a prediction, `(batch, boxes, objects)`.
        ids: the classes of the objects, -1 for padding.
    """
    assign = import_scipy("match_boxes", "assignments", "scipy.optimize").linear_sum_assignment
    found = np.full(costs.shape[:2], -1, "int32")
    for image, (cost, classes) in enumerate(zip(costs, ids, strict=True)):
        (objects,) = np.nonzero(classes >= 0)
        finite = np.nan_to_num(cost[:, objects], nan=HUGE, posinf=HUGE, neginf=-HUGE)
        boxes, chosen = assign(finite)
        found[image, boxes] = objects[chosen]
    return found


class SetPredictionLoss(SumOfTerms):
    """The loss of a detector whose predictions are a set: it does not depend on their order, or the objects'.

        loss = the smallest DetectionLoss over all assignments of objects to predictions

    `match_boxes` finds the assignment in each step; the gradient is that of the loss with this assignment.
    Without it, each prediction needs a label of its own, such as the object in its cell of a grid.

    The matching runs in NumPy. On TensorFlow, compile the model with `jit_compile=False`.

    Args:
        loss: The loss of an assignment.
        name, reduction, dtype: As in `keras_losses.core.Loss`.

    Weights `(batch,)` multiply the values of images. In the logs the terms are called `class`, `box` and
    `objectness`.

    Shapes: `y_true` `(batch, objects, 4 + 1)`, padded with the class -1; `y_pred`
    `(batch, boxes, 4 + classes)`, or with an objectness last. With `reduction="none"` the result is
    `(batch,)`.

    Raises:
        TypeError: If `loss` is not a `DetectionLoss`.
        ImportError: If SciPy is not installed: `pip install "keras-losses[scipy]"`.
        ValueError: For shapes that do not match, weights of single boxes, or a step that XLA compiles on
            TensorFlow.

    Example:

    >>> import numpy as np
    >>> from keras_losses import AbsoluteErrorLoss, CrossentropyLoss, DetectionLoss, SetPredictionLoss
    >>> loss = SetPredictionLoss(DetectionLoss(CrossentropyLoss(multi_label=True), AbsoluteErrorLoss()))
    >>> y_true = np.array([[[0, 0, 2, 2, 0], [5, 5, 6, 6, 0]]], "float32")
    >>> y_pred = np.array([[[5, 5, 6, 7, 1.0], [0, 0, 2, 3, 1.0]]], "float32")
    >>> float(loss(y_true, y_pred)), float(loss(y_true, y_pred[:, ::-1].copy()))  # (1/4 + 1/4) / 2
    (0.25, 0.25)

    References:
        - Carion et al. 2020, End-to-End Object Detection with Transformers, https://arxiv.org/abs/2005.12872
    """

    _calls_host: ClassVar[bool] = True

    loss: DetectionLoss = parameter(domain="a DetectionLoss", convert=lambda value: _detection_loss(value))

    @property
    def losses(self) -> Mapping[str, Any]:
        return self.loss.losses

    @property
    def _inside(self) -> Mapping[str, Loss]:
        return {"": self.loss}

    def _terms(self) -> Mapping[str, Loss]:
        return self.loss._terms()

    def _term_weights(self) -> Mapping[str, float | Tensor]:
        return self.loss._term_weights()

    def _kept_weights(self) -> Mapping[str, float]:
        return self.loss._kept_weights()

    def _values_and_parts(
        self, y_true: Any, y_pred: Any, sample_weight: Any, reduction: str | None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        weights = () if sample_weight is None else tuple(ops.convert_to_tensor(sample_weight).shape)
        if any(length != 1 for length in weights[1:]):
            raise ValueError(
                "`SetPredictionLoss`: `sample_weight` must have one value for each image, because any "
                f"prediction may get any object. Received: sample_weight of shape {weights}. Pad objects "
                "with the class -1."
            )
        labels = _matched(self.convert(y_true), ops.stop_gradient(self.convert(y_pred)), self.loss)
        return super()._values_and_parts(labels, y_pred, sample_weight, reduction)

    def _check_batch(self, y_true: Any, y_pred: Any, sample_weight: Any) -> None:
        self._values_and_parts(y_true, y_pred, sample_weight, "none")


def _detection_loss(value: Any) -> DetectionLoss:
    if not isinstance(value, DetectionLoss):
        raise TypeError(f"it is of type {type(value).__name__}")
    return value
