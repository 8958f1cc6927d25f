"""Mutants of paper A's games and of the autoencoders that no composition can refuse, and why."""

from games.same_b import ALIKE, AXIS, CPU, EVEN, EXACT, NO_GRADIENT, SUM

NOTHING = "no columns beside others are nothing"
FIRST = "the first loss and the target tell as much"
SETTINGS = ("mu", "sigma", "x", "target", "rounds", "lr")

SAME = {
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
        "return {'D': unified.label_nll(nets.D(x), labels).mean(1)}": AXIS,
        "classified = likelihood.negative_log_likelihood(log_p).mean(1)": AXIS,
        "confused = unified.label_nll(unified.reverse(nets.D(x)), labels).mean(1)": AXIS,
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
    "vae._activated_m2_turn": {
        "y = F.one_hot((drawn.c * k).long(), k)": EXACT,
        "each = zip(f.split(2 * n, 1), terms)": "there are two of each",
        "of_known, of_rest = (weighted.adversary_activated(g, term, temperature).mean(1) "
        "for g, term in each)": AXIS,
        "return {'D': unified.label_nll(f, _is_real(n, f).repeat(2)).mean(1), "
        "'model': of_known + of_rest}": AXIS,
    },
    "vae._beside": {
        "return torch.cat([x, y], -1) if y.shape[1] else x": NOTHING,
        "return torch.cat([x, y], -1) if y.shape[-2] else x": NOTHING,
    },
    "vae._is_real": {"return (torch.arange(2 * n) < n).to(like)": CPU},
    "vae._m2_turn": {
        "return {'model': known.mean(1) + rest.mean(-1)}": AXIS,
        "return {'model': known.mean(-1) + rest.mean(1)}": AXIS,
    },
    "vae._neighbours": {"return f.unflatten(1, (2, -1)).roll(1, -1).flatten(-2)": AXIS},
    "vae.autoencoder": {
        "return {'D': unified.label_nll(f, _is_real(batch, f)).mean(1), "
        "'model': weighted.adversary_activated(believed, loss, temperature).mean(-1)}": AXIS,
    },
    "vae.generated": {
        "return _beside((u <= nets.G(_beside(z, y)).sigmoid()).to(z), y)": EVEN,
    },
}
