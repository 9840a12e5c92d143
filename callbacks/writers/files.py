"""What the writers of local files share: whose a file is, and how one is written anew."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import time
import weakref
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from ..writers.writer import Writer

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


@contextlib.contextmanager
def rewriting(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file to take the path's place, whole or not at all, once all of it is on the disk."""
    path = os.path.realpath(path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    unfinished = os.path.join(os.path.dirname(path), f"unfinished-{os.getpid()}-{time.time_ns()}")
    try:
        with open(unfinished, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if os.path.exists(path):
            shutil.copymode(path, unfinished)
        os.replace(unfinished, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(unfinished)
        raise


def keep_copy(path: str, directory: str, name: str) -> None:
    """Copies a file that is about to be changed; an earlier copy of that name stays."""
    os.makedirs(directory, exist_ok=True)
    for number in itertools.count():
        copy = os.path.join(directory, f"{name}.{number}" if number else name)
        with contextlib.suppress(FileExistsError), open(copy, "xb") as file, open(path, "rb") as source:
            shutil.copyfileobj(source, file)
            return
