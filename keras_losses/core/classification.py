"""The base classes of losses over classes, for every encoding of the labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_losses import numerics
from keras_losses.core.checks import (
    CLASS_WEIGHT,
    as_class_weight,
    check_distribution,
    check_labels,
    check_probabilities,
    wanted_values,
    weight_vector,
)
from keras_losses.core.labels import (
    Labels,
    Predictions,
    class_labels,
    classes_last,
    mean_of_known,
    one_hot,
    output_labels,
)
from keras_losses.core.loss import Loss
from keras_losses.core.parameters import flag, parameter
from keras_losses.core.reduction import blanked
from keras_losses.core.shapes import Shape, static_shape
from keras_losses.numerics import Crossentropy, Tensor


class ClassificationLoss(Loss):
    """Base of the losses over classes, whatever the encoding of the labels.

    A subclass states `per_sample(labels, predictions)`: a value for each sample `(...)`, or for each
    output `(..., C)` where the labels are 0/1 labels of outputs, whose mean is then taken.

    Args:
        class_weight: a weight for each class, as a sequence or `{class: weight}`, that multiplies the
            losses of its samples (the expected weight, where labels are soft). With one output: the weights
            of the labels 0 and 1. With `multi_label`: a weight for each output.
        ignore_class: the label of samples (or, for 0/1 labels, of outputs) to leave out altogether.
        axis: the axis of the classes.
    """

    class_weight: Sequence[float] | np.ndarray | Mapping[int, float] | None = parameter(
        default=None,
        convert=as_class_weight,
        domain=CLASS_WEIGHT,
        optional=True,
        kw_only=True,
    )
    ignore_class: int | None = parameter(
        default=None, within="(-inf, inf)", integer=True, optional=True, kw_only=True
    )
    axis: int = parameter(default=-1, within="(-inf, inf)", integer=True, kw_only=True)

    def per_sample(self, labels: Labels, predictions: Predictions) -> Tensor:
        raise NotImplementedError

    def align(self, y_true: Any, y_pred: Any) -> tuple[Labels, Predictions]:
        if isinstance(y_true, Labels):
            return y_true, y_pred
        y_true, y_pred = self._convert_labels(y_true), self._predictions(y_pred, multi_class=True)
        y_true, y_pred = classes_last(type(self).__name__, y_true, y_pred, self.axis)
        return self._floats(self._encoded(y_true, y_pred.values)), y_pred

    def _encoded(self, y_true: Tensor, outputs: Tensor) -> Labels:
        """Return the labels of outputs `(..., C)` in their encoding."""
        return class_labels(type(self).__name__, y_true, outputs, self.ignore_class)

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        truth, predictions = self.align(y_true, y_pred)
        values = self.per_sample(truth, predictions)
        if self.class_weight is not None:
            values = values * self._class_weights(truth)
        if truth.encoding == "binary":
            return mean_of_known(values, truth.known)
        return values if truth.known is None else ops.where(truth.known, values, ops.zeros_like(values))

    def check(self, y_true: Labels, y_pred: Predictions, wanted: np.ndarray | None) -> None:
        check_labels(type(self).__name__, wanted_values(y_true.given, wanted), y_true)

    def _class_vector(self, name: str, classes: int) -> Tensor:
        """The hyper-parameter `name`, a sequence or mapping with a number for each class, as a vector."""
        owner = type(self).__name__
        return self.convert(weight_vector(owner, name, getattr(self, name), classes))

    def _predictions(self, y_pred: Any, multi_class: bool) -> Predictions:
        return self.predictions(y_pred, from_logits=True, activation="softmax")

    def _floats(self, truth: Labels) -> Labels:
        return truth if truth.encoding == "sparse" else truth.map(self.convert)

    def _class_weights(self, truth: Labels) -> Tensor:
        """The weight of each sample's class, or of each output."""
        one_output = truth.encoding == "binary" and truth.classes == 1
        count = 2 if one_output else truth.classes
        weights = self._class_vector("class_weight", count)
        if truth.encoding == "sparse":
            return ops.take(weights, truth.values, axis=0)
        if truth.encoding == "dense":
            return ops.sum(truth.values * weights, axis=-1)
        return truth.values * weights[1] + (1.0 - truth.values) * weights[0] if one_output else weights


class CrossentropyFamily(ClassificationLoss):
    """Base of the losses that see a sample through the probability p_t of its true class alone.

    A subclass states `term(crossentropy)`, its value as a function of -log p_t (`crossentropy.value`) and
    1 - p_t (`crossentropy.complement`); what states none is the cross-entropy. A soft label is the
    expectation of that value over its classes, and label smoothing mixes in the uniform label. A loss that
    compares classes states `id_terms` and `class_terms` or `_expected_term` instead. Where the model has one
    output, or with `multi_label`, each output is a probability of its own, and the mean over the outputs is
    taken.

    Args:
        from_logits: whether `y_pred` are logits. Probabilities of a softmax or sigmoid layer are as good
            where Keras keeps the logits beside them (TensorFlow and PyTorch, and JAX outside of jit).
        multi_label: whether several classes may be true at once: sigmoid outputs, 0/1 labels.
        label_smoothing: the weight in [0, 1] of the uniform label.
    """

    from_logits: bool = flag(default=False, kw_only=True)
    multi_label: bool = flag(default=False, kw_only=True)
    label_smoothing: float = parameter(default=0.0, within="[0, 1]", live=True, kw_only=True)

    def term(self, crossentropy: Crossentropy) -> Tensor:
        """The value of a label as a function of -log p_t and 1 - p_t."""
        return crossentropy.value

    def adjusted(self, predictions: Predictions, of_outputs: bool) -> Predictions:
        """The predictions that the loss sees: with other logits, where it shifts or scales them."""
        return predictions

    def id_terms(self, predictions: Predictions, ids: Tensor) -> Tensor:
        """The value of the classes `ids` as the labels `(...)`."""
        return self.term(predictions.of_class(ids))

    def class_terms(self, predictions: Predictions) -> Tensor:
        """The value of each class as the label `(..., C)`."""
        return self.term(predictions.of_every_class())

    def _expected_term(self, y: Tensor, predictions: Predictions) -> Tensor:
        """The sum of the values of the classes, each times y `(..., C)`."""
        family = CrossentropyFamily
        if type(self).term is family.term and type(self).class_terms is family.class_terms:
            return predictions.expected(y)  # the cross-entropy itself
        return ops.sum(y * self.class_terms(predictions), axis=-1)

    def output_terms(self, predictions: Predictions) -> tuple[Tensor, Tensor]:
        """The values of the labels 1 and 0, where each output is a probability of its own."""
        one, zero = predictions.of_outputs()
        return self.term(one), self.term(zero)

    def _label_weights(self, classes: int) -> Tensor | None:
        """What each class's term is multiplied with, in one vector or scalar, or None."""
        return None

    def _output_weights(self, outputs: int) -> tuple[Any, Any] | None:
        """What the terms of the labels 0 and 1 are multiplied with, or None."""
        return None

    def align(self, y_true: Any, y_pred: Any) -> tuple[Labels, Predictions]:
        if isinstance(y_true, Labels):
            return y_true, y_pred
        owner = type(self).__name__
        shape = static_shape(owner, "y_pred", ops.convert_to_tensor(y_pred))
        if not self.multi_label and len(shape) > 1 and shape[self._axis_of(shape)] != 1:
            return super().align(y_true, y_pred)
        y_true, predictions = self._convert_labels(y_true), self._predictions(y_pred, multi_class=False)
        if len(shape) == 1:
            predictions = predictions.map(lambda x: ops.expand_dims(x, -1))
        else:
            y_true, predictions = classes_last(owner, y_true, predictions, self.axis)
        truth = output_labels(owner, y_true, predictions.values, self.ignore_class)
        truth = self._floats(truth)
        if truth.known is not None:
            predictions = blanked(predictions, truth.known)
        return truth, predictions

    def per_sample(self, labels: Labels, predictions: Predictions) -> Tensor:
        predictions = self.adjusted(predictions, labels.encoding == "binary")
        if labels.encoding == "binary":
            return self._of_outputs(labels, predictions)
        if labels.encoding == "sparse" and numerics.is_number(self.label_smoothing, 0.0):
            return self._of_ids(labels, predictions)
        return self._of_distributions(labels, predictions)

    def _of_outputs(self, truth: Labels, predictions: Predictions) -> Tensor:
        positive, negative = self.output_terms(predictions)
        weights = self._output_weights(truth.classes)
        if weights is not None:
            negative, positive = negative * weights[0], positive * weights[1]
        y = truth.values
        if not numerics.is_number(self.label_smoothing, 0.0):
            y = y * (1.0 - self.label_smoothing) + 0.5 * self.label_smoothing
        return y * positive + (1.0 - y) * negative

    def _of_ids(self, truth: Labels, predictions: Predictions) -> Tensor:
        values = self.id_terms(predictions, truth.values)
        weights = self._label_weights(truth.classes)
        return values if weights is None else values * ops.take(weights, truth.values, axis=0)

    def _of_distributions(self, truth: Labels, predictions: Predictions) -> Tensor:
        y = one_hot(truth, self.compute_dtype)
        if not numerics.is_number(self.label_smoothing, 0.0):
            y = y * (1.0 - self.label_smoothing) + self.label_smoothing / truth.classes
        weights = self._label_weights(truth.classes)
        if weights is not None:
            y = y * weights
        return self._expected_term(y, predictions)

    def check(self, y_true: Labels, y_pred: Predictions, wanted: np.ndarray | None) -> None:
        super().check(y_true, y_pred, wanted)
        if self.from_logits:
            return
        owner, values = type(self).__name__, wanted_values(y_pred.values, wanted)
        check_probabilities(owner, values, y_pred.dtype)
        if y_true.encoding != "binary":
            advice = "For sigmoid outputs, pass multi_label=True; for logits, from_logits=True."
            check_distribution(owner, "y_pred", values, advice)

    def _predictions(self, y_pred: Any, multi_class: bool) -> Predictions:
        return self.predictions(y_pred, self.from_logits, "softmax" if multi_class else "sigmoid")

    def _axis_of(self, shape: Shape) -> int:
        return self.axis if -len(shape) <= self.axis < len(shape) else -1
