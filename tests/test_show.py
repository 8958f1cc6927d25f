"""What a chapter shows of the library is what runs."""

import ast
import inspect
import json
import re
from html import unescape

import pytest
from conftest import REPOSITORY

from bridgekit import closure
from bridgekit.book import records, runs, show
from bridgekit.games import bridge
from bridgekit.theory import alpha, densities


def shown(*functions):
    """Each function's code as the page has it, and the line under it."""
    return re.findall(r"```python\n(.*?)\n```\n([^\n]*)", show.code(*functions).html, re.DOTALL)


def without_docstring(source):
    tree = ast.parse(source)
    tree.body[0].body.pop(0)
    return ast.dump(tree)


@pytest.mark.parametrize(
    "function", [alpha.forward_twin, alpha.linear_gamma, bridge.alpha_bridge, densities.Mixture]
)
def test_the_code_that_is_shown_is_the_code_that_runs(function):
    ((code, place),) = shown(function)
    assert ast.dump(ast.parse(code)) == without_docstring(inspect.getsource(function))
    file, line = re.search(r", in (bridgekit/.*), line (\d+)", place).groups()
    lines = (closure.PACKAGE.parent / file).read_text().splitlines()
    assert re.match(rf"(def|class) {function.__name__}\b", lines[int(line) - 1])
    assert place.startswith(f"`{function.__module__.removeprefix('bridgekit.')}.{function.__name__}`, in ")


def test_several_functions_stand_one_under_the_other():
    both = shown(alpha.forward_twin, alpha.reverse_twin)
    assert [re.search(r"def (\w+)", code)[1] for code, _ in both] == ["forward_twin", "reverse_twin"]
    with pytest.raises(TypeError):
        show.code(len)


def test_the_head_of_a_chapter_has_its_minutes_and_claims(tmp_path, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    run = runs.Run("twin_gradients", "quick", {}, tmp_path / "out", REPOSITORY)
    line = show.head(run, needs="a < b").html
    start = r'<p class="bk-head">\d+ min to read · you need: a &lt; b<!-- places --> · claims'
    assert re.match(start, line)
    assert re.findall(r'href="scoreboard\.html#(\w+)"', line) == [claim.id for claim in run.claims]
    none = runs.Run("settings", "quick", {}, tmp_path / "none", REPOSITORY)
    assert "claims" not in show.head(none, needs="nothing").html and "last word" not in line


def test_a_page_without_a_reference_run_says_so_and_its_prose_is_of_this_run(tmp_path, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    run = runs.Run("twin_gradients", "quick", {}, tmp_path / "out", REPOSITORY)
    run.metric("fall", [1.0, 3.0])
    assert "fall_reference" not in run.words()
    monkeypatch.setitem(run.__dict__, "reference", records.committed(tmp_path, "twin_gradients"))
    assert "not made yet" in show.head(run, needs="a").html and run.words()["fall_reference"] == 2.0


def test_a_question_travels_with_its_answer_and_hint():
    asked = show.check(
        "Which $x$?", 1 / 3, hint="Divide by *three*.", then="**So**.", unit="nats", within=0.1
    )
    assert "data-answer='0.333333' data-within='0.1'" in asked.html and "</label> <button" in asked.html
    assert r"\(x\)" in asked.html and "nats" in asked.html and repr(asked) == "[question] Which $x$?"
    said = json.loads(unescape(re.search(r"data-said='([^']*)'", asked.html)[1]))
    assert said == {"hint": "Divide by <em>three</em>.", "then": "<strong>So</strong>."}
