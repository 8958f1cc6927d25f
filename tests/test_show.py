"""What a chapter shows of the library is what runs."""

import ast
import inspect
import re

import pytest

from bridgekit import closure
from bridgekit.book import show
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
    file, line = re.search(r"in `(.*)`, line (\d+)", place).groups()
    lines = (closure.PACKAGE.parent / file).read_text().splitlines()
    assert lines[int(line) - 1] == code.splitlines()[0]
    assert place.startswith(f"`{function.__module__.split('.')[-1]}.{function.__name__}`, in `bridgekit/")


def test_several_functions_stand_one_under_the_other():
    both = shown(alpha.forward_twin, alpha.reverse_twin)
    assert [re.search(r"def (\w+)", code)[1] for code, _ in both] == ["forward_twin", "reverse_twin"]
    with pytest.raises(TypeError):
        show.code(len)
