"""Detect digits on a canvas, with squared error or the intersection over union as the loss of the boxes.

    python examples/detection.py [--output DIR] [--epochs N] [--seeds N]

Several of scikit-learn's handwritten digits stand on a canvas, at one to four times their size. A network
predicts a box, a digit and an objectness in each of 8 x 8 cells; the cell with the centre of a digit has to
predict it. The trainings differ in the loss of the boxes inside `DetectionLoss`. Squared errors are given
twice, because their size depends on the unit: pixels, or cells of 8 pixels. Intersections over union (IoU)
have no unit. The table has the mean average precision over the ten digits on test canvases, for detections
with an IoU of at least 0.5 and 0.75, and the mean IoU of the boxes in the cells of the digits. A model is
also saved, loaded without `custom_objects`, and trained on.
"""

from dataclasses import dataclass
from pathlib import Path

import common
import keras
import matplotlib.pyplot as plt
import numpy as np
from average_precision import Detections, overlaps
from keras import layers, ops
from rich.console import Console
from rich.progress import Progress

from keras_losses import CrossentropyLoss, DetectionLoss, IoULoss, SquaredErrorLoss
from keras_losses.callbacks import LearningRateDecay

DIGITS, CELLS = 10, 8
CELL = common.SIDE // CELLS  # pixels
LOSSES = {
    "squared error, pixels": SquaredErrorLoss(),
    "squared error, cells": SquaredErrorLoss() / CELL**2,
    "giou": IoULoss("giou"),
    "ciou": IoULoss("ciou"),
}
COLORS = dict(zip(LOSSES, ("tab:red", "tab:purple", "tab:blue", "tab:orange"), strict=True))
CANVASES, NOISE = (2000, 300), 0.1
IOUS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)


class Data:
    """Canvases, the digits on them, and a label for each cell: a box and its digit, or -1 for none."""

    def __init__(self, count: int, seed: int, test: bool = False) -> None:
        self.images, placed = common.canvases(count, seed, test, NOISE)
        self.objects = [[(digit.box, digit.label) for digit in on_canvas] for on_canvas in placed]
        self.labels = np.zeros((count, CELLS * CELLS, 5), "float32")
        self.labels[..., 4] = -1
        for labels, objects in zip(self.labels, self.objects, strict=True):
            for (left, top, right, bottom), label in objects:
                row, column = (top + bottom) // 2 // CELL, (left + right) // 2 // CELL
                labels[row * CELLS + column] = left, top, right, bottom, label


def build_model() -> keras.Model:
    """A network with a box, ten logits of digits and one of objectness for each cell."""
    x = inputs = keras.Input((common.SIDE, common.SIDE, 1))
    for filters, stride in ((16, 2), (32, 2), (64, 2), (64, 1), (64, 1)):
        x = layers.Conv2D(filters, 3, stride, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    outputs = layers.Reshape((CELLS * CELLS, 4 + DIGITS + 1))(layers.Conv2D(4 + DIGITS + 1, 1)(x))
    # The first four outputs are added to a box of 16 x 16 pixels around the cell, in units of a cell.
    unit, start = np.ones(4 + DIGITS + 1), np.zeros((CELLS * CELLS, 4 + DIGITS + 1))
    unit[:4] = CELL
    rows, columns = np.divmod(np.arange(CELLS * CELLS), CELLS)
    start[:, :4] = CELL * np.stack([columns - 0.5, rows - 0.5, columns + 1.5, rows + 1.5], axis=1)
    return keras.Model(inputs, layers.Rescaling(unit.tolist(), start.tolist())(outputs))


def detect(model: keras.Model, images: np.ndarray) -> Detections:
    """The likeliest digit of each cell, with its probability as score; none below 1%.

    Corners are sorted, because to `IoULoss` a box of negative width is the same box.
    """
    outputs = model(images)
    digits = ops.softmax(outputs[..., 4:-1]) * ops.sigmoid(outputs[..., -1:])
    first, second, probabilities = map(ops.convert_to_numpy, (outputs[..., :2], outputs[..., 2:4], digits))
    boxes = np.concatenate([np.minimum(first, second), np.maximum(first, second)], axis=-1)
    scores = probabilities.max(-1)
    return Detections(boxes, np.where(scores < 0.01, -1, probabilities.argmax(-1)), scores)


@dataclass
class Run:
    """Mean average precision for each of `IOUS`, mean IoU of the boxes in the cells of the digits."""

    precisions: list[float]
    iou: float
    detections: Detections


def train(name: str, data: Data, test: Data, seed: int, epochs: int) -> tuple[keras.Model, Run]:
    keras.utils.set_random_seed(seed)
    model = build_model()
    logits = CrossentropyLoss(from_logits=True)
    model.compile("adam", loss=DetectionLoss(logits, LOSSES[name], objectness_loss=logits))
    decay = LearningRateDecay(keras.optimizers.schedules.CosineDecay(5e-3, decay_steps=epochs))
    model.fit(data.images, data.labels, 16, epochs, callbacks=[decay], verbose=0)
    detections = detect(model, test.images)
    precisions = [detections.mean_average_precision(test.objects, iou) for iou in IOUS]
    of_digits = test.labels[..., 4] >= 0
    pairs = zip(detections.boxes[of_digits], test.labels[of_digits][:, None, :4], strict=True)
    return model, Run(precisions, float(np.mean([overlaps(*pair) for pair in pairs])), detections)


def draw(runs: dict[str, list[Run]], path: Path) -> None:
    """Draw one test canvas with the surest boxes of each loss, and the precision over the demanded IoU."""
    figure = plt.figure(figsize=(13, 6.4), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1, 1.2))
    test = Data(CANVASES[1], 0, test=True)
    shown = max(range(len(test.objects)), key=lambda canvas: len(test.objects[canvas]))
    boxes = {"test canvas": test.objects[shown]}
    for name, of_seeds in runs.items():
        said = of_seeds[0].detections
        surest = np.argsort(-said.scores[shown])[: len(test.objects[shown])]  # as many as there are digits
        boxes[name] = list(zip(said.boxes[shown][surest], said.classes[shown][surest], strict=True))
    for panel, (name, of_panel) in zip(above.subplots(1, len(boxes)), boxes.items(), strict=True):
        panel.imshow(test.images[shown, ..., 0], cmap="gray_r")
        panel.set_title(name, fontsize=10)
        panel.set(xticks=[], yticks=[])
        for (left, top, right, bottom), digit in of_panel:
            corner = left - 0.5, top - 0.5  # the centre of the first pixel is at 0
            style = {"color": COLORS.get(name, "tab:green")}
            panel.add_patch(plt.Rectangle(corner, right - left, bottom - top, fill=False, **style))
            panel.annotate(str(digit), corner, fontsize=9, va="bottom", **style)
    axes = below.subplots()
    for name, of_seeds in runs.items():
        precisions = np.array([run.precisions for run in of_seeds])
        axes.fill_between(IOUS, precisions.min(0), precisions.max(0), color=COLORS[name], alpha=0.2, lw=0)
        axes.plot(IOUS, precisions.mean(0), color=COLORS[name], lw=2, label=name)
    axes.set(xlabel="demanded IoU", title="mean average precision on test canvases")
    axes.legend(frameon=False)
    common.save(figure, path)


def main() -> None:
    arguments = common.arguments(__doc__, "detection", epochs=4, seeds=3)
    runs: dict[str, list[Run]] = {name: [] for name in LOSSES}
    with Progress(transient=True) as progress:
        task = progress.add_task("training", total=len(LOSSES) * arguments.seeds)
        for seed in range(arguments.seeds):
            data, test = Data(CANVASES[0], seed), Data(CANVASES[1], seed, test=True)
            for name, of_seeds in runs.items():
                model, run = train(name, data, test, seed, arguments.epochs)
                of_seeds.append(run)
                progress.advance(task)

    title = f"Test canvases: mean ± deviation over {arguments.seeds} seeds"
    table = common.table(title, "loss of the boxes", "mAP at 0.5", "mAP at 0.75", "IoU")
    half, strict = IOUS.index(0.5), IOUS.index(0.75)
    for name, of_seeds in runs.items():
        rows = [(run.precisions[half], run.precisions[strict], run.iou) for run in of_seeds]
        table.add_row(name, *(common.spread(column) for column in zip(*rows, strict=True)))
    Console().print(table)
    draw(runs, arguments.output / "detection.png")

    model.save(arguments.output / "model.keras")
    loaded = keras.saving.load_model(arguments.output / "model.keras")  # no custom_objects
    np.testing.assert_array_equal(*(one.predict(test.images, verbose=0) for one in (loaded, model)))
    loaded.fit(data.images, data.labels, verbose=0)  # training continues with the same loss


if __name__ == "__main__":
    main()
