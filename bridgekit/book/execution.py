"""One notebook, executed once: the line that says how far it is, and what is kept of it.

Knows nothing of pages, profiles or folders: `pages.run` does, and calls `execute`.
"""

import contextlib
import itertools
import json
import linecache
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from bridgekit import files
from bridgekit.book import kernels
from bridgekit.errors import BridgekitError

# Metadata that holds paths and times, or pairs with a source.
PERISHABLE = ("papermill", "jupytext", "execution")
PROGRESS = "progress"  # in the folder of a run


def execute(
    source: str,
    parameters: dict,
    work: Path,
    failed: Path,
    cwd: Path,
    env: dict[str, str],
    limit: float | None = None,
):
    """Run the MyST page `source` with `parameters` in `cwd`; return the tidied notebook, nothing written.

    Where a cell raises, or the kernel dies or has run for `limit` seconds, `failed` takes the cells that it
    reached, and a BridgekitError names the cell, the error and that path. `work` is the run's own folder.
    """
    import jupytext
    from papermill import execute_notebook
    from papermill.exceptions import PapermillExecutionError

    notebook, reached = jupytext.reads(source, fmt="md:myst"), []
    options = {"progress_bar": False, "start_timeout": 600, "iopub_timeout": 60, "cwd": cwd}
    # Papermill's own way of keeping track, the whole notebook written twice a cell, is seconds a page.
    options |= {
        "request_save_on_cell_execute": False,
        "on_cell_start": lambda cell, cell_index: reached.append(cell),
    }
    failed.unlink(missing_ok=True)
    with kernels.started(cwd, env, limit) as kernel:
        try:
            return tidy(execute_notebook(notebook, None, parameters, km=kernel.manager, **options), str(cwd))
        except (
            PapermillExecutionError,
            RuntimeError,
        ) as error:  # what is raised of dead kernels derives from it
            if isinstance(error, PapermillExecutionError):
                how = _story(error)
            else:
                how = _late(limit, reached, work / PROGRESS) if kernel.late else _ended(kernel, error)
            notebook.cells = reached
            raise BridgekitError(f"{how}\n  {_keep(notebook, failed)}") from error


def execute_here(cells: list[tuple[list[str], str]], parameters: dict, name: str) -> dict[str, object]:
    """Run cells of a page, as (tags, code), with `parameters` in this process; the names that they leave."""
    import matplotlib

    matplotlib.use("agg")
    names: dict[str, object] = {"__name__": "__main__"}
    for number, (tags, code) in enumerate(cells):
        file = f"<{name}, cell {number}>"  # what a function does must be readable, as in a kernel
        linecache.cache[file] = (len(code), None, code.splitlines(keepends=True), file)
        exec(compile(code, file, "exec"), names)  # noqa: S102
        names |= parameters if "parameters" in tags else {}
    return names


def _story(error) -> str:
    """Where and why a page stopped, for a person."""
    said = error.evalue if error.ename == "BridgekitError" else f"{error.ename}: {error.evalue}".rstrip(": ")
    return f"cell In [{error.exec_count}], which begins `{_first(error.source)}`, failed:\n  {said}"


def _first(code: str) -> str:
    """The first line of a cell that says something."""
    return next((x.strip() for x in code.splitlines() if x.strip() and x.lstrip()[0] not in "#@%"), "")


def _ended(kernel: kernels.Kernel, error: RuntimeError) -> str:
    """How a kernel that gave no answer ended; what was no matter of the kernel is raised again."""
    how = kernel.end()
    if how is None and "didn't respond" not in str(error):
        raise error
    return f"the kernel did not finish: {how or error}"


def _late(limit: float, reached: list, notes: Path) -> str:
    """What was running when the time was over, how far it was, and how to go on."""
    code = [cell for cell in reached if cell.cell_type == "code"]
    at = f"cell In [{len(code)}], which begins `{_first(code[-1].source)}`" if code else "the kernel's start"
    note = last_note(notes)
    far = f" ({told(note)})" if note else ""
    return (
        f"stopped after {clock(limit)}, its time limit, in {at}{far}. Start it again with a longer --limit, "
        "or with --limit none: it goes on from its last checkpoint"
    )


def _keep(notebook, failed: Path) -> str:
    """Write what was executed of `notebook` to `failed`; say where it is, or why it is not."""
    import nbformat

    try:
        files.write_atomically(failed, (nbformat.writes(notebook) + "\n").encode())
    except OSError as error:
        return f"the partly executed notebook was lost: {files.why(error)}"
    return f"partly executed notebook: {failed}"


def tidy(notebook, root: str):
    """The executed `notebook` without what differs between two runs or machines, injected cells hidden."""
    import nbformat

    for part, name in itertools.product((notebook, *notebook.cells), PERISHABLE):
        part.metadata.pop(name, None)
    for index, cell in enumerate(notebook.cells):
        cell.id = f"cell-{index}"
        tags = cell.metadata.get("tags", [])
        if "injected-parameters" in tags:
            cell.metadata.tags = [*tags, "remove-cell"]
    text = json.dumps(notebook, ensure_ascii=False)
    return nbformat.reads(text.replace(json.dumps(root, ensure_ascii=False)[1:-1] + "/", ""), as_version=4)


def clock(seconds: float) -> str:
    """Seconds as 00:31, 12:05 or 1:02:03."""
    return str(timedelta(seconds=max(round(seconds), 0))).removeprefix("0:")


def seconds(text: str) -> float | None:
    """A time limit, `90s`, `30m` or `2h`, in seconds; None for `none`. Raises BridgekitError for others."""
    if text == "none":
        return None
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smh])", text)
    length = float(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]] if found else 0
    if not 0 < length <= threading.TIMEOUT_MAX:
        raise BridgekitError(f"a time limit is written 90s, 30m, 2h or none, not '{text}'")
    return length


def told(note: dict) -> str:
    """One note of `progress`: what was said, or `what · 1200/2000 · 00:31 left`."""
    return note.get("said") or f"{note['what']} · {note['done']}/{note['of']} · {clock(note['left'])} left"


def last_note(file: Path) -> dict | None:
    """How far the run was, by the last whole note in `file`."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    return next((note for note in map(_note, reversed(lines)) if "done" in note), None)


def _note(text: str) -> dict:
    """One note; an empty one for a line that a full disk or a kill has cut."""
    with contextlib.suppress(ValueError):
        return json.loads(text)
    return {}


@contextmanager
def watched(page: str, file: Path, tell: Callable[[str], object]) -> Iterator[None]:
    """While the block runs, tell what comes to `file`: how far it is, and what `progress.say` was given."""
    stop = threading.Event()
    file.touch()

    def watch() -> None:
        tail = ""
        with file.open(encoding="utf-8") as notes:
            while not stop.wait(0.2):
                # What follows the last newline is half-written.
                *whole, tail = (tail + notes.read()).split("\n")
                for note in filter(None, map(_note, whole)):
                    tell(f"{page} · {told(note)}\n")

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
