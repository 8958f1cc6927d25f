"""One kernel, one notebook: what is kept, what is said, and what happens when it does not end well."""

import errno
import json
import sys
import threading
import time
from contextlib import nullcontext
from pathlib import Path

import jupytext
import nbformat
import pytest
from conftest import BETA, HEADER, tell

from bridgekit import closure, spec
from bridgekit.book import execution, kernels
from bridgekit.errors import BridgekitError
from bridgekit.play import progress


def page(code: str) -> str:
    """A page with one code cell."""
    return f"{HEADER}# Page\n\n```{{code-cell}} ipython3\n{code}\n```\n"


@pytest.fixture(params=["", "warm"])
def execute(request, tmp_path, monkeypatch):
    """Runs a page's source in `tmp_path`, in a kernel of its own and in a forked one."""
    address = request.getfixturevalue("warm") if request.param else ""
    monkeypatch.setenv(kernels.WARM, address)

    def run(source, parameters=None, env=None, limit=None):
        failed = tmp_path / "x.failed.ipynb"
        return execution.execute(source, parameters or {}, tmp_path, failed, tmp_path, env or {}, limit)

    return run


@pytest.mark.pipeline
def test_kernel_is_this_interpreter_with_nothing_of_the_users(execute, tmp_path, monkeypatch):
    spec = tmp_path / "share" / "kernels" / "python3"
    spec.mkdir(parents=True)
    (spec / "kernel.json").write_text(
        json.dumps({"argv": ["/bin/false"], "display_name": "x", "language": "python"})
    )
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00.py").write_text("raise SystemExit('a start-up file of the user was run')")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share"))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "share"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    (tmp_path / "x.failed.ipynb").write_text("of an earlier run")
    code = (
        "import os, sys, bridgekit, matplotlib\n"
        "[sys.executable, os.getcwd(), os.environ['MINE'], bridgekit.__file__, matplotlib.get_backend()]"
    )
    done = execute(page(code), env={"MINE": "yes"})
    (output,) = done.cells[-1].outputs
    backend = "module://matplotlib_inline.backend_inline"
    ours = [
        sys.executable,
        str(tmp_path),
        "yes",
        str(closure.PACKAGE / "__init__.py"),
        backend,
    ]
    assert output["data"]["text/plain"].replace("\n", "") == repr(ours)
    assert not (tmp_path / "x.failed.ipynb").exists()


@pytest.mark.pipeline
def test_notebook_is_the_same_each_time_and_names_no_place(execute, tmp_path):
    source = HEADER + BETA.replace("out.mkdir", "print(Path.cwd() / 'file')\nout.mkdir")
    env = spec.tell(tmp_path / "spec", out=tmp_path / "out")
    texts = [nbformat.writes(execute(source, {"text": "é"}, env)) for _ in "ab"]
    assert texts[0] == texts[1]
    notebook = json.loads(texts[0])
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    injected = [c for c in notebook["cells"] if "injected-parameters" in c["metadata"].get("tags", [])]
    assert [c["metadata"]["tags"] for c in injected] == [["injected-parameters", "remove-cell"]]
    assert str(tmp_path) not in texts[0]
    streams = [o for c in notebook["cells"] for o in c.get("outputs", []) if o["output_type"] == "stream"]
    assert [(o["name"], "".join(o["text"])) for o in streams] == [("stdout", "file\n")]
    nbformat.validate(notebook)


def test_tidy_leaves_sources_alone():
    notebook = jupytext.reads(HEADER + BETA, fmt="md:myst")
    sources = [cell.source for cell in notebook.cells]
    assert [cell.source for cell in execution.tidy(notebook, "/nowhere").cells] == sources


@pytest.mark.pipeline
def test_page_that_raises_keeps_its_notebook(execute, tmp_path):
    with pytest.raises(BridgekitError) as error:
        execute(page("# a comment\nprint('before')\n1 / 0"))
    story = str(error.value)
    assert (
        "In [1], which begins `print('before')`" in story and "ZeroDivisionError: division by zero" in story
    )
    assert str(tmp_path / "x.failed.ipynb") in story
    kept = nbformat.read(tmp_path / "x.failed.ipynb", as_version=4)
    assert any("before" in str(cell.get("outputs")) for cell in kept.cells)


@pytest.mark.pipeline
@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("os._exit(1)", "the kernel did not finish: it ended with status 1"),
        ("os.kill(os.getpid(), 9)", r"the kernel did not finish: it was killed \(out of memory\?\)"),
        ("os.kill(os.getpid(), 11)", r"the kernel did not finish: it crashed \(SIGSEGV\)"),
    ],
)
def test_kernel_that_dies(execute, tmp_path, code, said):
    with pytest.raises(BridgekitError, match=said) as error:
        execute(page(f"print('before')\n```\n\n```{{code-cell}} ipython3\nimport os\n{code}"))
    assert str(tmp_path / "x.failed.ipynb") in str(error.value)
    kept = nbformat.read(tmp_path / "x.failed.ipynb", as_version=4)
    nbformat.validate(kept)
    title, before, last = kept.cells
    assert title.source == "# Page" and "before" in str(before.outputs) and code in last.source


@pytest.mark.pipeline
def test_page_that_hangs_is_stopped(execute, tmp_path, monkeypatch):
    """In C code, with Python's lock held, and with a process of its own: nothing in the kernel can answer."""

    class Over(threading.Timer):
        def run(self):  # the time is over a moment after the cell has begun to hang
            while not (tmp_path / "progress").exists() and not self.finished.wait(0.2):
                pass
            self.finished.wait(0.2)
            self.function()

    monkeypatch.setattr(kernels.threading, "Timer", Over)
    code = (
        "# comment\nimport ctypes, os, pathlib, subprocess\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        "pathlib.Path('child').write_text(str(child.pid))\n"
        'pathlib.Path(\'new\').write_text(\'{"what": "fit", "done": 3, "of": 9, "left": 60}\\n\')\n'
        "os.rename('new', 'progress')\n"
        "ctypes.PyDLL(None).sleep(600)"
    )
    began = time.monotonic()
    with pytest.raises(BridgekitError) as error:
        execute(page(code), limit=10)
    assert time.monotonic() - began < 120
    story, where = str(error.value).split("\n")
    assert story == (
        "stopped after 00:10, its time limit, in cell In [1], which begins `import ctypes, os, pathlib, "
        "subprocess` (fit · 3/9 · 01:00 left). Start it again with a longer --limit, or with --limit none: "
        "it goes on from its last checkpoint"
    )
    assert where == f"  partly executed notebook: {tmp_path / 'x.failed.ipynb'}"
    assert "ctypes" in nbformat.read(tmp_path / "x.failed.ipynb", as_version=4).cells[-1].source
    state = Path("/proc", (tmp_path / "child").read_text(), "stat")
    assert not state.exists() or state.read_text().split()[2] == "Z"


def test_limit_of_a_kernel_that_has_not_started(tmp_path):
    said = execution._late(90, [], tmp_path / "none")
    assert said.startswith("stopped after 01:30, its time limit, in the kernel's start. ")


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("1.5h", 5400), ("none", None)]
)
def test_time_limits(text, seconds):
    assert execution.seconds(text) == seconds


@pytest.mark.parametrize("text", ["90", "0s", "-3m", "2 days", "", "1e9h", "nan", "30M", "٣m"])
def test_no_time_limit(text):
    with pytest.raises(BridgekitError, match=f"written 90s, 30m, 2h or none, not '{text}'"):
        execution.seconds(text)


class Standing:
    """A kernel that is not there: papermill is not called either."""

    late, manager = False, None

    def end(self):
        return None


@pytest.fixture
def papermill(monkeypatch):
    """Stands in for papermill and the kernel: raises the given error once it has begun the page's cells."""

    def stand_in(error):
        def run(notebook, output, parameters, on_cell_start, **options):
            for index, cell in enumerate(notebook.cells):
                on_cell_start(cell=cell, cell_index=index)
            raise error

        monkeypatch.setattr("papermill.execute_notebook", run)
        monkeypatch.setattr(execution.kernels, "started", lambda *arguments: nullcontext(Standing()))

    return stand_in


FULL = OSError(errno.ENOSPC, "No space left on device")


def test_notebook_of_a_dead_kernel_that_a_full_disk_does_not_take(execute, papermill, tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise FULL

    papermill(RuntimeError("Kernel didn't respond in 120 seconds"))
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(BridgekitError) as error:
        execute(page("1 / 0"))
    assert str(error.value).startswith("the kernel did not finish: Kernel didn't respond in 120 seconds\n")
    assert "the partly executed notebook was lost: No space left on device. Free" in str(error.value)
    assert not (tmp_path / "x.failed.ipynb").exists()


@pytest.mark.parametrize("error", [RuntimeError("a fault of our own"), TimeoutError("nbclient's")])
def test_faults_of_another_kind_are_not_told_as_a_dead_kernel(execute, papermill, error):
    papermill(error)
    with pytest.raises(type(error), match=str(error)):
        execute(page("1 / 0"))


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "00:00"), (30.6, "00:31"), (725, "12:05"), (3723, "1:02:03"), (-5, "00:00")]
)
def test_clock(seconds, text):
    assert execution.clock(seconds) == text


def test_progress_line():
    note = {"what": "bridge", "done": 1200, "of": 2000, "left": 31.2}
    assert execution.told(note) == "bridge · 1200/2000 · 00:31 left"


def test_progress_is_told_as_it_is_written(tmp_path):
    file, said = tmp_path / "progress", []
    with execution.watched("page", file, said.append):
        for done in (1, 2):
            with file.open("a") as out:
                text = json.dumps({"what": "fit", "done": done, "of": 2, "left": 9})
                out.write(text[:10])
                out.flush()
                time.sleep(0.3)  # a reader in between sees half a line
                out.write(text[10:] + "\n")
            time.sleep(0.4)
    assert said == ["page · fit · 1/2 · 00:09 left\n", "page · fit · 2/2 · 00:09 left\n"]


def test_what_is_said_is_told_at_once_on_a_line_of_its_own(tmp_path, monkeypatch):
    file, told = tmp_path / "progress", []
    tell(monkeypatch, tmp_path / "spec", progress=file)
    with execution.watched("page", file, told.append):
        progress.say("one cell is done")
        progress.say("and another")
        time.sleep(0.5)
    assert told == ["page · one cell is done\n", "page · and another\n"]
    assert execution.last_note(file) is None


def test_without_a_watcher_it_is_printed(monkeypatch, capsys):
    monkeypatch.delenv(spec.NAME, raising=False)
    progress.say("one cell is done")
    assert capsys.readouterr().out == "one cell is done\n"
