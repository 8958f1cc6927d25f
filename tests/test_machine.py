"""Machines that lack something: a home, room on the disk, a short temporary folder, letters to print."""

import errno
import io
import json
import os
import pwd
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import CLAIM, tell

from bridgekit import closure, data, files
from bridgekit.__main__ import main
from bridgekit.book import execution, kernels, records
from bridgekit.errors import BridgekitError
from bridgekit.play.progress import Progress


def full(*arguments, **options):
    """Any function that writes, on a full disk."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


# ----------------------------------------------------------------------------------------------- no home


@pytest.fixture
def homeless(monkeypatch):
    """HOME is not set, and the system knows no such user."""

    def unknown(*arguments):
        raise KeyError("no such user")

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(pwd, "getpwnam", unknown)


@pytest.mark.parametrize(
    "act",
    [
        lambda: data.load("digits"),
        lambda: data.load("folder:~/images"),
        lambda: kernels._habits(Path("folder")),
        lambda: files.expanded("~somebody/data"),
    ],
)
def test_unknown_home_is_one_clear_error(homeless, monkeypatch, act):
    monkeypatch.delenv("BRIDGEKIT_DATA", raising=False)
    with pytest.raises(BridgekitError, match="no home folder is known for '~.*': set HOME to a folder"):
        act()


def test_without_a_home_what_needs_none_works(homeless, monkeypatch, tmp_path):
    assert data.data_root(tmp_path) == tmp_path
    assert records.portable("~somebody says", tmp_path) == "~somebody says"
    listed = [f"folder:{tmp_path}/a/b", "street", "folder:/elsewhere/cifar10"]
    assert records.portable(listed, tmp_path) == ["folder:a/b", "street", "folder:cifar10"]
    monkeypatch.setenv("BRIDGEKIT_DATA", "~/data")
    with pytest.raises(BridgekitError, match="set HOME"):
        kernels._habits(tmp_path)


def test_doctor_reports_a_missing_home_and_goes_on(homeless, monkeypatch, toy_book, capsys):
    monkeypatch.delenv("BRIDGEKIT_DATA", raising=False)
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"^data root +no home folder is known", said, re.MULTILINE)
    assert "free disk" in said


def test_home_that_cannot_be_written(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "nowhere"))
    assert kernels._habits(tmp_path)["MPLCONFIGDIR"] == f"{tmp_path}/matplotlib"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "MPLCONFIGDIR" not in kernels._habits(tmp_path)


def test_homes_are_looked_up_in_one_place():
    """A law: who writes a new `~` meets it."""
    pattern = re.compile(r"\.expanduser\(|Path\.home\(|\bgetpass\b|os\.getlogin")
    found = {path.name for path in closure.PACKAGE.rglob("*.py") if pattern.search(path.read_text())}
    assert found == {"files.py"}


def stranger(*command: str, home: str | None, book) -> subprocess.CompletedProcess:
    """Run `python -m ...` as a user whom the system does not know."""
    enter = ["unshare", "--user", "--map-user=54321", "--map-group=54321"]
    try:
        possible = subprocess.run([*enter, "true"], capture_output=True).returncode == 0
    except FileNotFoundError:
        possible = False
    if not possible:
        pytest.skip("no user namespaces here")
    env = {k: v for k, v in book.environment().items() if k not in ("HOME", "USER", "LOGNAME", "USERNAME")}
    env |= {"HOME": home} if home else {}
    options = {"cwd": book.root, "env": env, "text": True, "capture_output": True}
    return subprocess.run([*enter, *book.command(*command)], **options)


@pytest.mark.pipeline
def test_user_without_an_entry(toy_book):
    done = stranger("bridgekit", "run", "beta", home=None, book=toy_book)
    assert done.returncode == 2
    assert done.stderr.startswith("bridgekit: page 'beta': no home folder is known for '~': set HOME")
    assert len(done.stderr.splitlines()) == 1
    made = stranger("bridgekit", "run", "beta", home="/proc", book=toy_book)
    assert made.returncode == 0, made.stderr


# ----------------------------------------------------------------------------- letters that cannot be shown


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
@pytest.mark.parametrize("command", ["list", "claims", "doctor", "claims --json"])
def test_terminal_of_few_letters(toy_book, monkeypatch, command, encoding):
    toy_book.edit("book/alpha.md", "# The first page", "# χ and 一")
    toy_book.write("claims.yml", CLAIM.replace("It holds", "α holds"))
    terminal = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", terminal)
    assert main(command.split()) == 0
    terminal.flush()
    text = terminal.buffer.getvalue().decode(encoding)
    if "--json" in command:  # for machines: nothing is lost
        assert [claim["statement"] for claim in json.loads(text)] == ["α holds."]
    elif command != "doctor":
        assert "? and ?" in text or "? holds" in text


@pytest.mark.pipeline
def test_page_runs_on_a_terminal_of_few_letters(toy_book):
    narrow = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "latin-1"}
    toy_book.edit("book/beta.md", 'text: str = "x"', 'text: str = "αβ"')
    done = toy_book.run("bridgekit", "run", "beta", env=narrow, encoding="latin-1")
    assert done.returncode == 0, done.stderr
    record = json.loads((toy_book.root / "figures/quick/beta/record.json").read_text())
    assert record["text"] == "αβ"


# ----------------------------------------------------------------------------------- long temporary folder


@pytest.fixture
def long(tmp_path, monkeypatch):
    """A temporary folder with a name of more than 150 bytes."""
    folder = tmp_path / ("long" * 40)
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(kernels.tempfile, "tempdir", None)
    return folder


def test_no_short_folder(long):
    with pytest.raises(BridgekitError, match="too long for a kernel's sockets: point TMPDIR to a folder"):
        with kernels.folder():
            pass
    assert list(long.iterdir()) == []


def test_folders_of_killed_runs_are_swept_and_no_others(tmp_path, monkeypatch):
    monkeypatch.setattr(kernels.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(kernels, "LONGEST", 999)
    dead, foreign = tmp_path / "bk-0123456789ab", tmp_path / "bk-of-my-thesis"
    for folder in (dead, foreign):
        folder.mkdir()
        (folder / "k.json").touch()
    with kernels.folder() as alive:
        assert not dead.exists() and foreign.exists()
        with kernels.folder():
            assert alive.is_dir()
    assert list(tmp_path.iterdir()) == [foreign]


# ------------------------------------------------------------------------------------------------ full disk


def test_words_of_a_full_disk():
    said = files.why(OSError(errno.ENOSPC, "No space left on device"))
    assert said == "No space left on device. Free some space (the disk is full) and start again."
    assert "disk quota is used up" in files.why(OSError(errno.EDQUOT, "Disk quota exceeded"))
    assert files.why(PermissionError(13, "Permission denied"), "Do.") == "Permission denied. Do."
    with pytest.raises(BridgekitError, match="cannot write x: No space left"), files.writing("x"):
        full()
    with pytest.raises(BridgekitError, match="cannot write x: .*Make the folder writable"):
        with files.writing("x"):
            open("/no/such/file", "w")


def test_room_is_known_before(tmp_path, monkeypatch):
    files.reserve(tmp_path, 1 << 20)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(files.tempfile, "TemporaryFile", full)
    with pytest.raises(OSError, match="No space left"):
        files.reserve(tmp_path, 1 << 20)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_list_onto_a_full_disk(toy_book):
    command = " ".join(toy_book.command("bridgekit", "list"))
    done = subprocess.run(
        f"{command} > /dev/full", shell=True, env=toy_book.environment(), capture_output=True
    )
    assert done.returncode == 2
    assert done.stderr.startswith(b"bridgekit: cannot write what was to be printed: No space left on device.")
    assert len(done.stderr.splitlines()) == 1


def test_error_that_no_command_expected(toy_book, monkeypatch, capsys):
    monkeypatch.setattr("bridgekit.book.make.run", full)
    assert main(["run", "beta"]) == 2
    assert "No space left on device. Free some space" in capsys.readouterr().err

    def other(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("bridgekit.book.make.run", other)
    with pytest.raises(PermissionError):
        main(["run", "beta"])


def test_progress_that_a_full_disk_does_not_take(tmp_path, monkeypatch):
    tell(monkeypatch, tmp_path / "spec", progress=tmp_path / "progress")
    monkeypatch.setattr("bridgekit.play.progress.time.monotonic", iter(range(0, 100, 10)).__next__)
    with Progress("fit", 10) as progress:
        monkeypatch.setattr(Path, "open", full)
        progress.update(1)


def test_note_that_was_cut_is_passed_over(tmp_path):
    file = tmp_path / "progress"
    file.write_text('{"what": "fit", "done": 1, "of": 9, "left": 3}\n{"what": "fit", "do\n')
    assert execution.last_note(file)["done"] == 1
    assert execution.last_note(tmp_path / "none") is None
    said = []
    with execution.watched("page", file, said.append):
        time.sleep(0.5)
    assert said == ["page · fit · 1/9 · 00:03 left\n"]
