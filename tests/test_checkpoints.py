"""Checkpoints: every part of a state comes back, and damage is noticed or does not matter."""

import dataclasses
import io
import random
import warnings
from contextlib import contextmanager

import pytest
import torch

from bridgekit import data, files
from bridgekit.errors import BridgekitError
from bridgekit.games import bridge, setups
from bridgekit.play import checkpoints
from bridgekit.play.loop import fit, play
from bridgekit.play.state import State, start

SEEDS = (0, 1)
UNCHANGED = {"seeds", "device", "source"}  # which say what a state is, not how far it is
PARTS = [field.name for field in dataclasses.fields(State) if field.name not in UNCHANGED]


@pytest.fixture(scope="module")
def game():
    """Spectral vectors, and a phase that draws new weights and takes a new optimiser."""
    setup = setups.plane(data.mixture("gaussians25"), batch=8, hidden=6, depth=2, spectral=True)
    return bridge.fine_tuning(setup, ml_rounds=12, rounds=6)


def lived(game, checkpoint=None):
    """A state in the middle of the second phase, with everything in it that a state can hold."""
    state = start(game, SEEDS)
    for phase, rounds in (("I", 12), ("cold", 4)):
        for now in fit(game, state, phase, rounds, at=(2, 4), checkpoint=checkpoint):
            now.keep(trace=state.nets["G"].weights[0].sum((1, 2)), modes=float(now.played[phase]))
    state.failed[1] = {"phase": "cold", "round": 3, "player": "G"}
    return state


@pytest.fixture(scope="module")
def kept(game, tmp_path_factory):
    """A state that has lived, not to be changed, and the file that a run of it leaves."""
    path = tmp_path_factory.mktemp("kept") / "c.pt"
    state = lived(game, checkpoint=path)
    return state, path.read_bytes()


def flat(value, where=()):
    """Everything in `value` that can be compared: {path: tensor or plain value}."""
    if isinstance(value, torch.nn.Module):
        value = dict(value.named_parameters()) | dict(value.named_buffers())
    elif isinstance(value, torch.Generator):
        value = value.get_state()
    elif isinstance(value, torch.optim.Optimizer):
        value = value.state_dict()
    if isinstance(value, (list, tuple)):
        value = dict(enumerate(value))
    if isinstance(value, dict):
        pairs = [pair for key, item in value.items() for pair in flat(item, (*where, key)).items()]
        return {where: sorted(map(str, value))} | dict(pairs)
    return {where: value.detach().clone() if isinstance(value, torch.Tensor) else value}


def same(a, b):
    """Whether two flat values are equal, bit for bit."""
    return a.keys() == b.keys() and all(
        torch.equal(a[k], b[k]) if isinstance(a[k], torch.Tensor) else a[k] == b[k] for k in a
    )


def whole(state):
    return flat({part: getattr(state, part) for part in PARTS})


@contextmanager
def said():
    """Collects the warnings that the block gives, but for those of what is collected meanwhile (sockets)."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield (messages := [])
    messages += [str(each.message) for each in caught if each.category is not ResourceWarning]


@pytest.mark.parametrize("part", PARTS)
def test_every_part_of_a_state_comes_back(game, kept, tmp_path, part):
    """A new field of State needs a place in the checkpoint, or in UNCHANGED."""
    (state, _), again = kept, start(game, SEEDS)
    before, fresh = flat(getattr(state, part)), flat(getattr(again, part))
    assert not same(before, fresh)  # or its loss would not show
    checkpoints.save(tmp_path / "c.pt", state, "it")
    assert checkpoints.load(tmp_path / "c.pt", again, "it")
    assert same(flat(getattr(again, part)), before)


def test_a_state_that_came_back_goes_on_as_the_other_does(game, tmp_path):
    state, again = lived(game), start(game, SEEDS)
    checkpoints.save(tmp_path / "c.pt", state, "it")
    checkpoints.load(tmp_path / "c.pt", again, "it")
    for one in (state, again):
        play(game, one, "cold")
        play(game, one, "warm", 3)
    assert same(whole(again), whole(state))


def test_four_hundred_flipped_bits_are_noticed_or_harmless(game, kept, tmp_path):
    path, draw, content = tmp_path / "c.pt", random.Random(0), kept[1]
    end = whole(play(game, lived(game), "cold"))
    state = start(game, SEEDS)
    fresh, identity = whole(state), checkpoints.identity(game, state)
    harmless = 0
    for bit in draw.sample(range(8 * len(content)), 400):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with said() as messages:
            taken = checkpoints.load(path, state, identity)
        if taken:
            assert same(whole(play(game, state, "cold")), end), bit
            harmless, state = harmless + 1, start(game, SEEDS)
        else:
            assert len(messages) == 1 and messages[0].startswith("c.pt "), bit
            assert same(whole(state), fresh), bit
    assert harmless < 400


def old_format(content):
    """As it was written before there was a sum: the archive alone."""
    return content.partition(b"\n")[2]


DAMAGES = {
    "empty": lambda content: b"",
    "half": lambda content: content[: len(content) // 2],
    "one byte short": lambda content: content[:-1],
    "one byte more": lambda content: content + b"\0",
    "a block of zeros": lambda content: content[:4096] + bytes(512) + content[4608:],
    "zeros": lambda content: bytes(len(content)),
    "an earlier version's": old_format,
    "a later version's": lambda content: content.replace(b"-1 ", b"-2 ", 1),
    "another file's": lambda content: b"# Notes\n\nof somebody\n",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_run_from_a_damaged_checkpoint_ends_as_one_without(game, tmp_path, damage):
    path = tmp_path / "c.pt"
    straight = play(game, start(game, SEEDS), "I", checkpoint=path)
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    state = start(game, SEEDS)
    with said() as messages:
        play(game, state, "I", checkpoint=path)
    assert len(messages) == 1 and "c.pt is damaged" in messages[0] and "starting anew" in messages[0]
    assert same(whole(state), whole(straight))
    with said() as messages:  # it was made anew
        assert checkpoints.load(path, start(game, SEEDS), checkpoints.identity(game, state))
    assert not messages


def test_a_folder_in_its_place_is_one_clear_error_at_once(game, tmp_path):
    (tmp_path / "c.pt").mkdir()
    with pytest.raises(BridgekitError, match=r"c\.pt is a folder.*move it away"):
        play(game, start(game, SEEDS), "I", checkpoint=tmp_path / "c.pt")


def put(content, path, value):
    """`content` with another value at `path`."""
    *way, last = path
    for step in way:
        content = content[step]
    content[last] = value


def drop(content, path):
    *way, last = path
    for step in way:
        content = content[step]
    del content[last]


SINGLE = torch.zeros(())
MISFITS = {
    "another name for a key": lambda c: put(c["plain"], ["histoqy"], c["plain"].pop("history")),
    "a network less": lambda c: drop(c, ["nets", "D"]),
    "a network more": lambda c: put(c, ["nets", "C"], {}),
    "a buffer less": lambda c: drop(c, ["nets", "D", "body.u0"]),
    "another shape": lambda c: put(c, ["nets", "G", "weights.0"], torch.zeros(2, 2, 5)),
    "one trial for all": lambda c: put(c, ["nets", "G", "weights.0"], c["nets"]["G"]["weights.0"][:1]),
    "another dtype": lambda c: put(c, ["nets", "G", "weights.0"], c["nets"]["G"]["weights.0"].double()),
    "no tensor": lambda c: put(c, ["nets", "G", "weights.0"], 0.5),
    "an optimiser less": lambda c: drop(c, ["optimisers", "E"]),
    "moments of another shape": lambda c: put(c, ["optimisers", "E", "state", 0, "exp_avg"], SINGLE),
    "moments without steps": lambda c: drop(c, ["optimisers", "E", "state", 0, "step"]),
    "moments of nothing": lambda c: put(c, ["optimisers", "E", "state", 99], {}),
    "another group": lambda c: c["optimisers"]["E"]["param_groups"].append({}),
    "a group without its step size": lambda c: drop(c, ["optimisers", "E", "param_groups", 0, "lr"]),
    "a generator less": lambda c: c["init"].pop(),
    "a generator's state that is none": lambda c: c["generators"][1].fill_(255),
    "a chunk's state that is none": lambda c: c["plain"]["chunk_start"][1].fill_(255),
    "half a chunk's states": lambda c: c["plain"]["chunk_start"].pop(),
    "a text in a number's place": lambda c: put(c, ["plain", "played", "I"], "12"),
    "a number in a text's place": lambda c: put(c, ["plain", "chunk_of"], 3),
    "counts that are none": lambda c: put(c, ["plain", "seen"], 7),
    "measurements that are none": lambda c: put(c, ["plain", "history", "trace", 1], "x"),
    "losses that are none": lambda c: put(c, ["plain", "losses"], [1.0]),
    "a failure less": lambda c: c["plain"]["failed"].pop(),
    "a failure more": lambda c: c["plain"]["failed"].append(None),
    "a failure without its round": lambda c: drop(c, ["plain", "failed", 1, "round"]),
} | {
    f"without {part}": lambda c, part=part: drop(c, [part]) for part in ("identity", "nets", "init", "plain")
}


@pytest.mark.parametrize("misfit", MISFITS)
def test_content_that_does_not_fit_is_named_and_nothing_of_it_is_taken(game, kept, tmp_path, misfit):
    """With a right sum: what another program, or a mistake of ours, has written."""
    path, state = tmp_path / "c.pt", start(game, SEEDS)
    checkpoints.save(path, kept[0], "it")
    content, fresh = torch.load(io.BytesIO(files.read_checked(path)), weights_only=True), whole(state)
    MISFITS[misfit](content)
    body = io.BytesIO()
    torch.save(content, body)
    files.write_checked(path, body.getvalue())
    with said() as messages:
        assert not checkpoints.load(path, state, "it")
    assert len(messages) == 1 and messages[0].startswith("c.pt ") and "starting anew" in messages[0]
    assert same(whole(state), fresh)


@pytest.mark.parametrize("content", [[], 3, None, "text"], ids=str)
def test_content_of_another_kind_is_named(game, tmp_path, content):
    body = io.BytesIO()
    torch.save(content, body)
    files.write_checked(tmp_path / "c.pt", body.getvalue())
    with said() as messages:
        assert not checkpoints.load(tmp_path / "c.pt", start(game, SEEDS), "it")
    assert len(messages) == 1 and "c.pt is damaged" in messages[0]


def test_what_a_pickle_would_run_is_not_run(game, tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    body = io.BytesIO()
    torch.save({"identity": "it", "plain": Evil()}, body)
    files.write_checked(tmp_path / "c.pt", body.getvalue())
    with said() as messages:
        assert not checkpoints.load(tmp_path / "c.pt", start(game, SEEDS), "it")
    assert len(messages) == 1 and not (tmp_path / "ran").exists()


def setting(setter, getter, other):
    """Does the block with another value, and puts the old one back."""

    @contextmanager
    def changed(monkeypatch):
        before = getter()
        setter(other)
        try:
            yield
        finally:
            setter(before)

    return changed


def patched(where, name, value):
    """Does the block with another value of an attribute."""

    @contextmanager
    def changed(monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr(where, name, value)
            yield

    return changed


CHANGES = {
    "threads": setting(torch.set_num_threads, torch.get_num_threads, torch.get_num_threads() + 1),
    "dtype": setting(torch.set_default_dtype, torch.get_default_dtype, torch.float64),
    "precision": setting(torch.set_float32_matmul_precision, torch.get_float32_matmul_precision, "medium"),
    "deterministic": setting(torch.set_deterministic_debug_mode, torch.get_deterministic_debug_mode, "error"),
    "instruction set": patched(torch.backends.cpu, "get_cpu_capability", lambda: "ABACUS"),
    "version": patched(torch, "__version__", "0.1"),
    "code": patched(checkpoints, "code", lambda: "other"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_a_number_is_part_of_a_checkpoint(game, tmp_path, monkeypatch, change):
    state, path = start(game, SEEDS), tmp_path / "c.pt"
    play(game, state, "I", checkpoint=path)
    identity = checkpoints.identity(game, state)
    with CHANGES[change](monkeypatch):
        other = checkpoints.identity(game, state)
        with said() as messages:
            assert not checkpoints.load(path, start(game, SEEDS), other)
    assert other != identity == checkpoints.identity(game, state)
    assert len(messages) == 1 and "c.pt belongs to another game, seed, version or number" in messages[0]
