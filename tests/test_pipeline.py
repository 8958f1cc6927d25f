"""The real Snakefile, real kernels and the real Jupyter Book on the small book."""

import re
import subprocess

import pytest

pytestmark = pytest.mark.pipeline


def make(book, target: str, *config: str) -> tuple[subprocess.CompletedProcess, list[str]]:
    """Snakemake as the Makefile calls it; with the pages that were executed."""
    done = book.run("snakemake", target, "--cores", "2", "--config", "profile=quick", *config)
    return done, re.findall(r"^(\w+) · quick · done", done.stderr, re.MULTILINE)


def succeed(book, target: str, *config: str) -> list[str]:
    """The pages that a run, which must succeed, executed."""
    done, pages = make(book, target, *config)
    assert done.returncode == 0, done.stderr
    return sorted(pages)


def nothing_from_outside(html):
    """No address of another machine in what a browser loads by itself: scripts, styles, pictures."""
    for page in html.glob("*.html"):
        text = page.read_text()
        assert not re.findall(r'(?:src|href)="(?:https?:)?//[^"]*"', text), page.name
        assert "unpkg" not in text and "jsdelivr" not in text
    assert "_static/mathjax/" in (html / "welcome.html").read_text()


def test_only_what_changed_is_executed(toy_repository):
    book, html = toy_repository, toy_repository.root / "_build" / "html"
    assert succeed(book, "book") == ["alpha", "beta"]
    assert "url=welcome.html" in (html / "index.html").read_text()
    assert "It is 6.0." in re.sub(r"<[^>]+>", "", (html / "alpha.html").read_text())
    assert (html / "_images" / "dot.svg").is_file()
    nothing_from_outside(html)
    built = (html / "index.html").stat().st_mtime_ns

    (book.root / "book" / "alpha.md").touch()
    (book.root / "bridgekit" / "book" / "runs.py").touch()
    book.notebook("beta").touch()
    assert succeed(book, "book") == []
    assert (html / "index.html").stat().st_mtime_ns == built

    book.edit("book/beta.md", "The second page", "The changed page")
    assert succeed(book, "book") == ["beta"]
    assert "The changed page" in (html / "beta.html").read_text()

    book.append("bridgekit/book/runs.py", "# changed\n")  # which alpha imports, through pages
    assert succeed(book, "figures") == ["alpha"]


def test_failed_page_keeps_its_notebook_and_the_reference_run(toy_book):
    toy_book.write("figures/quick/beta/record.json", "earlier")
    toy_book.edit("book/beta.md", "(out /", "raise OSError('disk'); (out /")
    done, pages = make(toy_book, "figures", "only=beta")
    assert done.returncode != 0 and pages == []
    assert "bridgekit: page 'beta': cell In [3]" in done.stderr and "OSError: disk" in done.stderr
    assert "OSError" in toy_book.notebook("beta.failed").read_text()
    assert (toy_book.root / "figures/quick/beta/record.json").read_text() == "earlier"
    assert not toy_book.notebook("beta").exists()
    first, *rest = done.stderr.splitlines()[-3:]
    assert first.startswith(
        "bridgekit: page 'beta': cell In [3], which begins"
    )  # Snakemake's own words end above
    assert rest == ["  OSError: disk", f"  partly executed notebook: {toy_book.notebook('beta.failed')}"]
    assert not list(toy_book.root.glob(".snakemake/errors*"))


def test_page_that_takes_too_long(toy_book):
    toy_book.edit("book/beta.md", "(out /", "__import__('time').sleep(600); (out /")
    toy_book.append("profiles/quick.yaml", "limit: 1h\n")
    done, pages = make(toy_book, "figures", "only=beta", "limit=2s")
    assert done.returncode != 0 and pages == []
    assert "page 'beta': stopped after 00:02, its time limit, in " in done.stderr.splitlines()[-2]


def test_broken_book_fails_twice(toy_book):
    toy_book.edit("book/_toc.yml", "      - file: alpha\n", "")
    toy_book.append("book/welcome.md", "\nSee {ref}`nowhere`.\n")
    html = toy_book.root / "_build" / "html"
    for earlier in (False, True):
        if earlier:
            toy_book.write("_build/html/index.html", "the earlier book")
        done, _ = make(toy_book, "book")
        assert done.returncode != 0
        assert "undefined label: 'nowhere'" in done.stderr
        assert "each of them is an error: see the lines above." in done.stderr.splitlines()[-1]
        assert not list(toy_book.root.rglob(".doctrees"))
        assert [path.read_text() for path in html.glob("*")] == ["the earlier book"] * earlier


@pytest.mark.parametrize("place", [".", "book", "book/beta.md"])
def test_plain_jupyter_book_names_make_book(toy_book, place):
    command = ("-c", "from jupyter_book.cli.main import main; main()", "build", place)
    done = subprocess.run(
        [toy_book.command()[0], *command],
        cwd=toy_book.root,
        env=toy_book.environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr == "bridgekit: these are the book's sources, not yet executed. Run `make book`.\n"


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("only=bta", "bridgekit: there is no page 'bta': did you mean 'beta'?"),
        ("profile=quik", "bridgekit: there is no profile 'quik': did you mean 'quick'?"),
    ],
)
def test_bad_variables_of_make_figures(toy_book, config, said):
    done, pages = make(toy_book, "figures", config)
    assert done.returncode != 0 and pages == []
    assert said in done.stderr and "Traceback" not in done.stderr
