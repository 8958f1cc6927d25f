"""The book's pages: what they declare, the run they begin, and one page run from its source to its results.

A page is `book/<name>.md`, MyST-Markdown with a jupytext header, whose `parameters` cell holds the values of
the profile `quick`. `profiles/<profile>.yaml` maps pages to other values. `run` leaves

    _build/notebooks/<profile>/<page>.ipynb     the executed page
    figures/<profile>/<page>/                   record.json, figures and their data arrays, SHA256SUMS

complete, or not at all. With values set by hand the profile's name is `custom`.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bridgekit import execution, files, folders, keys, machine, pieces, placement, records, sums
from bridgekit.errors import BridgekitError, nearest
from bridgekit.parameters import Parameter, cells, declared_in, injected
from bridgekit.yaml_reader import read_yaml

LIMIT = "limit"  # in a profile, beside its pages: how long one of them may take
READERS = ("scoreboard",)  # pages that show the whole ledger and every page's reference record


def root() -> Path:
    """The repository: $BRIDGEKIT_ROOT, else the nearest book at or above here, else the package's own.

    Book means book/_toc.yml with profiles/ beside it: other people's Jupyter Books have no profiles.
    """
    named = os.environ.get("BRIDGEKIT_ROOT")
    here = Path.cwd()
    places = [Path(named)] if named else [here, *here.parents, keys.PACKAGE.parent]
    for place in places:
        if (place / "book" / "_toc.yml").is_file() and (place / "profiles").is_dir():
            return place.resolve()
    where = f"$BRIDGEKIT_ROOT ({named})" if named else "this folder or one above it"
    raise BridgekitError(
        f"no book/_toc.yml with profiles/ beside it in {where}: go to the repository, or set BRIDGEKIT_ROOT"
        " to it"
    )


def contents() -> list[str]:
    """Every page that book/_toc.yml names, executed or not, in its order."""

    def files(entry: object) -> Iterator[str]:
        if isinstance(entry, dict):
            yield from (entry[k] for k in ("root", "file") if k in entry)
            for value in entry.values():
                yield from files(value)
        elif isinstance(entry, list):
            for each in entry:
                yield from files(each)

    toc = root() / "book" / "_toc.yml"
    return list(files(read_yaml(toc.read_text(encoding="utf-8"), str(toc))))


def names() -> list[str]:
    """The pages that are executed (their header names a kernel), in the book's order."""
    paths = {name: root() / "book" / f"{name}.md" for name in contents()}
    return [name for name, path in paths.items() if path.is_file() and "kernelspec" in _header(path)]


def _header(path: Path) -> Mapping:
    """The YAML header of a MyST page."""
    text = path.read_text(encoding="utf-8")
    head = text.split("\n---", 1)[0][3:] if text.startswith("---") else ""
    return read_yaml(head, str(path)) or {}


def title(page: str) -> str:
    """A page's first heading."""
    lines = source(page).splitlines()
    return next((line[2:].strip() for line in lines if line.startswith("# ")), page)


def source(page: str) -> str:
    """The Markdown of an executed page."""
    if page not in names():
        raise BridgekitError(f"there is no page '{page}': {nearest(page, names())}")
    return (root() / "book" / f"{page}.md").read_text(encoding="utf-8")


def declared(page: str) -> dict[str, Parameter]:
    """The page's parameters, with their types and defaults, from its parameters cell."""
    return declared_in(source(page), page)


def profiles() -> list[str]:
    """The profiles' names."""
    return sorted(path.stem for path in (root() / "profiles").glob("*.yaml"))


def profile_of(page: str, profile: str) -> dict[str, object]:
    """What profiles/<profile>.yaml says of the page; every page and parameter it names must be there."""
    if profile not in profiles():
        raise BridgekitError(f"there is no profile '{profile}': {nearest(profile, profiles())}")
    name = f"profiles/{profile}.yaml"
    known, entries = names(), read_yaml(_text(root() / name), name) or {}
    if not isinstance(entries, dict):
        raise BridgekitError(f"{name} must hold pages with their parameters below, not '{entries}'")
    for other, values in entries.items():
        if other == LIMIT:
            continue
        if other not in known:
            raise BridgekitError(
                f"{name} has settings for '{other}', which is no page: {nearest(other, known)}"
            )
        if not isinstance(values or {}, dict):
            raise BridgekitError(f"{name}: '{other}' must hold lines `parameter: value`, not '{values}'")
    return _fitted(page, entries.get(page) or {}, f"{name}: ")


def limit(profile: str, given: str | None = None, custom: bool = False) -> float | None:
    """How many seconds a page may take: what was `given`, else, without `custom` values, what the profile
    says; None for no limit."""
    if given is None and not custom and profile in profiles():
        name = f"profiles/{profile}.yaml"
        entries = read_yaml(_text(root() / name), name)
        given = entries.get(LIMIT) if isinstance(entries, dict) else None
    return None if given is None else execution.seconds(str(given))


def _text(path: Path) -> str:
    """A file that a person writes."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BridgekitError(f"{path.name} is not UTF-8 text ({error}): save it as UTF-8") from error


def _fitted(page: str, values: Mapping[str, object], where: str = "") -> dict[str, object]:
    """`values` checked against the page's declarations; a text stays text (see `resolve` for --set)."""
    known = declared(page)
    for name in values:
        if name not in known:
            raise BridgekitError(f"{where}page '{page}' has no parameter '{name}': {nearest(name, known)}")
    with _named(page, where):
        return {name: known[name].fit(value) for name, value in values.items()}


def resolve(
    page: str, profile: str = "quick", overrides: Mapping[str, object] | None = None
) -> dict[str, object]:
    """The page's parameters: its own values, then the profile's, then `overrides`; all of them checked.

    A relative `folder:PATH` becomes absolute, as the kernel runs elsewhere: in `overrides` it is looked for
    from the working directory, in pages and profiles from the repository, and then under the data root.
    """
    own = {name: p.default for name, p in declared(page).items()} | profile_of(page, profile)
    given = _fitted(page, overrides or {})
    return folders.anchored(own, root()) | folders.anchored(given, Path.cwd())


def parse(page: str, settings: list[str]) -> dict[str, object]:
    """`["seed=1", "alphas=[0.1, 0.9]"]` as values of the page's parameters."""
    known, values = declared(page), {}
    for setting in settings:
        name, sign, text = setting.partition("=")
        if not sign:
            raise BridgekitError(f"--set wants name=value, not '{setting}'")
        if name not in known:
            raise BridgekitError(f"page '{page}' has no parameter '{name}': {nearest(name, known)}")
        if name in values:
            raise BridgekitError(f"--set gives '{name}' twice: leave one")
        with _named(page):
            values[name] = known[name].parse(text)
    return values


def classifiers(
    page: str, profile: str = "quick", overrides: Mapping[str, object] | None = None
) -> list[dict[str, object]]:
    """Which classifiers the page judges with, as arguments of `classifiers.make`: if it imports
    `bridgekit.classifiers`, those of its parameter `dataset` or `datasets`, at its `size` and `channels`."""
    code = "\n".join(code for _, code in cells(source(page)))
    if "bridgekit.classifiers" not in keys.imported(code, "", keys.PACKAGE):
        return []
    values = resolve(page, profile, overrides)
    options = {name: values[name] for name in ("size", "channels") if name in values}
    names = values.get("datasets", [values["dataset"]] if "dataset" in values else [])
    return [{"name": name, **options} for name in dict.fromkeys(names)]


def key(page: str, profile: str = "quick", overrides: Mapping[str, object] | None = None) -> str:
    """What the executed page depends on: its source, its parameters, the images of folders among these
    (other data sets are their names), the library modules it imports directly or through others, its claims,
    and the committed results that it shows."""
    home, text = root(), source(page)
    code = "\n".join(code for _, code in cells(text))
    library = keys.tree(keys.modules(code).values(), keys.PACKAGE)
    values = resolve(page, profile, overrides)
    images = folders.contents(values.values())
    return keys.digest(text, values, images, library, _claims(home, page), _shown(home, page, profile))


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
        makers = [key(other, profile) for other in names() if other not in READERS] if page in READERS else []
        return [makers, keys.tree(ledger, home)]
    runs = [
        run for kind in ("paper", "repeated") for run in home.glob(f"figures/{kind}/*") if page in READERS
    ]
    records = [run / name for run in runs for name in ("record.json", sums.NAME)]
    if page in READERS or _claims(home, page):
        records += home.glob("figures/earlier/*.json")  # what stood before stands beside the verdict
    own = [file for kind in ("paper", "repeated") for file in (home / "figures" / kind / page).glob("*")]
    return keys.tree({*ledger, *records, *own}, home)


def begin(page: str, namespace: dict[str, object]):
    """A page's first act: check its parameters, make torch repeatable, hand back the `results.Run` to fill.

    `namespace` is the page's `globals()`: the names that its parameters cell declares are read from it, and a
    whole number where a float is declared is made one there. Raises BridgekitError for a value that is
    ill-typed or out of range, and for a name that papermill injected and the page does not declare.
    """
    import torch

    from bridgekit.results import Run

    names = [*declared(page), *injected(namespace)]
    if lacking := [name for name in names if name not in namespace]:
        raise BridgekitError(f"page '{page}': the notebook lacks '{lacking[0]}': make it from the page again")
    parameters = _fitted(page, {name: namespace[name] for name in names})
    namespace.update(parameters)
    torch.set_num_threads(_threads())
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_deterministic_debug_mode("warn")  # a GPU lacks a few: a warning, not a dead page
    home = root()
    placement.recover(home)
    out = Path(os.environ.get("BRIDGEKIT_OUT") or home / "figures" / "custom" / page)
    profile = os.environ.get("BRIDGEKIT_PROFILE") or "custom"
    kept, parts = (os.environ.get(f"BRIDGEKIT_{kind}") for kind in ("CHECKPOINTS", "PIECES"))
    folders_kept = (Path(kept) if kept else None, Path(parts) if parts else None)
    return Run(page, profile, parameters, out, home, *folders_kept)


def _threads() -> int:
    """$BRIDGEKIT_THREADS, one unless set: results differ in the fifth digit between one thread and two."""
    text = os.environ.get("BRIDGEKIT_THREADS") or "1"
    if not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise BridgekitError(f"BRIDGEKIT_THREADS must be a whole number from 1 up, not '{text}'")
    return int(text)


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

    began, home, name = time.monotonic(), root(), "custom" if overrides else profile
    tell = tell or sys.stderr.write
    placement.recover(home)
    parameters, mark = resolve(page, profile, overrides), key(page, profile, overrides)
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
        with _named(page), execution.watched(page, progress, live, tell):
            draft = work / "draft.ipynb"
            notebook = execution.execute(source(page), parameters, draft, failed, home, env, limit)
        notebook.metadata["bridgekit"] = {"page": page, "profile": name, "key": mark}
        new = {path.name: path.read_bytes() for path in results.iterdir() if path.is_file()}
        new[f"{page}.ipynb"] = sums.sealed(nbformat.writes(notebook)).encode()
        placement.put(new, folder, page, home, None if out else notebooks)
    pieces.clear(parts)
    files.discard(kept)  # not before: what is not in place yet may have to be made again
    tell(f"{page} · {name} · done in {execution.clock(time.monotonic() - began)}\n")
    return (folder if out else notebooks) / f"{page}.ipynb"


@contextmanager
def _named(page: str, where: str = "") -> Iterator[None]:
    """Errors inside say which page they are about, after `where`."""
    try:
        yield
    except BridgekitError as error:
        raise BridgekitError(f"{where}page '{page}': {error}") from error


def _environment(home: Path, profile: str, out: Path, progress: Path, kept: Path) -> dict[str, str]:
    """What a page's kernel is told; numpy's and torch's thread pools follow BRIDGEKIT_THREADS."""
    threads = str(_threads())
    told = {"ROOT": home, "OUT": out, "PROFILE": profile, "PROGRESS": progress, "CHECKPOINTS": kept}
    told["THREADS"] = threads
    if data := os.environ.get("BRIDGEKIT_DATA"):
        told["DATA"] = machine.expanded(data).resolve()  # the kernel runs in the root
    pools = {f"{library}_NUM_THREADS": threads for library in ("OMP", "MKL", "OPENBLAS")}
    # Otherwise glibc gives memory back and asks for it again in every step: a fifth of the training time.
    pools |= {f"MALLOC_{name}_THRESHOLD_": str(2**30) for name in ("MMAP", "TRIM")}
    return pools | {f"BRIDGEKIT_{name}": str(value) for name, value in told.items()}
