"""How the software and the papers are cited: one version and licence everywhere, no erratum unseen."""

import json
import re
import tomllib

import pytest
import yaml
from conftest import REPOSITORY

from bridgekit import __version__
from bridgekit.book import cite, criteria, pages

CITATION = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
LIBRARY = (REPOSITORY / "book" / "references.bib").read_text()


def test_every_description_says_the_same():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    codemeta = json.loads((REPOSITORY / "codemeta.json").read_text())
    facts = {
        "CITATION.cff": [CITATION[key] for key in ("title", "version", "license", "abstract", "authors")],
        "codemeta.json": [codemeta[key] for key in ("name", "version", "license", "description", "author")],
    }
    for name, version, licence, words, authors in facts.values():
        assert (name, version, words) == (project["name"], __version__, project["description"])
        assert licence.removeprefix("https://spdx.org/licenses/") == project["license"]
        assert [author["name"] for author in authors] == [author["name"] for author in project["authors"]]
    assert codemeta["runtimePlatform"] == f"Python {project['requires-python']}"


PAPERS = list(zip(cite.PAPERS.values(), CITATION["references"], strict=True))


@pytest.mark.parametrize(("key", "paper"), PAPERS, ids=cite.PAPERS)
def test_the_papers_are_those_of_the_book(key, paper):
    (entry,) = re.findall(rf"^@\w+{{{key},.*?^}}", LIBRARY, re.MULTILINE | re.DOTALL)
    entry = entry.replace(r"$\alpha$", "α").replace(r"{\`e}", "è")
    for author in paper["authors"]:
        assert f"{author['family-names']}, {author['given-names']}" in entry
    assert entry.count(" and ") - paper["title"].count(" and ") == len(paper["authors"]) - 1
    for fact in (paper["title"], str(paper["year"]), paper["identifiers"][0]["value"]):
        assert f"{{{fact}}}" in entry


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("appendix E, eqs 42-44", {("eq", 42), ("eq", 43), ("eq", 44)}),
        ("eqs 30, 31 and 7; section 4.1", {("eq", 30), ("eq", 31), ("eq", 7)}),
        ("Figures 4a-b against 4c-d", {("Figure", 4)}),
        ("below\neq 3, Table 2, left", {("eq", 3), ("Table", 2)}),
        ("section 3.2, step III of Algorithm 1", {("Algorithm", 1)}),
    ],
)
def test_what_a_place_names(text, numbers):
    assert cite.named(text) == numbers


def test_every_erratum_touches_a_page_and_every_claim_stands_on_its_page():
    shown = {page: "\n".join(cite.lines(page)) for page in pages.executed()}
    rows = cite.ROW.findall((REPOSITORY / "book" / "errata.md").read_text())
    assert len(rows) > 20
    for place, printed, *_ in rows:
        assert any(f"erratum, {place}\n    printed: {printed}\n" in text for text in shown.values()), place
    for page, text in shown.items():
        for claim in criteria.of_page(REPOSITORY, page):
            assert f"  {claim.place} (claim {claim.id})" in text


def test_an_erratum_stays_with_its_paper_and_its_place():
    wrong = "\n".join(cite.lines("wrong_discriminator"))  # cites paper A alone, decides no claim
    assert "  in its text: eq 4, eq 8, eq 10, eq 11, eq 12, eq 15\n" in wrong
    assert "erratum, eq 12 with" in wrong and "erratum, gradient below eq 3" not in wrong
    assert "erratum, below eq 12\n" not in wrong, "that one is paper B's"
    assert "@inproceedings{zhao2020bridging,\n" in wrong and "@misc{berger2018losses" not in wrong
