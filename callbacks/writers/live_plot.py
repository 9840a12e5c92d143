"""Curves of a training in a notebook, redrawn while it runs."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..arguments import number
from . import drawing
from .record import Record
from .recorded import Recorded
from .writer import Writer


class LivePlot(Writer):
    """Shows the curves of `LossCurves` in a notebook, under the cell that trains.

    The picture is that of `LossReport` without its tables. It is redrawn in place when the curves are
    written (`flush_every` batches), at most once in `seconds` seconds, and takes at most a tenth of the
    time. Each fit has a picture, which includes the curves of the earlier fits. Outside of a notebook it
    warns and draws nothing.

    Args:
        seconds: The shortest time between two drawings in seconds, 0 or more.

    Raises:
        TypeError, ValueError: If `seconds` is not a number, 0 or greater.
        ImportError: If matplotlib is not installed.

    Example:

    >>> import warnings
    >>> warnings.simplefilter("ignore")  # this is no notebook
    >>> plot = LivePlot()  # LossCurves("logs", writers=[plot])
    """

    def __init__(self, seconds: float = 1.0) -> None:
        seconds = number("LivePlot", "seconds", seconds, "[0, inf]")
        self._display: Any = None
        if not _in_a_notebook():
            warnings.warn(
                "`LivePlot`: this is no notebook, so nothing is drawn. "
                'LossReport("report.html") writes the same curves to a file.',
                stacklevel=2,
            )
        else:
            from IPython.display import Image, display

            drawing.need_matplotlib("LivePlot")
            self._image, self._display = Image, display
        self._record = Record()
        self._pace = drawing.Pace(seconds, part=0.1)
        self._handle: Any = None
        self._changed = False

    def recorded(self) -> Recorded:
        return self._record.recorded()

    def begin(self, step: int, hyperparameters: Mapping[str, float | str | bool]) -> None:
        self._record.begin(step, hyperparameters)
        self._handle = None  # the fit may run in another cell

    def scalar(self, run: str, tag: str, value: float, step: int, wall_time: float) -> None:
        self._record.scalar(run, tag, value, step)
        self._changed = True

    def histogram(self, run: str, tag: str, values: np.ndarray, step: int, wall_time: float) -> None:
        self._record.histogram(run, tag, values, step)
        self._changed = True

    def flush(self) -> None:
        if self._pace.due():
            self._draw()

    def end(self, figures: Mapping[str, float]) -> None:
        self._record.end()
        self._draw()

    def close(self) -> None:
        self._record.end()
        self._draw()

    def _draw(self) -> None:
        parts = [*drawing.sections(self._record)] if self._display is not None and self._changed else []
        if not parts:
            return
        begun, self._changed = time.monotonic(), False
        image_bytes = drawing.png(parts, dpi=144)  # twice the 72 dots an inch at which it is shown
        image = self._image(data=image_bytes, format="png", width=int(72 * drawing.WIDTH))
        if self._handle is None:
            self._handle = self._display(image, display_id=True)
        else:
            self._handle.update(image)
        self._pace.took(begun)


def _in_a_notebook() -> bool:
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    return hasattr(get_ipython(), "kernel")  # IPython in a terminal has no kernel
