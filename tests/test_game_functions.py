"""Pure functions that games are made of: each against an oracle, and no mutant of it passes."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from games.paper_a import noise_images
from mutants import survivors
from torch.distributions import MultivariateNormal, Normal

from bridgekit.games import avb, importance, predictability, processes, setups, wake_sleep
from bridgekit.models.mlp import MLP
from bridgekit.play.state import start


def code_oracle(code_log_prob):
    """Class times normals of unit variance; what nobody reads back does not count."""
    answer = torch.tensor([[[0.3, -0.2, 1.0, 0.4]]])
    code = torch.tensor([[[0.0, 1.0, 0.7, -0.5, 9.0]]])
    log_class = -0.2 - math.log(math.exp(0.3) + math.exp(-0.2))
    squares = ((0.7 - 1.0) ** 2 + (-0.5 - 0.4) ** 2) / 2
    want = torch.tensor([[log_class - squares - math.log(2 * math.pi)]])
    torch.testing.assert_close(code_log_prob(answer, code, 2, 2), want)


def sleep_oracle(sleep_loss):
    """Of a label it is eq 4, and of several bits the sum."""
    f = torch.tensor([1.2, -0.4, 0.0, -3.0], dtype=torch.float64)
    y = torch.tensor([1.0, 1.0, 0.0, 0.0], dtype=torch.float64)
    eq_4 = -torch.where(y == 1, f.sigmoid().log(), (1 - f.sigmoid()).log())
    torch.testing.assert_close(sleep_loss(f[:, None], y[:, None]), eq_4)
    torch.testing.assert_close(sleep_loss(f, y), eq_4.sum())


def likelihood_oracle(bernoulli_given):
    sleep_oracle(lambda logits, h: -bernoulli_given(logits, h))


def folded_oracle(folded_log_likelihood):
    x, z = torch.tensor([[1.5], [0.2]]), torch.tensor([[-0.9], [0.3]])
    for settings, sigma in (({}, 0.5), ({"sigma": 0.2}, 0.2)):
        want = Normal(z.abs(), sigma).log_prob(x).squeeze(-1)
        torch.testing.assert_close(folded_log_likelihood(x, z, **settings), want)


def bound_oracle(exact_bound):
    """Every code, one after the other."""
    images = noise_images(12, 4)
    nets = start(wake_sleep.wake_sleep(setups.flat(images, hidden=8, batch=6), units=3), [0, 1]).nets
    x = wake_sleep.binary(images)[:4].expand(2, -1, -1)
    log_p, bound = exact_bound(nets["G"], nets["E"], x)
    q = nets["E"](x).sigmoid()
    total, average = 0, 0
    for bits in itertools.product((0.0, 1.0), repeat=3):
        h = torch.tensor(bits)
        pixels = nets["G"](h.expand(2, 1, 3)).sigmoid()
        joint = (x * pixels + (1 - x) * (1 - pixels)).double().log().sum(-1) - 3 * math.log(2)
        prob = (h * q + (1 - h) * (1 - q)).double().prod(-1)
        total, average = total + joint.exp(), average + prob * (joint - prob.log())
    assert not log_p.requires_grad and log_p.shape == bound.shape == (2, 4)
    torch.testing.assert_close(log_p.double(), total.log().detach(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(bound.double(), average.detach(), rtol=1e-5, atol=1e-5)


def masked_oracle(masked):
    """Row i: the other units, and which one i is."""
    code = torch.tensor([[[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]])
    want = [[0, 0.2, 0.3, 1, 0, 0], [0.1, 0, 0.3, 0, 1, 0], [0.1, 0.2, 0, 0, 0, 1]]
    assert masked(code).shape == (1, 6, 6) and masked(code[None]).shape == (1, 1, 6, 6)
    torch.testing.assert_close(masked(code)[0, :3], torch.tensor(want))
    blind = masked(code, blind=True)
    assert blind[..., :3].abs().sum() == 0 and torch.equal(blind[0, :3, 3:], torch.eye(3))


def affine_oracle(log_density):
    """Against torch's multivariate normal with the covariance of z W + b, trial by trial."""
    g = MLP([2, 2], [torch.Generator().manual_seed(i) for i in range(3)]).double()
    x = torch.randn(3, 7, 2, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    got = log_density(g, x)
    for w, b, points, one in zip(g.weights[0], g.biases[0], x, got, strict=True):
        exact = MultivariateNormal(b[0], w.T @ w).log_prob(points)
        torch.testing.assert_close(one, exact)


ORACLES = {
    processes.code_log_prob: code_oracle,
    wake_sleep.sleep_loss: sleep_oracle,
    wake_sleep.bernoulli_given: likelihood_oracle,
    avb.folded_log_likelihood: folded_oracle,
    wake_sleep.exact_bound: bound_oracle,
    predictability.masked: masked_oracle,
    importance.affine_log_density: affine_oracle,
}


@pytest.mark.parametrize("function", ORACLES, ids=lambda function: function.__name__)
def test_pure_functions_are_what_they_say(function):
    ORACLES[function](function)


@pytest.mark.parametrize("function", ORACLES, ids=lambda function: function.__name__)
def test_no_mutant_of_a_pure_function_is_what_it_says(function):
    assert survivors(ORACLES[function], function) == set()


def test_an_affine_generator_has_one_layer():
    with pytest.raises(ValueError):
        importance.affine_log_density(MLP([2, 4, 2], [torch.Generator()]), torch.zeros(1, 3, 2))
