"""What `import keras_losses` takes once Keras is imported, in processes of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks import backends, bounds, timing
from benchmarks.report import spread, table
from benchmarks.timing import Settings, Spread, progress

TITLE = "Import"
BACKENDS = ("tensorflow", "jax", "torch")

PROGRAM = """
import json, sys, time
began = time.perf_counter()
import keras
between, before = time.perf_counter(), set(sys.modules)
import keras_losses
ended = time.perf_counter()
new = {name.split(".")[0] for name in set(sys.modules) - before}
known = {name.split(".")[0] for name in before} | sys.stdlib_module_names | {"keras_losses"}
print(json.dumps([between - began, ended - between, sorted(new - known)]))
"""


def measure(settings: Settings) -> dict[str, Any]:
    runs = []
    for _ in progress(range(3 if settings.quick else 7), "import"):
        done = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True)
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    keras, ours, modules = zip(*runs[1:], strict=True)  # the first reads from the disk
    return {"keras": timing.quartiles(keras), "ours": timing.quartiles(ours), "modules": modules[0]}


def figures(data: Mapping[str, Any]) -> dict[str, Spread]:
    return {"over that of Keras": [value / data["keras"][1] for value in data["ours"]]}


def markdown(found: Mapping[str, Any]) -> Iterator[str]:
    yield "In a process of its own each time, after one that is not counted. What Keras imports is not ours. "
    yield f"The import is to take {1e3 * bounds.IMPORT:.0f} ms at most; more would be **bold**."
    yield ""
    yield from table(
        ("on", "`import keras`, s", "then `import keras_losses`, ms", "packages that it brings in"),
        [
            (
                backends.NAMES[backend],
                spread(data["keras"]),
                bounds.marked(spread(data["ours"], 1e3), data["ours"], bounds.IMPORT),
                ", ".join(f"`{name}`" for name in data["modules"]) or "none",
            )
            for backend, data in found.items()
        ],
    )
