"""What a page's `parameters` cell declares, read without running the page.

A page's Markdown source holds one code cell tagged `parameters`, made of plain annotated assignments::

    seed: int = 0
    alphas: list[float] = [0.1, 0.5, 0.9]

`declared_in` reads them by `ast`; `Parameter.fit` checks a value against the annotation and `Parameter.parse`
reads one from the command line. Annotations may be int, float, bool, str, None, unions of these with `|`,
and `list[...]`. Nothing here imports torch, jupytext or papermill.
"""

import ast
import re
from dataclasses import dataclass
from functools import lru_cache

import yaml

from bridgekit.errors import BridgekitError

FENCE = re.compile(r"^(`{3,}|~{3,})\{code-cell\}[^\n]*\n(.*?)^\1[ \t]*$", re.MULTILINE | re.DOTALL)
SCALARS = {"int": int, "float": float, "bool": bool, "str": str}


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """YAML with 1e-3 read as a number: YAML 1.1 wants a dot in it and would hand back a string."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)


@lru_cache(maxsize=256)
def read_yaml(text: str, name: str) -> object:
    """The YAML value in `text`, not to be changed; `name` is what an error calls it."""
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise BridgekitError(f"{name} is not valid YAML: {error}") from error


@dataclass(frozen=True)
class Parameter:
    """One line of a parameters cell: its annotation as written, and its default."""

    name: str
    type: str
    default: object

    def fit(self, value: object) -> object:
        """`value`, with an int made a float where a float is declared; BridgekitError when ill-typed."""
        try:
            return _fit(value, ast.parse(self.type, mode="eval").body)
        except TypeError:
            kind = type(value).__name__
            raise BridgekitError(
                f"parameter '{self.name}' is declared {self.type}, but got {value!r} ({kind})"
            ) from None

    def parse(self, text: str) -> object:
        """The value that `--set name=text` means: for a str the text, else YAML (1e-3, true, [1, 2])."""
        return self.fit(text if self.type == "str" else read_yaml(text, f"the value of '{self.name}'"))


def _fit(value: object, annotation: ast.expr) -> object:
    """`value` as `annotation` wants it; TypeError if it does not fit, ValueError for a foreign annotation."""
    match annotation:
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            try:
                return _fit(value, left)
            except TypeError:
                return _fit(value, right)
        case ast.Subscript(value=ast.Name(id="list"), slice=item):
            if not isinstance(value, list | tuple):
                raise TypeError
            return [_fit(each, item) for each in value]
        case ast.Constant(value=None):
            if value is not None:
                raise TypeError
            return None
        case ast.Name(id="float") if isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        case ast.Name(id=name) if name in SCALARS:
            if type(value) is not SCALARS[name]:
                raise TypeError
            return value
    raise ValueError


def cells(source: str) -> list[tuple[list[str], str]]:
    """The code cells of a MyST page as (tags, code), in order."""
    return [_split(body) for _, body in FENCE.findall(source)]


def _split(body: str) -> tuple[list[str], str]:
    """A code cell's tags and its code; options stand first, as `:tags: [a]` lines or between `---` lines."""
    lines = body.splitlines()
    if lines and lines[0].strip() == "---":
        end = lines.index("---", 1)
        head, code = "\n".join(lines[1:end]), lines[end + 1 :]
    else:
        count = next((i for i, line in enumerate(lines) if not line.startswith(":")), len(lines))
        head, code = "\n".join(line[1:] for line in lines[:count]), lines[count:]
    options = read_yaml(head, "the options of a code cell") or {}
    return list(options.get("tags", [])), "\n".join(code).strip("\n")


def declared_in(source: str, page: str) -> dict[str, Parameter]:
    """The parameters that a page's Markdown `source` declares, in its order; {} where it has no such cell."""
    tagged = [code for tags, code in cells(source) if "parameters" in tags]
    if len(tagged) > 1:
        raise BridgekitError(f"{page}: {len(tagged)} cells are tagged 'parameters'; keep one")
    return {p.name: p for code in tagged for p in map(_read, _statements(code, page))}


def _statements(code: str, page: str) -> list[ast.AnnAssign]:
    """The annotated assignments of a parameters cell, and nothing else."""
    try:
        body = ast.parse(code).body
    except SyntaxError as error:
        raise BridgekitError(f"{page}: the parameters cell does not parse: {error}") from error
    for line in body:
        if not (isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and line.value):
            raise BridgekitError(
                f"{page}: '{ast.unparse(line)}' in the parameters cell is not of the form `seed: int = 0`"
            )
    return body


def _read(line: ast.AnnAssign) -> Parameter:
    """One statement of a parameters cell, with a default that is a literal of its own type."""
    name, kind = line.target.id, ast.unparse(line.annotation)
    try:
        parameter = Parameter(name, kind, ast.literal_eval(line.value))
        return Parameter(name, kind, parameter.fit(parameter.default))
    except ValueError:
        raise BridgekitError(
            f"parameter '{name}': write a literal of type int, float, bool, str, a union of these or "
            f"list[...], not `{ast.unparse(line)}`"
        ) from None
