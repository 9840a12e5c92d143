"""Penalties on what a model predicts, around any loss, and on the weights of a model already built."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import keras
from keras import ops

from keras_losses import labels, numerics
from keras_losses.base import Loss
from keras_losses.card import Card, Identity, Parameter, parameter
from keras_losses.composite import CompositeLoss
from keras_losses.inner import AroundLoss
from keras_losses.labels import Labels, Predictions
from keras_losses.numerics import Tensor


class RegularizedLoss(AroundLoss):
    """Any loss plus penalties on the predictions, so that they stay small, sparse or unsure.

        loss = inner - confidence_penalty * H(p) + activity_l1 * sum |f| + activity_l2 * sum f^2

    where H is the entropy of the predicted distribution (the mean over the outputs where each has a
    probability of its own), and f are the predictions as the model gives them, summed over the last axis.
    Label smoothing pulls towards uniform with every sample alike; the confidence penalty pulls hardest on
    the surest. Keras's `activity_regularizer` works on a layer's output, batch by batch, and is seen
    nowhere; this penalty is part of the loss, with its weights and masks.

    Args:
        loss: the inner loss: one of this library or of Keras, its name in Keras, or a function
            `(y_true, y_pred)` that returns a value for each sample. Its reduction is not used.
        confidence_penalty: the weight of the entropy, 0 or more (0.1 in the paper for images); the inner
            loss must be one of probabilities.
        activity_l1: the weight of the sum of the predictions' sizes, 0 or more.
        activity_l2: the weight of the sum of their squares, 0 or more.
        name, reduction, dtype: as in `keras_losses.base.Loss`.

    Shapes: as the inner loss has them. With `reduction="none"` the result is `(...)`.

    Raises:
        TypeError, ValueError: for hyper-parameters out of range, an inner loss that is none, a confidence
            penalty on a loss without probabilities, and whatever the inner loss raises.

    Example:

    >>> import numpy as np
    >>> from keras_losses import RegularizedLoss, SquaredErrorLoss
    >>> loss = RegularizedLoss(SquaredErrorLoss(), activity_l2=0.1)
    >>> round(float(loss(np.array([[1.0]]), np.array([[3.0]]))), 4)  # (1 - 3)^2 + 0.1 * 3^2
    4.9

    References:
        - Pereyra et al. 2017, Regularizing Neural Networks by Penalizing Confident Output Distributions,
          https://arxiv.org/abs/1701.06548
    """

    card = Card(
        family="regularized",
        formula="inner - confidence_penalty * H(p) + activity_l1 * sum |f| + activity_l2 * sum f^2",
        paper="Pereyra 2017, 1701.06548",
        labels="those of the inner loss",
        predictions="those of the inner loss",
        use="overconfident or oversized predictions",
        avoid="weights are what should stay small: use regularize(model, ...)",
        elicits="inner loss",
        elicits_note="pulled towards uniform or zero by the penalties",
        gradient_bound="the inner loss's, plus that of the penalties",
        identities=(
            Identity({"confidence_penalty": 0.0, "activity_l1": 0.0, "activity_l2": 0.0}, "the inner loss"),
        ),
    )

    confidence_penalty: float = parameter(default=0.0, within="[0, inf)")
    activity_l1: float = parameter(default=0.0, within="[0, inf)")
    activity_l2: float = parameter(default=0.0, within="[0, inf)")

    def validate(self) -> None:
        if isinstance(self.loss, CompositeLoss):
            raise ValueError(
                "RegularizedLoss: `loss` must be one loss. Put RegularizedLoss around one of its terms: the "
                f"penalties are then those of the whole. Received: loss={self.loss!r}."
            )
        if self.confidence_penalty > 0 and not hasattr(self.loss, "from_logits"):
            raise ValueError(
                "RegularizedLoss: `confidence_penalty` needs an inner loss of probabilities, such as "
                f"CrossentropyLoss. Received: loss={self.loss!r}, "
                f"confidence_penalty={self.confidence_penalty}."
            )

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        truth, predictions = self.align(y_true, y_pred)
        values = self.inner(truth, predictions)
        outputs = predictions.values if isinstance(predictions, Predictions) else predictions
        penalty = ops.zeros_like(outputs[..., 0])
        if not numerics.is_number(self.confidence_penalty, 0.0):
            penalty = penalty - self.confidence_penalty * self._entropy(truth, predictions)
        if not numerics.is_number(self.activity_l1, 0.0):
            penalty = penalty + self.activity_l1 * ops.sum(numerics.size(outputs), axis=-1)
        if not numerics.is_number(self.activity_l2, 0.0):
            penalty = penalty + self.activity_l2 * ops.sum(ops.square(outputs), axis=-1)
        return values + penalty

    def _entropy(self, truth: Any, predictions: Predictions) -> Tensor:
        ours = isinstance(self.loss, Loss) and isinstance(truth, Labels)
        if truth.encoding == "binary" if ours else self.is_binary(predictions.values):
            known = truth.known if ours else None
            return labels.mean_of_known(predictions.entropy_of_outputs(), known)
        return predictions.entropy_of_classes()


def regularize(model: keras.Model, l1: float = 0.0, l2: float = 0.0, where: str = "kernel") -> list[str]:
    """Puts penalties on the weights of a model that is already built, pretrained or not.

        loss = ... + l1 * sum |w| + l2 * sum w^2     over each weight called `where`

    The penalties train, show in `model.losses`, and are saved and loaded with the model. Setting
    `layer.kernel_regularizer` after a layer is built does nothing in Keras. A penalty that a weight already
    had is replaced; `regularize(model)` takes the penalties off again.

    Args:
        model: a built model, `Sequential` or functional, with nested models and layers.
        l1, l2: the weights of the two penalties, 0 or more.
        where: the name of the weights: `"kernel"` (those of recurrent and depthwise layers are kernels
            too), `"bias"`, `"embeddings"`, `"gamma"` ...

    Returns:
        The paths of the weights that now have the penalty.

    Raises:
        TypeError: for a model that is none.
        ValueError: for penalties below 0, a model that is not built, and a name that no weight has.

    What a layer keeps in its config is saved. A model or layer of your own that makes its parts anew when it
    is loaded forgets their penalties: they train, and a warning says that they are not saved.

    Example:

    >>> import keras
    >>> from keras_losses import regularize
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, kernel_initializer="ones")])
    >>> len(regularize(model, l2=0.5))
    1
    >>> float(model.losses[0])  # 0.5 * (1^2 + 1^2)
    1.0

    References:
        - Hoerl & Kennard 1970 (L2); Tibshirani 1996 (L1)
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"regularize: `model` must be a keras.Model. Received: {type(model).__name__}.")
    weight_of_penalty = Parameter(within="[0, inf)")
    l1, l2 = (weight_of_penalty.check("regularize", name, value) for name, value in (("l1", l1), ("l2", l2)))
    if not model.built:
        raise ValueError("regularize: `model` has no weights yet. Build it, or call it on a batch, first.")

    penalty = keras.regularizers.L1L2(l1=l1, l2=l2) if l1 or l2 else None
    holders: dict[int, tuple[Any, list[list[Any]]]] = {}
    for chain in _chains(model, []):
        for weight in _weights(chain[-1], where):
            holders.setdefault(id(weight), (weight, []))[1].append(chain)
    if not holders:
        names = sorted({weight.name for weight in model.trainable_weights})
        raise ValueError(f"regularize: no weight is called {where!r}. The model has: {', '.join(names)}.")

    forgotten = []
    for weight, chains in holders.values():
        weight.regularizer = penalty
        remembered = [_remember(chain, weight.name, penalty) for chain in chains]
        if penalty is not None and not any(remembered):
            forgotten.append(weight.path)
    if forgotten:
        warnings.warn(
            f"regularize: the penalty trains, but is not saved with the model for {', '.join(forgotten)}, "
            "whose layers do not keep it in their config. Call regularize again after loading the model.",
            stacklevel=2,
        )
    # The losses of the weights are collected when a step is traced.
    if model.compiled:
        model.train_function = model.test_function = None
    return [weight.path for weight, _ in holders.values()]


def _chains(layer: Any, owners: list[Any]) -> Iterator[list[Any]]:
    """Every layer behind those that it is a part of, from the outermost one that saves its own config."""
    chain = [*owners, layer]
    yield chain
    # What makes its parts anew when it is loaded does so with those inside a model that saves its own.
    starts_anew = not owners and _saves_its_layers(layer)
    for part in _parts(layer):
        yield from _chains(part, [] if starts_anew else chain)


def _parts(layer: Any) -> list[Any]:
    # Keras has no public list of the layers inside a layer; tests/test_private_keras.py watches this one.
    return list(layer._flatten_layers(include_self=False, recursive=False))


def _weights(layer: Any, where: str) -> list[Any]:
    mine = [value for value in vars(layer).values() if isinstance(value, keras.Variable)]
    return [w for w in mine if w.name == where or w.name.endswith(f"_{where}")]


def _remember(chain: list[Any], weight: str, penalty: Any) -> bool:
    """Sets the layers' own arguments, which their configs save; returns whether one does."""
    holders = [(layer, name) for layer in chain for name in _arguments(layer, weight)]
    before, after = _config_with(None, chain, holders), _config_with(penalty, chain, holders)
    # Keras's wrappers may save one of their parts for two; of others it is seen in the config.
    ours_to_trust = all(type(layer).__module__.startswith("keras.") for layer in chain)
    return bool(holders) and (ours_to_trust or before != after)


def _arguments(layer: Any, weight: str) -> list[str]:
    names = [
        f"{weight}_regularizer",
        f"_{weight}_regularizer",
        f"{weight.removesuffix('_kernel')}_regularizer",
    ]
    if isinstance(layer, keras.layers.DepthwiseConv1D | keras.layers.DepthwiseConv2D):
        names.append("depthwise_regularizer")
    return [name for name in names if hasattr(layer, name)]


def _config_with(penalty: Any, chain: list[Any], holders: list[tuple[Any, str]]) -> Any:
    for layer, name in holders:
        # A recurrent layer only shows its cell's regularizer; the cell is in the chain as well.
        with contextlib.suppress(AttributeError):
            setattr(layer, name, penalty)
    with contextlib.suppress(NotImplementedError):
        return chain[0].get_config()
    return None


def _saves_its_layers(layer: Any) -> bool:
    if not isinstance(layer, keras.Model):
        return False
    with contextlib.suppress(NotImplementedError):
        return isinstance(layer, keras.Sequential) or "layers" in layer.get_config()
    return False
