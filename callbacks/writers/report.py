"""Report of a training as one file, which needs no server."""

from __future__ import annotations

import html
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from ..files import local_path, rewriting
from . import drawing
from .record import Record, Series
from .recorded import Recorded
from .writer import Writer

_KEY = "keras-losses-record"  # the name of the record inside the file


class LossReport(Writer):
    """Writes the curves and tables of `LossCurves` to one file.

    The report shows the loss of batches, epochs and validation with the best epoch marked, the learning rate
    under it, and the terms, metrics and parameters. An `.html` file needs no script and no other file, and
    follows the reader's light or dark mode. A `.png` shows the same as a picture.

    The file is replaced at the end of each fit, and at ends of epochs while drawing takes less than a
    fiftieth of the time. It is replaced as a whole, so that a reader finds the old or the new report. It
    contains its record, and a report of the same name continues it: after a restart it shows the whole
    training. A killed process loses what was recorded since the last writing.

    A curve of more than 8000 points is thinned to its extremes; TensorBoard's logs keep all points.

    Args:
        path: The file, ending in `.html` or `.png`. Its directory is created if necessary.

    Raises:
        ValueError: If the path has another ending, or if the file exists and is no report.
        ImportError: If matplotlib is not installed.

    Example:

    >>> import tempfile
    >>> report = LossReport(tempfile.mkdtemp() + "/report.html")  # LossCurves("logs", writers=[report])
    >>> report.begin(0, {"loss": "FocalLoss", "gamma": 2.0})
    >>> report.scalar("train", "epoch/loss", 0.25, step=10, wall_time=0.0)
    >>> report.close()
    >>> "FocalLoss" in open(report.path).read()
    True
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(local_path("LossReport", "path", path))
        if self.path.suffix.lower() not in (".html", ".png"):
            raise ValueError(f"`LossReport`: `path` must end in .html or .png. Received: {os.fspath(path)!r}")
        drawing.need_matplotlib("LossReport")
        self._record = _read(self.path) if self.path.exists() else Record()
        self._pace = drawing.Pace(seconds=0.0, part=0.02)
        self._epoch_ended = self._unwritten = False
        self._running = False  # whether the file says that a fit is running

    def recorded(self) -> Recorded:
        return self._record.recorded()

    def begin(self, step: int, hyperparameters: Mapping[str, float | str | bool]) -> None:
        self._record.begin(step, hyperparameters)
        self._running = self.path.exists()

    def scalar(self, run: str, tag: str, value: float, step: int, wall_time: float) -> None:
        self._record.scalar(run, tag, value, step)
        self._unwritten = True
        self._epoch_ended |= tag.startswith("epoch/")

    def histogram(self, run: str, tag: str, values: np.ndarray, step: int, wall_time: float) -> None:
        self._record.histogram(run, tag, values, step)
        self._unwritten = True

    def flush(self) -> None:
        if self._epoch_ended and self._pace.due():
            self._write()

    def end(self, figures: Mapping[str, float]) -> None:
        self._record.end()
        self._write()

    def close(self) -> None:
        self._record.end()
        if self._unwritten or self._running:
            self._write()

    def _write(self) -> None:
        begun = time.monotonic()
        self._epoch_ended = self._unwritten = False
        self._running = self._record.unfinished
        html_wanted = self.path.suffix.lower() == ".html"
        content = page(self._record).encode() if html_wanted else picture(self._record)
        with rewriting(self.path) as file:
            file.write(content)
        self._pace.took(begun)


def _read(path: Path) -> Record:
    try:
        if path.suffix.lower() == ".png":
            from PIL import Image  # a dependency of matplotlib

            with Image.open(path) as image:
                text = image.info[_KEY]
        else:
            pattern = rf'<script type="application/json" id="{_KEY}">(.*?)</script>'
            text = re.findall(pattern, path.read_text("utf-8"), re.DOTALL)[0]
        return Record.from_json(text)
    except (OSError, LookupError, TypeError, ValueError) as error:
        raise ValueError(
            f"`LossReport`: `path` {os.fspath(path)!r} exists and is no report of `LossReport`, so it is not "
            "replaced. Choose another path, or remove the file."
        ) from error


def picture(record: Record) -> bytes:
    """Return the report as a PNG file, with the record among its texts."""
    parts = [*drawing.sections(record), *(drawing.table(title, rows) for title, rows in _tables(record))]
    return drawing.png(parts, metadata={_KEY: record.to_json()})


def page(record: Record) -> str:
    """Return the report as an HTML page, with the record in a block that browsers do not show."""
    body = [
        f"<h2>{html.escape(part.title)}</h2>\n{drawing.svg(part)}" for part in drawing.sections(record)
    ] + [f"<h2>{html.escape(title)}</h2>\n{_table(rows)}" for title, rows in _tables(record)]
    data = record.to_json().replace("</", "<\\/")  # JSON reads both as the same
    return _PAGE.format(body="\n".join(body), key=_KEY, data=data)


def _table(rows: Sequence[Sequence[str]]) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    return (
        "<table>\n"
        + "\n".join([row(rows[0], "th"), *(row(cells, "td") for cells in rows[1:])])
        + "\n</table>"
    )


def _tables(record: Record) -> Iterator[tuple[str, list[tuple[str, ...]]]]:
    """Yield titles and rows, the head first: figures of the epochs, and hyper-parameters."""
    best, best_step = record.best(), None
    title, kinds = "Last figures", ["last"]
    if best is not None:
        run, index = best
        curve = record.curve(run, "epoch/loss")
        best_step = curve.steps[index]
        title += f", and those of the best {run} loss (epoch {index + 1} of {len(curve)}, update {best_step})"
        kinds.append("best")
    rows = [("", *(f"{kind}, {run}" for kind in kinds for run in drawing.RUNS))]
    for name in record.names("epoch/"):
        curves = [record.curve(run, f"epoch/{name}") for run in drawing.RUNS]
        if any(len(curve) for curve in curves):  # a histogram has no curve
            last = [curve.steps[-1] if len(curve) else None for curve in curves]
            steps = last + [best_step] * 2 * (best is not None)
            rows.append((name, *(_at(curve, step) for curve, step in zip(curves * 2, steps, strict=False))))
    if len(rows) > 1:
        yield title, rows
    if record.hyperparameters:
        yield (
            "Hyper-parameters",
            [("name", "value"), *((name, _text(value)) for name, value in record.hyperparameters.items())],
        )


def _at(curve: Series[float], step: int | None) -> str:
    return _text(curve.values[curve.steps.index(step)]) if step in curve.steps else ""


def _text(value: float | str | bool) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Training report</title>
<style>
:root {{ color-scheme: light dark; --paper: #fff; --ink: #20242b; --faint: #c9cdd4; }}
@media (prefers-color-scheme: dark) {{ :root {{ --paper: #16191e; --ink: #e4e7ec; --faint: #414751; }} }}
body {{ font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }}
h1 {{ font-size: 1.5rem; }} h2 {{ font-size: 1.05rem; margin: 2rem 0 .4rem; }}
svg {{ width: 100%; height: auto; }}
table {{ border-collapse: collapse; font-size: .87rem; }}
th, td {{ text-align: left; vertical-align: top; padding: .25rem .8rem .25rem 0;
  border-bottom: 1px solid var(--faint); overflow-wrap: anywhere; }}
th {{ font-weight: 600; }} td + td {{ font-variant-numeric: tabular-nums; }}
</style>
</head>
<body>
{body}
<script type="application/json" id="{key}">{data}</script>
</body>
</html>
"""
