"""Share the command line, tables, pictures, an interruption and canvases of digits between the examples.

An example imports this module before Keras, because two of its settings are read when TensorFlow and
matplotlib are imported.
"""

import argparse
import os
import shutil
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # hides TensorFlow's notes about a missing GPU
os.environ.setdefault("MPLBACKEND", "Agg")  # pictures are written to files, so no display is needed

import keras
import matplotlib.pyplot as plt
import numpy as np
from rich.table import Table
from scipy.ndimage import zoom
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

HELP = {
    "epochs": "epochs of each training",
    "seeds": "trainings of each kind, each with another seed",
    "steps": "steps of each training",
}


def arguments(description: str | None, name: str, **numbers: int) -> argparse.Namespace:
    """Parse `--output` and an option for each of `numbers`, and create the output folder.

    Logs of an earlier run are removed, because new trainings would continue their curves.
    """
    parser = argparse.ArgumentParser(description=(description or "").split("\n")[0])
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(f"{name}_output"),
        help="folder for the results (default: %(default)s)",
    )
    for option, default in numbers.items():
        text = f"{HELP[option]} (default: %(default)s)"
        parser.add_argument(f"--{option}", type=int, default=default, help=text)
    parsed = parser.parse_args()
    for option in numbers:
        if getattr(parsed, option) < 1:
            parser.error(f"--{option} must be 1 or more")
    parsed.output.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(parsed.output / "logs", ignore_errors=True)
    return parsed


class Interrupt(keras.callbacks.Callback):  # type: ignore[misc]
    """Interrupt a training before a batch in the middle of an epoch, as Control-C does."""

    def __init__(self, epoch: int, batch: int) -> None:
        super().__init__()
        self.at, self.epoch = (epoch, batch), 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if (self.epoch, batch) == self.at:
            raise KeyboardInterrupt


def spread(values: Sequence[float], digits: int = 3, sign: str = "", unit: str = "") -> str:
    """Mean and standard deviation as text.

    >>> spread([0.5, 0.7], digits=2)
    '0.60 ± 0.14'
    """
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):{sign}.{digits}f} ± {deviation:.{digits}f}{unit}"


def table(title: str, first: str, *others: str) -> Table:
    """An empty table whose first column holds names and whose other columns hold numbers."""
    result = Table(title=title)
    result.add_column(first, no_wrap=True)
    for heading in others:
        result.add_column(heading, justify="right")
    return result


def save(figure: Any, path: Path) -> None:
    """Write a figure without upper and right frame lines, close it, and print where it is."""
    for axes in figure.axes:
        if not axes.images:
            axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
    plt.close(figure)
    print(f"Picture: {path}")


SIDE = 64  # pixels of a canvas in each direction
SCALES = (1, 2, 3, 4)  # a digit has 8 x 8 pixels times its scale


@dataclass
class Placed:
    """One digit on a canvas, with the mask of its ink."""

    label: int
    scale: int
    mask: np.ndarray

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of the ink."""
        rows, columns = (np.flatnonzero(self.mask.any(axis)) for axis in (1, 0))
        return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def canvases(
    count: int, seed: int, test: bool = False, noise: float = 0.3
) -> tuple[np.ndarray, list[list[Placed]]]:
    """Noisy images of shape (count, 64, 64, 1) with two to six of scikit-learn's digits, and these digits.

    A digit has a random scale, place and brightness. Digits do not touch each other. Training and test
    canvases have different digits.
    """
    digits = load_digits()
    parts = train_test_split(digits.images / 16, digits.target, test_size=0.4, random_state=seed)
    shapes, labels = parts[test], parts[2 + test]
    random = np.random.default_rng([seed, test])
    images = random.normal(0, noise, (count, SIDE, SIDE)).astype("float32")
    placed: list[list[Placed]] = [[] for _ in images]
    for image, on_canvas in zip(images, placed, strict=True):
        free = np.ones((SIDE, SIDE), bool)
        for scale in sorted(random.choice(SCALES, random.integers(2, 7)), reverse=True):
            number, size = random.integers(len(shapes)), 8 * scale
            places = random.integers(0, SIDE - size + 1, (20, 2))
            windows = [(slice(top, top + size), slice(left, left + size)) for top, left in places]
            window = next((window for window in windows if free[window].all()), None)
            if window is None:
                continue  # the canvas is full
            ink = zoom(shapes[number], scale, order=1)
            image[window] += ink * random.uniform(0.6, 1.0)
            free[window] = False
            mask = np.zeros_like(free)
            mask[window] = ink > 0.4
            on_canvas.append(Placed(int(labels[number]), int(scale), mask))
    return images[..., None], placed
