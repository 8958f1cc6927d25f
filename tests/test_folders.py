"""Folders of images: every layout is done right or is one clear error; caches and keys follow the content."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import tell
from PIL import Image, ImageOps

from bridgekit import closure, data
from bridgekit.__main__ import main
from bridgekit.book import keys, pages
from bridgekit.data import folder, folders
from bridgekit.errors import BridgekitError


def picture(path, colour=(10, 20, 30), size=(6, 4), mode="RGB", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path, **options)
    return path


def tree(base, *files):
    """Pictures, or other files by their suffix, below ``base``: each picture with a colour of its own."""
    for i, file in enumerate(files):
        path = base / file
        if path.suffix in folders.SUFFIXES:
            picture(path, (i, 0, 255))
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("no image")
    return base


def load(base, split="train", **options):
    return data.load(f"folder:{base}", split, root=base.parent / "root", **options)


def refuses(base, *parts, split="train", **options):
    """``load`` raises one clear error that holds every part, and leaves nothing."""
    there = (base.parent / "root").exists()
    with pytest.raises(BridgekitError) as caught:
        load(base, split, **options)
    for part in parts:
        assert part in str(caught.value), str(caught.value)
    assert there == (base.parent / "root").exists()
    str(caught.value).encode()  # can be shown and kept


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch):
    folder._say.cache_clear()
    monkeypatch.delenv("BRIDGEKIT_SPEC", raising=False)


# ------------------------------------------------------------------------------------- classes and errors


def test_folder_of_classes(tmp_path):
    for kind, suffix in (("zebra", "png"), ("ant", "bmp")):
        for i in range(7):
            picture(tmp_path / "pets" / kind / f"{i}.{suffix}", (i, 0, 255))
    picture(tmp_path / "pets" / "ant" / "more.PNG", (9, 0, 255))
    (tmp_path / "pets" / "ant" / "notes.txt").write_text("not an image")
    (tmp_path / "pets" / "ant" / "._0.png").write_text("another program's note")
    (tmp_path / "pets" / ".git").mkdir()
    name = f"folder:{tmp_path / 'pets'}"
    train, test = (data.load(name, split, root=tmp_path) for split in ("train", "test"))
    assert train.classes == ("ant", "zebra") and train.name == name
    assert train.x.shape == (13, 3, 4, 6) and sorted(test.y.tolist()) == [0, 1]
    red = lambda images: ((images.x[:, 0, 0, 0] + 1) * 127.5).round().int().tolist()  # noqa: E731
    listed = [(0, i) for i in (0, 1, 2, 3, 5, 6, 9)] + [(1, i) for i in (0, 1, 2, 3, 5, 6)]
    found = list(zip(train.y.tolist(), red(train), strict=True))
    assert sorted(found) == listed and red(test) == [4, 4]
    assert found != listed and set(train.y[:6].tolist()) == {0, 1}  # mixed: a prefix is of all classes
    assert (train.x[:, 1] == -1).all() and (train.x[:, 2] == 1).all()


def test_folder_with_splits_under_the_data_root(tmp_path, monkeypatch):
    monkeypatch.setenv("BRIDGEKIT_DATA", str(tmp_path))
    for i, kind in enumerate("abc"):
        picture(tmp_path / "own" / "train" / kind / "x.png", 10 * i, mode="L")
    picture(tmp_path / "own" / "test" / "c" / "x.webp", (7, 7, 7), lossless=True)
    train = data.load("folder:own")
    test = data.load("folder:own", "test", channels=1)
    assert train.x.shape == (3, 1, 4, 6) and sorted(train.y.tolist()) == [0, 1, 2]
    assert test.classes == train.classes and test.y.tolist() == [2]
    assert test.x.unique().item() == pytest.approx(7 / 127.5 - 1)


def test_a_class_may_be_called_train(tmp_path):
    for kind in ("train", "plane"):
        for i in range(5):
            picture(tmp_path / kind / f"{i}.png")
    assert data.load(f"folder:{tmp_path}", root=tmp_path).classes == ("plane", "train")


def test_folder_sizes_and_modes(tmp_path):
    base = tmp_path / "mixed"
    wide = Image.new("RGB", (9, 3))
    wide.paste((255, 255, 255), (3, 0, 6, 3))
    (base / "a").mkdir(parents=True)
    wide.save(base / "a" / "0.png")
    picture(base / "a" / "1.png", 128, (4, 8), "L")
    name = f"folder:{base}"
    both = r"1.png is 4 x 8 pixels in grey but .*0.png is 9 x 3 pixels in colour: pass size= and channels="
    with pytest.raises(BridgekitError, match=both):
        data.load(name, root=tmp_path)
    with pytest.raises(
        BridgekitError, match=r"1.png is 4 x 8 pixels in grey but .*0.png is 9 x 3 pixels in grey"
    ):
        data.load(name, root=tmp_path, channels=1)
    both = data.load(name, root=tmp_path, channels=3, size=3)
    assert both.x.shape == (2, 3, 3, 3)
    assert sorted((x == 1).all().item() for x in both.x) == [False, True]  # the centre of the wide one
    assert data.load(name, root=tmp_path, channels=1, size=2).x.shape == (2, 1, 2, 2)
    picture(base / "a" / "0.png", 1, (4, 8), "L")
    picture(base / "a" / "1.png", (1, 2, 3), (4, 8))
    with pytest.raises(
        BridgekitError, match="1.png is 4 x 8 pixels in colour but .*0.png is 4 x 8 pixels in grey"
    ):
        data.load(name, root=tmp_path)


def test_folder_errors(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def fails(match, path="f", split="train", **options):
        with pytest.raises(BridgekitError, match=match):
            data.load(f"folder:{path}", split, root=tmp_path / "root", **options)

    fails(r"No such folder: .*/f or .*/root/f\.")
    fails("No such folder: folder:", path="")
    (tmp_path / "f").mkdir()
    fails("f has no class sub-folders: images go to <class>/<image>.png")
    (tmp_path / "f" / "a").mkdir()
    fails("f/a holds no image: add some, or remove this class folder")
    picture(tmp_path / "f" / "a" / "0.png")
    fails("f has no test image, since no class has five: add some, or make train/", split="test")
    broken = tmp_path / "f" / "a" / "1.png"
    broken.write_bytes((tmp_path / "f" / "a" / "0.png").read_bytes()[:40])
    fails(r"f/a/1.png cannot be read as an image .*repair or remove it")
    broken.write_text("text")
    fails(r"f/a/1.png cannot be read as an image")
    Image.fromarray(np.zeros((4, 6), np.uint16)).save(broken)
    fails(r"f/a/1.png cannot be read as an image \(it has more than 8 bits a channel")
    picture(tmp_path / "g" / "train" / "a" / "0.png")
    fails("g has train/ but no test/", path="g", split="test")
    assert not (tmp_path / "root").exists()


# --------------------------------------------------------------------------------------------- by content


def inverted(base, other):
    """A folder of the same names, sizes and times as ``base``, with every pixel inverted."""
    for path in base.rglob("*.bmp"):
        twin = other / path.relative_to(base)
        twin.parent.mkdir(parents=True, exist_ok=True)
        ImageOps.invert(Image.open(path)).save(twin)
        for each in (path, twin):
            os.utime(each, ns=(10**18, 10**18))
        assert path.stat().st_size == twin.stat().st_size
    return other


def test_folders_alike_in_names_sizes_and_times_keep_their_own_pixels(tmp_path):
    clean = tree(tmp_path / "clean", *(f"{k}/{i}.bmp" for k in "ab" for i in range(5)))
    other = inverted(clean, tmp_path / "inverted")
    for split in data.SPLITS:
        first, second = load(clean, split), load(other, split)
        assert torch.equal(second.x, -first.x) and first.fingerprint != second.fingerprint
        assert torch.equal(load(clean, split).x, first.x)


def test_the_cache_follows_the_content(tmp_path, monkeypatch):
    base = tree(tmp_path / "f", "a/0.bmp", "a/1.bmp")
    first = load(base)
    before = (base / "a/0.bmp").stat()
    monkeypatch.setattr(Image, "open", lambda *_: pytest.fail("decoded twice"))
    assert load(base).fingerprint == first.fingerprint
    base = base.rename(tmp_path / "moved")  # the same content elsewhere is decoded already
    assert torch.equal(load(base).x, first.x)
    monkeypatch.undo()
    picture(base / "a/0.bmp", (200, 0, 0))
    os.utime(base / "a/0.bmp", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert load(base).fingerprint != first.fingerprint and load(base).x.max() > 0.5


# ----------------------------------------------------------------------------------------------- folders


@pytest.mark.parametrize(("train", "test"), [("train", "test"), ("TRAINING", "Test"), ("Train", "val")])
def test_splits_by_their_usual_names(tmp_path, train, test, capsys):
    base = tree(tmp_path / "f", *(f"{train}/{k}/{i}.png" for k in "ab" for i in range(6)), f"{test}/b/0.png")
    images, held = load(base), load(base, "test")
    assert images.classes == held.classes == ("a", "b")
    assert len(images) == 12 and held.y.tolist() == [1]
    name = f"folder:{base}"
    said = f"{name}: 12 train ({train}/) and 1 test ({test}/) images of 2 classes (a, b)\n"
    assert capsys.readouterr().err == said


def test_what_is_found_is_said_once_and_again_when_it_changes(tmp_path, capsys, monkeypatch):
    base = tree(tmp_path / "f", *(f"{k}/{i}.png" for k in range(12) for i in range(5)), "0/a.txt", "0/b.tif")
    tree(base, "__MACOSX/0/0.png", "0/@eaDir/0.png/thumb.jpg", "0/Thumbs.db", ".git/a/0.png", "Desktop.ini")
    for _ in range(2):
        load(base), load(base, "test"), data.identity(f"folder:{base}", root=tmp_path)
    caught = capsys.readouterr()
    assert caught.out == "" and caught.err == (
        f"folder:{base}: 48 train and 12 test images (every fifth of a class is a test image) of 12 classes "
        "(0, 1, 10, ..., 9); passed over: 1 .tif, 1 .txt\n"
    )
    (base / "0/a.txt").unlink()
    load(base)
    assert capsys.readouterr().err.endswith("passed over: 1 .tif\n")
    tell(monkeypatch, tmp_path / "spec", progress="a file")  # the command line has said it
    (base / "0/b.tif").unlink()
    load(base)
    assert capsys.readouterr().err == ""


def test_a_validation_set_beside_a_test_set_is_passed_over_aloud(tmp_path, capsys):
    base = tree(tmp_path / "f", "train/a/0.png", "test/a/1.png", "val/a/2.png", "0.png", "train/1.png")
    tree(base, "notes/train/0.txt", "notes/test/0.txt")
    assert len(load(base)) == len(load(base, "test")) == 1
    said = capsys.readouterr().err
    assert said.endswith("; passed over: 2 in no class folder, 1 notes/, 1 val/\n")


TWO_READINGS = {
    "two folders for one split": (
        ["train/a/0.png", "Training/a/0.png", "test/a/0.png"],
        ["Training/ and train/, which mean one split"],
    ),
    "a class beside splits": (
        ["train/a/0.png", "test/a/0.png", "dog/0.png"],
        ["test/ and train/ with class sub-folders", "beside it dog/ with images"],
    ),
    "case differs": (
        ["train/cat/0.png", "test/Cat/0.png"],
        ["has the class Cat in its test set alone", "one name for it: did you mean 'cat'?"],
    ),
    "an empty class": (
        ["a/0.png", "b/"],
        ["f/b holds no image: add some, or remove this class folder"],
    ),
    "an empty class of a split": (["train/a/0.png", "test/a/"], ["f/test/a holds no image"]),
    "other kinds of files": (
        ["a/0.png", "b/0.tif", "b/1.TIF", "b/x"],
        ["f/b holds no image that is read (.png, ", "only 2 .tif, 1 without a suffix: convert them"],
    ),
    "splits without classes": (["train/0.png", "test/1.png"], ["test/ and train/ without class sub-folders"]),
    "one split without classes": (["train/0.png"], ["train/ without class sub-folders"]),
    "splits below classes": (
        ["cat/train/0.png", "cat/test/1.png", "dog/train/2.png", "dog/test/3.png"],
        ["f/cat holds test/ and train/: images go to <class>/<image>.png, and no deeper"],
    ),
    "a folder too high": (
        ["mnist_png/training/0/0.png", "mnist_png/testing/0/0.png"],
        ["mnist_png holds testing/ and training/", "as in folder:", "f/mnist_png"],
    ),
    "splits by other names": (
        ["seg_train/a/0.png", "seg_test/a/0.png"],
        ["seg_test holds a/", "Folders above classes are called train/ and test/"],
    ),
    "no training set": (["test/a/0.png"], ["f has test/ but no train/ with class sub-folders"]),
    "a name that is no UTF-8": (
        ["a/0.png", os.fsdecode(b"caf\xe9/0.png")],
        [r"f holds 'caf\udce9', a name that is no UTF-8 text: rename it"],
    ),
}


@pytest.mark.parametrize(("files", "parts"), TWO_READINGS.values(), ids=TWO_READINGS)
def test_what_can_be_read_in_two_ways_is_one_error(tmp_path, files, parts):
    base = tmp_path / "f"
    for file in files:
        (base / file).mkdir(parents=True) if file.endswith("/") else tree(base, file)
    refuses(base, *parts)


def test_unlabelled_test_images_are_no_classes(tmp_path):
    base = tree(tmp_path / "f", "train/cat/0.png", "train/dog/1.png", "test/2.png", "test/3.png")
    assert load(base).classes == ("cat", "dog")
    with pytest.raises(BridgekitError, match="has train/ but no test/ with class sub-folders"):
        load(base, "test")


@pytest.mark.parametrize("closed", ["f", "f/train", "f/train/a"])
def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch, closed):
    base, listed = tree(tmp_path / "f", "train/a/0.png"), os.listdir

    def denied(path):
        if Path(path) == tmp_path / closed:
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(os, "listdir", denied)
    refuses(base, f"{tmp_path / closed} cannot be read (Permission denied): make it readable")


# ------------------------------------------------------------------------------------------ kinds of files


def glyph(mode, ink):
    """A square of ink in the alpha channel, on nothing: (H, W) = (8, 8)."""
    alpha = np.zeros((8, 8), np.uint8)
    alpha[2:6, 2:6] = 255
    alpha[2] = 128
    solid = Image.new("L" if mode == "LA" else "RGB", (8, 8), ink)
    solid.putalpha(Image.fromarray(alpha))
    return solid


def test_ink_in_the_alpha_channel_is_laid_on_white(tmp_path):
    (tmp_path / "f" / "a").mkdir(parents=True)
    for i, mode in enumerate(("LA", "RGBA")):
        for suffix in ("png", "webp"):
            base = tmp_path / f"{mode}-{suffix}"
            (base / "a").mkdir(parents=True)
            glyph(mode, 0 if mode == "LA" else (0, 0, 0)).save(base / "a" / f"0.{suffix}", lossless=True)
            x = load(base, channels=1).x[0, 0]
            assert x[0, 0] == 1 and x[4, 4] == -1 and abs(x[2, 0].item()) < 0.02, (i, mode, suffix)
    assert load(tmp_path / "LA-png").x.shape[1] == 1 and load(tmp_path / "RGBA-png").x.shape[1] == 3


def test_transparent_colours_are_laid_on_white(tmp_path):
    for name, image in {
        "palette": Image.fromarray(np.eye(4, dtype=np.uint8) * 255).convert("P"),
        "grey": Image.fromarray(np.eye(4, dtype=np.uint8) * 255),
        "colour": Image.fromarray(np.eye(4, dtype=np.uint8) * 255).convert("RGB"),
    }.items():
        (tmp_path / name / "a").mkdir(parents=True)
        black = {"palette": image.getpixel((0, 1)), "grey": 0, "colour": (0, 0, 0)}[name]
        image.putpixel((3, 0), {"palette": image.getpixel((0, 0)), "grey": 7, "colour": (7, 7, 7)}[name])
        image.save(tmp_path / name / "a" / "0.png", transparency=black)
        x = load(tmp_path / name).x[0, 0]
        assert x[0, 1] == 1 and (name == "palette" or x[0, 3] == pytest.approx(7 / 127.5 - 1))


def test_an_opaque_alpha_channel_changes_nothing(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (8, 8, 4), np.uint8)
    noise[..., 3] = 255
    for name, image in {"with": Image.fromarray(noise), "without": Image.fromarray(noise[..., :3])}.items():
        (tmp_path / name / "a").mkdir(parents=True)
        image.save(tmp_path / name / "a" / "0.png")
    assert load(tmp_path / "with").fingerprint == load(tmp_path / "without").fingerprint


def exif_of(kind, value, count=1):
    """EXIF with an orientation of another type than the standard's (3, a short)."""
    entry = (0x0112).to_bytes(2, "little") + kind.to_bytes(2, "little") + count.to_bytes(4, "little") + value
    return b"Exif\0\0II*\0\x08\0\0\0\x01\0" + entry + b"\0\0\0\0"


BAD_EXIF = {
    "text": exif_of(2, b"6\0\0\0", 2),
    "beyond": exif_of(3, b"\x63\0\0\0"),
    "cut": exif_of(3, b"\x06\0\0\0")[:-9],
    "no TIFF": b"Exif\0\0nonsense",
}


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize("exif", BAD_EXIF.values(), ids=BAD_EXIF)
def test_exif_of_a_wrong_kind_is_ignored(tmp_path, exif, suffix):
    picture(tmp_path / "f" / "a" / f"0.{suffix}", exif=exif)
    assert load(tmp_path / "f").x.shape == (1, 3, 4, 6)


@pytest.mark.parametrize("turn", range(1, 9))
def test_every_orientation_is_pillows(tmp_path, turn):
    noise = np.random.default_rng(0).integers(0, 256, (4, 6), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = turn
    path = tmp_path / "f" / "a" / "0.png"
    path.parent.mkdir(parents=True)
    Image.fromarray(noise).save(path, exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(path)))
    assert np.array_equal(((load(tmp_path / "f").x[0, 0] + 1) * 127.5).round().numpy(), expected)


def test_a_cmyk_photograph_and_an_animation(tmp_path):
    picture(tmp_path / "cmyk" / "a" / "0.jpg", (0, 255, 255, 0), (16, 16), "CMYK")
    red = load(tmp_path / "cmyk").x[0].mean((1, 2))
    assert red[0] > 0.9 and red[1] < -0.9
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("black", "white")]
    (tmp_path / "film" / "a").mkdir(parents=True)
    for suffix in ("png", "webp"):
        frames[0].save(
            tmp_path / "film" / "a" / f"0.{suffix}", save_all=True, append_images=frames[1:], lossless=True
        )
    assert (load(tmp_path / "film").x == -1).all()


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "webp"])
def test_damaged_images_are_one_error_or_images(tmp_path, suffix):
    """Pillow raises nearly anything for these; what it reads all the same is the content."""
    random = np.random.default_rng(0)
    noise = Image.fromarray(random.integers(0, 256, (9, 9, 3), np.uint8))
    path = tmp_path / "f" / "a" / f"0.{suffix}"
    path.parent.mkdir(parents=True)
    noise.save(path, exif=BAD_EXIF["text"]) if suffix != "bmp" else noise.save(path)
    body = path.read_bytes()
    for _ in range(60):
        damaged = bytearray(body)
        for at in random.integers(len(body), size=random.integers(1, 5)):
            damaged[at] = random.integers(256)
        path.write_bytes(damaged[: random.integers(len(body) + 1)] if random.random() < 0.2 else damaged)
        try:
            load(tmp_path / "f", size=8, channels=3)
        except BridgekitError as error:
            assert "0." + suffix in str(error)


# ------------------------------------------------------------------------------- paths, keys and pages


def test_a_folder_is_found_from_where_the_user_stands(tmp_path, monkeypatch):
    monkeypatch.setenv("BRIDGEKIT_DATA", str(tmp_path / "root"))
    here, there = tmp_path / "here", tmp_path / "there"
    for place in (here / "mine", there / "mine", tmp_path / "root" / "kept"):
        place.mkdir(parents=True)
    values = {
        "a": "folder:mine",
        "b": ["folder:kept", "digits", 3],
        "c": "folder:none",
        "d": "mine",
        "e": None,
    }
    monkeypatch.chdir(there)
    assert folders.anchored(values, here) == {
        "a": f"folder:{here / 'mine'}",
        "b": [f"folder:{tmp_path / 'root' / 'kept'}", "digits", 3],
        "c": f"folder:{here / 'none'}",
        "d": "mine",
        "e": None,
    }
    assert folders.anchored({"a": "folder:mine"}, Path.cwd()) == {"a": f"folder:{there / 'mine'}"}
    assert folders.anchored({"a": "folder:../there/mine"}, here) == {"a": f"folder:{there / 'mine'}"}
    assert folders.anchored({"a": "folder:"}, here) == {"a": "folder:"}
    with pytest.raises(BridgekitError, match="no home folder is known for .*: set HOME"):
        folders.anchored({"a": "folder:~nobody-of-this-name/x"}, here)


def test_a_data_root_without_a_home_is_one_error(monkeypatch):
    monkeypatch.delenv("BRIDGEKIT_DATA", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # no HOME and no entry in passwd
    with pytest.raises(BridgekitError, match="no home folder is known for .*: set HOME"):
        data.data_root()


def test_a_pages_folder_is_made_absolute(toy_book, tmp_path, monkeypatch):
    toy_book.edit("book/beta.md", 'text: str = "x"', 'text: str = "folder:own"')
    toy_book.write("profiles/smoke.yaml", "beta:\n  text: folder:data/pets\n")
    tell(monkeypatch, tmp_path / "spec", root=toy_book.root)
    monkeypatch.chdir(tmp_path)
    assert pages.resolve("beta") == {"text": f"folder:{toy_book.root / 'own'}"}
    assert pages.resolve("beta", "smoke") == {"text": f"folder:{toy_book.root / 'data/pets'}"}
    by_hand = pages.resolve("beta", "smoke", pages.find("beta").parse(["text=folder:pets"]))
    assert by_hand == {"text": f"folder:{tmp_path / 'pets'}"}


def test_key_and_checkpoints_follow_the_images_of_both_splits(toy_book):
    base = tree(toy_book.root / "own", *(f"{s}/{k}/{i}.png" for s in data.SPLITS for k in "ab" for i in "01"))
    toy_book.edit("book/beta.md", 'text: str = "x"', 'text: str = "folder:own"')
    (other, seen, kept) = keys.key("alpha"), set(), set()

    def changed():
        mark = keys.checkpoints(toy_book.root, "quick", "beta", pages.resolve("beta"))
        before = len(seen), len(kept)
        seen.add(keys.key("beta")), kept.add(mark)
        assert keys.key("beta") in seen and keys.key("alpha") == other
        return len(seen) > before[0] and len(kept) > before[1]

    assert changed() and not changed()
    os.utime(base / "test/a/0.png")
    (base / "test/a/.DS_Store").touch()
    assert not changed()
    (base / "test/a/0.png").unlink()
    assert changed()
    body = (base / "train/a/0.png").read_bytes()
    (base / "train/a/0.png").write_bytes((base / "train/b/0.png").read_bytes())
    assert changed()
    (base / "train/a/0.png").write_bytes(body)
    (base / "train/b/0.png").rename(base / "train/b/2.png")
    assert changed()
    (base / "train/a").rename(base / "train/c")  # an error, which running the page says
    assert changed()
    base.rename(toy_book.root / "elsewhere")
    assert changed()


def test_keys_of_folders_need_no_torch(tmp_path):
    base = tree(tmp_path / "f", "a/0.png")
    code = (
        "import sys\nfrom bridgekit.book import keys\nfrom bridgekit.data import folders\n"
        f"assert folders.contents(['folder:{base}'])[0][1]\n"
        "print([name for name in ('torch', 'PIL') if name in sys.modules])"
    )
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, cwd=closure.PACKAGE.parent, capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def test_an_unfit_folder_is_told_before_a_kernel_starts(toy_book, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(pages.execution, "execute", lambda *_: pytest.fail("a kernel was started"))
    tell(monkeypatch, tmp_path / "spec", root=toy_book.root)
    monkeypatch.chdir(tmp_path)
    assert main(["run", "beta", "--set", "text=folder:pets"]) == 2
    assert f"No such folder: {tmp_path / 'pets'}" in capsys.readouterr().err
    tree(tmp_path / "pets", "a/0.png", "b/0.tif")
    assert main(["run", "beta", "--set", "text=folder:pets"]) == 2
    assert "remove this class folder" in capsys.readouterr().err


@pytest.mark.pipeline
def test_a_page_reads_the_folder_where_the_user_stands(toy_book, tmp_path, monkeypatch, capsys):
    cell = "from bridgekit import data\nprint(data.load(text).x.mean().item())\n"
    toy_book.append("book/beta.md", f"\n\n```{{code-cell}} ipython3\n{cell}```\n")
    for place, level in ((tmp_path / "mine", 255), (toy_book.root / "mine", 0)):
        picture(place / "pets" / "a" / "0.png", level, mode="L")
    tell(monkeypatch, tmp_path / "spec", root=toy_book.root)
    monkeypatch.setenv("BRIDGEKIT_DATA", str(tmp_path / "root"))
    monkeypatch.chdir(tmp_path / "mine")
    assert main(["run", "beta", "--set", "text=folder:pets"]) == 0
    caught = capsys.readouterr()
    assert "1 train and 0 test images" in caught.err
    notebook = Path(caught.out.strip()).read_text()
    assert "1.0\\n" in notebook and "1 train and" not in notebook
