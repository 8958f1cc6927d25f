"""The tool behind `make mutants`: what it draws, and that a mutant is what a test imports."""

import subprocess
import sys
from pathlib import Path

import drawn_mutants
import pytest
from drawn_mutants import Mutant

MODULE = '''"""Words."""

K = 2


def twice(x):
    """Words."""
    if x > 0 and K == 2:
        print(x)
    return K * x


class A:
    @property
    def half(self):
        return self.x / 2
'''


def test_a_mutant_is_one_change_in_one_function():
    found = drawn_mutants.possible("loop", "m", MODULE)
    changes = {mutant.what.split(": ", 1)[1] for mutant in found}
    assert "if x > 0 and K == 2:  =>  if x > 0 or K == 2:" in changes
    assert "if x > 0 and K == 2:  =>  if x > 0 and K != 2:" in changes
    assert "if x > 0 and K == 2:  =>  if x >= 0 and K == 2:" in changes
    assert "print(x)  =>  pass" in changes
    assert "return self.x / 2  =>  return self.x * 2" in changes
    for mutant in found:
        assert mutant.source != MODULE and compile(mutant.source, "m", "exec")
        first, last = mutant.lines
        assert mutant.source.splitlines()[: first - 1] == MODULE.splitlines()[: first - 1]
        assert mutant.source.splitlines()[last - 15 :] or last == 15
    assert len({mutant.source for mutant in found}) == len(found)


@pytest.mark.pipeline  # reads every module several times
def test_the_draw_is_the_seeds_and_misses_no_module():
    drawn = drawn_mutants.draw(60, 0)
    assert drawn == drawn_mutants.draw(60, 0) != drawn_mutants.draw(60, 1)
    modules = [name for _, name, _ in drawn_mutants.modules()]
    assert all(sum(m.module == name for m in drawn) >= 2 for name in modules)
    assert {m.stratum for m in drawn} == set(drawn_mutants.STRATA)
    assert {m.module for m in drawn_mutants.draw(5, 0, "paired")} == {"bridgekit.measure.paired"}


def test_every_named_mutant_finds_its_text():
    assert len(drawn_mutants.named()) == len(drawn_mutants.NAMED)


def test_a_test_imports_the_mutant_and_nothing_else_changes():
    file = drawn_mutants.ROOT / "bridgekit" / "measure" / "paired.py"
    source = file.read_text().replace("return np.stack(values)", "return 'mutant'")
    code = "import sys; sys.path[:0] = ['tests', '.']; import drawn_mutants as d\n"
    code += f"sys.meta_path.insert(0, d.Instead('bridgekit.measure.paired', {source!r}))\n"
    code += "from bridgekit.book import verdicts\nfrom bridgekit.measure import paired\n"
    code += "print(paired._pairs('', [1], [2]), verdicts.combine([]))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=drawn_mutants.ROOT, capture_output=True, text=True
    )
    assert done.stdout == "mutant reproduced\n", done.stderr


def test_a_mutant_gets_the_tests_that_reach_its_function_the_fastest_first():
    mutant = Mutant("bridgekit.measure.paired", "statistics", "", (10, 20), "")
    file = str(Path(drawn_mutants.ROOT, "bridgekit", "measure", "paired.py"))
    lines = {file: {9: {"a"}, 10: {"b"}, 20: {"c", "b"}, 21: {"d"}}}
    assert drawn_mutants.tests_for(mutant, lines, {"b": 2.0, "c": 1.0}) == ["c", "b"]
    assert drawn_mutants.tests_for(mutant, {}, {}) == []
    defaults = "tests/x.py::test_what_a_builder_does_where_nothing_is_said"
    assert drawn_mutants.tests_for(mutant, {}, {defaults: 0.1}) == [defaults]


@pytest.mark.parametrize(("share", "code"), [(1, 0), (0.95, 0), (0.9, 1)])
def test_the_score_decides(share, code, capsys):
    drawn = [Mutant("m", "loop", str(i), (1, 1), "") for i in range(20)]
    ends = {m: "killed by x" if i < 20 * share else "survived (3 tests)" for i, m in enumerate(drawn)}
    assert drawn_mutants.report(drawn, ends) == code
    said = capsys.readouterr().out
    assert f"{20 * share:.0f} of   20 killed" in said and said.count("survivor:") == 20 - int(20 * share)
