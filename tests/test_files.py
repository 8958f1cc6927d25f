"""Files are whole or not there; what killed processes left is swept, what living ones hold is not."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from bridgekit import files


def names(folder: Path) -> list[str]:
    """Everything in a folder."""
    return sorted(os.listdir(folder))


def killed(code: str, folder: Path) -> None:
    """Run `code` in `folder` by an interpreter that ends by SIGKILL, as the code says."""
    head = "import os, signal\nfrom pathlib import Path\nfrom bridgekit import files\n"
    done = subprocess.run(
        [sys.executable, "-c", head + textwrap.dedent(code)], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


KILL = "os.kill(os.getpid(), signal.SIGKILL)"


def test_a_kill_between_write_and_replace_leaves_the_old_file_and_the_next_write_no_part(tmp_path):
    (tmp_path / "record.json").write_text("old")
    killed(f"os.replace = lambda *_: {KILL}\nfiles.write_atomically(Path('record.json'), b'new')", tmp_path)
    assert (tmp_path / "record.json").read_text() == "old" and len(names(tmp_path)) == 2
    (tmp_path / ".record.json.part").write_text("somebody else's")
    files.write_atomically(tmp_path / "record.json", b"new")
    assert names(tmp_path) == [".record.json.part", "record.json"]
    assert (tmp_path / "record.json").read_text() == "new"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt("by hand")])
def test_a_failed_write_leaves_nothing_behind(tmp_path, monkeypatch, error):
    (tmp_path / "record.json").write_text("old")

    def full(*_):
        raise error

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(type(error), match=str(error.args[-1])):
        files.write_atomically(tmp_path / "record.json", b"new")
    assert names(tmp_path) == ["record.json"] and (tmp_path / "record.json").read_text() == "old"


def test_a_part_that_is_being_written_stays(tmp_path):
    part = tmp_path / f".state.{12 * 'a'}.part"
    with files.locked(part) as got:
        assert got
        files.write_atomically(tmp_path / "state", b"mine")
        assert names(tmp_path) == [part.name, "state"]
    files.write_atomically(tmp_path / "state", b"mine")
    assert names(tmp_path) == ["state"]


def test_workshops_of_the_dead_are_swept_and_nothing_else(tmp_path):
    killed(f"with files.workshop(Path('.'), 'bk-') as w: (w / 'x').touch(); {KILL}", tmp_path)
    assert len(names(tmp_path)) == 1
    for other in ("bk-notes", "aabbccddeeff", "bk-aabbccddeefff"):
        (tmp_path / other).mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "bk-000000000000").symlink_to(tmp_path / "elsewhere")
    with files.workshop(tmp_path, "bk-") as first, files.workshop(tmp_path, "bk-") as second:
        assert first.is_dir() and second.is_dir() and first != second
        assert first.stat().st_mode & 0o077 == 0
    expected = {"bk-notes", "aabbccddeeff", "bk-aabbccddeefff", "elsewhere", "bk-000000000000"}
    assert set(names(tmp_path)) == expected


def test_a_lock_on_a_file_that_went_is_taken_again(tmp_path):
    """The waiting one gets a lock that everybody else finds."""
    path = tmp_path / "gone" / files.LOCK
    code = f"""
        with files.locked(Path({str(path)!r})):
            print("have", flush=True)
            input()
            os.unlink({str(path)!r})
            os.rmdir({str(path.parent)!r})
    """
    head = "import os\nfrom pathlib import Path\nfrom bridgekit import files\n"
    with subprocess.Popen(
        [sys.executable, "-c", head + textwrap.dedent(code)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        other.stdout.readline()
        with files.locked(path, wait=False) as got:
            assert got is False
        other.stdin.write(b"\n")
        other.stdin.flush()
        with files.locked(path) as got:
            assert got and path.exists()
            with files.locked(path, wait=False) as again:
                assert again is False


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK])
def test_without_locks_a_day_must_have_passed(tmp_path, monkeypatch, number):
    def unsupported(file, how):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", unsupported)
    folder = tmp_path / "bk-aabbccddeeff"
    folder.mkdir()
    part = tmp_path / f".state.{12 * 'a'}.part"
    part.touch()
    files.sweep(tmp_path, "bk-")
    files.write_atomically(tmp_path / "state", b"")
    assert folder.exists() and part.exists()
    yesterday = time.time() - files.DAY - 60
    for path in (*folder.iterdir(), folder, part):
        os.utime(path, (yesterday, yesterday))
    files.sweep(tmp_path, "bk-")
    files.write_atomically(tmp_path / "state", b"")
    assert names(tmp_path) == ["state"]
