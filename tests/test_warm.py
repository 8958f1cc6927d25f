"""A forked kernel is what one of its own would be, and nothing of it outlives who asked for it."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import HEADER

from bridgekit.book import execution, kernels, warm

pytestmark = pytest.mark.pipeline
SURROUNDINGS = """
import os, sys, tempfile, threading
own = os.environ["TMPDIR"]
told = {name: text.replace(own, "own") for name, text in os.environ.items() if name not in CHANGES}
print({"environment": told, "path": sys.path, "arguments": sys.argv[:2], "place": os.getcwd()})
print(__name__)
print([hash("x"), tempfile.gettempdir() == own, os.getsid(0) == os.getpid(), threading.active_count()])
import bridgekit, matplotlib
print(bridgekit.__file__, matplotlib.get_backend())
"""
CHANGES = {"JPY_PARENT_PID"}  # in every run
# How many heaps a process has once another thread has asked for memory, and how much is handed out anew where
# tensors come and go: thousands of pages.
MEMORY = """
import ctypes, os, resource, tempfile, threading, torch

def steps():
    for _ in range(20):
        [torch.ones(10_000_000) for _ in range(3)]

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

before, thread = faults(), threading.Thread(target=steps)
thread.start()
thread.join()
taken = (faults() - before) // 1000
libc, told = ctypes.CDLL(None), tempfile.mktemp()
libc.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fopen(told.encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
with open(told) as heaps:
    print(heaps.read().count("<heap "), taken)
os.unlink(told)
"""


@pytest.fixture
def listening(monkeypatch):
    """Where a process listens that will have imported nothing; it ends with the block."""
    monkeypatch.setattr(warm, "MODULES", ())
    with kernels.warmed() as address:
        monkeypatch.setenv(kernels.WARM, address)
        assert comes(Path(address).exists)
        yield address
    assert comes(lambda: not serving(address))


def serving(address: str) -> list[int]:
    """The processes that have this address in their command."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            if address.encode() in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


def comes(what, seconds: float = 20) -> bool:
    """Whether it is true within that time."""
    end = time.monotonic() + seconds
    while not (found := what()) and time.monotonic() < end:
        time.sleep(0.05)
    return bool(found)


def printed(tmp_path: Path, code: str) -> str:
    source = f"{HEADER}# Page\n\n```{{code-cell}} ipython3\n{code}\n```\n"
    done = execution.execute(source, {}, tmp_path, tmp_path / "x.failed.ipynb", tmp_path, {"MINE": "é"})
    return "".join(output.text for output in done.cells[-1].outputs)


def test_a_forked_kernel_is_as_one_of_its_own(listening, tmp_path, monkeypatch):
    code = f"CHANGES = {CHANGES!r}\n{SURROUNDINGS}"
    forked = printed(tmp_path, code)
    monkeypatch.setenv(kernels.WARM, "")
    own = printed(tmp_path, code)
    assert forked == own and "'MINE': 'é'" in own


def own_process(first: str = "") -> list[int]:
    """What MEMORY says in a process of its own, after ``first``."""
    done = subprocess.run([sys.executable, "-c", first + MEMORY], capture_output=True, text=True, check=True)
    return [*map(int, done.stdout.split()[-2:])]


@pytest.mark.parametrize("where", ["forked", "kernel", "command line"])
def test_memory_is_kept_wherever_games_are_played(where, listening, tmp_path, monkeypatch):
    """Without a word to glibc, asking for the same memory again takes a fifth to a half of a training."""
    if where != "forked":
        monkeypatch.setenv(kernels.WARM, "")
    if where == "command line":  # plays cells and trains classifiers by itself
        command = "from bridgekit.__main__ import main\nmain(['where', 'A.15'])\n"
        heaps, taken = own_process(command)
    else:
        heaps, taken = map(int, printed(tmp_path, MEMORY).split())
    assert heaps == 1 and taken < own_process()[1] / 2


def test_all_kernels_of_a_build_are_of_one_process(listening, tmp_path):
    code = "import os, pathlib\n"
    code += "print(pathlib.Path(f'/proc/{os.getppid()}/stat').read_text().rpartition(')')[2].split()[1])"
    parents = {int(printed(tmp_path, code)) for _ in "ab"}  # of the kernels' nurses
    assert comes(lambda: serving(listening) == [*parents])  # and the kernels have ended


def test_with_nobody_there_a_kernel_starts_by_itself(tmp_path, monkeypatch):
    monkeypatch.setenv(kernels.WARM, str(tmp_path / "gone" / "warm"))
    assert printed(tmp_path, "print('alone')") == "alone\n"


def test_whose_imports_fail_leaves_kernels_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr(warm, "MODULES", ("a_module_of_nobody",))
    with kernels.warmed() as address:
        monkeypatch.setenv(kernels.WARM, address)
        assert comes(Path(address).exists)
        assert printed(tmp_path, "print('alone')") == "alone\n"


def test_a_process_of_a_killed_build_ends(tmp_path):
    code = "import time\nfrom bridgekit.book import kernels\nwith kernels.warmed() as at:\n"
    code += "    print(at, flush=True)\n    time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as build:
        address = build.stdout.readline().strip()
        assert comes(lambda: serving(address))
        build.kill()
    assert comes(lambda: not serving(address))


@pytest.mark.parametrize("who", ["the manager", "what it holds"])
def test_a_kernel_ends_with_who_asked_for_it(listening, tmp_path, who):
    """Killed, so that nobody can tidy up: who started the kernel, or the process that stands for it."""
    script = tmp_path / "manager.py"
    script.write_text(
        "import pathlib\nfrom bridgekit.book import execution\n"
        "here = pathlib.Path.cwd()\n"
        "source = (here / 'page.md').read_text()\n"
        "execution.execute(source, {}, here, here / 'failed', here, {})\n"
    )
    code = "import os, pathlib, time\npathlib.Path('pid').write_text(f'{os.getpid()} ')\ntime.sleep(600)"
    (tmp_path / "page.md").write_text(f"{HEADER}# Page\n\n```{{code-cell}} ipython3\n{code}\n```\n")
    manager = subprocess.Popen([sys.executable, script], cwd=tmp_path, stderr=subprocess.DEVNULL)
    pid = tmp_path / "pid"
    assert comes(lambda: pid.exists() and pid.read_text().endswith(" "), 60)
    commands = {each: Path(f"/proc/{each}/cmdline").read_bytes() for each in serving(listening)}
    (standing,) = (each for each, command in commands.items() if b"ask" in command)
    os.kill(manager.pid if who == "the manager" else standing, signal.SIGKILL)
    assert comes(lambda: not Path(f"/proc/{int(pid.read_text())}").exists())
    manager.wait(60)


def test_a_kernel_that_nobody_waits_for_any_more_ends(listening, tmp_path):
    """Who asked was killed before it had an answer."""
    begun = tmp_path / "begun"
    started = f"import pathlib; pathlib.Path({str(begun)!r}).touch()"
    lines = ["-f", str(tmp_path / "k.json"), f"--IPKernelApp.exec_lines={started}"]
    told = {"argv": lines, "env": dict(os.environ), "cwd": str(tmp_path)}
    (server,) = serving(listening)
    with socket.socket(socket.AF_UNIX) as asked:
        asked.connect(listening)
        socket.send_fds(asked, [b"k"], [0, 1, 2])
        asked.sendall(json.dumps(told).encode() + b"\n")
    time.sleep(1)  # by now it has been forked
    assert comes(lambda: serving(listening) == [server]) and not begun.exists()
