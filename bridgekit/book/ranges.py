"""What a parameter allows, as a person writes it behind the default: rules with commas between them.

    from 1                   numbers: from and to include their end, above and below (as in the claims) do not
    above 0, to 1            both ends
    multiple of 4            whole numbers
    one of all | A | B       texts
    3 entries, not empty     lists
    distinct, ascending      lists: no entry twice; each entry above the one before
    each above 0, to 1       lists: what holds for every entry, in the words from above

Words and no signs, since papermill's inspection skips a line that holds a second equals sign. `read` makes a
`Range` of the text and `Range.allows` asks it. Infinity, NaN and texts that are not UTF-8 are in no range.
"""

import math
import operator
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from bridgekit.errors import BridgekitError

_COMPARE = {"from": operator.ge, "above": operator.gt, "to": operator.le, "below": operator.lt}
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_BOUND = re.compile(rf"(from|above|to|below) ({_NUMBER})")
_MULTIPLE = re.compile(r"multiple of (\d+)")
_CHOICE = re.compile(r"one of (.+)")
_ENTRIES = re.compile(r"(\d+) entries")
_LISTS = {
    "distinct": lambda entries: len(set(entries)) == len(entries),
    "ascending": lambda entries: all(a < b for a, b in pairwise(entries)),
    "not empty": bool,
}


@dataclass(frozen=True)
class Range:
    """The rules of one parameter; `text` is how they were written, "" where there are none."""

    text: str = ""
    bounds: tuple[tuple[str, float], ...] = ()  # ("from", 1.0)
    multiple: int = 0
    choices: tuple[str, ...] = ()
    length: int | None = None
    lists: tuple[str, ...] = ()

    def allows(self, value: object) -> bool:
        """Whether a value of the declared type lies in the range; None always does."""
        if isinstance(value, list) and not self._allows_list(value):
            return False
        return all(self._allows_one(each) for each in _scalars(value))

    def _allows_list(self, entries: list) -> bool:
        if self.length is not None and len(entries) != self.length:
            return False
        return all(_LISTS[rule](entries) for rule in self.lists)

    def _allows_one(self, value: object) -> bool:
        if isinstance(value, str):
            return (not self.choices or value in self.choices) and _can_be_written(value)
        if isinstance(value, bool) or value is None:
            return True
        if self.multiple and value % self.multiple:
            return False
        finite = isinstance(value, int) or math.isfinite(value)
        return finite and all(_COMPARE[word](value, end) for word, end in self.bounds)


def _scalars(value: object) -> Iterator[object]:
    """The value, or the entries of a list and of the lists in it."""
    for each in value if isinstance(value, list) else ():
        yield from _scalars(each)
    if not isinstance(value, list):
        yield value


def _can_be_written(text: str) -> bool:
    """Whether it has an encoding: an argument that was not UTF-8 arrives with halves of letters in it."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def read(text: str) -> Range:
    """The range that `text` writes; an empty one where it does not begin with a rule (it is words of help).

    Raises BridgekitError where only the first rules are understood: a slip would allow everything.
    """
    rules = [rule.strip().removeprefix("each ") for rule in text.split(",")]
    fields: dict = {}
    for rule in rules:
        if _add(fields, rule):
            continue
        if not fields:
            return Range()
        raise BridgekitError(
            f"the range '{text}' holds '{rule}', which is no rule: write from 1, above 0, to 1, below 1, "
            "multiple of 4, one of a | b, 3 entries, not empty, distinct or ascending; then help"
        )
    return Range(text, **fields)


def _add(fields: dict, rule: str) -> bool:
    """Put what one rule says among the fields of `Range`; False where it is no rule."""
    if bound := _BOUND.fullmatch(rule):
        fields["bounds"] = (*fields.get("bounds", ()), (bound[1], float(bound[2])))
    elif multiple := _MULTIPLE.fullmatch(rule):
        fields["multiple"] = int(multiple[1])
    elif choice := _CHOICE.fullmatch(rule):
        fields["choices"] = tuple(name.strip() for name in choice[1].split("|"))
    elif entries := _ENTRIES.fullmatch(rule):
        fields["length"] = int(entries[1])
    elif rule in _LISTS:
        fields["lists"] = (*fields.get("lists", ()), rule)
    else:
        return False
    return True
