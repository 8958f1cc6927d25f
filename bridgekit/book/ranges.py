"""What a parameter allows, as a person writes it behind the default: rules with commas between them.

    from 1                   numbers: from and to include their end, above and below (as in the claims) do not
    above 0, to 1            both ends
    multiple of 4            whole numbers
    one of all | A | B       texts
    3 entries, not empty     lists
    distinct                 lists: no entry twice
    each above 0, to 1       lists: what holds for every entry, in the words from above

Words and no signs, since papermill's inspection skips a line that holds a second equals sign. `read` makes a
`Range` of the text and `Range.allows` asks it. Infinity, NaN and texts that are not UTF-8 are in no range.
"""

import math
import operator
import re
from dataclasses import dataclass

from bridgekit.data.folders import printable
from bridgekit.errors import BridgekitError

WRITTEN = (
    "from 1, above 0, to 1, below 1, multiple of 4, one of a | b, 3 entries, not empty or distinct; then help"
)
_COMPARE = {"from": operator.ge, "above": operator.gt, "to": operator.le, "below": operator.lt}
_RULE = re.compile(
    r"(?P<word>from|above|to|below) (?P<end>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)"
    r"|multiple of (?P<multiple>[1-9]\d*)|one of (?P<choices>.+)|(?P<length>\d+) entries"
    r"|(?P<list>distinct|not empty)"
)
_LISTS = {
    "distinct": lambda entries: len(set(entries)) == len(entries),
    "not empty": bool,
}


@dataclass(frozen=True)
class Range:
    """The rules of one parameter; `text` is how they were written, "" where there are none."""

    text: str = ""
    bounds: tuple[tuple[str, float], ...] = ()  # ("from", 1.0)
    multiple: int = 1
    choices: tuple[str, ...] = ()
    length: int | None = None
    lists: tuple[str, ...] = ()

    def allows(self, value: object) -> bool:
        """Whether a value of the declared type lies in the range."""
        if isinstance(value, list):
            right = self.length in (None, len(value)) and all(_LISTS[rule](value) for rule in self.lists)
            return right and all(map(self.allows, value))
        if isinstance(value, str):
            return (not self.choices or value in self.choices) and printable(value)
        finite = isinstance(value, int) or math.isfinite(value)
        within = finite and all(_COMPARE[word](value, end) for word, end in self.bounds)
        return within and (self.multiple == 1 or value % self.multiple == 0)


def read(text: str, where: str = "") -> Range:
    """The range that `text` writes; an empty one where it does not begin with a rule (it is words of help).

    Raises BridgekitError where only the first rules are understood: a slip would allow everything.
    """
    rules = [rule.strip().removeprefix("each ") for rule in text.split(",")]
    found = [_RULE.fullmatch(rule) for rule in rules]
    if not found[0]:
        return Range()
    if None in found:
        other = rules[found.index(None)]
        raise BridgekitError(f"{where}the range '{text}' holds '{other}', which is no rule: write {WRITTEN}")
    said = {name: [each[name] for each in found if each[name]] for name in _RULE.groupindex}
    return Range(
        text,
        bounds=tuple(zip(said["word"], map(float, said["end"]), strict=True)),
        multiple=int((said["multiple"] or [1])[0]),
        choices=tuple(name.strip() for names in said["choices"] for name in names.split("|")),
        length=int(said["length"][0]) if said["length"] else None,
        lists=tuple(said["list"]),
    )
