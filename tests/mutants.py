"""Proves the tests: makes small mistakes in the library, one at a time, and reports what no test notices.

    python -m tests.mutants --sample 250 --seed 0     # or --file numerics, or nothing for every mutant

The mistakes are cosmic-ray's. Of its operators those are kept that a slip resembles: a number one more or one
less, an arithmetic operator for its inverse, a comparison negated or moved by one, a condition, sign, loop,
decorator or exception taken away. It would also put each of eleven operators for every `+`; `x >> y` between
floats raises in any test, and would only raise the rate. What cannot change behaviour is no mutant:
annotations, what only type checkers read, the `examples` and `refused` values that a hyper-parameter declares
for the tests, and what is the same code as another mutant.

Each mutant runs in a process of its own, on a copy of the repository: a few cases of every test on PyTorch,
then all of them, then a few on TensorFlow and JAX, whose branches PyTorch does not run. The first failure, or
a run that takes three times as long as without a mistake, kills it.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import importlib
import importlib.metadata
import json
import multiprocessing
import os
import random
import re
import shutil
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
UNTRIED = {"__init__", "catalogue", "config"}
"""Names, tables and a switch: what is in them is looked at rather than computed."""
FILES = sorted({path.stem for path in (ROOT / "keras_losses").glob("*.py")} - UNTRIED)
OPERATORS = re.compile(
    r"core/(ReplaceBinaryOperator_(Add_Sub|Sub_Add|Mul_Div|Div_Mul|Pow_Mul|FloorDiv_Mul|Mod_Mul)"
    r"|ReplaceBinaryOperator_(BitOr_BitAnd|BitAnd_BitOr)"
    r"|ReplaceComparisonOperator_(Eq_NotEq|NotEq_Eq|Is_IsNot|IsNot_Is)"
    r"|ReplaceComparisonOperator_(Lt_LtE|Lt_GtE|LtE_Lt|LtE_Gt|Gt_GtE|Gt_LtE|GtE_Gt|GtE_Lt)"
    r"|ReplaceUnaryOperator_Delete_\w+|Replace(True|False|And|Or|Break|Continue)With\w+"
    r"|AddNot|NumberReplacer|ExceptionReplacer|RemoveDecorator|ZeroIterationForLoop)"
)
STAGES = (("torch", 8), ("torch", 0), ("tensorflow", 1), ("jax", 1))
"""Backends, and how many cases of each test are tried there; 0 for all of them."""


# The mutants ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mutant:
    """One mistake: where it is, what made it, and the lines before and after."""

    file: str
    line: int
    operator: str
    before: str
    after: str


class Behaviour(ast.NodeTransformer):
    """The code without what cannot change what it does, and with one way of writing a negation."""

    inverse = ((ast.Eq, ast.NotEq), (ast.Is, ast.IsNot), (ast.In, ast.NotIn))

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Name("annotation")
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return ast.arg(node.arg)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.decorator_list = [x for x in node.decorator_list if "dataclass_transform" not in ast.dump(x)]
        return self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | None:
        return None if "TYPE_CHECKING" in ast.dump(node.test) else self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        node.keywords = [x for x in node.keywords if x.arg not in ("examples", "refused")]
        return self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        operand = node.operand
        if not isinstance(node.op, ast.Not):
            return node
        if isinstance(operand, ast.UnaryOp) and isinstance(operand.op, ast.Not):
            return operand.operand
        if isinstance(operand, ast.Compare) and len(operand.ops) == 1:
            for pair in self.inverse:
                if isinstance(operand.ops[0], pair):
                    operand.ops = [pair[isinstance(operand.ops[0], pair[0])]()]
                    return operand
        return node


def behaviour(code: str) -> str:
    return ast.dump(Behaviour().visit(ast.parse(code)))


def mutants(file: str) -> Iterator[tuple[Mutant, str]]:
    """Every mutant of a file that behaves in a way of its own, with the code of the whole file."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator, operator_names

    code = (ROOT / "keras_losses" / f"{file}.py").read_text(encoding="utf-8")
    known = {behaviour(code)}
    for name in filter(OPERATORS.fullmatch, operator_names()):
        occurrence = 0
        while (mutated := mutate_code(code, get_operator(name)(), occurrence)) is not None:
            occurrence += 1
            # Where a `*` is no operator, as before keyword-only arguments, nothing that parses comes out.
            with suppress(SyntaxError):
                if (found := behaviour(mutated)) not in known:
                    known.add(found)
                    yield described(file, name.removeprefix("core/"), code, mutated), mutated


def described(file: str, operator: str, code: str, mutated: str) -> Mutant:
    diff = [*difflib.unified_diff(code.splitlines(), mutated.splitlines(), lineterm="", n=0)][2:]
    before, after = (" ".join(x[1:].strip() for x in diff if x[0] == sign) for sign in "-+")
    return Mutant(file, int(re.findall(r"\d+", diff[0])[0]), operator, before, after)


# The runs -------------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cases", type=int, default=0, help="of each test, how many cases are tried; 0 for all")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keeps cases spread evenly over each test, and tries one of every test before the second of any."""
    of_tests: dict[str, list[pytest.Item]] = {}
    for item in items:
        of_tests.setdefault(item.nodeid.split("[")[0], []).append(item)
    wanted = config.getoption("cases")
    rounds: list[tuple[int, pytest.Item]] = []
    for name, cases in of_tests.items():
        step = -(-len(cases) // (wanted or len(cases)))
        # Every test starts somewhere else, so that together they try every loss even with one case each.
        rounds += enumerate(cases[zlib.crc32(name.encode()) % step :: step])
    items[:] = [item for _, item in sorted(rounds, key=lambda pair: pair[0])]


class Runner:
    """Runs the tests of a copy of the repository, in which one file after another is mutated."""

    def __init__(self, copy: Path) -> None:
        self.copy = copy
        ignored = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist")
        shutil.copytree(ROOT, copy, dirs_exist_ok=True, ignore=ignored)
        # Where the tests of an editable installation look for the callbacks.
        shutil.copytree(copy / "callbacks", copy / "keras_losses" / "callbacks")
        # Forked children start with everything but the library; this process must never compute.
        for module in ("keras", "tensorflow", "torch", "scipy.stats", "hypothesis", "sklearn.metrics"):
            with suppress(ImportError):
                importlib.import_module(module)
        self.limits = dict.fromkeys(STAGES, 600.0)

    def baseline(self, stage: tuple[str, int]) -> None:
        """Times the tests without a mistake, and leaves their bytecode for the runs to come."""
        started = time.monotonic()
        if self.fails(stage, bytecode=True):
            sys.exit(f"the tests fail without a mutant; see {self.copy / 'log'}")
        self.limits[stage] = 3 * (time.monotonic() - started) + 10

    def kills(self, stage: tuple[str, int], mutant: Mutant, code: str) -> bool:
        path = self.copy / "keras_losses" / f"{mutant.file}.py"
        path.write_text(code, encoding="utf-8")
        try:
            return self.fails(stage)
        finally:
            shutil.copy2(ROOT / "keras_losses" / path.name, path)

    def fails(self, stage: tuple[str, int], bytecode: bool = False) -> bool:
        """Whether a test fails, or the time is over; PyTorch is forked, the others start anew."""
        backend, cases = stage
        os.environ["KERAS_BACKEND"] = backend
        start = multiprocessing.get_context("fork" if backend == "torch" else "spawn").Process
        child = start(target=run_tests, args=(str(self.copy), cases, bytecode))
        child.start()
        child.join(self.limits[stage])
        over = child.is_alive()
        child.kill()
        child.join()
        return over or child.exitcode != 0


def run_tests(copy: str, cases: int, bytecode: bool) -> None:
    log = os.open(f"{copy}/log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1), os.dup2(log, 2)
    # The bytecode of a mutant would be taken for that of the next one, made in the same second.
    sys.dont_write_bytecode = not bytecode
    os.chdir(copy)
    sys.path.insert(0, copy)
    if os.environ["KERAS_BACKEND"] == "torch":
        import torch

        torch.set_num_threads(1)
    options = [
        "-o",
        "addopts=",
        "-x",
        "-q",
        "-p",
        "no:warnings",
        "-p",
        "no:cacheprovider",
        "-p",
        "tests.mutants",
    ]
    code = pytest.main([*options, f"--cases={cases}", "--ignore=tests/callbacks", "tests"])
    sys.stdout.flush()
    os._exit(int(code))


# The report -----------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sample", type=int, help="how many mutants, drawn at random; all by default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--file", choices=FILES, action="append", help="only this file of keras_losses")
    parser.add_argument("--output", type=Path, default=ROOT / "tests" / "mutants.json")
    arguments = parser.parse_args()
    os.environ |= {"KERAS_BACKEND": "torch", "OMP_NUM_THREADS": "1"}

    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Table

    started, console = time.monotonic(), Console()
    every = [pair for file in arguments.file or FILES for pair in mutants(file)]
    size = min(arguments.sample or len(every), len(every))
    chosen = sorted(random.Random(arguments.seed).sample(range(len(every)), size))
    survivors = []
    # No thread of the bar's own: it could hold a lock while a child is forked.
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    columns = (*columns, TextColumn("{task.fields[note]}"))
    with (
        tempfile.TemporaryDirectory() as copy,
        Progress(*columns, console=console, auto_refresh=False) as progress,
    ):
        runner, killed_by = Runner(Path(copy)), Counter[str]()
        left = [every[index] for index in chosen]
        for stage in STAGES:
            name = f"{stage[0]}, {stage[1] or 'all'} of each test"
            task = progress.add_task(name, total=len(left), note="")
            progress.refresh()
            if left:
                runner.baseline(stage)
            alive = []
            for mutant, code in left:
                if not runner.kills(stage, mutant, code):
                    alive.append((mutant, code))
                progress.update(task, advance=1, refresh=True, note=f"{len(alive)} left")
            killed_by[name], left = len(left) - len(alive), alive
        survivors = [mutant for mutant, _ in left]

    totals, missed = Counter(every[index][0].file for index in chosen), Counter(x.file for x in survivors)
    table = Table("file", "mutants", "killed", "survived", "rate")
    rows = {file: (totals[file], missed[file]) for file in FILES if totals[file]}
    for file, (total, lost) in {**rows, "all": (size, len(survivors))}.items():
        table.add_row(file, str(total), str(total - lost), str(lost), f"{(total - lost) / total:.1%}")
    console.print(table)
    for mutant in survivors:
        print(f"keras_losses/{mutant.file}.py:{mutant.line}: {mutant.operator}")
        print(f"  - {mutant.before}\n  + {mutant.after}")
    result = {
        "version": importlib.metadata.version("keras-losses"),
        "seed": arguments.seed,
        "sample": size,
        "of": len(every),
        "seconds": round(time.monotonic() - started),
        "files": {
            file: {"mutants": total, "killed": total - lost, "survived": lost}
            for file, (total, lost) in rows.items()
        },
        "killed_by": killed_by,
        "survivors": [asdict(mutant) for mutant in survivors],
    }
    arguments.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
