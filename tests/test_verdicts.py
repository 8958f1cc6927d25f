"""From values to a verdict: one part, several, two plays of the same seeds, and what is said beside it."""

import ast
import hashlib
import inspect
import json
import math
import textwrap
from dataclasses import replace

import numpy as np
import pytest

from bridgekit.book import criteria, verdicts
from bridgekit.book.criteria import Claim, Part
from bridgekit.book.verdicts import NOT, NOT_RUN, PARTLY, REPRODUCED, UNDECIDED
from bridgekit.measure import intervals

NAN, INF = math.nan, math.inf
above, below, within = (
    Part("fall", "above", (1.0, INF)),
    Part("fall", "below", (-INF, 1.0)),
    Part("fall", "within", (1.0, 2.0)),
)
above_exactly, below_exactly, within_exactly = (
    replace(part, kind="exact") for part in (above, below, within)
)
typically_above, typically_below = (replace(part, kind="median") for part in (above, below))


def spread_around(mean, half_width, n=5):
    """n values whose 95 % t-interval is exactly mean ± half_width."""
    raw = np.arange(n) - (n - 1) / 2
    return mean + raw * half_width / intervals.estimate("mean", [raw])[2]


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
        (above, [2.0, 2.1, 2.2, NAN], UNDECIDED),  # a lost trial has no place in a mean
        (above, [NAN, NAN], UNDECIDED),
        (typically_above, [2.0] * 6, REPRODUCED),
        (typically_above, [2.0] * 5, UNDECIDED),  # n too small
        (typically_above, [2.0] * 8 + [NAN], REPRODUCED),
        (typically_above, [2.0] * 5 + [NAN], UNDECIDED),
        (typically_above, [NAN] * 6, NOT),  # all lost: the worst that there is
        (typically_below, [NAN] * 6, NOT),
        (typically_below, [0.0] * 8 + [NAN], REPRODUCED),
        (replace(below, kind="identity"), [0.9, 0.1], REPRODUCED),
        (replace(below, kind="identity"), [1e-16, 1e-16, 1.1], NOT),  # the worst decides
        (replace(below, kind="identity"), [NAN, 1.1], NOT),
        (replace(below, kind="identity"), [NAN, NAN], UNDECIDED),
        (replace(within, kind="median"), [1.5] * 8, REPRODUCED),
        (replace(within, kind="median"), [1.5] * 7 + [NAN], UNDECIDED),  # beyond either end
        (replace(below, kind="identity"), [1.2, 1.1], NOT),
        (replace(below, kind="identity"), [0.9, NAN], UNDECIDED),
    ],
)
def test_a_part_is_decided_by_its_interval(part, values, verdict):
    measured = verdicts.measure(part, [np.asarray(values)])
    assert measured.alone == verdict
    assert measured.n == len(values) and measured.lost == np.isnan(values).sum()


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
    assert verdicts.combine(parts) == verdict
    assert verdicts.combine(parts[::-1]) == verdict


# ----------------------------------------------------------------------------------------- several parts


def claim(*parts, **changed):
    """A claim with these kinds or parts, one metric each."""
    made = [
        part if isinstance(part, Part) else Part(f"m{i}", "above", (0.0, INF), part)
        for i, part in enumerate(parts)
    ]
    return replace(Claim("X1", "X", "eq 1", "It falls.", "demo", "it does", tuple(made)), **changed)


def record(of, kind="per seed", **metrics):
    """What a run of the page demo records."""
    return {
        "page": "demo",
        "criteria": {of.id: of.hash},
        "analysis": {of.id: of.analysis},
        "metrics": {
            name: {"values": list(np.atleast_1d(values)), "kind": kind if np.ndim(values) else "exact"}
            for name, values in metrics.items()
        },
    }


def judged(kinds, values, **metrics):
    of = claim(*kinds)
    return verdicts.judge(of, record(of, **{f"m{i}": v for i, v in enumerate(values)}, **metrics))


def signs(n, wrong=0):
    """n values of which all but ``wrong`` are positive."""
    return np.concatenate([-np.ones(wrong), np.ones(n - wrong)])


def test_reproduced_asks_every_part_at_the_full_level():
    found = judged(["median"] * 3, [signs(6)] * 3)  # p = 1 / 32 each
    assert found.verdict == REPRODUCED and found.moved == 0
    assert [item.level for item in found.measured] == [0.95] * 3


def test_partly_asks_one_part_at_holms_level():
    found = judged(["median"] * 3, [signs(6), signs(6, 3), signs(6, 3)])
    assert found.verdict == UNDECIDED and found.moved == 1
    assert found.measured[0].alone == REPRODUCED and found.measured[0].verdict == UNDECIDED
    assert "1 decided alone, but not as one of several" in found.reason
    found = judged(["median"] * 3, [signs(9), signs(6, 3), signs(6, 3)])  # p = 1 / 256 < 0.05 / 3
    assert found.verdict == PARTLY and found.moved == 0
    assert found.measured[0].level == pytest.approx(1 - 0.05 / 3)


def test_not_reproduced_asks_one_failed_part_at_holms_level():
    assert judged(["median"] * 3, [-signs(6), signs(6, 3), signs(6, 3)]).verdict == UNDECIDED
    assert judged(["median"] * 3, [-signs(9), signs(6, 3), signs(6, 3)]).verdict == NOT


def test_holms_levels_grow_as_parts_are_decided():
    """Of three, p = 1/256 is asked for 0.05 / 3, then 1/64 for 0.05 / 2, then 1/32 for 0.05."""
    found = judged(["exact"] + ["median"] * 3, [-1.0, signs(6), signs(9), signs(7)])
    assert [item.verdict for item in found.measured] == [NOT] + [REPRODUCED] * 3
    stopped = judged(["median"] * 3, [signs(9), signs(6), signs(6, 3)])
    assert [item.verdict for item in stopped.measured] == [REPRODUCED, UNDECIDED, UNDECIDED]


def test_exact_parts_are_not_adjusted_and_do_not_count():
    found = judged(["exact", "exact", "median"], [-1.0, -1.0, signs(6)])
    assert found.verdict == PARTLY and [item.verdict for item in found.measured] == [NOT, NOT, REPRODUCED]
    assert judged(["exact", "median"], [1.0, signs(6, 3)]).verdict == PARTLY


@pytest.mark.parametrize("kind", ["mean", "median"])
def test_without_any_effect_eleven_parts_say_a_word_in_one_of_twenty(kind):
    rng, words = np.random.default_rng(0), []
    parts = claim(*[kind] * 11).parts
    for _ in range(120):
        alone = [verdicts.measure(part, [rng.normal(size=12)]) for part in parts]
        words.append(verdicts.combine([item.verdict for item in verdicts.adjusted(alone)]))
    assert words.count(PARTLY) + words.count(NOT) <= 120 * 0.05 + 3 * math.sqrt(120 * 0.05 * 0.95)
    assert words.count(UNDECIDED) > 0.8 * 120


def test_parts_of_which_n_is_too_small_are_named():
    found = judged(["median", "mean"], [signs(5), [-1.0, 1.0, 0.0]])
    assert found.verdict == UNDECIDED and "n too small for m0" in found.reason and "m1" not in found.reason
    # Six can decide alone, and not as one of three.
    found = judged(["median"] * 3, [signs(6), signs(6, 3), signs(20, 10)])
    assert "n too small for m0" in found.reason


def test_a_reason_is_in_the_words_of_the_record_and_then_of_the_ledger():
    of = claim(Part("late_gain", "above", (0.0, INF), "median", label="what the ledger calls it"))
    made = record(of, late_gain=signs(5))
    assert "n too small for what the ledger calls it" in verdicts.judge(of, made).reason
    made["metrics"]["late_gain"]["label"] = "what the page calls it"
    (item,) = (found := verdicts.judge(of, made)).measured
    assert "n too small for what the page calls it" in found.reason
    assert item.part == of.parts[0]  # words tell no two parts apart
    assert str(item.part) == "late_gain above 0" and of.hash == found.claim.hash
    assert (
        "n too small for late gain"
        in verdicts.judge(claim(replace(of.parts[0], label="")), record(of, late_gain=signs(5))).reason
    )


def test_beside_what_is_undecided_stands_what_would_have_been_seen():
    part = Part("m0", "above", (0.0, INF), "mean", printed=0.1)
    of, values = claim(part), [-0.3, 0.2, 0.4]
    (item,) = verdicts.judge(of, record(of, m0=values)).measured
    sd = np.std(values, ddof=1)
    assert item.effect == pytest.approx(sd * 3.26, rel=0.1)  # three values, 80 %: 3.26 deviations
    n, low, high = item.needed
    assert low < n < high and n == pytest.approx(7.85 * (sd / 0.1) ** 2, rel=0.05)
    (decided,) = verdicts.judge(of, record(of, m0=[1.0, 1.1, 1.2])).measured
    assert decided.effect is None and decided.needed is None


# -------------------------------------------------------------------------------- metrics made of others


def test_a_part_may_compare_two_metrics_trial_by_trial():
    of = claim(Part("gain", "above", (0.0, INF), "median", ("ours", "theirs")))
    ours, theirs = np.full(8, 2.0), np.full(10, 1.0)
    theirs[0] = NAN  # their lost trial counts as their worst
    found = verdicts.judge(of, record(of, ours=ours, theirs=theirs))
    assert found.verdict == REPRODUCED and (found.measured[0].n, found.measured[0].lost) == (8, 1)
    ours[1:4] = NAN
    assert verdicts.judge(of, record(of, ours=ours, theirs=theirs)).verdict == UNDECIDED
    assert verdicts.judge(of, record(of, ours=ours)).reason == "the record of demo lacks theirs"


def test_the_kind_that_a_run_declares_is_the_criterions():
    of = claim("median")
    assert verdicts.judge(of, record(of, m0=signs(6))).verdict == REPRODUCED
    found = verdicts.judge(of, record(of, "mean", m0=signs(6)))
    assert (
        found.verdict == NOT_RUN
        and "m0 is recorded by demo as mean, and claims.yml says median" in found.reason
    )
    found = verdicts.judge(of, record(of, m0=1.0))
    assert "m0 is recorded by demo as exact, and claims.yml says median" in found.reason


# ---------------------------------------------------------------------------------- two plays, two marks


def test_a_seed_played_twice_counts_once_with_its_mean():
    of = claim("mean")
    first, second = np.array([1.0, 2.0, 3.0]), np.array([3.0, 2.0, 1.5])
    found = verdicts.judge(of, record(of, m0=first), record(of, m0=second))
    assert found.measured[0].value == pytest.approx((first + second).mean() / 2)
    assert found.measured[0].n == 3 and len(found.plays) == 2


def test_two_plays_that_contradict_each_other_decide_nothing():
    of = claim("median")
    up, down = np.full(8, 3.0), np.full(8, -1.0)
    found = verdicts.judge(of, record(of, m0=up), record(of, m0=down))
    assert found.measured[0].verdict == REPRODUCED, "their mean is on one side"
    assert found.verdict == UNDECIDED and [play.verdict for play in found.plays] == [REPRODUCED, NOT]
    assert (
        "two runs of the same seeds disagree: reproduced" in found.reason and "not reproduced" in found.reason
    )
    assert verdicts.judge(of, record(of, m0=up), record(of, m0=up)).verdict == REPRODUCED


def test_two_plays_say_no_more_together_than_each():
    """The baseline loses other trials in each play: averaged, it would have lost them all."""
    of = claim(Part("gain", "above", (0.0, INF), "median", ("ours", "theirs")))
    ours, plays = np.full(10, 20.0), []
    for lost in (slice(0, 5), slice(5, 10)):
        theirs = np.full(10, 24.0)
        theirs[lost] = NAN
        plays.append(record(of, ours=ours, theirs=theirs))
    assert [verdicts.judge(of, play).verdict for play in plays] == [UNDECIDED, UNDECIDED]
    found = verdicts.judge(of, *plays)
    assert found.measured[0].alone == REPRODUCED and found.verdict == UNDECIDED
    assert "neither of two runs of the same seeds says more" in found.reason


def test_a_share_played_twice_counts_what_was_lost_in_either():
    of = claim(Part("m0", "below", (-INF, 0.9), "share"))
    found = verdicts.judge(of, record(of, m0=[1.0, 0.0, 0.0]), record(of, m0=[0.0, 1.0, 0.0]))
    assert found.measured[0].value == pytest.approx(2 / 3)


def test_a_trial_lost_in_one_play_is_lost():
    of = claim("median")
    once = np.full(6, 1.0)
    once[0] = NAN
    found = verdicts.judge(of, record(of, m0=np.ones(6)), record(of, m0=once))
    assert found.measured[0].lost == 1


@pytest.mark.parametrize(
    ("kind", "changed", "mark"),
    [
        ("median", {}, verdicts.CRITERION_FIRST),
        ("median", {"analysis": {}}, verdicts.REANALYSED),
        ("median", {"analysis": {"X1": "another"}}, verdicts.REANALYSED),
        ("exact", {"analysis": {}}, verdicts.CRITERION_FIRST),  # nothing is analysed there
    ],
)
def test_a_row_is_marked_by_whether_criterion_and_analysis_stood_before_the_run(kind, changed, mark):
    of = claim(kind)
    made = record(of, m0=1.0 if kind == "exact" else signs(8)) | changed
    assert verdicts.judge(of, made).mark == mark


def test_regrouped_parts_may_use_the_run_of_the_criterion_that_had_them():
    before = claim("median", "median")
    after = claim("median", id="X2", made_under=("X1", before.hash))
    found = verdicts.judge(after, record(before, m0=signs(8), m1=signs(8)))
    assert (found.verdict, found.mark) == (REPRODUCED, verdicts.REANALYSED)
    stranger = replace(after, made_under=None)
    assert verdicts.judge(stranger, record(before, m0=signs(8), m1=signs(8))).verdict == NOT_RUN


def test_a_verdict_for_machines_is_strict_json():
    of = claim("median")
    facts = json.loads(json.dumps(verdicts.judge(of, record(of, m0=signs(4))).as_dict(), allow_nan=False))
    (part,) = facts["parts"]
    assert part["interval"] == [None, None] and part["too_small"] is True and part["smallest_effect"] is None
    assert part["criterion"] == "m0 above 0" and part["kind"] == "median" and part["n"] == 4
    assert facts["id"] == "X1" and facts["criterion"] == "it does" and len(facts["hash"]) == 16
    assert facts["mark"] == "criterion first" and facts["superseded"] is False


def analysed() -> str:
    """A digest of the code that turns values into verdicts, whatever its comments, layout and place."""
    found = []
    for module in (intervals, verdicts, criteria.Part.holds, criteria.Part.fails):
        tree = ast.parse(textwrap.dedent(inspect.getsource(module)))
        tree.body = [node for node in tree.body if not isinstance(node, (ast.Import, ast.ImportFrom))]
        for node in ast.walk(tree):
            if (
                isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Module))
                and ast.get_docstring(node) is not None
            ):
                node.body = node.body[1:] or [ast.Pass()]
        found.append(ast.unparse(tree))
    return hashlib.sha256("".join(found).encode()).hexdigest()[:16]


def test_an_analysis_that_changed_has_another_number():
    """If this fails: could any verdict be another one now? Then RULE goes up by one, and what was analysed
    before is marked. If not (a name, a display), only the digest changes here."""
    assert (criteria.RULE, analysed()) == (2, "caf8e84300afbf06")
