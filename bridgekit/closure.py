"""Content as short hashes, and the closure of a piece of code: every module of the package that it needs.

Modules that code imports, directly or through others, are found by reading (`ast`), never by importing: the
Snakefile asks each time it is parsed.
"""

import ast
import hashlib
import json
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def digest(*parts: object) -> str:
    """16 hex digits of the sha256 of `parts`: bytes and text as they are, files by content, else as JSON."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            part = part.read_bytes()
        elif not isinstance(part, bytes | str):
            part = json.dumps(part, sort_keys=True, default=str)
        body = part.encode() if isinstance(part, str) else part
        total.update(f"{len(body)}:".encode() + body)
    return total.hexdigest()[:16]


def tree(paths: Iterable[Path], below: Path) -> list[list[str]]:
    """[name relative to `below`, digest] of each file, sorted: a folder's content as data."""
    return sorted([path.relative_to(below).as_posix(), digest(path)] for path in paths if path.is_file())


def modules(source: str, package: Path = PACKAGE) -> dict[str, Path]:
    """The package's modules that `source` imports, directly or through others: {dotted name: file}."""
    found: dict[str, Path] = {}
    waiting = set(imported(source, "", package))
    while waiting:
        name = waiting.pop()
        file = file_of(name, package)
        if file and name not in found:
            found[name] = file
            inside = name if file.name == "__init__.py" else name.rpartition(".")[0]
            waiting |= imported(file.read_text(encoding="utf-8"), inside, package)
    return found


@cache
def imported(source: str, inside: str, package: Path) -> frozenset[str]:
    """Dotted names that `source`, standing in the package `inside`, may import, and the packages around."""
    names = set()
    code = "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines())
    try:
        tree = ast.parse(code)
    except SyntaxError:
        return frozenset()  # running it will say so, better than a key can
    for node in _executed(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            around = (
                ".".join(inside.split(".")[: len(inside.split(".")) - node.level + 1]) if node.level else ""
            )
            base = ".".join(filter(None, [around, node.module]))
            names |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    mine = {name for name in names if name.split(".")[0] == package.name}
    return frozenset(".".join(name.split(".")[:n]) for name in mine for n in range(1, name.count(".") + 2))


def _executed(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node, but for what `if TYPE_CHECKING:` keeps for type checkers."""
    for child in ast.iter_child_nodes(tree):
        if not (isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING")):
            yield child
            yield from _executed(child)


def file_of(name: str, package: Path) -> Path | None:
    """The file of a dotted name of the package; None where the name is no module but something inside one."""
    path = package.parent.joinpath(*name.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)
