"""What the writers of local files share: whose a file is, and how one is written anew."""

from __future__ import annotations

import contextlib
import os
import weakref
from collections.abc import Mapping

from .writer import Writer

_owners: weakref.WeakValueDictionary[str, Owner] = weakref.WeakValueDictionary()


class Owner(Writer):
    """A writer of a place that has one writer at a time in this process: the one that began last.

    A fit that was interrupted in a notebook leaves a writer with values it has not written; when it lets
    go of them, another fit may have begun at the same place. A subclass writes only while `_owns`.
    """

    _owns = False

    def _claim(self, place: str) -> bool:
        """Takes the place over; whether it was another's or nobody's."""
        older = _owners.get(place)
        if older is self:
            return False
        if older is not None:
            with contextlib.suppress(Exception):  # what it cannot write is no concern of ours
                older.close()
            older._owns = False
        _owners[place] = self
        self._owns = True
        return True


class FileWriter(Owner):
    """A writer of a local path, from which it takes the points of a training that was killed."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.path.realpath(path)  # the same wherever the program changes its directory to
        self._latest = 0  # the greatest step that was written

    def begin(self, step: int, hyperparameters: Mapping[str, float | str | bool]) -> None:
        if self._claim(self.path) or self._latest > step:
            self.close()
            self._forget(step)
        self._latest = step

    def _forget(self, step: int) -> None:
        """Takes out what stands at later steps; the files are kept in `superseded/`."""
        raise NotImplementedError
