"""Anneal the KL term of a variational autoencoder, so that the decoder does not ignore the code.

    python examples/vae.py [--output DIR] [--epochs N] [--seeds N]

The autoencoders encode scikit-learn's handwritten digits, in black and white, into 8 numbers. One of the two
decoders is dense and sees only the code. The other is recurrent: it draws the eight rows one by one and also
sees the rows above, as the decoder of a sentence sees the words before (Bowman et al. 2016,
https://arxiv.org/abs/1511.06349). It can do much without a code, and a model that starts with the full KL
term learns to ignore the code: the KL term becomes almost 0. With annealing, the weight of the term grows
from 0 to 1 during the first half of the epochs. In the second half, both ways minimise the same loss: -ELBO,
in nats per image.

The table has the two terms and their sum on test images, the number of active dimensions of the code (those
whose mean has a variance above 0.01, Burda et al. 2015, https://arxiv.org/abs/1509.00519), and the accuracy
of a logistic regression on the mean of the code. A model is also saved in the middle of the warm-up, loaded
and trained on: it continues with the right weight.
"""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import common
import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers, ops
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from keras_losses import CrossentropyLoss, GaussianKLLoss, LossAwareModel
from keras_losses.callbacks import LossParameterSchedule

SIZE = 8  # dimensions of the code; the images have 8 rows of 8 pixels
PIXELS, KL, WEIGHT = "image_pixels_weighted", "code_kl", "code/weights/kl"  # in the logs


def at_once(epochs: int) -> Callable[[int], float]:
    return lambda epoch: 1.0


def annealed(epochs: int) -> Callable[[int], float]:
    return lambda epoch: min(1.0, epoch / max(epochs // 2, 1))


WAYS = {"at once": at_once, "annealed": annealed}
COLORS = {"at once": "tab:orange", "annealed": "tab:blue"}


class Data:
    """Black and white images and their digits; a quarter is held out for testing."""

    def __init__(self) -> None:
        digits = load_digits()
        images = (digits.images >= 8).astype("float32")
        parts = train_test_split(
            images, digits.target, test_size=0.25, stratify=digits.target, random_state=0
        )
        self.x, self.x_test, self.digits, self.digits_test = parts


def targets(images: np.ndarray) -> dict[str, np.ndarray]:
    """Targets of the outputs: the images, and zeros for the code, which are not used."""
    return {"image": images, "code": np.zeros(len(images), "float32")}


@keras.saving.register_keras_serializable("vae")
class Draw(layers.Layer):  # type: ignore[misc]
    """Draw a code from its distribution, given by all means and then all logarithms of variances."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seeds = keras.random.SeedGenerator()

    def call(self, code: Any) -> Any:
        mean, log_variance = ops.split(code, 2, axis=-1)
        return mean + ops.exp(log_variance / 2) * keras.random.normal(ops.shape(mean), seed=self.seeds)


def dense() -> keras.Model:
    """Decoder that computes the logits of an image from its code."""
    z = keras.Input((SIZE,))
    hidden = layers.Dense(128, activation="relu")(z)
    hidden = layers.Dense(128, activation="relu")(hidden)
    return keras.Model(z, layers.Reshape((8, 8))(layers.Dense(64)(hidden)), name="decoder")


def recurrent() -> keras.Model:
    """Decoder that computes the logits of each row from the code and the rows above."""
    z, image = keras.Input((SIZE,)), keras.Input((8, 8))
    above = layers.Cropping1D((0, 1))(layers.ZeroPadding1D((1, 0))(image))
    hidden = layers.Concatenate()([above, layers.RepeatVector(8)(z)])
    hidden = layers.GRU(64, return_sequences=True, unroll=True)(hidden)
    return keras.Model([z, image], layers.Dense(8)(hidden), name="decoder")


DECODERS = {"dense": dense, "recurrent": recurrent}


def build_model(decoder: keras.Model) -> keras.Model:
    image = keras.Input((8, 8))
    hidden = layers.Dense(128, activation="relu")(layers.Flatten()(image))
    hidden = layers.Dense(128, activation="relu")(hidden)
    code = layers.Dense(2 * SIZE, name="code")(hidden)
    z = Draw()(code)
    logits = decoder([z, image] if len(decoder.inputs) > 1 else z)
    return LossAwareModel(image, {"image": logits, "code": code})


@dataclass
class Run:
    """Curves of a training and its scores on the test images."""

    history: dict[str, list[float]]
    reconstruction: float
    kl: float
    active: int
    accuracy: float
    drawn: np.ndarray

    @property
    def loss(self) -> float:
        return self.reconstruction + self.kl


def compiled(decoder: str, seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    model = build_model(DECODERS[decoder]())
    # The loss is the mean over the pixels; 64 times the mean is the negative log-likelihood of an image.
    pixels = CrossentropyLoss(from_logits=True, multi_label=True, name="pixels")
    loss = {"image": 64.0 * pixels, "code": 1.0 * GaussianKLLoss(name="kl")}
    model.compile(keras.optimizers.Adam(5e-3), loss=loss, log_weighted_terms=True)
    return model


def fit(model: keras.Model, way: str, data: Data, whole: int, **given: Any) -> dict[str, list[float]]:
    schedule = LossParameterSchedule("code/weights/kl", WAYS[way](whole))
    history: dict[str, list[float]] = model.fit(
        data.x,
        targets(data.x),
        validation_data=(data.x_test, targets(data.x_test)),
        batch_size=128,
        validation_batch_size=len(data.x_test),
        callbacks=[schedule],
        verbose=0,
        **given,
    ).history
    return history


def train(decoder: str, way: str, data: Data, seed: int, epochs: int) -> Run:
    model = compiled(decoder, seed)
    history = fit(model, way, data, epochs, epochs=epochs)
    test = {"x": data.x_test, "y": targets(data.x_test), "batch_size": len(data.x_test)}
    logs = [model.evaluate(**test, verbose=0, return_dict=True) for _ in range(10)]  # new codes
    codes, codes_test = (means(model, images) for images in (data.x, data.x_test))
    reader = LogisticRegression(max_iter=1000).fit(codes, data.digits)
    return Run(
        history,
        statistics.mean(log[PIXELS] for log in logs),
        logs[0][KL],
        int((codes_test.var(axis=0) > 0.01).sum()),
        reader.score(codes_test, data.digits_test),
        drawn(model.get_layer("decoder"), codes_test[shown(data)], seed),
    )


def means(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Means of the codes of images."""
    codes: np.ndarray = ops.convert_to_numpy(model(images)["code"])
    return codes[:, :SIZE]


def shown(data: Data) -> np.ndarray:
    """First two test images of each digit."""
    return np.concatenate([np.flatnonzero(data.digits_test == digit)[:2] for digit in range(10)])


def drawn(decoder: keras.Model, codes: np.ndarray, seed: int) -> np.ndarray:
    """Draw images from codes, row by row, because the recurrent decoder needs the rows above."""
    random = np.random.default_rng(seed)
    images = np.zeros((len(codes), 8, 8), "float32")
    for row in range(8):
        logits = ops.convert_to_numpy(decoder([codes, images] if len(decoder.inputs) > 1 else codes))[:, row]
        images[:, row] = random.uniform(size=logits.shape) < 1 / (1 + np.exp(-logits))
    return images


Runs = dict[tuple[str, str], list[Run]]
"""Results of every seed, for each decoder and way."""


def table_of(decoder: str, of_ways: dict[str, list[Run]]) -> Table:
    """Mean and standard deviation over the seeds."""
    seeds = len(next(iter(of_ways.values())))
    title = f"{decoder} decoder: test images, nats each, mean ± deviation over {seeds} seeds"
    table = common.table(title, "KL term", "-ELBO", "pixels", "KL", "active", "read")
    for way, of_seeds in of_ways.items():
        table.add_row(
            way,
            common.spread([run.loss for run in of_seeds], 2),
            common.spread([run.reconstruction for run in of_seeds], 2),
            common.spread([run.kl for run in of_seeds], 2),
            common.spread([run.active for run in of_seeds], 1),
            common.spread([100 * run.accuracy for run in of_seeds], 0, unit="%"),
        )
    return table


def draw(runs: Runs, data: Data, path: Path) -> None:
    """Plot the terms and the weight over the epochs, and below test images with their reconstructions."""
    figure = plt.figure(figsize=(12, 7.6), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=[1, 1.05])
    panels = top.subplots(1, 3)
    for (decoder, way), of_seeds in runs.items():
        style: dict[str, Any] = {"color": COLORS[way], "ls": "-" if decoder == "recurrent" else ":"}
        for panel, name in zip(panels, (f"val_{PIXELS}", f"val_{KL}", WEIGHT), strict=True):
            curves = np.array([run.history[name] for run in of_seeds])
            epochs = np.arange(1, curves.shape[1] + 1)
            if name == WEIGHT:
                if decoder == "recurrent":
                    panel.plot(epochs, curves[0], lw=2, **style)
                continue
            panel.fill_between(epochs, curves.min(0), curves.max(0), color=COLORS[way], alpha=0.15, lw=0)
            panel.plot(epochs, curves.mean(0), lw=2, label=f"{decoder}, {way}", **style)
    panels[0].set(title="reconstruction, test images", ylabel="nats", ylim=(10, 26))
    panels[1].set(title="KL, test images", ylabel="nats", ylim=(0, 16))
    panels[1].legend(frameon=False, title="decoder, KL term", alignment="left")
    panels[2].set(title="weight of the KL term", ylim=(0, 1.05))
    for way, place in (("at once", (0.1, 0.89)), ("annealed", (0.34, 0.45))):
        panels[2].text(*place, way, color=COLORS[way], transform=panels[2].transAxes)
    for panel in panels:
        panel.set(xlabel="epoch")
    bottom.suptitle("test images, and what the models draw from their codes")
    rows = {"test images": data.x_test[shown(data)]}
    rows |= {f"{decoder}, {way}": of_seeds[0].drawn for (decoder, way), of_seeds in runs.items()}
    for panel, (name, images) in zip(bottom.subplots(len(rows), 1), rows.items(), strict=True):
        apart = np.pad(images, ((0, 0), (1, 1), (1, 1)), constant_values=np.nan)
        panel.imshow(np.concatenate(list(apart), axis=1), cmap="gray_r", vmin=0, vmax=1)
        panel.set(xticks=[], yticks=[])
        panel.set_ylabel(name, rotation=0, ha="right", va="center")
        panel.spines[:].set_visible(False)
    common.save(figure, path)


def save_and_go_on(data: Data, epochs: int, path: Path) -> float:
    """Weight of the KL term after a model is saved in the middle of the warm-up and loaded."""
    model, half = compiled("dense", 0), max(epochs // 4, 1)
    fit(model, "annealed", data, epochs, epochs=half)
    model.save(path)
    loaded = keras.saving.load_model(path)
    np.testing.assert_array_equal(means(loaded, data.x_test), means(model, data.x_test))
    weight = fit(loaded, "annealed", data, epochs, epochs=half + 1, initial_epoch=half)[WEIGHT][0]
    assert weight == annealed(epochs)(half)
    return weight


def main() -> None:
    arguments = common.arguments(__doc__, "vae", epochs=40, seeds=3)
    console, data = Console(), Data()
    runs: Runs = {(decoder, way): [] for decoder in DECODERS for way in WAYS}
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("training", total=len(runs) * arguments.seeds)
        for seed in range(arguments.seeds):
            for (decoder, way), of_seeds in runs.items():
                of_seeds.append(train(decoder, way, data, seed, arguments.epochs))
                progress.advance(task)
    for decoder in DECODERS:
        console.print(table_of(decoder, {way: runs[decoder, way] for way in WAYS}))
    draw(runs, data, arguments.output / "vae.png")
    weight = save_and_go_on(data, arguments.epochs, arguments.output / "model.keras")
    console.print(f"A model was saved in the warm-up, loaded, and went on with a KL weight of {weight:.3g}.")


if __name__ == "__main__":
    main()
