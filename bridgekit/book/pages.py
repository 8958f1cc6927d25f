"""The book's pages and profiles: which there are, what they declare, and the values that a run of them gets.

A page is `book/<name>.md`, MyST-Markdown with a jupytext header, whose `parameters` cell holds the values of
the profile `quick`. `profiles/<profile>.yaml` maps pages to other values.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from bridgekit import closure, spec
from bridgekit.book import execution, schemas
from bridgekit.book.parameters import Parameter, cells, declared_in
from bridgekit.book.yaml_reader import read_yaml
from bridgekit.data import folders
from bridgekit.errors import BridgekitError, nearest

LIMIT = "limit"  # in a profile, beside its pages: how long one of them may take
PAPER = "paper"  # the profile of the reference runs


@dataclass(frozen=True)
class Page:
    """A page as it is written; what stands in it is read when it is first asked for, and once."""

    name: str
    source: str

    @cached_property
    def header(self) -> Mapping:
        """Its YAML header."""
        head = self.source.split("\n---", 1)[0][3:] if self.source.startswith("---") else ""
        return read_yaml(head, f"the header of {self.name}.md") or {}

    @property
    def record(self) -> str:
        """The page whose committed runs it shares until it has its own: the one that it was split from."""
        return self.header.get("record", self.name)

    @property
    def title(self) -> str:
        """Its first heading."""
        found = re.search(r"^# +(.+?) *$", self.source, re.MULTILINE)
        return found[1] if found else self.name

    @cached_property
    def cells(self) -> list[tuple[list[str], str]]:
        """Tags and code of its code cells."""
        return cells(self.source)

    @cached_property
    def code(self) -> str:
        """The code of all its cells."""
        return "\n".join(code for _, code in self.cells)

    @cached_property
    def imports(self) -> frozenset[str]:
        """The library's modules that it imports itself."""
        return closure.imported(self.code, "", closure.PACKAGE)

    @cached_property
    def parameters(self) -> dict[str, Parameter]:
        """The parameters that it declares, with their types and defaults."""
        return declared_in(self.source, self.name)

    def fit(self, values: Mapping[str, object], where: str = "") -> dict[str, object]:
        """`values` checked against its declarations; a text stays text (see `parse` for --set)."""
        with named(self.name, where):
            return {name: self._parameter(name).fit(value) for name, value in values.items()}

    def parse(self, settings: list[str]) -> dict[str, object]:
        """`["seed=1", "alphas=[0.1, 0.9]"]` as values of its parameters."""
        values = {}
        for name, sign, text in (setting.partition("=") for setting in settings):
            if not sign:
                raise BridgekitError(f"--set wants name=value, not '{name}'")
            if name in values:
                raise BridgekitError(f"--set gives '{name}' twice: leave one")
            with named(self.name):
                values[name] = self._parameter(name).parse(text)
        return values

    def _parameter(self, name: str) -> Parameter:
        if name not in self.parameters:
            raise BridgekitError(f"there is no parameter '{name}': {nearest(name, self.parameters)}")
        return self.parameters[name]


def load(path: Path) -> Page | None:
    """The page at `path`, the same object for as long as it stays as it is; None where there is none."""
    with suppress(FileNotFoundError):
        return _loaded(path, closure.stamp(path))
    return None


@cache
def _loaded(path: Path, _: tuple[int, ...]) -> Page:
    return Page(path.stem, closure.text(path))


def root() -> Path:
    """The repository: the one that this run was told, else the nearest book at or above here, else the
    package's own.

    Book means book/_toc.yml with profiles/ beside it: other people's Jupyter Books have no profiles.
    """
    here, given = Path.cwd(), spec.told("root")
    for place in [Path(given)] if given else [here, *here.parents, closure.PACKAGE.parent]:
        if (place / "book" / "_toc.yml").is_file() and (place / "profiles").is_dir():
            return place.resolve()
    raise BridgekitError(
        f"no book/_toc.yml with profiles/ beside it in {given or 'this folder or one above it'}: go to the "
        "repository"
    )


def contents() -> list[str]:
    """Every page that book/_toc.yml names, executed or not, in its order."""
    text = closure.text(root() / "book" / "_toc.yml")
    return re.findall(r"^[ -]*(?:root|file): *[\"']?([^\s\"']+)", text, re.MULTILINE)


def executed() -> dict[str, Page]:
    """The pages that are executed (their header names a kernel), by name, in the book's order."""
    book = root() / "book"
    found = {name: load(book / f"{name}.md") for name in contents()}
    return {name: page for name, page in found.items() if page and "kernelspec" in page.header}


def find(page: str) -> Page:
    """An executed page."""
    known = executed()
    if page not in known:
        raise BridgekitError(f"there is no page '{page}': {nearest(page, known)}")
    return known[page]


def declared(page: str) -> dict[str, Parameter]:
    """The page's parameters, with their types and defaults, from its parameters cell."""
    return find(page).parameters


def profiles() -> list[str]:
    """The profiles' names."""
    return sorted(path.stem for path in (root() / "profiles").glob("*.yaml"))


def _entries(profile: str) -> Mapping:
    """What profiles/<profile>.yaml holds: pages with their parameters below, and `limit`."""
    if profile not in profiles():
        raise BridgekitError(f"there is no profile '{profile}': {nearest(profile, profiles())}")
    name, known = f"profiles/{profile}.yaml", executed()
    entries = read_yaml(closure.text(root() / name), name) or {}
    schemas.check("profile", entries, name)
    for page in entries:
        if page != LIMIT and page not in known:
            raise BridgekitError(
                f"{name} has settings for '{page}', which is no page: {nearest(page, known)}"
            )
    return entries


def limit(profile: str, given: str | None = None, custom: bool = False) -> float | None:
    """How many seconds a page may take: what was `given`, else, without `custom` values, what the profile
    says; None for no limit."""
    if given is None and not custom:
        given = _entries(profile).get(LIMIT)
    return None if given is None else execution.seconds(str(given))


def resolve(
    page: str, profile: str = "quick", overrides: Mapping[str, object] | None = None
) -> dict[str, object]:
    """The page's parameters: its own values, then the profile's, then `overrides`; all of them checked.

    A relative `folder:PATH` becomes absolute, as the kernel runs elsewhere: in `overrides` it is looked for
    from the working directory, in pages and profiles from the repository, and then under the data root.
    """
    own = find(page)
    given = own.fit(_entries(profile).get(page) or {}, f"profiles/{profile}.yaml: ")
    values = {name: p.default for name, p in own.parameters.items()} | given
    return folders.anchored(values, root()) | folders.anchored(own.fit(overrides or {}), Path.cwd())


@contextmanager
def named(page: str, where: str = "") -> Iterator[None]:
    """Errors inside say which page they are about, after `where`."""
    try:
        yield
    except BridgekitError as error:
        raise BridgekitError(f"{where}page '{page}': {error}") from error
