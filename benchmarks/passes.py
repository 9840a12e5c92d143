"""Why a loss takes as long as it does: how often it goes over its arrays, and what it computes on the way.

Nothing is timed. What a framework will do is read from what it has compiled, or counted as it is done.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from benchmarks import backends, losses
from benchmarks.peers import peers
from benchmarks.report import table
from benchmarks.timing import Settings, Spread, progress
from benchmarks.workloads import WORKLOADS, measured
from keras_losses import config

TITLE = "What it is made of"
BACKENDS = losses.BACKENDS

HEAVY = re.compile(r"^_?(exp|log|tanh|sigmoid|logistic|softplus|pow|erf|l?gamma)")
"""The names of operations that take much longer than a product, in all frameworks."""

FREE = {
    *("parameter", "constant", "tuple", "get-tuple-element", "bitcast"),
    *("Placeholder", "Const", "Identity", "IdentityN", "NoOp", "Shape", "StopGradient"),
    *("Reshape", "ExpandDims", "BroadcastGradientArgs"),
}
"""Operations that do not touch the numbers."""


def measure(settings: Settings) -> dict[str, Any]:
    config.validate_values(False)
    backend = keras.backend.backend()
    rows = []
    for name, workload in progress(list(WORKLOADS.items()), "passes"):
        wanted = [which for which in measured(name, losses.chosen(settings)) if peers(which.label, name)]
        if not wanted:
            continue
        y, x = workload.arrays(workload.large)
        for which in wanted:
            functions = {"ours": (which.build(workload, workload.large), y)}
            for peer in peers(which.label, name):
                functions[peer.name] = (peer.make(), peer.labels(y, workload.large[-1]))
            for mode in backends.MODES[backend]:
                found = {who: list(counted(*function, x, mode)) for who, function in functions.items()}
                rows.append({"loss": which.label, "workload": name, "mode": mode, "counts": found})
    return {"rows": rows}


def counted(function: backends.Function, y: np.ndarray, x: np.ndarray, mode: str) -> tuple[int, int]:
    """How often value and gradient go over arrays as large as the predictions, and how many of the
    operations on them are exponentials, logarithms or the like."""
    call, arguments = backends.compiled(function, backends.tensor(y), backends.tensor(x), mode)
    if mode == "XLA":
        return of_hlo(call.experimental_get_compiler_ir(*arguments)(stage="optimized_hlo"), x.size)
    if mode == "jit":
        return of_hlo(call.lower(*arguments).compile().as_text(), x.size)
    if mode == "graph":
        return _of_graph(call.get_concrete_function(*arguments).graph, x.size)
    return _of_torch(call, x.size)


INSTRUCTION = re.compile(r"^\s*(?:ROOT )?(%[\w.\-]+) = (\([^)]*\)|\S+) ([\w\-]+)\((.*)")
DIMENSIONS = re.compile(r"\w+\[([\d,]*)\]")


def of_hlo(text: str, least: int) -> tuple[int, int]:
    """Of a module that XLA has optimized: the steps of its entry, and what all of them compute."""
    sizes: dict[str, int] = {}
    passes = heavy = 0
    inside = False
    for line in text.splitlines():
        inside = line.startswith("ENTRY") or (inside and not line.startswith("}"))
        found = INSTRUCTION.match(line)
        if not found:
            continue
        name, shapes, operation, rest = found.groups()
        sizes[name] = max((_product(each) for each in DIMENSIONS.findall(shapes)), default=0)
        heavy += sizes[name] >= least and bool(HEAVY.match(operation))
        touched = [sizes[name], *(sizes.get(each, 0) for each in re.findall(r"%[\w.\-]+", rest))]
        passes += inside and operation not in FREE and max(touched) >= least
    return passes, heavy


def _product(dimensions: str) -> int:
    return int(np.prod([int(each) for each in dimensions.split(",") if each], dtype="int64"))


def _of_graph(graph: Any, least: int) -> tuple[int, int]:
    """Of a graph of TensorFlow, before it folds what is constant."""
    passes = heavy = 0
    for each in graph.get_operations():
        shapes = [tensor.shape for tensor in (*each.inputs, *each.outputs)]
        large = any((shape.num_elements() or 0) >= least for shape in shapes if shape.rank is not None)
        if large and each.type not in FREE:
            passes += 1
            heavy += bool(HEAVY.match(each.type.lower()))
    return passes, heavy


def _of_torch(call: Any, least: int) -> tuple[int, int]:
    import torch
    from torch.utils import _python_dispatch as dispatch  # documented, and the only way to see every kernel

    counts = [0, 0]

    class Counting(dispatch.TorchDispatchMode):  # type: ignore[misc]
        def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            found = operation(*args, **(kwargs or {}))
            results = found if isinstance(found, tuple) else (found,)
            large = any(
                isinstance(each, torch.Tensor) and each.numel() >= least for each in (*args, *results)
            )
            # A view is another shape of the same memory.
            if large and not operation.is_view:
                square = any(isinstance(x, int) and x in (1, 2) for x in args)  # which PyTorch calls a power
                counts[0] += 1
                counts[1] += bool(HEAVY.match(operation.overloadpacket.__name__)) and not square
            return found

    with Counting():
        call()
    return counts[0], counts[1]


# What came of it --------------------------------------------------------------------------------------


def figures(data: Mapping[str, Any]) -> dict[str, Spread]:
    """The passes of ours."""
    return {
        f"{row['loss']}, {row['workload']}, {row['mode']}": [row["counts"]["ours"][0]] * 3
        for row in data["rows"]
    }


def markdown(found: Mapping[str, Any]) -> Iterator[str]:
    yield (
        "Of the losses that other libraries have as well: how many steps go over arrays as large as the "
        "predictions, and, after a +, how many of the operations on them are exponentials, logarithms or "
        "the like. XLA has many operations in one step; in a graph of TensorFlow and on PyTorch each is a "
        "step of its own, which reads and writes memory."
    )
    yield ""
    yield from table(
        ("loss", "labels", "on", "ours", "others"),
        [
            (
                f"`{row['loss']}`",
                WORKLOADS[row["workload"]].title,
                backends.name(backend, row["mode"]),
                _both(row["counts"]["ours"]),
                ", ".join(f"{who} {_both(each)}" for who, each in row["counts"].items() if who != "ours"),
            )
            for backend, data in found.items()
            for row in sorted(data["rows"], key=lambda row: (row["loss"], row["workload"]))
        ],
    )


def _both(counts: tuple[int, int]) -> str:
    return f"{counts[0]} + {counts[1]}"
