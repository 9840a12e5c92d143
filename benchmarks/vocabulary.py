"""The head of a language model: whole logits with Keras's loss beside `VocabularyCrossentropy`.

The value and the gradients of hidden states and kernel, compiled. The times are those of one process; the
memory is what a fresh process adds to its inputs while it runs one way alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from benchmarks import backends, timing
from benchmarks.report import cell, marked, spread, table
from benchmarks.timing import Settings, Spread
from keras_losses import VocabularyCrossentropy

TITLE = "The head of a language model"
BACKENDS = ("tensorflow", "jax")

Sizes = tuple[int, int, int]

SIZES = (4096, 512, 131_072)
"""Tokens, hidden, classes."""

WHOLE, CHUNKS = "dense head, Keras's loss", "VocabularyCrossentropy"


def measure(settings: Settings) -> dict[str, Any]:
    memory = {way: in_a_fresh_process(way, SIZES) for way in (WHOLE, CHUNKS)}
    calls = ways(SIZES)
    first = {way: results(call) for way, call in calls.items()}
    both = zip(first[WHOLE], first[CHUNKS], strict=True)
    apart = max(float(np.abs(x - y).max() / np.abs(x).max()) for x, y in both)
    del first
    times = timing.interleaved(calls, max(3, settings.rounds // 3))
    return {
        "sizes": SIZES,
        "ways": [{"way": way, "seconds": timing.quartiles(times[way]), "MB": memory[way]} for way in calls],
        "time": timing.ratio(times[CHUNKS], times[WHOLE]),
        "memory": memory[CHUNKS] / memory[WHOLE],
        "difference": apart,
    }


def ways(sizes: Sizes) -> dict[str, backends.Call]:
    """Calls that compute the value and its gradients in hidden states and kernel."""
    tokens, hidden, classes = sizes
    r = np.random.default_rng(0)
    states = r.standard_normal((tokens, hidden), "float32")
    kernel = r.standard_normal((hidden, classes), "float32") * np.float32(hidden**-0.5)
    arrays = [backends.tensor(x) for x in (r.integers(0, classes, tokens, "int32"), states, kernel)]
    keras_loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    loss, mode = VocabularyCrossentropy(), backends.MODES[keras.backend.backend()][0]
    functions = {
        WHOLE: lambda ids, states, kernel: keras_loss(ids, ops.matmul(states, kernel)),
        CHUNKS: loss.of_hidden_states,
    }
    return {
        way: backends.value_and_gradients(function, arrays, (1, 2), mode)
        for way, function in functions.items()
    }


def results(call: backends.Call) -> list[np.ndarray]:
    value, gradients = call()
    return [np.asarray(ops.convert_to_numpy(x)) for x in (value, *gradients)]


def in_a_fresh_process(way: str, sizes: Sizes) -> float:
    """The megabytes that a process needs beside its inputs, the backend's threads and caches among them."""
    command = [sys.executable, "-m", "benchmarks.vocabulary", way, *map(str, sizes)]
    done = subprocess.run(
        command, env={**os.environ, **timing.ENVIRONMENT}, check=True, stdout=subprocess.PIPE
    )
    return float(done.stdout.splitlines()[-1])


def alone(way: str, sizes: Sizes) -> float:
    # What a backend takes for its first compiled function is no business of either way.
    ways((64, 16, 256))[way]()
    return timing.peak_of_one(ways(sizes)[way]) / 2**20


def figures(data: Mapping[str, Any]) -> dict[str, Spread]:
    return {"time over whole logits": data["time"], "memory over whole logits": [data["memory"]] * 3}


def markdown(found: Mapping[str, Any]) -> Iterator[str]:
    yield (
        "Hidden states and labels in, the loss and the gradients of the hidden states and of the kernel "
        "out. Memory is the peak over the inputs, in a fresh process for each way."
    )
    yield ""
    yield from table(
        ("on", "tokens x hidden x classes", "way", "s", "MB", "times", "of the memory"),
        [
            (
                backends.NAMES[backend],
                " x ".join(f"{size:,}" for size in data["sizes"]),
                way["way"],
                spread(way["seconds"]),
                cell(way["MB"]),
                *(_ratios(data) if way["way"] == CHUNKS else ("", "")),
            )
            for backend, data in found.items()
            for way in data["ways"]
        ],
    )
    yield ""
    largest = max(data["difference"] for data in found.values())
    yield f"The values and gradients of both differ by {largest:.0e} of the largest number at most."


def _ratios(data: Mapping[str, Any]) -> tuple[str, str]:
    return marked(spread(data["time"]), data["time"]), cell(data["memory"])


if __name__ == "__main__":
    tokens, hidden, classes = map(int, sys.argv[2:])
    print(alone(sys.argv[1], (tokens, hidden, classes)))
