"""Pictures of a record, drawn with matplotlib without its global state."""

from __future__ import annotations

import io
import itertools
import math
import re
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .record import LEVELS, Record, Series
from .recorded import SEAM_TAG

WIDTH = 10.0  # width of a picture in inches
RUNS = {"train": "#2f74c0", "validation": "#d9601a"}
PALETTE = ("#2f74c0", "#d9601a", "#2a9d6f", "#a05195", "#c9a227", "#5aa9c7", "#c44e6e", "#7d7f86")
INK, FAINT_INK = "#20242b", "#c9cdd4"
FAULT = "#d11f3a"  # colour of NaN and infinity
STYLE = {
    "font.size": 9,
    "axes.edgecolor": FAINT_INK,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 9,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.titlecolor": INK,
    "grid.color": FAINT_INK,
    "grid.linewidth": 0.5,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "axes.formatter.limits": (-4, 6),
    "axes.xmargin": 0.015,
    "figure.constrained_layout.w_pad": 0.1,
    "lines.linewidth": 1.6,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "svg.fonttype": "none",
    "svg.hashsalt": "keras-losses",
}


@dataclass
class Section:
    """A part of the report: its title, its height in inches, and the function that draws it on a figure."""

    title: str
    height: float
    draw: Callable[[Any], None]


def need_matplotlib(owner: str) -> None:
    """Raise `ImportError` if matplotlib is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f'`{owner}` draws with matplotlib, which is not installed: pip install "keras-losses[plot]"'
        ) from error


def sections(record: Record) -> Iterator[Section]:
    """Yield the sections for which the record has curves, the loss first."""
    if any(len(record.curve(run, tag)) for run in RUNS for tag in ("epoch/loss", "batch/loss")):
        rate = len(record.curve("train", "learning_rate")) > 0
        yield Section("Loss", 5.2 if rate else 4.0, lambda figure: _loss(figure, record))
    names = record.names("epoch/terms/")
    weighted = [name for name in names if f"{name}_weighted" in names]
    if weighted:
        yield Section("Terms, as weighted in the loss", 3.2, lambda figure: _terms(figure, record, weighted))
    raw = weighted or names
    if raw:
        tags = {name: f"epoch/terms/{name}" for name in raw}
        faint = {name: f"batch/terms/{name}" for name in raw}
        yield _panels("Terms, before their weights", record, tags, faint)
    metrics = [
        name
        for name in record.names("epoch/")
        if name != "loss" and not name.startswith("terms/") and _has_curve(record, f"epoch/{name}")
    ]
    if metrics:
        yield _panels("Metrics", record, {name: f"epoch/{name}" for name in metrics})
    parameters = record.names("parameters/")
    if parameters:
        yield _panels("Parameters of the loss", record, {name: f"parameters/{name}" for name in parameters})
    for run, tag in record.histograms:
        name = "the losses of the samples" if tag == "epoch/sample_loss" else tag
        yield Section(f"Spread of {name}, {run}", 3.0, _heat_of_histograms(record, run, tag))
    for run in RUNS:
        yield from _rows("Loss of each class", record, run, "class_loss/", "class ")
        yield from _rows("Norm of the gradient in each weight", record, run, "gradient_norm/", "")


def figure_of(parts: Sequence[Section]) -> Any:
    """Return a figure with all parts, one below another."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        heights = [part.height + 0.3 for part in parts]
        figure = Figure(figsize=(WIDTH, sum(heights)), layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        grid = figure.subfigures(len(parts), 1, height_ratios=heights, squeeze=False, hspace=0.02)
        for part, subfigure in zip(parts, grid[:, 0], strict=True):
            subfigure.suptitle(part.title, x=0.01, ha="left", fontsize=12, fontweight="bold")
            part.draw(subfigure)
    return figure


def png(parts: Sequence[Section], dpi: int = 120, metadata: Mapping[str, str] | None = None) -> bytes:
    """Return the parts as a PNG file."""
    return _saved(figure_of(parts), format="png", dpi=dpi, metadata=dict(metadata or {}))


def svg(part: Section) -> str:
    """Return one part without its title as SVG for a page, with `var(--ink)` as the colour of its text."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, part.height), layout="constrained")
        part.draw(figure)
    text = _saved(figure, format="svg", metadata={"Date": None}, transparent=True).decode()
    text = re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', "", text[text.index("<svg") :], count=1)
    return text.replace(INK, "var(--ink)").replace(FAINT_INK, "var(--faint)")


def _saved(figure: Any, **arguments: Any) -> bytes:
    from matplotlib import rc_context

    file = io.BytesIO()
    with rc_context(STYLE):
        figure.savefig(file, **arguments)
    return file.getvalue()


def wrapped(name: str, width: int) -> str:
    """Break a long name into lines, after the characters that join its words."""
    words = re.sub(r"([/_.\- ])", "\\1\0", name).split("\0")
    lines = [""]
    for word in words:
        for piece in textwrap.wrap(word, width, drop_whitespace=False) or [word]:
            if lines[-1] and len(lines[-1] + piece) > width:
                lines.append("")
            lines[-1] += piece
    return "\n".join(lines)


def table(title: str, rows: Sequence[Sequence[str]]) -> Section:
    """Return a section with a table of texts, whose first row is the head."""
    places = [
        0.0,
        *np.linspace(0.45, 1.0, len(rows[0]))[:-1],
    ]  # the first column has the names, which are long
    widths = [50, *[60 // (len(rows[0]) - 1)] * (len(rows[0]) - 1)]
    cells = [[wrapped(cell, width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    heights = [1 + max(cell.count("\n") for cell in row) for row in cells]
    tops = np.concatenate([[0], np.cumsum(heights)])

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        axes.set(xlim=(0, 1), ylim=(tops[-1], 0))
        axes.set_axis_off()
        for top, row in zip(tops, cells, strict=False):
            axes.axhline(top, color=FAINT_INK, lw=0.5)
            for place, cell in zip(places, row, strict=True):
                weight = "bold" if top == 0 else "normal"
                axes.text(place, top + 0.2, cell, va="top", fontsize=8, fontweight=weight)

    return Section(title, 0.2 * float(tops[-1]) + 0.1, draw)


def _loss(figure: Any, record: Record) -> None:
    rate = record.curve("train", "learning_rate")
    if len(rate):
        axes, below = figure.subplots(2, 1, sharex=True, height_ratios=[3.2, 1])
        below.plot(rate.steps, rate.values, color=INK, lw=1.2)
        below.set_ylabel("learning rate")
        below.set_xlabel("updates of the optimizer")
    else:
        axes = figure.subplots()
        axes.set_xlabel("updates of the optimizer")
    _runs(axes, record, "epoch/loss", "batch/loss", size=4.0)
    axes.set_ylabel("loss")
    for step in record.curve("train", SEAM_TAG).steps:
        axes.axvline(step, color=INK, lw=0.8, ls=":", zorder=1)
        axes.annotate(
            "new training", (step, 1.0), xycoords=("data", "axes fraction"), xytext=(3, -2),
            textcoords="offset points", fontsize=8, va="top",
        )  # fmt: skip
    best = record.best()
    if best is not None:
        run, index = best
        curve = record.curve(run, "epoch/loss")
        step, value = curve.steps[index], curve.values[index]
        axes.plot([step], [value], "o", ms=9, mfc="none", mec=INK, mew=1.3, zorder=5)
        epoch = f"{index + 1} of {len(curve)}"
        axes.set_title(f"○ the best {run} epoch, {epoch}: {value:.4g}", loc="right")


def _runs(axes: Any, record: Record, tag: str, faint: str | None, size: float, labels: bool = True) -> None:
    """Draw a curve of both runs over the faint curves of their batches."""
    drawn: list[Series[float]] = []
    ends: list[tuple[float, str, str]] = []
    for run, color in RUNS.items():
        behind = record.curve(run, faint) if faint is not None else Series()
        if len(behind):
            axes.plot(behind.steps, _finite(behind), color=color, lw=0.6, alpha=0.35, zorder=1.5)
        curve = record.curve(run, tag)
        if len(curve):
            # The marker shows a point between two values that are not finite, where no line is drawn.
            axes.plot(curve.steps, _finite(curve), color=color, marker="o", ms=3 if len(curve) < 40 else 0)
        drawn += [behind, curve]
        shown = curve if len(curve) else behind
        last = [value for value in shown.values if math.isfinite(value)]
        if last:
            ends.append((last[-1], run, color))
    _scale(axes, drawn)
    _faults(axes, drawn)
    if labels:
        _label_ends(axes, ends, size)


def _finite(curve: Series[float]) -> list[float]:
    return [value if math.isfinite(value) else math.nan for value in curve.values]


def _scale(axes: Any, curves: Sequence[Series[float]]) -> None:
    """Make the y-axis logarithmic if all values are positive and span more than two decades."""
    values = [value for curve in curves for value in curve.values if math.isfinite(value)]
    if values and min(values) > 0 and max(values) > 100 * min(values):
        axes.set_yscale("log")


def _faults(axes: Any, curves: Sequence[Series[float]]) -> None:
    """Draw crosses on the x-axis at the steps where a curve is NaN or infinite."""
    steps = {
        step: "NaN" if math.isnan(value) else "infinite"
        for curve in curves
        for step, value in zip(curve.steps, curve.values, strict=True)
        if not math.isfinite(value)
    }
    if steps:
        where = axes.get_xaxis_transform()
        axes.plot(list(steps), [0.02] * len(steps), "x", color=FAULT, ms=5, transform=where, clip_on=False)
        first = min(steps)
        axes.annotate(
            steps[first], (first, 0.02), xycoords=where, xytext=(0, 5), textcoords="offset points",
            color=FAULT, ha="center", va="bottom",
        )  # fmt: skip


def _label_ends(axes: Any, ends: Sequence[tuple[float, str, str]], height: float) -> None:
    """Write names at the right ends of the lines, moved apart if they would overlap."""
    places = []
    for value, name, color in ends:
        at = axes.transAxes.inverted().transform(axes.transData.transform((axes.get_xlim()[1], value)))[1]
        places.append((min(max(float(at), 0.0), 1.0), wrapped(name, 26), color))
    places.sort(key=lambda place: place[0])
    line = 0.17 / height  # the height of a line of text, as a fraction of the axes
    halves = [line * (text.count("\n") + 1) / 2 for _, text, _ in places]
    centres, below = [], -math.inf
    for (at, _, _), half in zip(places, halves, strict=True):
        centres.append(max(at, below + half))
        below = centres[-1] + half
    above = 1.0 + line / 2  # a name that was moved over the top moves the others down
    for index in reversed(range(len(places))):
        centres[index] = min(centres[index], above - halves[index])
        above = centres[index] - halves[index]
    for at, (_, text, color) in zip(centres, places, strict=True):
        axes.annotate(
            text, (1.0, at), xycoords="axes fraction", xytext=(5, 0), textcoords="offset points",
            color=color, va="center", ha="left", annotation_clip=False,
        )  # fmt: skip


def _terms(figure: Any, record: Record, names: Sequence[str]) -> None:
    tags = [f"epoch/terms/{name}_weighted" for name in names]
    runs = [run for run in RUNS if any(len(record.curve(run, tag)) for tag in tags)]
    grid = figure.subplots(1, len(runs), sharey=True, squeeze=False)[0]
    colors = [PALETTE[index % len(PALETTE)] for index in range(len(names))]
    for run, axes in zip(runs, grid, strict=True):
        curves = [record.curve(run, tag) for tag in tags]
        axes.set_title(run)
        axes.set_xlabel("updates of the optimizer")
        _faults(axes, curves)
        steps = curves[0].steps
        values = np.array([_finite(curve) for curve in curves]) if _alike(curves) else np.array([[-1.0]])
        # An area shows the share of a term, which is not defined beside a negative term.
        if np.all(np.nan_to_num(values) >= 0):
            axes.stackplot(steps, np.nan_to_num(values), colors=colors, alpha=0.75, lw=0)
            tops = np.nancumsum(values[:, -1])
            at = tops - np.nan_to_num(values[:, -1]) / 2
        else:
            for curve, color in zip(curves, colors, strict=True):
                axes.plot(curve.steps, _finite(curve), color=color)
            at = np.array(
                [next((v for v in reversed(curve.values) if math.isfinite(v)), 0.0) for curve in curves]
            )
        axes.margins(x=0)
        if axes is grid[-1]:
            ends = [(float(y), name, color) for y, name, color in zip(at, names, colors, strict=True)]
            _label_ends(axes, ends, height=2.4)


def _alike(curves: Sequence[Series[float]]) -> bool:
    return all(curve.steps == curves[0].steps for curve in curves)


def _panels(
    title: str, record: Record, tags: Mapping[str, str], faint: Mapping[str, str] | None = None
) -> Section:
    """Return a section with a small chart for each name."""
    columns = min(3, len(tags))
    rows = -(-len(tags) // columns)

    def draw(figure: Any) -> None:
        grid = figure.subplots(rows, columns, sharex=True, squeeze=False)
        for place in grid.flat[len(tags) :]:
            place.set_visible(False)
            grid.flat[len(tags) - 1].xaxis.set_tick_params(labelbottom=True)
        for axes, (name, tag) in zip(grid.flat, tags.items(), strict=False):
            runs = [run for run in RUNS if len(record.curve(run, tag))]
            _runs(axes, record, tag, (faint or {}).get(name), size=1.5, labels=runs != ["train"])
            axes.set_title(wrapped(name, 100 // columns))
        for axes in grid.flat[len(tags) - columns : len(tags)]:
            axes.xaxis.set_tick_params(labelbottom=True)
            axes.set_xlabel("updates of the optimizer")

    lines = max(wrapped(name, 100 // columns).count("\n") for name in tags)
    return Section(title, rows * (1.75 + 0.15 * lines) + 0.35, draw)


def _has_curve(record: Record, tag: str) -> bool:
    return any(len(record.curve(run, tag)) for run in RUNS)


def _heat_of_histograms(record: Record, run: str, tag: str) -> Callable[[Any], None]:
    series = record.histograms[run, tag]

    def draw(figure: Any) -> None:
        rows = np.array(series.values)
        low, high = float(rows.min()), float(rows.max())
        positive = low > 0 and high > 100 * low
        low, high = (low, high) if high > low else (low - 0.5, high + 0.5)
        edges = np.geomspace(low, high, 61) if positive else np.linspace(low, high, 61)
        # The distribution between two percentiles is taken to be uniform.
        shares = [np.diff(np.interp(edges, *_distinct(row)), prepend=0.0)[1:] for row in rows]
        axes = figure.subplots()
        axes.grid(False)
        mesh = axes.pcolormesh(
            _edges(series.steps), edges, 100 * np.array(shares).T, cmap="viridis", rasterized=True
        )
        axes.plot(series.steps, rows[:, 50], color="white", lw=1.4)
        axes.annotate(
            "median", (series.steps[-1], rows[-1, 50]), xytext=(-4, 4), textcoords="offset points",
            color="white", ha="right",
        )  # fmt: skip
        axes.set_yscale("log" if positive else "linear")
        axes.set_xlabel("updates of the optimizer")
        figure.colorbar(mesh, ax=axes, label="% of the samples", pad=0.01)

    return draw


def _distinct(row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distribution function: increasing values, and the share of samples up to each."""
    values, last = np.unique(row[::-1], return_index=True)
    return values, LEVELS[::-1][last] / 100.0


def _edges(steps: Sequence[int]) -> np.ndarray:
    """Return the edges of columns, each of which ends at its step and begins at the step before it."""
    at = np.array(steps, float)
    first = at[0] - (at[1] - at[0] if len(at) > 1 else 1.0)
    return np.concatenate([[first], at])


def _rows(title: str, record: Record, run: str, prefix: str, called: str) -> Iterator[Section]:
    """Yield a section with a row of colours for each name, which has room for many names."""
    names = [name for name in record.names(prefix) if len(record.curve(run, prefix + name))]
    if not names:
        return
    most = 64
    title = f"{title}, {run}"
    if len(names) > most:
        largest = sorted(names, key=lambda name: -_largest(record.curve(run, prefix + name)))[:most]
        title += f": the {most} largest of {len(names)}"
        names = [name for name in names if name in set(largest)]
    common = _common_folder(names) if len(names) > 1 else ""
    labels = [called + wrapped(name.removeprefix(common), 44) for name in names]
    if common:
        title += f" ({common}…)"
    lines = sum(label.count("\n") + 1 for label in labels)

    def draw(figure: Any) -> None:
        from matplotlib.colors import LogNorm

        curves = [record.curve(run, prefix + name) for name in names]
        steps = sorted({step for curve in curves for step in curve.steps})
        columns = np.linspace(0, len(steps) - 1, min(len(steps), 300)).round().astype(int)
        steps = [steps[column] for column in columns]
        values = np.full((len(names), len(steps)), np.nan)
        for index, curve in enumerate(curves):
            at = dict(zip(curve.steps, _finite(curve), strict=True))
            values[index] = [at.get(step, math.nan) for step in steps]
        positive = values[np.isfinite(values) & (values > 0)]
        norm = None
        if positive.size and positive.max() > 100 * positive.min() and not np.any(values < 0):
            norm = LogNorm(positive.min(), positive.max())
        axes = figure.subplots()
        axes.grid(False)
        heights = np.concatenate([[0], np.cumsum([label.count("\n") + 1 for label in labels])])
        mesh = axes.pcolormesh(_edges(steps), heights, values, cmap="viridis", norm=norm, rasterized=True)
        axes.invert_yaxis()
        axes.set_yticks((heights[1:] + heights[:-1]) / 2, labels)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("updates of the optimizer")
        figure.colorbar(mesh, ax=axes, pad=0.01, aspect=30)

    yield Section(title, 0.9 + 0.19 * lines, draw)


def _common_folder(names: Sequence[str]) -> str:
    first, last = min(names).split("/")[:-1], max(names).split("/")
    alike = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return "".join(f"{folder}/" for folder, _ in alike)


def _largest(curve: Series[float]) -> float:
    return max((value for value in curve.values if math.isfinite(value)), default=0.0)


class Pace:
    """Limits drawing to once in `seconds`, and to the fraction `part` of the time."""

    def __init__(self, seconds: float, part: float) -> None:
        self._seconds, self._part = seconds, part
        self._next = -math.inf

    def due(self) -> bool:
        """Return whether it is time to draw again."""
        return time.monotonic() >= self._next

    def took(self, begun: float) -> None:
        """Note that a drawing has ended that began at `begun`, a time of `time.monotonic`."""
        now = time.monotonic()
        self._next = now + max(self._seconds, (now - begun) / self._part)
