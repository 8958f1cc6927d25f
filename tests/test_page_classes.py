"""Pages on a folder of three classes and on one of sixty: they run, or say what they want."""

import re

import matplotlib
import numpy as np
import pytest
import torch
from conftest import ToyBook, tell
from matplotlib import pyplot as plt
from PIL import Image

from bridgekit import data
from bridgekit.book import execution, pages, runs
from bridgekit.errors import BridgekitError
from bridgekit.measure import classifiers


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
    tell(monkeypatch, book.root / "spec", out=book.root / "out")
    monkeypatch.setenv("BRIDGEKIT_DATA", str(book.root / "data"))
    for drawn in ("figure", "film"):  # drawing takes longest
        monkeypatch.setattr(runs.Run, drawn, lambda *args, **options: None)
    values = pages.resolve(page, "smoke", settings)
    cells = [(tags, code) for tags, code in pages.find(page).cells if "hide-cell" not in tags]  # solutions
    return execution.execute_here(cells, values, page)


FEW = ("ml_rounds", "rounds", "seeds", "image_seeds", "image_ml_rounds", "image_rounds")
SHORT = {  # the pages of the small games, and what to shorten
    "variants": ("rounds", "gan_rounds", "adaptation_rounds", "cloud_rounds"),
    "cycle_gan": ("rounds",),
    "vae_and_gan": ("rounds", "gan_rounds", "plane_rounds", "posterior_rounds", "evaluations"),
}


def test_forgetting(toy_book, monkeypatch):
    settings = dict.fromkeys(FEW, 1) | {"dataset": folder(toy_book, 60, 5), "references": 240}
    names = played(toy_book, monkeypatch, "forgetting", image_samples=1000, **settings)
    assert names["run"].record()["metrics"]["images_classes_before"]["unit"] == "classes of 60"
    x, y = names["train"].x, names["train"].y
    found = (
        names["on_images"].knn_classify(x, x, y, k=1).repeat(4)
    )  # real images, as often as they are asked for
    assert names["coverage"].classes_missing(found, 60, names["class_hits"]) == 0


def test_forgetting_wants_images_enough_for_its_classes(toy_book, monkeypatch):
    with pytest.raises(
        BridgekitError, match="120 samples are too few to say which of 60 classes are covered"
    ):
        played(toy_book, monkeypatch, "forgetting", dataset=folder(toy_book, 60, 5), references=240)


@pytest.mark.parametrize("page", SHORT)
@pytest.mark.parametrize("classes", [3, 60])
def test_the_small_games(toy_book, monkeypatch, classes, page):
    data, few = folder(toy_book, classes, 300 // classes), dict.fromkeys(SHORT[page], 1)
    names = played(toy_book, monkeypatch, page, dataset=data, seeds=1, **few)
    if page != "cycle_gan":  # where InfoGAN is played
        assert names["code"].shape[-1] == classes + 6
    if page == "variants":
        assert len(names["traversal"]) == 5 * min(classes, 10)


def test_iwgan(toy_book, monkeypatch):
    data = folder(toy_book, 60, 5, size=16)
    monkeypatch.setitem(classifiers.RULES, data, classifiers.Rule(rounds=2, batch=8, width=4))
    few = dict.fromkeys(("seeds", "rounds", "evaluations", "timings"), 1)
    monkeypatch.setenv("BRIDGEKIT_DATA", str(toy_book.root / "data"))
    classifiers.make(data)
    names = played(toy_book, monkeypatch, "iwgan", dataset=data, **few)
    assert set(names["LABELS"].tolist()) == {*range(60)}
    assert 1 <= names["run"].values("is_real").item() <= 60


def scored(book: ToyBook, monkeypatch, size: int) -> str:
    """A folder of sixty classes, 240 training images, that has its classifier for this size."""
    data = folder(book, 60, 5, size=16)
    monkeypatch.setitem(classifiers.RULES, data, classifiers.Rule(rounds=2, batch=8, width=4))
    monkeypatch.setenv("BRIDGEKIT_DATA", str(book.root / "data"))
    classifiers.make(data, size=size)
    return data


def test_photographs(toy_book, monkeypatch):
    data = scored(toy_book, monkeypatch, 28)
    few = {"seeds": 1, "evaluations": 1, "steps": [1, 1, 1], "search_steps": [1, 1, 1]}
    names = played(toy_book, monkeypatch, "photographs", dataset=data, size=28, held_out=60, **few)
    assert len(names["train"]) == 180 and names["train"].y.bincount().tolist() == [3] * 60
    apart = (names["held"][:, None] == names["train"].x[None]).flatten(2).all(2)
    assert not apart.any()  # no game learns from what the distance is taken against
    assert names["games"]["DCGAN"].phases[0].rounds == round(
        sum(names["COST"][k] for k in ("I", "II", "III")) / names["COST"]["DCGAN"]
    )


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"held_out": 300},
            "cannot be taken from each of 60 classes: change the shares",
        ),
        ({"batch": 500}, "a batch of 500 wants at least as many images; there are 180"),
        ({"size": 30}, "parameter 'size' is 30, out of its range: one of 28 | 32 | 64"),
    ],
)
def test_photographs_says_what_it_wants(toy_book, monkeypatch, settings, said):
    data = scored(toy_book, monkeypatch, 28)
    with pytest.raises(BridgekitError, match=re.escape(said)):
        own = {"dataset": data, "size": 28, "held_out": 60} | settings
        played(toy_book, monkeypatch, "photographs", **own)


def test_iwgan_photographs(toy_book, monkeypatch):
    data, few = scored(toy_book, monkeypatch, 28), {"rounds": 1, "evaluations": 1}
    few |= {"held_out": 0.25, "size": 28}
    names = played(toy_book, monkeypatch, "iwgan_photographs", datasets=[data], **few)
    assert 1 <= names["run"].values("first_is_test").item() <= 60
    assert names["run"].values("first_accuracy_gain").shape == (2,)
    own = names["on"][names["FIRST"]]
    assert own.train.y.bincount().tolist() == [3] * 60
    apart = (own.held[:, None] == own.train.x[None]).flatten(2).all(2)
    assert not apart.any()  # no game learns from what the distance is taken against
    with pytest.raises(BridgekitError, match="a batch of 500 wants at least as many images; there are 180"):
        played(toy_book, monkeypatch, "iwgan_photographs", datasets=[data], batch=500, **few)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"dataset": "digits"}, "digits has classes and no attributes to edit: take faces, or celeba"),
        ({"edits": ["Bang"]}, "edits: nobody in faces has 'Bang'; did you mean 'Bangs'?"),
        ({"edits": ["Hat", "Bangs"]}, "edits: nobody in faces has 'Hat'; there are: Bangs, Smiling"),
    ],
)
def test_the_inference_arm_says_what_it_wants(toy_book, monkeypatch, settings, said):
    few = data.Images(
        torch.zeros(4, 3, 32, 32), torch.eye(4, 2).long(), ("Bangs", "Smiling"), "faces", "", "0"
    )
    load = data.load
    monkeypatch.setattr(data, "load", lambda name, **how: few if name == "faces" else load(name, **how))
    with pytest.raises(BridgekitError, match=re.escape(said)):
        played(toy_book, monkeypatch, "inference_arm", **settings)


@pytest.mark.parametrize("classes", [3, 60])
def test_activation(toy_book, monkeypatch, classes):
    data, few = folder(toy_book, classes, 480 // classes), {"rounds": 1, "evaluations": 1, "seeds": 1}
    if classes == 3:
        played(toy_book, monkeypatch, "activation", dataset=data, batch=4, **few)
        return
    with pytest.raises(BridgekitError, match="cannot be taken from each of 60 classes: change the shares"):
        played(toy_book, monkeypatch, "activation", dataset=data, batch=4, **few)
