"""The numbers that decide claims are compared wherever pages run: by nbval, and with the metrics kept.

nbval compares what checked cells print; what tests/test_rendered.py compares has tolerances.
"""

import ast
import json

import pytest
from conftest import REPOSITORY
from test_rendered import REFERENCES, assert_measured

from bridgekit.book import criteria, pages
from bridgekit.book.pages import Page

CHECKED = "nbval-check-output"
DECIDING = {claim.page for claim in criteria.load(REPOSITORY) if claim.parts}


def shown(code: str, wanted: set[str]) -> set[str]:
    """Those of the metrics that a cell shows: by their names, in `run.values`; or in the claims' table, all.

    The table has this run's value of every metric that decides, beside the reference run's.
    """
    nodes = list(ast.walk(ast.parse(code)))
    called = {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}
    if "scoreboard.claims_table" in called:
        return wanted
    named = {node.value for node in nodes if isinstance(node, ast.Constant)}
    return wanted & named if {"run.values", "print"} <= called else set()


def checked(page: Page, wanted: set[str]) -> set[str]:
    """The metrics that its checked cells show."""
    return set().union(*(shown(code, wanted) for tags, code in page.cells if CHECKED in tags))


def deciding(page: str) -> set[str]:
    """The metrics of the record that the page's claims are decided by."""
    parts = [part for claim in criteria.of_page(REPOSITORY, page) for part in claim.parts]
    return {name for part in parts for name in part.metrics}


@pytest.mark.parametrize("page", sorted(DECIDING))
def test_a_page_has_what_decides_its_claims_checked(page: str):
    found = checked(pages.load(REPOSITORY / "book" / f"{page}.md"), deciding(page))
    assert found, f"tag a cell that shows one of {sorted(deciding(page))}: {CHECKED}"


CELL = "```{code-cell} ipython3\n:tags: [TAGS]\n\nCODE\n```\n"
PRINTS = 'print(run.values("gain").round(2))'
TABLE = "scoreboard.claims_table(run)"


@pytest.mark.parametrize(
    ("tags", "code", "found"),
    [
        (CHECKED, PRINTS, {"gain"}),
        (CHECKED, 'for name in ("gain",):\n    print(run.values(name))', {"gain"}),
        (f"remove-input, {CHECKED}", TABLE, {"gain", "loss"}),
        ("remove-input", TABLE, set()),  # nobody compares it
        (CHECKED, "scoreboard.claims_table", set()),
        (CHECKED, 'print("encoder none:", length("E") == 0)', set()),
        (CHECKED, 'run.metric("gain", 1.0)\nprint("shapes:", *gain.shape)', set()),
        (CHECKED, 'print(run.values("modes"))', set()),  # decides nothing
        (CHECKED, 'run.values("gain")\nx = 1', set()),
    ],
)
def test_a_page_that_shows_nothing_of_it_is_told(tags: str, code: str, found: set[str]):
    page = Page("toy", CELL.replace("TAGS", tags).replace("CODE", code))
    assert checked(page, {"gain", "loss"}) == found


# Metrics that decide, whose smoke values are too small for their sign to be held: what one item weighs, or
# the last digits of single precision. Their functions are held by tests/test_deciding.py.
SMALL = {
    "iwgan is_gain",  # after four rounds 1e-6 of a score of 1
    "transfer class_kept_of_fine_tuning",  # one or two codes of forty
}


def turned_over(page: str) -> set[str]:
    """The deciding metrics of which the comparison with the kept values would take the negative, too.

    Zero is its own, and so are rounding errors next to it.
    """
    found, kept = set(), json.loads((REFERENCES / page / "metrics.json").read_text())
    for name in deciding(page) & kept.keys():  # a time is not kept
        values = [value for value in kept[name]["values"] if value is not None]
        negative = {"values": [None if v is None else -v for v in kept[name]["values"]]}
        if max(map(abs, values), default=0) > 1e-11:
            try:
                assert_measured(kept[name] | negative, kept[name], f"{page}/metrics.json: {name}. ")
                found.add(f"{page} {name}")
            except AssertionError:
                pass
    return found


def test_no_tolerance_lets_a_sign_be_turned_over():
    assert set().union(*map(turned_over, DECIDING)) <= SMALL
