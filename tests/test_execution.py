"""One kernel, one notebook: what is kept, what is said, and what happens when it does not end well."""

import json
import sys
import time
from pathlib import Path

import jupytext
import nbformat
import pytest
from conftest import BETA, HEADER

from bridgekit import execution
from bridgekit.errors import BridgekitError


def page(code: str) -> str:
    """A page with one code cell."""
    return f"{HEADER}# Page\n\n```{{code-cell}} ipython3\n{code}\n```\n"


@pytest.fixture
def execute(tmp_path):
    """Runs a page's source in `tmp_path`."""

    def run(source, parameters=None, env=None):
        part, failed = tmp_path / ".x.part.ipynb", tmp_path / "x.failed.ipynb"
        return execution.execute(source, parameters or {}, part, failed, tmp_path, env or {})

    return run


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
        str(Path(execution.__file__).with_name("__init__.py")),
        backend,
    ]
    assert output["data"]["text/plain"].replace("\n", "") == repr(ours)
    assert not (tmp_path / "x.failed.ipynb").exists()


def test_notebook_is_the_same_each_time_and_names_no_place(execute, tmp_path):
    source = HEADER + BETA.replace("out.mkdir", "print(Path.cwd() / 'file')\nout.mkdir")
    texts = [
        nbformat.writes(execute(source, {"text": "é"}, {"BRIDGEKIT_OUT": str(tmp_path / "out")}))
        for _ in "ab"
    ]
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
    assert not (tmp_path / ".x.part.ipynb").exists()


def test_kernel_that_dies(execute, tmp_path):
    with pytest.raises(BridgekitError, match="the kernel did not finish") as error:
        execute(page("print('before')\n```\n\n```{code-cell} ipython3\nimport os\nos._exit(1)"))
    assert str(tmp_path / "x.failed.ipynb") in str(error.value)
    kept = nbformat.read(tmp_path / "x.failed.ipynb", as_version=4)
    nbformat.validate(kept)
    title, before, last = kept.cells
    assert title.source == "# Page" and "before" in str(before.outputs) and "_exit" in last.source


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (30.6, "0:31"), (725, "12:05"), (3723, "1:02:03"), (-5, "0:00")]
)
def test_clock(seconds, text):
    assert execution.clock(seconds) == text


def test_progress_line():
    note = {"what": "bridge", "done": 1200, "of": 2000, "left": 31.2}
    assert execution.line("forgetting", note) == "forgetting · bridge · 1200/2000 · 0:31 left"
    assert execution.line("forgetting", note | {"left": None}) == "forgetting · bridge · 1200/2000"


def test_progress_is_told_as_it_is_written(tmp_path):
    file, said = tmp_path / "progress", []
    with execution.watched("page", file, False, said.append, every=0):
        for done in (1, 2):
            with file.open("a") as out:
                text = json.dumps({"what": "fit", "done": done, "of": 2, "left": None})
                out.write(text[:10])
                out.flush()
                time.sleep(0.3)  # a reader in between sees half a line
                out.write(text[10:] + "\n")
            time.sleep(0.4)
    assert said == ["page · fit · 1/2\n", "page · fit · 2/2\n"]


def test_live_progress_is_one_line_that_is_wiped(tmp_path):
    file, said = tmp_path / "progress", []
    with execution.watched("page", file, True, said.append):
        file.write_text(json.dumps({"what": "fit", "done": 1, "of": 2, "left": 9}) + "\n")
        time.sleep(0.5)
    assert said == ["\rpage · fit · 1/2 · 0:09 left\x1b[K", "\r\x1b[K"]


def test_lines_come_every_ten_seconds(tmp_path):
    file, said = tmp_path / "progress", []
    with execution.watched("page", file, False, said.append):
        file.write_text(json.dumps({"what": "fit", "done": 1, "of": 2, "left": 9}) + "\n")
        time.sleep(0.5)
    assert said == []
