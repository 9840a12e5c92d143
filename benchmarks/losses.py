"""Every loss beside what a user would pick instead: the time of value and gradient.

All functions of a workload, the floor and the cross-entropies among them, are compiled and checked, and then
called in turns.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from rich.progress import track

from benchmarks import backends, timing
from benchmarks.peers import Peer, peers
from benchmarks.report import cell, marked, spread, state, table
from benchmarks.timing import Settings, Spread
from benchmarks.workloads import LEFT_OUT, WORKLOADS, Measured, Size, measured, reference
from keras_losses import config
from tests.kinds import kind_of
from tests.kinds.kind import Shape, Workload
from tests.oracles import REGISTRY, differentiated, expected, shares

TITLE = "Losses"
BACKENDS = ("tensorflow", "jax", "torch")

FLOOR, OURS, KERAS = "floor", "our cross-entropy", "Keras's cross-entropy"

FEW = 8
"""As many samples of a large workload are compared with the float64 reference."""

STEP, TOLERANCE = 1e-5, 1e-3
"""Of the differences of the reference; and by how much, relative to its size, a result may be off."""

Result = tuple[float, np.ndarray]


@dataclass
class Group:
    """The functions of a workload, each compiled and called once."""

    name: str
    size: Size
    mode: str
    names: tuple[str, ...] = ()
    """The losses that are wanted; all, if none is named."""
    beside: bool = True
    """Whether peers are wanted as well, and that results are compared."""
    calls: dict[str, backends.Call] = field(default_factory=dict)
    entries: dict[str, dict[str, str]] = field(default_factory=dict)
    """For each loss, its peers and what these are called among the calls."""
    errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.workload = WORKLOADS[self.name]
        self.shape: Shape = getattr(self.workload, self.size)
        self.y, self.x, self.options = self.workload.data(self.shape)
        self._tensors = backends.tensor(self.y), backends.tensor(self.x)
        self.calls[FLOOR] = backends.floor(self._tensors[1], self.mode)
        loss, encoding, labels = reference(self.workload, self.y, self.shape)
        self._add(OURS, loss, labels)
        self._add(KERAS, peers("CrossentropyLoss", encoding)[0].make(), labels)
        for which in measured(self.name, self.names):
            if self.size == "small" or (which.name, self.name) not in LEFT_OUT:
                self._take_up(which)

    def _take_up(self, which: Measured) -> None:
        """A loss, and its peers; without what is wrong, of which the command tells in the end."""
        label = which.label
        try:
            loss = which.build(self.shape[-1], self.options)
            ours = self._add(label, loss, self.y)
            if self.beside:
                _check(loss, self.y, self.x, *ours)
        except Exception as error:
            return self._drop(label, error)
        self.entries[label] = {}
        for peer in peers(label, self.name) if self.beside else ():
            call = f"{label}: {peer.name}"
            try:
                theirs = self._add(call, peer.make(), peer.labels(self.y, self.shape[-1]))
                _compare(ours, theirs, peer)
                self.entries[label][peer.name] = call
            except Exception as error:
                self._drop(call, error)
        return None

    def _add(self, label: str, function: backends.Function, labels: np.ndarray) -> Result:
        y, x = self._tensors
        y = y if labels is self.y else backends.tensor(labels)
        self.calls[label] = backends.value_and_gradients(function, (y, x), (1,), self.mode)
        value, (gradient,) = self.calls[label]()
        return float(value), keras.ops.convert_to_numpy(gradient)

    def _drop(self, label: str, error: Exception) -> None:
        self.calls.pop(label, None)
        where = backends.name(keras.backend.backend(), self.mode)
        what = str(error).strip().split("\n")[0][:300]
        self.errors.append(f"{label}, {self.name}, {self.size}, {where}: {type(error).__name__}: {what}")


def groups(settings: Settings, sizes: tuple[Size, ...]) -> list[tuple[str, Size, str]]:
    """What there is to be measured with this backend: workload, size and mode."""
    return [
        (name, size, mode)
        for name, workload in WORKLOADS.items()
        for size in sizes
        if getattr(workload, size) and any(measured(name, settings.losses))
        for mode in backends.MODES[keras.backend.backend()]
    ]


def measure(settings: Settings) -> dict[str, Any]:
    # Compiled graphs have no such checks; PyTorch's figures are of the formula as well.
    config.validate_values(False)
    rows: list[dict[str, Any]] = []
    errors: list[str] = []
    for name, size, mode in track(groups(settings, ("large", "small")), "losses", transient=True):
        group = Group(name, size, mode, settings.losses)
        times = timing.interleaved(group.calls, settings.rounds)
        errors += group.errors
        for label, found in group.entries.items():
            mine = times[label]
            rows.append(
                {
                    "loss": label,
                    "workload": name,
                    "size": size,
                    "mode": mode,
                    "seconds": timing.quartiles(mine),
                    "floors": timing.ratio(mine, times[FLOOR]),
                    "peers": {peer: timing.ratio(mine, times[call]) for peer, call in found.items()},
                    "crossentropy": timing.ratio(mine, times[OURS]),
                }
            )
        del group
        gc.collect()  # compiled functions are in circles, with their workload
    return {"rows": rows, "errors": errors}


def _check(loss: Any, y: np.ndarray, x: np.ndarray, value: float, gradient: np.ndarray) -> None:
    """Holds a value and a gradient to the float64 reference: on all of a small batch, or on a few samples.

    The gradient is held to it in one direction, in which the reference is differenced.
    """
    whole, name = x.size <= 10_000, type(loss).__name__
    kind = kind_of(name)
    of_images = kind.whole_images or kind.of_images
    if not whole and (loss.pools_batch or REGISTRY[name].shares or of_images):
        return  # a few samples or pixels do not have the gradient that they have among all
    divisor = shares(loss, y, x).sum() if whole else np.prod(x.shape[:-1])
    if whole:
        _near("value", np.array(value), expected(loss, y, x).sum() / divisor)
    else:
        few = (slice(0, FEW),) if x.ndim == 2 else (slice(0, 1), slice(0, 2), slice(0, 2))
        y, x, gradient = y[few], x[few], gradient[few]
    reference = differentiated(loss, y, x)
    direction = np.random.default_rng(2).standard_normal(x.shape)
    beside = [reference(x + step * direction).sum() for step in (-STEP, STEP)]
    slope = (beside[1] - beside[0]) / (2 * STEP) / divisor
    _near("gradient", np.sum(gradient * direction), slope, np.sum(np.abs(gradient * direction)))


def _compare(ours: Result, theirs: Result, peer: Peer) -> None:
    """Holds a peer's value and gradient to ours."""
    if "value" in peer.agrees:
        # Some add millions of numbers up in float32 one after another.
        _near(f"value of {peer.name}", peer.times * theirs[0], ours[0], 10 * abs(ours[0]))
    if "gradient" in peer.agrees:
        _near(f"gradient of {peer.name}", peer.times * theirs[1], ours[1], np.max(np.abs(ours[1])))


def _near(what: str, found: Any, wanted: Any, scale: Any = None) -> None:
    scale = np.abs(wanted) if scale is None else scale
    error = np.max(np.abs(found - wanted))
    if not error <= TOLERANCE * scale:
        raise ArithmeticError(f"{what} is {error / scale:.1e} off")


# What came of it --------------------------------------------------------------------------------------


def figures(data: Mapping[str, Any]) -> dict[str, Spread]:
    """What a later run is compared with."""
    return {
        ", ".join(row[key] for key in ("loss", "workload", "size", "mode")): row["floors"]
        for row in data["rows"]
    }


def markdown(found: Mapping[str, Any]) -> Iterator[str]:
    rows = [{**row, "backend": backend} for backend, data in found.items() for row in data["rows"]]
    yield (
        "Value and gradient in the predictions, float32, reduced to a mean. The floor is a function of the "
        "same framework that reads the predictions once, for their sum, and then reads and writes them "
        "once, times that sum: no gradient can do with less that depends on all numbers of a sample, as "
        "that of a softmax. Before anything is measured, the values and gradients of our losses are held to "
        "float64 references of their own, and those of other libraries to ours. All functions of a table "
        "are then called in turns, in another order in each round; times are medians over the rounds with "
        "their quartiles, ratios medians of the ratios in each round. A call that takes less than 2 ms is "
        "made many times in a row. Our losses run without the checks of values that they make in eager "
        "mode, which compiled functions do not have."
    )
    yield ""
    yield (
        "Under floors stands the time over that of the floor; under over, the time over that of a "
        "counterpart of another library or, where there is none, of our own cross-entropy of the same "
        "predictions. Of what costs a third more than that, the card says which arithmetic it is "
        "(losses.md). **Bold** figures are slower than a counterpart, *italic* ones by less than the "
        "quartiles are apart."
    )
    yield ""
    yield "### Where they are slower"
    yield ""
    yield from _slower(rows)
    for name, workload in WORKLOADS.items():
        here = [row for row in rows if row["workload"] == name]
        if here:
            yield ""
            yield from _workload(workload, here)


def _slower(rows: list[dict[str, Any]]) -> Iterator[str]:
    """How many figures beside a counterpart are above 1, and why."""
    counted: dict[str, list[str]] = {}
    for row in rows:
        states = counted.setdefault(backends.name(row["backend"], row["mode"]), [])
        states += [state(values) for values in row["peers"].values()]
    heads = ("not more", "within the quartiles", "more")
    yield from table(
        ("beside a counterpart, on", "not slower", "slower within the quartiles", "slower"),
        [(on, *(str(states.count(head)) for head in heads)) for on, states in counted.items() if states],
    )
    yield ""
    yield from (f"- {why}" for why in WHY)


WHY = (
    "PyTorch computes one operation after the other, each through `keras.ops`, which takes as long as a "
    "small batch: a formula of more steps than one of PyTorch's kernels takes longer by these.",
    "TensorFlow without XLA passes over memory for each operation, too, and ours have more of them, which "
    "keep the digits of small differences and of 1 - p that others lose. JAX on a processor writes each "
    "array between two steps to new memory.",
    "On a small batch a call costs more than its arithmetic, and XLA divides a loop between threads from "
    "some 2,000 numbers on, whose waking takes longer than the loop.",
    "One-hot labels may be soft, smoothed or weighted: their sum is a pass of its own.",
)
"""What the figures above 1 come from; faster ways that lose digits were not taken."""


def _workload(workload: Workload, rows: list[dict[str, Any]]) -> Iterator[str]:
    large = " x ".join(f"{size:,}" for size in workload.large)
    small = " x ".join(map(str, workload.small)) if workload.small else ""
    yield f"### {workload.title}"
    yield ""
    yield f"Predictions {large}" + (f"; small batches {small}." if small else ".")
    yield ""
    heads = ("loss", "on", "ms", "floors", "over", *(("small: µs", "over") if small else ()))
    yield from table(heads, _cells(rows, bool(small)))


def _cells(rows: list[dict[str, Any]], small: bool) -> Iterator[tuple[str, ...]]:
    keys: dict[tuple[str, str, str], dict[str, dict[str, Any]]] = {}
    for row in rows:
        keys.setdefault((row["loss"], row["backend"], row["mode"]), {})[row["size"]] = row
    for (loss, backend, mode), sizes in sorted(keys.items(), key=lambda item: item[0][0]):
        cells: list[str] = ["", "", ""]
        if large := sizes.get("large"):
            cells = [spread(large["seconds"], 1e3), cell(large["floors"][1]), _beside(large)]
        if small:
            found = sizes.get("small")
            cells += [cell(found["seconds"][1], 1e6), _beside(found)] if found else ["", ""]
        yield (f"`{loss}`", backends.name(backend, mode), *cells)


def _beside(row: Mapping[str, Any]) -> str:
    told = [f"{name} {marked(cell(values[1]), values)}" for name, values in row["peers"].items()]
    if not row["peers"] and row["loss"] != "CrossentropyLoss":
        told.append(f"cross-entropy {cell(row['crossentropy'][1])}")
    return ", ".join(told)
