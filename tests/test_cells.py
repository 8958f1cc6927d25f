"""Cells: what names one, which later run takes it up, and what makes it count no more."""

import json
import os
import sys
import threading

import numpy as np
import pytest
import torch
from conftest import damaged

from bridgekit import data, errors
from bridgekit.book import cells, claims, keys, make, records, sweeps, verdicts
from bridgekit.book.runs import Run
from bridgekit.games import baselines, bridge, setups
from bridgekit.play import evaluation, identity, loop, sweep
from bridgekit.play.sweep import Cell
from bridgekit.theory import adversarial

CLAIM = """
- {id: X1, paper: X, place: here, statement: it holds, page: demo,
   criterion: {text: it does, parts: [{metric: value, above: 0}]}}
"""
STATE = ("c0ffee", False)  # a clean tree at one commit, as `records.git_state` says it
MIXTURE = data.mixture("gaussians25")
Z = torch.randn(2, 50, 2, generator=torch.Generator().manual_seed(0))
AT = [0, 3, 5, 9]


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    monkeypatch.setattr(records, "git_state", lambda root: STATE)
    monkeypatch.delenv("BRIDGEKIT_SPEC", raising=False)


def game(lr=1e-3, **changed):
    setup = setups.plane(MIXTURE, batch=8, hidden=8, depth=1, lr=lr)
    return bridge.alpha_bridge(setup, rounds=(3, 4, 2), **changed)


def three():
    return [Cell(("bridge", lr), game(lr), range(2)) for lr in (1e-3, 2e-3, 3e-3)]


def run_of(root, **options):
    (root / "figures").mkdir(parents=True, exist_ok=True)
    (root / "claims.yml").write_text(CLAIM)
    return Run("demo", "paper", {}, root / "figures/paper/demo", root, **options)


def mean(x):
    return x.mean(1)


def evaluate(cell, state):
    x = evaluation.samples(state, Z)
    state.keep(_x=x)
    return {"mean": mean(x), "first": x[..., 0].mean(1), "at": sum(state.played.values())}


def played(run, which=None, workers=1):
    """What a sweep finds, and the names of the cells that it played."""
    names = []

    def watched(cell, state):
        if cell.name not in names:
            names.append(cell.name)
        return evaluate(cell, state)

    watched.canonical = "evaluate"  # the list of names is no part of it
    return run.sweep(three() if which is None else which, watched, AT, workers=workers), names


def bits(found):
    """Everything but the seconds."""
    return {
        name: [(k, v.dtype, v.tobytes()) for k, v in kept.items()] + [kept.failed.tolist()]
        for name, kept in found.items()
    }


def place(root):
    return root / "figures/cells/demo"


NAMES = [cell.name for cell in three()]


def test_a_sweep_is_its_games_played_by_hand(tmp_path):
    found, names = played(run_of(tmp_path))
    assert list(found) == names == NAMES
    state, by_hand = loop.start(game(2e-3), range(2)), []
    for now in loop.whole(game(2e-3), state, AT):
        by_hand.append(evaluation.samples(now, Z).mean(1).numpy())
    kept = found["bridge", 2e-3]
    assert np.array_equal(kept["mean"], np.stack(by_hand)) and kept["first"].shape == (4, 2)
    assert kept["at"].tolist() == AT and kept.failed.tolist() == [False, False] and "_x" not in kept
    assert kept.training.shape == kept.evaluating.shape == (4,) and (kept.evaluating > 0).all()


def test_a_later_run_plays_what_is_missing_and_its_numbers_are_the_same(tmp_path):
    whole, _ = played(run_of(tmp_path / "whole"))
    assert played(run_of(tmp_path / "cut"), three()[:2])[1] == NAMES[:2]
    later, names = played(run_of(tmp_path / "cut"))
    assert names == NAMES[2:] and bits(later) == bits(whole)
    assert played(run_of(tmp_path / "cut"))[1] == []


def test_two_workers_give_the_cells_of_one_bit_by_bit(tmp_path):
    alone, two = (played(run_of(tmp_path / str(n)), workers=n)[0] for n in (1, 2))
    assert bits(alone) == bits(two)
    if not torch.cuda.is_available():
        assert run_of(tmp_path / "1").sweep(three(), evaluate, AT, on="auto").keys() == alone.keys()


def test_cells_with_a_trunk_go_on_from_its_end_which_is_played_once(tmp_path, monkeypatch):
    trunk, begun, start = Cell("I", game(), range(2), phases=["I"]), [], loop.start
    monkeypatch.setattr(loop, "start", lambda *args: begun.append(1) or start(*args))
    both = [Cell(clip, game(clip=clip), range(2), phases=["II", "III"], trunk=trunk) for clip in (1.0, 2.0)]
    found = run_of(tmp_path).sweep(both, evaluate, [1, 6], workers=2)
    assert len(begun) == 1
    by_hand = loop.play(game(), start(game(), range(2)), "I").branch()
    for clip in (1.0, 2.0):
        whole = [
            mean(evaluation.samples(s, Z))
            for s in loop.whole(game(clip=clip), by_hand.branch(), [1, 6], phases=["II", "III"])
        ]
        assert np.array_equal(found[clip]["mean"], torch.stack(whole)), clip


def test_a_number_of_a_failed_trial_is_nan_and_no_other(tmp_path, monkeypatch):
    def failing(cell, state):
        state.failed[1] = {"phase": "I", "round": 1, "player": "G"}  # as if in the next stretch
        return {"one": torch.ones(2), "many": torch.ones(2, 3), "count": 2}

    (kept,) = run_of(tmp_path).sweep(three()[:1], failing, [0, 3]).values()
    assert np.array_equal(kept["one"], [[1, 1], [1, np.nan]], equal_nan=True)
    assert (
        (kept["many"] == 1).all()
        and kept["count"].tolist() == [2, 2]
        and kept.failed.tolist() == [False, True]
    )


def key(of=None, evaluate=evaluate, on="cpu", **changed):
    made = {"name": "a", "game": game(), "seeds": range(2), "at": AT} | changed
    return sweep.key(of or Cell(**made), evaluate, on)


def function(text, **names):
    """A function written as in a page, which refers to ``names``."""
    found = make.execution.execute_here([([], text)], {}, f"page{len(text)}{hash(text)}")
    found |= names
    return found["f"]


def test_every_part_of_a_cell_is_in_its_key():
    others = [key(name="b"), key(game=game(2e-3)), key(seeds=range(3)), key(at=[0]), key(phases=["I"])]
    others += [key(trunk=Cell("t", game(), range(2), phases=["I"])), key(on="meta")]
    others += [key(trunk=Cell("t", game(), range(2), phases=["II"]))]
    others += [key(game=baselines.gan(setups.plane(MIXTURE), adversarial.reverse_kl))]
    assert len({key(), *others}) == len(others) + 1 and key() == key()


def test_what_evaluate_does_and_refers_to_is_in_its_key():
    text = "def inner(x):\n    return x + c\n\ndef f(cell, state):\n    return inner(a)\n"
    base = key(evaluate=function(text, a=torch.zeros(2), c=1.0))
    same = text.replace("    return x", "    # why\n\n    return (x").replace("+ c", "+ c)")
    assert base == key(evaluate=function(same, a=torch.zeros(2), c=1.0, unused=3))
    others = [function(text, a=torch.ones(2), c=1.0), function(text, a=torch.zeros(2), c=2.0)]
    others += [
        function(text, a=torch.zeros(2, dtype=torch.float64), c=1.0),
        function(text, a=np.zeros(2), c=1.0),
    ]
    others += [function(text.replace("x + c", "x - c"), a=torch.zeros(2), c=1.0)]
    others += [function("f = lambda cell, state: 1\n"), function("f = lambda cell, state: 2\n")]
    others += [function(f"def f(cell, state, n={n}):\n    return n\n") for n in (1, 2)]
    others += [function(f"def g(n):\n    return lambda c, s: n\n\nf = g({n})\n") for n in (1, 2)]
    others += [function("def f(cell, state):\n    return f(cell, state)\n")]
    assert len({base, *(key(evaluate=each) for each in others)}) == len(others) + 1


LAMBDAS = {  # a page's, which refer to what is imported there
    "f = lambda a, b: math.sqrt(a)\n": "f = lambda a, b: math.sqrt(b)\n",
    "f = (lambda x: 1, lambda x: math.exp(x))[1]\n": "f = (lambda x: 1, lambda x: math.log(x))[1]\n",
    "f = (lambda x: lambda y: math.hypot(x, y))(2)\n": "f = (lambda x: lambda y: math.hypot(x, y))(3)\n",
    "é, f = 'é', lambda: (\n    math.pi\n    + 1  # why\n)\n": "é, f = 'é', lambda: math.pi - 1\n",
    "f = lambda: [(i, math.e) for i in range(2)]\n": "f = lambda: [(i, math.e) for i in range(3)]\n",
}


@pytest.mark.parametrize(("text", "other"), LAMBDAS.items())
def test_a_lambda_is_what_it_says_however_its_cell_was_compiled(text, other):
    """A notebook compiles each statement by itself, a job that plays its share the whole cell."""
    whole = function(f"import math\n\n{text}")
    alone = make.execution.execute_here([([], "import math\n"), ([], text)], {}, f"alone{hash(text)}")["f"]
    assert identity.digest(whole) == identity.digest(alone)
    assert identity.digest(whole) != identity.digest(function(f"import math\n\n{other}"))
    assert isinstance(identity.canonical(whole)[0], str), "its text, not its bytecode"


def test_the_bytecode_differs_where_a_lambda_is_compiled_with_what_it_imports():
    """Why the text it is."""
    text = "f = lambda a: math.sqrt(a)\n"
    alone = make.execution.execute_here([([], "import math\n"), ([], text)], {}, "alone")["f"]
    if sys.version_info < (3, 12):
        assert alone.__code__.co_code != function(f"import math\n{text}").__code__.co_code
    written = eval("lambda a: a + 1")  # noqa: S307, a lambda without a text
    assert identity.digest(written) == identity.digest(eval("lambda a: a + 1"))  # noqa: S307
    assert identity.digest(written) != identity.digest(eval("lambda a: a - 1"))  # noqa: S307


def test_what_nobody_can_tell_is_an_error():
    text = "def f(cell, state):\n    return a\n"
    own = function("class f:\n    pass\n")
    for a in (object(), torch.Generator(), own, own(), [own]):
        with pytest.raises(TypeError, match="nobody can tell"):
            key(evaluate=function(text, a=a))
    means = [torch.full((2,), n).mean for n in (1.0, 2.0)]
    methods = {key(evaluate=function(text, a=a)) for a in (*means, torch.full((2,), 1.0).sum)}
    assert len(methods) == 3
    assert identity.digest(open) == identity.digest(open) != identity.digest(print)


def test_a_change_of_the_librarys_code_is_another_cell(tmp_path, monkeypatch):
    played(run_of(tmp_path))
    monkeypatch.setattr(records, "measuring_code", lambda root, page: [["play/loop.py", "other"]])
    assert played(run_of(tmp_path))[1] == NAMES


def test_code_that_measures_is_all_below_the_book():
    found = [name for name, _ in records.measuring_code(records.closure.PACKAGE.parent, "plane")]
    assert {"play/loop.py", "games/bridge.py", "measure/on_plane.py", "theory/alpha.py"} <= set(found)
    assert not [name for name in found if name.startswith("book")]


def test_bad_cells_are_one_sentence(tmp_path):
    with pytest.raises(errors.BridgekitError, match="two cells are called 'a'"):
        run_of(tmp_path).sweep([Cell("a", game(), [0])] * 2, evaluate, AT)
    with pytest.raises(errors.BridgekitError, match="returns '_y': leave the underscore out"):
        run_of(tmp_path).sweep([Cell("a", game(), [0])], lambda cell, state: {"_y": 1}, AT)
    place(tmp_path / "new").parent.mkdir(parents=True)
    place(tmp_path / "new").write_text("a file in the folder's place")
    with pytest.raises(errors.BridgekitError, match="the cells that are there are taken up"):
        played(run_of(tmp_path / "new"))


def test_a_damaged_cell_is_made_again_with_one_line(tmp_path, capsys):
    whole, _ = played(run_of(tmp_path))
    path = next(place(tmp_path).glob("bridge-0.002-*.cell"))
    for broken in damaged(path.read_bytes(), 5):
        path.write_bytes(broken)
        capsys.readouterr()
        found, names = played(run_of(tmp_path))
        assert names == [NAMES[1]] and bits(found) == bits(whole)
        assert capsys.readouterr().out.count(f"{path.name} is damaged: it is made again\n") == 1


def test_a_cell_counts_whatever_made_it(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    played(run_of(tmp_path))
    monkeypatch.undo()
    monkeypatch.setattr(records, "git_state", lambda root: ("beef", False))
    run = run_of(tmp_path)
    assert played(run)[1] == []
    (about,) = [v for k, v in run.record()["provenance"]["cells"].items() if k.startswith("bridge-0.001")]
    assert about.pop("seconds") >= 0
    assert about == {"commit": "c0ffee", "dirty": False, "torch": torch.__version__, "cpu": "AVX2"} | {
        "criteria": run.record()["criteria"]
    }


def finished(root):
    run = run_of(root)
    found, names = played(run)
    run.metric("value", np.concatenate([2 + kept["first"][0] for kept in found.values()]))
    run.finish()
    return names


@pytest.mark.parametrize("state", [("c0ffee", True), ("c0ffee", None), (None, None)])
def test_a_cell_from_no_clean_tree_decides_no_claim_and_a_clean_tree_makes_it_again(
    tmp_path, monkeypatch, state
):
    monkeypatch.setattr(records, "git_state", lambda root: state)
    played(run_of(tmp_path), three()[:1])
    run = run_of(tmp_path)
    store = run._store
    monkeypatch.setattr(records, "git_state", lambda root: STATE)
    run.metric("value", [1.0, 2.0])
    store.take(next(place(tmp_path).glob("*.cell")).stem, dict)
    run.finish()
    verdict = claims.ledger(tmp_path)[0]
    assert verdict.verdict == claims.NOT_RUN and "a cell of demo, bridge-0.001" in verdict.reason
    assert finished(tmp_path) == NAMES  # without the one that was used above
    assert claims.ledger(tmp_path)[0].verdict != claims.NOT_RUN


def test_a_cell_made_before_the_criterion_shows(tmp_path):
    run = run_of(tmp_path)
    run._criteria["X1"] = "another"
    played(run, three()[:1])
    assert finished(tmp_path) == NAMES[1:]
    assert claims.ledger(tmp_path)[0].mark == verdicts.REANALYSED
    finished(tmp_path / "new")
    assert claims.ledger(tmp_path / "new")[0].mark == verdicts.CRITERION_FIRST


def test_cells_that_lie_there_do_not_make_a_run_dirty(tmp_path, monkeypatch):
    monkeypatch.undo()
    for command in ("init -q", "config user.email a@b", "config user.name a", "add .", "commit -qm one"):
        (tmp_path / "claims.yml").write_text(CLAIM)
        (tmp_path / ".gitignore").write_text("_build/\n")
        assert os.system(f"git -C {tmp_path} {command}") == 0
    (tmp_path / "bridgekit").mkdir()
    played(run_of(tmp_path))
    assert list(place(tmp_path).iterdir()) and records.git_state(tmp_path, tmp_path / "bridgekit")[1] is False


def test_a_tree_that_was_changed_while_a_cell_was_made_is_dirty(tmp_path, monkeypatch):
    store = cells.Store(tmp_path, root=tmp_path)
    states = iter([("c0ffee", False), ("beef", True)])
    monkeypatch.setattr(records, "git_state", lambda root: next(states))
    store.take("one", lambda: {"x": np.ones(2)})
    assert (store.made["one"]["commit"], store.made["one"]["dirty"]) == ("c0ffee", True)


def test_after_the_record_what_was_used_stays_and_nothing_else(tmp_path):
    finished(tmp_path)
    kept = tmp_path / "_build/cells/paper/demo"
    assert len(list(kept.iterdir())) == 3 and not place(tmp_path).exists()
    (kept / "old-123.cell").write_text("of another game")
    (kept / "note.txt").write_text("mine")
    assert finished(tmp_path) == []
    assert len(list(kept.glob("*.cell"))) == 3 and (kept / "note.txt").exists()


def test_a_run_to_another_place_takes_no_cell_and_leaves_none(tmp_path):
    finished(tmp_path)
    run = Run("demo", "paper", {}, tmp_path / "figures/repeated/demo", tmp_path)
    assert played(run)[1] == NAMES
    run.metric("value", [1.0, 2.0])
    run.finish()
    assert len(list(tmp_path.rglob("*.cell"))) == 3


def test_the_line_says_how_many_are_left(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(cells, "LONG", 0)
    store = cells.Store(tmp_path, root=tmp_path)
    store.left = 2
    for name in ("one", "two"):
        store.take(name, lambda: {"x": 1})
    assert capsys.readouterr().out.splitlines() == [
        "one: 0 s, 1 left, about 0 min",
        "two: 0 s, 0 left, about 0 min",
    ]


def test_one_that_another_process_makes_is_waited_for(tmp_path):
    store, other = (cells.Store(tmp_path, root=tmp_path) for _ in range(2))
    at_it, go_on = threading.Event(), threading.Event()

    def slowly():
        at_it.set()
        go_on.wait(30)
        return {"x": np.arange(3)}

    thread = threading.Thread(target=lambda: other.take("one", slowly))
    thread.start()
    at_it.wait(30)
    assert store.take("one", dict, wait=False) is None
    go_on.set()
    assert store.take("one", lambda: pytest.fail("made twice"))["x"].tolist() == [0, 1, 2]
    thread.join()
    assert [path.name for path in tmp_path.iterdir()] == ["one.cell"]


@pytest.mark.parametrize(
    ("share", "wanted"),
    [
        ((1, 0), [1]),
        ((1, 2), [1, 3, 5]),
        ((4, 0), [0, 1, 2, 4]),
        ((None, 0), []),
        ((0, 1), [0, 1, 2, 3, 4, 5]),
    ],
)
def test_a_share_of_two_sweeps(tmp_path, monkeypatch, share, wanted):
    """Of cells 0 to 2, and then 3 to 5; the second sweep waits for the whole of the first."""
    run, made = run_of(tmp_path, share=sweeps.Share(*share, sweeps=2)), []
    monkeypatch.setattr(sweep, "played", lambda cell, *_: made.append(cell.name) or {"x": np.ones(1)})
    monkeypatch.setattr(sweeps, "Kept", lambda arrays: arrays)
    with pytest.raises(sweeps.Filled):
        run.sweep([Cell(n, game(), [0]) for n in range(3)], evaluate, AT)
        run.sweep([Cell(n, game(), [0]) for n in range(3, 6)], evaluate, AT)
    assert sorted(made) == sorted(set(wanted) | ({0, 1, 2} if max(wanted, default=0) > 2 else set()))


def test_a_cell_that_does_not_exist_is_an_error_that_counts_them(tmp_path):
    run = run_of(tmp_path, share=sweeps.Share(1, 0, sweeps=1))
    with pytest.raises(errors.BridgekitError, match="there is no cell 1: they are 1, counted from 0"):
        run.sweep([Cell("one", game(), [0])], evaluate, AT)


PAGE = """
import torch

from bridgekit import data
from bridgekit.games import bridge, setups
from bridgekit.play import evaluation
from bridgekit.play.sweep import Cell

setup = setups.plane(data.mixture("gaussians25"), batch=8, hidden=8, depth=1)
z = torch.ones(1, 3, 2)


def evaluate(cell, state):
    if cell.name == 1 and Path("stop").exists():
        raise RuntimeError("the power is gone")
    return {"x": evaluation.samples(state, z).mean((1, 2))}


def game(n):
    return bridge.alpha_bridge(setup, rounds=(n + 1, 1, 1))


found = run.sweep([Cell(n, game(n), [0]) for n in range(3)], evaluate, at=[2])
run.metric("product", [kept["x"][0, 0] + 5 for kept in found.values()])
"""


@pytest.fixture
def with_cells(toy_book):
    toy_book.edit("book/alpha.md", 'run.metric("product", seed * scale)\n', PAGE)
    begin = "from bridgekit.book import runs\n"
    toy_book.edit("book/alpha.md", begin, f"from pathlib import Path\n\n{begin}")
    return toy_book


def names(folder):
    return sorted(path.name.partition("-")[0] for path in folder.glob("*.cell"))


@pytest.mark.pipeline
def test_a_reference_run_leaves_its_cells_until_the_record_is_placed(with_cells):
    with_cells.write("stop", "")
    with pytest.raises(errors.BridgekitError, match="the power is gone"):
        make.run("alpha", "paper", tell=lambda text: None)
    kept = with_cells.root / "figures/cells/alpha"
    assert names(kept) == ["0"]
    (with_cells.root / "stop").unlink()
    make.run("alpha", "paper", tell=lambda text: None)
    record = json.loads((with_cells.root / "figures/paper/alpha/record.json").read_text())
    assert len(record["provenance"]["cells"]) == len(record["metrics"]["product"]["values"]) == 3
    assert not kept.exists() and names(with_cells.root / "_build/cells/paper/alpha") == ["0", "1", "2"]
    # Elsewhere they go with the checkpoints.
    make.run("alpha", "paper", out=with_cells.root / "there", tell=lambda text: None)
    again = json.loads((with_cells.root / "there/record.json").read_text())
    assert again["metrics"] == record["metrics"] and len(list(with_cells.root.rglob("*.cell"))) == 3


@pytest.mark.pipeline
def test_cells_that_jobs_have_played_are_found_by_the_page(with_cells, capsys, monkeypatch):
    def fill(share):
        make.fill("alpha", share=share, tell=lambda text: None)
        monkeypatch.delenv("BRIDGEKIT_SPEC")  # each is told to a process of its own

    for n in range(2):
        fill((n, 2))
    kept = with_cells.root / "_build/cells/quick/alpha"
    made = {path: path.stat().st_mtime_ns for path in kept.glob("*.cell")}
    assert names(kept) == ["0", "1", "2"]
    capsys.readouterr()
    fill((None, 0))
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in listed] == [[f"{n}", "there"] for n in range(3)]
    make.run("alpha", tell=lambda text: None)
    assert {path: path.stat().st_mtime_ns for path in kept.glob("*.cell")} == made
    assert keys.why("alpha") == []
    with_cells.edit("book/alpha.md", "n + 1, 1, 1", "n + 1, 2, 1")
    assert keys.why("alpha") == ["the page has changed"]
    with_cells.notebook("alpha").unlink()  # of which Snakemake knows nothing
    done = with_cells.run("snakemake", "figures", "--cores", "2", "--config", "cells=2", "only=alpha")
    assert done.returncode == 0, done.stderr
    assert not made.keys() & set(kept.glob("*.cell")) and names(kept) == ["0", "1", "2"]
    assert "has no cells" in with_cells.run("bridgekit", "cell", "beta").stderr
    assert "N is below JOBS" in with_cells.run("bridgekit", "cell", "alpha", "2", "--of", "2").stderr


def test_why_a_page_would_run(toy_book, monkeypatch):
    assert keys.why("beta") == ["it has not been executed"]
    before = keys.dependencies("beta")
    notebook = json.dumps({"metadata": {"bridgekit": {"key": keys.key("beta"), "dependencies": before}}})
    toy_book.write("_build/notebooks/quick/beta.ipynb", notebook)
    assert keys.why("beta") == []
    toy_book.write("profiles/quick.yaml", "beta:\n  text: y\n")
    library = [each for each in keys.closure.library(keys.pages.find("beta").code) if each[0] != "spec.py"]
    library = [[name, "other" if name == "errors.py" else mark] for name, mark in library] + [["new.py", "1"]]
    monkeypatch.setattr(keys.closure, "library", lambda code: library)
    assert keys.why("beta") == [
        "bridgekit/errors.py has changed",
        "bridgekit/new.py is new",
        "bridgekit/spec.py is gone",
        "parameter text has changed: 'x' before, 'y' now",
    ]
