"""The sums of a run's files: `SHA256SUMS` beside them, which `sha256sum -c SHA256SUMS` checks by hand.

Sums notice damage: a flipped bit, half a file, another file. They do not notice intent, since who changes a
file can change its sum: what was committed, and by whom, is git's to say.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from bridgekit.errors import BridgekitError

NAME = "SHA256SUMS"
_WAY_OUT = "Restore the folder (git checkout), or run its page again."


def body(files: Mapping[str, bytes]) -> bytes:
    """What ``SHA256SUMS`` holds beside ``files``, {name: content}."""
    return "".join(f"{_sum(files[name])}  {name}\n" for name in sorted(files)).encode()


def listed(folder: Path) -> dict[str, str]:
    """{name: sum} as the folder's ``SHA256SUMS`` says; BridgekitError if that cannot be read."""
    path = folder / NAME
    try:
        text = path.read_bytes().decode()
    except (OSError, ValueError) as error:
        raise BridgekitError(f"the sums {path} cannot be read: {error}. {_WAY_OUT}") from error
    lines = (line.partition("  ") for line in text.splitlines())
    return {name: mark for mark, _, name in lines}


def read(path: Path) -> bytes:
    """The content of ``path``; where its folder has sums, only with the right one.

    Raises BridgekitError for a wrong sum or none, and where it cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BridgekitError(f"{path} cannot be read: {error.strerror}. {_WAY_OUT}") from error
    if (path.parent / NAME).exists() and listed(path.parent).get(path.name) != _sum(content):
        raise BridgekitError(f"{path} is damaged: {NAME} has another sum for it, or none. {_WAY_OUT}")
    return content


def check(folder: Path) -> None:
    """BridgekitError, which names them all, unless each listed file is there, with its sum."""
    said = listed(folder)
    there = {path.name: _sum(path.read_bytes()) for path in folder.iterdir() if path.is_file()}
    if wrong := [name for name, mark in sorted(said.items()) if there.get(name) != mark]:
        raise BridgekitError(f"{', '.join(wrong)} in {folder}: missing or damaged, or {NAME} is. {_WAY_OUT}")


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
