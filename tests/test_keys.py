"""Content keys: equal for equal content, and the import graph read without importing."""

import pytest

from bridgekit import keys


@pytest.fixture
def package(tmp_path):
    """A package `kit` whose modules import each other in every way that Python has."""
    files = {
        "__init__.py": "",
        "top.py": "from kit import middle\nimport os\n",
        "middle.py": "if TYPE_CHECKING:\n    from kit import alone\ndef late():\n    from .sub import leaf\n",
        "sub/__init__.py": "from . import inner\n",
        "sub/leaf.py": "from ..base import value\n",
        "sub/inner.py": "import kit.other\n",
        "base.py": "value = 1\n",
        "other.py": "raise RuntimeError('never imported')\n",
        "alone.py": "",
    }
    for name, text in files.items():
        path = tmp_path / "kit" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "kit"


def test_modules_imported_through_others(package):
    found = keys.modules("%matplotlib inline\nfrom kit.top import anything\n", package)
    assert set(found) == {
        "kit",
        "kit.top",
        "kit.middle",
        "kit.sub",
        "kit.sub.leaf",
        "kit.sub.inner",
        "kit.base",
        "kit.other",
    }
    assert found["kit.sub"] == package / "sub" / "__init__.py"


def test_only_what_is_imported(package):
    assert set(keys.modules("import numpy\n", package)) == set()
    assert set(keys.modules("import kit.alone as a\n", package)) == {"kit", "kit.alone"}
    assert set(keys.modules("from kit.base import value\n", package)) == {"kit", "kit.base"}


def test_digest_tells_parts_apart(tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"xy")
    assert keys.digest("xy") == keys.digest(b"xy") == keys.digest(file)
    assert (
        len({keys.digest(*parts) for parts in [("xy",), ("x", "y"), ("", "xy"), (["xy"],), ({"x": "y"},)]})
        == 5
    )
    assert keys.digest({"a": 1, "b": 2}) == keys.digest({"b": 2, "a": 1})


def test_tree_is_names_and_contents(tmp_path):
    (tmp_path / "b").write_text("1")
    (tmp_path / "a").write_text("2")
    (tmp_path / "folder").mkdir()
    tree = keys.tree(tmp_path.iterdir(), tmp_path)
    assert tree == [["a", keys.digest("2")], ["b", keys.digest("1")]]
