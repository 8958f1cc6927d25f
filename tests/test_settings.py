"""The pages on the plane use the settings that the search on the page `settings` chose, and no others."""

import json

import pytest
from conftest import REPOSITORY

from bridgekit import pages
from bridgekit.parameters import Parameter, declared_in
from bridgekit.yaml_reader import read_yaml

RECORD = REPOSITORY / "figures" / "paper" / "settings" / "record.json"
PLANE = ("plane", "robustness", "table1", "weights")
PAGES = [page for page in PLANE if (REPOSITORY / "book" / f"{page}.md").is_file()]
KNOBS = {  # parameter: the method whose knob it is
    "sigma": "bridge",
    "penalty": "rkl_gp",
    "d_steps_sn": "rkl_sn",
    "d_steps_rkl": "rkl",
    "weight": "fixed_sum",
}


def metric_of(parameter: str) -> str | None:
    """The metric of the search that a parameter takes its value from; None for any other parameter."""
    if parameter.startswith("rate_"):
        return f"{parameter.removeprefix('rate_')}_rate"
    return f"{KNOBS[parameter]}_knob" if parameter in KNOBS else None


def declared(page: str) -> dict[str, Parameter]:
    """The parameters of a page that the search decides."""
    found = declared_in((REPOSITORY / "book" / f"{page}.md").read_text(), page)
    return {name: parameter for name, parameter in found.items() if metric_of(name)}


def differences(parameters: dict[str, Parameter], metrics: dict) -> list[str]:
    """What does not agree with the search, in words; a metric that the record lacks is a difference."""
    said = []
    for name, parameter in parameters.items():
        chosen = metrics.get(metric_of(name), {"values": None})["values"]
        if chosen != [parameter.default]:
            said.append(f"{name} is {parameter.default}, but the search's {metric_of(name)} is {chosen}")
    return said


@pytest.mark.skipif(not RECORD.exists(), reason="the search of the settings has no reference run yet")
@pytest.mark.parametrize("page", PAGES)
def test_the_pages_use_what_the_search_chose(page):
    assert differences(declared(page), json.loads(RECORD.read_text())["metrics"]) == []


@pytest.mark.parametrize("page", PAGES)
def test_no_profile_sets_what_the_search_decides(page):
    assert declared(page), f"{page} declares none of the parameters that the search decides"
    for profile in pages.profiles():
        text = (REPOSITORY / "profiles" / f"{profile}.yaml").read_text()
        given = (read_yaml(text, profile) or {}).get(page) or {}
        assert not declared(page).keys() & given.keys(), f"profiles/{profile}.yaml, {page}"


def test_a_difference_is_seen():
    values = {"rate_rkl": 1e-3, "sigma": 0.3, "d_steps_sn": 2, "weight": 0.5}
    parameters = {name: Parameter(name, type(value).__name__, value) for name, value in values.items()}
    metrics = {
        "rkl_rate": {"values": [1e-3]},
        "bridge_knob": {"values": [0.2]},
        "rkl_sn_knob": {"values": [2.0]},  # a whole number is recorded as a float
    }
    assert differences(parameters, metrics) == [
        "sigma is 0.3, but the search's bridge_knob is [0.2]",
        "weight is 0.5, but the search's fixed_sum_knob is None",
    ]
    metrics |= {"bridge_knob": {"values": [0.3]}, "fixed_sum_knob": {"values": [0.5]}}
    assert differences(parameters, metrics) == []
    assert metric_of("seeds") is None
