"""The head of a language model: whole logits with Keras's loss beside `VocabularyCrossentropy`.

What is measured, and how, is in benchmarks/vocabulary.py; this makes a section of it.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks import backends, bounds, timing
from benchmarks.report import cell, spread, table
from benchmarks.timing import Settings, Spread

TITLE = "The head of a language model"
BACKENDS = ("tensorflow", "jax")
REQUIRES = ("benchmarks.vocabulary",)

SIZES, SMALLER = (4096, 512, 131_072), (1024, 256, 32_768)
"""Tokens, hidden, classes."""


def measure(settings: Settings) -> dict[str, Any]:
    vocabulary: Any = importlib.import_module("benchmarks.vocabulary")
    sizes, rounds = (SMALLER, 3) if settings.quick else (SIZES, max(3, settings.rounds // 3))
    found = vocabulary.measure(*sizes, rounds=rounds)
    seconds = found["all_seconds"]
    whole, chunks = seconds  # Keras's first
    return {
        "sizes": sizes,
        "ways": [
            {"way": way, "seconds": timing.quartiles(seconds[way]), "MB": found["memory_mb"][way]}
            for way in (whole, chunks)
        ],
        "time": timing.ratio(seconds[chunks], seconds[whole]),
        "memory": found["memory_mb"][chunks] / found["memory_mb"][whole],
        "difference": found["largest_difference"],
    }


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
                *(_ratios(data) if turn else ("", "")),
            )
            for backend, data in found.items()
            for turn, way in enumerate(data["ways"])
        ],
    )
    yield ""
    largest = max(data["difference"] for data in found.values())
    yield f"The values and gradients of both differ by {largest:.0e} of the largest number at most."


def _ratios(data: Mapping[str, Any]) -> tuple[str, str]:
    time = bounds.marked(spread(data["time"]), data["time"], bounds.HEAD_TIME)
    memory = bounds.marked(cell(data["memory"]), [data["memory"]] * 3, bounds.HEAD_MEMORY)
    return time, memory
