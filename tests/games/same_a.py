"""Mutants of paper A's games that no composition can refuse, and why."""

from games.same_b import ALIKE, AXIS, CPU, EXACT, NO_GRADIENT, SUM

THREE = "three phases and three turns"

SAME = {
    "importance.affine": {
        "width, d = (setup.z.shape[1], setup.data.means.shape[-1])": AXIS,
        "width, d = (setup.z.shape[-1], setup.data.means.shape[1])": AXIS,
    },
    "turns.discriminator_turns": {"if True:": NO_GRADIENT},
    "turns.elbo_terms": {
        "if True:": NO_GRADIENT,
        "nll = likelihood.gaussian_nll(mean, seen, sigma, setup.event_dims)": SUM,
    },
    "bridge.bridge_turn": {
        "if True:": NO_GRADIENT,
        "return {'G': twins.twin_combination(forward, reverse, gamma).mean(-1), "
        "'E': likelihood.negative_elbo(kl, nll).mean(-1)}": SUM,
    },
    "bridge.combination_turn": {
        "return {'G': ((1 - weight) * nll + weight * adverse).mean(-1), "
        "'E': likelihood.negative_elbo(kl, nll).mean(-1)}": SUM,
    },
    "arms.dream_turn": {"if True:": NO_GRADIENT},
    "generalised.both_ways": {
        "reread = G(codes)": NO_GRADIENT,
        "log_p = -likelihood.gaussian_nll(reread, x, sigma, setup.event_dims)": SUM,
        "log_q = normal_log_prob(z, *E(made)).sum(-1)": NO_GRADIENT,
    },
    "generalised.marginals_turn": {"if True:": NO_GRADIENT},
    "generalised.code_critic_turns": {"if True:": NO_GRADIENT},
    "generalised.pair_critic_turns": {"if True:": NO_GRADIENT},
    "generalised.code_critic": {
        "body = logits(setup, setup.z.shape[1], hidden, depth)": AXIS,
    },
    "generalised.pair_critic": {
        "n_z = setup.z.shape[1]": AXIS,
        "n_in = setup.data.means.shape[1] + n_z": AXIS,
    },
    "generalised.alpha_bridge_marginals": {
        "phases = [replace(phase, turns=(*phase.turns[:-1], *of_codes, turn)) "
        "for phase, turn in zip(plain.phases, turns)]": THREE,
    },
    "generalised.alpha_bridge_joints": {
        "plain = alpha_bridge(setup, rounds=rounds, gamma=gamma)": "it refuses 0 steps",
        "phases = [replace(phase, turns=(*of_pairs, turn)) "
        "for phase, turn in zip(plain.phases, turns)]": THREE,
    },
    "adaptation.adversarial_domain_adaptation": {
        "d = one_shape(target, source)": ALIKE,
        "labels = torch.cat([torch.ones(batch), torch.zeros(batch)])": EXACT,
        "if True:": NO_GRADIENT,
        "return {'D': labelling.label_nll(D(x), labels).mean(1)}": AXIS,
        "classified = likelihood.negative_log_likelihood(log_p).mean(1)": AXIS,
        "confused = labelling.label_nll(labelling.reverse(D(x)), labels).mean(1)": AXIS,
        "labelled = torch.cat([source.x.flatten(1), source.y[:, None]], 1)": EXACT,
    },
    "classifying.classification": {
        "rows = torch.arange(len(dataset))": CPU,
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
}
