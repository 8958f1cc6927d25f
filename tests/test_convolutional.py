"""Paper C's networks: Table 1 layer by layer, smaller ones, D's features, and orthogonal regularisation."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from games.paper_a import noise_images
from scipy import stats
from test_networks import close, draw, generators
from torch import nn
from torch.nn import functional as F

from bridgekit.errors import BridgekitError
from bridgekit.games import setups
from bridgekit.models.convolutional import (
    ConvolutionalEncoder,
    ConvolutionalGenerator,
    PerceptualCritic,
    check,
    feature_shape,
    orthogonal_penalty,
)

# Table 1, line by line: what a layer's weights and its output are like, for RGB images of 64 pixels.
TABLE = {
    ConvolutionalEncoder: [
        ((32, 3, 3, 3), (32, 64, 64)),
        ((64, 32, 4, 4), (64, 32, 32)),
        ((128, 64, 4, 4), (128, 16, 16)),
        ((128, 128, 5, 5), (128, 16, 16)),
        ((256, 128, 4, 4), (256, 8, 8)),
        ((1024, 256 * 8 * 8), (1024,)),
        ((2 * 512, 1024), (2 * 512,)),
    ],
    ConvolutionalGenerator: [
        ((1024, 512), (1024,)),
        ((256 * 8 * 8, 1024), (256 * 8 * 8,)),
        ((256, 128, 4, 4), (128, 16, 16)),
        ((128, 128, 3, 3), (128, 16, 16)),
        ((128, 64, 4, 4), (64, 32, 32)),
        ((64, 32, 4, 4), (32, 64, 64)),
        ((3, 32, 3, 3), (3, 64, 64)),
    ],
    PerceptualCritic: [
        ((48, 3, 4, 4), (48, 32, 32)),
        ((96, 48, 5, 5), (96, 32, 32)),
        ((192, 96, 4, 4), (192, 16, 16)),
        ((192, 192, 5, 5), (192, 16, 16)),
        ((384, 192, 4, 4), (384, 8, 8)),
        ((1536, 384 * 8 * 8), (1536,)),
        ((192, 1536), (192,)),
        ((1, 192), (1,)),
    ],
}
PARAMETERS = {
    ConvolutionalEncoder: 18_927_040,
    ConvolutionalGenerator: 18_155_715,
    PerceptualCritic: 40_560_145,
}
PLAYERS = {ConvolutionalEncoder: "E", ConvolutionalGenerator: "G", PerceptualCritic: "D"}
NOISE = noise_images(2, 64)
COLOURED = replace(NOISE, x=NOISE.x.float().expand(-1, 3, -1, -1))
KINDS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
every = pytest.mark.parametrize("kind", TABLE)


def met(net: nn.Module, x: torch.Tensor) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Each layer's weights and output, in the order in which x meets them, and that ELUs lie between them."""
    found, between = [], []

    def note(module, given, out):
        if isinstance(module, KINDS):
            found.append((tuple(module.weight.shape), tuple(out.shape[1:])))
        between.append(type(module))

    hooks = [m.register_forward_hook(note) for m in net.modules() if not list(m.children())]
    net(x)
    for hook in hooks:
        hook.remove()
    left = [m for m in between if m not in (nn.Flatten, nn.Unflatten)]
    assert all(m is nn.ELU for m in left[1 : 2 * len(found) - 1 : 2]) and left[-1] in (*KINDS, nn.Tanh)
    return found


def image_or_code(kind, size: int = 64) -> torch.Tensor:
    return draw(2, 512) if kind is ConvolutionalGenerator else draw(2, 3, size, size)


@every
def test_table_1_layer_by_layer(kind):
    """Of the network alone, and of the setup's at its whole width."""
    whole = setups.perceptual(COLOURED, shrink=1, batch=2).networks[PLAYERS[kind]](generators(1))
    for net in (kind(generators(1)), whole):
        assert met(net, image_or_code(kind)) == TABLE[kind]
        assert sum(p.numel() for p in net.parameters()) == PARAMETERS[kind]


@every
def test_half_the_size_lacks_the_deepest_stage(kind):
    """Next to the image the layers stay what they are; 8 pixels a side meet the linear layers as before."""
    whole, half = TABLE[kind], met(kind(generators(1), size=32), image_or_code(kind, 32))
    gone = 2 if kind is ConvolutionalGenerator else [len(shape) for shape, _ in whole].index(2) - 1
    assert len(half) == len(whole) - 1
    rest = whole[:gone] + whole[gone + 1 :]
    for (got, out), (want, full) in zip(half, rest, strict=True):
        if len(want) == 4:
            assert got == want and out == (full[0], full[1] // 2, full[2] // 2)
    row = 192 if kind is PerceptualCritic else 128
    assert (row * 64,) in [shape[:1] for shape, _ in half] + [shape[1:] for shape, _ in half]


@every
def test_shrink_divides_all_but_images_codes_and_logits(kind):
    kept = {3, 512, 1024, 1}  # of codes only the outer ones: hidden layers are 1024 wide, too
    small = met(kind(generators(1), shrink=8), image_or_code(kind))
    for k, ((got, _), (want, _)) in enumerate(zip(small, TABLE[kind], strict=True)):
        for axis, (n, full) in enumerate(zip(got[:2], want[:2], strict=True)):
            outside = (k == 0 and full in kept and axis == 1) or (k == len(small) - 1 and axis == 0)
            assert n == (full if outside and full in kept else full // 8)


@every
@pytest.mark.parametrize("size", [32, 64])
def test_the_smallest_networks_answer_and_learn(kind, size):
    net = kind(generators(1), channels=1, size=size, shrink=32)
    x = draw(2, 512) if kind is ConvolutionalGenerator else draw(2, 1, size, size)
    wanted = {
        ConvolutionalEncoder: (2, 1024),
        ConvolutionalGenerator: (2, 1, size, size),
        PerceptualCritic: (2,),
    }
    y = net(x)
    assert y.shape == wanted[kind] and y.std() > 0
    slopes = torch.autograd.grad(y.square().sum(), list(net.parameters()))
    assert all(slope.abs().sum() > 0 for slope in slopes)
    if kind is ConvolutionalGenerator:
        assert y.abs().max() <= 1


@every
@pytest.mark.parametrize(("setting", "message"), [
    ({"size": 28}, "64 or 32 pixels a side, not 28: size=32"),
    ({"size": 128}, "not 128"),
    ({"shrink": 33}, "shrink=33 leaves no channel somewhere: it is from 1 to 32"),
    ({"shrink": 0}, "from 1 to 32"),
])  # fmt: skip
def test_other_sizes_and_no_channels_are_one_clear_error(kind, setting, message):
    with pytest.raises(BridgekitError, match=message):
        kind(generators(1), **setting)
    with pytest.raises(BridgekitError, match=message):
        check(**({"size": 64, "shrink": 1} | setting))


@every
def test_weights_come_from_its_generator_alone(kind):
    torch.manual_seed(0)
    first = kind(generators(1), shrink=16).state_dict()
    torch.manual_seed(1)
    again, other = (kind(generators(seed), shrink=16).state_dict() for seed in (1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert all(not torch.equal(first[name], other[name]) for name in first if name.endswith("weight"))
    with pytest.raises(ValueError, match="unpack"):
        kind(generators(1, 2), shrink=16)


@every
def test_every_layer_starts_with_the_variance_of_its_fan_in(kind):
    """What a pixel of a strided deconvolution sees is a quarter of its kernel."""
    net = kind(generators(1), shrink=2)
    for module in (m for m in net.modules() if isinstance(m, KINDS)):
        w = module.weight.detach()
        deconvolved = isinstance(module, nn.ConvTranspose2d)
        seen = w.shape[0] * 4 if deconvolved else w[0].numel()
        assert not module.bias.any()
        assert stats.kstest(w.flatten()[:20_000] * seen**0.5, "norm").pvalue > 1e-3


@pytest.mark.parametrize("size", [32, 64])
def test_features_are_what_the_second_convolution_gives(size):
    """Before its ELU; they depend on the first two layers and on nothing else."""
    net, x = PerceptualCritic(generators(1), size=size, shrink=8), draw(3, 3, size, size)
    features = net.features(x)
    assert features.shape[1:] == feature_shape(size, 8) == (12, size // 2, size // 2)
    w = dict(net.first.named_parameters())
    hidden = F.elu(F.conv2d(x, w["0.weight"], w["0.bias"], 2, 1))
    close(features, F.conv2d(hidden, w["2.weight"], w["2.bias"], 1, 2))
    assert features.min() < -1  # an ELU's values end there
    slopes = torch.autograd.grad(features.square().sum(), list(net.parameters()), allow_unused=True)
    reached = {n for (n, _), slope in zip(net.named_parameters(), slopes, strict=True) if slope is not None}
    assert reached == {f"first.{k}.{part}" for k in (0, 2) for part in ("weight", "bias")}


def test_a_logit_goes_on_from_the_features():
    net, x = PerceptualCritic(generators(1), size=32, shrink=8), draw(3, 3, 32, 32)
    features = net.features(x)
    before = features.detach().clone()
    assert torch.equal(net(x), net.logit(features))
    assert torch.equal(features, before)  # nothing is done in place: the likelihood needs them afterwards
    noise = draw(*features.shape, seed=1)
    assert not torch.allclose(net.logit(features + noise), net(x))


def test_orthogonal_penalty_is_a_sum_of_absolute_values_over_all_layers():
    net = PerceptualCritic(generators(1), size=32, shrink=16).double()
    want = 0
    for module in (m for m in net.modules() if isinstance(m, KINDS)):
        rows = module.weight.flatten(1)
        for i, row in enumerate(rows):
            want = want + sum(((row * other).sum() - float(i == j)).abs() for j, other in enumerate(rows))
    got = orthogonal_penalty(net)
    torch.testing.assert_close(got, want)
    weights = [p for p in net.parameters() if p.dim() > 1]
    slopes = torch.autograd.grad(got, weights, retain_graph=True)
    for slope, exact in zip(slopes, torch.autograd.grad(want, weights), strict=True):
        torch.testing.assert_close(slope, exact)
    biases = [p for p in net.parameters() if p.dim() == 1]
    assert set(torch.autograd.grad(got, biases, allow_unused=True)) == {None}


def test_orthogonal_penalty_is_zero_where_rows_are_orthonormal():
    net = PerceptualCritic(generators(1), size=32, shrink=16).double()
    assert orthogonal_penalty(net) > 1
    for module in (m for m in net.modules() if isinstance(m, KINDS)):
        nn.init.orthogonal_(module.weight)
    assert orthogonal_penalty(net) < 1e-9
