"""The criteria, as ``claims.yml`` states them: what the papers claim, and the condition fixed before the run.

Read and checked here; :mod:`bridgekit.book.claims` decides.
"""

import hashlib
import json
import math
import re
from dataclasses import dataclass, replace
from pathlib import Path

from bridgekit.book.records import EXACT
from bridgekit.book.yaml_reader import read_yaml
from bridgekit.errors import BridgekitError, nearest
from bridgekit.measure import intervals

SNAKE_CASE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_CLAIM_KEYS = ("id", "paper", "place", "statement", "page", "criterion")
_MORE_KEYS = ("superseded", "made_under", "earlier")
_BOUNDS = ("above", "below", "within")
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
    earlier: tuple[tuple[str, str], ...] = ()  # (commit, why): what the ledger said before, and why no longer

    @property
    def hash(self) -> str:
        """Fingerprint of the criterion: its text (white space folded) and its parts, nothing else."""
        parts = [[part.metric, part.bound, *(repr(float(x)) for x in part.target)] for part in self.parts]
        return _digest([" ".join(self.text.split()), parts])

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
    if not (Path(root) / "claims.yml").exists():
        return []
    found = []
    for claim in load(root):
        older = claim.superseded
        found += [each for each in (claim, older) if each and each.page == page and each.parts][:1]
    return found


def load(root: Path) -> list[Claim]:
    """Read and check ``claims.yml``; BridgekitError names the entry and what is wrong with it."""
    path = Path(root) / "claims.yml"
    try:
        entries = read_yaml(path.read_text(encoding="utf-8"), "it")
    except (OSError, UnicodeDecodeError, BridgekitError) as error:
        what = " ".join(str(error).split())
        raise BridgekitError(
            f"the claims ledger {path} cannot be read: {what}. Correct it, or restore it (git checkout)."
        ) from error
    return parse(entries)


def parse(entries) -> list[Claim]:
    """The claims that ``claims.yml`` holds, checked."""
    if not isinstance(entries, list):
        raise BridgekitError("the claims ledger claims.yml must be a list of claims.")
    claims = [_claim(entry, f"claims.yml, entry {place}") for place, entry in enumerate(entries, 1)]
    ids = [claim.id for claim in claims]
    twice = sorted({name for name in ids if ids.count(name) > 1})
    if twice:
        raise BridgekitError(f"claims.yml has the id {', '.join(twice)} twice: each claim needs its own.")
    return claims


def _claim(entry, where: str) -> Claim:
    _check_keys(entry, _CLAIM_KEYS, where, _MORE_KEYS)
    where = f"claims.yml, claim {entry['id']}"
    for key in _CLAIM_KEYS[:-1]:
        if not isinstance(entry[key], str) or not entry[key].strip():
            raise BridgekitError(f"{where}: {key} must be a text that is not empty.")
    texts = {key: " ".join(entry[key].split()) for key in _CLAIM_KEYS[:-1]}
    claim = Claim(**texts, **_criterion(entry["criterion"], f"{where}, criterion"))
    before = entry.get("superseded")
    if before is not None:
        _check_keys(before, ("page", "criterion"), f"{where}, superseded")
        older = _criterion(before["criterion"], f"{where}, superseded criterion")
        claim = replace(claim, superseded=replace(claim, page=str(before["page"]), **older))
    under = entry.get("made_under")
    if under is not None:
        _check_keys(under, ("id", "hash"), f"{where}, made_under")
        claim = replace(claim, made_under=(str(under["id"]), str(under["hash"])))
    return replace(claim, earlier=_earlier(entry.get("earlier", []), where))


def _criterion(entry, where: str) -> dict:
    _check_keys(entry, ("text", "parts"), where)
    if not isinstance(entry["text"], str) or not isinstance(entry["parts"], list):
        raise BridgekitError(f"{where}: text must be a text and parts a list.")
    parts = tuple(_part(part, where) for part in entry["parts"])
    if sum(part.primary for part in parts) > 1:
        raise BridgekitError(f"{where}: only one part is primary.")
    return {"text": " ".join(entry["text"].split()), "parts": parts}


def _earlier(entries, where: str) -> tuple[tuple[str, str], ...]:
    if not isinstance(entries, list):
        raise BridgekitError(f"{where}: earlier must be a list of {{commit, why}}.")
    for entry in entries:
        _check_keys(entry, ("commit", "why"), f"{where}, earlier")
        # Unquoted, 9e71667 is a number to YAML.
        if not (isinstance(entry["commit"], str) and re.fullmatch("[0-9a-f]{7,40}", entry["commit"])):
            raise BridgekitError(f"{where}, earlier: a commit is a quoted text, not {entry['commit']!r}.")
    return tuple((entry["commit"], " ".join(str(entry["why"]).split())) for entry in entries)


def _check_keys(entry, known: tuple[str, ...], where: str, more: tuple[str, ...] = ()) -> None:
    if not isinstance(entry, dict):
        raise BridgekitError(f"{where} must be a mapping with the keys {', '.join(known)}.")
    for key in entry:
        if key not in known + more:
            raise BridgekitError(f"{where}: unknown key {key!r}: {nearest(key, known + more)}")
    lacking = [key for key in known if key not in entry]
    if lacking:
        raise BridgekitError(f"{where}: {', '.join(lacking)} missing.")


def _part(entry, where: str) -> Part:
    given = dict(entry) if isinstance(entry, dict) else {}
    metric, exact = given.pop("metric", None), given.pop("exact", False)
    kind = given.pop("kind", EXACT if exact else "mean")
    more = {key: given.pop(key) for key in ("of", "primary", "printed") if key in given}
    if len(given) != 1 or metric is None or not isinstance(exact, bool) or (exact and kind != EXACT):
        raise BridgekitError(
            f"{where}: a part is {{metric: name, above | below | within: bound}}, with exact: true where the "
            f"number has no sampling error, else with its kind, not {entry!r}."
        )
    (bound,) = given
    if bound not in _BOUNDS:
        raise BridgekitError(f"{where}: unknown key {bound!r}: {nearest(bound, _BOUNDS)}")
    names = [metric, *_names(more.get("of", []), where)]
    for name in names:
        if not isinstance(name, str) or not SNAKE_CASE.fullmatch(name):
            raise BridgekitError(f"{where}: the metric's name {name!r} is not snake_case.")
    part = Part(metric, bound, _target(bound, given[bound], f"{where}, {metric}"), kind, tuple(names[1:]))
    _check_kind(part, f"{where}, {metric}")
    primary, printed = more.get("primary", False), more.get("printed")
    if not isinstance(primary, bool):
        raise BridgekitError(f"{where}, {metric}: primary is true or left out, not {primary!r}.")
    if printed is not None and (not _is_number(printed) or not printed):
        raise BridgekitError(f"{where}, {metric}: printed needs a number other than 0, not {printed!r}.")
    return replace(part, primary=primary, printed=printed)


def _names(entries, where: str) -> list:
    if not isinstance(entries, list):
        raise BridgekitError(f"{where}: of must be a list of metrics.")
    return entries


def _check_kind(part: Part, where: str) -> None:
    if part.kind not in (*CERTAIN, *intervals.KINDS):
        known = (*CERTAIN, *intervals.KINDS)
        raise BridgekitError(f"{where}: unknown kind {part.kind!r}: {nearest(part.kind, known)}")
    vectors = (1,) if part.certain else intervals.KINDS[part.kind].vectors
    if part.certain and part.of:
        raise BridgekitError(f"{where}: kind {part.kind} is the metric itself, made of no others.")
    if len(part.metrics) not in vectors:
        wanted = " or ".join(map(str, vectors))
        raise BridgekitError(
            f"{where}: kind {part.kind} is made of {wanted} metrics, not {len(part.metrics)}."
        )


def _is_number(x) -> bool:
    return isinstance(x, (int, float)) and not isinstance(x, bool) and math.isfinite(x)


def _target(bound: str, given, where: str) -> tuple[float, float]:
    numbers = given if bound == "within" and isinstance(given, list) else [given]
    if not all(map(_is_number, numbers)) or len(numbers) != (2 if bound == "within" else 1):
        raise BridgekitError(
            f"{where}: {bound} needs {'[low, high]' if bound == 'within' else 'a number'}, not {given!r}."
        )
    if bound == "within" and numbers[0] > numbers[1]:
        raise BridgekitError(f"{where}: within {given!r} is upside down.")
    return {"above": (numbers[0], math.inf), "below": (-math.inf, numbers[0]), "within": tuple(numbers)}[
        bound
    ]
