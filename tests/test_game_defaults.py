"""What is played where nothing is said: a default that changes changes numbers, and is changed here too.

Those of the plane, of image arenas, of Algorithm 1 and of M2 are the reproduction's settings; five critic
steps and a penalty of ten are Gulrajani et al.'s.
"""

from __future__ import annotations

import inspect

from test_game_laws import builders

DCGAN = {"batch": 128, "width": 64, "z": 100, "lr": 2e-4, "beta1": 0.5}
FLAT = {"hidden": 128, "batch": 64, "rounds": 2000, "lr": 1e-3, "beta1": 0.5}
BITS = {"hidden": 64, "batch": 64, "rounds": 2000}
POSTERIOR = {
    "log_likelihood": "folded_log_likelihood",
    "hidden": 64,
    "batch": 128,
    "rounds": 2000,
    "lr": 1e-3,
}
BINARY = {"temperature": None, "hidden": 500, "width": None, "z": 50, "lr": 1e-3, "rounds": 1000}
LONG = {"rounds": 10_000}
ONE_STEP = {"d_steps": 1}
DEFAULTS = {
    "adaptation.adversarial_domain_adaptation": {"weight": 1.0, "features": 32, **FLAT},
    "arenas.images": DCGAN,
    "arenas.plane": {
        **{"batch": 256, "hidden": 128, "depth": 3, "z": 2, "lr": 1e-3, "beta1": 0.5, "spectral": False},
    },
    "baselines.f_gan": LONG | ONE_STEP,
    "baselines.gan": {"critic": "discriminator", **LONG, **ONE_STEP, "penalty": 0.0},
    "baselines.wgan_gp": {**LONG, "d_steps": 5, "penalty": 10.0},
    "bridge.alpha_bridge": {
        **{"sigma": 0.3, "rounds": (2000, 4000, 4000), "gamma": "sigmoid_gamma", "clip": 5.0, "penalty": 0.0},
        **ONE_STEP,
    },
    "bridge.fine_tuning": {"sigma": 0.3, "ml_rounds": 2000, "rounds": 20, "penalty": 0.0, **ONE_STEP},
    "bridge.fixed_combination": {"weight": 0.5, "sigma": 0.3, "penalty": 0.0, **LONG, **ONE_STEP},
    "classifying.classification": {"batch": 64, "width": 24, "lr": 1e-3, "shift": 0},
    "codes.predictability_minimisation": {"units": 4, "blind": False, "p_steps": 2, "lr": 5e-4, **BITS},
    "codes.wake_sleep": {"units": 8, "lr": 1e-3, **BITS},
    "fitting.gaussian_fit": {"rounds": 600, "lr": 0.05},
    "importance.affine": {},
    "importance.cgan": LONG,
    "importance.iwcgan": LONG,
    "importance.iwgan": LONG | ONE_STEP,
    "importance.labelled_images": DCGAN,
    "inference.gaussian_posterior": POSTERIOR,
    "inference.implicit_posterior": {"noise": 2, "d_steps": 2, **POSTERIOR},
    "inference.perfect_vae": {"sigma": 0.3, "rounds": 2000},
    "inference.vae": {"sigma": 0.3, "rounds": 2000},
    "inference.vae_gan": {"sigma": 0.3, "rounds": 2000},
    "unified.adversarial_autoencoder": {"z": 2, "sigma": 1.0, **FLAT},
    "unified.autoencoder": {},
    "unified.cycle_gan": {"sigma": 1.0, **FLAT},
    "unified.infogan": {"classes": 10, "continuous": 2, "noise": 16, **FLAT},
    "vae.autoencoder": {"exchanged": False, "batch": 128, **BINARY},
    "vae.semi_supervised": {"alpha": 0.1, "batch": 64, **BINARY},
}


def defaults(builder) -> dict:
    """A builder's defaults by name, functions by theirs."""
    parameters = inspect.signature(builder).parameters.items()
    found = {name: p.default for name, p in parameters if p.default is not inspect.Parameter.empty}
    return {name: getattr(value, "__name__", value) for name, value in found.items()}


def test_what_is_played_where_nothing_is_said():
    found = {f"{b.__module__.rpartition('.')[2]}.{b.__name__}": defaults(b) for b in builders()}
    assert found == DEFAULTS
