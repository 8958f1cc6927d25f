"""The claims ledger: what the papers state, the criterion fixed beforehand, the verdict from run records.

``claims.yml`` holds statements and criteria only. Verdict, value and interval are computed, and only the
committed reference records ``figures/paper/<page>/record.json`` decide: of that page, of role *reference*,
with the parameters that the profile says, from a clean tree, with the declared seeds (``inadmissible``). A
record carries the hash of every criterion it was made under: one that changed afterwards shows as *not run*,
unless ``claims.yml`` keeps the criterion before, whose verdict then stays and is marked *superseded*.
"""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

from bridgekit import closure
from bridgekit.book import pages, placement, sums
from bridgekit.book.criteria import Claim, load
from bridgekit.book.pages import PAPER
from bridgekit.book.records import COMMITTED, EXACT, REFERENCE, committed, portable
from bridgekit.book.verdicts import NOT_RUN, REANALYSED, Verdict, judge
from bridgekit.book.yaml_reader import read_yaml
from bridgekit.errors import BridgekitError

EARLIER = Path("figures", "earlier")  # <commit>.json: what the ledger said at that commit


def ledger(root: Path) -> list[Verdict]:
    """A verdict for every claim in ``claims.yml``, from the committed reference records alone.

    Raises BridgekitError where a file of one of these runs is missing or damaged: it says nothing then.
    """
    claims = load(root)
    placement.recover(Path(root))
    asked = {each.page for claim in claims for each in (claim, claim.superseded) if each and each.parts}
    runs = [committed(root, page, kind) for page in sorted(asked) for kind in COMMITTED]
    for run in filter(None, runs):
        sums.check(run.folder)
    return [decided(root, claim) for claim in claims]


def decided(root: Path, claim: Claim) -> Verdict:
    """What the committed reference record of the claim's page says, where it may decide; else *not run*.

    Where that record is still to come, the criterion before it speaks, and the verdict is marked.
    """
    found = _decided(root, claim)
    if found.verdict == NOT_RUN and claim.superseded:
        before = _decided(root, claim.superseded)
        if before.verdict != NOT_RUN:
            found = replace(before, superseded=True)
    found = replace(found, earlier=tuple(_earlier(root, claim)))
    # Whoever knew the numbers of an earlier run of these seeds has not put the criterion first.
    made = committed(root, found.claim.page).record["page"]
    runs = zip(found.earlier, claim.earlier, strict=True)
    known = any(then["page"] in (found.claim.page, made) and not fresh for then, (*_, fresh) in runs)
    return replace(found, mark=REANALYSED) if known and found.mark else found


def _decided(root: Path, claim: Claim) -> Verdict:
    if not claim.parts:
        return judge(claim)
    run, again = (committed(root, claim.page, kind) for kind in COMMITTED)
    if not run:
        return Verdict(claim, NOT_RUN, f"no reference run of {claim.page} is committed")
    if why_not := inadmissible(root, claim, run.record):
        return Verdict(claim, NOT_RUN, why_not)
    plays = [run.record, again.record] if again and same_seeds(run.record, again.record) else [run.record]
    both = judge(claim, *plays)
    # A second run may have left out the methods that this claim is about.
    return judge(claim, run.record) if both.verdict == NOT_RUN else both


def same_seeds(record: dict, again: dict) -> bool:
    """Whether ``again`` played the same seeds: the same parameters, but for what does not change a number.

    It may have left out methods (a shorter list), and parameters that the page has gained since.
    """
    ours, theirs = again["parameters"], record["parameters"]
    for name, value in theirs.items():
        left_out = isinstance(value, list) and set(map(str, ours.get(name, []))) <= set(map(str, value))
        if name != "workers" and ours.get(name) != value and not left_out:
            return False
    return again["page"] == record["page"] and again["provenance"].get("dirty") is False


def _earlier(root: Path, claim: Claim) -> list[dict]:
    """What the ledger said of this claim at earlier commits, and why it says so no longer."""
    found = []
    for commit, why, _ in claim.earlier:
        then = snapshot(Path(root) / EARLIER / f"{commit}.json")
        was = then.get(claim.id) or then.get(((claim.superseded or claim).made_under or ("",))[0])
        if was is None:
            raise BridgekitError(
                f"{EARLIER / commit}.json says nothing of {claim.id}: "
                "write it again with bridgekit claims --audit --write."
            )
        said = {key: was.get(key) for key in ("page", "verdict", "reason", "parts")}
        found.append({"commit": commit, "why": why} | said)
    return found


@cache
def snapshot(path: Path) -> dict:
    """``{id: verdict}`` as the ledger of another commit gave it; BridgekitError where it is not there."""
    try:
        return {each["id"]: each for each in json.loads(path.read_text(encoding="utf-8"))}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BridgekitError(
            f"the earlier verdicts {path} cannot be read: {error}. Restore it (git checkout), "
            "or write it again with bridgekit claims --audit --write."
        ) from error


def inadmissible(root: Path, claim: Claim, record: dict) -> str | None:
    """Why a record may not decide the claim; None where it may."""
    page, made = claim.page, record["provenance"]
    own = pages.load(Path(root) / "book" / f"{page}.md")
    if record["page"] not in (page, own and own.record) or record["role"] != REFERENCE:
        return f"the record of {page} is no reference run, but a {record['role']} of {record['page']}"
    cells = {f"a cell of {page}, {name},": cell for name, cell in made.get("cells", {}).items()}
    for what, each in {f"the record of {page}": made, **cells}.items():
        if each.get("commit") is None or each.get("dirty") is not False:
            return f"{what} is not from a clean tree: commit, and make it again"
    says, ran = reference_parameters(root, record["page"]), record["parameters"]
    # A parameter that the page has gained since the run is in no older record.
    other = {k: ran[k] for k in sorted(ran.keys() - {"workers"}) if k not in says or says[k] != ran[k]}
    if other:
        named = ", ".join(f"{name} is {value!r}, not {says.get(name)!r}" for name, value in other.items())
        return f"the record of {page} has not the parameters of profile {PAPER} ({named}): run it again"
    # A page may have several numbers of trials; only it knows which a metric is over.
    numbers = {n for name, n in says.items() if isinstance(n, int) and name != "workers"}
    asked = [name for part in claim.parts if part.kind != EXACT for name in part.metrics]
    counts = {name: len(record["metrics"].get(name, {}).get("values", ())) for name in asked}
    few = [f"{name} has {count}" for name, count in counts.items() if count and count not in numbers]
    if numbers and few:
        return f"the record of {page} has not as many values as a parameter says: {', '.join(few)}"
    return None


def reference_parameters(root: Path, page: str) -> dict:
    """The parameters of a page's reference run, by the page, and by those split from it, as they stand now;
    as the record holds them; {} where there is no page."""
    profile, book = Path(root) / "profiles" / f"{PAPER}.yaml", Path(root) / "book"
    given = (read_yaml(closure.text(profile), str(profile)) or {}) if profile.is_file() else {}
    values = {}
    for own in filter(None, map(pages.load, sorted(book.glob("*.md")) if profile.is_file() else ())):
        if page in (own.name, own.record):
            values |= {name: p.default for name, p in own.parameters.items()}
            values |= own.fit(given.get(own.name) or {})
    return {name: portable(value, Path(root)) for name, value in values.items()}


def of_paper(verdicts: list[Verdict], paper: str) -> list[Verdict]:
    """The verdicts on one paper's claims, or on all for ``"all"``."""
    return [verdict for verdict in verdicts if paper in ("all", verdict.claim.paper)]
