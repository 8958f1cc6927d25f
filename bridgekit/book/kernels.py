"""One kernel of this very interpreter: where its sockets lie, what it is told, and that it ends.

It talks over sockets in a private folder (two kernels that start at once over TCP can race for a port), reads
no IPython start-up files, and is dead when the block ends, however it ends. What it writes into its temporary
folder goes with it; of a killed run the next one sweeps it away.
"""

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bridgekit import files
from bridgekit.book import warm
from bridgekit.errors import BridgekitError

WAY_OUT = "Point TMPDIR to a folder that can be written."
PREFIX = "bk-"
WARM = "BRIDGEKIT_WARM"  # where kernels are forked from a process that has imported PyTorch
# What glibc is told, as in mallopt(3): to give no memory back, and to have one heap for all threads. Else
# it asks for the same memory again in each step of a training, which takes a fifth to a half of the time.
KEPT = {"TRIM_THRESHOLD_": (-1, 2**30), "MMAP_THRESHOLD_": (-3, 2**30), "ARENA_MAX": (-8, 1)}
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
        os.killpg(self.process.pid, signal.SIGKILL)

    def end(self) -> str | None:
        """How it ended, for a person; None while it lives."""
        status = self.process.poll()
        if status is None or status >= 0:
            return None if status is None else f"it ended with status {status}"
        name = signal.Signals(-status).name
        return "it was killed (out of memory?)" if name == "SIGKILL" else f"it crashed ({name})"


@contextmanager
def started(cwd: Path, env: Mapping[str, str], limit: float | None = None) -> Iterator[Kernel]:
    """A kernel in `cwd`, stopped after `limit` seconds. Raises BridgekitError where it cannot start."""
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import KernelManager

    with ExitStack() as ending:
        own = ending.enter_context(folder())
        manager = KernelManager(
            # With no folders to look in, the running interpreter is left: no installed 'python3' can step in.
            kernel_spec_manager=KernelSpecManager(kernel_dirs=[]),
            transport="ipc",
            connection_file=f"{own}/k.json",
            client_class="jupyter_client.asynchronous.AsyncKernelClient",
        )
        ending.callback(manager.cleanup_resources)
        ending.callback(lambda: manager.has_kernel and manager.shutdown_kernel(now=True))
        told = {**os.environ, **_habits(own), **env}
        if address := told.pop(WARM, ""):
            manager.kernel_spec.argv = forked(address, manager.format_kernel_cmd())
        try:
            manager.start_kernel(cwd=str(cwd), env=told)
        except OSError as error:
            raise BridgekitError(f"the kernel could not be started: {files.why(error, '')}") from error
        kernel = Kernel(manager, manager.provisioner.process)
        timer = threading.Timer(limit or threading.TIMEOUT_MAX, kernel.stop)
        timer.daemon = True
        timer.start()
        ending.callback(timer.cancel)
        yield kernel


@contextmanager
def warmed() -> Iterator[str]:
    """The address at which kernels are forked while the block runs, also of other processes.

    Empty where forks of what has loaded libraries may die: anywhere but on Linux.
    """
    if sys.platform != "linux":
        yield ""
        return
    with folder() as own:
        # What else a kernel is told is set when it is forked; this would be in front of its own.
        told = {name: text for name, text in (os.environ | _habits(own)).items() if name != "PYTHONPATH"}
        serving = [sys.executable, warm.__file__, f"{own}/warm", "serve", *warm.MODULES]
        nobody = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
        with subprocess.Popen(serving, env=told, stdin=subprocess.PIPE, **nobody):
            yield f"{own}/warm"


def forked(address: str, cold: list[str]) -> list[str]:
    """What a kernel's manager starts in place of the command `cold`."""
    return [sys.executable, "-I", "-S", warm.__file__, address, "ask", *cold]


def folder() -> AbstractContextManager[Path]:
    """The kernel's own folder, of temporary files and sockets; BridgekitError where there can be none."""
    with files.writing("into a temporary folder", WAY_OUT):
        place = Path(tempfile.gettempdir())
    if len(os.fsencode(place)) > LONGEST:
        raise BridgekitError(
            f"the name of the temporary folder {place} is too long for a kernel's sockets: point TMPDIR to a "
            f"folder whose name has at most {LONGEST} bytes"
        )
    return files.workshop(place, PREFIX, WAY_OUT)


def keep_memory() -> None:
    """Tell glibc in this process what it is told in kernels; to be called before there are threads."""
    with suppress(AttributeError, OSError):  # another C library
        for option, value in KEPT.values():
            ctypes.CDLL(None).mallopt(option, value)


def threads() -> int:
    """$BRIDGEKIT_THREADS, one unless set: results differ in the fifth digit between one thread and two."""
    text = os.environ.get("BRIDGEKIT_THREADS") or "1"
    if not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise BridgekitError(f"BRIDGEKIT_THREADS must be a whole number from 1 up, not '{text}'")
    return int(text)


def _habits(folder: Path) -> dict[str, str]:
    """What every kernel gets: this very package, the inline backend, nothing of the user's own settings."""
    home = files.expanded("~")  # Jupyter wants one; Matplotlib, one that it can write, or it complains
    habits = {} if os.access(home, os.W_OK) else {"MPLCONFIGDIR": f"{folder}/matplotlib"}
    if data := os.environ.get("BRIDGEKIT_DATA"):
        habits["BRIDGEKIT_DATA"] = str(files.expanded(data).resolve())  # the kernel runs elsewhere
    habits |= {f"{library}_NUM_THREADS": str(threads()) for library in ("OMP", "MKL", "OPENBLAS")}
    habits |= {f"MALLOC_{name}": str(value) for name, (_, value) in KEPT.items()}
    package = str(Path(__file__).resolve().parents[2])
    return habits | {
        "PYTHONPATH": os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")])),
        "PYTHONUTF8": "1",  # whatever the terminal can show
        "IPYTHONDIR": f"{folder}/ipython",
        "TMPDIR": str(folder),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYTHONHASHSEED": "0",
    }
