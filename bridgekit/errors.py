"""The exceptions meant for a person to read, and the hint at the end of some of them."""

import contextlib
import difflib
import os
import sys
from collections.abc import Iterable


class BridgekitError(Exception):
    """Bad input or a missing thing: the message says what is wrong and names the way out.

    The command line prints the message alone, without a traceback, and exits with status 2.
    """


class NoTrialLeft(BridgekitError):
    """Every trial of a game has become non-finite: there is nothing left to play."""


def say(error: object) -> None:
    """Print one error for a person. Where a whole graph is at work it is kept as well, for its last word.

    The Snakefile names the file, ``$BRIDGEKIT_ERRORS``, which every job of one call shares.
    """
    text = f"bridgekit: {error}"
    print(text, file=sys.stderr)
    if kept := os.environ.get("BRIDGEKIT_ERRORS"):
        with contextlib.suppress(OSError), open(kept, "a", encoding="utf-8", errors="replace") as file:
            file.write(f"{text}\n")  # on a full disk, it has been said once


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown ``name``: the nearest known one, or all of them."""
    known = [str(item) for item in known]
    close = difflib.get_close_matches(str(name), known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(known) or 'none'}"
