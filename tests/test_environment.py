"""The files that say the same thing in two places are held together here."""

import os
import re
import subprocess
import tomllib

import pytest
import yaml
from conftest import REPOSITORY, group_of

from bridgekit.book import pages

CONDA_NAMES = {"matplotlib": "matplotlib-base", "torch": "pytorch-cpu"}
CONDA_ONLY = {"python", "make", "pip"}  # conda brings what a machine brings otherwise


def split(requirement: str) -> tuple[str, str]:
    """`name>=1,<2` as (name, bounds)."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement).group()
    return name, requirement.removeprefix(name)


@pytest.fixture(scope="module")
def project() -> dict:
    """The project table of pyproject.toml."""
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def required(project) -> dict[str, str]:
    """What a reader installs: name -> bounds."""
    extras = project["optional-dependencies"]
    return dict(map(split, project["dependencies"] + extras["book"] + extras["test"]))


@pytest.fixture(scope="module")
def cluster(project) -> set[str]:
    """The executor plugins."""
    return {split(plugin)[0] for plugin in project["optional-dependencies"]["cluster"]}


def test_environment_yml_is_in_step_with_pyproject(required, project):
    given = yaml.safe_load((REPOSITORY / "environment.yml").read_text())["dependencies"]
    (pip,) = (entry["pip"] for entry in given if isinstance(entry, dict))
    conda = dict(split(entry) for entry in given if isinstance(entry, str))
    assert conda.pop("python") == project["requires-python"]
    assert "-e ." in pip
    brought = {name: bounds for name, bounds in conda.items() if name not in CONDA_ONLY}
    brought |= dict(split(entry) for entry in pip if entry != "-e .")
    assert brought == {CONDA_NAMES.get(name, name): bounds for name, bounds in required.items()}


def test_constraints_pin_exactly_what_is_required(required, cluster):
    lines = [x for x in (REPOSITORY / "constraints.txt").read_text().splitlines() if not x.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!_-]+", line) for line in lines)
    pinned = {re.sub(r"[-_.]+", "-", line.split("==")[0]).lower() for line in lines}
    # A plugin of Slurm's brings another one of its own, which runs the jobs.
    wanted = {*required, *cluster, "snakemake-executor-plugin-slurm-jobstep"}
    assert {name.lower() for name in wanted} <= pinned and len(pinned) == len(lines)


def test_snakemake_knows_every_option_of_our_profiles():
    """Every key is an option of Snakemake or of Slurm's plugin."""
    from snakemake.cli import get_argument_parser

    slurm, default = (
        yaml.safe_load((REPOSITORY / name / "config.yaml").read_text())
        for name in ("cluster/slurm", "profiles/default")
    )
    assert slurm["executor"] == "slurm" and slurm["slurm-status-command"] == "squeue"
    own = {key for key in {**slurm, **default} if not key.startswith("slurm-")}
    assert {f"--{key}" for key in own} <= get_argument_parser()._option_string_actions.keys()
    assert "--profile cluster/slurm " in (REPOSITORY / "README.md").read_text()


@pytest.mark.parametrize("page", pages.executed())
def test_every_parameter_says_what_it_means(page):
    assert [name for name, parameter in pages.declared(page).items() if not parameter.help] == []


@pytest.mark.parametrize("page", pages.executed())
def test_every_profile_fits_every_page(page):
    assert pages.profiles() == ["full", "paper", "quick", "smoke"]
    for profile in pages.profiles():
        pages.resolve(page, profile)


@pytest.mark.parametrize("page", pages.executed())
def test_quick_is_the_pages_own_values(page):
    assert pages.resolve(page, "quick") == {name: p.default for name, p in pages.declared(page).items()}


def test_book_holds_every_page_that_it_names():
    for page in pages.contents():
        assert (REPOSITORY / "book" / f"{page}.md").is_file(), page


def test_the_tests_of_a_page_go_to_one_worker_and_all_others_by_file():
    rendered = "tests/test_rendered.py::test_a_page"
    browser, warns = f"{rendered}_in_a_browser[laptop-light-plane]", f"{rendered}_warns_of_nothing[plane]"
    groups = [group_of(test) for test in (browser, warns, browser.replace("plane", "trials"))]
    assert groups[0] == groups[1] != groups[2]
    assert group_of("tests/test_cli.py::test_list[plane]") == "tests/test_cli.py"


def test_make_lets_python_keep_its_bytecode_where_a_machine_forbids_it():
    told = f"include {REPOSITORY / 'Makefile'}\nkept:\n\t@echo [$$PYTHONDONTWRITEBYTECODE]\n"
    machine = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    said = subprocess.run(
        ["make", "-s", "-f", "-", "kept"], input=told, env=machine, text=True, capture_output=True, check=True
    )
    assert said.stdout == "[]\n"
