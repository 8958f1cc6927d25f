"""A page that was killed half-way goes on where it was, and its results are those of a run without a kill."""

import json
import os
import shutil
import signal
import subprocess
import time

import pytest
from conftest import REPOSITORY

pytestmark = pytest.mark.pipeline
# Few settings, one after the other, and time enough in step II to be killed there.
SETTINGS = {"methods": ["bridge"], "rates": [1e-3], "steps": [10, 40, 10], "seeds": 2, "workers": 1}
# Imported by the page's kernel: tells which rounds are played, as they are.
WATCH = """
import os
from bridgekit.play import loop

settle = loop._settle


def told(state, phase, log, first):
    with open("played.txt", "a") as file:
        file.write(f"{state.source.name} {phase.name} {first} {first + len(log)}\\n")
    settle(state, phase, log, first)


loop._settle = told
with open("pid", "w") as file:
    file.write(str(os.getpid()))
"""


@pytest.fixture
def settings_page(toy_book):
    """The small book with the real page `settings` in it, watched."""
    toy_book.adopt("settings")
    begin = 'run = runs.begin("settings", globals())\n'
    toy_book.edit("book/settings.md", begin, f"import watch\n\n{begin}")
    toy_book.write("watch.py", WATCH)
    return toy_book


def begin(book):
    """`bridgekit run settings` in a process."""
    chosen = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={json.dumps(value)}")]
    command = book.command("bridgekit", "run", "settings", "--profile", "smoke", *chosen)
    env = book.environment() | {"PYTHONPATH": f"{REPOSITORY}{os.pathsep}{book.root}"}
    for name in ("played.txt", "pid"):
        (book.root / name).unlink(missing_ok=True)
    return subprocess.Popen(
        command, cwd=book.root, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def checkpoints(book):
    """The names of the cells whose states lie there."""
    return [path.name for path in (book.root / "_build/checkpoints/custom/settings").glob("*/*")]


def played(book):
    """The stretches of play so far: (cell, phase, from, to)."""
    return [tuple(line.split()) for line in (book.root / "played.txt").read_text().splitlines()]


def finished(book):
    """A run to its end: what was played; the record's metrics, arrays and executed notebook; tidied away."""
    process = begin(book)
    _, said = process.communicate()
    assert process.returncode == 0, said.decode()
    results = book.root / "figures/custom/settings"
    record = json.loads((results / "record.json").read_text())
    arrays = {path.name: path.read_bytes() for path in results.glob("*.npz")}
    notebook = json.loads(book.notebook("settings", "custom").read_text())
    assert not checkpoints(book)
    for made in ("figures/custom", "_build/cells"):  # the next run finds no finished cell
        shutil.rmtree(book.root / made)
    return played(book), (record["metrics"], arrays, notebook)


def killed(book, cell):
    """SIGKILL for the run and its kernel once the cell's first phase is over; returns what was played."""
    with begin(book) as process:
        while cell not in checkpoints(book) and process.poll() is None:
            time.sleep(0.01)
        process.kill()
        os.kill(int((book.root / "pid").read_text()), signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (book.root / "figures/custom/settings").exists()
    return played(book)


def test_a_killed_page_goes_on_where_it_was(settings_page):
    whole, results = finished(settings_page)
    first, second = list(dict.fromkeys(cell for cell, *_ in whole))[:2]
    before = killed(settings_page, second)
    assert before == whole[: len(before)] and before[-1][0] == second
    after, results_after = finished(settings_page)
    # Nothing of the first cell, nor of the second one's step I, was played again, and nothing was left out.
    assert after == whole[-len(after) :] and len(before) + len(after) >= len(whole)
    assert first not in {cell for cell, *_ in after} and (second, "I", "0", "10") not in after
    assert results_after == results
    metrics, arrays, _ = results
    assert arrays and len(metrics["bridge_score"]["values"]) == SETTINGS["seeds"]
