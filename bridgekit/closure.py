"""Content as short hashes, and the closure of a piece of code: every module of the package that it needs.

Modules that code imports, directly or through others, are found by reading (`ast`), never by importing: the
Snakefile asks each time it is parsed. A file is read once in a process for as long as it stays as it is.
"""

import ast
import hashlib
import json
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from bridgekit.errors import BridgekitError

PACKAGE = Path(__file__).resolve().parent


def text(path: Path) -> str:
    """The text of a file. Raises BridgekitError where it is not UTF-8, OSError as `open` does."""
    try:
        return content(path).decode()
    except UnicodeDecodeError as error:
        raise BridgekitError(f"{path.name} is not UTF-8 text ({error}): save it as UTF-8") from error


def content(path: Path) -> bytes:
    """The bytes of a file; read anew where its place, size or times are others."""
    return _content(path, stamp(path))


@cache
def _content(path: Path, _: tuple[int, ...]) -> bytes:
    return path.read_bytes()


def stamp(path: Path) -> tuple[int, ...]:
    """Place, size and times of a file: who has seen the same ones has seen the same content."""
    at = path.stat()  # the time of the last change of status cannot be set by hand
    return at.st_dev, at.st_ino, at.st_size, at.st_mtime_ns, at.st_ctime_ns


def digest(*parts: object) -> str:
    """16 hex digits of the sha256 of `parts`: bytes and text as they are, files by content, else as JSON."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            part = content(part)
        elif not isinstance(part, bytes | str):
            part = json.dumps(part, sort_keys=True, default=str)
        body = part.encode() if isinstance(part, str) else part
        total.update(f"{len(body)}:".encode() + body)
    return total.hexdigest()[:16]


def tree(paths: Iterable[Path], below: Path) -> list[list[str]]:
    """[name relative to `below`, digest] of each file, sorted: a folder's content as data."""
    return sorted([path.relative_to(below).as_posix(), digest(path)] for path in paths if path.is_file())


def library(source: str) -> list[list[str]]:
    """[name, digest] of each module of the package that `source` needs: the code that runs with it."""
    return tree(modules(source).values(), PACKAGE)


def modules(source: str, package: Path | None = None) -> dict[str, Path]:
    """The package's modules that `source` imports, directly or through others: {dotted name: file}."""
    package, found = package or PACKAGE, {}
    waiting = set(imported(source, "", package))
    while waiting:
        name = waiting.pop()
        file = file_of(name, package)
        if file and name not in found:
            found[name] = file
            inside = name if file.name == "__init__.py" else name.rpartition(".")[0]
            waiting |= imported(text(file), inside, package)
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
            around = inside.split(".")[: inside.count(".") + 2 - node.level] if node.level else []
            base = ".".join(filter(None, [*around, node.module]))
            names |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    mine = {name for name in names if name.split(".")[0] == package.name}
    return frozenset(".".join(name.split(".")[:n]) for name in mine for n in range(1, name.count(".") + 2))


def _executed(tree: ast.AST) -> Iterator[ast.AST]:
    """Every statement, but for what `if TYPE_CHECKING:` keeps for type checkers."""
    for child in ast.iter_child_nodes(tree):
        checked = isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING")
        if not checked and not isinstance(child, ast.expr):
            yield child
            yield from _executed(child)


@cache
def file_of(name: str, package: Path) -> Path | None:
    """The file of a dotted name of the package; None where the name is no module but something inside one."""
    path = package.parent.joinpath(*name.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)
