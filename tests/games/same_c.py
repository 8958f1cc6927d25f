"""Mutants of paper C's games that no composition can refuse, and why."""

from games.same_b import AXIS, NO_GRADIENT, SUM

SAME = {
    "discriminators.against_normal": {
        "return {'D': adversarial.discriminator(D(x), D(z + mean)).mean(1)}": AXIS,
    },
    "discriminators.against_smaller_circle": {
        "return {'D': adversarial.discriminator(f_real, f_fake).mean(1)}": AXIS,
    },
    "method.ratio_turns": {"if True:": NO_GRADIENT},
    "method.divergence_turn": {
        "if True:": "method.loss detaches what it gives",
        "f_real = D(x) if pair.weighs else bound": "a g that is one or zero everywhere does not look",
    },
    "perceptual.perceptual_vae_gan": {
        "if True:": NO_GRADIENT,
        "nll = likelihood.gaussian_nll(remade, seen, sigma, setup.event_dims)": SUM,
        "bound = likelihood.negative_elbo(kl_to_standard_normal(mu, log_sigma), nll)": SUM,
    },
}
