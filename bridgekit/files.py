"""Files that are whole or not there, and folders that belong to a living process or are swept.

    python -m bridgekit.files        fails with one sentence where this user has no home folder that will do

Every `~` of the package is expanded here, and every error of a full disk gets its words here.

Whoever works on something holds a lock (`flock`) on a file of it, which the system drops with the process,
however that ends: process ids repeat across a cluster's nodes. Where a file system has no locks, only what
nobody has touched for a day is taken for dead.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from bridgekit.errors import BridgekitError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

FULL = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is used up"}
WRITABLE = "Make the folder writable."
LOCK = ".lock"
DAY = 24 * 60 * 60.0  # seconds
_FORMAT = b"bridgekit-cache-1"


def write_atomically(path: Path, body: bytes) -> None:
    """Write beside `path`, then rename: a kill at any moment leaves the old file or the new one.

    What writers of the same file left when they were killed goes first. Raises OSError; nothing is left then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep_parts(path)
    part = path.with_name(f".{path.name}.{uuid4().hex}.part")
    try:
        with locked(part, shared=True):
            part.write_bytes(body)
            with part.open("rb+") as stream:
                os.fsync(stream.fileno())
            os.replace(part, path)
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def read_checked(path: Path) -> bytes | None:
    """What ``write_checked`` wrote; None where there is nothing, or not the whole of it."""
    try:
        head, _, body = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    return body if head == _head(body) else None


def write_checked(path: Path, body: bytes) -> None:
    """Write ``body`` after a line with format and SHA-256, whole or not at all. Raises OSError."""
    write_atomically(path, _head(body) + b"\n" + body)


def _head(body: bytes) -> bytes:
    return _FORMAT + b" " + hashlib.sha256(body).hexdigest().encode()


def _sweep_parts(path: Path) -> None:
    """Remove what killed writers of `path` left beside it."""
    name = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{32}}\.part")
    for part in path.parent.iterdir():
        if name.fullmatch(part.name):
            with contextlib.suppress(OSError), locked(part, wait=False) as alone:
                if alone or alone is None and untouched(part):
                    part.unlink(missing_ok=True)


@contextmanager
def locked(path: Path, *, shared: bool = False, wait: bool = True) -> Iterator[bool | None]:
    """Hold the file `path`, made where it is missing, while the block runs: alone, or `shared` with others.

    Yields True; False where others hold it and `wait` is False; None where there are no locks and nothing is
    known. Raises OSError where it cannot be opened. Who removes the file does so inside the block.
    """
    file, got = _opened(path, shared, wait) if fcntl else (None, None)
    try:
        yield got
    finally:
        if file is not None:
            os.close(file)


def _opened(path: Path, shared: bool, wait: bool) -> tuple[int, bool | None]:
    """A descriptor of `path`, and what `_flock` says of it."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        except FileNotFoundError:  # its folder was swept this very moment
            continue
        got = _flock(file, shared, wait)
        # Whoever had it before may have removed it: a lock on what nobody else finds protects nothing.
        if not got or (path.exists() and os.path.samestat(os.fstat(file), path.stat())):
            return file, got
        os.close(file)


def _flock(file: int, shared: bool, wait: bool) -> bool | None:
    """Whether the lock was had; None where the file system has none."""
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(file, kind if wait else kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


@contextmanager
def workshop(parent: Path, prefix: str = "") -> Iterator[Path]:
    """A new folder `<prefix><12 hex digits>` in `parent` for this process alone, gone afterwards.

    Those that killed processes left there are swept first.
    """
    sweep(parent, prefix)
    folder = parent / f"{prefix}{uuid4().hex[:12]}"
    parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700)
    with locked(folder / LOCK, shared=True):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def sweep(parent: Path, prefix: str = "") -> None:
    """Remove the workshops in `parent` that no living process holds; other people's stay."""
    name = re.compile(rf"{re.escape(prefix)}[0-9a-f]{{12}}")
    for folder in parent.iterdir() if parent.is_dir() else ():
        with contextlib.suppress(OSError):  # somebody else's, or gone by now
            if name.fullmatch(folder.name) and _mine(folder):
                with locked(folder / LOCK, wait=False) as alone:
                    if alone or (alone is None and untouched(folder)):
                        shutil.rmtree(folder, ignore_errors=True)


def discard(folder: Path) -> None:
    """Remove a folder whose users each hold `folder / LOCK`, unless another one of them lives.

    Where there are no locks it goes: what its other users have open they make again.
    """
    if folder.is_dir():
        with contextlib.suppress(OSError), locked(folder / LOCK, wait=False) as alone:
            if alone is not False:
                shutil.rmtree(folder, ignore_errors=True)


def _mine(folder: Path) -> bool:
    """A real folder of this user: temporary folders are shared."""
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and (not hasattr(os, "getuid") or found.st_uid == os.getuid())


def untouched(path: Path, seconds: float = DAY) -> bool:
    """Whether nothing in it has changed for so long."""
    latest = max(each.lstat().st_mtime for each in (path, *path.rglob("*")))
    return time.time() - latest > seconds


def expanded(path: str | Path) -> Path:
    """`path` with its `~` replaced. Raises BridgekitError for a user whose home folder nobody knows."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise BridgekitError(
            f"no home folder is known for '{path}': set HOME to a folder that can be written"
        ) from error


def home() -> Path:
    """The home folder. Raises BridgekitError where there is none, or where caches cannot be written there."""
    place = expanded("~")
    if not os.access(place, os.W_OK) and "XDG_CACHE_HOME" not in os.environ:
        raise BridgekitError(f"the home folder {place} cannot be written: set HOME to a folder that can")
    return place


def why(error: OSError, otherwise: str = WRITABLE) -> str:
    """What an error of writing means and the way out; `otherwise` is the way out where the disk has room."""
    if error.errno in FULL:
        return f"{error.strerror}. Free some space ({FULL[error.errno]}) and start again."
    return f"{error.strerror or error}. {otherwise}"


@contextmanager
def writing(path: Path | str, otherwise: str = WRITABLE) -> Iterator[None]:
    """An OSError inside, where `path` is being written, becomes a BridgekitError that names the way out."""
    try:
        yield
    except OSError as error:
        raise BridgekitError(f"cannot write {path}: {why(error, otherwise)}") from error


@contextmanager
def room(path: Path | str) -> Iterator[None]:
    """As `writing`, for the errors of a full disk alone; others pass."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise BridgekitError(f"cannot write {path}: {why(error)}") from error


def reserve(folder: Path, size: int) -> None:
    """Raise OSError unless `size` bytes can be written in `folder` now: free space and quotas both count."""
    import tempfile

    with tempfile.TemporaryFile(dir=folder) as probe:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(probe.fileno(), 0, size)
        else:
            probe.write(bytes(size))


if __name__ == "__main__":
    try:
        home()
    except BridgekitError as error:
        sys.exit(f"bridgekit: {error}")
