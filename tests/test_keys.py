"""Content keys: equal for equal content, and the import graph read without importing."""

import pytest

from bridgekit import closure


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
    found = closure.modules("%matplotlib inline\nfrom kit.top import anything\n", package)
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
    assert set(closure.modules("import numpy\n", package)) == set()
    assert set(closure.modules("import kit.alone as a\n", package)) == {"kit", "kit.alone"}
    assert set(closure.modules("from kit.base import value\n", package)) == {"kit", "kit.base"}


def test_digest_tells_parts_apart(tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"xy")
    assert closure.digest("xy") == closure.digest(b"xy") == closure.digest(file)
    assert (
        len({closure.digest(*parts) for parts in [("xy",), ("x", "y"), ("", "xy"), (["xy"],), ({"x": "y"},)]})
        == 5
    )
    assert closure.digest({"a": 1, "b": 2}) == closure.digest({"b": 2, "a": 1})


def test_tree_is_names_and_contents(tmp_path):
    (tmp_path / "b").write_text("1")
    (tmp_path / "a").write_text("2")
    (tmp_path / "folder").mkdir()
    tree = closure.tree(tmp_path.iterdir(), tmp_path)
    assert tree == [["a", closure.digest("2")], ["b", closure.digest("1")]]
