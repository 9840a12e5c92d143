"""What the head of a language model costs: whole logits and Keras's loss, or VocabularyCrossentropy.

    python -m benchmarks.vocabulary [--tokens 4096] [--hidden 512] [--classes 131072] [--rounds 3]

The value and the gradients of hidden states and kernel, compiled, on the backend that KERAS_BACKEND names.
Memory is what a fresh process adds to its inputs at its peak while it runs one way alone. The times are of
one process, a round of each way in turn, with the median over the rounds. How far values and gradients are
apart is over the largest number.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from rich.console import Console
from rich.table import Table

from keras_losses import VocabularyCrossentropy

Function = Callable[[Any, Any], list[Any]]

WHOLE, CHUNKS = "dense head, Keras's loss", "VocabularyCrossentropy"


def measure(tokens: int = 4096, hidden: int = 512, classes: int = 131_072, rounds: int = 3) -> dict[str, Any]:
    """Of each way the peak memory over the inputs in MB and the median seconds; how far apart they are."""
    sizes = [str(size) for size in (tokens, hidden, classes)]
    memory = {way: _in_fresh_process(way, sizes) for way in (WHOLE, CHUNKS)}
    arrays, functions = _inputs(tokens, hidden, classes), _functions(tokens, classes)
    first = {way: _arrays(function(*arrays)) for way, function in functions.items()}  # and compiled
    apart = max(
        float(np.abs(x - y).max() / np.abs(x).max()) for x, y in zip(first[WHOLE], first[CHUNKS], strict=True)
    )
    del first
    times: dict[str, list[float]] = {way: [] for way in functions}
    for _ in range(rounds):
        for way, function in functions.items():
            begun = time.perf_counter()
            _wait(function(*arrays))
            times[way].append(time.perf_counter() - begun)
    ratios = [mine / theirs for mine, theirs in zip(times[CHUNKS], times[WHOLE], strict=True)]
    return {
        "backend": keras.backend.backend(),
        "tokens": tokens,
        "hidden": hidden,
        "classes": classes,
        "memory_mb": memory,
        "seconds": {way: statistics.median(each) for way, each in times.items()},
        "all_seconds": times,
        "memory_ratio": memory[CHUNKS] / memory[WHOLE],
        "time_ratio": statistics.median(ratios),
        "largest_difference": apart,
    }


def table(found: dict[str, Any]) -> Table:
    sizes = "{tokens:,} tokens x {hidden:,} x {classes:,} classes, {backend}".format(**found)
    shown = Table("way", "MB over the inputs", "median s", "memory", "time", title=sizes)
    shown.add_row(WHOLE, f"{found['memory_mb'][WHOLE]:,.0f}", f"{found['seconds'][WHOLE]:.3f}", "1", "1")
    shown.add_row(
        CHUNKS,
        f"{found['memory_mb'][CHUNKS]:,.0f}",
        f"{found['seconds'][CHUNKS]:.3f}",
        f"1 / {1 / found['memory_ratio']:.1f}",
        f"{found['time_ratio']:.2f}",
    )
    shown.caption = f"values and gradients differ by {found['largest_difference']:.1e} of the largest"
    return shown


# The ways -------------------------------------------------------------------------------------------------


def _inputs(tokens: int, hidden: int, classes: int) -> list[Any]:
    r = np.random.default_rng(0)
    states = r.standard_normal((tokens, hidden), "float32")
    kernel = r.standard_normal((hidden, classes), "float32")
    kernel *= hidden**-0.5
    return [ops.convert_to_tensor(x) for x in (states, kernel)]


def _functions(tokens: int, classes: int) -> dict[str, Function]:
    """Value, slopes in the hidden states, slopes in the kernel, of hidden states and kernel."""
    ids = ops.convert_to_tensor(np.random.default_rng(1).integers(0, classes, tokens).astype("int32"))
    keras_loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    loss = VocabularyCrossentropy()
    return {
        WHOLE: _compiled(lambda states, kernel: keras_loss(ids, ops.matmul(states, kernel))),
        CHUNKS: _compiled(lambda states, kernel: loss.of_hidden_states(ids, states, kernel)),
    }


def _compiled(function: Callable[[Any, Any], Any]) -> Function:
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        @tf.function(jit_compile=True)  # type: ignore[untyped-decorator]
        def run(*arrays: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(arrays)
                value = function(*arrays)
            return [value, *tape.gradient(value, arrays)]

        return run  # type: ignore[no-any-return]
    if backend == "jax":
        import jax

        both = jax.jit(jax.value_and_grad(function, (0, 1)))

        def jitted(*arrays: Any) -> list[Any]:
            value, slopes = both(*arrays)
            return [value, *slopes]

        return jitted
    import torch

    def eager(*arrays: Any) -> list[Any]:
        given = [x.detach().requires_grad_() for x in arrays]
        value = function(*given)
        return [value.detach(), *torch.autograd.grad(value, given)]

    return eager


def _arrays(found: list[Any]) -> list[np.ndarray]:
    return [np.asarray(ops.convert_to_numpy(x)) for x in found]


def _wait(found: list[Any]) -> None:
    for x in found:
        ops.convert_to_numpy(x[:1] if len(x.shape) else x)


# Memory ---------------------------------------------------------------------------------------------------


def _in_fresh_process(way: str, sizes: list[str]) -> float:
    """The peak of a process that runs one way alone; the machine's own threads and caches are in it."""
    command = [sys.executable, "-m", "benchmarks.vocabulary", "--alone", way]
    for name, size in zip(("--tokens", "--hidden", "--classes"), sizes, strict=True):
        command += [name, size]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(json.loads(told.splitlines()[-1]))


def _alone(way: str, tokens: int, hidden: int, classes: int) -> float:
    # What a backend takes for its first compiled function is no business of either way.
    small = _functions(64, 256)[way]
    _wait(small(*_inputs(64, 16, 256)))
    arrays, function = _inputs(tokens, hidden, classes), _functions(tokens, classes)[way]
    _wait(arrays)
    gc.collect()
    before, seen, done = _resident(), [0.0], threading.Event()

    # Not the process's own record of its peak: what made the inputs may have taken more than they do.
    def watch() -> None:
        while not done.wait(0.002):
            seen.append(_resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    _wait(function(*arrays))
    done.set()
    watcher.join()
    return max(seen) - before


def _resident() -> float:
    """What the process has in memory now, in MB; a facility of Linux's."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--classes", type=int, default=131_072)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--alone", choices=(WHOLE, CHUNKS), help="the peak memory of one way, in this process"
    )
    given = parser.parse_args()
    sizes = given.tokens, given.hidden, given.classes
    if given.alone:
        print(json.dumps(_alone(given.alone, *sizes)))
        return
    Console().print(table(measure(*sizes, rounds=given.rounds)))


if __name__ == "__main__":
    main()
