"""State of callbacks, kept in files: Keras saves the state of models, and of no callback."""

from __future__ import annotations

import json
import os
import warnings
import zlib
from pathlib import Path
from typing import Any

from .files import rewriting

_KEPT = 1000  # entries; a checkpoint of the best epoch may be hundreds of epochs old


class Remembers:
    """Keeps a callback's state beside the backup of the model, in one small file, from which it goes on.

    The file has the state of many moments, each with the optimizer's count of batches, which is saved with
    the model. So a model that was restored from any backup, the last one or an older one, finds the state
    that belonged to it, and what came later never was. The file is written whole, beside the old one, and
    then put in its place: a kill leaves one of the two. One that cannot be written, or read, is warned of
    once, and the training goes on.

    A callback that comes before those that save the model has written first, so that no kill comes between
    a backup and the state that belongs to it.
    """

    _state_file: Path | None = None
    _warned_of_state = False

    def keep_state(self, backup_dir: str | os.PathLike[str] | None, of: str) -> None:
        """Says where, if at all; `of` tells callbacks of one class apart."""
        owner = type(self).__name__
        if backup_dir is not None and not (isinstance(backup_dir, str | os.PathLike) and str(backup_dir)):
            raise ValueError(f"{owner}: backup_dir must be a directory, or None. Received: {backup_dir!r}")
        if backup_dir is not None:
            self._state_file = Path(backup_dir) / f"{owner}-{zlib.crc32(of.encode()):08x}.json"
        self._state_of = of

    def remember(self, batches: int, state: dict[str, Any]) -> None:
        """Writes the state after so many batches; those of later ones are dropped."""
        if self._state_file is None:
            return
        states = [entry for entry in self._states() if entry[0] < batches]
        content = {
            "callback": type(self).__name__,
            "of": self._state_of,
            "states": [*states, [batches, state]][-_KEPT:],
        }
        try:
            with rewriting(self._state_file) as file:
                file.write(json.dumps(content).encode())
        except OSError as error:
            self._warn(f"its state cannot be written, and will be missing after a restart: {error}")

    def remembered(self, batches: int) -> tuple[int, dict[str, Any]] | None:
        """The last state up to so many batches, and after how many it was; None where there is none."""
        states = [(at, state) for at, state in self._states() if at <= batches]
        return states[-1] if states else None

    def _states(self) -> list[list[Any]]:
        if self._state_file is None:
            return []
        try:
            content = json.loads(self._state_file.read_text(encoding="utf-8"))
            return [[int(at), dict(state)] for at, state in content["states"]]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except (OSError, ValueError, KeyError, TypeError) as error:
            self._warn(f"its state cannot be read from {self._state_file}, and begins anew: {error!r}")
            return []

    def _warn(self, message: str) -> None:
        if not self._warned_of_state:
            self._warned_of_state = True
            warnings.warn(f"{type(self).__name__}: {message}", stacklevel=3)
