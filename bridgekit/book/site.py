"""The book from its executed pages: Jupyter Book's source tree, the HTML, and the guard against shortcuts.

Jupyter Book executes nothing here: `assemble` puts executed notebooks, which hold their figures, and plain
pages into one folder of this process alone, and `build` makes every warning an error. The module is also a
Sphinx extension, named in _config.yml, which stops a build of the bare sources with one message.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bridgekit import closure
from bridgekit.book import cards, keys, pages, placement, records, roles, sums
from bridgekit.errors import BridgekitError

MARK = ".assembled"
LINK = re.compile(r"\]\((?P<page>[\w/-]+)\.md(?P<end>[#)])")
PRINTED = re.compile(r"([ABC]\.\d+[a-z]?)(?:-to-(\d+))?")  # a paper's number, or two, as a label begins
FOLDED = ("Details: ", "Run it yourself", "Notes for the careful")  # how the heading of such a section begins
JUPYTER_BOOK = "from jupyter_book.cli.main import main; main()"


def _sources(home: Path) -> Iterator[Path]:
    """Everything under book/ that goes into the book as it is: plain pages, _toc.yml, references, images."""
    executed = {home / "book" / f"{page}.md" for page in pages.executed()}
    for path in sorted(set((home / "book").rglob("*")) - executed):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(home).parts):
            yield path


def key(profile: str) -> str:
    """What the HTML depends on, beside the executed pages' own keys: all of it by content."""
    home = pages.root()
    own = [Path(__file__), *_sources(home), home / "_config.yml"]
    own += sorted(
        file for room in ("bridgekit", "tests") for file in (closure.PACKAGE.parent / room).rglob("*.py")
    )
    return closure.digest(profile, {page: keys.key(page, profile) for page in pages.executed()}, *own)


def assemble(profile: str, work: Path) -> Path:
    """Make `work`/source anew from the pages executed at `profile`; returns it.

    A notebook that is damaged, or was executed from something else than what stands here now, is removed,
    with an error. A damaged file of a reference run is an error.
    """
    home, source = pages.root(), work / "source"
    for kind in records.COMMITTED:  # pages show these runs
        for path in sorted((home / "figures" / kind).glob(f"*/{sums.NAME}")):
            sums.check(path.parent)
    for page in pages.executed():
        _copy(_current(home, page, profile), source / f"{page}.ipynb")
    for path in _sources(home):
        _copy(path, source / path.relative_to(home / "book"))
    for path in (*source.rglob("*.md"), *source.rglob("*.ipynb")):
        text = path.read_text(encoding="utf-8")
        path.write_text(LINK.sub(_to_notebook, text), encoding="utf-8")
    (source / "_static").mkdir(exist_ok=True)
    (source / "_static" / "roles.css").write_text(roles.css(), encoding="utf-8")
    (source / MARK).touch()
    return source


def _to_notebook(link: re.Match) -> str:
    """A link to a page's source, as it works in an editor, made one to the notebook that it became."""
    page = link["page"]
    return f"]({page}.ipynb{link['end']}" if page in pages.executed() else link[0]


def _copy(path: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, to)


def _current(home: Path, page: str, profile: str) -> Path:
    """The page's executed notebook, once it is sure that it is this page's, at this profile."""
    notebook = home / "_build" / "notebooks" / profile / f"{page}.ipynb"
    made = keys.made(home, profile, page)
    if made is None:
        raise BridgekitError(f"{page} has not been executed: run `bridgekit run {page} --profile {profile}`")
    if made.get("key") != keys.key(page, profile):
        notebook.unlink()
        why = "had been executed from another version of it, or the notebook is damaged"
        raise BridgekitError(f"{page} {why}; removed. Run `make book` again")
    return notebook


def build(profile: str) -> Path:
    """Assemble the pages and build the HTML; returns _build/html/index.html.

    Raises BridgekitError, and leaves the earlier HTML as it was, where that fails. Always from nothing: a
    doctree that a failed build leaves would hide its warnings from the next one.
    """
    home = pages.root()
    placement.recover(home)
    html = home / "_build" / "html"
    with placement.workshop(home) as work:
        if _jupyter_book(assemble(profile, work), home / "_config.yml", work / "book"):
            earlier = f" What stands in {html} is the earlier book." if html.exists() else ""
            raise BridgekitError(
                f"the book has warnings, and each of them is an error: see the lines above.{earlier}"
            )
        placement.swap(work / "book" / "_build" / "html", html)
    return html / "index.html"


def _jupyter_book(source: Path, config: Path, to: Path) -> int:
    """Run Jupyter Book, whose errors are shown; its status, 0 where nothing was wrong."""
    command = ["build", str(source), "--config", str(config), "--path-output", str(to)]
    command = [sys.executable, "-c", JUPYTER_BOOK, *command, "-q", "-W", "-n", "--keep-going"]
    # Not its standard output: the last words there name a folder that moves.
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "encoding": "utf-8"}
    env = {**os.environ, "PYTHONUTF8": "1", "PYTHONIOENCODING": "utf-8"}  # whatever the terminal can show
    done = subprocess.run(command, cwd=config.parent, env=env, errors="replace", **streams)
    sys.stderr.write(done.stderr)
    return done.returncode


def _number(app, doctree) -> None:
    """Number a displayed equation as its paper does: its label begins with that number, or it has none."""
    from docutils import nodes

    for node in doctree.findall(nodes.math_block):
        if not (label := node.get("label")):
            where = f"{app.env.docname}: {node.astext().strip()[:60]!r}"
            raise BridgekitError(f"a displayed equation has no label, $$ ... $$ (A.15), say: {where}")
        printed = PRINTED.match(label)
        node["number"] = "–".join(filter(None, printed.groups())) if printed else None


def _fold(app, doctree, page: str) -> None:
    """Fold what stands under a heading that says so, the heading its handle; a link into it opens it."""
    from docutils import nodes

    for section in list(doctree.findall(nodes.section)):
        if section[0].astext().startswith(FOLDED):
            section.insert(0, nodes.raw("", '<details class="bk-section"><summary>', format="html"))
            section.insert(2, nodes.raw("", "</summary>", format="html"))
            section.append(nodes.raw("", "</details>", format="html"))


def _name_items(app, page: str, template: str, context: dict, doctree) -> None:
    """Let each entry of a bibliography be an item of its list, as docutils' own markup does not."""
    context["body"] = context.get("body", "").replace('role="doc-biblioentry"', 'role="listitem"')


def setup(app) -> dict[str, bool]:
    """Sphinx's entry point: stop unless the source folder is one that `assemble` made."""
    if not (Path(app.srcdir) / MARK).is_file():
        raise SystemExit("bridgekit: these are the book's sources, not yet executed. Run `make book`.")
    app.connect("doctree-read", _number)
    app.connect("doctree-resolved", _fold)
    app.connect("html-page-context", _name_items)
    cards.connect(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
