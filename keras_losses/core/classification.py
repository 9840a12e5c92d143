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
    """Base of the losses over classes, for every encoding of the labels.

    A subclass defines `per_sample(labels, predictions)`. It returns a value for each sample `(...)`. If each
    output has a 0/1 label, it returns a value for each output `(..., C)`; the base takes the mean.

    Args:
        class_weight: a weight for each class, as a sequence or `{class: weight}`, which multiplies the losses
            of its samples. A soft label has the mean weight under the label. With one output: the weights of
            the labels 0 and 1. With `multi_label`: a weight for each output.
        ignore_class: the label of samples (for 0/1 labels: of outputs) that are left out.
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
        takes_multi_label = "multi_label" in self.hyperparameters
        check_labels(type(self).__name__, wanted_values(y_true.received, wanted), y_true, takes_multi_label)

    def mark_invalid(self, y_true: Labels, y_pred: Predictions) -> tuple[Labels, Predictions]:
        return y_true.with_marks(), y_pred

    def _class_vector(self, name: str, classes: int) -> Tensor:
        """Return the hyper-parameter `name`, which has a number for each class, as a vector."""
        owner = type(self).__name__
        return self.convert(weight_vector(owner, name, getattr(self, name), classes))

    def _predictions(self, y_pred: Any, multi_class: bool) -> Predictions:
        y_pred = self.convert(y_pred)  # scores, of any activation
        return Predictions(y_pred, y_pred, self.compute_dtype)

    def _floats(self, truth: Labels) -> Labels:
        return truth if truth.encoding == "sparse" else truth.map(self.convert)

    def _class_weights(self, truth: Labels) -> Tensor:
        """Return the weight of each sample's class, or of each output."""
        one_output = truth.encoding == "binary" and truth.classes == 1
        count = 2 if one_output else truth.classes
        weights = self._class_vector("class_weight", count)
        if truth.encoding == "sparse":
            return numerics.take_of_classes(truth.values, weights)
        if truth.encoding == "dense":
            return ops.sum(truth.values * weights, axis=-1)
        return truth.values * weights[1] + (1.0 - truth.values) * weights[0] if one_output else weights


class ClassProbabilityLoss(ClassificationLoss):
    """Base of the losses of probabilities, of classes that exclude one another or of each output alone.

    With one output, or with `multi_label`, each output is a separate probability with a 0/1 label.

    Args:
        from_logits: whether `y_pred` are logits. Probabilities of a softmax or sigmoid layer give the same
            values if Keras keeps the logits beside them: on TensorFlow and PyTorch, and on JAX outside of
            jit.
        multi_label: whether several classes may be true at once: sigmoid outputs, 0/1 labels.
    """

    from_logits: bool = flag(default=False, kw_only=True)
    multi_label: bool = flag(default=False, kw_only=True)

    def align(self, y_true: Any, y_pred: Any) -> tuple[Labels, Predictions]:
        if isinstance(y_true, Labels):
            return y_true, y_pred
        owner = type(self).__name__
        shape = static_shape(owner, "y_pred", ops.convert_to_tensor(y_pred))
        if self._are_exclusive(shape):
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

    def check(self, y_true: Labels, y_pred: Predictions, wanted: np.ndarray | None) -> None:
        super().check(y_true, y_pred, wanted)
        self._check_predictions(y_true, y_pred, wanted)

    def _check_predictions(self, y_true: Labels, y_pred: Predictions, wanted: np.ndarray | None) -> None:
        """Raise `ValueError` for wanted predictions that are no probabilities, unless they are logits."""
        if self.from_logits:
            return
        owner, values = type(self).__name__, wanted_values(y_pred.values, wanted)
        check_probabilities(owner, values, y_pred.dtype)
        if y_true.encoding != "binary":
            if "multi_label" in self.hyperparameters:
                advice = "For sigmoid outputs, pass multi_label=True; for logits, from_logits=True."
            else:
                advice = "For logits, pass from_logits=True."
            check_distribution(owner, "y_pred", values, advice)

    def mark_invalid(self, y_true: Labels, y_pred: Predictions) -> tuple[Labels, Predictions]:
        y_true, y_pred = super().mark_invalid(y_true, y_pred)
        return y_true, y_pred if self.from_logits else y_pred.with_marks()

    def _predictions(self, y_pred: Any, multi_class: bool) -> Predictions:
        return self.predictions(y_pred, self.from_logits, "softmax" if multi_class else "sigmoid")

    def _are_exclusive(self, shape: Shape) -> bool:
        """Return whether predictions of this shape have an axis of classes that exclude one another."""
        return not self.multi_label and len(shape) > 1 and shape[self._axis_of(shape)] != 1

    def _axis_of(self, shape: Shape) -> int:
        return self.axis if -len(shape) <= self.axis < len(shape) else -1


class CrossentropyFamily(ClassProbabilityLoss):
    """Base of the losses that depend on the probability p_t of a sample's true class alone.

    A subclass defines `term(crossentropy)`: the value as a function of -log p_t (`crossentropy.value`) and
    1 - p_t (`crossentropy.complement`). The default is the cross-entropy. The value of a soft label is the
    mean of `term` over the classes, weighted by the label. Label smoothing mixes the uniform label into the
    labels. A loss that compares classes with each other overrides `id_terms`, and `class_terms` or
    `_expected_term`. With one output, or with `multi_label`, each output is a separate probability, and the
    value of a sample is the mean over its outputs.

    A class with a logit of -inf is masked: its probability is 0, and its label must be 0. It adds nothing to
    the value or to the gradient, and label smoothing leaves it out.

    Args:
        label_smoothing: the weight in [0, 1] of the uniform label over the classes that are not masked.
    """

    label_smoothing: float = parameter(default=0.0, within="[0, 1]", live=True, kw_only=True)

    def term(self, crossentropy: Crossentropy) -> Tensor:
        """Return the value of a label as a function of -log p_t and 1 - p_t."""
        return crossentropy.value

    def adjusted(self, predictions: Predictions, of_outputs: bool) -> Predictions:
        """Return the predictions of the formula. A loss that shifts or scales the logits overrides this."""
        return predictions

    def id_terms(self, predictions: Predictions, ids: Tensor) -> Tensor:
        """Return the value of each sample `(...)` if its label is the class in `ids`."""
        return self.term(predictions.of_class(ids))

    def class_terms(self, predictions: Predictions) -> Tensor:
        """Return the value of each sample for each class as its label, `(..., C)`."""
        return self.term(predictions.of_every_class())

    def _expected_term(self, y: Tensor, predictions: Predictions) -> Tensor:
        """Return sum_j y_j v_j, where v_j are the `class_terms` `(..., C)`."""
        family = CrossentropyFamily
        if type(self).term is family.term and type(self).class_terms is family.class_terms:
            return predictions.expected(y)  # the cross-entropy itself
        return ops.sum(y * self.class_terms(predictions), axis=-1)

    def output_terms(self, predictions: Predictions) -> tuple[Tensor, Tensor]:
        """Return the values of the labels 1 and 0, for outputs that are separate probabilities."""
        one, zero = predictions.of_outputs()
        return self.term(one), self.term(zero)

    def _label_weights(self, classes: int) -> Tensor | None:
        """Return the factor of each class's term, as a vector or a scalar; None if there is none."""
        return None

    def _output_weights(self, outputs: int) -> tuple[Any, Any] | None:
        """Return the factors of the terms of the labels 0 and 1; None if there are none."""
        return None

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
        y, logits = truth.values, predictions.logits
        if not numerics.is_number(self.label_smoothing, 0.0):
            smoothed = y * (1.0 - self.label_smoothing) + 0.5 * self.label_smoothing
            y = smoothed if logits is None else ops.where(numerics.is_unmasked(logits), smoothed, y)
        return y * positive + (1.0 - y) * negative

    def _of_ids(self, truth: Labels, predictions: Predictions) -> Tensor:
        values = self.id_terms(predictions, truth.values)
        weights = self._label_weights(truth.classes)
        return values if weights is None else values * numerics.take_of_classes(truth.values, weights)

    def _of_distributions(self, truth: Labels, predictions: Predictions) -> Tensor:
        y = one_hot(truth, self.compute_dtype)
        if not numerics.is_number(self.label_smoothing, 0.0):
            y = y * (1.0 - self.label_smoothing) + self.label_smoothing * self._uniform(truth, predictions)
        weights = self._label_weights(truth.classes)
        if weights is not None:
            y = y * weights
        return self._expected_term(y, predictions)

    def _uniform(self, truth: Labels, predictions: Predictions) -> Tensor | float:
        """Return the uniform label, over all classes that are not masked."""
        return 1.0 / truth.classes if predictions.logits is None else numerics.uniform(predictions.logits)
