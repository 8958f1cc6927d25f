"""Mutants of paper B's games that no composition can refuse, by function: what stands there, and why."""

NO_GRADIENT = "gradients are taken for the turn's own players only: it costs time and changes nothing"
SUM = "a sum or a square does not know the order"
AXIS = "(T, B): its last axis is its second"
CPU = "all is on the CPU here"
EVEN = "two floats are equal once in sixteen million draws"
EXACT = "zeros and ones are exact in any type"
ALIKE = "all images have one shape"
ELSEWHERE = "no loss shows it; refused by "
OF_NETWORKS = ELSEWHERE + "tests/test_labelled.py"

_CHUNK = "labels = torch.randint(self.classes, (rounds, self.batch), generator=generator)"
_CONVOLUTIONAL = (
    "return {{'G': lambda g: LabelledDCGAN(generator, g, {}, pixels, classes), 'E': body(2 * z, classes), "
    "'D': body(1, seen - pixels), 'C': body(classes, 0)}}"
)
SAME = {
    "wake_sleep.wake_sleep": {
        "if True:": NO_GRADIENT,
        "h = (u <= E(x).sigmoid()).to(x)": EVEN,
        "h = (u <= 0.5).to(u)": EVEN,
        "dreamed = (v <= G(h).sigmoid()).to(h)": EVEN,
        "return {'G': likelihood.negative_log_likelihood(bernoulli_given(G(h), x)).mean(1)}": AXIS,
        "return {'E': sleep_loss(E(dreamed), h).mean(1)}": AXIS,
    },
    "predictability.masked": {
        "which = torch.eye(k, dtype=code.dtype).expand(*code.shape, k)": CPU,
        "seen = 0 * which if blind else code.unsqueeze(2) * (1 - which)": ELSEWHERE + "test_game_functions",
        "return torch.cat([seen, which], -1).flatten(-3, 2)": ELSEWHERE + "test_game_functions",
    },
    "predictability.predictability_minimisation": {
        "return likelihood.gaussian_nll(guess, code, 1.0).mean(-1)": SUM,
        "return likelihood.gaussian_nll(code, guess, 1.0).mean(1)": AXIS,
        "if True:": NO_GRADIENT,
    },
    "setups.images": {"x = FromTensor(torch.arange(len(dataset)), batch)": CPU},
    "importance._class_discriminator": {"if True:": NO_GRADIENT},
    "vae.perfect_turn": {
        "if True:": NO_GRADIENT,
        "made = semi_implicit_sample(noise, G(z), sigma)": ELSEWHERE
        + "tests/test_game_mutants.py, with a discriminator that is not perfect",
    },
    "avb.implicit_posterior": {
        "if True:": NO_GRADIENT,
        "return {'D': adversarial.discriminator(f_prior, f_made).mean(1)}": AXIS,
        "return {'E': likelihood.negative_elbo(kl, nll).mean(-1)}": SUM,
        "return {'E': likelihood.negative_elbo(nll, kl).mean(1)}": AXIS,
    },
    "avb.gaussian_posterior": {
        "return {'E': likelihood.negative_elbo(kl_to_standard_normal(mu, log_sigma), nll).mean(-1)}": SUM,
        "return {'E': likelihood.negative_elbo(nll, kl_to_standard_normal(mu, log_sigma)).mean(1)}": AXIS,
    },
    "processes.code_log_prob": {
        "return log_class + normal_log_prob(mean, given, 0.0).sum(-1)": SUM,
    },
    "processes.adversarial_autoencoder": {
        "return -likelihood.gaussian_nll(there['G'](made), x, sigma)": SUM,
    },
    "processes.autoencoder": {
        "log_image = -likelihood.gaussian_nll(G(E(x)), x, sigma)": SUM,
        "return dict.fromkeys(making.moves, likelihood.negative_log_likelihood(log_image).mean(1) / 2)": AXIS,
    },
    "processes.cycle_gan": {
        "d = one_shape(second, setup.data)": SUM,
        "return -likelihood.gaussian_nll(there['E'](made), z, sigma)": SUM,
        "return -likelihood.gaussian_nll(there['G'](made), x, sigma)": SUM,
    },
    "processes.Codes.chunk": {
        _CHUNK: CPU,
        "rest = torch.randn(rounds, self.batch, self.normal, generator=generator)": CPU,
        "return torch.cat([F.one_hot(labels, self.classes), rest], -1)": EXACT,
    },
    "processes.Process.told": {
        "if True:": NO_GRADIENT,
        "return labelling.infogan(f, y, torch.zeros_like(f)).mean(1)": AXIS,
    },
    "processes.Process.made": {
        "both = torch.cat([log_source, log_source], -1)": "it is not evaluated where y = 1",
        "both = torch.cat([torch.zeros_like(log_source), log_source], 1)": AXIS,
        "return labelling.infogan(labelling.reverse(f), y, both).mean(1)": AXIS,
    },
    "processes.Residual.slope": {
        "return -(1 + super().slope(x))": OF_NETWORKS,
        "return 1": OF_NETWORKS,
        "return super().slope(x)": OF_NETWORKS,
        "return 1 - super().slope(x)": OF_NETWORKS,
        "return 2 + super().slope(x)": OF_NETWORKS,
        "return 1 + super()": OF_NETWORKS,
    },
    "draws.FromParts.chunk": {
        "return torch.randint(n, (rounds, self.batch), generator=generator)": CPU,
    },
    "labelled.convolutions": {
        "return nn.Sequential(DCGANGenerator(g, z + classes, width, size=size), nn.Flatten())": OF_NETWORKS,
        **{
            f"return lambda g: LabelledDCGAN(build, g, {inputs}, outputs, k)": OF_NETWORKS
            for inputs in ("pixels", "k", "pixels - k")
        },
        **{_CONVOLUTIONAL.format(inputs): OF_NETWORKS for inputs in ("z", "classes", "z - classes")},
    },
    "labelled.LabelledDCGAN.forward": {
        "return -torch.stack([net(rows) for net, rows in zip(self.nets, x, strict=True)])": OF_NETWORKS,
        "return torch.stack([net(rows) for net, rows in zip(self.nets, x)])": OF_NETWORKS,
    },
    "labelled.LabelledMLP.each": {
        "for w, b in zip(self.weights[1:], self.biases[1:]):": "each layer has a matrix and biases",
    },
    "labelled.Planes.forward": {
        "pixels, labels = rows.tensor_split([self.size ** 2], 1)": AXIS,
        **{
            f"return {changed}, planes], 1)": ELSEWHERE + "tests/test_vae.py"
            for changed in (
                "-torch.cat([2 * pixels.view(-1, 1, self.size, self.size) - 1",
                "torch.cat([2 * pixels.view(-1, 1, self.size, self.size)",
                "torch.cat([2 * pixels.view(-1, 1, self.size, self.size) + 1",
                "torch.cat([pixels.view(-1, 1, self.size, self.size) - 1",
                "torch.cat([3 * pixels.view(-1, 1, self.size, self.size) - 1",
                "torch.cat([2 * pixels.view(-1, 1, self.size, self.size) - 2",
            )
        },
    },
    "labelled.LabelledDCGAN.each": {
        "labels = torch.eye(k, dtype=x.dtype).expand(*x.shape[:2], k, k)": CPU,
        "labels = torch.eye(k, device=x.device).expand(*x.shape[:2], k, k)": EXACT,
    },
    "aavae._beside": {
        "return torch.cat([x, y], -1) if y.shape[1] else x": "to put nothing beside x changes nothing",
        "return torch.cat([x, y], -1) if y.shape[-2] else x": "to put nothing beside x changes nothing",
    },
    "aavae.negative_bound": {
        "return likelihood.negative_elbo(kl_to_standard_normal(mu, log_sigma), nll)": SUM,
    },
    "m2.labelled_bounds": {
        "bound = likelihood.negative_elbo(kl_to_standard_normal(mu, log_sigma), nll)": SUM,
    },
    "aavae.generated": {
        "if True:": NO_GRADIENT + "; averages that move are seen by tests/test_vae.py",
        "return _beside(u < G(_beside(z, y)).sigmoid(), y)": EXACT,
        "return _beside((u <= G(_beside(z, y)).sigmoid()).to(z), y)": EVEN,
    },
    "aavae.is_real": {"return (torch.arange(2 * n) < n).to(like)": CPU},
    "aavae._neighbours": {"return f.unflatten(1, (2, -1)).roll(1, -1).flatten(-2)": AXIS},
    "aavae._plain_turn": {"return {'model': negative_bound(G, E, pairs, eps).mean(1)}": AXIS},
    "aavae._activated_turn": {
        "return {'D': labelling.label_nll(f, is_real(n, f)).mean(1), 'model': "
        "weighted.adversary_activated(believed, loss, temperature).mean(-1)}": AXIS,
        "return {'D': labelling.label_nll(f, is_real(n, f)).mean(-1), 'model': "
        "weighted.adversary_activated(believed, loss, temperature).mean(1)}": AXIS,
    },
    "m2._m2_turn": {
        "return {'model': of_known.mean(1) + of_rest.mean(-1)}": AXIS,
        "return {'model': of_known.mean(-1) + of_rest.mean(1)}": AXIS,
    },
    "m2._activated_m2_turn": {
        "fake = generated(G, z, F.one_hot((c * k).long(), k), u)": EXACT,
        "each = zip(f.split(2 * n, 1), terms)": "two halves and two terms",
        "of_known, of_rest = (weighted.adversary_activated(g, term, temperature).mean(1) "
        "for g, term in each)": AXIS,
        "return {'D': labelling.label_nll(f, is_real(n, f).repeat(2)).mean(1), "
        "'model': of_known + of_rest}": AXIS,
    },
}
