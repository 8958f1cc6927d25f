"""One oracle per objective: a case solved in closed form or by quadrature, its value and its gradient.

An oracle takes the function under test, so that it can be run on mutants too; it passes arguments by position
and raises AssertionError where the function is wrong. One module here per module of ``bridgekit.theory``.
"""

from collections.abc import Callable

from oracles import (
    of_adversarial,
    of_alpha,
    of_f_gan,
    of_labelling,
    of_likelihood,
    of_wasserstein,
    of_weighted,
)
from oracles.tools import Function

ORACLES: dict[Function, Callable[[Function], None]] = (
    of_likelihood.ORACLES
    | of_adversarial.ORACLES
    | of_alpha.ORACLES
    | of_f_gan.ORACLES
    | of_wasserstein.ORACLES
    | of_labelling.ORACLES
    | of_weighted.ORACLES
)
