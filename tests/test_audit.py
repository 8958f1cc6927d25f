"""The audit works a row's mark out from history, and finds what a changed or shallow history hides."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import git, rewrite

from bridgekit.book import audit, claims, criteria, records, runs, verdicts
from bridgekit.errors import BridgekitError

HOME = Path(__file__).resolve().parent.parent


def commit(root, message="x"):
    git(root, "add", "-A", "-f")
    git(root, "commit", "-q", "--allow-empty", "-m", message)
    return git(root, "rev-parse", "HEAD")


def entry(name="X1", text="it does", kind="median", **more):
    part = {"metric": "fall", "above": 0} | ({"exact": True} if kind == "exact" else {"kind": kind})
    facts = {"id": name, "paper": "X", "place": "eq 1", "statement": "It falls.", "page": "demo"}
    return facts | {"criterion": {"text": text, "parts": [part]}} | more


def ledger(root, *entries):
    (root / "claims.yml").write_text(json.dumps(list(entries)))


def run_page(root, monkeypatch, values, at=None):
    """A reference run of the page demo at commit ``at``, this one unless given."""
    at = at or git(root, "rev-parse", "HEAD")
    monkeypatch.setattr(runs.records, "git_state", lambda root: (at, False))
    run = runs.Run("demo", "paper", {}, root / "figures" / "paper" / "demo", root)
    run.metric(
        "fall", values, exact=isinstance(values, float), kind="" if isinstance(values, float) else "median"
    )
    run.finish()


@pytest.fixture
def repository(tmp_path):
    """A repository with one claim, its analysis of today's rule, committed before any run."""
    git(tmp_path, "init", "-q")
    (tmp_path / "bridgekit").mkdir()
    (tmp_path / "bridgekit" / "criteria.py").write_text(f"RULE = {criteria.RULE}\n")
    ledger(tmp_path, entry())
    commit(tmp_path, "criterion")
    return tmp_path


RISES = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5]


def found(root):
    (finding,) = audit.audit(root)
    return finding


def test_a_criterion_committed_before_its_run_is_first(repository, monkeypatch):
    run_page(repository, monkeypatch, RISES)
    commit(repository, "run")
    assert (found(repository).mark, found(repository).fault) == (verdicts.CRITERION_FIRST, "")
    assert claims.ledger(repository)[0].mark == verdicts.CRITERION_FIRST


def test_a_rule_changed_after_the_run_is_a_new_analysis(repository, monkeypatch):
    run_page(repository, monkeypatch, RISES)
    commit(repository, "run")
    monkeypatch.setattr(criteria, "RULE", criteria.RULE + 1)
    assert (found(repository).mark, found(repository).fault) == (verdicts.REANALYSED, "")
    assert claims.ledger(repository)[0].mark == verdicts.REANALYSED


def test_a_criterion_written_after_the_run_is_found(repository, monkeypatch):
    """The record says it was made under this criterion at a commit that had another one."""
    before = git(repository, "rev-parse", "HEAD")
    ledger(repository, entry(text="it does now"))
    commit(repository, "fitted")
    run_page(repository, monkeypatch, RISES, at=before)
    commit(repository, "run")
    assert claims.ledger(repository)[0].verdict == verdicts.REPRODUCED
    assert "has another criterion for X1" in found(repository).fault


def test_a_claim_that_the_runs_commit_did_not_have_is_found(repository, monkeypatch):
    before = git(repository, "rev-parse", "HEAD")
    ledger(repository, entry("X2"))
    commit(repository)
    run_page(repository, monkeypatch, RISES, at=before)
    commit(repository, "run")
    assert "has no claim X2" in found(repository).fault


def test_a_commit_that_is_not_in_history_is_found(repository, monkeypatch):
    run_page(repository, monkeypatch, RISES, at="0" * 40)
    commit(repository, "run")
    assert "which this history does not have" in found(repository).fault


def test_a_commit_that_does_not_come_before_its_record_is_found(repository, monkeypatch):
    git(repository, "checkout", "-q", "-b", "elsewhere")
    side = commit(repository, "side")
    git(repository, "checkout", "-q", "-")
    run_page(repository, monkeypatch, RISES, at=side)
    commit(repository, "run")
    assert "does not come before" in found(repository).fault


def test_a_record_that_is_not_committed_is_found(repository, monkeypatch):
    run_page(repository, monkeypatch, RISES)
    assert "the record is not committed" in found(repository).fault


def test_a_mark_that_history_contradicts_is_found(repository, monkeypatch):
    """A record that claims today's analysis, from a commit with an older rule."""
    (repository / "bridgekit" / "criteria.py").write_text(f"RULE = {criteria.RULE - 1}\n")
    commit(repository)
    run_page(repository, monkeypatch, RISES)
    commit(repository, "run")
    assert "the ledger says criterion first, history says re-analysed" in found(repository).fault


def test_a_piece_older_than_the_criterion_is_found(repository, monkeypatch):
    before = git(repository, "rev-parse", "HEAD")
    ledger(repository, entry(text="it does now"))
    commit(repository)
    run_page(repository, monkeypatch, RISES)
    path = repository / "figures" / "paper" / "demo" / "record.json"
    record = json.loads(path.read_text())
    record["provenance"]["pieces"] = {"one": {"commit": before, "dirty": False}}
    rewrite(path, record)
    commit(repository, "run")
    assert "has another criterion for X1" in found(repository).fault


def test_parts_regrouped_after_the_run_may_ask_for_no_new_number(repository, monkeypatch):
    run_page(repository, monkeypatch, RISES)
    commit(repository, "run")
    (old,) = criteria.load(repository)
    under = {"id": "X1", "hash": old.hash}
    ledger(repository, entry("X2", text="half of it", made_under=under))
    commit(repository)
    assert (found(repository).mark, found(repository).fault) == (verdicts.REANALYSED, "")
    half = entry("X2", text="half of it")
    before = {"page": half["page"], "criterion": half["criterion"]}
    ledger(repository, entry("X2", text="more of it", made_under=under, superseded=before))
    commit(repository)
    assert (found(repository).mark, found(repository).fault) == (verdicts.REANALYSED, "")
    harder = entry("X2", text="half of it", made_under=under)
    harder["criterion"]["parts"][0]["above"] = 0.5
    ledger(repository, harder)
    commit(repository)
    assert "X2 does not ask for what its run's criterion asked for" in found(repository).fault


def two_parts(*parts, **changed):
    made = entry(**changed)
    made["criterion"]["parts"] = [{"metric": "fall", "above": bound, "kind": "median"} for bound in parts]
    return made


def test_regrouping_may_not_drop_a_part(repository, monkeypatch):
    ledger(repository, two_parts(0, 5))
    commit(repository)
    run_page(repository, monkeypatch, RISES)
    commit(repository, "run")
    under = {"id": "X1", "hash": criteria.load(repository)[0].hash}
    ledger(repository, two_parts(0, text="half", name="X2", made_under=under))
    commit(repository)
    assert "X2 does not ask for what" in found(repository).fault
    halves = [two_parts(bound, text="half", name=f"X{bound}", made_under=under) for bound in (0, 5)]
    ledger(repository, *halves)
    commit(repository)
    assert [(each.mark, each.fault) for each in audit.audit(repository)] == [(verdicts.REANALYSED, "")] * 2


def test_a_number_changed_in_a_committed_record_is_found(repository, monkeypatch):
    run_page(repository, monkeypatch, [-1.0] * 6)
    commit(repository, "run")
    path = repository / "figures" / "paper" / "demo" / "record.json"
    record = json.loads(path.read_text())
    record["metrics"]["fall"]["values"] = RISES
    rewrite(path, record)
    assert audit.changed(repository) == [
        f"figures/paper/demo/{name} is not as committed" for name in ("SHA256SUMS", "record.json")
    ]
    commit(repository, "better")
    assert audit.changed(repository) == []
    assert "was changed afterwards: fall" in found(repository).fault


def test_a_second_run_of_the_same_seeds_under_another_criterion_is_not_criterion_first(
    repository, monkeypatch
):
    run_page(repository, monkeypatch, RISES)
    commit(repository, "run")
    ledger(repository, entry(text="it does so"))
    commit(repository, "another criterion, its outcome known")
    run_page(repository, monkeypatch, RISES)
    commit(repository, "run again")
    assert "the ledger says criterion first, history says re-analysed" in found(repository).fault


def declare(root, name):
    """The page demo, with this one parameter."""
    (root / "book").mkdir(exist_ok=True)
    cell = f"```{{code-cell}} ipython3\n:tags: [parameters]\n{name}: int = 6  # from 1\n```\n"
    (root / "book" / "demo.md").write_text(f"---\nkernelspec: {{name: python3}}\n---\n{cell}")


def test_a_record_that_lacks_a_parameter_of_its_page_is_found(repository, monkeypatch):
    declare(repository, "rounds")
    commit(repository)
    run_page(repository, monkeypatch, RISES)
    commit(repository, "run")
    assert "the record lacks the parameters rounds" in found(repository).fault


def test_old_names_of_parameters_and_metrics_are_known(repository, monkeypatch):
    """A page's parameter at the run's commit, and a metric of the record, that are called otherwise now."""
    declare(repository, "looks")
    (repository / "profiles").mkdir()
    (repository / "profiles" / "paper.yaml").write_text("{}")
    commit(repository)
    run_page(repository, monkeypatch, RISES)
    path = repository / "figures" / "paper" / "demo" / "record.json"
    record = json.loads(path.read_text())
    record["parameters"]["looks"] = 6
    record["metrics"]["looks"] = {"values": [5.0], "kind": "exact"}
    rewrite(path, record)
    commit(repository, "run")
    declare(repository, "evaluations")
    commit(repository, "another name")
    assert found(repository).fault == ""
    record["metrics"]["looks"]["values"] = [6.0]
    rewrite(path, record)
    commit(repository, "changed")
    assert "was changed afterwards: evaluations" in found(repository).fault


def test_a_repetition_from_nowhere_is_found(repository, monkeypatch):
    run_page(repository, monkeypatch, RISES)
    commit(repository, "run")
    here, there = (repository / "figures" / kind / "demo" for kind in ("paper", "repeated"))
    shutil.copytree(here, there)
    record = json.loads((there / "record.json").read_text())
    record["provenance"]["commit"] = "0" * 40
    rewrite(there / "record.json", record)
    commit(repository, "again")
    assert "which this history does not have" in found(repository).fault


def test_gits_own_variables_lead_nowhere_else(repository, monkeypatch, tmp_path):
    at = git(repository, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    audit.whole(repository)
    try:
        audit.ledger_of(repository, at)
    except BridgekitError as error:  # there is no whole library in this repository
        assert "has no commit" not in str(error)


def test_a_shallow_clone_is_an_error(repository, tmp_path_factory, monkeypatch):
    run_page(repository, monkeypatch, RISES)
    commit(repository, "run")
    shallow = tmp_path_factory.mktemp("shallow") / "clone"
    git(repository, "clone", "-q", "--depth", "1", repository.as_uri(), str(shallow))
    with pytest.raises(BridgekitError, match="is no full clone.*git fetch --unshallow"):
        audit.audit(shallow)
    with pytest.raises(BridgekitError, match="is no full clone"):
        audit.audit(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def history():
    """Our own repository, where it is a full clone."""
    if (records.git(HOME, "rev-parse", "--is-shallow-repository") or "true") != "false":
        pytest.skip("the audit needs a full clone")
    return HOME


def test_an_earlier_verdict_that_was_touched_is_found(history, monkeypatch):
    said = {"page": "p", "hash": "h", "verdict": "partly", "reason": "r", "criterion": "c", "parts": []}
    monkeypatch.setattr(
        audit, "ledger_of", lambda root, commit: [said | {"id": c.id} for c in criteria.load(root)]
    )
    wrong = audit.check(history)
    assert wrong and all(
        re.search(r"[0-9a-f]{7}\.json is not what the ledger of that commit says", w) for w in wrong
    )


@pytest.mark.pipeline  # runs the code of four other commits
def test_our_ledger_and_our_earlier_verdicts_are_what_history_says(history):
    """By the command, which prints every row and both counts."""
    done = subprocess.run(
        [sys.executable, "-m", "bridgekit", "claims", "--audit"], cwd=history, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for verdict in claims.ledger(history):
        if verdict.mark:
            assert re.search(f"^{verdict.claim.id} +{verdict.mark}", done.stdout, re.M)
    for mark in verdicts.MARKS:
        assert re.search(f"^[1-9][0-9]* rows {mark}", done.stdout, re.M)
    assert "the earlier verdicts are what their commits say" in done.stdout
