"""Whole steps: `fit` on a small convolutional network and a small transformer, with our loss and Keras's.

An epoch of each is trained in turn, so that what else the machine does meets both.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
from keras import layers
from rich.progress import track

from benchmarks import backends, timing
from benchmarks.report import marked, spread, table
from benchmarks.timing import Settings, Spread
from keras_losses import CrossentropyLoss, FocalLoss

TITLE = "Whole steps"
BACKENDS = ("tensorflow", "jax", "torch")

CLASSES, WORDS, LENGTH = 100, 2000, 64


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """The same batch again and again: reading data is no part of what is measured."""

    def __init__(self, x: np.ndarray, y: np.ndarray, count: int) -> None:
        super().__init__()
        self.x, self.y, self.count = x, y, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.x, self.y


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


CROSSENTROPY = {
    "Keras": lambda: keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    "ours": lambda: CrossentropyLoss(from_logits=True),
}
FOCAL = {
    "Keras": lambda: keras.losses.CategoricalFocalCrossentropy(alpha=1.0, from_logits=True),
    "ours": lambda: FocalLoss(from_logits=True),
}

Training = tuple[Callable[[], keras.Model], Callable[[], Batches], Mapping[str, Callable[[], Any]]]

TRAININGS: dict[str, Training] = {
    "convolutional, cross-entropy": (convolutional, lambda: images(False), CROSSENTROPY),
    "convolutional, focal": (convolutional, lambda: images(True), FOCAL),
    "transformer, cross-entropy": (transformer, sentences, CROSSENTROPY),
}


def measure(settings: Settings) -> dict[str, Any]:
    """The seconds of a step with each loss, and over those with Keras's."""
    rows = []
    for name in track(TRAININGS, "whole steps", transient=True):
        network, batches, losses = TRAININGS[name]
        data, models = batches(), {}
        for way, loss in losses.items():
            models[way] = network()
            models[way].compile(keras.optimizers.Adam(1e-6), loss=loss())
        times: dict[str, list[float]] = {way: [] for way in models}
        for turn in range(settings.rounds + 1):
            for way, model in models.items():
                seconds = timing.seconds(functools.partial(model.fit, data, verbose=0))
                if turn:  # the first traces
                    times[way].append(seconds / len(data))
        for way, each in times.items():
            rows.append(
                {
                    "network": name,
                    "way": way,
                    "seconds": timing.quartiles(each),
                    "over": timing.ratio(each, times["Keras"]),
                }
            )
    return {"rows": rows}


def figures(data: Mapping[str, Any]) -> dict[str, Spread]:
    return {row["network"]: row["over"] for row in data["rows"] if row["way"] == "ours"}


def markdown(found: Mapping[str, Any]) -> Iterator[str]:
    yield (
        "The same network on the same batches, trained by `fit` with Keras's loss and with ours: an epoch "
        "of each in turn. The ratio is that of each round. On TensorFlow and JAX the whole step is "
        "compiled as Keras does it by itself; on PyTorch our losses check the values of labels and "
        "predictions, as they do by default. **Bold** is slower, *italic* by less than the quartiles are "
        "apart. PyTorch computes one operation after the other, and a formula of ours has dozens."
    )
    yield ""
    yield from table(
        ("on", "network", "way", "ms a step", "over Keras's"),
        [
            (
                backends.NAMES[backend],
                row["network"],
                row["way"],
                spread(row["seconds"], 1e3),
                marked(spread(row["over"]), row["over"]) if row["way"] == "ours" else "",
            )
            for backend, data in found.items()
            for row in data["rows"]
        ],
    )
