"""The papers' networks: batched trials equal trials alone, weights come from their generators only."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats
from torch import nn

from bridgekit.games.processes import Residual
from bridgekit.models.batch_norm import BatchNorm
from bridgekit.models.dcgan import DCGANBody, DCGANGenerator
from bridgekit.models.heads import Conditional, Critic, GaussianEncoder, input_gradient
from bridgekit.models.mlp import MLP, SpectralMLP, power_iteration

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


@pytest.mark.parametrize("sizes", [SIZES, (3, 16, 8, 1)])  # one column is multiplied in another way
def test_mlp_trials_are_separate_networks(sizes):
    net, x = MLP(sizes, generators(1, 2, 3)), draw(3, 7, 3)
    for b in net.biases:
        b.data += 0.3  # so that all trials have biases that count
    got = net(x)
    assert got.shape == (3, 7, sizes[-1])
    got.square().sum().backward()
    for trial in range(3):
        alone = plain(net, trial)
        close(got[trial], alone(x[trial]))
        alone(x[trial]).square().sum().backward()
        for i, (w, b) in enumerate(zip(net.weights, net.biases, strict=True)):
            close(w.grad[trial].T, alone[2 * i].weight.grad)
            close(b.grad[trial, 0], alone[2 * i].bias.grad)


@pytest.mark.parametrize("outputs", [1, 2])
def test_a_penalty_on_the_slope_reaches_the_weights_as_in_stock_modules(outputs):
    net, x = MLP((3, 16, 8, outputs), generators(1, 2)), draw(2, 7, 3)
    input_gradient(net, x).square().sum().backward()
    for trial in range(2):
        alone = plain(net, trial)
        input_gradient(alone, x[trial]).square().sum().backward()
        for i, w in enumerate(net.weights):
            close(w.grad[trial].T, alone[2 * i].weight.grad)


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


def test_spectral_norm_is_the_largest_singular_value_of_each_trial_and_follows_it():
    net = spectral(1, 2, 3)
    first = net.norms()
    for _ in range(300):
        power_iteration(net)
    for w, start, norm in zip(net.weights, first, net.norms(), strict=True):
        exact = torch.linalg.svdvals(w)[:, 0]
        assert norm.shape == (3, 1, 1)
        close(norm.flatten(), exact)
        assert (start.flatten() <= exact * (1 + 1e-6)).all()  # no vectors of length 1 give more
        assert (start.flatten() >= 0.8 * exact).all()  # 15 iterations are nearly there
    for applied in net.matrices():
        close(torch.linalg.svdvals(applied)[:, 0], torch.ones(3))
    with torch.no_grad():
        for w in net.weights:
            w.mul_(torch.tensor([3.0, 0.2, 1.0])[:, None, None]).add_(0.05)
    for _ in range(300):
        power_iteration(net)
    for w, norm in zip(net.weights, net.norms(), strict=True):
        close(norm.flatten(), torch.linalg.svdvals(w)[:, 0])


def test_spectral_norm_is_stock_pytorchs():
    """One trial against torch's own parametrisation with the same vectors: the values and the gradient."""
    net, x = spectral(4), draw(1, 7, 3)
    stock = plain(net, 0)
    for i, layer in enumerate(stock[::2]):
        nn.utils.parametrizations.spectral_norm(layer)
        layer.eval()  # no iteration of its own
        norm = layer.parametrizations.weight[0]  # of the matrix (out, in): u and v change places
        norm._u.copy_(net.get_buffer(f"v{i}")[0, :, 0])
        norm._v.copy_(net.get_buffer(f"u{i}")[0, :, 0])
    close(net(x)[0], stock(x[0]))
    net(x).square().sum().backward()
    stock(x[0]).square().sum().backward()
    for i, layer in enumerate(stock[::2]):
        close(net.weights[i].grad[0].T, layer.parametrizations.weight.original.grad)
        close(net.biases[i].grad[0, 0], layer.bias.grad)


def test_spectral_mlp_starts_as_mlp_does_and_its_trials_are_separate():
    net, x = spectral(1, 2, 3), draw(3, 7, 3)
    for mine, theirs in zip(net.parameters(), MLP(SIZES, generators(1, 2, 3)).parameters(), strict=True):
        assert torch.equal(mine, theirs)
    for trial, seed in enumerate((1, 2, 3)):
        close(net(x)[trial], spectral(seed)(x[trial : trial + 1])[0])


def test_spectral_mlp_is_1_lipschitz_where_the_plain_one_is_not():
    net, x, y = spectral(1, 2), draw(2, 500, 3), draw(2, 500, 3, seed=1)
    with torch.no_grad():
        for w in net.weights:
            w.mul_(5)
    for _ in range(300):
        power_iteration(net)
    distance = (x - y).norm(dim=-1)
    assert ((net(x) - net(y)).norm(dim=-1) <= distance).all()
    bare = MLP(SIZES, generators(1, 2))
    bare.load_state_dict(net.state_dict(), strict=False)  # all but the vectors
    assert ((bare(x) - bare(y)).norm(dim=-1) > distance).any()


def test_only_the_power_iteration_moves_the_vectors_and_nothing_else():
    net = Critic(SpectralMLP((3, 8, 1), generators(1, 2)))
    before = state(net)
    net(draw(2, 5, 3)).square().sum().backward()
    assert unchanged(net, before, "")
    power_iteration(net)
    assert unchanged(net, before, "body.weights", "body.biases")
    assert not unchanged(net, before, "body.u") and not unchanged(net, before, "body.v")
    lengths = torch.stack([net.body.get_buffer(name).norm(dim=1) for name in ("u0", "v0", "u1", "v1")])
    close(lengths, torch.ones_like(lengths))
    ordinary = Critic(MLP((3, 8, 1), generators(1)))
    before = state(ordinary)
    power_iteration(ordinary)
    assert unchanged(ordinary, before, "")


@pytest.mark.parametrize("kind", [MLP, SpectralMLP])
def test_input_gradient_can_be_learned_from_trial_by_trial(kind):
    """A function of the slope, differentiated again: as one trial alone, and no other trial gets any."""
    critic, x = Critic(kind((3, 16, 8, 1), generators(1, 2, 3))), draw(3, 7, 3).requires_grad_()
    slope = input_gradient(critic, x)
    assert slope.shape == x.shape
    weights = list(critic.body.weights)
    for trial in range(3):
        alone = Critic(kind((3, 16, 8, 1), generators(trial + 1)))
        lengths = slope.norm(dim=-1)[trial]
        grads = torch.autograd.grad(
            (lengths - 1).square().sum(), [*weights, x], retain_graph=True, allow_unused=True
        )
        assert grads[-1] is None  # the points are constants
        points = x[trial : trial + 1].detach().requires_grad_()
        (exact,) = torch.autograd.grad(alone(points).sum(), points, create_graph=True)
        close(slope[trial], exact[0])
        wanted = torch.autograd.grad((exact.norm(dim=-1) - 1).square().sum(), list(alone.body.weights))
        for got, want in zip(grads[:-1], wanted, strict=True):
            close(got[trial], want[0])
            assert not got[[i for i in range(3) if i != trial]].any()
            assert want.abs().max() > 0


@pytest.mark.parametrize(
    ("kind", "sizes"), [(MLP, SIZES), (SpectralMLP, SIZES), (Residual, (3, 16, 8, 3)), (MLP, (3, 2))]
)
def test_slope_is_the_input_gradient_without_the_zeros(kind, sizes):
    """The same values and the same gradients by the weights; none by the biases, not even zeros."""
    net, x = kind(sizes, generators(1, 2)), draw(2, 9, 3).requires_grad_()
    biases = list(net.biases)
    with torch.no_grad():
        for b in biases:
            b += 0.2 * draw(*b.shape)
    found = []
    for slope in (net.slope(x), input_gradient(net, x)):
        penalty = (slope.norm(dim=-1) - 1).square().sum()
        grads = torch.autograd.grad(penalty, [x, *biases, *net.weights], allow_unused=True)
        assert grads[0] is None  # the points are constants
        found.append((slope, grads[1 : len(biases) + 1], grads[len(biases) + 1 :]))
    close(found[0][0], found[1][0])
    assert all(grad is None for grad in found[0][1])
    for got, want in zip(found[0][2], found[1][2], strict=True):
        close(got, want)
        assert want.abs().max() > 0


@pytest.mark.parametrize(
    "critic", [Critic(MLP((3, 8, 1), generators(1, 2))), Critic(DCGANBody(generators(1), 1, 4, 1, 16))]
)
def test_a_critics_slope(critic):
    x = draw(2, 5, 3) if isinstance(critic.body, MLP) else draw(2, 1, 16, 16)
    close(critic.slope(x), input_gradient(critic, x))


def test_input_gradient_is_the_slope_by_differences():
    critic, x, h = Critic(MLP((3, 16, 1), generators(1))).double(), draw(1, 40, 3).double(), 1e-6
    steps = h * torch.eye(3, dtype=torch.float64)
    want = torch.stack([(critic(x + step) - critic(x - step)) / (2 * h) for step in steps], -1)
    torch.testing.assert_close(input_gradient(critic, x), want, rtol=1e-6, atol=1e-8)


def test_conditional_shows_the_label_beside_what_it_is_about():
    seen = []
    net = Conditional(nn.Flatten(), 3)
    net.body.register_forward_hook(lambda module, given, out: seen.append(given[0]))
    y = torch.tensor([2, 0])
    z, x = draw(2, 5), draw(2, 1, 4, 4)
    net(z, y)
    net(x, y)
    code, image = seen
    assert torch.equal(code, torch.cat([z, torch.tensor([[0.0, 0, 1], [1, 0, 0]])], 1))
    assert image.shape == (2, 4, 4, 4) and torch.equal(image[:, :1], x)
    for plane in range(3):
        assert torch.equal(image[:, 1 + plane], (y == plane).float()[:, None, None].expand(2, 4, 4))


@pytest.mark.parametrize("y", [[0, 3], [-1, 0]])
def test_conditional_refuses_a_label_out_of_range(y):
    with pytest.raises(RuntimeError):
        Conditional(nn.Flatten(), 3)(draw(2, 5), torch.tensor(y))
