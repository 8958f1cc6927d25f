"""The criteria, as ``claims.yml`` states them: what the papers claim, and the condition fixed before the run.

Read and checked here; :mod:`bridgekit.claims` decides.
"""

import hashlib
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

from .errors import BridgekitError, nearest
from .yaml_reader import read_yaml

SNAKE_CASE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_CLAIM_KEYS = ("id", "paper", "place", "statement", "page", "criterion")
_BOUNDS = ("above", "below", "within")


@dataclass(frozen=True)
class Part:
    """One measurable condition: the metric's true value lies in the open (``within``: closed) range."""

    metric: str
    bound: str  # above, below or within
    target: tuple[float, float]  # (-inf, x) for below, (x, inf) for above
    exact: bool = False  # one number without sampling error, a quadrature say; else one value per seed

    def __str__(self) -> str:
        low, high = self.target
        number = {"above": f"{low:g}", "below": f"{high:g}", "within": f"[{low:g}, {high:g}]"}[self.bound]
        return f"{self.metric} {self.bound} {number}"

    def holds(self, low: float, high: float) -> bool:
        """Whether the interval [low, high] lies wholly on the right side."""
        if self.bound == "within":
            return self.target[0] <= low and high <= self.target[1]
        return self.target[0] < low and high < self.target[1]

    def fails(self, low: float, high: float) -> bool:
        """Whether it lies wholly on the wrong side."""
        if self.bound == "within":
            return high < self.target[0] or low > self.target[1]
        return high <= self.target[0] or low >= self.target[1]


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

    @property
    def hash(self) -> str:
        """Fingerprint of the criterion: its text (white space folded) and its parts, nothing else."""
        parts = [[part.metric, part.bound, *(repr(float(x)) for x in part.target)] for part in self.parts]
        content = json.dumps([" ".join(self.text.split()), parts], ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()[:16]


def of_page(root: Path, page: str) -> list[Claim]:
    """The claims that ``page`` decides, in the ledger's order; none where there is no ``claims.yml``."""
    if not (Path(root) / "claims.yml").exists():
        return []
    return [claim for claim in load(root) if claim.page == page and claim.parts]


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
    if not isinstance(entries, list):
        raise BridgekitError(f"the claims ledger {path} must be a list of claims.")
    claims = [_claim(entry, f"claims.yml, entry {place}") for place, entry in enumerate(entries, 1)]
    ids = [claim.id for claim in claims]
    twice = sorted({name for name in ids if ids.count(name) > 1})
    if twice:
        raise BridgekitError(f"claims.yml has the id {', '.join(twice)} twice: each claim needs its own.")
    return claims


def _claim(entry, where: str) -> Claim:
    _check_keys(entry, _CLAIM_KEYS, where)
    where = f"claims.yml, claim {entry['id']}"
    for key in _CLAIM_KEYS[:-1]:
        if not isinstance(entry[key], str) or not entry[key].strip():
            raise BridgekitError(f"{where}: {key} must be a text that is not empty.")
    criterion = entry["criterion"]
    _check_keys(criterion, ("text", "parts"), f"{where}, criterion")
    if not isinstance(criterion["text"], str) or not isinstance(criterion["parts"], list):
        raise BridgekitError(f"{where}: criterion.text must be a text and criterion.parts a list.")
    parts = tuple(_part(part, where) for part in criterion["parts"])
    texts = {key: " ".join(entry[key].split()) for key in _CLAIM_KEYS[:-1]}
    return Claim(**texts, text=" ".join(criterion["text"].split()), parts=parts)


def _check_keys(entry, known: tuple[str, ...], where: str) -> None:
    if not isinstance(entry, dict):
        raise BridgekitError(f"{where} must be a mapping with the keys {', '.join(known)}.")
    for key in entry:
        if key not in known:
            raise BridgekitError(f"{where}: unknown key {key!r}: {nearest(key, known)}")
    lacking = [key for key in known if key not in entry]
    if lacking:
        raise BridgekitError(f"{where}: {', '.join(lacking)} missing.")


def _part(entry, where: str) -> Part:
    given = dict(entry) if isinstance(entry, dict) else {}
    metric, exact = given.pop("metric", None), given.pop("exact", False)
    if len(given) != 1 or metric is None or not isinstance(exact, bool):
        raise BridgekitError(
            f"{where}: a part is {{metric: name, above | below | within: bound}}, with exact: true where the "
            f"number has no sampling error, not {entry!r}."
        )
    if not isinstance(metric, str) or not SNAKE_CASE.fullmatch(metric):
        raise BridgekitError(f"{where}: the metric's name {metric!r} is not snake_case.")
    (bound,) = given
    if bound not in _BOUNDS:
        raise BridgekitError(f"{where}: unknown key {bound!r}: {nearest(bound, _BOUNDS)}")
    return Part(metric, bound, _target(bound, given[bound], f"{where}, {metric}"), exact)


def _target(bound: str, given, where: str) -> tuple[float, float]:
    numbers = given if bound == "within" and isinstance(given, list) else [given]
    right = all(isinstance(x, (int, float)) and not isinstance(x, bool) and math.isfinite(x) for x in numbers)
    if not right or len(numbers) != (2 if bound == "within" else 1):
        raise BridgekitError(
            f"{where}: {bound} needs {'[low, high]' if bound == 'within' else 'a number'}, not {given!r}."
        )
    if bound == "within" and numbers[0] > numbers[1]:
        raise BridgekitError(f"{where}: within {given!r} is upside down.")
    return {"above": (numbers[0], math.inf), "below": (-math.inf, numbers[0]), "within": tuple(numbers)}[
        bound
    ]
