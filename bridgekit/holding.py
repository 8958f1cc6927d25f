"""Temporary folders that a living process holds, and the sweeping of those that nobody holds any more.

A process that is killed leaves its folder behind. A lock on a file in it says whether somebody is alive: the
system gives it up with the process, whatever ended it, and process ids, which repeat, do not count.
"""

import contextlib
import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: nothing is swept
    fcntl = None

LOCK = ".held"


@contextmanager
def held(place: Path, prefix: str) -> Iterator[Path]:
    """A new folder in `place`, held while the block runs and gone afterwards; dead ones go first."""
    sweep(place, prefix)
    with contextlib.ExitStack() as stack:
        while True:
            folder = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            if _take(folder, stack) is not False:
                break  # else somebody has swept it in the moment before the lock
        yield folder


def sweep(place: Path, prefix: str) -> None:
    """Remove this user's folders in `place` that `held` made and that no living process holds."""
    name = re.compile(re.escape(prefix) + r"[a-z0-9_]{8}")  # as tempfile names them: nothing foreign
    for folder in place.glob(f"{prefix}*") if fcntl else ():
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            ours = name.fullmatch(folder.name) and folder.lstat().st_uid == os.getuid()
            if ours and not folder.is_symlink() and folder.is_dir() and _take(folder, stack):
                shutil.rmtree(folder, ignore_errors=True)


def _take(folder: Path, stack: contextlib.ExitStack) -> bool | None:
    """Whether the lock of `folder` could be taken, until `stack` ends; None where the system has no locks."""
    if fcntl is None:
        return None
    lock = folder / LOCK
    try:
        file = stack.enter_context(lock.open("a"))
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(file.fileno()), lock.stat())
    except (BlockingIOError, FileNotFoundError):
        return False
    except OSError as error:
        if error.errno in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):  # file systems of some clusters
            return None
        raise
