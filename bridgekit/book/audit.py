"""The ledger held against git: was each criterion there before its run, and what was said before it changed?

Everything is worked out from a full clone, nothing is believed: the commit that a record names, the criteria
of that commit, the order of both in history, and the verdicts of earlier commits, by running their own code.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bridgekit.book import claims, criteria
from bridgekit.book.criteria import Claim
from bridgekit.book.parameters import declared_in
from bridgekit.book.records import committed, git, without_git
from bridgekit.book.renamed import renamed, today
from bridgekit.book.verdicts import CRITERION_FIRST, NOT_RUN, REANALYSED, Verdict
from bridgekit.errors import BridgekitError
from bridgekit.files import write_atomically

# What is kept of an earlier verdict.
SAID = ("id", "page", "hash", "verdict", "reason", "criterion", "parts")


@dataclass(frozen=True)
class Finding:
    """What history says of one row: its mark, and what is wrong with the row, if anything is."""

    id: str
    mark: str
    detail: str
    fault: str = ""


def audit(root: Path) -> list[Finding]:
    """A finding for every claim that a reference run decides; BridgekitError where history is not whole."""
    whole(root)
    return [_finding(root, verdict) for verdict in claims.ledger(root) if verdict.verdict != NOT_RUN]


def whole(root: Path) -> None:
    """Raise BridgekitError unless ``root`` is a full clone."""
    if git(root, "rev-parse", "--is-shallow-repository") != "false":
        raise BridgekitError(
            f"{root} is no full clone, and only those are audited: clone it, or git fetch --unshallow."
        )


def changed(root: Path) -> list[str]:
    """What the ledger reads and the last commit does not have: history says nothing of it."""
    said = _text(
        root, "status", "--porcelain", "--", "figures", "claims.yml", "bridgekit", "profiles", "book"
    )
    # The first line may have lost a blank before its letters: split, and not cut.
    return [f"{line.split(maxsplit=1)[1]} is not as committed" for line in said.splitlines()]


def _finding(root: Path, verdict: Verdict) -> Finding:
    claim = verdict.claim
    run = committed(root, claim.page)
    path, record = run.folder.relative_to(root) / "record.json", run.record
    made = record["provenance"]
    # A record made of cells has as many beginnings as there were stretches.
    commits = [made["commit"], *(cell["commit"] for cell in made.get("cells", {}).values())]
    try:
        placed, *before = _text(root, "log", "--format=%H", "--", str(path)).split() or [""]
        marks = set()
        for commit in dict.fromkeys(commits):
            _check_order(root, commit, placed)
            _check_parameters(root, commit, record)
            marks.add(_mark(root, commit, claim, _claim_at(root, commit, claim)))
        older = [_record_at(root, commit, path) for commit in before]
        _check_untouched(record, older)
        marks |= {REANALYSED for each in older if _another(claim, record, each)}
        _check_repetition(root, claim)
    except BridgekitError as error:
        return Finding(claim.id, "", "", str(error))
    mark = REANALYSED if REANALYSED in marks else CRITERION_FIRST
    wrong = f"the ledger says {verdict.mark}, history says {mark}" if mark != verdict.mark else ""
    said = ", ".join(commit[:7] for commit in dict.fromkeys(commits))
    return Finding(claim.id, mark, f"criterion at {said}, its record at {placed[:7]}", wrong)


def _record_at(root: Path, commit: str, path: Path) -> dict | None:
    """The record of an earlier run; None where that commit removed it, or it is of another schema."""
    record = json.loads(git(root, "show", f"{commit}:{path}") or "{}")
    known = {"criteria", "metrics", "parameters", "provenance"} <= record.keys()
    return renamed(record) if known else None


def _check_untouched(record: dict, older: list[dict | None]) -> None:
    """Two records of one run have the same numbers."""
    began, now = record["provenance"].get("started"), record["metrics"]
    runs = [each["metrics"] for each in older if each and each["provenance"].get("started") == began]
    moved = {n for then in runs for n in then.keys() & now.keys() if then[n]["values"] != now[n]["values"]}
    if moved:
        raise BridgekitError(
            f"the record of the run of {began} was changed afterwards: {', '.join(sorted(moved))}"
        )


def _another(claim: Claim, record: dict, older: dict | None) -> bool:
    """Whether an earlier run of these seeds said something of the claim, by another criterion or analysis."""
    if older is None or older["parameters"].get("first_seed") != record["parameters"].get("first_seed"):
        return False
    name = claim.id if claim.id in older["criteria"] else (claim.made_under or ("",))[0]
    if name not in older["criteria"]:
        return False
    analysed = older.get("analysis", {}).get(name) == claim.analysis or claim.analysis == criteria.EXACT
    return older["criteria"][name] != claim.hash or not analysed


def _check_parameters(root: Path, commit: str, record: dict) -> None:
    """The record has the parameters that its page had when it ran, no fewer."""
    text = git(root, "show", f"{commit}:book/{record['page']}.md")
    declared = set(map(today, declared_in(text, record["page"]))) if text else set()
    lacking = declared - set(record["parameters"])
    if lacking:
        raise BridgekitError(f"the record lacks the parameters {', '.join(sorted(lacking))}")


def _check_repetition(root: Path, claim: Claim) -> None:
    """A second run of the same seeds comes from a commit of this history, too."""
    again = committed(root, claim.page, "repeated")
    if again:
        placed = _text(root, "log", "-1", "--format=%H", "--", str(again.folder / "record.json"))
        _check_order(root, again.record["provenance"]["commit"] or "none", placed)


def _check_order(root: Path, commit: str, placed: str) -> None:
    if git(root, "cat-file", "-e", f"{commit}^{{commit}}") is None:
        raise BridgekitError(f"the record names commit {commit[:7]}, which this history does not have")
    if not placed:
        raise BridgekitError("the record is not committed")
    for older, newer in ((commit, placed), (placed, "HEAD")):
        if git(root, "merge-base", "--is-ancestor", older, newer) is None:
            raise BridgekitError(f"commit {older[:7]} does not come before {newer[:7]}")


def _claim_at(root: Path, commit: str, claim: Claim) -> Claim:
    """The criterion under which the run was made, as the run's own commit has it."""
    ledger = criteria.parse(_text(root, "show", f"{commit}:claims.yml"), f"claims.yml at {commit[:7]}")
    known = {each.id: each for each in ledger}
    name, digest = (claim.id, claim.hash)
    if claim.made_under and (name not in known or known[name].hash != digest):
        name, digest = claim.made_under
    if name not in known:
        raise BridgekitError(f"claims.yml at {commit[:7]} has no claim {name}")
    if known[name].hash != digest:
        raise BridgekitError(f"claims.yml at {commit[:7]} has another criterion for {name}")
    return known[name]


def _mark(root: Path, commit: str, claim: Claim, then: Claim) -> str:
    """*Criterion first* where criterion and analysis are those of the run's commit."""
    asked = {(part.metric, part.bound, part.target) for part in then.parts}
    # What was one criterion may be several now, but none of its parts may be gone.
    known = [each for claim in criteria.load(root) for each in (claim, claim.superseded) if each]
    heirs = [each for each in known if each.made_under == claim.made_under] or [claim]
    heirs = heirs if claim.made_under and claim.hash != then.hash else [claim]
    if {(part.metric, part.bound, part.target) for each in heirs for part in each.parts} != asked:
        raise BridgekitError(f"{claim.id} does not ask for what its run's criterion asked for")
    if claim.hash != then.hash:
        return REANALYSED
    if claim.analysis == criteria.EXACT:
        return CRITERION_FIRST
    there = (git(root, "show", f"{commit}:bridgekit/{place}criteria.py") for place in ("book/", ""))
    rule = re.search(r"^RULE = (\d+)", next(filter(None, there), ""), re.M)
    same = rule and int(rule[1]) == criteria.RULE and claim.analysis == then.analysis
    return CRITERION_FIRST if same else REANALYSED


# --------------------------------------------------------------------------------------- what was said before


def snapshots(root: Path) -> Iterator[tuple[Path, bytes]]:
    """File and content for each earlier commit that ``claims.yml`` names: that commit's own ledger."""
    whole(root)
    asked: dict[str, set[str]] = {}
    for claim in criteria.load(root):
        for commit, *_ in claim.earlier:
            under = (claim.superseded or claim).made_under or (claim.id,)
            asked.setdefault(commit, set()).update({claim.id, under[0]})
    for commit, ids in sorted(asked.items()):
        ledger = [each for each in ledger_of(root, commit) if each["id"] in ids]
        said = [{key: each[key] for key in SAID} for each in ledger]
        body = json.dumps(said, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        yield Path(root) / claims.EARLIER / f"{commit}.json", body.encode()


def ledger_of(root: Path, commit: str) -> list[dict]:
    """The ledger of another commit, by its own code and records; BridgekitError where it does not run."""
    with tempfile.TemporaryDirectory(prefix="bridgekit-") as folder:
        if git(root, "archive", "--format=tar", f"--output={folder}/all.tar", commit) is None:
            raise BridgekitError(f"this history has no commit {commit}")
        shutil.unpack_archive(f"{folder}/all.tar", folder, filter="data")
        command = [sys.executable, "-m", "bridgekit", "claims", "--json"]
        env = without_git() | {"PYTHONPATH": folder}
        ran = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    if ran.returncode:
        raise BridgekitError(f"the ledger of {commit} does not run: {ran.stderr.strip().splitlines()[-1]}")
    return json.loads(ran.stdout)


def check(root: Path) -> list[str]:
    """What is wrong with the committed earlier verdicts; nothing where they are what those commits say."""
    return [
        f"{path.name} is not what the ledger of that commit says"
        for path, body in snapshots(root)
        if not path.exists() or path.read_bytes() != body
    ]


def write(root: Path) -> list[Path]:
    """Write the earlier verdicts anew; their files."""
    new = dict(snapshots(root))
    for path, body in new.items():
        write_atomically(path, body)
    return list(new)


def _text(root: Path, *arguments: str) -> str:
    found = git(root, *arguments)
    if found is None:
        raise BridgekitError(f"git {' '.join(arguments)} fails in {root}")
    return found
