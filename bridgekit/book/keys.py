"""Content keys: what a page's result depends on, as one short hash.

A page is run again when its key changes, and only then: neither time stamps nor commits count.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from bridgekit import closure
from bridgekit.book import criteria, pages, records, sums
from bridgekit.book.records import COMMITTED
from bridgekit.data import folders


def checkpoints(home: Path, profile: str, page: str, parameters: Mapping[str, object]) -> Path:
    """Where the runs of a page keep the states of their games until they are done."""
    # A state holds what was measured on the way: with other parameters, or images, that is no beginning.
    values = {name: value for name, value in parameters.items() if name != "workers"}
    mark = closure.digest(values, *folders.contents(values.values()))
    return home / "_build" / "checkpoints" / profile / page / mark


def cells(home: Path, profile: str, page: str, out: Path, kept: Path) -> list[Path]:
    """Where a run with checkpoints `kept` and results to `out` keeps its finished cells, and looks for them.

    Those of a reference run lie where they can be committed, until its record is placed. A run to another
    place, a repeated one say, makes all its cells itself.
    """
    if out != home / "figures" / profile / page:
        return [kept / "cells"]
    own = home / "_build" / "cells" / profile / page
    reference = records.role(home, page, profile, out) == records.REFERENCE
    return [home / "figures" / "cells" / page, own] if reference else [own]


def made(home: Path, profile: str, page: str) -> dict | None:
    """What the executed page says of its making; nothing where it is damaged, None where it is not there."""
    path = home / "_build" / "notebooks" / profile / f"{page}.ipynb"
    try:
        return dict(json.loads(path.read_bytes())["metadata"]["bridgekit"])
    except (ValueError, KeyError, TypeError):
        return {}
    except FileNotFoundError:
        return None


def reads_ledger(page: str) -> bool:
    """Whether a page shows the whole ledger, or other pages' runs: all reference records are in its key."""
    return bool({"bridgekit.book.claims", "bridgekit.book.records"} & pages.find(page).imports)


def dependencies(
    page: str, profile: str = "quick", overrides: Mapping[str, object] | None = None
) -> dict[str, str]:
    """What the executed page depends on, as {what it is: a short text that changes with it}: its source, its
    parameters, the images of folders among these (other data sets are their names), the library modules it
    imports directly or through others, its claims, and the committed results that it shows."""
    home, own, values = pages.root(), pages.find(page), pages.resolve(page, profile, overrides)
    claims = criteria.of_page(home, page)
    shown = _made_before(home, page) if profile == pages.PAPER else _shown(home, page, bool(claims))
    text = {f"parameter {name}": repr(value) for name, value in values.items()}
    text |= {f"bridgekit/{name}": mark for name, mark in closure.library(own.code)}
    text |= {f"claim {claim.id}": closure.digest(claim) for claim in claims}
    others = {"the images": folders.contents(values.values()), "committed results": shown}
    return text | {name: closure.digest(found) for name, found in {"the page": own.source, **others}.items()}


def key(page: str, profile: str = "quick", overrides: Mapping[str, object] | None = None) -> str:
    """All of :func:`dependencies` as one hash."""
    return closure.digest(dependencies(page, profile, overrides))


def why(page: str, profile: str = "quick") -> list[str]:
    """Why the page would run now at a profile, or that it would not, in lines for a person."""
    mark, known = key(page, profile), made(pages.root(), profile, page)
    if known is None:
        return ["it has not been executed"]
    if known.get("key") == mark:
        return []
    before, after = known.get("dependencies", {}), dependencies(page, profile)
    lines = [f"{name} is new" for name in after.keys() - before.keys()]
    lines += [f"{name} is gone" for name in before.keys() - after.keys()]
    for name in after.keys() & before.keys():
        told = f": {before[name]} before, {after[name]} now" if name.startswith("parameter ") else ""
        lines += [f"{name} has changed{told}"] if before[name] != after[name] else []
    return sorted(lines)


def _made_before(home: Path, page: str) -> list:
    """What a reference run shows: for the committed results stand the keys of the pages that make them."""
    if not reads_ledger(page):
        return []
    makers = [key(other, pages.PAPER) for other in pages.executed() if not reads_ledger(other)]
    return [makers, closure.tree([home / "claims.yml"], home)]


def _shown(home: Path, page: str, decides: bool) -> list:
    """The ledger and the committed results that the page shows, by content."""
    everything = reads_ledger(page)
    names = [f"figures/{kind}/{name}/*" for kind in COMMITTED for name in {page, pages.find(page).record}]
    if everything:
        names += [f"figures/{kind}/*/{name}" for kind in COMMITTED for name in ("record.json", sums.NAME)]
        names += ["claims.yml"]
    if everything or decides:
        names += ["figures/earlier/*.json"]  # what stood before stands beside the verdict
    return closure.tree({file for name in names for file in home.glob(name)}, home)
