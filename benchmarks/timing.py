"""Times and memory of calls, taken so that what slows one call down slows the others as well."""

from __future__ import annotations

import gc
import math
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Spread = list[float]
"""The lower quartile, the median and the upper quartile."""

AT_LEAST = 0.002
"""Seconds: a shorter call is made so many times in a row that it takes about as long."""


@dataclass(frozen=True)
class Settings:
    """What the command was asked for."""

    rounds: int = 15
    losses: tuple[str, ...] = ()


def interleaved(calls: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """The seconds of each call in each round.

    A round makes every call, each time in another order, so that none always comes after the same one.
    """
    repeats = {name: _repeats(call) for name, call in calls.items()}
    times: dict[str, list[float]] = {name: [] for name in calls}
    shuffle = random.Random(0)
    for _ in range(rounds):
        for name in shuffle.sample(list(calls), len(calls)):
            times[name].append(seconds(calls[name], repeats[name]))
    return times


def seconds(call: Callable[[], Any], repeats: int = 1) -> float:
    began = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - began) / repeats


def _repeats(call: Callable[[], Any]) -> int:
    call()
    return max(1, math.ceil(AT_LEAST / seconds(call, 3)))


def quartiles(values: Sequence[float]) -> Spread:
    return [float(f"{q:.4g}") for q in statistics.quantiles(values, n=4)]


def ratio(times: Sequence[float], others: Sequence[float]) -> Spread:
    """Of each round, so that what slows a round down does so for both."""
    return quartiles([t / other for t, other in zip(times, others, strict=True)])


ENVIRONMENT = {"MALLOC_MMAP_THRESHOLD_": "65536", "TF_ONEDNN_USE_SYSTEM_ALLOCATOR": "1"}
"""Of a process that measures peaks: large blocks come from the system and go back to it at once.

glibc and TensorFlow keep them otherwise, and what is used again is not seen.
"""


def peak(call: Callable[[], Any]) -> int | None:
    """The most bytes that the process holds during a call beside those before; None where nothing tells.

    The most of several calls: before one, JAX may not yet have given back what the last one held.
    """
    call()
    try:
        return max(peak_of_one(call) for _ in range(3))
    except OSError:  # anywhere but on Linux
        return None


def peak_of_one(call: Callable[[], Any]) -> int:
    """The most bytes that the process holds during this call beside those before; only on Linux."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _status("VmRSS")
    call()
    return _status("VmHWM") - before


def _status(key: str) -> int:
    """A figure of the process's memory, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:"))
