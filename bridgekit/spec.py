"""What whoever runs a page tells its kernel: one JSON file, which $BRIDGEKIT_SPEC names.

    root     the repository                          progress     takes notes of how far the run is
    out      where the results go                    checkpoints  where games' states are kept
    profile  whose values the parameters are         cells        where finished cells are kept
    role     what the record will be                 share        the cells to be played, and nothing else

Plain papermill tells nothing: each of them has a default, there where it is asked for.
"""

import json
import os
from pathlib import Path

from bridgekit.errors import BridgekitError

NAME = "BRIDGEKIT_SPEC"


def tell(file: Path, **what: object) -> dict[str, str]:
    """Write the file; what the environment of the one who is told must hold."""
    file.write_text(json.dumps(what, default=str), encoding="utf-8")
    return {NAME: str(file)}


def told(what: str) -> str | None:
    """One entry of the file; None where there is no file, or no such entry."""
    path = os.environ.get(NAME)
    try:
        return json.loads(Path(path).read_bytes()).get(what) if path else None
    except (OSError, ValueError, AttributeError) as error:
        raise BridgekitError(
            f"{NAME} names {path}, which holds no JSON mapping ({error}): unset {NAME}, or write "
            '{"out": "FOLDER"} there'
        ) from error
