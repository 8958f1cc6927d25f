"""What a value is, as JSON: by content, never by address, so that it can name a game or a cell."""

from __future__ import annotations

import ast
import dataclasses
import dis
import functools
import hashlib
import inspect
import json
import sysconfig
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import CodeType, FunctionType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bridgekit.closure import PACKAGE

_PLAIN = (str, int, float, bool, type(None))
_WRITTEN = (torch.device, torch.dtype, complex, bytes, Path)
_LIBRARIES = (PACKAGE, *{Path(sysconfig.get_paths()[name]) for name in ("stdlib", "purelib", "platlib")})


def digest(*values: Any) -> str:
    """A hash of the values' content; TypeError where one has none, as :func:`canonical` says."""
    return hashlib.sha256(json.dumps(canonical(values), sort_keys=True).encode()).hexdigest()


def canonical(value: Any, seen: tuple[int, ...] = ()) -> Any:
    """``value`` as JSON: data by fingerprint or content, functions of libraries by name.

    A function that stands elsewhere, in a page, is what it does: its source, its defaults and all that it
    refers to. TypeError for what cannot be told: an object without content, a nameless function of a library.
    """
    if id(value) in seen:  # a function that calls itself
        return "itself"
    as_json = functools.partial(canonical, seen=(*seen, id(value)))
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, _WRITTEN):
        return str(value)
    if isinstance(value, ModuleType):
        return value.__name__
    for known in ("canonical", "settings", "fingerprint"):
        if hasattr(value, known):
            return _own(value, known, as_json)
    if isinstance(value, (Tensor, np.ndarray, np.generic)):
        return _numbers(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: as_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, (Mapping, SimpleNamespace)):
        items = value.items() if isinstance(value, Mapping) else vars(value).items()
        return {str(k): as_json(v) for k, v in items}
    if isinstance(value, (tuple, list, range)):
        return [as_json(v) for v in value]
    if isinstance(value, functools.partial):
        return [as_json(part) for part in (value.func, value.args, value.keywords)]
    return _function(inspect.unwrap(value) if callable(value) else value, as_json)


def _own(value: Any, known: str, as_json: Any) -> Any:
    """What a value says of itself."""
    if known == "settings":
        return [value.name, as_json(value.settings)]
    said = getattr(value, known)
    return said() if callable(said) else said


def _numbers(value: Any) -> list:
    array = value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
    content = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
    return [str(value.dtype), list(value.shape), content]


def _function(value: Any, as_json: Any) -> Any:
    if isinstance(value, FunctionType) and not _of_a_library(value.__code__):
        inside = [value.__defaults__, value.__kwdefaults__, dict(_references(value))]
        return [_source(value), *map(as_json, inside)]
    name, owner = getattr(value, "__qualname__", "<"), getattr(value, "__self__", None)
    if owner is not None and not isinstance(owner, ModuleType):  # a method does what its object says
        return [as_json(owner), name]
    # <lambda> and <locals> do not say which, nor does the name of a page's own class say what it does.
    if callable(value) and "<" not in name and value.__module__ != "__main__":
        return f"{value.__module__}.{name}"
    raise TypeError(f"nobody can tell what {value!r} holds; a named function can, or functools.partial")


def _of_a_library(code: CodeType) -> bool:
    return any(Path(code.co_filename).is_relative_to(library) for library in _LIBRARIES)


def _source(function: FunctionType) -> Any:
    """Its text without comments and layout; of one that has none, its bytecode.

    Bytecode is the last resort: that of a page's lambda depends on what is compiled with it, which is a
    statement in a notebook, and a whole cell where a job plays its share.
    """
    try:
        if function.__name__ == "<lambda>":
            return ast.unparse(_lambda(function.__code__))
        return ast.unparse(ast.parse(textwrap.dedent(inspect.getsource(function))))
    except (OSError, SyntaxError, StopIteration):  # written by a machine, or on a line with others
        constants = [repr(c) for c in function.__code__.co_consts if not isinstance(c, CodeType)]
        return [[code.co_code.hex(), code.co_names] for code in _codes(function.__code__)] + constants


def _lambda(code: CodeType) -> ast.Lambda:
    """The lambda whose body begins where this code does: it may share its lines with others."""
    tree = ast.parse("".join(inspect.findsource(code)[0]))
    begins = min(
        (step.positions.lineno, step.positions.col_offset)
        for step in dis.get_instructions(code)
        if step.positions.end_col_offset  # of what is nowhere in the text it is None, or 0
    )
    found = (node for node in ast.walk(tree) if isinstance(node, ast.Lambda))
    return next(node for node in found if (node.body.lineno, node.body.col_offset) == begins)


def _codes(code: CodeType) -> Iterator[CodeType]:
    """The code of a function and of those inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _references(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """What it refers to outside: globals by name, and what its closure holds."""
    loads = (i for code in _codes(function.__code__) for i in dis.get_instructions(code))
    for name in sorted({i.argval for i in loads if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}):
        if name in function.__globals__:
            yield name, function.__globals__[name]
    yield from inspect.getclosurevars(function).nonlocals.items()
