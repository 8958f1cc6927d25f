"""One notebook, executed once: the kernel, the line that says how far it is, and what is kept of it.

Knows nothing of pages, profiles or folders: `pages.run` does, and calls `execute`. The kernel is always this
interpreter, whatever kernelspecs a user has installed; it talks over sockets in a private folder (two kernels
that start at once over TCP can race for a port), reads no IPython start-up files, and is dead when `execute`
returns, however it returns.
"""

import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bridgekit.errors import BridgekitError

PERISHABLE = (
    "papermill",
    "jupytext",
    "execution",
)  # metadata that holds paths and times, or pairs with a source


def execute(source: str, parameters: dict, part: Path, failed: Path, cwd: Path, env: dict[str, str]):
    """Run the MyST page `source` with `parameters` in `cwd`; return the tidied notebook, nothing written.

    Where a cell raises, `failed` takes the partly executed notebook (by way of `part`), where the kernel dies
    the cells that it reached, and a BridgekitError names the cell, the error and that path.
    """
    import jupytext
    import nbformat
    from papermill import execute_notebook
    from papermill.exceptions import PapermillExecutionError

    notebook, reached = jupytext.reads(source, fmt="md:myst"), []
    options = {"progress_bar": False, "start_timeout": 120}
    # Papermill's own way of keeping track, the whole notebook written twice a cell, is seconds a page.
    options |= {"request_save_on_cell_execute": False}
    options |= {"on_cell_start": lambda cell, cell_index: reached.append(cell)}
    failed.unlink(missing_ok=True)
    try:
        with _kernel(cwd, env) as manager:
            done = execute_notebook(notebook, part, parameters, km=manager, cwd=cwd, **options)
        return tidy(done, str(cwd))
    except PapermillExecutionError as error:
        part.replace(failed)
        raise BridgekitError(_story(error, failed)) from error
    except RuntimeError as error:  # nbclient's DeadKernelError, and its time-outs, derive from RuntimeError
        notebook.cells = reached
        failed.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
        raise BridgekitError(
            f"the kernel did not finish (out of memory?): {error}\n  partly executed notebook: {failed}"
        ) from error


def _story(error, failed: Path) -> str:
    """Where and why a page stopped, for a person."""
    line = next(
        (x.strip() for x in error.source.splitlines() if x.strip() and x.lstrip()[0] not in "#@%"), ""
    )
    said = error.evalue if error.ename == "BridgekitError" else f"{error.ename}: {error.evalue}".rstrip(": ")
    where = f"cell In [{error.exec_count}], which begins `{line}`"
    return f"{where}, failed:\n  {said}\n  partly executed notebook: {failed}"


@contextmanager
def _kernel(cwd: Path, env: dict[str, str]) -> Iterator:
    """A started manager of one kernel of this interpreter, killed on the way out."""
    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
    from jupyter_client.manager import KernelManager

    class ThisInterpreter(KernelSpecManager):
        """Answers every name with the running interpreter: no installed 'python3' spec can step in."""

        def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
            argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
            return KernelSpec(argv=argv, display_name="Python 3", language="python")

    with tempfile.TemporaryDirectory(prefix="bk-", ignore_cleanup_errors=True) as folder:
        manager = KernelManager(
            kernel_name="python3",
            kernel_spec_manager=ThisInterpreter(),
            transport="ipc" if os.name == "posix" else "tcp",
            connection_file=f"{folder}/k.json",  # short: a socket's path may have about a hundred characters
            client_class="jupyter_client.asynchronous.AsyncKernelClient",
        )
        try:
            manager.start_kernel(cwd=str(cwd), env={**os.environ, **_habits(folder), **env})
            yield manager
        finally:
            if manager.has_kernel:
                manager.shutdown_kernel(now=True)
            manager.cleanup_resources()


def _habits(folder: str) -> dict[str, str]:
    """What every kernel gets: this very package, the inline backend, nothing of the user's own settings."""
    package = str(Path(__file__).resolve().parent.parent)
    paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        "PYTHONPATH": os.pathsep.join(paths),
        "IPYTHONDIR": f"{folder}/ipython",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYTHONHASHSEED": "0",
    }


def tidy(notebook, root: str):
    """The executed `notebook` without what differs between two runs or machines, injected cells hidden."""
    import nbformat

    for name in PERISHABLE:
        notebook.metadata.pop(name, None)
    for index, cell in enumerate(notebook.cells):
        cell.id = f"cell-{index}"
        for name in PERISHABLE:
            cell.metadata.pop(name, None)
        tags = cell.metadata.get("tags", [])
        if "injected-parameters" in tags:
            cell.metadata.tags = [*tags, "remove-cell"]
    text = json.dumps(notebook, ensure_ascii=False)
    return nbformat.reads(text.replace(json.dumps(root, ensure_ascii=False)[1:-1] + "/", ""), as_version=4)


def clock(seconds: float) -> str:
    """Seconds as 0:31, 12:05 or 1:02:03."""
    minutes, rest = divmod(max(round(seconds), 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def line(page: str, note: dict) -> str:
    """One progress note of training.fit as `page · what · 1200/2000 · 0:31 left`."""
    left = note.get("left")
    end = "" if left is None else f" · {clock(left)} left"
    return f"{page} · {note['what']} · {note['done']}/{note['of']}{end}"


@contextmanager
def watched(
    page: str, file: Path, live: bool, tell: Callable[[str], None], every: float = 10.0
) -> Iterator[None]:
    """While the block runs, tell what comes to `file`: one changing line if `live`, else one each 10 s."""
    stop = threading.Event()
    file.touch()

    def watch() -> None:
        told, tail, last = time.monotonic(), "", None
        with file.open(encoding="utf-8") as notes:
            while not stop.wait(0.2):
                *whole, tail = (tail + notes.read()).split(
                    "\n"
                )  # what follows the last newline is half-written
                last = whole[-1] if whole else last
                if last and (live or time.monotonic() - told >= every):
                    text = line(page, json.loads(last))
                    tell(f"\r{text}\x1b[K" if live else f"{text}\n")
                    told, last = time.monotonic(), None
        if live:
            tell("\r\x1b[K")

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
