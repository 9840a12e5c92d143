"""Proves the tests: makes small mistakes in the library, one at a time, and reports what no test notices.

    python -m tests.mutants --sample 250 --seed 0     # or --file numerics, or nothing for every mutant

The mistakes are cosmic-ray's. Of its operators those are kept that a slip resembles: a number one more or one
less, an arithmetic operator for its inverse, a comparison negated or moved by one, a condition, sign, loop,
decorator or exception taken away. It would also put each of eleven operators for every `+`; `x >> y` between
floats raises in any test, and would only raise the rate. What cannot change behaviour is no mutant:
annotations, what only type checkers read, the `examples` and `refused` values that a hyper-parameter declares
for the tests, and what is the same code as another mutant.

Each mutant runs in a process of its own, on a copy of the repository: one case of every test and loss on
PyTorch, then eight, then one on TensorFlow and on JAX, whose branches PyTorch does not run. The first
failure, or a run that takes three times as long as without a mistake, kills it.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.metadata
import itertools
import json
import multiprocessing
import os
import random
import re
import shutil
import sys
import tempfile
import time
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
    r"core/(ReplaceBinaryOperator_(Add_Sub|Sub_Add|Mul_Div|Div_Mul|Pow_Mul|BitOr_BitAnd|BitAnd_BitOr)"
    r"|ReplaceComparisonOperator_(Eq_NotEq|NotEq_Eq|Is_IsNot|IsNot_Is)"
    r"|ReplaceComparisonOperator_(Lt_LtE|Lt_GtE|LtE_Lt|LtE_Gt|Gt_GtE|Gt_LtE|GtE_Gt|GtE_Lt)"
    r"|ReplaceUnaryOperator_Delete_\w+|Replace(True|False|And|Or|Break|Continue)With\w+"
    r"|AddNot|NumberReplacer|ExceptionReplacer|RemoveDecorator|ZeroIterationForLoop)"
)
NEGATED = {ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.NotIn: ast.In}
STAGES = (("torch", 1), ("torch", 8), ("tensorflow", 1), ("jax", 1))
"""Backends, and how many cases of each test and loss are tried there."""


# The mutants ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mutant:
    """One mistake: where it is, what made it, and the code before and after."""

    file: str
    line: int
    operator: str
    before: str
    after: str


class Behaviour(ast.NodeTransformer):
    """The code without what cannot change what it does, and with one way of writing a negation."""

    def visit(self, node: ast.AST) -> ast.AST | None:
        node = self.generic_visit(node)
        match node:
            case ast.If() if "TYPE_CHECKING" in ast.dump(node.test):
                return None
            case ast.UnaryOp(ast.Not(), ast.UnaryOp(ast.Not(), inner)):
                return inner
            case ast.UnaryOp(ast.Not(), ast.Compare(ops=[operator]) as inner) if type(operator) in NEGATED:
                inner.ops = [NEGATED[type(operator)]()]
                return inner
            case ast.AnnAssign() | ast.arg():
                node.annotation = ast.Constant(None)
            case ast.FunctionDef():
                node.returns = None
            case ast.ClassDef():
                kept = [x for x in node.decorator_list if "dataclass_transform" not in ast.dump(x)]
                node.decorator_list = kept
            case ast.Call():
                node.keywords = [x for x in node.keywords if x.arg not in ("examples", "refused")]
        return node


def mutants(file: str) -> Iterator[tuple[Mutant, str]]:
    """Every mutant of a file that behaves in a way of its own, with the code of the whole file."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator, operator_names

    def behaviour(code: str) -> str:
        return ast.dump(Behaviour().visit(ast.parse(code)))

    code = (ROOT / "keras_losses" / f"{file}.py").read_text(encoding="utf-8")
    known = {behaviour(code)}
    for name in filter(OPERATORS.fullmatch, operator_names()):
        for occurrence in itertools.count():
            mutated = mutate_code(code, get_operator(name)(), occurrence)
            if mutated is None:
                break
            # Where a `*` is no operator, as before keyword-only arguments, nothing that parses comes out.
            with suppress(SyntaxError):
                if (found := behaviour(mutated)) not in known:
                    known.add(found)
                    yield described(file, name.removeprefix("core/"), code, mutated), mutated


def described(file: str, operator: str, code: str, mutated: str) -> Mutant:
    old, new = code.splitlines(), mutated.splitlines()
    start, end = (
        next(index for index, (a, b) in enumerate(zip(*both, strict=False)) if a != b)
        for both in ((old, new), (old[::-1], new[::-1]))
    )
    # A decorator goes with the comments above it, which are not the mistake.
    changed = [(n, x.strip()) for n, x in enumerate(old[start : len(old) - end], start + 1)]
    changed = [(n, x) for n, x in changed if x and not x.startswith("#")]
    after = " ".join(x.strip() for x in new[start : len(new) - end])
    return Mutant(file, changed[0][0], operator, " ".join(x for _, x in changed), after)


# The runs -------------------------------------------------------------------------------------------


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tries a case of every test before the second of any."""
    seen: Counter[str] = Counter()
    turns = {}
    for item in items:
        name = item.nodeid.split("[")[0]
        turns[item], seen[name] = seen[name], seen[name] + 1
    items.sort(key=turns.__getitem__)


class Runner:
    """Runs the tests of a copy of the repository, in which one file after another is mutated."""

    def __init__(self, copy: Path) -> None:
        self.copy = copy
        ignored = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist")
        shutil.copytree(ROOT, copy, dirs_exist_ok=True, ignore=ignored)
        # An editable installation would find those of the working tree.
        shutil.copytree(copy / "callbacks", copy / "keras_losses" / "callbacks")
        # Forked children start with everything but the library; this process must never compute.
        for module in ("keras", "tensorflow", "torch", "scipy.stats", "sklearn.metrics", "hypothesis"):
            with suppress(ImportError):
                importlib.import_module(module)

    def survivors(self, stage: tuple[str, int], left: list[tuple[Mutant, str]]) -> Iterator[bool]:
        """Whether each mutant survives; the tests without one say how long they take."""
        if not left:
            return
        started = time.monotonic()
        if not self.passes(stage, limit=3600, bytecode=True):
            sys.exit(f"the tests fail without a mutant:\n{(self.copy / 'log').read_text()}")
        limit = 3 * (time.monotonic() - started) + 10
        for mutant, code in left:
            path = self.copy / "keras_losses" / f"{mutant.file}.py"
            path.write_text(code, encoding="utf-8")
            yield self.passes(stage, limit)
            shutil.copy2(ROOT / "keras_losses" / path.name, path)

    def passes(self, stage: tuple[str, int], limit: float, bytecode: bool = False) -> bool:
        """Whether the tests pass in time; on PyTorch in a fork, elsewhere in a process that starts anew."""
        backend, cases = stage
        os.environ["KERAS_BACKEND"] = backend
        start = multiprocessing.get_context("fork" if backend == "torch" else "spawn").Process
        child = start(target=run_tests, args=(str(self.copy), cases, bytecode))
        child.start()
        child.join(limit)
        child.kill()
        child.join()
        return child.exitcode == 0


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

    import rich
    from rich.progress import Progress
    from rich.table import Table

    started = time.monotonic()
    every = [pair for file in arguments.file or FILES for pair in mutants(file)]
    size = min(arguments.sample or len(every), len(every))
    left = [every[index] for index in sorted(random.Random(arguments.seed).sample(range(len(every)), size))]
    totals, killed_by = Counter(mutant.file for mutant, _ in left), {}
    # No thread of the bar's own: it could hold a lock while a child is forked.
    bar = Progress(auto_refresh=False)
    with tempfile.TemporaryDirectory() as copy, bar:
        runner = Runner(Path(copy))
        for stage in STAGES:
            name = f"{stage[0]}, {stage[1] or 'all'} of each test"
            task, alive = bar.add_task(name, total=len(left)), []
            for pair, survives in zip(left, runner.survivors(stage, left), strict=True):
                alive += [pair] if survives else []
                bar.update(task, advance=1, refresh=True)
            killed_by[name], left = len(left) - len(alive), alive

    survivors = [mutant for mutant, _ in left]
    lost = Counter(mutant.file for mutant in survivors)
    files = {
        file: {"mutants": totals[file], "killed": totals[file] - lost[file], "survived": lost[file]}
        for file in FILES
        if totals[file]
    }
    table = Table("file", "mutants", "killed", "survived", "rate")
    total = {key: sum(row[key] for row in files.values()) for key in ("mutants", "killed", "survived")}
    for file, row in {**files, "all": total}.items():
        table.add_row(file, *map(str, row.values()), f"{row['killed'] / row['mutants']:.1%}")
    rich.print(table)
    for mutant in survivors:
        print(f"keras_losses/{mutant.file}.py:{mutant.line}: {mutant.operator}")
        print(f"  - {mutant.before}\n  + {mutant.after}")
    result = {
        "version": importlib.metadata.version("keras-losses"),
        "seed": arguments.seed,
        "sample": size,
        "of": len(every),
        "seconds": round(time.monotonic() - started),
        "files": files,
        "killed_by": killed_by,
        "survivors": [asdict(mutant) for mutant in survivors],
    }
    arguments.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
