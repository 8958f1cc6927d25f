"""What a page shows of the ledger: each claim once, its dots on the right side, its numbers, its links."""

import json
import math
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from conftest import REPOSITORY, rewrite

from bridgekit.book import cite, claims, criteria, displays, dots, index, records, runs, scoreboard
from bridgekit.book.criteria import Part
from bridgekit.book.verdicts import NOT, REPRODUCED, UNDECIDED, Measured, Verdict


@pytest.fixture
def root(tmp_path):
    parts = [
        {"metric": "fall", "above": 1},
        {"metric": "error", "below": 0.1, "exact": True, "primary": True},
    ]
    facts = {"paper": "X", "place": "eq 1", "statement": "It falls.", "page": "demo"}
    decided = {"id": "X1"} | facts | {"criterion": {"text": "by more than one", "parts": parts}}
    waiting = (
        {"id": "Y2"} | facts | {"paper": "Y", "page": "later", "criterion": {"text": "later", "parts": []}}
    )
    (tmp_path / "claims.yml").write_text(json.dumps([decided, waiting]))
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "demo.md").write_text("# Demo\n")
    return tmp_path


def finished(root, profile, fall, error):
    run = runs.Run("demo", profile, {}, root / "figures" / profile / "demo", root)
    run.metric("fall", fall, unit="nats")
    run.metric("error", error, exact=True, note="of two")
    run.finish()
    path = run.out / "record.json"
    record = json.loads(path.read_text())
    record["provenance"] |= {"commit": "abc", "dirty": False}  # the folder is in no repository
    rewrite(path, record)
    return run


def test_the_claims_table_shows_the_reference_runs_dots_and_hollow_ones_beneath(root):
    here = scoreboard.claims_table(finished(root, "quick", [0.5, 0.5], 0.2))
    assert "X1 ○ not run It falls." in here.text and "✗ not reproduced : 2 not reproduced of 2." in here.text
    assert here.html.count("bk-own-dot") == here.html.count("bk-dot") == 2
    finished(root, "paper", [5.0, 5.5], 0.2)
    here = finished(root, "quick", [0.5], 0.01)
    here.metric("error", 0.01, exact=True, label="largest *error*")  # the reference run has none yet
    shown = scoreboard.claims_table(here)
    assert shown.html.count("bk-own-dot") == 2 and shown.html.count("bk-dot") == 4
    assert "X1 ◐ partly criterion first It falls." in shown.text
    assert "◐ partly : 1 reproduced, 1 not reproduced of 2." in shown.text
    # The primary part stands first.
    first, second = (
        "✗ not reproduced largest error (of two) below 0.1 error (says most): 0.200 (exact)",
        "✓ reproduced fall above 1 fall : ",
    )
    assert f"{first} {second}mean 5.25 nats [2.07, 8.43], n = 2" in shown.text
    own = "mean 0.500 nats, n = 1; would have seen none, n = 1 is too small"
    assert "This run (profile quick), which decides nothing" in shown.text and own in shown.text
    assert "Y2" not in shown.text and 'href="scoreboard.html#X1"' in shown.html
    assert 'aria-label="1 reproduced, 1 not reproduced of 2; this run: ' in shown.html


def test_the_evidence_says_superseded_both_runs_what_the_papers_effect_needs_and_what_stood_before(root):
    claim = claims.load(root)[0]
    part = replace(claim.parts[0], printed=0.1, label="what it falls by")
    claim = replace(claim, parts=(part,))
    item = Measured(part, 0.9, 0.5, 1.3, 3, 0, NOT, 0.3, UNDECIDED, 0.95, 0.8, (9, 4, 300))
    once = Verdict(claim, UNDECIDED, "1 undecided of 1", (item,), "re-analysed")
    then = {"commit": "abcdef0", "why": "another rule", "verdict": "partly", "reason": "1 of 1"}
    number = {"metric": "fall", "criterion": "fall above 1", "verdict": "undecided", "mean": 0.5, "n": 3}
    found = replace(once, superseded=True, plays=(once, once), earlier=(then,))
    said = scoreboard.table([found], root).text
    assert "X1 ? undecided re-analysed, superseded It falls." in said
    assert "mean 0.900 [0.500, 1.30], n = 3; not reproduced alone, but not as one of several" in said
    assert "would have seen an effect of 0.80; the paper's 0.100 would take 9 trials [4 to 300]" in said
    assert "; reference run mean 0.900 [0.500, 1.30], n = 3; repeated run mean 0.900" in said
    assert "By the repeated run alone ? undecided : 1 undecided of 1." in said
    assert "Superseded: demo is to decide it by a new criterion." in said
    assert "Before: ◐ partly ( abcdef0 ; another rule)" in said
    found = replace(once, earlier=(then | {"parts": [number | {"interval": [0.1, 1.2]}]},))
    said = scoreboard.table([found], root).text
    assert "another rule): what it falls by above 1 fall : 0.500 [0.100, 1.20], n = 3, undecided" in said


def test_a_page_without_claims_says_so(root):
    run = runs.Run("other", "quick", {}, root / "figures" / "quick" / "other", root)
    assert scoreboard.claims_table(run).text == "*This page decides no claim.*\n"
    assert scoreboard.listed(scoreboard.decided(run)).html == ""


def test_the_ledger_is_counted_by_paper(root):
    finished(root, "paper", [math.nan, math.nan], 0.01)
    ledger = claims.ledger(root)
    shown = scoreboard.bars(ledger, {"X": "falls", "Y": "rises"})
    assert shown.text.startswith("X falls ◐ 1 partly 1 Y rises ○ 1 not run 1 ")
    listed = scoreboard.table(ledger, root).text
    assert (
        "mean not finite nats, n = 2 (2 missing); would have seen none, too many values are missing" in listed
    )
    assert "1 reproduced, 1 undecided of 2; 2 values missing" in listed
    assert "later (to come)" in listed and ledger[1].claim.hash not in listed


def test_a_chip_has_symbol_name_word_and_link(root):
    finished(root, "paper", [5.0, 5.5], 0.2)
    chips = scoreboard.listed(scoreboard.decided(finished(root, "quick", [0.5], 0.01)))
    assert chips.text == "◐ X1 partly" and 'href="scoreboard.html#X1" title="partly: It falls."' in chips.html


def part(bound: str, low: float, high: float, kind: str = "mean") -> Part:
    return Part("metric", bound, (low, high), kind)


def measured(of: Part, value: float, low: float, high: float, verdict: str) -> Measured:
    return Measured(of, value, low, high, 5, 0, verdict, 0.01, verdict)


ABOVE, BELOW = part("above", 1, math.inf), part("below", -math.inf, 1)
BAND, EXACT = part("within", 1, 3), part("below", -math.inf, 1, "exact")


@pytest.mark.parametrize(
    ("item", "x", "ends", "shape"),
    [
        (measured(ABOVE, 3, 2, 4, REPRODUCED), 2, (1, 3), "circle"),
        (measured(BELOW, 3, 2, 4, NOT), -2, (-3, -1), "circle"),
        (measured(ABOVE, 1, 0, 2, UNDECIDED), 0, (-1, 1), "square"),
        (measured(ABOVE, 9, 8, 10, REPRODUCED), dots.FAR, (dots.FAR, dots.FAR), "beyond"),
        (measured(ABOVE, 3, -math.inf, math.inf, UNDECIDED), 1, (-dots.FAR, dots.FAR), "square"),
        (measured(BAND, 2.5, 2, 3, REPRODUCED), 1, (0, 2), "circle"),  # the band ends at two units
        (measured(BAND, 0, -0.5, 0.5, NOT), -4, (-dots.FAR, -3), "circle"),
        (measured(EXACT, 0.25, 0.25, 0.25, REPRODUCED), 3, None, "diamond"),
        (measured(EXACT, 2, 2, 2, NOT), -2, None, "diamond"),
    ],
)
def test_a_dot_stands_where_its_interval_does(item: Measured, x: float, ends, shape: str):
    claim = criteria.Claim("X1", "X", "eq 1", "It falls.", "demo", "by one", (item.part,))
    found = Verdict(claim, item.verdict, "one part", (item,))
    svg, said = group = ElementTree.fromstring(dots.dots(found, {"metric": {"unit": "nats"}}))
    assert group.get("role") == "group" and group.get("aria-label") == "one part"
    asked = {"above": "above 1", "below": "below 1", "within": "within [1, 3]"}[item.part.bound]
    assert said.text == f"{displays.number(item.value)} nats ({asked})"
    (dot,) = svg.iter("g")
    *line, mark = dot
    drawn = {"square": dots._SQUARE, "circle": dots._CIRCLE, "diamond": dots._DIAMOND, "beyond": dots._BEYOND}
    assert dot.get("data-verdict") == item.verdict and mark.get("d") == drawn[shape]

    def units(text: str) -> float:
        return round((float(text) - 120) / dots.UNIT, 1)

    assert units(re.search(r"translate\((\S+)", mark.get("transform"))[1]) == x
    found = [re.match(r"M(\S+) \S+?H(.+)", path.get("d")).groups() for path in line]
    assert [tuple(map(units, pair)) for pair in found] == ([ends] if ends else [])
    bounds = [path for path in svg.iter("path") if path.get("class") == "bk-bound"]
    assert len(bounds) == (2 if item.part.bound == "within" else 1)


def test_what_is_asked_has_a_real_minus_sign():
    part = criteria.Part("a_fall", "within", (-0.5, 0.5))
    assert dots.asked(part) == "within [−0.5, 0.5]"


LEDGER = claims.ledger(REPOSITORY)
TABLE = scoreboard.table(LEDGER, REPOSITORY).html


def test_every_claim_has_one_row_and_what_failed_stands_first():
    ids = re.findall(r'<li class="bk-claim" id="(\w+)"', TABLE)
    assert sorted(ids) == sorted(each.claim.id for each in LEDGER)
    kinds = re.findall(r'<li class="bk-claim" id="\w+" data-paper="\w" data-verdict="([\w ]+)"', TABLE)
    assert kinds == sorted(kinds, key=scoreboard.FIRST.index)


def test_a_row_has_all_that_the_ledger_says():
    rows = {row.split('"')[0]: row for row in TABLE.split('<li class="bk-claim" id="')[1:]}
    for each in LEDGER:
        row = rows[each.claim.id]
        assert each.claim.place in re.sub("<[^>]*>", "", row) and row.count('class="bk-dot"') <= len(
            each.measured
        )
        hashes = [each.claim.hash] * bool(each.claim.parts) + [then["commit"] for then in each.earlier]
        assert all(f"<code>{said}</code>" in row for said in hashes)
        assert all(f"<code>{item.part.metric}</code>" in row for item in each.measured)
        assert ("superseded" in row) == each.superseded and each.mark in row


def test_a_part_is_said_in_the_pages_words_or_the_ledgers_and_named_as_in_the_ledger():
    about = {"limit_error": {"label": "error at $α=0$", "note": "largest of 12", "unit": ""}, "plain": {}}
    said = scoreboard._html(scoreboard._condition("limit_error below 0.001", about))
    assert said.text == r"error at \(α=0\) (largest of 12) below 0.001 limit_error"
    assert "<small><code>limit_error</code></small>" in said.html
    words = [scoreboard._condition(f"{name} within [1, 2]", about) for name in ("plain", "un_known")]
    assert [each.split(" within [1, 2] ")[0] for each in words] == ["plain", "un known"]
    assert "a − b, late, above 0" in scoreboard._condition("gain above 0", {"gain": {"label": "a − b, late"}})
    # Of every part there are words: its record's, or else, of a comparison or an older record, the ledger's.
    for claim in (each for each in criteria.load(REPOSITORY) if records.committed(REPOSITORY, each.page)):
        recorded = records.committed(REPOSITORY, claim.page).record["metrics"]
        for part in claim.parts:
            assert bool(recorded.get(part.metric, {}).get("label")) != bool(part.label), part


def seen(row: str) -> tuple[str, str]:
    """What the last line of a claim's row links to, and what it says."""
    last = row.rpartition("<br>")[2].partition("</li>")[0]
    return "".join(re.findall(r'href="(.*?)"', last)), scoreboard._html(last).text


def test_a_row_links_to_the_figure_that_shows_what_decides_or_says_where_it_is_or_that_it_is_not_run():
    rows = {row.split('"')[0]: row for row in TABLE.split('<li class="bk-claim" id="')[1:]}
    decided = [each.claim for each in LEDGER if each.verdict != scoreboard.NOT_RUN]
    for claim in decided:
        place = f"fig-{claim.figure}" if claim.figure else f"claim-{claim.id}"
        words = f"{claim.page}, {'figure' if claim.figure else 'row of its table'}"
        assert seen(rows[claim.id]) == (f"{claim.page}.html#{place}", words)
    assert sum(bool(claim.figure) for claim in decided) >= 37
    for each in (each for each in LEDGER if each.claim not in decided):
        assert seen(rows[each.claim.id])[1].startswith(f"not run yet: {each.claim.page}")


def test_what_a_row_links_to_is_on_its_page():
    for page, anchor in re.findall(r'href="(?!equations)(\w+)\.html#([^"]+)"', TABLE):
        source = (REPOSITORY / "book" / f"{page}.md").read_text()
        if anchor.startswith("fig-"):
            name = anchor.removeprefix("fig-")
            assert f'"{name}"' in source and name in records.committed(REPOSITORY, page).record["figures"]
        else:
            assert "claims_table(run)" in source, f"{page} has no row {anchor}"


def test_the_places_in_the_papers_are_cards():
    rows = {row.split('"')[0]: row for row in TABLE.split('<li class="bk-claim" id="')[1:]}

    def cards(text: str) -> list[str]:
        return re.findall(r'<a class="bk-ref" href="equations\.html#([\w-]+)">', text)

    assert cards(rows["A9"].rpartition("</details>")[2]) == ["footnote-1-a"]
    assert cards(rows["B7"].rpartition("</details>")[2]) == ["eq-42-b", "eq-44-b"]
    assert cards(rows["B18"].rpartition("</details>")[2]) == ["eq-33-b", "eq-36-b"]  # of appendix C
    assert cards(rows["C7"].rpartition("</details>")[2]) == ["proposition-1-c"]
    assert "eq-20-c" in cards(rows["C5"]) and cards(rows["C5"].partition("</summary>")[0]) == []  # one handle
    marks = {index.mark(name) for name in index.items()}
    for each in LEDGER:
        found, place = cards(rows[each.claim.id]), rows[each.claim.id].rpartition("</details>")[2]
        assert {mark[-1] for mark in found} <= {each.claim.paper.lower()} and set(found) <= marks
        known = {name for name in index.items() if name[0] == each.claim.paper}
        named = {f"{kind} {n}" for kind, n in cite.named(each.claim.place)}
        assert not named & {index.short(name)[:-4] for name in known} or cards(place)
        assert "<a" not in re.sub(r"<a .*?</a>", "", rows[each.claim.id]), "a link in a link"


SOURCE = (REPOSITORY / "book" / "scoreboard.md").read_text()


def asserted(text: str = SOURCE) -> list[str]:
    """The chips that the reports name: by the verdicts that their sentences assert."""
    return [name for name in re.findall(r"\{glue:\}`(\w+)`", text) if not name.startswith("waiting_")]


def test_the_reports_say_what_the_ledger_says():
    said = set(asserted())
    assert said - set(scoreboard.chips(LEDGER)) == set(), "a sentence asserts another verdict"
    decided = [each for each in LEDGER if each.verdict != scoreboard.NOT_RUN]
    assert [each.claim.id for each in decided if scoreboard._said_of(each) not in said] == [], (
        "no report tells"
    )
    _, *reports = re.split(r"\*\*Paper ([ABC])", SOURCE)
    for paper, told in zip(reports[::2], reports[1::2], strict=True):
        assert {name.rpartition("_")[2][0] for name in asserted(told)} == {paper.lower()}


@pytest.mark.parametrize("moved", [NOT, REPRODUCED, UNDECIDED, "partly"])
def test_a_verdict_that_moves_takes_the_chip_from_the_sentence(moved):
    for each in (each for each in LEDGER if each.verdict not in (moved, scoreboard.NOT_RUN)):
        parts = tuple(replace(item, verdict=UNDECIDED) for item in each.measured)
        after = scoreboard._said_of(replace(each, verdict=moved, measured=parts))
        assert after not in asserted() and after.startswith(moved.replace(" ", "_"))
    partly = next(each for each in LEDGER if each.verdict == "partly")
    fewer = replace(partly, measured=partly.measured[:-1])
    assert scoreboard._said_of(fewer) != scoreboard._said_of(partly)


PAPERS_OWN = (  # numbers that are names
    r"\{(?:glue:\w*|cite)\}`.*?`|\]\(.*?\)|α = [01]|25 Gaussians|CIFAR-10"
    r"|(?i:eqs?|table|lemma|proposition|sections?) [\d.]+(?: and \d)?"
)


def test_the_reports_type_no_count():
    reports = SOURCE.partition("## Three reports")[2].partition("(every-claim)=")[0]
    assert re.findall(r"\d+", re.sub(PAPERS_OWN, "", reports)) == []
