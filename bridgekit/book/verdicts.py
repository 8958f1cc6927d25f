"""From values to a verdict: what the numbers of one run, or of two plays of it, say about a claim.

A part holds, or fails, where its whole 95 % interval lies on one side of its bound. *Reproduced* asks all
parts to hold, which needs no adjustment. *Partly* and *not reproduced* are said of a claim as soon as one
part holds or fails, so that with many parts chance alone would say one of them too often: there Holm's
step-down adjustment keeps the probability of a wrong word at 5 % for the whole claim.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from bridgekit.book.criteria import Claim, Part
from bridgekit.book.records import EXACT, PER_SEED, finite, metric_values
from bridgekit.measure import intervals, paired

REPRODUCED, NOT, PARTLY, UNDECIDED, NOT_RUN = "reproduced", "not reproduced", "partly", "undecided", "not run"
VERDICTS = (REPRODUCED, PARTLY, UNDECIDED, NOT, NOT_RUN)
CRITERION_FIRST, REANALYSED = "criterion first", "re-analysed"
MARKS = (CRITERION_FIRST, REANALYSED)
ALPHA = 1 - intervals.LEVEL


@dataclass(frozen=True)
class Measured:
    """A condition measured: estimate and 95 % interval over ``n`` trials, ``lost`` of them without a value.

    ``alone`` is what the part says by itself, ``verdict`` what it says as one of several; ``p`` is the
    smallest level at which it is decided. ``effect`` is the distance from the bound that n trials would have
    seen in four of five experiments, ``needed`` the number of trials for the paper's own effect, with the
    interval of that estimate; both only where the part is undecided.
    """

    part: Part
    value: float
    low: float
    high: float
    n: int
    lost: int
    alone: str
    p: float
    verdict: str
    level: float = intervals.LEVEL  # at which it had to be decided
    effect: float | None = None
    needed: tuple[int, int, int] | None = None

    @property
    def too_small(self) -> bool:
        """Whether n trials could not have decided at this level, whatever their values."""
        return not self.part.certain and not intervals.reaches(self.part.kind, self.n, self.level)

    def as_dict(self) -> dict:
        """For machines: plain JSON types, None for what is not finite."""
        part = self.part
        facts = {"metric": part.metric, "of": list(part.metrics), "kind": part.kind, "primary": part.primary}
        facts |= {"criterion": str(part), "verdict": self.verdict, "alone": self.alone, "p": self.p}
        facts |= {"value": self.value, "interval": [self.low, self.high]}
        facts |= {"n": self.n, "lost": self.lost, "level": self.level, "too_small": self.too_small}
        facts |= {"smallest_effect": self.effect, "printed": part.printed}
        return finite(facts | {"trials_needed": self.needed and list(self.needed)})


@dataclass(frozen=True)
class Verdict:
    """A claim with its verdict, the reason for it in words, and the measurements behind it."""

    claim: Claim
    verdict: str
    reason: str
    measured: tuple[Measured, ...] = ()
    mark: str = ""  # whether the criterion and its analysis stood before the run
    superseded: bool = False  # by a criterion whose run is still to come
    plays: tuple["Verdict", ...] = ()  # each run of the same seeds by itself, where there are two
    earlier: tuple[dict, ...] = field(default=(), compare=False)  # what the ledger said before

    @property
    def moved(self) -> int:
        """How many parts say less as one of several than alone."""
        return sum(item.verdict != item.alone for item in self.measured)

    def as_dict(self) -> dict:
        """For machines: plain JSON types."""
        claim = self.claim
        facts = {key: getattr(claim, key) for key in ("id", "paper", "place", "statement", "page", "hash")}
        facts |= {"criterion": claim.text, "verdict": self.verdict, "reason": self.reason}
        facts |= {"mark": self.mark, "superseded": self.superseded, "moved_by_adjustment": self.moved}
        facts["parts"] = [item.as_dict() for item in self.measured]
        facts["plays"] = [{"verdict": play.verdict, "reason": play.reason} for play in self.plays]
        return facts | {"earlier": list(self.earlier)}


def judge(claim: Claim, *records: dict) -> Verdict:
    """What a record says about ``claim``; of two plays of the same seeds, what both say together.

    A seed counts once, with the mean of its plays. Where the plays contradict each other, the claim is
    undecided.
    """
    if not claim.parts:
        return Verdict(claim, NOT_RUN, "no page decides it yet")
    if why_not := next(filter(None, (_unusable(claim, record) for record in records)), None):
        return Verdict(claim, NOT_RUN, why_not)
    plays = [
        [[metric_values(record, name) for name in part.metrics] for part in claim.parts] for record in records
    ]
    claim = _in_words(claim, records[0])
    found = _verdict(claim, _averaged(claim, plays), _mark(claim, records[0]))
    if len(records) == 1:
        return found
    each = tuple(_verdict(claim, play, found.mark) for play in plays)
    why = "; then ".join(f"{play.verdict} ({play.reason})" for play in each)
    words = {play.verdict for play in each}
    if words != {found.verdict}:
        two = "two runs of the same seeds"
        said = f"{two} disagree" if len(words) > 1 else f"neither of {two} says more"
        found = replace(found, verdict=UNDECIDED, reason=f"{said}: {why}")
    return replace(found, plays=each)


def _unusable(claim: Claim, record: dict) -> str | None:
    """Why the record cannot say anything about the claim; None where it can."""
    page, made_under = claim.page, set(record["criteria"].items())
    if not made_under & {(claim.id, claim.hash), claim.made_under}:
        changed = "a different criterion" if claim.id in record["criteria"] else "no criterion for this claim"
        return f"the record of {page} was made under {changed}: run it again"
    wanted = [(part, name) for part in claim.parts for name in part.metrics]
    lacking = [name for _, name in wanted if name not in record["metrics"]]
    if lacking:
        return f"the record of {page} lacks {', '.join(dict.fromkeys(lacking))}"
    for part, name in wanted:
        said = record["metrics"][name].get("kind", part.kind)  # older records have none, or a vague one
        other = said not in (PER_SEED, part.kind) and not part.of
        if other or (said == EXACT) != (part.kind == EXACT):
            return f"{name} is recorded by {page} as {said}, and claims.yml says {part.kind}"
    return None


def _in_words(claim: Claim, record: dict) -> Claim:
    """The claim, its parts with their labels: the record's, the ledger's, or the name with blanks."""
    said = {name: metric.get("label") for name, metric in record["metrics"].items()}
    parts = [
        replace(part, label=said.get(part.metric) or part.label or part.metric.replace("_", " "))
        for part in claim.parts
    ]
    return replace(claim, parts=tuple(parts))


def _mark(claim: Claim, record: dict) -> str:
    """Whether criterion and analysis stood before the run, as the record tells."""
    cells = record.get("provenance", {}).get("cells", {}).values()
    # Cells older than this entry say nothing: git's history does (`claims --audit`).
    under = [record["criteria"], *(cell["criteria"] for cell in cells if "criteria" in cell)]
    same = all(made.get(claim.id) == claim.hash for made in under)
    analysed = claim.analysis == EXACT or record.get("analysis", {}).get(claim.id) == claim.analysis
    return CRITERION_FIRST if same and analysed else REANALYSED


def _averaged(claim: Claim, plays: list[list[list[np.ndarray]]]) -> list[list[np.ndarray]]:
    """For each part its vectors, averaged trial by trial over the plays; lost in one play, lost."""
    found = []
    for part, several in zip(claim.parts, zip(*plays, strict=True), strict=True):
        together = np.max if part.kind == "share" else np.mean  # zeros and ones: lost in one play counts
        cut = ([v[: min(map(len, same))] for v in same] for same in zip(*several, strict=True))
        found.append([together(same, axis=0) for same in cut])
    return found


def _verdict(claim: Claim, vectors: list[list[np.ndarray]], mark: str) -> Verdict:
    alone = [measure(part, of) for part, of in zip(claim.parts, vectors, strict=True)]
    if all(item.alone == REPRODUCED for item in alone):
        return Verdict(claim, REPRODUCED, _reason(alone), tuple(alone), mark)
    measured = tuple(_with_power(item, of) for item, of in zip(adjusted(alone), vectors, strict=True))
    return Verdict(claim, combine([item.verdict for item in measured]), _reason(measured), measured, mark)


def measure(part: Part, vectors: Sequence[np.ndarray]) -> Measured:
    """One condition by itself, over its vectors with one value per trial, (n,), or over one exact number."""
    lost = max(int(np.isnan(np.asarray(vector, dtype=float)).sum()) for vector in vectors)
    n = min(len(vector) for vector in vectors)
    if part.certain:
        value, low, high, alone = _certain(part, np.asarray(vectors[0], dtype=float))
        return Measured(part, value, low, high, n, lost, alone, 0.0 if alone != UNDECIDED else 1.0, alone)
    value, low, high = intervals.estimate(part.kind, vectors, worst=part.worst)
    p = intervals.p_value(part.kind, vectors, part.decided, part.worst)
    alone = REPRODUCED if part.holds(low, high) else NOT if part.fails(low, high) else UNDECIDED
    return Measured(part, value, low, high, n, lost, alone, p, alone)


def _certain(part: Part, values: np.ndarray) -> tuple[float, float, float, str]:
    """Value, ends and word of an exact number, or of an identity's errors, of which the worst counts."""
    words = {REPRODUCED if part.holds(v, v) else NOT for v in values[~np.isnan(values)]}
    low, high = (float(np.nanmin(values)), float(np.nanmax(values))) if words else (math.nan, math.nan)
    worst = low if part.bound == "above" else high
    if NOT in words:
        return worst, low, high, NOT
    return worst, low, high, UNDECIDED if np.isnan(values).any() else REPRODUCED


def adjusted(alone: Sequence[Measured]) -> list[Measured]:
    """Holm's step-down over the parts that chance is in: the k-th smallest p of m at 5 % / (m - k + 1)."""
    uncertain = sorted((item for item in alone if not item.part.certain), key=lambda item: item.p)
    levels, going = {}, True
    for k, item in enumerate(uncertain):
        alpha = ALPHA / (len(uncertain) - k)
        going = going and item.p <= alpha
        levels[item.part] = (1 - alpha, going)
    found = []
    for item in alone:
        level, kept = levels.get(item.part, (intervals.LEVEL, True))
        found.append(replace(item, level=level, verdict=item.alone if kept else UNDECIDED))
    return found


def _with_power(item: Measured, vectors: Sequence[np.ndarray]) -> Measured:
    """Beside an undecided part: what n trials would have seen, and how many the paper's effect needs."""
    part = item.part
    if item.verdict != UNDECIDED or part.certain:
        return item
    effect = intervals.smallest_effect(part.kind, vectors, item.level, part.worst)
    needed = None
    # By the t-test, whichever kind decides: what it would take if the differences scatter evenly.
    if part.printed and part.kind in ("mean", "median") and not item.lost and item.n > 1:
        values = intervals.difference_of(vectors)
        needed = paired.pairs_needed_between(part.printed, values) if np.ptp(values) else None
    return replace(item, effect=effect, needed=needed)


def combine(verdicts: Sequence[str]) -> str:
    """The verdict over several parts."""
    if all(verdict == REPRODUCED for verdict in verdicts):
        return REPRODUCED
    if REPRODUCED in verdicts:
        return PARTLY
    return NOT if NOT in verdicts else UNDECIDED


def _reason(measured: Sequence[Measured]) -> str:
    counts = [(sum(item.verdict == verdict for item in measured), verdict) for verdict in VERDICTS]
    said = ", ".join(f"{count} {verdict}" for count, verdict in counts if count) + f" of {len(measured)}"
    moved = sum(item.verdict != item.alone for item in measured)
    small = [item.part.label for item in measured if item.verdict == UNDECIDED and item.too_small]
    lost = sum(item.lost for item in measured)
    more = {
        f"{moved} decided alone, but not as one of several": moved,
        f"n too small for {', '.join(small)}": small,
        f"{lost} values missing": lost,
    }
    return "; ".join([said, *(words for words, there in more.items() if there)])
