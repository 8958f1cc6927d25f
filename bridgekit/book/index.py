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
from itertools import count, groupby
from pathlib import Path

from bridgekit import closure
from bridgekit.book import cite, claims, dots, pages, prose, records
from bridgekit.book.displays import number
from bridgekit.book.verdicts import Measured, Verdict
from bridgekit.book.yaml_reader import read_yaml
from bridgekit.errors import BridgekitError, nearest

PAGE = "equations"  # it shows all of this
ITEM = r"[ABC](?:\.\d+[a-z]?| (?:Algorithm|Figure|Table|Lemma|Proposition|footnote) \d+)"
TAGS = re.compile(rf"((?:{ITEM}(?:, )?)+): ")
LABEL = re.compile(r"\$\$ ?\((([ABC])\.(\d+)([a-z]?)(?:-to-(\d+))?(?:-[\w-]+)?)\)")  # a chapter's equation
LINK = re.compile(r'<a href="(\w+)[^>]*>(.*?)</a>')
ROOMS = ("theory", "games", "measure")
# Of what is known, what a reader should see before the code.
FIRST = ("Symbols", "Claim", "Measured", "Not measured", "Erratum")
WANTED = {  # of each item one of these
    "a function": {"Checked", "Why no function"},
    "a claim or a measured value": {"Claim", "Measured", "Not measured"},
}
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
    end = node.body[0].end_lineno
    begin = end if ast.get_docstring(node) is None else node.body[0].lineno - 1
    file = path.relative_to(closure.PACKAGE.parent)
    name = ".".join([*file.with_suffix("").parts[1:], node.name])
    body = "\n".join(lines[first - 1 : begin] + lines[end : node.end_lineno])
    return Code(name, f"{file.as_posix()}, line {node.lineno}", body)


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
    known = {page: _shown(page.name, page.source).get(name) for page in pages.executed().values()}
    shown = [_page(page, place) for page, place in known.items() if place is not None]
    of_paper = [page for page in known if known[page] is None and cite.paper_of(page.source) == name[0]]
    return shown, [_page(page) for page in of_paper if _key(name) in cite.named(page.source)]


def _page(page: pages.Page, place: str = "") -> str:
    return f'<a href="{page.name}.html{place}">{page.title}</a>'


@cache
def _shown(page: str, source: str) -> dict[str, str]:
    """The items that a page shows or redoes, and where: one label may be of several equations."""
    found = {name: "" for name, item in items().items() if page in item.get("pages", ())}
    for label, paper, first, letter, last in reversed(LABEL.findall(source)):
        place = f"#equation-{re.sub('[^a-z0-9]+', '-', label.lower())}"
        found |= {f"{paper}.{n}{letter}": place for n in range(int(first), int(last or first) + 1)}
    return found


def places(page: str) -> str:
    """What a page shows of the papers and decides, in a line: `A eqs 8, 10 to 12, Figure 2`."""
    claimed = {name for name in items() for found in _about(name) if found.claim.page == page}
    shown, found = _shown(page, pages.find(page).source), {}
    named = [(name[0], *short(name).split()[:2]) for name in items() if name in claimed | shown.keys()]
    for (paper, kind), own in groupby(named, lambda each: each[:2]):
        numbers = [n for *_, n in own]  # those of a run are as far from 0, 1, 2, ...
        runs = groupby(numbers, lambda n, k=count(): int(n) - next(k) if n.isdigit() else n)  # noqa: B008
        spans = (f"{r[0]} to {r[-1]}" if len(r) > 2 else ", ".join(r) for _, (*r,) in runs)
        found.setdefault(paper, []).append(f"{kind}{'s' * (len(numbers) > 1)} {', '.join(spans)}")
    return "; ".join(f"{paper} {', '.join(spans)}" for paper, spans in found.items())


def _key(name: str) -> tuple[str, int]:
    """As `cite.named` has it; nothing that it could have for a display without a number."""
    kind, number, _ = short(name).split()
    return kind, int(number) if number.isdigit() else 0


def _about(name: str) -> list[Verdict]:
    """The claims whose place names the item, and the others that are about it."""
    key, others = _key(name), items()[name].get("claims", ())
    return [
        each
        for each in LEDGER(pages.root())
        if each.claim.id in others or (each.claim.paper == name[0] and key in cite.named(each.claim.place))
    ]


def _claim(found: Verdict) -> str:
    link = f'<a href="scoreboard.html#{found.claim.id}">{found.claim.id}</a>'
    said = f"{link} **{found.verdict}**: {found.claim.statement}"
    return " ".join([said, *map(_measured, dots.ordered(found.measured)[:1])])


def _recorded(page: str, metric: str, words: str) -> str:
    """A metric of a page's reference run that no claim is about."""
    record, link = records.committed(pages.root(), page).record, _page(pages.find(page))
    if metric not in record["metrics"]:
        return f"{words}: the reference run is to come; {link}"
    n = len(record["metrics"][metric]["values"])
    return f"{words}: {number(prose.of(record)[metric])}{f' (mean of {n} trials)' * (n > 1)}; {link}"


def _measured(item: Measured) -> str:
    label = item.part.label
    return f"({label}{',' * (',' in label)} {dots.asked(item.part)}: {dots.value(item)})"


def entry(name: str) -> dict[str, list[str]]:
    """What is known of an item beside its code, in Markdown, by what it is."""
    item, own = items()[name], code().get(name, [])
    shown, told = chapters(name)
    near = {_key(name), _key(name.rstrip("abc"))}  # the erratum of a display names the equation above it
    rows = [row for row in cite.errata(name[0]) if cite.named(row[0]) & near]
    defined = (row for table in notation()["tables"].values() for row in table if name in row["paper"])
    letters = [f"{row['symbol']}, {row['meaning']}" for row in defined if "symbol" in row]
    found = {
        "Symbols": ["; ".join(letters)] if letters else [],
        "Note" if own else "Why no function": [item["why"]] if "why" in item else [],
        "Checked": [_checked(each) for each in own],
        "Claim": [_claim(each) for each in _about(name)],
        "Measured": [
            _recorded(page, metric, words)
            for page, told in item.get("measured", {}).items()
            for metric, words in told.items()
        ],
        "Not measured": [item["unmeasured"]] if "unmeasured" in item else [],
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
    """What is wrong: an item without function, or without value, and no reason; a tag that no paper has."""
    known = {name: entry(name).keys() for name in items()}
    lost = [
        f"{name} has neither {what} nor a stated reason"
        for name, kinds in known.items()
        for what, wanted in WANTED.items()
        if not kinds & wanted
    ]
    return lost + [
        f"{own[0].place}: {tag} is no item of a paper" for tag, own in code().items() if tag not in known
    ]


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
