"""One page run from its source to its results, and what it depends on. `run` leaves

    _build/notebooks/<profile>/<page>.ipynb     the executed page
    figures/<profile>/<page>/                   record.json, figures and their data arrays, SHA256SUMS

complete, or not at all. With values set by hand the profile's name is `custom`.
"""

import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from bridgekit import closure, files
from bridgekit.book import execution, keys, pages, pieces, placement, records, sums
from bridgekit.book.parameters import cells
from bridgekit.data import folders


def classifiers(
    page: str, profile: str = "quick", overrides: Mapping[str, object] | None = None
) -> list[dict[str, object]]:
    """Which evaluation classifiers the page needs, as arguments of `measure.classifiers.make`: if it imports
    that module, those of its parameter `dataset` or `datasets`, at its `size` and `channels`."""
    code = "\n".join(code for _, code in cells(pages.source(page)))
    if "bridgekit.measure.classifiers" not in closure.imported(code, "", closure.PACKAGE):
        return []
    values = pages.resolve(page, profile, overrides)
    options = {name: values[name] for name in ("size", "channels") if name in values}
    names = values.get("datasets", [values["dataset"]] if "dataset" in values else [])
    return [{"name": name, **options} for name in dict.fromkeys(names)]


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
    folders.announce(parameters.values(), tell)
    folder = (Path(out) if out else home / "figures" / name / page).resolve()
    placement.check(folder, page, home, (f"{page}.ipynb",) if out else ())
    if name == "paper" and (why := records.unclean(home)):
        tell(f"{page}: {why}: this run will decide no claim\n")
    notebooks, kept = home / "_build" / "notebooks" / name, keys.checkpoints(home, name, page, parameters)
    with placement.workshop(home) as work:
        results, progress, failed = work / "results", work / "progress", notebooks / f"{page}.failed.ipynb"
        env = _environment(home, name, results, progress, kept)
        # Of a reference run, the finished cells lie where they can be committed.
        parts = home / "figures" / "pieces" / page if name == "paper" and not out else kept / "pieces"
        env["BRIDGEKIT_PIECES"] = str(parts)
        for needed in (results, notebooks):
            needed.mkdir(parents=True, exist_ok=True)
        with pages.named(page), execution.watched(page, progress, live, tell):
            draft = work / "draft.ipynb"
            notebook = execution.execute(pages.source(page), parameters, draft, failed, home, env, limit)
        notebook.metadata["bridgekit"] = {"page": page, "profile": name, "key": mark}
        new = {path.name: path.read_bytes() for path in results.iterdir() if path.is_file()}
        new[f"{page}.ipynb"] = sums.sealed(nbformat.writes(notebook)).encode()
        placement.put(new, folder, page, home, None if out else notebooks)
    pieces.clear(parts)
    files.discard(kept)  # not before: what is not in place yet may have to be made again
    tell(f"{page} · {name} · done in {execution.clock(time.monotonic() - began)}\n")
    return (folder if out else notebooks) / f"{page}.ipynb"


def _environment(home: Path, profile: str, out: Path, progress: Path, kept: Path) -> dict[str, str]:
    """What a page's kernel is told; numpy's and torch's thread pools follow BRIDGEKIT_THREADS."""
    threads = str(pages.threads())
    told = {"ROOT": home, "OUT": out, "PROFILE": profile, "PROGRESS": progress, "CHECKPOINTS": kept}
    told["THREADS"] = threads
    if data := os.environ.get("BRIDGEKIT_DATA"):
        told["DATA"] = files.expanded(data).resolve()  # the kernel runs in the root
    pools = {f"{library}_NUM_THREADS": threads for library in ("OMP", "MKL", "OPENBLAS")}
    # Otherwise glibc gives memory back and asks for it again in every step: a fifth of the training time.
    pools |= {f"MALLOC_{name}_THRESHOLD_": str(2**30) for name in ("MMAP", "TRIM")}
    return pools | {f"BRIDGEKIT_{name}": str(value) for name, value in told.items()}
