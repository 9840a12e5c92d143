"""What a writer is: the interface to which `LossCurves` hands its record."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


class Writer:
    """What `LossCurves` hands its record to; a subclass takes of it what it can show.

    Each method does nothing unless a subclass says what. One that raises is warned of once and is handed
    nothing more; the training goes on.
    """

    def begin(self, step: int, hyperparameters: Mapping[str, float | str | bool]) -> None:
        """A fit begins after so many updates of the optimizer; again for each fit, also after `close`.

        What was recorded of later steps belongs to a training that was killed: it never was.
        """

    def scalar(self, run: str, tag: str, value: float, step: int, wall_time: float) -> None:
        """A point of a curve of the run `train` or `validation`, NaN and infinities included."""

    def histogram(self, run: str, tag: str, values: np.ndarray, step: int, wall_time: float) -> None:
        """Many values of one step, as one array of one dimension."""

    def flush(self) -> None:
        """What was handed over is to be seen by who looks now."""

    def end(self, figures: Mapping[str, float]) -> None:
        """A fit has come to its end, with these logs of its last epoch (`loss`, `val_loss`, ...)."""

    def close(self) -> None:
        """Nothing comes any more, unless a fit begins again."""
