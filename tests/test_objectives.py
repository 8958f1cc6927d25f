"""Every objective against its oracle, its mutants, and the contracts that hold for all of them.

Objectives are found by inspection: a new one fails here until it has an oracle and a contract.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import torch
from mutants import mutants, survivors
from oracles import ORACLES
from oracles.tools import close
from torch import Tensor

from bridgekit import theory
from bridgekit.theory import (
    adversarial,
    f_gan,
    generalised,
    labelling,
    likelihood,
    method,
    wasserstein,
    weighted,
)
from bridgekit.theory import alpha as twins

EXEMPT = {
    "densities": "what the equations are made of, with tests of its own",
    "divergences": "integrands and exact values, with tests of its own",
}


MODULES = {module.name for module in pkgutil.iter_modules(theory.__path__)}


def public_functions() -> set[Callable]:
    """What the modules of bridgekit.theory define under a public name, EXEMPT modules left out."""
    found = set()
    for name in MODULES - EXEMPT.keys():
        module = importlib.import_module(f"bridgekit.theory.{name}")
        members = inspect.getmembers(module, inspect.isfunction)
        found |= {f for name, f in members if not name.startswith("_") and f.__module__ == module.__name__}
    return found


@dataclass(frozen=True)
class Contract:
    """What holds for every game: who may learn from a term, and how far its arguments may go.

    ``learns`` and ``frozen`` are the tensor arguments that get a gradient and that must not; ``share`` lie in
    [0, 1]. Arguments have ``leading`` axes before the trials and batch axes (summarised by the term),
    those in ``events`` an event axis behind them. ``couples``: the term normalises over the batch.
    ``settings``: other arguments, and the largest size of the tensors' elements that is promised to stay
    finite with them.
    """

    learns: tuple[str, ...]
    frozen: tuple[str, ...] = ()
    share: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    leading: tuple[int, ...] = ()
    couples: bool = False
    settings: tuple[tuple[dict[str, float | Tensor], float], ...] = field(default=(({}, 500.0),))


def _twin(**names: tuple[str, ...]) -> Contract:
    """Without a clip the twins' weights are e^{|f|} at most; with one they are bounded for any f."""
    free = (({"alpha": alpha}, 50.0) for alpha in (0.0, 0.4, 0.95))
    return Contract(
        **names, settings=(*free, *(({"alpha": a, "clip": 5.0}, 500.0) for a in (0.0, 0.4, 0.95)))
    )


def _bridge(learns: tuple[str, ...], frozen: tuple[str, ...]) -> Contract:
    """Both twins with half of the share each."""
    settings = tuple((options | {"gamma": 0.5}, limit) for options, limit in _twin(learns=()).settings)
    return Contract(learns, frozen, settings=settings)


LOG_WEIGHT = tuple(({"alpha": 0.4, "clip": clip}, 500.0) for clip in (float("inf"), 5.0))


def _pair(limit: float) -> Contract:
    """A critic's loss in its outputs on real and fake samples; exponentials bound their size."""
    return Contract(("v_real", "v_fake"), settings=(({}, limit),))


def _pairs(limit: float) -> tuple:
    """Paper C's pairs that learn from both sides, as settings."""
    both = (method.JENSEN_SHANNON, method.SYMMETRISED_KL)
    return tuple((pair._asdict(), limit) for pair in both)


CONTRACTS = {
    likelihood.negative_log_likelihood: Contract(learns=("log_p",)),
    likelihood.gaussian_nll: Contract(
        ("x", "mean"), events=("x", "mean"), settings=(({"sigma": 0.3}, 500.0),)
    ),
    likelihood.bernoulli_nll: Contract(("logits",), share=("x",), events=("x", "logits")),
    likelihood.negative_elbo: Contract(("nll", "kl")),
    likelihood.importance_weighted_bound: Contract(("log_weights",), leading=(3,)),
    adversarial.discriminator: Contract(("f_real", "f_fake")),
    adversarial.saturating: Contract(("f_fake",)),
    adversarial.non_saturating: Contract(("f_fake",)),
    adversarial.reverse_kl: Contract(("f_fake",)),
    twins.sigmoid_gamma: Contract(("alpha",), share=("alpha",)),
    twins.linear_gamma: Contract(("alpha",), share=("alpha",)),
    twins.cosine_gamma: Contract(("alpha",), share=("alpha",)),
    twins.forward_log_weight: Contract(("f",), settings=LOG_WEIGHT),
    twins.reverse_log_weight: Contract(("f",), settings=LOG_WEIGHT),
    twins.forward_twin: _twin(learns=("log_p",), frozen=("f",)),
    twins.reverse_twin: _twin(learns=("f",)),
    twins.twin_combination: Contract(("forward", "reverse"), settings=(({"gamma": 0.3}, 500.0),)),
    twins.semi_implicit_sample: Contract(("mean", "eps"), settings=(({"sigma": 0.3}, 500.0),)),
    generalised.bridge: _bridge(("log_p", "f_made"), ("f_data",)),
    generalised.joint_encoder: _bridge(("log_q", "h_data"), ("h_model",)),
    f_gan.forward_kl_critic: _pair(50.0),
    f_gan.forward_kl_generator: Contract(("v_fake",), settings=(({}, 50.0),)),
    f_gan.reverse_kl_critic: _pair(50.0),
    f_gan.reverse_kl_generator: Contract(("v_fake",)),
    f_gan.pearson_chi2_critic: _pair(500.0),
    f_gan.pearson_chi2_generator: Contract(("v_fake",)),
    f_gan.squared_hellinger_critic: _pair(50.0),
    f_gan.squared_hellinger_generator: Contract(("v_fake",), settings=(({}, 50.0),)),
    f_gan.jensen_shannon_critic: _pair(500.0),
    f_gan.jensen_shannon_generator: Contract(("v_fake",)),
    method.moving_optimum: Contract(("logit", "score"), settings=(({}, 50.0),)),
    method.written_f: Contract(("log_r",), settings=(({"integrand": torch.square}, 500.0),)),
    method.written_g: Contract(("log_r",), settings=(({"integrand": torch.square}, 500.0),)),
    method.exchanged: Contract(("log_r",), settings=_pairs(50.0)),
    method.jensen_shannon_f: Contract(("log_r",), settings=(({}, 50.0),)),
    method.jensen_shannon_g: Contract(("log_r",)),
    method.identity: Contract(("log_r",)),
    method.gradient: Contract(
        ("score_fake", "score_real"), frozen=("logit_fake", "logit_real"), settings=_pairs(500.0)
    ),
    method.loss: Contract(("logit_fake", "nll"), frozen=("logit_real",), settings=_pairs(500.0)),
    wasserstein.critic: Contract(("f_real", "f_fake")),
    wasserstein.generator: Contract(("f_fake",)),
    wasserstein.interpolate: Contract(
        ("real", "fake", "u"), share=("u",), settings=(({"event_dims": 0}, 500.0),)
    ),
    wasserstein.one_centred_penalty: Contract(("slope",), events=("slope",)),
    labelling.reverse: Contract(("f",)),
    labelling.label_nll: Contract(("f",), share=("y",)),
    labelling.domain_confusion: Contract(("f_source", "f_target")),
    labelling.log_prior: Contract(("log_p_fake", "log_p_real")),
    labelling.log_posterior: Contract(("log_likelihood", "log_prior"), couples=True),
    labelling.posterior_kl: Contract(("log_p",), frozen=("log_posterior",), settings=(({}, 50.0),)),
    labelling.lemma_1: Contract(
        ("log_p_fake", "log_p_real"),
        frozen=("log_posterior_fake", "log_posterior_real"),
        settings=(({}, 50.0),),
    ),
    labelling.infogan: Contract(("f", "log_code"), share=("y",)),
    labelling.label_divergence: Contract(("f",)),
    weighted.log_weight: Contract(("log_likelihood", "log_prior", "log_p")),
    weighted.importance_log_weight: Contract(("f_fake",), couples=True),
    weighted.class_log_weight: Contract(
        ("f_fake",), couples=True, settings=(({"labels": torch.tensor(0)}, 500.0),)
    ),
    weighted.importance_weighted: Contract(("f_fake",), frozen=("log_weight",), settings=(({}, 50.0),)),
    weighted.adversary_activated: Contract(
        ("negative_elbo",), frozen=("f",), settings=(({}, 500.0), ({"temperature": 3.0}, 500.0))
    ),
    weighted.activated_vae: Contract(("fake_loss", "real_loss"), frozen=("f",)),
}

# Mutants (by their changed line) that are the same function, and why.
EQUIVALENT = {
    likelihood.gaussian_nll: {
        "def gaussian_nll(mean: Tensor, x: Tensor, sigma: float, event_dims: int=1) -> Tensor:": "a square",
        "if not sigma >= 0:": "log(0) raises the same ValueError",
    },
    likelihood.negative_elbo: {"def negative_elbo(kl: Tensor, nll: Tensor) -> Tensor:": "a sum"},
    labelling.log_prior: {
        "def log_prior(log_p_real: Tensor, log_p_fake: Tensor) -> Tensor:": "both labels weigh the same"
    },
    labelling.log_posterior: {
        "def log_posterior(log_prior: Tensor, log_likelihood: Tensor, log_cell: Tensor | float=0.0) "
        "-> Tensor:": "a product"
    },
    weighted.class_log_weight: {
        "return f_fake - within + same.to(f_fake).mean(-2).log()": "who shares whose class is symmetric"
    },
    weighted.log_weight: {
        "def log_weight(log_prior: Tensor, log_likelihood: Tensor, log_p: Tensor) -> Tensor:": "a sum"
    },
}

BY_NAME = sorted(CONTRACTS, key=lambda function: function.__name__)
every = pytest.mark.parametrize("function", BY_NAME, ids=lambda function: function.__name__)


def test_every_objective_has_an_oracle_and_a_contract():
    assert public_functions() == set(ORACLES) == set(CONTRACTS)
    assert EXEMPT.keys() <= MODULES


@every
def test_oracle(function):
    ORACLES[function](function)


@every
def test_every_mutant_fails_its_oracle(function):
    assert survivors(ORACLES[function], function) == EQUIVALENT.get(function, {}).keys()


@every
def test_each_detach_is_removed_by_some_mutant(function):
    lines = ast.unparse(ast.parse(inspect.getsource(function))).splitlines()
    wanted = {line.strip().replace(".detach()", "") for line in lines if ".detach()" in line}
    assert wanted <= {line for line, _ in mutants(function)}


def test_an_oracle_that_cannot_fail_is_found_out():
    lines = {line for line, _ in mutants(adversarial.saturating)}
    assert lines == {f"return {changed}(f_fake)" for changed in ("--F.softplus", "F.softplus", "-F.relu")} | {
        "return -f_fake"
    }
    assert survivors(lambda mutant: None, adversarial.saturating) == lines
    assert survivors(lambda mutant: mutant("no tensor"), adversarial.saturating) == set()  # it cannot run
    with pytest.raises(ZeroDivisionError):  # the oracle's own fault is not taken for a refusal
        survivors(lambda mutant: 1 / 0, adversarial.saturating)


def _arguments(contract: Contract, shape: tuple[int, ...], seed: int = 0) -> dict[str, Tensor]:
    """Moderate arguments in float64, every one a leaf."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name in {*contract.learns, *contract.frozen, *contract.share}:
        full = (*contract.leading, *shape, *((3,) if name in contract.events else ()))
        values = torch.randn(full, generator=generator, dtype=torch.float64)
        found[name] = (values.sigmoid() if name in contract.share else values).requires_grad_()
    return found


@every
def test_a_gradient_reaches_its_players_and_no_other(function):
    contract = CONTRACTS[function]
    for options, _ in contract.settings:
        arguments = _arguments(contract, (4,))
        total = function(**arguments, **options).sum()
        found = dict(
            zip(arguments, torch.autograd.grad(total, arguments.values(), allow_unused=True), strict=True)
        )
        assert all((found[name] != 0).all() for name in contract.learns)
        assert all(found[name] is None for name in contract.frozen)


@every
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_arguments_give_finite_values_and_gradients(function, dtype):
    contract = CONTRACTS[function]
    names = sorted({*contract.learns, *contract.frozen, *contract.share})
    for options, limit in contract.settings:
        for size in {50.0, limit}:
            corners = torch.tensor(
                list(itertools.product((-size, 0.0, size), repeat=len(names))), dtype=dtype
            ).T
            arguments = {}
            for name, values in zip(names, corners, strict=True):
                values = values / (2 * size) + 0.5 if name in contract.share else values
                values = values.expand(*contract.leading, *values.shape)
                values = values[..., None].expand(*values.shape, 3) if name in contract.events else values
                arguments[name] = values.clone().requires_grad_()
            got = function(**arguments, **options)
            slopes = torch.autograd.grad(got.sum(), [arguments[name] for name in contract.learns])
            assert got.dtype == dtype
            assert all(result.isfinite().all() for result in (got, *slopes))


@every
def test_terms_keep_the_batch_and_trials_axes_apart(function):
    contract = CONTRACTS[function]
    (options, _), axis = contract.settings[0], len(contract.leading)
    arguments = _arguments(contract, (2, 5))
    together = function(**arguments, **options)
    assert together.shape == (2, 5)
    for trial in range(2):
        alone = function(**{name: a.select(axis, trial) for name, a in arguments.items()}, **options)
        assert alone.shape == (5,)
        close(together[trial], alone)
        if contract.couples:
            turned = {name: a.select(axis, trial).flip(axis) for name, a in arguments.items()}
            close(function(**turned, **options), alone.flip(0))
            continue
        for i in range(5):
            one = {name: a.select(axis, trial).narrow(axis, i, 1) for name, a in arguments.items()}
            close(function(**one, **options), alone[i : i + 1])
