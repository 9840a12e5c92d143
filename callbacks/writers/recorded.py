"""What a place holds of earlier fits, from which the x-axis of the next fit follows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

SEAM_TAG = "optimizer_updates"
"""Tag of the points at which new trainings continue the axis; their value is the count of updates."""


class Seam(NamedTuple):
    """A step of the x-axis, and the optimizer's count of updates at this step."""

    step: int
    updates: int


_ORIGIN = Seam(0, 0)


@dataclass
class Recorded:
    """The extent of the curves in one place, and the last training in them.

    A training begins at a seam. The first training of a place has no point for its seam, because its steps
    are the optimizer's updates.
    """

    last: int = 0
    """The last step of all points."""

    seam: Seam = _ORIGIN
    """The beginning of the last training."""

    first: int | None = None
    """The first step after the seam; None without points after it."""

    epoch_ends: list[int] = field(default_factory=list)
    """The steps after the seam at which an epoch ended."""

    unfinished: bool = False
    """Whether the process that wrote the last training died in the middle of a fit."""

    def add(self, run: str, tag: str, step: int, value: float) -> None:
        """Take note of a point. The points of a training come after its seam."""
        self.last = max(self.last, step)
        if tag == SEAM_TAG and step >= self.seam.step:
            self.seam, self.first, self.epoch_ends = Seam(step, int(value)), None, []
        elif step > self.seam.step:
            self.first = step if self.first is None else min(self.first, step)
            if (run, tag) == ("train", "epoch/loss"):
                self.epoch_ends.append(step)

    def drop_after(self, step: int) -> None:
        """Forget the points of later steps."""
        self.last = min(self.last, step)
        self.epoch_ends = [end for end in self.epoch_ends if end <= step]
        if self.first is not None and self.first > step:
            self.first = None
