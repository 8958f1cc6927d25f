"""Every builder of :mod:`bridgekit.games` with its paper: cases by name."""

from games.generalised import CASES as GENERALISED
from games.others import CASES as OTHERS
from games.paper_a import CASES as PAPER_A
from games.paper_b import CASES as PAPER_B
from games.paper_c import CASES as PAPER_C

CASES = PAPER_A | GENERALISED | PAPER_B | PAPER_C | OTHERS
