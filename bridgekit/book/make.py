"""One page run from its source to its results, and what it depends on. `run` leaves

    _build/notebooks/<profile>/<page>.ipynb     the executed page
    figures/<profile>/<page>/                   record.json, figures and their data arrays, SHA256SUMS

complete, or not at all. With values set by hand the profile's name is `custom`.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from bridgekit import closure, files, spec
from bridgekit.book import cells, execution, keys, pages, placement, records, sums
from bridgekit.data import folders
from bridgekit.errors import BridgekitError

SWEEP = "run.sweep("  # where a page has cells
CLASSIFIERS = "bridgekit.measure.classifiers"


def classifiers(
    page: str, profile: str = "quick", overrides: Mapping[str, object] | None = None
) -> list[dict[str, object]]:
    """Which evaluation classifiers the page needs, as arguments of `measure.classifiers.make`: if it imports
    that module, those of its parameter `dataset` or `datasets`, at its `size` and `channels`."""
    if CLASSIFIERS not in pages.find(page).imports:
        return []
    values = pages.resolve(page, profile, overrides)
    options = {name: values[name] for name in ("size", "channels") if name in values}
    names = values.get("datasets", [values["dataset"]] if "dataset" in values else [])
    return [{"name": name, **options} for name in dict.fromkeys(names)]


def classifier_key() -> str:
    """What every classifier depends on beside its images: the code that trains it."""
    return closure.digest(closure.library(f"import {CLASSIFIERS}"))


def run(
    page: str,
    profile: str = "quick",
    overrides: Mapping[str, object] | None = None,
    out: Path | None = None,
    live: bool = False,
    tell: Callable[[str], object] | None = None,
    limit: float | None = None,
) -> Path:
    """Execute one page and put its notebook and results in place; returns the notebook's path.

    `out` stands for figures/<profile>/<page> and takes the notebook too; `tell` gets the progress (standard
    error); `limit` seconds stop the page. Raises BridgekitError for bad input before anything runs,
    and for a page that fails: its partly executed notebook is then kept as
    _build/notebooks/<profile>/<page>.failed.ipynb, and what stood in place before still stands there.
    """
    import nbformat

    began, home, name = time.monotonic(), pages.root(), "custom" if overrides else profile
    tell = tell or sys.stderr.write
    placement.recover(home)
    parameters, mark = pages.resolve(page, profile, overrides), keys.key(page, profile, overrides)
    depends = keys.dependencies(page, profile, overrides)
    folders.announce(parameters.values(), tell)
    folder = (Path(out) if out else home / "figures" / name / page).resolve()
    place, notebook_name = placement.Place(folder, page, home), f"{page}.ipynb"
    place.check((notebook_name,))
    role = records.role(home, page, name, folder)
    if role != records.TRIAL and (why := records.unclean(home)):
        tell(f"{page}: {why}: this run will decide no claim\n")
    notebooks, kept = home / "_build" / "notebooks" / name, keys.checkpoints(home, name, page, parameters)
    # A run to another place, a repeated one say, makes all its cells itself.
    again = not place.own or role == records.REPEATED
    stores = [kept / "cells"] if again else keys.cells(home, name, page, role)
    with placement.workshop(home) as work:
        results, progress = work / "results", work / execution.PROGRESS
        for needed in (results, notebooks):
            needed.mkdir(parents=True, exist_ok=True)
        told = {"root": home, "out": results, "profile": name, "role": role}
        told |= {"progress": progress, "checkpoints": kept, "cells": [str(each) for each in stores]}
        with pages.named(page), execution.watched(page, progress, live, tell):
            failed, env = notebooks / f"{page}.failed.ipynb", spec.tell(work / "spec.json", **told)
            source = pages.find(page).source
            notebook = execution.execute(source, parameters, work, failed, home, env, limit)
        notebook.metadata["bridgekit"] = dict(page=page, profile=name, key=mark, dependencies=depends)
        new = {path.name: path.read_bytes() for path in results.iterdir() if path.is_file()}
        new[notebook_name] = sums.sealed(nbformat.writes(notebook)).encode()
        place.put(new)
    made = json.loads(new.get("record.json", b"{}")).get("provenance", {})
    cells.Store(*stores, root=home).tidy(made.get("cells", ()))
    files.discard(kept)  # not before: what is not in place yet may have to be made again
    tell(f"{page} · {name} · done in {execution.clock(time.monotonic() - began)}\n")
    return place.notebooks / notebook_name


def fill(
    page: str,
    profile: str = "quick",
    overrides: Mapping[str, object] | None = None,
    share: tuple[int | None, int] = (None, 0),
    tell: Callable[[str], object] | None = None,
) -> None:
    """Play some cells of a page, as `sweeps.Share` counts them, in this process; the rest is not run.

    Raises BridgekitError for a page without a sweep, and what its cells raise.
    """
    from bridgekit.book.sweeps import Filled

    home, own, name = pages.root(), pages.find(page), "custom" if overrides else profile
    tell, parameters = tell or sys.stderr.write, pages.resolve(page, profile, overrides)
    code = [(tags, code) for tags, code in own.cells if "hide-cell" not in tags]  # without solutions
    sweeps = [i for i, (_, text) in enumerate(code) for _ in range(text.count(SWEEP))]
    if not sweeps:
        raise BridgekitError(f"page '{page}' has no cells to be played one by one: bridgekit run {page}")
    out = home / "figures" / name / page
    role = records.role(home, page, name, out)
    told = {
        "root": home,
        "out": out,
        "profile": name,
        "role": role,
        "share": [*share, len(sweeps)],
        "checkpoints": keys.checkpoints(home, name, page, parameters),
        "cells": [str(each) for each in keys.cells(home, name, page, role)],
    }
    with placement.workshop(home) as work:
        progress = work / execution.PROGRESS
        os.environ |= spec.tell(work / "spec.json", progress=progress, **told)
        with pages.named(page), execution.watched(page, progress, False, tell), suppress(Filled):
            execution.execute_here(code[: sweeps[-1] + 1], parameters, page)
