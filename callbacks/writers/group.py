"""Several writers as one."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from .recorded import Recorded
from .writer import Writer

T = TypeVar("T")


class WriterGroup(Writer):
    """Passes everything to several writers, and drops a writer after its first failure."""

    def __init__(self, writers: Sequence[Writer]) -> None:
        self._writers = list(writers)
        self._recorded = Recorded()

    def recorded(self) -> Recorded:
        """Return the extent of the longest curves; those of this object if no writer knows its own."""
        found = [
            recorded for recorded in self._each(lambda writer: writer.recorded()) if recorded is not None
        ]
        if not self._writers:
            return Recorded()
        return max(found, key=lambda recorded: recorded.last, default=self._recorded)

    def begin(self, step: int, hyperparameters: Mapping[str, float | str | bool]) -> None:
        self._recorded.drop_after(step)
        self._each(lambda writer: writer.begin(step, hyperparameters))

    def scalar(self, run: str, tag: str, value: float, step: int, wall_time: float) -> None:
        self._recorded.add(run, tag, step, value)
        self._each(lambda writer: writer.scalar(run, tag, value, step, wall_time))

    def histogram(self, run: str, tag: str, values: np.ndarray, step: int, wall_time: float) -> None:
        self._each(lambda writer: writer.histogram(run, tag, values, step, wall_time))

    def flush(self) -> None:
        self._each(lambda writer: writer.flush())

    def end(self, figures: Mapping[str, float]) -> None:
        self._each(lambda writer: writer.end(figures))

    def close(self) -> None:
        self._each(lambda writer: writer.close())

    def _each(self, action: Callable[[Writer], T]) -> list[T]:
        """Return the results of an action of each writer, of those that do not fail.

        A failure of a disk, a network or a library must not stop the training.
        """
        results = []
        for writer in tuple(self._writers):
            try:
                results.append(action(writer))
            except Exception as error:
                self._writers.remove(writer)
                with contextlib.suppress(Exception):  # its buffer cannot be written either
                    writer.close()
                warnings.warn(
                    f"`LossCurves`: `{type(writer).__name__}` failed ({type(error).__name__}: {error}). "
                    "Training goes on without this writer.",
                    stacklevel=4,
                )
        return results
