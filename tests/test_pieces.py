"""Pieces: finished cells of a run that a later stretch takes up, and what makes one of them count no more."""

import json
import os

import numpy as np
import pytest
import torch
from conftest import damaged

from bridgekit import errors, files
from bridgekit.book import claims, make, pieces, records, verdicts
from bridgekit.book.runs import Run
from bridgekit.play import sweep

CELLS = [("bridge", seed) for seed in range(3)]
CLAIM = """
- {id: X1, paper: X, place: here, statement: it holds, page: demo,
   criterion: {text: it does, parts: [{metric: value, above: 0}]}}
"""
STATE = ("c0ffee", False)  # a clean tree at one commit, as `records.git_state` says it


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    monkeypatch.setattr(records, "git_state", lambda root: STATE)
    monkeypatch.delenv("BRIDGEKIT_SPEC", raising=False)


def run_of(root):
    root.mkdir(exist_ok=True)
    (root / "claims.yml").write_text(CLAIM)
    return Run("demo", "paper", {}, root / "figures/paper/demo", root, root / "kept", place(root))


def place(root):
    return root / "figures/pieces/demo"


def numbers(cell):
    """Numbers that depend on the cell alone; a lost trial among them."""
    values = np.random.default_rng(cell[1]).normal(size=(4, 2)).astype(np.float32)
    values[-1, 0] = np.nan
    return {"is": values, "drift": torch.tensor(values[0], dtype=torch.float64)}


def played(run, cells=CELLS, game="game", workers=1):
    """Every cell's arrays, and the cells that were made for it."""
    made = []

    def work(cell):
        def begin():
            made.append(cell)
            return numbers(cell)

        return run.piece(f"bridge_{cell[1]}", [game, {"seed": cell[1]}], begin, of=len(CELLS))

    return sweep.in_parallel(work, cells, workers), made


def bits(found):
    return {cell: {name: (v.dtype, v.tobytes()) for name, v in kept.items()} for cell, kept in found.items()}


def written(root):
    return {path.name: path.read_bytes() for path in place(root).iterdir()}


def finished(root, game="game"):
    """A whole run: its metrics and arrays, and the cells that it made."""
    run = run_of(root)
    found, made = played(run, game=game)
    run.metric("value", np.concatenate([found[cell]["is"][0] for cell in CELLS]))
    run.finish()
    return run.record()["metrics"], bits(found), made


def test_a_later_stretch_makes_what_is_missing_and_its_numbers_are_the_same(tmp_path):
    whole = finished(tmp_path / "whole")
    assert whole[2] == CELLS
    assert played(run_of(tmp_path / "cut"), CELLS[:2])[1] == CELLS[:2]
    later = finished(tmp_path / "cut")
    assert later[2] == CELLS[2:] and later[:2] == whole[:2]


def test_what_is_read_back_is_what_was_made(tmp_path):
    first, _ = played(run_of(tmp_path))
    again, made = played(run_of(tmp_path))
    assert made == [] and bits(again) == bits(first)
    assert first[CELLS[0]]["is"].dtype == np.float32 and first[CELLS[0]]["drift"].dtype == np.float64


def test_numbers_do_not_depend_on_the_workers(tmp_path):
    alone, two = (played(run_of(tmp_path / str(n)), workers=n)[0] for n in (1, 2))
    assert bits(alone) == bits(two)
    assert (
        written(tmp_path / "1").keys()
        == written(tmp_path / "2").keys()
        == {f"bridge_{k}.piece" for k in range(3)}
    )


def test_a_piece_of_another_identity_is_made_again_with_one_line(tmp_path, capsys):
    played(run_of(tmp_path))
    capsys.readouterr()
    found, made = played(run_of(tmp_path), game="another game")
    said = capsys.readouterr().out.splitlines()
    assert made == CELLS and bits(found) == bits({cell: make_arrays(cell) for cell in CELLS})
    assert said[0] == "bridge_0.piece is of another game, seed, code or measurement: it is made again"
    assert len(said) == 2 * len(CELLS)
    assert played(run_of(tmp_path), game="another game")[1] == []


def make_arrays(cell):
    return {name: records.as_array(values) for name, values in numbers(cell).items()}


def test_a_damaged_piece_is_made_again_with_one_line(tmp_path, capsys):
    played(run_of(tmp_path))
    path = place(tmp_path) / "bridge_1.piece"
    sound = path.read_bytes()
    for broken in damaged(sound, 30):
        path.write_bytes(broken)
        capsys.readouterr()
        found, made = played(run_of(tmp_path))
        assert made == [CELLS[1]] and bits(found) == bits({cell: make_arrays(cell) for cell in CELLS})
        assert capsys.readouterr().out.count("bridge_1.piece is damaged: it is made again\n") == 1


def test_a_piece_counts_whatever_made_it(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    played(run_of(tmp_path))
    monkeypatch.undo()
    monkeypatch.setattr(records, "git_state", lambda root: ("beef", False))
    run = run_of(tmp_path)
    assert played(run)[1] == []
    about = run.record()["provenance"]["pieces"]["bridge_0"]
    assert about.pop("seconds") >= 0
    assert about == {"commit": "c0ffee", "dirty": False, "torch": torch.__version__, "cpu": "AVX2"} | {
        "criteria": run.record()["criteria"]
    }


@pytest.mark.parametrize("state", [("c0ffee", True), ("c0ffee", None), (None, None)])
def test_a_piece_from_no_clean_tree_decides_no_claim(tmp_path, monkeypatch, state):
    monkeypatch.setattr(records, "git_state", lambda root: state)
    played(run_of(tmp_path), CELLS[:1])
    monkeypatch.setattr(records, "git_state", lambda root: STATE)
    finished(tmp_path)
    verdict = claims.ledger(tmp_path)[0]
    assert (
        verdict.verdict == claims.NOT_RUN
        and "a piece, bridge_0, that is not from a clean tree" in verdict.reason
    )


def test_pieces_from_a_clean_tree_decide(tmp_path):
    finished(tmp_path)
    verdict = claims.ledger(tmp_path)[0]
    assert verdict.verdict != claims.NOT_RUN


def test_a_piece_made_before_the_criterion_shows(tmp_path):
    (tmp_path / "claims.yml").write_text(CLAIM.replace("it does", "another text"))
    played(
        Run("demo", "paper", {}, tmp_path / "figures/paper/demo", tmp_path, None, place(tmp_path)), CELLS[:1]
    )
    finished(tmp_path)
    assert claims.ledger(tmp_path)[0].mark == verdicts.REANALYSED
    finished(tmp_path / "new")
    assert claims.ledger(tmp_path / "new")[0].mark == verdicts.CRITERION_FIRST


def test_a_tree_that_was_changed_while_a_piece_was_made_is_dirty(tmp_path, monkeypatch):
    states = iter([("c0ffee", False), ("beef", True)])
    monkeypatch.setattr(records, "git_state", lambda root: next(states))
    found = pieces.Pieces(tmp_path, tmp_path)
    found.take("one", [1], lambda: {"x": np.ones(2)})
    assert (found.made["one"]["commit"], found.made["one"]["dirty"]) == ("c0ffee", True)


def test_pieces_that_lie_there_do_not_make_a_run_dirty(tmp_path, monkeypatch):
    monkeypatch.undo()
    for command in ("init -q", "config user.email a@b", "config user.name a", "add .", "commit -qm one"):
        (tmp_path / "claims.yml").write_text(CLAIM)
        assert os.system(f"git -C {tmp_path} {command}") == 0
    (tmp_path / "bridgekit").mkdir()
    assert records.git_state(tmp_path, tmp_path / "bridgekit")[1] is False
    played(run_of(tmp_path))
    assert written(tmp_path) and records.git_state(tmp_path, tmp_path / "bridgekit")[1] is False


def test_without_a_place_of_their_own_they_go_with_the_checkpoints(tmp_path):
    (tmp_path / "claims.yml").write_text(CLAIM)
    run = Run("demo", "quick", {}, tmp_path / "figures/quick/demo", tmp_path)
    played(run)
    assert len(list(tmp_path.glob("_build/checkpoints/quick/demo/*/pieces/*.piece"))) == len(CELLS)
    run.finish()
    assert not list(tmp_path.glob("**/*.piece"))


def test_the_line_says_how_many_are_left(tmp_path, capsys):
    played(run_of(tmp_path))
    said = capsys.readouterr().out.splitlines()
    assert (
        said[0].startswith("bridge_0: 0 s, 2 of 3 left, about 0 min")
        and said[2] == "bridge_2: 0 s, 0 of 3 left"
    )


def test_one_that_cannot_be_written_is_one_sentence(tmp_path):
    run = run_of(tmp_path)
    place(tmp_path).parent.mkdir(parents=True)
    place(tmp_path).write_text("a file in the folder's place")
    with pytest.raises(errors.BridgekitError, match="the pieces that are there are taken up"):
        played(run)
    with pytest.raises(errors.BridgekitError, match="must be letters"):
        run.piece("../x", [], dict)


def test_clearing_takes_the_pieces_alone(tmp_path):
    files.write_checked(tmp_path / "here/a.piece", b"")
    (tmp_path / "here/note.txt").write_text("mine")
    pieces.clear(tmp_path / "here")
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["note.txt"]
    (tmp_path / "here/note.txt").unlink()
    pieces.clear(tmp_path / "here")
    pieces.clear(tmp_path / "here")
    assert not (tmp_path / "here").exists()


CELL = """
def cell(n):
    with open("made.txt", "a") as file:
        file.write(f"{n} ")
    if n == 1 and stop:
        raise RuntimeError("the power is gone")
    return {"x": [n, 2 * n]}


found = [run.piece(f"cell_{n}", [n], lambda n=n: cell(n), of=3)["x"] for n in range(3)]
run.metric("product", [kept[1] for kept in found])
"""


@pytest.mark.pipeline
def test_a_reference_run_leaves_its_pieces_until_the_record_is_placed(toy_book):
    toy_book.edit(
        "book/alpha.md", 'run.metric("product", seed * scale)\n', f"stop = not Path('on').exists()\n{CELL}"
    )
    toy_book.edit(
        "book/alpha.md",
        "from bridgekit.book import runs\n",
        "from pathlib import Path\n\nfrom bridgekit.book import runs\n",
    )
    lines = []
    with pytest.raises(errors.BridgekitError, match="the power is gone"):
        make.run("alpha", "paper", tell=lines.append)
    kept = toy_book.root / "figures/pieces/alpha"
    assert [path.name for path in kept.iterdir()] == ["cell_0.piece"]
    assert any("alpha · cell_0: 0 s, 2 of 3 left" in line for line in lines)
    toy_book.write("on", "")
    make.run("alpha", "paper", tell=lambda text: None)
    assert (toy_book.root / "made.txt").read_text() == "0 1 1 2 "
    record = json.loads((toy_book.root / "figures/paper/alpha/record.json").read_text())
    assert record["metrics"]["product"]["values"] == [0, 2, 4]
    assert sorted(record["provenance"]["pieces"]) == ["cell_0", "cell_1", "cell_2"]
    assert not kept.exists()
    # Elsewhere, or with values by hand, they go with the checkpoints.
    make.run("alpha", "paper", out=toy_book.root / "there", tell=lambda text: None)
    make.run("alpha", "paper", {"seed": 8}, tell=lambda text: None)
    assert not list(toy_book.root.rglob("*.piece")) and not kept.exists()


@pytest.mark.pipeline
def test_pieces_that_a_kill_left_beside_a_placed_record_are_harmless(toy_book, monkeypatch):
    toy_book.edit("book/alpha.md", 'run.metric("product", seed * scale)\n', f"stop = False\n{CELL}")
    with monkeypatch.context() as patch:
        patch.setattr(pieces, "clear", lambda folder: None)
        make.run("alpha", "paper", tell=lambda text: None)
    record = (toy_book.root / "figures/paper/alpha/record.json").read_text()
    assert len(list((toy_book.root / "figures/pieces/alpha").iterdir())) == 3
    make.run("alpha", "paper", tell=lambda text: None)
    again = json.loads((toy_book.root / "figures/paper/alpha/record.json").read_text())
    assert again["metrics"] == json.loads(record)["metrics"]
    assert (toy_book.root / "made.txt").read_text() == "0 1 2 " and not (
        toy_book.root / "figures/pieces/alpha"
    ).exists()
