"""The papers' networks: trials side by side equal trials alone, weights come from their generators only."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats
from torch import nn

from bridgekit.networks import MLP, BatchNorm, Critic, DCGANBody, DCGANGenerator, GaussianEncoder

SIZES = (3, 16, 8, 2)


def close(got: torch.Tensor, want: torch.Tensor) -> None:
    """Equal to float32's rounding."""
    assert got.shape == want.shape and torch.allclose(got, want, rtol=1e-5, atol=1e-6)


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def plain(net: MLP, trial: int) -> nn.Sequential:
    """The same perceptron of stock modules, with one trial's weights."""
    layers: list[nn.Module] = []
    for w, b in zip(net.weights, net.biases, strict=True):
        linear = nn.Linear(*w.shape[1:])
        linear.weight.data, linear.bias.data = w.data[trial].T.clone(), b.data[trial, 0].clone()
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def test_mlp_trials_are_separate_networks():
    net, x = MLP(SIZES, generators(1, 2, 3)), draw(3, 7, 3)
    got = net(x)
    assert got.shape == (3, 7, 2)
    got.square().sum().backward()
    for trial in range(3):
        alone = plain(net, trial)
        close(got[trial], alone(x[trial]))
        alone(x[trial]).square().sum().backward()
        for i, (w, b) in enumerate(zip(net.weights, net.biases, strict=True)):
            close(w.grad[trial].T, alone[2 * i].weight.grad)
            close(b.grad[trial, 0], alone[2 * i].bias.grad)


def test_mlp_trial_starts_from_its_own_generator_alone():
    together, alone = MLP(SIZES, generators(1, 2, 3)), MLP(SIZES, generators(2))
    for several, one in zip(together.parameters(), alone.parameters(), strict=True):
        assert torch.equal(several[1:2], one)
        assert not torch.equal(several[0], several[1])


def test_mlp_starts_as_linear_layers_do():
    net = MLP((50, 400, 30), generators(0))
    for w, b in zip(net.weights, net.biases, strict=True):
        bound = 1 / math.sqrt(w.shape[1])
        reference = nn.Linear(*w.shape[1:])
        assert reference.weight.abs().max() <= bound >= reference.bias.abs().max()
        uniform = stats.uniform(-bound, 2 * bound).cdf
        for values in (w, b):
            assert values.abs().max() <= bound
            assert stats.kstest(values.detach().flatten(), uniform).pvalue > 1e-3


@pytest.mark.parametrize("shape", [(2, 7, 3), (3, 7, 4)])
def test_mlp_refuses_other_trials_or_features(shape):
    with pytest.raises(RuntimeError):
        MLP(SIZES, generators(1, 2, 3))(draw(*shape))


def test_critic_drops_the_last_axis():
    x = draw(2, 5, 3)
    body = MLP((3, 4, 1), generators(1, 2))
    got = Critic(body)(x)
    assert got.shape == (2, 5)
    assert torch.equal(got, body(x)[..., 0])


def test_gaussian_encoder_halves_its_body():
    x, body = draw(2, 5, 3), MLP((3, 4, 6), generators(1, 2))
    mu, log_sigma = GaussianEncoder(body)(x)
    assert mu.shape == log_sigma.shape == (2, 5, 3)
    assert torch.equal(torch.cat([mu, log_sigma], -1), body(x))


def test_gaussian_encoder_refuses_an_odd_body():
    with pytest.raises(RuntimeError):
        GaussianEncoder(MLP((3, 4, 3), generators(1)))(draw(1, 5, 3))


def buffers(norm: BatchNorm) -> list[torch.Tensor]:
    return [buffer.clone() for buffer in norm.buffers()]


def test_batch_norm_moves_its_averages_only_while_tracking():
    norm, stock, x = BatchNorm(3), nn.BatchNorm2d(3), draw(6, 3, 4, 4) * 2 + 5
    before = buffers(norm)
    norm.tracking = False
    quiet = norm(x)
    assert all(map(torch.equal, before, norm.buffers()))
    norm.tracking = True
    loud = norm(x)
    close(quiet, stock(x))  # the batch's own statistics either way
    close(loud, quiet)
    for mine, theirs in zip(norm.buffers(), stock.buffers(), strict=True):
        close(mine, theirs)
    assert not torch.equal(before[0], norm.running_mean)


def test_batch_norm_evaluates_with_its_averages_tracking_or_not():
    norm, x = BatchNorm(3), draw(6, 3, 4, 4) * 2 + 5
    norm(x)
    norm.eval()
    before, evaluated = buffers(norm), norm(x)
    norm.tracking = False
    assert torch.equal(norm(x), evaluated)
    assert all(map(torch.equal, before, norm.buffers()))
    assert evaluated.mean() > 1  # one step of the averages is far from the batch's own statistics


@pytest.mark.parametrize("size, channels", [(28, 1), (32, 3), (64, 3)])
def test_dcgan_pair_fits_together(size, channels):
    shape = {"width": 4, "channels": channels, "size": size}
    g, d = DCGANGenerator(generators(1), z=5, **shape), DCGANBody(generators(2), outputs=6, **shape)
    fake = g(draw(3, 5))
    assert fake.shape == (3, channels, size, size)
    assert fake.abs().max() <= 1 and fake.std() > 0
    assert d(fake).shape == (3, 6)
    assert Critic(DCGANBody(generators(2), **shape))(fake).shape == (3,)
    slopes = torch.autograd.grad(d(fake).square().sum(), [*g.parameters(), *d.parameters()])
    assert all(slope.abs().sum() > 0 for slope in slopes)


@pytest.mark.parametrize("build", [DCGANGenerator, DCGANBody])
def test_dcgan_weights_come_from_its_generator_alone(build):
    torch.manual_seed(0)
    first = build(generators(1), width=4).state_dict()
    torch.manual_seed(1)
    again, other = build(generators(1), width=4).state_dict(), build(generators(2), width=4).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_dcgan_starts_as_its_paper_says():
    net = DCGANGenerator(generators(1), width=32)
    for module in net.modules():
        if isinstance(module, (nn.Linear, nn.ConvTranspose2d)):
            noise = module.weight.detach().flatten()[:20_000] / 0.02
        elif isinstance(module, BatchNorm):
            noise = (module.weight.detach() - 1) / 0.02
        else:
            continue
        assert stats.kstest(noise, "norm").pvalue > 1e-3
        assert module.bias is None or not module.bias.any()


@pytest.mark.parametrize("size", [0, 7, 8, 27, 30, 36])
@pytest.mark.parametrize("build", [DCGANGenerator, DCGANBody])
def test_dcgan_refuses_sizes_that_it_cannot_halve(build, size):
    with pytest.raises(ValueError, match=str(size)):
        build(generators(1), width=4, size=size)


@pytest.mark.parametrize("build", [DCGANGenerator, DCGANBody])
def test_dcgan_plays_one_trial(build):
    with pytest.raises(ValueError, match="unpack"):
        build(generators(1, 2), width=4)


def spectral(*seeds: int) -> SpectralMLP:
    return SpectralMLP(SIZES, generators(*seeds))


def state(net: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items()}


def unchanged(net: nn.Module, before: dict[str, torch.Tensor], *kinds: str) -> bool:
    """Whether the entries whose name starts with one of ``kinds`` are what they were."""
    now = net.state_dict()
    return all(torch.equal(now[name], value) for name, value in before.items() if name.startswith(kinds))


def test_spectral_norm_is_the_largest_singular_value_of_each_trial():
    net = spectral(1, 2, 3)
    first = net.norms()
    for _ in range(300):
        power_iteration(net)
    for w, start, norm in zip(net.weights, first, net.norms(), strict=True):
        exact = torch.linalg.svdvals(w)[:, 0]
        assert norm.shape == (3, 1, 1)
        close(norm.flatten(), exact)
        assert (start.flatten() <= exact * (1 + 1e-6)).all()  # no vectors of length 1 give more
        assert (start.flatten() >= 0.9 * exact).all()  # 15 iterations are nearly there
    for applied in net.matrices():
        close(torch.linalg.svdvals(applied)[:, 0], torch.ones(3))


def test_spectral_norm_follows_weights_that_move():
    net = spectral(1, 2)
    with torch.no_grad():
        for w in net.weights:
            w.mul_(torch.tensor([3.0, 0.2])[:, None, None]).add_(0.05)
    for _ in range(300):
        power_iteration(net)
    for w, norm in zip(net.weights, net.norms(), strict=True):
        close(norm.flatten(), torch.linalg.svdvals(w)[:, 0])


def test_spectral_norm_is_stock_pytorchs():
    """One trial against torch's own parametrisation: the same vectors, the same iteration, the same gradient."""
    net, x = spectral(4), draw(1, 7, 3)
    layers = [nn.utils.parametrizations.spectral_norm(layer) for layer in plain(net, 0)[::2]]
    for i, layer in enumerate(layers):
        norm = layer.parametrizations.weight[0]  # its matrix is (out, in): u and v change places
        norm._u.copy_(net.get_buffer(f"v{i}")[0, :, 0])
        norm._v.copy_(net.get_buffer(f"u{i}")[0, :, 0])
    net.iterate()
    stock = x[0]
    for i, layer in enumerate(layers):
        layer.eval()
        norm = layer.parametrizations.weight[0]
        v, u = net.get_buffer(f"u{i}")[0, :, 0], net.get_buffer(f"v{i}")[0, :, 0]
        with torch.no_grad():
            w = layer.parametrizations.weight.original
            norm._u.copy_(u), norm._v.copy_(v)
            close(w @ v / (w @ v).norm(), u @ w @ v / (w @ v).norm() * u + (w @ v / (w @ v).norm() - u * (u @ (w @ v) / (w @ v).norm())))
        stock = layer(stock) if i == len(layers) - 1 else layer(stock).relu()
    close(net(x)[0], stock)
