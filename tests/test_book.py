"""The book's source tree: executed pages only, and none that was executed from something else."""

import errno
import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import REPOSITORY, rewrite

from bridgekit.__main__ import main
from bridgekit.book import keys, pages, site
from bridgekit.errors import BridgekitError


def assemble():
    """The source tree, in a folder of its own."""
    return site.assemble("quick", pages.root() / "_build" / "work" / "here")


@pytest.fixture
def executed(toy_book):
    """The small book with notebooks as `pages.run` leaves them, at profile quick."""
    for page in pages.executed():
        metadata = {"bridgekit": {"page": page, "profile": "quick", "key": keys.key(page)}}
        notebook = {"cells": [], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
        toy_book.write(f"_build/notebooks/quick/{page}.ipynb", json.dumps(notebook))
    return toy_book


def test_source_tree(executed):
    executed.write("book/static/logo.txt", "logo")
    executed.write("book/.hidden", "no")
    source = assemble()
    files = {path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()}
    assert files == {
        ".assembled",
        "_static/roles.css",
        "_toc.yml",
        "alpha.ipynb",
        "beta.ipynb",
        "dot.svg",
        "references.bib",
        "static/logo.txt",
        "welcome.md",
    }


PAST_THE_RUN = re.compile(
    r"!\[|<(?:img|svg|canvas)\b|\{(?:image|figure)\}|\b(?:display|show)\(|\b(?:reference|repeated)\.figure\("
    r"|\bdisplays\.(?:figure|film|stored|framed)\("
)


@pytest.mark.parametrize("page", sorted((REPOSITORY / "book").glob("*.md")), ids=lambda page: page.stem)
def test_a_picture_comes_to_a_page_by_a_run(page):
    """By `run.figure`, `run.film` or `show.borrowed`, which ask for a caption that says what to see."""
    assert PAST_THE_RUN.findall(page.read_text()) == []


def test_links_lead_to_what_pages_became(executed):
    executed.append("book/welcome.md", "[](alpha.md), [b](beta.md#here), [w](welcome.md), [o](other.md)\n")
    text = (assemble() / "welcome.md").read_text()
    assert "[](alpha.ipynb), [b](beta.ipynb#here), [w](welcome.md), [o](other.md)" in text


def test_page_that_was_not_executed(executed):
    executed.notebook("beta").unlink()
    with pytest.raises(BridgekitError, match="run `bridgekit run beta --profile quick`"):
        assemble()


def test_notebook_of_another_version_is_not_shown(executed):
    executed.edit("book/beta.md", "second", "2nd")
    with pytest.raises(BridgekitError, match="beta had been executed from another version"):
        assemble()
    assert not executed.notebook("beta").exists() and executed.notebook("alpha").exists()


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"metadata": {"bridgekit": 3}}', "\udcff"])
def test_what_is_no_notebook_is_made_anew(executed, text):
    executed.notebook("beta").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(BridgekitError, match="beta .*, or the notebook is damaged; removed. Run `make book`"):
        assemble()
    assert not executed.notebook("beta").exists() and executed.notebook("alpha").exists()


RECORD = {"schema": 1, "page": "other", "profile": "paper", "figures": {"curve": {"files": ["curve.svg"]}}}
RECORD |= {name: {} for name in ("parameters", "metrics", "criteria", "provenance")}


@pytest.mark.parametrize("kind", ["paper", "repeated"])
def test_a_damaged_file_of_a_reference_run_stops_the_book(executed, kind):
    image = executed.write(f"figures/{kind}/other/curve.svg", "<svg/>")
    rewrite(image.parent / "record.json", RECORD)
    assert assemble()
    image.write_text("<svg >")
    with pytest.raises(BridgekitError, match=rf"curve\.svg in .*{kind}/other: missing or damaged"):
        assemble()


def test_key_follows_every_source(executed):
    seen = {site.key("quick")}
    assert site.key("quick") in seen
    sources = [f"book/{name}" for name in ("welcome.md", "references.bib", "alpha.md", "dot.svg")]
    for name in (*sources, "_config.yml"):
        executed.append(name, "\n")
        assert site.key("quick") not in seen, name
        seen.add(site.key("quick"))
    assert site.key("paper") not in seen


def jupyter_book(monkeypatch, status=0, meanwhile=lambda: None, stderr=""):
    """A stand-in for Jupyter Book; tests/test_pipeline.py has the real one. The folders it worked in."""
    seen = []

    def run(command, **options):
        assert command[-4:] == ["-q", "-W", "-n", "--keep-going"]
        work = Path(command[command.index("--path-output") + 1])
        seen.append(work.parent)
        for name, text in {"html/index.html": f"{len(seen)}", ".doctrees/environment.pickle": ""}.items():
            (work / "_build" / name).parent.mkdir(parents=True)
            (work / "_build" / name).write_text(text)
        meanwhile()
        return SimpleNamespace(returncode=status, stderr=stderr)

    monkeypatch.setattr(site.subprocess, "run", run)
    return seen


def test_a_build_that_fails_leaves_the_old_html(executed, monkeypatch, capsys):
    html = executed.root / "_build" / "html"
    jupyter_book(monkeypatch, status=1)
    for _ in range(2):
        with pytest.raises(BridgekitError, match="each of them is an error: see the lines above.$"):
            site.build("quick")
        assert not html.exists()
    jupyter_book(monkeypatch)
    assert site.build("quick").read_text() == "1"
    jupyter_book(monkeypatch, status=1, stderr="WARNING: something\n")
    with pytest.raises(BridgekitError, match="each of them is an error.* is the earlier book"):
        site.build("quick")
    assert (html / "index.html").read_text() == "1" and capsys.readouterr().err == "WARNING: something\n"
    assert sorted(path.name for path in html.parent.iterdir()) == ["html", "notebooks", "work"]
    assert not list((html.parent / "work").iterdir())


def test_two_builds_at_once_do_not_touch_each_other(executed, monkeypatch):
    """The second one begins and ends while the first one is in the middle."""
    html, inner = executed.root / "_build" / "html", []

    def meanwhile():
        if len(seen) == 1:
            inner.append(site.build("quick").read_text())

    seen = jupyter_book(monkeypatch, meanwhile=meanwhile)
    assert site.build("quick").read_text() == "1" and inner == ["2"]
    assert len(set(seen)) == 2 and not any(work.exists() for work in seen)
    assert sorted(path.name for path in html.parent.iterdir()) == ["html", "notebooks", "work"]


def test_full_disk_while_the_sources_are_put_together(executed, monkeypatch, capsys):
    jupyter_book(monkeypatch)
    html = site.build("quick")

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(site.shutil, "copyfile", full)
    assert main(["html"]) == 2
    assert "cannot write" in (said := capsys.readouterr().err) and "No space left on device. Free" in said
    assert html.read_text() == "1" and not list((html.parent.parent / "work").iterdir())


def test_guard_lets_assembled_sources_pass_and_nothing_else(executed):
    source = assemble()
    heard = []
    sphinx = {"connect": lambda event, what: heard.append(event)}
    assert site.setup(SimpleNamespace(srcdir=source, **sphinx))["parallel_read_safe"]
    assert heard == ["doctree-read", "doctree-resolved", "html-page-context"]
    with pytest.raises(SystemExit, match="Run `make book`"):
        site.setup(SimpleNamespace(srcdir=executed.root / "book", **sphinx))


@pytest.mark.parametrize(
    ("label", "number"),
    [("A.15", "A.15"), ("A.15-weights", "A.15"), ("B.9-to-11", "B.9–11"), ("C.3b", "C.3b"), ("bound", None)],
)
def test_an_equation_bears_its_papers_number(label, number):
    from docutils import nodes, utils

    tree, app = utils.new_document("page"), SimpleNamespace(env=SimpleNamespace(docname="plane"))
    tree += nodes.math_block("", "a = b", label=label, number=1)
    site._number(app, tree)
    assert tree[0]["number"] == number
    tree += nodes.math_block("", "c = d")
    with pytest.raises(BridgekitError, match=r"plane: 'c = d'|no label.*plane"):
        site._number(app, tree)


def test_a_section_that_says_so_is_folded_under_its_heading():
    from docutils import nodes, utils

    tree = utils.new_document("page")
    for title in ("Details: rounding", "The walk"):
        tree += nodes.section("", nodes.title("", title), nodes.paragraph("", "Words."))
    site._fold(None, tree, "plane")
    kinds = [[type(child).__name__ for child in section] for section in tree]
    assert kinds == [["raw", "title", "raw", "paragraph", "raw"], ["title", "paragraph"]]
    assert [raw.astext() for raw in tree.findall(nodes.raw)] == [
        '<details class="bk-section"><summary>',
        "</summary>",
        "</details>",
    ]


def test_an_entry_of_a_bibliography_is_an_item_of_its_list():
    context = {"body": '<div role="list"><div role="doc-biblioentry">Zhao</div></div>'}
    site._name_items(None, "notation", "page.html", context, None)
    assert context["body"] == '<div role="list"><div role="listitem">Zhao</div></div>'
