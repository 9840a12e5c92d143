"""Whole steps: `fit` on a small convolutional network and a small transformer, with our loss and Keras's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
from keras import layers

from benchmarks import bounds, steps
from benchmarks.steps import Batches, Training
from benchmarks.timing import Settings
from keras_losses import CrossentropyLoss, FocalLoss

TITLE = "Whole steps"
BACKENDS = ("tensorflow", "jax", "torch")

CLASSES, WORDS, LENGTH = 100, 2000, 64


def convolutional() -> keras.Model:
    keras.utils.set_random_seed(0)
    hidden = [layers.Conv2D(width, 3, 2, "same", activation="relu") for width in (16, 32, 64)]
    return keras.Sequential(
        [keras.Input((32, 32, 3)), *hidden, layers.GlobalAveragePooling2D(), layers.Dense(CLASSES)]
    )


def transformer() -> keras.Model:
    keras.utils.set_random_seed(0)
    x = tokens = keras.Input((LENGTH,), dtype="int32")
    x = layers.Embedding(WORDS, 64)(x)
    for _ in range(2):
        attended = layers.MultiHeadAttention(4, 16)(x, x, use_causal_mask=True)
        x = layers.LayerNormalization()(layers.add([x, attended]))
        widened = layers.Dense(64)(layers.Dense(128, activation="relu")(x))
        x = layers.LayerNormalization()(layers.add([x, widened]))
    return keras.Model(tokens, layers.Dense(WORDS)(x))


def images(one_hot: bool) -> Batches:
    r = np.random.default_rng(0)
    x, y = r.normal(size=(64, 32, 32, 3)).astype("float32"), r.integers(0, CLASSES, 64)
    return Batches(x, np.eye(CLASSES, dtype="float32")[y] if one_hot else y, 30)


def sentences() -> Batches:
    ids = np.random.default_rng(0).integers(0, WORDS, (16, LENGTH + 1))
    return Batches(ids[:, :-1], ids[:, 1:], 15)


def training(network: Callable[[], keras.Model], data: Batches, **losses: Any) -> Training:
    def fit(loss: Any) -> Callable[[Any], Any]:
        model = network()
        model.compile(keras.optimizers.Adam(1e-6), loss=loss)
        return lambda data: model.fit(data, verbose=0)

    return Training(data, {name: fit(loss) for name, loss in losses.items()})


def sparse() -> dict[str, Any]:
    return {
        "Keras": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        "ours": CrossentropyLoss(from_logits=True),
    }


def focal() -> dict[str, Any]:
    return {
        "Keras": keras.losses.CategoricalFocalCrossentropy(alpha=1.0, from_logits=True),
        "ours": FocalLoss(from_logits=True),
    }


TRAININGS: dict[str, Callable[[], Training]] = {
    "convolutional, cross-entropy": lambda: training(convolutional, images(False), **sparse()),
    "convolutional, focal": lambda: training(convolutional, images(True), **focal()),
    "transformer, cross-entropy": lambda: training(transformer, sentences(), **sparse()),
}


MISSED = {
    "jax": (
        "On JAX the loss of the transformer alone takes less than Keras's, and so does the loss with its "
        "head; within the whole step XLA's loops fall otherwise. Tried: comparing every class with the label "
        "instead of writing to the label's place; slower."
    ),
    "torch": (
        "On PyTorch a step of a formula is a call of `keras.ops`, of which ours has dozens, beside the "
        "checks of values; it costs the same, whatever the size of the batch."
    ),
}
"""Why a step takes longer where it does."""


def measure(settings: Settings) -> dict[str, Any]:
    return steps.compare(TRAININGS, settings, "whole steps")


figures = steps.figures


def markdown(found: Mapping[str, Any]) -> Iterator[str]:
    yield (
        "The same network on the same batches, trained by `fit` with Keras's loss and with ours: an epoch "
        "of each in turn. The ratio is that of each round. On TensorFlow and JAX the whole step is "
        "compiled as Keras does it by itself; on PyTorch our losses check the values of labels and "
        "predictions, as they do by default. **Bold** is slower, *italic* by less than the quartiles are "
        "apart."
    )
    yield ""
    yield from steps.rows(found, bounds.STEP)
    for backend, data in found.items():
        ours = [row["over"] for row in data["rows"] if row["way"] == "ours"]
        if backend in MISSED and any(bounds.state(each, bounds.STEP) == "missed" for each in ours):
            yield ""
            yield MISSED[backend]
