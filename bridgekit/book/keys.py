"""Content keys: what a page's result depends on, as one short hash.

A page is run again when its key changes, and only then: neither time stamps nor commits count.
"""

from collections.abc import Mapping
from pathlib import Path

from bridgekit import closure
from bridgekit.book import pages, sums
from bridgekit.book.parameters import cells
from bridgekit.book.yaml_reader import read_yaml
from bridgekit.data import folders

READERS = ("scoreboard",)  # pages that show the whole ledger and every page's reference record


def checkpoints(home: Path, profile: str, page: str, parameters: Mapping[str, object]) -> Path:
    """Where the runs of a page keep the states of their games until they are done."""
    # A state holds what was measured on the way: with other parameters, or images, that is no beginning.
    values = {name: value for name, value in parameters.items() if name != "workers"}
    mark = closure.digest(values, *folders.contents(values.values()))
    return home / "_build" / "checkpoints" / profile / page / mark


def key(page: str, profile: str = "quick", overrides: Mapping[str, object] | None = None) -> str:
    """What the executed page depends on: its source, its parameters, the images of folders among these
    (other data sets are their names), the library modules it imports directly or through others, its claims,
    and the committed results that it shows."""
    home, text = pages.root(), pages.source(page)
    code = "\n".join(code for _, code in cells(text))
    library = closure.tree(closure.modules(code).values(), closure.PACKAGE)
    values = pages.resolve(page, profile, overrides)
    images = folders.contents(values.values())
    return closure.digest(text, values, images, library, _claims(home, page), _shown(home, page, profile))


def _claims(home: Path, page: str) -> list:
    """The ledger's entries that the page decides: its record holds their criteria's hashes."""
    ledger = home / "claims.yml"
    entries = read_yaml(ledger.read_text(encoding="utf-8"), "claims.yml") if ledger.is_file() else []
    entries = [entry for entry in entries or [] if isinstance(entry, dict)]
    return [
        each for each in entries if page in (each.get("page"), (each.get("superseded") or {}).get("page"))
    ]


def _shown(home: Path, page: str, profile: str) -> list:
    """The ledger and the committed results that the page shows, by content; at profile `paper` pages make
    these results, so the pages' keys stand for them."""
    ledger = [home / "claims.yml"] if page in READERS else []
    if profile == "paper":
        makers = (
            [key(other, profile) for other in pages.names() if other not in READERS]
            if page in READERS
            else []
        )
        return [makers, closure.tree(ledger, home)]
    runs = [
        run for kind in ("paper", "repeated") for run in home.glob(f"figures/{kind}/*") if page in READERS
    ]
    records = [run / name for run in runs for name in ("record.json", sums.NAME)]
    if page in READERS or _claims(home, page):
        records += home.glob("figures/earlier/*.json")  # what stood before stands beside the verdict
    own = [file for kind in ("paper", "repeated") for file in (home / "figures" / kind / page).glob("*")]
    return closure.tree({*ledger, *records, *own}, home)
