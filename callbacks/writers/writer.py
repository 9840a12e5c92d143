"""The interface of writers, to which `LossCurves` passes its record."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .recorded import Recorded


class Writer:
    """Base of the writers to which `LossCurves` passes its record.

    All methods do nothing by default; a subclass overrides those whose data it can show. If a method raises
    an error, `LossCurves` warns once and drops the writer, and the training goes on.
    """

    def recorded(self) -> Recorded | None:
        """Return the extent of the curves in the writer's place; None if the writer cannot tell.

        It is asked before `begin`. A new training continues the x-axis after the last recorded step.
        """
        return None

    def begin(self, step: int, hyperparameters: Mapping[str, float | str | bool]) -> None:
        """Begin a fit after `step` steps. It is called once for each fit, also after `close`.

        Points of later steps are those that a resumed training repeats: remove them.
        """

    def scalar(self, run: str, tag: str, value: float, step: int, wall_time: float) -> None:
        """Write a point of a curve of the run `train` or `validation`, NaN and infinities included."""

    def histogram(self, run: str, tag: str, values: np.ndarray, step: int, wall_time: float) -> None:
        """Write the values of a histogram at one step, an array of one dimension."""

    def flush(self) -> None:
        """Make everything that was passed visible to readers."""

    def end(self, figures: Mapping[str, float]) -> None:
        """End a fit, with the logs of its last epoch (`loss`, `val_loss`, ...)."""

    def close(self) -> None:
        """Release files and connections; another fit may follow with `begin`."""
