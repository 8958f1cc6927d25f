"""What stands in a chapter beside its figures: the library's functions, under the equations that they are."""

import ast
import inspect
import textwrap
from collections.abc import Callable
from pathlib import Path

from bridgekit import closure
from bridgekit.book.displays import Html, markdown


def code(*functions: Callable) -> Html:
    """Functions (or classes) of the library as they stand there, without their docstrings, and their place.

    What is shown is what runs: nothing is copied into a page. Raises TypeError for what has no source.
    """
    bare = map(inspect.unwrap, functions)  # a decorator may stand elsewhere
    shown = [f"```python\n{_body(each)}\n```\n{_place(each)}" for each in bare]
    return markdown("\n\n".join(shown) + "\n")


def _body(function: Callable) -> str:
    """Its source without the docstring, from the left margin on."""
    source = textwrap.dedent(inspect.getsource(function))
    lines, own = source.splitlines(), ast.parse(source).body[0]
    if ast.get_docstring(own, clean=False) is not None:
        said = own.body[0]
        del lines[said.lineno - 1 : said.end_lineno]
    return "\n".join(lines).strip()


def _place(function: Callable) -> str:
    """Where it stands: as a page calls it, its file and line."""
    file = Path(inspect.getsourcefile(function)).resolve().relative_to(closure.PACKAGE.parent)
    line = inspect.getsourcelines(function)[1]
    module = function.__module__.rpartition(".")[2]
    return f"`{module}.{function.__name__}`, in `{file.as_posix()}`, line {line}"
