"""What the three papers number, item by item: its code, what checks it, its claims, chapters and errata.

What there is stands in `book/papers.yml`. Which function an item is, the function says: its docstring begins
with tags, `A.12, A.15: ...`. Everything is found by reading, nothing is imported: the library and its tests
as syntax trees, chapters by the labels of their equations and by what they name, verdicts from the ledger.
"""

import ast
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bridgekit import closure
from bridgekit.book import cite, claims, dots, pages
from bridgekit.book.verdicts import Measured
from bridgekit.book.yaml_reader import read_yaml
from bridgekit.errors import BridgekitError, nearest

PAGE = "equations"  # it shows all of this
ITEM = r"[ABC](?:\.\d+[a-z]?| (?:Algorithm|Figure|Table|Lemma|Proposition|footnote) \d+)"
TAGS = re.compile(rf"((?:{ITEM}(?:, )?)+): ")
LINK = re.compile(r'<a href="(\w+)[^>]*>(.*?)</a>')
ROOMS = ("theory", "games", "measure")
FIRST = ("Symbols", "Claim", "Erratum")  # of what is known, what a reader should see before the code
LEDGER = cache(claims.ledger)
ORACLE = "an oracle of value and gradient ({}, line {}); a changed function must fail it"
CHECKS = (  # the files of tests/ that check the function {1} of a module {0}, the line there, and how
    ("oracles/of_{0}.py", r"^def {1}\(function|^    \w+\.{1}: ", ORACLE),
    ("test_{0}.py", r"^def {1}\(function|^    \w+\.{1}: ", ORACLE),
    ("games/*.py", r'^    "{1}": ', "the paper's lines written out ({}, line {}); a changed game must fail"),
    ("test_*.py", r"\b{1}\(", "in a test ({}, line {})"),
)


@dataclass(frozen=True)
class Code:
    """A function: its dotted name in the package, its place, its source without the docstring."""

    name: str
    place: str
    body: str


def items() -> Mapping[str, Mapping]:
    """What the papers number, by name, in their order: `A.15`, `A Figure 4`."""
    return read_yaml(closure.text(pages.root() / "book" / "papers.yml"), "book/papers.yml")


def notation() -> Mapping[str, Mapping]:
    """The rows of its `tables`, by title, and its `words`, each with its meaning."""
    return read_yaml(closure.text(pages.root() / "book" / "notation.yml"), "book/notation.yml")


def short(name: str) -> str:
    """As the papers say it, and whose it is: `eq 15 (A)`, `Figure 4 (A)`."""
    return f"eq {name[2:]} ({name[0]})" if name[1] == "." else f"{name[2:]} ({name[0]})"


def mark(name: str) -> str:
    """Its anchor on the page."""
    return re.sub(r"\W+", "-", short(name).lower()).strip("-")


def find(said: str) -> str:
    """The item that a person means: `A.15`, `eq 15 A`, `fig 4 of paper A`."""
    known = {name: {*mark(name).split("-")} for name in items()}
    kinds = {word for own in known.values() for word in own if word[1:].isalpha()}
    words = re.findall(r"\d+[a-z]?|[a-z]+", said.lower())
    words = {next((kind for kind in kinds if kind[:2] == word[:2]), word) for word in words} - {"of", "paper"}
    words |= set() if words & kinds else {"eq"}
    found = [name for name, own in known.items() if words <= own and re.search(r"\d", said)]
    if len(found) == 1:
        return found[0]
    hint = f"say which paper: {', '.join(found)}" if found else nearest(said.strip(), known)
    raise BridgekitError(f"{said!r} is {'more than one' if found else 'no'} item of the papers: {hint}")


@cache
def code() -> dict[str, list[Code]]:
    """The functions of each tag, the equations' first."""
    found = {}
    for path in (path for room in ROOMS for path in sorted((closure.PACKAGE / room).glob("*.py"))):
        for node in ast.parse(closure.text(path)).body:
            if isinstance(node, ast.FunctionDef) and (said := TAGS.match(ast.get_docstring(node) or "")):
                for tag in said[1].split(", "):
                    found.setdefault(tag, []).append(_function(node, path))
    return found


def _function(node: ast.FunctionDef | ast.ClassDef, path: Path) -> Code:
    lines, first = closure.text(path).splitlines(), min(n.lineno for n in (node, *node.decorator_list))
    begin, end = node.body[0].lineno - 1, node.body[0].end_lineno
    if ast.get_docstring(node) is None:
        begin = end
    body = lines[first - 1 : begin] + lines[end : node.end_lineno]
    file = path.relative_to(closure.PACKAGE.parent)
    name = ".".join([*file.with_suffix("").parts[1:], node.name])
    return Code(name, f"{file.as_posix()}, line {node.lineno}", "\n".join(body))


def of(function: Callable) -> Code:
    """A function or class of the library, as it stands in its file; TypeError for what has none."""
    path = Path(inspect.getsourcefile(function)).resolve()
    nodes = ast.parse(closure.text(path)).body
    return _function(next(n for n in nodes if getattr(n, "name", "") == function.__name__), path)


@cache
def _check(module: str, name: str) -> str:
    """The first thing in tests/ that checks a function."""
    home = closure.PACKAGE.parent
    for files, line, how in CHECKS:
        for file in sorted((home / "tests").glob(files.format(module))):
            text = closure.text(file)
            if module in text and (found := re.search(line.format(module, name), text, re.MULTILINE)):
                number = text.count("\n", 0, found.end()) + 1
                return how.format(file.relative_to(home).as_posix(), number)
    return ""


def _checked(function: Code) -> str:
    """What checks a function, or one that it is a part of, where only that has an oracle or a case."""
    own = function.name.split(".")
    word = re.compile(rf"(?<!def )\b{own[-1]}\(")
    users = sorted({each.name for known in code().values() for each in known if word.search(each.body)})
    known = {name: _check(*name.split(".")[1:]) for name in (function.name, *users)}
    name = next((name for name, how in known.items() if "must" in how), function.name)
    part = f", as a part of `{name}`" if name != function.name else ""
    return f"`{function.name}`{part}: {known[name] or 'no test names it'}."


def chapters(name: str) -> tuple[list[str], list[str]]:
    """Links to the pages that show an item, where they do, or redo it, and to those that only name it."""
    label = re.compile(rf"\$\$ ?\(({re.escape(name)}(?:-[\w-]+)?)\)")
    shown, told = [], []
    for page in pages.executed().values():
        found = label.search(page.source)
        place = f"#equation-{re.sub('[^a-z0-9]+', '-', found[1].lower())}" if found else ""
        link = f'<a href="{page.name}.html{place}">{page.title}</a>'
        if found or page.name in items()[name].get("pages", ()):
            shown.append(link)
        elif cite.paper_of(page.source) == name[0] and _key(name) in cite.named(page.source):
            told.append(link)
    return shown, told


def _key(name: str) -> tuple[str, int]:
    """As `cite.named` has it; nothing that it could have for a display without a number."""
    kind, number, _ = short(name).split()
    return kind, int(number) if number.isdigit() else 0


def _claims(name: str) -> Iterator[str]:
    for verdict in LEDGER(pages.root()):
        claim = verdict.claim
        if claim.paper == name[0] and _key(name) in cite.named(claim.place):
            link = f'<a href="scoreboard.html#{claim.id}">{claim.id}</a>'
            first = dots.ordered(verdict.measured)[:1]
            yield " ".join([f"{link} **{verdict.verdict}**: {claim.statement}", *map(_measured, first)])


def _measured(item: Measured) -> str:
    label, bound = item.part.label, str(item.part).removeprefix(item.part.metric)
    return f"({label}{',' * (',' in label)}{bound}: {dots.value(item)})"


def entry(name: str) -> dict[str, list[str]]:
    """What is known of an item beside its code, in Markdown, by what it is."""
    own, why = code().get(name, []), items()[name].get("why")
    shown, told = chapters(name)
    near = {_key(name), _key(name.rstrip("abc"))}  # the erratum of a display names the equation above it
    rows = [row for row in cite.errata(name[0]) if cite.named(row[0]) & near]
    defined = (row for table in notation()["tables"].values() for row in table if name in row["paper"])
    letters = [f"{row['symbol']}, {row['meaning']}" for row in defined if "symbol" in row]
    found = {
        "Symbols": ["; ".join(letters)] if letters else [],
        "Note" if own else "Why no function": [why] if why else [],
        "Checked": [_checked(each) for each in own],
        "Claim": list(_claims(name)),
        "Chapter": shown,
        "Named in": [", ".join(told)] if told else [],
        "Erratum": [f"{row[0]}. Printed: {row[1]}. Should be: {row[2]}." for row in rows],
    }
    return {kind: lines for kind, lines in found.items() if lines}


def lines(said: str) -> Iterator[str]:
    """What `bridgekit where ITEM` prints."""
    name = find(said)
    yield from filter(None, (f"{name}: {items()[name]['is']}", items()[name].get("tex")))
    yield from (f"Code: {each.name} ({each.place})" for each in code().get(name, []))
    for kind, told in entry(name).items():
        yield from (f"{kind}: " + re.sub(r"\*\*|`", "", LINK.sub(r"\2 [\1]", line)) for line in told)


def gaps() -> list[str]:
    """What is wrong: an item without function, page and reason; a tag that no paper has."""
    tags, known = code(), items()
    lost = [
        f"{name} has neither a function nor a page nor a stated reason"
        for name, item in known.items()
        if not (name in tags or "why" in item or chapters(name)[0])
    ]
    return lost + [f"{tags[tag][0].place}: {tag} is no item of a paper" for tag in tags if tag not in known]


def markdown(paper: str) -> str:
    """The page's part about one paper: links to every item, and a section for each."""
    own = [name for name in items() if name[0] == paper]
    links = (f'<a href="#{mark(name)}">{name[2:]}</a>' for name in own)
    return "\n\n".join([f'<p class="bk-jump">{" ".join(links)}</p>', *map(_section, own)])


def _section(name: str) -> str:
    item, title = items()[name], short(name)
    names = f"! {name}, ! {name[0]} {title[:-4]}, ! {title[:-4]} {name[0]}"  # as one may search for it
    parts = [f"### {title}", f"```{{index}} {names}\n```", item["is"]]
    parts += [f"$$\n{item['tex']}\n$$ (index-{name})"] if "tex" in item else []
    told = [(kind, f"**{kind}:** {line}") for kind, lines in entry(name).items() for line in lines]
    parts += [line for kind, line in told if kind in FIRST]
    for each in code().get(name, []):
        summary = f"<summary>Code: <code>{each.name}</code>, in {each.place}</summary>"
        parts += [f"<details>{summary}\n\n```python\n{each.body}\n```\n\n</details>"]
    parts += [line for kind, line in told if kind not in FIRST]
    return "\n\n".join(parts)
