"""Data sets: content, order, caches, downloads from a local server, and every bad input."""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import pickle
import shutil
import socket
import struct
import tarfile
import threading
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import damaged
from PIL import Image
from scipy.io import savemat
from torchvision.datasets import CIFAR10, MNIST, SVHN, CelebA, celeba
from torchvision.datasets.utils import download_url

from bridgekit import data
from bridgekit.__main__ import main
from bridgekit.data import binary, faces, images, published, store
from bridgekit.data import digits as streets
from bridgekit.errors import BridgekitError
from bridgekit.games import setups

# -------------------------------------------------------------------------------------------- the plane


def test_gaussians25_is_the_published_grid():
    target = data.mixture("gaussians25")
    assert target.sigma == 0.05 and target.means.dtype == torch.float32
    ticks = (-4, -2, 0, 2, 4)
    assert sorted(map(tuple, target.means.tolist())) == [(a, b) for a in ticks for b in ticks]


@pytest.mark.parametrize(("name", "k", "reach"), [("grid9", 9, 2), ("grid49", 49, 6), ("ring8", 8, 2)])
def test_relatives(name, k, reach):
    means = data.mixture(name).means
    assert means.shape == (k, 2) and means.abs().max() == reach
    torch.testing.assert_close(means.mean(0), torch.zeros(2), atol=1e-6, rtol=0)
    apart = torch.pdist(means).min().item()
    assert apart == pytest.approx(2 * 2 * math.sin(math.pi / 8) if name == "ring8" else 2)


def test_unknown_names_offer_the_nearest():
    with pytest.raises(BridgekitError, match="did you mean 'gaussians25'"):
        data.mixture("gausians25")
    with pytest.raises(BridgekitError, match="no data set 'minst': did you mean 'mnist'"):
        data.load("minst")
    with pytest.raises(
        BridgekitError, match="there are: digits, street, faces, mnist, svhn, cifar10, celeba, folder:PATH"
    ):
        data.load("zzz")
    with pytest.raises(BridgekitError, match="no split 'tets': did you mean 'test'"):
        data.load("digits", "tets")
    for wrong in ({"size": 0}, {"channels": 2}):
        with pytest.raises(BridgekitError, match="size is at least 1 and channels is 1 or 3"):
            data.load("digits", **wrong)


# ----------------------------------------------------------------------------------------------- digits


def test_digits_are_split_by_class_and_scaled():
    train, test = data.load("digits"), data.load("digits", "test")
    assert len(train) + len(test) == 1797
    assert train.x.shape[1:] == (1, 28, 28) and train.x.dtype == torch.float32 and train.x.is_contiguous()
    assert train.x.min() == -1 and train.x.max() == 1
    assert train.classes == tuple("0123456789") and train.y.dtype == torch.int64
    per_class = torch.bincount(test.y) / (torch.bincount(train.y) + torch.bincount(test.y))
    assert ((per_class > 0.19) & (per_class <= 0.2)).all()
    # test image j of a class is number 5 j + 4 of it
    from sklearn.datasets import load_digits

    raw = load_digits()
    threes = torch.from_numpy(raw.images[raw.target == 3]).float() / 8 - 1
    small = data.load("digits", "test", size=8)
    assert torch.equal(small.x[small.y == 3][:, 0], threes[4::5])


def test_digits_are_the_same_every_time_and_differ_by_split_only():
    first, again = data.load("digits"), data.load("digits", size=32)
    assert torch.equal(first.y, again.y) and again.x.shape[-1] == 32
    assert first.fingerprint == again.fingerprint != data.load("digits", "test").fingerprint
    assert torch.equal(first.x, data.load("digits").x)
    rgb = data.load("digits", channels=3)
    assert rgb.x.shape[1] == 3 and torch.equal(rgb.x[:, 2:], first.x)


# ----------------------------------------------------------------------------------------------- street


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A data root where the built-in sets are made once."""
    return tmp_path_factory.mktemp("root")


def test_street_is_digits_on_photographs(root):
    train, test = (data.load("street", split, root=root) for split in data.SPLITS)
    digits = data.load("digits", "test")
    assert train.x.shape == (len(data.load("digits")), 3, 32, 32) and train.classes == digits.classes
    assert torch.equal(test.y, digits.y) and torch.equal(train.y, data.load("digits").y)
    # Where the recipe changes, so does the number in its cache's name: what is kept is another's.
    assert (train.fingerprint, test.fingerprint) == ("d054b619a23da906", "5f42c77003f78c6b")
    # every image has colours of its own, and both light and dark ones are there
    assert len(train.x.mean((-2, -1)).unique(dim=0)) == len(train)
    means = train.x.mean((1, 2, 3))
    assert means.min() < -0.5 and means.max() > 0.5
    assert (train.x.std((-2, -1)) > 0).all() and (train.x[:, 0] - train.x[:, 2]).abs().mean() > 0.1


def test_street_is_the_blend_that_it_says(tmp_path):
    """The middle of a stroke is ink, a corner without digit is photograph, and nothing leaves 8 bits."""
    photographs = [Image.fromarray(np.full((300, 300, 3), (200, 100, 180), np.uint8))]
    solid = np.full((8, 8), 16, np.uint8)
    blank, full = (
        streets._blend(digit, photographs, np.random.RandomState(3)).astype(int)
        for digit in (np.zeros((8, 8), np.uint8), solid)
    )
    assert (blank == (200, 100, 180)).all()  # a bright crop: dark ink, and no contrast to change
    assert (full <= blank).all() and len(np.unique(full.reshape(-1, 3), axis=0)) > 1
    inner = full[10:22, 10:22].reshape(-1, 3)
    assert (inner == inner[0]).all() and (inner[0] < blank[0, 0]).all()


def test_street_is_kept_and_the_same_without_a_cache(root, tmp_path, monkeypatch):
    first = data.load("street", "test", root=root)
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the data root should be")
    again = data.load("street", "test", root=blocked)
    assert torch.equal(first.x, again.x) and first.fingerprint == again.fingerprint
    monkeypatch.setitem(images.BUILT_IN, "street", lambda split: pytest.fail("blended twice"))
    assert torch.equal(data.load("street", "test", root=root).x, first.x)


def test_street_sizes_and_grey(root):
    colour, grey = (data.load("street", "test", root=root, channels=c).x for c in (3, 1))
    luma = 0.299 * colour[:, 0] + 0.587 * colour[:, 1] + 0.114 * colour[:, 2]
    torch.testing.assert_close(grey, luma[:, None])
    small = data.load("street", "test", root=root, size=16, channels=1).x
    assert small.shape[1:] == (1, 16, 16) and small.abs().max() <= 1


# ----------------------------------------------------------------------------------------------- faces

FEW = {"train": (20190101, 40), "test": (20190102, 10)}


@pytest.fixture
def few(monkeypatch, tmp_path):
    """A data root in which ``faces`` has the first images alone."""
    monkeypatch.setattr(faces, "SPLITS", FEW)
    return tmp_path


def test_faces_are_drawn_from_their_seed_alone(monkeypatch):
    drawn = {split: faces.draw(n, seed) for split, (seed, n) in FEW.items()}
    # Where the recipe changes, so does the number in its cache's name: what is kept is another's.
    assert [p.fingerprint() for p in drawn.values()] == ["67b60858a124d7f5", "4e655e3695c2cd81"]
    assert {k: v[0] for k, v in FEW.items()} == {k: v[0] for k, v in faces.SPLITS.items()}
    first = drawn["train"]
    assert first.x.shape == (40, 3, 64, 64) and first.x.dtype == np.uint8 and first.y.dtype == np.int64
    assert len(np.unique(first.x.reshape(40, -1), axis=0)) == 40
    # The first of many are those of few; neither the pieces nor the windows in which they are drawn matter.
    monkeypatch.setattr(faces, "CHUNK", 3)
    for window in ("EYES", "MOUTH"):
        monkeypatch.setattr(faces, window, faces.ALL)
    again = faces.draw(7, FEW["train"][0])
    assert np.array_equal(again.x, first.x[:7]) and np.array_equal(again.y, first.y[:7])


def kinds_and_numbers(n: int, seed: int = 5):
    random = np.random.RandomState(seed)
    kinds = [random.randint(k, size=n) for k in faces.KINDS]
    return kinds, random.random_sample((n, faces.NUMBERS)).astype(np.float32)


THINGS = (*faces.COLOURS, *faces.FLAGS, "Facing")


def portraits(kinds, u) -> torch.Tensor:
    return torch.from_numpy(faces._Portraits(kinds, u).finished()).float()


@pytest.mark.parametrize("size", [64, 32])
@pytest.mark.parametrize("thing", THINGS)
def test_what_a_face_has_is_seen_where_it_belongs(thing, size):
    """Each kind, exchanged for another, changes its own part of the picture, and by more than a trace."""
    (kinds, u), which = kinds_and_numbers(16), THINGS.index(thing)
    other = [kind.copy() for kind in kinds]
    other[which] = (other[which] + 1) % faces.KINDS[which]
    one, two = (images._resized(portraits(k, u) / 127.5 - 1, size, pad=False) for k in (kinds, other))
    change = (one - two).abs().mean(1)  # (16, size, size)
    assert ((change > 0.2).double().mean((1, 2)) > 0.005).all()
    rows = torch.arange(size) * 64 // size
    outside = {"Smiling": rows < 16, "Bangs": rows > 40, "Eyeglasses": (rows < 14) | (rows > 50)}
    assert not change[:, outside.get(thing, rows < 0)].any()


def test_labels_of_faces_say_what_was_drawn(monkeypatch):
    seen = []

    class Known(faces._Portraits):
        def finished(self):
            return np.zeros((len(seen[-1][0]), 3, 64, 64), np.uint8)

        def __init__(self, kinds, u):
            seen.append(kinds)

    monkeypatch.setattr(faces, "_Portraits", Known)
    y = faces.draw(3000, 1).y
    kinds = [np.concatenate(each) for each in zip(*seen, strict=True)]
    column = dict(zip(faces.ATTRIBUTES, y.T, strict=True))
    for of, kind in zip(faces.COLOURS, kinds, strict=False):
        for i, name in enumerate(faces.COLOURS[of]):
            assert np.array_equal(column[f"{name}_{of}"], kind == i)
    for name, kind in zip(faces.FLAGS, kinds[3:], strict=False):
        assert np.array_equal(column[name], kind == 1)
    assert np.array_equal(column["Facing_Left"], kinds[7] == 1)
    assert np.array_equal(column["Facing_Right"], kinds[7] == 2)
    shares = [np.bincount(kind, minlength=k) * k / 3000 for kind, k in zip(kinds, faces.KINDS, strict=True)]
    assert all(abs(share - 1).max() < 0.15 for share in shares)  # 3.7 deviations of the rarest
    assert np.abs(np.corrcoef(np.stack(kinds)) - np.eye(8)).max() < 0.08  # 4.4 deviations


def test_a_face_that_looks_to_a_side_has_its_mouth_there():
    kinds, u = kinds_and_numbers(30)

    def column(pose):
        """Of the mouth: where a smile changes the picture."""
        kinds[7][:] = pose
        bare, smiling = (portraits([*kinds[:6], np.full(30, smile), kinds[7]], u) for smile in (0, 1))
        change = (bare - smiling)[:, :, 36:].abs().sum((1, 2))
        return (change * torch.arange(64)).sum(1) / change.sum(1)

    front, left, right = map(column, range(3))
    assert (left < front - 3).all() and (right > front + 3).all()


def test_faces_as_a_data_set(few):
    train, test = (data.load("faces", split, root=few) for split in data.SPLITS)
    assert train.x.shape == (40, 3, 64, 64) and train.y.shape == (40, 18) and len(test) == 10
    assert train.attributes == train.labels == faces.ATTRIBUTES and data.load("digits").attributes == ()
    assert train.x.min() < -0.8 and train.x.max() > 0.95
    assert data.present("faces", few) and not data.present("face", few)
    small = data.load("faces", root=few, size=32)
    halved = torch.nn.functional.avg_pool2d(train.x, 2)
    assert small.x.shape == (40, 3, 32, 32) and (small.x - halved).abs().mean() < 0.02
    assert data.identity("faces", root=few, size=32) == ((3, 32, 32), train.fingerprint)


def test_classes_of_a_set_with_attributes_are_one_error(few):
    train = data.load("faces", root=few, size=32, channels=1)
    acts = (
        lambda: train.classes,
        lambda: setups.images(train, labelled=True, batch=4),
        lambda: binary.binarised(train),
    )
    for act in acts:
        with pytest.raises(BridgekitError, match="'faces' has 18 attributes and no classes: take a set with"):
            act()
    setups.images(train, batch=4)
    assert replace(train, y=train.y[:, 0], labels=("no", "yes")).classes == ("no", "yes")


def test_identity_is_what_load_gives(root, tmp_path):
    (tmp_path / "f" / "a").mkdir(parents=True)
    for i in range(5):
        Image.new("RGB", (6, 4), (10, 20, 30)).save(tmp_path / "f" / "a" / f"{i}.png")
    for name in ("digits", "street", f"folder:{tmp_path / 'f'}"):
        for options in ({}, {"size": 16}, {"size": 12, "channels": 1}, {"channels": 3}):
            for split in data.SPLITS:
                images = data.load(name, split, root=root, **options)
                shape, fingerprint = data.identity(name, split, root=root, **options)
                assert shape == tuple(images.x.shape[1:]) and fingerprint == images.fingerprint


# ----------------------------------------------------------------------- small fakes of what is published


def md5(body: bytes) -> str:
    return hashlib.md5(body).hexdigest()


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape) + array.tobytes()


def fake_mnist(monkeypatch):
    """MNIST's files, packed: {name: content}."""
    rng, packed = np.random.default_rng(0), {}
    for split, stem, n in (("train", "train", 30), ("test", "t10k", 20)):
        x, y = rng.integers(0, 256, (n, 28, 28), np.uint8), np.arange(n) % 10
        packed[f"{stem}-images-idx3-ubyte.gz"] = gzip.compress(idx(x))
        packed[f"{stem}-labels-idx1-ubyte.gz"] = gzip.compress(idx(y.astype(np.uint8)))
        pixels = store.Pixels(x[:, None], y, streets.CLASSES)
        monkeypatch.setitem(published.MNIST, split, pixels.fingerprint())
    monkeypatch.setattr(MNIST, "resources", [(name, md5(body)) for name, body in packed.items()])
    return packed


def fake_svhn(monkeypatch, url):
    """SVHN's files: {name: content}."""
    bodies = {}
    for split, n in (("train", 12), ("test", 11)):
        body, name = io.BytesIO(), f"{split}_32x32.mat"
        labels = (np.arange(n) % 10 + 1).astype(np.uint8)[:, None]  # 1 to 10, and 10 is the digit 0
        savemat(body, {"X": np.random.default_rng(n).integers(0, 256, (32, 32, 3, n), np.uint8), "y": labels})
        bodies[name] = body.getvalue()
        monkeypatch.setitem(SVHN.split_list, split, [url + name, name, md5(bodies[name])])
    return bodies


def fake_cifar(monkeypatch, url):
    """CIFAR-10's archive: {name: content}."""
    batches, random = (
        {"batches.meta": pickle.dumps({"label_names": ["airplane", "automobile", *"abcdefgh"]})},
        np.random,
    )
    for number, (file, _) in enumerate(CIFAR10.train_list + CIFAR10.test_list):
        pixels = random.default_rng(number).integers(0, 256, (10, 3072), np.uint8)
        pixels[0] = np.repeat([0, 128, 255], 1024)  # one plane of each colour after the other
        batches[file] = pickle.dumps({"data": pixels, "labels": [(number + i) % 10 for i in range(10)]})
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for file, body in batches.items():
            member = tarfile.TarInfo(f"{CIFAR10.base_folder}/{file}")
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
    for name in ("train_list", "test_list"):
        files = [[file, md5(batches[file])] for file, _ in getattr(CIFAR10, name)]
        monkeypatch.setattr(CIFAR10, name, files)
    monkeypatch.setitem(CIFAR10.meta, "md5", md5(batches["batches.meta"]))
    monkeypatch.setattr(CIFAR10, "url", url + CIFAR10.filename)
    monkeypatch.setattr(CIFAR10, "tgz_md5", md5(archive.getvalue()))
    return {CIFAR10.filename: archive.getvalue()}


FACES = tuple(f"{i:06}.jpg" for i in range(1, 13))
SHOWN = ("Bald", "Smiling", "Young")


def fake_celeba(monkeypatch, url):
    """CelebA's archive and lists: {name: content}. Image i is red by 10 i, in a frame that is cut away."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        for i, name in enumerate(FACES):
            picture, body = Image.new("RGB", (178, 218), (0, 255, 0)), io.BytesIO()
            picture.paste((10 * i, 0, 0), (8, 27, 170, 191))
            picture.save(body, "JPEG", quality=95, subsampling=0)
            packed.writestr(f"img_align_celeba/{name}", body.getvalue())
    splits = [0] * 7 + [1] * 2 + [2] * 3
    signs = [" ".join(f"{1 if i >> k & 1 else -1:2}" for k in range(3)) for i in range(12)]
    lists = {
        "list_attr_celeba.txt": ["12", " ".join(SHOWN) + " ", *map("{} {}".format, FACES, signs)],
        "identity_CelebA.txt": [f"{name} {i}" for i, name in enumerate(FACES)],
        "list_bbox_celeba.txt": ["12", "image_id x_1 y_1 width height", *(f"{n} 1 2 3 4" for n in FACES)],
        "list_landmarks_align_celeba.txt": ["12", "a_x a_y", *(f"{name} 69  109" for name in FACES)],
        "list_eval_partition.txt": [*map("{} {}".format, FACES, splits)],
    }
    bodies = {name: "\n".join([*lines, ""]).encode() for name, lines in lists.items()}
    bodies["img_align_celeba.zip"] = archive.getvalue()
    monkeypatch.setattr(CelebA, "file_list", [(name, md5(body), name) for name, body in bodies.items()])

    def drive(name, root, filename, md5):
        download_url(url + name, root, filename, md5)

    monkeypatch.setattr(celeba, "download_file_from_google_drive", drive)
    return bodies


@pytest.fixture
def server(monkeypatch):
    """A mirror on this machine; ``bodies`` is what it serves, ``cut`` the files that break off half-way."""

    class Mirror(BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path.rsplit("/", 1)[-1]
            if name not in self.server.bodies:
                self.send_error(404)
                return
            body = self.server.bodies[name]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.server.served.add(name)
            self.wfile.write(body[: len(body) // 2] if name in self.server.cut else body)

        def log_message(self, *_):
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Mirror) as mirror:
        url = f"http://127.0.0.1:{mirror.server_port}/files/"
        mirror.bodies, mirror.cut, mirror.served = fake_mnist(monkeypatch), set(), set()
        mirror.bodies |= fake_svhn(monkeypatch, url) | fake_cifar(monkeypatch, url)
        mirror.bodies |= fake_celeba(monkeypatch, url)
        monkeypatch.setattr(MNIST, "mirrors", [f"{url}nothing-", url])
        thread = threading.Thread(target=mirror.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield mirror
        mirror.shutdown()
        thread.join()


@pytest.fixture
def whole(server, tmp_path):
    """A data root with every published file."""
    for name in published.SETS:
        assert data.download(name, tmp_path / "data") == tmp_path / "data"
    return tmp_path / "data"


def files_under(root):
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())


def flipped(body):
    return body[:-1] + bytes([body[-1] ^ 1])


def test_mnist(whole, server):
    train, test = (data.load("mnist", split, root=whole) for split in data.SPLITS)
    assert train.x.shape == (30, 1, 28, 28) and test.y.tolist() == [*range(10), *range(10)]
    pixels = np.frombuffer(gzip.decompress(server.bodies["train-images-idx3-ubyte.gz"]), np.uint8, offset=16)
    expected = torch.from_numpy(pixels.reshape(30, 1, 28, 28) / 127.5 - 1).float()
    torch.testing.assert_close(train.x, expected)
    assert train.x.min() == -1 and train.x.max() == 1


def test_mnist_sizes(whole):
    x = data.load("mnist", root=whole).x
    for size, first in ((32, 2), (31, 1)):
        grown = data.load("mnist", root=whole, size=size).x
        assert grown.shape[-2:] == (size, size)
        inside = slice(first, first + 28)
        assert torch.equal(grown[..., inside, inside], x)
        assert (grown.sum() - x.sum()).item() == pytest.approx(-30 * (size**2 - 28**2))
    shrunk = data.load("mnist", root=whole, size=14).x
    pillow = Image.fromarray(x[7, 0].numpy()).resize((14, 14), Image.Resampling.BICUBIC)
    torch.testing.assert_close(shrunk[7, 0], torch.from_numpy(np.array(pillow)).clamp(-1, 1))
    assert shrunk.shape == (30, 1, 14, 14) and shrunk.abs().max() <= 1


def test_svhn(whole):
    train, test = (data.load("svhn", split, root=whole) for split in data.SPLITS)
    assert train.x.shape == (12, 3, 32, 32) and test.y.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]


def test_cifar10(whole):
    train, test = (data.load("cifar10", split, root=whole) for split in data.SPLITS)
    assert train.x.shape == (50, 3, 32, 32) and train.classes[:2] == ("airplane", "automobile")
    assert test.y.tolist() == [(5 + i) % 10 for i in range(10)]
    assert train.x[0].mean((-2, -1)).tolist() == pytest.approx([-1, 128 / 127.5 - 1, 1], abs=1e-6)


def test_celeba(whole):
    train, test = (data.load("celeba", split, root=whole) for split in data.SPLITS)
    assert train.x.shape == (7, 3, 64, 64) and train.attributes == SHOWN  # not the empty name behind them
    assert test.y.tolist() == [[i & 1, i >> 1 & 1, 0] for i in (9, 10, 11)]
    for x, first in ((train.x, 0), (test.x, 9)):
        red = (torch.arange(first, first + len(x)) * 10 / 127.5 - 1)[:, None, None].expand(-1, 64, 64)
        torch.testing.assert_close(x[:, 0], red, atol=0.05, rtol=0)
        assert x[:, 1:].max() < -0.95  # nothing of the frame
    small = data.load("celeba", "test", root=whole, size=32)
    assert small.x.shape == (3, 3, 32, 32) and small.fingerprint == test.fingerprint


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            lambda base: (base / "img_align_celeba" / FACES[4]).unlink(),
            "list_attr_celeba.txt does not match the images: .* lacks 1 of the 7 images, 000005.jpg first",
        ),
        (
            lambda base: Image.new("RGB", (178, 180)).save(base / "img_align_celeba" / FACES[0]),
            "000001.jpg has 178 x 180 pixels, not 178 x 218",
        ),
        (
            lambda base: (base / "list_attr_celeba.txt").write_text("3\nYoung \n"),
            "celeba/list_attr_celeba.txt is missing, or not what was published",
        ),
        (lambda base: (base / "list_eval_partition.txt").unlink(), "partition.txt is missing, or not what"),
        (lambda base: shutil.rmtree(base / "img_align_celeba"), "not found"),
    ],
)
def test_celeba_whose_lists_and_images_do_not_match(whole, wrong, said):
    wrong(whole / "celeba")
    with pytest.raises(BridgekitError, match=f"'celeba' cannot be read in .*{said}.*Three ways out.*`faces`"):
        data.load("celeba", root=whole)


@pytest.mark.parametrize("name", published.SETS)
def test_what_is_not_there_names_three_ways_out(name, tmp_path, monkeypatch):
    monkeypatch.setenv("BRIDGEKIT_DATA", str(tmp_path / "none"))
    assert not data.present(name)
    with pytest.raises(BridgekitError) as caught:
        data.load(name)
    stand_in = {"mnist": "`digits`", "celeba": "`faces`"}.get(name, "`street`")
    for part in (str(tmp_path / "none"), f"bridgekit download {name}", "BRIDGEKIT_DATA", stand_in):
        assert part in str(caught.value)
    assert not (tmp_path / "none").exists()


def test_data_root(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("BRIDGEKIT_DATA", raising=False)
    assert data.data_root() == tmp_path / ".cache" / "bridgekit"
    monkeypatch.setenv("BRIDGEKIT_DATA", "~/images")
    assert data.data_root() == tmp_path / "images"
    assert data.data_root(tmp_path / "here") == tmp_path / "here"


# ------------------------------------------------------------------------------------------- downloads


@pytest.mark.parametrize("name", published.SETS)
def test_what_is_there_is_not_downloaded_again(name, whole, server):
    assert not [file for file in files_under(whole) if file.endswith((".gz", ".zip", "lock"))]
    server.served.clear()
    data.download(name, whole)
    assert data.present(name, whole) and not server.served


ARCHIVES = {"mnist": "t10k-images-idx3-ubyte.gz", "svhn": "train_32x32.mat", "cifar10": CIFAR10.filename}
ARCHIVES["celeba"] = "img_align_celeba.zip"


@pytest.mark.parametrize("how", ["corrupted", "interrupted", "not there"])
@pytest.mark.parametrize("name", published.SETS)
def test_a_broken_download_leaves_nothing(name, how, server, tmp_path):
    file = ARCHIVES[name]
    if how == "corrupted":
        server.bodies[file] = flipped(server.bodies[file])
    elif how == "interrupted":
        server.cut.add(file)
    else:
        del server.bodies[file]
    with pytest.raises(BridgekitError, match="(?s)could not be downloaded.*(digits|street|faces)"):
        data.download(name, tmp_path)
    assert files_under(tmp_path) == [] and not data.present(name, tmp_path)


def test_a_silent_mirror_is_given_up(server, tmp_path, monkeypatch):
    monkeypatch.setattr(published, "TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(MNIST, "mirrors", [f"http://127.0.0.1:{silent.getsockname()[1]}/"])
        with pytest.raises(BridgekitError, match="timed out"):
            data.download("mnist", tmp_path)
    assert socket.getdefaulttimeout() is None


def test_command_line_downloads(server, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("BRIDGEKIT_DATA", str(tmp_path / "data"))
    assert main(["download", "svhn"]) == 0
    assert capsys.readouterr().out.endswith(f"{tmp_path / 'data'}\n") and data.present("svhn")
    assert main(["download", "street"]) == 2
    assert "Nothing to download for 'street'" in capsys.readouterr().err
    (tmp_path / "data" / "MNIST").write_text("in the way")
    assert main(["download", "mnist"]) == 2
    assert "Point BRIDGEKIT_DATA to a folder that can be written" in capsys.readouterr().err


# --------------------------------------------------------------------------------------------- damage


def both(name, root):
    """What decides a page's numbers: pixels, labels, classes and fingerprint of both splits."""
    sets = [data.load(name, split, root=root) for split in data.SPLITS]
    return [(i.x.numpy().tobytes(), i.y.tolist(), i.labels, i.fingerprint) for i in sets]


@pytest.mark.parametrize(
    "file", ["MNIST/raw/train-images-idx3-ubyte", "train_32x32.mat", "data_batch_3", "list_attr_celeba.txt"]
)
def test_damaged_published_files_are_noticed_and_made_anew(file, whole):
    name = {"M": "mnist", "t": "svhn", "d": "cifar10", "l": "celeba"}[file[0]]
    (path,) = whole.rglob(Path(file).name)
    good, body = both(name, whole), path.read_bytes()
    for damage in damaged(body, 9):
        shutil.rmtree(whole / "cache", ignore_errors=True)
        path.write_bytes(damage)
        with pytest.raises(BridgekitError, match=f"'{name}' cannot be read in {whole} .*bridgekit download"):
            both(name, whole)
        data.download(name, whole)
        assert both(name, whole) == good


@pytest.mark.parametrize("name", published.SETS)
def test_damaged_caches_are_made_anew(name, whole):
    good = both(name, whole)
    path = store.cache_path(whole, f"{name}-train")
    body = path.read_bytes()
    for damage in [*damaged(body, 9), b"", b"garbage\n" * 9]:
        path.write_bytes(damage)
        assert both(name, whole) == good and path.read_bytes() == body
    for published_file in [whole / file for file in files_under(whole) if not file.startswith("cache")]:
        published_file.unlink()
    assert both(name, whole) == good and data.present(name, whole)  # decoded once


def test_a_root_that_cannot_be_written_has_no_cache(whole):
    (whole / "cache").write_text("in the way")
    assert len(data.load("mnist", root=whole)) == 30
    assert (whole / "cache").read_text() == "in the way"


# ------------------------------------------------------------------------------------------- the real one


def test_real_mnist(tmp_path):
    raw = data.data_root() / "MNIST" / "raw"
    (tmp_path / "MNIST").symlink_to(raw.parent)  # so that the cache goes to the temporary folder
    if not data.present("mnist", tmp_path):
        pytest.skip(f"REAL MNIST NOT TESTED: not under {raw}; set BRIDGEKIT_DATA or bridgekit download mnist")
    train, test = (data.load("mnist", split, root=tmp_path) for split in data.SPLITS)
    assert len(train) == 60_000 and len(test) == 10_000
    assert train.y[:5].tolist() == [5, 0, 4, 1, 9] and test.y[:5].tolist() == [7, 2, 1, 0, 4]
    assert torch.bincount(train.y).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert train.x.mean().item() == pytest.approx(2 * 0.1307 - 1, abs=1e-4)
    assert (train.fingerprint, test.fingerprint) == ("ccabbe5fed0440a8", "2b10d23d4e45a841")
