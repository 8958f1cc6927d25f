"""What a builder does where nothing is said: a chapter, a record and a reader count on it.

Stated by the papers or by those they follow: batch, width, z, lr and beta1 of images (Radford et al. 2016),
z, both betas and ``d_steps`` of paper C's models (section 4.2),
``wgan_gp`` (Gulrajani et al. 2017), 20 rounds of ``fine_tuning`` (paper A, Figure 1), alpha of
``semi_supervised`` (Kingma et al. 2014). All others are choices of this house.
"""

DEFAULTS = {
    "aavae.autoencoder": dict(
        temperature=None, exchanged=False, hidden=500, width=None, z=50, batch=128, lr=0.001, rounds=1000
    ),
    "m2.semi_supervised": dict(
        temperature=None, alpha=0.1, hidden=500, width=None, z=50, batch=64, lr=0.001, rounds=1000
    ),
    "adaptation.adversarial_domain_adaptation": dict(weight=1.0, features=32, rounds=2000),
    "arms.adversarially_learned_inference": dict(rounds=10000, h_steps=1, hidden=128, depth=3),
    "arms.encoder_afterwards": dict(sigma=0.3, rounds=(2000, 4000, 4000), clip=5.0, afterwards=10000),
    "avb.gaussian_posterior": dict(log_likelihood="folded_log_likelihood", rounds=2000),
    "avb.implicit_posterior": dict(log_likelihood="folded_log_likelihood", noise=2, rounds=2000, d_steps=2),
    "baselines.f_gan": dict(rounds=10000, d_steps=1),
    "baselines.gan": dict(critic="discriminator", rounds=10000, d_steps=1, penalty=0.0),
    "baselines.wgan_gp": dict(rounds=10000, d_steps=5, penalty=10.0),
    "bridge.alpha_bridge": dict(
        sigma=0.3, rounds=(2000, 4000, 4000), gamma="sigmoid_gamma", clip=5.0, d_steps=1, penalty=0.0
    ),
    "bridge.noisy_bridge": dict(seen=0.5, sigma=0.3, rounds=(2000, 4000, 4000), clip=5.0),
    "bridge.fine_tuning": dict(sigma=0.3, ml_rounds=2000, rounds=20, d_steps=1, penalty=0.0),
    "bridge.fixed_combination": dict(weight=0.5, sigma=0.3, rounds=10000, d_steps=1, penalty=0.0),
    "classifying.classification": dict(batch=64, width=24, lr=0.001, shift=0),
    "discriminators.against_normal": dict(hidden=64, batch=256, lr=0.001, rounds=300),
    "discriminators.against_smaller_circle": dict(hidden=64, batch=128, lr=0.002, rounds=300),
    "fitting.gaussian_fit": dict(rounds=600, lr=0.05),
    "generalised.alpha_bridge_joints": dict(
        sigma=0.3,
        rounds=(2000, 4000, 4000),
        gamma="sigmoid_gamma",
        clip=5.0,
        sampled=False,
        h_steps=1,
        hidden=128,
        depth=3,
    ),
    "generalised.alpha_bridge_marginals": dict(
        sigma=0.3,
        rounds=(2000, 4000, 4000),
        gamma="sigmoid_gamma",
        clip=5.0,
        d_steps=1,
        penalty=0.0,
        hidden=128,
        depth=3,
    ),
    "importance.cgan": dict(rounds=10000),
    "importance.iwcgan": dict(rounds=10000),
    "importance.iwgan": dict(rounds=10000, d_steps=1),
    "method.minimise": dict(sigma=0.3, rounds=10000, d_steps=5, sampled=True),
    "perceptual.perceptual_vae": dict(sigma=1.0, rounds=10000, d_steps=5),
    "perceptual.perceptual_vae_gan": dict(sigma=1.0, rounds=10000, d_steps=5),
    "predictability.predictability_minimisation": dict(units=4, blind=False, rounds=2000, p_steps=2),
    "processes.adversarial_autoencoder": dict(z=2, sigma=1.0, rounds=2000),
    "processes.autoencoder": dict(z=2, sigma=1.0, rounds=2000),
    "processes.cycle_gan": dict(sigma=1.0, rounds=2000),
    "processes.infogan": dict(classes=10, continuous=2, noise=16, rounds=2000),
    "setups.flat": dict(hidden=128, batch=64, lr=0.001, beta1=0.5),
    "setups.images": dict(labelled=False, batch=128, width=64, z=100, lr=0.0002, beta1=0.5, d_slower=1.0),
    "setups.perceptual": dict(
        shrink=4, z=512, batch=64, lr=0.0001, d_lr=0.0002, beta1=0.5, beta2=0.9, orthogonal=0.0001
    ),
    "setups.plane": dict(batch=256, hidden=128, depth=3, z=2, lr=0.001, beta1=0.5, spectral=False),
    "vae.perfect_vae": dict(sigma=0.3, rounds=2000),
    "vae.vae": dict(sigma=0.3, rounds=2000),
    "vae.vae_gan": dict(sigma=0.3, rounds=2000),
    "wake_sleep.wake_sleep": dict(units=8, rounds=2000),
}
