"""Data sets: content, order, caches, downloads from a local server, and every bad input."""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import os
import pickle
import shutil
import struct
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat
from torchvision.datasets import CIFAR10, MNIST, SVHN

from bridgekit import data
from bridgekit.__main__ import main
from bridgekit.data import digits as streets
from bridgekit.data import images, published, store
from bridgekit.errors import BridgekitError

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
    assert data.present("digits")
    with pytest.raises(BridgekitError, match="there are: digits, street, mnist, svhn, cifar10, folder:PATH"):
        data.present("zzz")
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


# ------------------------------------------------------------------------------------ a small fake MNIST


BATCHES = CIFAR10.base_folder


def md5(body: bytes) -> str:
    return hashlib.md5(body).hexdigest()


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def fake(monkeypatch):
    """Small files in MNIST's format, with the checksums to match: {file name: packed content}."""
    rng, bodies = np.random.default_rng(0), {}
    for stem, n in (("train", 30), ("t10k", 20)):
        bodies[f"{stem}-images-idx3-ubyte"] = idx(rng.integers(0, 256, (n, 28, 28), np.uint8))
        bodies[f"{stem}-labels-idx1-ubyte"] = idx((np.arange(n) % 10).astype(np.uint8))
    packed = {f"{file}.gz": gzip.compress(body) for file, body in bodies.items()}
    monkeypatch.setattr(published, "MNIST_SUMS", {file: md5(body) for file, body in bodies.items()})
    monkeypatch.setattr(MNIST, "resources", [(file, md5(body)) for file, body in packed.items()])
    return packed


def lay(fake, root, pack=False):
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, body in fake.items():
        (raw / (name if pack else name[:-3])).write_bytes(body if pack else gzip.decompress(body))
    return raw


def files_under(root):
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())


@pytest.mark.parametrize("pack", [False, True])
def test_mnist_from_files_packed_or_not(fake, tmp_path, pack):
    raw = lay(fake, tmp_path, pack)
    if not pack:  # what is there unpacked is taken
        (raw / "train-images-idx3-ubyte.gz").write_bytes(b"half")
    assert data.present("mnist", tmp_path)
    train, test = (data.load("mnist", split, root=tmp_path) for split in ("train", "test"))
    assert train.x.shape == (30, 1, 28, 28) and test.y.tolist() == [*range(10), *range(10)]
    pixels = np.frombuffer(gzip.decompress(fake["train-images-idx3-ubyte.gz"]), np.uint8, offset=16)
    expected = torch.from_numpy(pixels.reshape(30, 1, 28, 28) / 127.5 - 1).float()
    torch.testing.assert_close(train.x, expected)
    assert train.x.min() == -1 and train.x.max() == 1
    # decoded once: without the published files, from the cache
    for path in raw.iterdir():
        path.unlink()
    again = data.load("mnist", root=tmp_path)
    assert torch.equal(again.x, train.x) and again.fingerprint == train.fingerprint != test.fingerprint
    assert data.present("mnist", tmp_path)


def test_mnist_sizes(fake, tmp_path):
    lay(fake, tmp_path)
    x = data.load("mnist", root=tmp_path).x
    for size, first in ((32, 2), (31, 1)):
        grown = data.load("mnist", root=tmp_path, size=size).x
        assert grown.shape[-2:] == (size, size)
        inside = slice(first, first + 28)
        assert torch.equal(grown[..., inside, inside], x)
        assert (grown.sum() - x.sum()).item() == pytest.approx(-30 * (size**2 - 28**2))
    shrunk = data.load("mnist", root=tmp_path, size=14).x
    pillow = Image.fromarray(x[7, 0].numpy()).resize((14, 14), Image.Resampling.BICUBIC)
    torch.testing.assert_close(shrunk[7, 0], torch.from_numpy(np.array(pillow)).clamp(-1, 1))
    assert shrunk.shape == (30, 1, 14, 14) and shrunk.abs().max() <= 1


def test_mnist_that_is_not_there_names_three_ways_out(tmp_path, monkeypatch):
    monkeypatch.setenv("BRIDGEKIT_DATA", str(tmp_path / "none"))
    assert not data.present("mnist")
    with pytest.raises(BridgekitError) as caught:
        data.load("mnist")
    message = str(caught.value)
    for part in (str(tmp_path / "none"), "bridgekit download mnist", "BRIDGEKIT_DATA", "`digits`"):
        assert part in message
    assert not (tmp_path / "none").exists()


def test_data_root(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("BRIDGEKIT_DATA", raising=False)
    assert data.data_root() == tmp_path / ".cache" / "bridgekit"
    monkeypatch.setenv("BRIDGEKIT_DATA", "~/images")
    assert data.data_root() == tmp_path / "images"
    assert data.data_root(tmp_path / "here") == tmp_path / "here"


def truncated(body):
    return body[:-100]


def flipped(body):
    return body[:-1] + bytes([body[-1] ^ 1])


@pytest.mark.parametrize("damage", [truncated, flipped, lambda body: b""])
def test_a_damaged_mnist_file_is_named(fake, tmp_path, damage):
    path = lay(fake, tmp_path) / "train-images-idx3-ubyte"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(BridgekitError, match="its checksum is not the published one") as caught:
        data.load("mnist", root=tmp_path)
    assert str(path) in str(caught.value) and "digits" in str(caught.value)
    assert not (tmp_path / "cache").exists()
    assert len(data.load("mnist", "test", root=tmp_path)) == 20


@pytest.mark.parametrize("damage", [truncated, flipped, lambda body: b"not gzip"])
def test_a_damaged_packed_file_is_named(fake, tmp_path, damage):
    path = lay(fake, tmp_path, pack=True) / "train-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(BridgekitError, match="train-images-idx3-ubyte.gz cannot be read"):
        data.load("mnist", root=tmp_path)


# ---------------------------------------------------------------------------------------------- caches


@pytest.mark.parametrize("damage", [truncated, flipped, lambda body: b"", lambda body: b"garbage\n" * 9])
def test_a_damaged_cache_is_built_again(fake, tmp_path, damage):
    lay(fake, tmp_path)
    good = data.load("mnist", root=tmp_path)
    path = store.cache_path(tmp_path, "mnist-train")
    body = path.read_bytes()
    path.write_bytes(damage(body))
    again = data.load("mnist", root=tmp_path)
    assert torch.equal(again.x, good.x) and again.fingerprint == good.fingerprint
    assert path.read_bytes() == body


def test_a_root_that_cannot_be_written_has_no_cache(fake, tmp_path):
    lay(fake, tmp_path)
    (tmp_path / "cache").write_text("in the way")
    assert len(data.load("mnist", root=tmp_path)) == 30
    assert (tmp_path / "cache").read_text() == "in the way"


# ------------------------------------------------------------------------------------------- downloads


@pytest.fixture
def server(fake):
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
        mirror.bodies, mirror.cut, mirror.served = dict(fake), set(), set()
        mirror.url = f"http://127.0.0.1:{mirror.server_port}/files"
        thread = threading.Thread(target=mirror.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield mirror
        mirror.shutdown()
        thread.join()


RAW = [f"MNIST/raw/{n}-{s}-ubyte" for n in ("t10k", "train") for s in ("images-idx3", "labels-idx1")]


def test_download_and_again(server, tmp_path):
    assert data.download("mnist", tmp_path, mirror=server.url) == tmp_path
    assert files_under(tmp_path) == RAW and len(server.served) == 4
    assert len(data.load("mnist", root=tmp_path)) == 30
    server.served.clear()
    data.download("mnist", tmp_path, mirror=server.url + "/")
    assert not server.served


def test_download_on_demand_uses_every_mirror(server, tmp_path, monkeypatch):
    monkeypatch.setattr(MNIST, "mirrors", [server.url + "/nothing-here-", server.url + "/"])
    assert len(data.load("mnist", root=tmp_path, download=True)) == 30
    server.served.clear()
    assert len(data.load("mnist", "test", root=tmp_path, download=True)) == 20
    (tmp_path / "MNIST" / "raw" / "t10k-labels-idx1-ubyte").unlink()  # decoded already
    assert len(data.load("mnist", "test", root=tmp_path, download=True)) == 20
    assert not server.served
    store.cache_path(tmp_path, "mnist-test").write_bytes(b"damaged")
    assert len(data.load("mnist", "test", root=tmp_path, download=True)) == 20
    assert server.served == {"t10k-labels-idx1-ubyte.gz"}


def test_download_repairs_what_is_damaged_only(server, fake, tmp_path):
    raw = lay(fake, tmp_path)
    path = raw / "t10k-images-idx3-ubyte"
    good = path.read_bytes()
    path.write_bytes(truncated(good))
    data.download("mnist", tmp_path, mirror=server.url)
    assert path.read_bytes() == good and server.served == {"t10k-images-idx3-ubyte.gz"}


@pytest.mark.parametrize("how", ["corrupted", "other content", "interrupted", "not there", "no server"])
def test_a_broken_download_leaves_nothing_half_written(server, tmp_path, how):
    name, url = "t10k-images-idx3-ubyte.gz", server.url
    if how == "corrupted":
        server.bodies[name] = flipped(server.bodies[name])
    elif how == "other content":
        server.bodies[name] = server.bodies["train-images-idx3-ubyte.gz"]
    elif how == "interrupted":
        server.cut.add(name)
    elif how == "not there":
        del server.bodies[name]
    else:
        url = "http://127.0.0.1:9/"  # the discard port: nobody listens
    with pytest.raises(BridgekitError, match="could not be downloaded") as caught:
        data.download("mnist", tmp_path, mirror=url)
    assert "digits" in str(caught.value) and "127.0.0.1" in str(caught.value)
    expected = [] if how == "no server" else [f for f in RAW if "t10k" not in f]
    assert files_under(tmp_path) == expected
    assert not data.present("mnist", tmp_path)


def test_ctrl_c_in_a_download_leaves_nothing(server, tmp_path, monkeypatch):
    def interrupted(url, root, filename, md5):
        (tmp_path / "half").write_bytes(b"half")
        os.replace(tmp_path / "half", os.path.join(root, filename))
        raise KeyboardInterrupt

    monkeypatch.setattr("torchvision.datasets.utils.download_url", interrupted)
    with pytest.raises(KeyboardInterrupt):
        data.download("mnist", tmp_path, mirror=server.url)
    assert files_under(tmp_path) == []


def test_a_silent_mirror_is_given_up(server, tmp_path, monkeypatch):
    import socket

    monkeypatch.setattr(published, "TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with pytest.raises(BridgekitError, match="timed out"):
            data.download("mnist", tmp_path, mirror=f"http://127.0.0.1:{silent.getsockname()[1]}/")
    assert socket.getdefaulttimeout() is None


def test_download_errors(server, tmp_path):
    with pytest.raises(BridgekitError, match="what is downloaded is one of mnist, svhn, cifar10"):
        data.download("digits", tmp_path)
    with pytest.raises(BridgekitError, match="could not be downloaded"):
        data.download("mnist", tmp_path, mirror="not an address")
    (tmp_path / "MNIST").write_text("in the way")
    with pytest.raises(BridgekitError, match="cannot write .*Point BRIDGEKIT_DATA to a folder"):
        data.download("mnist", tmp_path, mirror=server.url)


# ------------------------------------------------------------------------------- SVHN and CIFAR-10, fake


@pytest.fixture
def fake_svhn(monkeypatch):
    """Small files in SVHN's format, and the checksums to match: {file name: content}."""
    bodies = {}
    for split, n in (("train", 12), ("test", 11)):
        random = np.random.default_rng(n)
        body = io.BytesIO()
        labels = (np.arange(n) % 10 + 1).astype(np.uint8)[:, None]  # 1 to 10, and 10 is the digit 0
        savemat(body, {"X": random.integers(0, 256, (32, 32, 3, n), np.uint8), "y": labels})
        bodies[f"{split}_32x32.mat"] = body.getvalue()
    for split, (url, file, _) in list(SVHN.split_list.items())[:2]:
        monkeypatch.setitem(SVHN.split_list, split, [url, file, md5(bodies[file])])
    return bodies


@pytest.fixture
def fake_cifar(monkeypatch):
    """A small archive in CIFAR-10's format, and the checksums to match: {file name: content}."""
    batches, random = {}, np.random.default_rng(0)
    for number, (file, _) in enumerate(CIFAR10.train_list + CIFAR10.test_list):
        pixels = random.integers(0, 256, (10, 3072), np.uint8)
        pixels[0] = np.repeat([0, 128, 255], 1024)  # one plane of each colour after the other
        labels = [(number + i) % 10 for i in range(10)]
        batches[file] = pickle.dumps({"data": pixels, "labels": labels})
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for file, body in batches.items():
            member = tarfile.TarInfo(f"{BATCHES}/{file}")
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
    for name in ("train_list", "test_list"):
        files = [[file, md5(batches[file])] for file, _ in getattr(CIFAR10, name)]
        monkeypatch.setattr(CIFAR10, name, files)
    monkeypatch.setattr(CIFAR10, "tgz_md5", md5(archive.getvalue()))
    return {CIFAR10.filename: archive.getvalue()}


def test_svhn(fake_svhn, server, tmp_path, monkeypatch):
    server.bodies |= fake_svhn
    assert not data.present("svhn", tmp_path)
    assert data.download("svhn", tmp_path, mirror=server.url) == tmp_path and data.present("svhn", tmp_path)
    assert files_under(tmp_path) == ["test_32x32.mat", "train_32x32.mat"]
    train, test = (data.load("svhn", split, root=tmp_path) for split in data.SPLITS)
    assert train.x.shape == (12, 3, 32, 32) and test.y.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    monkeypatch.setattr("torchvision.datasets.svhn.check_integrity", lambda *_: True)
    theirs = SVHN(tmp_path, "test")
    np.testing.assert_allclose(test.x.numpy(), theirs.data / 127.5 - 1, atol=1e-6)
    assert test.y.tolist() == theirs.labels.tolist()
    # decoded once: from the cache without the published files
    for file in fake_svhn:
        (tmp_path / file).unlink()
    assert torch.equal(data.load("svhn", root=tmp_path).x, train.x) and data.present("svhn", tmp_path)


def test_cifar10(fake_cifar, server, tmp_path):
    server.bodies |= fake_cifar
    assert not data.present("cifar10", tmp_path)
    data.download("cifar10", tmp_path, mirror=server.url)
    assert data.present("cifar10", tmp_path) and len(files_under(tmp_path)) == 6
    train, test = (data.load("cifar10", split, root=tmp_path) for split in data.SPLITS)
    assert train.x.shape == (50, 3, 32, 32) and train.classes[:2] == ("airplane", "automobile")
    assert test.y.tolist() == [(5 + i) % 10 for i in range(10)]
    assert train.x[0].mean((-2, -1)).tolist() == pytest.approx([-1, 128 / 127.5 - 1, 1], abs=1e-6)
    server.served.clear()
    data.download("cifar10", tmp_path, mirror=server.url)
    assert not server.served
    batch = tmp_path / BATCHES / "data_batch_2"
    good = batch.read_bytes()
    batch.write_bytes(flipped(good))
    data.download("cifar10", tmp_path, mirror=server.url)
    assert batch.read_bytes() == good


@pytest.mark.parametrize("name", ["svhn", "cifar10"])
def test_what_is_not_there_names_three_ways_out(name, tmp_path):
    with pytest.raises(BridgekitError) as caught:
        data.load(name, root=tmp_path)
    for part in (f"bridgekit download {name}", "BRIDGEKIT_DATA", "`street`", str(tmp_path)):
        assert part in str(caught.value)


def mirrored(monkeypatch, url):
    """The published addresses of SVHN and CIFAR-10 are this one."""
    for split, (_, file, sum_) in list(SVHN.split_list.items())[:2]:
        monkeypatch.setitem(SVHN.split_list, split, [f"{url}/{file}", file, sum_])
    monkeypatch.setattr(CIFAR10, "url", f"{url}/{CIFAR10.filename}")


@pytest.mark.parametrize("name", ["svhn", "cifar10"])
def test_download_on_demand(name, fake_svhn, fake_cifar, server, tmp_path, monkeypatch):
    server.bodies |= fake_svhn | fake_cifar
    mirrored(monkeypatch, server.url)
    assert len(data.load(name, "test", root=tmp_path, download=True)) > 9


@pytest.mark.parametrize("how", ["corrupted", "interrupted", "not there"])
@pytest.mark.parametrize("name", ["svhn", "cifar10"])
def test_a_broken_download_of_colours_leaves_nothing(name, how, fake_svhn, fake_cifar, server, tmp_path):
    server.bodies |= fake_svhn | fake_cifar
    file = {"svhn": "train_32x32.mat", "cifar10": CIFAR10.filename}[name]
    if how == "corrupted":
        server.bodies[file] = flipped(server.bodies[file])
    elif how == "interrupted":
        server.cut.add(file)
    else:
        del server.bodies[file]
    with pytest.raises(BridgekitError, match="could not be downloaded.*127.0.0.1.*street"):
        data.download(name, tmp_path, mirror=server.url)
    assert files_under(tmp_path) == []


@pytest.mark.parametrize(("name", "file"), [("svhn", "train_32x32.mat"), ("cifar10", "data_batch_3")])
def test_a_damaged_file_of_colours_is_named(name, file, fake_svhn, fake_cifar, server, tmp_path):
    server.bodies |= fake_svhn | fake_cifar
    data.download(name, tmp_path, mirror=server.url)
    (path,) = tmp_path.rglob(file)
    path.write_bytes(flipped(path.read_bytes()))
    with pytest.raises(BridgekitError, match=f"{file} is damaged: its checksum is not the published one"):
        data.load(name, root=tmp_path)
    assert not (tmp_path / "cache").exists()


def test_command_line_downloads(fake_svhn, server, tmp_path, monkeypatch, capsys):
    server.bodies |= fake_svhn
    mirrored(monkeypatch, server.url)
    monkeypatch.setenv("BRIDGEKIT_DATA", str(tmp_path))
    assert main(["download", "svhn"]) == 0
    assert capsys.readouterr().out.endswith(f"{tmp_path}\n") and data.present("svhn")
    assert main(["download", "street"]) == 2
    assert "Nothing to download for 'street'" in capsys.readouterr().err


# --------------------------------------------------------------------------------- damaged, 120 times over


def damaged(body: bytes, random: np.random.Generator) -> bytes:
    """One thing that happens to files: flipped bits, a lost end, zeros, a block of elsewhere, more bytes."""
    at, many = int(random.integers(len(body))), int(random.integers(1, 513))
    changed = bytearray(body)
    how = random.integers(5)
    if how == 0:
        for place in random.integers(len(body), size=random.integers(1, 9)):
            changed[place] ^= 1 << int(random.integers(8))
    elif how == 1:
        del changed[at:]
    elif how == 2:
        changed[at : at + many] = bytes(len(changed[at : at + many]))
    elif how == 3:
        changed[at : at + many] = body[:many]
    else:
        changed[at:at] = random.bytes(many)
    return bytes(changed)


def both(name, root):
    """What decides a page's numbers: pixels, labels, classes and fingerprint of both splits."""
    sets = [data.load(name, split, root=root) for split in data.SPLITS]
    return [(i.x.numpy().tobytes(), i.y.tolist(), i.classes, i.fingerprint) for i in sets]


@pytest.fixture
def whole(fake, fake_svhn, fake_cifar, server, tmp_path):
    """A data root with every published file; ``server`` has them too."""
    server.bodies |= fake_svhn | fake_cifar
    for name in ("mnist", "svhn", "cifar10"):
        data.download(name, tmp_path, mirror=server.url)
    return tmp_path


def noticed(path, body, random, name, root, good) -> bool:
    """Whether damage was noticed, by an error that names the file; otherwise it must have been harmless."""
    path.write_bytes(damaged(body, random))
    try:
        assert both(name, root) == good
    except BridgekitError as error:
        assert path.name in str(error)
        return True
    return False


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("mnist", "MNIST/raw/train-images-idx3-ubyte"),
        ("svhn", "train_32x32.mat"),
        ("cifar10", f"{BATCHES}/data_batch_3"),
    ],
)
def test_damaged_published_files_are_named_and_made_anew(name, file, whole, server):
    path, random = whole / file, np.random.default_rng(1)
    good, body = both(name, whole), path.read_bytes()
    for _ in range(12):
        shutil.rmtree(whole / "cache", ignore_errors=True)
        if noticed(path, body, random, name, whole, good):
            data.download(name, whole, mirror=server.url)
        assert both(name, whole) == good


@pytest.mark.parametrize("file", ["train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"])
def test_damaged_packed_files_are_named_or_harmless(file, fake, tmp_path):
    path, random = lay(fake, tmp_path, pack=True) / file, np.random.default_rng(2)
    good, outcomes = both("mnist", tmp_path), []
    for _ in range(12):
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        outcomes.append(noticed(path, fake[file], random, "mnist", tmp_path, good))
    assert outcomes.count(True) > 8  # flips in the header's date are harmless


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("mnist", "train-images-idx3-ubyte.gz"),
        ("svhn", "test_32x32.mat"),
        ("cifar10", "cifar-10-python.tar.gz"),
    ],
)
def test_damaged_archives_are_not_put_in_place(name, file, whole, server, tmp_path):
    random, body, files = np.random.default_rng(3), server.bodies[file], files_under(whole)
    for path in files:
        if not path.startswith("MNIST") or "train-images" in path:
            (whole / path).unlink()
    left = files_under(whole)
    for _ in range(10):
        server.bodies[file] = damaged(body, random)
        with pytest.raises(BridgekitError, match="could not be downloaded"):
            data.download(name, whole, mirror=server.url)
        assert file == "test_32x32.mat" or files_under(whole) == left
    server.bodies[file] = body
    data.download(name, whole, mirror=server.url)
    both(name, whole)


@pytest.mark.parametrize("name", ["mnist", "svhn", "cifar10"])
def test_damaged_caches_are_made_anew(name, whole):
    random, good = np.random.default_rng(4), both(name, whole)
    path = store.cache_path(whole, f"{name}-train")
    body = path.read_bytes()
    for _ in range(10):
        path.write_bytes(damaged(body, random))
        assert both(name, whole) == good and path.read_bytes() == body


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
