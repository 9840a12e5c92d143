"""The bandwidth that losses reach on a GPU, over that of a kernel that copies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras

from benchmarks import backends, timing
from benchmarks.losses import FLOOR, Group
from benchmarks.report import cell, spread, table
from benchmarks.timing import Settings, Spread, progress
from benchmarks.workloads import WORKLOADS
from keras_losses import config

TITLE = "GPU"
BACKENDS = ("tensorflow", "jax", "torch")

ON = ("sparse", "one-hot", "binary", "numbers")
LOSSES = ("CrossentropyLoss", "FocalLoss", "SquaredErrorLoss")


def measure(settings: Settings) -> dict[str, Any]:
    device = backends.accelerator()
    return {"device": device, "rows": bandwidths(settings) if device else []}


def bandwidths(settings: Settings) -> list[dict[str, Any]]:
    """Of each loss and workload: bytes a second, and over those of the copy in each round."""
    config.validate_values(False)
    rows = []
    for name in progress(ON, "gpu"):
        for mode in backends.MODES[keras.backend.backend()]:
            group = Group(name, "large", mode, settings.losses or LOSSES)
            copied = 2 * group.x.nbytes
            calls = {label: group.calls[label] for label in (FLOOR, *group.entries)}
            copy = backends.copy(backends.tensor(group.x), mode)
            times = timing.interleaved({"copy": copy, **calls}, settings.rounds)
            for label in calls:
                moved = 3 * group.x.nbytes + (group.y.nbytes if label != FLOOR else 0)
                each = [copied / seconds for seconds in times["copy"]]
                reached = [moved / seconds for seconds in times[label]]
                rows.append(
                    {
                        "loss": label,
                        "workload": name,
                        "mode": mode,
                        "copy": timing.quartiles(each),
                        "reached": timing.quartiles(reached),
                        "of the copy": timing.ratio(reached, each),
                    }
                )
    return rows


def figures(data: Mapping[str, Any]) -> dict[str, Spread]:
    """The copy's bandwidth over that reached: more is slower."""
    return {
        f"{row['loss']}, {row['workload']}, {row['mode']}": [1 / x for x in reversed(row["of the copy"])]
        for row in data["rows"]
    }


def markdown(found: Mapping[str, Any]) -> Iterator[str]:
    without = [backends.NAMES[backend] for backend, data in found.items() if not data["device"]]
    if without:
        yield f"No GPU that {' or '.join(without)} could use was there when this was measured."
    if len(without) == len(found):
        return
    yield ""
    yield (
        "Bytes a second: the predictions read twice and written once, the labels read once, over the time "
        "that value and gradient take. Beside it what a kernel reaches that reads the predictions and "
        "writes them elsewhere."
    )
    yield ""
    yield from table(
        ("device", "on", "loss", "labels", "GB/s", "copy, GB/s", "of the copy"),
        [
            (
                data["device"],
                backends.name(backend, row["mode"]),
                f"`{row['loss']}`",
                WORKLOADS[row["workload"]].title,
                spread(row["reached"], 1e-9),
                cell(row["copy"][1], 1e-9),
                cell(row["of the copy"][1]),
            )
            for backend, data in found.items()
            for row in data["rows"]
        ],
    )
