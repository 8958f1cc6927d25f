"""Evaluation classifiers of images: one per data set, trained once by a rule of its own, then only loaded.

``make`` trains one where it is missing; ``load``, which pages call, never does. The weights lie in one
checksummed file each, ``<data root>/cache/classifier-….weights``, named for everything that they depend on:
the data, the rule and the code. Where the data root cannot be written that is ``~/.cache/bridgekit/cache``.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from bridgekit import closure, data, files
from bridgekit.data.folders import DEFAULT_ROOT
from bridgekit.data.images import Images
from bridgekit.errors import BridgekitError
from bridgekit.games.classifying import classification
from bridgekit.models.residual import ResidualNet
from bridgekit.play import loop

SEED = 0
BATCH = 1000  # images that are classified together
ROOM = 40 << 20  # bytes: two checkpoints, each with the weights fourteen times, of a thousand classes


@dataclass(frozen=True)
class Rule:
    """How one classifier is trained: rounds of ``batch`` images each, moved by up to ``shift`` pixels.

    Its weights are the average over the last fifth of the rounds (Izmailov et al. 2018), at a constant rate.
    """

    rounds: int = 20_000
    batch: int = 64
    width: int = 24
    lr: float = 2e-3
    shift: int = 2


# On one thread about 10 s, 15 s, half a minute (at 64 x 64 two), two minutes and half an hour. What is not
# named here follows the default, half an hour.
RULES = {
    "digits": Rule(rounds=100, lr=1e-3, shift=0),
    "street": Rule(rounds=160, lr=3e-3, shift=1),
    "faces": Rule(rounds=300, lr=3e-3, shift=1),
    "mnist": Rule(rounds=1500),
    "celeba": Rule(rounds=4000),
}


@dataclass(frozen=True, eq=False)
class Classifier:
    """A trained network that classifies images of one ``shape`` (C, H, W), in [-1, 1].

    Images on another scale are refused, as far as it can be seen (:func:`in_range`). ``accuracy`` is its
    share of right answers on the data set's test images. A data set with attributes has no ``classes``, and
    the sign of each logit answers for one attribute: ``attributes`` has the share of right answers for each,
    and ``accuracy`` is their mean. ``fingerprint`` is 16 hex digits of the SHA-256 of its weights: numbers
    that two runs computed with equal fingerprints can be compared.
    """

    name: str
    net: ResidualNet
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    accuracy: float
    fingerprint: str
    attributes: Mapping[str, float] = field(default_factory=dict)

    @torch.no_grad()
    def logits(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, K), in batches. Raises BridgekitError for images of another shape or scale."""
        return self._batched(self.net, x)

    @torch.no_grad()
    def features(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, F), what the last layer reads, in batches. Raises as ``logits`` does."""
        return self._batched(self.net.features, x)

    def _batched(self, function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        if tuple(x.shape[1:]) != self.shape:
            raise BridgekitError(
                f"the {self.name} classifier takes images of {_shape(self.shape)}, not of "
                f"{_shape(x.shape[1:])}: load the data and the classifier with the same size and channels."
            )
        in_range(x)
        return torch.cat([function(part) for part in x.split(BATCH)])


def in_range(x: Tensor) -> None:
    """Raise BridgekitError for images (N, ...) that are not in [-1, 1], the scale of ``data.load``.

    There is no tolerance: data are clamped, and generators end in tanh. Numbers that are not finite are left
    to whoever scores the images. Images in [0, 1] are images in [-1, 1] too, only bright ones. They are
    refused where, together, they have no number below 0 and come within 0.01 of both 0 and 1. Data on that
    scale do, and so do good samples. A generator in [-1, 1] that has collapsed to white has its darkest point
    anywhere in [0, 1], and is not refused unless that lies in the first hundredth. What cannot be told is
    images in [0, 1] without black or without white, such as those of a generator that has hardly learned.
    """
    finite = x if x.isfinite().all() else x[x.isfinite()]
    if not finite.numel():
        return
    low, high = (float(end) for end in finite.aminmax())
    if -1 <= low and high <= 1 and not (0 <= low < 0.01 and high > 0.99):
        return
    way = "clamp or rescale them"
    if low >= 0 and not 1 < high <= 2:
        way = "use 2 * x - 1" if high <= 1 else "use x / 127.5 - 1"
    raise BridgekitError(f"images are wanted in [-1, 1], and these are in [{low:g}, {high:g}]: {way}.")


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) + " (channels x rows x columns)"


def load(
    name: str,
    *,
    size: int | None = None,
    channels: int | None = None,
    device: torch.device | str = "cpu",
    root: str | Path | None = None,
) -> Classifier:
    """The evaluation classifier of a data set, on ``device``; ``size`` and ``channels`` as for ``data.load``.

    Raises BridgekitError where it has not been trained, with the command that does, and where the data set
    itself is missing.
    """
    file = _file(name, size, channels, root)
    found = _read(name, file, root, device)
    if found is None:
        options = "".join(f" --{k} {v}" for k, v in (("size", size), ("channels", channels)) if v is not None)
        raise BridgekitError(
            f"there is no classifier of {name!r} here (or its file is damaged): make it with: "
            f"python -m bridgekit classifier {name}{options}"
        )
    return found


def make(
    name: str,
    *,
    size: int | None = None,
    channels: int | None = None,
    device: torch.device | str = "cpu",
    root: str | Path | None = None,
) -> Classifier:
    """The classifier of a data set, trained first where ``load`` fails: on ``device``, a CPU with one thread.

    On a CPU the same weights come out every time, on a GPU nearly so. They are renamed into place whole; a
    training that is killed is taken up again by the next one, and of two that begin at once the second waits
    for the first. Raises BridgekitError where the data set is missing, and where no place for the weights can
    be written.
    """
    file = _file(name, size, channels, root)
    found = _read(name, file, root, device)
    if found is None:
        place = _writable(root) / file
        lock = place.with_suffix(files.LOCK)
        with files.locked(lock):
            if _read(name, file, root, device) is None:
                sets = [data.load(name, s, size=size, channels=channels, root=root) for s in data.SPLITS]
                _train(*sets, RULES.get(name, Rule()), place, torch.device(device))
            lock.unlink(missing_ok=True)
        found = _read(name, file, root, device)
    return found


@functools.cache
def _code() -> str:
    """A hash of the code that decides the weights."""
    needed = closure.modules("import bridgekit.games.classifying, bridgekit.play.loop")
    return closure.digest(closure.tree([Path(__file__), *needed.values()], closure.PACKAGE))


def _file(name: str, size: int | None, channels: int | None, root: str | Path | None) -> str:
    """The name of the weights' file: whatever decides what is in it is in its name."""
    facts = [data.identity(name, s, size=size, channels=channels, root=root) for s in data.SPLITS]
    text = json.dumps([facts, asdict(RULES.get(name, Rule())), SEED, _code()])
    return f"classifier-{name.partition(':')[0]}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.weights"


def _places(root: str | Path | None) -> list[Path]:
    """Where weights may lie: beside the decoded images, or, where that cannot be written, at home."""
    homes = (data.data_root(root), files.expanded(DEFAULT_ROOT))
    return list(dict.fromkeys(home / "cache" for home in homes))


def _writable(root: str | Path | None) -> Path:
    """The first of the places that can be written and has ``ROOM``; BridgekitError where none does."""
    tried = []
    for place in _places(root):
        try:
            place.mkdir(parents=True, exist_ok=True)
            files.reserve(place, ROOM)
            return place
        except OSError as error:
            tried.append(f"{place} ({error.strerror})")
    raise BridgekitError(
        f"classifiers are kept in neither {' nor '.join(tried)}: point BRIDGEKIT_DATA to a folder that can "
        f"be written and has {ROOM >> 20} MB of room."
    )


def _train(train: Images, test: Images, rule: Rule, place: Path, device: torch.device) -> None:
    """Train by the rule, measure, and write the weights to ``place``."""
    game = classification(_on(train, device), **asdict(rule))
    threads, checkpoint = torch.get_num_threads(), place.with_suffix(".pt")
    torch.set_num_threads(1)  # results differ between one thread and two
    try:
        state = loop.start(game, [SEED], device)
        for now in loop.fit(game, state, "learn", at=_averaged(rule.rounds), checkpoint=checkpoint):
            now.keep(**now.nets["C"].state_dict())
        net = state.nets["C"].eval()
        net.load_state_dict({k: _mean(state.kept(k)) for k in net.state_dict()})
        classifier = Classifier(train.name, net, tuple(train.x.shape[1:]), train.labels, 0.0, "")
        logits = classifier.logits(test.x.to(device))
        right = (logits > 0 if train.attributes else logits.argmax(-1)) == test.y.to(device)
    finally:
        torch.set_num_threads(threads)
    content = {
        "weights": {k: v.cpu() for k, v in net.state_dict().items()},
        "shape": classifier.shape,
        "labels": train.labels,
        "right": right.double().mean(0).tolist(),  # one number, or one of each attribute
        "width": rule.width,
    }
    body = io.BytesIO()
    torch.save(content, body)
    try:
        files.write_checked(place, body.getvalue())
    except OSError as error:
        way_out = (
            f"{files.why(error)} The training itself is kept, in {checkpoint.name}, and is taken up again."
        )
        raise BridgekitError(f"cannot write the trained classifier {place}: {way_out}") from error
    checkpoint.unlink(missing_ok=True)


def _averaged(rounds: int) -> range:
    """Eleven rounds, evenly spaced over the last fifth: the weights are averaged there."""
    return range(rounds - rounds // 50 * 10, rounds + 1, max(1, rounds // 50))


def _mean(values: Tensor) -> Tensor:
    """Over the first axis; a counter keeps its last value."""
    return values.double().mean(0).to(values.dtype) if values.is_floating_point() else values[-1]


def _on(images: Images, device: torch.device) -> Images:
    return replace(images, x=images.x.to(device), y=images.y.to(device))


def _read(name: str, file: str, root: str | Path | None, device: torch.device | str) -> Classifier | None:
    """The classifier from the first place that has its file whole."""
    body = next(filter(None, (files.read_checked(place / file) for place in _places(root))), None)
    if body is None:
        return None
    kept = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
    net = ResidualNet([torch.Generator()], len(kept["labels"]), kept["shape"][0], kept["width"])
    net.load_state_dict(kept["weights"])
    digest = hashlib.sha256()
    for key, value in net.state_dict().items():
        digest.update(f"{key}{tuple(value.shape)}".encode() + value.numpy().tobytes())
    net = net.eval().requires_grad_(False).to(device)
    shape, labels, right = tuple(kept["shape"]), tuple(kept["labels"]), kept["right"]
    of_each = dict(zip(labels, right, strict=True)) if isinstance(right, list) else {}
    accuracy, classes = (sum(right) / len(right), ()) if of_each else (right, labels)
    return Classifier(name, net, shape, classes, accuracy, digest.hexdigest()[:16], of_each)
