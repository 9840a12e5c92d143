"""The encodings of `y_true` and the forms of `y_pred`.

Shapes and dtypes decide which encoding the labels have, when a function is traced: integer class ids `(...)`
or `(..., 1)`, one-hot or soft labels `(..., C)`, or 0/1 labels, one for each output. Integer ids are never
cast to floats.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import keras
from keras import ops

from keras_losses import numerics
from keras_losses.core.shapes import Shape, agree, parts_of, pinned, pinned_to, static_shape
from keras_losses.core.validity import between, fuses_elementwise, nan_outside, nan_unless
from keras_losses.numerics import Crossentropy, Tensor


@dataclass(frozen=True)
class Labels:
    """Class labels in one of three encodings.

    The encodings are `"sparse"`: ids `(...)`; `"dense"`: a distribution over the classes `(..., C)`; and
    `"binary"`: a 0/1 label for each output `(..., C)`.
    """

    values: Tensor
    encoding: str
    """One of the encodings above. A loss of Keras inside a sum has `"given"`, and reads its labels itself."""
    classes: int
    received: Tensor
    """The labels before they were converted to integers."""
    known: Tensor | None = None
    """False for ignored labels, of samples or (with `"binary"`) of outputs; None if no label is ignored."""
    weights: Tensor | None = None
    """The weights of samples or pixels `(...)`, for a loss that pools its batch or the pixels of an image."""

    def map(self, function: Callable[[Tensor], Tensor]) -> Labels:
        return replace(self, values=function(self.values))

    def with_marks(self) -> Labels:
        """Return the labels with NaN in place of invalid ones, or -1 for ids that are not integers.

        Ids outside of the classes need no mark, since every loss returns NaN for them. Rows that do not add
        up to 1 get no mark, since their sums would take another pass over memory.
        """
        if self.encoding in ("dense", "binary"):
            return self.map(lambda y: nan_outside(y, 0.0, 1.0))
        if self.encoding == "sparse" and numerics.is_float(self.received):
            is_valid = ops.equal(self.received, ops.floor(self.received))
            if self.known is not None:
                is_valid = ops.logical_or(is_valid, ops.logical_not(self.known))
            return self.map(lambda ids: ops.where(is_valid, ids, ops.full_like(ids, -1)))
        return self


@dataclass(frozen=True)
class Predictions:
    """Predictions, with their logits if they are known. The classes are the last axis."""

    values: Tensor
    logits: Tensor | None
    dtype: str
    """The dtype of the received predictions, before half precision was widened to float32."""
    has_marks: bool = False
    """Whether cross-entropies of probabilities outside [0, 1] are NaN; otherwise they have been checked."""

    def map(self, function: Callable[[Tensor], Tensor]) -> Predictions:
        values = function(self.values)
        if self.logits is None or self.logits is self.values:
            return replace(self, values=values, logits=None if self.logits is None else values)
        return replace(self, values=values, logits=function(self.logits))

    def with_marks(self) -> Predictions:
        """Return predictions whose cross-entropies are NaN for probabilities outside [0, 1].

        Rows that do not add up to 1 are not noticed: their sums would take another pass over memory.
        """
        return replace(self, has_marks=self.logits is None)

    @property
    def marked_values(self) -> Tensor:
        """The values, with NaN for invalid probabilities if the predictions have marks."""
        return self._marked(self.values)

    def _marked(self, p: Tensor, *, is_small: bool = False) -> Tensor:
        """Return probabilities, with NaN for invalid ones unless that takes another pass over memory."""
        if not self.has_marks or not (is_small or fuses_elementwise(p)):
            return p
        slack = 4 * float(numerics.GAP_BELOW_ONE[self.dtype])
        return nan_unless(between(p, -slack, 1 + slack), p)

    def parts(self, count: int) -> list[Predictions]:
        """Return the predictions that lie one after another in the last axis."""
        return [self.map(lambda x, index=index: parts_of(x, count)[index]) for index in range(count)]  # type: ignore[misc]

    def as_logits(self, of_outputs: bool, factor: float | Tensor = 1.0) -> Tensor:
        """Return the logits, computed from the probabilities if they are not known.

        Args:
            of_outputs: True for outputs that are separate probabilities, False for exclusive classes.
            factor: the factor by which the caller multiplies the logits. Their gradient in the probabilities
                is bounded so that it stays finite after this multiplication.
        """
        if self.logits is not None:
            return self.logits
        p = self.marked_values
        minus_log = numerics.negative_log(p, self.dtype, factor)
        if of_outputs:
            return numerics.negative_log_complement(p, self.dtype, factor) - minus_log
        return -minus_log

    def of_class(self, ids: Tensor) -> Crossentropy:
        """Return -log p_t and 1 - p_t, where t is each sample's class in `ids`, for exclusive classes."""
        if self.logits is not None:
            return numerics.sparse_crossentropy(ids, self.logits)
        p_t = self._marked(numerics.take_class(ids, self.values), is_small=True)
        return numerics.crossentropy_of_probability(p_t, self.dtype)

    def of_every_class(self) -> Crossentropy:
        """Return -log p_j and 1 - p_j of every class j, for exclusive classes."""
        if self.logits is not None:
            return numerics.dense_crossentropy(self.logits)
        return numerics.crossentropy_of_probability(self.marked_values, self.dtype)

    def expected(self, y: Tensor) -> Tensor:
        """Return -sum_j y_j log p_j."""
        if self.logits is not None:
            return numerics.expected_crossentropy(y, self.logits)
        return ops.sum(y * self.of_every_class().value, axis=-1)

    def of_outputs(self) -> tuple[Crossentropy, Crossentropy]:
        """Return the cross-entropies of the labels 1 and 0, for outputs that are separate probabilities."""
        if self.logits is not None:
            return numerics.binary_crossentropy(self.logits)
        p = self.marked_values
        one = numerics.crossentropy_of_probability(p, self.dtype)
        zero = numerics.negative_log_complement(p, self.dtype)
        return one, Crossentropy(zero, lambda: p)

    def entropy_of_classes(self) -> Tensor:
        """Return the entropy of the distribution over exclusive classes, `(...)`."""
        if self.logits is not None:
            return numerics.entropy(self.logits)
        return ops.sum(self.values * self.of_every_class().value, axis=-1)

    def entropy_of_outputs(self) -> Tensor:
        """Return the entropy of each output, for outputs that are separate probabilities, `(..., C)`."""
        one, zero = self.of_outputs()
        return zero.complement * one.value + one.complement * zero.value


def classes_last(owner: str, y_true: Tensor, y_pred: Predictions, axis: int) -> tuple[Tensor, Predictions]:
    """Return both with the class axis at the end. Labels without a class axis are not changed."""
    true, pred = static_shape(owner, "y_true", y_true), static_shape(owner, "y_pred", y_pred.values)
    if axis in (-1, len(pred) - 1):
        return y_true, y_pred
    if not -len(pred) < axis < len(pred) or axis == 0:
        raise ValueError(
            f"`{owner}`: `axis` must name an axis of the predictions other than the batch axis. Received: "
            f"axis={axis} and y_pred of shape {pred}. The default, axis=-1, is the last axis."
        )
    if len(true) == len(pred):
        y_true = ops.moveaxis(y_true, axis, -1)
    return y_true, y_pred.map(lambda x: ops.moveaxis(x, axis, -1))


def class_labels(
    owner: str, y_true: Tensor, y_pred: Tensor, ignore_class: int | None, classes: int | None = None
) -> Labels:
    """Return the labels of predictions `(..., C)` over C exclusive classes: sparse or dense.

    `classes` is the number of classes if it is not the number of outputs.
    """
    true, pred = static_shape(owner, "y_true", y_true), static_shape(owner, "y_pred", y_pred)
    classes = pred[-1] if classes is None else classes
    hot = (*pred[:-1], classes)
    if classes is None or (len(true) == len(pred) and true[-1] is None):
        raise ValueError(
            f"`{owner}`: the last axis must be known while the graph is traced, to tell class ids from "
            f"one-hot labels. Received: y_true of shape {true}, y_pred of shape {pred}. Set it in the "
            "input pipeline, for instance with tf.ensure_shape."
        )
    if len(pred) < 2 or classes < 2:
        raise ValueError(
            f"`{owner}`: `y_pred` must have a class axis of length 2 or more. Received: y_pred of shape "
            f"{pred}. Give the model an output for each class."
        )
    if agree(true, (*pred[:-1], 1)):
        y_true, true = ops.squeeze(y_true, -1), true[:-1]
    if agree(true, pred[:-1]):
        y_true = pinned(y_true, y_pred, len(pred) - 1)
        ids = _as_ids(y_true)
        if ignore_class is None:
            return Labels(ids, "sparse", classes, y_true)
        known = ops.not_equal(ids, ignore_class)
        return Labels(ops.where(known, ids, ops.zeros_like(ids)), "sparse", classes, y_true, known)
    if agree(true, hot):
        y_true, known = pinned_to(y_true, y_pred, classes), None
        if ignore_class is not None and 0 <= ignore_class < classes:
            known = ops.not_equal(ops.argmax(y_true, axis=-1), ignore_class)
        return Labels(y_true, "dense", classes, y_true, known)
    raise ValueError(
        f"`{owner}`: `y_true` must hold class ids of shape {pred[:-1]} or {(*pred[:-1], 1)}, or one-hot or "
        f"soft labels of shape {hot}. Received: y_true of shape {true}, y_pred of shape {pred}. "
        f"{_likely_class_mistake(true, hot)}"
    )


def _likely_class_mistake(true: Shape, pred: Shape) -> str:
    if len(true) == len(pred):
        return f"The model has {pred[-1]} classes; its last layer should have {true[-1]}."
    if len(true) > len(pred):
        return "If the classes are not the last axis of the predictions, pass their axis as axis=."
    return "The predictions have more axes than labels can have. Is a pooling or Flatten layer missing?"


def output_labels(owner: str, y_true: Tensor, y_pred: Tensor, ignore_class: int | None) -> Labels:
    """Return the 0/1 labels of predictions `(..., C)`, one for each output."""
    true, pred = static_shape(owner, "y_true", y_true), static_shape(owner, "y_pred", y_pred)
    if agree((*true, 1), pred):
        y_true = ops.expand_dims(y_true, -1)
    elif not agree(true, pred):
        raise ValueError(
            f"`{owner}`: `y_true` must hold a label for each output. Received: y_true of shape {true}, "
            f"y_pred of shape {pred}. For classes that exclude one another, give the model an output for "
            "each class and leave multi_label=False."
        )
    y_true, known = pinned(y_true, y_pred, len(pred)), None
    if ignore_class is not None:
        # Compared as int32 or wider: in bool, -1 would be True, and in int8, 255 would be -1.
        comparable = y_true if numerics.is_float(y_true) else _as_ids(y_true)
        known = ops.not_equal(comparable, ops.cast(ignore_class, comparable.dtype))
        y_true = ops.where(known, y_true, ops.zeros_like(y_true))
    return Labels(y_true, "binary", pred[-1] or 0, y_true, known)


def distributions(owner: str, y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Return the targets; raise `ValueError` if they do not have the shape of the predictions, `(..., C)`."""
    true, pred = static_shape(owner, "y_true", y_true), static_shape(owner, "y_pred", y_pred)
    if len(pred) < 2 or pred[-1] == 1 or not agree(true, pred):
        raise ValueError(
            f"`{owner}`: `y_true` and `y_pred` must hold distributions of one shape (..., C) with C > 1. "
            f"Received: y_true of shape {true}, y_pred of shape {pred}. For class ids, use CrossentropyLoss."
        )
    return pinned(y_true, y_pred, len(pred))


def mean_of_known(values: Tensor, known: Tensor | None) -> Tensor:
    """Return the mean over the outputs whose label is known; 0 if no label is."""
    if known is None:
        return numerics.mean(values)
    count = ops.sum(ops.cast(known, values.dtype), axis=-1)
    return numerics.divide_no_nan(ops.sum(ops.where(known, values, ops.zeros_like(values)), axis=-1), count)


def one_hot(labels: Labels, dtype: str) -> Tensor:
    """Return labels of exclusive classes as distributions `(..., C)`."""
    if labels.encoding == "sparse":
        return numerics.one_hot(labels.values, labels.classes, dtype)
    return labels.values


def class_ids(labels: Labels) -> Tensor:
    """Return labels of exclusive classes as ids `(...)`."""
    return labels.values if labels.encoding == "sparse" else ops.argmax(labels.values, axis=-1)


def _as_ids(y_true: Tensor) -> Tensor:
    # int8 and unsigned integers cannot hold every id or -1. int64 stays, for ids beyond int32.
    dtype = keras.backend.standardize_dtype(y_true.dtype)
    return y_true if dtype == "int64" else ops.cast(y_true, "int32")
