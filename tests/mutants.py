"""Mutants of a small pure function: its source with one thing changed at a time.

A test is worth what it refuses. ``mutants(function)`` yields ``(changed line, mutant)`` pairs;
``survivors(oracle, function)`` gives the lines of those that ``oracle`` lets pass. The changes are the ones
that people make by accident: a sign, a forgotten ``detach``, p for q, mean for sum, alpha for 1 - alpha, a
lost factor, another constant.
"""

from __future__ import annotations

import ast
import copy
import inspect
import textwrap
import traceback
from collections.abc import Callable, Iterator

COMPLEMENTED = {"alpha", "gamma"}  # names that stand for a share: x -> 1 - x
EXCHANGED = {"sum": "mean", "mean": "sum", "logsumexp": "mean", "softplus": "relu", "square": "abs"}
OPERATORS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}
EDGES = {ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Lt: ast.LtE, ast.LtE: ast.Lt}


def _but(node: ast.AST, **changed: object) -> ast.AST:
    return ast.copy_location(type(node)(**{**dict(ast.iter_fields(node)), **changed}), node)


def _edits(node: ast.AST, modules: set[str]) -> Iterator[ast.AST]:
    """What may stand in the place of ``node``. ``modules``: names whose attributes are functions."""
    match node:
        case ast.FunctionDef(args=ast.arguments(args=[a, b, *rest]) as arguments) if _alike(a, b):
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
        case ast.Constant(value="inf"):
            yield ast.Constant("1")
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            yield ast.Constant(value + 1)
        case ast.Name(id=name, ctx=ast.Load()) if name in COMPLEMENTED:
            yield ast.BinOp(ast.Constant(1), ast.Sub(), node)


def _alike(a: ast.arg, b: ast.arg) -> bool:
    return ast.unparse(a.annotation) == ast.unparse(b.annotation)


def _places(node: ast.AST) -> Iterator[ast.AST]:
    """The definition and all in it that is behaviour: no annotation, dtype, device or exception's words."""
    kind = isinstance(node, ast.Attribute) and node.attr in {"dtype", "device", "new_tensor"}
    if not (kind or isinstance(node, (ast.Raise, ast.arg))):
        yield node
        for child in ast.iter_child_nodes(node):
            yield from _places(child)


def _definitions(function: Callable) -> dict[str, ast.FunctionDef]:
    """The function and the private helpers of its module that it uses, by name, without docstrings."""
    definition = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(definition, ast.FunctionDef)
    definition.returns = None
    if ast.get_docstring(definition) is not None:
        del definition.body[0]
    found = {function.__name__: definition}
    for name in function.__code__.co_names:
        if name.startswith("_") and inspect.isfunction(helper := function.__globals__.get(name)):
            found |= _definitions(helper)
    return found


def mutants(function: Callable) -> Iterator[tuple[str, Callable]]:
    """Every distinct mutant of ``function`` and its private helpers, with the line that was changed in it."""
    definitions = _definitions(function)
    sources = {name: ast.unparse(definition) for name, definition in definitions.items()}
    modules = {name for name, value in function.__globals__.items() if inspect.ismodule(value)}
    for changed, definition in definitions.items():
        seen = {sources[changed]}
        for old, new in ((node, edit) for node in _places(definition) for edit in _edits(node, modules)):
            # The memo makes the copy take ``new`` where it meets ``old``.
            mutant = ast.unparse(copy.deepcopy(definition, {id(old): new}))
            if mutant not in seen:
                seen.add(mutant)
                lines = zip(sources[changed].splitlines(), mutant.splitlines(), strict=True)
                line = next(after.strip() for before, after in lines if before != after)
                scope = dict(function.__globals__)
                for source in (sources | {changed: mutant}).values():
                    exec(compile(source, f"<{function.__name__}: {line}>", "exec"), scope)
                yield line, scope[function.__name__]


def survivors(oracle: Callable[[Callable], None], function: Callable) -> set[str]:
    """The changed lines of the mutants that ``oracle`` lets pass.

    Refused is what raises AssertionError or cannot run; a crash elsewhere is the oracle's own fault.
    """
    alive = set()
    for line, mutant in mutants(function):
        try:
            oracle(mutant)
            alive.add(line)
        except AssertionError:
            continue
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            if mutant.__code__.co_filename not in {frame.filename for frame in frames}:
                raise
    return alive
