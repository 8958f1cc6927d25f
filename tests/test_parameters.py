"""What a parameters cell declares is read as jupytext and Python would, and checked strictly."""

import math

import jupytext
import pytest
from conftest import ALPHA, BETA, HEADER, REPOSITORY

from bridgekit.book import pages
from bridgekit.book.parameters import Parameter, cells, declared_in, injected, read_range
from bridgekit.errors import BridgekitError, nearest

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
    whole = declared("x: float = -1")["x"].default
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
        ("x: int | None = None", "write a literal"),
        ("x: int = 0  # from 1", "parameter 'x' is 0, out of its range: from 1"),
        ("x: list[int] = [1, 1]  # each from 1, distict", "parameter 'x': .*'distict', which is no rule"),
        ("x: float = 0.5  # above 0, of all", "'of all', which is no rule: .* then help"),
    ],
)
def test_a_parameters_cell_with_anything_else_in_it(line, said):
    with pytest.raises(BridgekitError, match=said):
        declared(line)


def declared(*lines: str) -> dict[str, Parameter]:
    """What a parameters cell of these lines declares."""
    return declared_in("```{code-cell}\n:tags: [parameters]\n" + "\n".join(lines) + "\n```\n", "page")


def test_one_parameters_cell_only():
    with pytest.raises(BridgekitError, match="2 cells are tagged"):
        declared_in(ALPHA + ALPHA, "alpha")


GOOD = [
    ("int", 3, 3),
    ("float", 3, 3.0),
    ("float", 0.5, 0.5),
    ("bool", True, True),
    ("str", "3", "3"),
    ("list[float]", [1, 2.5], [1.0, 2.5]),
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
        ("list[float]", "[1, 2e-1]", [1.0, 0.2]),
    ],
)
def test_values_from_the_command_line(kind, text, value):
    assert Parameter("p", kind, None).parse(text) == value


def test_the_comment_is_range_and_help():
    found = declared(
        "a: int = 3  # from 1; trials; in one batch",
        "b: float = 0.5  # of everything; from 1 up",
        "c: list[str] = [  # distinct,",
        "    # each one of x y | z;",
        '    "x y",',
        "]  # words",
        "# not theirs",
        'd: str = "# from 1"',
    )
    texts = {name: (parameter.range.text, parameter.help) for name, parameter in found.items()}
    assert texts == {
        "a": ("from 1", "trials; in one batch"),
        "b": ("", "of everything; from 1 up"),
        "c": ("distinct, each one of x y | z", "words"),
        "d": ("", ""),
    }
    assert found["c"].range.choices == ("x y", "z")


@pytest.mark.parametrize(
    ("kind", "text", "inside", "outside"),
    [
        ("int", "from 1", [1, 2, 10**400], [0, -1]),
        ("float", "above 0, to 1", [1e-300, 1, 1.0], [0, -0.0, -1, 1 + 1e-15, math.nan, math.inf]),
        ("float", "from 0, below 1", [0, 0.999], [1, -1e-9]),
        ("float", "", [0, -1e300], [math.nan, math.inf, -math.inf]),
        ("int", "from 4, multiple of 4", [4, 20], [3, 0, 6]),
        ("int", "one of 28 | 32 | 64", [28, 64], [2, 30, 2832]),
        ("str", "one of all | A", ["all", "A"], ["a", "", "all | A"]),
        ("str", "", ["", "ä"], ["\udcff"]),
        ("list[str]", "not empty, each one of a b | c", [["c"], ["c", "c"]], [[], ["c", "b"]]),
        ("list[str]", "distinct", [[], ["a", "b"]], [["a", "b", "a"], ["\udcff"]]),
        ("list[float]", "distinct, each above 0", [[], [1, 2]], [[1, 1.0], [0], [1, math.nan]]),
        ("list[int]", "3 entries, each from 1", [[1, 1, 1]], [[1, 1], [1, 1, 1, 1], [1, 1, 0]]),
    ],
)
def test_ranges(kind, text, inside, outside):
    parameter = Parameter("p", kind, None, read_range(text))
    for value in inside:
        assert parameter.fit(value) == value
    for value in outside:
        with pytest.raises(BridgekitError, match="parameter 'p' is .*, out of its range: ") as error:
            parameter.fit(value)
        assert str(error.value).endswith(text)


def test_a_number_too_large_for_a_float_is_refused_by_name():
    with pytest.raises(BridgekitError, match="parameter 'p' is declared float"):
        Parameter("p", "float", None).fit(10**400)


def test_papermill_reads_the_form_and_shows_the_range():
    """Its inspection knows no parameter that it cannot parse, and warns of every one that is then set."""
    from papermill.translators import PythonTranslator

    lines = ["seeds: int = 3  # from 1; trials", "rates: list[float] = [", "    0.1,", "]  # each above 0"]
    found = PythonTranslator.inspect({"source": "\n".join(lines)})
    assert [(p.name, p.help) for p in found] == [("seeds", "from 1; trials"), ("rates", "each above 0")]


def test_papermill_knows_every_parameter_of_every_page():
    from papermill.translators import PythonTranslator

    for path in sorted((REPOSITORY / "book").glob("*.md")):
        source = path.read_text()
        code = "\n".join(code for tags, code in cells(source) if "parameters" in tags)
        names = [parameter.name for parameter in PythonTranslator.inspect({"source": code})]
        assert names == list(declared_in(source, path.stem)), path.stem


def our_parameters() -> list:
    """Every parameter of the book's pages, with what every profile sets it to."""
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(REPOSITORY)
        for page in pages.executed():
            profiles = [pages.resolve(page, profile) for profile in pages.profiles()]
            for name, parameter in pages.declared(page).items():
                values = [values[name] for values in profiles]
                found.append(pytest.param(parameter, values, id=f"{page}-{name}"))
    return found


OURS = our_parameters()
FREE = ("dataset", "datasets", "device", "edits")  # texts of which nothing can be said beforehand


@pytest.mark.parametrize(("parameter", "values"), OURS)
def test_every_parameter_says_what_it_allows(parameter, values):
    """Every number has a range and every text a choice, and no profile is outside."""
    if "str" in parameter.type:
        assert parameter.range.choices or parameter.name in FREE
    else:
        said = parameter.range.bounds or parameter.range.choices or parameter.type == "bool"
        assert said, "which numbers does it allow?"
    assert [parameter.fit(value) for value in values] == values


@pytest.mark.parametrize(("parameter", "values"), [case for case in OURS if case.values[0].range.bounds])
def test_the_ends_of_every_range(parameter, values):
    """Each end of it, and the numbers beside it, are accepted or refused as it says, by name."""
    whole, step = "int" in parameter.type, parameter.range.multiple or 1

    def fit(value):
        value = int(value) if whole else value
        many = parameter.type.startswith("list")
        return parameter.fit([value] * (parameter.range.length or 1) if many else value)

    for word, end in parameter.range.bounds:
        up = math.inf if word in ("from", "above") else -math.inf
        above, below = (
            end + math.copysign(step, way) if whole else math.nextafter(end, way) for way in (up, -up)
        )
        closed = word in ("from", "to")
        for value in (above, end) if closed else (above,):
            fit(value)
        for value in (below,) if closed else (below, end):
            with pytest.raises(BridgekitError) as error:
                fit(value)
            assert str(error.value).startswith(f"parameter '{parameter.name}' is ")
            assert str(error.value).endswith(f", out of its range: {parameter.range.text}")


@pytest.mark.parametrize(
    ("ran", "names"),
    [
        (["", "x: int = 1", "# Parameters\nsed = 7\nnames = ['a = 1']\n"], ["sed", "names"]),
        (["# Parameters\nlong = [\n    1,\n]\nPAPERMILL_INPUT_PATH = 'a'\n"], ["long"]),
        (["sed = 7  # Parameters", "# Parameters of mine\nsed = 7"], []),
    ],
)
def test_what_papermill_injected(ran, names):
    assert injected({"In": ran}) == names
    assert injected({"sed": 7}) == []


def test_the_nearest_name():
    assert nearest("sede", ["seed", "scale"]) == "did you mean 'seed'?"
    assert nearest("zzz", ["seed", "scale"]) == "there are: seed, scale"
    assert nearest("zzz", []) == "there are: none"
