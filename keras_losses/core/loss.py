"""The base classes of losses: `Loss`, and two that average the values of elements or targets."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import keras
import numpy as np
from keras import ops

from keras_losses import config, keras_private, numerics
from keras_losses.core.arithmetic import Arithmetic
from keras_losses.core.card import Card
from keras_losses.core.labels import Labels, Predictions
from keras_losses.core.live import LiveValues
from keras_losses.core.parameters import Parameter, parameter
from keras_losses.core.reduction import (
    REDUCTIONS,
    Samples,
    blanked,
    pixel_weights,
    pooled_weights,
    prepare,
    reduce,
)
from keras_losses.core.saving import registered
from keras_losses.core.shapes import check_is_dense, check_packed, packed, parts_of, same_shape
from keras_losses.numerics import Tensor


def _dtype(value: Any) -> Any:
    """Return the name of a floating-point dtype."""
    if value is None:
        return None
    policy = keras.dtype_policies.get(value)
    if not keras.backend.is_float_dtype(policy.compute_dtype):
        raise ValueError("a loss needs a floating-point dtype")
    return policy.name


def _scope(name: str | None) -> str:
    """Return the name with the characters that `keras.name_scope` and TensorFlow accept."""
    return re.sub(r"[^A-Za-z0-9.]", "_", name or "").lstrip("_") or "loss"


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _name(value: Any) -> str:
    """Return a checked name."""
    if not isinstance(value, str):
        raise TypeError(f"it is of type {type(value).__name__}")
    if not value:
        raise ValueError
    return value


COMMON = {
    "name": Parameter(None, convert=_name, stated_domain="a non-empty string", optional=True, kw_only=True),
    "reduction": Parameter("sum_over_batch_size", choices=REDUCTIONS, optional=True, kw_only=True),
    "dtype": Parameter(
        None,
        convert=_dtype,
        stated_domain="the name of a dtype or a keras.DTypePolicy",
        optional=True,
        kw_only=True,
    ),
}


class Loss(Arithmetic, LiveValues, keras.losses.Loss):  # type: ignore[misc]
    """Base of all losses, with declared hyper-parameters, checks of labels, masks, weights and the reduction.

    A subclass declares its hyper-parameters in its body and defines its formula in `call`:

    >>> import numpy as np
    >>> from keras import ops
    >>> from keras_losses.core import Loss, parameter
    >>> class CubicLoss(Loss):
    ...     scale: float = parameter(default=1.0, within="(0, inf)")
    ...
    ...     def call(self, y_true, y_pred):
    ...         return ops.mean(ops.abs(y_pred - y_true) ** 3, axis=-1) / self.scale
    >>> float(CubicLoss(scale=2.0)(np.array([[1.0, 2.0]]), np.array([[3.0, 2.0]])))  # (2^3 + 0) / 2 / 2
    2.0
    >>> CubicLoss(scale=-1.0)
    Traceback (most recent call last):
    ValueError: `CubicLoss`: `scale` must be a number in (0, inf). Received: scale=-1.0

    `call(y_true, y_pred)` returns one value for each sample `(batch, ...)`, never a scalar for the batch. Its
    arguments are tensors of one shape in the compute dtype, which is float32 or wider. Samples that are
    masked or have weight 0 hold zeros. Weights, masks and the reduction are applied to the returned values.
    As in Keras, the mean counts samples of weight 0, which add 0. It does not count masked or ignored
    samples.

    Args:
        name: name of the instance; by default the class's name in snake case.
        reduction: as in Keras, `"sum_over_batch_size"`, `"sum"`, `"mean"`, `"mean_with_sample_weight"`,
            `"none"` or None.
        dtype: dtype of the computation and the result; the default is `keras.config.floatx()`. For half
            precision both are float32.

    Raises:
        TypeError, ValueError: for a hyper-parameter outside its domain, shapes that do not match, and in
            eager mode for labels or predictions outside the loss's domain.
    """

    card: ClassVar[Card | None] = None
    _skipped_at_weight_zero: ClassVar[bool] = False
    """Whether a sum of losses leaves out the computation of this term if its weight is the number 0."""
    _calls_host: ClassVar[bool] = False
    """Whether compiled steps call NumPy, so that XLA cannot compile them on TensorFlow."""
    _common: ClassVar[Mapping[str, Parameter]] = COMMON

    if TYPE_CHECKING:
        name: str | None = parameter(default=None, kw_only=True)
        reduction: str | None = parameter(default="sum_over_batch_size", kw_only=True)
        dtype: Any = parameter(default=None, kw_only=True)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        registered(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        values = self._checked(args, kwargs)
        common = {name: values.pop(name) for name in COMMON}
        keras.losses.Loss.__init__(
            self,
            name=common["name"] or _snake_case(type(self).__name__),
            reduction=common["reduction"],
            dtype=common["dtype"],
        )
        for name, value in values.items():
            setattr(self, name, value)
        self.validate()

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        inputs = {"y_true": y_true, "y_pred": y_pred, "sample_weight": sample_weight}
        for name, x in inputs.items():
            check_is_dense(type(self).__name__, name, x)
        return self._reduced(y_true, y_pred, sample_weight, self.reduction)

    def _reduced(self, y_true: Any, y_pred: Any, sample_weight: Any, reduction: str | None) -> Tensor:
        """Return the loss under a reduction, which may differ from `self.reduction`."""
        self._check_learned()
        with keras.name_scope(_scope(self.name)):
            values, samples, terms = self._unreduced(y_true, y_pred, sample_weight)
            return reduce(values, samples, reduction, terms)

    def _unreduced(
        self, y_true: Any, y_pred: Any, sample_weight: Any
    ) -> tuple[Tensor, Samples, Tensor | None]:
        """Return the values, the samples with the axes of the values, and the number of terms per sample."""
        owner = type(self).__name__
        true, pred, samples = self._prepared(y_true, y_pred, sample_weight)
        outputs = pred.values if isinstance(pred, Predictions) else pred
        if samples.wanted is not None:
            true, pred = blanked(true, samples.wanted), blanked(pred, samples.wanted)
        if self.pools_pixels:
            true = replace(true, weights=pixel_weights(outputs[..., 0], samples, self.pools_batch))
            samples = samples.of_images()
        elif self.pools_batch and isinstance(true, Labels):
            true = replace(true, weights=pooled_weights(outputs[..., 0], samples))
        values = self.convert(self.call(true, pred))
        if len(values.shape) == 0:
            raise ValueError(
                f"`{owner}`: call() must return one value for each sample. Received: a scalar, which weights "
                "and tf.distribute cannot scale. Take the mean over the last axis alone."
            )
        return values, samples.with_axes_of(values, owner), self._terms_per_sample(true, pred)

    def _prepared(self, y_true: Any, y_pred: Any, sample_weight: Any) -> tuple[Any, Any, Samples]:
        """Return aligned labels and predictions whose values are checked or marked, and the samples."""
        mask, owner = keras_private.mask_of(y_pred), type(self).__name__
        true, pred = self.align(y_true, y_pred)
        outputs = pred.values if isinstance(pred, Predictions) else pred
        samples = prepare(owner, true, sample_weight, mask, tuple(outputs.shape[:-1]), self.compute_dtype)
        eager = numerics.is_concrete(outputs) and not keras_private.in_stateless_scope()
        if eager and config.values_are_validated():
            self.check(true, pred, None if samples.wanted is None else numerics.to_numpy(samples.wanted))
        else:
            true, pred = self.mark_invalid(true, pred)
        return true, pred, samples

    def _check_batch(self, y_true: Any, y_pred: Any, sample_weight: Any) -> None:
        """Raise the errors of a call on concrete data, without computing the loss."""
        self._prepared(y_true, y_pred, sample_weight)

    @property
    def pools_batch(self) -> bool:
        """Whether the value of a sample depends on the other samples of its batch.

        The `weights` of the `Labels` of such a loss are set: the weight of each sample, 0 for those that do
        not count.
        """
        return False

    @property
    def pools_pixels(self) -> bool:
        """Whether a sample is an image `(batch, ...)` with one value, which all of its pixels determine.

        The `weights` of the `Labels` of such a loss are the weights of pixels: 0 for those that do not count,
        None if every weight is 1. Weights `(batch,)` are the weights of images, which multiply the values.
        """
        return False

    def _terms_per_sample(self, y_true: Any, y_pred: Any) -> Tensor | None:
        """Return the number of terms summed into each sample's value, or None if it is always 1.

        Means divide by the sum of these numbers. A sample of weight 0 counts as one term, because its label
        was blanked.
        """
        return None

    def align(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        """Return both in the compute dtype and in one shape. Aligned arguments are returned unchanged."""
        y_pred = self.convert(y_pred)
        return same_shape(type(self).__name__, self.convert(y_true), y_pred)

    def check(self, y_true: Any, y_pred: Any, wanted: np.ndarray | None) -> None:
        """Raise `ValueError` for wanted samples outside the loss's domain. Called in eager mode only."""

    def mark_invalid(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        """Return both with NaN in place of values outside the loss's domain. Called if `check` is not.

        The marks must not take another pass over memory: they are elementwise operations, which compilers
        fuse with the formula.
        """
        return y_true, y_pred

    @property
    def compute_dtype(self) -> str:
        """Dtype of the computation: that of the loss, or float32 if it is narrower."""
        return numerics.compute_dtype(self.dtype)

    def convert(self, x: Any) -> Tensor:
        """Return a tensor in the compute dtype."""
        return ops.convert_to_tensor(x, dtype=self.compute_dtype)

    def _beside(self, vector: np.ndarray, *factors: Any) -> Any:
        """Keep `vector` in float64 NumPy if all `factors` are numbers; otherwise convert it to a tensor."""
        return vector if all(map(numerics.is_number, factors)) else self.convert(vector)

    def _convert_labels(self, y_true: Any) -> Tensor:
        """Return a tensor of labels: floats in the compute dtype, integers unchanged."""
        y_true = ops.convert_to_tensor(y_true)
        return ops.cast(y_true, self.compute_dtype) if numerics.is_float(y_true) else y_true

    def predictions(self, y_pred: Any, from_logits: bool, activation: str) -> Predictions:
        """Return the predictions, with their logits if those are known.

        Args:
            y_pred: the predictions.
            from_logits: whether they should be logits. If Keras keeps the logits of an activation beside
                them, they are replaced by these logits with a warning, as in Keras.
            activation: the activation of the probabilities, `"softmax"` or `"sigmoid"`.
        """
        y_pred = ops.convert_to_tensor(y_pred)
        if from_logits:
            y_pred = logits = self._logits_of(y_pred)
        else:
            logits = numerics.kept_logits(y_pred, activation)
        dtype = keras.backend.standardize_dtype(y_pred.dtype)
        dtype = dtype if numerics.is_float(y_pred) else self.compute_dtype
        return Predictions(y_pred, logits, dtype).map(self.convert)

    def _logits_of(self, y_pred: Tensor) -> Tensor:
        """Return predictions that should be logits; warn if they are the output of an activation."""
        kept = keras_private.logits_beside(y_pred)
        if kept is None:
            return y_pred
        warnings.warn(
            f"`{type(self).__name__}`: `y_pred` must be logits with from_logits=True. Received: the output "
            "of a softmax or sigmoid, whose logits are used. Remove the activation from the model, or pass "
            "from_logits=False.",
            stacklevel=2,
        )
        return kept

    def _apply_to_predictions(self, y_pred: Any, function: Callable[[Tensor], Any]) -> Any:
        """Return `function(y_pred)`, as tensors if `y_pred` is one, else as NumPy arrays.

        The function returns a tensor, a tuple of tensors, or a dict of tensors.
        """
        result = function(self.convert(y_pred))
        if ops.is_tensor(y_pred):
            return result
        if isinstance(result, dict):
            return {name: ops.convert_to_numpy(x) for name, x in result.items()}
        if isinstance(result, tuple):
            return tuple(ops.convert_to_numpy(x) for x in result)
        return ops.convert_to_numpy(result)


class ElementwiseLoss(Loss):
    """Base of the losses that compare each prediction with its target and average over the last axis.

    A subclass defines `elementwise(y_true, y_pred)`, which returns the value of each element.
    """

    def elementwise(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        raise NotImplementedError

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        y_true, y_pred = self.align(y_true, y_pred)
        return numerics.mean(self.elementwise(y_true, y_pred))


class PackedLoss(Loss):
    """Base of the losses whose predictions hold several numbers for each target, packed in the last axis.

    A subclass defines `parts`, the number of numbers for each target, and `per_target(y_true, numbers)`,
    which returns the value of each target `(..., targets)`. The value of a sample is their mean. With several
    targets `y_pred` is `(..., parts * targets)`: the first number of every target, then the second of every
    target.
    """

    @property
    def parts(self) -> int:
        raise NotImplementedError

    def per_target(self, y_true: Tensor, numbers: list[Tensor]) -> Tensor:
        raise NotImplementedError

    def unpacked(self, y_pred: Tensor) -> list[Tensor]:
        """Return the numbers of each target, as `parts` tensors `(..., targets)`."""
        check_packed(type(self).__name__, y_pred, self.parts)
        return parts_of(y_pred, self.parts)

    def align(self, y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
        owner = type(self).__name__
        return packed(owner, self.convert(y_true), self.convert(y_pred), self.parts)

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        y_true, y_pred = self.align(y_true, y_pred)
        return numerics.mean(self.per_target(y_true, parts_of(y_pred, self.parts)))
