"""The ledger: what makes a claim reproduced, and what is refused in claims.yml."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import damaged, rewrite

from bridgekit import claims, criteria, records, results, sums
from bridgekit.claims import NOT, NOT_RUN, PARTLY, REPRODUCED, UNDECIDED
from bridgekit.criteria import Part
from bridgekit.errors import BridgekitError

HOME = Path(__file__).resolve().parent.parent
ENTRY = {"id": "X1", "paper": "X", "place": "eq 1", "statement": "It falls.", "page": "demo"}


def entry(*parts, text="it does", **changed):
    return ENTRY | {"criterion": {"text": text, "parts": list(parts)}} | changed


def write(root, *entries):
    (root / "claims.yml").write_text(json.dumps(list(entries)))  # JSON is YAML


def reference(root, page="demo", profile="paper", commit="abc", dirty=False, parameters=None, **metrics):
    """A committed reference run of the page demo; single numbers are exact."""
    run = results.Run(page, profile, parameters or {}, root / "figures" / "paper" / "demo", root)
    for name, values in metrics.items():
        run.metric(name, values, exact=np.ndim(values) == 0)
    run.finish()
    path = run.out / "record.json"
    record = json.loads(path.read_text())
    record["provenance"] |= {"commit": commit, "dirty": dirty}  # the folder is in no repository
    rewrite(path, record)
    return run


def spread_around(mean, half_width, n=5):
    """n values whose 95 % t-interval is exactly mean ± half_width."""
    raw = np.arange(n) - (n - 1) / 2
    return mean + raw * half_width / claims.interval(raw)[2]


NAN = math.nan
above, below, within = (
    Part("fall", "above", (1.0, math.inf)),
    Part("fall", "below", (-math.inf, 1.0)),
    Part("fall", "within", (1.0, 2.0)),
)
above_exactly, below_exactly, within_exactly = (replace(part, exact=True) for part in (above, below, within))


@pytest.mark.parametrize(
    ("part", "values", "verdict"),
    [
        (above_exactly, [1.1], REPRODUCED),
        (above_exactly, [1.0], NOT),
        (above_exactly, [0.9], NOT),
        (above_exactly, [NAN], UNDECIDED),
        (above, [1.1], UNDECIDED),  # one seed says nothing about another
        (above, [0.9], UNDECIDED),
        (below, [0.9], UNDECIDED),
        (within, [1.5], UNDECIDED),
        (above, spread_around(1.5, 0.4), REPRODUCED),
        (above, spread_around(1.5, 0.6), UNDECIDED),
        (above, spread_around(0.5, 0.6), UNDECIDED),
        (above, spread_around(0.5, 0.4), NOT),
        (below_exactly, [0.9], REPRODUCED),
        (below_exactly, [1.0], NOT),
        (below, spread_around(0.5, 0.4), REPRODUCED),
        (below, spread_around(0.5, 0.6), UNDECIDED),
        (below, spread_around(1.5, 0.4), NOT),
        (within_exactly, [1.0], REPRODUCED),
        (within_exactly, [2.0], REPRODUCED),
        (within_exactly, [2.1], NOT),
        (within, spread_around(1.5, 0.4), REPRODUCED),
        (within, spread_around(1.5, 0.6), UNDECIDED),
        (within, spread_around(1.9, 0.2), UNDECIDED),
        (within, spread_around(0.5, 0.4), NOT),
        (within, spread_around(2.5, 0.4), NOT),
        (above, [2.0, 2.1, NAN, NAN], REPRODUCED),  # half is not more than half
        (above, [2.0, 2.1, NAN, NAN, NAN], UNDECIDED),
        (above, [2.0, NAN], UNDECIDED),  # one survivor has no interval
        (above, [NAN], UNDECIDED),
        (above, [NAN, NAN], UNDECIDED),
        (above, [2.0, 2.1, math.inf], REPRODUCED),  # not finite counts as lost, not as large
    ],
)
def test_a_part_is_decided_by_its_interval(part, values, verdict):
    values = np.asarray(values)
    measured = claims.measure(part, values)
    assert measured.verdict == verdict
    assert measured.n == values.size and measured.lost == (~np.isfinite(values)).sum()


def test_the_interval_is_students_over_the_finite_values():
    mean, low, high = claims.interval(np.array([1.0, 2.0, 3.0, NAN]))
    quantile = 0.95 / math.sqrt(2 * 0.975 * 0.025)  # Student's t at 97.5 %, two degrees of freedom
    assert mean == 2 and high - mean == pytest.approx(quantile / math.sqrt(3), rel=1e-12)
    assert mean - low == pytest.approx(high - mean, rel=1e-12)
    assert claims.interval(np.array([4.0]), exact=True) == (4, 4, 4)
    assert claims.interval(np.array([4.0])) == (4, -math.inf, math.inf)
    assert claims.interval(np.array([4.0, NAN])) == (4, -math.inf, math.inf)
    assert all(math.isnan(x) for x in claims.interval(np.array([NAN])))


def test_the_interval_covers_the_mean_95_times_in_100():
    draws = np.random.default_rng(0).normal(size=(4000, 6))
    covered = np.mean([low <= 0 <= high for _, low, high in map(claims.interval, draws)])
    assert abs(covered - 0.95) < 3.5 * math.sqrt(0.95 * 0.05 / 4000)


@pytest.mark.parametrize(
    ("parts", "verdict"),
    [
        ([REPRODUCED], REPRODUCED),
        ([REPRODUCED, REPRODUCED], REPRODUCED),
        ([NOT, NOT], NOT),
        ([REPRODUCED, NOT], PARTLY),
        ([REPRODUCED, UNDECIDED], PARTLY),
        ([REPRODUCED, UNDECIDED, NOT], PARTLY),
        ([UNDECIDED, UNDECIDED], UNDECIDED),
        ([UNDECIDED, NOT], NOT),
    ],
)
def test_parts_combine(parts, verdict):
    assert claims.combine(parts) == verdict
    assert claims.combine(parts[::-1]) == verdict


EXACTLY = {"metric": "fall", "above": 0, "exact": True}


def test_the_ledger_decides_from_the_committed_reference_alone(tmp_path):
    write(tmp_path, entry({"metric": "fall", "above": 0}), entry(id="X2"))
    results.Run("demo", "quick", {}, tmp_path / "figures" / "quick" / "demo", tmp_path).finish()
    decided, empty = claims.ledger(tmp_path)
    assert (decided.verdict, decided.reason) == (NOT_RUN, "no reference run of demo is committed")
    assert (empty.verdict, empty.reason) == (NOT_RUN, "no page decides it yet")
    reference(tmp_path, fall=[1.0, 1.1, NAN])
    (decided, empty), measured = claims.ledger(tmp_path), claims.ledger(tmp_path)[0].measured[0]
    assert (decided.verdict, decided.reason) == (REPRODUCED, "1 reproduced of 1; 1 values not finite")
    assert measured.mean == pytest.approx(1.05) and measured.low < 1.0 < 1.1 < measured.high
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
    run = results.Run("demo", "paper", {}, tmp_path / "figures" / "paper" / "demo", tmp_path)
    run.metric("fall", 0.5)
    write(tmp_path, entry({"metric": "fall", "above": 0.4}))  # tuned while the page was running
    run.finish()
    assert claims.judge(criteria.load(tmp_path)[0], run.record()).verdict == NOT_RUN


def test_a_metric_that_the_record_lacks_is_named(tmp_path):
    write(tmp_path, entry({"metric": "fall", "above": 0}, {"metric": "rise", "above": 0}))
    reference(tmp_path, fall=1.0)
    assert claims.ledger(tmp_path)[0].reason == "the record of demo lacks rise"


def test_the_kind_of_a_metric_is_its_own_and_the_criterions(tmp_path):
    write(tmp_path, entry({"metric": "fall", "above": 0}))
    reference(tmp_path, fall=1.0)
    found = claims.ledger(tmp_path)[0]
    assert found.verdict == NOT_RUN
    assert "fall is exact in the record of demo, and one value per seed in claims.yml" in found.reason
    write(tmp_path, entry(EXACTLY))
    reference(tmp_path, fall=[1.0])
    assert "one value per seed in the record" in claims.ledger(tmp_path)[0].reason


def test_a_record_older_than_kinds_is_read_as_the_criterion_says(tmp_path):
    path = tmp_path / "figures" / "paper" / "demo" / "record.json"
    for part, values, verdict in (
        (EXACTLY, 1.0, REPRODUCED),
        ({"metric": "fall", "above": 0}, [1.0], UNDECIDED),
        ({"metric": "fall", "above": 0}, [1.0, 1.1], REPRODUCED),
    ):
        write(tmp_path, entry(part))
        reference(tmp_path, fall=values)
        record = json.loads(path.read_text())
        del record["metrics"]["fall"]["kind"]
        rewrite(path, record)
        assert claims.ledger(tmp_path)[0].verdict == verdict


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


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({}, None),
        ({"parameters": {"seeds": 3}}, None),  # made before the page had `rounds`
        ({"parameters": {"rounds": 4, "seeds": 3}}, "rounds is 4, not 40"),
        ({"parameters": {"rounds": 40, "seeds": 3, "old": 1}}, "old is 1, not None"),
        ({"fall": [1.0, 1.1]}, "fewer values than seeds: fall"),
        ({"profile": "custom"}, "is no reference run, but demo at profile custom"),
        ({"page": "other"}, "no reference run, but other at"),
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
    with pytest.raises(BridgekitError, match=r"record\.json is damaged.*git checkout"):
        claims.ledger(tmp_path)


def test_a_verdict_for_machines_is_strict_json(tmp_path):
    write(tmp_path, entry({"metric": "fall", "above": 0}))
    reference(tmp_path, fall=[1.0, NAN])
    facts = json.loads(json.dumps(results.ledger(tmp_path)[0].as_dict(), allow_nan=False))
    part = {"metric": "fall", "criterion": "fall above 0", "verdict": UNDECIDED, "mean": 1.0, "exact": False}
    assert facts["parts"] == [part | {"interval": [None, None], "n": 2, "lost": 1}]
    assert facts["id"] == "X1" and facts["criterion"] == "it does" and len(facts["hash"]) == 16


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"id": "X1"}, "must be a list"),
        (["X1"], "entry 1 must be a mapping"),
        ([entry() | {"pages": "demo"}], "entry 1: unknown key 'pages': did you mean 'page'?"),
        ([{k: v for k, v in entry().items() if k != "page"}], "entry 1: page missing"),
        ([entry(page="  ")], "claim X1: page must be a text that is not empty"),
        ([entry(statement=5)], "claim X1: statement must be a text"),
        ([entry(), entry()], "the id X1 twice"),
        ([entry(criterion=None)], "claim X1, criterion must be a mapping"),
        ([entry(criterion={"text": "x"})], "parts missing"),
        ([entry(criterion={"text": "x", "parts": {}})], "criterion.parts a list"),
        ([entry("fall")], "a part is"),
        ([entry({"metric": "fall", "above": 0, "below": 1})], "a part is"),
        ([entry({"metric": "Fall", "above": 0})], "'Fall' is not snake_case"),
        ([entry({"metric": "fall", "abov": 0})], "unknown key 'abov': did you mean 'above'?"),
        ([entry({"metric": "fall", "above": "1e-6"})], "above needs a number"),
        ([entry({"metric": "fall", "above": True})], "above needs a number"),
        ([entry({"metric": "fall", "above": [0, 1]})], "above needs a number"),
        ([entry({"metric": "fall", "within": 1})], r"within needs \[low, high\]"),
        ([entry({"metric": "fall", "within": [2, 1]})], "upside down"),
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
    with pytest.raises(BridgekitError, match=r"claims\.yml cannot be read.*git checkout"):
        criteria.load(tmp_path)
    assert criteria.of_page(tmp_path / "elsewhere", "demo") == []


def test_a_page_decides_the_claims_that_are_its_own_and_have_parts(tmp_path):
    part = {"metric": "fall", "above": 0}
    write(tmp_path, entry(part), entry(id="X2"), entry(part, id="X3", page="other"))
    assert [claim.id for claim in criteria.of_page(tmp_path, "demo")] == ["X1"]


def test_one_papers_claims_are_chosen_by_its_letter(tmp_path):
    write(tmp_path, entry(), entry(id="Y1", paper="Y"))
    verdicts = claims.ledger(tmp_path)
    assert [item.claim.id for item in claims.of_paper(verdicts, "Y")] == ["Y1"]
    assert claims.of_paper(verdicts, "all") == verdicts
    with pytest.raises(BridgekitError, match="no paper 'Z' in claims.yml: choose 'all' or one of X, Y"):
        claims.of_paper(verdicts, "Z")


def test_our_ledger_holds_every_claim_of_the_three_papers():
    ids = [claim.id for claim in criteria.load(HOME)]
    wanted = [f"{paper}{n}" for paper, last in (("A", 21), ("B", 16), ("C", 12)) for n in range(1, last + 1)]
    assert set(wanted) <= set(ids)
    assert all(claim.id.startswith(claim.paper) for claim in criteria.load(HOME))


def test_every_criterion_of_the_first_three_pages_is_fixed():
    decided = {claim.id: claim.page for claim in criteria.load(HOME) if claim.parts}
    pages = {"A1": "divergences", "A2": "divergences", "A11": "forgetting"}
    pages |= {f"A{n}": "twin_gradients" for n in range(3, 11)}
    assert pages.items() <= decided.items()


def test_criteria_say_in_words_what_they_measure_and_name_no_yaml_text_numbers():
    for claim in criteria.load(HOME):
        assert criteria.SNAKE_CASE.fullmatch(claim.page), claim.id
        assert len(claim.text) > 30 and len(claim.statement) > 30, claim.id
        assert all(criteria.SNAKE_CASE.fullmatch(part.metric) for part in claim.parts), claim.id
        assert len({part.metric for part in claim.parts}) == len(claim.parts), claim.id


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


def test_a_reference_run_without_sums_does_not_decide(tmp_path):
    write(tmp_path, entry(EXACTLY))
    run = reference(tmp_path, fall=1.0)
    (run.out / sums.NAME).unlink()
    found = claims.ledger(tmp_path)[0]
    assert (
        found.verdict == NOT_RUN and "the reference run of demo has no SHA256SUMS: restore it" in found.reason
    )


def test_a_damaged_image_of_a_reference_run_is_an_error_of_the_ledger(tmp_path):
    write(tmp_path, entry(EXACTLY))
    run = reference(tmp_path, fall=1.0)
    (run.out / "curve.png").write_bytes(b"png")
    rewrite(run.out / "record.json", json.loads((run.out / "record.json").read_text()))
    assert claims.ledger(tmp_path)[0].verdict == REPRODUCED
    (run.out / "curve.png").write_bytes(b"pnh")
    with pytest.raises(BridgekitError, match=r"curve\.png in .*demo: missing, damaged, or not in SHA256SUMS"):
        claims.ledger(tmp_path)


COMMITTED = sorted(HOME.glob("figures/paper/*/record.json"))
REPEATED = sorted(HOME.glob("figures/repeated/*/record.json"))


@pytest.mark.parametrize(
    "path", COMMITTED + REPEATED, ids=lambda p: f"{p.parent.name}-{p.parent.parent.name}"
)
def test_every_committed_file_has_its_sum(path):
    records.intact(path.parent)
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
