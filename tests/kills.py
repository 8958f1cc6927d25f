"""A process that is killed at its k-th change of the file system, for every k: nothing cleans up after it."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

CHANGES = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
FAILED = 98


def moments(act: Callable[[], object], root: Path, step: int = 1) -> Iterator[int]:
    """Yields each `step`-th k after `act` was killed right before its k-th change under `root`, to its end.

    The caller puts back what was there before between two moments. AssertionError where `act` raises.
    """
    k = 1
    while _child(act, str(root), k) == -signal.SIGKILL:
        yield k
        k += step


def _child(act: Callable[[], object], root: str, k: int) -> int:
    """How a forked process that does it ends."""
    child = os.fork()
    if child:
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert code in (0, -signal.SIGKILL), f"ended with {code} where it was to be killed at change {k}"
        return code
    try:
        sys.addaudithook(killer(root, k))
        act()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(FAILED)


def killer(root: str, k: int) -> Callable[[str, tuple], None]:
    """An audit hook that kills the process when it comes to its k-th change under `root`."""
    left = k

    def hook(event: str, args: tuple) -> None:
        nonlocal left
        if event in CHANGES and _changes(event, args, root):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return hook


def _changes(event: str, args: tuple, root: str) -> bool:
    """Whether this is a change of something under `root`."""
    if event == "open" and not (args[2] or 0) & WRITING:
        return False
    path = args[0]
    inside = isinstance(path, str | os.PathLike) and os.fspath(path).startswith(root)
    by_number = event in ("os.remove", "os.rmdir") and args[-1] not in (-1, None)  # of its folder
    return inside or by_number
