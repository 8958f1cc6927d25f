"""What a page's `parameters` cell declares, read without running the page.

A page's Markdown source holds one code cell tagged `parameters`, made of plain annotated assignments. The
comment at one says which values it allows (`bridgekit.book.ranges`) and, after a semicolon, what it is::

    seeds: int = 3  # from 1; trials, in one batch
    sigma: float = 0.3  # above 0; observation noise
    alphas: list[float] = [0.1, 0.5, 0.9]  # distinct, each above 0, below 1

Ranges are comments, so that the cell stays what every tool takes it for. `Annotated[int, ...]` would want an
import in the first cell, and papermill's inspection does not see a parameter that is declared so; a comment
it shows as the parameter's help. What papermill injects after the cell cannot undo a comment.

`declared_in` reads assignments by `ast` and comments by `tokenize`; `Parameter.fit` checks a value against
annotation and range, and `Parameter.parse` reads one from the command line. Annotations may be int, float,
bool, str, and `list[...]` of one of these. Nothing here imports torch, jupytext or papermill.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from bridgekit.book import ranges
from bridgekit.book.ranges import Range
from bridgekit.book.yaml_reader import read_yaml
from bridgekit.errors import BridgekitError

FENCE = re.compile(r"^(`{3,}|~{3,})\{code-cell\}[^\n]*\n(.*?)^\1[ \t]*$", re.MULTILINE | re.DOTALL)
SCALARS = {"int": int, "float": float, "bool": bool, "str": str}
LARGEST = 2**1023  # what float() takes of whole numbers


@dataclass(frozen=True)
class Parameter:
    """One line of a parameters cell: its annotation as written, its default, its range, and words of help."""

    name: str
    type: str
    default: object
    range: Range = Range()
    help: str = ""

    def fit(self, value: object) -> object:
        """`value`, with an int made a float where a float is declared.

        Raises BridgekitError, which names the parameter, for a value that is ill-typed or out of range.
        """
        try:
            fitted = _fit(value, self.type)
        except TypeError:
            kind = type(value).__name__
            raise BridgekitError(
                f"parameter '{self.name}' is declared {self.type}, but got {value!r} ({kind})"
            ) from None
        if not self.range.allows(fitted):
            allowed = self.range.text or "finite numbers and texts in UTF-8"
            raise BridgekitError(f"parameter '{self.name}' is {value!r}, out of its range: {allowed}")
        return fitted

    def as_dict(self) -> dict[str, object]:
        """For machines: plain JSON types."""
        return {"type": self.type, "default": self.default, "range": self.range.text, "help": self.help}

    def parse(self, text: str) -> object:
        """The value that `--set name=text` means: for a str the text, else YAML (1e-3, true, [1, 2])."""
        return self.fit(text if self.type == "str" else read_yaml(text, f"the value of '{self.name}'"))


def _fit(value: object, kind: str) -> object:
    """`value` as the annotation `kind` wants it; TypeError if it does not fit, KeyError for another kind."""
    if kind.startswith("list["):
        if not isinstance(value, list):
            raise TypeError
        return [_fit(each, kind[5:-1]) for each in value]
    if kind == "float" and type(value) is int and abs(value) < LARGEST:
        return float(value)
    if type(value) is not SCALARS[kind]:
        raise TypeError
    return value


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
    return {p.name: p for code in tagged for p in _parameters(code, page)}


def _parameters(code: str, page: str) -> Iterator[Parameter]:
    """The parameters of a cell, each with the comments on its lines; nothing else may stand there."""
    try:
        body = ast.parse(code).body
    except SyntaxError as error:
        raise BridgekitError(f"{page}: the parameters cell does not parse: {error}") from error
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    comments = {t.start[0]: t.string.lstrip("#").strip() for t in tokens if t.type == tokenize.COMMENT}
    for line in body:
        if not (isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and line.value):
            raise BridgekitError(
                f"{page}: '{ast.unparse(line)}' in the parameters cell is not of the form `seed: int = 0`"
            )
        own = [comments[n] for n in range(line.lineno, line.end_lineno + 1) if n in comments]
        yield _read(line, " ".join(own))


def _read(line: ast.AnnAssign, comment: str) -> Parameter:
    """One statement of a parameters cell: its default is a literal of its own type and in its own range."""
    name, kind = line.target.id, ast.unparse(line.annotation)
    head, _, rest = comment.partition(";")
    try:
        allowed = ranges.read(head.strip(), f"parameter '{name}': ")
        words = rest.strip() if allowed.text else comment
        parameter = Parameter(name, kind, ast.literal_eval(line.value), allowed, words)
        return replace(parameter, default=parameter.fit(parameter.default))
    except (KeyError, ValueError):
        raise BridgekitError(
            f"parameter '{name}': write a literal of type int, float, bool, str or list[...] of one of these, "
            f"not `{ast.unparse(line)}`"
        ) from None


def injected(namespace: Mapping[str, object]) -> list[str]:
    """The names that papermill assigned in this kernel, declared or not; [] where no papermill was.

    IPython keeps what was run in `In`, and papermill's cell begins `# Parameters`. The paths that its
    `--inject-paths` adds are no parameters.
    """
    ran = [cell for cell in namespace.get("In", ()) if cell.startswith("# Parameters\n")]
    found = [name for cell in ran for name in re.findall(r"^(\w+) = ", cell, re.MULTILINE)]
    return [name for name in found if not name.startswith("PAPERMILL_")]
