"""One page run from its source to its results, and what it depends on. `run` leaves

    _build/notebooks/<profile>/<page>.ipynb     the executed page
    figures/<profile>/<page>/                   record.json, figures and their data arrays, SHA256SUMS

complete, or not at all. With values set by hand the profile's name is `custom`.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from bridgekit import spec
from bridgekit.book import cells, execution, keys, pages, placement, records
from bridgekit.data import folders
from bridgekit.errors import BridgekitError

SWEEP = "run.sweep("  # where a page has cells
CLASSIFIERS = "bridgekit.measure.classifiers"


def classifiers(
    page: str, profile: str = "quick", overrides: Mapping[str, object] | None = None
) -> list[dict[str, object]]:
    """Which evaluation classifiers the page needs, as arguments of `classifier`: if it imports
    that module, those of its parameter `dataset` or `datasets`, at its `size` and `channels`."""
    if CLASSIFIERS not in pages.find(page).imports:
        return []
    values = pages.resolve(page, profile, overrides)
    options = {name: values[name] for name in ("size", "channels") if name in values}
    names = values.get("datasets", [values["dataset"]] if "dataset" in values else [])
    return [{"name": name, **options} for name in dict.fromkeys(names)]


def classifier(name: str, size: int | None = None, channels: int | None = None, device: str = "cpu"):
    """One of them, trained where it is missing."""
    from bridgekit import random
    from bridgekit.measure.classifiers import make

    return make(name, size=size, channels=channels, device=random.device(device))


def run(
    page: str,
    profile: str = "quick",
    overrides: Mapping[str, object] | None = None,
    out: Path | None = None,
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

    began, tell = time.monotonic(), tell or sys.stderr.write
    parameters, told = _told(page, profile, overrides, out)
    home, name, role, kept = (told[fact] for fact in ("root", "profile", "role", "checkpoints"))
    mark, depends = keys.key(page, profile, overrides), keys.dependencies(page, profile, overrides)
    folders.announce(parameters.values(), tell)
    place = placement.Place(told["out"], page, home)
    place.check()
    if role != records.TRIAL and (why := records.unclean(home)):
        tell(f"{page}: {why}: this run will decide no claim\n")
    notebooks, stores = home / "_build" / "notebooks" / name, told["cells"]
    with placement.workshop(home) as work:
        results, progress = work / "results", work / execution.PROGRESS
        for needed in (results, notebooks):
            needed.mkdir(parents=True, exist_ok=True)
        env = spec.tell(work / "spec.json", **told | {"out": results, "progress": progress})
        with pages.named(page), execution.watched(page, progress, tell):
            failed, source = notebooks / f"{page}.failed.ipynb", pages.find(page).source
            notebook = execution.execute(source, parameters, work, failed, home, env, limit)
        notebook.metadata["bridgekit"] = dict(page=page, profile=name, key=mark, dependencies=depends)
        new = {path.name: path.read_bytes() for path in results.iterdir() if path.is_file()}
        new[f"{page}.ipynb"] = (nbformat.writes(notebook) + "\n").encode()
        place.put(new)
    made = json.loads(new.get("record.json", b"{}")).get("provenance", {})
    cells.Store(*stores, root=home).tidy(made.get("cells", ()))
    shutil.rmtree(kept, ignore_errors=True)  # not before: what is not in place yet may have to be made again
    tell(f"{page} · {name} · done in {execution.clock(time.monotonic() - began)}\n")
    return place.notebooks / f"{page}.ipynb"


def _told(
    page: str, profile: str, overrides: Mapping[str, object] | None, out: Path | None = None
) -> tuple[dict[str, object], dict]:
    """A run's parameters, and what its kernel is told."""
    home, name = pages.root(), "custom" if overrides else profile
    placement.recover(home)
    parameters = pages.resolve(page, profile, overrides)
    folder = (Path(out) if out else home / "figures" / name / page).resolve()
    told = {"root": home, "out": folder, "profile": name, "role": records.role(home, page, name, folder)}
    kept = keys.checkpoints(home, name, page, parameters)
    return parameters, told | {"checkpoints": kept, "cells": keys.cells(home, name, page, folder, kept)}


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

    code = [each for each in pages.find(page).cells if "hide-cell" not in each[0]]  # without solutions
    sweeps = [i for i, (_, text) in enumerate(code) for _ in range(text.count(SWEEP))]
    if not sweeps:
        raise BridgekitError(f"page '{page}' has no cells to be played one by one: bridgekit run {page}")
    parameters, told = _told(page, profile, overrides)
    with placement.workshop(told["root"]) as work:
        progress = work / execution.PROGRESS
        os.environ |= spec.tell(work / "spec.json", progress=progress, share=[*share, len(sweeps)], **told)
        with pages.named(page), execution.watched(page, progress, tell or sys.stderr.write), suppress(Filled):
            execution.execute_here(code[: sweeps[-1] + 1], parameters, page)
