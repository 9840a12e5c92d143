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

# TensorBoard's EventFileWriter imports TensorFlow if it is installed; these modules do not.
from tensorboard.compat.proto.event_pb2 import Event, SessionLog, SourceMetadata
from tensorboard.compat.proto.summary_pb2 import DATA_CLASS_SCALAR, Summary, SummaryMetadata
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

_file_numbers = itertools.count()
_SCALAR = SummaryMetadata(
    plugin_data=SummaryMetadata.PluginData(plugin_name="scalars"), data_class=DATA_CLASS_SCALAR
)


class EventWriter:
    """Writes scalars to a TensorBoard event file, on every backend, without importing TensorFlow.

    `keras.callbacks.TensorBoard` uses `tf.summary.create_file_writer`, which needs TensorFlow. Here a tag
    may be any text. The file is opened at once, in a directory that is created if necessary, and never
    overwrites another file. Values are stored in float32, as TensorBoard does.

    Args:
        log_dir: Local directory of the run.

    Raises:
        OSError: If the directory or the file cannot be created; later, if the file cannot be written.

    Example:

    >>> import tempfile
    >>> writer = EventWriter(tempfile.mkdtemp())
    >>> writer.scalar("batch/loss", 0.25, step=1)
    >>> writer.close()
    """

    def __init__(self, log_dir: str | os.PathLike[str]) -> None:
        os.makedirs(log_dir, exist_ok=True)
        self._file = _new_event_file(log_dir)
        self._described: set[str] = set()  # the tags whose metadata is in this file
        self._write(
            Event(
                wall_time=time.time(),
                file_version="brain.Event:2",
                source_metadata=SourceMetadata(writer="keras_losses"),
            )
        )
        self.flush()

    def scalar(self, tag: str, value: float, step: int, wall_time: float | None = None) -> None:
        """Add a value, NaN and infinities included.

        Args:
            tag: The name of the curve.
            value: The value.
            step: The position on the x-axis, 0 or greater.
            wall_time: The time of the measurement in seconds since 1970; by default the present time.
        """
        point = Summary.Value(tag=tag, simple_value=value)
        if tag not in self._described:  # once for each file, as `tf.summary` does
            self._described.add(tag)
            point.metadata.CopyFrom(_SCALAR)
        self.summary(point, step, wall_time)

    def summary(self, value: Summary.Value, step: int, wall_time: float | None = None) -> None:
        """Add a value in the format of one of TensorBoard's plugins."""
        self._write(Event(wall_time=wall_time or time.time(), step=step, summary=Summary(value=[value])))

    def restart(self, step: int) -> None:
        """Tell a running TensorBoard to drop the points of this step and of later steps."""
        start = Event(wall_time=time.time(), step=step, session_log=SessionLog(status=SessionLog.START))
        for _ in range(2):  # TensorBoard may take the first one for the beginning of the training
            self._write(start)

    def flush(self) -> None:
        """Pass everything that was written to the operating system."""
        self._file.flush()

    def close(self) -> None:
        """Write the rest and close the file; a second call does nothing."""
        self._file.close()

    def _write(self, event: Event) -> None:
        data = event.SerializeToString()
        footer = struct.pack("<I", masked_crc32c(data))
        self._file.write(record_header(len(data)) + data + footer)


@functools.lru_cache  # there are few lengths, and the checksum is slow Python
def record_header(length: int) -> bytes:
    """Return the bytes before a record of `length` bytes: the length and its checksum."""
    number = struct.pack("<Q", length)
    return number + struct.pack("<I", masked_crc32c(number))


def _new_event_file(log_dir: str | os.PathLike[str]) -> BinaryIO:
    # TensorBoard reads the files of a run in the order of their names.
    stamps = [re.match(r"events\.out\.tfevents\.(\d{10})\.", name) for name in os.listdir(log_dir)]
    seconds = max([int(time.time()), *(int(stamp[1]) + 1 for stamp in stamps if stamp)])
    # Two containers may share host name, process id and directory: "x" refuses an existing file.
    while True:
        number = next(_file_numbers)
        name = f"events.out.tfevents.{seconds:010d}.{socket.gethostname()}.{os.getpid()}.{number}"
        try:
            return open(os.path.join(log_dir, name), "xb")
        except FileExistsError:
            continue
