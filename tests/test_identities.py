"""Paper B's identities between objectives: one thing in the paper, one function in the code."""

import math

import pytest
import torch

from bridgekit.theory import adversarial, labelling, likelihood, weighted

F = torch.tensor([-2.0, -0.3, 0.0, 0.4, 3.0], dtype=torch.float64)
G = torch.tensor([1.5, -0.2, 0.1, -4.0, 0.6], dtype=torch.float64)
FAKE, REAL = torch.zeros_like(F), torch.ones_like(F)


def test_eqs_1_and_2_are_twice_eqs_4_and_5_and_differ_by_the_reversal():
    both, labels = torch.cat([F, G]), torch.cat([REAL, FAKE])
    for new, conventional in (
        (labelling.label_nll(both, labels), adversarial.discriminator(F, G)),
        (labelling.label_nll(labelling.reverse(both), labels), labelling.domain_confusion(F, G)),
    ):
        torch.testing.assert_close(2 * new.mean(), conventional.mean())


def test_eq_7_is_the_non_saturating_loss():
    torch.testing.assert_close(labelling.label_nll(labelling.reverse(F), FAKE), adversarial.non_saturating(F))


def test_the_sleep_phase_with_the_label_as_its_latent_is_eq_4():
    for y, log_q in ((REAL, torch.nn.functional.logsigmoid(F)), (FAKE, torch.nn.functional.logsigmoid(-F))):
        torch.testing.assert_close(likelihood.negative_log_likelihood(log_q), labelling.label_nll(F, y))


def test_the_adversarial_autoencoder_is_infogan_with_data_and_code_exchanged():
    f_prior, f_code, reconstruction = F, G, torch.tensor([-1.0, -0.2, -3.0, 0.0, -0.7], dtype=torch.float64)
    nothing = torch.zeros_like(F)
    ours = labelling.infogan(f_prior, REAL, nothing) + labelling.infogan(f_code, FAKE, reconstruction)
    torch.testing.assert_close(ours, adversarial.discriminator(f_prior, f_code) - reconstruction)
    learn = labelling.infogan(
        labelling.reverse(f_code), FAKE, reconstruction
    )  # eqs 35, 36: fool D, reconstruct
    torch.testing.assert_close(learn, adversarial.non_saturating(f_code) - reconstruction)


def test_a_vae_is_an_adversary_activated_vae_whose_discriminator_is_perfect():
    real, fake = F.abs() + 1, G.abs() + 1
    sure = torch.full_like(F, math.inf)
    torch.testing.assert_close(weighted.adversary_activated(sure, real), real)
    assert torch.equal(weighted.adversary_activated(-sure, fake), torch.zeros_like(fake))


def test_importance_weights_of_one_sample_or_of_equal_samples_change_nothing():
    alone = weighted.importance_weighted(F[:1], weighted.importance_log_weight(F[:1]))
    torch.testing.assert_close(alone, adversarial.non_saturating(F[:1]))
    same = torch.full_like(F, 0.7)
    total = weighted.importance_weighted(same, weighted.importance_log_weight(same)).sum()
    torch.testing.assert_close(total, adversarial.non_saturating(same).mean())


@pytest.mark.parametrize("sign", [1, -1])
def test_the_bound_of_eq_30_fails_for_the_reversed_optimum_and_holds_for_the_optimum(sign):
    x = torch.linspace(-12, 12, 961, dtype=torch.float64)
    step = float(x[1] - x[0])
    log_p, log_q = (torch.distributions.Normal(m, s).log_prob(x) for m, s in ((-1.0, 0.8), (1.0, 1.2)))
    f = sign * (log_q - log_p)
    prior = labelling.log_prior(log_p, log_q)
    pair = [
        labelling.log_posterior(
            -labelling.label_nll(labelling.reverse(f), torch.tensor(y)), prior, math.log(step)
        )
        for y in (0.0, 1.0)
    ]
    gap = float(labelling.lemma_1(log_p, log_q, *pair).sum() * step)
    assert gap > 0.1 if sign > 0 else gap < -0.1
