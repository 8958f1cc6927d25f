"""Mistakes by name for `make mutants`: a function, then lines `what: its text => what stands there instead`.

A function of games is followed by the case of ``tests/games`` whose check must refuse its mistakes, a mistake
by the change of that case that shows it, where the case itself does not. Nothing of the library is imported
here: a process that has imported it cannot import a mutant of it.
"""

from __future__ import annotations

from typing import NamedTuple

TABLE = """\
games.bridge.alpha_bridge @ alpha_bridge
  the bridge ignores gamma: rising_alpha(gamma) => rising_alpha(twins.sigmoid_gamma) @ gamma 0
  the bridge ignores clip: bridge_turn(setup, sigma, clip) => bridge_turn(setup, sigma, 5.0) @ clip
  the bridge ignores d_steps: steps=d_steps => steps=1 @ d_steps
  the bridge ignores penalty: , penalty=penalty) => ) @ penalty
  another sigma in step I: ml_turn(setup, sigma)) => ml_turn(setup, 0.5))
  another sigma in step II: bridge_turn(setup, sigma, clip) => bridge_turn(setup, 0.5, clip)
  another sigma in step III: sigma, ("E",) => 0.5, ("E",)
games.bridge.bridge_turn @ alpha_bridge
  E learns the weighted loss in step II: elbo(nll, kl) => elbo(forward, kl)
  no KL for E in step II: likelihood.negative_elbo(nll, kl) => nll
games.bridge.noised @ noisy_bridge
  D sees through half the noise: seen * noise => seen / 2 * noise
games.bridge.noisy_bridge @ noisy_bridge
  the noisy bridge ignores clip: , clip=clip) => ) @ clip
games.bridge.fine_tuning @ fine_tuning
  fine-tuning with another generator loss: adversarial.reverse_kl => adversarial.non_saturating
games.bridge.combination_turn @ fixed_combination
  the fixed sum with its weights exchanged: * nll + weight * adverse => * adverse + weight * nll
games.generalised.both_ways @ alpha_bridge_marginals
  the encoder dreams of means: E(made.detach()) => E(mean.detach())
  log p at the model's own samples: gaussian_nll(x, reread => gaussian_nll(made, reread
games.generalised.alpha_bridge_joints @ alpha_bridge_joints
  H never sees noise: sigma * sampled => 0.0 @ sampled
games.generalised.marginals_turn @ alpha_bridge_marginals
  E hears the ratio of images: drawn.log_q, g_prior, => drawn.log_q, f_data,
  D sees the noise of eq 13: D(drawn.mean) => D(drawn.made)
games.generalised.joints_turn @ alpha_bridge_joints
  h with one sign for both players: generalised.joint_encoder( => generalised.bridge(
  the two joints exchanged for E: drawn.log_q, h_made, h_data => drawn.log_q, h_data, h_made
games.generalised.pairs_turn @ alpha_bridge_joints
  one divergence for both players in step III: reverse_kl(-h_data) => reverse_kl(h_data)
games.generalised.code_critic_turns @ alpha_bridge_marginals
  prior and codes exchanged for C: (C(z), C(codes)) => (C(codes), C(z))
games.arms.dream_turn @ encoder_afterwards
  an arm that learns its own mean: normal_log_prob(z, *E(made)) => normal_log_prob(E(made)[0], *E(made))
games.arms.encoder_afterwards @ encoder_afterwards
  the arm goes on from the bridge's: "cold": ("E",) => "cold": ()
  the bridge before the arms ignores clip: , clip=clip) => ) @ clip
games.arms.adversarially_learned_inference @ adversarially_learned_inference
  one step of H, always: 0.0, h_steps) => 0.0, 1) @ h_steps
games.turns.ml_turn @ alpha_bridge
  no KL in the plane's ELBO: likelihood.negative_elbo(* => (lambda nll, kl: nll)(*
games.setups.plane @ alpha_bridge
  the plane ignores beta1: lr, beta1, batch => lr, 0.5, batch @ setup.beta1
  the plane ignores lr: lr, beta1, batch => 1e-3, beta1, batch @ setup.lr
games.setups.images @ gan, images
  images ignore beta1: x, lr, beta1 => x, lr, 0.5 @ setup.*
games.setups.images @ cgan
  images ignore lr: x, lr, beta1 => x, 2e-4, beta1 @ setup.lr
games.setups.flat @ infogan
  flat setups ignore beta1: lr, beta1, batch => lr, 0.5, batch @ setup.*
games.setups.Setup.player @ gan
  a setup's players ignore lr: self.lr => 1e-3 @ setup.*
  a setup's players ignore beta1: self.beta1 => 0.5 @ setup.*
games.baselines.gan @ gan
  the GAN ignores penalty: , penalty=penalty) => ) @ penalty
  the GAN ignores d_steps: steps=d_steps => steps=1 @ d_steps
  the GAN ignores its critic: discriminator_turns(setup, critic, => discriminator_turns(setup, @ critic
games.baselines.wgan_gp @ wgan_gp
  WGAN-GP ignores penalty: penalty=penalty => penalty=10.0 @ penalty
games.baselines.f_gan @ f_gan
  the f-GAN with the GAN's critic: divergence.critic => adversarial.discriminator
games.vae.vae_gan @ vae_gan
  VAE-GAN's D with its labels exchanged: turns(setup) => turns(setup, labelling.domain_confusion)
games.processes.processes_game @ cycle_gan
  the power iteration of the first critic only: for name in of_phi: => for name in of_phi[:1]:
games.importance.importance_turn @ iwgan
  IWGAN's weighted terms averaged: log_weight(f)).sum(-1) => log_weight(f)).mean(-1)
games.importance.iwcgan @ iwcgan
  IWCGAN's weights over the whole minibatch: class_log_weight(f, y) => importance_log_weight(f)
games.importance._class_discriminator @ cgan
  fakes with labels of their own: G(z, y) => G(z, y.flip(0))
games.aavae.generated @ autoencoder, activated
  AAVAE's fakes are means: (u < G(_beside(z, y)).sigmoid()).to(z) => G(_beside(z, y)).sigmoid()
  a Bernoulli sample is 1 above its probability: u < G => u > G
games.aavae._activated_turn @ autoencoder, activated
  the temperature in D's training too: labelling.label_nll(f, => labelling.label_nll(f / temperature,
  AAVAE's temperature is not handed on: (believed, loss, temperature) => (believed, loss)
  AAVAE's weights reversed: adversary_activated(believed, => adversary_activated(-believed,
games.aavae.is_real @ autoencoder, activated
  AAVAE's D with its labels exchanged: < n => >= n
games.aavae._neighbours @ autoencoder, activated
  exchanged weights leave halves: .unflatten(-1, (2, -1)).roll(1, -1).flatten(-2) => .roll(1, -1) @ exchanged
games.m2.semi_supervised @ semi_supervised
  M2 without N / N_l: alpha * (n + unlabelled.shape[1]) / n => alpha
  M2's N is the unlabelled images': (n + unlabelled.shape[1]) => unlabelled.shape[1]
  M2's labelled images are the others: data.rows, labelled, batch => data.rows, unlabelled, batch
games.m2._activated_m2_turn @ semi_supervised, activated
  AASVAE's D does not see the unlabelled images' kind: is_real(n, f).repeat(2) => is_real(2 * n, f)
games.vae.joint_turn @ vae_gan
  VAE-GAN's E hears the adversary: "E": bound.mean(-1) => "E": (bound + adverse).mean(-1)
  VAE-GAN's G without its bound: (bound + adverse) => adverse
games.avb.implicit_posterior @ implicit_posterior
  the implicit posterior's KL with the other sign: adversarial.reverse_kl(D( => -adversarial.reverse_kl(D(
  the implicit posterior's D with prior and posterior exchanged: (z, made)) => (made, z))
games.processes.autoencoder @ autoencoder of pixels
  the autoencoder hears its adversary: .mean(-1) / 2) => .mean(-1) / 2 + E(x).sum((-2, -1)))
games.processes.Process.labelled @ infogan
  made samples labelled as given: x, is_real( => x, 1 - is_real(
games.processes.Process.made @ cycle_gan
  the makers do not reverse the discriminator: labelling.reverse(f) => f
games.method.divergence_turn @ minimise
  the generator's likelihood is not weighed: bound, *pair) => bound, pair.f, torch.ones_like)
  E learns the weighted loss, too: "E": bound.mean(-1) => "E": (bound * f_real.sigmoid()).mean(-1)
games.method.model_sample @ minimise
  D sees the decoder's mean: sigma, noise) if sampled => sigma, 0 * noise) if sampled
games.method.minimise @ minimise
  one step of D whatever is said: sampled, d_steps) => sampled, 1)
games.discriminators.against_normal @ against_normal
  the model that rests stands elsewhere: D(z + mean) => D(z)
games.discriminators.against_smaller_circle @ against_smaller_circle
  both circles have one radius: circle(fake, 1 - distance) => circle(fake)
  the same angles on both circles: 2 * math.pi * v => 2 * math.pi * u
games.method.ratio_turns @ minimise, perceptual
  noise on data, too: discriminator(D(x), => discriminator(D.logit(D.features(x) + noise),
games.perceptual.perceptual_vae @ perceptual_vae, perceptual
  the perceptual VAE without its prior: likelihood.negative_elbo(*terms) => terms[0]
games.perceptual.perceptual_vae_gan @ perceptual_vae_gan, perceptual
  VAEGAN's E hears the adversary: "E": bound.mean(-1) => "E": (bound + adverse).mean(-1)
  VAEGAN's D sees what G makes of the prior: G(reparametrise(*E(x), eps)) => G(eps)
  VAEGAN's G learns from what it generates: non_saturating(D.logit(remade)) => non_saturating(D(G(eps)))
  VAEGAN with the adversarial loss of SDKL: adversarial.non_saturating => adversarial.reverse_kl
games.turns.repeated @ gan, spectral
  no power iteration before D's turn: if setup.spectral => if False
games.turns.regularised @ gan, perceptual
  orthogonal regularisation that drives rows together: loss + setup.orthogonal => loss - setup.orthogonal
games.setups.perceptual @ gan, perceptual
  D as slow as the others: rates={"D": d_lr} => rates={}
  beta2 as everywhere else: beta2=beta2 => beta2=0.999
games.wake_sleep.wake_sleep @ wake_sleep
  the sleep phase dreams with the wake phase's bits: (v < G(h).sigmoid()) => (G(h).sigmoid() > 0.5)
games.predictability.predictability_minimisation @ predictability_minimisation
  predictors as slow as the encoder: faster=10 => faster=1
games.predictability.masked @ predictability_minimisation
  a predictor sees its own unit: code.unsqueeze(-2) * (1 - which) => code.unsqueeze(-2) * (1 + 0 * which)
play.loop._settle
  losses logged as their mean over trials: .mean((0, 1)) => .mean((0, 1)).mean().expand(log.shape[-1])
play.checkpoints._content
  start generators missing from a checkpoint: "init": [g.get_state() for g in state.init], =>
play.checkpoints._fill
  start generators not given back: ("init", "generators") => ("generators",)
measure.paired.gain
  a gain with its sign turned: np.subtract(ours, over) => np.subtract(over, ours)
measure.training.trend
  the largest setting first: min(gains)], over=gains[max( => max(gains)], over=gains[min(
measure.training.wobble
  early evaluations for late ones: > after => <= after
measure.training.stable
  stable once is stable: .all(0) => .any(0)
measure.training.deepest_fall
  the best later evaluation for the worst: .min(0) => .max(0)
measure.training.share_kept
  nothing covered, all kept: curve[start], np.nan => curve[start], np.inf
measure.training.fall
  the end of training for the asked evaluation: curve[end] => curve[-1]
  a fall with its sign turned: curve[0] - curve[end] => curve[end] - curve[0]
measure.on_plane.drift_since
  drift since the start of training: (start, -1) => (0, -1)
measure.training.over_settings
  a mean that leaves lost settings out: np.mean( => np.nanmean(
measure.training.at_stop
  an evaluation chosen by what it is tested by: curves[by] => curves[key]
measure.training.best_setting
  the worst setting for the best: max(known => min(known
measure.worst_case.largest
  the least error for the largest: .max() => .min()
measure.estimators.combination_gain
  the noisier twin for the quieter: torch.minimum => torch.maximum
measure.estimators.root_mean_square
  the nearest point for the whole grid: .mean(1) => .amin(1)
"""


class Mistake(NamedTuple):
    """``function`` may be a method; ``case`` and ``change`` are empty where no case is named."""

    what: str
    module: str
    function: str
    old: str
    new: str
    case: str
    change: str


def _read(table: str) -> list[Mistake]:
    found = []
    for line in table.splitlines():
        text, _, after = line.strip().partition(" @ ")
        if not line.startswith(" "):
            room, module, function = text.split(".", 2)
            case = after
            continue
        what, _, text = text.partition(": ")
        old, new = text.split(" =>")
        found.append(Mistake(what, f"bridgekit.{room}.{module}", function, old, new.strip(), case, after))
    return found


NAMED = _read(TABLE)
