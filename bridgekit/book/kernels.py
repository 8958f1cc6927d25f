"""One kernel of this very interpreter: where its sockets lie, what it is told, and that it ends.

It talks over sockets in a private folder (two kernels that start at once over TCP can race for a port), reads
no IPython start-up files, and is dead when the block ends, however it ends. What it writes into its temporary
folder goes with it; of a killed run the next one sweeps it away.
"""

import contextlib
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bridgekit import files
from bridgekit.errors import BridgekitError

WAY_OUT = "Point TMPDIR to a folder that can be written."
PREFIX = "bk-"
LONGEST = 79  # bytes of a folder's name; a socket's whole name may have 103 on macOS, 107 on Linux


@dataclass
class Kernel:
    """A started kernel: papermill's manager, its process, and whether the time limit ended it."""

    manager: object
    process: object
    late: bool = False

    def stop(self) -> None:
        """Kill it and all that it has started, in C code or not: its time is over."""
        self.late = True
        if hasattr(os, "killpg"):
            os.killpg(self.process.pid, signal.SIGKILL)
        else:
            self.process.kill()

    def end(self) -> str | None:
        """How it ended, for a person; None while it lives."""
        status = self.process.poll()
        if status is None or status >= 0:
            return None if status is None else f"it ended with status {status}"
        name = signal.Signals(-status).name
        return "it was killed (out of memory?)" if name == "SIGKILL" else f"it crashed ({name})"


@contextmanager
def started(cwd: Path, env: dict[str, str], limit: float | None = None) -> Iterator[Kernel]:
    """A kernel in `cwd`, stopped after `limit` seconds. Raises BridgekitError where it cannot start."""
    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
    from jupyter_client.manager import KernelManager

    class ThisInterpreter(KernelSpecManager):
        """Answers every name with the running interpreter: no installed 'python3' spec can step in."""

        def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
            argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
            return KernelSpec(argv=argv, display_name="Python 3", language="python")

    with _folders() as (folder, sockets):
        manager = KernelManager(
            kernel_name="python3",
            kernel_spec_manager=ThisInterpreter(),
            transport="ipc" if os.name == "posix" else "tcp",
            connection_file=f"{sockets}/k.json",
            client_class="jupyter_client.asynchronous.AsyncKernelClient",
        )
        timer = None
        try:
            try:
                manager.start_kernel(cwd=str(cwd), env={**os.environ, **_habits(folder), **env})
            except OSError as error:
                raise BridgekitError(f"the kernel could not be started: {files.why(error, '')}") from error
            kernel = Kernel(manager, manager.provisioner.process)
            if limit is not None:
                timer = threading.Timer(limit, kernel.stop)
                timer.daemon = True
                timer.start()
            yield kernel
        finally:
            if timer:
                timer.cancel()
            if manager.has_kernel:
                manager.shutdown_kernel(now=True)
            manager.cleanup_resources()


@contextmanager
def _folders() -> Iterator[tuple[Path, Path]]:
    """The kernel's temporary folder, and the folder of its sockets: the same one if its name is short."""
    with contextlib.ExitStack() as stack:
        with files.writing("into the temporary folder", WAY_OUT):
            place = temporary()
            sockets = folder = stack.enter_context(files.workshop(place, PREFIX))
            if not _short(place):
                sockets = stack.enter_context(files.workshop(_shorter(place), PREFIX))
        yield folder, sockets


def temporary() -> Path:
    """The folder for temporary files. Raises BridgekitError where the system has none that can be written."""
    with files.writing("into a temporary folder", WAY_OUT):
        return Path(tempfile.gettempdir())


def _short(place: Path) -> bool:
    return os.name != "posix" or len(os.fsencode(place)) <= LONGEST


def _shorter(place: Path) -> Path:
    """Another folder for sockets, where the temporary one has too long a name."""
    others = [os.environ.get("XDG_RUNTIME_DIR"), "/tmp", "/var/tmp", "/dev/shm"]
    for other in map(Path, filter(None, others)):
        if _short(other) and other.is_dir() and os.access(other, os.W_OK | os.X_OK):
            return other
    raise BridgekitError(
        f"the name of the temporary folder {place} is too long for a kernel's sockets, and none of "
        f"{', '.join(filter(None, others))} can be written: point TMPDIR to a folder whose name has at most "
        f"{LONGEST} bytes"
    )


def _habits(folder: Path) -> dict[str, str]:
    """What every kernel gets: this very package, the inline backend, nothing of the user's own settings."""
    package = str(Path(__file__).resolve().parents[2])
    paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
    home = files.expanded("~")  # Jupyter wants one; Matplotlib, one that it can write, or it complains
    fonts = {} if os.access(home, os.W_OK) else {"MPLCONFIGDIR": f"{folder}/matplotlib"}
    return fonts | {
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONUTF8": "1",  # whatever the terminal can show
        "IPYTHONDIR": f"{folder}/ipython",
        "TMPDIR": str(folder),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYTHONHASHSEED": "0",
    }
