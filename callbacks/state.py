"""State of callbacks in files: Keras saves the state of models, but not of callbacks."""

from __future__ import annotations

import json
import os
import warnings
import zlib
from pathlib import Path
from typing import Any, NamedTuple

from .files import local_path, rewriting

_KEPT = 1000  # entries, because a checkpoint of the best epoch may be hundreds of epochs old


class Remembered(NamedTuple):
    """The state of a callback after a number of batches."""

    batches: int
    state: dict[str, Any]


class Remembers:
    """Base of callbacks that keep their state in one small file beside the backup of the model.

    The file holds the states of many moments, each with the optimizer's count of batches, which is saved with
    the model. Therefore a model that was restored from any backup, the last one or an older one, finds the
    state that belonged to it. States of later batches are dropped. The file is replaced as a whole, so a kill
    leaves the old file or the new one. A file that cannot be written or read causes one warning, and training
    goes on.

    A callback of this kind stands before callbacks that save the model. Its state is then written before the
    backup that needs it.
    """

    _state_file: Path | None = None
    _warned_of_state = False

    def keep_state(self, backup_dir: str | os.PathLike[str] | None, of: str) -> None:
        """Set the directory of the file (None: no file). `of` distinguishes callbacks of one class."""
        owner = type(self).__name__
        if backup_dir is not None and not (isinstance(backup_dir, str | os.PathLike) and str(backup_dir)):
            raise ValueError(
                f"`{owner}`: `backup_dir` must be a directory, or None. Received: backup_dir={backup_dir!r}"
            )
        if backup_dir is not None:
            self._state_file = (
                Path(local_path(owner, "backup_dir", backup_dir))
                / f"{owner}-{zlib.crc32(of.encode()):08x}.json"
            )
        self._state_of = of

    def remember(self, batches: int, state: dict[str, Any]) -> None:
        """Write the state after `batches` batches, and drop the states of later batches."""
        if self._state_file is None:
            return
        states = [entry for entry in self._states() if entry.batches < batches]
        content = {
            "callback": type(self).__name__,
            "of": self._state_of,
            "states": [*states, Remembered(batches, state)][-_KEPT:],
        }
        try:
            with rewriting(self._state_file) as file:
                file.write(json.dumps(content).encode())
        except OSError as error:
            self._warn(f"the state cannot be written; it will be missing after a restart: {error}")

    def remembered(self, batches: int) -> Remembered | None:
        """Return the last state at or before `batches` batches; None without one."""
        states = [entry for entry in self._states() if entry.batches <= batches]
        return states[-1] if states else None

    def _states(self) -> list[Remembered]:
        if self._state_file is None:
            return []
        try:
            content = json.loads(self._state_file.read_text(encoding="utf-8"))
            return [Remembered(int(batches), dict(state)) for batches, state in content["states"]]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except (OSError, ValueError, KeyError, TypeError) as error:
            self._warn(
                f"the state cannot be read from {self._state_file}; the callback begins anew: {error!r}"
            )
            return []

    def _warn(self, message: str) -> None:
        if not self._warned_of_state:
            self._warned_of_state = True
            warnings.warn(f"`{type(self).__name__}`: {message}", stacklevel=3)
