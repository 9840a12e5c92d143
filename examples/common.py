"""Share the command line, tables, pictures and an interruption between the examples.

An example imports this module before Keras, because two of its settings are read when TensorFlow and
matplotlib are imported.
"""

import argparse
import os
import shutil
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # hides TensorFlow's notes about a missing GPU
os.environ.setdefault("MPLBACKEND", "Agg")  # pictures are written to files, so no display is needed

import keras
import matplotlib.pyplot as plt
from rich.table import Table

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
