"""Replacement of whole files, and copies of files that are about to change."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import time
from collections.abc import Iterator
from typing import BinaryIO


def local_path(owner: str, argument: str, path: str | os.PathLike[str]) -> str:
    """Return a local path as text; raise `ValueError` for a URL, which would become a local directory."""
    text = os.fspath(path)
    if "://" in text:
        raise ValueError(
            f"`{owner}`: `{argument}` must be a local path. Received: {text!r}. Write to a local directory "
            "and copy it to the remote storage, or mount the storage as a directory."
        )
    return text


@contextlib.contextmanager
def rewriting(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a new file that replaces `path` as a whole, once all of it is on the disk.

    An error leaves the old file as it was.
    """
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
    """Copy a file that is about to be changed; an earlier copy of the same name stays."""
    os.makedirs(directory, exist_ok=True)
    for number in itertools.count():
        copy = os.path.join(directory, f"{name}.{number}" if number else name)
        with contextlib.suppress(FileExistsError), open(copy, "xb") as file, open(path, "rb") as source:
            shutil.copyfileobj(source, file)
            return
