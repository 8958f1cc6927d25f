"""What the published data sets share: their files fetched from elsewhere, checked, and put in place whole."""

from __future__ import annotations

import hashlib
import socket
import tempfile
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path

from bridgekit.errors import BridgekitError
from bridgekit.files import workshop, write_atomically

TIMEOUT = 30.0  # seconds without a byte before a mirror is given up


def ways_out(name: str, size: str, files: str, stand_in: str) -> str:
    """The end of every message about a data set that is missing or damaged."""
    return (
        f"Three ways out: download it (about {size}) with `python -m bridgekit download {name}`; point "
        f"BRIDGEKIT_DATA to a folder that holds {files}; or use the stand-in, `{stand_in}`."
    )


def download(mirrors: Sequence[str], file: str, md5: str, title: str, ways: str) -> bytes:
    """The content of ``file`` from the first of ``mirrors`` that gives it with the published checksum.

    Raises BridgekitError with every mirror's reason.
    """
    from torchvision.datasets.utils import download_url

    reasons = []
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)  # urllib would otherwise wait for a silent mirror for ever
    try:
        for mirror in mirrors:
            with workshop(Path(tempfile.gettempdir()), "bridgekit-") as part:
                try:
                    download_url(mirror + file, str(part), filename=file, md5=md5)
                    return (part / file).read_bytes()
                except (OSError, RuntimeError, ValueError, HTTPException) as error:
                    reasons.append(f"{mirror}{file}: {error}")
    finally:
        socket.setdefaulttimeout(before)
    raise BridgekitError(f"{title} could not be downloaded ({'; '.join(reasons)}). {ways}")


def put(target: Path, body: bytes) -> None:
    """Write a published file; raises BridgekitError where the data root cannot be written."""
    try:
        write_atomically(target, body)
    except OSError as error:
        message = f"{target} cannot be written ({error}): point BRIDGEKIT_DATA to a folder that can."
        raise BridgekitError(message) from error


def read(path: Path, md5: str, title: str, ways: str) -> bytes:
    """The content of a published file; BridgekitError where it is missing or not what was published."""
    if not path.is_file():
        raise BridgekitError(f"{title} is not there: {path} is missing. {ways}")
    try:
        body = path.read_bytes()
    except OSError as error:
        raise BridgekitError(f"{path} cannot be read ({error}). {ways}") from error
    if hashlib.md5(body, usedforsecurity=False).hexdigest() != md5:
        raise BridgekitError(
            f"{path} is damaged: its checksum is not the published one. Delete it and get it again. {ways}"
        )
    return body
