"""Tests the tests: makes small mistakes in the library, one at a time, and reports which tests notice which.

    python -m tests.mutants --sample 200 --seed 0                 # PyTorch, then TensorFlow for the survivors
    python -m tests.mutants --file losses/regression                     # every mutant of one file
    python -m tests.mutants --only mutants.json --budget 600      # the survivors of a former run, for longer
    python -m tests.mutants --only mutants.json --tests tests/test_new.py    # does the new test kill one?
    python -m tests.mutants --sample 200 --matrix                 # all tests that notice each mutant
    python -m tests.mutants --sample 200 --suite ../old --options "--cases 2"    # another suite, same mutants

The mistakes are cosmic-ray's. Of its operators those are kept that a slip resembles: a number one more or one
less, an arithmetic operator for its inverse, a comparison negated or moved by one, a condition, sign, loop,
decorator or exception taken away. It would also put each of eleven operators for every `+`; `x >> y` between
floats raises in any test, and would only raise the rate. What cannot change behaviour is no mutant:
annotations, what only type checkers read, the `examples` and `refused` values that a hyper-parameter declares
for the tests, and what is the same code as another mutant of the sample.

On each backend the tests run once without a mutant, and their lines and processor seconds are recorded. A
mutant meets the tests that run its line, the cheapest and most specific first, until one fails or `--budget`
processor seconds have passed. Survivors go on to the next backend. tests/mutant_runs.py has the processes.
"""

from __future__ import annotations

import argparse
import ast
import importlib.metadata
import json
import random
import re
import shlex
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.mutant_runs import ROOT, Mutant, Plan, copy_of, function_of, results

BACKENDS = ["torch", "tensorflow", "jax"]
UNTRIED = {"__init__", "catalogue", "config"}
"""Names, tables and a switch: what is in them is looked at rather than computed."""
FILES = sorted(
    (prefix / path.relative_to(ROOT / folder)).with_suffix("").as_posix()
    for folder, prefix in (("keras_losses", Path()), ("callbacks", Path("callbacks")))
    for path in (ROOT / folder).rglob("*.py")
    if path.stem not in UNTRIED and "callbacks" not in path.relative_to(ROOT / folder).parts
)
OPERATORS = re.compile(
    r"core/(ReplaceBinaryOperator_(Add_Sub|Sub_Add|Mul_Div|Div_Mul|Pow_Mul|BitOr_BitAnd|BitAnd_BitOr)"
    r"|ReplaceComparisonOperator_(Eq_NotEq|NotEq_Eq|Is_IsNot|IsNot_Is)"
    r"|ReplaceComparisonOperator_(Lt_LtE|Lt_GtE|LtE_Lt|LtE_Gt|Gt_GtE|Gt_LtE|GtE_Gt|GtE_Lt)"
    r"|ReplaceUnaryOperator_Delete_\w+|Replace(True|False|And|Or|Break|Continue)With\w+"
    r"|AddNot|NumberReplacer|ExceptionReplacer|RemoveDecorator|ZeroIterationForLoop)"
)
NEGATED = {ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.NotIn: ast.In}


# The mutants ----------------------------------------------------------------------------------------


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
        return node


def drawn(files: list[str], size: int | None, seed: int) -> tuple[list[tuple[Mutant, str]], int]:
    """Distinct mutants, with the code of their whole file, and the number of places for a mistake.

    Places are drawn rather than mutants: making all mutants, to leave out duplicates, would take very long.
    """
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.plugins import get_operator, operator_names

    codes = {file: read(file) for file in files}
    known = {(file, behaviour(code)) for file, code in codes.items()}
    operators = {name: get_operator(name)() for name in filter(OPERATORS.fullmatch, sorted(operator_names()))}
    places = []
    for file, code in codes.items():
        nodes = list(ast_nodes(get_ast(code)))
        for name, operator in operators.items():
            count = sum(1 for node in nodes for _ in operator.mutation_positions(node))
            places += [(file, name.removeprefix("core/"), occurrence) for occurrence in range(count)]
    random.Random(seed).shuffle(places)
    made: list[tuple[Mutant, str]] = []
    for file, name, occurrence in places:
        if len(made) == size:
            break
        # Where a `*` is no operator, as before keyword-only arguments, nothing that parses comes out.
        with suppress(SyntaxError):
            mutated = mutated_code(codes[file], name, occurrence)
            if (found := (file, behaviour(mutated))) not in known:
                known.add(found)
                made.append((described(file, name, occurrence, codes[file], mutated), mutated))
    return sorted(made, key=lambda pair: (pair[0].file, pair[0].line, pair[0].operator)), len(places)


def survivors_of(report: dict[str, Any]) -> list[tuple[Mutant, str]]:
    """The survivors of a former run, made again."""
    again = []
    for one in report["survivors"]:
        code = read(one["file"])
        mutated = mutated_code(code, one["operator"], one["occurrence"])
        mutant = described(one["file"], one["operator"], one["occurrence"], code, mutated)
        if (mutant.before, mutant.after) != (one["before"], one["after"]):
            sys.exit(f"{mutant.path} has changed since the run: mutate it again")
        again.append((mutant, mutated))
    return again


def read(file: str) -> str:
    return (ROOT / Mutant(file, 0, "", 0, "", "").path).read_text(encoding="utf-8")


def mutated_code(code: str, operator: str, occurrence: int) -> str:
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    return str(mutate_code(code, get_operator(f"core/{operator}")(), occurrence))


def behaviour(code: str) -> str:
    return ast.dump(Behaviour().visit(ast.parse(code)))


def described(file: str, operator: str, occurrence: int, code: str, mutated: str) -> Mutant:
    old, new = code.splitlines(), mutated.splitlines()
    start, end = (
        next(index for index, (a, b) in enumerate(zip(*both, strict=False)) if a != b)
        for both in ((old, new), (old[::-1], new[::-1]))
    )
    # A decorator goes with the comments above it, which are not the mistake.
    changed = [(n, x.strip()) for n, x in enumerate(old[start : len(old) - end], start + 1)]
    changed = [(n, x) for n, x in changed if x and not x.startswith("#")]
    after = " ".join(x.strip() for x in new[start : len(new) - end])
    return Mutant(file, changed[0][0], operator, occurrence, " ".join(x for _, x in changed), after)


# The runs and their report --------------------------------------------------------------------------


def judged(arguments: argparse.Namespace, mutants: list[tuple[Mutant, str]]) -> dict[str, Any]:
    """Runs the tests of each backend on the mutants that are left; what became of each, and of each test."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    fates: list[dict[str, Any]] = [{"killed_by": [], "passed": {}} for _ in mutants]
    tests: dict[str, dict[str, Any]] = {}
    left, killed, failing, unsound = list(range(len(mutants))), {}, {}, []
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with tempfile.TemporaryDirectory() as folder, Progress(*columns) as bar:
        suite = arguments.suite.resolve()
        copies = [copy_of(Path(folder, f"copy{n}"), suite) for n in range(arguments.jobs)]
        files = [str(path.relative_to(suite)) for path in sorted((suite / "tests").glob("**/test_*.py"))]
        files = [file for file in files if file in arguments.tests] if arguments.tests else files
        for backend in arguments.backends:
            plan = Plan(
                backend, copies, files, shlex.split(arguments.options), arguments.budget, arguments.matrix
            )
            recording = bar.add_task(f"{backend}: files of tests without a mutant", total=len(files))
            judging = bar.add_task(f"{backend}: mutants", total=len(left))
            ended = []
            for kind, *said in results(plan, [mutants[n] for n in left]):
                if kind == "recorded":
                    bar.advance(recording)
                elif kind == "tests":
                    bar.update(recording, completed=len(files))
                    failing[backend] = said[1]
                    for test, seconds in said[0].items():
                        row = tests.setdefault(
                            function_of(test), {"seconds": Counter(), "kills": 0, "alone": 0}
                        )
                        row["seconds"][backend] += seconds
                elif kind == "verdict":
                    fate, found = fates[left[said[0]]], said[1]
                    fate["killed_by"] += [[backend, test, seconds] for test, seconds in found["failed"]]
                    fate["passed"][backend] = {"ran": found["ran"], "left": found["left"]}
                    ended.append(said[0])
                    bar.advance(judging)
                else:
                    unsound += [[backend, test] for test in said[0]]
            for fate in fates:
                fate["killed_by"] = [kill for kill in fate["killed_by"] if kill[:2] not in unsound]
            alive = [n for n in left if not fates[n]["killed_by"]]
            killed[backend], left = len(left) - len(alive), alive
    for fate in fates:
        killers = {function_of(test) for _, test, _ in fate["killed_by"]}
        for name in killers:
            row = tests.setdefault(name, {"seconds": Counter(), "kills": 0, "alone": 0})
            row["kills"] += 1
            row["alone"] += len(killers) == 1
    every = [asdict(mutant) | fate for (mutant, _), fate in zip(mutants, fates, strict=True)]
    return {
        "killed_by": killed,
        "failing_without_a_mutant": failing,
        "unsound": unsound,
        "tests": tests,
        "mutants": every,
        "survivors": [one for one in every if not one["killed_by"]],
    }


def show(report: dict[str, Any], matrix: bool) -> None:
    """Prints the tables and the survivors."""
    import rich
    from rich.markup import escape
    from rich.table import Table

    # Kills by the test alone say something only where the other tests have run as well.
    table = Table("test", "seconds", "kills", *(["alone"] if matrix else []))
    for name, row in sorted(report["tests"].items(), key=lambda pair: (-pair[1]["kills"], pair[0])):
        seconds = ", ".join(f"{seconds:.1f}" for seconds in row["seconds"].values())
        table.add_row(escape(name), seconds, str(row["kills"]), *([str(row["alone"])] if matrix else []))
    rich.print(table)
    table = Table("file", "mutants", "killed", "survived", "rate")
    total = {
        key: sum(row[key] for row in report["files"].values()) for key in ("mutants", "killed", "survived")
    }
    for file, row in {**report["files"], "all": total}.items():
        table.add_row(file, *map(str, row.values()), f"{row['killed'] / max(row['mutants'], 1):.1%}")
    rich.print(table)
    for one in report["survivors"]:
        print(f"{Mutant(one['file'], 0, '', 0, '', '').path}:{one['line']}: {one['operator']}")
        print(f"  - {one['before']}\n  + {one['after']}")
        for backend, count in one["passed"].items():
            untried = (
                f", {count['left']} more were not tried in {report['budget']:g} s" if count["left"] else ""
            )
            print(
                f"  {backend}: {count['ran']} tests passed{untried}"
                if count["ran"]
                else f"  {backend}: no test runs it"
            )
    for backend, names in report["failing_without_a_mutant"].items():
        for name in names:
            print(f"{backend}: left out, as it fails without a mutant: {name}")
    for backend, name in report["unsound"]:
        print(f"{backend}: its kills do not count, as it fails without a mutant after other tests: {name}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    option = parser.add_argument
    option("--sample", type=int, help="how many mutants, drawn at random; all by default")
    option("--seed", type=int, default=0)
    option(
        "--file",
        choices=FILES,
        action="append",
        metavar="FILE",
        help="losses/noise, callbacks/state, ...",
    )
    option("--only", type=Path, metavar="JSON", help="the survivors of a former run's --output")
    option("--backends", nargs="+", default=BACKENDS[:2], choices=BACKENDS, help="in this order")
    option("--tests", nargs="+", metavar="FILE", help="only these files, such as tests/core/test_card.py")
    option("--suite", type=Path, default=ROOT, help="a checkout whose tests/ run in place of this one's")
    option("--options", default="", help="further options of pytest, in one string")
    option("--budget", type=float, default=60.0, help="seconds of tests for a mutant and backend (60)")
    option("--matrix", action="store_true", help="go on after the first test that fails")
    option("--jobs", type=int, default=2, help="how many mutants run at once (2)")
    option(
        "--output", type=Path, help="default: tests/mutants.json, where every test may run on a new sample"
    )
    arguments = parser.parse_args()

    started = time.monotonic()
    if arguments.only:
        mutants = survivors_of(json.loads(arguments.only.read_text(encoding="utf-8")))
        places = len(mutants)
    else:
        mutants, places = drawn(arguments.file or FILES, arguments.sample, arguments.seed)
    report = judged(arguments, mutants)
    totals = Counter(mutant.file for mutant, _ in mutants)
    lost = Counter(one["file"] for one in report["survivors"])
    report = {
        "version": importlib.metadata.version("keras-losses"),
        "seed": arguments.seed,
        "sample": len(mutants),
        "of": places,
        "seconds": round(time.monotonic() - started),
        "budget": arguments.budget,
        "files": {
            file: {"mutants": totals[file], "killed": totals[file] - lost[file], "survived": lost[file]}
            for file in sorted(totals)
        },
        **report,
    }
    show(report, arguments.matrix)
    if arguments.output is None and not arguments.only and not arguments.tests and arguments.suite == ROOT:
        arguments.output = ROOT / "tests" / "mutants.json"
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
