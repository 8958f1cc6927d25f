"""What a machine may lack: a home folder, room on a disk, a terminal that can show every letter.

    python -m bridgekit.machine        fails with one sentence where this user has no home folder that will do

Every `~` of the package is expanded here, and every error of a full disk gets its words here.
"""

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bridgekit.errors import BridgekitError

FULL = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is used up"}
WRITABLE = "Make the folder writable."


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


def lenient(*streams) -> None:
    """What a terminal cannot show comes out as `?`, where an error would have ended the program."""
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


if __name__ == "__main__":
    try:
        home()
    except BridgekitError as error:
        sys.exit(f"bridgekit: {error}")
