"""Adversarial domain adaptation, paper B's section 3.1, eqs 1-5 (Ganin et al. 2016)."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor

from bridgekit.data.images import Images, one_shape
from bridgekit.games.setups import Builder
from bridgekit.models.heads import Critic
from bridgekit.models.mlp import MLP
from bridgekit.play.draws import FromTensor
from bridgekit.play.game import Game, Phase, Player, Turn
from bridgekit.theory import labelling, likelihood


def adversarial_domain_adaptation(
    source: Images,
    target: Images,
    *,
    weight: float = 1.0,
    features: int = 32,
    hidden: int = 128,
    batch: int = 64,
    rounds: int = 2000,
    lr: float = 1e-3,
    beta1: float = 0.5,
) -> Game:
    """G extracts features from both domains, C classifies the source's, D tells the domains apart.

    D learns eq 4, y = 1 for the source; G learns eq 5, the same reversed, times ``weight``, and beside it,
    with C, the source's labels: the loss that the paper leaves out of its equations. The target's labels are
    never used. ``weight`` 0 is training on the source alone. Raises BridgekitError where
    the two domains differ in shape; images are flattened.
    """
    d, classes = one_shape(source, target), len(source.classes)
    settings = {"source": source, "target": target, "weight": weight}
    settings |= {"features": features, "hidden": hidden, "batch": batch, "rounds": rounds}
    settings |= {"lr": lr, "beta1": beta1}
    networks: dict[str, Builder] = {
        "G": lambda g: MLP([d, hidden, features], g),
        "C": lambda g: MLP([features, hidden, classes], g),
        "D": lambda g: Critic(MLP([features, hidden, 1], g)),
    }
    labels = torch.cat([torch.ones(batch), torch.zeros(batch)]).to(source.x)

    def judging(nets: SimpleNamespace, batch: SimpleNamespace, now: SimpleNamespace) -> dict[str, Tensor]:
        with torch.no_grad():
            x = nets.G(torch.cat([batch.source[..., :d], batch.target], -2))
        return {"D": labelling.label_nll(nets.D(x), labels).mean(-1)}

    def learning(nets: SimpleNamespace, batch: SimpleNamespace, now: SimpleNamespace) -> dict[str, Tensor]:
        x = nets.G(torch.cat([batch.source[..., :d], batch.target], -2))
        log_class = nets.C(x.chunk(2, -2)[0]).log_softmax(-1)
        log_p = log_class.gather(-1, batch.source[..., d:].long()).squeeze(-1)
        classified = likelihood.negative_log_likelihood(log_p).mean(-1)
        confused = labelling.label_nll(labelling.reverse(nets.D(x)), labels).mean(-1)
        return dict.fromkeys(("G", "C"), classified + weight * confused)

    labelled = torch.cat([source.x.flatten(1), source.y[:, None].to(source.x)], 1)
    draws = {"source": FromTensor(labelled, batch), "target": FromTensor(target.x.flatten(1), batch)}
    players = {n: Player((n,), lr, (beta1, 0.999)) for n in networks}
    turns = (Turn(("D",), draws, judging), Turn(("G", "C"), draws, learning))
    return Game("domain-adaptation", networks, players, (Phase("train", rounds, turns),), settings)
