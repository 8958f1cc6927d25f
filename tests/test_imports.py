"""Imports go strictly downward: a module imports only what stands above it in this list."""

import subprocess
import sys
from pathlib import Path

import pytest

from bridgekit import closure

GROUND = ["errors", "spec", "files", "random", "closure"]
FLOORS = [*GROUND, "theory", "models", "data", "play", "games", "measure", "book", "__main__"]
FILES = sorted(closure.PACKAGE.rglob("*.py"))


def part(name: str) -> str:
    """The entry of FLOORS that a dotted name belongs to."""
    return name.split(".")[1] if "." in name else ""


def name_of(file: Path) -> str:
    """The dotted name of a file of the package."""
    path = file.relative_to(closure.PACKAGE.parent).with_suffix("")
    return ".".join(path.parent.parts if path.name == "__init__" else path.parts)


def imports(file: Path) -> set[str]:
    """The modules that a file itself imports."""
    name = name_of(file)
    inside = name if file.name == "__init__.py" else name.rpartition(".")[0]
    found = closure.imported(file.read_text(), inside, closure.PACKAGE)
    return {other for other in found if closure.file_of(other, closure.PACKAGE)} - {"bridgekit"}


@pytest.mark.parametrize("file", FILES, ids=map(name_of, FILES))
def test_imports_go_down(file):
    own = part(name_of(file))
    if not own:  # bridgekit/__init__.py
        assert imports(file) == set()
        return
    assert own in FLOORS, f"{own} is none of the floors: {', '.join(FLOORS)}"
    for other in imports(file):
        if part(other) != own:
            assert FLOORS.index(part(other)) < FLOORS.index(own), f"{name_of(file)} imports {other}"


def test_the_list_names_what_is_there():
    assert set(FLOORS) == {part(name_of(file)) for file in FILES} - {""}


# Who imports whom. Errors have one vocabulary; generators, locks and hashes come from the ground. Less plain:
# `data` says once what a folder holds, and `play` how far it is, where `spec` tells them to; a mixture is a
# density and a data set, and `play` draws from it; an evaluation classifier is a network (models) that a game
# trains (games, play) on data, kept in a file that is named for its code (files, closure); bounds of
# autoencoders are the games' own functions.
ARROWS = {
    "spec": "errors",
    "files": "errors",
    "random": "errors",
    "closure": "errors",
    "theory": "",
    "models": "errors",
    "data": "errors spec files random closure theory",
    "play": "errors spec files random closure theory models",
    "games": "errors theory models data play",
    "measure": "errors files closure theory models data play games",
    "book": "errors spec files random closure data play measure",
    "__main__": "errors files data book",
}


@pytest.mark.parametrize("own", FLOORS)
def test_no_arrow_comes_or_goes_unseen(own):
    """A new one is a decision: first ask whether a function stands in the wrong place."""
    mine = [file for file in FILES if part(name_of(file)) == own]
    found = {part(other) for file in mine for other in imports(file)} - {own}
    assert found == set(ARROWS.get(own, "").split())


def test_no_circles_inside_a_folder():
    graph = {name_of(file): imports(file) for file in FILES if file.name != "__init__.py"}

    def above(name: str, seen: frozenset[str]) -> set[str]:
        """Every module that `name` needs."""
        near = graph.get(name, set()) - seen
        return near.union(*(above(other, seen | near) for other in near))

    assert {name for name in graph if name in above(name, frozenset())} == set()


def test_command_line_and_snakefile_start_without_torch():
    code = (
        "import sys, bridgekit.__main__, bridgekit.book.site\n"
        "print([m for m in ('torch', 'matplotlib', 'papermill', 'jupytext', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=closure.PACKAGE.parent, capture_output=True, text=True
    )
    assert done.stdout == "[]\n", done.stderr
