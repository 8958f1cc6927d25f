"""The sums of a run's files: `SHA256SUMS` beside them, which `sha256sum -c SHA256SUMS` checks by hand.

Sums notice damage: a flipped bit, half a file, another file. They do not notice intent, since who changes a
file can change its sum: what was committed, and by whom, is git's to say.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from bridgekit.errors import BridgekitError

NAME = "SHA256SUMS"
_LINE = re.compile(r"(?P<sum>[0-9a-f]{64})  (?P<name>[^/\\\n]+)\n")
_WAY_OUT = "Restore the folder (git checkout), or run its page again."


def body(files: Mapping[str, bytes]) -> bytes:
    """What ``SHA256SUMS`` holds beside ``files``, {name: content}."""
    return "".join(f"{_sum(files[name])}  {name}\n" for name in sorted(files)).encode()


def listed(folder: Path) -> dict[str, str]:
    """{name: sum} as the folder's ``SHA256SUMS`` says; BridgekitError if that is missing or damaged."""
    path = folder / NAME
    try:
        text = path.read_bytes().decode()
    except (OSError, ValueError) as error:
        raise BridgekitError(f"the sums {path} cannot be read: {error}. {_WAY_OUT}") from error
    found = {line["name"]: line["sum"] for line in _LINE.finditer(text)}
    if not found or "".join(f"{found[name]}  {name}\n" for name in found) != text:
        raise BridgekitError(f"the sums {path} are damaged. {_WAY_OUT}")
    return found


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


def check(folder: Path, wanted: Iterable[str]) -> None:
    """BridgekitError, which names them all, unless each listed or wanted file is there, with its sum."""
    known, wrong = listed(folder), []
    for name in sorted({*known, *wanted}):
        try:
            right = _sum((folder / name).read_bytes()) == known.get(name)
        except OSError:
            right = False
        wrong += [] if right else [name]
    if wrong:
        raise BridgekitError(
            f"{', '.join(wrong)} in {folder}: missing, damaged, or not in {NAME}. {_WAY_OUT}"
        )


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
