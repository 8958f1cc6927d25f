"""What the prose of a page may name, from run records, and how it gets there: MyST-NB's glue."""

import re
from collections.abc import Mapping

from bridgekit.book import records
from bridgekit.errors import BridgekitError, nearest

_SAYS_WHAT_TO_SEE = re.compile(r"\*\*[^*]+[.?!]\*\*(\s|$)")  # how a caption begins


def words(here: dict, there: dict) -> dict[str, float | str]:
    """What this run's record holds for the prose; as ``<name>_reference`` what the reference run's does."""
    return of(here) | {f"{name}_reference": value for name, value in of(there).items()}


def glue(known: Mapping[str, float | str]) -> None:
    """Glue each of them, inside a kernel with MyST-NB only."""
    try:
        from IPython import get_ipython
        from myst_nb import glue
    except ImportError:
        return
    for name, value in known.items() if get_ipython() else ():
        glue(name, value, display=False)


def texts(record: dict, figure: str, **said: str) -> dict[str, str]:
    """A figure's ``alt`` and ``caption`` with what that record has for each ``{name}``, as Python formats it.

    Every figure of a page gets its texts here, whatever made it. Raises BridgekitError for an alt that is
    empty, for a caption that does not begin with what to see, and for a name that the record has not.
    """
    if not said["alt"].strip():
        raise BridgekitError(f"figure {figure}: alt is empty. Say in words what the figure shows.")
    if not _SAYS_WHAT_TO_SEE.match(said["caption"]):
        raise BridgekitError(f"figure {figure}: its caption must begin with what to see: **One sentence.**")
    known = of(record)
    try:
        return {kind: text.strip().format_map(known) for kind, text in said.items()}
    except KeyError as error:
        name = error.args[0]
        raise BridgekitError(
            f"figure {figure}: a text names {name}, which the run has not: {nearest(name, known)}"
        ) from error
    except ValueError as error:
        raise BridgekitError(f"figure {figure}: a text cannot be filled in: {error}") from error


def of(record: dict) -> dict[str, float | str]:
    """Parameters as they are (a list reads "2,000, 3,000"), what was glued, the mean of each metric."""
    from bridgekit.measure import finite  # with torch, which no module of this room imports at once

    known = {name: _word(value) for name, value in record["parameters"].items()} | record.get("glued", {})
    means = {name: finite.mean(records.metric_values(record, name), 0) for name in record["metrics"]}
    return known | {name: float(value) for name, value in means.items()}


def _word(value) -> float | str:
    if isinstance(value, list):
        return ", ".join(f"{each:,}" if isinstance(each, int | float) else str(each) for each in value)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
