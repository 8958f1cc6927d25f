"""What a page is about in the papers: the places, the errata that touch them, and how to cite the papers.

The places are those of the claims that the page decides (`claims.yml`), and the equations, figures, tables
and algorithms that its text names, where it cites one of the three papers alone. An erratum is a row of
`book/errata.md`. It touches a page that the row links to, or that is about something the row's place names.
"""

import re
from collections.abc import Iterator
from functools import cache

from bridgekit import closure
from bridgekit.book import criteria, pages

PAPERS = {"A": "zhao2020bridging", "B": "hu2018unifying", "C": "berger2018losses"}  # in references.bib
NAMED = re.compile(
    r"\b([Ee]q(?:uation)?|Figure|Table|Algorithm|Lemma|Proposition|[Ff]ootnote)s?\s"
    r"(\d+\w?(?:(?:[-–]|,? and |, | to )\d+\w?)*)"
)
KINDS = {"Eq": "eq", "equation": "eq", "Equation": "eq", "Footnote": "footnote"}
NUMBERS = re.compile(r"(\d+)\w?(?:(?:[-–]| to )(\d+))?")  # 16, 4a, 42-44
ROW = re.compile(r"^\| (?!place|---)(.+?) \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)


@cache
def named(text: str) -> set[tuple[str, int]]:
    """What a text names by number, one by one: `eqs 42-44` are ("eq", 42), ("eq", 43) and ("eq", 44)."""
    spans = ((KINDS.get(kind, kind), NUMBERS.findall(listed)) for kind, listed in NAMED.findall(text))
    return {(kind, n) for kind, ends in spans for a, b in ends for n in range(int(a), int(b or a) + 1)}


def paper_of(source: str) -> str | None:
    """The paper that a page is about: the one of the three that it cites, where it cites one alone."""
    cited = [paper for paper, key in PAPERS.items() if key in source]
    return cited[0] if len(cited) == 1 else None


def errata(paper: str) -> list[tuple[str, ...]]:
    """The errata of a paper: place, what is printed, what it should be, how it was found."""
    rows = closure.text(pages.root() / "book" / "errata.md").partition(f"\n## Paper {paper}\n")[2]
    return ROW.findall(rows.partition("\n## ")[0])


def lines(page: str) -> Iterator[str]:
    """What `bridgekit cite PAGE` prints; BridgekitError where there is no such page."""
    found, home = pages.find(page), pages.root()
    library = closure.text(home / "book" / "references.bib")
    told = named(found.source) if paper_of(found.source) else set()
    yield f"{page}: {found.title}"
    for paper in (paper for paper, key in PAPERS.items() if key in found.source):
        own = [claim for claim in criteria.of_page(home, page) if claim.paper == paper]
        about = told | named("; ".join(claim.place for claim in own))
        yield f"\nPaper {paper}"
        yield from (f"  {claim.place} (claim {claim.id})" for claim in own)
        if told:
            yield "  in its text: " + ", ".join(f"{kind} {number}" for kind, number in sorted(told))
        for place, printed, right, how in errata(paper):
            if f"({page}.md)" in how or named(place) & about:
                yield f"  erratum, {place}\n    printed: {printed}\n    should be: {right}"
        yield from re.findall(rf"^@\w+{{{PAPERS[paper]},.*?^}}", library, re.MULTILINE | re.DOTALL)
