"""Autoencoders' bounds and weights against torch.distributions, and mutants of their functions."""

from __future__ import annotations

import inspect
import math
from types import SimpleNamespace

import pytest
import torch
from games.autoencoder_lines import dreamed, weight
from games.autoencoders import PARTS, REST, pairs
from games.tools import log_bernoulli
from mutants import survivors
from torch.distributions import Categorical, Normal, kl_divergence

from bridgekit.games import aavae, m2
from bridgekit.measure import evidence
from bridgekit.play.state import start

D, K = 9, 3
PAIRS = pairs(3)
ROWS = PAIRS.rows[:7].double()
DRAWS = torch.Generator().manual_seed(5)
EPS = torch.randn(3, 7, 2, generator=DRAWS, dtype=torch.float64)


def networks(game):
    """Two trials in float64; larger weights than at the start, so that no bound is close to another."""
    nets = start(game, [0, 1]).nets
    for net in nets.values():
        net.double()
        for parameter in net.parameters():
            parameter.data.mul_(2)
    return SimpleNamespace(**nets)


def built(name, z=2):
    options = {"hidden": 6, "z": z, "batch": 4, "temperature": 2.0}
    if name == "SVAE":
        return m2.semi_supervised(PAIRS, PARTS, REST, **options)
    return aavae.autoencoder(PAIRS if name == "CVAE" else PAIRS.unlabelled(), PARTS, **options)


NETS = {name: networks(built(name)) for name in ("VAE", "CVAE", "SVAE")}


def own_rows(rows):
    """Other images for the second trial."""
    return torch.stack([rows, rows.flip(0)])


def close(got, want, learned=False):
    assert isinstance(got, torch.Tensor) and got.requires_grad == learned
    torch.testing.assert_close(got.detach(), want.detach(), rtol=1e-9, atol=0)


def terms(nets, rows, eps):
    """-ELBO with the KL in closed form, and the importance weight's logarithm: (T, N) each."""
    mu, log_sigma = nets.E(rows)
    q, prior = Normal(mu, log_sigma.exp()), Normal(torch.zeros_like(mu), 1.0)
    z = mu + q.scale * eps
    nll = -log_bernoulli(rows[..., :D], nets.G(torch.cat([z, rows[..., D:]], -1)))
    log_w = -nll + (prior.log_prob(z) - q.log_prob(z)).sum(-1)
    return nll + kl_divergence(q, prior).sum(-1), log_w


def labelled_terms(nets, x, eps):
    """The same under every label, (K, T, N) each."""
    every = torch.eye(K, dtype=torch.float64)
    pairs = [torch.cat([x, label.expand(*x.shape[:2], -1)], -1) for label in every]
    return [torch.stack(each) for each in zip(*(terms(nets, rows, eps) for rows in pairs), strict=True)]


def mean_of_logs(log_w):
    """log (1/S) sum w over the first axis."""
    return log_w.exp().mean(0).log()


def scores(function):
    for name, rows in (("VAE", ROWS[:, :D]), ("CVAE", ROWS)):
        nets = NETS[name]
        for given in (rows, own_rows(rows)):
            elbo, log_w = zip(*(terms(nets, given.expand(2, -1, -1), e) for e in EPS), strict=True)
            for options in ({}, {"chunk": 3}):
                got = function(nets, given, EPS, **options)
                assert got.keys() == {"elbo", "iw"}
                close(got["elbo"], -sum(elbo) / 3)
                close(got["iw"], mean_of_logs(torch.stack(log_w)))
        assert got["iw"].mean() > got["elbo"].mean() + 0.05, "two bounds that lie apart"


def semi_supervised_scores(function):
    nets = NETS["SVAE"]
    for given in (ROWS, own_rows(ROWS)):
        rows = given.expand(2, -1, -1)
        q = Categorical(logits=nets.C(rows[..., :D]))
        bounds, log_ws = zip(*(labelled_terms(nets, rows[..., :D], e) for e in EPS), strict=True)  # S times
        expected = (q.probs.movedim(-1, 0) * torch.stack(bounds)).sum(1).mean(0)
        elbo = q.entropy() - expected - math.log(K)
        iw = torch.stack(log_ws).exp().mean(0).mean(0).log()
        for options in ({}, {"chunk": 2}):
            got = function(nets, given, EPS, **options)
            assert got.keys() == {"elbo", "iw", "correct"}
            close(got["elbo"], elbo)
            close(got["iw"], iw)
            close(got["correct"], (q.probs.argmax(-1) == rows[..., D:].argmax(-1)).double())
    assert 0 < got["correct"].sum() < 14, "some labels found, not all"
    lost = SimpleNamespace(
        **{**vars(nets), "C": lambda x: nets.C(x).index_fill(1, torch.tensor(2), math.nan)}
    )
    unknown = function(lost, ROWS, EPS)["correct"].isnan()
    assert unknown[:, 2].all() and unknown.sum() == 2, "an answer that is none is neither right nor wrong"


def weights(function):
    z = torch.randn(2, 7, 2, generator=DRAWS, dtype=torch.float64)
    u = torch.rand(2, 7, D, generator=DRAWS, dtype=torch.float64)
    for name, nets in NETS.items():
        rows = own_rows(ROWS[:, :D] if name == "VAE" else ROWS)
        seen = D + K if name == "CVAE" else D  # D sees labels only where all images have one
        made = dreamed(nets, z, rows[..., D:], u)
        real, fake = function(nets, rows, z, u, 2.0)
        close(real, weight(nets.D(rows[..., :seen]), 2.0))
        close(fake, weight(nets.D(made[..., :seen]), 2.0))


def unlabelled_bound(function):
    """Least at the exact posterior, and the bound of the label that the classifier is sure of."""
    bounds = 3 * torch.randn(2, 50, 10, dtype=torch.float64, generator=DRAWS)
    best, floor = (-bounds).log_softmax(-1), -torch.logsumexp(-bounds, -1)
    close(function(best, bounds), floor)
    other = (best + torch.randn(2, 50, 10, dtype=torch.float64, generator=DRAWS)).log_softmax(-1)
    assert (function(other, bounds) > floor).all()
    sure = torch.full((10,), -1000.0).index_fill(0, torch.tensor(3), 0.0)
    close(function(sure.double(), bounds), bounds[..., 3])


def labelled_bounds(function):
    nets, x = NETS["SVAE"], own_rows(ROWS[:, :D])
    got = function(nets.G, nets.E, x, EPS[:2])
    close(got, labelled_terms(nets, x, EPS[:2])[0].movedim(0, -1) + math.log(K), learned=True)


def m2_terms(function):
    """Kingma et al.'s eqs 6, 7 and 9, label by label."""
    nets, known, x = NETS["SVAE"], own_rows(ROWS), own_rows(ROWS[:, :D].flip(0))
    got = function(nets.G, nets.E, nets.C, known, x, EPS[:2], EPS[1:], 0.7)
    label = Categorical(logits=nets.C(known[..., :D])).log_prob(known[..., D:].argmax(-1))
    close(got[0], terms(nets, known, EPS[:2])[0] + math.log(K) - 0.7 * label, learned=True)
    q = Categorical(logits=nets.C(x))
    expected = (q.probs.movedim(-1, 0) * labelled_terms(nets, x, EPS[1:])[0]).sum(0)
    close(got[1], expected + math.log(K) - q.entropy(), learned=True)


ORACLES = {"scores": scores, "semi_supervised_scores": semi_supervised_scores, "weights": weights}
OF_M2 = {"unlabelled_bound": unlabelled_bound, "labelled_bounds": labelled_bounds, "m2_terms": m2_terms}
ORACLES = {getattr(evidence, n): f for n, f in ORACLES.items()} | {
    getattr(m2, n): f for n, f in OF_M2.items()
}
CHUNK = "a chunk changes memory and speed only"
SIGNATURE = "(nets: SimpleNamespace, pairs: Tensor, eps: Tensor, chunk: int={}) -> dict[str, Tensor]:"
SPREAD = {"eps = eps[:, None]": "one trial's noise is spread over all by the sum it enters"}
EQUIVALENT = {
    "scores": {"def scores" + SIGNATURE.format(501): CHUNK, **SPREAD},
    "semi_supervised_scores": {
        "def semi_supervised_scores" + SIGNATURE.format(101): CHUNK,
        "found.append((elbo, iw, correct.masked_fill(log_q.isnan().all(-1), math.nan)))": "one NaN: all NaN",
        **SPREAD,
    },
}


def test_every_score_has_an_oracle():
    own = {n: f for n, f in vars(evidence).items() if inspect.isfunction(f) and n[0] != "_"}
    of_nets = {f for f in own.values() if "nets" in inspect.signature(f).parameters}
    assert of_nets == {f for f in ORACLES if f.__module__ == evidence.__name__}


every = pytest.mark.parametrize("function", ORACLES, ids=lambda function: function.__name__)


@every
def test_what_is_seen_is_what_torch_distributions_say(function):
    ORACLES[function](function)


@every
def test_no_mutant_of_what_is_seen_is_what_torch_distributions_say(function):
    found = survivors(ORACLES[function], inspect.unwrap(function))
    assert found == EQUIVALENT.get(function.__name__, {}).keys()


@pytest.mark.parametrize("name", NETS)
def test_bounds_agree_with_quadrature_and_tighten(name):
    """A code of one dimension: log p(x) on a grid is the tighter bound's limit, and lies above the other."""
    nets, n = networks(built(name, z=1)), 5
    nets.E.body.biases[-1].data.add_(0.5)  # off and too wide: the two bounds lie apart
    rows = (ROWS[:n, :D] if name == "VAE" else ROWS[:n]).expand(2, -1, -1)
    grid = torch.linspace(-8, 8, 201, dtype=torch.float64)
    prior = Normal(0.0, 1.0).log_prob(grid) + math.log(grid[1] - grid[0])
    labels = torch.eye(K).double()[:, None, None] if name == "SVAE" else rows[None, ..., D:]
    joint = []
    for y in labels:
        codes = torch.cat([grid[:, None, None, None].expand(-1, 2, n, 1), y.expand(len(grid), 2, n, -1)], -1)
        logits = torch.stack([nets.G(code) for code in codes])
        joint.append((log_bernoulli(rows[..., :D], logits) + prior[:, None, None]).logsumexp(0))
    exact = torch.stack(joint).logsumexp(0) - math.log(len(joint))
    score = evidence.semi_supervised_scores if name == "SVAE" else evidence.scores
    found = score(nets, rows, torch.randn(1000, n, 1, generator=DRAWS, dtype=torch.float64))
    torch.testing.assert_close(found["iw"], exact.detach(), atol=0.2, rtol=0)
    assert (found["elbo"] < exact - 0.03).all()
