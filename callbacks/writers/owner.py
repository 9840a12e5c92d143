"""Base classes of writers whose place has one writer at a time."""

from __future__ import annotations

import contextlib
import os
import weakref
from collections.abc import Iterator, Mapping

from ..files import local_path
from .recorded import Recorded
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
    """A writer of a local path, from which it removes the points that a resumed training repeats.

    Args:
        path: The file or directory.
        mark: The name of a file that exists while a fit is running, behind `path`. A process that is killed
            leaves it.
    """

    def __init__(self, path: str | os.PathLike[str], argument: str, mark: str) -> None:
        # absolute, because the program may change its directory
        self.path = os.path.realpath(local_path(type(self).__name__, argument, path))
        self._mark = self.path + mark
        self._recorded = Recorded()
        self._unchecked = True

    def recorded(self) -> Recorded:
        if self._claim(self.path) or not os.path.lexists(self.path):
            self.close_files()
            self._recorded = Recorded(unfinished=os.path.lexists(self._mark))
            for run, tag, step, value in self._points():
                self._recorded.add(run, tag, step, value)
            self._unchecked = True
        return self._recorded

    def begin(self, step: int, hyperparameters: Mapping[str, float | str | bool]) -> None:
        recorded = self.recorded()
        if self._unchecked or recorded.last > step:
            self.close_files()
            self._forget(step)
            recorded.drop_after(step)
            self._unchecked = False
        recorded.unfinished = False
        os.makedirs(os.path.dirname(self._mark), exist_ok=True)
        with open(self._mark, "w"):
            pass

    def close(self) -> None:
        self.close_files()
        if self._owns:
            with contextlib.suppress(FileNotFoundError):
                os.remove(self._mark)

    def close_files(self) -> None:
        """Write the rest, and close all files."""
        raise NotImplementedError

    def _points(self) -> Iterator[tuple[str, str, int, float]]:
        """Yield run, tag, step and value of the points at the path."""
        raise NotImplementedError

    def _forget(self, step: int) -> None:
        """Remove the points of later steps; keep copies of their files in `superseded/`."""
        raise NotImplementedError
