"""The claims ledger: what the papers state, the criterion fixed beforehand, the verdict from run records.

``claims.yml`` holds statements and criteria only. Verdict, value and interval are computed here, and only the
committed reference records ``figures/paper/<page>/record.json`` decide: of that page, at profile `paper` with
the parameters that it says, from a clean tree, with the declared seeds (``inadmissible``). A record carries
the hash of every criterion it was made under: one that changed afterwards shows as *not run*.
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import placement, sums
from .criteria import Claim, Part, load
from .errors import BridgekitError
from .parameters import declared_in
from .records import intact, is_exact, metric_values, portable, read_record
from .yaml_reader import read_yaml

REPRODUCED, NOT, PARTLY, UNDECIDED, NOT_RUN = "reproduced", "not reproduced", "partly", "undecided", "not run"
VERDICTS = (REPRODUCED, PARTLY, UNDECIDED, NOT, NOT_RUN)


@dataclass(frozen=True)
class Measured:
    """A condition measured: mean and 95 % interval over ``n`` values, ``lost`` of them not finite."""

    part: Part
    mean: float
    low: float
    high: float
    n: int
    lost: int
    verdict: str


@dataclass(frozen=True)
class Verdict:
    """A claim with its verdict, the reason for it in words, and the measurements behind it."""

    claim: Claim
    verdict: str
    reason: str
    measured: tuple[Measured, ...] = ()

    def as_dict(self) -> dict:
        """For machines: plain JSON types, None for what is not finite."""
        claim = self.claim
        parts = [
            {
                "metric": item.part.metric,
                "criterion": str(item.part),
                "verdict": item.verdict,
                "mean": _number(item.mean),
                "interval": [_number(item.low), _number(item.high)],
                "exact": item.part.exact,
                "n": item.n,
                "lost": item.lost,
            }
            for item in self.measured
        ]
        facts = {key: getattr(claim, key) for key in ("id", "paper", "place", "statement", "page", "hash")}
        return {
            **facts,
            "criterion": claim.text,
            "verdict": self.verdict,
            "reason": self.reason,
            "parts": parts,
        }


def interval(values: np.ndarray, exact: bool = False) -> tuple[float, float, float]:
    """Mean and two-sided 95 % t-interval of the finite values among ``values``, (n,).

    An ``exact`` value, (1,), is its own interval. One seed, or one survivor of several, says nothing about
    another seed: its interval is infinite. No survivor at all gives NaN.
    """
    values = np.asarray(values, dtype=float)
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return math.nan, math.nan, math.nan
    mean = float(finite.mean())
    if finite.size == 1:
        return (mean, mean, mean) if exact else (mean, -math.inf, math.inf)
    from scipy.special import stdtrit

    half = float(stdtrit(finite.size - 1, 0.975) * finite.std(ddof=1) / math.sqrt(finite.size))
    return mean, mean - half, mean + half


def measure(part: Part, values: np.ndarray) -> Measured:
    """The verdict of one condition over one value per seed, (n,), or over an exact one, (1,)."""
    mean, low, high = interval(values, part.exact)
    lost = int((~np.isfinite(values)).sum())
    if math.isnan(mean) or 2 * lost > values.size:
        verdict = UNDECIDED
    elif part.holds(low, high):
        verdict = REPRODUCED
    elif part.fails(low, high):
        verdict = NOT
    else:
        verdict = UNDECIDED
    return Measured(part, mean, low, high, values.size, lost, verdict)


def combine(verdicts: list[str]) -> str:
    """The verdict over several parts."""
    if all(verdict == REPRODUCED for verdict in verdicts):
        return REPRODUCED
    if REPRODUCED in verdicts:
        return PARTLY
    return NOT if NOT in verdicts else UNDECIDED


def judge(claim: Claim, record: dict) -> Verdict:
    """What ``record`` says about ``claim``, whichever run it is (only reference records decide)."""
    if not claim.parts:
        return Verdict(claim, NOT_RUN, "no page decides it yet")
    made_under = record["criteria"].get(claim.id)
    if made_under != claim.hash:
        changed = "a different criterion" if made_under else "no criterion for this claim"
        return Verdict(claim, NOT_RUN, f"the record of {claim.page} was made under {changed}: run it again")
    lacking = [part.metric for part in claim.parts if part.metric not in record["metrics"]]
    if lacking:
        return Verdict(claim, NOT_RUN, f"the record of {claim.page} lacks {', '.join(lacking)}")
    other = [part for part in claim.parts if is_exact(record, part.metric, part.exact) != part.exact]
    if other:
        kinds = ("one value per seed", "exact") if other[0].exact else ("exact", "one value per seed")
        why = f"{other[0].metric} is {kinds[0]} in the record of {claim.page}, and {kinds[1]} in claims.yml"
        return Verdict(claim, NOT_RUN, why)
    measured = tuple(measure(part, metric_values(record, part.metric)) for part in claim.parts)
    verdict = combine([item.verdict for item in measured])
    return Verdict(claim, verdict, _reason(measured), measured)


def _reason(measured: tuple[Measured, ...]) -> str:
    counts = [(sum(item.verdict == verdict for item in measured), verdict) for verdict in VERDICTS]
    met = ", ".join(f"{count} {verdict}" for count, verdict in counts if count)
    lost = sum(item.lost for item in measured)
    return f"{met} of {len(measured)}" + (f"; {lost} values not finite" if lost else "")


def ledger(root: Path) -> list[Verdict]:
    """A verdict for every claim in ``claims.yml``, from the committed reference records alone.

    Raises BridgekitError where a file of one of these runs is missing or damaged: it says nothing then.
    """
    claims = load(root)
    placement.recover(Path(root))
    for page in sorted({claim.page for claim in claims if claim.parts}):
        folder = Path(root) / "figures" / "paper" / page
        if (folder / "record.json").exists() and (folder / sums.NAME).exists():
            intact(folder)
    return [decided(root, claim) for claim in claims]


def decided(root: Path, claim: Claim) -> Verdict:
    """What the committed reference record of the claim's page says, where it may decide; else *not run*."""
    path = Path(root) / "figures" / "paper" / claim.page / "record.json"
    if not claim.parts:
        return judge(claim, {})
    if not path.exists():
        return Verdict(claim, NOT_RUN, f"no reference run of {claim.page} is committed")
    if not (path.parent / sums.NAME).exists():
        way_out = "restore it (git checkout), or run the page again"
        return Verdict(claim, NOT_RUN, f"the reference run of {claim.page} has no {sums.NAME}: {way_out}")
    record = read_record(path)
    why_not = inadmissible(root, claim, record)
    return Verdict(claim, NOT_RUN, why_not) if why_not else judge(claim, record)


def inadmissible(root: Path, claim: Claim, record: dict) -> str | None:
    """Why a record may not decide the claim; None where it may."""
    page, made = claim.page, record["provenance"]
    if record["page"] != page or record["profile"] != "paper":
        return (
            f"the record of {page} is no reference run, but {record['page']} at profile {record['profile']}"
        )
    if made.get("commit") is None or made.get("dirty") is not False:
        return f"the record of {page} is not from a clean tree: commit, and run it again"
    for name, piece in made.get("pieces", {}).items():
        if piece.get("commit") is None or piece.get("dirty") is not False:
            return f"the record of {page} holds a piece, {name}, that is not from a clean tree: make it again"
    says, ran = reference_parameters(root, page), record["parameters"]
    # A parameter that the page has gained since the run is in no older record.
    other = sorted(name for name, value in ran.items() if name not in says or says[name] != value)
    if other:
        named = ", ".join(f"{name} is {ran.get(name)!r}, not {says.get(name)!r}" for name in other)
        return f"the record of {page} has not the parameters of profile paper ({named}): run it again"
    # A page may have several numbers of seeds; only it knows which a metric is over: the fewest are wanted.
    seeds = min((n for name, n in says.items() if re.fullmatch(r"(\w+_)?seeds", name)), default=1)
    counts = {
        part.metric: len(record["metrics"].get(part.metric, {}).get("values", ())) for part in claim.parts
    }
    few = [part.metric for part in claim.parts if not part.exact and 0 < counts[part.metric] < seeds]
    return f"the record of {page} has fewer values than seeds: {', '.join(few)}" if few else None


def reference_parameters(root: Path, page: str) -> dict:
    """The parameters of a page at profile `paper`, as its record holds them; {} where there is no page."""
    source, profile = Path(root) / "book" / f"{page}.md", Path(root) / "profiles" / "paper.yaml"
    if not (source.is_file() and profile.is_file()):
        return {}
    known = declared_in(source.read_text(encoding="utf-8"), page)
    set_there = (read_yaml(profile.read_text(encoding="utf-8"), str(profile)) or {}).get(page) or {}
    values = {name: p.default for name, p in known.items()}
    values |= {name: known[name].fit(value) for name, value in set_there.items() if name in known}
    return {name: portable(value, Path(root)) for name, value in values.items()}


def of_paper(verdicts: list[Verdict], paper: str) -> list[Verdict]:
    """The verdicts on one paper's claims, or on all for ``"all"``; BridgekitError for another name."""
    papers = sorted({verdict.claim.paper for verdict in verdicts})
    if paper not in ["all", *papers]:
        raise BridgekitError(f"no paper {paper!r} in claims.yml: choose 'all' or one of {', '.join(papers)}.")
    return [verdict for verdict in verdicts if paper in ("all", verdict.claim.paper)]


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
