"""What a parameters cell declares is read as jupytext and Python would, and checked strictly."""

import jupytext
import pytest
from conftest import ALPHA, BETA, HEADER, REPOSITORY

from bridgekit.errors import BridgekitError, nearest
from bridgekit.parameters import Parameter, cells, declared_in
from bridgekit.yaml_reader import read_yaml

PAGES = [HEADER + ALPHA, HEADER + BETA, *(p.read_text() for p in sorted((REPOSITORY / "book").glob("*.md")))]


@pytest.mark.parametrize("source", PAGES, ids=range(len(PAGES)))
def test_cells_are_those_that_jupytext_sees(source):
    notebook = jupytext.reads(source, fmt="md:myst")
    theirs = [
        (c.metadata.get("tags", []), c.source.strip("\n")) for c in notebook.cells if c.cell_type == "code"
    ]
    assert cells(source) == theirs


def test_declared_types_and_defaults():
    alpha = declared_in(ALPHA, "alpha")
    assert list(alpha) == ["seed", "scale", "names"]
    assert alpha["scale"] == Parameter("scale", "float", 2.0, help="of everything")
    assert declared_in("# no cell\n", "none") == {}
    whole = declared_in("```{code-cell}\n:tags: [parameters]\nx: float = -1\n```\n", "x")["x"].default
    assert whole == -1.0 and type(whole) is float


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("x = 1", "not of the form"),
        ("import os", "not of the form"),
        ("x: int", "not of the form"),
        ("x: int = (", "does not parse"),
        ("x: int = 1.5", "declared int"),
        ("x: int = len('a')", "write a literal"),
        ("x: dict = {}", "write a literal"),
        ("x: tuple[int, ...] = (1,)", "write a literal"),
    ],
)
def test_a_parameters_cell_with_anything_else_in_it(line, said):
    with pytest.raises(BridgekitError, match=said):
        declared_in(f"```{{code-cell}}\n:tags: [parameters]\n{line}\n```\n", "page")


def test_one_parameters_cell_only():
    with pytest.raises(BridgekitError, match="2 cells are tagged"):
        declared_in(ALPHA + ALPHA, "alpha")


GOOD = [
    ("int", 3, 3),
    ("float", 3, 3.0),
    ("float", 0.5, 0.5),
    ("bool", True, True),
    ("str", "3", "3"),
    ("int | None", None, None),
    ("int | None", 4, 4),
    ("list[float]", [1, 2.5], [1.0, 2.5]),
    ("list[float]", (1,), [1.0]),
    ("list[list[int]]", [[1], []], [[1], []]),
]
BAD = [
    ("int", 3.0),
    ("int", True),
    ("int", "3"),
    ("float", "3"),
    ("float", False),
    ("bool", 1),
    ("str", 3),
    ("str", None),
    ("int | None", "none"),
    ("list[int]", 3),
    ("list[int]", [1, "2"]),
]


@pytest.mark.parametrize(("kind", "value", "fitted"), GOOD)
def test_values_that_fit(kind, value, fitted):
    got = Parameter("p", kind, None).fit(value)
    assert got == fitted and type(got) is type(fitted)


@pytest.mark.parametrize(("kind", "value"), BAD)
def test_values_that_do_not_fit(kind, value):
    with pytest.raises(BridgekitError, match="parameter 'p' is declared"):
        Parameter("p", kind, None).fit(value)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("int", "3", 3),
        ("float", "1e-3", 1e-3),
        ("float", "2", 2.0),
        ("str", "1e-3", "1e-3"),
        ("str", "", ""),
        ("bool", "true", True),
        ("int | None", "null", None),
        ("list[float]", "[1, 2e-1]", [1.0, 0.2]),
    ],
)
def test_values_from_the_command_line(kind, text, value):
    assert Parameter("p", kind, None).parse(text) == value


def test_yaml_numbers_without_a_dot():
    assert read_yaml("{a: 1e-3, b: -2E+5, c: 1.5e2, d: e3, e: 12}", "text") == {
        "a": 1e-3,
        "b": -2e5,
        "c": 150.0,
        "d": "e3",
        "e": 12,
    }
    with pytest.raises(BridgekitError, match="the file is not valid YAML"):
        read_yaml("{a: [", "the file")


def test_the_nearest_name():
    assert nearest("sede", ["seed", "scale"]) == "did you mean 'seed'?"
    assert nearest("zzz", ["seed", "scale"]) == "there are: seed, scale"
    assert nearest("zzz", []) == "there are: none"
