"""One reading of YAML, wherever a person writes it: `--set`, profiles, the claims ledger, page headers.

PyYAML follows YAML 1.1, in which `010` is eight, `1:30` is ninety, `no` is false, `1e-3` is a text and of two
equal keys the first is dropped without a word. Here numbers are Python's, in decimal: `010` is ten, as for
YAML 1.2, for `int("010")`, for `papermill -p` and for whoever counts with leading zeros; `1_000` is a
thousand; what is no decimal number (`1:30`, `0x10`) stays a text, which an int or float refuses. True and
false are `true` and `false` in lower, upper or title case and nothing else, null is `null`, `~` or `None`,
dates are texts, and two equal keys are an error.
"""

import re
from functools import lru_cache

import yaml

from bridgekit.errors import BridgekitError

_DIGITS = r"[0-9]+(?:_[0-9]+)*"
_FLOAT = rf"[-+]?(?:{_DIGITS}\.?(?:{_DIGITS})?|\.{_DIGITS})(?:[eE][-+]?{_DIGITS})?"
_BOOLS = {word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")}
_TAG = "tag:yaml.org,2002:"
_STRUCTURE = {kind: yaml.SafeLoader.yaml_constructors[_TAG + kind] for kind in ("str", "seq", "map")}


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """Safe YAML with Python's decimal numbers and no key twice."""

    yaml_implicit_resolvers = {}
    yaml_constructors = {None: yaml.SafeLoader.construct_undefined} | {
        _TAG + kind: construct for kind, construct in _STRUCTURE.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        """The mapping; ConstructorError where a key is there twice."""
        seen = set()
        for key, _ in node.value:
            name = self.construct_object(key) if isinstance(key, yaml.ScalarNode) else id(key)
            if name in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {name!r} is there twice", key.start_mark
                )
            seen.add(name)
        return super().construct_mapping(node, deep)


# In this order: what is a whole number is no float.
for _kind, _pattern, _first, _value in (
    ("null", "~|null|Null|NULL|None|", ["~", "n", "N", ""], lambda text: None),
    ("bool", "|".join(_BOOLS), list("tTfF"), _BOOLS.__getitem__),
    ("int", rf"[-+]?{_DIGITS}", list("-+0123456789"), int),
    ("float", _FLOAT, list("-+.0123456789"), float),
):
    _Loader.add_implicit_resolver(_TAG + _kind, re.compile(rf"^(?:{_pattern})$"), _first)
    _Loader.add_constructor(
        _TAG + _kind, lambda loader, node, value=_value: value(loader.construct_scalar(node))
    )


@lru_cache(maxsize=256)
def read_yaml(text: str, name: str) -> object:
    """The YAML value in `text`, not to be changed; `name` is what an error calls it."""
    try:
        return yaml.load(text, Loader=_Loader)
    except UnicodeEncodeError:
        raise BridgekitError(f"{name} is not UTF-8 text") from None
    except (yaml.YAMLError, ValueError, LookupError, RecursionError) as error:
        raise BridgekitError(f"{name} is not valid YAML: {error}") from error
