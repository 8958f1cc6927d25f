"""What `bridgekit cite` says of a page: its places in the papers, and no erratum unseen."""

import pytest
from conftest import REPOSITORY

from bridgekit.book import cite, criteria, pages


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
