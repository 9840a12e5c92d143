"""Runs the tests on every backend that is installed, and writes down which laws each loss was seen to pass.

python -m tests.verification         writes keras_losses/verified.json, for the catalogue, and the page
python -m tests.verification --page  writes docs/verification.md alone, as after python -m tests.mutants

Needs the extras dev, jax and torch. A run in which a test fails writes nothing.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.selection import about

ROOT = Path(__file__).parent.parent
RECORD = ROOT / "keras_losses" / "verified.json"
MUTANTS = ROOT / "tests" / "mutants.json"
PAGE = ROOT / "docs" / "verification.md"
BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
COMMAND = "python -m tests.verification"


# As a plugin of pytest -------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record", metavar="FILE", help="write how often each law was tried on each loss")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--record"):
        config.pluginmanager.register(_Recorder(config.getoption("--record")))


class _Recorder:
    """Tells the laws from other tests where they run, and counts them where they are reported."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.laws: dict[str, dict[str, Any]] = {}
        self.outcomes: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        for item in items:
            if item.path.parent.name == "contract":
                law = item.path.stem.removeprefix("test_"), item.originalname
                said = (item.function.__doc__ or "").split("\n")[0]
                item.user_properties.append(("law", (*law, said, about(item))))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" and report.passed:
            return
        self.outcomes[report.outcome] += 1
        if report.skipped:
            self.skipped[str(report.longrepr[2]).removeprefix("Skipped: ")] += 1  # type: ignore[index]
        law = dict(report.user_properties).get("law")
        if law is None or not report.passed:
            return
        group, name, said, loss = law  # type: ignore[misc]
        entry = self.laws.setdefault(f"{group}.{name}", {"says": said, "cases": Counter()})
        entry["cases"][loss] += 1

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if not hasattr(session.config, "workerinput"):
            found = {"laws": self.laws, "outcomes": self.outcomes, "skipped": self.skipped}
            Path(self.path).write_text(json.dumps(found), encoding="utf-8")


# The record ------------------------------------------------------------------------------------------


def run(backend: str) -> dict[str, Any]:
    """What was seen of one backend."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "record.json"
        arguments = ["-q", "-p", "tests.verification", "--record", str(path)]
        start = time.monotonic()
        environment = {**os.environ, "KERAS_BACKEND": backend}
        done = subprocess.run([sys.executable, "-m", "pytest", *arguments], cwd=ROOT, env=environment)
        if done.returncode:
            sys.exit(f"{BACKENDS[backend]}: a test failed, and nothing was written")
        seen: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {
        "version": importlib.metadata.version(backend),
        "seconds": round(time.monotonic() - start),
        **seen,
    }


def record() -> dict[str, Any]:
    """The backends with their figures, and each law with the number of its cases by loss and backend."""
    missing = [name for backend, name in BACKENDS.items() if not importlib.util.find_spec(backend)]
    if missing:
        sys.exit(f"The record is of three backends. Not installed: {', '.join(missing)}.")
    backends: dict[str, Any] = {}
    laws: dict[str, dict[str, Any]] = {}
    for backend in BACKENDS:
        seen = run(backend)
        for law, entry in seen.pop("laws").items():
            kept = laws.setdefault(law, {"says": entry["says"], "cases": {}})
            for loss, count in entry["cases"].items():
                kept["cases"].setdefault(loss, {})[backend] = count
        backends[backend] = seen
    return {
        "python": ".".join(map(str, sys.version_info[:3])),
        "keras": importlib.metadata.version("keras"),
        "backends": backends,
        "laws": dict(sorted(laws.items())),
    }


# The page --------------------------------------------------------------------------------------------


def page(seen: dict[str, Any], mutants: dict[str, Any]) -> Iterator[str]:
    """docs/verification.md."""
    groups: dict[str, dict[str, Any]] = {}
    for law, entry in seen["laws"].items():
        group, name = law.split(".")
        groups.setdefault(group, {})[name] = entry
    losses = sorted({loss for entry in seen["laws"].values() for loss in entry["cases"]} - {""})

    yield "# Verification"
    yield ""
    yield f"Made by `{COMMAND}`; do not edit. The code of the laws is in `tests/contract/`."
    yield f"Keras {seen['keras']}, Python {seen['python']}, two cores."
    yield ""
    yield from _table(
        ["backend", "version", "seconds, whole suite", "tests passed", "skipped"],
        (
            [
                BACKENDS[backend],
                of["version"],
                of["seconds"],
                f"{of['outcomes']['passed']:,}",
                of["outcomes"].get("skipped", 0),
            ]
            for backend, of in seen["backends"].items()
        ),
    )
    yield "## Losses and laws"
    yield ""
    yield "Laws passed, and the cases that they were tried on, on the three backends together."
    yield "`PowerErrorLoss` is the example of CONTRIBUTING.md."
    yield ""
    yield from _table(
        ["loss", *(group.replace("_", " ") for group in groups)],
        ([f"`{loss}`", *(_laws_and_cases(laws, loss) for laws in groups.values())] for loss in losses),
    )
    yield "## What the laws say"
    yield ""
    for group, laws in groups.items():
        yield f"### {group.replace('_', ' ').capitalize()}"
        yield ""
        yield from _table(
            ["law", "losses", *BACKENDS.values()],
            (
                [
                    entry["says"],
                    len(set(entry["cases"]) - {""}) or "the suite",
                    *(sum(of.get(backend, 0) for of in entry["cases"].values()) for backend in BACKENDS),
                ]
                for entry in laws.values()
            ),
        )
    yield "## What was skipped"
    yield ""
    yield "No law is skipped for a loss; these are facilities that a backend has not."
    yield ""
    reasons = sorted({reason for of in seen["backends"].values() for reason in of["skipped"]})
    yield from _table(
        ["reason", *BACKENDS.values()],
        ([reason, *(of["skipped"].get(reason, 0) for of in seen["backends"].values())] for reason in reasons),
    )
    yield from _mutants(mutants)


def _laws_and_cases(laws: dict[str, Any], loss: str) -> str:
    of = [entry["cases"][loss] for entry in laws.values() if loss in entry["cases"]]
    return f"{len(of)} / {sum(sum(counts.values()) for counts in of):,}" if of else ""


def _mutants(seen: dict[str, Any]) -> Iterator[str]:
    files = {f"`{name}.py`": of for name, of in seen["files"].items()}
    files["all"] = {key: sum(of[key] for of in files.values()) for key in ("mutants", "killed", "survived")}
    yield "## Mutants"
    yield ""
    minutes = seen["seconds"] // 60
    yield "Small mistakes made in the library one at a time, and how many of them the tests noticed:"
    yield f"{seen['sample']} of {seen['of']:,}, drawn with the seed {seen['seed']}, in {minutes} minutes."
    yield "`python -m tests.mutants` makes them, and leaves this for the page in `tests/mutants.json`."
    yield ""
    yield from _table(
        ["file", "mutants", "killed", "survived", "rate"],
        ([name, *of.values(), f"{of['killed'] / of['mutants']:.1%}"] for name, of in files.items()),
    )
    yield "The survivors:"
    yield ""
    yield from _table(
        ["where", "before", "after"],
        (
            [f"`{one['file']}.py:{one['line']}`", f"`{one['before']}`", f"`{one['after']}`"]
            for one in seen["survivors"]
        ),
    )


def _table(head: list[str], rows: Any) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|---" * len(head) + "|"
    for row in rows:
        yield f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in row)} |"
    yield ""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--page", action="store_true", help="write docs/verification.md from what was seen")
    if not parser.parse_args().page:
        RECORD.write_text(json.dumps(record(), separators=(",", ":")) + "\n", encoding="utf-8")
    read = [json.loads(path.read_text(encoding="utf-8")) for path in (RECORD, MUTANTS)]
    PAGE.write_text("\n".join(page(*read)).rstrip() + "\n", encoding="utf-8")
    print(PAGE.relative_to(ROOT))


if __name__ == "__main__":
    main()
