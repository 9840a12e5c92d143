"""Base classes of writers whose place has one writer at a time."""

from __future__ import annotations

import contextlib
import os
import weakref
from collections.abc import Mapping

from .writer import Writer

_owners: weakref.WeakValueDictionary[str, Owner] = weakref.WeakValueDictionary()


class Owner(Writer):
    """A writer of a place, such as a file, which one writer of the process owns: the one that began last.

    A fit that was interrupted in a notebook leaves a writer with unwritten values. It may write them after
    another fit has begun at the same place. Therefore a subclass writes only while `_owns` is True.
    """

    _place: str | None = None

    @property
    def _owns(self) -> bool:
        return self._place is not None and _owners.get(self._place) is self

    def _claim(self, place: str) -> bool:
        """Become the owner of a place; return False if this writer owned it already."""
        older = _owners.get(place)
        if older is self:
            return False
        if older is not None:
            with contextlib.suppress(Exception):  # an error of the older writer must not stop this one
                older.close()
        _owners[place] = self
        self._place = place
        return True


class FileWriter(Owner):
    """A writer of a local path, from which it removes the points that a resumed training repeats."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.path.realpath(path)  # absolute, because the program may change its directory
        self._latest = 0  # the last step that was written

    def begin(self, step: int, hyperparameters: Mapping[str, float | str | bool]) -> None:
        if self._claim(self.path) or self._latest > step:
            self.close()
            self._forget(step)
        self._latest = step

    def _forget(self, step: int) -> None:
        """Remove the points of later steps; keep copies of their files in `superseded/`."""
        raise NotImplementedError
