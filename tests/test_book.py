"""The book's source tree: executed pages only, and none that was executed from something else."""

import errno
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from bridgekit import book, pages
from bridgekit.errors import BridgekitError


@pytest.fixture
def executed(toy_book):
    """The small book with notebooks as `pages.run` leaves them, at profile quick."""
    for page in pages.names():
        metadata = {"bridgekit": {"page": page, "profile": "quick", "key": pages.key(page)}}
        notebook = {"cells": [], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
        toy_book.write(f"_build/notebooks/quick/{page}.ipynb", json.dumps(notebook))
    return toy_book


def test_source_tree(executed):
    executed.write("book/static/logo.txt", "logo")
    executed.write("book/.hidden", "no")
    source = book.assemble("quick", executed.root / "_build" / "work")
    files = {path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()}
    assert files == {
        ".assembled",
        "_toc.yml",
        "alpha.ipynb",
        "beta.ipynb",
        "references.bib",
        "static/logo.txt",
        "welcome.md",
    }
    assert (source / "../figures/paper/dot.svg").resolve().is_file()  # where welcome.md looks for it


def test_links_lead_to_what_pages_became(executed):
    executed.append("book/welcome.md", "[](alpha.md), [b](beta.md#here), [w](welcome.md), [o](other.md)\n")
    text = (book.assemble("quick", executed.root / "_build" / "work") / "welcome.md").read_text()
    assert "[](alpha.ipynb), [b](beta.ipynb#here), [w](welcome.md), [o](other.md)" in text


def test_page_that_was_not_executed(executed):
    executed.notebook("beta").unlink()
    with pytest.raises(BridgekitError, match="run `bridgekit run beta --profile quick`"):
        book.assemble("quick", executed.root / "_build" / "work")


def test_notebook_of_another_version_is_not_shown(executed):
    executed.edit("book/beta.md", "second", "2nd")
    with pytest.raises(BridgekitError, match="beta had been executed from another version"):
        book.assemble("quick", executed.root / "_build" / "work")
    assert not executed.notebook("beta").exists() and executed.notebook("alpha").exists()


def test_figure_that_is_not_there(executed):
    (executed.root / "figures" / "paper" / "dot.svg").unlink()
    with pytest.raises(BridgekitError, match="a page shows ../figures/paper/dot.svg"):
        book.assemble("quick", executed.root / "_build" / "work")


def test_key_follows_every_source(executed):
    seen = {book.key("quick")}
    assert book.key("quick") in seen
    sources = [f"book/{name}" for name in ("welcome.md", "references.bib", "alpha.md")]
    for name in (*sources, "_config.yml", "figures/paper/dot.svg"):
        executed.append(name, "\n")
        assert book.key("quick") not in seen, name
        seen.add(book.key("quick"))
    assert book.key("paper") not in seen


@pytest.fixture
def jupyter_book(executed, monkeypatch):
    """Sets a stand-in for Jupyter Book; tests/test_pipeline.py has the real one."""

    def stand_in(status, text="new", stderr=""):
        def run(command, **options):
            assert command[-4:] == ["-q", "-W", "-n", "--keep-going"]
            made = Path(command[command.index("--path-output") + 1]) / "_build"
            for name in ("html/index.html", ".doctrees/environment.pickle"):
                executed.write(str(made / name), text)
            return SimpleNamespace(returncode=status, stderr=stderr)

        monkeypatch.setattr(book.subprocess, "run", run)

    return stand_in


def test_build_is_whole_or_not_there(executed, jupyter_book):
    jupyter_book(1)
    for _ in range(2):
        with pytest.raises(BridgekitError, match="each of them is an error: see the lines above.$"):
            book.build("quick")
        assert not (executed.root / "_build" / "html").exists() and litter(executed) == []
    jupyter_book(0)
    assert book.build("quick").read_text() == "new" and litter(executed) == []


def litter(executed) -> list[str]:
    """What lies under _build beside the notebooks and the book."""
    return [path.name for path in executed.root.glob("_build/work/*")]


def test_earlier_book_stays_until_the_new_one_is_whole(executed, jupyter_book, capsys):
    jupyter_book(0, "earlier")
    html = book.build("quick")
    jupyter_book(1, "broken", "WARNING: something\n")
    with pytest.raises(BridgekitError, match="each of them is an error.* is the earlier book"):
        book.build("quick")
    assert html.read_text() == "earlier" and capsys.readouterr().err == "WARNING: something\n"
    executed.notebook("beta").unlink()
    with pytest.raises(BridgekitError, match="beta has not been executed"):
        book.build("quick")
    assert html.read_text() == "earlier" and litter(executed) == []


@pytest.mark.parametrize(
    ("said", "name"),
    [("OSError: [Errno 28] No space", "the disk is full"), ("[Errno 122] Disk", "the disk quota is used")],
)
def test_full_disk_is_no_warning(executed, jupyter_book, said, name):
    jupyter_book(0, "earlier")
    html = book.build("quick")
    jupyter_book(1, "half", f"Exception occurred:\n{said}\n")
    with pytest.raises(BridgekitError, match=f"cannot write the book: .*Free some space .{name}") as error:
        book.build("quick")
    assert "warnings" not in str(error.value) and html.read_text() == "earlier"


def test_full_disk_while_the_sources_are_put_together(executed, jupyter_book, monkeypatch):
    jupyter_book(0, "earlier")
    html = book.build("quick")

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(book.shutil, "copyfile", full)
    with pytest.raises(BridgekitError, match="cannot write .*_build: No space left on device. Free"):
        book.build("quick")
    assert html.read_text() == "earlier" and litter(executed) == []


def test_guard_lets_assembled_sources_pass_and_nothing_else(executed):
    source = book.assemble("quick", executed.root / "_build" / "work")
    assert book.setup(SimpleNamespace(srcdir=source))["parallel_read_safe"]
    with pytest.raises(SystemExit, match="Run `make book`"):
        book.setup(SimpleNamespace(srcdir=executed.root / "book"))
