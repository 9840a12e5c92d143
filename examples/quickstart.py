"""Find a rare digit with Keras's binary cross-entropy and with the focal loss.

    python examples/quickstart.py [--output DIR] [--epochs N] [--seeds N]

Only 2% of the training images are 8s. The output folder receives TensorBoard logs, a picture and the model.
"""

import common
import keras
import matplotlib.pyplot as plt
import numpy as np
from rich.console import Console
from rich.progress import track
from sklearn.datasets import load_digits
from sklearn.metrics import average_precision_score, precision_recall_curve
from sklearn.model_selection import train_test_split

from keras_losses import FocalLoss
from keras_losses.callbacks import LearningRateDecay, LossCurves

RARE_DIGIT, RARE_SHARE = 8, 0.02
LOSSES = {"BinaryCrossentropy (Keras)": keras.losses.BinaryCrossentropy, "FocalLoss": FocalLoss}
COLORS = dict(zip(LOSSES, ("tab:gray", "tab:blue"), strict=True))


def load_images(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training images with few 8s, and all test images."""
    digits = load_digits()
    images, labels = (digits.images[..., None] / 16).astype("float32"), digits.target == RARE_DIGIT
    x, x_test, y, y_test = train_test_split(images, labels, test_size=0.5, stratify=labels, random_state=0)
    positives, negatives = np.flatnonzero(y), np.flatnonzero(~y)
    kept = round(RARE_SHARE / (1 - RARE_SHARE) * len(negatives))
    chosen = np.concatenate([negatives, np.random.default_rng(seed).choice(positives, kept, replace=False)])
    return x[chosen], y[chosen].astype("int32"), x_test, y_test.astype("int32")


def main() -> None:
    arguments = common.arguments(__doc__, "quickstart", epochs=30, seeds=5)
    areas: dict[str, list[float]] = {name: [] for name in LOSSES}
    recalls: dict[str, list[float]] = {name: [] for name in LOSSES}
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    left.set(xlabel="epoch", yscale="log", title="test loss")
    right.set(xlabel="recall", ylabel="precision", ylim=(0, 1.02))
    runs = [(seed, name) for seed in range(arguments.seeds) for name in LOSSES]
    for seed, name in track(runs, "training"):
        x, y, x_test, y_test = load_images(seed)
        keras.utils.set_random_seed(seed)
        model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(16, 3, activation="relu")])
        model.add(keras.layers.MaxPooling2D())
        model.add(keras.layers.Conv2D(32, 3, activation="relu"))
        model.add(keras.layers.Flatten())
        model.add(keras.layers.Dense(1, activation="sigmoid"))
        model.compile("adam", loss=LOSSES[name]())
        schedule = keras.optimizers.schedules.CosineDecay(3e-3, decay_steps=arguments.epochs)
        curves = LossCurves(arguments.output / "logs" / name.split()[0] / f"seed-{seed}")
        options = {"epochs": arguments.epochs, "callbacks": [LearningRateDecay(schedule), curves]}
        fit = model.fit(x, y, 64, verbose=0, validation_data=(x_test, y_test), **options)
        scores = model.predict(x_test, verbose=0).ravel()
        precision, recall, _ = precision_recall_curve(y_test, scores)
        areas[name].append(float(average_precision_score(y_test, scores)))
        recalls[name].append(float(recall[precision >= 0.9].max()))
        style = {"color": COLORS[name], "lw": 1, "label": None if seed else name}
        left.plot(fit.history["val_loss"], **style)
        right.plot(recall, precision, **style)

    table = common.table("Test images", "loss", "precision-recall AUC", "recall at 90% precision")
    for name in LOSSES:
        table.add_row(name, common.spread(areas[name]), common.spread(recalls[name]))
    Console().print(table)
    left.legend(frameon=False)
    common.save(figure, arguments.output / "curves.png")
    model.save(arguments.output / "model.keras")
    loaded = keras.saving.load_model(arguments.output / "model.keras")  # no custom_objects
    np.testing.assert_array_equal(loaded.predict(x_test, verbose=0), model.predict(x_test, verbose=0))
    loaded.fit(x, y, verbose=0)  # training continues with the same loss


if __name__ == "__main__":
    main()
