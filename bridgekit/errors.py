"""The exceptions meant for a person to read, and the hint at the end of some of them."""

import difflib
import io
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from uuid import uuid4


class BridgekitError(Exception):
    """Bad input or a missing thing: the message says what is wrong and names the way out.

    The command line prints the message alone, without a traceback, and exits with status 2.
    """


class NoTrialLeft(BridgekitError):
    """Every trial of a game has become non-finite: there is nothing left to play."""


def say(error: object) -> None:
    """Print one error for a person. Where a whole graph is at work it is kept as well, for its last word.

    The Snakefile names the folder, ``$BRIDGEKIT_ERRORS``, which every job of one call shares.
    """
    text = f"bridgekit: {error}"
    print(text, file=sys.stderr)
    if folder := os.environ.get("BRIDGEKIT_ERRORS"):
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
            (Path(folder) / f"{uuid4().hex}.txt").write_text(f"{text}\n", encoding="utf-8", errors="replace")
        except OSError:  # a full disk: it has been said once
            return


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown ``name``: the nearest known one, or all of them."""
    known = [str(item) for item in known]
    close = difflib.get_close_matches(str(name), known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(known) or 'none'}"


def lenient(*streams) -> None:
    """What a terminal cannot show comes out as `?`, where an error would have ended the program."""
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
