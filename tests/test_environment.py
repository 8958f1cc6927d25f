"""What stands in two places by nature is held together here: what is pinned, pages and their profiles."""

import os
import re
import subprocess
import tomllib

import pytest
import yaml
from conftest import REPOSITORY, group_of

from bridgekit.book import pages


def test_constraints_pin_exactly_what_is_required():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    required = [*project["dependencies"], *extras["book"], *extras["test"], *extras["cluster"]]
    wanted = {re.match(r"[A-Za-z0-9._-]+", requirement).group().lower() for requirement in required}
    lines = [x for x in (REPOSITORY / "constraints.txt").read_text().splitlines() if not x.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!_-]+", line) for line in lines)
    pinned = {re.sub(r"[-_.]+", "-", line.split("==")[0]).lower() for line in lines}
    # A plugin of Slurm's brings another one of its own, which runs the jobs.
    assert {*wanted, "snakemake-executor-plugin-slurm-jobstep"} <= pinned and len(pinned) == len(lines)


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
    browser, warns = f"{rendered}_in_a_browser[plane]", f"{rendered}_warns_of_nothing[plane]"
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
