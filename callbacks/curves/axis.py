"""The x-axis of curves: on which step the updates of an optimizer stand."""

from __future__ import annotations

import math
import weakref
from typing import Any

from ..writers.recorded import Recorded, Seam


def seam_of(recorded: Recorded, updates: int, goes_on: bool) -> Seam:
    """Return the seam of a fit that begins after `updates` updates of its optimizer.

    It is `recorded.seam` if the fit belongs to the last recorded training. Then the points after its step
    are those that the fit repeats. Otherwise it is a new seam after everything that was recorded.

    - A fit of an optimizer that this process has already followed up to here (`goes_on`) repeats nothing.
    - An optimizer with more updates than at the first recorded step belongs to a training that was restored
      from a backup or a checkpoint: it repeats the steps after it.
    - An optimizer with fewer updates belongs to a new training: the model was compiled again or made again.
      The exception is a process that died before its first backup, which is made after an epoch at most.
    """
    seam = recorded.seam
    step = seam.step + updates - seam.updates
    if goes_on:
        continues = step >= recorded.last
    elif recorded.first is None or (recorded.unfinished and len(recorded.epoch_ends) <= 1):
        continues = step >= seam.step
    else:
        continues = step >= recorded.first
    return seam if continues else Seam(recorded.last, updates)


_followed: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
"""The updates of the optimizers of this process up to which their curves are recorded."""


def followed(optimizer: Any, updates: int) -> None:
    """Take note that the curves of an optimizer are recorded up to its count of updates."""
    if optimizer is not None:
        _followed[optimizer] = updates


def goes_on(optimizer: Any, updates: int) -> bool:
    """Return whether the optimizer has not been set back since its curves were recorded in this process."""
    return optimizer is not None and updates >= _followed.get(optimizer, math.inf)


class Axis:
    """Places the updates of the optimizer, or batches without updates, on the x-axis."""

    def __init__(self) -> None:
        self.begin(Seam(0, 0))

    def begin(self, seam: Seam) -> None:
        """Begin a fit behind a seam."""
        self.seam = seam
        self.counts_batches = False

    def step(self, updates: int) -> int:
        """Return the step after a number of updates."""
        return self.seam.step + updates - self.seam.updates

    def count(self, batches: int, updates: int) -> None:
        """Move on by batches in which the optimizer, with its count of updates, made none."""
        self.seam = Seam(self.step(updates) + batches, updates)
        self.counts_batches = True
