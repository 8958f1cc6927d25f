"""Games with one thing changed: what the checks are worth that must refuse them.

Functions are changed by the rules of ``tests/mutants.py`` and by a few more, for accidents of games: a
setting that is not handed on, two arguments exchanged, an entry left out, a gradient that is not stopped.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import inspect
import pkgutil
import random
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import mutants

import bridgekit.games
from bridgekit.play.game import recorded
from games import CASES
from games.harness import Case, check


@dataclass(frozen=True)
class Target:
    """A function of bridgekit.games, or a method, and where it hangs."""

    holder: Any
    function: Callable

    @property
    def name(self) -> str:
        return f"{self.function.__module__.rpartition('.')[2]}.{self.function.__qualname__}"


def targets() -> dict[str, Target]:
    """All functions and methods of the modules of games, by name."""
    found = []
    for each in pkgutil.iter_modules(bridgekit.games.__path__):
        module = importlib.import_module(f"bridgekit.games.{each.name}")
        classes = [
            c for _, c in inspect.getmembers(module, inspect.isclass) if c.__module__ == module.__name__
        ]
        for holder in (module, *classes):
            for function in vars(holder).values():
                written = inspect.isfunction(function) and function.__module__ == module.__name__
                if written and inspect.unwrap(function).__code__.co_filename == module.__file__:
                    found.append(Target(holder, function))
    return {target.name: target for target in found}


def reached() -> dict[str, list[str]]:
    """Which cases may play each target, by name: those whose builders name it, or name what names it."""
    known = targets()
    by_function = {target.function: name for name, target in known.items()}
    found: dict[str, list[str]] = {}
    for case_name, case in CASES.items():
        ahead, met = [part.function for part in case.call.parts()], set()
        while ahead:
            function = ahead.pop()
            if function in by_function and function not in met:
                met.add(function)
                ahead += _named(function)
        for function in met:
            found.setdefault(by_function[function], []).append(case_name)
    return found


def _named(function: Callable) -> Iterator[Callable]:
    """The functions, and the methods of the classes, whose names stand in a function."""
    function = inspect.unwrap(function)
    codes, names = [function.__code__], set()
    while codes:
        code = codes.pop()
        names |= {*code.co_names}
        codes += [const for const in code.co_consts if inspect.iscode(const)]
    scope = function.__globals__
    spaces = [scope, *(vars(scope[n]) for n in names if inspect.ismodule(scope.get(n)))]
    for value in [space[n] for space in spaces for n in names if n in space]:
        if inspect.isclass(value):
            yield from (f for f in vars(value).values() if inspect.isfunction(f))
        elif inspect.isfunction(value):
            yield value


def _more(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Call(args=[a, b, *rest]) if not any(isinstance(x, ast.Starred) for x in (a, b)):
            yield mutants._but(node, args=[b, a, *rest])
    match node:
        case ast.Call(keywords=[*keywords]):
            for i, word in enumerate(keywords):
                if word.arg is not None:
                    yield mutants._but(node, keywords=keywords[:i] + keywords[i + 1 :])
        case ast.Dict(keys=[_, _, *_]):
            for i in range(len(node.keys)):
                keys, kept = (part[:i] + part[i + 1 :] for part in (node.keys, node.values))
                yield ast.Dict(keys, kept)
        case ast.With(body=body):
            yield ast.If(ast.Constant(True), body, [])
        case ast.AugAssign():
            yield ast.Pass()


def _bare(function: Callable) -> ast.Module:
    """Its source without docstrings and decorators."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.body = node.body[ast.get_docstring(node) is not None :] or [ast.Pass()]
            node.decorator_list = []
    return tree


def changed(target: Target, draw: random.Random | None = None) -> Iterator[tuple[str, Callable]]:
    """Distinct changes of a target's body: what stands there instead, and the function.

    With ``draw`` one of them, and one more for every forty that there are.
    """
    scope = vars(sys.modules[target.function.__module__])
    modules = {name for name, value in scope.items() if inspect.ismodule(value)}
    tree = _bare(target.function)
    before = ast.unparse(tree)
    slots = list(mutants._slots(ast.Module(tree.body[0].body, [])))
    edits = [(c, k, new) for c, k in slots for new in (*mutants._edits(c[k], modules), *_more(c[k]))]
    wanted = 1 + len(edits) // 40 if draw else len(edits)
    if draw:
        draw.shuffle(edits)
    seen = {before}
    for container, key, new in edits:
        old, container[key] = container[key], new
        after = ast.unparse(tree)
        container[key] = old
        if after not in seen and len(seen) <= wanted:
            seen.add(after)
            yield made(target, before, after)


def made(target: Target, before: str, after: str) -> tuple[str, Callable]:
    """The first line that differs, and the function that ``after`` is the source of."""
    lines = zip(before.splitlines(), after.splitlines(), strict=False)
    line = next((new.strip() for old, new in lines if old != new), "(lines left out)")
    scope = dict(vars(sys.modules[target.function.__module__]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a list where a call was: Python asks whether a comma is missing
        exec(compile(after, f"<{target.name}: {line}>", "exec"), scope)
    function = scope[target.function.__name__]
    bare = hasattr(target.function, "__wrapped__") and not hasattr(function, "__wrapped__")
    return line, recorded(function) if bare else function  # decorators are left out of what is changed


def edited(target: Target, old: str, new: str) -> Callable:
    """The target with one piece of its text replaced, which must be there once."""
    source = textwrap.dedent(inspect.getsource(target.function))
    return made(target, source, mutants.replaced(source, old, new))[1]


@contextlib.contextmanager
def in_place(target: Target, function: Callable) -> Iterator[None]:
    """Inside, ``function`` stands wherever the target did."""
    places = [(holder, target.function.__name__) for holder in (target.holder,)]
    for module in [m for name, m in sys.modules.items() if name.startswith("bridgekit")]:
        places += [(module, n) for n, v in vars(module).items() if v is target.function]
    for holder, name in places:
        setattr(holder, name, function)
    try:
        yield
    finally:
        for holder, name in places:
            setattr(holder, name, target.function)


def hold(cases: list[Case]) -> None:
    """All checks of these cases, those without a change first. AssertionError where one fails."""
    for case in cases:
        check(case)
    for case in cases:
        for _, values in case.to_play():
            check(case.changed(values))
        known = {case.game().fingerprint()}
        for name, values in case.singly():
            found = case.changed(values).game().fingerprint()
            assert found not in known, f"{name} is no setting"
            known.add(found)
    every = [case.game().fingerprint() for case in CASES.values()]
    assert len({*every}) == len(every), "two cases are taken for one"


def survives(target: Target, function: Callable, cases: list[Case]) -> bool:
    """Whether a changed function passes all checks. What crashes is refused as well."""
    with in_place(target, function):
        try:
            hold(cases)
        except Exception:
            return False
    return True
