"""The ledger: what makes a claim reproduced, and what is refused in claims.yml."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from conftest import damaged, rewrite

from bridgekit.book import claims, criteria, runs, sums, verdicts
from bridgekit.book.verdicts import NOT, NOT_RUN, REPRODUCED, UNDECIDED
from bridgekit.book.yaml_reader import read_yaml
from bridgekit.errors import BridgekitError
from bridgekit.measure import intervals

HOME = Path(__file__).resolve().parent.parent
ENTRY = {"id": "X1", "paper": "X", "place": "eq 1", "statement": "It falls.", "page": "demo"}


def entry(*parts, text="it does", **changed):
    return ENTRY | {"criterion": {"text": text, "parts": list(parts)}} | changed


def write(root, *entries):
    (root / "claims.yml").write_text(json.dumps(list(entries)))  # JSON is YAML


def reference(root, page="demo", profile="paper", commit="abc", dirty=False, parameters=None, **metrics):
    """A committed reference run of the page demo; single numbers are exact."""
    run = runs.Run(page, profile, parameters or {}, root / "figures" / "paper" / "demo", root)
    for name, values in metrics.items():
        run.metric(name, values, exact=np.ndim(values) == 0)
    run.finish()
    clean(run.out, commit, dirty)
    return run


def clean(folder, commit="abc", dirty=False):
    """The record as if it came from a commit: the folder is in no repository."""
    record = json.loads((folder / "record.json").read_text())
    record["provenance"] |= {"commit": commit, "dirty": dirty}
    rewrite(folder / "record.json", record)


NAN = math.nan
EXACTLY = {"metric": "fall", "above": 0, "exact": True}


def test_the_ledger_decides_from_the_committed_reference_alone(tmp_path):
    write(tmp_path, entry({"metric": "fall", "above": 0}), entry(id="X2"))
    runs.Run("demo", "quick", {}, tmp_path / "figures" / "quick" / "demo", tmp_path).finish()
    decided, empty = claims.ledger(tmp_path)
    assert (decided.verdict, decided.reason) == (NOT_RUN, "no reference run of demo is committed")
    assert (empty.verdict, empty.reason) == (NOT_RUN, "no page decides it yet")
    reference(tmp_path, fall=[1.0, 1.1, 1.2])
    (decided, empty), measured = claims.ledger(tmp_path), claims.ledger(tmp_path)[0].measured[0]
    assert (decided.verdict, decided.reason) == (REPRODUCED, "1 reproduced of 1")
    assert measured.value == pytest.approx(1.1) and 0 < measured.low < 1.0 < 1.2 < measured.high
    assert empty.verdict == NOT_RUN


@pytest.mark.parametrize(
    ("changed", "verdict"),
    [
        (entry(EXACTLY, text="it  does\n"), REPRODUCED),  # white space is folded
        (entry(EXACTLY, statement="It drops.", place="eq 2"), REPRODUCED),
        (entry(EXACTLY, text="it mostly does"), NOT_RUN),
        (entry({"metric": "fall", "above": 0.5}), NOT_RUN),
        (entry({"metric": "fall", "below": 0}), NOT_RUN),
        (entry({"metric": "fall", "within": [0, 9]}), NOT_RUN),
        (entry({"metric": "fall", "above": 0}, {"metric": "fall", "below": 9}), NOT_RUN),
        (entry({"metric": "fall", "above": 0}, id="X2"), NOT_RUN),
    ],
)
def test_a_criterion_changed_after_the_run_flips_to_not_run(tmp_path, changed, verdict):
    write(tmp_path, entry(EXACTLY))
    reference(tmp_path, fall=1.0)
    assert claims.ledger(tmp_path)[0].verdict == REPRODUCED
    write(tmp_path, changed)
    found = claims.ledger(tmp_path)[0]
    assert found.verdict == verdict
    assert verdict == REPRODUCED or re.search(
        "made under (a different|no) criterion.*run it again", found.reason
    )


def test_the_hash_is_taken_when_the_run_begins(tmp_path):
    write(tmp_path, entry({"metric": "fall", "above": 0}))
    run = runs.Run("demo", "paper", {}, tmp_path / "figures" / "paper" / "demo", tmp_path)
    run.metric("fall", 0.5)
    write(tmp_path, entry({"metric": "fall", "above": 0.4}))  # tuned while the page was running
    run.finish()
    assert verdicts.judge(criteria.load(tmp_path)[0], run.record()).verdict == NOT_RUN


def test_a_metric_that_the_record_lacks_is_named(tmp_path):
    write(tmp_path, entry({"metric": "fall", "above": 0}, {"metric": "rise", "above": 0}))
    reference(tmp_path, fall=1.0)
    assert claims.ledger(tmp_path)[0].reason == "the record of demo lacks rise"


def test_the_kind_of_a_metric_is_its_own_and_the_criterions(tmp_path):
    write(tmp_path, entry({"metric": "fall", "above": 0}))
    reference(tmp_path, fall=1.0)
    found = claims.ledger(tmp_path)[0]
    assert found.verdict == NOT_RUN
    assert "fall is recorded by demo as exact, and claims.yml says mean" in found.reason
    write(tmp_path, entry(EXACTLY))
    reference(tmp_path, fall=[1.0])
    assert "fall is recorded by demo as mean, and claims.yml says exact" in claims.ledger(tmp_path)[0].reason


def test_a_record_older_than_kinds_and_roles_is_read_as_criterion_and_place_say(tmp_path):
    path = tmp_path / "figures" / "paper" / "demo" / "record.json"
    for part, values, verdict in (
        (EXACTLY, 1.0, REPRODUCED),
        ({"metric": "fall", "above": 0}, [1.0], UNDECIDED),
        ({"metric": "fall", "above": 0}, [1.0, 1.1], REPRODUCED),
    ):
        write(tmp_path, entry(part))
        reference(tmp_path, fall=values)
        record = json.loads(path.read_text())
        del record["metrics"]["fall"]["kind"], record["role"]
        rewrite(path, record)
        assert claims.ledger(tmp_path)[0].verdict == verdict


OLDER = {"page": "old", "criterion": {"text": "it did", "parts": [EXACTLY]}}


def test_a_superseded_criterion_speaks_until_the_new_ones_run_is_there(tmp_path):
    write(tmp_path, entry({"metric": "fall", "below": 9}, superseded=OLDER))
    old = runs.Run("old", "paper", {}, tmp_path / "figures" / "paper" / "old", tmp_path)
    old.metric("fall", 1.0, exact=True)
    old.finish()
    clean(old.out)
    found = claims.ledger(tmp_path)[0]
    assert (found.verdict, found.superseded, found.claim.page) == (REPRODUCED, True, "old")
    assert [claim.page for claim in criteria.of_page(tmp_path, "old")] == ["old"]
    reference(tmp_path, fall=[9.5, 9.6, 9.7])
    found = claims.ledger(tmp_path)[0]
    assert (found.verdict, found.superseded, found.claim.page) == (NOT, False, "demo")


def test_a_repetition_counts_where_it_played_the_same_seeds(tmp_path):
    with_page(tmp_path)
    reference(tmp_path, **RAN)
    again = runs.Run("demo", "paper", RAN["parameters"], tmp_path / "figures" / "repeated" / "demo", tmp_path)
    again.metric("fall", [-3.0, -3.1, -3.2])
    again.finish()
    clean(again.out)
    found = claims.ledger(tmp_path)[0]
    assert found.verdict == UNDECIDED and [play.verdict for play in found.plays] == [REPRODUCED, NOT]
    record = json.loads((again.out / "record.json").read_text())
    for changed in ({"parameters": {"rounds": 4, "seeds": 3}}, {"page": "other"}, {"metrics": {}}):
        rewrite(again.out / "record.json", record | changed)
        found = claims.ledger(tmp_path)[0]
        assert found.verdict == REPRODUCED and not found.plays, changed
    more = record["parameters"] | {"workers": 2}
    rewrite(again.out / "record.json", record | {"parameters": more})
    assert claims.ledger(tmp_path)[0].plays, "how many games are played at a time changes no number"


def test_what_the_ledger_said_before_stands_beside_the_verdict(tmp_path):
    then = [{"commit": "abcdef0", "why": "by another rule"}]
    write(tmp_path, entry(EXACTLY, earlier=then))
    reference(tmp_path, fall=1.0)
    with pytest.raises(BridgekitError, match=r"the earlier verdicts .*abcdef0\.json cannot be read"):
        claims.ledger(tmp_path)
    path = tmp_path / claims.EARLIER / "abcdef0.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps([{"id": "X1", "page": "demo", "verdict": "partly", "reason": "1 of 2"}]))
    (found,) = claims.ledger(tmp_path)
    before = {"page": "demo", "verdict": "partly", "reason": "1 of 2", "parts": None}
    assert found.earlier == (then[0] | before,)
    assert found.mark == verdicts.REANALYSED, "its numbers were known when the criterion was written"
    write(tmp_path, entry(EXACTLY, earlier=[then[0] | {"fresh": True}]))
    assert claims.ledger(tmp_path)[0].mark == verdicts.CRITERION_FIRST, "of seeds that the run before had not"
    write(tmp_path, entry(EXACTLY, earlier=then))
    claims.snapshot.cache_clear()
    path.write_text(json.dumps([{"id": "X1", "page": "old", "verdict": "partly", "reason": "1 of 2"}]))
    assert claims.ledger(tmp_path)[0].mark == verdicts.CRITERION_FIRST, "of another page: of other seeds"
    claims.snapshot.cache_clear()
    path.write_text(json.dumps([{"id": "X2"}]))
    with pytest.raises(BridgekitError, match="says nothing of X1: write it again with .* --audit --write"):
        claims.ledger(tmp_path)


PAGE = """---
kernelspec: {name: python3}
---
```{code-cell} ipython3
:tags: [parameters]
rounds: int = 5
seeds: int = 1
```
"""


def with_page(root):
    """A page demo of which profile `paper` wants three seeds and forty rounds."""
    for name, text in {"book/demo.md": PAGE, "profiles/paper.yaml": "demo: {seeds: 3, rounds: 40}\n"}.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    write(root, entry({"metric": "fall", "above": 0}))


RAN = {"parameters": {"rounds": 40, "seeds": 3}, "fall": [1.0, 1.1, 1.2]}


def test_a_profile_that_sets_nothing_leaves_the_pages_own_values(tmp_path):
    with_page(tmp_path)
    for text in ("", "other: {seeds: 3}\n", "demo:\n"):
        (tmp_path / "profiles" / "paper.yaml").write_text(text)
        assert claims.reference_parameters(tmp_path, "demo") == {"rounds": 5, "seeds": 1}


def test_a_chapter_split_from_a_page_is_decided_by_its_record_until_it_has_its_own(tmp_path):
    with_page(tmp_path)
    part = PAGE.replace("kernelspec", "record: demo\nkernelspec", 1)
    part = part.replace("rounds: int = 5\nseeds: int = 1", "depth: int = 2")
    (tmp_path / "book" / "part.md").write_text(part)
    shared = RAN["parameters"] | {"depth": 2}
    for depth in (2, 3):
        write(tmp_path, entry(EXACTLY))
        reference(tmp_path, parameters=shared | {"depth": depth}, fall=1.0)
        write(tmp_path, entry(EXACTLY, page="part"))
        assert (claims.ledger(tmp_path)[0].verdict == REPRODUCED) == (depth == 2)
    assert "depth is 3, not 2" in claims.ledger(tmp_path)[0].reason
    own = runs.Run("part", "paper", {"depth": 2}, tmp_path / "figures" / "paper" / "part", tmp_path)
    own.metric("fall", -1.0, exact=True)
    own.finish()
    clean(own.out)
    assert claims.ledger(tmp_path)[0].verdict == "not reproduced"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({}, None),
        ({"parameters": {"seeds": 3}}, None),  # made before the page had `rounds`
        ({"parameters": {"rounds": 4, "seeds": 3}}, "rounds is 4, not 40"),
        ({"parameters": {"rounds": 40, "seeds": 3, "old": 1}}, "old is 1, not None"),
        ({"fall": [1.0, 1.1]}, "has not as many values as a parameter says: fall has 2"),
        ({"fall": [1.0] * 12}, "has not as many values as a parameter says: fall has 12"),
        ({"parameters": {"rounds": 40, "seeds": 3, "workers": 9}}, None),
        ({"profile": "custom"}, "is no reference run, but a trial run of demo"),
        ({"page": "other"}, "no reference run, but a trial run of other"),
        ({"dirty": True}, "not from a clean tree"),
        ({"dirty": None}, "not from a clean tree"),
        ({"commit": None}, "not from a clean tree"),
    ],
)
def test_only_a_clean_reference_run_at_its_profile_with_its_seeds_decides(tmp_path, changed, reason):
    with_page(tmp_path)
    reference(tmp_path, **(RAN | changed))
    found = claims.ledger(tmp_path)[0]
    assert found.verdict == (NOT_RUN if reason else REPRODUCED)
    assert reason is None or reason in found.reason


def test_a_damaged_reference_is_an_error_and_not_a_verdict(tmp_path):
    write(tmp_path, entry({"metric": "fall", "above": 0}))
    reference(tmp_path, fall=1.0)
    (tmp_path / "figures" / "paper" / "demo" / "record.json").write_text('{"schema": 1')
    with pytest.raises(BridgekitError, match=r"record\.json in .*: missing or damaged.*git checkout"):
        claims.ledger(tmp_path)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"id": "X1"}, "must be a list"),
        (["X1"], "claims.yml, entry 1: must be a mapping with the keys id, paper,"),
        ([entry() | {"pages": "demo"}], "claims.yml, X1: unknown key 'pages': did you mean 'page'?"),
        ([{k: v for k, v in entry().items() if k != "page"}], "X1: page missing"),
        ([entry(page="  ")], "X1, page: must be a text that is not empty"),
        ([entry(statement=5)], "X1, statement: must be a text"),
        ([entry(), entry()], "the id X1 twice"),
        ([entry(criterion=None)], "X1, criterion: must be a mapping"),
        ([entry(criterion={"text": "x"})], "parts missing"),
        ([entry(criterion={"text": "x", "parts": {}})], "criterion, parts: must be a list, not {}"),
        ([entry("fall")], "parts, entry 1: must be {metric: name"),
        ([entry({"metric": "fall", "above": 0, "below": 1})], "parts, entry 1: must be {metric: name"),
        ([entry({"metric": "Fall", "above": 0})], "must be a metric's name in snake_case, not 'Fall'"),
        ([entry({"metric": "fall", "abov": 0})], "unknown key 'abov': did you mean 'above'?"),
        ([entry({"metric": "fall", "above": "1e-6"})], "above: must be a number"),
        ([entry({"metric": "fall", "above": True})], "above: must be a number"),
        ([entry({"metric": "fall", "above": [0, 1]})], "above: must be a number"),
        ([entry({"metric": "fall", "above": math.inf})], "above: must be a number"),
        ([entry({"metric": "fall", "within": 1})], r"within: must be \[low, high\]"),
        ([entry({"metric": "fall", "within": [1]})], r"within: must be \[low, high\]"),
        ([entry({"metric": "fall", "within": [2, 1]})], "upside down"),
        ([entry({"metric": "fall", "above": 0, "kind": "medium"})], "'medium' is no kind: did you mean"),
        ([entry({"metric": "fall", "above": 0, "kind": "mean", "exact": True})], "entry 1: must be {metric"),
        ([entry({"metric": "fall", "above": 0, "kind": "change"})], "is made of 4 metrics, not 1"),
        (
            [entry({"metric": "fall", "above": 0, "of": ["a", "b"], "exact": True})],
            "kind exact is made of 1 metrics, not 2",
        ),
        ([entry({"metric": "fall", "above": 0, "of": ["A"]})], "of, entry 1: must be a metric's name"),
        ([entry({"metric": "fall", "above": 0, "of": "a"})], "of: must be a list"),
        ([entry(*[{"metric": m, "above": 0, "primary": True} for m in "ab"])], "only one part is primary"),
        ([entry({"metric": "fall", "above": 0, "primary": 1})], "primary: must be true, or left out, not 1"),
        (
            [entry({"metric": "fall", "above": 0, "printed": "0.1"})],
            "printed: must be a number .*, not '0.1'",
        ),
        (
            [entry({"metric": "fall", "above": 0, "printed": 0})],
            "printed: must be a number other than 0, not 0",
        ),
        ([entry(superseded={"page": "old"})], "superseded: criterion missing"),
        ([entry(made_under={"id": "X0"})], "made_under: hash missing"),
        ([entry(earlier={"commit": "abc"})], "earlier: must be a list"),
        ([entry(earlier=[{"commit": 9e71, "why": "x"}])], "must be a commit as a quoted text, not"),
        ([entry(earlier=[{"commit": "HEAD", "why": "x"}])], "must be a commit as a quoted text, not 'HEAD'"),
    ],
)
def test_a_faulty_ledger_is_one_error_that_names_the_place(tmp_path, entries, message):
    (tmp_path / "claims.yml").write_text(json.dumps(entries))
    with pytest.raises(BridgekitError, match=message):
        criteria.load(tmp_path)


def test_a_ledger_that_cannot_be_read_is_an_error(tmp_path):
    with pytest.raises(BridgekitError, match=r"claims\.yml cannot be read"):
        criteria.load(tmp_path)
    (tmp_path / "claims.yml").write_text("- {id: ")
    with pytest.raises(BridgekitError, match=r"claims\.yml is not valid YAML"):
        criteria.load(tmp_path)
    assert criteria.of_page(tmp_path / "elsewhere", "demo") == []


def test_a_page_decides_the_claims_that_are_its_own_and_have_parts(tmp_path):
    part = {"metric": "fall", "above": 0}
    write(tmp_path, entry(part), entry(id="X2"), entry(part, id="X3", page="other"))
    assert [claim.id for claim in criteria.of_page(tmp_path, "demo")] == ["X1"]


def test_of_two_criteria_of_one_page_the_new_one_is_the_pages(tmp_path):
    """Its record is made under one criterion for each claim: never under the one that was superseded."""
    write(tmp_path, entry({"metric": "fall", "below": 9}, superseded=OLDER | {"page": "demo"}))
    (claim,) = criteria.of_page(tmp_path, "demo")
    assert claim.superseded and claim.parts[0].bound == "below"


def test_one_papers_claims_are_chosen_by_its_letter(tmp_path):
    write(tmp_path, entry(), entry(id="Y1", paper="Y"))
    verdicts = claims.ledger(tmp_path)
    assert [item.claim.id for item in claims.of_paper(verdicts, "Y")] == ["Y1"]
    assert claims.of_paper(verdicts, "all") == verdicts


def numbered(paper, last, *more):
    return [
        f"{paper}{n}{letter}" for n in range(1, last + 1) for letter in ("", "b", "c")[: 1 + more.count(n)]
    ]


def test_our_ledger_holds_every_claim_of_the_three_papers_and_no_other():
    """Deleting one takes a change here, too."""
    of_c = numbered("C", 12, 6, 7, 8, 9, 10, 12)
    wanted = numbered("A", 23, 11, 12, 12, 17, 17) + numbered("B", 19, 8, 8, 9) + of_c
    assert [claim.id for claim in criteria.load(HOME)] == wanted
    assert all(claim.id.startswith(claim.paper) for claim in criteria.load(HOME))


def test_of_two_criteria_the_superseded_one_keeps_what_its_run_was_made_under(tmp_path):
    under = {"id": "X0", "hash": "abc"}
    write(
        tmp_path,
        entry(EXACTLY, made_under=under),
        entry(EXACTLY, id="X2", made_under=under, superseded=OLDER),
    )
    alone, renewed = criteria.load(tmp_path)
    assert alone.made_under == renewed.superseded.made_under == ("X0", "abc") and renewed.made_under is None


def test_claims_that_a_page_decides_stay_decided_by_a_page():
    """Taking a claim's parts away takes a change here, too: these wait for a page or for a GPU."""
    waiting = {claim.id for claim in criteria.load(HOME) if not claim.parts}
    assert waiting == {"A12c", "A17c", "B8c", "B9b", *(f"C{n}b" for n in (8, 9, 10, 12))}


def all_parts():
    found = [(claim, part) for claim in criteria.load(HOME) for part in claim.parts]
    return found + [(c.superseded, part) for c, _ in found if c.superseded for part in c.superseded.parts]


def test_every_part_says_what_it_estimates():
    entries = read_yaml((HOME / "claims.yml").read_text(encoding="utf-8"), "claims.yml")
    for each in entries:
        for criterion in filter(None, (each["criterion"], each.get("superseded", {}).get("criterion"))):
            assert all("kind" in part or "exact" in part for part in criterion["parts"]), each["id"]


def test_a_claim_of_several_parts_has_a_primary_one():
    for claim in criteria.load(HOME):
        assert len(claim.parts) < 2 or sum(part.primary for part in claim.parts) == 1, claim.id


def test_a_row_that_was_analysed_anew_says_what_stood_before():
    for verdict in claims.ledger(HOME):
        if verdict.mark == verdicts.REANALYSED or verdict.superseded:
            assert verdict.earlier, f"{verdict.claim.id}: claims.yml names no earlier commit"


def test_every_undecided_part_that_chance_is_in_says_what_it_would_have_seen():
    for verdict in claims.ledger(HOME):
        for item in verdict.measured:
            if item.verdict == UNDECIDED and not item.part.certain:
                assert item.effect is not None
                assert item.effect < math.inf or item.too_small or item.lost, item


def test_a_criterion_whose_run_is_there_supersedes_nothing_any_more():
    """What stood before is under `earlier` then; the older criterion is in the history.

    It stays where another claim's run was made under the same criterion, of which no part may be gone.
    """
    known = criteria.load(HOME)
    kept = {claim.id: claim.superseded.made_under for claim in known if claim.superseded}
    shared = {claim.made_under for claim in known if not claim.superseded} - {None}
    speaking = {verdict.claim.id for verdict in claims.ledger(HOME) if verdict.superseded}
    assert speaking <= kept.keys()
    assert {name for name, under in kept.items() if under not in shared} == speaking


def test_no_verdict_that_a_committed_repetition_contradicts():
    played = [verdict for verdict in claims.ledger(HOME) if verdict.plays]
    for verdict in played:
        assert verdict.verdict == UNDECIDED or {play.verdict for play in verdict.plays} == {verdict.verdict}


def test_a_kind_is_offered_to_no_part_that_n_is_too_small_for():
    for verdict in claims.ledger(HOME):
        for item in verdict.measured:
            if not item.part.certain and not intervals.reaches(item.part.kind, item.n):
                assert item.verdict == UNDECIDED and item.part.label in verdict.reason, verdict.claim.id


def test_every_criterion_of_the_first_three_pages_is_fixed():
    decided = {claim.id: claim.page for claim in criteria.load(HOME) if claim.parts}
    pages = {"A1": "divergences", "A2": "divergences", "A11": "forgetting"}
    pages |= dict.fromkeys(("A3", "A4", "A5", "A10"), "stop_gradients")
    pages |= {"A6": "quieter_twin", "A7": "quieter_twin", "A8": "twin_gradients", "A9": "twin_gradients"}
    assert pages.items() <= decided.items()


def test_criteria_say_in_words_what_they_measure_and_name_no_yaml_text_numbers():
    for claim in criteria.load(HOME):
        assert criteria.SNAKE_CASE.fullmatch(claim.page), claim.id
        assert len(claim.text) > 30 and len(claim.statement) > 30, claim.id
        assert all(criteria.SNAKE_CASE.fullmatch(part.metric) for part in claim.parts), claim.id
        assert len({part.metric for part in claim.parts}) == len(claim.parts), claim.id
    assert all(len({part.metric for part in claim.parts}) == len(claim.parts) for claim, _ in all_parts())


def test_the_committed_references_hold_every_metric_that_their_criteria_need():
    """A page that forgets a metric, or ran under an older criterion, would show as not run for ever."""
    for verdict in claims.ledger(HOME):
        assert "lacks" not in verdict.reason and "criterion" not in verdict.reason, verdict


def test_120_damaged_records_and_their_sums_decide_nothing(tmp_path):
    """Each is noticed, or says what the whole one says."""
    write(tmp_path, entry(EXACTLY, {"metric": "rise", "above": 0}))
    run = reference(tmp_path, fall=1.0, rise=[1.0, 1.5, 2.0, 2.5])
    whole = claims.ledger(tmp_path)
    assert whole[0].verdict == REPRODUCED
    for name, count in (("record.json", 120), (sums.NAME, 40)):
        path, noticed = run.out / name, 0
        content = path.read_bytes()
        for body in damaged(content, count):
            path.write_bytes(body)
            try:
                assert claims.ledger(tmp_path) == whole
            except BridgekitError as error:
                assert name in str(error) or "record.json" in str(error)
                assert "git checkout" in str(error)
                noticed += 1
        path.write_bytes(content)
        assert noticed > 0.9 * count
    assert claims.ledger(tmp_path) == whole


def test_a_reference_run_without_sums_is_an_error_of_the_ledger(tmp_path):
    write(tmp_path, entry(EXACTLY))
    run = reference(tmp_path, fall=1.0)
    (run.out / sums.NAME).unlink()
    with pytest.raises(BridgekitError, match="SHA256SUMS cannot be read: .*git checkout"):
        claims.ledger(tmp_path)


def test_a_damaged_image_of_a_reference_run_is_an_error_of_the_ledger(tmp_path):
    write(tmp_path, entry(EXACTLY))
    run = reference(tmp_path, fall=1.0)
    (run.out / "curve.png").write_bytes(b"png")
    rewrite(run.out / "record.json", json.loads((run.out / "record.json").read_text()))
    assert claims.ledger(tmp_path)[0].verdict == REPRODUCED
    (run.out / "curve.png").write_bytes(b"pnh")
    with pytest.raises(BridgekitError, match=r"curve\.png in .*demo: missing or damaged"):
        claims.ledger(tmp_path)


COMMITTED = sorted(HOME.glob("figures/paper/*/record.json"))
REPEATED = sorted(HOME.glob("figures/repeated/*/record.json"))


@pytest.mark.parametrize(
    "path", COMMITTED + REPEATED, ids=lambda p: f"{p.parent.name}-{p.parent.parent.name}"
)
def test_every_committed_file_has_its_sum(path):
    sums.check(path.parent)
    assert set(sums.listed(path.parent)) == {each.name for each in path.parent.glob("[!.]*")} - {sums.NAME}


@pytest.mark.parametrize("path", REPEATED, ids=lambda p: p.parent.name)
def test_a_second_run_had_the_reference_runs_settings(path):
    """But for methods that it left out, parameters added since, and how many games were played at a time."""
    again, reference = (
        json.loads((HOME / "figures" / kind / path.parent.name / "record.json").read_text(encoding="utf-8"))
        for kind in ("repeated", "paper")
    )
    ours, theirs = again["parameters"], reference["parameters"]
    different = {name for name in theirs if ours[name] != theirs[name]}
    assert {name for name in different if ours[name] != []} <= {"workers"}
    assert again["provenance"]["dirty"] is False


@pytest.mark.parametrize(
    "path", COMMITTED + REPEATED, ids=lambda p: f"{p.parent.name}-{p.parent.parent.name}"
)
def test_a_committed_record_names_no_machine_and_no_absolute_path(path):
    record = json.loads(path.read_text(encoding="utf-8"))
    assert not re.search(r"\d+\.\d+\.\d+", record["provenance"]["platform"]), (
        "a kernel's release may name a host"
    )
    assert not re.search(r'"(folder:)?(/|~|[A-Z]:\\)', path.read_text(encoding="utf-8"))
