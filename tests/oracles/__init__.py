"""One oracle per objective: a case solved in closed form or by quadrature, its value and its gradient.

An oracle takes the function under test, so that it can be run on mutants too; it passes arguments by position
and raises AssertionError where the function is wrong. One module here per module of ``bridgekit.theory``.
"""

import importlib
from collections.abc import Callable
from pathlib import Path

from oracles.tools import Function

ORACLES: dict[Function, Callable[[Function], None]] = {}
for file in sorted(Path(__file__).parent.glob("of_*.py")):
    ORACLES |= importlib.import_module(f"oracles.{file.stem}").ORACLES
