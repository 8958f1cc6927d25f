"""How a run's results take their place: whole, by one move, or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from bridgekit.errors import BridgekitError


def own(folder: Path) -> Path:
    """A folder that a person named, once it is sure that nothing but a run's results would be replaced."""
    if folder.exists() and not folder.is_dir():
        raise BridgekitError(f"{folder} is a file: --out names a folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "record.json").is_file():
        raise BridgekitError(f"{folder} holds other things than a run's results: choose an empty --out")
    return folder


@contextmanager
def scratch(folder: Path, draft: Path) -> Iterator[Path]:
    """A new folder beside `folder`; it and `draft` are gone afterwards unless they took their places."""
    part = folder.parent / f".{folder.name}.{uuid4().hex}.part"  # process ids repeat across a cluster's nodes
    try:
        try:
            part.mkdir(parents=True)
            draft.parent.mkdir(parents=True, exist_ok=True)
            draft.touch()
            if folder.exists() and not os.access(folder, os.W_OK):
                raise PermissionError(f"{folder} is read-only")
        except OSError as error:
            raise BridgekitError(f"cannot write results to {folder} ({error}): see --out") from error
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)
        draft.unlink(missing_ok=True)


def swap(part: Path, folder: Path) -> None:
    """`part` takes `folder`'s place, and what stood there goes; it comes back where that fails."""
    old = part.with_suffix(".old")
    try:
        if folder.exists():
            folder.rename(old)
        part.rename(folder)
    except BaseException:
        if old.exists() and not folder.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)
