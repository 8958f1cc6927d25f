"""Mutants of a small pure function: its source with one thing changed at a time.

A test is worth what it refuses. ``mutants(function)`` yields ``(changed line, mutant)`` pairs;
``survivors(oracle, function)`` gives the lines of those that ``oracle`` lets pass. The changes are accidents
that happen: a sign, a lost ``detach`` or factor, p for q, mean for sum, a maximum for a minimum, alpha for
1 - alpha, a constant.
"""

from __future__ import annotations

import ast
import inspect
import re
import traceback
from collections.abc import Callable, Iterator

EXCHANGED = {"sum": "mean", "mean": "sum", "logsumexp": "mean", "softplus": "relu", "square": "abs"}
OPPOSITES = [("max", "min"), ("amax", "amin"), ("argmax", "argmin"), ("maximum", "minimum"), ("all", "any")]
EXCHANGED |= {one: other for pair in OPPOSITES for one, other in (pair, pair[::-1])}
OPERATORS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}
EDGES = {ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Lt: ast.LtE, ast.LtE: ast.Lt}


def replaced(source: str, old: str, new: str) -> str:
    """``source`` with ``new`` for ``old``, which must be there once, however its lines are broken."""
    words = [re.escape(word) for word in re.findall(r"\w+|[^\w\s]", old)]
    pattern = r"\s*".join(rf",?\s*{word}" if word in (r"\)", r"\]", r"\}") else word for word in words)
    found = re.findall(pattern, source)
    if len(found) != 1:
        raise LookupError(f"{old!r} is there {len(found)} times")
    return source.replace(found[0], new)


def _but(node: ast.AST, **changed: object) -> ast.AST:
    return ast.copy_location(type(node)(**{**dict(ast.iter_fields(node)), **changed}), node)


def _edits(node: ast.AST, modules: set[str]) -> Iterator[ast.AST]:
    """What may stand in the place of ``node``. ``modules``: names whose attributes are functions."""
    match node:
        case ast.FunctionDef(args=ast.arguments(args=[a, b, *rest]) as arguments):
            if a.annotation and b.annotation and ast.unparse(a.annotation) == ast.unparse(b.annotation):
                yield _but(node, args=_but(arguments, args=[b, a, *rest]))
        case ast.Return(value=ast.expr() as value):
            yield ast.Return(ast.UnaryOp(ast.USub(), value))
        case ast.UnaryOp(op=ast.USub() | ast.Not(), operand=operand):
            yield operand
        case ast.If(test=test) | ast.IfExp(test=test):
            yield _but(node, test=ast.UnaryOp(ast.Not(), test))
        case ast.Compare(ops=[op]) if type(op) in EDGES:
            yield _but(node, ops=[EDGES[type(op)]()])
        case ast.BinOp(left=left, op=op, right=right):
            yield from (left, right)
            if type(op) in OPERATORS:
                yield ast.BinOp(left, OPERATORS[type(op)](), right)
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name)), args=[first, *_]) if name in modules:
            if not isinstance(first, ast.Starred):
                yield first
        case ast.Call(func=ast.Attribute(value=receiver)):
            yield receiver
        case ast.Attribute(attr=attr) if attr in EXCHANGED:
            yield _but(node, attr=EXCHANGED[attr])
        case ast.Name(id="max" | "min" | "all" | "any" as name):
            yield ast.Name(EXCHANGED[name], node.ctx)
        case ast.Constant(value="inf"):
            yield ast.Constant("1")
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            yield ast.Constant(value + 1)
        case ast.Name(id="alpha" | "gamma", ctx=ast.Load()):
            yield ast.BinOp(ast.Constant(1), ast.Sub(), node)


def _slots(node: ast.AST) -> Iterator[tuple[list | dict, int | str]]:
    """Where (container, key) behaviour hangs: no annotation, decorator, dtype or exception's words."""
    for name, value in ast.iter_fields(node):
        if name in ("decorator_list", "returns"):
            continue
        container, keys = (value, range(len(value))) if isinstance(value, list) else (vars(node), [name])
        for key in keys:
            part = container[key]
            kind = isinstance(part, ast.Attribute) and part.attr in {"dtype", "device", "new_tensor"}
            if isinstance(part, ast.AST) and not (kind or isinstance(part, (ast.Raise, ast.arg))):
                yield container, key
                yield from _slots(part)


def _sources(function: Callable) -> dict[str, ast.Module]:
    """The function and the private helpers of its module that it uses, by name."""
    found = {function.__name__: ast.parse(inspect.getsource(function))}
    for name in function.__code__.co_names:
        if name.startswith("_") and inspect.isfunction(helper := function.__globals__.get(name)):
            found |= _sources(helper)
    return found


def mutants(function: Callable) -> Iterator[tuple[str, Callable]]:
    """Every distinct mutant of ``function`` and its private helpers, with the line that was changed in it."""
    known = inspect.unwrap(function).__globals__
    modules = {name for name, value in known.items() if inspect.ismodule(value)}
    trees = _sources(function)
    sources = {name: ast.unparse(tree) for name, tree in trees.items()}
    for changed, tree in trees.items():
        seen = {sources[changed]}
        for container, key in list(_slots(tree)):
            old = container[key]
            for new in _edits(old, modules):
                container[key] = new
                mutant = ast.unparse(tree)
                if mutant not in seen:
                    seen.add(mutant)
                    yield _made(function, sources, changed, mutant)
            container[key] = old


def _made(function: Callable, sources: dict[str, str], changed: str, mutant: str) -> tuple[str, Callable]:
    lines = zip(sources[changed].splitlines(), mutant.splitlines(), strict=True)
    line = next(after.strip() for before, after in lines if before != after)
    scope = dict(inspect.unwrap(function).__globals__)
    for source in (sources | {changed: mutant}).values():
        exec(compile(source, f"<{function.__name__}: {line}>", "exec"), scope)
    return line, scope[function.__name__]


def survivors(oracle: Callable[[Callable], None], function: Callable) -> set[str]:
    """The changed lines of the mutants that ``oracle`` lets pass.

    Refused is what raises AssertionError or cannot run; a crash elsewhere is the oracle's own fault.
    """
    alive = set()
    for line, mutant in mutants(function):
        try:
            oracle(mutant)
            alive.add(line)
        except Exception as error:
            files = {frame.filename for frame in traceback.extract_tb(error.__traceback__)}
            own = inspect.unwrap(mutant).__code__.co_filename
            if not isinstance(error, AssertionError) and own not in files:
                raise
    return alive
