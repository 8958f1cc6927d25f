"""Evaluation classifiers: their network, their game, and weights that are made once and found again."""

import dataclasses
import errno
import math
import re
import threading

import pytest
import torch
from conftest import HEADER
from games.others import moved
from torch import nn

from bridgekit import closure, data
from bridgekit.__main__ import main
from bridgekit.book import make
from bridgekit.data import faces
from bridgekit.errors import BridgekitError
from bridgekit.games.classifying import classification, shifted
from bridgekit.measure import classifiers, on_images
from bridgekit.models.residual import ResidualBlock, ResidualNet
from bridgekit.play import loop
from bridgekit.random import stream


def net(seed: int = 0, **options) -> ResidualNet:
    return ResidualNet([stream(seed, "init")], **{"width": 4, **options})


# ------------------------------------------------------------------------------------------ the network


@pytest.mark.parametrize(("size", "channels"), [(8, 1), (28, 1), (32, 3)])
def test_residual_net_shapes(size, channels):
    model, x = net(classes=7, channels=channels), torch.randn(5, channels, size, size)
    features = model.features(x)
    assert features.shape == (5, 16) and (features >= 0).all()
    assert torch.equal(model(x), model.last(features)) and model(x).shape == (5, 7)


def test_residual_net_starts_from_its_generator_alone():
    same, other = net(0).state_dict(), net(1).state_dict()
    torch.manual_seed(3)
    assert all(torch.equal(v, same[k]) for k, v in net(0).state_dict().items())
    assert not torch.equal(same["last.weight"], other["last.weight"])
    wide = net(width=64)
    for module in wide.modules():
        if isinstance(module, nn.Conv2d) and module.in_channels >= 64:
            assert module.weight.var().item() * module.weight[0].numel() == pytest.approx(2, rel=0.05)


def test_residual_block_adds_its_input():
    for block, x in (
        (ResidualBlock(4, 4), torch.randn(2, 4, 6, 6)),
        (ResidualBlock(4, 8, 2), torch.randn(2, 4, 6, 6)),
    ):
        expected = torch.relu(block.shortcut(x) + block.body(x))
        assert torch.equal(block(x), expected)
    assert isinstance(ResidualBlock(4, 4).shortcut, nn.Identity)
    assert ResidualBlock(4, 8, 2)(x).shape == (2, 8, 3, 3)


# --------------------------------------------------------------------------------------------- the game


def test_shifted_moves_oblong_images_as_well():
    """Square ones are the game's, and under its laws."""
    g = torch.Generator().manual_seed(0)
    x, draw = torch.randn(40, 2, 5, 4, generator=g), torch.rand(40, 2, generator=g)
    assert torch.equal(shifted(x, draw, 2), moved(x, draw, 2)) and torch.equal(shifted(x, draw, 0), x)


def small(n: int = 40, channels: int = 1) -> data.Images:
    g = torch.Generator().manual_seed(1)
    x, y = torch.rand(n, channels, 8, 8, generator=g) * 2 - 1, torch.arange(n) % 3
    return data.Images(x, y, ("a", "b", "c"), "small", "train", "0" * 16)


def test_fewer_images_than_a_batch():
    with pytest.raises(BridgekitError, match="a batch of 41 wants at least as many images; there are 40"):
        classification(small(40), rounds=1, batch=41)
    classification(small(40), rounds=1, batch=40)


# ------------------------------------------------------------------------------- made once, found again


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """Rules of a few rounds, and a home of its own; counts the trainings."""
    rule = classifiers.Rule(rounds=4, batch=16, width=4, shift=0)
    monkeypatch.setattr(classifiers, "RULES", dict.fromkeys(("digits", "street", "faces"), rule))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("BRIDGEKIT_DATA", raising=False)
    trained = []

    def counted(*args, **options):
        trained.append(args)
        return classification(*args, **options)

    monkeypatch.setattr(classifiers, "classification", counted)
    return trained


def weights(root):
    (path,) = (root / "cache").glob("classifier-*.weights")
    return path


def test_made_once_then_loaded(quick, tmp_path):
    made = classifiers.make("digits", root=tmp_path)
    assert len(quick) == 1 and not list((tmp_path / "cache").glob("*.pt")) + list(tmp_path.rglob("*.lock"))
    again, loaded = classifiers.make("digits", root=tmp_path), classifiers.load("digits", root=tmp_path)
    assert len(quick) == 1
    test = data.load("digits", "test")
    for classifier in (made, again, loaded):
        assert classifier.fingerprint == made.fingerprint and classifier.name == "digits"
        assert classifier.classes == test.classes and classifier.shape == (1, 28, 28)
        assert on_images.classifier_accuracy(classifier, test.x, test.y) == classifier.accuracy
        assert not classifier.net.training and not any(p.requires_grad for p in classifier.net.parameters())
    assert classifiers.make("digits", root=tmp_path / "other").fingerprint == made.fingerprint  # repeatable
    assert len(quick) == 2


@pytest.fixture
def few_faces(monkeypatch):
    monkeypatch.setattr(faces, "SPLITS", {"train": (1, 60), "test": (2, 30)})


def test_of_attributes_each_has_its_accuracy(quick, few_faces, tmp_path):
    made = classifiers.make("faces", size=32, root=tmp_path)
    again = classifiers.load("faces", size=32, root=tmp_path)
    test = data.load("faces", "test", size=32, root=tmp_path)
    assert again.fingerprint == made.fingerprint and len(quick) == 1
    assert again.classes == () and tuple(again.attributes) == test.attributes
    right = (again.logits(test.x) > 0) == test.y
    assert list(again.attributes.values()) == right.double().mean(0).tolist()
    assert again.accuracy == pytest.approx(right.double().mean().item(), rel=1e-12)
    assert on_images.attribute_accuracy(again, test.x, test.y) == again.attributes
    assert again.features(test.x).shape == (30, 16)
    assert on_images.frechet_distance(again, test.x, test.x) == pytest.approx(0, abs=1e-6)
    for act in (
        lambda: on_images.inception_score(again, test.x),
        lambda: on_images.classifier_accuracy(again, test.x, test.y[:, 0]),
    ):
        with pytest.raises(
            BridgekitError, match="faces classifier finds attributes, .*no inception score.*take"
        ):
            act()


def test_attributes_are_learnt(quick, few_faces, tmp_path):
    """Few rounds find a background's colour; whoever denies each of the four is right three times of four."""
    classifiers.RULES["faces"] = classifiers.Rule(rounds=80, batch=32, width=8, lr=5e-3, shift=1)
    made = classifiers.make("faces", size=16, root=tmp_path)
    assert min(made.attributes[f"{name}_Background"] for name in faces.GROUND) > 0.85, made.attributes


def test_classifying_leaves_no_trace_and_does_not_depend_on_the_batch(quick, tmp_path, monkeypatch):
    classifier = classifiers.make("digits", root=tmp_path)
    x = data.load("digits", "test").x[:50]
    before = {k: v.clone() for k, v in classifier.net.state_dict().items()}
    logits, features = classifier.logits(x), classifier.features(x)
    assert features.shape == (50, 16) and not logits.requires_grad
    monkeypatch.setattr(classifiers, "BATCH", 7)
    torch.testing.assert_close(classifier.logits(x), logits)
    torch.testing.assert_close(classifier.net.last(classifier.features(x)), logits)
    assert all(torch.equal(v, before[k]) for k, v in classifier.net.state_dict().items())


SCALES = {"[0, 1]": lambda x: (x + 1) / 2, "[0, 255]": lambda x: 127.5 * (x + 1)}
WAYS = {"[0, 1]": "2 * x - 1", "[0, 255]": "x / 127.5 - 1"}


@pytest.mark.parametrize("scale", SCALES)
def test_images_on_another_scale_are_refused(quick, tmp_path, scale):
    """Their distance from the same images was 52 or six million in place of 0."""
    classifier, test = classifiers.make("digits", root=tmp_path), data.load("digits", "test")
    real, labels = test.x[:40], test.y[:40]
    other = SCALES[scale](real)
    acts = {
        "distance": lambda x: on_images.frechet_distance(classifier, x, real),
        "to reference": lambda x: on_images.frechet_distance(classifier, real, x),
        "inception score": lambda x: on_images.inception_score(classifier, x),
        "accuracy": lambda x: on_images.classifier_accuracy(classifier, x, labels),
        "logits": classifier.logits,
        "features": classifier.features,
    }
    said = re.escape(f"images are wanted in [-1, 1], and these are in {scale}: use {WAYS[scale]}.")
    for name, act in acts.items():
        act(real)
        with pytest.raises(BridgekitError, match=said):
            act(other)
            pytest.fail(name)
        back = 2 * other - 1 if scale == "[0, 1]" else other / 127.5 - 1
        act(back.clamp(-1, 1))


@pytest.mark.parametrize(
    ("x", "said"),
    [
        ([0.0, 2.5, -0.3], "in \\[-0.3, 2.5\\]: clamp"),  # by mean and deviation
        ([-1.01, 0.0, 0.9], "in \\[-1.01, 0.9\\]: clamp"),
        ([0.0, 0.5, 1.0], "in \\[0, 1\\]: use 2"),
        ([0.004, 0.5, 0.995], "in \\[0.004, 0.995\\]: use 2"),  # a generator's, from [-1, 1]
        ([0.0, 37.0, 254.0], "in \\[0, 254\\]: use x / 127.5"),
        ([0.0, 37.0, math.nan], "in \\[0, 37\\]: use x / 127.5"),
    ],
)
def test_ranges_that_are_refused(x, said):
    with pytest.raises(BridgekitError, match=said):
        classifiers.in_range(torch.tensor(x))
    if all(float(v).is_integer() for v in x):
        with pytest.raises(BridgekitError, match=said):
            classifiers.in_range(torch.tensor(x).to(torch.uint8))


@pytest.mark.parametrize(
    "x",
    [
        [-1.0, 0.3, 1.0],
        [1.0, 1.0, 1.0],  # a generator that has collapsed to white, to grey, or to bright images
        [0.0, 0.0, 0.0],
        [0.2, 0.7, 1.0],
        [0.02, 0.7, 1.0],
        [0.001, 0.3, 0.6],
        [-0.02, 0.0, 0.03],  # one that has not learned yet
        [math.nan, math.inf, -math.inf],
        [math.nan, -0.5, math.inf],
        [],
    ],
)
def test_ranges_that_are_not(x):
    classifiers.in_range(torch.tensor(x))


def test_training_uses_one_thread_and_leaves_their_number_alone(quick, tmp_path):
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        two = classifiers.make("digits", root=tmp_path).fingerprint
        assert torch.get_num_threads() == 2
        torch.set_num_threads(1)
        assert classifiers.make("digits", root=tmp_path / "other").fingerprint == two
    finally:
        torch.set_num_threads(threads)


def test_weights_are_the_average_over_the_last_fifth(quick, tmp_path):
    rule = classifiers.Rule(rounds=50, batch=16, width=4, shift=0)
    classifiers.RULES["digits"] = rule
    classifier = classifiers.make("digits", root=tmp_path)
    game, seen = classification(data.load("digits"), **dataclasses.asdict(rule)), []
    for now in loop.fit(game, loop.start(game, [0]), "learn", at=range(40, 51)):
        seen.append({k: v.clone() for k, v in now.nets["C"].state_dict().items()})
    for name, value in classifier.net.state_dict().items():
        each = torch.stack([weights[name] for weights in seen])
        torch.testing.assert_close(
            value, each.double().mean(0).float() if each.is_floating_point() else each[-1]
        )
    assert [*classifiers._averaged(100)] == [*range(80, 101, 2)] and [*classifiers._averaged(4)] == [4]


@pytest.mark.parametrize("options", [{}, {"size": 16, "channels": 3}])
def test_missing_is_one_message_with_the_command(quick, tmp_path, options):
    command = "python -m bridgekit classifier digits" + "".join(f" --{k} {v}" for k, v in options.items())
    with pytest.raises(BridgekitError, match=f"no classifier of 'digits' here .*make it with: {command}$"):
        classifiers.load("digits", root=tmp_path, **options)
    assert not quick and not [*tmp_path.rglob("classifier-*")]


def test_missing_data_is_said_first(quick, tmp_path):
    for function in (classifiers.load, classifiers.make):
        with pytest.raises(BridgekitError, match="'svhn' cannot be read in .*Three ways out"):
            function("svhn", root=tmp_path)
    with pytest.raises(BridgekitError, match="did you mean 'digits'"):
        classifiers.load("digit", root=tmp_path)


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b"", lambda b: b[:-9] + b"x" + b[-8:]])
def test_damaged_weights_are_not_loaded_but_trained_again(quick, tmp_path, damage):
    first = classifiers.make("digits", root=tmp_path)
    path = weights(tmp_path)
    body = path.read_bytes()
    path.write_bytes(damage(body))
    with pytest.raises(BridgekitError, match="file is damaged"):
        classifiers.load("digits", root=tmp_path)
    assert classifiers.make("digits", root=tmp_path).fingerprint == first.fingerprint and len(quick) == 2
    assert path.read_bytes() == body


def test_other_images_rules_and_code_are_other_weights(quick, tmp_path, monkeypatch):
    made = {classifiers.make("digits", root=tmp_path).fingerprint}
    assert classifiers.make("digits", size=28, channels=1, root=tmp_path).fingerprint in made  # its own shape
    made.add(classifiers.make("digits", size=16, root=tmp_path).fingerprint)
    made.add(classifiers.make("digits", channels=3, root=tmp_path).fingerprint)
    classifiers.RULES["digits"] = classifiers.Rule(rounds=5, batch=16, width=4, shift=0)
    made.add(classifiers.make("digits", root=tmp_path).fingerprint)
    assert len(made) == len(quick) == 4
    monkeypatch.setattr(classifiers, "_code", lambda: "other")
    with pytest.raises(BridgekitError, match="no classifier"):
        classifiers.load("digits", root=tmp_path)


def test_a_killed_training_is_taken_up_again(quick, tmp_path, monkeypatch):
    classifiers.RULES["digits"] = classifiers.Rule(rounds=50, batch=16, width=4, shift=0)
    expected = classifiers.make("digits", root=tmp_path / "whole").fingerprint
    fit = loop.fit

    def killed(game, state, phase, at, checkpoint):
        yield from fit(game, state, phase, 48, at=at, checkpoint=checkpoint)
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "fit", killed)
    with pytest.raises(KeyboardInterrupt):
        classifiers.make("digits", root=tmp_path)
    assert not list((tmp_path / "cache").glob("*.weights"))
    rounds = []

    def resumed(*args, **options):
        for now in fit(*args, **options):
            rounds.append(now.played["learn"])
            yield now

    monkeypatch.setattr(loop, "fit", resumed)
    assert classifiers.make("digits", root=tmp_path).fingerprint == expected
    assert rounds == [49, 50] and not list((tmp_path / "cache").glob("*.pt"))


def test_of_two_at_once_one_trains(quick, tmp_path):
    found, begin = [], threading.Barrier(2)

    def work():
        begin.wait()
        found.append(classifiers.make("digits", root=tmp_path).fingerprint)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1 and len(found) == 2 and len(quick) == 1


def test_a_data_root_that_cannot_be_written(quick, tmp_path):
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the data root should be")
    made = classifiers.make("digits", root=blocked)
    assert weights(tmp_path / "home" / ".cache" / "bridgekit").is_file()
    assert classifiers.load("digits", root=blocked).fingerprint == made.fingerprint and len(quick) == 1


def test_no_place_at_all(quick, tmp_path, monkeypatch):
    blocked = tmp_path / "blocked"
    blocked.write_text("in the way")
    monkeypatch.setenv("HOME", str(blocked))
    with pytest.raises(BridgekitError, match="kept in neither .*blocked.*point BRIDGEKIT_DATA to a folder"):
        classifiers.make("digits", root=blocked)
    assert not quick


def test_a_place_without_room_is_known_before_training(quick, tmp_path, monkeypatch):
    def full(**options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(classifiers.files.tempfile, "TemporaryFile", full)
    with pytest.raises(BridgekitError, match=r"neither .*\(No space left on device\) nor .* 40 MB of room"):
        classifiers.make("digits", root=tmp_path)
    assert not quick


def test_room_is_enough_for_a_thousand_classes():
    net = ResidualNet([torch.Generator()], 1000, 3, classifiers.Rule().width)
    assert all(rule.width == classifiers.Rule().width for rule in classifiers.RULES.values())
    weights = sum(value.numel() * value.element_size() for value in net.state_dict().values())
    copies = 1 + 2 + len(classifiers._averaged(20_000))  # itself, Adam's two moments, what is averaged
    assert 2 * copies * weights < classifiers.ROOM < 4 * copies * weights


def test_training_is_kept_where_the_weights_cannot_be_written(quick, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(classifiers.files, "write_checked", full)
        with pytest.raises(BridgekitError, match="trained classifier .*No space left.*is kept, in .*taken"):
            classifiers.make("digits", root=tmp_path)
    (checkpoint,) = tmp_path.rglob("*.pt")

    def played(*arguments):
        raise AssertionError("a round was played again")

    monkeypatch.setattr(loop._Stretch, "_round", played)
    assert classifiers.make("digits", root=tmp_path).name == "digits" and not checkpoint.exists()


def test_images_of_another_shape(quick, tmp_path):
    classifier = classifiers.make("digits", channels=3, root=tmp_path)
    grey, coloured = (data.load("digits", "test", channels=channels).x[:4] for channels in (1, 3))
    for function in (classifier.logits, classifier.features):
        with pytest.raises(BridgekitError, match="classifier takes images of 3 x 28 x 28 .* 1 x 28 x 28"):
            function(grey)
    assert classifier.logits(coloured).shape == (4, 10)


# ------------------------------------------------------------------------------------ pages, command line

PAGE = """# A scored page

```{code-cell} ipython3
:tags: [parameters]

dataset: str = "digits"
size: int = 12
```

```{code-cell} ipython3
from bridgekit.book import runs
from bridgekit.measure import classifiers

run = runs.begin("scored", globals())
```

```{code-cell} ipython3
classifier = classifiers.load(dataset, size=size)
run.metric("accuracy", classifier.accuracy)
run.finish()
```
"""


@pytest.fixture
def scored(toy_book):
    """The small book with a page that scores images."""
    toy_book.write("book/scored.md", HEADER + PAGE)
    toy_book.append("book/_toc.yml", "      - file: scored\n")
    toy_book.write("profiles/paper.yaml", "scored:\n  dataset: street\n  size: 32\n")
    return toy_book


def test_a_page_names_its_classifiers(scored):
    assert make.classifiers("scored") == [{"name": "digits", "size": 12}]
    assert make.classifiers("scored", "paper") == [{"name": "street", "size": 32}]
    assert make.classifiers("scored", overrides={"size": 9}) == [{"name": "digits", "size": 9}]
    assert make.classifiers("alpha") == []
    scored.edit("book/scored.md", 'dataset: str = "digits"', 'datasets: list[str] = ["digits", "street"]')
    scored.edit("book/scored.md", "size: int = 12\n", "")
    scored.write("profiles/paper.yaml", "scored:\n  datasets: [street, street]\n")
    assert make.classifiers("scored") == [{"name": "digits"}, {"name": "street"}]
    assert make.classifiers("scored", "paper") == [{"name": "street"}]
    scored.edit("book/scored.md", "from bridgekit.measure import classifiers\n", "")
    assert make.classifiers("scored") == []


def test_command_line_makes_one(quick, scored, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("BRIDGEKIT_DATA", str(tmp_path))
    assert main(["classifier", "digits", "--size", "12"]) == 0
    made = classifiers.load("digits", size=12)
    said = f"digits: accuracy {made.accuracy:.4f} on its test images, weights {made.fingerprint}\n"
    assert capsys.readouterr().out == said and len(quick) == 1
    monkeypatch.setattr(faces, "SPLITS", {"train": (1, 60), "test": (2, 30)})
    assert main(["classifier", "faces", "--size", "16"]) == 0
    attributes = classifiers.load("faces", size=16).attributes
    lines = [f"{share:8.4f} {name}" for name, share in attributes.items()]
    assert capsys.readouterr().out.splitlines()[1:] == lines and len(lines) == 18 and quick.pop()
    assert main(["classifier", "digit"]) == 2
    assert "bridgekit: there is no data set 'digit'" in capsys.readouterr().err
    # before a page runs, its classifier is there
    monkeypatch.setattr(make, "run", lambda *args, **options: len(quick))
    assert main(["run", "scored"]) == 0 and capsys.readouterr().out == "1\n"
    assert main(["run", "scored", "--set", "size=10"]) == 0 and capsys.readouterr().out == "2\n"
    assert main(["run", "beta"]) == 0 and len(quick) == 2


@pytest.mark.pipeline
def test_snakemake_trains_what_pages_name(toy_repository, scored, tmp_path):
    scored.edit("bridgekit/measure/classifiers.py", '"digits": Rule(', '"digits": Rule(width=4, batch=16, ')
    scored.edit("bridgekit/measure/classifiers.py", "rounds=100", "rounds=4")
    options = ("--cores", "2", "--rerun-triggers", "params", "--quiet", "host", "progress", "reason", "rules")
    for times in (1, 2):
        done = scored.run(
            "snakemake", "figures", *options, "--config", "only=scored", env={"BRIDGEKIT_DATA": str(tmp_path)}
        )
        assert done.returncode == 0, done.stderr
        assert len(list((tmp_path / "cache").glob("classifier-digits-*.weights"))) == 1
        assert ("scored · quick · done" in done.stderr) == (times == 1)


def test_the_code_that_decides_the_weights_is_all_of_it(monkeypatch):
    """A change in any of its modules makes other weights; one in another data set's reader does not."""
    parts = [
        "measure/classifiers",
        "models/residual",
        "games/classifying",
        "play/loop",
        "play/draws",
        "random",
    ]
    read, digests = closure.content, set()
    for changed in ("", *parts, "data/published"):
        file = closure.PACKAGE / f"{changed}.py"
        monkeypatch.setattr(closure, "content", lambda path, file=file: read(path) + b"#" * (path == file))
        digests.add(classifiers._code.__wrapped__())
    assert len(digests) == 1 + len(parts)
