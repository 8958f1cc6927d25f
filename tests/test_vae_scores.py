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


def built(name):
    options = {"hidden": 6, "z": 2, "batch": 4, "temperature": 2.0}
    if name == "SVAE":
        return m2.semi_supervised(PAIRS, PARTS, REST, **options)
    return aavae.autoencoder(PAIRS if name == "CVAE" else PAIRS.unlabelled(), PARTS, **options)


NETS = {name: networks(built(name)) for name in ("VAE", "CVAE", "SVAE")}


def own_rows(rows):
    """Other images for the second trial."""
    return torch.stack([rows, rows.flip(0)])


def close(got, want):
    assert isinstance(got, torch.Tensor) and not got.requires_grad
    torch.testing.assert_close(got, want.detach(), rtol=1e-9, atol=0)


def terms(nets, rows, eps):
    """-ELBO with the KL in closed form, and the importance weight's logarithm: (T, N) each."""
    mu, log_sigma = nets.E(rows)
    q, prior = Normal(mu, log_sigma.exp()), Normal(torch.zeros_like(mu), 1.0)
    z = mu + q.scale * eps
    nll = -log_bernoulli(rows[..., :D], nets.G(torch.cat([z, rows[..., D:]], -1)))
    log_w = -nll + (prior.log_prob(z) - q.log_prob(z)).sum(-1)
    return nll + kl_divergence(q, prior).sum(-1), log_w


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
        bounds, log_ws = [], []  # (S, K, T, N)
        for e in EPS:
            each = []
            for label in torch.eye(K, dtype=torch.float64):
                each.append(terms(nets, torch.cat([rows[..., :D], label.expand(2, 7, -1)], -1), e))
            bounds.append(torch.stack([nelbo for nelbo, _ in each]))
            log_ws.append(torch.stack([log_w for _, log_w in each]))
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


ORACLES = {"scores": scores, "semi_supervised_scores": semi_supervised_scores, "weights": weights}
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
    "weights": {},
}


def test_every_score_has_an_oracle():
    own = {n: f for n, f in vars(evidence).items() if inspect.isfunction(f) and n[0] != "_"}
    of_nets = {n for n, f in own.items() if "nets" in inspect.signature(f).parameters}
    assert of_nets == ORACLES.keys()


@pytest.mark.parametrize("name", ORACLES)
def test_what_is_seen_is_what_torch_distributions_say(name):
    ORACLES[name](getattr(evidence, name))


@pytest.mark.parametrize("name", ORACLES)
def test_no_mutant_of_what_is_seen_is_what_torch_distributions_say(name):
    function = getattr(evidence, name)
    assert survivors(ORACLES[name], inspect.unwrap(function)) == EQUIVALENT[name].keys()
