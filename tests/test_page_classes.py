"""Pages on a folder of three classes and on one of sixty: they run, or say what they want."""

import jupytext
import matplotlib
import numpy as np
import pytest
import torch
from conftest import REPOSITORY, ToyBook
from matplotlib import pyplot as plt
from PIL import Image

from bridgekit import classifiers, pages, results
from bridgekit.errors import BridgekitError


@pytest.fixture(autouse=True)
def process_as_it_was():
    """Pages set torch's threads and draw figures for a whole process."""
    threads, strict = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    with matplotlib.rc_context():
        matplotlib.use("agg")
        yield
    plt.close("all")
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode(strict)


def folder(book: ToyBook, classes: int, each: int, size: int = 8) -> str:
    """``folder:PATH`` of grey noise images, brighter in places of their class, ``each`` a class."""
    draws = np.random.default_rng(0)
    for k in range(classes):
        place = book.root / f"of{classes}" / f"class {k:02d}"
        place.mkdir(parents=True)
        pattern = draws.integers(0, 200, (size, size))
        for i in range(each):
            noise = draws.integers(0, 56, (size, size))
            Image.fromarray((pattern + noise).astype(np.uint8)).save(place / f"{i}.png")
    return f"folder:{book.root}/of{classes}"


def played(book: ToyBook, monkeypatch, page: str, **settings) -> dict:
    """The names that a page's cells leave, executed here at `smoke` and without a kernel."""
    book.adopt(page)
    monkeypatch.setenv("BRIDGEKIT_OUT", str(book.root / "out"))
    for drawn in ("figure", "film"):  # drawing takes longest
        monkeypatch.setattr(results.Run, drawn, lambda *args, **options: None)
    values = pages.resolve(page, "smoke", settings)
    text = (REPOSITORY / "book" / f"{page}.md").read_text()
    names = {"__name__": "__main__"}
    for cell in jupytext.reads(text, "md:myst").cells:
        if cell.cell_type == "code":
            exec(compile(cell.source, page, "exec"), names)  # noqa: S102
            names |= values if "parameters" in cell.metadata.get("tags", []) else {}
    return names


@pytest.mark.parametrize("classes", [3, 60])
def test_forgetting(toy_book, monkeypatch, classes):
    data = folder(toy_book, classes, 600 // classes)
    names = played(toy_book, monkeypatch, "forgetting", dataset=data, image_samples=1000, references=480)
    metrics = names["run"].record()["metrics"]
    assert metrics["images_classes_before"]["unit"] == f"classes of {classes}"
