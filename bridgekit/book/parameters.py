"""What a page's `parameters` cell declares, read without running the page.

A page's Markdown source holds one code cell tagged `parameters`, made of plain annotated assignments. The
comment at one says which values it allows and, after a semicolon, what it is::

    seeds: int = 3  # from 1; trials, in one batch
    sigma: float = 0.3  # above 0; observation noise
    alphas: list[float] = [0.1, 0.5, 0.9]  # distinct, each above 0, below 1

A range is rules with commas between them:

    from 1                   numbers: from and to include their end, above and below (as in the claims) do not
    above 0, to 1            both ends
    multiple of 4            whole numbers
    one of all | A | B       texts, and whole numbers
    3 entries, not empty     lists
    distinct                 lists: no entry twice
    each above 0, to 1       lists: what holds for every entry, in the words from above

Ranges are words and comments, so that the cell stays what every tool takes it for. `Annotated[int, ...]`
would want an import in the first cell, and papermill's inspection does not see a parameter that is declared
so; a comment it shows as the parameter's help. What papermill injects after the cell cannot undo a comment.

`declared_in` reads assignments by `ast` and comments by `tokenize`; `Parameter.fit` checks a value against
annotation and range, and `Parameter.parse` reads one from the command line. Annotations may be int, float,
bool, str, and `list[...]` of one of these. Nothing here imports torch, jupytext or papermill.
"""

import ast
import io
import math
import operator
import re
import tokenize
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from bridgekit.book.yaml_reader import read_yaml
from bridgekit.data.folders import printable
from bridgekit.errors import BridgekitError

FENCE = re.compile(r"^(`{3,}|~{3,})\{code-cell\}[^\n]*\n(.*?)^\1[ \t]*$", re.MULTILINE | re.DOTALL)
OPTIONS = re.compile(r"(?:---[ \t]*\n(.*?)^---[ \t]*\n|((?::[^\n]*\n)*))(.*)", re.MULTILINE | re.DOTALL)
SCALARS = {"int": int, "float": float, "bool": bool, "str": str}
LARGEST = 2**1023  # what float() takes of whole numbers


WRITTEN = (
    "from 1, above 0, to 1, below 1, multiple of 4, one of a | b, 3 entries, not empty or distinct; then help"
)
_COMPARE = {"from": operator.ge, "above": operator.gt, "to": operator.le, "below": operator.lt}
_RULE = re.compile(
    r"(?P<word>from|above|to|below) (?P<end>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)"
    r"|multiple of (?P<multiple>[1-9]\d*)|one of (?P<choices>.+)|(?P<length>\d+) entries"
    r"|(?P<list>distinct|not empty)"
)
_LISTS = {
    "distinct": lambda entries: len(set(entries)) == len(entries),
    "not empty": bool,
}


@dataclass(frozen=True)
class Range:
    """The rules of one parameter; `text` is how they were written, "" where there are none."""

    text: str = ""
    bounds: tuple[tuple[str, float], ...] = ()  # ("from", 1.0)
    multiple: int = 1
    choices: tuple[str, ...] = ()
    length: int | None = None
    lists: tuple[str, ...] = ()

    def allows(self, value: object) -> bool:
        """Whether a value of the declared type lies in the range."""
        if isinstance(value, list):
            right = self.length in (None, len(value)) and all(_LISTS[rule](value) for rule in self.lists)
            return right and all(map(self.allows, value))
        named = not self.choices or str(value) in self.choices
        if isinstance(value, str):
            return named and printable(value)
        finite = isinstance(value, int) or math.isfinite(value)
        within = finite and all(_COMPARE[word](value, end) for word, end in self.bounds)
        return named and within and (self.multiple == 1 or value % self.multiple == 0)


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
            raise BridgekitError(
                f"parameter '{self.name}' is declared {self.type}, but got {value!r} ({type(value).__name__})"
            ) from None
        if not self.range.allows(fitted):
            allowed = self.range.text or "finite numbers and texts in UTF-8"
            raise BridgekitError(f"parameter '{self.name}' is {value!r}, out of its range: {allowed}")
        return fitted

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
    block, lines, code = OPTIONS.fullmatch(body).groups()
    head = re.sub("^:", "", lines, flags=re.MULTILINE) if block is None else block
    options = read_yaml(head, "the options of a code cell") or {}
    return list(options.get("tags", [])), code.strip("\n")


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
        allowed = read_range(head.strip(), f"parameter '{name}': ")
        words = rest.strip() if allowed.text else comment
        parameter = Parameter(name, kind, ast.literal_eval(line.value), allowed, words)
        return replace(parameter, default=parameter.fit(parameter.default))
    except (KeyError, ValueError):
        raise BridgekitError(
            f"parameter '{name}': write a literal of type int, float, bool, str or a list[...] of these, "
            f"not `{ast.unparse(line)}`"
        ) from None


def read_range(text: str, where: str = "") -> Range:
    """The range that `text` writes; an empty one where it does not begin with a rule (it is words of help).

    Raises BridgekitError where only the first rules are understood: a slip would allow everything.
    """
    rules = [rule.strip().removeprefix("each ") for rule in text.split(",")]
    found = [_RULE.fullmatch(rule) for rule in rules]
    if not found[0]:
        return Range()
    if None in found:
        other = rules[found.index(None)]
        raise BridgekitError(f"{where}the range '{text}' holds '{other}', which is no rule: write {WRITTEN}")
    said = {name: [each[name] for each in found if each[name]] for name in _RULE.groupindex}
    return Range(
        text,
        bounds=tuple(zip(said["word"], map(float, said["end"]), strict=True)),
        multiple=int((said["multiple"] or [1])[0]),
        choices=tuple(name.strip() for names in said["choices"] for name in names.split("|")),
        length=int(said["length"][0]) if said["length"] else None,
        lists=tuple(said["list"]),
    )


def injected(namespace: Mapping[str, object]) -> list[str]:
    """The names that papermill assigned in this kernel, declared or not; [] where no papermill was.

    IPython keeps what was run in `In`, and papermill's cell begins `# Parameters`. The paths that its
    `--inject-paths` adds are no parameters.
    """
    ran = [cell for cell in namespace.get("In", ()) if cell.startswith("# Parameters\n")]
    found = [name for cell in ran for name in re.findall(r"^(\w+) = ", cell, re.MULTILINE)]
    return [name for name in found if not name.startswith("PAPERMILL_")]
