"""What the files of people and of runs must hold: the JSON Schemas beside this module, errors as sentences.

A schema's own `message` says what a value must be.
"""

import json
from functools import cache
from pathlib import Path

from bridgekit.errors import BridgekitError, nearest


@cache
def schema(name: str) -> dict:
    """The schema of `claims`, `profile` or `record`."""
    return json.loads(Path(__file__).with_name(f"{name}.schema.json").read_text(encoding="utf-8"))


@cache
def _validator(name: str):
    from jsonschema import Draft202012Validator

    return Draft202012Validator(schema(name))


def check(name: str, document: object, what: str, way_out: str = "") -> None:
    """Raise BridgekitError, which begins with `what` and names the place, unless `document` fits."""
    error = next(_validator(name).iter_errors(document), None)
    if error:
        place, here = [what], document
        for step in error.absolute_path:
            here = here[step]
            named = here.get("id") if isinstance(here, dict) else None
            place.append(named or f"entry {step + 1}" if isinstance(step, int) else step)
        raise BridgekitError(f"{', '.join(map(str, place))}: {_said(error)}.{way_out}")


def _said(error) -> str:
    """What is wrong, for a person."""
    if error.validator == "additionalProperties":
        known = error.schema["properties"]
        other = next(key for key in error.instance if key not in known)
        return f"unknown key {other!r}: {nearest(other, known)}".rstrip(".")
    if error.validator == "required":
        return f"{', '.join(key for key in error.validator_value if key not in error.instance)} missing"
    return f"{error.schema['message']}, not {error.instance!r}"
