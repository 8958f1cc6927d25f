"""`make mutants`: would a mistake be seen? Mutants drawn by rule and seed meet the unit tests alone.

    python tests/drawn_mutants.py --number 120 --seed 0      # and the named ones, always
    python tests/drawn_mutants.py --only training --number 20
    python tests/drawn_mutants.py --list                     # what would run

A mutant is the library with one thing changed in one function, by the rules of `tests/mutants.py` and a few
more for ordinary code (`more_edits`), or one of the mistakes of `tests/named_mutants.py`. They are drawn
over all functions of the modules in STRATA: of each module in proportion to its possible changes, two at
least. One run of the unit tests under coverage says which tests reach which lines; a mutant gets those that
reach its function, the fastest first, until one fails. A failure, an error or a test that does not end
kills it; it survives otherwise. Tests marked `pipeline` or `book` do not take part: the arrays that these
compare were once drawn by the same code.
"""

from __future__ import annotations

import argparse
import ast
import functools
import importlib.abc
import importlib.util
import os
import random
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import mutants  # noqa: E402
from named_mutants import NAMED  # noqa: E402

STRATA = {
    "theory": ("theory/*",),
    "games": ("games/*", "models/labelled", "data/binary"),
    "loop": ("random", *map("play/{}".format, "draws game state loop evaluation checkpoints sweep".split())),
    "measure": (
        *map("measure/{}".format, "on_plane on_images evidence estimators classifiers".split()),
        *map("measure/{}".format, "coverage finite training worst_case".split()),
        "book/cells",
    ),
    "claims": tuple(map("book/{}".format, "criteria claims verdicts audit records".split())),
    "statistics": ("measure/paired", "measure/intervals"),
}
ENOUGH = 0.95
PATIENCE = 180  # seconds that the tests of one mutant may take
# Tests that make mutants themselves would fail for want of the text that they change.
UNIT = ["-q", "-m", "not pipeline and not book", "-k", "not mutant and not mistake", "-p", "no:cacheprovider"]
SWAPPED = {ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot}
SWAPPED |= {ast.IsNot: ast.Is, ast.And: ast.Or, ast.Or: ast.And}


@dataclass(frozen=True)
class Mutant:
    """``source`` is what ``module`` becomes; ``lines`` are those of the changed function, first and last."""

    module: str
    stratum: str
    what: str
    lines: tuple[int, int]
    source: str


def modules(root: Path = ROOT) -> Iterator[tuple[str, str, Path]]:
    """(stratum, dotted name, file) of all that is mutated."""
    for stratum, patterns in STRATA.items():
        for pattern in patterns:
            for file in sorted((root / "bridgekit").glob(f"{pattern}.py")):
                if file.stem != "__init__":
                    yield stratum, ".".join(file.relative_to(root).with_suffix("").parts), file


def more_edits(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in the place of a node of ordinary code."""
    match node:
        case ast.Compare(ops=[op]) if type(op) in SWAPPED:
            yield mutants._but(node, ops=[SWAPPED[type(op)]()])
        case ast.BoolOp(op=op, values=[first, *_]):
            yield mutants._but(node, op=SWAPPED[type(op)]())
            yield first
        case ast.Expr(value=ast.Call()) | ast.AugAssign():
            yield ast.copy_location(ast.Pass(), node)
        case ast.Constant(value=bool() as value):
            yield ast.copy_location(ast.Constant(not value), node)
        case ast.keyword(arg=str(), value=value) if not isinstance(value, ast.Constant):
            yield mutants._but(node, value=ast.copy_location(ast.Constant(None), value))


@functools.cache
def possible(stratum: str, module: str, text: str) -> list[Mutant]:
    """Every distinct mutant of every function of a module, methods included."""
    tree, found = ast.parse(text), {}
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.asname or alias.name for node in imports for alias in node.names}
    bodies = [tree.body, *(node.body for node in tree.body if isinstance(node, ast.ClassDef))]
    for function in (node for body in bodies for node in body if isinstance(node, ast.FunctionDef)):
        bare = _bare(function)
        before = ast.unparse(bare)
        for container, key in list(mutants._slots(bare)):
            old = container[key]
            for new in (*mutants._edits(old, names), *more_edits(old)):
                container[key] = new
                after = ast.unparse(bare)
                if after != before and (function.name, after) not in found:
                    what = f"{module}.{function.name}: {_difference(before, after)}"
                    lines = (function.lineno, function.end_lineno)
                    mutant = Mutant(module, stratum, what, lines, _spliced(text, function, after))
                    found[function.name, after] = mutant
            container[key] = old
    return list(found.values())


def _bare(function: ast.FunctionDef) -> ast.FunctionDef:
    """A function without docstring and decorators: what is left is behaviour."""
    fresh = ast.parse(ast.unparse(function)).body[0]
    for new, old in zip(ast.walk(fresh), ast.walk(function), strict=True):
        ast.copy_location(new, old)
    doc = ast.get_docstring(fresh) is not None
    fresh.body = (fresh.body[1:] if doc else fresh.body) or [ast.Pass()]
    fresh.decorator_list = []
    return fresh


def _difference(before: str, after: str) -> str:
    """The first changed line, before and after."""
    pairs = zip(before.splitlines(), after.splitlines(), strict=False)
    old, new = next(((a, b) for a, b in pairs if a != b), ("", "(lines gone)"))
    return f"{old.strip()}  =>  {new.strip()}"


def _spliced(text: str, function: ast.FunctionDef, after: str) -> str:
    """The module with the changed function in the place of the function."""
    lines = text.splitlines()
    body = textwrap.indent(after, " " * function.col_offset).splitlines()
    return "\n".join([*lines[: function.lineno - 1], *body, *lines[function.end_lineno :]]) + "\n"


def named(root: Path = ROOT) -> list[Mutant]:
    """The mistakes with a name; each text stands exactly once in its function."""
    files = {module: (stratum, file) for stratum, module, file in modules(root)}
    found = []
    for what, module, name, old, new, *_ in NAMED:
        stratum, file = files[module]
        text = file.read_text(encoding="utf-8")
        function = _function(ast.parse(text), name)
        lines = text.splitlines(keepends=True)
        first, last = function.lineno, function.end_lineno
        body = "".join(lines[first - 1 : last])
        try:
            body = mutants.replaced(body, old, new)
        except LookupError as error:
            raise SystemExit(f"'{what}' wants its text once in {module}.{name}: {error}") from error
        source = "".join([*lines[: first - 1], body, *lines[last:]])
        found.append(Mutant(module, stratum, f"{module}, by name: {what}", (first, last), source))
    return found


def _function(tree: ast.Module, name: str) -> ast.FunctionDef:
    """The function or method of this dotted name."""
    node: ast.AST = tree
    for part in name.split("."):
        node = next(child for child in node.body if getattr(child, "name", None) == part)
    return node


def draw(number: int, seed: int, only: str = "", root: Path = ROOT) -> list[Mutant]:
    """``number`` mutants or a few more: of every module in proportion to its changes, and two at least."""
    all_of = [possible(s, m, file.read_text(encoding="utf-8")) for s, m, file in modules(root) if only in m]
    total, drawn = sum(map(len, all_of)), []
    for of_module in all_of:
        share = max(2, round(number * len(of_module) / total))
        name = of_module[0].module if of_module else ""
        drawn += random.Random(f"{seed}/{name}").sample(of_module, min(share, len(of_module)))
    return drawn


def reach(folder: Path, jobs: int) -> tuple[dict[str, dict[int, set[str]]], dict[str, float]]:
    """Which tests reach each line of each file, and how long each test takes: one run of the unit tests."""
    from coverage import CoverageData

    config = folder / "coveragerc"
    config.write_text(f"[run]\ndata_file={folder}/data\nsource=bridgekit\ndynamic_context=none\n")
    options = f"--cov=bridgekit --cov-context=test --cov-report= --durations=0 -vv -n {jobs} --dist loadfile"
    command = [sys.executable, "-m", "pytest", *UNIT, *options.split(), f"--cov-config={config}", "tests"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"the unit tests fail as they are:\n{done.stdout[-3000:]}{done.stderr[-1000:]}")
    seconds: Counter[str] = Counter()
    for line in done.stdout.splitlines():
        words = line.split(maxsplit=2)
        if len(words) == 3 and words[1] in ("setup", "call", "teardown") and words[0].endswith("s"):
            seconds[words[2]] += float(words[0][:-1])
    data, lines = CoverageData(str(folder / "data")), {}
    data.read()
    for file in data.measured_files():
        lines[file] = {
            n: {c.rpartition("|")[0] for c in who if c} for n, who in data.contexts_by_lineno(file).items()
        }
    return lines, seconds


def tests_for(mutant: Mutant, lines: dict, seconds: dict) -> list[str]:
    """The tests that reach the changed function, the fastest first, and those of defaults, which read it."""
    file = str(ROOT / Path(*mutant.module.split(".")).with_suffix(".py"))
    first, last = mutant.lines
    who = set().union(*(tests for n, tests in lines.get(file, {}).items() if first <= n <= last))
    who |= {test for test in seconds if test.endswith("::test_what_a_builder_does_where_nothing_is_said")}
    return sorted(who, key=lambda test: (seconds.get(test, 0.0), test))


class Instead(importlib.abc.MetaPathFinder, importlib.abc.SourceLoader):
    """Imports one module from another source."""

    def __init__(self, module: str, source: str):
        self.module, self.source = module, source

    def find_spec(self, name, path, target=None):
        if name == self.module:
            return importlib.util.spec_from_file_location(name, self.get_filename(name), loader=self)

    def get_filename(self, name):
        return str(ROOT / Path(*name.split(".")).with_suffix(".py"))

    def get_data(self, path):
        return self.source.encode()

    def path_stats(self, path):
        raise OSError  # no byte code is read or kept


def start(mutant: Mutant, tests: list[str], log: Path) -> int:
    """A child in which the module is the mutant and the tests run until one fails; its process id."""
    child = os.fork()
    if child:
        return child
    os.setpgid(0, 0)
    out = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    os.dup2(out, 1), os.dup2(out, 2)
    code = 1
    try:
        import pytest

        os.chdir(ROOT)
        sys.meta_path.insert(0, Instead(mutant.module, mutant.source))
        code = int(pytest.main([*UNIT, "-p", "no:xdist", "-x", "--no-header", "--tb=line", *tests]))
    finally:
        os._exit(code)


def warm_up() -> None:
    """Import what every test file would import, once, and nothing of the library."""
    import matplotlib.pyplot  # noqa: F401
    import nbformat  # noqa: F401
    import pytest  # noqa: F401
    import scipy.integrate  # noqa: F401
    import scipy.stats  # noqa: F401
    import sklearn.datasets  # noqa: F401
    import torch  # noqa: F401
    import torchmetrics  # noqa: F401
    import torchvision  # noqa: F401


def play(drawn: list[Mutant], lines: dict, seconds: dict, jobs: int, folder: Path) -> dict[Mutant, str]:
    """What became of each mutant: the test that killed it, `no end`, or `survived`, by how many tests."""
    waiting, running, ends, began = list(drawn), {}, {}, time.monotonic()
    while waiting or running:
        while waiting and len(running) < jobs:
            mutant = waiting.pop(0)
            tests = tests_for(mutant, lines, seconds)
            if not tests:
                ends[mutant] = "survived (no unit test reaches it)"
                continue
            log = folder / f"{len(ends) + len(running)}-{id(mutant)}.log"
            running[start(mutant, tests, log)] = (mutant, log, time.monotonic(), len(tests))
        for child in list(running):
            mutant, log, since, count = running[child]
            done, status = os.waitpid(child, os.WNOHANG)
            late = time.monotonic() - since > PATIENCE
            if not done and late:
                os.killpg(child, signal.SIGKILL)
                os.waitpid(child, 0)
            if done or late:
                del running[child]
                passed = done and os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0
                how = f"survived ({count} tests)" if passed else _killer(log) if done else "no end"
                ends[mutant] = how
                left = (time.monotonic() - began) / len(ends) * (len(drawn) - len(ends)) / 60
                print(f"{len(ends)}/{len(drawn)} · {left:.0f} min left · {how} · {mutant.what}", flush=True)
        time.sleep(0.02)
    return ends


def _killer(log: Path) -> str:
    """The test that failed, from what pytest said."""
    text = log.read_text(encoding="utf-8", errors="replace")
    named = [line.split(" - ")[0] for line in text.splitlines() if line.startswith(("FAILED", "ERROR"))]
    if not named:
        return "killed (the library cannot be imported, or died)"
    return f"killed by {named[0].split(maxsplit=1)[-1]}"


def main() -> int:
    """0 where at least ENOUGH of the mutants are killed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--number", type=int, default=120)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="modules with this in their name, and no named mutants")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    drawn = draw(options.number, options.seed, options.only) + ([] if options.only else named())
    if options.list:
        print("\n".join(mutant.what for mutant in drawn))
        return 0
    with tempfile.TemporaryDirectory(prefix="bridgekit-") as folder:
        print(f"{len(drawn)} mutants; which tests reach them is found out first", flush=True)
        lines, seconds = reach(Path(folder), options.jobs)
        os.environ.update(OMP_NUM_THREADS="1")
        warm_up()
        ends = play(drawn, lines, seconds, options.jobs, Path(folder))
    return report(drawn, ends)


def report(drawn: list[Mutant], ends: dict[Mutant, str]) -> int:
    """The score of each stratum and the survivors; 0 where it is enough."""
    alive = [mutant for mutant in drawn if ends[mutant].startswith("survived")]
    print()
    for stratum in STRATA:
        of, lost = (sum(m.stratum == stratum for m in some) for some in (drawn, alive))
        if of:
            print(f"{stratum:12} {of - lost:4} of {of:4} killed")
    for mutant in alive:
        print(f"survivor: {mutant.what}  [{ends[mutant]}]")
    score = 1 - len(alive) / len(drawn)
    print(f"score: {score:.1%} of {len(drawn)} mutants killed by the unit tests ({ENOUGH:.0%} wanted)")
    return 0 if score >= ENOUGH else 1


if __name__ == "__main__":
    sys.exit(main())
