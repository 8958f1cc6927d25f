"""Mutants of paper A's games that no composition can refuse, and why."""

from games.same_b import ALIKE, AXIS, CPU, EXACT, NO_GRADIENT, SUM

FIRST = "the first loss and the target tell as much"
SETTINGS = ("mu", "sigma", "x", "target", "rounds", "lr")

SAME = {
    "importance.affine": {
        "width, d = (arena.z.shape[1], arena.x.mixture.means.shape[-1])": AXIS,
        "width, d = (arena.z.shape[-1], arena.x.mixture.means.shape[1])": AXIS,
    },
    "turns.discriminator_turns": {"if True:": NO_GRADIENT},
    "turns.posterior_terms": {
        "nll = likelihood.gaussian_nll(nets.G(z), batch.x, sigma, arena.event_dims)": SUM,
    },
    "bridge.bridge_turn": {
        "if True:": NO_GRADIENT,
        "return {'G': twins.twin_combination(forward, reverse, now.gamma).mean(-1), "
        "'E': likelihood.negative_elbo(kl, nll).mean(-1)}": SUM,
    },
    "bridge.combination_turn": {
        "return {'G': ((1 - weight) * nll + weight * adverse).mean(-1), "
        "'E': likelihood.negative_elbo(kl, nll).mean(-1)}": SUM,
    },
    "adaptation.adversarial_domain_adaptation": {
        "d, classes = (one_shape(target, source), len(source.classes))": ALIKE,
        "labels = torch.cat([torch.ones(batch), torch.zeros(batch)])": EXACT,
        "if True:": NO_GRADIENT,
        "return {'D': labelling.label_nll(nets.D(x), labels).mean(1)}": AXIS,
        "classified = likelihood.negative_log_likelihood(log_p).mean(1)": AXIS,
        "confused = labelling.label_nll(labelling.reverse(nets.D(x)), labels).mean(1)": AXIS,
        "labelled = torch.cat([source.x.flatten(1), source.y[:, None]], 1)": EXACT,
    },
    "classifying.classification": {
        "draws = {'index': FromTensor(torch.arange(len(dataset)), batch), 'move': Uniform((batch, 2))}": CPU,
    },
    "classifying.shifted": {
        "h, w = x.shape[2:]": AXIS,
        "rows = start[:, :1] + torch.arange(h) - reach": CPU,
        "columns = start[:, 1:] + torch.arange(w) - reach": CPU,
        "image = torch.arange(len(x))[:, None, None]": CPU,
        "return found.permute(0, 3, 1, 2)": "the same numbers in another order of memory",
    },
    "fitting.Gaussians.log_prob": {
        "return normal_log_prob(self.mu[:, None], x, self.log_sigma[:, None])": SUM,
    },
    "fitting.gaussian_fit": {
        **{
            f"settings = {{{', '.join(f'{n!r}: {n}' for n in SETTINGS if n != left_out)}}}": FIRST
            for left_out in SETTINGS[:4]
        },
        "settings['first loss'] = loss(Gaussians(mu, sigma))": "a fingerprint takes no gradient",
        "settings['first loss'] = loss(Gaussians(sigma, mu)).detach()": "it tells integrands apart as well",
    },
}
