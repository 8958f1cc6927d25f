"""Run records as bytes, and read back with one clear error when damaged.

The same content always gives the same bytes: JSON keys are sorted, archives carry no time stamp. Non-finite
numbers are null in JSON (its grammar has no NaN) and come back as NaN.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import platform
import subprocess
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import metadata
from pathlib import Path

import numpy as np

from bridgekit import __version__, closure
from bridgekit.book import displays, pages, schemas, sums
from bridgekit.book.renamed import renamed
from bridgekit.errors import BridgekitError, nearest

_WAY_OUT = " Restore it (git checkout), or delete it and run its page again."
_KNOWN = schemas.schema("record")["properties"]
SCHEMA = _KNOWN["schema"]["const"]
REFERENCE, REPEATED, TRIAL = _KNOWN["role"]["enum"]  # a record's role: a reference run alone decides
COMMITTED = {"paper": REFERENCE, "repeated": REPEATED}  # folders of figures/: the role of a run in them
EXACT, PER_SEED = "exact", "per seed"  # kinds of metrics; the second is of records older than the others
PACKAGES = ("matplotlib", "numpy", "scikit-learn", "scipy", "torch", "torchmetrics", "torchvision")


def json_bytes(content: dict) -> bytes:
    """Canonical JSON: sorted keys, one space of indent, null for every non-finite number."""
    text = json.dumps(finite(content), sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode()


def finite(value):
    """The value as JSON gives it back, with None for every number in it that JSON has none for."""
    return json.loads(json.dumps(value), parse_constant=lambda infinite_or_nan: None)


def npz_bytes(arrays: dict) -> bytes:
    """Arrays as a compressed ``.npz`` whose bytes depend on names and values alone: numpy writes no dates."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{name: as_array(arrays[name]) for name in sorted(arrays)})
    return buffer.getvalue()


def arrays(body: bytes) -> dict[str, np.ndarray]:
    """What such bytes hold."""
    with np.load(io.BytesIO(body), allow_pickle=False) as archive:
        return dict(archive)


def as_array(values) -> np.ndarray:
    """Numbers, lists, arrays or tensors (of any device, with or without gradient) as a numpy array."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
    return np.ascontiguousarray(values)


def read_record(path: Path) -> dict:
    """The record at ``path``, in today's names, not to be changed; BridgekitError if it is damaged.

    Where sums lie beside it, its own must be among them.
    """
    try:
        return _record(sums.read(path), path)
    except ValueError as error:
        raise BridgekitError(f"the run record {path} cannot be read: {error}.{_WAY_OUT}") from error


@cache
def _record(body: bytes, path: Path) -> dict:
    record = json.loads(body.decode())
    schemas.check("record", record, f"the run record {path}", _WAY_OUT)
    kind = path.parent.parent.name if record["profile"] == pages.PAPER else ""
    # Older records have no role: their place says it.
    return {"role": COMMITTED.get(kind, TRIAL)} | renamed(record)


def committed(root: Path, page: str, kind: str = "paper") -> Reference:
    """The run of a page in ``figures/<kind>``, or of the page that it was split from; else an empty one."""
    own = pages.load(Path(root) / "book" / f"{page}.md")
    folders = (Path(root) / "figures" / kind / name for name in (page, own.record if own else page))
    return Reference(next((folder for folder in folders if (folder / "record.json").exists()), None))


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays at ``path``; BridgekitError where it is missing, or has not its sum."""
    return arrays(sums.read(path))


def metric_values(record: dict, name: str) -> np.ndarray:
    """The values of a metric, one per seed, (n,) float64; NaN where the record has null."""
    if name not in record["metrics"]:
        raise BridgekitError(
            f"page {record['page']} recorded no metric {name!r}: {nearest(name, record['metrics'])}"
        )
    values = record["metrics"][name]["values"]
    return np.array([math.nan if value is None else value for value in values], dtype=float)


@dataclass(frozen=True)
class Reference:
    """A committed run of a page: ``figures/paper/<page>/``, say. False, and empty, without a folder."""

    folder: Path | None

    def __bool__(self) -> bool:
        return self.folder is not None

    @cached_property
    def record(self) -> dict:
        """The whole record as a dictionary; BridgekitError where it has no sum, or another one."""
        if not self:
            return {"page": "none", "parameters": {}, "metrics": {}, "figures": {}}
        sums.listed(self.folder)
        return read_record(self.folder / "record.json")

    def has(self, name: str) -> bool:
        """Whether the reference run recorded the metric ``name``."""
        return name in self.record["metrics"]

    def metric(self, name: str) -> np.ndarray:
        """The reference values of a metric, (n,); BridgekitError for an unknown name."""
        return metric_values(self.record, name)

    def arrays(self, figure: str) -> dict[str, np.ndarray]:
        """The data arrays of a reference figure."""
        return read_npz(self.folder / self._entry(figure)["arrays"]) if self else {}

    def film(self, name: str, **said) -> displays.Html:
        """The committed film as a displayable, with what is ``said`` in place of its own texts."""
        entry = self._entry(name) | said
        sprite = next(file for file in entry["files"] if file.endswith(".webp"))
        return displays.film(sums.read(self.folder / sprite), entry, name, "Reference run.")

    def _entry(self, figure: str) -> dict:
        figures = self.record["figures"]
        if figure not in figures:
            raise BridgekitError(f"the reference run has no figure {figure!r}: {nearest(figure, figures)}")
        return figures[figure]


def provenance(root: Path, device: str) -> dict:
    """What made the numbers: device, threads, versions, platform, commit; no host, no absolute path."""
    import torch

    commit, dirty = git_state(root)
    versions = {"bridgekit": __version__} | {name: version(name) for name in PACKAGES}
    return {
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "packages": {name: found for name, found in versions.items() if found},
        # The system and its C library, not the kernel's full release, which may name a host or a provider.
        "platform": " ".join(filter(None, [platform.system(), platform.machine(), *platform.libc_ver()])),
        "commit": commit,
        "dirty": dirty,
    }


def version(package: str) -> str | None:
    """The version of a package that is installed."""
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version(package)
    return None


def role(root: Path, page: str, profile: str, folder: Path) -> str:
    """What a run is whose results go to ``folder``: a trial run, unless it is made to be committed."""
    kind = folder.parent.name
    there = profile == pages.PAPER and folder == Path(root) / "figures" / kind / page
    return COMMITTED.get(kind, TRIAL) if there else TRIAL


def code(root: Path, page: str) -> str:
    """A digest of the code that runs: the page, and the library modules that it imports, directly or not."""
    own = pages.load(Path(root) / "book" / f"{page}.md")
    return closure.digest(own.source if own else "", _library(root, page))


def measuring_code(root: Path, page: str) -> list[list[str]]:
    """What of that code trains and measures, by name and digest: what stands below the book."""
    return [entry for entry in _library(root, page) if not entry[0].startswith("book/")]


def _library(root: Path, page: str) -> list[list[str]]:
    own = pages.load(Path(root) / "book" / f"{page}.md")
    return closure.library(own.code if own else f"import {__name__}")


def git_state(root: Path, package: Path = closure.PACKAGE) -> tuple[str | None, bool | None]:
    """The commit that ``root`` is at and whether anything but ``figures/`` differs from it.

    (None, None) where that would not be the code that runs: the imported ``package`` lies elsewhere (another
    clone's environment), or ``root`` is not itself the top of a git repository with a commit (a repository
    that merely surrounds it says nothing).
    """
    found = (git(root, "rev-parse", "--show-toplevel", "HEAD") or "").splitlines()
    if not found or not Path(found[0]).resolve() == package.resolve().parent == Path(root).resolve():
        return None, None
    changes = git(root, "status", "--porcelain", "--", ".", ":(exclude)figures")
    return found[1], None if changes is None else bool(changes)


def git(root: Path, *arguments: str) -> str | None:
    """What git says in ``root``, without blanks at its ends; None where it fails."""
    command, options = ["git", "-C", str(root), *arguments], {"capture_output": True, "text": True}
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(command, timeout=30, check=True, env=without_git(), **options).stdout.strip()
    return None


def without_git() -> dict[str, str]:
    """The environment without git's own variables: in a hook, GIT_DIR would name another repository."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}


def unclean(root: Path) -> str | None:
    """Why a run from here could not decide a claim; None where it could."""
    commit, dirty = git_state(root)
    if commit is None:
        return f"no commit of {root} is known to be the code that runs"
    return None if dirty is False else "the tree has uncommitted changes"


def device_name(device: str) -> str:
    """``cpu``, ``mps``, or ``cuda: <the GPU's name>``; what ``auto`` stands for here."""
    import torch

    from bridgekit.random import device as chosen

    device = str(chosen(device)) if device == "auto" else device
    named = device.startswith("cuda") and torch.cuda.is_available()
    return f"cuda: {torch.cuda.get_device_name(device)}" if named else device


def portable(value, root: Path):
    """A parameter as a record may hold it: an absolute path turns relative to ``root``, or its last name."""
    if not isinstance(value, str):
        return [portable(each, root) for each in value] if isinstance(value, list) else value
    head, colon, tail = value.partition(":") if value.startswith("folder:") else ("", "", value)
    path = Path(tail)
    if not path.is_absolute():
        return value
    inside = path.is_relative_to(root)
    return f"{head}{colon}{path.relative_to(root).as_posix() if inside else path.name}"
