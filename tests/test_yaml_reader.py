"""One reading of numbers, in every place where a person writes them."""

import math

import pytest
import yaml
from papermill.cli import _resolve_type
from papermill.iorw import NoDatesSafeLoader

from bridgekit.book import criteria, pages
from bridgekit.book.parameters import Parameter
from bridgekit.book.yaml_reader import read_yaml
from bridgekit.errors import BridgekitError

# How it is written: what is read here, by `papermill -p`, and by `papermill -y` or `-f` (YAML 1.1).
READINGS = {
    "10": (10, 10, 10),
    "-3": (-3, -3, -3),
    "+3": (3, 3, 3),
    "010": (10, 10, 8),
    "0100": (100, 100, 64),
    "08": (8, 8, "08"),
    "1_000": (1000, 1000, 1000),
    "1:30": ("1:30", "1:30", 90),
    "1:30.5": ("1:30.5", "1:30.5", 90.5),
    "0x10": ("0x10", "0x10", 16),
    "0o10": ("0o10", "0o10", "0o10"),
    "0b11": ("0b11", "0b11", 3),
    "1__0": ("1__0", "1__0", 10),
    "1e-3": (1e-3, 1e-3, "1e-3"),
    "1.5e3": (1500.0, 1500.0, "1.5e3"),
    "1.": (1.0, 1.0, 1.0),
    ".5": (0.5, 0.5, 0.5),
    "00.5": (0.5, 0.5, 0.5),
    "1_0.5": (10.5, 10.5, 10.5),
    ".inf": (".inf", ".inf", math.inf),
    "1e999": (math.inf, math.inf, "1e999"),
    "inf": ("inf", math.inf, "inf"),
    "1,000": ("1,000", "1,000", "1,000"),
    "2020-01-01": ("2020-01-01", "2020-01-01", "2020-01-01"),
    "True": (True, True, True),
    "true": (True, "true", True),
    "yes": ("yes", "yes", True),
    "no": ("no", "no", False),
    "off": ("off", "off", False),
    "None": (None, None, "None"),
    "null": (None, "null", None),
    "text": ("text", "text", "text"),
}


@pytest.mark.parametrize("text", READINGS)
def test_readings(text):
    """Numbers as plain papermill's -p reads them, which no profile and no ledger reads otherwise."""
    ours, theirs, in_yaml = READINGS[text]
    found = read_yaml(text, "text"), _resolve_type(text), yaml.load(text, Loader=NoDatesSafeLoader)
    assert [(type(each), each) for each in found] == [(type(each), each) for each in (ours, theirs, in_yaml)]
    assert read_yaml(f"a: [{text}]" if "," not in text else f"a: ['{text}']", "text") == {"a": [ours]}


def test_numbers_are_the_same_everywhere(toy_book):
    toy_book.write("profiles/smoke.yaml", "alpha:\n  seed: 010\n  scale: 0_5.50\n")
    assert pages.resolve("alpha", "smoke")["seed"] == 10 == pages.find("alpha").parse(["seed=010"])["seed"]
    assert pages.resolve("alpha", "smoke")["scale"] == 5.5
    for wrong in ("1:30", "0x10", "yes"):
        toy_book.write("profiles/smoke.yaml", f"alpha:\n  seed: {wrong}\n")
        said = f"parameter 'seed' is declared int, but got '{wrong}'"
        with pytest.raises(BridgekitError, match=said):
            pages.resolve("alpha", "smoke")
        with pytest.raises(BridgekitError, match=said):
            pages.find("alpha").parse([f"seed={wrong}"])


def test_the_ledger_reads_them_too(toy_book):
    toy_book.write(
        "claims.yml",
        "- {id: A1, paper: A, place: eq 1, statement: It holds., page: alpha, "
        "criterion: {text: it holds, parts: [{metric: product, within: [1e-6, 010]}]}}\n",
    )
    assert criteria.load(toy_book.root)[0].parts[0].target == (1e-6, 10)
    toy_book.edit("claims.yml", "[1e-6, 010]", "[0, 1:30]")
    with pytest.raises(BridgekitError, match=r"A1, .*, within, entry 2: must be a number, not '1:30'"):
        criteria.load(toy_book.root)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{a: [", "the file is not valid YAML"),
        ("a: 1\nb: 2\na: 3", "the key 'a' is there twice"),
        ("{a: {01: 1, 1: 2}}", "the key 1 is there twice"),
        ("!!int x", "the file is not valid YAML"),
        ("!!bool yes", "the file is not valid YAML"),
        ("!!timestamp 3", "the file is not valid YAML"),
        ("!!python/name:os.system", "the file is not valid YAML"),
        ("1" * 5000, "the file is not valid YAML"),
        ("[\udcff]", "the file is not UTF-8 text"),
    ],
)
def test_what_cannot_be_read_is_one_error(text, said):
    with pytest.raises(BridgekitError, match=said):
        read_yaml(text, "the file")


def test_an_argument_that_is_no_utf8_is_refused_by_name():
    for kind, said in (("str", "parameter 'p' is"), ("list[str]", "the value of 'p' is not UTF-8 text")):
        with pytest.raises(BridgekitError, match=said):
            Parameter("p", kind, None).parse("[\udcff]")
