"""A small book of two pages, on which the pipeline is tried, and the real one, opened in a browser."""

import functools
import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

from bridgekit import spec
from bridgekit.book import kernels, sums

REPOSITORY = Path(__file__).resolve().parent.parent
kernels.keep_memory()  # games are played in this process, too
PAGES = frozenset(path.stem for path in (REPOSITORY / "book").glob("*.md"))
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
HEADER = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

"""
ALPHA = """# The first page

```{code-cell} ipython3
:tags: [parameters]

seed: int = 3
scale: float = 2.0  # of everything
names: list[str] = ["a"]
```

The product follows.

```{code-cell} ipython3
from bridgekit.book import runs

run = runs.begin("alpha", globals())
```

```{code-cell} ipython3
run.metric("product", seed * scale)
print(run.root / "figures")
```

```{code-cell} ipython3
run.finish()
```

It is {glue:text}`product:.1f`.
"""
# Needs no torch: a page that is executed in a second.
BETA = """# The second page

```{code-cell} ipython3
---
tags: [parameters]
---
text: str = "x"
```

```{code-cell} ipython3
import json
import os
from pathlib import Path

from bridgekit import errors, spec

out = Path(spec.told("out") or "figures/custom/beta")
out.mkdir(parents=True, exist_ok=True)
(out / "record.json").write_text(json.dumps({"text": text}))
```
"""
WELCOME = """# Welcome

Mathematics, $\\E x = \\R$, and {cite:t}`somebody`; then [](beta.md).

![A dot](dot.svg)

```{bibliography}
```
"""
FILES = {
    "book/_toc.yml": "format: jb-book\nroot: welcome\nparts:\n  - caption: All\n    chapters:\n"
    "      - file: alpha\n      - file: beta\n",
    "book/alpha.md": HEADER + ALPHA,
    "book/beta.md": HEADER + BETA,
    "book/welcome.md": WELCOME,
    "book/references.bib": "@article{somebody, author={A. Body}, title={T}, journal={J}, year={2020}}\n",
    "book/dot.svg": '<svg xmlns="http://www.w3.org/2000/svg"><circle r="4"/></svg>',
    "profiles/quick.yaml": "# the pages' own values\n",
    "profiles/smoke.yaml": "alpha:\n  scale: 1e-3\n",
    "profiles/paper.yaml": "alpha:\n  seed: 7\n  names: [a, b]\n",
}


CLAIM = """- id: A1
  paper: A
  place: eq 1
  statement: It holds.
  page: alpha
  criterion: {text: it holds, parts: [{metric: product, above: 1}]}
"""


@dataclass(frozen=True)
class ToyBook:
    """The small book's root, and ways to change it and to run things in it."""

    root: Path

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace `old`, which must be there, in one of its files."""
        text = (self.root / name).read_text()
        assert old in text
        (self.root / name).write_text(text.replace(old, new))

    def append(self, name: str, text: str) -> None:
        """Add to the end of one of its files."""
        self.write(name, (self.root / name).read_text() + text)

    def write(self, name: str, text: str) -> Path:
        """Write one of its files."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def adopt(self, page: str) -> None:
        """Take in a page of the real book, with its profile `smoke` and no other page's."""
        self.edit("book/_toc.yml", "      - file: beta\n", f"      - file: beta\n      - file: {page}\n")
        self.write(f"book/{page}.md", (REPOSITORY / "book" / f"{page}.md").read_text())
        smoke = yaml.safe_load((REPOSITORY / "profiles" / "smoke.yaml").read_text())[page]
        self.write("profiles/smoke.yaml", yaml.safe_dump({page: smoke}))

    def command(self, *arguments: str) -> list[str]:
        """This interpreter's command line for `python -m ...`."""
        return [sys.executable, "-m", *arguments]

    def environment(self) -> dict[str, str]:
        """Its own copy of the package where it has one, else the repository's."""
        package = self.root if (self.root / "bridgekit").is_dir() else REPOSITORY
        return {**os.environ, "PYTHONPATH": str(package)}

    def run(self, *arguments: str, **options) -> subprocess.CompletedProcess:
        """Run `python -m ...` in the root; standard output and error as text."""
        env = self.environment() | options.pop("env", {})
        return subprocess.run(
            self.command(*arguments), cwd=self.root, env=env, text=True, capture_output=True, **options
        )

    def notebook(self, page: str, profile: str = "quick") -> Path:
        """Where the executed page lies."""
        return self.root / "_build" / "notebooks" / profile / f"{page}.ipynb"


@pytest.fixture
def toy_book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ToyBook:
    """The small book, with the working directory in it."""
    book = ToyBook(tmp_path / "toy")
    for name, text in FILES.items():
        book.write(name, text)
    for name in ("Snakefile", "_config.yml", "_toc.yml", "profiles/default/config.yaml"):
        book.write(name, (REPOSITORY / name).read_text())
    for name in ("SPEC", "THREADS", "DATA"):
        monkeypatch.delenv(f"BRIDGEKIT_{name}", raising=False)
    monkeypatch.chdir(book.root)
    return book


@pytest.fixture
def toy_repository(toy_book: ToyBook) -> ToyBook:
    """The small book with a copy of the package beside it, free to be edited."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPOSITORY / "bridgekit", toy_book.root / "bridgekit", ignore=ignore)
    return toy_book


def tell(monkeypatch: pytest.MonkeyPatch, file: Path, **what: object) -> None:
    """What the command line tells a kernel, for this test: in a file of its own."""
    for name, value in spec.tell(file, **what).items():
        monkeypatch.setenv(name, value)


@pytest.fixture(autouse=True, scope="session")
def no_bars(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Games say nothing of their progress, wherever a test does not ask for it."""
    with pytest.MonkeyPatch.context() as patch:
        tell(patch, tmp_path_factory.mktemp("told") / "spec.json", progress=os.devnull)
        yield


@pytest.fixture(autouse=True, scope="session")
def warm() -> Iterator[str]:
    """Every kernel of these tests is forked from one process of this worker, but for those that say no."""
    with kernels.warmed() as address, pytest.MonkeyPatch.context() as patch:
        patch.setenv(kernels.WARM, address)
        yield address


def git(folder: Path, *arguments: str) -> str:
    """What git says, as a person of no settings."""
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(folder), *who, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout.strip()


def damaged(content: bytes, count: int, seed: int = 0) -> Iterator[bytes]:
    """`count` times `content` with a damage of its own: a flipped bit, a lost end, a block of zeros."""
    draw = random.Random(seed)
    for k in range(count):
        at, body = draw.randrange(len(content)), bytearray(content)
        if k % 3 == 0:
            body[at] ^= 1 << draw.randrange(8)
        elif k % 3 == 1:
            del body[at:]
        else:
            body[at : at + 64] = bytes(len(body[at : at + 64]))
        yield bytes(body)


def rewrite(path: Path, record: dict) -> None:
    """Another record in its place, with its sum: what somebody has edited and sealed."""
    path.write_text(json.dumps(record))
    files = {each.name: each.read_bytes() for each in path.parent.iterdir() if each.name != sums.NAME}
    (path.parent / sums.NAME).write_bytes(sums.body(files))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One test of the real book first, since it has the whole book built, which takes longest.

    Meanwhile another worker has the files of the pipeline and all others. The book's own tests come last:
    they wait for it, and they are many and short, so that all workers end together.
    """
    slow = {item.path for item in items if item.get_closest_marker("pipeline")}
    first = next((item for item in items if item.get_closest_marker("book")), None)

    def rank(item: pytest.Item) -> int:
        if item.get_closest_marker("book"):
            return 0 if item is first else 3
        return 1 if item.path in slow else 2

    items.sort(key=rank)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object):
    """Tests are dealt out by :func:`group_of`, in the order of the collection.

    xdist's own groups (loadgroup) do nothing under pytest 9: they stand in an attribute that is gone.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    return ByGroup(config, log)


@functools.cache
def group_of(nodeid: str) -> str:
    """What is run by one worker: the tests of a page of the real book, else those of a file."""
    file, _, test = nodeid.partition("::")
    named = PAGES.intersection(re.split(r"[][-]", test)) if file.endswith("test_rendered.py") else ()
    return f"{file}::{min(named)}" if named else file


@pytest.fixture(scope="session")
def book(tmp_path_factory: pytest.TempPathFactory) -> ToyBook:
    """This very book in a folder of its own, every page executed at `smoke` and the HTML built.

    Workers of one test run share it: the first one makes it, on all cores, and the others wait.
    """
    own = tmp_path_factory.getbasetemp()
    copy = ToyBook((own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "book")
    with FileLock(f"{copy.root}.lock"):
        if not copy.root.exists():
            executed(copy)
    assert (copy.root / "_build" / "html" / "index.html").exists(), "see the first test of the book"
    return copy


def executed(copy: ToyBook) -> None:
    for name in ("book", "profiles", "figures/paper", "figures/repeated", "figures/earlier"):
        shutil.copytree(REPOSITORY / name, copy.root / name)
    for name in ("Snakefile", "_config.yml", "_toc.yml", "claims.yml"):
        shutil.copy(REPOSITORY / name, copy.root)
    options = ["--cores", "2", "--config", "profile=smoke", "--", "book"]
    done = copy.run("snakemake", *options, env=unset())
    assert done.returncode == 0, done.stdout + done.stderr


def unset(**more: str) -> dict[str, str]:
    """No setting of the person who runs the tests."""
    return {"BRIDGEKIT_SPEC": "", "BRIDGEKIT_THREADS": ""} | more


@pytest.fixture(scope="session")
def browser():
    """The system's Chromium, headless; without one the tests that open the book cannot run."""
    if CHROMIUM is None:
        pytest.skip("NO BROWSER: the rendered book was NOT opened. Install Debian's package chromium.")
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=[*flags, "--disable-sync"])
        yield chromium
        chromium.close()


SIZES = {"laptop": (1280, 800), "phone": (390, 844)}
# How the book is read, in the order in which least changes from one to the next.
VIEWS = [("laptop", "light"), ("laptop", "dark"), ("phone", "dark"), ("phone", "light")]
# Until a page has heard of another window, and its colours have stopped changing.
STILL = """() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))
    .then(() => document.getAnimations().forEach(each => each instanceof CSSTransition && each.finish()))"""
SETTLED = "() => window.MathJax && MathJax.startup && MathJax.startup.promise"


def seen_as(tab, size: str, scheme: str, **media: str) -> None:
    """The tab in a window of that size, by day or by night; an open page is not loaded again.

    Nothing is left of what an earlier reader chose, paper or less motion, unless told.
    """
    width, height = SIZES[size]
    tab.set_viewport_size({"width": width, "height": height})
    tab.emulate_media(**{"media": "null", "reduced_motion": "null"} | media, color_scheme=scheme)
    tab.evaluate(STILL)


@pytest.fixture(scope="session")
def opened(browser, book: ToyBook):
    """Opens a page: the tab, what it asked for outside since, and what it complained of.

    All in one tab: scripts that pages share are compiled once, which is most of what opening takes.
    """
    tab = browser.new_context().new_page()
    tab.set_default_timeout(120_000)  # a machine may have other work, too
    outside, complaints, inside = [], [], ("file:", "data:", "blob:")
    tab.on("request", lambda asked: outside.append(asked.url) if not asked.url.startswith(inside) else None)
    tab.on(
        "console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None
    )
    tab.on("pageerror", lambda error: complaints.append(str(error)))

    def open_page(page: str, size: str = "laptop", scheme: str = "light", **media: str):
        seen_as(tab, size, scheme, **media)
        tab.mouse.move(0, 0)
        tab.goto("about:blank")  # what the last page still had to say is not the next one's
        outside.clear()
        complaints.clear()
        tab.goto(f"file://{book.root}/_build/html/{page}.html")
        tab.evaluate(SETTLED)
        return tab, outside, complaints

    return open_page
