"""The loss of a detector that predicts a box, a class and perhaps an objectness in each of many places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from keras_losses import numerics
from keras_losses.combine.around import A_LOSS, BINARY_LOSSES, any_loss, as_loss
from keras_losses.combine.weighted_sum import WeightedSum, weights_parameter
from keras_losses.core import Card, Loss, parameter, shapes, wanted_values
from keras_losses.core.reduction import Samples, both, pooled_weights
from keras_losses.numerics import Tensor

BOX = 4
"""The number of coordinates of a box."""


def outputs_of_classes(y_pred: Tensor, has_objectness: bool) -> int:
    """Return how many outputs of a box belong to classes."""
    outputs: int = y_pred.shape[-1] - BOX
    return outputs - 1 if has_objectness else outputs


@dataclass(frozen=True)
class Detections:
    """Labels and predictions of boxes `(batch, ..., *)`, taken apart."""

    true_boxes: Tensor
    ids: Tensor
    """The class of each object, -1 where there is none."""
    boxes: Tensor
    scores: Tensor
    """The outputs of the classes."""
    objectness: Tensor | None

    @property
    def is_object(self) -> Tensor:
        return self.ids >= 0

    @classmethod
    def of(cls, y_true: Tensor, y_pred: Tensor, has_objectness: bool) -> Detections:
        classes = outputs_of_classes(y_pred, has_objectness)
        return cls(
            true_boxes=y_true[..., :BOX],
            ids=ops.cast(y_true[..., BOX], "int32"),
            boxes=y_pred[..., :BOX],
            scores=y_pred[..., BOX : BOX + classes],
            objectness=y_pred[..., BOX + classes :] if has_objectness else None,
        )


class _DetectionTerm(Loss):
    """Base of the terms of a `DetectionLoss`: the sum of a loss over the boxes of an image.

    A subclass defines `_parts`, which returns the labels and predictions of the inner loss, and the boxes
    that it is computed for; None stands for all boxes.

    Args:
        loss: the inner loss.
        has_objectness: whether the last output of each box is its objectness.
    """

    def __init__(self, loss: Any, has_objectness: bool, dtype: str | None) -> None:
        super().__init__(dtype=dtype)
        self._loss = as_loss(loss, dtype)
        self._has_objectness = has_objectness

    @property
    def _inside(self) -> Mapping[str, Loss]:
        return {"": self._loss}

    def _parts(self, of: Detections) -> tuple[Tensor, Tensor, Tensor | None]:
        raise NotImplementedError

    def align(self, y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
        y_true, y_pred = self.convert(y_true), self.convert(y_pred)
        true = shapes.static_shape("DetectionLoss", "y_true", y_true)
        pred = shapes.static_shape("DetectionLoss", "y_pred", y_pred)
        fewest = BOX + 2 if self._has_objectness else BOX + 1
        fits = len(pred) > 1 and pred[-1] is not None and pred[-1] >= fewest
        if not fits or not shapes.agree(true, (*pred[:-1], BOX + 1)):
            outputs = "4 + classes + 1" if self._has_objectness else "4 + classes"
            raise ValueError(
                "`DetectionLoss`: `y_true` must have the shape (batch, boxes, 4 + 1), for a box and its "
                f"class, and `y_pred` (batch, boxes, {outputs}), with as many boxes. Received: y_true of "
                f"shape {true}, y_pred of shape {pred}. Pad the labels with boxes of the class -1, for no "
                "object."
            )
        return shapes.pinned_to(y_true, y_pred, BOX + 1), y_pred

    def check(self, y_true: Tensor, y_pred: Tensor, wanted: np.ndarray | None) -> None:
        ids = wanted_values(y_true[..., BOX], wanted)
        wrong = ~((ids >= -1) & (ids == np.floor(ids)))
        if wrong.any():
            raise ValueError(
                "`DetectionLoss`: the last number of each box in `y_true` must be the id of its class, or -1 "
                f"for no object. Received: {ids[wrong][0]:g}. The four coordinates come before it."
            )

    def mark_invalid(self, y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
        ids = y_true[..., BOX:]
        valid = ops.logical_and(ids >= -1, ops.equal(ids, ops.floor(ids)))
        # No class has this id, so the loss of the classes is NaN.
        ids = ops.where(valid, ids, float(y_pred.shape[-1]) * ops.ones_like(ids))
        return ops.concatenate([y_true[..., :BOX], ids], axis=-1), y_pred

    def _check_batch(self, y_true: Any, y_pred: Any, sample_weight: Any) -> None:
        self._unreduced(y_true, y_pred, sample_weight)

    def _unreduced(
        self, y_true: Any, y_pred: Any, sample_weight: Any
    ) -> tuple[Tensor, Samples, Tensor | None]:
        y_true, y_pred, samples = self._prepared(y_true, y_pred, sample_weight)
        of = Detections.of(y_true, y_pred, self._has_objectness)
        weights = pooled_weights(y_pred[..., 0], samples.of_pixels())
        values = numerics.sum_of_samples(self.of_boxes(of, weights))
        objects = numerics.sum_of_samples(ops.cast(both(of.is_object, samples.wanted), weights.dtype))
        of_images = samples.of_images().with_axes_of(values, "DetectionLoss")
        return values, of_images, numerics.maximum(objects, 1.0)

    def of_boxes(self, of: Detections, weights: Tensor) -> Tensor:
        """Return the weighted value of each box, 0 for boxes to which the term does not apply."""
        true, pred, chosen = self._parts(of)
        weights = weights if chosen is None else ops.where(chosen, weights, ops.zeros_like(weights))
        values = self.convert(self._loss._reduced(true, pred, weights, "none"))
        if len(values.shape) != len(weights.shape):
            raise ValueError(
                f"`DetectionLoss`: the loss `{self._loss.name}` must return one value for each box, of shape "
                f"{tuple(weights.shape)}. Received: values of shape {tuple(values.shape)}."
            )
        return values


class _BoxTerm(_DetectionTerm):
    def _parts(self, of: Detections) -> tuple[Tensor, Tensor, Tensor | None]:
        return of.true_boxes, of.boxes, of.is_object


class _ObjectnessTerm(_DetectionTerm):
    def _parts(self, of: Detections) -> tuple[Tensor, Tensor, Tensor | None]:
        assert of.objectness is not None
        return ops.expand_dims(ops.cast(of.is_object, of.objectness.dtype), -1), of.objectness, None


class _ClassTerm(_DetectionTerm):
    def _parts(self, of: Detections) -> tuple[Tensor, Tensor, Tensor | None]:
        classes = of.scores.shape[-1]
        chosen = of.is_object if self._has_objectness else None
        if self._has_outputs():
            hot = numerics.one_hot(numerics.maximum(of.ids, 0), classes, of.scores.dtype)
            return ops.where(ops.expand_dims(of.is_object, -1), hot, ops.zeros_like(hot)), of.scores, chosen
        if self._has_objectness:
            return of.ids, of.scores, chosen
        return ops.where(of.is_object, of.ids, (classes - 1) * ops.ones_like(of.ids)), of.scores, None

    def check(self, y_true: Tensor, y_pred: Tensor, wanted: np.ndarray | None) -> None:
        super().check(y_true, y_pred, wanted)
        ids = wanted_values(y_true[..., BOX], wanted)
        outputs = outputs_of_classes(y_pred, self._has_objectness)
        has_last_for_none = not (self._has_objectness or self._has_outputs())
        classes = outputs - 1 if has_last_for_none else outputs
        if (ids >= classes).any():
            last = ", the last of which stands for no object" if has_last_for_none else ""
            raise ValueError(
                f"`DetectionLoss`: the class of an object in `y_true` must be from 0 to {classes - 1}. "
                f"Received: {ids[ids >= classes][0]:g}. The predictions have {outputs} outputs for "
                f"classes{last}."
            )

    def _has_outputs(self) -> bool:
        """Return whether the loss takes a 0/1 label for each class."""
        loss = getattr(self._loss, "loss", self._loss)
        return isinstance(loss, BINARY_LOSSES) or getattr(loss, "multi_label", False)


class DetectionLoss(WeightedSum):
    """The loss of a detector: a loss of classes and a loss of boxes, each summed over the boxes of an image.

        loss = sum over boxes of (class_loss + [object] box_loss + objectness_loss) / number of objects

    Each predicted box has a label: the box of an object and its class, or the class -1 if it is no object.
    The model, or `match_boxes`, decides which object belongs to which prediction. The loss of boxes counts
    only where there is an object. A mean divides by the number of objects in the batch, where an image
    without objects counts as one.

    How "no object" is told to the classes:

    - with `multi_label=True`, as in `FocalLoss(multi_label=True)`: all classes are 0 (RetinaNet);
    - with `objectness_loss`: the classes count only where there is an object (YOLO);
    - otherwise: the last class stands for no object (DETR), so there is one output more than classes.

    In the logs the terms are called `class`, `box` and `objectness`.

    Args:
        class_loss: The loss of the classes of one box: a loss of this library or of Keras, or a function.
        box_loss: The loss of one box, such as `IoULoss()`, or a sum such as `2 * IoULoss() + SmoothL1Loss()`.
        objectness_loss: The loss of a last output of each box that tells whether there is an object, such as
            `CrossentropyLoss(from_logits=True)`; None if there is no such output.
        weights: The factors of the terms: a mapping from `"class"`, `"box"` and `"objectness"`, where the
            default is 1, or a sequence in this order.
        name, reduction, dtype: As in `keras_losses.core.Loss`.

    Weights `(batch,)` multiply the values of images. Weights and masks `(batch, boxes)` apply to boxes, and a
    box of weight 0 is no object.

    Shapes: `y_true` `(batch, boxes, 4 + 1)`, the last number being the class; `y_pred`
    `(batch, boxes, 4 + classes)`, or `(batch, boxes, 4 + classes + 1)` with the objectness last. There may be
    more axes of boxes. With `reduction="none"` the result is `(batch,)`.

    Raises:
        TypeError, ValueError: For an argument that is no loss, weights of other names, shapes that do not
            match, a loss that does not return one value for each box and, in eager mode, invalid classes or
            boxes.

    Example:

    >>> import numpy as np
    >>> from keras_losses import AbsoluteErrorLoss, CrossentropyLoss, DetectionLoss
    >>> loss = DetectionLoss(CrossentropyLoss(multi_label=True), AbsoluteErrorLoss())
    >>> y_true = np.array([[[0, 0, 2, 2, 0], [0, 0, 0, 0, -1]]], "float32")  # one object, and no object
    >>> y_pred = np.array([[[0, 0, 2, 6, 0.5], [9, 9, 9, 9, 0.5]]], "float32")  # one class
    >>> {name: round(float(value), 4) for name, value in loss.terms(y_true, y_pred).items()}
    {'class': 1.3863, 'box': 1.0}

    References:
        - Lin et al. 2017, Focal Loss for Dense Object Detection, https://arxiv.org/abs/1708.02002
        - Carion et al. 2020, End-to-End Object Detection with Transformers, https://arxiv.org/abs/2005.12872
    """

    card = Card(
        family="boxes",
        formula="sum over boxes of (class_loss + [object] box_loss + objectness_loss) / number of objects",
        paper="Lin 2017, 1708.02002; Carion 2020, 2005.12872",
        labels="boxes with a class, or with -1 for no object",
        predictions="boxes with the outputs of the classes, and perhaps an objectness",
        use="one-stage detectors",
        avoid="each prediction has no label of its own yet: SetPredictionLoss",
        elicits="inner loss",
        elicits_note="for the boxes of objects, and for the classes",
        gradient_bound="the terms', times their weights",
        cost="that of the terms, each for every box",
    )

    class_loss: Any = parameter(convert=any_loss, domain=A_LOSS)
    box_loss: Any = parameter(convert=any_loss, domain=A_LOSS)
    objectness_loss: Any = parameter(default=None, convert=any_loss, domain=A_LOSS, optional=True)
    weights: Any = weights_parameter()

    def validate(self) -> None:
        self.weights = self._weights_by_name()
        has_objectness = self.objectness_loss is not None
        kinds = {"class": _ClassTerm, "box": _BoxTerm, "objectness": _ObjectnessTerm}
        self._losses_of_terms = {
            name: kinds[name](loss, has_objectness, self.dtype) for name, loss in self.losses.items()
        }

    @property
    def losses(self) -> Mapping[str, Any]:
        losses = {"class": self.class_loss, "box": self.box_loss, "objectness": self.objectness_loss}
        return {name: loss for name, loss in losses.items() if loss is not None}

    def _terms(self) -> Mapping[str, Loss]:
        return self._losses_of_terms

    def of_boxes(self, y_true: Tensor, y_pred: Tensor, weights: Tensor) -> Tensor:
        """Return the weighted sum of the terms for each box, without a mean over objects."""
        of = Detections.of(y_true, y_pred, self.objectness_loss is not None)
        factors = self._term_weights()
        first, *others = (
            factors[name] * term.of_boxes(of, weights) for name, term in self._losses_of_terms.items()
        )
        return sum(others, first)
