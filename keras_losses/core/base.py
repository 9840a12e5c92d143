"""The contract that every loss keeps, once, for everybody.

`Loss` is the contract; `ElementwiseLoss`, `PackedLoss`, `ClassificationLoss` and `CrossentropyFamily` add
what a whole family shares, so that a loss is a formula, its hyper-parameters and a card.
"""

from __future__ import annotations

import importlib
import inspect
import numbers
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import keras
import numpy as np
from keras import ops

# Keras has no public way to read the mask that a layer left on its output (on JAX it is not an attribute of
# the tensor but an entry of a table), nor to tell when it tries a model out on numbers of its own, before
# training on PyTorch. tests/test_private_keras.py fails when these move.
from keras.src.backend import get_keras_mask, in_stateless_scope

from keras_losses import config, numerics
from keras_losses.core import labels
from keras_losses.core.card import Card, Declared, Learned, OfTheClass, Parameter, flag, parameter, signature
from keras_losses.core.labels import Labels, Predictions
from keras_losses.numerics import Crossentropy, Tensor

PACKAGE = "keras_losses"
REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none")


def _dtype(value: Any) -> Any:
    """the name of a dtype or a keras.DTypePolicy"""
    if value is None:
        return None
    policy = keras.dtype_policies.get(value)
    if not keras.backend.is_float_dtype(policy.compute_dtype):
        raise ValueError("it is not a floating-point dtype")
    return policy.name


def _scope(name: str | None) -> str:
    """The name as graphs have it: Keras takes no "/" there, and TensorFlow none but a few characters."""
    return re.sub(r"[^A-Za-z0-9.]", "_", name or "").lstrip("_") or "loss"


def _name(value: Any) -> str:
    """a name that is not empty"""
    if not isinstance(value, str):
        raise TypeError(f"it is of type {type(value).__name__}")
    if not value:
        raise ValueError
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _sum(losses: list[Any], weights: list[float]) -> Any:
    if not all(callable(loss) and not isinstance(loss, type) for loss in losses):
        return NotImplemented
    # The file with the sums imports this one.
    return importlib.import_module("keras_losses.combine.composite").weighted_sum(losses, weights)


COMMON = {
    "name": Parameter(None, convert=_name, optional=True, kw_only=True),
    "reduction": Parameter("sum_over_batch_size", choices=REDUCTIONS, optional=True, kw_only=True),
    "dtype": Parameter(None, convert=_dtype, optional=True, kw_only=True),
}


class Loss(Declared, keras.losses.Loss):  # type: ignore[misc]
    """Base of all losses: hyper-parameters that are declared, checked and saved; exact masks and weights.

    A subclass declares its hyper-parameters in its body and states its formula in `call`:

    >>> import numpy as np
    >>> from keras import ops
    >>> from keras_losses.core.base import Loss
    >>> from keras_losses.core.card import parameter
    >>> class CubicLoss(Loss):
    ...     scale: float = parameter(default=1.0, within="(0, inf)")
    ...
    ...     def call(self, y_true, y_pred):
    ...         return ops.mean(ops.abs(y_pred - y_true) ** 3, axis=-1) / self.scale
    >>> float(CubicLoss(scale=2.0)(np.array([[1.0, 2.0]]), np.array([[3.0, 2.0]])))  # (2^3 + 0) / 2 / 2
    2.0
    >>> CubicLoss(scale=-1.0)
    Traceback (most recent call last):
    ValueError: CubicLoss: `scale` must be a number in (0, inf). Received: scale=-1.0

    `call(y_true, y_pred)` returns one value for each sample `(batch, ...)`, never a batch scalar. It gets
    tensors of one shape in the dtype that is computed in (at least float32), free of the samples whose
    weight is 0 or which are masked; weights, masks and the reduction are applied to what it returns. As in
    Keras, the mean counts a sample of weight 0 (it adds 0), but none that is masked or ignored.

    Args:
        name: the name of the instance; the class's name in snake case by default.
        reduction: Keras's: `"sum_over_batch_size"`, `"sum"`, `"mean"`, `"mean_with_sample_weight"`,
            `"none"` or None.
        dtype: what to compute in; the default is `keras.config.floatx()`. Half precision is computed,
            and returned, in float32.

    Raises:
        TypeError, ValueError: for a hyper-parameter out of its range, shapes that do not match, and in
            eager mode for labels or predictions outside the loss's domain.
    """

    card: ClassVar[Card | None] = None
    hyperparameters: ClassVar[dict[str, Parameter]] = {}
    _needs_model: ClassVar[bool] = False
    """Whether labels and predictions are not enough for it, and the model is asked for more."""

    if TYPE_CHECKING:
        name: str | None = parameter(default=None, kw_only=True)
        reduction: str | None = parameter(default="sum_over_batch_size", kw_only=True)
        dtype: Any = parameter(default=None, kw_only=True)

    # Hyper-parameters --------------------------------------------------------------------------------

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = {name: value for name, value in vars(cls).items() if isinstance(value, Parameter)}
        # A subclass that gives a hyper-parameter a plain value has fixed it.
        inherited = {name: p for name, p in cls.hyperparameters.items() if name not in vars(cls)}
        cls.hyperparameters = {**own, **inherited}
        declared = signature({**cls.hyperparameters, **COMMON})
        written = None
        if "__init__" in vars(cls):
            _, *arguments = inspect.signature(cls.__init__).parameters.values()  # without self
            written = inspect.Signature(arguments)
        cls.__signature__ = OfTheClass(written or declared)  # type: ignore[attr-defined]
        package = PACKAGE if cls.__module__.startswith(f"{PACKAGE}.") else cls.__module__.split(".")[0]
        keras.saving.register_keras_serializable(package)(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        owner = type(self).__name__
        declared = {**self.hyperparameters, **COMMON}
        try:
            bound = signature(declared).bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{owner}: {error}. Its arguments are: {', '.join(declared)}") from None
        bound.apply_defaults()
        given = {name: declared[name].check(owner, name, value) for name, value in bound.arguments.items()}
        common = {name: given.pop(name) for name in COMMON}
        super().__init__(
            name=common["name"] or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", owner).lower(),
            reduction=common["reduction"],
            dtype=common["dtype"],
        )
        for name, value in given.items():
            setattr(self, name, value)
        self.validate()

    def validate(self) -> None:
        """Checks hyper-parameters against each other; raises `ValueError`."""

    def get_config(self) -> dict[str, Any]:
        """Every constructor argument, read off the signature."""
        written = inspect.signature(type(self)).parameters.values()
        names = {p.name: None for p in written if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
        arguments = {
            name: _saved(self._stated(name))
            for name in {**names, **self.hyperparameters}
            if name not in COMMON
        }
        return {**arguments, "name": self.name, "reduction": self.reduction, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        return cls(**{name: _loaded(value) for name, value in config.items()})

    def _stated(self, name: str) -> Any:
        """An argument as it is saved: the number or `Learned`, whatever a model's variable says of it."""
        return vars(self)[name] if name in vars(self) else getattr(self, name)

    # What a model keeps for its loss --------------------------------------------------------------------

    # What the model says of a hyper-parameter now; and, while it computes its loss, what of, for each output
    # that has the loss. Without annotations, which would make them arguments of the constructor.
    _live = cast("Mapping[str, Callable[[], Any]]", {})
    _steps = cast("Sequence[Any]", ())

    @property
    def _learned(self) -> dict[str, Learned]:
        """The hyper-parameters that training finds."""
        found = {name: self._stated(name) for name in self.hyperparameters}
        return {name: value for name, value in found.items() if isinstance(value, Learned)}

    def _shape_of(self, learned: str) -> tuple[int, ...]:
        """How many values a learned hyper-parameter has: one, unless a loss says otherwise."""
        return ()

    @property
    def _inside(self) -> dict[str, Loss]:
        """The losses of this library inside, by what their names begin with."""
        return {}

    def _check_learned(self) -> None:
        missing = [name for name in self._learned if name not in self._live]
        if missing:
            raise ValueError(
                f"{type(self).__name__}: {', '.join(f'`{name}`' for name in missing)} should be learned, and "
                "there is no variable for it that an optimizer could train. Compile a LossAwareModel with "
                "this loss, such as LossAwareModel.from_model(model); in a training loop of your own, make a "
                "LossState(loss) and train its variables as well; or give a number."
            )
        for part in self._inside.values():
            part._check_learned()

    def __repr__(self) -> str:
        defaults = inspect.signature(type(self)).parameters
        changed = (
            f"{name}={self._stated(name)!r}"
            for name in self.hyperparameters
            if name not in defaults or self._stated(name) != defaults[name].default
        )
        return f"{type(self).__name__}({', '.join(changed)})"

    # Sums ---------------------------------------------------------------------------------------------

    __array_ufunc__ = None  # so that NumPy's numbers leave 0.5 * loss to the loss

    def __add__(self, other: Any) -> Any:
        return _sum([self, other], [1.0, 1.0])

    def __radd__(self, other: Any) -> Any:
        # sum() begins with 0.
        return self if type(other) is int and other == 0 else _sum([other, self], [1.0, 1.0])

    def __sub__(self, other: Any) -> Any:
        return _sum([self, other], [1.0, -1.0])

    def __rsub__(self, other: Any) -> Any:
        return _sum([other, self], [1.0, -1.0])

    def __neg__(self) -> Any:
        return _sum([self], [-1.0])

    def __mul__(self, weight: Any) -> Any:
        return _sum([self], [float(weight)]) if _is_number(weight) else NotImplemented

    __rmul__ = __mul__

    def __truediv__(self, number: Any) -> Any:
        return _sum([self], [1.0 / float(number)]) if _is_number(number) else NotImplemented

    # The value ----------------------------------------------------------------------------------------

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        return self._reduced(y_true, y_pred, sample_weight, self.reduction)

    def _reduced(self, y_true: Any, y_pred: Any, sample_weight: Any, reduction: str | None) -> Tensor:
        """The value under a reduction that may be another than the loss's own."""
        self._check_learned()
        mask = get_keras_mask(y_pred)
        with keras.name_scope(_scope(self.name)):
            true, pred = self.align(y_true, y_pred)
            outputs = pred.values if isinstance(pred, Predictions) else pred
            leading = tuple(outputs.shape[:-1])
            counted = _both(self._spread("mask", mask, leading, "bool"), _known(true))
            weight = self._spread("sample_weight", sample_weight, leading, self.compute_dtype)
            wanted = _both(counted, None if weight is None else ops.not_equal(weight, 0))
            eager = numerics.is_concrete(outputs) and not in_stateless_scope()
            if eager and config.values_are_validated():
                self.check(true, pred, None if wanted is None else numerics.to_numpy(wanted))
            if wanted is not None:
                true, pred = _blank(true, wanted), _blank(pred, wanted)
            if self.pools_batch:
                true = replace(true, weights=_pooled(outputs[..., 0], weight, wanted))
            values = self.convert(self.call(true, pred))
            if len(values.shape) == 0:
                raise ValueError(
                    f"{type(self).__name__}: call() must return one value for each sample, not a scalar, "
                    "which neither weights nor tf.distribute could scale. Take the mean over the last axis."
                )
            rank = len(values.shape)
            weight, counted, wanted = (self._of_values(x, rank) for x in (weight, counted, wanted))
            return _reduce(values, weight, counted, wanted, reduction, self._terms_per_sample(true, pred))

    @property
    def pools_batch(self) -> bool:
        """Whether the value of a sample depends on the other samples of its batch.

        Such a loss finds the weights of the samples, 0 for those that do not count, in its `Labels`.
        """
        return False

    def _terms_per_sample(self, y_true: Any, y_pred: Any) -> Tensor | None:
        """Of how many losses each sample's value is the sum, where that differs; the means divide by them.

        A sample of weight 0 has no label any more, and a share of 1.
        """
        return None

    def align(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        """Both in the dtype that is computed in and in one shape; what is aligned stays as it is."""
        y_pred = self.convert(y_pred)
        return labels.same_shape(type(self).__name__, self.convert(y_true), y_pred)

    def check(self, y_true: Any, y_pred: Any, wanted: np.ndarray | None) -> None:
        """Raises `ValueError` for wanted values outside the loss's domain; called in eager mode only."""

    @property
    def compute_dtype(self) -> str:
        """What is computed in: the loss's dtype, at least float32."""
        return numerics.compute_dtype(self.dtype)

    def convert(self, x: Any) -> Tensor:
        """A tensor in the dtype that is computed in."""
        return ops.convert_to_tensor(x, dtype=self.compute_dtype)

    def _beside(self, vector: np.ndarray, *factors: Any) -> Any:
        """A vector that hyper-parameters are about to meet: in float64, unless one of them is a tensor."""
        return vector if all(map(numerics.is_number, factors)) else self.convert(vector)

    def _convert_labels(self, y_true: Any) -> Tensor:
        """A tensor of labels: floats in the dtype that is computed in, integers as they are."""
        y_true = ops.convert_to_tensor(y_true)
        return ops.cast(y_true, self.compute_dtype) if numerics.is_float(y_true) else y_true

    def predictions(self, y_pred: Any, from_logits: bool, activation: str) -> Predictions:
        """The predictions with their logits, be they given or kept by Keras beside an activation."""
        y_pred = ops.convert_to_tensor(y_pred)
        logits = y_pred if from_logits else numerics.kept_logits(y_pred, activation)
        given = keras.backend.standardize_dtype(y_pred.dtype)
        return Predictions(y_pred, logits, given if numerics.is_float(y_pred) else self.compute_dtype).map(
            self.convert
        )

    def _apply_to_predictions(self, y_pred: Any, function: Callable[[Tensor], Any]) -> Any:
        """What `function` reads off predictions, one, several or a dict: tensors of a tensor, else arrays."""
        found = function(self.convert(y_pred))
        if ops.is_tensor(y_pred):
            return found
        if isinstance(found, dict):
            return {name: ops.convert_to_numpy(x) for name, x in found.items()}
        if isinstance(found, tuple):
            return tuple(ops.convert_to_numpy(x) for x in found)
        return ops.convert_to_numpy(found)

    def _of_values(self, x: Tensor | None, rank: int) -> Tensor | None:
        """A weight or mask with the axes of the values, which may be fewer than those of the predictions."""
        if x is None:
            return None
        if len(x.shape) <= rank:
            return labels.like_rank(x, rank)
        more = tuple(range(rank, len(x.shape)))
        if keras.backend.standardize_dtype(x.dtype) == "bool":
            return ops.any(x, axis=more)
        if any(x.shape[axis] != 1 for axis in more):
            raise ValueError(
                f"{type(self).__name__}: `sample_weight` must have one value for each sample: the values of "
                f"this loss have {rank} axes. Received: sample_weight of shape {tuple(x.shape)}."
            )
        for _ in more:
            x = ops.squeeze(x, -1)
        return x

    def _spread(self, name: str, x: Any, leading: labels.Shape, dtype: str) -> Tensor | None:
        if x is None:
            return None
        x = ops.cast(ops.convert_to_tensor(x), dtype)
        return labels.spread(type(self).__name__, name, x, leading)


class ElementwiseLoss(Loss):
    """Base of the losses that compare each prediction with its target: the mean over the last axis.

    A subclass states `elementwise(y_true, y_pred)`, the value of each element.
    """

    def elementwise(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        raise NotImplementedError

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        y_true, y_pred = self.align(y_true, y_pred)
        return numerics.mean(self.elementwise(y_true, y_pred))


class PackedLoss(Loss):
    """Base of the losses whose predictions hold several numbers for each target, packed in the last axis.

    A subclass states `parts`, how many, and `per_target(y_true, numbers)`: the value of each target
    `(..., targets)`, of which the mean is taken. With several targets `y_pred` is `(..., parts * targets)`:
    the first number of every target, then the second of every target ...
    """

    @property
    def parts(self) -> int:
        raise NotImplementedError

    def per_target(self, y_true: Tensor, numbers: list[Tensor]) -> Tensor:
        raise NotImplementedError

    def unpacked(self, y_pred: Tensor) -> list[Tensor]:
        """The numbers of each target, `(..., targets)` each."""
        labels.check_packed(type(self).__name__, y_pred, self.parts)
        return labels.parts_of(y_pred, self.parts)

    def align(self, y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
        owner = type(self).__name__
        return labels.packed(owner, self.convert(y_true), self.convert(y_pred), self.parts)

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        y_true, y_pred = self.align(y_true, y_pred)
        return numerics.mean(self.per_target(y_true, labels.parts_of(y_pred, self.parts)))


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
        convert=labels.class_weight,
        optional=True,
        kw_only=True,
        examples=([0.5, 2.0, 1.0], {1: 3.0}),
        refused=("heavy", [-1.0, 1.0], [], {0: float("nan")}),
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
        owner = type(self).__name__
        y_true, y_pred = self._convert_labels(y_true), self._predictions(y_pred, multi_class=True)
        y_true, y_pred = labels.classes_last(owner, y_true, y_pred, self.axis)
        return self._floats(labels.class_labels(owner, y_true, y_pred.values, self.ignore_class)), y_pred

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        truth, predictions = self.align(y_true, y_pred)
        values = self.per_sample(truth, predictions)
        if self.class_weight is not None:
            values = values * self._class_weights(truth)
        if truth.encoding == "binary":
            return labels.mean_of_known(values, truth.known)
        return values if truth.known is None else ops.where(truth.known, values, ops.zeros_like(values))

    def check(self, y_true: Labels, y_pred: Predictions, wanted: np.ndarray | None) -> None:
        labels.check_labels(type(self).__name__, wanted_values(y_true.given, wanted), y_true)

    def _class_vector(self, name: str, classes: int) -> Tensor:
        """The hyper-parameter `name`, a sequence or mapping with a number for each class, as a vector."""
        owner = type(self).__name__
        return self.convert(labels.weight_vector(owner, name, getattr(self, name), classes))

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
    label_smoothing: float = parameter(default=0.0, within="[0, 1]", kw_only=True)

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
        shape = labels.shape(owner, "y_pred", ops.convert_to_tensor(y_pred))
        if not self.multi_label and len(shape) > 1 and shape[self._axis_of(shape)] != 1:
            return super().align(y_true, y_pred)
        y_true, predictions = self._convert_labels(y_true), self._predictions(y_pred, multi_class=False)
        if len(shape) == 1:
            predictions = predictions.map(lambda x: ops.expand_dims(x, -1))
        else:
            y_true, predictions = labels.classes_last(owner, y_true, predictions, self.axis)
        truth = labels.output_labels(owner, y_true, predictions.values, self.ignore_class)
        truth = self._floats(truth)
        if truth.known is not None:
            predictions = _blank(predictions, truth.known)
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
        y = labels.one_hot(truth, self.compute_dtype)
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
        labels.check_probabilities(owner, values, y_pred.dtype)
        if y_true.encoding != "binary":
            advice = "For sigmoid outputs, pass multi_label=True; for logits, from_logits=True."
            labels.check_distribution(owner, "y_pred", values, advice)

    def _predictions(self, y_pred: Any, multi_class: bool) -> Predictions:
        return self.predictions(y_pred, self.from_logits, "softmax" if multi_class else "sigmoid")

    def _axis_of(self, shape: labels.Shape) -> int:
        return self.axis if -len(shape) <= self.axis < len(shape) else -1


# Weights, masks and the reduction ---------------------------------------------------------------------


def _both(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    if a is None or b is None:
        return b if a is None else a
    return ops.logical_and(a, b)


def _known(truth: Any) -> Tensor | None:
    """Which samples have a label that is not to be ignored."""
    if not isinstance(truth, Labels) or truth.known is None:
        return None
    return ops.any(truth.known, axis=-1) if truth.encoding == "binary" else truth.known


def _blank(x: Any, wanted: Tensor) -> Any:
    """Zeros where a sample is not wanted, so that no NaN of its comes through, nor in the gradient."""
    if isinstance(x, Labels | Predictions):
        return x.map(lambda values: _blank(values, wanted))
    return ops.where(labels.like_rank(wanted, len(x.shape)), x, ops.zeros_like(x))


def wanted_values(x: Tensor, wanted: np.ndarray | None) -> np.ndarray:
    """The values of the wanted samples, for a check in eager mode."""
    values = numerics.to_numpy(x)
    if wanted is None:
        return values
    kept: np.ndarray = values[np.broadcast_to(wanted, values.shape[: wanted.ndim])]
    return kept


def _pooled(like: Tensor, weight: Any, wanted: Any) -> Tensor:
    """The weight of each sample, 0 for those that do not count."""
    ones = ops.ones_like(like)
    weights = ones if weight is None else ones * weight
    return weights if wanted is None else ops.where(wanted, weights, ops.zeros_like(ones))


def _reduce(
    values: Tensor, weight: Any, counted: Any, wanted: Any, reduction: str | None, shares: Any = None
) -> Tensor:
    """Keras's reductions; samples that do not count are in neither the sum nor the number of samples."""
    if wanted is not None:
        values = ops.where(wanted, values, ops.zeros_like(values))
    if weight is not None:
        values = values * weight
    if reduction in (None, "none"):
        return values
    total = numerics.total(values)
    if reduction == "sum":
        return total
    by_weight = reduction == "mean_with_sample_weight" and weight is not None
    if counted is None and not by_weight and shares is None:
        count = ops.cast(ops.size(values), values.dtype)
    else:
        if shares is None:
            shares = ops.ones_like(values)
        elif wanted is not None:
            # Samples of weight 0 have lost their labels, and count as one each.
            shares = ops.where(wanted, shares, ops.ones_like(values))
        shares = shares * weight if by_weight else shares
        if counted is not None:
            shares = ops.where(counted, shares, ops.zeros_like(values))
        count = ops.sum(shares)
    return numerics.share_of_replica(numerics.ratio(total, count))


# Configs ------------------------------------------------------------------------------------------


def _saved(value: Any) -> Any:
    if callable(value) or isinstance(value, Learned):
        return keras.saving.serialize_keras_object(value)
    if isinstance(value, Mapping):
        return {key: _saved(each) for key, each in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _loaded(value: Any) -> Any:
    if isinstance(value, Mapping) and "class_name" in value:
        return keras.saving.deserialize_keras_object(dict(value))
    if isinstance(value, Mapping):
        return {key: _loaded(each) for key, each in value.items()}
    return value
