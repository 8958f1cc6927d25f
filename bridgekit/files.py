"""Files that are whole or not there, and folders that belong to a living process or are swept.

Every `~` of the package is expanded here, and every error of a full disk gets its words here.

Whoever works on something holds a lock on a file of it, which the system drops with the process, however that
ends: process ids repeat across a cluster's nodes. Where a file system has no locks, only what nobody has
touched for a day is taken for dead.
"""

import contextlib
import errno
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

from bridgekit.errors import BridgekitError

FULL = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is used up"}
NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}
WRITABLE = "Make the folder writable."
LOCK = ".lock"
DAY = 24 * 60 * 60.0  # seconds
_FORMAT = b"bridgekit-cache-1"


def write_atomically(path: Path, body: bytes) -> None:
    """Write beside `path`, then rename: a kill at any moment leaves the old file or the new one.

    What writers of the same file left when they were killed goes first. Raises OSError; nothing is left then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent, f".{path.name}.", ".part")
    part = path.with_name(f".{path.name}.{uuid4().hex[:12]}.part")
    try:
        with locked(part):
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


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[bool | None]:
    """Hold the file `path`, made where it is missing, while the block runs; nobody else does meanwhile.

    Yields True; False where another one holds it and `wait` is False; None where there are no locks and
    nothing is known. Raises OSError where it cannot be opened. Who removes the file does so inside the block.
    """
    lock, held = FileLock(path, blocking=wait, thread_local=False, fallback_to_soft=False), None
    try:
        while held is None:
            try:
                lock.acquire()
                held = True
            except Timeout:
                held = False
            except FileNotFoundError:  # its folder was swept this very moment
                continue
            except OSError as error:
                if error.errno not in NO_LOCKS:
                    raise
                break
        yield held
    finally:
        lock.release()


@contextmanager
def workshop(parent: Path, prefix: str = "", otherwise: str = WRITABLE) -> Iterator[Path]:
    """A new folder `<prefix><12 hex digits>` in `parent` for this process alone, gone afterwards.

    Those that killed processes left there are swept first. Raises BridgekitError, with the way out
    `otherwise`, where it cannot be made.
    """
    sweep(parent, prefix)
    folder = parent / f"{prefix}{uuid4().hex[:12]}"
    with writing(parent, otherwise):
        parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700)
    with locked(folder / LOCK), contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        yield folder


def sweep(parent: Path, prefix: str = "", suffix: str = "") -> None:
    """Discard what is called `<prefix><12 hex digits><suffix>` in `parent`, but no links.

    Other people's workshops stay: they cannot be opened.
    """
    name = re.compile(rf"{re.escape(prefix)}[0-9a-f]{{12}}{re.escape(suffix)}")
    for path in parent.iterdir() if parent.is_dir() else ():
        if name.fullmatch(path.name) and not path.is_symlink():
            discard(path)


def discard(path: Path) -> None:
    """Remove a file, or a folder, unless a living process holds it."""
    with contextlib.suppress(OSError), dead(path) as free:  # somebody else's, or gone by now
        if free:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@contextmanager
def dead(path: Path) -> Iterator[bool]:
    """Whether no living process holds a file, or a folder by its `LOCK`; none does while the block runs.

    Raises OSError where there is nothing. Without locks, nothing in it may have changed for a day.
    """
    path.stat()
    with locked(path / LOCK if path.is_dir() else path, wait=False) as mine:
        changed = max(each.lstat().st_mtime for each in (path, *path.rglob("*"))) if mine is None else 0.0
        yield mine is True or (mine is None and time.time() - changed > DAY)


def expanded(path: str | Path) -> Path:
    """`path` with its `~` replaced. Raises BridgekitError for a user whose home folder nobody knows."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise BridgekitError(f"no home folder is known for '{path}': set HOME to a folder") from error


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


def reserve(folder: Path, size: int) -> None:
    """Raise OSError unless `size` bytes can be written in `folder` now: free space and quotas both count."""
    with tempfile.TemporaryFile(dir=folder) as probe:
        probe.write(bytes(size))
