"""Runs the tests on mutated copies of the repository: the processes behind `python -m tests.mutants`.

For each backend, one process imports the third-party libraries and computes nothing. It forks a child for
each task, so that no child waits for these imports. Each child works in a copy of the repository, because
some tests start processes of their own, which must see the mutant as well.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import importlib
import itertools
import json
import multiprocessing
import os
import pickle
import resource
import shutil
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / ".pytest_cache" / "mutants"
"""Where the recorded runs of the test files stay, until the library, the helpers or the file change."""
PYTEST = ["-o", "addopts=", "-q", "--tb=short", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
"""Options of every run; plugins are imported before pytest could rewrite them, which it would warn of."""

PRELOADED = (
    "keras", "tensorflow", "torch", "jax", "scipy.stats", "scipy.special", "sklearn.metrics", "pandas",
    "mlflow", "matplotlib.pyplot", "hypothesis.extra.numpy", "PIL.Image", "coverage", "rich.progress",
    "tensorboard.backend.event_processing.event_accumulator",
)  # fmt: skip

Lines = dict[str, set[int]]
"""Line numbers by file, such as keras_losses/base.py."""


@dataclass(frozen=True)
class Mutant:
    """One mistake: its file, what made it, and the code before and after."""

    file: str
    line: int
    operator: str
    occurrence: int
    before: str
    after: str

    @property
    def path(self) -> str:
        return f"{self.file}.py" if self.file.startswith("callbacks/") else f"keras_losses/{self.file}.py"


@dataclass(frozen=True)
class Recorded:
    """A test without a mutant: processor seconds, and the lines that it runs or whose results it uses."""

    seconds: float
    lines: Lines


@dataclass(frozen=True)
class Plan:
    """The tests of one backend, and how long they may look for a mutant."""

    backend: str
    copies: list[Path]
    files: list[str]
    options: list[str]
    budget: float
    matrix: bool


def copy_of(folder: Path, suite: Path) -> Path:
    """Copies this repository to a folder, with the tests of `suite`."""
    ignored = shutil.ignore_patterns(
        ".git", ".*cache", ".venv*", "__pycache__", "*.egg-info", "build", "dist", "tests"
    )
    shutil.copytree(ROOT, folder, symlinks=True, ignore=ignored)
    shutil.copytree(suite / "tests", folder / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    # An editable installation would find the callbacks of the working tree.
    if not (folder / "keras_losses" / "callbacks").exists():
        (folder / "keras_losses" / "callbacks").symlink_to(Path("..", "callbacks"))
    return folder


def processor_seconds() -> float:
    """Time that this process and its ended children have computed."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def function_of(test: str) -> str:
    return test.split("[")[0]


# A run without a mutant -----------------------------------------------------------------------------


class Recorder:
    """A pytest plugin that records the lines and seconds of each test.

    The first test that needs a module's fixture or a cached function computes it; the lines of that
    computation count for every test that uses its result. Lines that run in another process are not seen.
    """

    def __init__(self, copy: Path) -> None:
        import coverage

        self.copy, self.context = copy.resolve(), ""
        self.uses: dict[str, set[str]] = defaultdict(set)
        self.seconds: Counter[str] = Counter()
        self.passed: list[str] = []
        self.failed: list[str] = []
        folders = [str(self.copy / folder) for folder in ("keras_losses", "callbacks")]
        self.coverage = coverage.Coverage(data_file=None, source=folders, config_file=False)
        functools.cache = self.cache
        self.coverage.start()

    @contextlib.contextmanager
    def within(self, context: str) -> Iterator[None]:
        """Counts what runs meanwhile for `context`, and not for what is around it."""
        outer, self.context, start = self.context, context, processor_seconds()
        self.coverage.switch_context(context)
        try:
            yield
        finally:
            seconds = processor_seconds() - start
            self.seconds[context] += seconds
            self.seconds[outer] -= seconds
            self.context = outer
            self.coverage.switch_context(outer)

    def cache(self, function: Callable[..., Any], real: Any = functools.cache) -> Any:
        """In place of `functools.cache`: each computation of the tests or the library is a context."""
        code = getattr(function, "__code__", None)
        if code is None or not code.co_filename.startswith(str(self.copy)):
            return real(function)

        def context(arguments: Any, named: Any) -> str:
            return (
                f"{function.__module__}.{function.__qualname__} {hash((arguments, frozenset(named.items())))}"
            )

        @real
        def compute(*arguments: Any, **named: Any) -> Any:
            with self.within(context(arguments, named)):
                return function(*arguments, **named)

        @functools.wraps(function)
        def call(*arguments: Any, **named: Any) -> Any:
            self.uses[self.context].add(context(arguments, named))
            return compute(*arguments, **named)

        call.cache_clear, call.cache_info = compute.cache_clear, compute.cache_info  # type: ignore[attr-defined]
        return call

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Any:
        if fixturedef.scope == "function":
            return (yield)
        with self.within(f"{fixturedef.baseid}::{fixturedef.argname}"):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: Any) -> Any:
        for definition in itertools.chain(*item._fixtureinfo.name2fixturedefs.values()):
            if definition.scope != "function":
                self.uses[item.nodeid].add(f"{definition.baseid}::{definition.argname}")
        with self.within(item.nodeid):
            return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)
        elif report.when == "call" and report.passed:
            self.passed.append(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.failed += [report.nodeid] if report.failed else []

    def result(self) -> dict[str, tuple[float, Lines]]:
        """Seconds and lines of each test that passes, and, named "", of the import of the library."""
        self.coverage.stop()
        data = self.coverage.get_data()
        lines: dict[str, Lines] = defaultdict(lambda: defaultdict(set))
        for file in data.measured_files():
            name = str(Path(file).resolve().relative_to(self.copy))
            for line, contexts in data.contexts_by_lineno(file).items():
                for context in contexts:
                    lines[context][name].add(line)
        found = {}
        for test in ("", *(test for test in self.passed if test not in self.failed)):
            used, left = {test}, [test]
            while left:
                left = list(self.uses[left.pop()] - used) + left
                used.update(left)
            together: Lines = defaultdict(set)
            for name, numbers in itertools.chain(*(lines[context].items() for context in used)):
                together[name] |= numbers
            found[test] = (sum(self.seconds[context] for context in used), dict(together))
        return found


def record(copy: Path, file: str, options: list[str], kept: Path) -> None:
    """Runs a file of tests without a mutant, and keeps what was recorded."""
    recorder = Recorder(copy)
    pytest.main([*PYTEST, *options, file], plugins=[recorder])
    kept.write_bytes(pickle.dumps((recorder.result(), recorder.failed)))


def kept_as(plan: Plan, file: str) -> Path:
    """Where the recorded run of a file of tests is kept."""
    copy, folders = plan.copies[0], ("keras_losses", "callbacks", "tests")
    read = [path for folder in folders for path in (copy / folder).glob("**/*.py")]
    # What another file of tests says changes nothing in this one.
    read = [path for path in read if path.stem[:5] != "test_"] + [copy / file, copy / "pyproject.toml"]
    said = [plan.backend, file, *plan.options, *(path.read_text(encoding="utf-8") for path in sorted(read))]
    return KEPT / f"{hashlib.sha256(json.dumps(said).encode()).hexdigest()[:32]}.pickle"


# A run with a mutant --------------------------------------------------------------------------------


def scopes(code: str, line: int) -> tuple[set[int], list[set[int]]]:
    """The lines of the statement at a line, and of the functions and classes around it, inside out."""
    around = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.stmt | ast.ExceptHandler):
            start = min([node.lineno, *(x.lineno for x in getattr(node, "decorator_list", ()))])
            if start <= line <= (node.end_lineno or start):
                around.append((start, node))
    if not around:
        return {line}, []
    around.sort(key=lambda pair: (pair[0], -(pair[1].end_lineno or 0)))
    start, inner = around[-1]
    body = getattr(inner, "body", None)
    end = max(inner.lineno, body[0].lineno - 1) if body else inner.end_lineno
    named = [x for _, x in reversed(around) if isinstance(x, ast.FunctionDef | ast.ClassDef)]
    return set(range(start, end + 1)), [set(range(x.body[0].lineno, x.end_lineno + 1)) for x in named]


def chosen(mutant: Mutant, code: str, tests: dict[str, Recorded], imported: Lines) -> list[list[str]]:
    """The tests that may notice a mutant: blocks of one file each, the likeliest and cheapest first.

    A line that runs while the library is imported, such as a declaration, has an effect on tests that do not
    run it. The tests of its function, class and file follow, and then all others.
    """
    path = mutant.path
    statement, bodies = scopes(code, mutant.line)
    circles = [statement]
    if statement & imported.get(path, set()):
        circles += [*bodies, set().union(*(test.lines.get(path, set()) for test in tests.values()))]
    blocks: dict[tuple[int, int, str], list[str]] = defaultdict(list)
    for test, recorded in tests.items():
        lines = recorded.lines.get(path, set())
        circle = next((n for n, circle in enumerate(circles) if circle & lines), len(circles))
        if circle < len(circles) or len(circles) > 1:
            dear = sum(recorded.seconds > limit for limit in (0.1, 1.0))
            blocks[circle, dear, test.split("::")[0]].append(test)

    def order(key: tuple[int, int, str]) -> tuple[int, int, float]:
        sizes = [sum(map(len, tests[test].lines.values())) for test in blocks[key]]
        return *key[:2], sum(sizes) / len(sizes)

    return [blocks[key] for key in sorted(blocks, key=order)]


class Judge:
    """A pytest plugin that runs the chosen tests in their order, and writes down which start and fail."""

    def __init__(self, tests: dict[str, float], budget: float, matrix: bool, copy: Path) -> None:
        self.tests, self.turns = tests, {test: turn for turn, test in enumerate(tests)}
        self.end, self.matrix = processor_seconds() + budget, matrix
        self.failed: set[str] = set()
        self.now: set[str] = set()
        self.events = (copy / "events").open("w", encoding="utf-8")

    def say(self, *event: Any) -> None:
        print(json.dumps([*event, processor_seconds()]), file=self.events, flush=True)

    def limit(self, seconds: float) -> None:
        """Ends this process if it computes for longer, or waits for ten times as long."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        end = round(used.ru_utime + used.ru_stime + seconds)
        resource.setrlimit(resource.RLIMIT_CPU, (end, resource.RLIM_INFINITY))
        signal.alarm(round(10 * seconds))

    def run(self, blocks: list[list[str]], options: list[str]) -> None:
        """Starts pytest for the first block, then for the next three, nine and so on.

        Most mutants fall to the first tests, so it does not pay to collect the others before.
        """
        some = ["--continue-on-collection-errors"] if self.matrix else ["-x"]
        left, count = iter(blocks), 1
        while part := list(itertools.islice(left, count)):
            self.now, count = set(itertools.chain(*part)), 3 * count
            files = list(dict.fromkeys(block[0].split("::")[0] for block in part))
            self.limit(120)
            code = pytest.main([*PYTEST, *some, *options, *files], plugins=[self])
            if code not in (0, 1, 5) and not self.failed:
                self.fail(f"pytest exits with {int(code)}")
            if self.failed and not self.matrix:
                break
        self.say("done", "")

    def fail(self, test: str) -> None:
        if function_of(test) not in self.failed:
            self.failed.add(function_of(test))
            self.say("failed", test)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted((x for x in items if x.nodeid in self.now), key=lambda x: self.turns[x.nodeid])

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if function_of(item.nodeid) in self.failed:
            pytest.skip("another case of it has failed")
        if processor_seconds() > self.end:
            self.say("left", item.nodeid)
            pytest.skip("the time is up")
        self.limit(3 * self.tests[item.nodeid] + 20)
        self.say("start", item.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.fail(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.fail(report.nodeid)


def judge(copy: Path, blocks: list[list[str]], tests: dict[str, Recorded], plan: Plan, change: Any) -> None:
    """Runs the blocks of tests on a copy in which one file is changed."""
    if change:
        path, code, turn = copy / change[0], change[1], change[2]
        before = path.stat().st_mtime
        path.write_text(code, encoding="utf-8")
        # Python takes bytecode for that of a file with the same second and size.
        os.utime(path, (before + 1 + turn,) * 2)
    seconds = {test: tests[test].seconds for test in itertools.chain(*blocks)}
    budget = plan.budget if change else float("inf")
    Judge(seconds, budget, plan.matrix or not change, copy).run(blocks, plan.options)


def verdict(copy: Path) -> dict[str, Any]:
    """What the events of a child say: the tests that failed, with their seconds, and how many ran."""
    events = [json.loads(line) for line in (copy / "events").read_text(encoding="utf-8").splitlines()]
    started, failed, start = [], [], 0.0
    for kind, test, seconds in events:
        if kind == "start":
            started, start = [*started, test], seconds
        elif kind == "failed":
            failed.append([test, round(seconds - start, 2) if started else 0.0])
    if not events or events[-1][0] != "done":
        failed.append([started[-1] if started else "the import of the tests", "never ends or crashes"])
    left = sum(kind == "left" for kind, _, _ in events)
    return {"failed": failed, "ran": len(started), "left": left}


# The processes --------------------------------------------------------------------------------------


def results(plan: Plan, mutants: list[tuple[Mutant, str]]) -> Iterator[tuple[Any, ...]]:
    """What the process of a backend sends: a kind, and what `serve` sends with it."""
    spawn = multiprocessing.get_context("spawn")
    receiver, sender = spawn.Pipe(duplex=False)
    process = spawn.Process(target=serve, args=(plan, mutants, sender))
    process.start()
    sender.close()
    with contextlib.suppress(EOFError):
        while True:
            yield receiver.recv()
    process.join()
    if process.exitcode:
        log = (plan.copies[0] / "log").read_text(errors="replace")
        sys.exit(f"the tests on {plan.backend} ended early:\n{log[-3000:]}")


def serve(plan: Plan, mutants: list[tuple[Mutant, str]], sender: Any) -> None:
    os.environ |= {"KERAS_BACKEND": plan.backend, "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    write_to(plan.copies[0] / "log")
    for module in PRELOADED:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    KEPT.mkdir(parents=True, exist_ok=True)
    kept = {file: kept_as(plan, file) for file in plan.files}
    missing = {file: (record, file, plan.options, path) for file, path in kept.items() if not path.exists()}
    for file, _ in forked(plan.copies, missing):
        sender.send(("recorded", file))
    tests, imported, failed = {}, defaultdict(set), []
    for file, path in kept.items():
        found, lost = pickle.loads(path.read_bytes()) if path.exists() else ({"": (0, {})}, [file])
        failed += lost
        # Only the first test of a compiled function traces it; on PyTorch every test runs every line of it.
        eager = kept_as(replace(plan, backend="torch"), file)
        also = pickle.loads(eager.read_bytes())[0] if eager.exists() else {}
        for name, lines in found.pop("")[1].items():
            imported[name] |= lines
        for test, (seconds, lines) in found.items():
            for name, numbers in also.get(test, (0, {}))[1].items():
                lines[name] = lines.get(name, set()) | numbers
            tests[test] = Recorded(seconds, lines)
    sender.send(("tests", {test: recorded.seconds for test, recorded in tests.items()}, failed))

    tasks, killers = {}, {}
    for turn, (mutant, code) in enumerate(mutants):
        original = (ROOT / mutant.path).read_text(encoding="utf-8")
        blocks = chosen(mutant, original, tests, imported)
        tasks[turn] = (judge, blocks, tests, plan, (mutant.path, code, turn))
    for turn, copy in forked(plan.copies, tasks):
        path = mutants[turn][0].path
        shutil.copy2(ROOT / path, copy / path)
        found = verdict(copy)
        killers |= {test: None for test, _ in found["failed"] if test in tests}
        sender.send(("verdict", turn, found))
    # A test that fails without a mutant, after other tests than usual, has killed none.
    blocks = [
        list(group) for _, group in itertools.groupby(sorted(killers), lambda test: test.split("::")[0])
    ]
    for _, copy in forked(plan.copies, {0: (judge, blocks, tests, plan, None)} if blocks else {}):
        sender.send(("unsound", [test for test, _ in verdict(copy)["failed"]]))
    sender.close()


def forked(copies: list[Path], tasks: dict[Any, tuple[Any, ...]]) -> Iterator[tuple[Any, Path]]:
    """Runs each task in a forked process, one in each copy at a time; names those that have ended."""
    waiting, free = iter(tasks.items()), list(copies)
    running: dict[Path, tuple[Any, Any]] = {}
    while True:
        while free and (following := next(waiting, None)):
            key, task = following
            copy = free.pop()
            (copy / "events").write_text("")
            process = multiprocessing.get_context("fork").Process(target=child, args=(copy, *task))
            process.start()
            running[copy] = (key, process)
        if not running:
            return
        time.sleep(0.02)
        for copy, (key, process) in list(running.items()):
            if not process.is_alive():
                # Servers that a killed test has left behind.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                del running[copy]
                free.append(copy)
                yield key, copy


def child(copy: Path, function: Callable[..., None], *arguments: Any) -> None:
    """Runs a function in a copy of the repository as if Python had been started there."""
    os.setsid()
    write_to(copy / "log")
    sys.path[:] = [str(copy), *(path for path in sys.path if Path(path or ".").resolve() != ROOT)]
    os.environ["PYTHONPATH"] = str(copy)
    os.chdir(copy)
    for name in [name for name in sys.modules if name.split(".")[0] == "tests"]:
        del sys.modules[name]
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    function(copy, *arguments)
    sys.stdout.flush()
    os._exit(0)


def write_to(log: Path) -> None:
    """Sends the output of this process, and of what it starts, to a file."""
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1), os.dup2(file, 2)
