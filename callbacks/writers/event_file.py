"""TensorBoard event files, written without TensorFlow."""

from __future__ import annotations

import functools
import itertools
import os
import re
import socket
import struct
import time
from typing import BinaryIO

# TensorBoard's own EventFileWriter would import TensorFlow wherever it is installed; these do not.
from tensorboard.compat.proto.event_pb2 import Event, SessionLog, SourceMetadata
from tensorboard.compat.proto.summary_pb2 import DATA_CLASS_SCALAR, Summary, SummaryMetadata
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

_file_numbers = itertools.count()
_SCALAR = SummaryMetadata(
    plugin_data=SummaryMetadata.PluginData(plugin_name="scalars"), data_class=DATA_CLASS_SCALAR
)


class EventWriter:
    """Writes scalars to a TensorBoard event file, on every backend, without importing TensorFlow.

    Unlike `tf.summary.create_file_writer`, which `keras.callbacks.TensorBoard` uses, it does not need
    TensorFlow, and a tag may be any text. The file is opened at once, in a directory made as needed, and
    never overwrites another. Values are kept in float32, as TensorBoard does.

    Args:
        log_dir: The directory of the run; local.

    Raises:
        OSError: If the directory or the file cannot be made; later, if it cannot be written.

    Example:

    >>> import tempfile
    >>> writer = EventWriter(tempfile.mkdtemp())
    >>> writer.scalar("batch/loss", 0.25, step=1)
    >>> writer.close()
    """

    def __init__(self, log_dir: str | os.PathLike[str]) -> None:
        os.makedirs(log_dir, exist_ok=True)
        self._file = _new_event_file(log_dir)
        self._described: set[str] = set()  # the tags of this file of which it says what they are
        self._write(
            Event(
                wall_time=time.time(),
                file_version="brain.Event:2",
                source_metadata=SourceMetadata(writer="keras_losses"),
            )
        )
        self.flush()

    def scalar(self, tag: str, value: float, step: int, wall_time: float | None = None) -> None:
        """Adds a value, NaN and infinities included.

        Args:
            tag: The name of the curve.
            value: The value.
            step: Where it stands on the x-axis, 0 or greater.
            wall_time: When it was measured, in seconds since 1970; now by default.
        """
        point = Summary.Value(tag=tag, simple_value=value)
        if tag not in self._described:  # as `tf.summary` does, once is enough
            self._described.add(tag)
            point.metadata.CopyFrom(_SCALAR)
        self.summary(point, step, wall_time)

    def summary(self, value: Summary.Value, step: int, wall_time: float | None = None) -> None:
        """Adds a value of any of TensorBoard's plugins, as the plugin has it."""
        self._write(Event(wall_time=wall_time or time.time(), step=step, summary=Summary(value=[value])))

    def restart(self, step: int) -> None:
        """Lets a TensorBoard that is open forget what it has read of this step and later ones."""
        start = Event(wall_time=time.time(), step=step, session_log=SessionLog(status=SessionLog.START))
        for _ in range(2):  # it may take the first for the beginning of the training
            self._write(start)

    def flush(self) -> None:
        """Hands everything written so far to the operating system."""
        self._file.flush()

    def close(self) -> None:
        """Writes what is left and closes the file; a second call does nothing."""
        self._file.close()

    def _write(self, event: Event) -> None:
        data = event.SerializeToString()
        footer = struct.pack("<I", masked_crc32c(data))
        self._file.write(record_header(len(data)) + data + footer)


@functools.lru_cache  # few lengths come up, and the checksum is computed in Python
def record_header(length: int) -> bytes:
    """What stands in an event file before so many bytes: their number and its checksum."""
    number = struct.pack("<Q", length)
    return number + struct.pack("<I", masked_crc32c(number))


def _new_event_file(log_dir: str | os.PathLike[str]) -> BinaryIO:
    # TensorBoard reads the files of a run in the order of their names.
    stamps = [re.match(r"events\.out\.tfevents\.(\d{10})\.", name) for name in os.listdir(log_dir)]
    seconds = max([int(time.time()), *(int(stamp[1]) + 1 for stamp in stamps if stamp)])
    # Two containers may share host name, process id and directory: "x" refuses a file that is there.
    while True:
        number = next(_file_numbers)
        name = f"events.out.tfevents.{seconds:010d}.{socket.gethostname()}.{os.getpid()}.{number}"
        try:
            return open(os.path.join(log_dir, name), "xb")
        except FileExistsError:
            continue
