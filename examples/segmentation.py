"""Segment digits of several sizes with losses of pixels, losses of regions and their sums.

    python examples/segmentation.py [--output DIR] [--epochs N] [--seeds N]

Scikit-learn's handwritten digits stand on noisy canvases at one to four times their size, and a small U-Net
says which pixels are ink. The table has the intersection over union (IoU) of the ink, as a mean over test
canvases, and the share of the smallest digits that are found: at least half of their pixels are predicted.
A pixel is predicted if its probability is above 0.5. Because losses of regions also move the probabilities,
a column has the IoU at the threshold that is best on the training canvases.
"""

import csv
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import common
import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers, ops
from rich.console import Console
from rich.progress import track

from keras_losses import BoundaryLoss, CrossentropyLoss, DiceLoss, FocalLoss, LovaszLoss
from keras_losses.callbacks import CSVWriter, LearningRateDecay, LossCurves

LOSSES: dict[str, Callable[[], keras.losses.Loss]] = {
    "cross-entropy": lambda: CrossentropyLoss(from_logits=True),
    "focal": lambda: FocalLoss(from_logits=True),
    "Dice": lambda: DiceLoss(from_logits=True),
    "focal + Dice": lambda: FocalLoss(from_logits=True) + DiceLoss(from_logits=True),
    "Lovasz": lambda: LovaszLoss(from_logits=True),
    "Dice + boundary": lambda: DiceLoss(from_logits=True) + 0.01 * BoundaryLoss(from_logits=True),
}
SUM = "focal + Dice"
TERMS = {"focal_loss": "tab:blue", "dice_loss": "tab:orange"}
COLORS = dict(zip(LOSSES, ("black", *(f"C{number}" for number in range(9))), strict=False))
CANVASES, NOISE = (256, 200), 0.4
THRESHOLDS = np.linspace(-5, 5, 41)  # of logits


class Data:
    """Canvases, 0/1 masks of their ink, and the digits on them."""

    def __init__(self, count: int, seed: int, test: bool = False) -> None:
        self.images, self.digits = common.canvases(count, seed, test, NOISE)
        masks = [np.any([digit.mask for digit in on_canvas], axis=0) for on_canvas in self.digits]
        self.masks = np.stack(masks)[..., None].astype("float32")

    def iou(self, logits: np.ndarray, threshold: float = 0.0) -> float:
        said, true = logits > threshold, self.masks > 0
        both, either = (np.sum(pixels, axis=(1, 2, 3)) for pixels in (said & true, said | true))
        return float(np.mean(both / either))

    def found(self, logits: np.ndarray) -> float:
        """The share of the smallest digits of whose pixels half or more are predicted."""
        pairs = zip(logits[..., 0] > 0, self.digits, strict=True)
        shares = [said[one.mask].mean() for said, digits in pairs for one in digits if one.scale == 1]
        return float(np.mean(np.asarray(shares) >= 0.5))


def build_model() -> keras.Model:
    """A U-Net of three resolutions with one logit for each pixel."""

    def convolve(x: keras.KerasTensor, filters: int) -> keras.KerasTensor:
        return layers.Conv2D(filters, 3, padding="same", activation="relu")(x)

    def join(fine: keras.KerasTensor, coarse: keras.KerasTensor) -> keras.KerasTensor:
        return layers.Concatenate()([fine, layers.UpSampling2D()(coarse)])

    x = keras.Input((common.SIDE, common.SIDE, 1))
    fine = convolve(x, 8)
    middle = convolve(layers.MaxPooling2D()(fine), 16)
    coarse = convolve(convolve(layers.MaxPooling2D()(middle), 32), 32)
    middle = convolve(join(middle, coarse), 16)
    return keras.Model(x, layers.Conv2D(1, 1)(convolve(join(fine, middle), 8)))


@dataclass
class Run:
    """Scores on the test canvases, and their logits."""

    iou: float
    best_iou: float
    found: float
    logits: np.ndarray


def train(name: str, seed: int, epochs: int, curves: Path) -> Run:
    data, test = Data(CANVASES[0], seed), Data(CANVASES[1], seed, test=True)
    keras.utils.set_random_seed(seed)
    model = build_model()
    model.compile("adam", loss=LOSSES[name]())
    callbacks = [
        LearningRateDecay(keras.optimizers.schedules.CosineDecay(1e-2, decay_steps=epochs)),
        LossCurves(curves.parent, writers=[CSVWriter(curves)]),
    ]
    model.fit(data.images, data.masks, 16, epochs, callbacks=callbacks, verbose=0)
    seen, logits = (ops.convert_to_numpy(model(part.images)) for part in (data, test))
    best = max(THRESHOLDS, key=lambda threshold: data.iou(seen, threshold))
    return Run(test.iou(logits), test.iou(logits, best), test.found(logits), logits)


def draw(runs: dict[str, list[Run]], curves: list[Path], path: Path) -> None:
    """Draw a test canvas with the predicted masks, the terms of a sum, and the shares of found digits."""
    figure = plt.figure(figsize=(13, 6.6), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1, 1.4))
    test = Data(CANVASES[1], 0, test=True)
    shown = max(range(len(test.digits)), key=lambda canvas: len(test.digits[canvas]))
    pictures = {"test canvas": test.images[shown], "ink": test.masks[shown]}
    pictures |= {name: of_seeds[0].logits[shown] > 0 for name, of_seeds in runs.items()}
    for panel, (title, picture) in zip(above.subplots(1, len(pictures)), pictures.items(), strict=True):
        panel.imshow(picture[..., 0], cmap="gray_r")
        panel.set_title(title, fontsize=10)
        panel.set(xticks=[], yticks=[])
    left, right = below.subplots(1, 2)
    for file in curves:
        rows = list(csv.DictReader(file.open()))
        for term, color in TERMS.items():
            points = [row for row in rows if row["tag"] == f"batch/terms/{term}"]
            steps, values = [int(row["step"]) for row in points], [float(row["value"]) for row in points]
            left.plot(steps, values, color=color, lw=1, label=term if file == curves[0] else None)
    left.set(xlabel="step", ylim=(0, 1), title=f"the terms of {SUM} in each batch, for each seed")
    left.legend(frameon=False)
    for name, of_seeds in runs.items():
        scores = [run.iou for run in of_seeds], [run.found for run in of_seeds]
        right.plot(*scores, "o", color=COLORS[name], alpha=0.35, ms=4)
        right.plot(*map(statistics.mean, scores), "o", color=COLORS[name], ms=9, label=name)
    right.set(xlabel="IoU", title="share of the smallest digits that are found, for each seed and on average")
    right.legend(frameon=False)
    common.save(figure, path)


def main() -> None:
    arguments = common.arguments(__doc__, "segmentation", epochs=10, seeds=3)
    runs: dict[str, list[Run]] = {name: [] for name in LOSSES}
    logs = arguments.output / "logs"
    for seed, name in track([(seed, name) for seed in range(arguments.seeds) for name in LOSSES], "training"):
        runs[name].append(train(name, seed, arguments.epochs, logs / name / f"seed-{seed}" / "curves.csv"))

    title = f"Test canvases: mean ± deviation over {arguments.seeds} seeds"
    table = common.table(title, "loss", "IoU", "IoU at best threshold", "smallest digits found")
    for name, of_seeds in runs.items():
        columns = zip(*((run.iou, run.best_iou, run.found) for run in of_seeds), strict=True)
        table.add_row(name, *(common.spread(column) for column in columns))
    Console().print(table)
    draw(runs, sorted((logs / SUM).glob("*/curves.csv")), arguments.output / "segmentation.png")


if __name__ == "__main__":
    main()
