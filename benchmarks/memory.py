"""The most memory that value and gradient take beside what is there before, over that of the predictions."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from typing import Any

from rich.progress import track

from benchmarks import backends, losses, timing
from benchmarks.losses import KERAS
from benchmarks.report import cell, marked, state, table
from benchmarks.timing import Settings, Spread
from benchmarks.workloads import WORKLOADS
from keras_losses import config

TITLE = "Memory"
BACKENDS = losses.BACKENDS
ENVIRONMENT = timing.ENVIRONMENT

NOISE = 0.05
"""A twentieth of the predictions is other memory of the process."""


def measure(settings: Settings) -> dict[str, Any]:
    config.validate_values(False)
    rows, errors = [], []
    for name, size, mode in track(losses.groups(settings, ("large",)), "memory", transient=True):
        group = losses.Group(name, size, mode, settings.losses, beside=False)
        peaks = {label: timing.peak(call) for label, call in group.calls.items()}
        errors += group.errors
        for label in group.entries:
            both = {"memory": peaks[label], "memory of Keras": peaks[KERAS]}
            times = {key: round(count / group.x.nbytes, 2) for key, count in both.items() if count}
            if len(times) == 2:
                rows.append({"loss": label, "workload": name, "mode": mode, **times})
        del group
        gc.collect()
    return {"rows": rows, "errors": errors}


def figures(data: Mapping[str, Any]) -> dict[str, Spread]:
    return {f"{row['loss']}, {row['workload']}, {row['mode']}": [row["memory"]] * 3 for row in data["rows"]}


def markdown(found: Mapping[str, Any]) -> Iterator[str]:
    rows = [{**row, "backend": backend} for backend, data in found.items() for row in data["rows"]]
    within = sum(state(_over_keras(row)) == "not more" for row in rows)
    yield (
        "The most memory that a process holds while it computes a value and a gradient, beside what it held "
        "before, in multiples of the predictions; 1 of it is the gradient itself. In brackets that of "
        "Keras's cross-entropy of the same predictions. **Bold** is more than that; "
        f"{within} of {len(rows)} figures are not. With XLA an exponential or a quotient that value and "
        "gradient both need is kept as an array, and without XLA each operation writes one, of which those "
        "that the gradient needs stay: a formula of more operations than the cross-entropy takes more."
    )
    yield ""
    modes = [(backend, mode) for backend in found for mode in backends.MODES[backend]]
    cells: dict[tuple[str, str], dict[tuple[str, str], str]] = {}
    for row in rows:
        text = f"{cell(row['memory'])} ({cell(row['memory of Keras'])})"
        key = row["loss"], row["workload"]
        cells.setdefault(key, {})[row["backend"], row["mode"]] = marked(text, _over_keras(row))
    yield from table(
        ("loss", "labels", *(backends.name(*mode) for mode in modes)),
        [
            (f"`{loss}`", WORKLOADS[workload].title, *(found.get(mode, "") for mode in modes))
            for (loss, workload), found in sorted(cells.items())
        ],
    )


def _over_keras(row: Mapping[str, Any]) -> Spread:
    return [max(row["memory"] - NOISE, 0.0) / row["memory of Keras"]] * 3
