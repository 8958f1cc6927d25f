"""Adversarial domain adaptation, paper B's section 3.1, eqs 1-5 (Ganin et
al. 2016)."""

from __future__ import annotations

import torch

from bridgekit.data.images import Images, one_shape
from bridgekit.games.setups import Setup
from bridgekit.play.draws import FromTensor
from bridgekit.play.game import Game, Turn, recorded
from bridgekit.theory import labelling, likelihood


@recorded
def adversarial_domain_adaptation(
    setup: Setup,
    target: Images,
    *,
    weight: float = 1.0,
    features: int = 32,
    rounds: int = 2000,
) -> Game:
    """B.4, B.5: G extracts features from both domains, C classifies the
    source's, D tells the domains apart.

    The source is the images of ``setup``, a flat one. D learns eq 4, y = 1
    for the source; G learns eq 5, the same reversed, times ``weight`` (0
    for the source alone), and with C the source's labels: the loss that the
    paper leaves out of its equations. The target's labels are never used.
    Raises BridgekitError where the two domains differ in shape.
    """
    source, batch = setup.data, setup.batch
    d = one_shape(source, target)
    networks = {
        "G": setup.perceptron(d, features, depth=1),
        "C": setup.perceptron(features, len(source.classes), depth=1),
        "D": setup.critic(features, depth=1),
    }
    labels = torch.cat([torch.ones(batch), torch.zeros(batch)]).to(source.x)

    def telling(G, D, source, target):
        with torch.no_grad():
            x = G(torch.cat([source[..., :d], target], -2))
        return {"D": labelling.label_nll(D(x), labels).mean(-1)}

    def learning(G, C, D, source, target):
        x = G(torch.cat([source[..., :d], target], -2))
        log_class = C(x.chunk(2, -2)[0]).log_softmax(-1)
        log_p = log_class.gather(-1, source[..., d:].long()).squeeze(-1)
        classified = likelihood.negative_log_likelihood(log_p).mean(-1)
        confused = labelling.label_nll(
            labelling.reverse(D(x)), labels
        ).mean(-1)
        return dict.fromkeys(("G", "C"), classified + weight * confused)

    labelled = torch.cat(
        [source.x.flatten(1), source.y[:, None].to(source.x)], 1
    )
    draws = {
        "source": FromTensor(labelled, batch),
        "target": FromTensor(target.x.flatten(1), batch),
    }
    turns = Turn(telling, ("D",), draws), Turn(learning, ("G", "C"), draws)
    return setup.train(rounds, turns, networks=networks)
