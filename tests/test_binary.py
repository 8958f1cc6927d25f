"""Binary images, their parts and who draws from which: the laws, and mutants that break them."""

from __future__ import annotations

import itertools

import pytest
import torch
from mutants import survivors

from bridgekit.data import binary
from bridgekit.data.images import Images
from bridgekit.errors import BridgekitError
from bridgekit.play import draws


def images(x, y, classes=3, name="toy", split="train"):
    return Images(x, y, tuple("abcdefgh"[:classes]), name, split, "of-this-test")


GREY = 2 * torch.rand(400, 1, 2, 3, generator=torch.Generator().manual_seed(0)) - 1
GREY[:, 0, 0, 0], GREY[:, 0, 0, 1], GREY[:, 0, 1, 0] = -1, 1, 0
TOY = images(GREY, torch.arange(400) % 3)
# 20, 35 and 5 images of three classes, in no order.
LABELS = torch.tensor([0] * 20 + [1] * 35 + [2] * 5)[
    torch.randperm(60, generator=torch.Generator().manual_seed(1))
]


def binarised(function):
    """Pixels with the grey levels for probabilities, once for each seed, name and split; labels; a digest."""
    pairs = function(TOY)
    x, y = pairs.rows.split([6, 3], 1)
    assert pairs.pixels == 6 and pairs.shape == (1, 2, 3) and pairs.rows.dtype == torch.float32
    assert torch.equal(y, torch.eye(3)[TOY.y]) and ((x == 0) | (x == 1)).all()
    assert (x[:, 0] == 0).all() and (x[:, 1] == 1).all() and abs(float(x[:, 3].mean()) - 0.5) < 0.1
    p = (GREY.flatten(1) + 1) / 2
    free = p[:, [2, 4, 5]]
    off = (x - p)[:, [2, 4, 5]].sum() / (free * (1 - free)).sum().sqrt()
    assert abs(float(off)) < 4 and abs(float(((x - p) * (p - 0.5)).sum())) < 10
    again = function(TOY, 0)
    assert torch.equal(again.rows, pairs.rows) and again.fingerprint == pairs.fingerprint
    assert len(pairs.fingerprint) == 16 and int(pairs.fingerprint, 16)
    others = [
        function(TOY, 1),
        function(images(GREY, TOY.y, name="other")),
        function(images(GREY, TOY.y, split="test")),
    ]
    others.append(function(images(GREY, TOY.y.flip(0))))
    assert len({found.fingerprint for found in (pairs, *others)}) == 5
    for found in others[:3]:  # other bits; only the labels differ in the last
        assert not torch.equal(found.rows[:, :6], x)
    assert torch.equal(others[3].rows[:, :6], x)
    # The same row of bits is another data set where its label begins elsewhere.
    three = function(images(torch.tensor([1.0, 1, -1]).view(1, 1, 1, 3), torch.tensor([0]), 1))
    two = function(images(torch.tensor([1.0, 1]).view(1, 1, 1, 2), torch.tensor([1]), 2))
    assert torch.equal(two.rows, three.rows) and two.fingerprint != three.fingerprint


def strata(function):
    """Disjoint, stratified by largest remainders, in random order, by the seed and what comes before."""
    seeds = [3, 4]
    parts = function(LABELS, [14, 13], seeds)
    assert len(parts) == 3
    first, second, rest = parts
    assert [tuple(part.shape) for part in (first, second, rest)] == [(2, 14), (2, 13), (2, 33)]
    for trial in range(2):
        whole = torch.cat([part[trial] for part in (first, second, rest)])
        assert torch.equal(whole.sort().values, torch.arange(60))
        # 14 of 60 are 4.67, 8.17 and 1.17 of 20, 35 and 5; 13 are 4.33, 7.58 and 1.08.
        assert LABELS[first[trial]].bincount().tolist() == [5, 8, 1]
        assert LABELS[second[trial]].bincount().tolist() == [4, 8, 1]
        for part in (first, second, rest):
            labels, rows = LABELS[part[trial]], part[trial]
            assert labels.diff().count_nonzero() > 2, "a part is in the order of its classes"
            assert 0 < int((rows.diff() > 0).sum()) < len(rows) - 1, "a part is in the order of the data"
            for label in (0, 1):  # and a class within its part is not in the order of the data either
                mine = rows[labels == label]
                assert not torch.equal(mine, mine.sort().values)
    assert not torch.equal(first[0].sort().values, first[1].sort().values)
    for i, seed in enumerate(seeds):  # a trial's division is its own seed's
        alone = function(LABELS, [14, 13], [seed])
        assert all(
            torch.equal(part[0], all_[i]) for part, all_ in zip(alone, (first, second, rest), strict=True)
        )
    same, fewer, _ = function(LABELS, [14, 7], seeds)
    assert torch.equal(same, first)
    assert all(set(a.tolist()) < set(b.tolist()) for a, b in zip(fewer, second, strict=True))
    whole, none = function(torch.arange(6) % 2, [6], [0])
    assert whole.shape == (1, 6) and none.shape == (1, 0)  # all there is may be taken
    for sizes in ([2], [59, 3], [40, 40]):  # none of class 2, once or at last; more than there are
        assert refused(function, LABELS, sizes, [0]), sizes
    assert refused(function, LABELS, [14], [3, 3]), "a seed that is there twice"


def refused(function, *arguments):
    """Whether it says in its own words what is wrong."""
    try:
        function(*arguments)
    except BridgekitError:
        return True
    return False


def from_parts(cls):
    """Each trial's rows are its own part's, every one as likely as the others."""
    rows, parts = torch.arange(24.0).view(12, 2), torch.tensor([[0, 3, 5], [7, 8, 11]])
    draw = cls(rows, parts, 2)
    drawn = torch.stack([draw.chunk(900, torch.Generator().manual_seed(s)) for s in (5, 5)], 1)
    assert drawn.shape == (900, 2, 2) and torch.equal(drawn[:, 0], drawn[:, 1])
    assert ((drawn.flatten().bincount(minlength=3) - 1200).abs() < 5 * (3600 * 2 / 9) ** 0.5).all()
    for found in drawn[:20]:
        taken = draw.take(found)
        assert taken.shape == (2, 2, 2)
        for trial, place in itertools.product(range(2), range(2)):
            assert torch.equal(taken[trial, place], rows[parts[trial, found[trial, place]]])
    assert len({cls(rows, p, 2).fingerprint for p in (parts, parts.flip(0), parts.flip(1))}) == 3
    assert draw.fingerprint == cls(rows, parts.clone(), 2).fingerprint
    assert cls(rows, parts, 3).batch == 3  # a part may be as small as a batch


ORACLES = {binary.binarised: binarised, binary.strata: strata}
CPU = "all is on the CPU here"
EQUIVALENT = {
    binary.binarised: {
        "grey = (images.x.flatten(1) + 1) / 2": CPU,
        "return Pairs(rows, x.shape[1], digest, tuple(images.x.shape[1:]))": CPU,
        "x, y = ((draws < grey).float(), F.one_hot(images.y, len(images.classes)).float())": CPU,
        "x, y = (draws < grey, F.one_hot(images.y.cpu(), len(images.classes)).float())": "beside floats",
        "x, y = ((draws < grey).float(), F.one_hot(images.y.cpu(), len(images.classes)))": "beside floats",
        "x, y = ((draws <= grey).float(), F.one_hot(images.y.cpu(), len(images.classes)).float())": "a draw "
        "and a grey level are equal once in sixteen million",
        "digest = hashlib.sha256(rows.numpy().tobytes() + str(x.shape).encode()).hexdigest()[:16]": "as good "
        "a digest",
    },
    binary.strata: {
        "labels, counts = y.unique(return_counts=True)": CPU,
        "rows = [(y == label).nonzero().squeeze(1) for label in labels]": CPU,
        "return [torch.stack(part) for part in chosen]": CPU,
    },
}


@pytest.mark.parametrize("function", ORACLES, ids=lambda function: function.__name__)
def test_bits_and_parts_are_what_they_say(function):
    ORACLES[function](function)


@pytest.mark.parametrize("function", ORACLES, ids=lambda function: function.__name__)
def test_no_mutant_of_bits_and_parts_is_what_it_says(function):
    assert survivors(ORACLES[function], function) == EQUIVALENT[function].keys()


def test_parts_may_take_every_image():
    *_, rest = binary.strata(LABELS, [60], [3])
    assert rest.shape == (1, 0)
    with pytest.raises(BridgekitError, match="cannot be taken from each of 3 classes: change the shares"):
        binary.strata(LABELS, [61], [3])


def test_every_trial_draws_from_its_own_part():
    from_parts(draws.FromParts)


def test_images_without_their_labels_are_another_data_set():
    pairs = binary.binarised(TOY)
    bare = pairs.unlabelled()
    assert torch.equal(bare.rows, pairs.rows[:, :6]) and bare.rows.is_contiguous()
    assert (pairs.classes, bare.classes) == (3, 0) and bare.pixels == pairs.pixels == 6
    assert bare.shape == pairs.shape and bare.fingerprint == pairs.unlabelled().fingerprint
    assert bare.fingerprint != pairs.fingerprint
