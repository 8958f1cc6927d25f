"""The book's pages and profiles: which there are, what they declare, and the values that a run of them gets.

A page is `book/<name>.md`, MyST-Markdown with a jupytext header, whose `parameters` cell holds the values of
the profile `quick`. `profiles/<profile>.yaml` maps pages to other values.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bridgekit import closure
from bridgekit.book import execution
from bridgekit.book.parameters import Parameter, declared_in
from bridgekit.book.yaml_reader import read_yaml
from bridgekit.data import folders
from bridgekit.errors import BridgekitError, nearest

LIMIT = "limit"  # in a profile, beside its pages: how long one of them may take


def root() -> Path:
    """The repository: $BRIDGEKIT_ROOT, else the nearest book at or above here, else the package's own.

    Book means book/_toc.yml with profiles/ beside it: other people's Jupyter Books have no profiles.
    """
    given = os.environ.get("BRIDGEKIT_ROOT")
    here = Path.cwd()
    places = [Path(given)] if given else [here, *here.parents, closure.PACKAGE.parent]
    for place in places:
        if (place / "book" / "_toc.yml").is_file() and (place / "profiles").is_dir():
            return place.resolve()
    where = f"$BRIDGEKIT_ROOT ({given})" if given else "this folder or one above it"
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
    return fitted(page, entries.get(page) or {}, f"{name}: ")


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


def fitted(page: str, values: Mapping[str, object], where: str = "") -> dict[str, object]:
    """`values` checked against the page's declarations; a text stays text (see `resolve` for --set)."""
    known = declared(page)
    for name in values:
        if name not in known:
            raise BridgekitError(f"{where}page '{page}' has no parameter '{name}': {nearest(name, known)}")
    with named(page, where):
        return {name: known[name].fit(value) for name, value in values.items()}


def resolve(
    page: str, profile: str = "quick", overrides: Mapping[str, object] | None = None
) -> dict[str, object]:
    """The page's parameters: its own values, then the profile's, then `overrides`; all of them checked.

    A relative `folder:PATH` becomes absolute, as the kernel runs elsewhere: in `overrides` it is looked for
    from the working directory, in pages and profiles from the repository, and then under the data root.
    """
    own = {name: p.default for name, p in declared(page).items()} | profile_of(page, profile)
    given = fitted(page, overrides or {})
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
        with named(page):
            values[name] = known[name].parse(text)
    return values


@contextmanager
def named(page: str, where: str = "") -> Iterator[None]:
    """Errors inside say which page they are about, after `where`."""
    try:
        yield
    except BridgekitError as error:
        raise BridgekitError(f"{where}page '{page}': {error}") from error


def threads() -> int:
    """$BRIDGEKIT_THREADS, one unless set: results differ in the fifth digit between one thread and two."""
    text = os.environ.get("BRIDGEKIT_THREADS") or "1"
    if not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise BridgekitError(f"BRIDGEKIT_THREADS must be a whole number from 1 up, not '{text}'")
    return int(text)
