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
