"""The pages on the plane use settings that the search on page `settings` tried, the same on every page."""

import pytest
from conftest import REPOSITORY

from bridgekit.book import pages
from bridgekit.book.parameters import Parameter, declared_in
from bridgekit.book.records import Reference, committed
from bridgekit.book.yaml_reader import read_yaml

SEARCH = Reference(REPOSITORY / "figures" / "paper" / "settings")
OF_THE_PLANE = ("table1", "weights", "wrong_discriminator")  # these have its settings
CHOSEN = ("trials", "robustness", "table1")  # these have what the committed search chose
KNOBS = {  # parameter: the method whose knob it is, and what the search calls it
    "sigma": ("bridge", "σ"),
    "penalty": ("RKL-GP", "λ"),
    "d_steps_sn": ("RKL-SN", "D steps"),
    "d_steps_rkl": ("RKL", "D steps"),
    "weight": ("fixed sum", "weight"),
}
RATES = {"rate_bridge": "bridge", "rate_rkl_gp": "RKL-GP", "rate_rkl_sn": "RKL-SN", "rate_rkl": "RKL"}
RATES |= {"rate_fixed_sum": "fixed sum"}


def declared(page: str) -> dict[str, Parameter]:
    """The parameters of a page that the search is about."""
    found = declared_in((REPOSITORY / "book" / f"{page}.md").read_text(), page)
    return {name: parameter for name, parameter in found.items() if name in {**KNOBS, **RATES}}


def settings(values: dict[str, object]) -> set[str]:
    """The settings of whole methods that parameters give, as the search labels them."""
    rates = {method: values[name] for name, method in RATES.items() if name in values}
    knobs = {method: f"{what} = {values[name]:g}" for name, (method, what) in KNOBS.items() if name in values}
    return {f"{method}: {rates[method]:g}, {knobs[method]}" for method in rates.keys() & knobs.keys()}


def values_of(page: str) -> dict[str, object]:
    return {name: parameter.default for name, parameter in declared(page).items()}


def tried() -> set[str]:
    """Every setting of the search's reference run."""
    return {key.rpartition(" ")[0] for key in SEARCH.arrays("scores") if key.endswith(" log_likelihood")}


def test_the_plane_uses_one_setting_of_each_method_and_the_search_tried_it():
    used = settings(values_of("plane"))
    assert len(used) == len(KNOBS) and used <= tried()


@pytest.mark.parametrize("page", OF_THE_PLANE)
def test_the_other_pages_use_what_the_plane_uses(page):
    ours, planes = values_of(page), values_of("plane")
    assert ours and ours == {name: planes[name] for name in ours}


@pytest.mark.parametrize("page", CHOSEN)
def test_pages_whose_claims_say_so_use_what_the_committed_search_chose(page):
    chosen = {name: SEARCH.metric(f"{slug(method)}_rate").item() for name, method in RATES.items()}
    for name, (method, what) in KNOBS.items():
        knob = f"{slug(method)}_knob"
        assert SEARCH.record["metrics"][knob]["note"] == what
        chosen[name] = SEARCH.metric(knob).item()
    ours = values_of(page)
    assert ours and ours == {name: chosen[name] for name in ours}


def slug(method: str) -> str:
    return method.lower().replace("-", "_").replace(" ", "_")


@pytest.mark.parametrize("page", ["plane", *OF_THE_PLANE, *CHOSEN[:2]])
def test_no_profile_sets_what_the_search_is_about(page):
    for profile in pages.profiles():
        text = (REPOSITORY / "profiles" / f"{profile}.yaml").read_text()
        given = (read_yaml(text, profile) or {}).get(page) or {}
        assert not declared(page).keys() & given.keys(), f"profiles/{profile}.yaml, {page}"


def test_a_setting_that_was_not_tried_is_seen():
    values = values_of("plane")
    for name in ("rate_rkl_sn", "penalty", "d_steps_sn"):
        assert not settings(values | {name: 7}) <= tried()


def test_the_activated_vae_has_the_temperatures_that_the_committed_search_chose():
    search, profile = committed(REPOSITORY, "aavae_gains"), "profiles/paper.yaml"
    given = read_yaml((REPOSITORY / profile).read_text(), profile)["aavae"]["softness"]
    shares = search.record["parameters"]["shares"]
    assert given == [search.metric(f"temperature_vae_{100 * share:.0f}").item() for share in shares]


def test_photographs_have_what_the_search_on_portraits_chose():
    chosen = Reference(REPOSITORY / "figures" / "paper" / "symmetric").record["glued"]
    played = pages.resolve("symmetric_photographs", "paper")
    own = {"rate": played["rate"], "d_rate": played["faster"] * played["rate"], "weight": played["weight"]}
    assert own == pytest.approx({name: chosen[name] for name in own})
