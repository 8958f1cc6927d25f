"""Results take their place whole or not at all, whatever is killed when; what is foreign stays."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from kills import moments

from bridgekit import files
from bridgekit.__main__ import main
from bridgekit.book import keys, make, pages, placement, runs, site, sums
from bridgekit.errors import BridgekitError

OLD = {"a.svg": "old", "a.npz": "old", "gone.svg": "old"}
NEW = {"a.svg": "new", "a.npz": "new", "fresh.svg": "new"}


def result(drawn: dict[str, str], page: str = "beta") -> dict[str, bytes]:
    """The files of a run: what it drew, and its record."""
    kinds = {"parameters", "metrics", "criteria", "provenance"}
    record = {"schema": 1, "page": page, "profile": "quick", **{kind: {} for kind in kinds}}
    record["figures"] = {"all": {"files": sorted(drawn)}}
    record["provenance"] = {"made": next(iter(drawn.values()))}
    texts = drawn | {"record.json": json.dumps(record)}
    files = {name: text.encode() for name, text in texts.items()}
    return files | {sums.NAME: sums.body(files)}


def lay(folder: Path, content: dict[str, bytes]) -> None:
    """Write files as they are."""
    for name, body in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(body)


def found(folder: Path) -> dict[str, bytes | None]:
    """Every file under a folder, locks and all, and every empty folder but those of the program."""
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    empty = {path: None for path in folder.rglob("*") if path.is_dir() and not any(path.iterdir())}
    return {
        p.relative_to(folder).as_posix(): body for p, body in (files | empty).items() if p.name not in PLAIN
    }


def remade(folder: Path, content: dict[str, bytes]) -> None:
    """Make a folder hold these files and nothing else."""
    wanted = {folder / parent for name in content for parent in Path(name).parents}
    now = found(folder)
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and path not in wanted:
            path.rmdir()
        elif path.is_file() and path.relative_to(folder).as_posix() not in content:
            path.unlink()
    lay(folder, {name: body for name, body in content.items() if now.get(name) != body})


def notebook(made: str) -> dict:
    """An executed notebook of the page beta."""
    cells = [nbformat.v4.new_markdown_cell(made, id="only")]
    return nbformat.v4.new_notebook(cells=cells, metadata={"bridgekit": {"page": "beta"}})


@pytest.fixture
def stand_in(toy_book, monkeypatch):
    """The small book, whose pages are executed in a moment: they leave `NEW`, or what `.drawn` says."""
    toy_book.write("claims.yml", "[]\n")
    stand = SimpleNamespace(root=toy_book.root, write=toy_book.write, drawn=NEW, meanwhile=lambda: None)

    def execute(source, parameters, work, failed, home, env, *more):
        out = json.loads(Path(env["BRIDGEKIT_SPEC"]).read_text())["out"]
        placement.Place(Path(out), "beta", home).put(result(stand.drawn))
        stand.meanwhile()
        return notebook(stand.drawn["a.svg"])

    monkeypatch.setattr(pages.execution, "execute", execute)
    monkeypatch.setattr(pages.execution, "watched", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(keys, "key", lambda *_: "key")
    monkeypatch.setattr(keys, "dependencies", lambda *_: {})
    monkeypatch.setattr(os, "fsync", lambda file: None)  # a killed process loses nothing that it wrote
    return stand


def run(**options) -> Path:
    """`bridgekit run beta` without a word."""
    return make.run("beta", tell=lambda text: None, **options)


def made(drawn: dict[str, str], folder: str, notebooks: str) -> dict[str, bytes]:
    """What a whole run leaves, by place."""
    text = notebook(drawn["a.svg"])
    text.metadata["bridgekit"] |= {"profile": "quick", "key": "key", "dependencies": {}}
    content = {os.path.join(folder, name): body for name, body in result(drawn).items()}
    return content | {os.path.join(notebooks, "beta.ipynb"): (nbformat.writes(text) + "\n").encode()}


PLAIN = ("_build", "work", "notebooks", "quick")
FOREIGN = {"thesis.tex": b"years", "sub/thesis.svg": b"drawn by hand"}
PLACES = {
    "in place": (None, "toy/figures/quick/beta", "toy/_build/notebooks/quick", 3),
    "--out": ("mine", "mine", "mine", 7),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.pipeline
def test_a_run_killed_at_any_moment_leaves_the_old_result_or_the_new(stand_in, tmp_path, place):
    out, folder, notebooks, step = PLACES[place]
    out = tmp_path / out if out else None
    base = found(tmp_path) | {f"{folder}/{name}": body for name, body in FOREIGN.items() if not out}
    old, new = (base | made(drawn, folder, notebooks) for drawn in (OLD, NEW))
    remade(tmp_path, old)
    seen = []
    for k in moments(lambda: run(out=out), tmp_path, step):
        here = {path.name: path.read_bytes() for path in (tmp_path / folder).iterdir() if path.is_file()}
        assert here["record.json"] in (result(OLD)["record.json"], result(NEW)["record.json"])
        if here["record.json"] == result(NEW)["record.json"]:  # which comes after its figures
            assert result(NEW).items() <= here.items()
        placement.recover(stand_in.root)
        if out:
            placement.Place(out, "beta", stand_in.root).check()
        now = found(tmp_path)
        assert now in (old, new), f"moment {k}: {now.keys() ^ old.keys()}, {now.keys() ^ new.keys()}"
        seen.append(now == new)
        if len(seen) % 6 == 0:  # the next run goes as if nothing had been
            run(out=out)
            assert found(tmp_path) == new
        remade(tmp_path, old)
    assert len(seen) * step >= 100 and seen == sorted(seen) and 3 < sum(seen) < len(seen)


@pytest.mark.pipeline
def test_a_first_run_killed_at_any_moment_leaves_nothing_or_the_result(stand_in, tmp_path):
    nothing = found(tmp_path)
    new = nothing | made(NEW, "toy/figures/quick/beta", "toy/_build/notebooks/quick")
    seen = []
    for _ in moments(run, tmp_path, 7):
        placement.recover(stand_in.root)
        now = {name: body for name, body in found(tmp_path).items() if body is not None}
        assert now in (nothing, new)
        seen.append(now == new)
        remade(tmp_path, nothing)
    assert seen == sorted(seen) and 3 < sum(seen) < len(seen)


@pytest.mark.parametrize("place", ["figures/custom/beta", "mine"])
@pytest.mark.pipeline
def test_finish_killed_at_any_moment_leaves_the_old_result_or_the_new(toy_book, monkeypatch, place):
    """Where plain papermill runs the page, `Run.finish` itself puts the result in place."""
    monkeypatch.setattr(os, "fsync", lambda file: None)
    folder = toy_book.root / place
    run = runs.Run("beta", "custom", {}, folder, toy_book.root)
    run._files = {"all": {name: text.encode() for name, text in NEW.items()}}
    run._figures = {"all": {"files": sorted(NEW)}}
    monkeypatch.setattr(run, "record", lambda: json.loads(result(NEW)["record.json"]))
    lay(folder, result(OLD))
    old = found(toy_book.root)
    run.finish()
    new, seen = found(toy_book.root), []
    remade(toy_book.root, old)
    for _ in moments(run.finish, toy_book.root, 2):
        again = runs.Run("beta", "custom", {}, folder, toy_book.root)  # as the next run begins
        placement.recover(toy_book.root)
        assert found(toy_book.root) in (old, new) and again.out == folder
        seen.append(found(toy_book.root) == new)
        remade(toy_book.root, old)
    assert len(seen) >= 10 and seen == sorted(seen) and 3 < sum(seen) < len(seen)


@pytest.mark.pipeline
def test_a_book_killed_at_any_moment_leaves_the_old_html_or_the_new(stand_in, tmp_path, monkeypatch):
    monkeypatch.setattr(site, "assemble", lambda profile, work: work / "source")
    html = stand_in.root / "_build" / "html"

    def built(command, **options):
        lay(Path(command[command.index("--path-output") + 1]) / "_build/html", {"index.html": b"new"})
        return SimpleNamespace(returncode=0, stderr="")

    monkeypatch.setattr(site.subprocess, "run", built)
    lay(html, {"index.html": b"old", "gone.html": b"old"})
    old = found(tmp_path)
    site.build("quick")
    new, seen = found(tmp_path), []
    remade(tmp_path, old)
    for _ in moments(lambda: site.build("quick"), tmp_path):
        placement.recover(stand_in.root)
        assert found(tmp_path) in (old, new)
        seen.append(found(tmp_path) == new)
        remade(tmp_path, old)
    assert seen == sorted(seen) and 1 < sum(seen) < len(seen)


# ---------------------------------------------------------------------- what is foreign


def test_out_replaces_its_own_and_nothing_else(stand_in, tmp_path):
    out = tmp_path / "mine"
    stand_in.drawn = OLD
    run(out=out)
    stand_in.drawn = NEW
    run(out=out)
    assert found(out) == made(NEW, "", "")  # gone.svg went


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ({"letter.txt": b"mine"}, "holds letter.txt, which no run of page 'beta' has left"),
        ({"record.json": b"{damaged"}, "holds record.json, which no run of page 'beta' has left"),
        (result(OLD, "alpha"), "holds SHA256SUMS, which no run of page 'beta' has left"),
        (result(OLD) | {"letter.txt": b"mine"}, "holds letter.txt, which no run"),
    ],
)
def test_what_is_foreign_is_known_before_anything_runs(stand_in, tmp_path, monkeypatch, there, said):
    monkeypatch.setattr(pages.execution, "execute", lambda *_: pytest.fail("the page was executed"))
    lay(tmp_path / "mine", there)
    with pytest.raises(BridgekitError, match=rf"{said}.*Choose another folder with --out"):
        run(out=tmp_path / "mine")
    assert found(tmp_path / "mine") == there


def test_one_out_for_two_pages_is_one_error(toy_book, monkeypatch, tmp_path):
    """As plain papermill's kernels see it, which a file that BRIDGEKIT_SPEC names may tell where to go."""
    shared = tmp_path / "shared"
    lay(shared, result(OLD, "alpha"))
    with pytest.raises(BridgekitError, match=r"which no run of page 'beta' has left: .*BRIDGEKIT_SPEC"):
        runs.Run("beta", "custom", {}, shared, toy_book.root)
    assert found(shared) == result(OLD, "alpha")
    assert runs.Run("alpha", "custom", {}, shared, toy_book.root).out == shared


def test_a_damaged_record_in_its_own_place_takes_its_figures_along(stand_in, tmp_path):
    folder = stand_in.root / "figures/quick/beta"
    lay(folder, result(OLD) | {"record.json": b"{damaged"} | FOREIGN)
    run()
    assert found(folder) == result(NEW) | FOREIGN


def test_what_is_to_go_is_in_the_folder_itself(stand_in, tmp_path):
    ready = tmp_path / "mine" / placement.PLACING / placement.READY
    lay(tmp_path, {"letter.txt": b"mine"})
    lay(ready, {placement.GONE: b"../letter.txt\n../../letter.txt"})
    run(out=tmp_path / "mine")
    assert (tmp_path / "letter.txt").read_bytes() == b"mine"


# ---------------------------------------------------------------------- two at once


def test_of_two_that_place_at_once_one_waits(stand_in, tmp_path):
    """A result is never one run's record beside another one's figures."""
    folder = tmp_path / "mine"
    code = "import sys; from pathlib import Path; from bridgekit import files\n"
    code += "with files.locked(Path(sys.argv[1])):\n    print('have', flush=True); input()"
    lock = folder / placement.PLACING / files.LOCK
    with subprocess.Popen(
        [sys.executable, "-c", code, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        other.stdout.readline()
        place = placement.Place(folder, "beta", stand_in.root)
        put = threading.Thread(target=place.put, args=(result(NEW),))
        put.start()
        put.join(0.2)
        assert put.is_alive() and not (folder / "record.json").exists()
        other.communicate(b"\n", timeout=10)
    put.join(10)
    assert found(folder) == result(NEW)


def test_what_a_living_run_holds_is_not_swept(stand_in):
    stage = stand_in.root / "figures/quick/alpha" / placement.PLACING
    with contextlib.ExitStack() as living:
        work = living.enter_context(placement.workshop(stand_in.root))
        living.enter_context(files.locked(stage / files.LOCK))
        for half in (work / "half", stage / "half"):
            half.touch()
        run()
        assert main(["claims"]) == 0
        assert (work / "half").exists() and (stage / "half").exists()
    placement.recover(stand_in.root)
    assert not stage.exists()


# ---------------------------------------------------------------------- when it goes wrong


def test_a_full_disk_is_one_error_and_leaves_the_old_result(stand_in, tmp_path, monkeypatch):
    stand_in.drawn = OLD
    run()
    before, write = found(tmp_path), Path.write_bytes

    def full(path, body):
        if path.name.startswith(".record.json.") and "figures" in path.parts:
            raise OSError(28, "No space left on device")
        return write(path, body)

    stand_in.drawn = NEW
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(BridgekitError, match="cannot write .*No space left on device. Free some space"):
            run()
    assert found(tmp_path) == before


def test_what_cannot_be_moved_is_moved_by_the_next_start(stand_in, tmp_path, monkeypatch):
    stand_in.drawn = OLD
    run()
    replace = os.replace

    def refused(source, target):
        if str(target).endswith("beta/a.svg"):
            raise PermissionError(13, "Permission denied")
        return replace(source, target)

    stand_in.drawn = NEW
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refused)
        with pytest.raises(BridgekitError, match="cannot write results to .*Permission denied"):
            run()
    assert main(["claims"]) == 0
    assert found(stand_in.root / "figures/quick/beta") == result(NEW)


def test_a_swap_that_fails_leaves_the_old_folder(tmp_path, monkeypatch):
    lay(tmp_path, {"html/index.html": b"old"})
    with pytest.raises(FileNotFoundError):
        placement.swap(tmp_path / "nothing", tmp_path / "html")
    assert found(tmp_path) == {"html/index.html": b"old"}


# ---------------------------------------------------------------------- the real pipeline

KILLED = """
import sys
from kills import killer
from bridgekit.__main__ import main
sys.addaudithook(killer(sys.argv[1], int(sys.argv[2])))
sys.exit(main(["run", "beta", "--set", f"text={sys.argv[3]}"]))
"""


@pytest.mark.pipeline
@pytest.mark.parametrize("k", [14, 26])  # before it is the result, before the record
def test_a_real_run_killed_as_it_places_its_result(toy_book, k):
    toy_book.edit("book/beta.md", '{"text": text}', '{"text": text, "drawn": text}')
    toy_book.run("bridgekit", "run", "beta", "--set", "text=old", check=True)
    record, notebooks = toy_book.root / "figures/custom/beta/record.json", toy_book.root / "_build/notebooks"
    env = toy_book.environment()
    env["PYTHONPATH"] += os.pathsep + str(Path(__file__).parent)
    command = [sys.executable, "-c", KILLED, str(toy_book.root / "figures"), str(k), "new"]
    done = subprocess.run(command, cwd=toy_book.root, env=env, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert main(["list"]) == 0
    placement.recover(toy_book.root)
    text = json.loads(record.read_text())["text"]
    executed = nbformat.read(notebooks / "custom/beta.ipynb", as_version=4)
    assert any(f'text = "{text}"' in cell.source for cell in executed.cells)
    assert text in ("old", "new")
    toy_book.run("bridgekit", "run", "beta", "--set", "text=new", check=True)
    assert json.loads(record.read_text())["text"] == "new"
    left = {path.relative_to(toy_book.root).as_posix() for path in toy_book.root.rglob(".*")}
    assert left <= {".snakemake"} and not list((toy_book.root / "_build/work").iterdir())


@pytest.mark.pipeline
def test_two_make_book_at_once(toy_book):
    """Snakemake without its lock, as the Makefile calls it, twice."""
    command = toy_book.command("snakemake", "--cores", "1", "--config", "profile=quick", "--", "book")
    both = [
        subprocess.Popen(command, cwd=toy_book.root, env=toy_book.environment(), stderr=subprocess.PIPE)
        for _ in "ab"
    ]
    said = [each.communicate()[1].decode() for each in both]
    assert [each.returncode for each in both] == [0, 0], said
    build = toy_book.root / "_build"
    assert "The second page" in (build / "html" / "beta.html").read_text()
    assert sorted(path.name for path in build.iterdir()) == ["html", "html.whole", "notebooks", "work"]
    assert not list((build / "work").iterdir())
