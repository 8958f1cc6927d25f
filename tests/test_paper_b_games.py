"""Mistakes that paper B's games invite: each by name, and each refused by the game's composition."""

from __future__ import annotations

import functools
from dataclasses import replace

import pytest
from games import CASES, paper_b
from games import paper_b_lines as lines
from games.changed import edited, hold, in_place, targets
from games.harness import Move, Paper, Steps, check
from torch import Tensor

from bridgekit.games import vae

# What: (function, its text, what stands there instead, a case that must refuse it).
MISTAKES = {
    "IWGAN's weighted terms averaged": (
        "importance.importance_turn",
        "weighted.importance_log_weight(f)).sum(-1)",
        "weighted.importance_log_weight(f)).mean(-1)",
        "iwgan",
    ),
    "IWCGAN's weights over the whole minibatch": (
        "importance.iwcgan",
        "weighted.class_log_weight(f, y)",
        "weighted.importance_log_weight(f)",
        "iwcgan",
    ),
    "fakes with labels of their own": (
        "importance._class_discriminator",
        "G(z, y)",
        "G(z, y.flip(0))",
        "cgan",
    ),
    "AAVAE's fakes are means": (
        "aavae.generated",
        "(u < G(_beside(z, y)).sigmoid()).to(z)",
        "G(_beside(z, y)).sigmoid()",
        "autoencoder, activated",
    ),
    "a Bernoulli sample is 1 above its probability": (
        "aavae.generated",
        "u < G",
        "u > G",
        "autoencoder, activated",
    ),
    "the temperature in D's training too": (
        "aavae.autoencoder",
        "labelling.label_nll(f, ",
        "labelling.label_nll(f / temperature, ",
        "autoencoder, activated",
    ),
    "AAVAE's temperature is not handed on": (
        "aavae.autoencoder",
        "(believed, loss, temperature)",
        "(believed, loss)",
        "autoencoder, activated",
    ),
    "AAVAE's D with its labels exchanged": (
        "aavae.is_real",
        "< n",
        ">= n",
        "autoencoder, activated",
    ),
    "AAVAE's weights reversed": (
        "aavae.autoencoder",
        "adversary_activated(believed,",
        "adversary_activated(-believed,",
        "autoencoder, activated",
    ),
    "exchanged weights leave their half": (
        "aavae._neighbours",
        "f.unflatten(-1, (2, -1)).roll(1, -1).flatten(-2)",
        "f.roll(1, -1)",
        "autoencoder, activated",
    ),
    "M2 without N / N_l": (
        "m2.semi_supervised",
        "alpha * (labelled.shape[1] + unlabelled.shape[1]) / labelled.shape[1]",
        "alpha",
        "semi_supervised",
    ),
    "M2's N is the unlabelled images'": (
        "m2.semi_supervised",
        "(labelled.shape[1] + unlabelled.shape[1])",
        "unlabelled.shape[1]",
        "semi_supervised",
    ),
    "M2 with its parts exchanged": (
        "m2.semi_supervised",
        "for rows in (labelled, unlabelled)",
        "for rows in (unlabelled, labelled)",
        "semi_supervised",
    ),
    "AASVAE's D does not see the unlabelled images' kind": (
        "m2._activated_m2_turn",
        "is_real(n, f).repeat(2)",
        "is_real(2 * n, f)",
        "semi_supervised, activated",
    ),
    "VAE-GAN's E hears the adversary": (
        "vae.joint_turn",
        '"E": bound.mean(-1)',
        '"E": (bound + adverse).mean(-1)',
        "vae_gan",
    ),
    "VAE-GAN's G without its bound": (
        "vae.joint_turn",
        "(bound + adverse)",
        "adverse",
        "vae_gan",
    ),
    "the implicit posterior's KL with the other sign": (
        "avb.implicit_posterior",
        "adversarial.reverse_kl(D(",
        "-adversarial.reverse_kl(D(",
        "implicit_posterior",
    ),
    "the implicit posterior's D with prior and posterior exchanged": (
        "avb.implicit_posterior",
        "for sample in (z, made))",
        "for sample in (made, z))",
        "implicit_posterior",
    ),
    "the autoencoder hears its adversary": (
        "processes.autoencoder",
        ".mean(-1) / 2)",
        ".mean(-1) / 2 + E(x).sum((-2, -1)))",
        "autoencoder of pixels",
    ),
    "made samples labelled as given": (
        "processes.Process.labelled",
        "y[given.shape[-2] :] = 0",
        "y[: given.shape[-2]] = 0",
        "infogan",
    ),
    "the makers do not reverse the discriminator": (
        "processes.Process.made",
        "labelling.reverse(f)",
        "f",
        "cycle_gan",
    ),
    "the sleep phase dreams with the wake phase's bits": (
        "wake_sleep.wake_sleep",
        "(v < G(h).sigmoid())",
        "(G(h).sigmoid() > 0.5)",
        "wake_sleep",
    ),
    "predictors as slow as the encoder": (
        "predictability.predictability_minimisation",
        "faster=10",
        "faster=1",
        "predictability_minimisation",
    ),
    "a predictor sees its own unit": (
        "predictability.masked",
        "code.unsqueeze(-2) * (1 - which)",
        "code.unsqueeze(-2) * (1 + 0 * which)",
        "predictability_minimisation",
    ),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_with_a_name_is_refused(what):
    name, old, new, case = MISTAKES[what]
    target = targets()[name]
    with in_place(target, edited(target, old, new)), pytest.raises(AssertionError):
        hold([CASES[case]])


def learned_through(line: lines.Line) -> lines.Line:
    """The same line with nothing held fixed."""

    @functools.wraps(line)
    def undetached(nets, batch, now):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Tensor, "detach", lambda self: self)
            return line(nets, batch, now)

    return undetached


def without_detach(paper: Paper) -> Paper:
    ((name, steps),) = paper.phases.items()
    turns = tuple(Move(learned_through(move.losses), move.draws, move.before) for move in steps.turns)
    return replace(paper, phases={name: Steps(steps.rounds, turns)})


@pytest.mark.parametrize("name", ["iwgan", "iwgan, images", "iwcgan"])
def test_weights_that_are_learned_through_give_another_gradient(name):
    """Elsewhere what is detached belongs to another player, whose gradient the loop does not take."""
    case = CASES[name]
    with pytest.raises(AssertionError, match="gradient of G"):
        check(replace(case, paper=lambda a: without_detach(case.paper(a))), draws=False)


def unsure(a, sure: float, wrap=lambda line: line) -> Paper:
    (both,) = lines.perfect_vae(a.sigma, sure)
    paper = paper_b.perfect_vae(a)
    (move,) = paper.phases["train"].turns
    return replace(paper, phases={"train": Steps(a.rounds, (Move(wrap(both), move.draws),))})


@pytest.mark.parametrize("name", ["perfect_vae", "perfect_vae, images"])
def test_the_generated_half_counts_as_much_as_the_discriminator_lets_it(name, monkeypatch):
    """Eq 19 with a discriminator that is not perfect: what the perfect one hides is right as well."""
    monkeypatch.setattr(vae, "SURE", 1.3)
    case = replace(CASES[name], paper=lambda a: unsure(a, 1.3))
    check(case)
    with pytest.raises(AssertionError, match="gradient of G"):  # x is drawn at theta_0
        check(replace(case, paper=lambda a: unsure(a, 1.3, learned_through)), draws=False)


def test_a_sample_is_one_where_its_number_lies_below_its_probability():
    """Both sides draw the same bits: that a few of them fall otherwise is seen."""
    target = targets()["wake_sleep.wake_sleep"]
    wrong = edited(target, "u < E(x).sigmoid()", "u < E(x).sigmoid() + 0.05")
    with in_place(target, wrong), pytest.raises(AssertionError):
        for seed in range(5):
            check(replace(CASES["wake_sleep"], seeds=(seed, seed + 7)), draws=False)
