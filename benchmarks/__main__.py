"""What the library costs, measured: python -m benchmarks [--write]

Each section is measured with each backend in a process of its own. `--save` keeps what was found, `--compare`
fails where something has become slower than in such a file, `--write` makes docs/performance.md of it and
docs/performance.json, with which later runs are compared.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import itertools
import json
import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import report, timing
from benchmarks.timing import Settings

SECTIONS = ("losses", "memory", "steps", "vocabulary")
"""Modules, each with

- `TITLE`, and `BACKENDS`: those that it is measured with;
- `measure(settings)`, which returns what JSON can hold, in a process that has `ENVIRONMENT`, if there is one;
- `figures(data)` of a backend, by which runs are compared; less is better;
- `markdown(found)` of all backends.
"""

BACKENDS = ("tensorflow", "jax", "torch")
ROOT = Path(__file__).parents[1]
DOCUMENT, REFERENCE = ROOT / "docs" / "performance.md", ROOT / "docs" / "performance.json"
"""The page, and the run that it is of."""

SLOWER = 1.15
"""What a comparison fails beyond, where the quartiles are apart as well."""

Found = dict[str, dict[str, Any]]
"""By section and backend."""

console = Console(stderr=True)


def main() -> int:
    arguments = parser().parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if arguments.child:
        section, path = arguments.child
        settings = Settings(arguments.rounds, tuple(arguments.losses))
        Path(path).write_text(json.dumps(module(section).measure(settings)))
        return 0
    run: dict[str, Any] = {"commands": [], "sections": {}}
    if arguments.read:
        run = json.loads(Path(arguments.read).read_text())
    failed = measure(run, arguments)
    if arguments.write:
        save(run, REFERENCE)
        DOCUMENT.write_text("\n".join(map(wrapped, document(run))) + "\n", encoding="utf-8")
        console.print(f"wrote {DOCUMENT.relative_to(ROOT)}")
    else:
        for name, found in run["sections"].items():
            print("\n".join(section_text(name, found)))
    slower = compare(json.loads(Path(arguments.compare).read_text()), run) if arguments.compare else False
    return int(failed or slower)


def parser() -> argparse.ArgumentParser:
    there = [backend for backend in BACKENDS if importlib.util.find_spec(backend)]
    result = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.split("\n")[0])
    result.add_argument("--sections", nargs="+", choices=SECTIONS, default=SECTIONS)
    result.add_argument("--backends", nargs="+", choices=BACKENDS, default=there)
    result.add_argument("--losses", nargs="+", default=[], metavar="LOSS", help="these alone, by class")
    result.add_argument("--rounds", type=int, default=15)
    result.add_argument("--save", metavar="FILE", help="keep what was found, as JSON")
    words = "begin with what a file has; measure the rest, and the losses named"
    result.add_argument("--read", metavar="FILE", help=words)
    result.add_argument("--compare", metavar="FILE", help="fail where something is slower than in a file")
    words = f"write {DOCUMENT.relative_to(ROOT)} and {REFERENCE.relative_to(ROOT)}"
    result.add_argument("--write", action="store_true", help=words)
    result.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    return result


def module(section: str) -> Any:
    return importlib.import_module(f"benchmarks.{section}")


# Measuring --------------------------------------------------------------------------------------------


def measure(run: dict[str, Any], arguments: argparse.Namespace) -> bool:
    """Measures what is not yet there, and losses that are named once more; whether something failed."""
    found: Found = run["sections"]
    told = {"command": command(arguments), "machine": report.machine()}
    failed = False
    for section in arguments.sections:
        for backend in arguments.backends:
            known = found.get(section, {}).get(backend)
            by_loss = known is not None and any("loss" in row for row in known.get("rows", ()))
            if backend not in module(section).BACKENDS or (known and not (arguments.losses and by_loss)):
                continue
            data = in_a_process(section, backend, arguments)
            if data is None:
                failed = True
                continue
            failed = failed or bool(data.get("errors"))
            found.setdefault(section, {})[backend] = data if known is None else renewed(known, data)
            if told not in run["commands"]:
                run["commands"].append(told)
            if arguments.save:  # what has been found is kept, whatever comes
                save(run, Path(arguments.save))
    return failed


def command(arguments: argparse.Namespace) -> str:
    """The command that measures the same, without what only says where results are kept."""
    told = [f"--rounds {arguments.rounds}"]
    told += [] if arguments.sections == SECTIONS else [f"--sections {' '.join(arguments.sections)}"]
    told += [f"--losses {' '.join(arguments.losses)}"] if arguments.losses else []
    told += [f"--read {REFERENCE.relative_to(ROOT)}"] if arguments.read and arguments.losses else []
    return " ".join(["python -m benchmarks", *told, "--write"])


def renewed(known: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """What is known, with new rows in the places of those of the same loss, workload, size and mode."""

    def by_name(rows: list[dict[str, Any]]) -> dict[tuple[str, ...], dict[str, Any]]:
        return {tuple(value for value in row.values() if isinstance(value, str)): row for row in rows}

    return {**known, "rows": list({**by_name(known["rows"]), **by_name(data["rows"])}.values())}


def in_a_process(section: str, backend: str, arguments: argparse.Namespace) -> Any:
    """What a section finds with a backend, or None if its process failed."""
    environment = {"KERAS_BACKEND": backend, **getattr(module(section), "ENVIRONMENT", {})}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "found.json"
        options = ["--rounds", str(arguments.rounds)]
        if arguments.losses:
            options += ["--losses", *arguments.losses]
        child = [sys.executable, "-m", "benchmarks", *options, "--child", section, str(path)]
        done = subprocess.run(child, env={**os.environ, **environment}, cwd=ROOT, check=False)
        if done.returncode:
            console.print(f"[red]{section}, {backend}: its process ended with {done.returncode}")
            return None
        return json.loads(path.read_text())


def save(run: Mapping[str, Any], path: Path) -> None:
    """A line for each row, so that differences can be read."""
    text = json.dumps(run)
    for mark in ('{"loss"', '{"network"', '{"rows"'):
        text = text.replace(mark, "\n" + mark)
    path.write_text(text + "\n", encoding="utf-8")


# Comparing --------------------------------------------------------------------------------------------


def compare(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Prints what has become slower, in multiples of what was measured beside it; whether anything has."""
    if machines(before) != machines(now):
        console.print("[yellow]The other run was on another machine or with other versions.")
    rows = list(slower(before["sections"], now["sections"]))
    console.print(f"Slower by more than {SLOWER - 1:.0%}:" if rows else "Nothing is slower.")
    for row in rows:
        console.print(row, soft_wrap=True)
    return bool(rows)


def machines(run: Mapping[str, Any]) -> set[str]:
    return {report.in_words(told["machine"]) for told in run["commands"]}


def slower(before: Found, now: Found) -> Iterator[str]:
    for section, found in now.items():
        for backend in found.keys() & before.get(section, {}).keys():
            old = module(section).figures(before[section][backend])
            for key, new in module(section).figures(found[backend]).items():
                if key in old and is_slower(old[key], new):
                    yield f"{section}, {backend}: {key}: {old[key][1]:.3g} before, {new[1]:.3g} now"


def is_slower(before: timing.Spread, now: timing.Spread) -> bool:
    """Whether the median is beyond, and the quartiles do not meet."""
    return now[1] > SLOWER * before[1] and now[0] > before[2]


# Writing ----------------------------------------------------------------------------------------------


def document(run: Mapping[str, Any]) -> Iterator[str]:
    yield from ("# What it costs", "", "Wholly written by these commands; do not edit.")
    for machine, told in itertools.groupby(run["commands"], lambda told: report.in_words(told["machine"])):
        yield from ("", "```sh", *(each["command"] for each in told), "```", "", machine)
    if len(machines(run)) > 1:
        yield ""
        yield (
            "A loss that a later command names was measured on the machine of that command. Compare it with "
            "the others by its ratios."
        )
    for section in SECTIONS:
        if section in run["sections"]:
            yield ""
            yield from section_text(section, run["sections"][section])


def wrapped(line: str) -> str:
    """A paragraph or a command in lines of 120; a table or a heading as it is."""
    if line.startswith(("|", "#")):
        return line
    if line.startswith("python "):
        return " \\\n".join(textwrap.wrap(line, 118, subsequent_indent="    ", break_on_hyphens=False))
    below = "  " if line.startswith("- ") else ""
    return textwrap.fill(line, 120, subsequent_indent=below, break_long_words=False, break_on_hyphens=False)


def section_text(section: str, found: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {module(section).TITLE}"
    yield ""
    yield from module(section).markdown(found)
    errors = [error for data in found.values() for error in data.get("errors", ())]
    if errors:
        yield ""
        yield f"Not measured: {'; '.join(errors)}."


if __name__ == "__main__":
    sys.exit(main())
