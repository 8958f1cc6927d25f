"""The criteria, as ``claims.yml`` states them: what the papers claim, and the condition fixed before the run.

Read and checked here; :mod:`bridgekit.book.claims` decides.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from bridgekit import closure
from bridgekit.book import schemas
from bridgekit.book.records import EXACT
from bridgekit.book.yaml_reader import read_yaml
from bridgekit.errors import BridgekitError, nearest
from bridgekit.measure import intervals

SNAKE_CASE = re.compile(schemas.schema("claims")["$defs"]["name"]["pattern"])
IDENTITY = "identity"
# Numbers that no chance is in have no interval: a quadrature, or the rounding error of an equation.
CERTAIN = (EXACT, IDENTITY)
# The rule of analysis: what intervals and verdicts are made by. It counts on when that changes.
RULE = 2


@dataclass(frozen=True)
class Part:
    """One measurable condition: the metric's true value lies in the open (``within``: closed) range.

    ``kind`` is how it is estimated: one of :data:`bridgekit.measure.intervals.KINDS`; or ``exact``, a number
    without sampling error; or ``identity``, the error of an equation, which holds in every trial or not at
    all, so that the worst trial decides. ``of`` names the metrics that the estimate is made of, where that is
    not the one called ``metric``: two to be compared trial by trial, or four whose changes are compared.
    """

    metric: str
    bound: str  # above, below or within
    target: tuple[float, float]  # (-inf, x) for below, (x, inf) for above
    kind: str = "mean"
    of: tuple[str, ...] = ()
    primary: bool = False  # the part that says most about the claim; it stands first
    printed: float | None = None  # the paper's own number for this effect
    # What it is, in words: as its record says it, or as claims.yml where that does not.
    label: str = field(default="", compare=False)

    @property
    def certain(self) -> bool:
        """Whether it has no sampling error."""
        return self.kind in CERTAIN

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics of the record that it is made of."""
        return self.of or (self.metric,)

    @property
    def worst(self) -> float:
        """What a lost trial counts as: the far end of the wrong side."""
        return {"above": intervals.LOW, "below": intervals.HIGH, "within": intervals.EITHER}[self.bound]

    def __str__(self) -> str:
        low, high = self.target
        number = {"above": f"{low:g}", "below": f"{high:g}", "within": f"[{low:g}, {high:g}]"}[self.bound]
        return f"{self.metric} {self.bound} {number}"

    def holds(self, low: float, high: float) -> bool:
        """Whether the interval [low, high] lies wholly on the right side."""
        if self.bound == "within":
            return self.target[0] <= low and high <= self.target[1]
        return low > self.target[0] if self.bound == "above" else high < self.target[1]

    def fails(self, low: float, high: float) -> bool:
        """Whether it lies wholly on the wrong side."""
        if self.bound == "within":
            return high < self.target[0] or low > self.target[1]
        return high <= self.target[0] if self.bound == "above" else low >= self.target[1]

    def decided(self, low: float, high: float) -> bool:
        """Whether it lies wholly on one side."""
        return self.holds(low, high) or self.fails(low, high)


@dataclass(frozen=True)
class Claim:
    """One claim of a paper and the criterion that decides it; no ``parts``: no page decides it yet."""

    id: str
    paper: str
    place: str
    statement: str
    page: str
    text: str
    parts: tuple[Part, ...]
    superseded: "Claim | None" = None  # the criterion before, which speaks until this one's run is there
    made_under: tuple[str, str] | None = None  # (id, hash) of the run's criterion, if parts were regrouped
    earlier: tuple[tuple[str, str, bool], ...] = ()  # (commit, why no longer, other seeds): said before
    figure: str = ""  # of its page, where one shows the numbers that decide

    @property
    def hash(self) -> str:
        """Fingerprint of the criterion: its text (white space folded) and its parts, nothing else."""
        parts = [[part.metric, part.bound, *(repr(float(x)) for x in part.target)] for part in self.parts]
        return _digest([_folded(self.text), parts])

    @property
    def analysis(self) -> str:
        """Fingerprint of how its numbers are turned into a verdict; ``exact`` where all of them are."""
        uncertain = [[part.metric, part.kind, list(part.of)] for part in self.parts if part.kind != EXACT]
        return _digest([RULE, uncertain]) if uncertain else EXACT


def _digest(content) -> str:
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()[:16]


def of_page(root: Path, page: str) -> list[Claim]:
    """The claims that ``page`` decides, in the ledger's order; none where there is no ``claims.yml``.

    A criterion that another page's has superseded is among them: it speaks until that one's run is there.
    """
    claims = load(root) if (Path(root) / "claims.yml").exists() else []
    found = (
        next((each for each in (claim, claim.superseded) if each and each.page == page and each.parts), None)
        for claim in claims
    )
    return [*filter(None, found)]


def load(root: Path) -> list[Claim]:
    """Read and check ``claims.yml``; BridgekitError names the entry and what is wrong with it."""
    path = Path(root) / "claims.yml"
    try:
        return list(parse(closure.text(path)))
    except OSError as error:
        raise BridgekitError(
            f"the claims ledger {path} cannot be read: {error}. Correct it, or restore it (git checkout)."
        ) from error


@cache
def parse(text: str, name: str = "claims.yml") -> tuple[Claim, ...]:
    """The claims of a ledger, checked."""
    entries = read_yaml(text, name)
    schemas.check("claims", entries, name)
    ids = [entry["id"] for entry in entries]
    if twice := sorted({each for each in ids if ids.count(each) > 1}):
        raise BridgekitError(f"{name} has the id {', '.join(twice)} twice: each claim needs its own.")
    return tuple(_claim(entry, f"{name}, {entry['id']}") for entry in entries)


def _claim(entry: Mapping, where: str) -> Claim:
    texts = {key: _folded(entry[key]) for key in ("id", "paper", "place", "statement", "page")}
    claim = Claim(**texts, **_criterion(entry["criterion"], where))
    before, under = entry.get("superseded"), entry.get("made_under")
    under = (under["id"], under["hash"]) if under else None
    if before:
        older = _criterion(before["criterion"], f"{where}, superseded")
        before, under = replace(claim, page=before["page"], made_under=under, **older), None
    earlier = (
        (then["commit"], _folded(then["why"]), then.get("fresh", False)) for then in entry.get("earlier", ())
    )
    added = {"made_under": under, "earlier": tuple(earlier), "figure": entry.get("figure", "")}
    return replace(claim, superseded=before, **added)


def _folded(text: str) -> str:
    """With single blanks for all white space."""
    return " ".join(text.split())


def _criterion(entry: Mapping, where: str) -> dict:
    parts = tuple(_part(part, where) for part in entry["parts"])
    if sum(part.primary for part in parts) > 1:
        raise BridgekitError(f"{where}: only one part is primary.")
    return {"text": _folded(entry["text"]), "parts": parts}


def _part(entry: Mapping, where: str) -> Part:
    given = dict(entry)
    kind = EXACT if given.pop("exact", False) else given.pop("kind", "mean")
    bound = next(name for name in ("above", "below", "within") if name in given)
    ends = given.pop(bound)
    target = {"above": (ends, math.inf), "below": (-math.inf, ends), "within": ends}[bound]
    part = Part(bound=bound, target=tuple(target), kind=kind, of=tuple(given.pop("of", ())), **given)
    if part.target[0] > part.target[1]:
        raise BridgekitError(f"{where}, {part.metric}: within {ends} is upside down.")
    _check_vectors(part, f"{where}, {part.metric}")
    return part


def check_kind(kind: str, where: str) -> None:
    """Raise BridgekitError unless a metric may have this ``kind``."""
    if kind not in (known := (*CERTAIN, *intervals.KINDS)):
        raise BridgekitError(f"{where}: {kind!r} is no kind: {nearest(kind, known)}")


def _check_vectors(part: Part, where: str) -> None:
    check_kind(part.kind, where)
    vectors = (1,) if part.certain else intervals.KINDS[part.kind].vectors
    if len(part.metrics) not in vectors or (part.certain and part.of):
        raise BridgekitError(
            f"{where}: kind {part.kind} is made of {' or '.join(map(str, vectors))} metrics, "
            f"not {len(part.metrics)}."
        )
