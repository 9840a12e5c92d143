"""The picture of the losses that have counterparts: how far each is above the floor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import backends

COLOURS = {
    "Keras": "#d0021b",
    "Keras one-hot": "#f08c8c",
    "focal-loss": "#e69f00",
    "optax": "#0072b2",
    "PyTorch": "#009e73",
}


def draw(found: Mapping[str, Any], path: Path) -> bool:
    """Writes the picture of the losses section; False if nothing in it has a counterpart."""
    rows = [
        {**row, "backend": backend}
        for backend, data in found.items()
        for row in data["rows"]
        if row["size"] == "large" and row["peers"]
    ]
    if not rows:
        return False
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FuncFormatter

    labels = list(dict.fromkeys(_label(row) for row in rows))[::-1]
    modes = [(backend, mode) for backend in found for mode in backends.MODES[backend]]
    modes = [mode for mode in modes if any((row["backend"], row["mode"]) == mode for row in rows)]
    height = 1.6 + 0.26 * len(labels)
    figure, axes = plt.subplots(
        1,
        len(modes),
        figsize=(3.4 + 2.9 * len(modes), height),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    shown: dict[str, Any] = {}
    for axis, mode in zip(axes[0], modes, strict=True):
        for row in rows:
            if (row["backend"], row["mode"]) != mode:
                continue
            place, ours = labels.index(_label(row)), row["floors"][1]
            others = {name: ours / ratio[1] for name, ratio in row["peers"].items()}
            ends = [ours, *others.values()]
            axis.plot([min(ends), max(ends)], [place, place], color="#cccccc", linewidth=1, zorder=1)
            for name, value in others.items():
                shown[name] = axis.scatter(value, place, s=28, color=COLOURS[name], zorder=2, label=name)
            shown["keras-losses"] = axis.scatter(ours, place, s=34, color="black", marker="D", zorder=3)
        axis.axvline(1.0, color="#888888", linewidth=1, linestyle=":")
        axis.set_xscale("log")
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.grid(axis="x", color="#eeeeee", zorder=0)
        axis.set_title(backends.name(*mode))
        axis.set_xlabel("times the floor")
        axis.spines[["top", "right"]].set_visible(False)
    axes[0][0].set_yticks(range(len(labels)), labels)
    order = [name for name in ("keras-losses", *COLOURS) if name in shown]
    figure.legend(
        [shown[name] for name in order], order, loc="outside upper center", ncols=len(order), frameon=False
    )
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return True


def _label(row: Mapping[str, Any]) -> str:
    return f"{row['loss']}, {row['workload']}"
