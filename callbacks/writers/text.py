"""The record as text with a line for each point, for pandas, a spreadsheet or `grep`."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from ..files import keep_copy, rewriting
from .owner import FileWriter

_COLUMNS = ("run", "tag", "step", "value", "wall_time")


class _LineWriter(FileWriter):
    """Writes a line for each scalar to one file, which `begin` opens."""

    _header = ""
    _file: BinaryIO | None = None

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path, "path", mark=".unfinished")

    def begin(self, step: int, hyperparameters: Mapping[str, float | str | bool]) -> None:
        super().begin(step, hyperparameters)
        if self._file is None:
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
            self._file = open(self.path, "ab")  # noqa: SIM115  # until `close`
            if self._file.tell() == 0:
                self._file.write(self._header.encode())
                self._file.flush()

    def scalar(self, run: str, tag: str, value: float, step: int, wall_time: float) -> None:
        if self._owns and self._file is not None:
            self._recorded.add(run, tag, int(step), float(value))
            self._file.write(self._line(run, tag, step, float(value), float(wall_time)).encode())

    def flush(self) -> None:
        if self._file is not None:
            self._file.flush()

    def close_files(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            file.close()

    def _points(self) -> Iterator[tuple[str, str, int, float]]:
        if os.path.isfile(self.path):
            yield from (point for _, point in self._lines() if point is not None)

    def _forget(self, step: int) -> None:
        def stays(line: bytes, point: tuple[str, str, int, float] | None) -> bool:
            if point is None:
                return line.endswith(b"\n")  # the header; a kill cuts a line off
            _, _, at, _ = point
            return at <= step

        if os.path.isfile(self.path) and not all(stays(*line) for line in self._lines()):
            directory, name = os.path.split(self.path)
            keep_copy(self.path, os.path.join(directory, "superseded"), name)
            with rewriting(self.path) as file:
                file.writelines(line for line, point in self._lines() if stays(line, point))

    def _lines(self) -> Iterator[tuple[bytes, tuple[str, str, int, float] | None]]:
        """Yield the lines of the file, each with its point; the header and a cut-off line have none."""
        with open(self.path, "rb") as file:
            for number, line in enumerate(file):
                if not line.endswith(b"\n"):
                    yield line, None
                elif number == 0 and self._header:
                    self._check(line == self._header.encode())
                    yield line, None
                else:
                    try:
                        point = self._point(line.decode())
                    except (ValueError, KeyError, IndexError, TypeError):
                        self._check(False)
                    yield line, point

    def _check(self, ours: bool) -> None:
        if not ours:
            raise ValueError(
                f"`{type(self).__name__}`: `path` {self.path!r} was not written by this writer, and is left "
                "as it is. Give the path of a new file."
            )

    def _line(self, run: str, tag: str, step: int, value: float, wall_time: float) -> str:
        raise NotImplementedError

    def _point(self, line: str) -> tuple[str, str, int, float]:
        raise NotImplementedError


class CSVWriter(_LineWriter):
    """Writes the scalars of the record to a CSV file with a line for each point.

    The columns are run, tag, step, value and wall_time (seconds since 1970). `keras.callbacks.CSVLogger`
    writes a line for each epoch; a line for each point has room for curves of batches and epochs, and for
    curves that begin later. Numbers have all digits of their float64. NaN and infinities are nan, inf and
    -inf, which pandas and `float` read.

    An existing file is continued. Points that a resumed training repeats are removed; a copy of the file
    that had them is kept in `superseded/` beside it.

    Args:
        path: Local file. Its directory is created if necessary.

    Raises:
        OSError: From `begin`, if the file cannot be written.
        ValueError: From `begin`, if the file exists and was not written by this writer.

    Example:

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "curves.csv"
    >>> writer = CSVWriter(path)
    >>> writer.begin(0, {})
    >>> writer.scalar("train", "batch/loss", 0.25, step=1, wall_time=1.7e9)
    >>> writer.close()
    >>> print(path.read_text(), end="")
    run,tag,step,value,wall_time
    train,batch/loss,1,0.25,1700000000.0
    """

    _header = ",".join(_COLUMNS) + "\n"

    def _line(self, run: str, tag: str, step: int, value: float, wall_time: float) -> str:
        if tag.isidentifier() or not _NEEDS_QUOTES.intersection(tag):
            return f"{run},{tag},{step},{value!r},{wall_time!r}\n"
        row = io.StringIO()
        tag = " ".join(tag.splitlines())  # each point is one line, also if a metric's name has several
        csv.writer(row, lineterminator="\n").writerow([run, tag, step, repr(value), repr(wall_time)])
        return row.getvalue()

    def _point(self, line: str) -> tuple[str, str, int, float]:
        run, tag, step, value, _ = next(csv.reader([line]))
        return run, tag, int(step), float(value)


class JSONLinesWriter(_LineWriter):
    """Writes the scalars of the record to a file with a JSON object on each line.

    The keys and numbers are the columns of `CSVWriter`, and an existing file is continued in the same way.
    JSON has no NaN and no infinities: they are the strings "NaN", "Infinity" and "-Infinity", which `float`
    reads.

    Args:
        path: Local file. Its directory is created if necessary.

    Raises:
        OSError: From `begin`, if the file cannot be written.
        ValueError: From `begin`, if the file exists and was not written by this writer.

    Example:

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "curves.jsonl"
    >>> writer = JSONLinesWriter(path)
    >>> writer.begin(0, {})
    >>> writer.scalar("train", "batch/loss", float("nan"), step=1, wall_time=1.7e9)
    >>> writer.close()
    >>> print(path.read_text(), end="")
    {"run": "train", "tag": "batch/loss", "step": 1, "value": "NaN", "wall_time": 1700000000.0}
    """

    def _line(self, run: str, tag: str, step: int, value: float, wall_time: float) -> str:
        shown = value if math.isfinite(value) else _NAMES[repr(value)]
        point = dict(zip(_COLUMNS, (run, tag, int(step), shown, wall_time), strict=True))
        return json.dumps(point, ensure_ascii=False) + "\n"

    def _point(self, line: str) -> tuple[str, str, int, float]:
        point = json.loads(line)
        if tuple(point) != _COLUMNS:
            raise ValueError
        return point["run"], point["tag"], int(point["step"]), float(point["value"])


_NEEDS_QUOTES = frozenset(',"\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029')  # `splitlines` splits at most of them
_NAMES = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
