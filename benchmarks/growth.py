"""How time and memory grow with the batch, the classes and the pixels, for one loss of each family."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from benchmarks import backends, bounds, timing
from benchmarks.report import cell, table
from benchmarks.timing import Settings, Spread, progress
from benchmarks.workloads import TAKEN, WORKLOADS, Measured, Shape, measured
from keras_losses import catalogue, config
from tests.oracles import REGISTRY

TITLE = "Growth"
BACKENDS = ("tensorflow", "jax")
ENVIRONMENT = timing.ENVIRONMENT

TIMES = (1, 10, 100, 1000)


def shapes(axis: str, last: int) -> list[Shape]:
    """Of the predictions, over three decades; `last` is how many numbers a sample has otherwise."""
    if axis == "batch":
        return [(128 * times, last) for times in TIMES]
    if axis == "classes":
        return [(128, 100 * times) for times in TIMES]
    return [(4, 10, 6 * times, last) for times in TIMES]


OF_CLASSES = ("sparse", "one-hot", "distributions", "logits")


def representatives(names: Sequence[str] = ()) -> Iterator[tuple[str, Measured, str]]:
    """A loss of each family with a workload: the first over classes, or the first."""
    found: dict[str, tuple[str, str]] = {}
    for name, loss in catalogue.losses().items():
        takes = REGISTRY[name].takes
        workload = TAKEN.get(takes, (takes,))[0]
        family = catalogue.card(loss).family
        better = family in found and workload in OF_CLASSES and found[family][1] not in OF_CLASSES
        if (not names or name in names) and (family not in found or better):
            found[family] = name, workload
    for family, (name, workload) in found.items():
        yield family, next(which for which in measured(workload) if which.name == name), workload


def measure(settings: Settings) -> dict[str, Any]:
    config.validate_values(False)
    mode = backends.MODES[keras.backend.backend()][0]
    wanted = [
        (family, which, workload, axis)
        for family, which, workload in representatives(settings.losses)
        for axis in (("batch", "classes", "pixels") if workload in OF_CLASSES else ("batch", "pixels"))
    ]
    rows = []
    for family, which, name, axis in progress(wanted[:: 4 if settings.quick else 1], "growth"):
        workload = WORKLOADS[name]
        assert workload.small is not None
        last = 100 if name in OF_CLASSES else workload.small[-1]
        calls = {}
        for times, shape in zip(TIMES, shapes(axis, last), strict=True):
            y, x = workload.arrays(shape)
            loss = which.build(workload, shape)
            calls[str(times)] = backends.value_and_gradient(
                loss, backends.tensor(y), backends.tensor(x), mode
            )
        found = timing.interleaved(calls, settings.rounds)
        rows.append(
            {
                "family": family,
                "loss": which.label,
                "axis": axis,
                "seconds": [timing.quartiles(times) for times in found.values()],
                "memory": [timing.peak(call) for call in calls.values()],
            }
        )
    return {"rows": rows}


def exponent(values: Sequence[float]) -> float:
    """The slope of the line through the logarithms, of the last so many sizes."""
    return float(np.polyfit(np.log(TIMES[-len(values) :]), np.log(values), 1)[0])


def exponents(row: Mapping[str, Any]) -> dict[str, float]:
    """Of the time over three decades and over the last, and of the memory where that is a megabyte or more.

    Small shapes are the cost of a call, and pages that come and go anyway.
    """
    medians = [spread[1] for spread in row["seconds"]]
    fitted = {"time": exponent(medians), "last decade": exponent(medians[-2:])}
    memory = [size for size in row["memory"] if size and size >= 2**20]
    return fitted | ({"memory": exponent(memory)} if len(memory) > 1 else {})


def figures(data: Mapping[str, Any]) -> dict[str, Spread]:
    """The largest over the smallest."""
    return {
        f"{row['loss']}, {row['axis']}": [x / row["seconds"][0][1] for x in row["seconds"][-1]]
        for row in data["rows"]
    }


def markdown(found: Mapping[str, Any]) -> Iterator[str]:
    above = [
        f"{row['loss']} with the {row['axis']} on {backends.NAMES[backend]} ({key} {value:.2f})"
        for backend, data in found.items()
        for row in data["rows"]
        for key, value in exponents(row).items()
        if value > bounds.LINEAR and key != "last decade"
    ]
    yield (
        "One loss of each family, with so many times the smallest batch, number of classes or of pixels. "
        "The exponent is the slope of the logarithms of the times over all three decades; beside it the "
        "slope over the last one, where the cost of a call counts least, and that of the memory, from one "
        "megabyte up; what a small shape takes the process may hold already, which lifts it a little."
    )
    yield ""
    yield f"Exponents above {bounds.LINEAR}: {'; '.join(above) or 'none'}."
    yield ""
    heads = ("loss", "grows", "on", *(f"{times} x, ms" for times in TIMES))
    yield from table(
        (*heads, "exponent", "last decade", "memory"),
        [
            (
                f"`{row['loss']}`",
                row["axis"],
                backends.NAMES[backend],
                *(cell(spread[1], 1e3) for spread in row["seconds"]),
                *(
                    f"{exponents(row)[key]:.2f}" if key in exponents(row) else ""
                    for key in ("time", "last decade", "memory")
                ),
            )
            for backend, data in found.items()
            for row in data["rows"]
        ],
    )
