"""The index inside the book: its page, and a link to it, with a card, wherever a page names an item.

This is Sphinx's side of `index`; book/_static/cards.js opens the cards. A page names an item where it says
whose it is: it cites one paper alone, or its heading or its sentence says *paper A*, or it is a row about a
claim. The words of the glossary have cards as well, each where a page first uses it.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from bridgekit import closure
from bridgekit.book import cite, index, pages, plots
from bridgekit.errors import BridgekitError

NOTATION = "notation"  # where the glossary is
HOLE, PLACES = re.compile(r"<!-- (items|table|words) ?(.*?) -->"), "<!-- places -->"  # the latter in a head
PAPERS = " · papers: "
# A page is made of what stays as it is, other tags, and words.
PIECE = re.compile(
    r"<(a|code|pre|script|style|h\d|dt|button|summary|svg|label)\b.*?</\1>"
    r'|<(span|div) class="math[ "].*?</\2>|<!--.*?-->|<[^>]*>|[^<]+',
    re.DOTALL,
)
HEADING = re.compile(r"<h[12]>(?:Paper ([ABC])\b)?")
BLOCK = re.compile(r"<(?:p|li|t[dh]|dt|dd|div|figcaption|blockquote)\b")
CITED = re.compile(r'<a class="reference internal" href="[^"]*#id\d+"[^>]*>(\w+)')
AUTHORS = {re.match("[a-z]+", key)[0].title(): paper for paper, key in cite.PAPERS.items()}
WORDS = (  # whose the next item is, the end of a sentence, items, and terms of the glossary
    r"\b[Pp]aper (?P<of>[ABC])\b"
    r"|(?<!ppendix )\b(?P<by>[ABC])(?=,? (?:§|section|appendix|below|eqs?\b|Fig|Tab|Alg|Lem|Prop|foot))"
    r"|(?P<foreign>\bet al\b|\btheir (?=[eFTA]))|(?P<end>[.!?]\s+(?=[A-Z]|$))"
    rf"|{cite.NAMED.pattern}(?: of paper (?P<whose>[ABC]))?"
    r"|\b(?P<term>(?i:TERMS))s?\b"
)
PRINTED = re.compile(rf'(<span class="eqno">)\(({index.ITEM})\)')
TERM = re.compile(r'<dt id="(term-[\w-]+)">(.*?)</dt><dd>(.*?)</dd>', re.DOTALL)
SECTION = re.compile(r'<section id="([\w-]+-[abc])">(.*?)</section>', re.DOTALL)
PLAIN = (  # a card has no marks of its own, no colours, one body, and links from any page
    (r'<a class="headerlink".*?</a>|<span[^>]* id="[^"]*"></span>| id="[^"]*"', ""),
    (r"<h3>(.*?)</h3>", r'<p class="bk-title"><a href="{place}">\1</a></p>'),
    (r"\A(.*?)<details>", r"\1<details open>"),
    (r"<details>\s*<summary>(.*?)</summary>.*?</details>", r"<p>\1</p>"),
    (r'href="#', f'href="{index.PAGE}.html#'),
    (r'<span></span>|<span class="\w{1,3}">(.*?)</span>', r"\1"),
    (r'<code class="[^"]*">', "<code>"),
)


def linked(body: str, own: str | None, terms: Sequence[str] = ("(?!)",)) -> str:
    """A page's HTML with a link at each item that it names, and at the first use of each of the ``terms``.

    ``own`` is the paper that the page is about.
    """
    found, default, paper, left = [], own, own, dict.fromkeys(terms, True)
    words = re.compile(WORDS.replace("TERMS", "|".join(terms)))

    def word(said: re.Match) -> str:
        nonlocal paper
        if said["of"] or said["by"]:
            paper = said["of"] or said["by"]
        elif said["foreign"] or said["end"]:
            paper = default if said["end"] else None
        elif said["term"] and left.pop(term := said["term"].lower(), False):
            return f'<a class="bk-ref" href="{NOTATION}.html#term-{term.replace(" ", "-")}">{said[0]}</a>'
        elif not said["term"] and (whose := said["whose"] or paper):
            return _items(said[0], whose)
        return said[0]

    body = PRINTED.sub(lambda printed: printed[1] + _link(printed[2], f"({printed[2]})"), body)
    for piece in (each[0] for each in PIECE.finditer(body)):
        if heading := HEADING.match(piece):
            default = paper = heading[1] or own
        elif cited := CITED.match(piece):
            paper = AUTHORS.get(cited[1])
        elif BLOCK.match(piece):
            paper = default
        found.append(piece if piece.startswith("<") else words.sub(word, piece))
    return "".join(found)


def _items(said: str, paper: str) -> str:
    """`eqs 4 and 7` with a link at each number."""
    kind = re.match(r"\w+?(?=s?\s)", said)[0]
    kind = "." if kind[1:].startswith("q") else f" {cite.KINDS.get(kind, kind)} "
    return re.sub(r"(?:^\w+\s)?(\d+)([a-z]?)", lambda n: _link(f"{paper}{kind}{n[1]}", n[0]), said)


def _link(name: str, text: str) -> str:
    place = f"{index.PAGE}.html#{index.mark(name)}"
    return f'<a class="bk-ref" href="{place}">{text}</a>' if name in index.items() else text


def _table(title: str) -> str:
    """A table of notation, each row with links to the items that define it."""
    known = {name: _link(name, index.short(name)) for name in index.items()}
    rows = index.notation()["tables"][title]
    return plots.table(row | {"paper": ", ".join(known.get(p, p) for p in row["paper"])} for row in rows).html


def _glossary(_) -> str:
    told = "\n\n".join(f"{word}\n  {meaning}" for word, meaning in index.notation()["words"].items())
    return f"```{{glossary}}\n{told}\n```"


FILLED = {"items": index.markdown, "table": _table, "words": _glossary}  # a page's holes, and what is there


def _fill(app, page: str, source: list[str]) -> None:
    """Put items, tables and words into their pages; BridgekitError where the index has a gap."""
    if page == index.PAGE and (gaps := index.gaps()):
        raise BridgekitError("; ".join(gaps))
    source[0] = HOLE.sub(lambda hole: FILLED[hole[1]](hole[2]), source[0])


def _mark(app, page: str, template: str, context: dict, doctree) -> None:
    if doctree is not None and page != index.PAGE:
        source = closure.text(pages.root() / "book" / f"{page}.md")
        # Nothing at all for a chapter that shows nothing with a number.
        body = re.sub(PLACES, lambda _: f"{PAPERS}{index.places(page)}".removesuffix(PAPERS), context["body"])
        context["body"] = linked(body, cite.paper_of(source), [*index.notation()["words"]])


def _cards(app, error: Exception | None) -> None:
    """Beside the scripts, what the cards show: every item's section of the index, and the glossary."""
    if error is None:
        items, words = (closure.text(Path(app.outdir) / f"{page}.html") for page in (index.PAGE, NOTATION))
        cards = {mark: _card(f"{index.PAGE}.html#{mark}", html) for mark, html in SECTION.findall(items)}
        terms = TERM.findall(words)
        cards |= {at: _card(f"{NOTATION}.html#{at}", f"<h3>{word}</h3>{html}") for at, word, html in terms}
        file = Path(app.outdir) / "_static" / "cards-data.js"
        file.write_text(f"window.bkCards = {json.dumps(cards, ensure_ascii=False)}\n", encoding="utf-8")


def _card(place: str, html: str) -> str:
    for pattern, plain in PLAIN:
        html = re.sub(pattern, plain.replace("{place}", place), html, flags=re.DOTALL)
    return html


def connect(app) -> None:
    """Let Sphinx call these, where the book has the page."""
    if (Path(app.srcdir) / f"{index.PAGE}.md").is_file():
        app.connect("source-read", _fill)
        app.connect("html-page-context", _mark)
        app.connect("build-finished", _cards)
